"""Sums over batches by one process or by several, in an order that does not depend on who is first."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .batches import Source, n_rows, naming
from .statistics import Statistics

if TYPE_CHECKING:
    from .._executors import AnyExecutor


def batch_sums(statistics: Statistics, batch: Any, name: str) -> None:
    """Add a batch, in place; on an error, which bears its name, nothing has changed."""
    with naming(name):
        if n_rows(batch):
            statistics.add(statistics.encoding.read(batch))


def summed(empty: Statistics, source: Source, executor: AnyExecutor | None, progress: bool) -> Statistics:
    """Sums over all batches of a source."""
    columns = empty.encoding.column_names
    if executor is None:
        total = empty.copy()
        for number, batch in enumerate(_shown(source.batches(columns), progress), 1):
            batch_sums(total, batch, f"batch {number}")
        return total
    from .._executors import run_on

    pieces = enumerate(source.pieces(columns), 1)
    parts = run_on(executor, partial(_piece_sums, empty), pieces)
    return _Tree(_shown(parts, progress)).total(empty)


def _piece_sums(empty: Statistics, numbered: tuple[int, Source]) -> Statistics:
    number, source = numbered
    total = empty.copy()
    for k, batch in enumerate(source.batches(empty.encoding.column_names), 1):
        batch_sums(total, batch, f"batch {number}" if source.is_batch else f"file {number}, batch {k}")
    return total


def tree_of(parts: Sequence[Statistics]) -> Statistics:
    """Sums of at least one part, added in pairs; none of them changes."""
    while len(parts) > 1:
        parts = [_sum_of(parts[i:i + 2]) for i in range(0, len(parts), 2)]
    return parts[0]


def _sum_of(pair: Sequence[Statistics]) -> Statistics:
    if len(pair) == 1:
        return pair[0]
    total = pair[0].copy()
    total.merge(pair[1])
    return total


class _Tree:
    """Adds parts in pairs as they come: of n parts only log n are held."""

    def __init__(self, parts: Iterable[Statistics]) -> None:
        self._held: list[tuple[int, Statistics]] = []  # each the sum of 2^height parts
        for part in parts:
            height = 0
            while self._held and self._held[-1][0] == height:
                _, before = self._held.pop()
                before.merge(part)
                part, height = before, height + 1
            self._held.append((height, part))

    def total(self, empty: Statistics) -> Statistics:
        """The sum of all."""
        total = empty.copy()
        for _, part in self._held:
            total.merge(part)
        return total


def _shown(items: Iterator[Any], progress: bool) -> Iterator[Any]:
    if not progress:
        return items
    from tqdm import tqdm

    return iter(tqdm(items, unit=" batches"))
