#pragma once
/// @file
/// The sufficient statistics of a linear mixed model: A = [Z X y]' W [Z X y], in one pass over the rows.
///
/// Z is never formed: a row adds to the block of its level. Columns are centred and scaled before they are
/// multiplied, because raw moments lose up to half of the digits when a covariate sits far from zero (Chan, Golub &
/// LeVeque 1983, Amer. Statist. 37(3)). The linear change of basis travels with the sums, so that sums over
/// different rows merge by a congruence (the pairwise update of that paper) and an addition.
///
/// Rows can be added one batch after the other, sums over different rows merged, and rows taken away again where enough
/// digits remain. Everything is linear in the number of rows that are touched; n is not limited.
///
/// Does not hold the rows: fitted values and residuals need them again.

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>

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
    Matrix R_inverse;      ///< R^-1
    bool diagonal = true;  ///< R is diagonal
    Vector gamma;          ///< p
    double y_scale = 1.0;  ///< of what X leaves of the response

    Index p() const { return shift.size(); }  ///< columns
    Matrix U() const;                         ///< (p+1) x (p+1)

    void set_R(Matrix upper);  ///< R and what follows from it

    /// (p+1) x (p_to+1) matrix M of [X~ y~]_to = [X~ y~] M, where `to` is a basis of the columns given (ascending)
    /// with the same intercept or none.
    Matrix change_to(const FixedBasis& to, const std::vector<Index>& columns) const;
    Matrix change_to(const FixedBasis& to) const;  ///< of all columns
    /// As well conditioned a basis, of rows whose intercept's column need not be constant.
    FixedBasis without_intercept() const;

    bool operator==(const FixedBasis& other) const;  ///< whether they are the same to the bit

    /// @param intercept  position of the constant column, -1: there is none; not given: the first column of ones
    static FixedBasis from_rows(const Rows& rows, std::optional<Index> intercept = std::nullopt);
};

/// Throws std::invalid_argument unless `intercept` is -1 or a column of ones.
void check_intercept(const Rows& rows, Index intercept);

/// Packed lower triangle, row by row: position of (i, j), i >= j.
inline Index packed(Index i, Index j) {
    return i * (i + 1) / 2 + j;
}

/// What each column of [X y] keeps of its sum of squares once those before it are taken out, the intercept counted as
/// the first: pivots of the unpivoted Cholesky factorisation of [X y]'W[X y]. 0 where a column depends on those before
/// it (1e-11 of its sum of squares is left).
Vector column_pivots(const Matrix& XytXy, Index intercept);

/// What one grouping factor adds up, level after level.
struct FactorProducts {
    std::vector<double> ZtZ;         ///< Z_g'WZ_g: packed lower triangle
    std::vector<double> ZtXy;        ///< Z_g'W[X y]: c x (p+1), row-major
    std::vector<std::int64_t> rows;  ///< number of rows
};

/// Z_a'WZ_b of two factors (a before b in internal order): compressed rows over the levels of a, columns ascending.
struct CouplingProducts {
    Index a = 0;                      ///< the first factor
    Index b = 0;                      ///< the second factor
    std::vector<Index> start;         ///< n_levels(a) + 1
    std::vector<std::int32_t> level;  ///< level of b of each cell
    std::vector<double> block;        ///< c_a x c_b per cell, row-major
    std::vector<std::int64_t> rows;   ///< of each cell, at least 1

    Index cells() const { return static_cast<Index>(level.size()); }  ///< pairs of levels that occur
};

/// Numbers under names: all that cross-products hold, for a file.
using StateArray = std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::int32_t>>;
using State = std::map<std::string, StateArray>;  ///< see StateArray

/// Rows that cannot be taken away without losing more than 6 of 16 digits of what remains.
class UnsafeSubtraction : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

/// The sums over the rows of a data set that a linear mixed model is fitted to, in a basis of its own.
class CrossProducts {
 public:
    /// Sums over `rows` in the basis given; throws std::invalid_argument for codes outside the levels.
    CrossProducts(RandomEffects layout, FixedBasis fixed_basis, RandomBasis random_basis, const Rows& rows);
    /// The same with bases estimated from a sample of the rows.
    /// @param intercept  position of the constant column, -1: there is none; not given: looked for in these rows, which
    ///                   is wrong where rows are to be added in which that column is not 1
    CrossProducts(RandomEffects layout, const Rows& rows, std::optional<Index> intercept = std::nullopt);

