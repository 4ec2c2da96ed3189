"""What fits blocks of responses: the core's problem of one design, made once in every process that works on it."""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._common import Array
from .._family import Family
from .._generalized import GeneralizedEngine, GeneralizedOptions
from .._linear import LinearEngine, LinearOptions
from .._refits import core_rows
from ..design import MixedDesign
from ..inference import theta_names
from .responses import Block
from .triangles import order_of

T = TypeVar("T")

STATUSES: tuple[str, ...] = _core.STATUSES
INTERRUPTED = STATUSES.index("interrupted")

FAR = 10.0  # on the logarithmic scale of a family's parameters: there it is all but a simpler one


class FitArrays(NamedTuple):
    """Estimates of R fits, a row each, NaN where a fit failed: those of `fits.ManyFits` in the core's order."""

    coefficients: Array
    packed_vcov: Array
    theta: Array
    extra: Array
    objective: Array
    status: NDArray[np.int8]
    n_evaluations: NDArray[np.intp]
    n_obs: NDArray[np.intp]
    packed_varpar: Array
    jacobian: Array


class BlockFitter:
    """One design to be fitted to blocks of responses.

    Parameters
    ----------
    core : LinearRefits or GeneralizedRefits
    options : LinearOptions or GeneralizedOptions
    uncertainty : bool
        Whether to find what Satterthwaite's method needs of a linear model, the covariance from the Hessian of a
        generalized one.
    design : MixedDesign
    kept : list of int
        Columns of X that have a coefficient.
    """

    def __init__(self, core: _core.LinearRefits | _core.GeneralizedRefits, options: LinearOptions | GeneralizedOptions,
                 uncertainty: bool, design: MixedDesign, kept: list[int]) -> None:
        self._core, self._options, self._uncertainty, self._n = core, options, uncertainty, design.n
        self.is_kept = np.isin(np.arange(design.p), kept)
        self.coefficient_names = tuple(design.coefficient_names[j] for j in kept)
        self.aliased = tuple(name for name in design.coefficient_names if name not in self.coefficient_names)

    def fit(self, block: Block, start: Array) -> FitArrays:
        """Fits to the responses of a block, each from its own start where `start` is empty."""
        options = _core.RefitOptions(start, 1e-3 * self._options.tol, self._options.max_iter,
                                     self._options.n_threads or 1, self._uncertainty)
        found = FitArrays(*self._core.fit_columns(block.Y, block.weights, block.offset, options))
        shape = len(found.status), order_of(found.packed_varpar.shape[1]), found.packed_vcov.shape[1]
        return found._replace(jacobian=found.jacobian.reshape(shape))

    def nothing(self, count: int) -> FitArrays:
        """Rows for responses that were not fitted."""
        empty = self.fit(Block([], np.empty((self._n, 0), order="F"), None, None), np.empty(0))
        rows: dict[str, Any] = {
            name: np.full((count, *array.shape[1:]), np.nan if array.dtype.kind == "f" else 0, array.dtype)
            for name, array in empty._asdict().items()}
        return FitArrays(**{**rows, "status": np.full(count, INTERRUPTED, np.int8)})


@dataclass(frozen=True, eq=False)
class Job(ABC):
    """How to make the fitter of a model, which pickles, and what its results are."""

    design: MixedDesign
    options: LinearOptions | GeneralizedOptions

    @abstractmethod
    def __call__(self) -> BlockFitter:
        """Make it."""

    @abstractmethod
    def engine(self) -> LinearEngine | GeneralizedEngine:
        """The criterion for the design's own response."""

    @property
    @abstractmethod
    def method(self) -> str:
        """What the fits are by, in words."""

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the relative covariance parameters."""
        return theta_names(self.design.terms)

    @property
    @abstractmethod
    def extra_names(self) -> tuple[str, ...]:
        """Names of the parameters beside theta and the coefficients."""

    @abstractmethod
    def parameters(self, theta: T, coefficients: T, extra: T) -> tuple[T, ...]:
        """Those of the criterion, where a fit starts."""

    def start(self, found: FitArrays) -> Array:
        """Parameters of the first of some fits, for others to start from; none where they are no place to start."""
        return np.concatenate(self.parameters(found.theta[0], found.coefficients[0], found.extra[0]))


@dataclass(frozen=True, eq=False)
class LinearJob(Job):
    """A linear mixed model; `uncertainty` as for `BlockFitter`."""

    options: LinearOptions
    uncertainty: bool

    def __call__(self) -> BlockFitter:
        """Make its fitter."""
        problem = self.engine().problem
        return BlockFitter(_core.LinearRefits(problem, core_rows(self.design), self.options.reml), self.options,
                           self.uncertainty, self.design, problem.kept)

    def engine(self) -> LinearEngine:
        """The criterion for the design's own response."""
        return LinearEngine(self.design, self.options)

    @property
    def method(self) -> str:
        """The criterion."""
        return "REML" if self.options.reml else "ML"

    @property
    def extra_names(self) -> tuple[str, ...]:
        """That of the residuals."""
        return ("sigma",)

    def parameters(self, theta: T, coefficients: T, extra: T) -> tuple[T, ...]:
        """Theta."""
        return (theta,)


@dataclass(frozen=True, eq=False)
class GeneralizedJob(Job):
    """A generalized linear mixed model."""

    options: GeneralizedOptions
    family: Family

    def __post_init__(self) -> None:
        self.options.check(self.design)

    def __call__(self) -> BlockFitter:
        """Make its fitter."""
        problem = self.engine().problem
        core = _core.GeneralizedRefits(problem, core_rows(self.design), self.design.zero_inflation,
                                       int(self.options.n_agq), self.options.curvature)
        return BlockFitter(core, self.options, self.options.se == "hessian" and self.options.n_agq > 0, self.design,
                           problem.kept)

    def engine(self) -> GeneralizedEngine:
        """The criterion for the design's own response."""
        return GeneralizedEngine(self.design, self.family, self.options)

    @property
    def method(self) -> str:
        """Family, link and approximation."""
        return f"{self.family.name} ({self.family.link_name}), n_agq={self.options.n_agq}"

    @property
    def extra_names(self) -> tuple[str, ...]:
        """The family's own, and the coefficients of the zero inflation."""
        return (*self.family.distribution.estimated_names, *(f"zi.{name}" for name in self.design.zi_names))

    def parameters(self, theta: T, coefficients: T, extra: T) -> tuple[T, ...]:
        """Theta, the coefficients unless they are profiled, and the others."""
        return (theta, coefficients, extra) if self.options.n_agq else (theta, extra)

    def start(self, found: FitArrays) -> Array:
        """None where a parameter of the family ran off: the criterion is flat there, for other responses too."""
        return np.empty(0) if np.abs(found.extra[0]).max(initial=0.0) > FAR else super().start(found)
