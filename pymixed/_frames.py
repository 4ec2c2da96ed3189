"""Columns of any table as float arrays or as integer codes with labels.

The rest of the package sees two kinds of column only: float64 arrays, where a missing value is NaN, and `Categorical`,
where it is code -1.
"""
from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._adapters import arrow_table, is_a, plain_array
from ._categorical import Categorical, factorize
from .errors import InputError, InputTypeError

FloatArray: TypeAlias = NDArray[np.float64]
Column: TypeAlias = FloatArray | Categorical
AnyColumn = TypeVar("AnyColumn", FloatArray, Categorical, Column)

_LARGE = 4096  # values from which a temporary costs more than the care that a sum needs


class Table:
    """A table whose columns are converted when they are asked for, and only those.

    Parameters
    ----------
    data : table
        pandas or polars DataFrame, pyarrow Table or RecordBatch, an object with `__arrow_c_stream__`, or a mapping from
        names to one-dimensional arrays.
    argument : str
        What error messages call it.

    Raises
    ------
    InputTypeError
        It is none of these.
    """

    def __init__(self, data: Any, argument: str = "data") -> None:
        self.argument = argument
        self._n_rows: int | None = None
        self._get: Callable[[str], Any]
        if isinstance(data, Mapping):
            self.names, self._get = tuple(data), data.__getitem__
        elif is_a(data, "pandas", "DataFrame") or is_a(data, "polars", "DataFrame"):
            self.names, self._get, self._n_rows = tuple(data.columns), data.__getitem__, len(data)
        elif hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
            table = arrow_table(data, argument)
            self.names, self._get, self._n_rows = tuple(table.column_names), table.column, len(table)
        else:
            raise InputTypeError(f"{argument}: expected a pandas or polars DataFrame, a pyarrow Table or a dict of "
                                 f"arrays, got {type(data).__name__}")
        if not self.names:
            raise InputError(f"{argument}: expected at least one column, got none")
        self._known = frozenset(self.names)  # there may be very many

    @property
    def n_rows(self) -> int:
        """Number of rows; for a mapping that of the first column asked for."""
        if self._n_rows is None:
            self._n_rows = len(plain_array(self._get(self.names[0]), self.names[0]))
        return self._n_rows

    def column(self, name: str) -> Column:
        """A column as float64 array, or as Categorical where it holds strings, booleans or categories."""
        return self._checked(name, column(self._raw(name), f"column {name!r}"))

    def numbers(self, name: str) -> FloatArray:
        """A column as float64 array, booleans as 0 and 1."""
        return self._checked(name, numbers(self._raw(name), f"{self.argument}: column {name!r}"))

    def factor(self, name: str) -> Categorical:
        """A column as Categorical whatever it holds: numbers become labels."""
        return self._checked(name, factor(self._raw(name), f"column {name!r}"))

    def unknown(self, name: str) -> str:
        """Message for a name that is no column."""
        names = [str(known) for known in self.names]
        dotted = [known for known in names if known.startswith(f"{name}.")]
        if dotted:
            return f"{self.argument}: no column {name!r}; quote a name with a dot in backticks: `{dotted[0]}`"
        close = difflib.get_close_matches(name, names) or names[:10]
        return f"{self.argument}: no column {name!r}; did you mean {' or '.join(map(repr, close))}?"

    def _raw(self, name: str) -> Any:
        if name not in self._known:
            raise InputError(self.unknown(name))
        return self._get(name)

    def _checked(self, name: str, values: AnyColumn) -> AnyColumn:
        if self._n_rows is None:
            self._n_rows = len(values)
        if len(values) != self._n_rows:
            raise InputError(f"column {name!r}: expected {self._n_rows} values as in the other columns, "
                             f"got {len(values)}")
        return values


def column(values: Any, what: str) -> Column:
    """Convert to float64, or to Categorical where the values are strings, booleans or categories.

    Parameters
    ----------
    values : array_like
        One-dimensional, of any of the libraries; float64 arrays are not copied.
    what : str
        What error messages call it.

    Raises
    ------
    InputTypeError
        Dates, times and other objects.
    InputError
        More than one dimension.
    """
    array = plain_array(values, what)
    if isinstance(array, Categorical):
        return array
    if array.dtype.kind in "iuf":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind in "bU":
        return factorize(array)
    raise InputTypeError(f"{what}: expected numbers, strings, booleans or categories, got {array.dtype}")


