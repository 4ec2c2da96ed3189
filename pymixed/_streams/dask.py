"""Sums over the partitions of dask's collections, made where these are."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from .._adapters import is_a
from .._frames import Table
from ..errors import InputError, InputTypeError, WorkerError
from .batches import Called, Source, is_table
from .statistics import Statistics
from .workers import batch_sums, tree_of

FAN_IN = 8   # sums that a task adds
HEAD = 1000  # rows that show what the columns are


class Partitions(Source):
    """Partitions as batches, brought here one by one."""

    rereadable = True

    def __init__(self, tables: Sequence[Any]) -> None:
        self._tables = tables

    def batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        """Tables with the columns named."""
        return chain.from_iterable(self._brought(partial(_selected, columns)))

    def first(self, columns: Sequence[str] | None) -> tuple[Any, Source]:
        """Some rows of the first partition that has any, and all partitions."""
        first, _ = Called(lambda: chain.from_iterable(self._brought(_heads))).first(columns)
        return first, self

    def _brought(self, function: Callable[[Any], list[Any]]) -> Iterator[list[Any]]:
        compute, delayed = _dask()
        for table in self._tables:
            yield compute(delayed(function)(table))[0]


def partitions(data: Any) -> list[Any]:
    """Delayed tables, or lists of them, of a dask collection.

    Raises
    ------
    InputError, InputTypeError
        There is no dask, or it is no such collection.
    """
    _dask()
    from dask.delayed import Delayed

    if hasattr(data, "to_delayed"):
        found = list(data.to_delayed())
    elif isinstance(data, Sequence) and data and all(isinstance(part, Delayed) for part in data):
        found = list(data)
    else:
        raise InputTypeError("data: expected a dask DataFrame, a Bag of tables or a list of delayed tables, got "
                             f"{type(data).__name__}")
    return found


def dask_sum(empty: Statistics, tables: Sequence[Any]) -> Statistics:
    """Sums over all partitions: a tree of tasks, of which only sums travel.

    Raises
    ------
    WorkerError
        A worker was lost.
    """
    compute, delayed = _dask()
    shared = delayed(empty, traverse=False)
    parts = [delayed(_partition_sums)(shared, table, number) for number, table in enumerate(tables, 1)]
    while len(parts) > 1:
        parts = [delayed(tree_of)(parts[i:i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    try:
        (total,) = compute(parts[0])
    except Exception as error:
        if is_a(error, "distributed", "scheduler.KilledWorker"):
            raise WorkerError(f"from_dask: a worker was lost ({error}); it may have run out of memory") from error
        raise
    assert isinstance(total, Statistics)
    return total


def _dask() -> tuple[Callable[..., Any], Callable[..., Any]]:
    try:
        from dask.base import compute
        from dask.delayed import delayed
    except ImportError:
        raise InputError("from_dask: needs the package dask") from None
    return compute, delayed


def _partition_sums(empty: Statistics, partition: Any, number: int) -> Statistics:
    total = empty.copy()
    for table in _tables(partition):
        batch_sums(total, table, f"partition {number}")
    return total


def _tables(partition: Any) -> list[Any]:
    return [partition] if is_table(partition) else list(partition)


def _heads(partition: Any) -> list[Any]:
    """The first rows of each table: they show what the columns are."""
    return [{name: values[:HEAD] for name, values in table.items()} if isinstance(table, Mapping)
            else table.slice(0, HEAD) if hasattr(table, "slice") else table.head(HEAD) for table in _tables(partition)]


def _selected(columns: Sequence[str] | None, partition: Any) -> list[Any]:
    tables = _tables(partition)
    if columns is None:
        return tables
    return [{name: table[name] for name in columns if name in Table(table, "partition").names} for table in tables]
