// Compiled for AVX2 and FMA where the compiler and the architecture have them; see canonical_kernels.hpp.

#include "canonical_kernels.hpp"

#include "avx2.hpp"

#ifdef PYMIXED_AVX2

#include <cmath>
#include <cstdint>
#include <cstring>

namespace pymixed {
namespace {
#include "canonical_kernels.inl"
}  // namespace

namespace detail {
const CanonicalKernels* canonical_kernels_avx2() {
    static const CanonicalKernels kernels{binomial_logit, poisson_log};
    return &kernels;
}
}  // namespace detail
}  // namespace pymixed

#else

namespace pymixed::detail {
const CanonicalKernels* canonical_kernels_avx2() {
    return nullptr;
}
}  // namespace pymixed::detail

#endif
