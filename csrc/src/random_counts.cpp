// Random counts: inversion where few are likely, else transformed rejection, whose cost does not grow with the mean.
//
// W. Hoermann 1993, The transformed rejection method for generating Poisson random variables (Insurance: Mathematics
// and Economics 12, 39-45), and The generation of binomial random variates (Journal of Statistical Computation and
// Simulation 46, 101-110). Probabilities are in C. Loader's form (2000, Fast and accurate computation of binomial
// probabilities), in which nothing cancels however large the counts are.

#include <algorithm>
#include <cmath>

#include "pymixed/random.hpp"
#include "special_functions.hpp"

namespace pymixed {
namespace {

constexpr double two_pi = 6.28318530717958647693;
constexpr double largest_by_search = 10.0;  ///< a mean from which on rejection is faster, and its constants hold

/// k log(k/mean) - k + mean, k > 0.
double half_deviance(double k, double mean) {
    return k * log1p_minus_share((k - mean) / mean);
}

double log_poisson(double k, double mean) {
    if (k == 0.0)
        return -mean;
    return -half_deviance(k, mean) - stirling_remainder(k) - 0.5 * std::log(two_pi * k);
}

double log_binomial(double k, double n, double p) {
    if (k == 0.0)
        return n * std::log1p(-p);
    if (k == n)
        return n * std::log(p);
    return stirling_remainder(n) - stirling_remainder(k) - stirling_remainder(n - k) - half_deviance(k, n * p) -
           half_deviance(n - k, n * (1.0 - p)) + 0.5 * std::log(n / (two_pi * k * (n - k)));
}

/// The table mountain of both papers: k = floor(G(U)) with G(U) = (2 a/(1/2 - |U|) + b) U + centre and U uniform
/// around 0, accepted with the probability f(k) G'(U) / hat.
struct Mountain {
    double a, b, centre;
    double hat;      ///< f(k) G'(U) is at most this
    double squeeze;  ///< f(k) G'(U) / hat is at least this where 1/2 - |U| >= 0.07
};

/// `below(k, log_height)`: whether log_height <= log f(k).
template <class Below>
double climb(Random& random, const Mountain& mountain, Below below) {
    for (;;) {
        const double u = random.uniform() - 0.5, v = random.uniform(), side = 0.5 - std::abs(u);
        const double k = std::floor((2.0 * mountain.a / side + mountain.b) * u + mountain.centre);
        if (side >= 0.07 && v <= mountain.squeeze)
            return k;
        const double slope = mountain.a / (side * side) + mountain.b;
        if (below(k, std::log(v * mountain.hat / slope)))
            return k;
    }
}

/// Inversion: the first k at which the sum of the probabilities exceeds a uniform number. `ratio(k)`: f(k + 1)/f(k).
template <class Ratio>
double search(Random& random, double at_zero, double largest, Ratio ratio) {
    for (;;) {
        double rest = random.uniform(), probability = at_zero;
        for (double k = 0.0; k <= largest; k += 1.0) {
            if (rest < probability)
                return k;
            rest -= probability;
            probability *= ratio(k);
        }
        // within rounding of 1: again
    }
}

}  // namespace

double Random::poisson(double mean) {
    if (mean < largest_by_search) {
        constexpr double largest = 100.0;  // exceeded with a probability below 1e-60
        return search(*this, std::exp(-mean), largest, [=](double k) { return mean / (k + 1.0); });
    }
    if (!std::isfinite(mean))
        return mean;
    // The paper's hat is up to 0.6 per cent too low, its squeeze as much too high, at some means below 2000. With the
    // factors 1.01 and 1/1.02 both hold for every mean from 10 on.
    const double b = 0.931 + 2.53 * std::sqrt(mean), a = -0.059 + 0.02483 * b;
    const Mountain mountain{a, b, mean + 0.43, 1.01 * (1.1239 + 1.1328 / (b - 3.4)),
                            (0.9277 - 3.6224 / (b - 2.0)) / 1.02};
    return climb(*this, mountain,
                 [=](double k, double log_height) { return k >= 0.0 && log_height <= log_poisson(k, mean); });
}

double Random::binomial(double trials, double probability) {
    const double n = trials, p = probability, mean = n * p;
    if (p > 0.5)
        return n - binomial(n, 1.0 - p);
    if (!std::isfinite(mean))
        return mean;
    if (n == 1.0)
        return uniform() < p ? 1.0 : 0.0;
    if (mean < largest_by_search) {
        const double odds = p / (1.0 - p);
        return search(*this, std::exp(n * std::log1p(-p)), std::min(n, 100.0),
                      [=](double k) { return odds * (n - k) / (k + 1.0); });
    }
    const double deviation = std::sqrt(mean * (1.0 - p)), b = 1.15 + 2.53 * deviation;
    const double a = -0.0873 + 0.0248 * b + 0.01 * p;
    // f over its largest value takes the place of f
    const Mountain mountain{a, b, mean + 0.5, (2.83 + 5.1 / b) * deviation, 0.92 - 4.2 / b};
    return climb(*this, mountain, [=](double k, double log_height) {
        return k >= 0.0 && k <= n &&
               log_height <= log_binomial(k, n, p) - log_binomial(std::floor((n + 1.0) * p), n, p);
    });
}

}  // namespace pymixed
