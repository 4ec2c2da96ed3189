#pragma once
// L^-1 of the Schur complement's Cholesky factor, for solutions L^-1 x of a few entries in x.
//
// Column j of L^-1 is nonzero on the path from j to the root of the elimination tree and nowhere else (Davis 2006,
// Direct Methods for Sparse Linear Systems, section 3.2), so its values alone are kept, in the order of the path. When
// L is dense the path is all that follows. Every row of column j of L lies on that path, and its own path is the rest
// of it: the columns follow from X L = I, the last one first, by sums of whole paths.

#include "dense_kernels.hpp"
#include "tail.hpp"

namespace pymixed {

class PathInverse {
 public:
    PathInverse(const Tail& tail, const double* L);

    /// Values that an inverse holds.
    static double n_values(const Tail& tail);

    Index n() const { return static_cast<Index>(start_.size()) - 1; }
    bool dense() const { return parent_.empty(); }
    Index length(Index j) const { return start_[j + 1] - start_[j]; }
    const double* column(Index j) const { return values_.data() + start_[j]; }
    std::int32_t parent(Index j) const { return parent_[j]; }  ///< -1: none

 private:
    void invert_dense(const double* L);
    void invert_sparse(const Tail& tail, const double* L);

    std::vector<Index> start_;
    std::vector<std::int32_t> parent_;  // empty when dense
    std::vector<double> values_;
};

/// A sum of columns of L^-1, on the union of their paths.
class PathSum {
 public:
    explicit PathSum(const PathInverse& inverse)
        : inverse_(inverse), values_(inverse.n()), first_(inverse.n()), seen_(inverse.dense() ? 0 : inverse.n(), 0) {}

    void clear();
    /// += x times column j.
    void add(Index j, double x);
    void add(const PathSum& other, double x);
    double squared_norm() const;

 private:
    void lower_to(Index j);
    double& at(std::int32_t i);

    const PathInverse& inverse_;
    Vector values_;
    Index first_;                        // dense: the first entry that is not zero
    std::vector<char> seen_;             // sparse: the entries that are not zero,
    std::vector<std::int32_t> entries_;  // and a list of them
};

}  // namespace pymixed
