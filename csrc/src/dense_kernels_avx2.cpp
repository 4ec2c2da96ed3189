// Compiled for AVX2 and FMA where the compiler and the architecture have them; see dense_kernels.hpp.

#include "dense_kernels.hpp"

#include "avx2.hpp"

#ifdef PYMIXED_AVX2

#include <cmath>

#define VECTOR 4

namespace pymixed {
namespace {
#include "dense_kernels.inl"
}  // namespace

namespace detail {
const DenseKernels* dense_kernels_avx2() {
    static const DenseKernels kernels{
        multiply_add, cholesky, inverse_from_cholesky, solve_lower, solve_lower_transposed, multiply_symmetric, "avx2"};
    return &kernels;
}
}  // namespace detail
}  // namespace pymixed

#else

namespace pymixed::detail {
const DenseKernels* dense_kernels_avx2() {
    return nullptr;
}
}  // namespace pymixed::detail

#endif
