#pragma once
// Inverse and products of matrices of the size of a template.

#include <cmath>
#include <utility>

#include "pymixed/types.hpp"

namespace pymixed {

/// out = M x for a c x c matrix M by rows (M'x for one by columns).
inline void multiply_small(Index c, const double* M, const double* x, double* out) {
    for (Index i = 0; i < c; ++i) {
        out[i] = 0.0;
        for (Index j = 0; j < c; ++j)
            out[i] += M[i * c + j] * x[j];
    }
}

/// out = M'x for M by rows (M x for one by columns).
inline void multiply_small_transposed(Index c, const double* M, const double* x, double* out) {
    for (Index i = 0; i < c; ++i) {
        out[i] = 0.0;
        for (Index j = 0; j < c; ++j)
            out[i] += M[j * c + i] * x[j];
    }
}

/// out = A B, all c x c by rows.
inline void multiply_small_matrices(Index c, const double* A, const double* B, double* out) {
    for (Index i = 0; i < c; ++i)
        for (Index j = 0; j < c; ++j) {
            double sum = 0.0;
            for (Index k = 0; k < c; ++k)
                sum += A[i * c + k] * B[k * c + j];
            out[i * c + j] = sum;
        }
}

/// The inverse of a general c x c matrix and its determinant by Gauss-Jordan with row pivoting; `a` is destroyed.
/// C > 0 fixes the size at compile time.
template <Index C>
double invert_small(Index runtime_c, double* a, double* inverse) {
    const Index c = C > 0 ? C : runtime_c;
    if constexpr (C == 1) {
        inverse[0] = 1.0 / a[0];
        return a[0];
    } else if constexpr (C == 2) {
        const double determinant = a[0] * a[3] - a[1] * a[2], scale = 1.0 / determinant;
        inverse[0] = a[3] * scale;
        inverse[1] = -a[1] * scale;
        inverse[2] = -a[2] * scale;
        inverse[3] = a[0] * scale;
        return determinant;
    }
    for (Index i = 0; i < c; ++i)
        for (Index j = 0; j < c; ++j)
            inverse[i * c + j] = i == j ? 1.0 : 0.0;
    double determinant = 1.0;
    for (Index k = 0; k < c; ++k) {
        Index pivot = k;
        for (Index i = k + 1; i < c; ++i)
            if (std::abs(a[i * c + k]) > std::abs(a[pivot * c + k]))
                pivot = i;
        if (pivot != k) {
            for (Index j = 0; j < c; ++j) {
                std::swap(a[k * c + j], a[pivot * c + j]);
                std::swap(inverse[k * c + j], inverse[pivot * c + j]);
            }
            determinant = -determinant;
        }
        determinant *= a[k * c + k];
        const double scale = 1.0 / a[k * c + k];
        for (Index j = 0; j < c; ++j) {
            a[k * c + j] *= scale;
            inverse[k * c + j] *= scale;
        }
        for (Index i = 0; i < c; ++i) {
            if (i == k)
                continue;
            const double factor = a[i * c + k];
            for (Index j = 0; j < c; ++j) {
                a[i * c + j] -= factor * a[k * c + j];
                inverse[i * c + j] -= factor * inverse[k * c + j];
            }
        }
    }
    return determinant;
}

}  // namespace pymixed
