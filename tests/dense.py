"""Linear mixed models by their textbook definition: dense, slow, obvious. The judge of the package's algebra.

    y = offset + X beta + Z b + e,   b = Lambda(theta) u,   u ~ N(0, sigma^2 I),   e ~ N(0, sigma^2 W^-1)

    V = W^-1 + Z Lambda Lambda' Z'                    (n x n, formed)
    C = (X' V^-1 X)^-1,   P = V^-1 - V^-1 X C X' V^-1,   r^2 = y' P y,   nu = n - p (REML) or n (ML)
    criterion = log|V| + [REML: - log|C|] + nu (1 + log(2 pi r^2 / nu))

log|V| = log|Lambda'Z'WZ Lambda + I| - sum(log w), so this is the criterion of Bates, Maechler, Bolker & Walker (2015),
J. Stat. Softw. 67(1), with the constant of the prior weights. With V_i, V_ij the derivatives of V in theta,
dP = -P V_i P, and everything else follows by the product rule.

Every step works in the dtype asked for: `np.longdouble` shows how many digits the double precision package lost, and a
complex theta gives complex-step derivatives, which prove the closed forms here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class DenseTerm:
    """One random-effects term: level of every row (n,), columns (n, c), "us" (full lower triangle) or "diag"."""

    codes: Array
    columns: Array
    structure: str = "us"

    @property
    def n_levels(self) -> int:
        return int(self.codes.max()) + 1

    @property
    def template_entries(self) -> list[tuple[int, int]]:
        """(row, column) in the template of each of the term's parameters, column-major."""
        c = self.columns.shape[1]
        if self.structure == "diag":
            return [(k, k) for k in range(c)]
        return [(row, column) for column in range(c) for row in range(column, c)]

    @property
    def Z(self) -> Array:
        """(n, levels * c), the columns of a level side by side."""
        indicator = self.codes[:, None] == np.arange(self.n_levels)
        return (indicator[:, :, None] * self.columns[:, None, :]).reshape(len(self.codes), -1)


def inverse_and_logdet(A: Array) -> tuple[Array, Any]:
    """Gauss-Jordan elimination of a symmetric positive definite matrix, in its own dtype."""
    A, logdet = A.copy(), A.dtype.type(0)
    for k in range(len(A)):
        pivot, column = A[k, k], A[:, k].copy()
        logdet += np.log(pivot)
        row = A[k] / pivot
        row[k] = 1 / pivot
        column[k] = A[:, k] = 0
        A -= np.outer(column, row)
        A[k] = row
    return A, logdet


def gram_schmidt(X: Array) -> tuple[Array, Array]:
    """X = QR with orthonormal Q (n, p) and upper triangular R, in X's own dtype, every projection made twice."""
    Q, R = X.copy(), np.zeros((X.shape[1],) * 2, X.dtype)
    for j in range(X.shape[1]):
        for _ in range(2):
            along = Q[:, :j].T @ Q[:, j]
            Q[:, j] -= Q[:, :j] @ along
            R[:j, j] += along
        R[j, j] = np.sqrt(Q[:, j] @ Q[:, j])
        Q[:, j] /= R[j, j]
    return Q, R


def independent_columns(X: Array) -> Array:
    """Positions of the columns that are no combination of earlier ones (R keeps these and drops the rest)."""
    kept: list[int] = []
    for j in range(X.shape[1]):
        if np.linalg.matrix_rank(X[:, [*kept, j]]) > len(kept):
            kept.append(j)
    return np.array(kept, int)


def parameter_directions(terms: Sequence[DenseTerm], dtype: Any) -> list[Array]:
    """dLambda/dtheta_i, (q, q), constant because Lambda is linear in theta."""
    sizes = [term.n_levels * term.columns.shape[1] for term in terms]
    directions, start = [], 0
    for term, q in zip(terms, sizes, strict=True):
        first = np.arange(start, start + q, term.columns.shape[1])
        for row, column in term.template_entries:
            direction = np.zeros((sum(sizes),) * 2, dtype)
            direction[first + row, first + column] = 1
            directions.append(direction)
        start += q
    return directions


