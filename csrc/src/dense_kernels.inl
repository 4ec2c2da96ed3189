// Included by dense_kernels.cpp and dense_kernels_avx2.cpp inside an unnamed namespace, with VECTOR doubles a register.
// Only the C headers of the includer are used: no template of the standard library may be instantiated here,
// because the linker could then hand AVX2 code to the baseline build.

#include "vectors.inl"

using Size = std::ptrdiff_t;

constexpr Size MR = 2 * VECTOR, NR = 6;             // micro-tile
constexpr Size MC = 24 * MR > 192 ? 192 : 24 * MR;  // rows of a packed block of A, a multiple of MR
constexpr Size KC = 256;                            // depth of a packed block
constexpr Size NC = 1020;                           // columns of a packed block of B, a multiple of NR
constexpr Size base = 24;                           // order below which a recursion ends in plain loops

inline Size smaller(Size a, Size b) {
    return a < b ? a : b;
}

/// Where a recursion splits: a multiple of the micro-tile near one half.
inline Size split(Size n) {
    const Size half = (n / 2 + MR - 1) / MR * MR;
    return half < n ? half : n / 2;
}

inline Operand normal(const double* data, Size ld) {
    return {data, 1, ld};
}
inline Operand transposed(const double* data, Size ld) {
    return {data, ld, 1};
}

/// `count` x k slice of an operand in slivers of `width`, padded with zeros: sliver after sliver, depth after depth.
inline void pack(Size width, Size count, Size k, const double* data, Size along, Size depth, double* out) {
    for (Size first = 0; first < count; first += width) {
        const Size m = smaller(width, count - first);
        const double* from = data + first * along;
        for (Size l = 0; l < k; ++l, from += depth, out += width) {
            for (Size i = 0; i < m; ++i)
                out[i] = from[i * along];
            for (Size i = m; i < width; ++i)
                out[i] = 0.0;
        }
    }
}

/// tile (MR x NR, column-major) = packed sliver of A times packed sliver of B.
inline void micro_kernel(Size k, const double* A, const double* B, double* tile) {
    Vec low[NR] = {}, high[NR] = {};
    for (Size l = 0; l < k; ++l, A += MR, B += NR) {
        const Vec a0 = load(A), a1 = load(A + VECTOR);
        for (Size j = 0; j < NR; ++j) {
            const Vec b = broadcast(B[j]);
            add_product(low[j], a0, b);
            add_product(high[j], a1, b);
        }
    }
    for (Size j = 0; j < NR; ++j) {
        store(low[j], tile + j * MR);
        store(high[j], tile + j * MR + VECTOR);
    }
}

/// C (m x n) += sign A B, A m x k, B k x n; with `lower` only the entries (i, j) with i + shift >= j.
void multiply_add_serial(Size m, Size n, Size k, double sign, Operand A, Operand B, double* C, Size ldc, bool lower,
                         Size shift, double* work) {
    if (m == 0 || n == 0 || k == 0)
        return;
    double* packed_A = work;
    double* packed_B = work + (smaller(m, MC) + MR - 1) / MR * MR * smaller(k, KC);
    double tile[MR * NR];
    for (Size jc = 0; jc < n; jc += NC) {
        const Size nc = smaller(NC, n - jc);
        for (Size pc = 0; pc < k; pc += KC) {
            const Size kc = smaller(KC, k - pc);
            pack(NR, nc, kc, B.data + pc * B.row + jc * B.column, B.column, B.row, packed_B);
            for (Size ic = lower && jc > shift ? (jc - shift) / MC * MC : 0; ic < m; ic += MC) {
                const Size mc = smaller(MC, m - ic);
                pack(MR, mc, kc, A.data + ic * A.row + pc * A.column, A.row, A.column, packed_A);
                for (Size j = 0; j < nc; j += NR) {
                    for (Size i = 0; i < mc; i += MR) {
                        const Size row = ic + i, column = jc + j;
                        const Size rows = smaller(MR, m - row), columns = smaller(NR, n - column);
                        if (lower && row + shift + rows <= column)
                            continue;
                        micro_kernel(kc, packed_A + i * kc, packed_B + j * kc, tile);
                        double* out = C + row + column * ldc;
                        if (lower && row + shift < column + columns - 1) {
                            for (Size c = 0; c < columns; ++c)
                                for (Size r = 0; r < rows; ++r)
                                    if (row + shift + r >= column + c)
                                        out[r + c * ldc] += sign * tile[r + c * MR];
                        } else if (rows == MR) {
                            for (Size c = 0; c < columns; ++c)
                                for (Size r = 0; r < MR; ++r)
                                    out[r + c * ldc] += sign * tile[r + c * MR];
                        } else {
                            for (Size c = 0; c < columns; ++c)
                                for (Size r = 0; r < rows; ++r)
                                    out[r + c * ldc] += sign * tile[r + c * MR];
                        }
                    }
                }
            }
        }
    }
}

