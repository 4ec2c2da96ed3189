#pragma once
// The penalised normal matrix of a generalized linear mixed model at row weights W and templates T,
//
//     M = T'Z'WZT + I,    Q = T M^-1 T'  (q x q, never formed)
//
// factored by the blocked Cholesky of linear models: Z'WZ is renewed in the fixed pattern, row by row, the leading
// factor eliminated level by level, the rest in a Schur complement. One per thread.
//
// The weights may be negative (observed information) as long as M is positive definite.

#include "leading.hpp"
#include "schur.hpp"
#include "sorted_rows.hpp"

namespace pymixed {

class PenalizedFactor {
 public:
    PenalizedFactor(const Problem& problem, const SortedRows& rows, int n_threads);

    /// Z'WZ for weights w (n), and its factor; false where M is not positive definite.
    bool update(const double* w, const Templates& T);
    /// The factor at other templates with the same weights.
    bool update(const Templates& T);
    double log_determinant() const { return log_determinant_; }

    /// B = Q F, and where U is not null U = M^-1 T'F; F, B, U q x m. U only before invert().
    void solve(const Templates& T, const Matrix& F, Matrix& B, Matrix* U);
    /// out = T'v for v (q), and T v.
    void multiply_template(const Templates& T, bool transposed, const Vector& v, Vector& out);

    /// The parts of Q that the rows' own cells need; adds sum_h (S^-1 T2'S0)_hh to `products` of the tail factors.
    void invert(const Templates& T, Templates& products);
    /// h_i = z_i'Q z_i for every row, after invert().
    void leverages_into(double* h) const;
    /// Per factor its part of Q z_i for every row, n x c, after invert().
    std::vector<RowMatrix> row_products() const;
    /// R_g = Ag2 Q A2g of every level of the leading factor after invert(); null where it is the only factor.
    const double* leading_R() const { return schur_ ? R_.data() : nullptr; }
    /// Block of Q of a level of a factor (internal position), after invert().
    Matrix diagonal_block(Index factor, Index level) const;

    const Leading& leading() const { return leading_; }
    const LeadingInverse& leading_inverse() const { return inverse_; }

 private:
    void renew_leading(const double* w);
    void renew_tail(const double* w);

    const Problem& problem_;
    const SortedRows& rows_;
    Leading leading_;
    LeadingInverse inverse_;
    TailValues values_;
    std::unique_ptr<SchurComplement> schur_;
    Matrix half_, solution_;            // q2 x m
    std::vector<double> R_, V_, cell_;  // R_g, Q_gg, -K_g Y_g laid out as the couplings
    bool negative_ = false, inverted_ = false;
    double log_determinant_ = 0.0;
};

}  // namespace pymixed
