#include "sorted_rows.hpp"

#include <algorithm>
#include <numeric>

#include "couplings.hpp"
#include "row_packer.hpp"

namespace pymixed {

namespace {

/// Columns of `rows.X` in a basis, in the order given.
Matrix packed_columns(const Rows& rows, const FixedBasis& basis, const std::vector<std::int32_t>& sorted_position) {
    Matrix out(rows.n, basis.p());
    RowPacker packer(rows, basis);
    for (Index first = 0; first < rows.n; first += chunk_rows) {
        const Index m = std::min(chunk_rows, rows.n - first);
        const Matrix& V = packer.pack(first, m);
        for (Index j = 0; j < basis.p(); ++j)
            for (Index i = 0; i < m; ++i)
                out(sorted_position[first + i], j) = V(i, j);
    }
    return out;
}

std::int32_t find_entry(const Tail& tail, Index level, std::int32_t row) {
    const auto begin = tail.coupling_row.begin();
    return static_cast<std::int32_t>(
        std::lower_bound(begin + tail.coupling_start[level], begin + tail.coupling_start[level + 1], row) - begin);
}

}  // namespace

Rows SortedRows::internal_rows(const RandomEffects& layout) const {
    Rows out;
    out.n = n;
    for (Index j = 0; j < X.cols(); ++j)
        out.X.push_back({X.col(j).data(), 1});
    out.codes.resize(factors.size());
    out.Z.resize(layout.n_columns());
    for (std::size_t f = 0; f < factors.size(); ++f) {
        out.codes[layout.factors()[f].user_position] = factors[f].level.data();
        for (Index j = 0; j < factors[f].c && !factors[f].intercept; ++j)
            out.Z[layout.factors()[f].columns[j]] = {factors[f].z.data() + j, factors[f].c};
    }
    return out;
}

SortedRows::SortedRows(const Problem& problem, const Rows& rows, const std::vector<ColumnView>& zero_inflation)
    : n(rows.n) {
    const RandomEffects& layout = problem.layout();
    const RandomBasis& basis = problem.products().random_basis();
    const auto& lead = layout.factors()[0];
    q1 = lead.size();
    q = layout.n_random();
    order = sort_by_level({}, rows.codes[lead.user_position], n, lead.n_levels);
    std::vector<std::int32_t> position(n);
    for (Index i = 0; i < n; ++i)
        position[order[i]] = static_cast<std::int32_t>(i);
    const auto sorted = [&](const auto& values) {
        Vector out(n);
        for (Index i = 0; i < n; ++i)
            out[i] = values[order[i]];
        return out;
    };
    y = sorted(rows.y);
    if (rows.weights != nullptr)
        weights = sorted(rows.weights);
    if (rows.offset != nullptr)
        offset = sorted(rows.offset);
    Rows columns = rows;
    columns.X.clear();
    for (const Index j : problem.kept())
        columns.X.push_back(rows.X[j]);
    X = packed_columns(columns, problem.products().fixed_basis(), position);
    columns.X = zero_inflation;
    zero_basis = FixedBasis::from_rows(columns);
    X_zero = packed_columns(columns, zero_basis, position);

    level_start.assign(lead.n_levels + 1, 0);
    for (std::size_t f = 0; f < layout.factors().size(); ++f) {
        const auto& factor = layout.factors()[f];
        FactorRows out;
        out.c = factor.n_cols;
        out.intercept = out.c == 1 && rows.Z[factor.columns[0]].is_constant();
        out.level.resize(n);
        out.first.resize(n);
        const std::int32_t* codes = rows.codes[factor.user_position];
        for (Index i = 0; i < n; ++i) {
            const std::int32_t g = out.level[i] = codes[order[i]];
            out.first[i] = static_cast<std::int32_t>(
                f == 0 ? g * out.c : problem.tail().block_start[problem.tail().block_of[f][g]]);
        }
        if (!out.intercept) {
            out.z.resize(n * out.c);
            for (Index j = 0; j < out.c; ++j) {
                const ColumnView& z = rows.Z[factor.columns[j]];
                const double shift = basis.shift(factor.columns[j]), scale = basis.scale(factor.columns[j]);
                for (Index i = 0; i < n; ++i)
                    out.z[i * out.c + j] = z.is_constant() ? 1.0 : (z[order[i]] - shift) / scale;
            }
        }
        factors.push_back(std::move(out));
    }
    for (std::size_t f = 0; f < layout.factors().size(); ++f) {
        first_effect.emplace_back();
        for (Index g = 0; g < layout.factors()[f].n_levels; ++g)
            first_effect[f].push_back(f == 0 ? g * lead.n_cols
                                             : q1 + problem.tail().block_start[problem.tail().block_of[f][g]]);
    }
    for (const std::int32_t g : factors[0].level)
        ++level_start[g + 1];
    std::partial_sum(level_start.begin(), level_start.end(), level_start.begin());
    if (!problem.has_tail())
        return;

    const Tail& tail = problem.tail();
    Index cells = 0;
    for (std::size_t f = 1; f < factors.size(); ++f) {
        factors[f].first_cell = cells;
        cells += layout.factors()[f].n_levels * packed(factors[f].c, 0);
        factors[f].entry.resize(n);
        for (Index i = 0; i < n; ++i)
            factors[f].entry[i] = find_entry(tail, factors[0].level[i], factors[f].first[i]);
    }
    for (const CouplingProducts& coupling : problem.products().couplings()) {
        if (coupling.a == 0)
            continue;
        PairRows pair{coupling.a, coupling.b, std::vector<std::int32_t>(n), std::vector<Index>(n)};
        const FactorRows &left = factors[coupling.a], &right = factors[coupling.b];
        const Index size = left.c * right.c;
        for (Index i = 0; i < n; ++i) {
            const auto level = coupling.level.begin();
            const Index g = left.level[i];
            const Index k =
                std::lower_bound(level + coupling.start[g], level + coupling.start[g + 1], right.level[i]) - level;
            pair.cell[i] = static_cast<std::int32_t>(cells + k * size);
            const Index upper = std::min(left.first[i], right.first[i]),
                        lower = std::max(left.first[i], right.first[i]);
            if (tail.dense()) {
                pair.below[i] = lower - upper;
            } else {
                const auto row = tail.pattern.row.begin();
                const Index start = tail.pattern.start[upper];
                pair.below[i] = std::lower_bound(row + start, row + tail.pattern.start[upper + 1], lower) - row - start;
            }
        }
        cells += static_cast<Index>(coupling.level.size()) * size;
        pairs.push_back(std::move(pair));
    }
}

void SortedRows::add_Zb(const double* b, Index first, Index last, double* out) const {
    for (std::size_t k = 0; k < factors.size(); ++k) {
        const FactorRows& f = factors[k];
        const double* effects = k == 0 ? b : b + q1;
        if (f.intercept) {
            for (Index i = first; i < last; ++i)
                out[i - first] += effects[f.first[i]];
        } else {
            for (Index i = first; i < last; ++i) {
                const double* z_i = f.z.data() + i * f.c;
                const double* b_i = effects + f.first[i];
                double sum = 0.0;
                for (Index j = 0; j < f.c; ++j)
                    sum += z_i[j] * b_i[j];
                out[i - first] += sum;
            }
        }
    }
}

void SortedRows::add_Ztr(const double* r, Index first, Index last, double* out) const {
    for (std::size_t k = 0; k < factors.size(); ++k) {
        const FactorRows& f = factors[k];
        double* sums = k == 0 ? out : out + q1;
        if (f.intercept && k == 0) {  // the rows of a level stand together: no sum goes through memory
            for (Index i = first; i < last;) {
                const std::int32_t g = f.level[i];
                const Index end = std::min(last, level_start[g + 1]);
                sums[g] += Eigen::Map<const Vector>(r + i - first, end - i).sum();
                i = end;
            }
        } else if (f.intercept) {
            for (Index i = first; i < last; ++i)
                sums[f.first[i]] += r[i - first];
        } else {
            for (Index i = first; i < last; ++i) {
                const double* z_i = f.z.data() + i * f.c;
                double* s_i = sums + f.first[i];
                for (Index j = 0; j < f.c; ++j)
                    s_i[j] += z_i[j] * r[i - first];
            }
        }
    }
}

}  // namespace pymixed
