#pragma once
// What a host gives, checked before anything is computed from it.

#include "pymixed/family.hpp"
#include "pymixed/random_effects.hpp"

namespace pymixed {

/// @param zero_inflation  columns of X0
/// @throws std::invalid_argument  no rows, no columns, null pointers, counts that do not fit the layout, values that
/// are
///                                not finite, weights that are not positive
void check_rows(const RandomEffects& layout, const Rows& rows, const std::vector<ColumnView>& zero_inflation = {});
/// The response alone: finite.
void check_response(const Rows& rows);
/// The response alone: in the family's range. Columns of X0 are where the family is zero-inflated.
void check_response(const Rows& rows, const Family& family, const std::vector<ColumnView>& zero_inflation);

/// A start of `expected` values, or none.
void check_start(const Vector& start, Index expected);

}  // namespace pymixed
