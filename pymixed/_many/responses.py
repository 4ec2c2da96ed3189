"""Responses in any of the forms in which they may be given, as blocks of columns that are read one at a time."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._adapters import is_a
from .._common import Array
from .._frames import Table, numbers
from ..errors import InputError, InputTypeError

BLOCK_VALUES = 2**21  # numbers of a block that are converted at once
FEWEST_COLUMNS = 16   # of a block, however many rows there are, so that threads find work

Prior: TypeAlias = Any  # weights or offset: of the design, (n,) or a name; or with a column for every response


@dataclass(frozen=True, eq=False)
class Block:
    """Some responses.

    Attributes
    ----------
    names : list of str
    Y : (n, r) array
        By columns; NaN where a row is not there.
    weights, offset : (n, r) array or None
    """

    names: list[str]
    Y: Array
    weights: Array | None
    offset: Array | None

    def part(self, first: int, stop: int) -> Block:
        """Responses `first` to `stop` - 1."""
        return Block(self.names[first:stop], self.Y[:, first:stop],
                     None if self.weights is None else self.weights[:, first:stop],
                     None if self.offset is None else self.offset[:, first:stop])


class _Columns:
    """Columns of an array or table that are converted when they are asked for; `names` of a table."""

    def __init__(self, values: Any, argument: str, n_given: int, rows: NDArray[np.intp] | None) -> None:
        self.argument, self._rows = argument, rows
        self.names: list[str] | None = None
        if is_table(values):
            self._values: Table | NDArray[Any] = Table(values, argument)
            self.names = [str(name) for name in self._values.names]
            if len(set(self.names)) < len(self.names):
                twice = next(name for i, name in enumerate(self.names) if name in self.names[:i])
                raise InputError(f"{argument}: expected columns of different names, got {twice!r} twice")
            n_rows, self.count = self._values.n_rows, len(self.names)
        else:
            self._values = _numeric(values, argument)
            n_rows, self.count = self._values.shape
        if n_rows != n_given:
            raise InputError(f"{argument}: expected {n_given} rows, as many as the design was given, got {n_rows}")

    def read(self, first: int, stop: int) -> Array:
        """Columns `first` to `stop` - 1 in the rows of the design."""
        if isinstance(self._values, Table):
            n = self._values.n_rows if self._rows is None else len(self._rows)
            block = np.empty((n, stop - first), order="F")
            for j, name in enumerate(self._values.names[first:stop]):
                column = self._values.numbers(name)
                block[:, j] = column if self._rows is None else column[self._rows]
            return block
        part = self._values[:, first:stop]
        if self._rows is not None:
            part = part[self._rows]
        if isinstance(part, np.ma.MaskedArray):
            part = np.ma.filled(part.astype(np.float64), np.nan)
        return np.asfortranarray(part, np.float64)


def is_table(values: Any) -> bool:
    """Whether the values are a table rather than an array or a column."""
    column = is_a(values, "pandas", "Series") or is_a(values, "polars", "Series") or is_a(
        values, "pyarrow", "Array", "ChunkedArray")
    return not column and (isinstance(values, Mapping) or is_a(values, "pandas", "DataFrame") or is_a(
        values, "polars", "DataFrame") or hasattr(values, "__arrow_c_stream__"))


def _numeric(values: Any, argument: str) -> NDArray[Any]:
    """An array (n, R) of numbers of any type, not copied where it is one; (n,) is one response."""
    try:
        array = values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
        if array.dtype.kind == "O" and array.ndim == 2:
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"{argument}: expected numbers, got {type(values).__name__}: {error}") from None
    if array.ndim == 1:
        array = (array if isinstance(array, np.ma.MaskedArray) else numbers(values, argument))[:, None]
    if array.dtype.kind not in "biuf":
        raise InputTypeError(f"{argument}: expected numbers, got {array.dtype}")
    if array.ndim != 2:
        raise InputError(f"{argument}: expected shape (n, R), a response per column, got {array.shape}")
    return array


class Given(NamedTuple):
    """What the user gives of the responses, and what of weights and offset belongs to the design.

    Attributes
    ----------
    Y, weights, offset : array, table or iterator of such blocks
        Weights and offset with a column per response, or None.
    design_weights, design_offset : array_like (n,), str or None
        The same for all responses.
    """

    Y: Any
    weights: Any
    offset: Any
    design_weights: ArrayLike | str | None
    design_offset: ArrayLike | str | None

    @classmethod
    def sorted(cls, Y: Any, weights: Prior, offset: Prior) -> Given:
        """Tell them apart."""
        stream = isinstance(Y, Iterator)
        both = (("weights", weights), ("offset", offset))
        own = [_has_columns(argument, values, stream) for argument, values in both]
        return cls(Y, *(values if column else None for column, values in zip(own, (weights, offset), strict=True)),
                   *(None if column else values for column, values in zip(own, (weights, offset), strict=True)))


def _has_columns(argument: str, values: Prior, stream: bool) -> bool:
    """Whether weights or an offset come with a column per response; `stream`: the responses are an iterator."""
    if values is None or isinstance(values, str):
        return False
    if isinstance(values, Iterator):
        if not stream:
            raise InputError(f"{argument}: expected an array or table like Y, got an iterator")
        return True
    if not is_table(values) and np.ndim(values) < 2:
        return False
    if stream:
        raise InputError(f"{argument}: expected an iterator of blocks like Y, or one value per row for all responses, "
                         f"got {type(values).__name__} with a column per response")
    return True


class Responses:
    """All responses.

    Parameters
    ----------
    given : Given
    name : str
        What columns without a name are called, with their number.
    n_given : int
        Rows that they have.
    rows : array of int or None
        Those that the design keeps, None for all.
    """

    def __init__(self, given: Given, name: str, n_given: int, rows: NDArray[np.intp] | None) -> None:
        self._given, self._name, self._n_given, self._rows = given, name, n_given, rows
        self.names: list[str] = []  # of those that are known
        self._whole = None if isinstance(given.Y, Iterator) else self._matched(given.Y, given.weights, given.offset)
        self.n_total = None if self._whole is None else self._whole[0].count

    def blocks(self) -> Iterator[Block]:
        """The responses in their order, block by block."""
        if self._whole is not None:
            yield from self._read(*self._whole)
            return
        along = {"weights": self._given.weights, "offset": self._given.offset}
        for number, Y in enumerate(self._given.Y):
            yield from self._read(*self._matched(Y, *(_next(*item, number) for item in along.items())))
        for argument, blocks in along.items():
            if blocks is not None and next(blocks, None) is not None:
                raise InputError(f"{argument}: expected as many blocks as Y has, got more")

    def _matched(self, Y: Any, weights: Any, offset: Any) -> tuple[_Columns, _Columns | None, _Columns | None]:
        """Columns of the responses and what comes with them, which have as many; notes their names."""
        responses = _Columns(Y, "Y", self._n_given, self._rows)
        others = [None if values is None else _Columns(values, argument, self._n_given, self._rows)
                  for argument, values in (("weights", weights), ("offset", offset))]
        for other in others:
            if other is None:
                continue
            if other.count != responses.count:
                raise InputError(f"{other.argument}: expected {responses.count} columns as in Y, got {other.count}")
            if None not in (other.names, responses.names) and other.names != responses.names:
                raise InputError(f"{other.argument}: expected the columns of Y in the same order, got other names")
        known = len(self.names)
        self.names += responses.names or [f"{self._name}{known + j}" for j in range(responses.count)]
        return responses, others[0], others[1]

    def _read(self, Y: _Columns, weights: _Columns | None, offset: _Columns | None) -> Iterator[Block]:
        n = self._n_given if self._rows is None else len(self._rows)
        width = max(FEWEST_COLUMNS, BLOCK_VALUES // n)
        known = len(self.names) - Y.count
        for first in range(0, Y.count, width):
            stop = min(first + width, Y.count)
            yield Block(self.names[known + first:known + stop], Y.read(first, stop),
                        None if weights is None else weights.read(first, stop),
                        None if offset is None else offset.read(first, stop))


def _next(argument: str, blocks: Iterator[Any] | None, number: int) -> Any:
    """The next block, where there are any."""
    if blocks is None:
        return None
    try:
        return next(blocks)
    except StopIteration:
        raise InputError(f"{argument}: expected as many blocks as Y has, got {number}") from None
