#pragma once
// Sparse Cholesky factor in place on a fixed pattern, A = L L', and the entries of A^-1 on that pattern.
//
// Analyse once, factor many times. The pattern is that of L (lower triangle by columns, rows ascending, the diagonal
// first), already in a fill-reducing order. Left-looking by columns (Davis 2006, Direct Methods for Sparse Linear
// Systems, ch. 4); the selected inverse by Takahashi's recursion (Erisman & Tinney 1975, Comm. ACM 18(3)).
// Does not reorder, does not pivot, allocates nothing after construction.

#include <vector>

#include "pymixed/types.hpp"

namespace pymixed {

struct SparsePattern {
    std::vector<Index> start{0};    ///< n + 1
    std::vector<std::int32_t> row;  ///< per column ascending, the diagonal first
    Index n() const { return static_cast<Index>(start.size()) - 1; }
};

class SparseCholesky {
 public:
    explicit SparseCholesky(const SparsePattern& pattern);

    /// `values` holds A on entry and L on return; false where a pivot is not positive.
    bool factor(double* values);
    /// B <- L^-1 B and B <- L^-T B for column-major B, n x m.
    void solve_lower(const double* L, Index m, double* B) const;
    void solve_lower_transposed(const double* L, Index m, double* B) const;
    /// `inverse` receives the entries of A^-1 on the pattern; it may be the array of L.
    void selected_inverse(const double* L, double* inverse);

 private:
    const SparsePattern& pattern_;  // owned by the problem that this workspace belongs to
    std::vector<double> work_, column_;
    std::vector<std::int32_t> head_, link_;
    std::vector<Index> next_;
};

}  // namespace pymixed
