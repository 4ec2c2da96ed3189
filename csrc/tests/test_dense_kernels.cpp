// The dense kernels against plain loops in long double, every instruction set that this processor runs.
//
// Error bounds are those of backward error analysis (Higham 2002, Accuracy and Stability of Numerical Algorithms,
// sections 3.5, 8.1 and 10.1), which hold entry by entry for any order of summation: k + c rounding errors on the sum
// of absolute values. What must not be touched is NaN: reading it would spread, writing it would end it.
#include "check.hpp"

#include <cstring>
#include <limits>
#include <random>

#include "dense_kernels.hpp"

namespace {

using pymixed::DenseKernels;
using pymixed::Operand;
using Size = std::ptrdiff_t;

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

std::vector<const DenseKernels*> kernels() {
    std::vector<const DenseKernels*> sets{&pymixed::detail::dense_kernels_baseline()};
    const DenseKernels* avx2 = pymixed::detail::dense_kernels_avx2();
    if (avx2 != nullptr && &pymixed::dense_kernels() == avx2)
        sets.push_back(avx2);
    return sets;
}

std::vector<Size> sizes() {
    std::vector<Size> out;
    for (Size n = 1; n <= 70; ++n)
        out.push_back(n);
    out.push_back(257);
    return out;
}

/// A column-major array with leading dimension rows + 3, NaN in the padding.
struct Array {
    Size rows, columns, ld;
    std::vector<double> data;

    Array(Size rows, Size columns) : rows(rows), columns(columns), ld(rows + 3), data(ld * columns, not_a_number) {}
    double& operator()(Size i, Size j) { return data[i + j * ld]; }
    double operator()(Size i, Size j) const { return data[i + j * ld]; }
    double* begin() { return data.data(); }
    const double* begin() const { return data.data(); }

    bool padding_is_nan() const {
        for (Size j = 0; j < columns; ++j)
            for (Size i = rows; i < ld; ++i)
                if (!std::isnan((*this)(i, j)))
                    return false;
        return true;
    }
    bool upper_is_nan() const {
        for (Size j = 0; j < columns; ++j)
            for (Size i = 0; i < j && i < rows; ++i)
                if (!std::isnan((*this)(i, j)))
                    return false;
        return true;
    }
};

std::mt19937_64 bits(20240601);
double uniform() {
    return static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0;
}

Array random_array(Size rows, Size columns) {
    Array out(rows, columns);
    for (Size j = 0; j < columns; ++j)
        for (Size i = 0; i < rows; ++i)
            out(i, j) = uniform();
    return out;
}

/// Lower triangle of a positive definite matrix (diagonally dominant), NaN above it.
Array random_positive_definite(Size n) {
    Array out(n, n);
    for (Size j = 0; j < n; ++j)
        for (Size i = j; i < n; ++i)
            out(i, j) = i == j ? 0.6 * static_cast<double>(n) + 1.0 + uniform() : uniform();
    return out;
}

/// The larger of the two in `worst`; a NaN stays.
void keep_larger(double& worst, long double error) {
    if (!std::isnan(worst) && !(error <= worst))
        worst = static_cast<double>(error);
}

std::vector<double> workspace(Size m, Size n, Size k) {
    return std::vector<double>(pymixed::dense_workspace_size(m, n, k));
}

void check_multiply_add(const DenseKernels& set, Size m, Size n, Size k) {
    std::vector<double> work = workspace(m, n, k);
    for (int orientation = 0; orientation < 4; ++orientation)
        for (const bool lower : {false, true}) {
            const bool turn_A = orientation & 1, turn_B = orientation & 2;
            const Array A = turn_A ? random_array(k, m) : random_array(m, k);
            const Array B = turn_B ? random_array(n, k) : random_array(k, n);
            const double sign = orientation == 1 ? 1.0 : -1.0;
            Array C = random_array(m, n);
            if (lower)
                for (Size j = 0; j < n; ++j)
                    for (Size i = 0; i < std::min(j, m); ++i)
                        C(i, j) = not_a_number;
            const Array before = C;
            const Operand a = turn_A ? Operand{A.begin(), A.ld, 1} : Operand{A.begin(), 1, A.ld};
            const Operand b = turn_B ? Operand{B.begin(), B.ld, 1} : Operand{B.begin(), 1, B.ld};
            set.multiply_add(m, n, k, sign, a, b, C.begin(), C.ld, lower, work.data());
            double worst = 0.0;
            for (Size j = 0; j < n; ++j)
                for (Size i = lower ? j : 0; i < m; ++i) {
                    long double sum = before(i, j), size = std::abs(before(i, j));
                    for (Size l = 0; l < k; ++l) {
                        const long double factor = a.data[i * a.row + l * a.column];
                        const long double term = factor * b.data[l * b.row + j * b.column];
                        sum += sign * term;
                        size += std::abs(term);
                    }
                    keep_larger(worst, std::abs(sum - C(i, j)) / (size * (k + 2) * eps));
                }
            CHECK(worst <= 1.0);
            CHECK(C.padding_is_nan());
            if (lower)
                CHECK(C.upper_is_nan());
        }
}

/// Largest |A - L L'| over (n + 3) eps |L||L|' (one rounding more than the book's, for a reciprocal pivot).
double cholesky_error(const Array& A, const Array& L) {
    double worst = 0.0;
    for (Size j = 0; j < A.rows; ++j)
        for (Size i = j; i < A.rows; ++i) {
            long double sum = A(i, j), size = 0.0;
            for (Size l = 0; l <= j; ++l) {
                const long double term = static_cast<long double>(L(i, l)) * L(j, l);
                sum -= term;
                size += std::abs(term);
            }
            keep_larger(worst, std::abs(sum) / (size * (A.rows + 3) * eps));
        }
    return worst;
}

}  // namespace

