"""Conditional distributions of a response given its mean mu, apart from links: what follows once a model is fitted.

The compiled core has the densities. Here is what checks a response before a fit and describes it afterwards: the
variance function V, the unit deviance d = 2 ∫ (y - t) / V(t) dt from mu to y, and the distribution function. A
distribution's own parameters reach these as a mapping from names to values in natural units.

References
----------
McCullagh & Nelder (1989), Generalized Linear Models. Dunn & Smyth (1996), Randomized quantile residuals.
Brooks et al. (2017), glmmTMB, R Journal 9(2), for the parameters' names and meanings.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._common import Array
from ._frames import first_offender
from .errors import InputError

Parameters: TypeAlias = Mapping[str, float]

WHOLE_TOLERANCE = 1e-6  # a number this close to an integer counts as one: proportions times trials are rounded

_UNIT_LINKS = ("logit", "probit", "cloglog", "cauchit", "log")
_POSITIVE_LINKS = ("log", "sqrt", "inverse", "1/mu^2", "identity")
_REAL_LINKS = ("identity", "log", "sqrt", "inverse", "1/mu^2")


def _exp(x: Array) -> Array:
    return np.asarray(np.exp(np.minimum(x, 700.0)))


def _one_to_two(x: Array) -> Array:
    return 1.0 + 1.0 / (1.0 + _exp(-x))


def _xlogy(x: Array, ratio: Array) -> Array:
    """Product of x and log(ratio), zero where x is."""
    return np.asarray(x * np.log(np.where(x == 0, 1.0, ratio)))


def is_whole(values: Array) -> NDArray[np.bool_]:
    """Whether each value is an integer, up to rounding."""
    return np.asarray(np.abs(values - np.round(values)) <= WHOLE_TOLERANCE)


@dataclass(frozen=True)
class Distribution(ABC):
    """A conditional distribution of the response; subclasses are the kinds, instances hold what a user fixed.

    Attributes
    ----------
    name : str
        As the compiled core and the results call it.
    links : tuple of str
        The links that suit the range of its mean; the first takes any linear predictor into it.
    expected : str
        The responses it takes, in words.
    parameter_names : tuple of str
        Its parameters in the core's order; an attribute of the same name that is not None fixes one. The first of
        them is the `dispersion`.
    dispersed : bool
        Whether the variance of y is dispersion V(mu) rather than V(mu).
    discrete : bool
        Whether the response takes single values with positive probability and no parameter measures the spread
        around the mean alone: then a constant response and a random effect per row have a likelihood.
    counts : bool
        Whether the response counts without a limit, so that it may be inflated at zero.
    support : tuple of float
        Ends of the range of the response.
    """

    name: ClassVar[str]
    links: ClassVar[tuple[str, ...]]
    expected: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]] = ()
    dispersed: ClassVar[bool] = False
    discrete: ClassVar[bool] = False
    counts: ClassVar[bool] = False
    support: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def natural(self, unconstrained: Array) -> dict[str, float]:
        """All parameters in natural units, from the estimated ones on the core's scale."""
        estimated = dict(zip(self.estimated, self.natural_values(unconstrained).tolist(), strict=True))
        return {name: estimated[name] if name in estimated else float(vars(self)[name])
                for name in self.parameter_names}

    def natural_values(self, unconstrained: Array) -> Array:
        """The estimated parameters (..., k) in natural units, from their values on the core's scale."""
        values = [(_one_to_two if name == "power" else _exp)(unconstrained[..., k])
                  for k, name in enumerate(self.estimated)]
        return np.stack(values, axis=-1) if values else unconstrained

    def unconstrained(self, natural: Array) -> Array:
        """The estimated parameters (k,) on the core's scale: the inverse of `natural_values`.

        Raises
        ------
        InputError
            A value out of range.
        """
        for name, value in zip(self.estimated, natural.tolist(), strict=True):
            if not (1.0 < value < 2.0 if name == "power" else value > 0.0):
                expected = "a number between 1 and 2" if name == "power" else "a positive number"
                raise InputError(f"{name}: expected {expected}, got {value}")
        return np.array([np.log((value - 1.0) / (2.0 - value)) if name == "power" else np.log(value)
                         for name, value in zip(self.estimated, natural.tolist(), strict=True)])

    @property
    def estimated(self) -> tuple[str, ...]:
        """Names of the parameters that are estimated with a model."""
        return tuple(name for name in self.parameter_names if vars(self).get(name) is None)

    @property
    def estimated_names(self) -> tuple[str, ...]:
        """Names of the same on the core's scale."""
        return tuple("logit(power - 1)" if name == "power" else f"log({name})" for name in self.estimated)

    def dispersion(self, parameters: Parameters) -> float:
        """The parameter of spread, 1 where there is none."""
        return next(iter(parameters.values()), 1.0)

    def check_response(self, y: Array, weights: Array | None, name: str, rows: NDArray[np.intp] | None) -> None:
        """Refuse a response outside the range; `rows` are positions in the user's data, None for all."""
        bad = ~self._possible(y)
        if bad.any():
            raise InputError(f"{name}: expected {self.expected} for the {self.name} family, got "
                             f"{first_offender(y, bad, rows)}")

    def _possible(self, y: Array) -> NDArray[np.bool_]:
        return np.ones(y.shape, np.bool_)

    @abstractmethod
    def variance(self, mu: Array, parameters: Parameters) -> Array:
        """Variance function V (n,): the variance of y, over the dispersion if `dispersed`."""

    @abstractmethod
    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        """Deviance of each row of weight one (n,): zero at y = mu, else positive."""

    @abstractmethod
    def cdf(self, y: Array, mu: Array, weights: Array | None, parameters: Parameters) -> tuple[Array, Array]:
        """P(Y < y) and P(Y <= y), each (n,); the same for a continuous distribution."""


