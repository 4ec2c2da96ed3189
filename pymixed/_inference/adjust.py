"""P-values and confidence limits for several contrasts at once."""
from __future__ import annotations

import numpy as np

from .._common import Array, check_choice
from .coefficient_tests import t_p_values, t_quantiles

ADJUSTMENTS = ("tukey", "sidak", "bonferroni", "holm", "fdr", "none")
SIMULTANEOUS = ("tukey", "sidak", "bonferroni", "none")  # those that intervals have; bonferroni serves for the others

# Both integrals of the studentized range are of analytic functions that decay like a normal density: the trapezoidal
# rule converges exponentially, and at these steps its error is rounding.
_Z = np.linspace(-8.5, 8.5, 120)
_N_SCALE = 192
_TAIL = 1e-14       # probability left out at either end of the distribution of the scale
_CHUNK = 64         # values at a time
_NEWTON_STEPS = 60
_INFINITE_DF = 1e8  # from here on the scale is known


def adjusted_p(t: Array, df: Array, adjust: str, n_means: int) -> Array:
    """P-values (..., m) of families of m t statistics; NaN ones take no part.

    ``"tukey"`` for all pairs of `n_means` means (exact for independent ones of equal variances, conservative
    otherwise: Hayter 1984, Ann. Stat. 12), ``"sidak"``, ``"bonferroni"``, ``"holm"`` (1979, Scand. J. Stat. 6) against
    any error in the family, ``"fdr"`` (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57) against the rate of false
    discoveries, ``"none"``.
    """
    check_choice("adjust", adjust, ADJUSTMENTS)
    if adjust == "tukey":
        return tukey_sf(np.sqrt(2.0) * np.abs(t), n_means, df)
    p = t_p_values(t, df)
    if adjust == "none":
        return p
    m = np.isfinite(p).sum(axis=-1, keepdims=True)
    if adjust == "bonferroni":
        return np.asarray(np.minimum(1.0, m * p))
    if adjust == "sidak":
        return np.asarray(-np.expm1(m * np.log1p(-np.minimum(p, 1.0 - 1e-16))))
    order = np.argsort(p, axis=-1)  # NaN last
    rank = 1 + np.arange(p.shape[-1])
    ordered = np.take_along_axis(p, order, axis=-1)
    if adjust == "holm":
        stepped = np.maximum.accumulate(np.where(np.isnan(ordered), 0.0, (m + 1 - rank) * ordered), axis=-1)
    else:
        stepped = np.where(np.isnan(ordered), np.inf, m / rank * ordered)[..., ::-1]
        stepped = np.minimum.accumulate(stepped, axis=-1)[..., ::-1]
    result = np.empty_like(p)
    np.put_along_axis(result, order, np.where(np.isnan(ordered), np.nan, np.minimum(stepped, 1.0)), axis=-1)
    return result


def critical_values(level: float, df: Array, adjust: str, n_means: int) -> Array:
    """Half-widths (..., m), in standard errors, of the intervals of families of m estimates with a joint level."""
    check_choice("adjust", adjust, ADJUSTMENTS)
    if adjust == "tukey":
        return np.asarray(tukey_quantiles(level, n_means, df) / np.sqrt(2.0))
    m = np.maximum(np.isfinite(df).sum(axis=-1, keepdims=True) + np.isinf(df).sum(axis=-1, keepdims=True), 1)
    error = 1.0 - level
    if adjust == "sidak":
        error = -np.expm1(np.log(level) / m)
    elif adjust != "none":
        error = error / m
    quantiles = np.broadcast_to(0.5 * error, df.shape)
    return np.asarray(-_quantiles(quantiles, df))


def _quantiles(probability: Array, df: Array) -> Array:
    """Quantiles of Student's distribution, NaN where the degrees of freedom are."""
    result = np.full(df.shape, np.nan)
    known = ~np.isnan(df)
    for value in np.unique(probability[known]):
        chosen = known & (probability == value)
        result[chosen] = t_quantiles(float(value), df[chosen])
    return result


# ---- the studentized range -------------------------------------------------------------------------------------------

