#include "couplings.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace pymixed {

std::vector<std::int32_t> sort_by_level(const std::vector<std::int32_t>& order, const std::int32_t* codes, Index n,
                                        Index n_levels) {
    std::vector<Index> next(n_levels + 1, 0);
    for (Index i = 0; i < n; ++i)
        ++next[codes[i] + 1];
    std::partial_sum(next.begin(), next.end(), next.begin());
    std::vector<std::int32_t> sorted(n);
    if (order.empty())
        for (Index i = 0; i < n; ++i)
            sorted[next[codes[i]]++] = static_cast<std::int32_t>(i);
    else
        for (const std::int32_t row : order)
            sorted[next[codes[row]]++] = row;
    return sorted;
}

/// Z_a'WZ_b from the rows, `order` sorting them by (level of a, level of b).
static CouplingProducts couple_pair(const Rows& rows, const RandomEffects& layout, const RandomBasis& basis, Index a,
                                    Index b, const std::vector<std::int32_t>& order) {
    const auto& left = layout.factors()[a];
    const auto& right = layout.factors()[b];
    const std::int32_t* code_a = rows.codes[left.user_position];
    const std::int32_t* code_b = rows.codes[right.user_position];
    const Index ca = left.n_cols, cb = right.n_cols;

    Index cells = 0;
    std::int32_t last_a = -1, last_b = -1;
    for (const std::int32_t row : order) {
        cells += code_a[row] != last_a || code_b[row] != last_b;
        last_a = code_a[row];
        last_b = code_b[row];
    }
    CouplingProducts out;
    out.a = a;
    out.b = b;
    out.start.assign(left.n_levels + 1, 0);
    out.level.reserve(cells);
    out.block.reserve(cells * ca * cb);
    out.rows.reserve(cells);

    const auto value = [&](Index column, Index row) {
        const ColumnView& z = rows.Z[column];
        return z.is_constant() ? 1.0 : (z[row] - basis.shift(column)) / basis.scale(column);
    };
    const bool counts =
        ca == 1 && cb == 1 && rows.Z[left.columns[0]].is_constant() && rows.Z[right.columns[0]].is_constant();
    std::vector<double> z_b(cb);
    last_a = last_b = -1;
    for (const std::int32_t row : order) {
        if (code_a[row] != last_a || code_b[row] != last_b) {
            last_a = code_a[row];
            last_b = code_b[row];
            ++out.start[last_a + 1];
            out.level.push_back(last_b);
            out.block.insert(out.block.end(), ca * cb, 0.0);
            out.rows.push_back(0);
        }
        ++out.rows.back();
        const double w = rows.weights == nullptr ? 1.0 : rows.weights[row];
        if (counts) {
            out.block.back() += w;
            continue;
        }
        double* block = out.block.data() + out.block.size() - ca * cb;
        for (Index j = 0; j < cb; ++j)
            z_b[j] = w * value(right.columns[j], row);
        for (Index i = 0; i < ca; ++i) {
            const double z_a = value(left.columns[i], row);
            for (Index j = 0; j < cb; ++j)
                *block++ += z_a * z_b[j];
        }
    }
    std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
    return out;
}

std::vector<CouplingProducts> couple(const Rows& rows, const RandomEffects& layout, const RandomBasis& basis) {
    const auto& factors = layout.factors();
    std::vector<CouplingProducts> out;
    for (std::size_t b = 1; b < factors.size(); ++b) {
        const std::vector<std::int32_t> by_b =
            sort_by_level({}, rows.codes[factors[b].user_position], rows.n, factors[b].n_levels);
        for (std::size_t a = 0; a < b; ++a)
            out.push_back(
                couple_pair(rows, layout, basis, a, b,
                            sort_by_level(by_b, rows.codes[factors[a].user_position], rows.n, factors[a].n_levels)));
    }
    return out;
}

std::vector<CouplingProducts> empty_couplings(const RandomEffects& layout) {
    const Index count = static_cast<Index>(layout.factors().size());
    std::vector<CouplingProducts> out;
    for (Index b = 1; b < count; ++b)
        for (Index a = 0; a < b; ++a) {
            CouplingProducts coupling;
            coupling.a = a;
            coupling.b = b;
            coupling.start.assign(layout.factors()[a].n_levels + 1, 0);
            out.push_back(std::move(coupling));
        }
    return out;
}

/// visit(i, j, found) for every cell j of `part` in row g, ascending; i is the first cell of `whole` in that row whose
/// column is not smaller, `found` whether it is the same.
template <class Visit>
static void match_row(const CouplingProducts& whole, const CouplingProducts& part, std::size_t g, Visit visit) {
    const Index last = whole.start[g + 1];
    Index i = whole.start[g];
    for (Index j = part.start[g]; j < part.start[g + 1]; ++j) {
        while (i < last && whole.level[i] < part.level[j])
            ++i;
        visit(i, j, i < last && whole.level[i] == part.level[j]);
    }
}