def factor(values: Any, what: str) -> Categorical:
    """Convert to Categorical whatever the values are: numbers and dates become labels."""
    array = plain_array(values, what)
    return array if isinstance(array, Categorical) else factorize(array)


def numbers(values: Any, what: str, n: int | None = None) -> FloatArray:
    """Convert to a float64 array (n,); float64 arrays are not copied.

    Raises
    ------
    InputTypeError
        Not numbers.
    InputError
        Another length than n.
    """
    array = plain_array(values, what)
    if isinstance(array, Categorical) or array.dtype.kind not in "biuf":
        kind = "strings or categories" if isinstance(array, Categorical) else array.dtype
        raise InputTypeError(f"{what}: expected numbers, got {kind}")
    if n is not None and len(array) != n:
        raise InputError(f"{what}: expected {n} values, one per row, got {len(array)}")
    return array.astype(np.float64, copy=False)


def matrix(values: Any, what: str, n: int) -> FloatArray:
    """Convert to a float64 array (n, p); float64 arrays are not copied.

    Raises
    ------
    InputTypeError
        Not numbers.
    InputError
        Another number of rows or of dimensions.
    """
    array = np.asarray(values)
    if array.dtype.kind == "O":  # numbers of several types, as a mixed data frame gives them
        with suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise InputTypeError(f"{what}: expected numbers, got {array.dtype}")
    if array.ndim != 2 or len(array) != n:
        raise InputError(f"{what}: expected shape ({n}, p), one row per value of the response, got {array.shape}")
    return array.astype(np.float64, copy=False)


def take_rows(values: AnyColumn, rows: NDArray[np.intp]) -> AnyColumn:
    """A column or matrix at some rows."""
    return values.take(rows) if isinstance(values, Categorical) else values[rows]


def complete_rows(columns: Mapping[str, Column | None], n: int, na_action: str, none_left: bool = False,
                  argument: str = "data") -> NDArray[np.intp] | None:
    """Find the rows without a missing value.

    Parameters
    ----------
    columns : mapping
        From what messages call a column (n,) or matrix (n, p) to its values; None is passed over.
    n : int
        Number of rows.
    na_action : {"drop", "raise"}
        Whether rows may be left out.
    none_left : bool
        Whether all of them may be.
    argument : str
        What messages call the table.

    Returns
    -------
    array of int or None
        Positions of the complete rows; None where all are.

    Raises
    ------
    InputError
        No row is complete and one must be, or one is not and `na_action` is "raise".
    """
    if na_action not in ("drop", "raise"):
        raise InputError(f"na_action: expected 'drop' or 'raise', got {na_action!r}")
    if n == 0 and argument == "data":
        raise InputError("data: expected at least one row, got none")
    missing = {what: rows for what, values in columns.items()
               if values is not None and (rows := _missing(values)) is not None}
    if not missing:
        return None
    counts = ", ".join(f"{what} has {rows.sum()}" for what, rows in missing.items())
    if na_action == "raise":
        if argument != "data":
            raise InputError(f"{argument}: missing values: {counts}")
        raise InputError(f"missing values: {counts}; na_action='drop' leaves such rows out")
    complete = np.flatnonzero(~np.logical_or.reduce(list(missing.values())))
    if not complete.size and not none_left:
        raise InputError(f"missing values: none of the {n} rows is complete ({counts})")
    return complete


def _missing(values: Column) -> NDArray[np.bool_] | None:
    if isinstance(values, Categorical):
        missing = values.codes < 0
    elif all_finite(values):
        return None
    else:
        missing = np.asarray(np.isnan(values).reshape(len(values), -1).any(axis=1))
    return missing if missing.any() else None


def all_finite(values: FloatArray) -> bool:
    """True only where every value is finite; in a large array without a temporary, a sum that may overflow to False."""
    if values.size < _LARGE:
        return bool(np.isfinite(values).all())
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(values.sum())


def check_finite(values: FloatArray, what: str, rows: NDArray[np.intp] | None) -> None:
    """Refuse infinite and undefined values in a column; `rows` are its positions in the user's data, None for all.

    Raises
    ------
    InputError
        Names the first of them and its row.
    """
    if not all_finite(values):
        bad = ~np.isfinite(values)
        if bad.any():
            raise InputError(f"{what}: expected finite values, got {first_offender(values, bad, rows)}")


def first_offender(values: FloatArray, bad: NDArray[np.bool_], rows: NDArray[np.intp] | None) -> str:
    """The first bad value and its row in the user's data, for messages."""
    i = int(bad.argmax())
    return f"{values[i]} in row {i if rows is None else rows[i]}"
