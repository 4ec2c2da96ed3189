// Random numbers: known answers of the generator, independence of streams, moments of every distribution. Shapes of
// the distributions are for tests/test_simulate_family.py.
#include "check.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "pymixed/random.hpp"
#include "special_functions.hpp"
#include "ziggurat.hpp"

namespace {

using namespace pymixed;
using Block = std::array<std::uint64_t, 4>;

/// Mean and variance of n draws against the expected ones, within five standard errors, and rounding where a squared
/// deviation is constant; `kurtosis`: the fourth central moment over the squared variance.
void check_moments(const std::string& name, const std::function<double(Random&)>& draw, double mean, double variance,
                   double kurtosis) {
    constexpr int n = 400000;
    Random random(1, 2);
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
        const double x = draw(random) - mean;
        sum += x;
        squares += x * x;
    }
    const double mean_error = std::abs(sum / n), variance_error = std::abs(squares / n - variance);
    const double mean_bound = 5 * std::sqrt(variance / n);
    const double variance_bound = variance * (5 * std::sqrt(std::max(kurtosis - 1, 0.0) / n) + 1e-9);
    const bool right = mean_error < mean_bound && variance_error < variance_bound;
    CHECK(right);
    if (!right)
        std::printf("  %s: mean off by %.3g (%.3g), variance by %.3g (%.3g)\n", name.c_str(), mean_error, mean_bound,
                    variance_error, variance_bound);
}

}  // namespace

TEST("philox: the known answers of Random123") {
    constexpr std::uint64_t ones = ~std::uint64_t{0};
    CHECK((philox4x64({0, 0, 0, 0}, {0, 0}) ==
           Block{0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}));
    CHECK((philox4x64({ones, ones, ones, ones}, {ones, ones}) ==
           Block{0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0}));
    CHECK((philox4x64({0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89},
                      {0x452821e638d01377, 0xbe5466cf34e90c6c}) ==
           Block{0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6}));
}

TEST("a stream is the blocks of its counter, and a copy goes on like its original") {
    Random random(2026, 7);
    for (std::uint64_t block = 0; block < 100; ++block)
        for (const std::uint64_t expected : philox4x64({block, 0, 7, 0}, {2026, 0}))
            CHECK(random.bits() == expected);
    Random copy = random;
    for (int i = 0; i < 100; ++i)
        CHECK(copy.normal() == random.normal());
    // NumPy's Philox of the same key, its counter one less
    Random again(2026, 7);
    for (const std::uint64_t expected :
         Block{0x2a521bc7e4eb4da0, 0xfbbb3496fb14e17e, 0xe2c89fe4fe94aada, 0xe5ae10bb487a4481})
        CHECK(again.bits() == expected);
}

TEST("streams and seeds do not agree with one another") {
    // bits of different streams, of neighbouring seeds and of swapped seed and stream are equal half of the time
    const auto agreement = [](Random a, Random b) {
        int equal = 0;
        constexpr int n = 20000;
        for (int i = 0; i < n; ++i)
            for (std::uint64_t rest = ~(a.bits() ^ b.bits()); rest != 0; rest &= rest - 1)
                ++equal;
        return (equal / (64.0 * n) - 0.5) / (0.5 / std::sqrt(64.0 * n));
    };
    CHECK(std::abs(agreement(Random(1, 0), Random(1, 1))) < 4);
    CHECK(std::abs(agreement(Random(1, 0), Random(2, 0))) < 4);
    CHECK(std::abs(agreement(Random(1, 2), Random(2, 1))) < 4);
    CHECK(std::abs(agreement(Random(0, 0), Random(0, ~std::uint64_t{0}))) < 4);
    // the first normals of many streams are independent: their mean, variance and lagged products
    constexpr int n = 100000;
    double sum = 0, squares = 0, products = 0, last = 0;
    for (int s = 0; s < n; ++s) {
        const double x = Random(5, s).normal();
        sum += x;
        squares += x * x;
        products += x * last;
        last = x;
    }
    CHECK(std::abs(sum) < 4 * std::sqrt(n));
    CHECK(std::abs(squares - n) < 4 * std::sqrt(2.0 * n));
    CHECK(std::abs(products) < 4 * std::sqrt(n));
}

