#pragma once
// The two families of most models, binomial with logit and poisson with log link: loops without branches or calls,
// which compilers turn into vector instructions. Compiled for the baseline instruction set and for AVX2 + FMA from
// canonical_kernels.inl; the choice is made at run time, once.

#include <cstddef>

namespace pymixed {

/// l and its derivatives of n rows; d1 and d2 null: l alone; d3 null: not wanted. No two arrays overlap.
using CanonicalKernel = void (*)(std::ptrdiff_t n, const double* y, const double* eta, double* l, double* d1,
                                 double* d2, double* d3);

struct CanonicalKernels {
    CanonicalKernel binomial_logit, poisson_log;
};

/// The fastest set that this processor runs.
const CanonicalKernels& canonical_kernels();

namespace detail {
const CanonicalKernels& canonical_kernels_baseline();
const CanonicalKernels* canonical_kernels_avx2();  // null where the compiler or the architecture has no AVX2
}  // namespace detail

}  // namespace pymixed
