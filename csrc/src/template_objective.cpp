#include "template_objective.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

namespace pymixed {

static constexpr double singular = 1e-4;  // singular values of a template below this are tested as zero

TemplateObjective::TemplateObjective(const RandomEffects& layout)
    : layout_(layout), vanishes_(layout.entries().size()) {
    const auto& entries = layout_.entries();
    for (Index i = 0; i < static_cast<Index>(entries.size()); ++i) {
        if (entries[i].row == entries[i].col)
            columns_.push_back({i, 0});
        ++columns_.back().rows;
    }
}

/// In variances the criterion is nearly linear where a standard deviation t goes to zero, in t it is quartic and
/// Newton's steps only halve it. Template columns whose variance |t|^2 + 2 t's a step of the average information
/// would make clearly negative, the last of a term and then small ones before it, are tried at zero, the other
/// parameters following them.
Vector TemplateObjective::shortcut(const Vector& x) {
    Vector step = solve_absolute(average_information(), gradient());
    step = -step;
    bool shrinks = false, later_are_zero = true;
    for (auto column = columns_.rbegin(); column != columns_.rend(); ++column) {
        const auto t = x.segment(column->first, column->rows);
        const auto s = step.segment(column->first, column->rows);
        const bool eligible = column->rows == 1 || (later_are_zero && t.norm() < 0.2);
        const bool vanishes = eligible && t.dot(s) <= -0.7 * t.squaredNorm();
        std::fill_n(vanishes_.begin() + column->first, column->rows, vanishes);
        shrinks = shrinks || (vanishes && t.squaredNorm() > 0.0);
        later_are_zero = vanishes;
    }
    if (!shrinks)
        return {};
    std::vector<Index> zero, other;
    for (Index i = 0; i < x.size(); ++i)
        (i < layout_.n_theta() && vanishes_[i] ? zero : other).push_back(i);
    const Index n_other = static_cast<Index>(other.size());
    Vector point = x, slope(n_other);
    Matrix H(n_other, n_other);
    for (const Index i : zero)
        point[i] = 0.0;
    if (turn_rows(x, step, point))
        return point;
    for (Index i = 0; i < n_other; ++i) {
        slope[i] = gradient()[other[i]];
        for (const Index j : zero)
            slope[i] -= curvature()(other[i], j) * x[j];
        for (Index j = 0; j < n_other; ++j)
            H(i, j) = curvature()(other[i], other[j]);
    }
    const Vector change = solve_absolute(H, slope);
    for (Index i = 0; i < n_other; ++i)
        point[other[i]] -= change[i];
    return (point - x).norm() < std::max(1.5, x.norm()) ? point : Vector();
}

/// Rows of a template that lose most of their length with the columns set to zero in `point`, although their variance
/// does not vanish: correlations go to one, along a curve in the entries. They keep their length in the columns left.
bool TemplateObjective::turn_rows(const Vector& x, const Vector& step, Vector& point) const {
    const auto& entries = layout_.entries();
    bool turned = false;
    for (const auto& term : layout_.terms())
        for (Index row = term.first_column; row < term.first_column + term.n_cols; ++row) {
            double length = 0.0, left = 0.0, change = 0.0;
            for (Index i = term.first_theta; i < term.first_theta + term.n_theta(); ++i)
                if (entries[i].row == row) {
                    length += x[i] * x[i];
                    left += point[i] * point[i];
                    change += 2.0 * x[i] * step[i];
                }
            if (left == 0.0 || left > 0.8 * length || change < -0.5 * length)
                continue;
            turned = true;
            for (Index i = term.first_theta; i < term.first_theta + term.n_theta(); ++i)
                if (entries[i].row == row)
                    point[i] *= std::sqrt(length / left);
        }
    return turned;
}

bool may_be_singular(const Matrix& T) {
    // the product of the others is at most a power of their mean square (Yu & Gu 1997, Linear Algebra Appl. 252)
    const double others = static_cast<double>(std::max<Index>(T.rows() - 1, 1));
    const double determinant = std::abs(T.diagonal().prod());
    return !(determinant * std::pow(others / T.squaredNorm(), 0.5 * static_cast<double>(T.rows() - 1)) >
             1.01 * singular);
}

static bool is_singular(const Matrix& T) {
    return may_be_singular(T) && Eigen::JacobiSVD<Matrix>(T).singularValues()[T.rows() - 1] < singular;
}

/// A template of less than full rank is stationary in the directions that it lacks. It is a minimum only if H of
/// its term is positive semi-definite; otherwise variance is added along the most negative direction.
Vector TemplateObjective::escape(const Vector& x, double fraction) {
    const double size = 0.3 * fraction;
    for (const auto& term : layout_.terms()) {
        const Index c = term.n_cols;
        const Matrix T = layout_.lower_triangle(term, x);
        if (!is_singular(T))
            continue;
        const Matrix H = variance_gradient(term);
        const double tolerance = 1e-4 * std::max(1.0, H.cwiseAbs().maxCoeff());
        Vector away = x;
        if (term.structure == Structure::Diagonal) {
            for (Index j = 0; j < c; ++j)
                if (std::abs(T(j, j)) < singular && H(j, j) < -tolerance)
                    away[term.first_theta + j] += size;
        } else {
            const Eigen::SelfAdjointEigenSolver<Matrix> eigen(H);
            if (eigen.eigenvalues()[0] >= -tolerance)
                continue;
            Matrix more(c, c + 1);
            more << T, size * eigen.eigenvectors().col(0);
            layout_.lower_triangle_into(term, lower_factor(more), away);
        }
        if (away != x)
            return away;
    }
    return {};
}

void TemplateObjective::settle_zeros(NewtonResult& result) {
    Vector settled = result.x;
    for (Index i = 0; i < layout_.n_theta(); ++i)
        if (layout_.entries()[i].row == layout_.entries()[i].col && std::abs(settled[i]) < 1e-4)
            settled[i] = 0.0;
    if (settled == result.x)
        return;
    Vector slope = settled;
    Matrix H(settled.size(), settled.size());
    const double value = evaluate(settled);
    if (value <= result.value + 1e-9 * std::max(1.0, 1e-3 * std::abs(result.value))) {
        result.x = settled;
        result.value = value;
    } else {
        evaluate(result.x);
    }
    differentiate(slope, H);
    ++result.n_evaluations;
}

}  // namespace pymixed
