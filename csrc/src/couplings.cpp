#include "couplings.hpp"

#include <numeric>

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

CouplingProducts couple(const Rows& rows, const RandomEffects& layout, const RandomBasis& basis, Index a, Index b,
                        const std::vector<std::int32_t>& order) {
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
        }
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

CouplingProducts merged(const CouplingProducts& left, const CouplingProducts& right) {
    CouplingProducts out;
    out.a = left.a;
    out.b = left.b;
    out.start.push_back(0);
    const std::size_t cells = std::max(left.level.size(), right.level.size());
    const std::size_t size = cells == 0 ? 0
                                        : (left.level.empty() ? right.block.size() / right.level.size()
                                                              : left.block.size() / left.level.size());
    out.level.reserve(cells);
    out.block.reserve(cells * size);
    const auto append = [&](const CouplingProducts& from, Index i) {
        out.level.push_back(from.level[i]);
        out.block.insert(out.block.end(), from.block.begin() + i * size, from.block.begin() + (i + 1) * size);
    };
    for (std::size_t g = 0; g + 1 < left.start.size(); ++g) {
        Index i = left.start[g], j = right.start[g];
        while (i < left.start[g + 1] || j < right.start[g + 1]) {
            if (j == right.start[g + 1] || (i < left.start[g + 1] && left.level[i] < right.level[j])) {
                append(left, i++);
            } else if (i == left.start[g + 1] || right.level[j] < left.level[i]) {
                append(right, j++);
            } else {
                append(left, i++);
                double* sum = out.block.data() + out.block.size() - size;
                for (std::size_t k = 0; k < size; ++k)
                    sum[k] += right.block[j * size + k];
                ++j;
            }
        }
        out.start.push_back(static_cast<Index>(out.level.size()));
    }
    return out;
}

}  // namespace pymixed
