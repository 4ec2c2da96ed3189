#pragma once
// Starting values by MINQUE(0) (Rao 1971; Searle, Casella & McCulloch 1992, section 11.3): variances s that solve
//
//     S s = q,    S_ij = tr(M G_i M G_j),  q_i = y'M G_i M y,    G_i = Z_iZ_i' of a column over its levels, G_0 = I,
//
// with M the projection off X. S is of the design alone; every response has its q.

#include <Eigen/Cholesky>

#include "sorted_rows.hpp"

namespace pymixed {

class Minque {
 public:
    explicit Minque(const Problem& problem) : Minque(problem, problem.products()) {}
    /// @param products  those of the problem with other weights (CrossProducts::with_weights)
    Minque(const Problem& problem, const CrossProducts& products);
    /// theta in internal coordinates.
    /// @param residual_variance  of a row of weight 1, where it is known; 0: estimated too
    Vector start(const ResponseView& response, double residual_variance = 0.0) const;
    /// The same from the response (n, sorted rows) and the weights that `products` have.
    Vector start(const SortedRows& rows, const Vector& y, const Vector& weights, double residual_variance) const;
    /// The same from q: of the columns of the factors in internal order, then of G_0.
    void start_into(const Vector& q, double residual_variance, double y_scale, Vector& theta) const;
    Index n_columns() const { return n_columns_; }

 private:
    const Problem& problem_;
    std::vector<Index> first_column_;  // of every factor among the columns of all, in internal order
    Index n_columns_ = 0;
    Eigen::LLT<Matrix> XtX_;
    Matrix S_inverse_;
};

}  // namespace pymixed
