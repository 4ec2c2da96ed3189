#pragma once
// The criterion of a linear model with one grouping factor and few patterns (leading.hpp), its gradient and curvature
// (deviance.hpp) for several responses at a time, each in a lane of the processor's vectors with a theta of its own.
//
// The design is the same for all lanes, the sums with the response are not. A lane's numbers depend on its own inputs
// alone, whatever the other lanes hold. The file pattern_lanes.inl is compiled for the baseline instruction set and for
// AVX2 + FMA; the choice is made at run time, once.
//
// Does not treat templates near singularity, steps that do not descend, or curvatures that are not positive definite:
// such lanes are for minimise_newton().

#include <cstddef>

namespace pymixed {

/// A value per lane.
struct alignas(64) Lane {
    static constexpr int width = 8;
#if defined(__GNUC__) || defined(__clang__)
    typedef double Part __attribute__((vector_size(32)));  // vector instructions are not left to chance
    static constexpr int n_parts = 2;
#else
    using Part = double;
    static constexpr int n_parts = width;
#endif
    union {
        double of[width];
        Part part[n_parts];
    };
};

/// What all lanes share; borrowed. Matrices by rows.
struct LaneModel {
    std::ptrdiff_t c, P, m, n_patterns;  ///< columns of the factor; of [X y]; parameters; patterns
    bool reml;
    double nu, constant;      ///< n - p or n; what the criterion adds that depends on the design alone
    const double* A;          ///< n_patterns x c x c
    const double* count;      ///< levels of each pattern
    const double* basis;      ///< c x c: T = basis Lower(theta)
    const int *row, *column;  ///< m: of the entries of theta
};

/// What belongs to a lane.
struct LaneState {
    // given
    Lane* theta;    ///< m
    Lane* XytXy;    ///< P x P, the lower triangle
    Lane* moments;  ///< n_patterns x packed(c, 0) x P x P, see Leading::moments
    // found; NaN where a factor is not positive definite
    Lane value, pwrss;
    Lane* gradient;   ///< m
    Lane* curvature;  ///< m x m
    Lane* W;          ///< P x P: [RX^-1, (-beta, 1)'], upper triangle
    Lane* work;       ///< lane_work_size()
};

/// Rows of the design, sorted by level of the factor; borrowed.
struct LaneRows {
    std::ptrdiff_t n, p, c, n_levels;
    const double* X;             ///< n x p, by columns
    const double* weights;       ///< n; null: all 1
    const double* z;             ///< n x c, by rows; null: the constant 1
    const int* level;            ///< n
    const int* pattern;          ///< of every level
    const double* ZtX;           ///< n_levels x c x (p+1), by rows: Z_g'W[X y] of some response
    const double* XtWX_inverse;  ///< p x p
    double sum_weights;
};

/// The sums that responses enter, as in response_sums.hpp.
struct LaneSums {
    const Lane* y;    ///< n, less the offset
    Lane* gamma;      ///< p
    Lane* XytXy_row;  ///< P: X~'W y~, y~'W y~
    Lane* moments;    ///< as in LaneState; only entries that the response has a part in are written
    Lane scale;
    Lane* work;  ///< n + n_levels x c
};

/// Lanes of scratch memory.
std::ptrdiff_t lane_work_size(const LaneModel& model);
constexpr std::ptrdiff_t most_lane_columns = 3;  ///< of the factor
constexpr double response_rounding = 1e-10;      ///< as in ResponseSums

struct LaneKernels {
    void (*sum_responses)(const LaneRows& rows, std::ptrdiff_t n_patterns, LaneSums& sums);
    /// Criterion and derivatives at theta.
    void (*evaluate)(const LaneModel& model, LaneState& state);
    /// step = -H^-1 g, and -g'step / 2; NaN where H is not positive definite. `work`: m x m.
    void (*newton_step)(std::ptrdiff_t m, const Lane* H, const Lane* g, Lane* step, Lane& gain, Lane* work);
};

const LaneKernels& lane_kernels();

namespace detail {
const LaneKernels& lane_kernels_baseline();
const LaneKernels* lane_kernels_avx2();  // null where the compiler or the architecture has no AVX2
}  // namespace detail

}  // namespace pymixed
