#pragma once
// Links: the inverse link and three derivatives, seen along the variable in which the distribution is simplest.
//
//   positive means   log(mu): polynomials in mu take the place of its quotients and nothing overflows
//   location         mu
//   probabilities    log(mu) and log(1 - mu), each by itself: neither tail loses digits
//
// All derivatives are finite for |eta| <= 700 within the domain, and with room for products of a few of them: mu stays
// within exp(-200) .. exp(200), and a domain that ends at a pole ends at 1e-40 from it.

#include <algorithm>
#include <cmath>

#include "special_functions.hpp"

namespace pymixed {

constexpr double domain_margin = 1e-40;

inline double bounded(double log_mean) {
    return std::min(std::max(log_mean, -200.0), 200.0);
}
inline double bounded_exp(double x) {
    return std::exp(bounded(x));
}

/// A point of an inverse link: the mean and the derivatives by eta of `log_mean` or, along the mean, of `mean`.
struct LinkPoint {
    double mean, log_mean;  ///< along the mean `log_mean` is not set
    double d1, d2, d3;
};

// ---- means
// -----------------------------------------------------------------------------------------------------------

struct LogLink {
    static bool contains(double) { return true; }
    static double predictor(double mean) { return std::log(mean); }
    static double mean(double eta) { return bounded_exp(eta); }
    static LinkPoint along_log_mean(double eta) { return {mean(eta), bounded(eta), 1.0, 0.0, 0.0}; }
    static LinkPoint along_mean(double eta) {
        const double m = mean(eta);
        return {m, 0.0, m, m, m};
    }
};

/// mu = eta^(numerator / denominator), eta > 0.
template <int numerator, int denominator>
struct PowerLink {
    static constexpr double power = static_cast<double>(numerator) / denominator;
    static bool contains(double eta) { return eta > domain_margin; }
    static double predictor(double mean) { return raise<denominator, numerator>(mean); }
    static double mean(double eta) { return raise<numerator, denominator>(eta); }
    static LinkPoint along_log_mean(double eta) {
        const double inverse = 1.0 / eta, d1 = power * inverse, d2 = -d1 * inverse;
        return {mean(eta), power * std::log(eta), d1, d2, -2.0 * d2 * inverse};
    }
    static LinkPoint along_mean(double eta) {
        const double inverse = 1.0 / eta, m = mean(eta);
        const double d1 = power * m * inverse, d2 = (power - 1.0) * d1 * inverse;
        return {m, 0.0, d1, d2, (power - 2.0) * d2 * inverse};
    }

