#pragma once
// Starting values by MINQUE(0) (Rao 1971; Searle, Casella & McCulloch 1992, section 11.3): variances s that solve
//
//     S s = q,    S_ij = tr(M G_i M G_j),  q_i = y'M G_i M y,    G_i = Z_iZ_i' of a column over its levels, G_0 = I,
//
// with M the projection off X. S is of the design alone; every response has its q.

#include <Eigen/Cholesky>
#include <Eigen/QR>

#include "pymixed/problem.hpp"

namespace pymixed {

class Minque {
 public:
    explicit Minque(const Problem& problem);
    /// theta in internal coordinates.
    /// @param residual_variance  of a row of weight 1, where it is known; 0: estimated too
    Vector start(const ResponseView& response, double residual_variance = 0.0) const;

 private:
    const Problem& problem_;
    std::vector<Index> first_column_;  // of every factor among the columns of all, in internal order
    Index n_columns_ = 0;
    Eigen::LLT<Matrix> XtX_;
    Eigen::ColPivHouseholderQR<Matrix> S_;
};

}  // namespace pymixed
