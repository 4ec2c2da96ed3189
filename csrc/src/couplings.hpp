#pragma once
// Sparse cross-products of two grouping factors, by counting sorts (no hashing, no dense table).

#include "pymixed/crossproducts.hpp"

namespace pymixed {

/// Row numbers ordered by level, rows of a level in the order of `order` (empty: 0 .. n-1). Stable, O(n + levels).
std::vector<std::int32_t> sort_by_level(const std::vector<std::int32_t>& order, const std::int32_t* codes, Index n,
                                        Index n_levels);

/// Z_a'WZ_b from the rows, `order` sorting them by (level of a, level of b).
CouplingProducts couple(const Rows& rows, const RandomEffects& layout, const RandomBasis& basis, Index a, Index b,
                        const std::vector<std::int32_t>& order);

/// Sum of two couplings of the same factors.
CouplingProducts merged(const CouplingProducts& left, const CouplingProducts& right);

}  // namespace pymixed
