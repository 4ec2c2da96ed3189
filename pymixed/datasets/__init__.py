"""Classic data sets of the mixed-models literature, shipped with the package.

`names` lists them, `describe` tells what one holds and where it was published, `load` returns it as a table. They are
the data of R's lme4 and nlme under lower-case names, with the same columns, level orders and ordered factors.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ._registry import DATASETS, Dataset, Factor, Number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "Factor", "Number", "describe", "load", "names"]


def names() -> tuple[str, ...]:
    """Names of the shipped data sets.

    Returns
    -------
    tuple of str
        What `load` and `describe` take, in alphabetical order.

    Examples
    --------
    >>> from pymixed import datasets
    >>> "sleepstudy" in datasets.names()
    True
    """
    return tuple(sorted(DATASETS))


def describe(name: str) -> Dataset:
    """Tell what a data set holds and where it was first published.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Dataset
        Its description, source, number of rows and columns; ``print`` shows them as text.

    Raises
    ------
    InputError
        There is no such data set; the message lists all names.

    Examples
    --------
    >>> from pymixed import datasets
    >>> datasets.describe("dyestuff2").source
    'Box, G. E. P. & Tiao, G. C. (1973). Bayesian Inference in Statistical Analysis. Addison-Wesley, section 5.1.2.'
    """
    if name not in DATASETS:
        raise InputError(f"name: expected one of {', '.join(names())}; got {name!r}")
    return DATASETS[name]


@overload
def load(name: str, *, as_: Literal["pandas"] = "pandas") -> pd.DataFrame: ...
@overload
def load(name: str, *, as_: Literal["dict"]) -> dict[str, NDArray[Any]]: ...
@overload
def load(name: str, *, as_: str) -> Any: ...


def load(name: str, *, as_: str = "pandas") -> Any:
    """Load a shipped data set.

    Parameters
    ----------
    name : str
        One of `names`.
    as_ : {"pandas", "polars", "pyarrow", "dict"}
        Kind of table. Factors become a pandas ``Categorical``, a polars ``Enum``, a pyarrow dictionary array or, in a
        dict, a NumPy array of strings. The first three keep the order of the levels; pandas and pyarrow also tell
        which factors are ordered.

    Returns
    -------
    pandas.DataFrame, polars.DataFrame, pyarrow.Table or dict of str to numpy.ndarray
        A fresh table, one row per observation.

    Raises
    ------
    InputError
        There is no such data set, or no such kind of table.
    ImportError
        The library of that kind of table is not installed.

    Examples
    --------
    >>> from pymixed import datasets
    >>> datasets.load("sleepstudy").shape
    (180, 3)
    >>> datasets.load("sleepstudy", as_="dict")["Days"][:4]
    array([0, 1, 2, 3])
    """
    dataset = describe(name)
    if as_ not in _TABLES:
        raise InputError(f"as_: expected one of {', '.join(_TABLES)}; got {as_!r}")
    return _TABLES[as_](_read(dataset))


@dataclass(frozen=True)
class _Categorical:
    codes: NDArray[np.int32]  # (n,), positions in levels
    levels: tuple[str, ...]
    ordered: bool


_Columns = dict[str, "NDArray[Any] | _Categorical"]


def _read(dataset: Dataset) -> _Columns:
    path = resources.files(__name__) / "data" / f"{dataset.name}.csv.gz"
    with path.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8", newline="") as text:
        header, *rows = csv.reader(text)
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    return {
        name: _categorical(cells[name], column) if isinstance(column, Factor) else _numbers(cells[name])
        for name, column in dataset.columns.items()
    }


def _numbers(cells: Sequence[str]) -> NDArray[Any]:
    text = np.array(cells)
    try:
        return text.astype(np.int64)
    except ValueError:
        return text.astype(np.float64)


def _categorical(cells: Sequence[str], column: Factor) -> _Categorical:
    levels = column.levels or _sorted(set(cells))
    position = {level: i for i, level in enumerate(levels)}
    codes = np.fromiter((position[cell] for cell in cells), np.int32, len(cells))
    return _Categorical(codes, levels, column.ordered)


def _sorted(labels: set[str]) -> tuple[str, ...]:
    numeric = all(label.isdecimal() for label in labels)
    return tuple(sorted(labels, key=int if numeric else str))


# ---- the kinds of table ----------------------------------------------------------------------------------------------


def _pandas(columns: _Columns) -> Any:
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(c.codes, pd.Index(c.levels), ordered=c.ordered)
            if isinstance(c, _Categorical)
            else c
            for name, c in columns.items()
        }
    )


def _polars(columns: _Columns) -> Any:
    import polars as pl

    return pl.DataFrame(
        [
            pl.Series(name, np.array(c.levels)[c.codes], dtype=pl.Enum(c.levels))
            if isinstance(c, _Categorical)
            else pl.Series(name, c)
            for name, c in columns.items()
        ]
    )


def _pyarrow(columns: _Columns) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            name: pa.DictionaryArray.from_arrays(c.codes, list(c.levels), ordered=c.ordered)
            if isinstance(c, _Categorical)
            else pa.array(c)
            for name, c in columns.items()
        }
    )


def _dict(columns: _Columns) -> dict[str, NDArray[Any]]:
    return {name: np.array(c.levels)[c.codes] if isinstance(c, _Categorical) else c for name, c in columns.items()}


_TABLES = {"pandas": _pandas, "polars": _polars, "pyarrow": _pyarrow, "dict": _dict}
