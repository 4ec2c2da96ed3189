#include "pirls.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "positive_solver.hpp"
#include "row_packer.hpp"

namespace pymixed {

static constexpr int most_iterations = 200;

Pirls::Pirls(const GeneralizedProblem& problem, int n_threads)
    : u(Vector::Zero(problem.rows().q)),
      beta(Vector::Zero(problem.p())),
      problem_(problem),
      rows_(problem.rows()),
      y_(problem.rows().y),
      family_(problem.family().clone()),
      factor_(problem.linear(), problem.rows(), n_threads) {
    for (Vector* a : {&base_, &eta_, &l_, &r_, &w_, &expected_, &rhs_rows_})
        a->setZero(rows_.n);
    b_.setZero(rows_.q);
}

void Pirls::set_response(const Vector& y) {
    y_ = y;
    has_parameters_ = false;  // the normalizer is renewed
    u.setZero();
    beta.setZero();
}

void Pirls::set_parameters(const Vector& family_parameters, const Vector& zero) {
    if (family_->zero_inflated())
        zeta_.noalias() = rows_.X_zero * zero;
    if (has_parameters_ && family_parameters == parameters_)
        return;
    parameters_ = family_parameters;
    has_parameters_ = true;
    family_->set_parameters(family_parameters);
    const double* weights = rows_.weights.size() > 0 ? rows_.weights.data() : nullptr;
    normalizer_gradient_.setZero(family_->n_parameters());
    normalizer_ = family_->normalizer(rows_.n, y_.data(), weights,
                                      normalizer_gradient_.size() > 0 ? normalizer_gradient_.data() : nullptr);
}

void Pirls::evaluate_rows(const Vector& eta, const FamilyOutput& out) const {
    family_->evaluate({rows_.n, y_.data(), eta.data(), zeta_.size() > 0 ? zeta_.data() : nullptr}, out);
}

void Pirls::apply_weights(Vector& values) const {
    if (rows_.weights.size() > 0)
        values.array() *= rows_.weights.array();
}

void Pirls::set_base() {
    base_.noalias() = rows_.X * beta;
    if (rows_.offset.size() > 0)
        base_ += rows_.offset;
}

/// Penalised deviance at u and beta; the rows' score and observed weights with it.
double Pirls::evaluate(const Templates& T) {
    if (profile_)
        set_base();
    factor_.multiply_template(T, false, u, b_);
    eta_ = base_;
    rows_.add_Zb(b_.data(), eta_.data());
    FamilyOutput out;
    out.order = 1;
    out.l = l_.data();
    out.d1 = r_.data();
    out.d2 = w_.data();
    evaluate_rows(eta_, out);
    for (Vector* a : {&l_, &r_, &w_})
        apply_weights(*a);
    w_ = -w_;
    const double value = -2.0 * l_.sum() + u.squaredNorm();
    return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
}

/// Score and expected weights of the rows at eta.
void Pirls::expect(Vector& score, Vector& weights) const {
    Vector l(rows_.n), d2(rows_.n);
    FamilyOutput out;
    out.order = 1;
    out.l = l.data();
    out.d1 = score.data();
    out.d2 = d2.data();
    out.expected = weights.data();
    evaluate_rows(eta_, out);
    apply_weights(score);
    apply_weights(weights);
}

/// Step of u (and beta) for the rows' score r, with the factor at hand or the expected weights' one.
bool Pirls::newton_step(const Templates& T, const Vector& r) {
    const Index q = rows_.q, p = profile_ ? problem_.p() : 0;
    newton_ = w_.allFinite() && factor_.update(w_.data(), T);
    const Vector* weights = &w_;
    if (!newton_) {
        Vector score(rows_.n);
        expect(score, expected_);
        weights = &expected_;
        if (!expected_.allFinite() || !factor_.update(expected_.data(), T))
            return false;
    }
    // M^-1 (T'Z'r - u) = M^-1 T'Z'(r + W Z b) - u
    F_.setZero(q, 1 + p);
    work_.setZero(q);
    rows_.add_Ztr(r.data(), work_.data());
    factor_.multiply_template(T, true, work_, gradient_u_);
    gradient_u_ -= u;
    rhs_rows_.setZero();
    rows_.add_Zb(b_.data(), rhs_rows_.data());
    rhs_rows_ = r.array() + weights->array() * rhs_rows_.array();
    rows_.add_Ztr(rhs_rows_.data(), F_.data());
    if (p > 0) {
        Vector column(chunk_rows);
        for (Index first = 0; first < rows_.n; first += chunk_rows) {
            const Index m = std::min(chunk_rows, rows_.n - first);
            for (Index j = 0; j < p; ++j) {
                column.head(m) = weights->segment(first, m).cwiseProduct(rows_.X.col(j).segment(first, m));
                rows_.add_Ztr(column.data(), first, first + m, F_.col(1 + j).data());
            }
        }
        XtWX_.noalias() = rows_.X.transpose() * weights->asDiagonal() * rows_.X;
    }
    factor_.solve(T, F_, B_, &U_);
    step_u_ = U_.col(0) - u;
    step_beta_.setZero(p);
    decrement_ = 0.0;
    if (p > 0) {
        const auto R = F_.rightCols(p);
        const Vector gradient = rows_.X.transpose() * r;
        PositiveSolver XVX;
        XVX.compute(XtWX_ - R.transpose() * B_.rightCols(p));
        step_beta_ = XVX.solve(gradient - R.transpose() * (B_.col(0) - b_));
        step_u_.noalias() -= U_.rightCols(p) * step_beta_;
        decrement_ = gradient.dot(step_beta_);
    }
    decrement_ += gradient_u_.dot(step_u_);
    return std::isfinite(decrement_);
}

bool Pirls::iterate(const Templates& T) {
    Vector last_u, last_beta;
    for (int iteration = 0; iteration < most_iterations; ++iteration) {
        ++n_iterations;
        if (!newton_step(T, r_))
            return false;
        if (newton_ && std::abs(decrement_) <= 1e-24 * (1.0 + u.squaredNorm()))
            return true;
        last_u = u;
        last_beta = beta;
        const double log_determinant = factor_.log_determinant();
        // what rounding can hide in the sum
        const double noise = 1e-13 * (1.0 + std::abs(penalized_deviance_)) + 4e-16 * magnitude();
        double fraction = 1.0;
        for (;; fraction *= 0.5) {
            u = last_u + fraction * step_u_;
            if (profile_)
                beta = last_beta + fraction * step_beta_;
            const double value = evaluate(T);
            if (value <= penalized_deviance_ + noise) {
                penalized_deviance_ = value;
                break;
            }
            if (fraction < 1e-10)
                return false;
        }
        // where weights vanish (saturated means) a short step may still change the determinant
        if (fraction == 1.0 && newton_ && decrement_ <= tolerance) {
            if (!factor_.update(w_.data(), T))
                return false;
            const double change = factor_.log_determinant() - log_determinant;
            if (change * change <= 10.0 * tolerance * static_cast<double>(rows_.q))
                return true;
        }
        // Fisher scoring converges linearly: the step itself is the error
        if (fraction == 1.0 && !newton_ && decrement_ <= 1e-24)
            return factor_.update(w_.data(), T);
    }
    return false;
}

bool Pirls::solve(const Templates& T, bool profile) {
    profile_ = profile;
    set_base();
    penalized_deviance_ = evaluate(T);
    if (!std::isfinite(penalized_deviance_)) {
        u.setZero();
        penalized_deviance_ = evaluate(T);
    }
    if (!std::isfinite(penalized_deviance_))
        return profile_ && solve_from_response(T);
    return iterate(T);
}

bool Pirls::solve_from_response(const Templates& T) {
    profile_ = true;
    u.setZero();
    beta.setZero();
    b_.setZero();
    set_base();
    family_->initial_predictor(rows_.n, y_.data(), rows_.weights.size() > 0 ? rows_.weights.data() : nullptr,
                               eta_.data());
    const double mean = eta_.mean();
    expect(r_, w_);
    // the response of the linear model that these rows amount to
    const Vector working = r_.array() + w_.array() * (eta_ - base_).array();
    ++n_iterations;
    if (!newton_step(T, working))
        return false;
    const Vector full_u = step_u_, full_beta = step_beta_;
    for (double fraction = 1.0; fraction > 1e-6; fraction *= 0.5) {  // towards zero until it lies in the domain
        u = fraction * full_u;
        beta = fraction * full_beta;
        penalized_deviance_ = evaluate(T);
        if (std::isfinite(penalized_deviance_))
            return iterate(T);
    }
    // the same predictor in every row, as nearly as X allows
    u.setZero();
    set_base();
    beta = (rows_.X.transpose() * rows_.X).ldlt().solve(rows_.X.transpose() * Vector::Constant(rows_.n, mean));
    penalized_deviance_ = evaluate(T);
    return std::isfinite(penalized_deviance_) && iterate(T);
}

}  // namespace pymixed
