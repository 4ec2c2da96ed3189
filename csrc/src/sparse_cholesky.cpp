#include "sparse_cholesky.hpp"

#include <algorithm>
#include <cmath>

namespace pymixed {

SparseCholesky::SparseCholesky(const SparsePattern& pattern)
    : pattern_(pattern),
      work_(pattern.n(), 0.0),
      column_(pattern.n(), 0.0),
      head_(pattern.n()),
      link_(pattern.n()),
      next_(pattern.n()) {}

bool SparseCholesky::factor(double* values) {
    const Index n = pattern_.n();
    const Index* start = pattern_.start.data();
    const std::int32_t* row = pattern_.row.data();
    std::fill(head_.begin(), head_.end(), -1);
    // head_[j], link_: the columns whose next unused row is j; next_: where that row stands
    const auto enlist = [&](std::int32_t k, Index position) {
        if (position == start[k + 1])
            return;
        next_[k] = position;
        link_[k] = head_[row[position]];
        head_[row[position]] = k;
    };
    for (Index j = 0; j < n; ++j) {
        for (Index p = start[j]; p < start[j + 1]; ++p)
            work_[row[p]] = values[p];
        for (std::int32_t k = head_[j]; k >= 0;) {
            const std::int32_t following = link_[k];
            const Index first = next_[k];
            const double factor = values[first];
            for (Index p = first; p < start[k + 1]; ++p)
                work_[row[p]] -= factor * values[p];
            enlist(k, first + 1);
            k = following;
        }
        const double pivot = work_[j];
        if (!(pivot > 0.0))
            return false;
        const double root = std::sqrt(pivot), inverse = 1.0 / root;
        values[start[j]] = root;
        for (Index p = start[j] + 1; p < start[j + 1]; ++p)
            values[p] = work_[row[p]] * inverse;
        enlist(static_cast<std::int32_t>(j), start[j] + 1);
    }
    return true;
}

void SparseCholesky::solve_lower(const double* L, Index m, double* B) const {
    const Index n = pattern_.n();
    const Index* start = pattern_.start.data();
    for (Index k = 0; k < m; ++k, B += n) {
        for (Index j = 0; j < n; ++j) {
            const double x = B[j] /= L[start[j]];
            for (Index p = start[j] + 1; p < start[j + 1]; ++p)
                B[pattern_.row[p]] -= L[p] * x;
        }
    }
}

void SparseCholesky::solve_lower_transposed(const double* L, Index m, double* B) const {
    const Index n = pattern_.n();
    const Index* start = pattern_.start.data();
    for (Index k = 0; k < m; ++k, B += n) {
        for (Index j = n - 1; j >= 0; --j) {
            double x = B[j];
            for (Index p = start[j] + 1; p < start[j + 1]; ++p)
                x -= L[p] * B[pattern_.row[p]];
            B[j] = x / L[start[j]];
        }
    }
}

void SparseCholesky::selected_inverse(const double* L, double* inverse) {
    const Index* start = pattern_.start.data();
    const std::int32_t* row = pattern_.row.data();
    // column j of the inverse on the pattern: Z_ij = -(1/L_jj) sum_k Z_ik L_kj over k in the pattern of column j;
    // column_ holds L_kj, work_ the sums (what it collects outside the pattern is never read)
    for (Index j = pattern_.n() - 1; j >= 0; --j) {
        const Index first = start[j] + 1, last = start[j + 1];
        for (Index p = first; p < last; ++p) {
            column_[row[p]] = L[p];
            work_[row[p]] = 0.0;
        }
        for (Index p = first; p < last; ++p) {
            const std::int32_t k = row[p];
            const double factor = L[p];
            double sum = inverse[start[k]] * factor;
            for (Index s = start[k] + 1; s < start[k + 1]; ++s) {
                sum += inverse[s] * column_[row[s]];
                work_[row[s]] += inverse[s] * factor;
            }
            work_[k] += sum;
        }
        const double scale = 1.0 / L[start[j]];
        double diagonal = scale;
        for (Index p = first; p < last; ++p) {
            inverse[p] = -work_[row[p]] * scale;
            diagonal -= inverse[p] * column_[row[p]];
            column_[row[p]] = 0.0;
        }
        inverse[start[j]] = diagonal * scale;
    }
}

}  // namespace pymixed
