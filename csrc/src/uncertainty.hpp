#pragma once
// Asymptotic covariances from exact Hessians of the criterion.
//
// Linear models: of (theta, sigma), with the derivatives of Var(beta) by them, what Satterthwaite's degrees of freedom
// 2 v^2 / Var(v) of a variance v = L'Var(beta)L rest on (Giesbrecht & Burns 1985). Generalized models: of beta, jointly
// with all other parameters. Parameters of template columns that are zero are held.

#include "pymixed/deviance.hpp"
#include "pymixed/generalized_deviance.hpp"

namespace pymixed {

/// H^-1 on the eigenvectors of H, scaled to a unit diagonal, whose eigenvalues are not about zero.
Matrix positive_inverse(const Matrix& H);

/// Whether an entry of theta, in either coordinates, is of a template column that is not zero.
std::vector<bool> free_entries(const RandomEffects& layout, const Vector& theta);

struct VarianceUncertainty {
    Matrix covariance;   ///< (m+1) x (m+1): theta, sigma
    RowMatrix jacobian;  ///< (m+1) x p(p+1)/2: derivatives of the lower triangle, row by row, of Var(beta)
};

/// At a minimum, in theta.
struct CriterionDerivatives {
    Matrix hessian;      ///< of the criterion, m x m
    Vector pwrss;        ///< of r^2, m
    Vector C;            ///< (X'V^-1X)^-1, its lower triangle row by row
    RowMatrix C_change;  ///< its derivatives, m x p(p+1)/2
};

VarianceUncertainty variance_uncertainty(const CriterionDerivatives& derivatives, const std::vector<bool>& free,
                                         double sigma2, double nu);
/// @param theta  the minimum, internal coordinates: in the user's a column far from zero makes all of theta depend on
///               one another, and the digits are lost. The deviance is left evaluated and differentiated there.
VarianceUncertainty variance_uncertainty(Deviance& deviance, const Vector& theta);

/// Covariance of beta (user's columns) from the Hessian at a minimum psi in internal coordinates; of size 0 where the
/// Hessian has a negative eigenvalue, at a saddle. Not where beta is profiled.
Matrix coefficient_covariance(GeneralizedDeviance& deviance, const Vector& psi);

}  // namespace pymixed
