#pragma once
/// @file
/// One point of a profile likelihood: the criterion minimised with one parameter of the model held at a value,
///
///     D(value) = min over everything else of -2 log-likelihood,    dD/dvalue by the envelope theorem.
///
/// Standard deviations and correlations are those of the host's columns. Whatever is held, it is an affine condition on
/// the coordinates chosen for it (profile_chart.hpp), and the rest is found by the fit's own Newton iteration.
///
/// A local method, as the fit is: it follows the minimum that `start` leads to.

#include <limits>

#include "pymixed/deviance.hpp"
#include "pymixed/generalized_deviance.hpp"
#include "pymixed/optimizer.hpp"

namespace pymixed {

/// What a profile likelihood is of.
enum class ProfileKind {
    Coefficient,        ///< of the column `position` among those that are kept
    StandardDeviation,  ///< of the column `row` of the term `position`
    Correlation,        ///< of the columns `row` and `column` of the term `position`
    Sigma,              ///< residual standard deviation of a linear model
    Family,             ///< the family's parameter `position`, unconstrained scale
    ZeroInflation,      ///< coefficient `position` of the zero inflation
};

/// A parameter, by its place.
struct ProfileTarget {
    ProfileKind kind = ProfileKind::Sigma;  ///< what it is
    Index position = 0;                     ///< see ProfileKind
    Index row = 0;                          ///< see ProfileKind
    Index column = 0;                       ///< see ProfileKind
};

/// A point of a profile likelihood.
struct ProfilePoint {
    Status status = Status::Success;  ///< of the minimisation
    double deviance = 0.0;            ///< the minimum of the criterion
    double slope = 0.0;               ///< dD/dvalue; NaN for a correlation of one, where it may not exist
    Vector parameters;   ///< theta, or psi of a generalized model, at the minimum: user's coordinates; or empty
    Vector beta;         ///< p
    double sigma = 1.0;  ///< of a linear model
    double expected_gain = std::numeric_limits<double>::infinity();  ///< of a further step; infinite without a minimum
    Index n_evaluations = 0;                                         ///< of the criterion
};

/// The minimum of a linear model's criterion with one parameter held at `value`.
/// @param start  theta near which to look for the minimum, user's coordinates
/// @param sigma  and the residual standard deviation
/// @throws std::invalid_argument  a target that the model does not have; a coefficient after REML
ProfilePoint constrained_fit(Deviance& deviance, const ProfileTarget& target, double value, const Vector& start,
                             double sigma, const NewtonOptions& options);
/// The same of a generalized model.
/// @param start  psi near which to look for the minimum, user's coordinates
/// @throws std::invalid_argument  a target that the model does not have; a coefficient that is profiled
ProfilePoint constrained_fit(GeneralizedDeviance& deviance, const ProfileTarget& target, double value,
                             const Vector& start, const NewtonOptions& options);

}  // namespace pymixed
