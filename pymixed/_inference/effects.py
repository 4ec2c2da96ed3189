"""Shares of variance: of the fixed effects, of every random-effects term, of the residuals.

The random effects z'b of a row have the variance z'Σz, whose mean over the rows is the term's component (Johnson 2014,
Methods Ecol. Evol. 5(9)); the fixed effects have the sample variance of Xβ (denominator n - 1). On these rest R²
(Nakagawa & Schielzeth 2013, Methods Ecol. Evol. 4(2)) and the intraclass correlation (Nakagawa, Johnson & Schielzeth
2017, J. R. Soc. Interface 14:20170213). Offsets take no part. No uncertainty is attached to any of it.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .._common import Array, MixedParams
from .._family import Family
from ..design import MixedDesign, RandomTerm
from .gls import kept_columns

# Variance of the latent variable whose sign a binary response is.
LATENT_VARIANCE = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


@dataclass(frozen=True)
class RSquared:
    """Share of the variance that a model explains.

    Attributes
    ----------
    marginal : float
        By the fixed effects.
    conditional : float
        By fixed and random effects.
    """

    marginal: float
    conditional: float


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Share of the variance that lies between groups.

    Attributes
    ----------
    adjusted : float
        Of what the fixed effects leave.
    conditional : float
        Of all variance, that of the fixed effects included.
    """

    adjusted: float
    conditional: float


@dataclass(frozen=True)
class VarianceParts:
    """Variance on the scale of the linear predictor, by where it comes from.

    Attributes
    ----------
    fixed : float
    terms : tuple of float
        Of each random-effects term.
    residual : float
    """

    fixed: float
    terms: tuple[float, ...]
    residual: float

    @property
    def random(self) -> float:
        """Of all random-effects terms."""
        return sum(self.terms)

    @property
    def total(self) -> float:
        """All of it."""
        return self.fixed + self.random + self.residual

    @property
    def r_squared(self) -> RSquared:
        """Marginal and conditional R²."""
        return RSquared(self.fixed / self.total, (self.fixed + self.random) / self.total)

    def correlation(self, between: float) -> IntraclassCorrelation:
        """Intraclass correlation where `between` is the variance between the groups."""
        return IntraclassCorrelation(between / (self.random + self.residual), between / self.total)


def variance_parts(design: MixedDesign, params: MixedParams, residual: float) -> VarianceParts:
    """Components of variance of a fit, given that of its residuals."""
    coefficients = np.zeros(design.p)
    coefficients[[name not in params.aliased for name in design.coefficient_names]] = params.coefficients
    terms = ((covariance.matrix * design.sums.term_products(i)).sum()
             for i, covariance in enumerate(params.term_covariances))
    return VarianceParts(design.sums.fixed_variance(coefficients), tuple(map(float, terms)), residual)


def _row_variances(term: RandomTerm, covariance: Array, n: int) -> Array:
    """z'Σz of every row (n,)."""
    out = np.zeros(n)
    columns: Sequence[Array | float] = [1.0 if x is None else x for x in term.data]
    for j, x in enumerate(columns):
        for k, z in enumerate(columns[:j + 1]):
            out += (1.0 if j == k else 2.0) * covariance[j, k] * x * z
    return out


def marginal_mean(family: Family, design: MixedDesign, params: MixedParams, fitted: Array) -> float:
    """Mean of the response over the rows: under a log link of exp(offset + xβ + z'Σz/2), else of the fitted values."""
    if family.link.name != "log":
        return float(fitted.mean())
    eta = kept_columns(design, params) @ params.coefficients
    if design.offset is not None:
        eta = eta + design.offset
    for term, covariance in zip(design.terms, params.term_covariances, strict=True):
        eta = eta + 0.5 * _row_variances(term, covariance.matrix, design.n)
    return float(np.exp(eta).mean())


def distribution_variance(family: Family, parameters: Mapping[str, float], mean: float) -> float:
    """Variance of a row given the random effects, on the scale of the linear predictor.

    That of the latent variable for binary responses (logit, probit, cloglog); for a log link that of a lognormal
    variable with the mean and variance of the response, log(1 + Var(y) / mean²); else by the delta method,
    Var(y) (dη/dμ)² (Nakagawa et al. 2017). Of Student's t the squared scale stands for Var(y).
    """
    distribution, link = family.distribution, family.link
    if distribution.name == "binomial" and link.name in LATENT_VARIANCE:
        return LATENT_VARIANCE[link.name]
    mu = np.array([mean])
    variance = distribution.variance(mu, parameters)
    if distribution.dispersed:
        variance = distribution.dispersion(parameters) * variance
    if link.name == "log":
        return float(np.log1p(variance / mu**2)[0])
    return float((variance / link.inverse_derivative(link.link(mu)) ** 2)[0])
