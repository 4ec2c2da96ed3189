#pragma once
/// @file
/// Mixed models fitted in one call, the result a value: where a host program starts.
///
///     linear        y = offset + X beta + Z b + e,   b = Lambda(theta) u,   u ~ N(0, sigma^2 I)
///     generalized   y_i | u ~ family(eta_i),   eta = offset + X beta + Z Lambda(theta) u,   u ~ N(0, I)
///
/// e ~ N(0, sigma^2 W^-1) (Bates, Maechler, Bolker & Walker 2015, J. Stat. Softw. 67(1)). A linear model is fitted by
/// ML or REML, a generalized one by Laplace's approximation or adaptive quadrature in all parameters jointly.
///
/// Data that no model can be fitted to throw std::invalid_argument, which names what was expected and what was got. A
/// fit that fails is a result with its Status. Every function may be called by several threads at once; problems may be
/// shared between them.
///
/// Formulas, degrees of freedom and tests are not here: hosts give the columns of X and Z themselves.

#include "pymixed/refit.hpp"

namespace pymixed {

/// How a linear mixed model is fitted.
struct LmmOptions {
    bool reml = true;   ///< residual maximum likelihood; false: maximum likelihood
    FitOptions fit;     ///< start, tolerance, limit, monitor
    int n_threads = 1;  ///< of the dense factorisation; the result does not depend on it
};

/// How a generalized linear mixed model is fitted.
struct GlmmOptions {
    Index n_nodes =
        1;  ///< quadrature nodes per column: 1 is Laplace's approximation, 0 profiles beta (fast, approximate)
    Information information = Information::Observed;  ///< Expected: lme4's approximation
    FitOptions fit;                                   ///< start (psi), tolerance, limit, monitor
    int n_threads = 1;                                ///< of the dense factorisation
};

/// How many responses are fitted to one design.
struct LmmManyOptions {
    bool reml = true;     ///< as in LmmOptions
    RefitOptions refits;  ///< threads, monitor, options of every fit
};
/// The same of a generalized model.
struct GlmmManyOptions {
    Index n_nodes = 1;                                ///< as in GlmmOptions
    Information information = Information::Observed;  ///< as in GlmmOptions
    RefitOptions refits;                              ///< threads, monitor, options of every fit
};

/// What fits of both kinds tell; p counts the columns of X that are kept, m the entries of theta.
struct MixedFit {
    Status status = Status::Success;  ///< where it is not Success, estimates are missing (size 0, NaN) or not a minimum
    Index n = 0;                      ///< rows
    double objective;                 ///< minus twice the log-likelihood; linear models by REML: the restricted one
    Vector theta;                     ///< m: lower triangles of the terms' relative covariance factors, column-major
    Vector coefficients;              ///< p: beta, of the columns `kept`
    Matrix covariance;                ///< p x p: of the coefficients
    std::vector<Index> kept;          ///< positions of the columns of X that have a coefficient
    std::vector<Index> aliased;       ///< positions of those that depend on others and were dropped
    std::vector<Matrix> term_covariances;  ///< per term, the user's order: c x c covariance of its random effects
    std::vector<RowMatrix> modes;  ///< per grouping factor, the user's order: levels x columns of its terms, modes of b
    double expected_gain;          ///< what another step would lower the objective by: the certificate of convergence
    Index n_evaluations = 0;       ///< of the criterion
    Index n_gradients = 0;         ///< points at which it was differentiated

    MixedFit();
    /// The maximum; by REML the restricted one.
    double log_likelihood() const { return -0.5 * objective; }
};

/// A linear mixed model that was fitted.
struct LmmFit : MixedFit {
    bool reml = true;  ///< which criterion was minimised
    double sigma;      ///< residual standard deviation of a row of weight 1
    double pwrss;      ///< penalised weighted residual sum of squares, r^2

    LmmFit();
};

/// `covariance` is from the Hessian of the criterion in all parameters; where beta is profiled, or the Hessian is not
/// positive, from that of the linear model at the modes, theta held.
struct GlmmFit : MixedFit {
    Vector family_parameters;   ///< unconstrained: logarithm of a dispersion or shape, logit of a power (family.hpp)
    Vector zero_coefficients;   ///< of X0: logit of the probability of a structural zero
    Vector linear_predictor;    ///< n: at the conditional modes
    bool from_hessian = false;  ///< where `covariance` is from
    Index n_pirls = 0;          ///< iterations of penalised iteratively reweighted least squares
};

/// Fit of a linear mixed model.
/// @param rows  columns, codes, weights (positive) and offset, finite; borrowed for the time of the call
/// @throws std::invalid_argument  data, layout or options that do not fit;  MemoryLimit  a problem too large
LmmFit fit_lmm(const RandomEffects& layout, const Rows& rows, const LmmOptions& options = {});
/// Fit of a problem that the host keeps: with a factorisation or a limit of memory of its choice, or fitted again.
/// @throws std::invalid_argument  options that do not fit
LmmFit fit_lmm(const Problem& problem, const LmmOptions& options = {});
/// Fit from sums over rows that came in batches, from files or from machines.
/// @throws std::invalid_argument  options that do not fit;  MemoryLimit  a problem too large
LmmFit fit_lmm(CrossProducts products, const LmmOptions& options = {});

/// Fit of a generalized linear mixed model.
/// @param rows            as for a linear model; y in the range of the family, proportions of as many trials as the
///                        weights say for the binomial one
/// @param family          copied
/// @param zero_inflation  columns of X0, with a zero-inflated family
/// @throws std::invalid_argument  data, layout or options that do not fit;  MemoryLimit  a problem too large
GlmmFit fit_glmm(const RandomEffects& layout, const Rows& rows, const Family& family, const GlmmOptions& options = {},
                 const std::vector<ColumnView>& zero_inflation = {});
/// Fit of a problem that the host keeps.
/// @throws std::invalid_argument  options that do not fit
GlmmFit fit_glmm(const GeneralizedProblem& problem, const GlmmOptions& options = {});

/// Fits of one design to every column of `responses`, over threads; a row of the result per column. A response that no
/// model can be fitted to has Status::InvalidResponse. To come back to a design, keep LinearRefits or
/// GeneralizedRefits.
/// @param rows  of the design; y is not read
/// @throws std::invalid_argument  data, layout or options that do not fit;  MemoryLimit  a problem too large
Refits fit_many(const RandomEffects& layout, const Rows& rows, const Responses& responses,
                const LmmManyOptions& options = {});
/// The same for a generalized model.
Refits fit_many(const RandomEffects& layout, const Rows& rows, const Family& family, const Responses& responses,
                const GlmmManyOptions& options = {}, const std::vector<ColumnView>& zero_inflation = {});

/// A response that stands for all of those that a design will be fitted to: n values spread over (1/4, 3/4), or rounded
/// to 0 and 1. What a Problem is analysed with, so that the analysis depends on no response of the host's.
Vector placeholder_response(Index n, bool discrete = false);

}  // namespace pymixed
