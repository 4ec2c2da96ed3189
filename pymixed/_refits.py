"""Fits of one design to many responses by the core; see `_inference.resampling.Resampler`."""
from __future__ import annotations

import numpy as np

from . import _core
from ._common import Array
from ._family import Family
from ._fitting import structure
from ._inference.clusters import Clusters
from ._inference.resampling import ModelPoint, Plan, Pools, RefitArrays
from ._sampling import check_sampled
from .design import MixedDesign


class CoreResampler:
    """What the resamplers of linear and generalized models have in common.

    Parameters
    ----------
    design : MixedDesign
    point : ModelPoint
        Where responses are simulated and every fit starts.
    start : (m,) or (m + p + k,) array
        The same as the optimiser takes it.
    tol : float
    max_iter : int
        Of every fit.
    """

    statuses: tuple[str, ...] = _core.STATUSES

    def __init__(self, design: MixedDesign, point: ModelPoint, start: Array, tol: float, max_iter: int) -> None:
        self.rows = core_rows(design)
        self.point = _core.ModelPoint(point.theta, point.coefficients, point.extra)
        self._start, self._tolerance, self._max_iter = start, 1e-3 * tol, max_iter

    def options(self, n_threads: int) -> _core.RefitOptions:
        """Options of every fit."""
        return _core.RefitOptions(self._start, self._tolerance, self._max_iter, n_threads)


class LinearResampler(CoreResampler):
    """A linear mixed model that can be fitted to other responses.

    Parameters
    ----------
    problem : Problem
    reml : bool
    design, point, tol, max_iter
        As for `CoreResampler`.
    """

    def __init__(self, problem: _core.Problem, design: MixedDesign, point: ModelPoint, reml: bool, tol: float,
                 max_iter: int) -> None:
        super().__init__(design, point, point.theta, tol, max_iter)
        self._problem, self._reml = problem, reml
        self._core = _core.LinearRefits(problem, self.rows, reml)

    def draw(self, plan: Plan, first: int, count: int) -> RefitArrays:
        draws, options = _core.Draws(plan.seed, first, count), self.options(plan.n_threads)
        if plan.clusters is not None:
            return _arrays(_core.fit_linear_clusters(
                self._problem, self.rows, core_clusters(plan.clusters), self._reml, draws, options))
        if plan.pools is not None:
            return _arrays(self._core.residual(self.point, core_pools(plan.pools), draws, options))
        return _arrays(self._core.parametric(self.point, draws, options))

    def responses(self, plan: Plan, first: int, count: int) -> Array:
        pools = None if plan.pools is None else core_pools(plan.pools)
        return self._core.responses(self.point, pools, _core.Draws(plan.seed, first, count))

    def fit(self, Y: Array, n_threads: int) -> RefitArrays:
        return _arrays(self._core.fit_columns(Y, None, None, self.options(n_threads)))


class GeneralizedResampler(CoreResampler):
    """A generalized linear mixed model that can be fitted to other responses.

    Parameters
    ----------
    problem : GeneralizedProblem
    family : Family
    n_agq : int
    curvature : str
    design, point, tol, max_iter
        As for `CoreResampler`.
    """

    def __init__(self, problem: _core.GeneralizedProblem, design: MixedDesign, point: ModelPoint, family: Family,
                 n_agq: int, curvature: str, tol: float, max_iter: int) -> None:
        beta = point.coefficients if n_agq else np.empty(0)
        super().__init__(design, point, np.concatenate([point.theta, beta, point.extra]), tol, max_iter)
        self._problem, self._zero_inflation, self._family = problem, design.zero_inflation, family
        self._n_agq, self._curvature = n_agq, curvature
        self._core = _core.GeneralizedRefits(problem, self.rows, design.zero_inflation, n_agq, curvature)

    def draw(self, plan: Plan, first: int, count: int) -> RefitArrays:
        draws, options = _core.Draws(plan.seed, first, count), self.options(plan.n_threads)
        if plan.clusters is not None:
            return _arrays(_core.fit_generalized_clusters(
                self._problem, self.rows, self._zero_inflation, core_clusters(plan.clusters), self._n_agq,
                self._curvature, draws, options))
        check_sampled(self._family)
        return _arrays(self._core.parametric(self.point, draws, options))

    def responses(self, plan: Plan, first: int, count: int) -> Array:
        check_sampled(self._family)
        return self._core.responses(self.point, _core.Draws(plan.seed, first, count))

    def fit(self, Y: Array, n_threads: int) -> RefitArrays:
        return _arrays(self._core.fit_columns(Y, None, None, self.options(n_threads)))


def core_rows(design: MixedDesign) -> _core.Rows:
    """Rows of a design as the core takes them."""
    codes, _, _, columns = structure(design)
    return _core.Rows(design.y, design.X, codes, columns, design.weights, design.offset)


def _arrays(refits: _core.Refits) -> RefitArrays:
    coefficients, covariance, theta, extra, objective, status, n_evaluations, *_ = refits
    p = coefficients.shape[1]
    diagonal = np.cumsum(np.arange(1, p + 1)) - 1  # of a lower triangle row by row
    return RefitArrays(coefficients, np.sqrt(covariance[:, diagonal]), theta, extra, objective, status, n_evaluations)


def core_clusters(clusters: Clusters) -> _core.Clusters:
    """Clusters as the core takes them."""
    return _core.Clusters(clusters.codes, clusters.count)


def core_pools(pools: Pools) -> _core.ResidualPools:
    """Pools as the core takes them."""
    return _core.ResidualPools(list(pools.modes), pools.residuals)
