"""Plots of residuals: against fitted values, their size, their quantiles; and a smooth for the eye."""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._common import Array
from .style import ACCENT, GUIDE, axes_for, label, legend_above, point_style, returned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPAN = 2.0 / 3.0   # share of the points that a local line is fitted to, Cleveland's default
BINS = 200         # points of which local lines are made; more rows are averaged first
LINE_POINTS = 200  # of a band
MANY_ROWS = 20_000  # points of more rows would cover one another
HEXAGONS = 70      # across


@dataclass(frozen=True, eq=False)
class ShownResiduals:
    """Residuals as plots show them.

    Attributes
    ----------
    fitted : (n,) array
        Fitted values on the scale of the linear predictor.
    fitted_name : str
        What they are.
    values : (n,) array
        Residuals.
    name : str
        What those are.
    std_dev : float
        What the model says their standard deviation is; 1 where it says nothing.
    is_normal : bool
        Whether they are standard normal where the model is right, without a scale that was estimated from them.
    """

    fitted: Array
    fitted_name: str
    values: Array
    name: str
    std_dev: float
    is_normal: bool

    @property
    def standard(self) -> Array:
        """Residuals over `std_dev` (n,)."""
        return self.values / self.std_dev

    @property
    def standard_name(self) -> str:
        """What they are."""
        return self.name if self.std_dev == 1.0 else "Standardised residual"


def smooth(x: Array, y: Array) -> tuple[Array, Array]:
    """Local straight lines with tricube weights through a scatter, at no more than `BINS` places in order of x.

    Cleveland (1979), J. Am. Stat. Assoc. 74(368), without its robustness steps; of more rows than `BINS` through the
    means of bins of equal size.
    """
    order = np.argsort(x, kind="stable")
    starts = np.linspace(0, len(x), min(BINS, len(x)), endpoint=False).astype(int)
    counts = np.diff(np.append(starts, len(x)))
    x, y = (np.add.reduceat(values[order], starts) / counts for values in (x, y))
    distance = np.abs(x[:, None] - x)
    reach = np.partition(distance, int(np.ceil(SPAN * len(x))) - 1, axis=1)[:, int(np.ceil(SPAN * len(x))) - 1]
    reach = np.maximum(reach * (1.0 + 1e-9), np.finfo(float).tiny)[:, None]
    weights = counts * np.clip(1.0 - (distance / reach) ** 3, 0.0, None) ** 3
    weights /= weights.sum(axis=1, keepdims=True)
    centre, mean = weights @ x, weights @ y
    spread = (weights * (x - centre[:, None]) ** 2).sum(axis=1)
    product = (weights * (x - centre[:, None])) @ y
    slope = np.divide(product, spread, out=np.zeros_like(product), where=spread > 1e-20 * np.ptp(x) ** 2)
    return x, mean + slope * (x - centre)


def draw_residuals(shown: ShownResiduals, ax: Any, points: dict[str, Any]) -> Axes:
    """Residuals against fitted values."""
    (axes,) = axes_for(1, ax, (5.0, 3.8))
    axes.axhline(0.0, color=GUIDE, linewidth=0.8, zorder=1)
    _scatter_with_smooth(axes, shown, shown.values, points)
    axes.set(xlabel=label(shown.fitted_name), ylabel=label(shown.name))
    return axes


def draw_scale_location(shown: ShownResiduals, ax: Any, points: dict[str, Any]) -> Axes:
    """Roots of absolute standardised residuals against fitted values."""
    (axes,) = axes_for(1, ax, (5.0, 3.8))
    _scatter_with_smooth(axes, shown, np.sqrt(np.abs(shown.standard)), points)
    name = shown.standard_name
    axes.set(xlabel=label(shown.fitted_name), ylabel=f"√|{name[0].lower()}{name[1:]}|", ylim=(0.0, None))
    return axes


def _scatter_with_smooth(axes: Axes, shown: ShownResiduals, y: Array, points: dict[str, Any]) -> None:
    if len(y) > MANY_ROWS and not points:
        axes.hexbin(shown.fitted, y, gridsize=HEXAGONS, bins="log", mincnt=1, cmap="Blues", linewidths=0.1)
    else:
        axes.scatter(shown.fitted, y, **point_style(len(y), points))
    axes.plot(*smooth(shown.fitted, y), color=ACCENT, linewidth=1.6)


# ---- quantiles -------------------------------------------------------------------------------------------------------

@dataclass(frozen=True, eq=False)
class Sample:
    """Values whose quantiles are compared with those of the normal distribution.

    Attributes
    ----------
    values : (n,) array
    name : str
        What they are.
    is_standard : bool
        Whether they should be standard normal, so that they are compared with the line of slope 1 through 0; else with
        the line through their quartiles.
    """

    values: Array
    name: str
    is_standard: bool


def normal_scores(n: int) -> Array:
    """Normal quantiles at (i - 1/2) / n (n,)."""
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(n) + 0.5) / n))


def order_statistic_band(n: int, at: Array, level: float) -> tuple[Array, Array]:
    """Limits of single order statistics of n standard normal values, each on its own.

    The i-th of n uniform values has the beta distribution with parameters i and n + 1 - i; `at` (k,) counts i from 1.
    """
    from scipy.special import betaincinv, ndtri

    tail = 0.5 * (1.0 - level)
    lower, upper = (ndtri(betaincinv(at, n + 1.0 - at, p)) for p in (tail, 1.0 - tail))
    return np.asarray(lower, np.float64), np.asarray(upper, np.float64)


def draw_quantiles(samples: list[Sample], level: float, ax: Any, points: dict[str, Any]) -> Any:
    """Sorted values against normal scores, a panel per sample, with a line and a band."""
    from scipy.special import ndtri

    all_axes = axes_for(len(samples), ax, (3.8, 3.8))
    for axes, sample in zip(all_axes, samples, strict=True):
        values = np.sort(sample.values)
        n = len(values)
        scores = normal_scores(n)
        intercept, slope = 0.0, 1.0
        if not sample.is_standard:
            first, third = np.quantile(values, [0.25, 0.75])
            slope = (third - first) / (2.0 * float(ndtri(0.75)))
            intercept = 0.5 * (first + third)
        at = np.unique(np.linspace(1, n, min(n, LINE_POINTS)).round())
        at = np.unique(np.concatenate([at, np.arange(1, min(n, 20) + 1), n - np.arange(min(n, 20))]))  # bends are there
        line, (lower, upper) = scores[at.astype(int) - 1], order_statistic_band(n, at, level)
        axes.fill_between(line, intercept + slope * lower, intercept + slope * upper, color=GUIDE, alpha=0.2,
                          linewidth=0, label=f"{100 * level:g}% pointwise band")
        axes.plot(line[[0, -1]], intercept + slope * line[[0, -1]], color=GUIDE, linewidth=1.0)
        axes.scatter(scores, values, **{"zorder": 3, **point_style(n, points)})
        axes.set(xlabel="Normal quantile", ylabel=label(sample.name))
        legend_above(axes)
    return returned(all_axes)
