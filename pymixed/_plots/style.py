"""What all plots share: matplotlib on demand, panels, one look."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, InputTypeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of the palette by Okabe & Ito (2008) those that differ in lightness too, so that grey prints can tell them apart.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
MAIN, ACCENT = SERIES[:2]
GUIDE = "0.55"  # the grey of reference lines, visible on white and on black

MANY_LEVELS = 60     # labels of more levels would touch
MANY_POINTS = 5000   # more are stored as pixels in vector formats
WIDEST = 4           # panels side by side
LARGEST_POINT = 22.0  # square points of typography
LABEL_WIDTH = 38     # characters of a line of an axis label
LEGEND_WIDTH = 52    # characters of a row of a legend


def axes_for(n: int, ax: Any, size: tuple[float, float]) -> list[Axes]:
    """The user's Axes, or those of a new figure with n panels of a size in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    InputError, InputTypeError
        If `ax` is not as many Axes as there are panels.
    """
    try:
        from matplotlib.axes import Axes
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("matplotlib"):  # it is there, and something that it needs is not
            raise
        raise ImportError('plots need matplotlib, which is not installed: pip install "pymixed[plot]"') from None
    if ax is None:
        return _new_axes(n, size)
    given = [ax] if isinstance(ax, Axes) or not isinstance(ax, Iterable) else list(np.ravel(np.asarray(ax, object)))
    for one in given:
        if not isinstance(one, Axes):
            raise InputTypeError(f"ax: expected Axes of matplotlib, got {one!r}")
    if len(given) != n:
        raise InputError(f"ax: expected {n} Axes, one per panel, got {len(given)}")
    return given


def _new_axes(n: int, size: tuple[float, float]) -> list[Axes]:
    from matplotlib import pyplot

    n_columns = n if n <= WIDEST else min((WIDEST, WIDEST - 1), key=lambda k: -n % k)  # fewest empty places
    n_rows = -(-n // n_columns)
    figure = pyplot.figure(figsize=(size[0] * n_columns, size[1] * n_rows), layout="constrained")
    axes = [figure.add_subplot(n_rows, n_columns, i + 1) for i in range(n)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return axes


def returned(axes: Sequence[Axes]) -> Any:
    """One Axes as it is, several as an array."""
    return axes[0] if len(axes) == 1 else np.array(axes, object)


def point_style(n: int, options: dict[str, Any]) -> dict[str, Any]:
    """How n points are drawn, the more the smaller and fainter; the user's options come first."""
    root = max(n, 1) ** 0.5
    default: dict[str, Any] = {"s": float(np.clip(1000.0 / root, 4.0, LARGEST_POINT)),
                               "alpha": float(np.clip(40.0 / root, 0.1, 0.85)),
                               "linewidths": 0.0, "rasterized": n > MANY_POINTS}
    if not {"c", "color", "facecolor", "facecolors"} & options.keys():
        default["color"] = MAIN
    return {**default, **options}


def legend_above(axes: Axes, title: str | None = None) -> None:
    """A legend that covers no data, over the axes; none where nothing has a label."""
    from matplotlib.collections import PathCollection

    if labels := axes.get_legend_handles_labels()[1]:
        fitting = int(LEGEND_WIDTH // (max(map(len, labels)) + 5))
        legend = axes.legend(
            title=title, ncols=max(1, min(len(labels), fitting)), loc="lower left", bbox_to_anchor=(-0.02, 1.0),
            frameon=False, fontsize="small", title_fontsize="small", alignment="left", borderaxespad=0.0,
            columnspacing=1.2, handletextpad=0.5)
        for handle in legend.legend_handles:  # points stay visible there however small they are in the plot
            if isinstance(handle, PathCollection):
                handle.set(sizes=[LARGEST_POINT], alpha=1.0)


def label(*lines: str) -> str:
    """An axis label of some lines, the long ones broken."""
    return "\n".join(fill(line, LABEL_WIDTH) for line in lines)
