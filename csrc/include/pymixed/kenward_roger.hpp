#pragma once
/// @file
/// What the adjustment of Kenward & Roger (1997, Biometrics 53(3)) is made of.
///
/// The covariance of the response is linear in the covariance parameters, V = sum_i gamma_i G_i: per random-effects
/// term the entries (r, s), r >= s, of its covariance matrix (the diagonal for a diagonal term), G_i = Z E_i Z' with
/// E_i the symmetric matrix of ones at (r, s) and (s, r) for every level, and last the residual variance, G = W^-1. So
/// second derivatives of V vanish. Over sigma^2, and in coordinates of the fixed effects in which X'V^-1X = I,
///
///     P_i = -X'V^-1G_iV^-1X,   Q_ij = X'V^-1G_iV^-1G_jV^-1X,   T_ij = tr(V^-1G_iV^-1G_j)
///
/// from which host code makes the information of the parameters, tr(PG_iPG_j) = T_ij - 2 tr(Q_ij) + tr(P_iP_j), the
/// adjusted covariance and the degrees of freedom. No n x n matrix and none of the order of the leading factor is
/// formed; of the tail each connected component is dense. Not for generalized models.

#include <functional>
#include <optional>

#include "pymixed/deviance.hpp"

namespace pymixed {

/// What kenward_roger() takes, known before it allocates anything that grows faster than the data.
struct KenwardRogerCost {
    double bytes;       ///< memory
    double operations;  ///< floating-point operations; indexed ones, which are slower, count several times
};

/// What kenward_roger() takes for a model.
KenwardRogerCost kenward_roger_cost(const Problem& problem);

/// Parameters are those of the internal columns, one per entry of theta in its order and the residual variance last:
/// k = n_theta + 1 of them. The adjustment does not depend on the parametrisation; this one keeps digits.
struct KenwardRoger {
    double sigma2;  ///< r^2 / (n - p)
    Matrix root;    ///< p x p: (X'V^-1X)^-1 = root root' in the host's units; root' X'V^-1X root = I
    Matrix P;       ///< p x kp: P_i side by side
    Matrix Q;       ///< kp x kp: block (i, j) is Q_ij
    Matrix T;       ///< k x k
    /// k x k: the parameters from the same ones of the host's columns.
    Matrix to_internal;
};

/// At the theta of the last evaluate(), finite, and differentiate(); threads as the deviance has them.
/// @param interrupted  asked now and then; empty where it said true
std::optional<KenwardRoger> kenward_roger(Deviance& deviance, const std::function<bool()>& interrupted = {});

}  // namespace pymixed
