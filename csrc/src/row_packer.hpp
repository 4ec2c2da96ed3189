#pragma once
// Rows in the basis of the fixed effects, a chunk at a time.

#include <algorithm>

#include "pymixed/crossproducts.hpp"

namespace pymixed {

constexpr Index chunk_rows = 256;  // rows that are packed at a time: the buffers stay in the first-level cache

/// Transforms chunks of rows to the basis: V = [X~ y~], row-major.
class RowPacker {
 public:
    RowPacker(const Rows& rows, const FixedBasis& basis)
        : rows_(rows), basis_(basis), raw_(chunk_rows, basis.p()), V_(chunk_rows, basis.p() + 1) {}

    const RowMatrix& pack(Index first, Index m) {
        const Index p = basis_.p();
        for (Index j = 0; j < p; ++j) {
            const ColumnView x = rows_.X[j];
            double* out = raw_.col(j).data();
            if (j == basis_.intercept || x.is_constant()) {
                std::fill(out, out + m, 1.0);
            } else {
                const double shift = basis_.shift[j];
                const double* data = x.data + first * x.stride;
                if (x.stride == 1)
                    for (Index i = 0; i < m; ++i)
                        out[i] = data[i] - shift;
                else
                    for (Index i = 0; i < m; ++i)
                        out[i] = data[i * x.stride] - shift;
            }
        }
        if (basis_.diagonal) {
            for (Index j = 0; j < p; ++j) {
                const double factor = basis_.R_inverse(j, j);
                const double* in = raw_.col(j).data();
                for (Index i = 0; i < m; ++i)
                    V_(i, j) = in[i] * factor;
            }
        } else {
            V_.topLeftCorner(m, p).noalias() = raw_.topRows(m) * basis_.R_inverse;
        }
        const double inverse_scale = 1.0 / basis_.y_scale;
        for (Index i = 0; i < m; ++i) {
            double y = rows_.y[first + i];
            if (rows_.offset != nullptr)
                y -= rows_.offset[first + i];
            for (Index j = 0; j < p; ++j)
                y -= V_(i, j) * basis_.gamma[j];
            V_(i, p) = y * inverse_scale;
        }
        return V_;
    }

 private:
    const Rows& rows_;
    const FixedBasis& basis_;
    Matrix raw_;
    RowMatrix V_;
};

}  // namespace pymixed
