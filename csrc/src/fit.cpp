#include "pymixed/fit.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
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
    /// Newton's steps only halve it. Template columns whose variance |t|^2 + 2 t's a step of the average information
    /// would make clearly negative, the last of a term and then small ones before it, are tried at zero, the other
    /// parameters following them.
    Vector shortcut(const Vector& x) override {
        const Vector step = -solve_absolute(deviance_.average_information(), deviance_.gradient());
        std::vector<Index> zero, other;
        bool shrinks = false, later_are_zero = true;
        const std::vector<Column> columns = template_columns();
        for (auto column = columns.rbegin(); column != columns.rend(); ++column) {
            const auto t = x.segment(column->first, column->rows);
            const auto s = step.segment(column->first, column->rows);
            const bool eligible = column->rows == 1 || (later_are_zero && t.norm() < 0.2);
            const bool vanishes = eligible && t.dot(s) <= -0.7 * t.squaredNorm();
            for (Index i = 0; i < column->rows; ++i)
                (vanishes ? zero : other).push_back(column->first + i);
            shrinks = shrinks || (vanishes && t.squaredNorm() > 0.0);
            later_are_zero = vanishes;
        }
        if (!shrinks)
            return {};
        const Index n_other = static_cast<Index>(other.size());
        Vector point = x, gradient(n_other);
        Matrix H(n_other, n_other);
        for (const Index i : zero)
            point[i] = 0.0;
        for (Index i = 0; i < n_other; ++i) {
            gradient[i] = deviance_.gradient()[other[i]];
            for (const Index j : zero)
                gradient[i] -= deviance_.curvature()(other[i], j) * x[j];
            for (Index j = 0; j < n_other; ++j)
                H(i, j) = deviance_.curvature()(other[i], other[j]);
        }
        const Vector change = solve_absolute(H, gradient);
        for (Index i = 0; i < n_other; ++i)
            point[other[i]] -= change[i];
        return (point - x).norm() < std::max(1.5, x.norm()) ? point : Vector();
    }

    /// A template of less than full rank is stationary in the directions that it lacks. It is a minimum only if H of
    /// its term is positive semi-definite; otherwise variance is added along the most negative direction.
    Vector escape(const Vector& x) override {
        const RandomEffects& layout = deviance_.problem().layout();
        for (const auto& term : layout.terms()) {
            const Index c = term.n_cols;
            const Matrix T = layout.lower_triangle(term, x), H = deviance_.variance_gradient(term);
            const double tolerance = 1e-4 * std::max(1.0, H.cwiseAbs().maxCoeff());
            Vector away = x;
            if (term.structure == Structure::Diagonal) {
                for (Index j = 0; j < c; ++j)
                    if (std::abs(T(j, j)) < singular && H(j, j) < -tolerance)
                        away[term.first_theta + j] += 0.3;
            } else if (Eigen::JacobiSVD<Matrix>(T).singularValues()[c - 1] < singular) {
                const Eigen::SelfAdjointEigenSolver<Matrix> eigen(H);
                if (eigen.eigenvalues()[0] >= -tolerance)
                    continue;
                Matrix more(c, c + 1);
                more << T, 0.3 * eigen.eigenvectors().col(0);
                layout.lower_triangle_into(term, lower_factor(more), away);
            }
            if (away != x)
                return away - x;
        }
        return {};
    }

 private:
    static constexpr double singular = 1e-4;  // singular values of a template below this are tested as zero

    struct Column {
        Index first, rows;
    };

    /// Where in x each template column stands; its diagonal entry is the first.
    std::vector<Column> template_columns() const {
        const auto& entries = deviance_.problem().layout().entries();
        std::vector<Column> columns;
        for (Index i = 0; i < static_cast<Index>(entries.size()); ++i) {
            if (entries[i].row == entries[i].col)
                columns.push_back({i, 0});
            ++columns.back().rows;
        }
        return columns;
    }

    Deviance& deviance_;
};

/// Diagonal entries so small that zero serves as well: set to zero where the criterion gets no worse.
void settle_zeros(Objective& objective, const RandomEffects& layout, NewtonResult& result) {
    Vector settled = result.x;
    for (Index i = 0; i < settled.size(); ++i)
        if (layout.entries()[i].row == layout.entries()[i].col && std::abs(settled[i]) < 1e-4)
            settled[i] = 0.0;
    if (settled == result.x)
        return;
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
    if (newton.status != Status::NotPositiveDefinite)
        settle_zeros(objective, layout, newton);
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
