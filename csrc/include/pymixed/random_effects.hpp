#pragma once
/// @file
/// Layout of the random effects and the map theta -> templates.
///
/// The relative covariance factor Lambda(theta) is block diagonal. All terms of one grouping factor are taken
/// together: level g of factor f owns one block of c_f columns, and Lambda repeats for every level the c_f x c_f
/// template T_f, itself block diagonal over the factor's terms (Bates, Maechler, Bolker & Walker 2015, J. Stat.
/// Softw. 67(1), eq. 4 and section 2.3). theta holds the lower triangles of the terms' templates, column-major,
/// terms in the user's order.
///
/// The core works with centred and scaled columns, Z = Z~ C with a fixed C_f per factor, so that T~ = C T(theta).
/// The optimiser's coordinates phi live in that basis: T~ = E Lower(phi), E = I unless a slope is centred by the
/// intercept of another term or of a diagonal one. Both maps are `basis * blockdiag(lower triangles)`, which is all
/// that the evaluation of the criterion and its derivatives needs to know.

#include <vector>

#include "pymixed/types.hpp"

namespace pymixed {

/// Which entries of a term's template are parameters.
enum class Structure {
    Unstructured,  ///< the full lower triangle
    Diagonal,      ///< independent columns
};

/// A random-effects term as the host gives it: `(1 + x | g)` has the factor g and two columns.
struct TermSpec {
    Index factor = 0;                               ///< position of the grouping factor in the user's order
    Index n_cols = 1;                               ///< columns whose effects vary together
    Structure structure = Structure::Unstructured;  ///< of their covariance

    /// Whether they are the same.
    bool operator==(const TermSpec& other) const {
        return factor == other.factor && n_cols == other.n_cols && structure == other.structure;
    }
};

/// Coordinates in which theta is given.
enum class Coordinates {
    User,      ///< lower triangles for the columns as the host gave them
    Internal,  ///< for the centred and scaled columns: the optimiser's
};

/// One template T~_f per factor, factors in internal order.
using Templates = std::vector<Matrix>;

/// Grouping factors and terms: which columns vary over the levels of which factor, and how theta fills the templates.
class RandomEffects {
 public:
    /// A grouping factor with all of its terms.
    struct Factor {
        Index user_position;                              ///< in the user's order
        Index n_levels;                                   ///< levels, codes 0 .. n_levels - 1
        Index n_cols;                                     ///< c_f, over all of its terms
        std::vector<Index> columns;                       ///< for each of the c_f columns its position in Rows::Z
        Index size() const { return n_levels * n_cols; }  ///< its random effects
    };
    /// A term inside the block of its factor.
    struct Term {
        Index factor;         ///< internal position of the factor
        Index first_column;   ///< where the term starts in the factor's block
        Index n_cols;         ///< its columns
        Structure structure;  ///< of its template
        Index first_theta;    ///< where its parameters start in theta
        Index n_theta() const {
            return structure == Structure::Diagonal ? n_cols : n_cols * (n_cols + 1) / 2;
        }  ///< its parameters
    };
    /// theta[i] is the entry (row, col) of the template of `factor` before the basis is applied.
    struct Entry {
        Index factor;  ///< internal position
        Index row;     ///< in the factor's template
        Index col;     ///< in the factor's template
    };

    /// Factors are sorted by their number of random effects, largest first. Throws std::invalid_argument.
    RandomEffects(const std::vector<Index>& n_levels, const std::vector<TermSpec>& terms);

    Index n_theta() const { return static_cast<Index>(entries_.size()); }  ///< m: entries of theta
    Index n_random() const;                                                ///< q
    Index n_columns() const;                                               ///< columns of all terms together
    const std::vector<Factor>& factors() const { return factors_; }        ///< internal order
    const std::vector<Term>& terms() const { return terms_; }              ///< the user's order
    const std::vector<Entry>& entries() const { return entries_; }         ///< one per entry of theta
    std::vector<Index> n_levels() const;                                   ///< of each factor, the user's order
    std::vector<TermSpec> specs() const;                                   ///< the terms as they were given
    /// The same terms over other numbers of levels (the user's order); the internal order follows from them.
    RandomEffects with_levels(const std::vector<Index>& n_levels) const { return {n_levels, specs()}; }

    /// T_f = basis_f * blockdiag(lower triangles of theta), written into `out` (sized by make_templates()).
    void templates_into(const Vector& theta, const Templates& basis, Templates& out) const;
    /// One zero matrix per factor, of the size of its template.
    Templates make_templates() const;

    /// A term's own lower triangle out of theta, and back.
    Matrix lower_triangle(const Term& term, const Vector& theta) const;
    void lower_triangle_into(const Term& term, const Matrix& T, Vector& theta) const;  ///< the way back

 private:
    std::vector<Factor> factors_;
    std::vector<Term> terms_;
    std::vector<Entry> entries_;
};

/// Shift and scale of the random-effects columns and the two parametrisations that follow from them.
///
///     z_j = shift_j * 1 + scale_j * z~_j,    shift_j != 0 only where the factor has a constant column
class RandomBasis {
 public:
    RandomBasis() = default;
    /// `shift` and `scale` run over all columns of Rows::Z; `constant` marks the columns that are the constant 1.
    RandomBasis(const RandomEffects& layout, Vector shift, Vector scale, std::vector<bool> constant);

    /// Means and standard deviations of a sample of the rows; `centred` false: scales alone.
    static RandomBasis from_rows(const RandomEffects& layout, const Rows& rows, bool centred = true);

    double shift(Index column) const { return shift_[column]; }  ///< of a column of Rows::Z
    double scale(Index column) const { return scale_[column]; }  ///< of a column of Rows::Z

    const Vector& shifts() const { return shift_; }                  ///< of all columns
    const Vector& scales() const { return scale_; }                  ///< of all columns
    const std::vector<bool>& constant() const { return constant_; }  ///< which columns are the constant 1

    /// The same basis where the internal order of the factors is that of `layout`.
    RandomBasis in_order_of(const RandomEffects& layout) const { return {layout, shift_, scale_, constant_}; }
    /// M_f per factor of Z~_to = Z~ M_f; both bases have the same constant columns.
    Templates change_to(const RandomEffects& layout, const RandomBasis& to) const;

    const Templates& user() const { return user_; }          ///< C_f
    const Templates& internal() const { return internal_; }  ///< E_f

    /// theta (user's columns) from phi (internal columns) and back. Diagonals come out non-negative.
    Vector to_user(const RandomEffects& layout, const Vector& phi) const;
    Vector to_internal(const RandomEffects& layout, const Vector& theta) const;  ///< the way back

    /// Of two bases of the same columns.
    bool operator==(const RandomBasis& other) const {
        return shift_ == other.shift_ && scale_ == other.scale_ && constant_ == other.constant_;
    }

 private:
    Matrix term_basis(const RandomEffects::Term& term) const;
    Vector convert(const RandomEffects& layout, const Vector& from, bool to_user) const;

    Vector shift_, scale_;
    std::vector<bool> constant_;
    Templates user_, internal_;
    std::vector<Matrix> term_, term_inverse_;  // of each term, the columns of T~ = term T(theta)
};

/// Lower-triangular L (c x c) with a non-negative diagonal and L L' = A A' for A with c rows and at least c columns, by
/// Givens rotations from the right: exact zeros (a rank-deficient template) stay exact, and a zero column stands where
/// a row has no variance of its own.
Matrix lower_factor(Matrix A);

}  // namespace pymixed
