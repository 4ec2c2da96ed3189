#include "pymixed/optimizer.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace pymixed {

NewtonResult minimise_newton(Objective& objective, const Vector& start, const NewtonOptions& options) {
    const Index m = start.size();
    NewtonResult result;
    result.x = start;
    result.value = objective.evaluate(start);
    result.n_evaluations = 1;
    if (!std::isfinite(result.value)) {
        result.status = Status::NotPositiveDefinite;
        return result;
    }
    Vector gradient(m), step(m), trial(m);
    Matrix curvature(m, m);
    Eigen::SelfAdjointEigenSolver<Matrix> eigen(m);
    while (true) {
        objective.differentiate(gradient, curvature);
        ++result.n_gradients;
        eigen.compute(curvature);
        const Vector size = eigen.eigenvalues().cwiseAbs();
        const double least = std::max(1e-10 * size.maxCoeff(), 1e-300);
        const Vector rotated = eigen.eigenvectors().transpose() * gradient;
        const Vector scaled = rotated.cwiseQuotient(size.cwiseMax(least));
        result.expected_gain = 0.5 * rotated.dot(scaled);
        step.noalias() = -(eigen.eigenvectors() * scaled);
        double slope = -2.0 * result.expected_gain;
        if (result.expected_gain <= options.tolerance) {
            const Vector direction = objective.escape(result.x);
            if (direction.size() == 0) return result;
            step = direction;
            slope = 0.0;
        }
        if (result.n_evaluations >= options.max_evaluations) {
            result.status = Status::IterationLimit;
            return result;
        }
        const double length = step.norm();
        if (length > options.step_cap) {
            step *= options.step_cap / length;
            slope *= options.step_cap / length;
        }
        // what rounding can hide in a sum of this size
        const double noise = 1e-13 * std::max(1.0, std::abs(result.value));
        double fraction = 1.0;
        for (;; fraction *= 0.4) {
            trial = result.x + fraction * step;
            const double value = objective.evaluate(trial);
            ++result.n_evaluations;
            if (value <= result.value + 1e-4 * fraction * slope + noise) {
                result.x = trial;
                result.value = value;
                break;
            }
            if (fraction < 1e-6 || result.n_evaluations >= options.max_evaluations) {
                result.status = fraction < 1e-6 ? Status::NoDescent : Status::IterationLimit;
                result.value = objective.evaluate(result.x);
                objective.differentiate(gradient, curvature);
                return result;
            }
        }
    }
}

}  // namespace pymixed
