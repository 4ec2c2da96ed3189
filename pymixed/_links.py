"""Links of generalized linear models, eta = g(mu): each a small class with the link, its inverse and its derivative.

Means are kept inside their range by the machine's epsilon, as R does, so that residuals of saturated rows stay finite.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ._common import Array

EPSILON = float(np.finfo(float).eps)
_LARGEST = 700.0  # its exponential is still a number


def exponential(eta: Array) -> Array:
    """exp(eta) without overflow."""
    return np.asarray(np.exp(np.clip(eta, -_LARGEST, _LARGEST)))


def _inside(mu: Array) -> Array:
    return np.asarray(np.clip(mu, EPSILON, 1.0 - EPSILON))


@dataclass(frozen=True)
class Link(ABC):
    """A link eta = g(mu); instances of a class are equal.

    Attributes
    ----------
    name : str
        As R spells it.
    core_name : str
        As the compiled core spells it.
    """

    name: ClassVar[str]
    core_name: ClassVar[str]

    @abstractmethod
    def link(self, mu: Array) -> Array:
        """Linear predictor of a mean."""

    @abstractmethod
    def inverse(self, eta: Array) -> Array:
        """Mean of a linear predictor."""

    @abstractmethod
    def inverse_derivative(self, eta: Array) -> Array:
        """Derivative of the mean in the linear predictor."""

    def interval(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Ends of the means while the linear predictor goes from one value to another."""
        ends = self.inverse(lower), self.inverse(upper)
        return np.minimum(*ends), np.maximum(*ends)


class Logit(Link):
    """log(mu / (1 - mu))."""

    name = core_name = "logit"

    def link(self, mu: Array) -> Array:
        return np.log(mu) - np.log1p(-mu)

    def inverse(self, eta: Array) -> Array:
        return _inside(1.0 / (1.0 + exponential(-eta)))

    def inverse_derivative(self, eta: Array) -> Array:
        tail = exponential(-np.abs(eta))
        return np.maximum(tail / (1.0 + tail) ** 2, EPSILON)


class Probit(Link):
    """Quantile function of the normal distribution."""

    name = core_name = "probit"

    def link(self, mu: Array) -> Array:
        from scipy.special import ndtri

        return np.asarray(ndtri(mu))

    def inverse(self, eta: Array) -> Array:
        from scipy.special import ndtr

        return _inside(ndtr(eta))

    def inverse_derivative(self, eta: Array) -> Array:
        return np.asarray(np.maximum(exponential(-0.5 * eta**2) / np.sqrt(2.0 * np.pi), EPSILON))


class Cloglog(Link):
    """log(-log(1 - mu))."""

    name = core_name = "cloglog"

    def link(self, mu: Array) -> Array:
        return np.asarray(np.log(-np.log1p(-mu)))

    def inverse(self, eta: Array) -> Array:
        return _inside(-np.expm1(-exponential(eta)))

    def inverse_derivative(self, eta: Array) -> Array:
        return np.maximum(exponential(eta - exponential(eta)), EPSILON)


class Cauchit(Link):
    """Quantile function of the Cauchy distribution."""

    name = core_name = "cauchit"

    def link(self, mu: Array) -> Array:
        return np.asarray(np.tan(np.pi * (mu - 0.5)))

    def inverse(self, eta: Array) -> Array:
        return _inside(0.5 + np.arctan(eta) / np.pi)

    def inverse_derivative(self, eta: Array) -> Array:
        return np.maximum(1.0 / (np.pi * (1.0 + eta**2)), EPSILON)


class Log(Link):
    """log(mu)."""

    name = core_name = "log"

    def link(self, mu: Array) -> Array:
        return np.log(mu)

    def inverse(self, eta: Array) -> Array:
        return np.maximum(exponential(eta), EPSILON)

    def inverse_derivative(self, eta: Array) -> Array:
        return np.maximum(exponential(eta), EPSILON)


class Sqrt(Link):
    """Square root of mu."""

    name = core_name = "sqrt"

    def link(self, mu: Array) -> Array:
        return np.sqrt(mu)

    def inverse(self, eta: Array) -> Array:
        return np.asarray(eta**2)

    def inverse_derivative(self, eta: Array) -> Array:
        return 2.0 * eta

    def interval(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        ends = super().interval(lower, upper)
        return np.where((lower < 0) & (upper > 0), 0.0, ends[0]), ends[1]


class Inverse(Link):
    """1 / mu."""

    name = core_name = "inverse"

    def link(self, mu: Array) -> Array:
        return 1.0 / mu

    def inverse(self, eta: Array) -> Array:
        return 1.0 / eta

    def inverse_derivative(self, eta: Array) -> Array:
        return np.asarray(-1.0 / eta**2)

    def interval(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        return self.inverse(upper), np.where(lower > 0, self.inverse(np.where(lower > 0, lower, 1.0)), np.inf)


class InverseSquared(Link):
    """1 / mu²."""

    name, core_name = "1/mu^2", "inverse_squared"

    def link(self, mu: Array) -> Array:
        return np.asarray(mu**-2.0)

    def inverse(self, eta: Array) -> Array:
        return np.asarray(eta**-0.5)

    def inverse_derivative(self, eta: Array) -> Array:
        return np.asarray(-0.5 * eta**-1.5)

    def interval(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        return self.inverse(upper), np.where(lower > 0, self.inverse(np.where(lower > 0, lower, 1.0)), np.inf)


class Identity(Link):
    """The mean itself."""

    name = core_name = "identity"

    def link(self, mu: Array) -> Array:
        return mu

    def inverse(self, eta: Array) -> Array:
        return eta

    def inverse_derivative(self, eta: Array) -> Array:
        return np.ones_like(eta)


LINKS: dict[str, Link] = {link.name: link for link in (
    Logit(), Probit(), Cloglog(), Cauchit(), Log(), Sqrt(), Inverse(), InverseSquared(), Identity())}