class DenseLMM:
    """A model, all matrices formed; `at(theta)` evaluates it. X must have full column rank."""

    def __init__(self, y: ArrayLike, X: ArrayLike, terms: Sequence[DenseTerm], *, weights: ArrayLike | None = None,
                 offset: ArrayLike | None = None, reml: bool = True, dtype: Any = np.float64) -> None:
        self.offset = np.zeros(np.shape(y), dtype) if offset is None else np.asarray(offset, dtype)
        self.y = np.asarray(y, dtype) - self.offset
        self.X = np.asarray(X, dtype)
        # X'V^-1 X squares the condition of X, Q'V^-1 Q has none of it
        self.Q, R = gram_schmidt(self.X)
        self.R_inverse, self.logdet_R = inverse_and_logdet(R)
        self.W_inverse = np.diag(np.ones(len(self.y), dtype) if weights is None else 1 / np.asarray(weights, dtype))
        self.terms, self.reml = tuple(terms), reml
        self.Z = np.hstack([term.Z for term in terms]).astype(dtype)
        self.nu = len(self.y) - self.X.shape[1] * reml
        self.n_random = [term.n_levels * term.columns.shape[1] for term in self.terms]
        self.dLambda = parameter_directions(self.terms, dtype)

    @property
    def n_theta(self) -> int:
        return len(self.dLambda)

    def columns_of_level(self, terms: Sequence[int], level: int) -> Array:
        """Columns of Z that belong to a level of the terms given, which share a grouping factor."""
        starts = np.cumsum([0, *self.n_random])
        sizes = [term.columns.shape[1] for term in self.terms]
        return np.concatenate([starts[i] + level * sizes[i] + np.arange(sizes[i]) for i in terms])

    def at(self, theta: ArrayLike) -> "Evaluation":
        return Evaluation(self, np.asarray(theta))


