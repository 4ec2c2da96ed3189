#pragma once
// What a chunk of rows adds to cross-products, on raw arrays. Compiled for the baseline instruction set and for
// AVX2 + FMA from chunk_kernels.inl; the choice is made at run time, once. Nothing here allocates.

#include <cstddef>
#include <cstdint>

namespace pymixed {

/// m rows and where they add to the sums of one factor, level by level.
struct LevelRows {
    std::ptrdiff_t m, P, c;
    const std::int32_t* codes;  ///< m
    const double* V;            ///< m x P, column-major: W[X y]
    std::ptrdiff_t ld;          ///< leading dimension of V
    const double* weights;      ///< m; null: all 1
    const double* const* z;     ///< c columns of Z; null: the constant 1
    double *ZtZ, *ZtXy;         ///< as in FactorProducts; nothing is added to ZtZ where it counts rows
};

struct ChunkKernels {
    /// The lower triangle of C (P x P) += A'B, A and B m x P; all column-major, A and B with the same leading
    /// dimension.
    void (*add_products)(std::ptrdiff_t m, std::ptrdiff_t P, const double* A, const double* B, std::ptrdiff_t ld,
                         double* C);
    /// sums (P) += 1'A.
    void (*add_column_sums)(std::ptrdiff_t m, std::ptrdiff_t P, const double* A, std::ptrdiff_t ld, double* sums);
    void (*add_to_levels)(const LevelRows& rows);
};

/// The fastest set that this processor runs.
const ChunkKernels& chunk_kernels();

namespace detail {
const ChunkKernels& chunk_kernels_baseline();
const ChunkKernels* chunk_kernels_avx2();  // null where the compiler or the architecture has no AVX2
}  // namespace detail

}  // namespace pymixed
