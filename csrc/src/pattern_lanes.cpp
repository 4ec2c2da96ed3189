#include "pattern_lanes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "instruction_set.hpp"

namespace pymixed {
namespace {
#include "pattern_lanes.inl"
}  // namespace

std::ptrdiff_t lane_work_size(const LaneModel& model) {
    const std::ptrdiff_t c2 = model.c * model.c, P = model.P, m = model.m;
    return P * P + 2 * model.n_patterns * c2 + m * c2 + 2 * c2 * P + m * m + P * P + P + m * P + m;
}

const LaneKernels& detail::lane_kernels_baseline() {
    static const LaneKernels kernels{sum_responses, evaluate_lanes, newton_step};
    return kernels;
}

const LaneKernels& lane_kernels() {
    return kernels_in_use(detail::lane_kernels_baseline(), detail::lane_kernels_avx2());
}

}  // namespace pymixed