TEST("multiply_add") {
    for (const DenseKernels* set : kernels()) {
        for (const Size s : sizes())
            for (const Size other : {Size{1}, s, 1 + s * 7 % 71}) {
                check_multiply_add(*set, s, other, 1 + s * 13 % 67);
                check_multiply_add(*set, other, s, 1 + s * 11 % 61);
            }
        check_multiply_add(*set, 40, 30, 600);    // deeper than a packed block
        check_multiply_add(*set, 1030, 1030, 3);  // wider
        check_multiply_add(*set, 257, 257, 257);
    }
}

TEST("cholesky") {
    for (const DenseKernels* set : kernels())
        for (const Size n : sizes()) {
            std::vector<double> work = workspace(n, n, n);
            const Array A = random_positive_definite(n);
            Array L = A;
            CHECK(set->cholesky(n, L.begin(), L.ld, work.data()));
            CHECK(cholesky_error(A, L) <= 1.0);
            CHECK(L.upper_is_nan() && L.padding_is_nan());
        }
}

TEST("cholesky refuses pivots that are not positive") {
    for (const DenseKernels* set : kernels())
        for (const Size n : {1, 2, 24, 25, 70})
            for (const double pivot : {0.0, -1.0, not_a_number})
                for (const Size at : {Size{0}, n / 2, n - 1}) {
                    std::vector<double> work = workspace(n, n, n);
                    Array A(n, n);
                    for (Size j = 0; j < n; ++j)
                        for (Size i = j; i < n; ++i)
                            A(i, j) = i != j ? 0.0 : (j == at ? pivot : 2.0);
                    CHECK(!set->cholesky(n, A.begin(), A.ld, work.data()));
                }
}

TEST("inverse_from_cholesky") {
    for (const DenseKernels* set : kernels())
        for (const Size n : sizes()) {
            std::vector<double> work = workspace(n, n, n);
            Array L = random_positive_definite(n);
            set->cholesky(n, L.begin(), L.ld, work.data());
            Array X = L;
            set->inverse_from_cholesky(n, X.begin(), X.ld, work.data());
            CHECK(X.upper_is_nan() && X.padding_is_nan());
            // |L L'X - 1| against n eps |L||L'||X|, three products deep: L is well conditioned here
            const auto symmetric = [&](Size i, Size j) { return i >= j ? X(i, j) : X(j, i); };
            double worst = 0.0;
            for (Size j = 0; j < n; ++j) {
                std::vector<long double> half(n, 0.0L), half_size(n, 0.0L);
                for (Size l = 0; l < n; ++l)
                    for (Size i = l; i < n; ++i) {
                        const long double term = static_cast<long double>(L(i, l)) * symmetric(i, j);
                        half[l] += term;
                        half_size[l] += std::abs(term);
                    }
                for (Size i = 0; i < n; ++i) {
                    long double sum = i == j ? -1.0L : 0.0L, size = 0.0L;
                    for (Size l = 0; l <= i; ++l) {
                        sum += L(i, l) * half[l];
                        size += std::abs(L(i, l)) * half_size[l];
                    }
                    keep_larger(worst, std::abs(sum) / (3.0 * (n + 3) * eps * size));
                }
            }
            CHECK(worst <= 1.0);
        }
}