TEST("the layers of the ziggurat have one area, and the base with its tail too") {
    const auto height = [](double x) { return std::exp(-0.5 * x * x); };
    const double edge = ziggurat_edges[1];
    const double tail = std::sqrt(1.57079632679489661923) * std::erfc(edge * 0.70710678118654752440);
    const double area = edge * height(edge) + tail;
    CHECK_CLOSE(ziggurat_edges[0] * height(edge), area, 1e-14);
    // an edge rounded by u moves a layer of 1/256 of the area by up to 1000 u of its own
    for (std::size_t i = 1; i < 256; ++i)
        CHECK_CLOSE(ziggurat_edges[i] * (height(ziggurat_edges[i + 1]) - height(ziggurat_edges[i])), area, 1e-12);
    CHECK(ziggurat_edges[256] == 0);
}

TEST("uniform numbers are inside (0, 1), integers below n fair") {
    Random random(3);
    for (int i = 0; i < 100000; ++i) {
        const double u = random.uniform();
        CHECK(u > 0 && u < 1 && u * 0x1p53 == std::floor(u * 0x1p53));
    }
    constexpr int n = 700000;
    std::array<int, 7> counts{};
    for (int i = 0; i < n; ++i)
        ++counts[random.below(7)];
    double chi_squared = 0;
    for (const int count : counts)
        chi_squared += (count - n / 7.0) * (count - n / 7.0) / (n / 7.0);
    CHECK(chi_squared < 22.5);  // p > 0.001 with 6 degrees of freedom
    // 3 2^62: a product without rejection would give the first third twice as often as it should
    int low = 0;
    for (int i = 0; i < n; ++i)
        low += random.below(std::uint64_t{3} << 62) < (std::uint64_t{1} << 62) ? 1 : 0;
    CHECK(std::abs(low - n / 3.0) < 4 * std::sqrt(n * 2.0 / 9.0));
    CHECK(random.below(1) == 0);
}

TEST("moments") {
    check_moments("uniform", [](Random& r) { return r.uniform(); }, 0.5, 1 / 12.0, 1.8);
    check_moments("normal", [](Random& r) { return r.normal(); }, 0, 1, 3);
    check_moments("exponential", [](Random& r) { return r.exponential(); }, 1, 1, 9);
    for (const double a : {0.05, 0.4, 0.999, 1.0, 2.5, 100.0, 1e5})
        check_moments("gamma", [a](Random& r) { return r.gamma(a); }, a, a, 3 + 6 / a);
    check_moments("chi squared", [](Random& r) { return r.chi_squared(3); }, 3, 6, 3 + 12 / 3.0);
    check_moments("student t", [](Random& r) { return r.student_t(12); }, 0, 1.2, 3 + 6 / 8.0);
    for (const double a : {0.3, 1.0, 4.0})
        for (const double b : {0.7, 3.0}) {
            const double s = a + b, excess = (a - b) * (a - b) * (s + 1) - a * b * (s + 2);
            check_moments(
                "beta", [a, b](Random& r) { return r.beta(a, b); }, a / s, a * b / (s * s * (s + 1)),
                3 + 6 * excess / (a * b * (s + 2) * (s + 3)));
        }
    for (const double phi : {0.01, 0.5, 2.0})
        check_moments(
            "inverse gaussian", [phi](Random& r) { return r.inverse_gaussian(1.5, phi); }, 1.5, phi * 1.5 * 1.5 * 1.5,
            3 + 15 * 1.5 * phi);
    for (const double m : {0.1, 3.0, 9.99, 10.0, 14.0, 31.0, 200.0, 1e6, 1e12})
        check_moments("poisson", [m](Random& r) { return r.poisson(m); }, m, m, 3 + 1 / m);
    for (const double n : {1.0, 7.0, 20.0, 1000.0, 1e9})
        for (const double p : {0.01, 0.3, 0.5, 0.51, 0.98}) {
            const double variance = n * p * (1 - p);
            check_moments(
                "binomial", [n, p](Random& r) { return r.binomial(n, p); }, n * p, variance,
                3 + (1 - 6 * p * (1 - p)) / variance);
        }
}

