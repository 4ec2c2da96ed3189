#include "chunk_kernels.hpp"

#include "instruction_set.hpp"

#define VECTOR 2

namespace pymixed {
namespace {
#include "chunk_kernels.inl"
}  // namespace

const ChunkKernels& detail::chunk_kernels_baseline() {
    static const ChunkKernels kernels{add_products, add_column_sums, add_to_levels};
    return kernels;
}

const ChunkKernels& chunk_kernels() {
    static const ChunkKernels& fastest = runs_avx2() && detail::chunk_kernels_avx2() != nullptr
                                             ? *detail::chunk_kernels_avx2()
                                             : detail::chunk_kernels_baseline();
    return fastest;
}

}  // namespace pymixed