    // What fails leaves the object as it was; std::invalid_argument names what does not fit.

    /// Add rows of the same model, in the bases that the sums have.
    void add(const Rows& rows);
    /// Add the sums over other rows of the same model (same terms and levels). The bases are those of the part with
    /// more rows.
    void merge(const CrossProducts& other);
    /// Take away rows that were added, given by their own sums (same terms and levels).
    ///
    /// What remains carries the rounding errors of what was there. Safe, where every column of [X~ y~] keeps, after the
    /// columns before it are taken out (its pivot in the Cholesky factor), 1e-6 of the largest sum of squares that it
    /// ever had; columns that depended on others before do not count. Otherwise UnsafeSubtraction is thrown.
    void subtract(const CrossProducts& other);

    /// The same sums where level g of factor f becomes level maps[f][g] of n_levels[f] (factors in the user's order).
    /// -1 drops a level without rows.
    CrossProducts relevelled(const std::vector<std::vector<std::int32_t>>& maps,
                             const std::vector<Index>& n_levels) const;
    /// Append levels without rows.
    void grow(const std::vector<Index>& n_levels);

    /// The same rows with the fixed-effects columns `columns` only (ascending positions).
    CrossProducts with_columns(const std::vector<Index>& columns) const;

    /// All numbers that it holds.
    State state() const;
    /// The object whose state this is, bit by bit; std::invalid_argument where it cannot be one.
    static CrossProducts from_state(const State& state);

    /// The sums over the same rows with other weights, in the same cells; a weight of 0 leaves a row out. For a Problem
    /// alone: sums with the response, means and the cells' numbers of rows are not defined. Where few weights change,
    /// their rows alone are visited.
    CrossProducts reweighted(const Rows& rows, const Vector& weights) const;

    /// The sums over the same rows with other weights, in the same cells, negative and zero ones among them. For a
    /// Problem alone, in which no response is read: sums with the response are 0, the numbers of rows stay.
    /// @param rows  in the bases of these sums: the rows of X~, Z~ and the codes; no response
    CrossProducts with_weights(const Rows& rows, const Vector& weights) const;

    const RandomEffects& layout() const { return layout_; }      ///< terms and levels
    const FixedBasis& fixed_basis() const { return fixed_; }     ///< of the columns of X and the response
    const RandomBasis& random_basis() const { return random_; }  ///< of the columns of Z
    Index n() const { return n_; }                               ///< rows
    Index p() const { return fixed_.p(); }                       ///< columns of X
    double sum_weights() const { return sum_weights_; }          ///< n where there are no weights
    double sum_log_weights() const { return sum_log_weights_; }  ///< 0 where there are no weights
    Vector means() const;  ///< p+1: weighted means of the columns of X and of y less the offset
    const Matrix& XytXy() const { return XytXy_; }                                 ///< [X~ y~]'W[X~ y~]
    const FactorProducts& factor(Index f) const { return factors_[f]; }            ///< internal order
    const std::vector<CouplingProducts>& couplings() const { return couplings_; }  ///< of every pair of factors
    std::size_t n_bytes() const;                                                   ///< memory of the arrays

 private:
    /// Sums over no rows.
    CrossProducts(RandomEffects layout, FixedBasis fixed_basis, RandomBasis random_basis);

    void check(const Rows& rows) const;
    void add_checked(const Rows& rows);
    struct Buffers;
    void add_blocks(const Rows& rows, Buffers& buffers) noexcept;
    std::vector<CouplingProducts> extended_couplings(const std::vector<CouplingProducts>& parts) const;
    void extend_couplings(std::vector<CouplingProducts>&& extended) noexcept;
    void expect_same_model(const CrossProducts& other, const char* what) const;
    void add_sums(const CrossProducts& other);
    void change_basis(const FixedBasis& fixed, const RandomBasis& random);
    void change_fixed_basis(const Matrix& change, FixedBasis basis);
    void change_random_basis(const RandomBasis& basis);
    void clear_sums();

    RandomEffects layout_;
    FixedBasis fixed_;
    RandomBasis random_;
    Index n_ = 0;
    double sum_weights_ = 0.0, sum_log_weights_ = 0.0;
    Vector column_sums_;  // 1'W[X~ y~]
    Vector peak_;         // largest diagonal that XytXy had: what its rounding errors are relative to
    Matrix XytXy_;
    std::vector<FactorProducts> factors_;
    std::vector<CouplingProducts> couplings_;
};

}  // namespace pymixed
