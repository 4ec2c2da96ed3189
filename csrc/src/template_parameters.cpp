#include "template_parameters.hpp"

#include <algorithm>
#include <cmath>

#include "small_matrix.hpp"

namespace pymixed {

TemplateParameters::TemplateParameters(const RandomEffects& layout, const RandomBasis& basis)
    : layout_(layout),
      random_basis_(basis),
      internal_(&basis.internal()),
      basis_(&basis.user()),
      theta_(Vector::Zero(layout.n_theta())),
      lift_(theta_),
      lifted_theta_(theta_),
      T_(layout.make_templates()) {
    Index largest = 1;
    for (const auto& e : layout.entries()) {
        D_.push_back(T_[e.factor]);
        largest = std::max(largest, T_[e.factor].rows());
    }
    small_.resize(2 * largest * largest);
}

void TemplateParameters::load(const Vector& theta, Coordinates coordinates) {
    basis_ = coordinates == Coordinates::User ? &random_basis_.user() : internal_;
    theta_ = theta;
    lift_.setZero();
    layout_.templates_into(theta_, *basis_, T_);
}

void TemplateParameters::replace_internal(const Templates* basis) {
    internal_ = basis != nullptr ? basis : &random_basis_.internal();
}

/// Of the entry's row: one in internal coordinates.
double TemplateParameters::natural_unit(const RandomEffects::Entry& entry) const {
    return basis_ == internal_ ? 1.0 : 1.0 / (*basis_)[entry.factor](entry.row, entry.row);
}

bool TemplateParameters::lift() {
    const auto& entries = layout_.entries();
    for (Index i = 0; i < theta_.size(); ++i) {
        const auto& e = entries[i];
        const double least = 1e-11 * natural_unit(e);
        if (e.factor == 0 || e.row != e.col || std::abs(theta_[i]) >= least)
            continue;
        lift_[i] = std::copysign(least, theta_[i]) - theta_[i];
    }
    if (lift_.isZero(0.0))
        return false;
    lifted_theta_ = theta_ + lift_;
    layout_.templates_into(lifted_theta_, *basis_, T_);
    return true;
}

void TemplateParameters::differentiate() {
    const auto& entries = layout_.entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto& e = entries[i];
        const auto a = (*basis_)[e.factor].col(e.row);
        const auto b = T_[e.factor].col(e.col);
        D_[i].noalias() = a.lazyProduct(b.transpose());
        D_[i].noalias() += b.lazyProduct(a.transpose());
    }
}

void TemplateParameters::sum_levels(const Leading& lead, const LeadingInverse& inverse, const double* R,
                                    const Templates& products, Templates& H, Templates& TH) {
    const Index c1 = lead.c;
    H[0].setZero();
    for (Index k = 0; k < lead.n_patterns; ++k)
        H[0] += lead.count[k] * ConstMatrixMap(inverse.AN(k), c1, c1);
    if (R != nullptr) {
        double* half = small_.data();  // R_g N
        for (Index g = 0; g < lead.n_levels; ++g) {
            const double *N = inverse.N(lead.pattern[g]), *R_g = R + g * c1 * c1;
            multiply_small_matrices(c1, R_g, N, half);
            for (Index j = 0; j < c1; ++j)
                for (Index i = 0; i < c1; ++i)
                    for (Index k = 0; k < c1; ++k)
                        H[0](i, j) -= N[k * c1 + i] * half[k * c1 + j];
        }
    }
    TH[0].noalias() = T_[0].transpose().lazyProduct(H[0]);
    for (std::size_t f = 1; f < H.size(); ++f) {
        const Index c = T_[f].rows();
        MatrixMap copy(small_.data(), c, c);
        RowMatrixMap reciprocal(small_.data() + c * c, c, c);
        copy = T_[f];  // by columns: read by rows it is T'
        invert_small<0>(c, copy.data(), reciprocal.data());
        TH[f] = products[f];
        H[f].noalias() = reciprocal.lazyProduct(TH[f]);
    }
}

double TemplateParameters::slope(Index i, const Templates& H, const Templates& TH) const {
    const auto& e = layout_.entries()[i];
    const auto b = basis_column(e.factor, e.row);
    double value = 2.0 * TH[e.factor].row(e.col).dot(b);
    Index diagonal = i;  // a column's diagonal entry comes first
    while (layout_.entries()[diagonal].row != e.col)
        --diagonal;
    if (lift_[diagonal] != 0.0)
        value -= 2.0 * lift_[diagonal] * b.dot(H[e.factor].lazyProduct(basis_column(e.factor, e.col)));
    return value;
}

double TemplateParameters::column_curvature(Index i, Index j, const Templates& H) const {
    const auto &e = layout_.entries()[i], &o = layout_.entries()[j];
    double value = 0.0;
    if (e.factor == o.factor && e.col == o.col) {
        const Matrix& B = (*basis_)[e.factor];
        for (Index x = 0; x < B.rows(); ++x)
            value += 2.0 * B(x, e.row) * H[e.factor].row(x).dot(B.col(o.row));
    }
    return value;
}

Matrix TemplateParameters::variance_gradient(const RandomEffects::Term& term, const Templates& H) const {
    const auto B = (*basis_)[term.factor].middleCols(term.first_column, term.n_cols);
    return B.transpose() * H[term.factor] * B;
}

double TemplateParameters::step(Index i) const {
    const auto& e = layout_.entries()[i];
    return 3e-5 * std::max(std::abs(theta_[i]), 0.1 * natural_unit(e));
}

}  // namespace pymixed