struct Product {
    Size m, n, k;
    double sign;
    Operand A, B;
    double* C;
    Size ldc;
    bool lower;
    KernelWork work;

    /// Where the rows of a thread begin: equal shares of the entries that are computed.
    Size first_row(int thread) const {
        const double share = static_cast<double>(thread) / work.n_threads;
        const Size row = static_cast<Size>(static_cast<double>(m) * (lower ? std::sqrt(share) : share));
        return thread == work.n_threads ? m : row / MR * MR;
    }
    static void run(int thread, void* data) {
        const Product& p = *static_cast<const Product*>(data);
        const Size first = p.first_row(thread), last = p.first_row(thread + 1);
        const Operand A{p.A.data + first * p.A.row, p.A.row, p.A.column};
        multiply_add_serial(last - first, p.lower ? smaller(last, p.n) : p.n, p.k, p.sign, A, p.B, p.C + first, p.ldc,
                            p.lower, first, p.work.memory + thread * p.work.per_thread);
    }
};

/// The same over the threads of `work`, by rows: every entry is summed in the same order for any number of threads.
void multiply_add(Size m, Size n, Size k, double sign, Operand A, Operand B, double* C, Size ldc, bool lower,
                  KernelWork work) {
    constexpr double worth_a_thread = 2e6;  // multiplications: about a tenth of a millisecond
    if (work.n_threads == 1 ||
        static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < worth_a_thread) {
        multiply_add_serial(m, n, k, sign, A, B, C, ldc, lower, 0, work.memory);
        return;
    }
    Product product{m, n, k, sign, A, B, C, ldc, lower, work};
    run_parallel(work.n_threads, Product::run, &product);
}

/// X (m x n) <- X L^-T.
void solve_right_transposed(Size m, Size n, const double* L, Size ldl, double* X, Size ldx, KernelWork work) {
    if (n <= base) {
        for (Size first = 0; first < m; first += 128) {
            const Size rows = smaller(128, m - first);
            double* x = X + first;
            for (Size j = 0; j < n; ++j) {
                double* column = x + j * ldx;
                for (Size l = 0; l < j; ++l) {
                    const double factor = L[j + l * ldl];
                    const double* other = x + l * ldx;
                    for (Size i = 0; i < rows; ++i)
                        column[i] -= factor * other[i];
                }
                const double inverse = 1.0 / L[j + j * ldl];
                for (Size i = 0; i < rows; ++i)
                    column[i] *= inverse;
            }
        }
        return;
    }
    const Size h = split(n);
    solve_right_transposed(m, h, L, ldl, X, ldx, work);
    multiply_add(m, n - h, h, -1.0, normal(X, ldx), transposed(L + h, ldl), X + h * ldx, ldx, false, work);
    solve_right_transposed(m, n - h, L + h + h * ldl, ldl, X + h * ldx, ldx, work);
}

bool cholesky(Size n, double* A, Size lda, KernelWork work) {
    if (n <= base) {
        for (Size j = 0; j < n; ++j) {
            double* column = A + j * lda;
            for (Size l = 0; l < j; ++l) {
                const double factor = A[j + l * lda];
                const double* other = A + l * lda;
                for (Size i = j; i < n; ++i)
                    column[i] -= factor * other[i];
            }
            if (!(column[j] > 0.0))
                return false;
            const double root = std::sqrt(column[j]), inverse = 1.0 / root;
            column[j] = root;
            for (Size i = j + 1; i < n; ++i)
                column[i] *= inverse;
        }
        return true;
    }
    const Size h = split(n);
    if (!cholesky(h, A, lda, work))
        return false;
    solve_right_transposed(n - h, h, A, lda, A + h, lda, work);
    multiply_add(n - h, n - h, h, -1.0, normal(A + h, lda), transposed(A + h, lda), A + h + h * lda, lda, true, work);
    return cholesky(n - h, A + h + h * lda, lda, work);
}

