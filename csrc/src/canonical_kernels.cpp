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
    return kernels_in_use(detail::canonical_kernels_baseline(), detail::canonical_kernels_avx2());
}

}  // namespace pymixed
