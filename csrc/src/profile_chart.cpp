#include "profile_chart.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

namespace pymixed {

Chart::Chart(Index size)
    : A(Matrix::Identity(size, size)), dA(Matrix::Zero(size, size)), c(Vector::Zero(size)), dc(Vector::Zero(size)) {}

void Chart::hold(Index i) {
    A.col(i).setZero();
}

void Chart::hold(Index i, double value, double slope) {
    hold(i);
    c[i] = value;
    dc[i] = slope;
}

void Chart::hold_direction(Index first, Index second, double rho) {
    const double rest = std::sqrt((1.0 - rho) * (1.0 + rho));
    hold(first);
    A(first, second) = rho;
    A(second, second) = rest;
    dA(first, second) = 1.0;
    dA(second, second) = rest > 0.0 ? -rho / rest : std::numeric_limits<double>::quiet_NaN();
}

void Chart::hold_contrast(Index first, const Vector& a, double value) {
    const Index p = a.size();
    const Matrix column = a;
    const Eigen::HouseholderQR<Matrix> qr(column);
    A.block(first, first, p, p) = qr.householderQ() * Matrix::Identity(p, p);
    hold(first);
    dc.segment(first, p) = a / a.squaredNorm();
    c.segment(first, p) = value * dc.segment(first, p);
}

Vector Chart::reduce(const Vector& gradient) const {
    return A.transpose() * gradient;
}

Matrix Chart::reduce(const Matrix& H) const {
    Matrix reduced = A.transpose() * H * A;
    for (Index i = 0; i < reduced.rows(); ++i)
        if (is_held(i))
            reduced(i, i) = 1.0;
    return reduced;
}

TermOrder::TermOrder(const RandomEffects& layout, const RandomBasis& basis, Index term, const std::vector<Index>& first)
    : layout_(layout), term_(layout.terms()[term]), order_(first), size_(term_.n_cols), basis_(basis.internal()) {
    if (term_.structure == Structure::Diagonal)
        order_.clear();  // independent columns need no order
    for (Index j = 0; j < term_.n_cols; ++j)
        if (std::find(order_.begin(), order_.end(), j) == order_.end())
            order_.push_back(j);
    const Matrix& C = basis.user()[term_.factor];
    for (Index k = 0; k < term_.n_cols; ++k) {
        const Index column = term_.first_column + order_[k];
        size_[k] = C(column, column);
        basis_[term_.factor].col(term_.first_column + k) = C.col(column) / size_[k];
    }
}

Index TermOrder::position(Index column) const {
    return std::find(order_.begin(), order_.end(), column) - order_.begin();
}

Index TermOrder::entry(Index row, Index column) const {
    Index i = term_.first_theta;
    while (layout_.entries()[i].row != term_.first_column + row ||
           layout_.entries()[i].col != term_.first_column + column)
        ++i;
    return i;
}

void TermOrder::enter(const Vector& theta, Vector& x) const {
    const Matrix T = layout_.lower_triangle(term_, theta);
    Matrix ordered(T.rows(), T.cols());
    for (Index k = 0; k < term_.n_cols; ++k)
        ordered.row(k) = size_[k] * T.row(order_[k]);
    layout_.lower_triangle_into(term_, lower_factor(ordered), x);
}

void TermOrder::leave(const Vector& x, Vector& theta) const {
    const Matrix ordered = layout_.lower_triangle(term_, x);
    Matrix T(ordered.rows(), ordered.cols());
    for (Index k = 0; k < term_.n_cols; ++k)
        T.row(order_[k]) = ordered.row(k) / size_[k];
    layout_.lower_triangle_into(term_, lower_factor(T), theta);
}

}  // namespace pymixed
