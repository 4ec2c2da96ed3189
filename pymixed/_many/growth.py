"""Tables with more or fewer levels of a grouping factor, or rows per level, than the one they are made of."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._adapters import arrow_table, is_a
from .._categorical import Categorical, cross
from .._frames import Table
from ..errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def as_frame(data: Any) -> pd.DataFrame:
    """Any table as one of pandas."""
    import pandas as pd

    if is_a(data, "pandas", "DataFrame"):
        frame: pd.DataFrame = data
        return frame
    if isinstance(data, Mapping):
        return pd.DataFrame(dict(data))
    Table(data)  # refuses what is no table
    converted: pd.DataFrame = arrow_table(data, "data").to_pandas()
    return converted


def with_levels(frame: pd.DataFrame, along: str, size: int, groups: Iterable[str]) -> pd.DataFrame:
    """The table with `size` levels of the column `along`.

    The first ones, or all and then copies of the first, second, ... with labels of their own. Columns `groups` that are
    nested in it, every label being of one level, get new labels too, numbers that only tell levels apart.
    """
    table = Table(frame)
    levels = _factor(table, along)
    n_levels = len(levels.levels)
    source, copies = np.arange(size) % n_levels, np.arange(size) // n_levels
    order, first, count = _rows_by_level(levels)
    lengths = count[source]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = order[np.repeat(first[source], lengths) + within]
    copy = np.repeat(copies, lengths)
    nested = [name for name in dict.fromkeys([along, *groups]) if _is_nested(_factor(table, name), levels)]
    labels = {name: factor.codes[rows] + copy * len(factor.levels)
              for name in nested for factor in [_factor(table, name)]}
    grown: pd.DataFrame = frame.iloc[rows].reset_index(drop=True)
    return grown.assign(**labels)


def with_rows(frame: pd.DataFrame, within: Iterable[str], size: int) -> pd.DataFrame:
    """The table with `size` rows for every combination of labels in the columns `within`: the first ones, repeated."""
    table = Table(frame)
    order, first, count = _rows_by_level(cross([_factor(table, name) for name in within]))
    rows = order[first[:, None] + np.arange(size) % count[:, None]]
    grown: pd.DataFrame = frame.iloc[rows.ravel()].reset_index(drop=True)
    return grown


def _factor(table: Table, name: str) -> Categorical:
    factor = table.factor(name)
    if (factor.codes < 0).any():
        raise InputError(f"data: expected no missing values in column {name!r}, by which the sizes go")
    return factor


def _rows_by_level(factor: Categorical) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows sorted by level, and where among them those of each level begin and how many they are."""
    count = np.bincount(factor.codes, minlength=len(factor.levels))
    return np.argsort(factor.codes, kind="stable"), np.cumsum(count) - count, count


def _is_nested(inner: Categorical, outer: Categorical) -> bool:
    """Whether every level of one factor has rows of one level of the other only."""
    return len(cross([inner, outer]).levels) == len(inner.levels)
