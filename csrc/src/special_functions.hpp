#pragma once
// Functions of the gamma family and of the normal distribution that the standard library lacks, all without
// cancellation where the likelihoods of families.hpp meet their limits.

namespace pymixed {

/// log |Gamma(x)|: std::lgamma, which in many C libraries writes a global variable, for several threads at once.
double log_gamma(double x);

/// First, second and third derivative of the logarithm of the gamma function at x > 0.
double digamma(double x);
double trigamma(double x);
double tetragamma(double x);

/// log(1 + x) - x/(1 + x), x > -1, to full relative accuracy near 0.
double log1p_minus_share(double x);

/// log(y!) for any y >= 0; from a table where y is a small integer.
double log_factorial(double y);

/// log Gamma(y) less Stirling's (y - 1/2) log(y) - y + log(2 pi)/2, y >= 1; it tends to 1/(12 y) as y grows.
double stirling_remainder(double y);

/// log of Gamma(s + y) / (Gamma(s) s^y), s > 0, y >= 0; it tends to 0 as s grows.
double log_gamma_ratio(double s, double y);

/// Differences of the polygamma functions between s + y and s, scaled so that all stay of order y for every s > 0.
struct PolygammaDifferences {
    double first;   ///< s (psi(s + y) - psi(s)) - y: derivative of log_gamma_ratio by log s
    double second;  ///< s^2 (psi'(s + y) - psi'(s))
    double third;   ///< s^3 (psi''(s + y) - psi''(s))
};
PolygammaDifferences polygamma_differences(double s, double y);
/// Its member `first` alone.
double digamma_difference(double s, double y);

/// A function's value and its derivatives.
struct Jet {
    double value, d1, d2, d3;
};

/// log(Phi(x)) and log(1 - Phi(x)) of the standard normal distribution function, all digits in either tail.
struct NormalTails {
    Jet lower, upper;
};
NormalTails normal_log_tails(double x);

/// log(1 + exp(x)).
double softplus(double x);
/// 1 / (1 + exp(-x)).
double logistic(double x);

}  // namespace pymixed
