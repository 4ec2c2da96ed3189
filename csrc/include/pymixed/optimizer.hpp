#pragma once
/// @file
/// Newton's method on a criterion with an exact gradient and a good, possibly indefinite curvature matrix.
///
///     step = -V |D|^-1 V'g,    H = V D V'
///
/// Absolute eigenvalues make every step a descent step (Nocedal & Wright 2006, section 3.4), a cap keeps it local,
/// backtracking makes it monotone. Stops on the Newton decrement g'H^-1g / 2, the gain that a further step promises:
/// differences of the criterion itself drown in rounding when there are many rows. Unbounded.

#include <algorithm>
#include <cmath>
#include <functional>

#include "pymixed/status.hpp"
#include "pymixed/types.hpp"

namespace pymixed {

/// What is minimised.
class Objective {
 public:
    virtual ~Objective() = default;
    /// The criterion at x, +infinity where it cannot be evaluated.
    virtual double evaluate(const Vector& x) = 0;
    /// Gradient and curvature at the x of the last evaluate().
    virtual void differentiate(Vector& gradient, Matrix& curvature) = 0;
    /// What rounding may hide in the last value that evaluate() gave.
    virtual double rounding(double value) const { return 1e-13 * std::max(1.0, std::abs(value)); }
    /// The exact Hessian at x, the last point that was differentiated, at whatever cost; false where there is none.
    /// Asked for when the curvature does not lead to convergence. Leaves the objective differentiated at x.
    virtual bool exact_hessian(const Vector& x, Matrix& H) {
        static_cast<void>(x);
        static_cast<void>(H);
        return false;
    }
    /// A point to try before the Newton step from x, where the last differentiate() was; empty when there is none.
    virtual Vector shortcut(const Vector& x) = 0;
    /// A point away from a stationary x that is not a minimum although no derivative shows it, the nearer the smaller
    /// `fraction` (at most 1); empty when there is none.
    virtual Vector escape(const Vector& x, double fraction) = 0;
};

/// Where an iteration stands.
struct NewtonProgress {
    Index n_evaluations;   ///< of the criterion
    double value;          ///< of the criterion
    double expected_gain;  ///< what a Newton step promises to lower it by
};

/// When Newton's iteration ends.
struct NewtonOptions {
    double tolerance = 1e-11;     ///< expected gain, in units of the criterion, at which to stop
    Index max_evaluations = 200;  ///< of the criterion, before Status::IterationLimit
    double step_cap = 1.5;        ///< longest step (Euclidean norm), or the norm of x where that is larger
    /// Told before every step; false stops with Status::Interrupted.
    std::function<bool(const NewtonProgress&)> monitor;
};

/// Where it ended.
struct NewtonResult {
    Status status = Status::Success;  ///< why it ended
    Vector x;                         ///< the minimum, or the last point
    double value = 0.0;               ///< of the criterion there
    double expected_gain = 0.0;       ///< g'H^-1g / 2 at x
    Index n_evaluations = 0;          ///< of the criterion, those of rejected steps included
    Index n_gradients = 0;            ///< points that were differentiated
};

/// H^-1 b with the absolute eigenvalues of H.
Vector solve_absolute(const Matrix& H, const Vector& b);

/// Leaves the objective evaluated and differentiated at the result.
NewtonResult minimise_newton(Objective& objective, const Vector& start, const NewtonOptions& options);

}  // namespace pymixed
