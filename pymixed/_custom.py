"""Families that a user writes in Python, checked by differences when they are made."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array
from ._distributions import Distribution, Parameters
from ._family import Family
from ._frames import numbers
from ._links import Link
from .errors import InputError, InputTypeError

RowFunction: TypeAlias = Callable[[Array, Array], Array]

_STEP = 1e-4        # central differences with it are good to 1e-8 of a smooth function
_TOLERANCE = 1e-5   # of a derivative, relative to its size or to 1
_SAMPLE = np.repeat([0.0, 1.0], 4), np.tile([-1.3, -0.4, 0.3, 1.1], 2)
_FEWEST = 3         # points of the sample where the density must be positive


def _rows(name: str, values: object, n: int) -> Array:
    """What a user's function returned, as an array (n,)."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InputTypeError(f"{name}: expected an array of numbers, got {values!r}") from None
    if array.shape != (n,):
        raise InputError(f"{name}: expected a value per row, shape ({n},), got shape {array.shape}")
    return np.ascontiguousarray(array)


@dataclass(frozen=True)
class Functions:
    """A user's functions in the form that the compiled core calls: see `Custom`."""

    log_density: RowFunction
    d1: RowFunction
    d2: RowFunction
    d3: RowFunction
    start: Callable[[Array], Array]

    def derivatives(self, y: Array, eta: Array) -> tuple[Array, Array, Array, Array]:
        """Log-density and its three derivatives in eta, each (n,)."""
        first, second, third, fourth = (
            _rows(name, getattr(self, name)(y, eta), len(y)) for name in ("log_density", "d1", "d2", "d3"))
        return first, second, third, fourth

    def initial_predictor(self, y: Array) -> Array:
        """Linear predictors (n,) to start from."""
        return _rows("initial_predictor", self.start(y), len(y))

    def check(self, y: Array, eta: Array) -> None:
        """Compare each derivative with central differences of the function before it."""
        with np.errstate(all="ignore"):
            below, at, above = (self.derivatives(y, eta + step) for step in (-_STEP, 0.0, _STEP))
            usable = np.isfinite([below[0], at[0], above[0]]).all(axis=0)
        if usable.sum() < _FEWEST:
            raise InputError(f"sample: expected at least {_FEWEST} points (y, eta) where log_density is finite, got "
                             f"{usable.sum()} of {len(y)}; give points that suit the family")
        for order in (1, 2, 3):
            difference = (above[order - 1][usable] - below[order - 1][usable]) / (2.0 * _STEP)
            given = at[order][usable]
            right = np.abs(given - difference) <= _TOLERANCE * np.maximum(1.0, np.abs(difference))
            if not right.all():
                i = int(right.argmin())
                raise InputError(f"d{order}: expected derivative {order} of log_density in eta, {difference[i]:.6g} at "
                                 f"y = {y[usable][i]:g}, eta = {eta[usable][i]:g} by differences, got {given[i]:.6g}")
        if not np.isfinite(self.initial_predictor(y[usable])).all():
            raise InputError("initial_predictor: expected finite values")


@dataclass(frozen=True)
class CustomDistribution(Distribution):
    """What is known of a user's distribution: its variance function, where there is one."""

    name = "custom"
    links = ("custom",)
    expected = "numbers"
    discrete = True  # for all we know, a constant response and a random effect per row are fine

    variance_function: Callable[[Array], Array] | None

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        if self.variance_function is None:
            raise InputError("family: a custom family has Pearson residuals only with a function variance=")
        return _rows("variance", self.variance_function(mu), len(mu))

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        raise InputError("family: a custom family has no deviance residuals")

    def cdf(self, y: Array, mu: Array, weights: Array | None, parameters: Parameters) -> tuple[Array, Array]:
        raise InputError("family: a custom family has no quantile residuals")


@dataclass(frozen=True)
class CustomLink(Link):
    """The inverse link of a user's family, differentiated by differences."""

    name = core_name = "custom"

    mean_function: Callable[[Array], Array] | None

    def link(self, mu: Array) -> Array:
        raise InputError("family: a custom family is not given a link, but the mean of a linear predictor")

    def inverse(self, eta: Array) -> Array:
        if self.mean_function is None:
            raise InputError("family: a custom family has values on the scale of the response only with a function "
                             "mean=")
        return _rows("mean", self.mean_function(eta), len(eta))

    def inverse_derivative(self, eta: Array) -> Array:
        step = _STEP * np.maximum(1.0, np.abs(eta))
        return (self.inverse(eta + step) - self.inverse(eta - step)) / (2.0 * step)


@dataclass(frozen=True, init=False, repr=False)
class Custom(Family):
    """A family given by its log-density as a function of the linear predictor.

    The functions take arrays (n,) and return arrays (n,). They are called from the compiled core in every iteration,
    which makes such a fit slower than one with a family of ours; the family has no parameters that are estimated.
    A custom family pickles if its functions do.

    Parameters
    ----------
    log_density : callable
        log f(y | eta) of (y, eta), with all its constants; -inf outside the domain.
    d1, d2, d3 : callable
        Its first, second and third derivative in eta, of (y, eta).
    initial_predictor : callable
        Linear predictors of y at which the iteration may start.
    mean : callable, optional
        Mean of the response, of eta: for fitted values and residuals.
    variance : callable, optional
        Variance of the response, of its mean: for Pearson residuals.
    name : str
        What results call the family.
    sample : tuple of array_like (k,), optional
        Points (y, eta) at which the derivatives are compared with differences; by default y = 0 and 1 with a few
        values of eta. Points with an infinite log-density are left out.

    Raises
    ------
    InputError, InputTypeError
        A derivative is not what differences give, or a function returns something other than one number per row.

    Examples
    --------
    Poisson with a logarithmic link, by hand (without the constant log y!, which is 0 for the values checked):

    >>> import numpy as np, pymixed as pm
    >>> pm.families.Custom(
    ...     lambda y, eta: y * eta - np.exp(eta), lambda y, eta: y - np.exp(eta),
    ...     lambda y, eta: -np.exp(eta), lambda y, eta: -np.exp(eta),
    ...     initial_predictor=lambda y: np.log(y + 0.5), mean=np.exp, variance=lambda mu: mu, name="by hand")
    Custom(name='by hand')
    """

    functions: Functions
    label: str

    def __init__(self, log_density: RowFunction, d1: RowFunction, d2: RowFunction, d3: RowFunction,
                 initial_predictor: Callable[[Array], Array], *, mean: Callable[[Array], Array] | None = None,
                 variance: Callable[[Array], Array] | None = None, name: str = "custom",
                 sample: tuple[ArrayLike, ArrayLike] = _SAMPLE) -> None:
        given = {"log_density": log_density, "d1": d1, "d2": d2, "d3": d3, "initial_predictor": initial_predictor,
                 "mean": mean, "variance": variance}
        for argument, function in given.items():
            if not callable(function) and not (function is None and argument in ("mean", "variance")):
                raise InputTypeError(f"{argument}: expected a function, got {function!r}")
        super().__init__(CustomDistribution(variance), CustomLink(mean))
        object.__setattr__(self, "functions", Functions(log_density, d1, d2, d3, initial_predictor))
        object.__setattr__(self, "label", name)
        y = numbers(sample[0], "sample: y")
        self.functions.check(y, numbers(sample[1], "sample: eta", len(y)))

    @property
    def name(self) -> str:
        """What the user called the family."""
        return self.label

    def __repr__(self) -> str:
        return f"Custom(name={self.label!r})"
