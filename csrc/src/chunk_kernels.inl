// Included by chunk_kernels.cpp and chunk_kernels_avx2.cpp inside an unnamed namespace, with VECTOR doubles a register.
// Nothing of the standard library is instantiated here: the linker might keep the AVX2 copy for everyone.

#include "vectors.inl"

using Size = std::ptrdiff_t;

/// C (rows x columns at most TILE x TILE) += A'B; the columns beyond are computed from the last one and dropped.
constexpr Size TILE = 3;
inline void add_tile(Size m, Size rows, Size columns, const double* A, const double* B, Size ld, double* C, Size ldc,
                     bool lower) {
    const double *a[TILE], *b[TILE];
    for (Size i = 0; i < TILE; ++i) {
        a[i] = A + (i < rows ? i : rows - 1) * ld;
        b[i] = B + (i < columns ? i : columns - 1) * ld;
    }
    Vec sums[TILE][TILE] = {};
    Size l = 0;
    for (; l + VECTOR <= m; l += VECTOR) {
        Vec x[TILE], y[TILE];
        for (Size i = 0; i < TILE; ++i) {
            x[i] = load(a[i] + l);
            y[i] = load(b[i] + l);
        }
        for (Size i = 0; i < TILE; ++i)
            for (Size j = 0; j < TILE; ++j)
                add_product(sums[i][j], x[i], y[j]);
    }
    for (Size i = 0; i < rows; ++i)
        for (Size j = 0; j < columns && (!lower || j <= i); ++j) {
            double sum = add_entries(0.0, sums[i][j]);
            for (Size k = l; k < m; ++k)
                sum += a[i][k] * b[j][k];
            C[i + j * ldc] += sum;
        }
}

void add_products(Size m, Size P, const double* A, const double* B, Size ld, double* C) {
    for (Size j = 0; j < P; j += TILE)
        for (Size i = j; i < P; i += TILE)
            add_tile(m, i + TILE < P ? TILE : P - i, j + TILE < P ? TILE : P - j, A + i * ld, B + j * ld, ld,
                     C + i + j * P, P, i == j);
}

void add_column_sums(Size m, Size P, const double* A, Size ld, double* sums) {
    for (Size j = 0; j < P; ++j) {
        const double* a = A + j * ld;
        Vec even = {}, odd = {};
        Size l = 0;
        for (; l + 2 * VECTOR <= m; l += 2 * VECTOR) {
            even += load(a + l);
            odd += load(a + l + VECTOR);
        }
        double sum = add_entries(0.0, even + odd);
        for (; l < m; ++l)
            sum += a[l];
        sums[j] += sum;
    }
}

constexpr Size ahead = 32;  // rows whose levels are fetched before they are needed

inline void fetch(const double* first, Size size) {
    for (Size k = 0; k < size; k += 8)
        prefetch(first + k);
    prefetch(first + size - 1);
}

/// One column, the constant 1. `width` is P where that is known at compile time, or 0.
template <int width>
void add_to_constant(const LevelRows& r) {
    const Size P = width == 0 ? r.P : width, ld = r.ld;
    const double* v = r.V;
    for (Size i = 0; i < r.m; ++i, ++v) {
        if (i + ahead < r.m)
            fetch(r.ZtXy + r.codes[i + ahead] * P, P);
        const Size g = r.codes[i];
        if (r.weights != nullptr)
            r.ZtZ[g] += r.weights[i];
        double* __restrict sum = r.ZtXy + g * P;
        for (Size k = 0; k < P; ++k)
            sum[k] += v[k * ld];
    }
}

template <int width>
void add_to_columns(const LevelRows& r) {
    const Size P = width == 0 ? r.P : width, size = r.c * (r.c + 1) / 2, ld = r.ld;
    const double* v = r.V;
    for (Size i = 0; i < r.m; ++i, ++v) {
        if (i + ahead < r.m)
            fetch(r.ZtXy + r.codes[i + ahead] * r.c * P, r.c * P);
        const Size g = r.codes[i];
        const double w = r.weights == nullptr ? 1.0 : r.weights[i];
        double* squares = r.ZtZ + g * size;
        double* __restrict sum = r.ZtXy + g * r.c * P;
        for (Size a = 0; a < r.c; ++a, sum += P) {
            const double za = r.z[a] == nullptr ? 1.0 : r.z[a][i];
            for (Size b = 0; b <= a; ++b)
                *squares++ += w * za * (r.z[b] == nullptr ? 1.0 : r.z[b][i]);
            for (Size k = 0; k < P; ++k)
                sum[k] += za * v[k * ld];
        }
    }
}

template <int width>
void add_rows(const LevelRows& rows) {
    if (rows.c == 1 && rows.z[0] == nullptr)
        add_to_constant<width>(rows);
    else
        add_to_columns<width>(rows);
}

void add_to_levels(const LevelRows& rows) {
    constexpr void (*by_width[])(const LevelRows&) = {add_rows<0>, add_rows<1>, add_rows<2>, add_rows<3>, add_rows<4>,
                                                      add_rows<5>, add_rows<6>, add_rows<7>, add_rows<8>};
    by_width[rows.P <= 8 ? rows.P : 0](rows);
}
