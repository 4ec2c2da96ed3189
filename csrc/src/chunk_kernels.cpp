#include "chunk_kernels.hpp"

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
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
    static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && detail::chunk_kernels_avx2() != nullptr)
        return *detail::chunk_kernels_avx2();
#endif
    return detail::chunk_kernels_baseline();
}

}  // namespace pymixed
