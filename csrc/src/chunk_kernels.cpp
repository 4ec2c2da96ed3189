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
    return kernels_in_use(detail::chunk_kernels_baseline(), detail::chunk_kernels_avx2());
}

}  // namespace pymixed
