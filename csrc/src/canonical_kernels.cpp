#include "canonical_kernels.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "instruction_set.hpp"

namespace pymixed {
namespace {
#include "canonical_kernels.inl"
}  // namespace

const CanonicalKernels& detail::canonical_kernels_baseline() {
    static const CanonicalKernels kernels{binomial_logit, poisson_log};
    return kernels;
}

const CanonicalKernels& canonical_kernels() {
    static const CanonicalKernels& fastest = runs_avx2() && detail::canonical_kernels_avx2() != nullptr
                                                 ? *detail::canonical_kernels_avx2()
                                                 : detail::canonical_kernels_baseline();
    return fastest;
}

}  // namespace pymixed
