"""How replicates of a bootstrap are drawn, and the arrays that come of it; the core's part is in `_refits`."""
from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._common import Array, MixedParams, TermCovariance, check_choice, check_number
from ..design import MixedDesign
from ..errors import InputError
from .clusters import Clusters, read_clusters

MOST_THREADS = 1024
KINDS = ("parametric", "residual", "cluster")


@dataclass(frozen=True, eq=False)
class ModelPoint:
    """The parameters at which a model stands.

    Attributes
    ----------
    theta : (m,) array
    coefficients : (p,) array
    extra : (k,) array
        Sigma of a linear model; of a generalized one the family's parameters on their unconstrained scale and the
        coefficients of the zero inflation.
    """

    theta: Array
    coefficients: Array
    extra: Array


@dataclass(frozen=True, eq=False)
class Pools:
    """What a residual bootstrap draws from: modes (levels, c) per grouping factor, and residuals (n,)."""

    modes: tuple[Array, ...]
    residuals: Array


@dataclass(frozen=True, eq=False)
class Plan:
    """How replicates are drawn.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Of all replicates; each has a stream of random numbers by its own number.
    n_threads : int
    pools : Pools or None
        Of a residual bootstrap.
    clusters : Clusters or None
        Of a cluster bootstrap.
    """

    kind: str
    seed: int
    n_threads: int
    pools: Pools | None = None
    clusters: Clusters | None = None


@dataclass(frozen=True, eq=False)
class RefitArrays:
    """Estimates of R fits, a row each; NaN where a fit failed.

    Attributes
    ----------
    coefficients, se : (R, p) array
    theta : (R, m) array
    extra : (R, k) array
        As in `ModelPoint`.
    objective : (R,) array
        Minus twice the (restricted) log-likelihood.
    status : (R,) array of int8
        Positions in `statuses`; 0 is success.
    n_evaluations : (R,) array of int
    """

    coefficients: Array
    se: Array
    theta: Array
    extra: Array
    objective: Array
    status: NDArray[np.int8]
    n_evaluations: NDArray[np.intp]


class Resampler(Protocol):
    """A model that can be fitted to other responses."""

    @property
    def statuses(self) -> tuple[str, ...]:
        """What a code of `RefitArrays.status` means."""

    def draw(self, plan: Plan, first: int, count: int) -> RefitArrays:
        """Fits to replicates `first`, `first` + 1, ..."""

    def responses(self, plan: Plan, first: int, count: int) -> Array:
        """The responses (n, count) of these replicates; not of a cluster bootstrap, whose rows are others."""

    def fit(self, Y: Array, n_threads: int) -> RefitArrays:
        """Fits to the columns of Y (n, R)."""


def make_plan(design: MixedDesign, kind: str, seed: int | None, cluster: Any, n_threads: int | None) -> Plan:
    """A plan from what the user says, checked; see `LMMSolution.bootstrap`. Pools are still missing."""
    check_choice("kind", kind, KINDS)
    check_number("n_threads", 1 if n_threads is None else n_threads, Integral)
    if n_threads is not None and n_threads > MOST_THREADS:
        raise InputError(f"n_threads: expected at most {MOST_THREADS}, got {n_threads}")
    if seed is not None:
        check_number("seed", seed, Integral, 0)
        if seed >= 2**64:
            raise InputError(f"seed: expected an integer below 2**64, got {seed}")
    if cluster is not None and kind != "cluster":
        raise InputError(f"cluster: expected None for a {kind} bootstrap, it is for kind='cluster'")
    return Plan(kind, secrets.randbits(63) if seed is None else int(seed), int(n_threads or 1),
                clusters=read_clusters(design, cluster) if kind == "cluster" else None)


def residual_pools(design: MixedDesign, params: MixedParams, residuals: Array, sigma: float) -> Pools:
    """Conditional modes and residuals, centred and scaled to the covariances that the model estimates.

    Modes are shrunk towards zero and residuals with them, so that a resample of them as they are would understate
    every variance (Carpenter, Goldstein & Rasbash 2003, J. R. Stat. Soc. C 52(4), section 3.2; symmetric roots of the
    matrices here).
    """
    modes = tuple(
        _rescaled(params.random_effects[factor.name],
                  _block_diagonal([term for term in params.term_covariances if term.group == factor.name]))
        for factor in design.factors)
    weighted = residuals if design.weights is None else residuals * np.sqrt(design.weights)
    return Pools(modes, _rescaled(weighted[:, None], np.array([[sigma**2]]))[:, 0])


def _block_diagonal(terms: Sequence[TermCovariance]) -> Array:
    size = sum(len(term.columns) for term in terms)
    matrix, start = np.zeros((size, size)), 0
    for term in terms:
        stop = start + len(term.columns)
        matrix[start:stop, start:stop] = term.matrix
        start = stop
    return matrix


def _rescaled(values: Array, covariance: Array) -> Array:
    """Centred values (k, c) whose mean of squares and products is the covariance (c, c), where theirs has its rank."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred @ _root(centred.T @ centred / len(centred), -0.5) @ _root(covariance, 0.5))


def _root(matrix: Array, power: float) -> Array:
    """A power of a positive semi-definite matrix, eigenvalues that are zero left so."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-12 * values.max(initial=0.0)
    return np.asarray((vectors[:, kept] * values[kept] ** power) @ vectors[:, kept].T)