TEST("normal numbers: cells, the tail beyond the base of the ziggurat, both signs") {
    constexpr int n = 4000000;
    Random random(11);
    std::array<double, 10> edges{0, 0.1, 0.2152, 0.5, 1, 1.5, 2.5, 3.3, 3.6541528853610088, 4.2};
    std::array<double, 20> counts{};
    for (int i = 0; i < n; ++i) {
        const double x = random.normal();
        std::size_t cell = 0;
        while (cell + 1 < edges.size() && std::abs(x) >= edges[cell + 1])
            ++cell;
        ++counts[2 * cell + (x < 0 ? 1 : 0)];
    }
    const auto above = [](double x) { return 0.5 * std::erfc(x * 0.70710678118654752440); };
    double chi_squared = 0;
    for (std::size_t cell = 0; cell < edges.size(); ++cell) {
        const double p = above(edges[cell]) - (cell + 1 < edges.size() ? above(edges[cell + 1]) : 0.0);
        for (std::size_t sign = 0; sign < 2; ++sign)
            chi_squared += std::pow(counts[2 * cell + sign] - n * p, 2) / (n * p);
    }
    CHECK(chi_squared < 43.8);  // p > 0.001 with 19 degrees of freedom
}

TEST("limits") {
    Random random(4);
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    CHECK(random.poisson(0) == 0);
    CHECK(std::isnan(random.poisson(nan)) && random.poisson(infinity) == infinity);
    CHECK_CLOSE(random.poisson(1e200), 1e200, 1e-15);
    CHECK(random.binomial(0, 0.3) == 0 && random.binomial(50, 0) == 0 && random.binomial(50, 1) == 50);
    CHECK(std::isnan(random.binomial(30, nan)));
    CHECK_CLOSE(random.gamma(1e200), 1e200, 1e-15);
    CHECK(random.gamma(1e-200) == 0);  // but for one in 1e197
    for (int i = 0; i < 100; ++i) {
        const double y = random.beta(1e-6, 1e-6);  // both gamma variables underflow
        CHECK(y >= 0 && y <= 1);
        CHECK(std::isfinite(random.inverse_gaussian(1e80, 1e80)));
    }
}

TEST("first values: an unchanged version draws what it drew") {
    // by this library itself; tolerances are for other C libraries
    Random random(2026, 7);
    CHECK(random.bits() == 0x2a521bc7e4eb4da0);
    CHECK_CLOSE(random.uniform(), 0.9833252781491697, 1e-15);
    CHECK_CLOSE(random.normal(), -0.20146066290610856, 1e-15);
    CHECK_CLOSE(random.exponential(), 0.10849065769339344, 1e-15);
    CHECK_CLOSE(random.gamma(0.3), 0.0011059215476112866, 1e-14);  // two functions of the C library, one of the other
    CHECK_CLOSE(random.gamma(4.5), 3.0818578023051595, 1e-15);
    CHECK_CLOSE(random.student_t(5), 0.029692466831611523, 1e-15);
    CHECK_CLOSE(random.beta(0.5, 2), 0.27266891333986459, 1e-14);
    CHECK_CLOSE(random.beta(2, 3), 0.16738296370261846, 1e-15);
    CHECK_CLOSE(random.inverse_gaussian(2, 0.5), 1.5290984532587, 1e-15);
    CHECK(random.poisson(2.5) == 5);
    CHECK(random.poisson(40) == 38);
    CHECK(random.binomial(20, 0.3) == 2);
    CHECK(random.binomial(1000, 0.7) == 727);
    CHECK(random.below(1000) == 110);
}