/// X (n x m) <- M X with M lower triangular.
void multiply_lower(Size n, Size m, const double* M, Size ldm, double* X, Size ldx, double sign, KernelWork work) {
    if (n <= base) {
        for (Size j = 0; j < m; ++j) {
            double* x = X + j * ldx;
            for (Size l = n - 1; l >= 0; --l) {
                const double value = sign * x[l];
                x[l] = M[l + l * ldm] * value;
                for (Size i = l + 1; i < n; ++i)
                    x[i] += M[i + l * ldm] * value;
            }
        }
        return;
    }
    const Size h = split(n);
    multiply_lower(n - h, m, M + h + h * ldm, ldm, X + h, ldx, sign, work);
    multiply_add(n - h, m, h, sign, normal(M + h, ldm), normal(X, ldx), X + h, ldx, false, work);
    multiply_lower(h, m, M, ldm, X, ldx, sign, work);
}

/// X (n x m) <- M' X with M lower triangular.
void multiply_lower_transposed(Size n, Size m, const double* M, Size ldm, double* X, Size ldx, KernelWork work) {
    if (n <= base) {
        for (Size j = 0; j < m; ++j) {
            double* x = X + j * ldx;
            for (Size i = 0; i < n; ++i) {
                double sum = 0.0;
                for (Size l = i; l < n; ++l)
                    sum += M[l + i * ldm] * x[l];
                x[i] = sum;
            }
        }
        return;
    }
    const Size h = split(n);
    multiply_lower_transposed(h, m, M, ldm, X, ldx, work);
    multiply_add(h, m, n - h, 1.0, transposed(M + h, ldm), normal(X + h, ldx), X, ldx, false, work);
    multiply_lower_transposed(n - h, m, M + h + h * ldm, ldm, X + h, ldx, work);
}

/// X (m x n) <- X M with M lower triangular.
void multiply_right_lower(Size m, Size n, const double* M, Size ldm, double* X, Size ldx, KernelWork work) {
    if (n <= base) {
        for (Size first = 0; first < m; first += 128) {
            const Size rows = smaller(128, m - first);
            double* x = X + first;
            for (Size j = 0; j < n; ++j) {
                double* column = x + j * ldx;
                const double diagonal = M[j + j * ldm];
                for (Size i = 0; i < rows; ++i)
                    column[i] *= diagonal;
                for (Size l = j + 1; l < n; ++l) {
                    const double factor = M[l + j * ldm];
                    const double* other = x + l * ldx;
                    for (Size i = 0; i < rows; ++i)
                        column[i] += factor * other[i];
                }
            }
        }
        return;
    }
    const Size h = split(n);
    multiply_right_lower(m, h, M, ldm, X, ldx, work);
    multiply_add(m, h, n - h, 1.0, normal(X + h * ldx, ldx), normal(M + h, ldm), X, ldx, false, work);
    multiply_right_lower(m, n - h, M + h + h * ldm, ldm, X + h * ldx, ldx, work);
}

/// L <- L^-1 in place.
void invert_lower(Size n, double* L, Size ldl, KernelWork work) {
    if (n <= base) {
        for (Size j = n - 1; j >= 0; --j) {
            double* column = L + j * ldl;
            const double inverse = 1.0 / column[j];
            // column below the diagonal: -(inverse of the trailing block) times it, over the pivot
            for (Size l = n - 1; l > j; --l) {
                const double value = -column[l] * inverse;
                column[l] = L[l + l * ldl] * value;
                for (Size i = l + 1; i < n; ++i)
                    column[i] += L[i + l * ldl] * value;
            }
            column[j] = inverse;
        }
        return;
    }
    const Size h = split(n);
    invert_lower(h, L, ldl, work);
    invert_lower(n - h, L + h + h * ldl, ldl, work);
    multiply_lower(n - h, h, L + h + h * ldl, ldl, L + h, ldl, -1.0, work);
    multiply_right_lower(n - h, h, L, ldl, L + h, ldl, work);
}

