// Uniform integers and the continuous distributions.

#include "pymixed/random.hpp"

#include <cmath>

#include "special_functions.hpp"
#include "wide_product.hpp"
#include "ziggurat.hpp"

namespace pymixed {

// D. Lemire 2019, Fast random integer generation in an interval: the high half of bits() n is uniform once the
// 2^64 mod n lowest values of the low half are refused.
std::uint64_t Random::below(std::uint64_t n) {
    WideProduct product = wide_product(bits(), n);
    if (product.low < n) {
        const std::uint64_t refused = (0 - n) % n;
        while (product.low < refused)
            product = wide_product(bits(), n);
    }
    return product.high;
}

// G. Marsaglia & W. W. Tsang 2000, The ziggurat method for generating random variables. Layer and value come from
// different bits of a number, without which the method is not exact (J. A. Doornik 2005).
double Random::normal() {
    const std::uint64_t b = bits();
    const std::size_t layer = b & 255;
    // an odd multiple of 2^-53 within (-1, 1) times the width
    const double share = (static_cast<double>(static_cast<std::int64_t>(b) >> 11) + 0.5) * 0x1p-52;
    const double x = share * ziggurat_edges[layer];
    if (std::abs(x) < ziggurat_edges[layer + 1])
        return x;
    return normal_at_edge(layer, x);
}

double Random::normal_at_edge(std::size_t layer, double x) {
    const double outer = ziggurat_edges[layer], inner = ziggurat_edges[layer + 1];
    if (layer == 0) {  // the tail beyond x_1 (G. Marsaglia 1964)
        double excess, other;
        do {
            excess = exponential() / inner;
            other = exponential();
        } while (2.0 * other < excess * excess);
        return std::copysign(inner + excess, x);
    }
    // a point of uniform height between those of the edges, all over f(x)
    const double low = std::exp(-0.5 * (outer * outer - x * x)), high = std::exp(-0.5 * (inner * inner - x * x));
    return low + uniform() * (high - low) < 1.0 ? x : normal();
}

double Random::exponential() {
    return -std::log(uniform());
}

// G. Marsaglia & W. W. Tsang 2000, A simple method for generating gamma variables; X_a = X_{a+1} U^{1/a} for a < 1.
double Random::gamma(double shape) {
    if (shape < 1.0) {
        const double larger = gamma(shape + 1.0);
        return larger * std::exp(-exponential() / shape);
    }
    const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
    for (;;) {
        double x, w;
        do {
            x = normal();
            w = c * x;
        } while (w <= -1.0);
        const double root = 1.0 + w, v = root * root * root, square = x * x, u = uniform();
        if (u < 1.0 - 0.0331 * square * square)
            return d * v;
        // x^2/2 + d (1 - v + log(v)) by powers of w: its terms of order 1 cancel for any size of d
        const double rest = 3.0 * (log1p_minus_share(w) + w * w * (0.5 - 1.0 / root)) - w * w * w;
        if (std::log(u) < d * rest)
            return d * v;
    }
}

/// Logarithm of gamma(shape), which for small shapes underflows itself.
double Random::log_gamma_variate(double shape) {
    if (shape >= 1.0)
        return std::log(gamma(shape));
    const double log_larger = std::log(gamma(shape + 1.0));
    return log_larger - exponential() / shape;
}

double Random::beta(double a, double b) {
    if (a < 1.0 || b < 1.0) {
        const double log_x = log_gamma_variate(a);
        return logistic(log_x - log_gamma_variate(b));
    }
    const double x = gamma(a);
    return x / (x + gamma(b));
}

double Random::student_t(double df) {
    const double z = normal();
    return z * std::sqrt(df / chi_squared(df));
}

// J. R. Michael, W. R. Schucany & R. W. Haas 1976, Generating random variates using transformations with multiple
// roots: lambda (y - mean)^2 / (mean^2 y) is chi-squared with one degree of freedom; its roots are mean r and mean/r.
double Random::inverse_gaussian(double mean, double dispersion) {
    const double z = normal(), t = 0.5 * mean * dispersion * z * z;
    const double r = 1.0 / (1.0 + t + std::sqrt(t) * std::sqrt(2.0 + t));  // the smaller one, without cancellation
    return uniform() * (1.0 + r) < 1.0 ? mean * r : mean / r;
}

}  // namespace pymixed
