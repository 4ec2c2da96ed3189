#pragma once
// Coordinates in which holding a parameter of the model is an affine condition.
//
// Permuting the columns of a term and making its template lower triangular again changes no covariance. With the
// columns r, s of interest first, rows 1 and 2 of the template of the term are
//
//     sd_r = sigma T_11,    (T_21, T_22) = t (rho, sqrt(1 - rho^2)),  t = sd_s / sigma,  rho their correlation
//
// so that a standard deviation holds T_11 (times sigma, in a linear model: with kappa = sigma_0 / sigma among the
// coordinates T_11 = (sd_r / sigma_0) kappa), and a correlation puts two entries on a line. T_11 t must not be
// negative.

#include "pymixed/profile.hpp"

namespace pymixed {

/// psi = A x + c with x as long as psi, and its derivative in the value that is held, dA x + dc. Held entries of x have
/// no say: their columns of A are zero.
struct Chart {
    Matrix A, dA;
    Vector c, dc;

    explicit Chart(Index size);
    void hold(Index i);
    /// psi_i = value
    void hold(Index i, double value, double slope);
    /// (psi_first, psi_second) = x_second (rho, sqrt(1 - rho^2))
    void hold_direction(Index first, Index second, double rho);
    /// a'psi = value over the entries from `first` on: x are coordinates in an orthonormal basis that a is part of.
    void hold_contrast(Index first, const Vector& a, double value);

    bool is_held(Index i) const { return A.col(i).isZero(0.0); }
    Vector psi(const Vector& x) const { return A * x + c; }
    Vector slope(const Vector& x) const { return dA * x + dc; }
    Vector reduce(const Vector& gradient) const;
    /// A'H A with ones on the diagonal for held entries.
    Matrix reduce(const Matrix& H) const;
};

/// A term whose columns `first` come first: the basis of the templates, scaled to the columns' units.
class TermOrder {
 public:
    TermOrder(const RandomEffects& layout, const RandomBasis& basis, Index term, const std::vector<Index>& first);

    /// The internal basis, but for the columns of this term.
    const Templates& basis() const { return basis_; }
    /// Where a column stands in the new order.
    Index position(Index column) const;
    /// Where the entry (row, column), in the new order, stands in theta.
    Index entry(Index row, Index column) const;
    /// Size of a column in the new order: the first one's standard deviation is sigma T_11 / size.
    double size(Index position) const { return size_[position]; }
    /// Writes the term's entries, for the new order from those of the user or the reverse.
    void enter(const Vector& theta, Vector& x) const;
    void leave(const Vector& x, Vector& theta) const;
    const RandomEffects::Term& term() const { return term_; }

 private:
    const RandomEffects& layout_;
    const RandomEffects::Term& term_;
    std::vector<Index> order_;
    Vector size_;
    Templates basis_;
};

}  // namespace pymixed
