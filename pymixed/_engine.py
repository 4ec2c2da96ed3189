"""What a fit leaves behind to evaluate: its criterion as functions of the parameters, with derivatives."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ._common import Array
from ._family import Family
from ._inference.resampling import ModelPoint, Resampler
from .design import MixedDesign


@dataclass(frozen=True, eq=False)
class VarianceDerivatives:
    """Derivatives in theta: of the criterion, and of the covariance of the fixed effects over sigma squared.

    Attributes
    ----------
    gradient : (m,) array
        Gradient of the criterion.
    hessian : (m, m) array
        Its Hessian.
    C : (p, p) array
        (X'V⁻¹X)⁻¹ with V = W⁻¹ + ZΛΛ'Z'; the covariance of the coefficients is sigma² C.
    dC : (m, p, p) array
        Derivatives of C in theta.
    d_pwrss : (m,) array
        Derivatives of r²(theta), the penalised weighted residual sum of squares.
    """

    gradient: Array
    hessian: Array
    C: Array
    dC: Array  # noqa: N815  the formula's name
    d_pwrss: Array


class ConstrainedFit(NamedTuple):
    """The criterion minimised with one parameter of the model held.

    Attributes
    ----------
    status : str
        ``"success"``, or why the iteration ended.
    expected_gain : float
        What one more step promises, in units of the criterion.
    deviance : float
        Its minimum.
    slope : float
        Derivative of the minimum in the value held.
    coordinates : array
        The criterion's parameters there, and the logarithm of sigma last for a linear model.
    coefficients : (p,) array
    n_evaluations : int
    """

    status: str
    expected_gain: float
    deviance: float
    slope: float
    coordinates: Array
    coefficients: Array
    n_evaluations: int


@dataclass(frozen=True, eq=False)
class ClusterScores:
    """Derivatives of the criterion of a generalized model by clusters of rows, in coordinates of the core.

    Attributes
    ----------
    gradients : (n_clusters, k) array
        Gradients of the clusters' shares of the criterion.
    hessian : (k, k) array
        Hessian of the whole.
    coefficient_map : (p, p) array
        The user's coefficients from those of the core.
    """

    gradients: Array
    hessian: Array
    coefficient_map: Array


@dataclass(frozen=True)
class ComputingCost:
    """What a computation takes.

    Attributes
    ----------
    n_bytes : float
        Memory beside that of the criterion.
    operations : float
        On floating-point numbers.
    n_threads : int
        That share them.
    """

    n_bytes: float
    operations: float
    n_threads: int


@dataclass(frozen=True, eq=False)
class KenwardRogerSums:
    """What Kenward & Roger's method needs of the data, over sigma².

    The k covariance parameters, in which V is linear, are those of the core's centred and scaled columns: per term the
    entries of its covariance matrix in the order of theta, then the residual variance; G_i are the derivatives of V.

    Attributes
    ----------
    sigma2 : float
        r² / (n - p).
    root : (p, p) array
        (X'V⁻¹X)⁻¹ is root @ root.T; P and Q are in coordinates in which it is the identity.
    P : (k, p, p) array
        -X'V⁻¹G_iV⁻¹X.
    Q : (k, p, k, p) array
        X'V⁻¹G_iV⁻¹G_jV⁻¹X is Q[i, :, j].
    T : (k, k) array
        tr(V⁻¹G_iV⁻¹G_j).
    to_internal : (k, k) array
        These parameters from those of the columns as they were given.
    """

    sigma2: float
    root: Array
    P: Array
    Q: Array
    T: Array
    to_internal: Array


class HeldEstimates(NamedTuple):
    """Estimates of a linear mixed model with theta held.

    Attributes
    ----------
    step : (p,) array
        Its coefficients minus those of a fit.
    C : (p, p) array
        Their covariance over sigma².
    pwrss : float
        r², the penalised weighted residual sum of squares.
    """

    step: Array
    C: Array
    pwrss: float


class EffectsCovariance(Protocol):
    """Q = ΛM⁻¹Λ' (q, q) of a fit, never formed: over sigma² the covariance of b given y and the coefficients."""

    def random_variances(self, codes: Sequence[NDArray[np.int32]], columns: Sequence[Array | None]) -> Array:
        """Z'Qz of rows (m,).

        They are given by their levels per grouping factor, -1 where a row has no effect of it, and by the columns of
        all terms, None for the constant 1.
        """

    def fixed_modes(self) -> tuple[Array, ...]:
        """QZ'WX, per grouping factor (levels, c, p), of the columns of X that have a coefficient."""


class Criterion(Protocol):
    """The criterion of a fit as a function of its parameters, in the user's order of terms and units of the data.

    They are theta for a linear model; for a generalized linear one theta, the coefficients (unless they are profiled,
    n_agq = 0), the family's parameters on their unconstrained scale and the coefficients of the zero inflation.
    """

    def deviance(self, parameters: Array) -> float:
        """Minus twice the (restricted) log-likelihood: the criterion that the fit minimised."""

    def gradient(self, parameters: Array) -> Array:
        """Its gradient, (m,)."""

    def hessian(self, parameters: Array) -> Array:
        """Its Hessian, (m, m)."""

    def conditional_covariances(self, parameters: Array) -> tuple[Array, ...]:
        """Var(b | y) per grouping factor, (levels, c, c), columns of its terms side by side.

        Over sigma² for a linear model.
        """

    def effects_covariance(self, parameters: Array) -> EffectsCovariance:
        """Covariance of the random effects, over sigma² for a linear model."""

    def estimates_without(self, parameters: Array, sets: Iterable[NDArray[np.intp]]) -> Iterator[HeldEstimates | None]:
        """Estimates without each of some sets of rows, theta held; None where the rest does not determine them.

        Those of a generalized model are of the linear one with its weights and responses at the conditional modes.
        """

    @property
    def optimizers(self) -> tuple[str, ...]:
        """What it can be minimised with."""

    def group_modes(self, parameters: Array, design: MixedDesign) -> tuple[Array, ...]:
        """Conditional modes of the levels of other rows, whose offset holds all but the random effects."""

    def group_covariance(self, parameters: Array, design: MixedDesign, column: Array) -> EffectsCovariance:
        """Covariance of the random effects of other rows, with one column (n,) in the place of X."""

    def products(self, parameters: Array) -> Any:
        """Cross-products of the core that `effects_covariance` rests on."""

    def options(self) -> dict[str, Any]:
        """What the fit was told, as plain values."""

    def refit(self, design: MixedDesign, reml: bool | None = None, optimizer: str | None = None) -> Any:
        """Solution for another design of the same kind, found with the same options.

        `reml` chooses the criterion of a linear model, `optimizer` what it is minimised with, those of the fit by
        default. Only failures to converge are warned of.
        """

    def resampler(self, design: MixedDesign, point: ModelPoint, reml: bool | None = None) -> Resampler:
        """The same model, at a point of its parameters, to be fitted to other responses."""

    def respond(self, family: Family | None, eta: Array, zeta: Array | None, weights: Array | None, extra: Array,
                seed: int, stream: int) -> Array:
        """A response of any rows (m,) given their linear predictors, by a stream of random numbers.

        `family` is None for a linear model, `zeta` the linear predictor of the zero inflation, `extra` as in
        `ModelPoint`. NaN where the link gives no mean.
        """

    def constrained_fit(self, kind: str, place: tuple[int, int, int], value: float, start: Array) -> ConstrainedFit:
        """Its minimum with one parameter held, looked for near the coordinates `start`.

        The parameter is named as by `_inference.intervals.Parameter`; after REML there is none for a coefficient.
        """


class LinearCriterion(Criterion, Protocol):
    """The criterion of a linear mixed model."""

    def coordinates(self, theta: Array) -> tuple[Array, Callable[[Array], Array]]:
        """Theta in the coordinates of `centred_derivatives`, and the way back from them."""

    def variance_derivatives(self, parameters: Array) -> VarianceDerivatives:
        """Derivatives of the criterion and of the covariance of the fixed effects."""

    def centred_derivatives(self, theta: Array) -> tuple[Array, VarianceDerivatives]:
        """The same in coordinates of theta whose columns are centred and scaled, and theta in them.

        There, columns far from zero do not make all of theta depend on one another.
        """

    def fixed_modes(self, parameters: Array) -> tuple[Array, ...]:
        """Modes of the columns of X that have a coefficient, ΛM⁻¹Λ'Z'WX, per grouping factor (levels, c, p)."""

    def modes_of(self, parameters: Array, columns: Array) -> tuple[Array, ...]:
        """Modes of any columns (n, k), ΛM⁻¹Λ'Z'W times them, per grouping factor (levels, c, k)."""

    def kenward_roger_cost(self) -> ComputingCost:
        """What `kenward_roger_sums` takes, known beforehand."""

    def kenward_roger_sums(self, parameters: Array) -> KenwardRogerSums:
        """Sums for the method of Kenward & Roger."""


class GeneralizedCriterion(Criterion, Protocol):
    """The criterion of a generalized linear mixed model."""

    def working_rows(self, parameters: Array) -> tuple[Array, Array]:
        """The criterion's weights at the conditional modes, and the derivatives of log f in the predictor (n,)."""

    def cluster_scores(self, parameters: Array, clusters: NDArray[np.int32], n_clusters: int) -> ClusterScores:
        """Derivatives by clusters; `clusters` are codes of the rows (n,). Not where coefficients are profiled."""
