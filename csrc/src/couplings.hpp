#pragma once
// Sparse cross-products of two grouping factors, by counting sorts (no hashing, no dense table).

#include "pymixed/crossproducts.hpp"

namespace pymixed {

/// Row numbers ordered by level, rows of a level in the order of `order` (empty: 0 .. n-1). Stable, O(n + levels).
std::vector<std::int32_t> sort_by_level(const std::vector<std::int32_t>& order, const std::int32_t* codes, Index n,
                                        Index n_levels);

/// Z_a'WZ_b of all pairs of factors from the rows: (0, 1), (0, 2), (1, 2), (0, 3) ...
std::vector<CouplingProducts> couple(const Rows& rows, const RandomEffects& layout, const RandomBasis& basis);

/// The same pairs over no rows.
std::vector<CouplingProducts> empty_couplings(const RandomEffects& layout);

/// Number of cells of `part` that `whole` does not have.
Index missing_cells(const CouplingProducts& whole, const CouplingProducts& part);

/// Whether `whole` has at least the rows of `part` in each of its cells.
bool has_rows_of(const CouplingProducts& whole, const CouplingProducts& part);

/// The cells of both with the sums of the first.
CouplingProducts united(const CouplingProducts& first, const CouplingProducts& second);

/// Add the sums of `part`, all of whose cells are in `whole`; `sign` -1 takes them away.
void add_cells(CouplingProducts& whole, const CouplingProducts& part, int sign) noexcept;

/// Forget the cells without rows.
void drop_empty_cells(CouplingProducts& coupling) noexcept;

/// New levels map_a[g], map_b[g] for the levels of the two factors; `swapped` where b comes first in the new order
/// (its levels then are the rows, and the blocks are transposed). `n_rows`: levels of the factor that comes first,
/// `n_columns`: of the other; `block_rows`: c_a.
struct Relevelling {
    const std::vector<std::int32_t>&map_a, &map_b;
    Index n_rows, n_columns, block_rows;
    bool swapped;
};
CouplingProducts relevelled(const CouplingProducts& coupling, const Relevelling& change);

}  // namespace pymixed
