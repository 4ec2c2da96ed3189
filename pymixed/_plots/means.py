"""Plots of marginal means and trends with their intervals."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._common import Array
from .style import MARKERS, SERIES, axes_for, label, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DODGE = 0.12      # between series, in units of the distance between means
WIDTHS = (4.6, 14.0)  # inches, the least and the largest
LONG_LABELS = 60  # characters of all labels together, beyond which they are turned


@dataclass(frozen=True, eq=False)
class ShownMeans:
    """Estimates in series of equal length.

    Attributes
    ----------
    labels : mapping of str to (rows,) array
        Values of the variables within a series.
    by : mapping of str to (rows,) array
        Values of the variables that tell the series apart.
    n_series : int
    estimate, lower, upper : (rows,) array
        Series one after the other.
    name : str
        What is estimated.
    notes : sequence of str
        What else there is to say.
    """

    labels: Mapping[str, NDArray[Any]]
    by: Mapping[str, NDArray[Any]]
    n_series: int
    estimate: Array
    lower: Array
    upper: Array
    name: str
    notes: Sequence[str]


def draw_means(shown: ShownMeans, ax: Any, points: dict[str, Any]) -> Axes:
    """Means with intervals over the combinations of the first variables, a colour and a marker per series."""
    n, k = shown.n_series, len(shown.estimate) // shown.n_series
    (axes,) = axes_for(1, ax, (min(WIDTHS[1], max(WIDTHS[0], 1.8 + 0.35 * k + 0.12 * k * n)), 3.8))
    values = [column[:k] for column in shown.labels.values()]
    is_numeric = len(values) == 1 and np.issubdtype(np.asarray(values[0].tolist()).dtype, np.number)
    place = np.asarray(values[0].tolist(), float) if is_numeric else np.arange(k, dtype=float)
    unit = float(np.diff(np.unique(place)).min(initial=np.inf))
    unit = unit if np.isfinite(unit) else 1.0
    for i in range(n):
        rows = slice(i * k, (i + 1) * k)
        x = place + DODGE * unit * (i - 0.5 * (n - 1)) * min(1.0, 5.0 / n)
        style = {"color": SERIES[i % len(SERIES)], "marker": MARKERS[i // len(SERIES) % len(MARKERS)], **points}
        axes.vlines(x, shown.lower[rows], shown.upper[rows], color=style["color"], linewidth=1.4, alpha=0.7)
        if is_numeric:
            axes.plot(x, shown.estimate[rows], color=style["color"], linewidth=1.0, alpha=0.5)
        axes.scatter(x, shown.estimate[rows], **{"s": 30, "zorder": 3, "label": _joined(shown.by, i * k), **style})
    if not is_numeric:
        names = [_joined(shown.labels, i) or "overall" for i in range(k)]
        turned = sum(map(len, names)) > LONG_LABELS
        axes.set_xticks(place, names, rotation=30 if turned else 0, ha="right" if turned else "center",
                        rotation_mode="anchor" if turned else "default")
        axes.set_xlim(-0.6, k - 0.4)
    axes.set(xlabel=", ".join(shown.labels), ylabel=label(shown.name, *shown.notes))
    legend_above(axes, ", ".join(shown.by))
    return axes


def _joined(columns: Mapping[str, NDArray[Any]], row: int) -> str:
    return " ".join(f"{value:g}" if isinstance(value, float) else str(value)
                    for value in (column.tolist()[row] for column in columns.values()))
