#pragma once
// The leading grouping factor: block diagonal, eliminated level by level in closed form.
//
// For a level with A = Z_g'WZ_g and template T, with Sigma = T T':
//
//     N = (I + Sigma A)^-1,   K = N Sigma = T (T'A T + I)^-1 T',   log|T'A T + I| = -log|N|
//
// so that Z_g'V_g^-1 Z_g = A N = N'A and Z_g'V_g^-1 v = N'Z_g'W v where V_g is the covariance with this factor alone.
// Levels with identical A (balanced designs have few patterns) share these matrices, and where there is no other
// factor and few patterns, sums over the levels of each pattern replace the levels altogether.

#include "pymixed/crossproducts.hpp"

namespace pymixed {

/// What does not change with theta.
struct Leading {
    explicit Leading(const CrossProducts& products);
    /// A pattern of its own for every level, `A` to be written by the caller.
    Leading(Index c, Index n_levels);

    Index c, n_levels, P;
    Index n_patterns = 0;
    std::vector<std::int32_t> pattern;  ///< per level
    std::vector<double> A;              ///< per pattern c x c
    std::vector<double> count;          ///< levels per pattern
    /// Sums over the levels of a pattern of b_i b_j' for the rows b_i of B, i >= j in packed order: P x P each.
    std::vector<double> moments;
    bool use_moments() const { return !moments.empty(); }
    /// @param B  rows Z_g'W[X y] of every level, row-major c x P
    void sum_moments(const double* B);
    /// Whether T'A T + I of every level is: negative weights can prevent it.
    bool is_positive_definite(const Matrix& T) const;
};

/// N, K and A N of every pattern at one template; one per workspace.
class LeadingInverse {
 public:
    explicit LeadingInverse(const Leading& leading);

    void update(const Matrix& T);
    double log_determinant() const { return log_determinant_; }

    const double* K(Index pattern) const { return K_.data() + pattern * size_; }
    const double* N(Index pattern) const { return N_.data() + pattern * size_; }
    const double* AN(Index pattern) const { return AN_.data() + pattern * size_; }

 private:
    template <Index C>
    void invert(const Matrix& T);

    const Leading& leading_;
    Index size_;
    std::vector<double> K_, N_, AN_, work_;
    double log_determinant_ = 0.0;
};

}  // namespace pymixed
