#include "pymixed/deviance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "scores.hpp"
#include "small_matrix.hpp"

namespace pymixed {

Deviance::Deviance(const Problem& problem, bool reml, int n_threads)
    : problem_(problem),
      reml_(reml),
      pls_(std::make_unique<PenalizedLeastSquares>(problem, n_threads)),
      scores_(std::make_unique<Scores>(problem)),
      T_(problem.layout().make_templates()),
      H_(T_),
      TH_(T_) {
    const Index m = problem.layout().n_theta();
    for (Vector* a : {&theta_, &lift_, &lifted_theta_, &gradient_})
        a->setZero(m);
    for (Matrix* a : {&information_, &curvature_})
        a->setZero(m, m);
    Gc_.setZero(m, problem.p());
    Index largest = 1;
    for (const auto& e : problem.layout().entries()) {
        D_.push_back(T_[e.factor]);
        largest = std::max(largest, T_[e.factor].rows());
    }
    small_.resize(2 * largest * largest);
    if (problem.has_tail())
        leading_R_.resize(problem.leading().n_levels * problem.leading().c * problem.leading().c);
}

Deviance::~Deviance() = default;

void Deviance::load(const Vector& theta, Coordinates coordinates) {
    const RandomEffects& layout = problem_.layout();
    const RandomBasis& basis = problem_.products().random_basis();
    basis_ = coordinates == Coordinates::User ? &basis.user() : &basis.internal();
    theta_ = theta;
    layout.templates_into(theta_, *basis_, T_);
}

/// Behind the leading factor H is found from T'H, for which a template must not be singular. Diagonal entries that are
/// (nearly) zero are lifted to 1e-11 of the columns' natural unit and the factor is renewed: a relative error of that
/// size in H alone, because the gradient is taken as 2 H T with the template as it was given.
void Deviance::lift_templates() {
    const auto& entries = problem_.layout().entries();
    lift_.setZero();
    for (Index i = 0; i < theta_.size(); ++i) {
        const auto& e = entries[i];
        const double least = 1e-11 / (*basis_)[e.factor](e.row, e.row);
        if (e.factor == 0 || e.row != e.col || std::abs(theta_[i]) >= least)
            continue;
        lift_[i] = std::copysign(least, theta_[i]) - theta_[i];
    }
    if (lift_.isZero(0.0))
        return;
    lifted_theta_ = theta_ + lift_;
    problem_.layout().templates_into(lifted_theta_, *basis_, T_);
    pls_->update(T_);
}

double Deviance::evaluate(const Vector& theta, Coordinates coordinates) {
    load(theta, coordinates);
    if (!theta_.allFinite() || !pls_->update(T_))
        return value_ = std::numeric_limits<double>::infinity();
    const FixedBasis& basis = problem_.products().fixed_basis();
    constexpr double two_pi = 6.283185307179586476925;
    const double degrees = static_cast<double>(nu());
    value_ = pls_->log_determinant_M() + degrees * (1.0 + std::log(two_pi * pwrss() / degrees)) -
             problem_.products().sum_log_weights();
    if (reml_)
        value_ += pls_->log_determinant_RX() + 2.0 * basis.R.diagonal().array().log().sum();
    return value_;
}

void Deviance::differentiate() {
    const auto& entries = problem_.layout().entries();
    lift_templates();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto& e = entries[i];
        const auto a = (*basis_)[e.factor].col(e.row);
        const auto b = T_[e.factor].col(e.col);
        D_[i].noalias() = a.lazyProduct(b.transpose());
        D_[i].noalias() += b.lazyProduct(a.transpose());
    }
    scores_->update(*pls_, T_, D_, reml_, static_cast<double>(nu()) / pls_->pwrss());
    sum_levels();
    assemble();
}

