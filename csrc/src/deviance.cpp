#include "pymixed/deviance.hpp"

#include <Eigen/LU>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "scores.hpp"
#include "template_parameters.hpp"

namespace pymixed {

Deviance::Deviance(const Problem& problem, bool reml, int n_threads)
    : problem_(problem),
      reml_(reml),
      n_threads_(n_threads),
      pls_(std::make_unique<PenalizedLeastSquares>(problem, n_threads)),
      scores_(std::make_unique<Scores>(problem)),
      parameters_(std::make_unique<TemplateParameters>(problem.layout(), problem.products().random_basis())),
      H_(problem.layout().make_templates()),
      TH_(H_) {
    const Index m = problem.layout().n_theta(), p = problem.p();
    coefficient_map_ = problem.products().fixed_basis().U().topLeftCorner(p, p).inverse();
    gradient_.setZero(m);
    for (Matrix* a : {&information_, &curvature_})
        a->setZero(m, m);
    Gc_.setZero(m, p);
    if (problem.has_tail())
        leading_R_.resize(problem.leading().n_levels * problem.leading().c * problem.leading().c);
}

Deviance::~Deviance() = default;

void Deviance::set_response(const ResponseView& response) {
    pls_->set_response(response);
}

double Deviance::evaluate(const Vector& theta, Coordinates coordinates) {
    parameters_->load(theta, coordinates);
    if (!theta.allFinite() || !pls_->update(parameters_->T()))
        return value_ = std::numeric_limits<double>::infinity();
    const FixedBasis& basis = problem_.products().fixed_basis();
    constexpr double two_pi = 6.283185307179586476925;
    const double degrees = static_cast<double>(nu());
    const double residual = sigma_ > 0.0 ? degrees * std::log(two_pi * sigma_ * sigma_) + pwrss() / (sigma_ * sigma_)
                                         : degrees * (1.0 + std::log(two_pi * pwrss() / degrees));
    value_ = pls_->log_determinant_M() + residual - problem_.products().sum_log_weights();
    if (reml_)
        value_ += pls_->log_determinant_RX() + 2.0 * basis.R.diagonal().array().log().sum();
    return value_;
}

void Deviance::restrict_to(const Restriction& restriction) {
    sigma_ = restriction.sigma;
    if (restriction.contrast.size() == 0) {
        pls_->hold({}, 0.0);
        return;
    }
    if (reml_)
        throw std::invalid_argument("restriction: expected maximum likelihood where coefficients are held");
    const ResponseView& response = pls_->response();
    const Vector a = coefficient_map_.transpose() * restriction.contrast;
    pls_->hold(a, (restriction.value - a.dot(*response.gamma)) / response.scale);
}

double Deviance::contrast_slope() const {
    return precision() * pls_->held_slope() / pls_->response().scale;
}

void Deviance::replace_internal(const Templates* basis) {
    parameters_->replace_internal(basis);
}

/// nu / r^2, or 1 / sigma^2 where sigma is known, in internal units.
double Deviance::precision() const {
    const double scale = pls_->response().scale;
    return sigma_ > 0.0 ? scale * scale / (sigma_ * sigma_) : static_cast<double>(nu()) / pls_->pwrss();
}

void Deviance::differentiate() {
    if (parameters_->lift())
        pls_->update(parameters_->T());
    parameters_->differentiate();
    scores_->update(*pls_, parameters_->T(), parameters_->D(), reml_, precision());
    sum_levels();
    assemble();
}

/// H and T'H of every factor.
void Deviance::sum_levels() {
    const Templates& T = parameters_->T();
    if (problem_.has_tail()) {
        for (Matrix& TH : TH_)
            TH.setZero();
        pls_->schur().invert(T, TH_);  // before the fixed effects and the response are taken out
        pls_->schur().leading_blocks_into(leading_R_.data());
    }
    parameters_->sum_levels(problem_.leading(), pls_->leading(), problem_.has_tail() ? leading_R_.data() : nullptr, TH_,
                            H_, TH_);
    for (std::size_t f = 0; f < H_.size(); ++f) {
        H_[f] -= scores_->projection(f);
        TH_[f].noalias() -= T[f].transpose().lazyProduct(scores_->projection(f));
    }
}

/// From the sums to gradient, average information and curvature.
void Deviance::assemble() {
    const auto& entries = problem_.layout().entries();
    const std::vector<Matrix>& D = parameters_->D();
    const Index m = gradient_.size();
    for (Index i = 0; i < m; ++i) {
        const auto& e = entries[i];
        gradient_[i] = parameters_->slope(i, H_, TH_);
        const Index c = D[i].rows();
        Gc_.row(i).setZero();
        for (Index x = 0; x < c; ++x)
            for (Index y = 0; y < c; ++y)
                Gc_.row(i) += D[i](y, x) * scores_->sG(e.factor).row(x * c + y);
    }
    const double r2 = pls_->pwrss(), ratio = precision();
    if (pls_->held_direction().size() > 0) {
        const Vector along = Gc_ * pls_->held_direction();
        Gc_.noalias() -= along * pls_->held_direction().transpose();
    }
    const Matrix& ZVZ = scores_->information();
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j <= i; ++j) {
            const double sc_i = D[i].cwiseProduct(scores_->ss(entries[i].factor)).sum();
            const double sc_j = D[j].cwiseProduct(scores_->ss(entries[j].factor)).sum();
            const double value =
                ratio * (ZVZ(i, j) - Gc_.row(i).dot(Gc_.row(j)) - (sigma_ > 0.0 ? 0.0 : sc_i * sc_j / r2));
            information_(i, j) = information_(j, i) = value;
            curvature_(i, j) = curvature_(j, i) = value + parameters_->column_curvature(i, j, H_);
        }
}

Matrix Deviance::variance_gradient(const RandomEffects::Term& term) const {
    return parameters_->variance_gradient(term, H_);
}

Vector Deviance::to_user(const Vector& internal) const {
    return problem_.products().random_basis().to_user(problem_.layout(), internal);
}

Vector Deviance::to_internal(const Vector& theta) const {
    return problem_.products().random_basis().to_internal(problem_.layout(), theta);
}

Matrix Deviance::hessian(const Vector& theta, Coordinates coordinates) {
    const Index m = theta.size();
    Matrix H(m, m);
    Vector point = theta;
    for (Index i = 0; i < m; ++i) {
        parameters_->load(theta, coordinates);
        const double step = parameters_->step(i);
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
