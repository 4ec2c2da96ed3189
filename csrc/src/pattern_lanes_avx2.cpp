// Compiled for AVX2 and FMA where the compiler and the architecture have them; see pattern_lanes.hpp.

#include "pattern_lanes.hpp"

#include "avx2.hpp"

#ifdef PYMIXED_AVX2

#include <algorithm>
#include <cmath>
#include <limits>

namespace pymixed {
namespace {
#include "pattern_lanes.inl"
}  // namespace

namespace detail {
const LaneKernels* lane_kernels_avx2() {
    static const LaneKernels kernels{sum_responses, evaluate_lanes, newton_step};
    return &kernels;
}
}  // namespace detail
}  // namespace pymixed

#else

namespace pymixed::detail {
const LaneKernels* lane_kernels_avx2() {
    return nullptr;
}
}  // namespace pymixed::detail

#endif
