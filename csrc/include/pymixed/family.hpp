#pragma once
/// @file
/// Conditional distributions of a generalized linear mixed model: log f(y | eta) and its derivatives.
///
/// A family is a distribution composed with a link g, mu = g^-1(eta); the two are implemented apart. Everything is a
/// function of the linear predictor: the criterion, PIRLS and their derivatives need
///
///     l(eta) = log f(y | eta),  l', l'', l''',    e(eta) = E[-l''] (expected information),  e',
///
/// and the same differentiated by each *channel*: the family's own unconstrained parameters (logarithm of a dispersion
/// or shape, logit of a power), and for a zero-inflated family the logit of the probability of a structural zero.
/// Prior weights multiply l and are applied by the caller: a row of weight w counts as w rows (for the binomial
/// family y is the proportion of successes and w the number of trials).

#include <memory>
#include <string>
#include <vector>

#include "pymixed/random.hpp"
#include "pymixed/types.hpp"

namespace pymixed {

/// What the rows of a kernel call are given by; borrowed.
struct FamilyRows {
    Index n = 0;                   ///< rows
    const double* y = nullptr;     ///< responses
    const double* eta = nullptr;   ///< linear predictors
    const double* zeta = nullptr;  ///< logit of the probability of a structural zero (zero-inflated families only)
};

/// Where the results of a kernel call go: arrays (n) that do not overlap. `order` says which are written:
/// 0: l;  1: also d1, d2;  2: also d3 and every channel. Arrays of the expected information are written where they
/// are not null (`expected` from order 1, `expected_d1` and the channels' at order 2).
/// Outside the domain of the link or distribution (mu <= 0 for a count, say) l is -infinity, the rest unspecified.
struct FamilyOutput {
    /// Derivatives by one channel.
    struct Channel {
        double* l = nullptr;         ///< dl / da
        double* d1 = nullptr;        ///< dl' / da
        double* d2 = nullptr;        ///< dl'' / da
        double* expected = nullptr;  ///< de / da
    };
    int order = 0;                  ///< 0, 1 or 2: which are written
    double* l = nullptr;            ///< log f
    double* d1 = nullptr;           ///< l'
    double* d2 = nullptr;           ///< l''
    double* expected = nullptr;     ///< e
    double* d3 = nullptr;           ///< l'''
    double* expected_d1 = nullptr;  ///< e'
    std::vector<Channel> channels;  ///< n_channels() of them at order 2
};

/// The values that a response can take.
enum class Support {
    Real,         ///< any finite number
    Positive,     ///< above 0
    NonNegative,  ///< 0 or above
    OpenUnit,     ///< strictly between 0 and 1
    Counts,       ///< 0, 1, 2, ...
    Proportions,  ///< of as many trials as the prior weight says, a whole number: k / weight
};

/// A distribution with a link and what is estimated of it; copied (clone()), never shared while it changes.
class Family {
 public:
    virtual ~Family() = default;
    virtual std::unique_ptr<Family> clone() const = 0;  ///< a copy

    /// Unconstrained parameters that are estimated with the model.
    virtual Index n_parameters() const { return 0; }
    /// Takes effect for all calls that follow.
    virtual void set_parameters(const Vector& parameters) { static_cast<void>(parameters); }
    virtual bool zero_inflated() const { return false; }                             ///< whether zeta takes part
    Index n_channels() const { return n_parameters() + (zero_inflated() ? 1 : 0); }  ///< parameters and zeta
    virtual Support support() const { return Support::Real; }                        ///< where responses lie
    bool discrete() const {
        return support() == Support::Counts || support() == Support::Proportions;
    }  ///< whole numbers

    /// -l'' equals its expectation for every y: a canonical link.
    virtual bool canonical() const = 0;
    /// l, its derivatives and those by the channels (parameters first, zeta last), without normalizer().
    virtual void evaluate(const FamilyRows& rows, const FamilyOutput& out) const = 0;
    /// Sum over the rows of weight times the part of log f that eta does not enter (for the binomial family with
    /// trials, the log of the binomial coefficients). `gradient`, where not null, receives the derivatives by the
    /// parameters (n_parameters()). `weights` null: all 1.
    virtual double normalizer(Index n, const double* y, const double* weights, double* gradient) const = 0;

    /// Linear predictors near which the iteration starts, from the response alone; inside the domain.
    virtual void initial_predictor(Index n, const double* y, const double* weights, double* eta) const = 0;
    /// Estimates of the parameters by moments, given linear predictors.
    virtual Vector initial_parameters(Index n, const double* y, const double* weights, const double* eta) const = 0;

    /// A response of every row, given its linear predictor; the NaN where that is outside the domain. Responses that
    /// the distribution takes with probability zero (a 0 of a gamma, a 1 of a beta) do not come out of rounding.
    /// `weights` null: all 1. How often a row counts does not say what a row of that weight is; here it is the mean
    /// of as many rows where such means have a distribution of the same kind: proportions in that many trials for the
    /// binomial family, the dispersion divided by the weight for gaussian, gamma, inverse_gaussian and tweedie. With
    /// other distributions weights change nothing.
    /// @throws std::invalid_argument  a family that does not know its distribution
    virtual void simulate(Index n, const double* eta, const double* zeta, const double* weights, Random& random,
                          double* y) const = 0;
};

/// Values of a family that are not estimated, by name; NaN: estimated.
struct FamilyConstants {
    double shape;  ///< negative_binomial: size; student_t: degrees of freedom
    double power;  ///< tweedie: 1 < power < 2
    FamilyConstants();
};

/// @param distribution  binomial, poisson, negative_binomial (variance mu + mu^2/shape), negative_binomial1 (variance
///                      mu (1 + dispersion)), gamma, inverse_gaussian, beta, gaussian, student_t, tweedie
/// @param link          logit, probit, cloglog, cauchit, log, sqrt, inverse, inverse_squared, identity
/// @throws std::invalid_argument  an unknown name, or a constant outside its range
std::unique_ptr<Family> make_family(const std::string& distribution, const std::string& link,
                                    const FamilyConstants& constants = {});

/// With probability pi = 1 / (1 + exp(-zeta)) a structural zero: f(0) = pi + (1 - pi) f0(0), f(y) = (1 - pi) f0(y).
/// The base must have no normalizer at y = 0 (the count families).
std::unique_ptr<Family> make_zero_inflated(std::unique_ptr<Family> base);

/// Position of the first of n values that is no response of a family, -1 where there is none. Whole numbers may be
/// rounded to 1e-6. `weights` null: all 1.
Index first_unsuitable(Support support, Index n, const double* y, const double* weights);

/// The same in words: "counts 0, 1, 2, ..." and so on.
const char* to_string(Support support);

}  // namespace pymixed
