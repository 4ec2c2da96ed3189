#include "pymixed/optimizer.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

namespace pymixed {

/// H^-1 b into x by Cholesky's factor, which takes the place of H; false unless all pivots are positive, none of them
/// tiny next to another.
template <class Square>
static bool solve_positive(Square H, const Vector& b, Vector& x) {
    const Index m = b.size();
    double least = std::numeric_limits<double>::infinity(), largest = 0.0;
    x = b;
    for (Index j = 0; j < m; ++j) {
        double* column = H.data() + j * m;
        for (Index k = 0; k < j; ++k)
            for (Index i = j; i < m; ++i)
                column[i] -= H(j, k) * H(i, k);
        if (!(column[j] > 0.0))
            return false;
        least = std::min(least, column[j]);
        largest = std::max(largest, column[j]);
        const double inverse = 1.0 / std::sqrt(column[j]);
        x[j] *= inverse;
        for (Index i = j; i < m; ++i)
            column[i] *= inverse;
        for (Index i = j + 1; i < m; ++i)
            x[i] -= x[j] * column[i];
    }
    for (Index j = m - 1; j >= 0; --j) {
        for (Index i = j + 1; i < m; ++i)
            x[j] -= H(i, j) * x[i];
        x[j] /= H(j, j);
    }
    return least > 1e-8 * largest;
}

Vector solve_absolute(const Matrix& H, const Vector& b) {
    if (b.size() == 0)
        return b;
    using Small = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, 8, 8>;  // on the stack
    // the common case: H is its own absolute value
    if (Vector x;
        b.size() <= Small::MaxRowsAtCompileTime ? solve_positive<Small>(H, b, x) : solve_positive<Matrix>(H, b, x))
        return x;
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(H);
    const Vector size = eigen.eigenvalues().cwiseAbs();
    const double least = std::max(1e-10 * size.maxCoeff(), 1e-300);
    return eigen.eigenvectors() * (eigen.eigenvectors().transpose() * b).cwiseQuotient(size.cwiseMax(least));
}

namespace {

/// What the curvature misses, learnt from the gradients of short steps: a symmetric rank-one update (Nocedal & Wright
/// 2006, section 6.2) towards the secant equation, with the mean of the curvatures at both ends, and only where the
/// miss is more than the step's own third-order effect. Turns the linear convergence of average information into a
/// superlinear one.
class SecantCorrection {
 public:
    explicit SecantCorrection(Index m) : correction_(Matrix::Zero(m, m)) {}

    static constexpr double longest = 0.05;  // step to learn from

    const Matrix& matrix() const { return correction_; }

    void learn(const Vector& step, const Vector& gradient_change, const Matrix& mean_curvature) {
        const Vector miss = gradient_change - (mean_curvature + correction_) * step;
        const double along = miss.dot(step);
        if (miss.norm() < 0.02 * gradient_change.norm() || std::abs(along) < 1e-8 * miss.norm() * step.norm())
            return;
        correction_ += miss * miss.transpose() / along;
    }
    /// What the curvature misses is known.
    void set(Matrix correction) { correction_ = std::move(correction); }

 private:
    Matrix correction_;
};

/// What the way back would gain, by the curvature alone, where a shortcut set entries to zero: much at a false zero.
double gain_of_return(const Vector& from, const Vector& to, const Matrix& curvature) {
    double gain = 0.0;
    for (Index i = 0; i < to.size(); ++i)
        if (to[i] == 0.0)
            gain = std::max(gain, -0.5 * curvature(i, i) * from[i] * from[i]);
    return gain;
}

}  // namespace

NewtonResult minimise_newton(Objective& objective, const Vector& start, const NewtonOptions& options) {
    const Index m = start.size();
    NewtonResult result;
    result.x = start;
    const auto evaluate = [&](const Vector& x) {
        ++result.n_evaluations;
        return objective.evaluate(x);
    };
    result.value = evaluate(start);
    if (!std::isfinite(result.value)) {
        result.status = Status::NotPositiveDefinite;
        return result;
    }
    Vector gradient(m), step(m), trial(m), last_x, last_gradient;
    Matrix curvature(m, m), last_curvature;
    SecantCorrection secant(m);
    const auto differentiate = [&](Vector& g, Matrix& H) {
        objective.differentiate(g, H);
        ++result.n_gradients;
    };
    differentiate(gradient, curvature);
    while (true) {
        if (last_x.size() > 0 && (result.x - last_x).norm() < SecantCorrection::longest)
            secant.learn(result.x - last_x, gradient - last_gradient, 0.5 * (curvature + last_curvature));
        constexpr Index patience = 9, interval = 4;  // gradients before the first exact Hessian, and between two
        if (result.n_gradients >= patience && (result.n_gradients - patience) % interval == 0) {
            Matrix exact(m, m);
            if (objective.exact_hessian(result.x, exact))
                secant.set(exact - curvature);
        }
        last_x = result.x;
        last_gradient = gradient;
        last_curvature = curvature;
        step = -solve_absolute(curvature + secant.matrix(), gradient);
        double slope = gradient.dot(step);
        result.expected_gain = -0.5 * slope;
        if (options.monitor && !options.monitor({result.n_evaluations, result.value, result.expected_gain})) {
            result.status = Status::Interrupted;
            return result;
        }
        bool escaping = false;
        if (result.expected_gain <= options.tolerance) {
            escaping = objective.escape(result.x, 1.0).size() > 0;
            if (!escaping)
                return result;
            slope = 0.0;
        }
        if (result.n_evaluations >= options.max_evaluations) {
            result.status = Status::IterationLimit;
            return result;
        }
        if (const Vector point = slope < 0.0 ? objective.shortcut(result.x) : Vector(); point.size() > 0) {
            const double value = evaluate(point);
            if (value <= result.value - 0.5 * result.expected_gain) {
                Vector there_gradient(m);
                Matrix there_curvature(m, m);
                differentiate(there_gradient, there_curvature);
                if (gain_of_return(result.x, point, there_curvature) < 4.0 * result.expected_gain) {
                    result.x = point;
                    result.value = value;
                    gradient = there_gradient;
                    curvature = there_curvature;
                    continue;
                }
            }
        }
        const double length = step.norm(), cap = std::max(options.step_cap, result.x.norm());
        if (length > cap) {
            step *= cap / length;
            slope *= cap / length;
        }
        const double noise = objective.rounding(result.value);
        for (double fraction = 1.0;; fraction *= 0.4) {
            const bool exhausted = result.n_evaluations >= options.max_evaluations;
            // what an escape does not reach by then is not there: its sign came from an approximation
            const bool in_vain = escaping && fraction < 3e-3;
            if (exhausted || in_vain || fraction < 1e-6) {
                if (!in_vain)
                    result.status = exhausted ? Status::IterationLimit : Status::NoDescent;
                objective.evaluate(result.x);
                objective.differentiate(gradient, curvature);
                return result;
            }
            trial = escaping ? objective.escape(result.x, fraction) : Vector(result.x + fraction * step);
            const double value = evaluate(trial);
            if (value <= result.value + 1e-4 * fraction * slope + (escaping ? -noise : noise)) {
                result.x = trial;
                result.value = value;
                break;
            }
        }
        differentiate(gradient, curvature);
    }
}

}  // namespace pymixed
