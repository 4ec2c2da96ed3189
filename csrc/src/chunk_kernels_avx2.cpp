// Compiled for AVX2 and FMA where the compiler and the architecture have them; see chunk_kernels.hpp.

#include "chunk_kernels.hpp"

#include "avx2.hpp"

#ifdef PYMIXED_AVX2

#define VECTOR 4

namespace pymixed {
namespace {
#include "chunk_kernels.inl"
}  // namespace

namespace detail {
const ChunkKernels* chunk_kernels_avx2() {
    static const ChunkKernels kernels{add_products, add_column_sums, add_to_levels};
    return &kernels;
}
}  // namespace detail
}  // namespace pymixed

#else

namespace pymixed::detail {
const ChunkKernels* chunk_kernels_avx2() {
    return nullptr;
}
}  // namespace pymixed::detail

#endif
