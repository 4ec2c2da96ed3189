#pragma once
/// @file
/// Random numbers for simulation, with a stream of their own for every replicate: what a replicate draws depends on
/// neither the number of threads nor their order.
///
/// The generator is counter based: the t-th block of stream s is philox4x64({t, 0, s, 0}, {seed, 0}), a bijection of
/// the counter for every seed, so that no two streams ever share a block. The draws above it are exact up to the
/// rounding of their arithmetic. One build of this library draws the same numbers on every machine, up to the last
/// digit of the C library's exponential and logarithm; `bits`, `uniform` and `below` use neither, `normal` only beyond
/// 3.65 (elsewhere they decide between two layers, which rounding alters once in 1e16 draws). Not for cryptography.
///
/// J. Salmon, M. Moraes, R. Dror & D. Shaw 2011, Parallel random numbers: as easy as 1, 2, 3 (SC11).

#include <array>
#include <cstddef>
#include <cstdint>

namespace pymixed {

/// Philox with ten rounds; its known answers are those of the authors' library Random123.
std::array<std::uint64_t, 4> philox4x64(std::array<std::uint64_t, 4> counter, std::array<std::uint64_t, 2> key);

/// Parameters are positive and finite unless said otherwise. A copy draws the same numbers as its original.
class Random {
 public:
    /// Streams of a seed are independent of one another.
    explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

    /// 64 random bits.
    std::uint64_t bits() {
        if (used_ == buffer_.size())
            refill();
        return buffer_[used_++];
    }
    /// A multiple of 2^-53, neither 0 nor 1.
    double uniform() {
        for (;;)
            if (const auto k = static_cast<std::int64_t>(bits() >> 11); k != 0)
                return static_cast<double>(k) * 0x1p-53;
    }
    /// One of 0 .. n - 1, each with the same probability; n > 0.
    std::uint64_t below(std::uint64_t n);

    double normal();       ///< mean 0, variance 1
    double exponential();  ///< mean 1
    /// Mean and variance are the shape.
    double gamma(double shape);
    double chi_squared(double df) { return 2.0 * gamma(0.5 * df); }  ///< df degrees of freedom
    double student_t(double df);                                     ///< df degrees of freedom
    double beta(double a, double b);                                 ///< mean a / (a + b)
    /// Variance dispersion mean^3.
    double inverse_gaussian(double mean, double dispersion);

    /// A count, as a double: it may be beyond the integers. mean >= 0.
    double poisson(double mean);
    /// Number of successes; trials >= 0 is whole, the probability within [0, 1].
    double binomial(double trials, double probability);

 private:
    void refill();
    double normal_at_edge(std::size_t layer, double x);
    double log_gamma_variate(double shape);

    std::uint64_t seed_, stream_, block_ = 0;
    std::array<std::uint64_t, 64> buffer_;
    std::size_t used_ = buffer_.size();
};

}  // namespace pymixed
