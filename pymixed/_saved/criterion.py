"""What is left of the criterion of a generalized model when its rows are gone: the covariance of its random effects."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._common import Array
from .._engine import ClusterScores, ConstrainedFit, HeldEstimates
from .._family import Family
from .._generalized import GeneralizedOptions, GroupCriterion, working_covariance
from .._inference.resampling import ModelPoint, Resampler
from .._joint import level_covariances
from .._sampling import respond
from ..design import MixedDesign
from ..errors import InputError


class HeldCriterion(GroupCriterion):
    """The criterion of a generalized model without rows; see `pymixed._engine.GeneralizedCriterion`.

    Parameters
    ----------
    design : MixedDesign
        Without rows.
    products : _core.CrossProducts
        Of the rows that there were, with the weights at their conditional modes.
    theta : (m,) array
    family : Family
    options : GeneralizedOptions
        Of the fit.
    """

    def __init__(self, design: MixedDesign, products: _core.CrossProducts, theta: Array, family: Family,
                 options: GeneralizedOptions) -> None:
        self._design, self._products, self._theta, self._arguments = design, products, theta, (design, family, options)

    def products(self, parameters: Array) -> _core.CrossProducts:
        """Cross-products of the rows that there were."""
        return self._products

    def effects_covariance(self, parameters: Array) -> _core.EffectsCovariance:
        """Covariance of the random effects given the coefficients."""
        return working_covariance(self._products, self._theta)

    def conditional_covariances(self, parameters: Array) -> tuple[Array, ...]:
        """Var(b | y) per grouping factor, (levels, c, c)."""
        return level_covariances(self.effects_covariance(parameters), self._design)

    def respond(self, family: Family | None, eta: Array, zeta: Array | None, weights: Array | None, extra: Array,
                seed: int, stream: int) -> Array:
        """A response of any rows (m,) given their linear predictors."""
        return respond(family, eta, zeta, weights, extra, seed, stream)

    def deviance(self, parameters: Array) -> float:
        """Not without rows."""
        _no_rows()

    def gradient(self, parameters: Array) -> Array:
        """Not without rows."""
        _no_rows()

    def hessian(self, parameters: Array) -> Array:
        """Not without rows."""
        _no_rows()

    @property
    def optimizers(self) -> tuple[str, ...]:
        """None without rows."""
        _no_rows()

    def refit(self, design: MixedDesign, reml: bool | None = None, optimizer: str | None = None) -> Any:
        """Not without rows."""
        _no_rows()

    def resampler(self, design: MixedDesign, point: ModelPoint, reml: bool | None = None) -> Resampler:
        """Not without rows."""
        _no_rows()

    def working_rows(self, parameters: Array) -> tuple[Array, Array]:
        """Not without rows."""
        _no_rows()

    def estimates_without(self, parameters: Array, sets: Iterable[NDArray[np.intp]]) -> Iterator[HeldEstimates | None]:
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

