"""Plots of random effects: modes with intervals, shrinkage, covariances."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._common import Array
from .style import (
    ACCENT,
    GUIDE,
    LARGEST_POINT,
    MAIN,
    MANY_LEVELS,
    MANY_POINTS,
    axes_for,
    legend_above,
    point_style,
    returned,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEPENDENT = 1e-20  # share of a column's sum of squares that is rounding when it depends on others
ARROW_WIDTH = 0.8  # points


@dataclass(frozen=True, eq=False)
class ShownModes:
    """Conditional modes of one column of random effects.

    Attributes
    ----------
    group, column : str
    levels : (n_levels,) array
    modes, std_dev : (n_levels,) array
        Modes and their conditional standard deviations.
    order : (n_levels,) array of int
        Levels from the lowest place to the highest.
    """

    group: str
    column: str
    levels: NDArray[Any]
    modes: Array
    std_dev: Array
    order: NDArray[np.intp]


def draw_modes(panels: Sequence[ShownModes], z: float, level: float, ax: Any, points: dict[str, Any]) -> Any:
    """Modes with intervals of z standard deviations, levels one above the other."""
    n_labels = max((len(panel.levels) for panel in panels if len(panel.levels) <= MANY_LEVELS), default=0)
    all_axes = axes_for(len(panels), ax, (3.6, max(3.6, 0.9 + 0.17 * n_labels)))
    for axes, panel in zip(all_axes, panels, strict=True):
        n = len(panel.levels)
        place, modes, reach = np.arange(n), panel.modes[panel.order], z * panel.std_dev[panel.order]
        style = level_style(n, points)
        axes.axvline(0.0, color=GUIDE, linewidth=0.8, zorder=1)
        axes.hlines(place, modes - reach, modes + reach, color=style.get("color", MAIN), zorder=2, alpha=0.5,
                    linewidth=min(1.2, 200.0 / n), rasterized=n > MANY_POINTS)
        axes.scatter(modes, place, **{"zorder": 3, **style})
        axes.set(xlabel=f"{panel.column}, mode with {100 * level:g}% interval", ylim=(-0.8, n - 0.2))
        label_levels(axes, panel.group, panel.levels[panel.order])
    return returned(all_axes)


def level_style(n: int, options: dict[str, Any]) -> dict[str, Any]:
    """How the points of n levels one above the other are drawn."""
    return point_style(n, {"s": min(LARGEST_POINT, max(2.0, 2000.0 / n)), "alpha": 1.0, **options})


def label_levels(axes: Axes, group: str, levels: NDArray[Any]) -> None:
    """Name the levels on the vertical axis, or say how many there are."""
    if len(levels) <= MANY_LEVELS:
        axes.set_yticks(np.arange(len(levels)), [str(level) for level in levels])
        axes.tick_params(axis="y", length=0, labelsize="medium" if len(levels) <= 20 else "small")
        axes.set_ylabel(group)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{group}, {len(levels)} levels")


# ---- shrinkage -------------------------------------------------------------------------------------------------------

def least_squares_by_level(residuals: Array, columns: Sequence[Array | None], codes: NDArray[np.int32], n_levels: int,
                           weights: Array | None) -> Array:
    """Weighted least squares of residuals on columns within each level (n_levels, c), NaN where not determined.

    Modified Gram-Schmidt in all levels at once: the columns become orthogonal within every level, then the triangular
    systems are solved from the last column back.
    """
    weight = np.ones_like(residuals) if weights is None else weights

    def inner(a: Array, b: Array) -> Array:
        return np.asarray(np.bincount(codes, weight * a * b, n_levels), float)

    c = len(columns)
    basis = [np.ones_like(residuals) if column is None else column for column in columns]
    length = np.array([inner(column, column) for column in basis])
    R = np.zeros((c, c, n_levels))
    coordinates, rest = np.empty((c, n_levels)), residuals
    determined = np.ones(n_levels, bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for j in range(c):
            norm = inner(basis[j], basis[j])
            determined &= norm > DEPENDENT * length[j]
            for k in range(j + 1, c):
                R[j, k] = np.where(norm > 0, inner(basis[j], basis[k]) / norm, 0.0)
                basis[k] = basis[k] - R[j, k][codes] * basis[j]
            coordinates[j] = np.where(norm > 0, inner(basis[j], rest) / norm, 0.0)
            rest = rest - coordinates[j][codes] * basis[j]
    for j in reversed(range(c)):
        coordinates[j] -= sum(R[j, k] * coordinates[k] for k in range(j + 1, c))
    return np.where(determined[:, None], coordinates.T, np.nan)


@dataclass(frozen=True, eq=False)
class ShownShrinkage:
    """Where the coefficients of the levels would be and where they are.

    Attributes
    ----------
    group : str
    columns : tuple of str
        One or two.
    levels : (n_levels,) array
    start, end : (n_levels, c) array
        Estimates without shrinkage, and the coefficients.
    population : (c,) array
        Fixed effects of these columns, zero where there are none.
    start_name : str or None
        What the starts are; None where all are the population.
    """

    group: str
    columns: tuple[str, ...]
    levels: NDArray[Any]
    start: Array
    end: Array
    population: Array
    start_name: str | None


def draw_shrinkage(panels: Sequence[ShownShrinkage], ax: Any, arrows: dict[str, Any]) -> Any:
    """Arrows from the estimates of single levels to the coefficients of the fit."""
    all_axes = axes_for(len(panels), ax, (5.0, 4.4))
    for axes, panel in zip(all_axes, panels, strict=True):
        n = len(panel.levels)
        if len(panel.columns) == 1:
            order = np.argsort(panel.end[:, 0], kind="stable")
            place = np.arange(n, dtype=float)
            start, end = (np.column_stack([values[order, 0], place]) for values in (panel.start, panel.end))
            axes.axvline(panel.population[0], color=GUIDE, linewidth=0.8, zorder=1, label="population")
            label_levels(axes, panel.group, panel.levels[order])
            axes.set(xlabel=panel.columns[0], ylim=(-0.8, n - 0.2))
        else:
            start, end = panel.start, panel.end
            axes.scatter([panel.population[0]], [panel.population[1]], marker="+", s=90, color=GUIDE, zorder=4,
                         label="population")
            axes.set(xlabel=panel.columns[0], ylabel=panel.columns[1])
        style: dict[str, Any] = level_style(n, {}) if len(panel.columns) == 1 else point_style(n, {})
        if panel.start_name is not None:
            axes.scatter(start[:, 0], start[:, 1], **{**style, "color": ACCENT, "zorder": 2, "label": panel.start_name})
        axes.scatter(end[:, 0], end[:, 1], **{**style, "zorder": 3, "label": "fit"})
        axes.quiver(*start.T, *(end - start).T, **{
            "angles": "xy", "scale_units": "xy", "scale": 1.0, "units": "inches", "color": GUIDE,
            "zorder": 1, "width": min(ARROW_WIDTH, 1000.0 / n) / 72.0, "headwidth": 6, "headlength": 8,
            "headaxislength": 7, "alpha": style["alpha"], "rasterized": n > MANY_POINTS, **arrows})
        legend_above(axes, None if len(panel.columns) == 1 else panel.group)
    return returned(all_axes)


# ---- covariance ------------------------------------------------------------------------------------------------------

@dataclass(frozen=True, eq=False)
class ShownCovariance:
    """Two columns of a random-effects term.

    Attributes
    ----------
    group : str
    columns : tuple of str
        Two.
    modes : (n_levels, 2) array
    covariance : (2, 2) array
    correlation : float
    """

    group: str
    columns: tuple[str, str]
    modes: Array
    covariance: Array
    correlation: float


def ellipse(covariance: Array, level: float, n: int = 181) -> Array:
    """Points (n, 2) around the region of a bivariate normal distribution that has a probability."""
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0.0, 2.0 * np.pi, n)
    circle = np.sqrt(-2.0 * np.log1p(-level)) * np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(circle * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def draw_covariances(panels: Sequence[ShownCovariance], levels: Sequence[float], ax: Any,
                     points: dict[str, Any]) -> Any:
    """Modes, and ellipses that hold shares of the levels in the estimated distribution."""
    all_axes = axes_for(len(panels), ax, (4.2, 4.0))
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.axhline(0.0, color=GUIDE, linewidth=0.6, zorder=1)
        axes.axvline(0.0, color=GUIDE, linewidth=0.6, zorder=1)
        for i, level in enumerate(sorted(levels)):
            axes.plot(*ellipse(panel.covariance, level).T, color=ACCENT, linewidth=1.4, zorder=4,
                      linestyle=("-", "--", ":")[i % 3], label=f"{100 * level:g}% of levels")
        axes.scatter(*panel.modes.T, **{"zorder": 3, **point_style(len(panel.modes), points)})
        axes.set(xlabel=panel.columns[0], ylabel=panel.columns[1])
        legend_above(axes, f"{panel.group}, correlation {panel.correlation:.2f}")
    return returned(all_axes)
