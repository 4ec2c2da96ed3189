#include "pymixed/optimizer.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace pymixed {

Vector solve_absolute(const Matrix& H, const Vector& b) {
    if (b.size() == 0) return b;
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(H);
    const Vector size = eigen.eigenvalues().cwiseAbs();
    const double least = std::max(1e-10 * size.maxCoeff(), 1e-300);
    return eigen.eigenvectors() * (eigen.eigenvectors().transpose() * b).cwiseQuotient(size.cwiseMax(least));
}

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
    Vector gradient(m), step(m), trial(m);
    Matrix curvature(m, m);
    while (true) {
        objective.differentiate(gradient, curvature);
        ++result.n_gradients;
        step = -solve_absolute(curvature, gradient);
        double slope = gradient.dot(step);
        result.expected_gain = -0.5 * slope;
        if (result.expected_gain <= options.tolerance) {
            step = objective.escape(result.x);
            if (step.size() == 0) return result;
            slope = 0.0;
        } else if (const Vector point = objective.shortcut(result.x); point.size() > 0) {
            const double value = evaluate(point);
            if (value <= result.value - 0.5 * result.expected_gain) {
                result.x = point;
                result.value = value;
                continue;
            }
        }
        const double length = step.norm();
        if (length > options.step_cap) {
            step *= options.step_cap / length;
            slope *= options.step_cap / length;
        }
        // what rounding can hide in a sum of this size
        const double noise = 1e-13 * std::max(1.0, std::abs(result.value));
        for (double fraction = 1.0;; fraction *= 0.4) {
            const bool exhausted = result.n_evaluations >= options.max_evaluations;
            if (exhausted || fraction < 1e-6) {
                result.status = exhausted ? Status::IterationLimit : Status::NoDescent;
                objective.evaluate(result.x);
                objective.differentiate(gradient, curvature);
                return result;
            }
            trial = result.x + fraction * step;
            const double value = evaluate(trial);
            if (value <= result.value + 1e-4 * fraction * slope + noise) {
                result.x = trial;
                result.value = value;
                break;
            }
        }
    }
}

}  // namespace pymixed