class Binomial(Distribution):
    """Proportion of successes in `weights` trials, one where there are no weights."""

    name = "binomial"
    links = _UNIT_LINKS
    expected = "numbers from 0 to 1"
    discrete = True
    support = (0.0, 1.0)

    def check_response(self, y: Array, weights: Array | None, name: str, rows: NDArray[np.intp] | None) -> None:
        super().check_response(y, weights, name, rows)
        if weights is None:
            bad = ~is_whole(y)
            if bad.any():
                raise InputError(f"{name}: expected 0 or 1 where no weights give the numbers of trials, got "
                                 f"{first_offender(y, bad, rows)}")
            return
        bad = ~is_whole(weights)
        if bad.any():
            raise InputError("weights: expected whole numbers of trials for the binomial family, got "
                             f"{first_offender(weights, bad, rows)}")
        bad = ~is_whole(y * weights)
        if bad.any():
            i = int(bad.argmax())
            raise InputError(f"{name}: expected proportions of the trials in weights, got "
                             f"{first_offender(y, bad, rows)}, {y[i] * weights[i]:.6g} of {weights[i]:.6g} trials")

    def _possible(self, y: Array) -> NDArray[np.bool_]:
        return np.asarray((y >= 0) & (y <= 1))

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return mu * (1.0 - mu)

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        return 2.0 * (_xlogy(y, y / mu) + _xlogy(1.0 - y, (1.0 - y) / (1.0 - mu)))

    def cdf(self, y: Array, mu: Array, weights: Array | None, parameters: Parameters) -> tuple[Array, Array]:
        from scipy.special import betainc

        trials = np.ones_like(y) if weights is None else np.round(weights)
        successes = np.round(y * trials)
        failures = trials - successes
        upper = np.where(failures == 0, 1.0, betainc(np.maximum(failures, 1.0), successes + 1.0, 1.0 - mu))
        lower = np.where(successes == 0, 0.0, betainc(failures + 1.0, np.maximum(successes, 1.0), 1.0 - mu))
        return lower, upper