 private:
    template <int p, int q>
    static double raise(double x) {
        if constexpr (p < 0 || q < 0)
            return 1.0 / raise<(p < 0 ? -p : p), (q < 0 ? -q : q)>(x);
        else if constexpr (p == q)
            return x;
        else
            return p == 2 ? x * x : std::sqrt(x);
    }
};
using PositiveIdentityLink = PowerLink<1, 1>;
using SqrtLink = PowerLink<2, 1>;
using InverseLink = PowerLink<-1, 1>;
using InverseSquaredLink = PowerLink<-1, 2>;

/// Of a location: the mean may be any number.
struct IdentityLink {
    static bool contains(double eta) { return std::isfinite(eta); }
    static double predictor(double mean) { return mean; }
    static double mean(double eta) { return eta; }
    static LinkPoint along_mean(double eta) { return {eta, 0.0, 1.0, 0.0, 0.0}; }
};

// ---- probabilities
// ---------------------------------------------------------------------------------------------------

/// log(mu) and log(1 - mu) as functions of eta.
struct LogProbabilities {
    Jet success, failure;
};

struct LogitLink {
    static bool contains(double) { return true; }
    static double predictor(double mean) { return std::log(mean / (1.0 - mean)); }
    static LogProbabilities at(double eta) {
        const double u = std::exp(-std::abs(eta)), large = 1.0 / (1.0 + u), small = u * large, both = -small * large;
        const double shared = -std::log1p(u), p = eta < 0.0 ? small : large, q = eta < 0.0 ? large : small;
        const double third = both * (q - p);
        return {{std::min(eta, 0.0) + shared, q, both, third}, {-std::max(eta, 0.0) + shared, -p, both, third}};
    }
};

struct ProbitLink {
    static bool contains(double) { return true; }
    /// Bisection serves here: starts need no speed.
    static double predictor(double mean) {
        double low = -40.0, high = 40.0;
        const double target = std::log(mean);
        for (int i = 0; i < 60; ++i) {
            const double middle = 0.5 * (low + high);
            (normal_log_tails(middle).lower.value < target ? low : high) = middle;
        }
        return 0.5 * (low + high);
    }
    static LogProbabilities at(double eta) {
        const NormalTails log_of = normal_log_tails(eta);
        return {log_of.lower, log_of.upper};
    }
};

struct CloglogLink {
    static bool contains(double) { return true; }
    static double predictor(double mean) { return std::log(-std::log1p(-mean)); }
    static LogProbabilities at(double eta) {
        const double x = bounded_exp(eta), k = x / std::expm1(x);  // k: derivative of log(mu)
        double value, c;                                           // c = 1 - k - x: derivative of log(k)
        if (x < 0.1) {                                             // Bernoulli numbers: k = 1 - x/2 + x^2/12 - ..
            const double s = x * x;
            value = eta - x / 2 + s / 24 * (1.0 - s / 120 * (1.0 - s / 63 * (1.0 - s / 53.333333333333333)));
            c = -x / 2 - s / 12 * (1.0 - s / 60 * (1.0 - s / 42 * (1.0 - s / 40)));
        } else {
            value = std::log(-std::expm1(-x));
            c = 1.0 - k - x;
        }
        return {{value, k, k * c, k * (c * c - k * c - x)}, {-x, -x, -x, -x}};
    }
};

struct CauchitLink {
    static bool contains(double) { return true; }
    static double predictor(double mean) { return std::tan(pi * (mean - 0.5)); }
    static LogProbabilities at(double eta) {
        const double s = 1.0 / (1.0 + eta * eta), density = s / pi;
        const double g = -2.0 * eta * s, g1 = -2.0 * (1.0 - eta * eta) * s * s;  // of log(density)
        return {log_of(std::atan2(1.0, -eta) / pi, density, g, g1), log_of(std::atan2(1.0, eta) / pi, -density, g, g1)};
    }

 private:
    static constexpr double pi = 3.14159265358979323846;
    static Jet log_of(double probability, double derivative, double g, double g1) {
        const double d1 = derivative / probability, d2 = d1 * (g - d1);
        return {std::log(probability), d1, d2, d2 * (g - d1) + d1 * (g1 - d2)};
    }
};

struct LogProbabilityLink {
    static bool contains(double eta) { return eta < -domain_margin; }
    static double predictor(double mean) { return std::log(mean); }
    static LogProbabilities at(double eta) {
        const double odds = 1.0 / std::expm1(-eta), d2 = -odds * (1.0 + odds);
        const double failure = eta > -0.7 ? std::log(-std::expm1(eta)) : std::log1p(-std::exp(eta));
        return {{eta, 1.0, 0.0, 0.0}, {failure, -odds, d2, d2 * (1.0 + 2.0 * odds)}};
    }
};

struct IdentityProbabilityLink {
    static bool contains(double eta) { return eta > domain_margin && eta < 1.0; }
    static double predictor(double mean) { return mean; }
    static LogProbabilities at(double eta) {
        const double a = 1.0 / eta, b = 1.0 / (1.0 - eta);
        return {{std::log(eta), a, -a * a, 2.0 * a * a * a}, {std::log1p(-eta), -b, -b * b, -2.0 * b * b * b}};
    }
};

}  // namespace pymixed
