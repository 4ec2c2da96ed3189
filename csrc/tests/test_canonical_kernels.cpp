// The loops of binomial-logit and poisson-log against the standard library's functions, in every instruction set.
#include "check.hpp"

#include "canonical_kernels.hpp"

namespace {

using namespace pymixed;

std::vector<const CanonicalKernels*> all_kernels() {
    std::vector<const CanonicalKernels*> out{&detail::canonical_kernels_baseline()};
    if (&canonical_kernels() != out.front())
        out.push_back(&canonical_kernels());
    return out;
}

/// What a kernel gives, at full order.
struct Rows {
    std::vector<double> y, eta, l, d1, d2, d3;
    explicit Rows(CanonicalKernel kernel, double largest, bool counts) {
        for (double size = 1e-9; size < largest; size *= 1.01)
            for (const double x : {-size, size}) {
                eta.push_back(x);
                y.push_back(static_cast<double>(eta.size() / 2 % (counts ? 5 : 2)));
            }
        eta.push_back(0.0);  // an odd number: vectors leave a rest
        y.push_back(1.0);
        for (auto* out : {&l, &d1, &d2, &d3})
            out->resize(y.size(), std::nan(""));
        kernel(static_cast<std::ptrdiff_t>(y.size()), y.data(), eta.data(), l.data(), d1.data(), d2.data(), d3.data());
    }
};

}  // namespace

TEST("binomial-logit to the last digits") {
    for (const CanonicalKernels* kernels : all_kernels()) {
        const Rows rows(kernels->binomial_logit, 705.0, false);
        for (std::size_t i = 0; i < rows.y.size(); ++i) {
            const double toward = rows.y[i] == 1.0 ? rows.eta[i] : -rows.eta[i];  // l = -log(1 + exp(-toward))
            const double u = std::exp(-std::abs(toward)), small = u / (1 + u), large = 1 / (1 + u);
            CHECK_CLOSE(rows.l[i], std::min(toward, 0.0) - std::log1p(u), 1e-15);
            CHECK_CLOSE(rows.d1[i], (toward > 0 ? small : large) * (rows.y[i] == 1.0 ? 1 : -1), 1e-15);
            CHECK_CLOSE(rows.d2[i], -small * large, 1e-15);
            const double d3 = -small * large * (large - small) * (rows.eta[i] < 0 ? 1 : -1);
            CHECK(std::abs(rows.d3[i] - d3) <= 1e-15 * small);  // it passes through 0
        }
    }
}

TEST("poisson-log to the last digits") {
    for (const CanonicalKernels* kernels : all_kernels()) {
        const Rows rows(kernels->poisson_log, 700.0, true);
        for (std::size_t i = 0; i < rows.y.size(); ++i) {
            const double mean = std::exp(rows.eta[i]), size = std::abs(rows.y[i] * rows.eta[i]) + mean;
            CHECK(std::abs(rows.l[i] - (rows.y[i] * rows.eta[i] - mean)) <= 1e-15 * size);
            CHECK(std::abs(rows.d1[i] - (rows.y[i] - mean)) <= 1e-15 * (rows.y[i] + mean));
            CHECK_CLOSE(rows.d2[i], -mean, 1e-15);
            CHECK(rows.d3[i] == rows.d2[i]);
        }
    }
}

TEST("lower orders give the same, and write nothing else") {
    for (const CanonicalKernels* kernels : all_kernels())
        for (const CanonicalKernel kernel : {kernels->binomial_logit, kernels->poisson_log}) {
            const Rows rows(kernel, 20.0, false);
            const auto n = static_cast<std::ptrdiff_t>(rows.y.size());
            std::vector<double> l(n), d1(n), d2(n);
            kernel(n, rows.y.data(), rows.eta.data(), l.data(), nullptr, nullptr, nullptr);
            CHECK(l == rows.l);
            kernel(n, rows.y.data(), rows.eta.data(), l.data(), d1.data(), d2.data(), nullptr);
            CHECK(l == rows.l && d1 == rows.d1 && d2 == rows.d2);
        }
}

TEST("no predictor is too far: the density falls, and what is not a number stays so") {
    for (const CanonicalKernels* kernels : all_kernels())
        for (const double eta : {1e3, 1e30, 1e300}) {
            const std::vector<double> y{0, 1, 0, 1, 1}, x{-eta, -eta, eta, eta, std::nan("")};
            std::vector<double> l(5), d1(5), d2(5), d3(5);
            kernels->binomial_logit(5, y.data(), x.data(), l.data(), d1.data(), d2.data(), d3.data());
            CHECK(l[0] > -1e-300 && l[1] == -eta && l[2] == -eta && l[3] > -1e-300 && std::isnan(l[4]));
            CHECK(std::isfinite(d1[0] + d1[3] + d2[0] + d2[3] + d3[0] + d3[3]));
            kernels->poisson_log(5, y.data(), x.data(), l.data(), d1.data(), d2.data(), d3.data());
            CHECK(l[1] <= -eta && l[2] <= -std::exp(700) && l[3] <= l[2] / 2 && std::isnan(l[4]));
            CHECK(std::isfinite(d1[2] + d2[2] + d3[2]));
        }
}
