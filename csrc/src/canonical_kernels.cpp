#include "canonical_kernels.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace pymixed {
namespace {
#include "canonical_kernels.inl"
}  // namespace

const CanonicalKernels& detail::canonical_kernels_baseline() {
    static const CanonicalKernels kernels{binomial_logit, poisson_log};
    return kernels;
}

const CanonicalKernels& canonical_kernels() {
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
    static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && detail::canonical_kernels_avx2() != nullptr)
        return *detail::canonical_kernels_avx2();
#endif
    return detail::canonical_kernels_baseline();
}

}  // namespace pymixed