/// H and T'H of every factor.
void Deviance::sum_levels() {
    const Leading& lead = problem_.leading();
    const Index c1 = lead.c;
    if (problem_.has_tail()) {
        for (Matrix& TH : TH_)
            TH.setZero();
        pls_->schur().invert(T_, TH_);  // before the fixed effects and the response are taken out
        pls_->schur().leading_blocks_into(leading_R_.data());
    }
    H_[0].setZero();
    for (Index k = 0; k < lead.n_patterns; ++k)
        H_[0] += lead.count[k] * ConstMatrixMap(pls_->leading().AN(k), c1, c1);
    if (problem_.has_tail()) {
        MatrixMap half(small_.data(), c1, c1);
        for (Index g = 0; g < lead.n_levels; ++g) {
            const ConstRowMatrixMap N(pls_->leading().N(lead.pattern[g]), c1, c1);
            half.noalias() = ConstMatrixMap(leading_R_.data() + g * c1 * c1, c1, c1).lazyProduct(N);
            H_[0].noalias() -= N.transpose().lazyProduct(half);
        }
    }
    H_[0] -= scores_->projection(0);
    TH_[0].noalias() = T_[0].transpose().lazyProduct(H_[0]);
    for (std::size_t f = 1; f < H_.size(); ++f) {
        const Index c = T_[f].rows();
        MatrixMap copy(small_.data(), c, c);
        RowMatrixMap inverse(small_.data() + c * c, c, c);
        copy = T_[f];  // by columns: read by rows it is T'
        invert_small<0>(c, copy.data(), inverse.data());
        H_[f].noalias() = inverse.lazyProduct(TH_[f]);
        H_[f] -= scores_->projection(f);
        TH_[f].noalias() -= T_[f].transpose().lazyProduct(scores_->projection(f));
    }
}

/// From the sums to gradient, average information and curvature.
void Deviance::assemble() {
    const auto& entries = problem_.layout().entries();
    const Index m = theta_.size();
    double lift = 0.0;
    for (Index i = 0; i < m; ++i) {
        const auto& e = entries[i];
        const auto b = (*basis_)[e.factor].col(e.row);
        if (e.row == e.col)
            lift = lift_[i];  // a column's diagonal entry comes first
        gradient_[i] = 2.0 * TH_[e.factor].row(e.col).dot(b);
        if (lift != 0.0)
            gradient_[i] -= 2.0 * lift * b.dot(H_[e.factor].lazyProduct((*basis_)[e.factor].col(e.col)));
        const Index c = D_[i].rows();
        Gc_.row(i).setZero();
        for (Index x = 0; x < c; ++x)
            for (Index y = 0; y < c; ++y)
                Gc_.row(i) += D_[i](y, x) * scores_->sG(e.factor).row(x * c + y);
    }
    const double r2 = pls_->pwrss(), ratio = static_cast<double>(nu()) / r2;
    const Matrix& ZVZ = scores_->information();
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j <= i; ++j) {
            const auto &e = entries[i], &o = entries[j];
            const double sc_i = D_[i].cwiseProduct(scores_->ss(e.factor)).sum();
            const double sc_j = D_[j].cwiseProduct(scores_->ss(o.factor)).sum();
            double value = ratio * (ZVZ(i, j) - Gc_.row(i).dot(Gc_.row(j)) - sc_i * sc_j / r2);
            information_(i, j) = information_(j, i) = value;
            if (e.factor == o.factor && e.col == o.col) {
                const Matrix& B = (*basis_)[e.factor];
                for (Index x = 0; x < B.rows(); ++x)
                    value += 2.0 * B(x, e.row) * H_[e.factor].row(x).dot(B.col(o.row));
            }
            curvature_(i, j) = curvature_(j, i) = value;
        }
}

Matrix Deviance::variance_gradient(const RandomEffects::Term& term) const {
    const auto B = (*basis_)[term.factor].middleCols(term.first_column, term.n_cols);
    return B.transpose() * H_[term.factor] * B;
}

Matrix Deviance::hessian(const Vector& theta, Coordinates coordinates) {
    const Index m = theta.size();
    const RandomEffects& layout = problem_.layout();
    Matrix H(m, m);
    Vector point = theta;
    load(theta, coordinates);
    for (Index i = 0; i < m; ++i) {
        const auto& e = layout.entries()[i];
        const double unit = 1.0 / (*basis_)[e.factor](e.row, e.row);
        const double step = 3e-5 * std::max(std::abs(theta[i]), 0.1 * unit);
        for (const double sign : {1.0, -1.0}) {
            point[i] = theta[i] + sign * step;
            evaluate(point, coordinates);
            differentiate();
            if (sign > 0.0)
                H.col(i) = gradient_;
            else
                H.col(i) -= gradient_;
        }
        point[i] = theta[i];
        H.col(i) /= 2.0 * step;
    }
    return 0.5 * (H + H.transpose());
}

}  // namespace pymixed
