"""Cluster-robust covariances of the coefficients, and the degrees of freedom of their t tests.

Linear models: the sandwich estimator (Liang & Zeger 1986, Biometrika 73(1)) and its bias-reduced linearisation (Bell &
McCaffrey 2002, Surv. Methodol. 28(2); Pustejovsky & Tipton 2018, J. Bus. Econ. Stat. 36(4)) with the fitted model as
the working model. In coordinates of the coefficients in which X'V⁻¹X = I, a cluster j has the score and information

    s_j = X_j'V_j⁻¹(y_j - X_jβ),    G_j = X_j'V_j⁻¹X_j,    sum G_j = I

and the covariance is the sum of A_js_js_j'A_j: A_j = I (CR0), times J / (J - 1) for J clusters (CR1), or
A_j = (I - G_j)^(-1/2) (CR2), for which E s_js_j' = sigma² G_j (I - G_j) makes it unbiased if the working model holds.

Generalized models: A (sum of g_jg_j') A with A the inverse Hessian of minus the log-likelihood in all parameters and
g_j the gradient of the cluster's share of it (White 1982, Econometrica 50(1)).

Clusters are independent and hold whole levels of every grouping factor. Few clusters: CR2 and its degrees of freedom
keep tests honest, CR0 and CR1 do not. Nothing here is robust to a wrong mean.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .._common import Array, LMMParams
from .._engine import ClusterScores, LinearCriterion
from ..design import MixedDesign
from ..errors import InputError
from ..inference import parameter_covariance
from .clusters import Clusters
from .coefficient_tests import CoefficientTests
from .gls import inverse_covariance_times, kept_columns

# Eigenvalues of I - G_j at most this are zero: the cluster alone determines that combination of coefficients.
DETERMINED = 1e-10
# Part of a contrast along such a combination that is rounding.
NEGLIGIBLE = 1e-6


@dataclass(frozen=True, eq=False)
class ClusterSums:
    """What the clusters of a linear model say of the coefficients, in coordinates in which X'V⁻¹X is the identity.

    Attributes
    ----------
    root : (p, p) array
        Coefficients from these coordinates.
    scores : (J, p) array
        s_j.
    information : (J, p, p) array
        G_j; they add up to the identity.
    """

    root: Array
    scores: Array
    information: Array

    @classmethod
    def from_rows(cls, root: Array, X: Array, VX: Array, Ve: Array, clusters: Clusters) -> ClusterSums:
        """Sum over the rows of the clusters.

        Parameters
        ----------
        root : (p, p) array
            root root' = (X'V⁻¹X)⁻¹ but for rounding.
        X, VX : (n, p) arrays
            Columns in these coordinates, and V⁻¹ times them.
        Ve : (n,) array
            V⁻¹ times the residuals of the mean, y - offset - Xβ.
        clusters : Clusters
        """
        order = np.argsort(clusters.codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(clusters.codes))[:-1]])
        X, VX = X[order], VX[order]
        scores = np.add.reduceat(X * Ve[order, None], starts)
        p = X.shape[1]
        information = np.empty((clusters.count, p, p))
        for j in range(p):
            information[:, j, j:] = np.add.reduceat(VX[:, j:j + 1] * X[:, j:], starts)
            information[:, j:, j] = information[:, j, j:]
        # what rounding left of the identity
        turn = np.linalg.inv(np.linalg.cholesky(information.sum(axis=0)))
        return cls(root @ turn.T, scores @ turn.T, turn @ information @ turn.T)

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (J, p) of I - G_j, exact zeros where they are rounding, and eigenvectors (J, p, p)."""
        values, vectors = np.linalg.eigh(self.information)
        rest = 1.0 - values
        return np.where(rest > DETERMINED, rest, 0.0), vectors

    @property
    def adjustments(self) -> Array:
        """(I - G_j)^(-1/2), the pseudo-inverse where a cluster alone determines coefficients (J, p, p)."""
        values, vectors = self.spectrum
        scale = np.where(values > 0.0, 1.0 / np.sqrt(np.where(values > 0.0, values, 1.0)), 0.0)
        return np.asarray((vectors * scale[:, None]) @ vectors.transpose(0, 2, 1))

    @property
    def determined(self) -> Array:
        """Combinations of coordinates that one cluster alone determines (k, p): its score along them is always zero."""
        values, vectors = self.spectrum
        return np.asarray(vectors.transpose(0, 2, 1)[values == 0.0])