class Counts(Distribution):
    """What the families of counts share."""

    links = _POSITIVE_LINKS
    expected = "counts 0, 1, 2, ..."
    discrete = True
    counts = True
    support = (0.0, np.inf)

    def _possible(self, y: Array) -> NDArray[np.bool_]:
        return (y >= 0) & is_whole(y)

    def cdf(self, y: Array, mu: Array, weights: Array | None, parameters: Parameters) -> tuple[Array, Array]:
        k = np.round(y)
        lower = np.where(k == 0, 0.0, self._at_most(np.maximum(k - 1.0, 0.0), mu, parameters))
        return lower, self._at_most(k, mu, parameters)

    @abstractmethod
    def _at_most(self, k: Array, mu: Array, parameters: Parameters) -> Array:
        """P(Y <= k), (n,)."""


class Poisson(Counts):
    """Counts with the variance mu."""

    name = "poisson"

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return mu

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        return 2.0 * (_xlogy(y, y / mu) - (y - mu))

    def _at_most(self, k: Array, mu: Array, parameters: Parameters) -> Array:
        from scipy.special import pdtr

        return np.asarray(pdtr(k, mu))


def _negative_binomial_at_most(k: Array, mu: Array, size: Array | float) -> Array:
    from scipy.special import betainc

    return np.asarray(betainc(size, k + 1.0, size / (size + mu)))


@dataclass(frozen=True)
class NegativeBinomial(Counts):
    """Counts with the variance mu + mu² / shape."""

    name = "negative_binomial"
    parameter_names = ("shape",)

    shape: float | None = None

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return mu + mu**2 / parameters["shape"]

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        shape = parameters["shape"]
        # log((y + shape) / (mu + shape)), without cancellation where the shape is large
        return np.asarray(2.0 * (_xlogy(y, y / mu) - (y + shape) * np.log1p((y - mu) / (mu + shape))))

    def _at_most(self, k: Array, mu: Array, parameters: Parameters) -> Array:
        return _negative_binomial_at_most(k, mu, parameters["shape"])


class NegativeBinomial1(Counts):
    """Counts with the variance mu (1 + dispersion)."""

    name = "negative_binomial1"
    parameter_names = ("dispersion",)

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return mu * (1.0 + parameters["dispersion"])

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        return Poisson().unit_deviance(y, mu, {}) / (1.0 + parameters["dispersion"])

    def _at_most(self, k: Array, mu: Array, parameters: Parameters) -> Array:
        return _negative_binomial_at_most(k, mu, mu / parameters["dispersion"])


