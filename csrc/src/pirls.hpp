#pragma once
// Penalised iteratively reweighted least squares: the conditional modes of a generalized linear mixed model.
//
//     u~ = argmin_u  -2 sum_i w_i log f(y_i | eta_i) + |u|^2,    eta = offset + X beta + Z T u
//
// (Bates et al. 2015; Bates 2010, lme4: Mixed-effects modeling with R, ch. 6), over beta as well where it is profiled.
// Newton's method: the weights are the observed information where M = T'Z'WZT + I is then positive definite, the
// expected one elsewhere; step-halving on the penalised deviance. The last factor is that of the modes found, not of
// the iterate before them.
//
// Finds a local minimum: a log-density that is not concave in eta may have several.

#include <cmath>

#include "penalized_factor.hpp"
#include "pymixed/generalized_problem.hpp"

namespace pymixed {

class Pirls {
 public:
    Pirls(const GeneralizedProblem& problem, int n_threads);

    /// Another response for all that follows, sorted rows; the next search starts at zero.
    void set_response(const Vector& y);
    /// Family parameters and coefficients of the zero inflation for all that follows.
    void set_parameters(const Vector& family_parameters, const Vector& zero);
    /// Modes at templates T from the u and beta (internal basis) that are there; beta is held unless `profile`. False
    /// where no minimum is found. Leaves the factor of the observed weights at the modes.
    bool solve(const Templates& T, bool profile);
    /// The same from the response alone (beta profiled); what u and beta are does not matter.
    bool solve_from_response(const Templates& T);

    Vector u, beta;

    // at the modes
    double penalized_deviance() const { return penalized_deviance_; }  ///< without the family's normalizer
    double magnitude() const { return 2.0 * (l_.cwiseAbs().sum() + std::abs(normalizer_)); }
    double normalizer() const { return normalizer_; }                           ///< of the family, summed over the rows
    const Vector& normalizer_gradient() const { return normalizer_gradient_; }  ///< by the family's parameters
    const Vector& response() const { return y_; }
    const Vector& eta() const { return eta_; }
    const Vector& base() const { return base_; }  ///< offset + X beta
    const Vector& b() const { return b_; }        ///< T u
    const Vector& score() const { return r_; }    ///< w l'
    const Vector& weights() const { return w_; }  ///< -w l''
    PenalizedFactor& factor() { return factor_; }
    const Family& family() const { return *family_; }
    const Vector& zeta() const { return zeta_; }

    /// Kernel of the rows at any linear predictors, sorted rows. The caller's prior weights are not applied.
    void evaluate_rows(const Vector& eta, const FamilyOutput& out) const;
    /// values <- prior weights times values.
    void apply_weights(Vector& values) const;

    Index n_iterations = 0;  ///< of all solves
    /// Squared length of the last Newton step, after which the modes are taken as found; also, up to the factor 10 q,
    /// of the change that it made in log|M|.
    double tolerance = 1e-10;

 private:
    bool iterate(const Templates& T);
    double evaluate(const Templates& T);
    void expect(Vector& score, Vector& weights) const;
    bool newton_step(const Templates& T, const Vector& r);
    void set_base();

    const GeneralizedProblem& problem_;
    const SortedRows& rows_;
    Vector y_;
    bool profile_ = false;
    std::unique_ptr<Family> family_;
    Vector parameters_, normalizer_gradient_;  // the family's, for which normalizer_ is known
    bool has_parameters_ = false;
    PenalizedFactor factor_;
    Vector zeta_, base_, eta_, b_, l_, r_, w_, expected_, rhs_rows_;
    Vector step_u_, step_beta_, gradient_u_, work_;
    Matrix F_, B_, U_, XtWX_;
    double penalized_deviance_ = 0.0, normalizer_ = 0.0, decrement_ = 0.0;
    bool newton_ = true;  // the last step was made with observed weights
};

}  // namespace pymixed
