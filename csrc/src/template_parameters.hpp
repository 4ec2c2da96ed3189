#pragma once
// Templates T = basis * Lower(theta) at one theta, and the derivatives in theta of a criterion that depends on it
// through Sigma = T T' alone. With H_f the derivative in the Sigma of factor f, summed over its levels,
//
//     dd/dT = 2 H T,   entry i in row r and column k:  d_iT = basis_r e_k',   D_i = d_iT T' + T d_iT'
//
// Behind the leading factor H is found from T'H, for which a template must not be singular: lift() sees to that.

#include "leading.hpp"
#include "schur.hpp"

namespace pymixed {

class TemplateParameters {
 public:
    TemplateParameters(const RandomEffects& layout, const RandomBasis& basis);

    void load(const Vector& theta, Coordinates coordinates);
    /// Another basis in the place of the internal one, borrowed, with columns of the same units; null: back to it.
    void replace_internal(const Templates* basis);
    /// Diagonal entries behind the leading factor that are (nearly) zero are lifted to 1e-11 of the columns' natural
    /// unit: a relative error of that size in H alone, because gradients are taken as 2 H T with the template as it
    /// was given. True where a template changed and the factor must be renewed.
    bool lift();
    /// Writes D_i of the templates, lifted or not.
    void differentiate();

    const Vector& theta() const { return theta_; }
    const Templates& T() const { return T_; }
    const std::vector<Matrix>& D() const { return D_; }

    /// H and T'H of Z'V^-1Z: the sums over levels of its diagonal blocks.
    /// @param R  R_g = Ag2 Q A2g of every level of the leading factor, null where it is the only one
    /// @param products  per factor sum_h (S^-1 T2'S0)_hh (SchurComplement::invert)
    void sum_levels(const Leading& lead, const LeadingInverse& inverse, const double* R, const Templates& products,
                    Templates& H, Templates& TH);

    /// Column of the basis: what the entry in that row of a triangle adds to the template.
    Eigen::Ref<const Vector> basis_column(Index factor, Index j) const { return (*basis_)[factor].col(j); }
    /// Derivative of the criterion by entry i.
    double slope(Index i, const Templates& H, const Templates& TH) const;
    /// 2 d_iT'H d_jT where the entries share a column of a template, else 0.
    double column_curvature(Index i, Index j, const Templates& H) const;
    /// B'H B over the columns of a term, B its part of the basis.
    Matrix variance_gradient(const RandomEffects::Term& term, const Templates& H) const;
    /// Step for differences in entry i.
    double step(Index i) const;

 private:
    const RandomEffects& layout_;
    const RandomBasis& random_basis_;
    double natural_unit(const RandomEffects::Entry& entry) const;

    const Templates *internal_, *basis_;
    Vector theta_, lift_, lifted_theta_;
    Templates T_;
    std::vector<Matrix> D_;
    std::vector<double> small_;
};

}  // namespace pymixed