/// M <- lower triangle of M'M in place, M lower triangular.
void lower_times_itself(Size n, double* M, Size ldm, KernelWork work) {
    if (n <= base) {
        for (Size j = 0; j < n; ++j)
            for (Size i = j; i < n; ++i) {
                double sum = 0.0;
                for (Size l = i; l < n; ++l)
                    sum += M[l + i * ldm] * M[l + j * ldm];
                M[i + j * ldm] = sum;
            }
        return;
    }
    const Size h = split(n);
    lower_times_itself(h, M, ldm, work);
    multiply_add(h, h, n - h, 1.0, transposed(M + h, ldm), normal(M + h, ldm), M, ldm, true, work);
    multiply_lower_transposed(n - h, h, M + h + h * ldm, ldm, M + h, ldm, work);
    lower_times_itself(n - h, M + h + h * ldm, ldm, work);
}

void inverse_from_cholesky(Size n, double* A, Size lda, KernelWork work) {
    invert_lower(n, A, lda, work);
    lower_times_itself(n, A, lda, work);
}

/// Runs `step` over slices of at most four right-hand sides, so that the matrix is read once per slice.
template <class Step>
inline void by_fours(Size m, Step step) {
    Size j = 0;
    for (; j + 4 <= m; j += 4)
        step.template run<4>(j);
    if (m - j >= 2) {
        step.template run<2>(j);
        j += 2;
    }
    if (m - j == 1)
        step.template run<1>(j);
}

struct ForwardSolve {
    Size n;
    const double* L;
    Size ldl;
    double* B;
    Size ldb;
    template <int W>
    void run(Size first) {
        double* b = B + first * ldb;
        for (Size l = 0; l < n; ++l) {
            const double* column = L + l * ldl;
            double x[W];
            for (int w = 0; w < W; ++w)
                x[w] = b[l + w * ldb] /= column[l];
            for (int w = 0; w < W; ++w)
                for (Size i = l + 1; i < n; ++i)
                    b[i + w * ldb] -= column[i] * x[w];
        }
    }
};

struct BackwardSolve {
    Size n;
    const double* L;
    Size ldl;
    double* B;
    Size ldb;
    template <int W>
    void run(Size first) {
        double* b = B + first * ldb;
        for (Size l = n - 1; l >= 0; --l) {
            const double* column = L + l * ldl;
            for (int w = 0; w < W; ++w) {
                Vec sums = {};
                Size i = l + 1;
                for (; i + VECTOR <= n; i += VECTOR)
                    add_product(sums, load(column + i), load(b + i + w * ldb));
                double sum = add_entries(0.0, sums);
                for (; i < n; ++i)
                    sum += column[i] * b[i + w * ldb];
                b[l + w * ldb] = (b[l + w * ldb] - sum) / column[l];
            }
        }
    }
};

struct SymmetricProduct {
    Size n;
    const double* A;
    Size lda;
    const double* B;
    Size ldb;
    double* C;
    Size ldc;
    template <int W>
    void run(Size first) {
        const double* b = B + first * ldb;
        double* c = C + first * ldc;
        for (int w = 0; w < W; ++w)
            for (Size i = 0; i < n; ++i)
                c[i + w * ldc] = 0.0;
        for (Size l = 0; l < n; ++l) {
            const double* column = A + l * lda;
            for (int w = 0; w < W; ++w) {
                const double x = b[l + w * ldb];
                const Vec xs = broadcast(x);
                Vec sums = {};
                Size i = l + 1;
                for (; i + VECTOR <= n; i += VECTOR) {
                    const Vec a = load(column + i);
                    Vec out = load(c + i + w * ldc);
                    add_product(out, a, xs);
                    store(out, c + i + w * ldc);
                    add_product(sums, a, load(b + i + w * ldb));
                }
                double sum = add_entries(column[l] * x, sums);
                for (; i < n; ++i) {
                    c[i + w * ldc] += column[i] * x;
                    sum += column[i] * b[i + w * ldb];
                }
                c[l + w * ldc] += sum;
            }
        }
    }
};

void solve_lower(Size n, Size m, const double* L, Size ldl, double* B, Size ldb) {
    by_fours(m, ForwardSolve{n, L, ldl, B, ldb});
}

void solve_lower_transposed(Size n, Size m, const double* L, Size ldl, double* B, Size ldb) {
    by_fours(m, BackwardSolve{n, L, ldl, B, ldb});
}

void multiply_symmetric(Size n, Size m, const double* A, Size lda, const double* B, Size ldb, double* C, Size ldc) {
    by_fours(m, SymmetricProduct{n, A, lda, B, ldb, C, ldc});
}
