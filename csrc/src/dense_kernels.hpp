#pragma once
// Dense kernels on raw column-major arrays: blocked Cholesky, its in-place inverse, triangular solves, products.
//
// All of them run on one matrix product with packed operands and a register-blocked micro-kernel (Goto & van de Geijn
// 2008, ACM TOMS 34(3)), so that nothing but the product has to be fast. The file dense_kernels.inl is compiled for
// the baseline instruction set and for AVX2 + FMA; the choice is made at run time, once. Workspaces are the caller's:
// nothing here allocates.

#include <cstddef>

namespace pymixed {

/// Scratch memory, in doubles, of a product of m x k by k x n; for the factorisations of order n ask for (n, n, n).
std::size_t dense_workspace_size(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k);

/// Scratch memory of a call and the threads that share it, `per_thread` doubles each.
struct KernelWork {
    KernelWork(double* memory, std::size_t per_thread = 0,
               int n_threads = 1)  // NOLINT: a pointer is work for one thread
        : memory(memory), per_thread(per_thread), n_threads(n_threads) {}
    double* memory;
    std::size_t per_thread;
    int n_threads;
};

/// task(0, data) .. task(n - 1, data) at the same time.
void run_parallel(int n, void (*task)(int, void*), void* data);

/// An operand of the product: element (i, j) at data[i * row + j * column].
struct Operand {
    const double* data;
    std::ptrdiff_t row, column;
};

struct DenseKernels {
    /// C (m x n) += sign A B, A m x k, B k x n; with `lower` only the entries on and below the diagonal of C.
    void (*multiply_add)(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, double sign, Operand A, Operand B,
                         double* C, std::ptrdiff_t ldc, bool lower, KernelWork work);
    /// A = L L' in the lower triangle; false where a pivot is not positive. The strict upper triangle is not touched.
    bool (*cholesky)(std::ptrdiff_t n, double* A, std::ptrdiff_t lda, KernelWork work);
    /// From L in the lower triangle to the lower triangle of (L L')^-1.
    void (*inverse_from_cholesky)(std::ptrdiff_t n, double* A, std::ptrdiff_t lda, KernelWork work);
    /// B <- L^-1 B and B <- L^-T B, B n x m column-major.
    void (*solve_lower)(std::ptrdiff_t n, std::ptrdiff_t m, const double* L, std::ptrdiff_t ldl, double* B,
                        std::ptrdiff_t ldb);
    void (*solve_lower_transposed)(std::ptrdiff_t n, std::ptrdiff_t m, const double* L, std::ptrdiff_t ldl, double* B,
                                   std::ptrdiff_t ldb);
    /// C <- A B with A symmetric, given by its lower triangle; B and C n x m.
    void (*multiply_symmetric)(std::ptrdiff_t n, std::ptrdiff_t m, const double* A, std::ptrdiff_t lda, const double* B,
                               std::ptrdiff_t ldb, double* C, std::ptrdiff_t ldc);
    const char* instruction_set;
};

/// The fastest set that this processor runs.
const DenseKernels& dense_kernels();

namespace detail {
const DenseKernels& dense_kernels_baseline();
const DenseKernels* dense_kernels_avx2();  // null where the compiler or the architecture has no AVX2
}  // namespace detail

}  // namespace pymixed
