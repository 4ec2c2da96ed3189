#include "special_functions.hpp"

#include <math.h>  // lgamma_r

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace pymixed {
namespace {

constexpr double half_log_2pi = 0.91893853320467274178;

// Asymptotic series in w = 1/x, NIST Digital Library of Mathematical Functions 5.11.1, 5.11.2 and their derivatives. At
// x >= 16 what is left out is below the rounding of the sum. Coefficients of w^0, w^1, ..
constexpr double from = 16.0;
constexpr std::array stirling{0.0, 1.0 / 12,   0.0, -1.0 / 360,      0.0, 1.0 / 1260, 0.0, -1.0 / 1680,
                              0.0, 1.0 / 1188, 0.0, -691.0 / 360360, 0.0, 1.0 / 156};
// psi(x) - log(x)
constexpr std::array psi0{0.0,       -0.5, -1.0 / 12,  0.0, 1.0 / 120,     0.0, -1.0 / 252, 0.0,
                          1.0 / 240, 0.0,  -1.0 / 132, 0.0, 691.0 / 32760, 0.0, -1.0 / 12};
constexpr std::array psi1{0.0, 1.0,       0.5, 1.0 / 6,  0.0, -1.0 / 30,     0.0, 1.0 / 42,
                          0.0, -1.0 / 30, 0.0, 5.0 / 66, 0.0, -691.0 / 2730, 0.0, 7.0 / 6};
constexpr std::array psi2{0.0, 0.0, -1.0, -1.0,     -0.5, 0.0,         1.0 / 6, 0.0,      -1.0 / 6,
                          0.0, 0.3, 0.0,  -5.0 / 6, 0.0,  691.0 / 210, 0.0,     -35.0 / 2};

template <class Series>
double evaluate(const Series& series, double w) {
    double sum = 0.0;
    for (std::size_t k = series.size(); k-- > 0;)
        sum = sum * w + series[k];
    return sum;
}

/// (P(v) - P(u)) / (v - u) by Horner's scheme for both at once: no difference of close numbers is taken.
template <class Series>
double divided_difference(const Series& series, double u, double v) {
    double sum = 0.0, quotient = 0.0;
    for (std::size_t k = series.size(); k-- > 0;) {
        quotient = quotient * v + sum;
        sum = sum * u + series[k];
    }
    return quotient;
}

/// log(1 + x) - x to full relative accuracy near 0.
double log1p_minus(double x) {
    if (std::abs(x) > 0.25)
        return std::log1p(x) - x;
    // log(1 + x) = 2 atanh(z) with z = x/(2 + x), and x = 2 z/(1 - z)
    const double z = x / (2.0 + x), square = z * z;
    double sum = 0.0;
    for (int k = 19; k >= 3; k -= 2)
        sum = sum * square + 1.0 / k;
    return z * (2.0 * square * sum - x);
}

/// log(Phi) and its derivatives at -x, x >= 5, by Laplace's continued fraction for Mills' ratio (DLMF 7.9.1):
/// phi/Phi = x + t1, t1 = 1/(x + t2), t2 = 2/(x + t3), .. ; all derivatives are products of such terms.
Jet normal_log_far_tail(double x) {
    constexpr int n = 30;  // reaches rounding at x = 5
    double t = 0.0;
    for (int k = n; k > 3; --k)
        t = k / (x + t);
    const double t3 = 3.0 / (x + t), t2 = 2.0 / (x + t3), t1 = 1.0 / (x + t2), ratio = x + t1;
    return {-0.5 * x * x - half_log_2pi - std::log(ratio), ratio, -ratio * t1, ratio * t1 * t1 * t2 * (t3 - t2)};
}

}  // namespace

double digamma(double x) {
    double shift = 0.0;
    for (; x < from; x += 1.0)
        shift -= 1.0 / x;
    return shift + std::log(x) + evaluate(psi0, 1.0 / x);
}

double trigamma(double x) {
    double shift = 0.0;
    for (; x < from; x += 1.0)
        shift += 1.0 / (x * x);
    return shift + evaluate(psi1, 1.0 / x);
}

double tetragamma(double x) {
    double shift = 0.0;
    for (; x < from; x += 1.0)
        shift -= 2.0 / (x * x * x);
    return shift + evaluate(psi2, 1.0 / x);
}

double log_gamma(double x) {
#ifdef _WIN32  // has no such variable
    return std::lgamma(x);
#else
    int sign;
    return ::lgamma_r(x, &sign);
#endif
}

double log1p_minus_share(double x) {
    const double share = x / (1.0 + x);
    return std::abs(x) > 0.25 ? std::log1p(x) - share : log1p_minus(x) + x * share;
}

double log_factorial(double y) {
    static const std::array<double, 256> table = [] {
        std::array<double, 256> values{};
        for (std::size_t k = 0; k < values.size(); ++k)
            values[k] = log_gamma(static_cast<double>(k) + 1.0);
        return values;
    }();
    if (y < static_cast<double>(table.size())) {
        const auto k = static_cast<std::size_t>(y);
        if (static_cast<double>(k) == y)
            return table[k];
    }
    return log_gamma(y + 1.0);
}

double stirling_remainder(double y) {
    if (y < from)
        return log_factorial(y - 1.0) - (y - 0.5) * std::log(y) + y - half_log_2pi;
    return evaluate(stirling, 1.0 / y);
}

double log_gamma_ratio(double s, double y) {
    if (s < from)
        return log_gamma(s + y) - log_gamma(s) - y * std::log(s);
    const double x = y / s, u = 1.0 / s, v = 1.0 / (s + y);
    return s * log1p_minus(x) + (y - 0.5) * std::log1p(x) - x * v * divided_difference(stirling, u, v);
}

double digamma_difference(double s, double y) {
    if (s < from)
        return s * (digamma(s + y) - digamma(s)) - y;
    const double u = 1.0 / s, v = 1.0 / (s + y);
    return s * log1p_minus(y / s) - y * v * divided_difference(psi0, u, v);
}

PolygammaDifferences polygamma_differences(double s, double y) {
    const double first = digamma_difference(s, y);
    if (s < from) {
        s = std::max(s, 1e-100);  // its inverse cube must be finite
        return {first, s * s * (trigamma(s + y) - trigamma(s)), s * s * s * (tetragamma(s + y) - tetragamma(s))};
    }
    const double u = 1.0 / s, v = 1.0 / (s + y), difference = -y * v * s;  // s^2 (v - u)
    return {first, difference * divided_difference(psi1, u, v), difference * (s * divided_difference(psi2, u, v))};
}

NormalTails normal_log_tails(double x) {
    constexpr double inverse_root_2 = 0.70710678118654752440, inverse_root_2pi = 0.39894228040143267794;
    const double z = std::abs(x), tail = 0.5 * std::erfc(z * inverse_root_2);
    const double density = inverse_root_2pi * std::exp(-0.5 * z * z);
    // log of Phi at `at` from the ratio density/Phi
    const auto log_of = [](double value, double at, double ratio) -> Jet {
        const double sum = at + ratio;
        return {value, ratio, -ratio * sum, ratio * (sum * sum - 1.0 + ratio * sum)};
    };
    const Jet large = log_of(std::log1p(-tail), z, density / (1.0 - tail));
    const Jet small = z > 5.0 ? normal_log_far_tail(z) : log_of(std::log(tail), -z, density / tail);
    const auto mirrored = [](const Jet& f) -> Jet { return {f.value, -f.d1, f.d2, -f.d3}; };
    return x < 0.0 ? NormalTails{small, mirrored(large)} : NormalTails{large, mirrored(small)};
}

double softplus(double x) {
    return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

double logistic(double x) {
    const double u = std::exp(-std::abs(x));
    return (x < 0.0 ? u : 1.0) / (1.0 + u);
}

}  // namespace pymixed
