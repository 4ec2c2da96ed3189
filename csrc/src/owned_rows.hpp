#pragma once
// Rows of the host, copied, and some of them taken.

#include "pymixed/random_effects.hpp"

namespace pymixed {

/// Rows of the host, kept.
struct OwnedRows {
    Vector y, weights, offset;                     ///< n; empty where there are none
    Matrix X, X_zero;                              ///< n x p, n x r
    std::vector<Vector> Z;                         ///< per column of the terms n values; empty: the constant 1
    std::vector<std::vector<std::int32_t>> codes;  ///< per factor, the user's order

    OwnedRows() = default;
    /// @param kept  columns of rows.X
    OwnedRows(const Rows& rows, const std::vector<Index>& kept, const std::vector<ColumnView>& zero_inflation);
    Rows view() const;
    double total_weight() const { return weights.size() > 0 ? weights.sum() : static_cast<double>(y.size()); }
    std::vector<ColumnView> zero_inflation() const;
    /// These rows in this order.
    OwnedRows take(const std::vector<Index>& rows) const;
};

}  // namespace pymixed