def tukey_sf(q: Array, n_means: int, df: Array) -> Array:
    """Probability that the studentized range of `n_means` independent normal means exceeds q.

    P(Q <= q) = E W(q S) with the range's distribution W(w) = k E [Phi(Z) - Phi(Z - w)]^(k-1), Z standard normal, and S
    the root of chi-squared over its degrees of freedom (Copenhaver & Holland 1988, J. Stat. Comput. Simul. 30).
    """
    q, df = np.broadcast_arrays(np.asarray(q, float), np.asarray(df, float))
    return np.asarray(np.clip(1.0 - _distribution(q.ravel(), n_means, df.ravel())[0], 0.0, 1.0).reshape(q.shape))


def tukey_quantiles(probability: float, n_means: int, df: Array) -> Array:
    """Quantiles of the studentized range.

    Newton's method between the quantile for two means and Bonferroni's bound for all pairs, by halves where it leaves
    the bracket.
    """
    df = np.asarray(df, float)
    distinct, inverse = np.unique(df.ravel(), return_inverse=True)
    n_pairs = n_means * (n_means - 1) // 2
    low, high = (np.sqrt(2.0) * _quantiles(np.full(distinct.shape, 1.0 - 0.5 * error), distinct)
                 for error in (1.0 - probability, (1.0 - probability) / n_pairs))
    q = high.copy()
    todo = np.flatnonzero(~np.isnan(distinct))
    for _ in range(_NEWTON_STEPS):
        value, density = _distribution(q[todo], n_means, distinct[todo])
        above = value > probability
        high[todo], low[todo] = np.where(above, q[todo], high[todo]), np.where(above, low[todo], q[todo])
        trial = q[todo] + (probability - value) / np.maximum(density, np.finfo(float).tiny)
        trial = np.where((trial < low[todo]) | (trial > high[todo]), 0.5 * (low[todo] + high[todo]), trial)
        moved, q[todo] = np.abs(trial - q[todo]), trial
        todo = todo[moved > 1e-10 * trial]
        if not len(todo):
            break
    return np.asarray(q[inverse].reshape(df.shape))


def _distribution(q: Array, n_means: int, df: Array) -> tuple[Array, Array]:
    """Distribution function and density of the studentized range at q (m,); NaN where an argument is."""
    value, density = np.full(q.shape, np.nan), np.full(q.shape, np.nan)
    known = np.flatnonzero(~np.isnan(q) & ~np.isnan(df))
    for chosen in np.array_split(known, max(1, -(-len(known) // _CHUNK))):
        scale, weight = _scales(df[chosen])
        w = q[chosen, None] * scale
        range_value, range_density = _range(w, n_means)
        value[chosen] = (weight * range_value).sum(axis=-1)
        density[chosen] = (weight * scale * range_density).sum(axis=-1)
    return value, density


def _scales(df: Array) -> tuple[Array, Array]:
    """Nodes s (m, k) and weights of the expectation over the scale, equally spaced in log s."""
    from scipy.special import gammainccinv, gammaincinv, gammaln

    known = df > _INFINITE_DF
    half = 0.5 * np.where(known, 1.0, df)[:, None]
    low, high = (0.5 * np.log(inverse(half, _TAIL) / half) for inverse in (gammaincinv, gammainccinv))
    log_s = low + (high - low) * np.linspace(0.0, 1.0, _N_SCALE)
    log_density = np.log(2.0) + half * np.log(half) - gammaln(half) + 2.0 * half * log_s - half * np.exp(2.0 * log_s)
    weight = np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    return np.where(known[:, None], 1.0, np.exp(log_s)), weight / weight.sum(axis=-1, keepdims=True)


def _range(w: Array, n_means: int) -> tuple[Array, Array]:
    """Distribution function and density of the range of independent standard normal variables."""
    from scipy.special import ndtr

    weight = np.exp(-0.5 * _Z**2) / np.sqrt(2.0 * np.pi) * (_Z[1] - _Z[0])
    shifted = _Z - w[..., None]
    inside = np.maximum(ndtr(_Z) - ndtr(shifted), 0.0)
    power = inside ** (n_means - 2)
    value = n_means * (weight * power * inside).sum(axis=-1)
    density = n_means * (n_means - 1) * (
        weight * power * np.exp(-0.5 * shifted**2)).sum(axis=-1) / np.sqrt(2.0 * np.pi)
    return value, density
