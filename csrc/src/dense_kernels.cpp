#include "dense_kernels.hpp"

#include <cmath>
#include <system_error>
#include <thread>
#include <vector>

#include "instruction_set.hpp"

#define VECTOR 2

namespace pymixed {
namespace {
#include "dense_kernels.inl"
}  // namespace

namespace detail {
const DenseKernels& dense_kernels_baseline() {
    static const DenseKernels kernels{
        multiply_add,       cholesky,  inverse_from_cholesky, solve_lower, solve_lower_transposed,
        multiply_symmetric, "baseline"};
    return kernels;
}
}  // namespace detail

void run_parallel(int n, void (*task)(int, void*), void* data) {
    std::vector<std::thread> others;
    others.reserve(n);
    int started = 1;
    try {
        for (; started < n; ++started)
            others.emplace_back(task, started, data);
    } catch (const std::system_error&) {
        // no more threads to be had: the rest is done here
    }
    task(0, data);
    for (int i = started; i < n; ++i)
        task(i, data);
    for (std::thread& other : others)
        other.join();
}

std::size_t dense_workspace_size(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
    // packed blocks of both operands; no instruction set has larger ones than 192 x 256 and 256 x 1020, tiles of 8 x 6
    const std::ptrdiff_t depth = k < 256 ? k : 256;
    const std::ptrdiff_t rows = m < 192 ? m + 8 : 192, columns = n < 1020 ? n + 6 : 1020;
    return static_cast<std::size_t>(depth * (rows + columns));
}

const DenseKernels& dense_kernels() {
    return kernels_in_use(detail::dense_kernels_baseline(), detail::dense_kernels_avx2());
}

}  // namespace pymixed
