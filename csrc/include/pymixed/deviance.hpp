#pragma once
/// @file
/// The profiled criterion of a linear mixed model, its exact gradient and its average information.
///
///     ML:   d = log|M| + n (1 + log(2 pi r^2 / n)) - sum log w
///     REML: d = log|M| + log|RX|^2 + (n - p)(1 + log(2 pi r^2 / (n - p))) - sum log w
///
/// (Bates et al. 2015, section 3.) With G = Z'V^-1X RX^-1, s = Z'W(y - X beta - Z T u), nu = n - p or n, and per
/// factor the sum over its levels H = sum_g [Z_g'V^-1Z_g - G_gG_g' - (nu/r^2) s_gs_g'] (ML: without G_gG_g'), a
/// template T = basis * Lower(theta) has
///
///     dd/dT = 2 H T,    and for entries i, j:   c_i = (d_iT T' + T d_iT') s,
///     AI_ij = (nu/r^2) c_i'Z'PZ c_j - (nu/r^4)(s'c_i)(s'c_j)
///     curvature_ij = AI_ij + 2 d_iT'H d_jT  (same column of the same factor)
///
/// AI is the average of observed and expected information (Gilmour, Thompson & Cullis 1995, Biometrics 51(4)); what is
/// added vanishes at interior optima and is the curvature at singular ones. Covers fits with centred and scaled
/// columns; nothing here divides by theta.

#include <memory>

#include "pymixed/problem.hpp"

namespace pymixed {

/// A residual sum of squares r^2 of at most this part of the response's, as the core scales it, is rounding: the core
/// finds it as a difference of sums. The model fits the response exactly.
constexpr double exact_fit = 1e-14;

/// What a profile likelihood takes out of the minimisation.
struct Restriction {
    double sigma = 0.0;  ///< residual standard deviation; 0: the one that minimises the criterion
    Vector contrast;     ///< p, of the columns that are kept: contrast'beta = value; empty: beta is free
    double value = 0.0;  ///< of contrast'beta
};

class KenwardRogerSums;
class PenalizedLeastSquares;
class Scores;
class TemplateParameters;

/// The criterion of a linear mixed model with its workspace: one per thread. The problem must outlive it.
class Deviance {
 public:
    /// @param n_threads  threads of the dense factorisation; the results do not depend on it. "Allocates nothing"
    ///                   below holds for one thread: starting others allocates.
    Deviance(const Problem& problem, bool reml, int n_threads = 1);
    ~Deviance();
    Deviance(const Deviance&) = delete;

    /// Another response on the same rows, for all calls that follow; what it points to must outlive it.
    void set_response(const ResponseView& response);

    /// What all functions below are of from the next evaluate() on, as the response set before. With a known sigma
    ///
    ///     d = log|M| + nu log(2 pi sigma^2) + r^2 / sigma^2 - sum log w    (REML: + log|RX|^2)
    ///
    /// and 1/sigma^2 takes the place of nu/r^2 above, while AI loses its second term.
    /// @throws std::invalid_argument  a contrast with REML
    void restrict_to(const Restriction& restriction);
    /// dd / d value of the restriction's contrast, in the host's units, at the last evaluate().
    double contrast_slope() const;
    /// Another basis of the templates in the place of the internal one, borrowed; null: back to it.
    void replace_internal(const Templates* basis);

    /// The criterion at theta; +infinity where a factorisation breaks down. Allocates nothing.
    double evaluate(const Vector& theta, Coordinates coordinates);
    /// Gradient and average information at the theta of the last evaluate(). Allocates nothing.
    void differentiate();

    double value() const { return value_; }               ///< of the last evaluate()
    const Vector& gradient() const { return gradient_; }  ///< of the last differentiate()
    /// The average of observed and expected information, AI.
    const Matrix& average_information() const { return information_; }
    /// AI and the term 2 d_iT'H d_jT: what a Newton step takes.
    const Matrix& curvature() const { return curvature_; }

    /// B'H B over the columns of a term, B its part of the basis: negative directions are those in which more variance
    /// lowers the criterion.
    Matrix variance_gradient(const RandomEffects::Term& term) const;

    /// Exact Hessian at theta: central differences of the exact gradient, good to about 1e-8 relative.
    /// What the last evaluate() left is lost.
    Matrix hessian(const Vector& theta, Coordinates coordinates);

    /// theta from internal coordinates and back.
    Vector to_user(const Vector& internal) const;
    Vector to_internal(const Vector& theta) const;  ///< the way back

    const Problem& problem() const { return problem_; }                              ///< what it is the criterion of
    bool reml() const { return reml_; }                                              ///< restricted likelihood
    int n_threads() const { return n_threads_; }                                     ///< of the dense factorisation
    Index nu() const { return reml_ ? problem_.n() - problem_.p() : problem_.n(); }  ///< n - p (REML) or n

    // Quantities of the last evaluate(), in the host's units.
    double pwrss() const;           ///< r^2
    double response_scale() const;  ///< about the root mean square of the response, or of what X leaves of it
    /// Residual variance of a row of weight 1: the restriction's or r^2 / nu.
    double sigma2() const { return sigma_ > 0.0 ? sigma_ * sigma_ : pwrss() / static_cast<double>(nu()); }
    Vector beta() const;                 ///< p, of the columns that are kept
    Matrix unscaled_covariance() const;  ///< (X'V^-1X)^-1
    /// Conditional modes b per factor (the user's order): n_levels x c, row-major.
    std::vector<std::vector<double>> modes();
    /// Var(b | y) / sigma^2 per factor (the user's order): n_levels blocks of c x c. Destroys the factor.
    std::vector<std::vector<double>> conditional_covariances();
    /// d (X'V^-1X)^-1 / d theta_i, and d r^2 / d theta_i, of the last evaluate() and differentiate().
    std::vector<Matrix> covariance_derivatives();
    Vector pwrss_derivatives() const;  ///< m values

 private:
    friend class KenwardRogerSums;  // reads the factor, the scores and the templates
    void sum_levels();
    void assemble();
    double precision() const;

    const Problem& problem_;
    bool reml_;
    int n_threads_;
    std::unique_ptr<PenalizedLeastSquares> pls_;
    std::unique_ptr<Scores> scores_;
    std::unique_ptr<TemplateParameters> parameters_;
    Matrix coefficient_map_;  // the host's coefficients from the internal ones
    Templates H_, TH_;        // per factor: H, T'H
    Vector gradient_;
    Matrix information_, curvature_, Gc_;  // Gc: c_i'G
    std::vector<double> leading_R_;
    double value_ = 0.0, sigma_ = 0.0;
};

}  // namespace pymixed
