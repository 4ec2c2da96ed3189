#pragma once
/// @file
/// A fitted model from a file (archive.hpp), to predict with: no rows, no formula, no Python.
///
/// Entries, p coefficients, m entries of theta, k terms; I counts grouping factors and J terms from 0:
///
///     format                    1                        kind                  lmm or glmm
///     coefficients              (p,)                     coefficient_names     p texts
///     vcov                      (p, p)                   theta                 (m,)
///     sigma                     (1,), 1 for a glmm       factors               names of the grouping factors
///     levels.I                  labels of the levels     modes.I               (levels, columns), in the host's units
///     terms.factor              (k,)                     terms.J.columns       names of the columns
///     terms.J.structure         us or diag               products.NAME         CrossProducts::state(), may be absent
///     family, link              names (glmm)             zi.coefficients       (r,), may be absent
///
/// The products of a glmm are those of the last iteration (GeneralizedDeviance::working_products). What else is in the
/// file is for other readers.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "pymixed/archive.hpp"
#include "pymixed/problem.hpp"

namespace pymixed {

/// A fitted model without its rows. Immutable once read: all functions may be called by several threads at once.
class SavedModel {
 public:
    /// A random-effects term.
    struct Term {
        Index factor;                      ///< position among factors()
        std::vector<std::string> columns;  ///< names
        Structure structure;               ///< of their covariance
    };

    /// @throws ArchiveError  not a file of a model, damaged, or newer;  std::invalid_argument  its parts do not fit
    static SavedModel read(const void* bytes, std::size_t size);
    ~SavedModel();
    SavedModel(SavedModel&&) noexcept;  ///< models are moved, not copied

    bool linear() const { return family_.empty(); }        ///< whether it is a linear model
    const std::string& family() const { return family_; }  ///< empty for a linear model
    const std::string& link() const { return link_; }      ///< empty for a linear model
    const std::vector<std::string>& coefficient_names() const { return coefficient_names_; }  ///< p names
    const Vector& coefficients() const { return coefficients_; }                              ///< p
    const Matrix& covariance() const { return covariance_; }                                  ///< of the coefficients
    const Vector& theta() const { return theta_; }  ///< m, the user's coordinates
    double sigma() const { return sigma_; }         ///< residual standard deviation; 1 for a generalized model
    const Vector& zero_coefficients() const { return zero_coefficients_; }  ///< of the zero inflation
    const std::vector<std::string>& factors() const { return factors_; }    ///< names of the grouping factors
    const std::vector<std::string>& levels(Index factor) const { return levels_[factor]; }  ///< labels of its levels
    const RowMatrix& modes(Index factor) const { return modes_[factor]; }  ///< levels x columns of the factor's terms
    const std::vector<Term>& terms() const { return terms_; }              ///< the user's order

    /// Code of a level, -1 where the factor has none of that label.
    std::int32_t level_code(Index factor, const std::string& label) const;

    // Of new rows X (one column per coefficient), Z, codes (-1: an unknown level, whose effects are 0) and offset are
    // read. Columns and codes that are missing, and codes outside the levels, throw std::invalid_argument.

    /// offset + X beta + Z b.
    Vector linear_predictor(const Rows& rows) const;
    /// The means at linear predictors; with zero inflation at zeta = X0 zero_coefficients().
    /// @throws std::invalid_argument  a link that is not one of make_family()
    Vector mean(const Vector& eta, const Vector& zeta = {}) const;
    /// Variances of the errors of linear_predictor(), theta held; of known levels alone. The first call factors, while
    /// others wait for it.
    /// @throws std::invalid_argument  a file without products;  std::runtime_error  products that are those of no fit
    Vector prediction_variances(const Rows& rows) const;

 private:
    SavedModel();
    void check_rows(const Rows& rows) const;
    struct Factored;
    const Factored& factored() const;

    std::string family_, link_;
    std::vector<std::string> coefficient_names_, factors_;
    Vector coefficients_, theta_, zero_coefficients_;
    Matrix covariance_;
    double sigma_ = 1.0;
    std::vector<std::vector<std::string>> levels_;
    std::vector<std::unordered_map<std::string, std::int32_t>> codes_;  // of the levels
    std::vector<RowMatrix> modes_;
    std::vector<Term> terms_;
    State state_;
    std::unique_ptr<RandomEffects> layout_;
    std::unique_ptr<Factored> factored_;
};

}  // namespace pymixed