class Continuous(Distribution):
    """A distribution without atoms."""

    def cdf(self, y: Array, mu: Array, weights: Array | None, parameters: Parameters) -> tuple[Array, Array]:
        below = self._below(y, mu, parameters)
        return below, below

    @abstractmethod
    def _below(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        """P(Y < y), (n,)."""


class Gamma(Continuous):
    """Positive numbers with the variance dispersion mu²."""

    name = "gamma"
    links = _POSITIVE_LINKS
    expected = "positive numbers"
    parameter_names = ("dispersion",)
    dispersed = True
    support = (0.0, np.inf)

    def _possible(self, y: Array) -> NDArray[np.bool_]:
        return np.asarray(y > 0)

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return np.asarray(mu**2)

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        excess = (y - mu) / mu
        return 2.0 * (excess - np.log1p(excess))

    def _below(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        from scipy.special import gammainc

        shape = 1.0 / parameters["dispersion"]
        return np.asarray(gammainc(shape, shape * y / mu), np.float64)


class InverseGaussian(Gamma):
    """Positive numbers with the variance dispersion mu³."""

    name = "inverse_gaussian"

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return np.asarray(mu**3)

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        return np.asarray((y - mu) ** 2 / (y * mu**2))

    def _below(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        from scipy.special import log_ndtr, ndtr

        rate = 1.0 / parameters["dispersion"]
        root = np.sqrt(rate / y)
        reflected = np.exp(2.0 * rate / mu + log_ndtr(-root * (y / mu + 1.0)))
        return np.asarray(ndtr(root * (y / mu - 1.0)) + reflected)


class Beta(Continuous):
    """Numbers strictly between 0 and 1 with the variance mu (1 - mu) / (1 + precision)."""

    name = "beta"
    links = _UNIT_LINKS
    expected = "numbers strictly between 0 and 1"
    parameter_names = ("precision",)
    support = (0.0, 1.0)

    def _possible(self, y: Array) -> NDArray[np.bool_]:
        return np.asarray((y > 0) & (y < 1))

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return mu * (1.0 - mu) / (1.0 + parameters["precision"])

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        return Binomial().unit_deviance(y, mu, {}) * (1.0 + parameters["precision"])

    def _below(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        from scipy.special import betainc

        precision = parameters["precision"]
        return np.asarray(betainc(mu * precision, (1.0 - mu) * precision, y), np.float64)


class Gaussian(Continuous):
    """Numbers with the variance dispersion."""

    name = "gaussian"
    links = _REAL_LINKS
    expected = "numbers"
    parameter_names: ClassVar[tuple[str, ...]] = ("dispersion",)
    dispersed = True

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return np.ones_like(mu)

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        return np.asarray((y - mu) ** 2)

    def _below(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        from scipy.special import ndtr

        return np.asarray(ndtr((y - mu) / np.sqrt(parameters["dispersion"])), np.float64)


@dataclass(frozen=True)
class StudentT(Gaussian):
    """mu plus the root of the dispersion times a t variable with df degrees of freedom; V is 1, whatever df.

    The unit deviance is dispersion (df + 1) log(1 + (y - mu)² / (df dispersion)), that of the density.
    """

    name = "student_t"
    parameter_names = ("dispersion", "df")

    df: float | None = None

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        dispersion, df = parameters["dispersion"], parameters["df"]
        return np.asarray(dispersion * (df + 1.0) * np.log1p((y - mu) ** 2 / (df * dispersion)))

    def _below(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        from scipy.special import stdtr

        return np.asarray(stdtr(parameters["df"], (y - mu) / np.sqrt(parameters["dispersion"])), np.float64)


@dataclass(frozen=True)
class Tweedie(Distribution):
    """Zeros and positive numbers with the variance dispersion mu^power, 1 < power < 2: a Poisson sum of gammas."""

    name = "tweedie"
    links = _POSITIVE_LINKS
    expected = "numbers that are not negative"
    parameter_names = ("dispersion", "power")
    dispersed = True
    support = (0.0, np.inf)

    power: float | None = None

    def _possible(self, y: Array) -> NDArray[np.bool_]:
        return np.asarray(y >= 0)

    def variance(self, mu: Array, parameters: Parameters) -> Array:
        return np.asarray(mu ** parameters["power"])

    def unit_deviance(self, y: Array, mu: Array, parameters: Parameters) -> Array:
        power = parameters["power"]
        return np.asarray(2.0 * (y ** (2.0 - power) / ((1.0 - power) * (2.0 - power))
                                 - y * mu ** (1.0 - power) / (1.0 - power) + mu ** (2.0 - power) / (2.0 - power)))

    def cdf(self, y: Array, mu: Array, weights: Array | None, parameters: Parameters) -> tuple[Array, Array]:
        from scipy.special import gammainc, gammaln

        dispersion, power = parameters["dispersion"], parameters["power"]
        rate = mu ** (2.0 - power) / (dispersion * (2.0 - power))     # of the Poisson number of gammas
        shape = (2.0 - power) / (power - 1.0)                         # of each gamma
        scaled = y / (dispersion * (power - 1.0) * mu ** (power - 1.0))
        upper = np.exp(-rate)
        most = float(rate.max(initial=0.0))
        for k in range(1, int(most + 12.0 * np.sqrt(most) + 30.0)):   # what is left of the Poisson tail is rounding
            upper += np.exp(k * np.log(rate) - rate - gammaln(k + 1.0)) * gammainc(k * shape, scaled)
        upper = np.minimum(upper, 1.0)
        return np.where(y == 0, 0.0, upper), upper
