"""Kenward & Roger's method by its definition with n x n matrices. The judge of the package's algebra.

    V = sum_i gamma_i G_i,   P_i = -X'V^-1G_iV^-1X,   Q_ij = X'V^-1G_iV^-1G_jV^-1X,   T_ij = tr(V^-1G_iV^-1G_j)
    W = 2 (T_ij - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j))^-1
    vcov = Phi + 2 Phi sum_ij W_ij (Q_ij - P_i Phi P_j) Phi,   Phi = (X'V^-1X)^-1

Kenward & Roger (1997), Biometrics 53(3), with the covariance parameters gamma of Halekoh & Hojsgaard (2014), J. Stat.
Softw. 59(9): per term the entries (row, column) of its covariance matrix in the order of theta, then the residual
variance.
"""

from typing import Any

import numpy as np
from dense import DenseTerm, Evaluation
from numpy.typing import NDArray

Array = NDArray[Any]


def entry_derivatives(term: DenseTerm) -> list[Array]:
    """dV/dgamma of every entry of a term's covariance matrix: Z E Z', ones at (row, column) and (column, row) in E."""
    found = []
    for row, column in term.template_entries:
        E = np.zeros((term.columns.shape[1],) * 2)
        E[row, column] = E[column, row] = 1
        same_level = term.codes[:, None] == term.codes
        found.append(same_level * (term.columns @ E @ term.columns.T))
    return found


class DenseKenwardRoger:
    """The adjustment at a point of a model; its sigma² is r² / (n - p)."""

    def __init__(self, at: Evaluation) -> None:
        X = at.model.X
        sigma2 = at.r2 / (len(X) - X.shape[1])
        self.G = [G for term in at.model.terms for G in entry_derivatives(term)] + [at.model.W_inverse]
        V_inverse = at.V_inverse / sigma2
        VG = [V_inverse @ G for G in self.G]
        VX = V_inverse @ X
        self.sigma2, self.Phi = sigma2, sigma2 * at.C
        self.P = np.array([-VX.T @ G @ VX for G in self.G])
        self.Q = np.array([[VX.T @ G_i @ V_inverse @ G_j @ VX for G_j in self.G] for G_i in self.G])
        self.T = np.array([[np.sum(VG_i * VG_j.T) for VG_j in VG] for VG_i in VG])
        PhiP = self.Phi @ self.P
        self.information = (self.T - 2 * np.trace(self.Phi @ self.Q, axis1=2, axis2=3)
                            + np.einsum("iab,jba->ij", PhiP, PhiP))

    @property
    def condition(self) -> float:
        """Of the information scaled to a unit diagonal."""
        diagonal = self.information.diagonal()
        return float(np.linalg.cond(self.information / np.sqrt(np.outer(diagonal, diagonal))))

    @property
    def W(self) -> Array:
        scale = 1 / np.sqrt(self.information.diagonal())
        return 2 * scale[:, None] * np.linalg.inv(scale[:, None] * self.information * scale) * scale

    @property
    def vcov(self) -> Array:
        Phi, P = self.Phi, self.P
        bias = np.einsum("ij,ijab->ab", self.W, self.Q - P[:, None] @ Phi @ P[None])
        return Phi + 2 * Phi @ bias @ Phi

    def f_test(self, L: Array, estimate: Array) -> tuple[float, float, float]:
        """Scaled F, denominator degrees of freedom and scale factor; L has full row rank."""
        rank, Phi, W = len(L), self.Phi, self.W
        Theta = L.T @ np.linalg.inv(L @ Phi @ L.T) @ L
        M = [Theta @ Phi @ P @ Phi for P in self.P]
        A1 = np.einsum("ij,i,j", W, *[[np.trace(M_i) for M_i in M]] * 2)
        A2 = sum(W[i, j] * np.trace(M_i @ M_j) for i, M_i in enumerate(M) for j, M_j in enumerate(M))
        m, factor = scaled_f(rank, A1, A2)
        return factor / rank * estimate @ np.linalg.inv(L @ self.vcov @ L.T) @ estimate, m, factor


def scaled_f(rank: int, A1: float, A2: float) -> tuple[float, float]:
    """m and lambda as the paper has them."""
    B = (A1 + 6 * A2) / (2 * rank)
    g = ((rank + 1) * A1 - (rank + 4) * A2) / ((rank + 2) * A2)
    D = 3 * rank + 2 * (1 - g)
    c1, c2, c3 = g / D, (rank - g) / D, (rank + 2 - g) / D
    E = 1 / (1 - A2 / rank)
    V = 2 / rank * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    m = 4 + (rank + 2) / (rank * V / (2 * E**2) - 1)
    return m, m / (E * (m - 2))
