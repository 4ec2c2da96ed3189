#pragma once
// The sufficient statistics of a linear mixed model: A = [Z X y]' W [Z X y], in one pass over the rows.
//
// Z is never formed: a row adds to the block of its level. Columns are centred and scaled before they are
// multiplied, because raw moments lose up to half of the digits when a covariate sits far from zero (Chan, Golub &
// LeVeque 1983, Amer. Statist. 37(3)). The linear change of basis travels with the sums, so that sums over
// different rows merge by a congruence (the pairwise update of that paper) and an addition.
//
// Does not hold the rows: fitted values and residuals need them again.

#include "pymixed/random_effects.hpp"
#include "pymixed/types.hpp"

namespace pymixed {

/// The basis of the fixed-effects columns and the response, [X y] = [X~ y~] U:
///
///     X = X~ R + 1 shift',    y = X~ gamma + y_scale y~
///
/// Estimated from a sample of the rows: means and scales, an orthogonalisation where the columns are nearly
/// collinear, and a regression of y. Any basis gives the same model; a good one keeps digits.
struct FixedBasis {
    Vector shift;          ///< p: subtracted from each column (0 without an intercept, and for the intercept)
    Index intercept = -1;  ///< position of the constant column, -1 without one
    Matrix R;              ///< p x p upper triangular
    Matrix R_inverse;
    bool diagonal = true;  ///< R is diagonal
    Vector gamma;          ///< p
    double y_scale = 1.0;

    Index p() const { return shift.size(); }
    Matrix U() const;  ///< (p+1) x (p+1)

    static FixedBasis from_rows(const Rows& rows);
};

/// Packed lower triangle, row by row: position of (i, j), i >= j.
inline Index packed(Index i, Index j) {
    return i * (i + 1) / 2 + j;
}

/// What one grouping factor adds up: per level Z_g'WZ_g (packed lower triangle) and Z_g'W[X y] (row-major c x (p+1)).
struct FactorProducts {
    std::vector<double> ZtZ, ZtXy;
};

/// Z_a'WZ_b of two factors (a before b in internal order): compressed rows over the levels of a, columns ascending.
struct CouplingProducts {
    Index a = 0, b = 0;
    std::vector<Index> start;         ///< n_levels(a) + 1
    std::vector<std::int32_t> level;  ///< level of b of each cell
    std::vector<double> block;        ///< c_a x c_b per cell, row-major
};

class CrossProducts {
 public:
    /// Sums over `rows` in the basis given; throws std::invalid_argument for codes outside the levels.
    CrossProducts(RandomEffects layout, FixedBasis fixed_basis, RandomBasis random_basis, const Rows& rows);
    /// The same with bases estimated from a sample of the rows.
    CrossProducts(RandomEffects layout, const Rows& rows);

    /// Add the sums over other rows of the same model (same layout and levels).
    void merge(const CrossProducts& other);

    /// The same rows with the fixed-effects columns `columns` only (ascending positions).
    CrossProducts with_columns(const std::vector<Index>& columns) const;

    /// The sums over the same rows with other weights, in the same cells; a weight of 0 leaves a row out. Sums with the
    /// response are not defined. Where few weights change, their rows alone are visited.
    CrossProducts reweighted(const Rows& rows, const Vector& weights) const;

    const RandomEffects& layout() const { return layout_; }
    const FixedBasis& fixed_basis() const { return fixed_; }
    const RandomBasis& random_basis() const { return random_; }
    Index n() const { return n_; }
    Index p() const { return fixed_.p(); }
    double sum_log_weights() const { return sum_log_weights_; }
    const Matrix& XytXy() const { return XytXy_; }
    const FactorProducts& factor(Index f) const { return factors_[f]; }
    const std::vector<CouplingProducts>& couplings() const { return couplings_; }

 private:
    void add_blocks(const Rows& rows);
    void add_couplings(const Rows& rows);
    void change_fixed_basis(const Matrix& from_new, FixedBasis basis);
    void change_random_basis(const RandomBasis& basis);

    RandomEffects layout_;
    FixedBasis fixed_;
    RandomBasis random_;
    Index n_ = 0;
    double sum_log_weights_ = 0.0;
    Matrix XytXy_;
    std::vector<FactorProducts> factors_;
    std::vector<CouplingProducts> couplings_;
};

}  // namespace pymixed
