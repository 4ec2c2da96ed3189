"""The rows of a generalized linear mixed model given its random effects: means, variances, residuals.

The definitions are those of R's glm and lme4; with zero inflation, which has a structural zero with probability pi and
the family's distribution otherwise, the mean is (1 - pi) mu and the variance (1 - pi) (V + pi mu²).
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ._common import Array, check_choice
from ._family import Family
from ._links import EPSILON, exponential
from .errors import InputError

RESIDUALS = ("response", "pearson", "deviance", "working", "quantile")


def zero_probability(logit: Array) -> Array:
    """Probability of a structural zero from its logit."""
    return np.asarray(1.0 / (1.0 + exponential(-logit)))


@dataclass(frozen=True)
class Overdispersion:
    """How the Pearson residuals spread against what the family says: a rough test, after Bolker's GLMM FAQ.

    Attributes
    ----------
    ratio : float
        Sum of the squared Pearson residuals over `df`; near 1 where the family's variance is right.
    chisq : float
        That sum.
    df : int
        Rows less parameters.
    p_value : float
        Upper tail of the chi-square distribution.
    """

    ratio: float
    chisq: float
    df: int
    p_value: float


@dataclass(frozen=True, eq=False)
class ConditionalResponse:
    """The distribution of every row given the random effects.

    Attributes
    ----------
    family : Family
    parameters : mapping of str to float
        The family's own parameters in natural units.
    y, weights : (n,) array, (n,) array or None
    eta : (n,) array
        Linear predictor.
    pi : (n,) array or None
        Probability of a structural zero; None without zero inflation.
    """

    family: Family
    parameters: Mapping[str, float]
    y: Array
    weights: Array | None
    eta: Array
    pi: Array | None

    @cached_property
    def mu(self) -> Array:
        """Mean of the family's distribution (n,)."""
        return self.family.mean(self.eta)

    @cached_property
    def mean(self) -> Array:
        """Mean of the response (n,)."""
        return self.mu if self.pi is None else (1.0 - self.pi) * self.mu

    @cached_property
    def variance(self) -> Array:
        """Variance of a row of weight one (n,), over the dispersion where the family's variance is a multiple of it."""
        variance = self.family.distribution.variance(self.mu, self.parameters)
        return variance if self.pi is None else (1.0 - self.pi) * (variance + self.pi * self.mu**2)

    @property
    def deviance(self) -> float:
        """Sum of the squared deviance residuals."""
        return float((self.residuals("deviance") ** 2).sum())

    def residuals(self, kind: str, seed: int | None = None) -> Array:
        """Residuals (n,) of a kind; see `GLMMSolution.resid`."""
        check_choice("kind", kind, RESIDUALS)
        if self.pi is not None and kind in ("deviance", "working"):
            raise InputError(f"kind: a zero-inflated model has no {kind} residuals, expected 'response', 'pearson' or "
                             "'quantile'")
        difference = self.y - self.mean
        if kind == "response":
            return difference
        if kind == "pearson":
            return difference * self._root_weights / np.sqrt(self.variance)
        if kind == "working":
            return difference / self.family.link.inverse_derivative(self.eta)
        if kind == "deviance":
            unit = self.family.distribution.unit_deviance(self.y, self.mu, self.parameters)
            return np.asarray(np.sign(difference) * self._root_weights * np.sqrt(np.maximum(unit, 0.0)))
        return self._quantile(np.random.default_rng(seed))

    @property
    def scaled_residuals(self) -> Array:
        """Pearson residuals in units of their standard deviation (n,)."""
        distribution = self.family.distribution
        scale = np.sqrt(distribution.dispersion(self.parameters)) if distribution.dispersed else 1.0
        return np.asarray(self.residuals("pearson") / scale)

    def overdispersion(self, df: int) -> Overdispersion:
        """Compare the scaled residuals with their degrees of freedom."""
        from scipy.special import chdtrc

        chisq = float((self.scaled_residuals ** 2).sum())
        if df <= 0:
            return Overdispersion(float("nan"), chisq, df, float("nan"))
        return Overdispersion(chisq / df, chisq, df, float(chdtrc(df, chisq)))

    def _quantile(self, rng: np.random.Generator) -> Array:
        from scipy.special import ndtri

        lower, upper = self.family.distribution.cdf(self.y, self.mu, self.weights, self.parameters)
        if self.pi is not None:
            lower = np.where(self.y > 0, self.pi + (1.0 - self.pi) * lower, 0.0)
            upper = self.pi + (1.0 - self.pi) * upper
        level = lower + (upper - lower) * rng.uniform(size=len(self.y))
        return np.asarray(ndtri(np.clip(level, EPSILON, 1.0 - EPSILON)))

    @property
    def _root_weights(self) -> Array | float:
        return 1.0 if self.weights is None else np.sqrt(self.weights)