@dataclass(frozen=True, eq=False)
class RobustTests(CoefficientTests):
    """t and F tests with a cluster-robust covariance and Satterthwaite's degrees of freedom under the working model.

    With u_j = A_jc for a contrast c, the estimated variance is the sum of (u_j's_j)². Under the working model these
    u_j's_j have covariances Ω_jk = u_j'(δ_jk G_j - G_jG_k)u_k, hence df = (sum Ω_jj)² / sum Ω_jk² (Bell & McCaffrey
    2002; Imbens & Kolesár 2016, Rev. Econ. Stat. 98(4)). A contrast that involves a coefficient which one cluster alone
    determines has no robust standard error: NaN.

    Attributes
    ----------
    sums : ClusterSums
    adjustments : (J, p, p) array or None
        A_j; None for the identity.
    """

    sums: ClusterSums
    adjustments: Array | None

    @classmethod
    def from_sums(cls, coefficients: Array, sums: ClusterSums, kind: str) -> RobustTests:
        """Tests with the covariance of a kind: CR0, CR1 or CR2."""
        adjustments = sums.adjustments if kind == "CR2" else None
        n_clusters = len(sums.scores)
        scores = sums.scores if adjustments is None else (adjustments @ sums.scores[:, :, None])[:, :, 0]
        shares = scores @ sums.root.T
        factor = n_clusters / (n_clusters - 1.0) if kind == "CR1" else 1.0
        return cls(coefficients, factor * (shares.T @ shares), sums, adjustments)

    def df(self, contrasts: Array) -> Array:
        c = (contrasts @ self.sums.root).T
        information = self.sums.information
        u = np.broadcast_to(c, (len(information), *c.shape)) if self.adjustments is None else self.adjustments @ c
        w = information @ u                     # (J, p, r)
        own, length = (u * w).sum(axis=1), (w * w).sum(axis=1)
        by_contrast = w.transpose(2, 1, 0)
        gram = by_contrast @ by_contrast.transpose(0, 2, 1)
        squares = (gram**2).sum(axis=(1, 2)) + (own**2 - 2.0 * own * length).sum(axis=0)
        df = (own - length).sum(axis=0) ** 2 / np.where(squares > 0.0, squares, np.nan)
        return np.where(self._known(contrasts), df, np.nan)

    def se(self, contrasts: Array) -> Array:
        return np.where(self._known(contrasts), super().se(contrasts), np.nan)

    def independent(self, contrasts: Array, rhs: Array | float) -> tuple[Array, Array]:
        if not self._known(contrasts).all():
            raise InputError("L: expected contrasts that more than one cluster says something of; a single cluster "
                             "determines a coefficient here")
        rank, most = np.linalg.matrix_rank(contrasts @ self.sums.root), len(self.sums.scores) - 1
        if rank > most:
            raise InputError(f"L: expected at most {most} independent contrasts with {most + 1} clusters, got {rank}")
        return super().independent(contrasts, rhs)

    def _known(self, contrasts: Array) -> NDArray[np.bool_]:
        """Whether several clusters say something of all that a contrast involves (r,)."""
        c = contrasts @ self.sums.root
        along = np.abs(c @ self.sums.determined.T).max(axis=1, initial=0.0)
        return np.asarray(along <= NEGLIGIBLE * np.sqrt((c**2).sum(axis=1)))


def linear_robust_tests(design: MixedDesign, params: LMMParams, engine: LinearCriterion, residuals: Array,
                        clusters: Clusters, kind: str) -> RobustTests:
    """Tests of a linear model with the robust covariance of a kind; `residuals` are those of the rows, y - Xβ - Zb."""
    root = np.asarray(np.linalg.cholesky(params.vcov / params.residual_variance), np.float64)
    X = kept_columns(design, params) @ root
    VX = inverse_covariance_times(design, X, [modes @ root for modes in engine.fixed_modes(params.theta)])
    Ve = residuals if design.weights is None else design.weights * residuals
    return RobustTests.from_sums(params.coefficients, ClusterSums.from_rows(root, X, VX, Ve, clusters), kind)


def sandwich(scores: ClusterScores, coefficients: slice, free: NDArray[np.bool_], kind: str) -> Array:
    """Robust covariance of the coefficients of a generalized model (p, p).

    Parameters
    ----------
    scores : ClusterScores
    coefficients : slice
        Where they stand among all parameters.
    free : (k,) bool array
        False for parameters held at their boundary, which are taken as known.
    kind : str
        CR0, or CR1 with the factor J / (J - 1).
    """
    covariance = np.zeros_like(scores.hessian)
    covariance[np.ix_(free, free)] = parameter_covariance(scores.hessian, free, free)
    # the criterion is minus twice the log-likelihood
    shares = 0.5 * scores.gradients @ covariance[:, coefficients] @ scores.coefficient_map.T
    n_clusters = len(shares)
    factor = n_clusters / (n_clusters - 1.0) if kind == "CR1" else 1.0
    return np.asarray(factor * (shares.T @ shares))
