#pragma once
// Rows of [G, s], one per random effect, and what the derivatives of the criterion need of their sums.
//
//     G = Z'V^-1X RX^-1,    s = Z'W(y - X beta - Z T u) = Z'V^-1(y - X beta),    c_i = D_i s,    D_i = d_iT T' + T
//     d_iT'
//
// With E = Z'V^-1[X y] per level, [G, s] = E W for W = [RX^-1, (-beta, 1)']. For a level g of the leading factor
// E = N'(B_g - A_g2 Q F), for the tail E = F - S0 Q F. The rows of the leading factor are made a batch at a time and
// not kept.

#include "pls.hpp"

namespace pymixed {

class Scores {
 public:
    explicit Scores(const Problem& problem);

    /// All sums at the templates T of the last update of `pls`, whose Schur complement is still factored.
    /// @param D      per entry of theta D_i
    /// @param ratio  nu / r^2
    void update(PenalizedLeastSquares& pls, const Templates& T, const std::vector<Matrix>& D, bool reml, double ratio);

    /// Per factor the sums over its levels: s s';  G G' (REML only) + ratio s s';  s_x G_y as row x c + y.
    const Matrix& ss(Index factor) const { return ss_[factor]; }
    const Matrix& projection(Index factor) const { return projection_[factor]; }
    const Matrix& sG(Index factor) const { return sG_[factor]; }
    /// c_i'Z'V^-1Z c_j, lower triangle m x m.
    const Matrix& information() const { return information_; }

    const Matrix& weights() const { return W_; }               ///< W
    const RowMatrix& tail_solution() const { return QF_; }     ///< Q F, q x P
    const RowMatrix& tail_rows() const { return tail_rows_; }  ///< [G, s] of the tail
    /// [G, s] of the leading levels first .. last - 1 (at most PenalizedLeastSquares::batch), c x P each.
    const RowMatrix& leading_rows(const PenalizedLeastSquares& pls, Index first, Index last);
    /// B_g - A_g2 Q F of a level of the leading factor, c x P row-major.
    void leading_rhs_into(Index g, double* out) const;

 private:
    void solve_tail(PenalizedLeastSquares& pls, const Templates& T);
    void add_level(const double* rows, Index factor, Index c);
    void add_leading_levels(const PenalizedLeastSquares& pls, const std::vector<Matrix>& D);
    void add_leading_moments(const PenalizedLeastSquares& pls, const std::vector<Matrix>& D);
    void add_tail(const std::vector<Matrix>& D);
    void project_tail(PenalizedLeastSquares& pls, const Templates& T);

    const Problem& problem_;
    ResponseView response_;  // that of the last update
    bool reml_ = true;
    double ratio_ = 0.0;
    Matrix W_, information_;
    Templates ss_, projection_;
    std::vector<Matrix> sG_;
    std::vector<Index> leading_entries_;
    RowMatrix E_, rows_;      // a batch of leading levels
    Matrix solution_, rest_;  // q x P: Q F and F - S0 Q F by columns
    RowMatrix QF_, tail_rows_;
    Matrix c_tail_, Zc_, half_;  // q x m: c_i of the tail's entries, A c_i, its half-solve
    RowMatrix Zc_rows_;
    Matrix cross_;  // moments: c*c x p
    std::vector<double> c_i_, v_i_, small_, work_;
};

}  // namespace pymixed