template <class Visit>
static void match(const CouplingProducts& whole, const CouplingProducts& part, Visit visit) {
    for (std::size_t g = 0; g + 1 < part.start.size(); ++g)
        match_row(whole, part, g, visit);
}

Index missing_cells(const CouplingProducts& whole, const CouplingProducts& part) {
    Index missing = 0;
    match(whole, part, [&](Index, Index, bool found) { missing += !found; });
    return missing;
}

/// Numbers of a cell's block.
static std::size_t block_size(const CouplingProducts& coupling) {
    return coupling.level.empty() ? 0 : coupling.block.size() / coupling.level.size();
}

CouplingProducts united(const CouplingProducts& first, const CouplingProducts& second) {
    const Index cells = first.cells() + missing_cells(first, second);
    const std::size_t size = std::max(block_size(first), block_size(second));
    CouplingProducts out;
    out.a = first.a;
    out.b = first.b;
    out.start.reserve(first.start.size());
    out.level.reserve(cells);
    out.rows.reserve(cells);
    out.block.reserve(cells * size);
    Index copied = 0;
    const auto copy_to = [&](Index last) {
        out.level.insert(out.level.end(), first.level.begin() + copied, first.level.begin() + last);
        out.rows.insert(out.rows.end(), first.rows.begin() + copied, first.rows.begin() + last);
        out.block.insert(out.block.end(), first.block.begin() + copied * size, first.block.begin() + last * size);
        copied = last;
    };
    out.start.push_back(0);
    for (std::size_t g = 0; g + 1 < first.start.size(); ++g) {
        match_row(first, second, g, [&](Index i, Index j, bool found) {
            if (found)
                return;
            copy_to(i);
            out.level.push_back(second.level[j]);
            out.rows.push_back(0);
            out.block.insert(out.block.end(), size, 0.0);
        });
        copy_to(first.start[g + 1]);
        out.start.push_back(out.cells());
    }
    return out;
}

void add_cells(CouplingProducts& whole, const CouplingProducts& part, int sign) noexcept {
    const std::size_t size = block_size(part);
    match(whole, part, [&](Index i, Index j, bool) {
        whole.rows[i] += sign * part.rows[j];
        for (std::size_t k = 0; k < size; ++k)
            whole.block[i * size + k] += sign * part.block[j * size + k];
    });
}

bool has_rows_of(const CouplingProducts& whole, const CouplingProducts& part) {
    bool all = true;
    match(whole, part, [&](Index i, Index j, bool found) { all = all && found && whole.rows[i] >= part.rows[j]; });
    return all;
}

void drop_empty_cells(CouplingProducts& coupling) noexcept {
    const std::size_t size = block_size(coupling);
    Index kept = 0, first = 0;
    for (std::size_t g = 0; g + 1 < coupling.start.size(); ++g) {
        const Index last = coupling.start[g + 1];
        for (Index i = first; i < last; ++i) {
            if (coupling.rows[i] == 0)
                continue;
            coupling.level[kept] = coupling.level[i];
            coupling.rows[kept] = coupling.rows[i];
            std::copy_n(coupling.block.begin() + i * size, size, coupling.block.begin() + kept * size);
            ++kept;
        }
        first = last;
        coupling.start[g + 1] = kept;
    }
    coupling.level.resize(kept);
    coupling.rows.resize(kept);
    coupling.block.resize(kept * size);
}

CouplingProducts relevelled(const CouplingProducts& coupling, const Relevelling& change) {
    const Index cells = coupling.cells();
    if (cells > std::numeric_limits<std::int32_t>::max())
        throw std::invalid_argument("levels: expected fewer than 2^31 pairs of levels of two factors, got " +
                                    std::to_string(cells));
    std::vector<std::int32_t> row(cells), column(cells);
    for (std::size_t g = 0; g + 1 < coupling.start.size(); ++g)
        for (Index i = coupling.start[g]; i < coupling.start[g + 1]; ++i) {
            row[i] = change.map_a[g];
            column[i] = change.map_b[coupling.level[i]];
        }
    if (change.swapped)
        row.swap(column);
    const std::vector<std::int32_t> order =
        sort_by_level(sort_by_level({}, column.data(), cells, change.n_columns), row.data(), cells, change.n_rows);

    const Index size = static_cast<Index>(block_size(coupling)), ca = change.block_rows, cb = size / ca;
    CouplingProducts out;
    out.a = coupling.a;
    out.b = coupling.b;
    out.start.assign(change.n_rows + 1, 0);
    out.level.reserve(cells);
    out.rows.reserve(cells);
    out.block.resize(cells * size);
    double* block = out.block.data();
    for (const std::int32_t i : order) {
        ++out.start[row[i] + 1];
        out.level.push_back(column[i]);
        out.rows.push_back(coupling.rows[i]);
        const double* from = coupling.block.data() + i * size;
        if (change.swapped)
            for (Index j = 0; j < cb; ++j)
                for (Index k = 0; k < ca; ++k)
                    *block++ = from[k * cb + j];
        else
            block = std::copy_n(from, size, block);
    }
    std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
    return out;
}

}  // namespace pymixed
