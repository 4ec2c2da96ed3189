"""What is left of the criterion of a generalized model when its rows are gone: the covariance of its random effects."""
from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._common import Array
from .._engine import ClusterScores, ConstrainedFit
from .._generalized import working_covariance
from .._inference.resampling import ModelPoint, Resampler
from ..design import MixedDesign
from ..errors import InputError


class HeldCriterion:
    """The criterion of a generalized model without rows; see `pymixed._engine.GeneralizedCriterion`.

    Parameters
    ----------
    design : MixedDesign
        Without rows.
    products : _core.CrossProducts
        Of the rows that there were, with the weights at their conditional modes.
    theta : (m,) array
    options : mapping
        Of the fit.
    """

    def __init__(self, design: MixedDesign, products: _core.CrossProducts, theta: Array,
                 options: dict[str, Any]) -> None:
        self._design, self._products, self._theta, self._options = design, products, theta, options

    def options(self) -> dict[str, Any]:
        """What the fit was told."""
        return self._options

    def products(self, parameters: Array) -> _core.CrossProducts:
        """Cross-products of the rows that there were."""
        return self._products

    def effects_covariance(self, parameters: Array) -> _core.EffectsCovariance:
        """Covariance of the random effects given the coefficients."""
        return working_covariance(self._products, self._theta)

    def conditional_covariances(self, parameters: Array) -> tuple[Array, ...]:
        """Var(b | y) per grouping factor, (levels, c, c)."""
        effects, design = self.effects_covariance(parameters), self._design
        return tuple(_blocks(effects, design, i) for i in range(len(design.factors)))

    def deviance(self, parameters: Array) -> float:
        """Not without rows."""
        _no_rows()

    def gradient(self, parameters: Array) -> Array:
        """Not without rows."""
        _no_rows()

    def hessian(self, parameters: Array) -> Array:
        """Not without rows."""
        _no_rows()

    def refit(self, design: MixedDesign, reml: bool | None = None) -> Any:
        """Not without rows."""
        _no_rows()

    def resampler(self, design: MixedDesign, point: ModelPoint, reml: bool | None = None) -> Resampler:
        """Not without rows."""
        _no_rows()

    def constrained_fit(self, kind: str, place: tuple[int, int, int], value: float, start: Array) -> ConstrainedFit:
        """Not without rows."""
        _no_rows()

    def cluster_scores(self, parameters: Array, clusters: NDArray[np.int32], n_clusters: int) -> ClusterScores:
        """Not without rows."""
        _no_rows()


def _no_rows() -> NoReturn:
    raise InputError("the model file holds no rows, which the criterion of a generalized model is a function of; "
                     "save(path, slim=False) keeps them")


def _blocks(effects: _core.EffectsCovariance, design: MixedDesign, position: int) -> Array:
    """Blocks of the covariance of a factor's levels, from variances of sums of two columns."""
    n_levels = len(design.factors[position].levels)
    columns = [term.factor == position for term in design.terms for _ in term.columns]
    own, c = np.flatnonzero(columns), sum(columns)
    codes = [np.arange(n_levels, dtype=np.int32) if i == position else np.full(n_levels, -1, np.int32)
             for i in range(len(design.factors))]

    def variance(*chosen: int) -> Array:
        z = [np.full(n_levels, float(j in own[list(chosen)])) for j in range(len(columns))]
        return effects.random_variances(codes, z)

    out = np.empty((n_levels, c, c))
    for a in range(c):
        out[:, a, a] = variance(a)
    for a in range(c):
        for b in range(a):
            out[:, a, b] = out[:, b, a] = 0.5 * (variance(a, b) - out[:, a, a] - out[:, b, b])
    return out
