#pragma once
/// @file
/// Linear mixed models fitted from their cross-products, generalized ones from their rows.

#include "pymixed/deviance.hpp"
#include "pymixed/generalized_deviance.hpp"
#include "pymixed/optimizer.hpp"

namespace pymixed {

/// Where a fit starts and when it ends.
struct FitOptions {
    NewtonOptions newton;  ///< tolerance, limit, monitor
    Vector start;          ///< theta (psi of a generalized model; user's coordinates) to start from; empty: MINQUE(0)
};

/// The optimum in both coordinates. Everything else is asked of the criterion, which is left at the optimum,
/// evaluated and differentiated in internal coordinates.
struct FitResult {
    Status status = Status::Success;  ///< of the iteration; see judged()
    Vector parameters;                ///< theta or psi in the user's coordinates, diagonals non-negative
    Vector internal;                  ///< the same in internal coordinates
    double objective = 0.0;           ///< the criterion there
    double expected_gain = 0.0;       ///< what another step would lower it by
    Index n_evaluations = 0;          ///< of the criterion
    Index n_gradients = 0;            ///< points that were differentiated
    Index n_differences = 0;          ///< evaluations that went into differences of the gradient, not counted above
    bool trapped = false;             ///< stationary where derivatives show a way down

    /// The status by what is left to gain: an iteration that did not end, its parameters on their way to infinity, has
    /// found the minimum where a further step promises next to nothing.
    Status judged() const {
        constexpr double certified_gain = 2e-6;  // in log-likelihood half of it: what a certified fit may leave
        const bool unfinished = status == Status::IterationLimit || status == Status::NoDescent;
        return unfinished && !trapped && expected_gain < certified_gain ? Status::Success : status;
    }
};

/// Minimise the criterion of a linear model.
FitResult fit(Deviance& deviance, const FitOptions& options);
/// From a theta in internal coordinates.
FitResult fit(Deviance& deviance, const NewtonOptions& options, const Vector& internal_start);
/// Minimise the criterion of a generalized model.
FitResult fit(GeneralizedDeviance& deviance, const FitOptions& options);

/// Variance components of every random-effects column as if independent, by MINQUE(0) (Rao 1971; Searle, Casella &
/// McCulloch 1992, section 11.3), as a theta in internal coordinates: the start of the optimisation.
/// @param residual_variance  of a row of weight 1, where it is known; 0: estimated too
Vector minque_start(const Problem& problem, double residual_variance = 0.0);

}  // namespace pymixed
