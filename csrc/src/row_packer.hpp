#pragma once
// Rows in the basis of the fixed effects, a chunk at a time.

#include <algorithm>

#include "pymixed/crossproducts.hpp"

namespace pymixed {

constexpr Index chunk_rows = 256;  // rows that are packed at a time: the buffers stay in the first-level cache
constexpr Index buffer_rows = chunk_rows + 8;  // columns that are no power of two apart do not share cache lines' sets

/// Transforms chunks of rows to the basis: V = [X~ y~], column-major.
class RowPacker {
 public:
    RowPacker(const Rows& rows, const FixedBasis& basis) : rows_(rows), basis_(basis), V_(buffer_rows, basis.p() + 1) {}

    const Matrix& pack(Index first, Index m) {
        const Index p = basis_.p();
        double* y = V_.col(p).data();
        for (Index i = 0; i < m; ++i)
            y[i] = rows_.y[first + i];
        for (Index i = 0; i < m && rows_.offset != nullptr; ++i)
            y[i] -= rows_.offset[first + i];
        if (basis_.diagonal)
            for (Index j = 0; j < p; ++j)
                centre(first, m, j, basis_.R_inverse(j, j), basis_.gamma[j], y);
        else
            pack_columns(first, m, y);
        const double inverse_scale = 1.0 / basis_.y_scale;
        for (Index i = 0; i < m; ++i)
            y[i] *= inverse_scale;
        return V_;
    }

 private:
    /// Column j less its shift, times `factor`, and y less `slope` times that.
    void centre(Index first, Index m, Index j, double factor, double slope, double* __restrict y) {
        const ColumnView x = rows_.X[j];
        const double shift = basis_.shift[j];
        const bool constant = j == basis_.intercept || x.is_constant();
        const double* data = constant ? nullptr : x.data + first * x.stride;
        double* __restrict out = V_.col(j).data();
        const auto each = [&](auto value) {
            for (Index i = 0; i < m; ++i) {
                out[i] = value(i) * factor;
                y[i] -= out[i] * slope;
            }
        };
        if (constant)
            each([](Index) { return 1.0; });
        else if (x.stride == 1)
            each([=](Index i) { return data[i] - shift; });
        else
            each([=](Index i) { return data[i * x.stride] - shift; });
    }
    void pack_columns(Index first, Index m, double* __restrict y) {
        for (Index j = 0; j < basis_.p(); ++j)
            centre(first, m, j, 1.0, 0.0, y);
        for (Index j = basis_.p(); j-- > 0;) {
            double* __restrict out = V_.col(j).data();
            for (Index i = 0; i < m; ++i)
                out[i] *= basis_.R_inverse(j, j);
            for (Index k = 0; k < j; ++k) {
                const double* in = V_.col(k).data();
                for (Index i = 0; i < m; ++i)
                    out[i] += in[i] * basis_.R_inverse(k, j);
            }
        }
        for (Index j = 0; j < basis_.p(); ++j) {
            const double* in = V_.col(j).data();
            for (Index i = 0; i < m; ++i)
                y[i] -= in[i] * basis_.gamma[j];
        }
    }

    const Rows& rows_;
    const FixedBasis& basis_;
    Matrix V_;
};

}  // namespace pymixed
