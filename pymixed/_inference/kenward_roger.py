"""Kenward & Roger's adjusted covariance of the fixed effects and degrees of freedom of linear mixed models.

Kenward & Roger (1997), Biometrics 53(3), with the parametrisation of Halekoh & Højsgaard (2014), J. Stat. Softw. 59(9):
covariance parameters in which the covariance of the response is linear. The core sums what grows with the data; here
matrices have the size of the coefficients and of the covariance parameters.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from .._common import Array
from .._engine import ComputingCost, LinearCriterion
from .._memory import available_memory
from ..errors import InputError, LongComputationWarning, MemoryLimitError
from ..inference import FLAT_TOLERANCE

OPERATIONS_PER_SECOND = 5e9      # of one thread, a slow one
WARN_SECONDS, MOST_SECONDS = 10.0, 3600.0
WAY_OUT = 'ddf="satterthwaite" needs neither'

# Rank of contrasts scaled to unit standard errors, and contradictions between dependent ones in standard errors.
RANK_TOLERANCE = 1e-9
CONTRADICTION = 1e-6

# Relative difference of A1 and r A2 below which the F test is taken to be exact; see `_scaled_f`.
EXACT_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """What small samples change in the tests of the fixed effects: p coefficients, k covariance parameters.

    Attributes
    ----------
    vcov : (p, p) array
        Adjusted covariance of the coefficients.
    W : (k, k) array
        Covariance of the covariance parameters: per term the entries of its covariance matrix in the order of theta,
        then the residual variance. Zero in directions that the data say nothing of.
    root : (p, p) array
        root @ root.T is the covariance that is adjusted, sigma² (X'V⁻¹X)⁻¹.
    directions : (d, p, p) array
        sum_i F_i P_i with W = FF' and P_i in coordinates in which that covariance is the identity.
    """

    vcov: Array
    W: Array
    root: Array
    directions: Array

    def df(self, contrasts: Array) -> Array:
        """Degrees of freedom of the t tests of single contrasts, whose standard errors are those of `vcov`.

        Parameters
        ----------
        contrasts : (r, p) array
            One L per row.

        Returns
        -------
        (r,) array
            2 / A2 of the F test with one numerator degree of freedom, its scale factor being 1; NaN for zeros.
        """
        x = contrasts @ self.root
        size = (x * x).sum(axis=1)
        A2 = np.zeros(len(x))
        for direction in self.directions:
            A2 += ((x @ direction) * x).sum(axis=1) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2.0 * size**2 / A2)

    def f_test(self, contrasts: Array, estimate_minus_rhs: Array) -> tuple[float, int, float]:
        """F test of several contrasts together.

        Parameters
        ----------
        contrasts : (r, p) array
            One L per row; rows that depend on others are no hypotheses of their own.
        estimate_minus_rhs : (r,) array
            L'beta less the value of the hypothesis.

        Returns
        -------
        F : float
            Scaled statistic, lambda / rank times the quadratic form with `vcov`.
        num_df : int
            Rank of the contrasts.
        den_df : float
            NaN where the method has no answer: the formula's degrees of freedom are not positive.

        Raises
        ------
        InputError
            For contrasts that are all zero, and for dependent ones that contradict each other.
        """
        x = contrasts @ self.root
        size = np.sqrt((x * x).sum(axis=1))
        scale = 1.0 / np.where(size > 0, size, 1.0)
        left, values, right = np.linalg.svd(scale[:, None] * x, full_matrices=False)
        rank = int((values > RANK_TOLERANCE * max(1.0, values.max(initial=0.0))).sum())
        if rank == 0:
            raise InputError("contrasts: expected at least one that is not zero")
        left, values, right = left[:, :rank], values[:rank], right[:rank]
        standardised = scale * estimate_minus_rhs
        along = left.T @ standardised
        if np.abs(standardised - left @ along).max() > CONTRADICTION * max(1.0, np.abs(standardised).max()):
            raise InputError("contrasts: expected values of the hypothesis that do not contradict each other, got "
                             "dependent contrasts with others")
        combine = (left / values).T * scale     # rows of `right` out of those of x
        independent, estimate = combine @ contrasts, along / values
        quadratic = estimate @ np.linalg.solve(independent @ self.vcov @ independent.T, estimate)
        M = right @ self.directions @ right.T
        A1 = (np.trace(M, axis1=1, axis2=2) ** 2).sum()
        A2 = (M * M).sum()
        df, factor = _scaled_f(rank, float(A1), float(A2))
        return float(factor * quadratic / rank), rank, df


def _scaled_f(rank: int, A1: float, A2: float) -> tuple[float, float]:
    """Denominator degrees of freedom m and scale factor lambda that match mean and variance of F.

    With l the rank, a = A2 / l and u = A1 / A2, expectation and variance are E = 1 / (1 - a) and
    V = 2/l (1 + c1 B) / ((1 - c2 B)² (1 - c3 B)), B = a (u + 6) / 2, and m = 4 + (l + 2) / (l rho - 1) with
    rho = V / (2E²), lambda = m (1 - a) / (m - 2). All of these are written without quotients that become 0/0: with
    D = 3l² + 10l + 12 - 2 (l + 1) u

        1 - c2 B = (1 - a) + a (u - l) ((l + 1) u - 2) / (2D)

    so that m = 2 / a and lambda = 1 where u = l, the tests that are exactly F: then also where a = 1 or a = 1/2.
    """
    if A2 <= 0.0:
        return np.inf, 1.0
    a, u = A2 / rank, A1 / A2
    if abs(u - rank) <= EXACT_TOLERANCE * rank:
        return 2.0 / a, 1.0
    D = 3 * rank**2 + 10 * rank + 12 - 2 * (rank + 1) * u
    g = ((rank + 1) * u - (rank + 4)) / (rank + 2)
    B = a * (u + 6) / 2
    V0 = 1 + g * (rank + 2) / D * B
    V1 = 1 - a + a * (u - rank) * ((rank + 1) * u - 2) / (2 * D)
    V2 = 1 - (rank + 2 - g) * (rank + 2) / D * B
    m = 4 + (rank + 2) * V2 * V1**2 / ((1 - a) ** 2 * V0 - V2 * V1**2)
    return (m, m * (1 - a) / (m - 2)) if m > 0.0 else (np.nan, np.nan)


def kenward_roger(criterion: LinearCriterion, theta: Array, *, stacklevel: int = 2) -> KenwardRoger:
    """Compute the adjustment at the REML estimate of theta.

    The method is defined for REML: where a model was fitted by maximum likelihood, theta is to be estimated anew. The
    residual variance is r² / (n - p) whatever the criterion.

    Parameters
    ----------
    criterion : LinearCriterion
        Of the model, either likelihood.
    theta : (m,) array
        Relative covariance parameters that minimise the restricted criterion.
    stacklevel : int, default 2
        Of the warning, as `warnings.warn` counts.

    Returns
    -------
    KenwardRoger

    Raises
    ------
    MemoryLimitError
        Before anything is computed, where memory or an hour would not do.

    Warns
    -----
    LongComputationWarning
        Where it may take longer than about ten seconds.
    """
    cost = criterion.kenward_roger_cost()
    _check(cost, stacklevel + 1)
    sums = criterion.kenward_roger_sums(theta)
    k, p = len(sums.T), len(sums.root)
    P, Q, T = sums.P, sums.Q, sums.T
    flat = P.reshape(k, p * p)
    information = T - 2.0 * np.einsum("iaja->ij", Q) + flat @ flat.T
    factor = _root_of_inverse(information, T.diagonal())      # over sigma⁴
    directions = (factor.T @ flat).reshape(factor.shape[1], p, p)
    adjustment = np.einsum("ij,iajb->ab", factor @ factor.T, Q) - (directions @ directions).sum(axis=0)
    root = np.sqrt(sums.sigma2) * sums.root
    vcov = root @ (np.eye(p) + adjustment + adjustment.T) @ root.T
    user = sums.sigma2 * np.linalg.solve(sums.to_internal, factor)
    return KenwardRoger(vcov, user @ user.T, root, directions)


def _root_of_inverse(information: Array, total: Array) -> Array:
    """F with FF' = 2 information⁻¹ on the directions that have any, relative to what known fixed effects would leave.

    The information tr(PG_iPG_j) is at most tr(V⁻¹G_iV⁻¹G_j), whose diagonal is `total`: a parameter that the fixed
    effects explain away has none.
    """
    scale = 1.0 / np.sqrt(np.where(total > 0, total, 1.0))
    values, vectors = np.linalg.eigh(scale[:, None] * information * scale)
    kept = values > FLAT_TOLERANCE
    return np.asarray(np.sqrt(2.0 / values[kept]) * scale[:, None] * vectors[:, kept])


def _check(cost: ComputingCost, stacklevel: int) -> None:
    """Refuse what needs more memory than there is or an hour; warn of what takes long."""
    limit = available_memory()
    seconds = cost.operations / (OPERATIONS_PER_SECOND * cost.n_threads)
    need = f"Kenward-Roger needs {cost.n_bytes / 1e9:.2g} GB and about {seconds:.0f} s"
    if limit > 0 and cost.n_bytes > limit:
        raise MemoryLimitError(f"{need}, the limit is {limit / 1e9:.2g} GB of memory; {WAY_OUT}")
    if seconds > MOST_SECONDS:
        raise MemoryLimitError(f"{need}, the limit is {MOST_SECONDS:.0f} s; {WAY_OUT}")
    if seconds > WARN_SECONDS:
        warnings.warn(LongComputationWarning(f"{need}; {WAY_OUT}"), stacklevel=stacklevel)
