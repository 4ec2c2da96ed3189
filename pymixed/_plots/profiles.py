"""Plots of profile likelihoods: zeta, and the density that it stands for."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._common import Array
from .style import GUIDE, MAIN, axes_for, returned

GRID = 200


@dataclass(frozen=True, eq=False)
class ShownProfile:
    """The profile of one parameter.

    Attributes
    ----------
    name : str
    values : (k,) array
        Points at which it is known, ascending.
    zeta : callable
        Its interpolation.
    limits : tuple of float
        Ends of the interval, NaN where there are none.
    """

    name: str
    values: Array
    zeta: Callable[[Array], Array]
    limits: tuple[float, float]

    def curve(self) -> tuple[Array, Array]:
        """Values at which zeta is about evenly spaced, and zeta there."""
        at_points = self.zeta(self.values)
        known = np.isfinite(at_points)  # rounding may put an end beyond the end
        rising = np.maximum.accumulate(at_points[known])
        grid = np.unique(np.interp(np.linspace(rising[0], rising[-1], GRID), rising, self.values[known]))
        zeta = self.zeta(grid)
        known = np.isfinite(zeta)  # not between the last point and a perfect correlation
        return grid[known], zeta[known]


def profile_density(values: Array, zeta: Array) -> Array:
    """Density of a parameter whose zeta is standard normal, φ(ζ) dζ/dvalue (k,)."""
    slope: Array = np.gradient(zeta, values)
    return np.asarray(np.exp(-0.5 * zeta**2) / np.sqrt(2.0 * np.pi) * slope)


def draw_zeta(panels: Sequence[ShownProfile], z: float, ax: Any, line: dict[str, Any]) -> Any:
    """Zeta against the parameter; where it leaves the band of height z the interval ends."""
    all_axes = axes_for(len(panels), ax, (3.1, 2.8))
    for axes, panel in zip(all_axes, panels, strict=True):
        values, zeta = panel.curve()
        axes.axhline(0.0, color=GUIDE, linewidth=0.6, zorder=1)
        for height in (-z, z):
            axes.axhline(height, color=GUIDE, linewidth=0.8, linestyle=":", zorder=1)
        for limit, height in zip(panel.limits, panel.zeta(np.array(panel.limits)), strict=True):
            axes.plot([limit, limit], [0.0, height], color=GUIDE, linewidth=1.2, zorder=2)
        axes.plot(values, zeta, **{"color": MAIN, "linewidth": 1.6, **line})
        axes.set_xlabel(panel.name)
        axes.set_ylabel("ζ", rotation=0)
    return returned(all_axes)


def draw_density(panels: Sequence[ShownProfile], ax: Any, line: dict[str, Any]) -> Any:
    """Density from zeta, shaded over the interval."""
    all_axes = axes_for(len(panels), ax, (3.1, 2.8))
    for axes, panel in zip(all_axes, panels, strict=True):
        values, zeta = panel.curve()
        density = profile_density(values, zeta)
        low, high = np.nan_to_num(panel.limits, nan=values[0])[0], np.nan_to_num(panel.limits, nan=values[-1])[1]
        style = {"color": MAIN, "linewidth": 1.6, **line}
        axes.fill_between(values, density, where=(values >= low) & (values <= high), color=style["color"], alpha=0.2,
                          linewidth=0)
        axes.plot(values, density, **style)
        axes.set(xlabel=panel.name, ylabel="Density", ylim=(0.0, None))
    return returned(all_axes)
