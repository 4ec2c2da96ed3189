#pragma once
/// @file
/// What a host gives, checked before anything is computed from it.
///
/// fit_lmm(), fit_glmm() and fit_many() do it themselves. CrossProducts, Problem and GeneralizedProblem check counts
/// and codes and take the numbers as they are: a host that builds them from data that it has not looked at calls these
/// first.

#include "pymixed/family.hpp"
#include "pymixed/random_effects.hpp"

namespace pymixed {

/// Everything but the response.
/// @param zero_inflation  columns of X0
/// @throws std::invalid_argument  no rows, null pointers, counts that do not fit the layout, values that are not
/// finite,
///                                weights that are not positive
void check_rows(const RandomEffects& layout, const Rows& rows, const std::vector<ColumnView>& zero_inflation = {});
/// The response of a linear model.
/// @throws std::invalid_argument  none, or values that are not finite
void check_response(const Rows& rows);
/// The response of a generalized model.
/// @throws std::invalid_argument  none, values outside the family's range, columns of X0 without zero inflation or none
///                                with it
void check_response(const Rows& rows, const Family& family, const std::vector<ColumnView>& zero_inflation = {});

}  // namespace pymixed