TEST("triangular solves") {
    for (const DenseKernels* set : kernels())
        for (const Size n : sizes())
            for (const Size m : {0, 1, 2, 3, 4, 7}) {
                std::vector<double> work = workspace(n, n, n);
                Array L = random_positive_definite(n);
                set->cholesky(n, L.begin(), L.ld, work.data());
                const Array B = random_array(n, m);
                Array X = B, Y = B;
                set->solve_lower(n, m, L.begin(), L.ld, X.begin(), X.ld);
                set->solve_lower_transposed(n, m, L.begin(), L.ld, Y.begin(), Y.ld);
                double worst = 0.0;
                for (Size j = 0; j < m; ++j)
                    for (Size i = 0; i < n; ++i) {
                        long double left = B(i, j), left_size = 0.0, right = B(i, j), right_size = 0.0;
                        for (Size l = 0; l <= i; ++l) {
                            left -= static_cast<long double>(L(i, l)) * X(l, j);
                            left_size += std::abs(L(i, l) * X(l, j));
                        }
                        for (Size l = i; l < n; ++l) {
                            right -= static_cast<long double>(L(l, i)) * Y(l, j);
                            right_size += std::abs(L(l, i) * Y(l, j));
                        }
                        keep_larger(worst, std::abs(left) / (left_size * (n + 2) * eps));
                        keep_larger(worst, std::abs(right) / (right_size * (n + 2) * eps));
                    }
                CHECK(worst <= 1.0);
                CHECK(X.padding_is_nan() && Y.padding_is_nan());
            }
}

TEST("multiply_symmetric") {
    for (const DenseKernels* set : kernels())
        for (const Size n : sizes())
            for (const Size m : {0, 1, 2, 3, 4, 7}) {
                const Array A = random_positive_definite(n), B = random_array(n, m);
                Array C(n, m);
                set->multiply_symmetric(n, m, A.begin(), A.ld, B.begin(), B.ld, C.begin(), C.ld);
                double worst = 0.0;
                for (Size j = 0; j < m; ++j)
                    for (Size i = 0; i < n; ++i) {
                        long double sum = 0.0, size = 0.0;
                        for (Size l = 0; l < n; ++l) {
                            const long double term = static_cast<long double>(i >= l ? A(i, l) : A(l, i)) * B(l, j);
                            sum += term;
                            size += std::abs(term);
                        }
                        keep_larger(worst, std::abs(sum - C(i, j)) / (size * (n + 1) * eps));
                    }
                CHECK(worst <= 1.0);
                CHECK(C.padding_is_nan());
            }
}

TEST("any number of threads gives the same bits") {
    for (const DenseKernels* set : kernels())
        for (const Size n : {257, 601}) {
            const std::size_t per_thread = pymixed::dense_workspace_size(n, n, n);
            const auto same = [](const Array& a, const Array& b) {  // NaN included
                return std::memcmp(a.begin(), b.begin(), a.data.size() * sizeof(double)) == 0;
            };
            const Array A = random_positive_definite(n), B = random_array(n, n);
            std::vector<Array> L, X, C;
            for (const int n_threads : {1, 2, 3, 7}) {
                std::vector<double> memory(n_threads * per_thread);
                const pymixed::KernelWork work(memory.data(), per_thread, n_threads);
                L.push_back(A);
                CHECK(set->cholesky(n, L.back().begin(), A.ld, work));
                X.push_back(L.back());
                set->inverse_from_cholesky(n, X.back().begin(), A.ld, work);
                for (const bool lower : {false, true}) {
                    C.push_back(A);
                    set->multiply_add(n, n, n, -1.0, {B.begin(), B.ld, 1}, {B.begin(), 1, B.ld}, C.back().begin(), A.ld,
                                      lower, work);
                }
                CHECK(same(L.back(), L[0]) && same(X.back(), X[0]));
                CHECK(same(C.end()[-2], C[0]) && same(C.back(), C[1]));
            }
        }
}
