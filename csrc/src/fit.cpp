#include "pymixed/fit.hpp"

#include <Eigen/Eigenvalues>
#include <cmath>
#include <vector>

namespace pymixed {

namespace {

/// The criterion in internal coordinates.
class InternalDeviance final : public Objective {
   public:
    explicit InternalDeviance(Deviance& deviance) : deviance_(deviance) {}

    double evaluate(const Vector& x) override { return deviance_.evaluate(x, Coordinates::Internal); }

    void differentiate(Vector& gradient, Matrix& curvature) override {
        deviance_.differentiate();
        gradient = deviance_.gradient();
        curvature = deviance_.curvature();
    }

    /// In variances the criterion is nearly linear where a standard deviation t goes to zero, in t it is quartic and
    /// Newton's steps only halve it. Entries that stand alone in their column and whose variance a step of the average
    /// information would make negative are tried at zero, the others following them.
    Vector shortcut(const Vector& x) override {
        const auto& entries = deviance_.problem().layout().entries();
        const Vector step = -solve_absolute(deviance_.average_information(), deviance_.gradient());
        std::vector<Index> zero, other;
        for (Index i = 0; i < x.size(); ++i) {
            const auto alone = [&](Index k) {
                return k < 0 || k >= x.size() || entries[k].factor != entries[i].factor || entries[k].col != entries[i].col;
            };
            const bool vanishes = x[i] != 0.0 && alone(i - 1) && alone(i + 1) && x[i] * step[i] < -0.5 * x[i] * x[i];
            (vanishes ? zero : other).push_back(i);
        }
        if (zero.empty()) return {};
        Vector point = x;
        point(zero).setZero();
        const Matrix& H = deviance_.curvature();
        point(other) -= solve_absolute(H(other, other), deviance_.gradient()(other) - H(other, zero) * x(zero));
        return (point - x).norm() < 1.5 ? point : Vector();
    }

    /// A template column that is zero is always stationary. It is a minimum only if H of its term is positive
    /// semi-definite over the rows of the column.
    Vector escape(const Vector& x) override {
        const RandomEffects& layout = deviance_.problem().layout();
        for (const auto& term : layout.terms()) {
            const Index end = term.first_theta + term.n_theta();
            for (Index first = term.first_theta; first < end;) {
                Index last = first + 1;
                while (last < end && layout.entries()[last].col == layout.entries()[first].col) ++last;
                const Index rows = last - first;
                if (x.segment(first, rows).norm() < 1e-4) {
                    const Index row = layout.entries()[first].row;
                    Eigen::SelfAdjointEigenSolver<Matrix> eigen(
                        deviance_.level_sums()[term.factor].block(row, row, rows, rows));
                    if (eigen.eigenvalues()[0] < -1e-6 * std::max(1.0, std::abs(eigen.eigenvalues()[rows - 1]))) {
                        Vector direction = Vector::Zero(x.size());
                        direction.segment(first, rows) = 0.3 * eigen.eigenvectors().col(0);
                        return direction;
                    }
                }
                first = last;
            }
        }
        return {};
    }

   private:
    Deviance& deviance_;
};

/// Template entries so small that zero serves as well: set to zero where the criterion gets no worse.
void settle_zeros(Objective& objective, const RandomEffects& layout, NewtonResult& result) {
    Vector settled = result.x;
    for (Index i = 0; i < settled.size(); ++i)
        if (layout.entries()[i].row == layout.entries()[i].col && std::abs(settled[i]) < 1e-4) settled[i] = 0.0;
    if (settled == result.x) return;
    Vector gradient = settled;
    Matrix curvature(settled.size(), settled.size());
    const double value = objective.evaluate(settled);
    if (value <= result.value + 1e-9 * std::max(1.0, 1e-3 * std::abs(result.value))) {
        result.x = settled;
        result.value = value;
    } else {
        objective.evaluate(result.x);
    }
    objective.differentiate(gradient, curvature);
    ++result.n_evaluations;
}

}  // namespace

FitResult fit(Deviance& deviance, const FitOptions& options) {
    const Problem& problem = deviance.problem();
    const RandomEffects& layout = problem.layout();
    const RandomBasis& basis = problem.products().random_basis();
    InternalDeviance objective(deviance);
    const Vector start = options.start.size() > 0 ? basis.to_internal(layout, options.start) : minque_start(problem);
    NewtonResult newton = minimise_newton(objective, start, options.newton);
    if (newton.status != Status::NotPositiveDefinite) settle_zeros(objective, layout, newton);
    FitResult result;
    result.status = newton.status;
    result.internal = newton.x;
    result.theta = basis.to_user(layout, newton.x);
    result.objective = newton.value;
    result.expected_gain = newton.expected_gain;
    result.n_evaluations = newton.n_evaluations;
    result.n_gradients = newton.n_gradients;
    return result;
}

}  // namespace pymixed
