"""Empirical Bayes moderation of many variances (Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3(1), article 3)."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._common import Array

_NEWTON_STEPS = 50


class Moderation(NamedTuple):
    """Variances of each of k quantities over R responses, moderated.

    Attributes
    ----------
    prior_df, prior_variance : (k,) array
        d0 and s0² of the scaled inverse chi-squared distribution that the true variances have.
    variance, df : (R, k) array
        Posterior means (d0 s0² + d s²) / (d0 + d) of the inverse variances, inverted, and d0 + d.
    """

    prior_df: Array
    prior_variance: Array
    variance: Array
    df: Array


def moderate(variance: Array, df: Array) -> Moderation:
    """Moderate estimated variances (R, k) with their degrees of freedom (R, k), each column on its own.

    Where the variances of a column scatter no more than their degrees of freedom explain, d0 is infinite and all of
    them are s0². NaN takes no part, and is all there is of a column with fewer than two values.
    """
    variance = np.where(np.isfinite(variance) & (variance > 0) & (df > 0), variance, np.nan)
    df = np.where(np.isnan(variance), np.nan, df)
    priors = np.array([_prior(s2[~np.isnan(s2)], d[~np.isnan(s2)]) for s2, d in zip(variance.T, df.T, strict=True)])
    prior_df, prior_variance = priors.reshape(-1, 2).T
    own = df / (prior_df + df)
    return Moderation(prior_df, prior_variance, own * variance + (1.0 - own) * prior_variance, prior_df + df)


def _prior(s2: Array, d: Array) -> tuple[float, float]:
    """d0 and s0² from the mean and variance of log s²: section 6.2 of the paper."""
    from scipy.special import digamma, polygamma

    if len(s2) < 2:
        return np.nan, np.nan
    half = 0.5 * d
    e = np.log(s2) - digamma(half) + np.log(half)
    excess = float(e.var(ddof=1) - polygamma(1, half).mean())
    if excess <= 0:
        return np.inf, float(np.exp(e.mean()))
    half_prior = trigamma_inverse(excess)
    return 2.0 * half_prior, float(np.exp(e.mean() + digamma(half_prior) - np.log(half_prior)))


def trigamma_inverse(x: float) -> float:
    """The y > 0 with trigamma(y) = x > 0, by Newton's method on 1 / trigamma, which is convex and all but linear.

    From 0.5 + 1/x, which lies above, the iteration falls monotonically (Smyth 2004, appendix).
    """
    from scipy.special import polygamma

    y = 0.5 + 1.0 / x
    for _ in range(_NEWTON_STEPS):
        value = polygamma(1, y)
        step = float(value * (1.0 - value / x) / polygamma(2, y))
        y += step
        if -step < 1e-12 * y:
            break
    return float(y)