class Evaluation:
    """Everything about the model at one theta. Arrays in theta are (m,) or (m, m), in beta (p,) or (p, p)."""

    def __init__(self, model: DenseLMM, theta: Array) -> None:
        if len(theta) != model.n_theta:
            raise ValueError(f"theta has {len(theta)} entries, the model {model.n_theta}")
        self.model, y, Q = model, model.y, model.Q
        self.Lambda = sum(t * direction for t, direction in zip(theta, model.dLambda, strict=True))
        self.ZLambda = model.Z @ self.Lambda
        self.V_inverse, self.logdet_V = inverse_and_logdet(model.W_inverse + self.ZLambda @ self.ZLambda.T)
        VQ = self.V_inverse @ Q
        C_Q, logdet_QVQ = inverse_and_logdet(Q.T @ VQ)
        self.C, self.logdet_C = model.R_inverse @ C_Q @ model.R_inverse.T, -logdet_QVQ - 2 * model.logdet_R
        self.P = self.V_inverse - VQ @ C_Q @ VQ.T
        self.beta = model.R_inverse @ (C_Q @ (VQ.T @ y))
        self.residual = y - Q @ (C_Q @ (VQ.T @ y))       # y - X beta
        self.Py = self.V_inverse @ self.residual         # from the residual: y'P cancels when y is far from 0
        self.r2 = self.residual @ self.Py
        self.sigma2 = self.r2 / model.nu
        self.sigma = np.sqrt(self.sigma2)
        self.vcov = self.sigma2 * self.C

    # ---- the criterion and its derivatives in theta ------------------------------------------------------------------

    @property
    def criterion(self) -> Any:
        return self._logdet + self.model.nu * (1 + np.log(2 * np.pi * self.sigma2))

    @property
    def gradient(self) -> Array:
        return self._logdet_gradient + self.model.nu * self.r2_gradient / self.r2

    @property
    def hessian(self) -> Array:
        g = self.r2_gradient / self.r2
        return self._logdet_hessian + self.model.nu * (self.r2_hessian / self.r2 - np.outer(g, g))

    @property
    def _logdet(self) -> Any:
        return self.logdet_V - self.logdet_C * self.model.reml

    @property
    def _R(self) -> Array:
        """d log-determinants = tr(R dV): R = P holds the part of log|X'V^-1 X|, which only REML has."""
        return self.P if self.model.reml else self.V_inverse

    @cached_property
    def dV(self) -> list[Array]:
        half = [self.model.Z @ dLambda @ self.ZLambda.T for dLambda in self.model.dLambda]
        return [h + h.T for h in half]

    def _per_pair(self, value: Any) -> Array:
        """The (m, m) matrix of value(i, j, V_ij), V_ij = d^2V / dtheta_i dtheta_j."""
        ZdLambda, m = [self.model.Z @ dLambda for dLambda in self.model.dLambda], self.model.n_theta
        result = np.zeros((m, m), self.P.dtype)
        for i in range(m):
            for j in range(i + 1):
                half = ZdLambda[i] @ ZdLambda[j].T
                result[i, j] = result[j, i] = value(i, j, half + half.T)
        return result

    @property
    def _logdet_gradient(self) -> Array:
        return np.array([np.sum(self._R * dV) for dV in self.dV])

    @cached_property
    def _logdet_hessian(self) -> Array:
        RdV = [self._R @ dV for dV in self.dV]
        return self._per_pair(lambda i, j, V_ij: np.sum(self._R * V_ij) - np.sum(RdV[i] * RdV[j].T))

    @property
    def r2_gradient(self) -> Array:
        return np.array([-self.Py @ dV @ self.Py for dV in self.dV])

    @cached_property
    def r2_hessian(self) -> Array:
        dVPy = [dV @ self.Py for dV in self.dV]
        return self._per_pair(lambda i, j, V_ij: 2 * dVPy[i] @ self.P @ dVPy[j] - self.Py @ V_ij @ self.Py)

    # ---- random effects ----------------------------------------------------------------------------------------------

    @property
    def b(self) -> Array:
        """Conditional modes (q,)."""
        return self.Lambda @ (self.ZLambda.T @ self.Py)

    @property
    def modes(self) -> list[Array]:
        """Per term, (levels, c)."""
        pieces = np.split(self.b, np.cumsum(self.model.n_random)[:-1])
        return [piece.reshape(term.n_levels, -1) for piece, term in zip(pieces, self.model.terms, strict=True)]

    @property
    def conditional_covariance(self) -> Array:
        """Var(b | y) with beta held, (q, q): lme4's condVar is made of its diagonal blocks."""
        variance_u = np.eye(len(self.Lambda)) - self.ZLambda.T @ self.V_inverse @ self.ZLambda
        return self.sigma2 * self.Lambda @ variance_u @ self.Lambda.T

    @property
    def fitted(self) -> Array:
        return self.model.offset + self.model.y - self.residual + self.model.Z @ self.b

    # ---- Satterthwaite's degrees of freedom --------------------------------------------------------------------------

    def _free(self, free: ArrayLike | None) -> NDArray[np.bool_]:
        return np.ones(self.model.n_theta, bool) if free is None else np.asarray(free)

    def covariance_theta_sigma(self, free: ArrayLike | None = None) -> Array:
        """2 H^-1 with H the Hessian of the criterion in (theta[free], sigma), sigma not profiled out:

            d(theta, sigma) = log-determinants + nu log(2 pi sigma^2) + r^2(theta) / sigma^2
        """
        keep = np.flatnonzero(self._free(free))
        m, nu, sigma = len(keep), self.model.nu, self.sigma
        H = np.empty((m + 1, m + 1), self.P.dtype)
        H[:m, :m] = (self._logdet_hessian + self.r2_hessian / sigma**2)[np.ix_(keep, keep)]
        H[:m, m] = H[m, :m] = -2 * self.r2_gradient[keep] / sigma**3
        H[m, m] = 4 * nu / sigma**2
        return 2 * inverse_and_logdet(H)[0]

    @property
    def dC(self) -> Array:
        """Derivatives of C in theta, (m, p, p)."""
        VXC = self.V_inverse @ self.model.X @ self.C
        return np.array([VXC.T @ dV @ VXC for dV in self.dV])

    def satterthwaite(self, free: ArrayLike | None = None) -> Array:
        """Degrees of freedom of every coefficient, 2 v^2 / Var(v) with v = Var(beta_k) by the delta method."""
        d_variance = self.sigma2 * np.diagonal(self.dC, axis1=1, axis2=2)[self._free(free)]
        jacobian = np.vstack([d_variance, 2 * self.sigma * np.diag(self.C)])
        variance = np.einsum("ik,ij,jk->k", jacobian, self.covariance_theta_sigma(free), jacobian)
        return 2 * np.diag(self.vcov) ** 2 / variance
