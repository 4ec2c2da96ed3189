"""The sums that a linear mixed model is fitted to, over rows that come in batches."""
from __future__ import annotations

import copyreg
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._checks import check_rows
from .._from_formula import BatchRows
from .._memory import available_memory
from ..errors import InputError, MemoryLimitError
from .encoding import StreamEncoding
from .levels import FactorLevels, PendingFactors
from .sums import StreamedSums

BYTES_OF_A_LABEL = 200  # in a table of levels


class Statistics:
    """Cross-products, levels and sums over rows, and how rows are added to them.

    Parameters
    ----------
    encoding : StreamEncoding
    max_levels : sequence of float
        The most levels of every factor.

    Attributes
    ----------
    products : _core.CrossProducts or None
        None as long as there are no rows.
    levels : FactorLevels
        Levels in the order of their codes in `products`.
    sums : StreamedSums
    n_dropped : int
        Rows left out because a value was missing.
    """

    def __init__(self, encoding: StreamEncoding, max_levels: Sequence[float]) -> None:
        self.encoding, self.max_levels = encoding, max_levels
        self.levels = FactorLevels(encoding.encoder.factors)
        self.products: _core.CrossProducts | None = None
        self.sums = StreamedSums.none(encoding.shift, encoding.term_sizes, encoding.numeric_variables)
        self.n_dropped = 0

    def empty(self) -> Statistics:
        """The same of no rows."""
        return Statistics(self.encoding, self.max_levels)

    def copy(self) -> Statistics:
        """An object of its own."""
        other = self.empty()
        other.levels = self.levels.copy()
        other.products = None if self.products is None else self.products.copy()
        other.sums, other.n_dropped = self.sums.copy(), self.n_dropped
        return other

    @property
    def n(self) -> int:
        """Rows."""
        return self.sums.n

    @property
    def n_bytes(self) -> float:
        """Memory that the sums and the labels take."""
        labels = sum(self.levels.n_levels) * BYTES_OF_A_LABEL
        return float(labels + (0 if self.products is None else self.products.n_bytes))

    @property
    def counts(self) -> list[NDArray[np.int64]]:
        """Rows per level, per factor."""
        if self.products is None:
            return [np.zeros(0, np.int64) for _ in self.levels.factors]
        return [np.asarray(counts) for counts in self.products.counts]

    def add(self, rows: BatchRows) -> None:
        """Take rows in; on an error nothing has changed."""
        n, encoding = len(rows.y), self.encoding
        if n:
            terms = encoding.terms_of(rows.data)
            check_rows(rows.y, rows.X, encoding.names, encoding.parsed.response, terms, rows.weights, rows.offset,
                       rows.rows)
            pending = self.levels.look_up(rows.groups)
            self._check_room(pending)
            columns = [column for term in rows.data for column in term]
            if self.products is None or n > self.products.n:  # columns are centred by the larger part
                layout = [(term.factor, len(term.columns), term.structure) for term in terms]
                theirs = _core.CrossProducts(rows.y, rows.X, pending.codes, pending.n_levels, layout, columns,
                                             rows.weights, rows.offset, encoding.intercept)
                self._merge(pending, theirs)
            else:
                codes = pending.codes
                self._grow(pending)
                self.products.add(rows.y, rows.X, codes, columns, rows.weights, rows.offset)
            self.sums.add(rows.y, rows.X, rows.data, rows.weights, rows.offset, rows.fixed_columns)
        self.n_dropped += rows.n_given - n

    def _grow(self, pending: PendingFactors) -> None:
        if self.products is not None and pending.n_levels != self.levels.n_levels:
            self.products.grow(pending.n_levels)
        pending.learn()

    def _merge(self, pending: PendingFactors, theirs: _core.CrossProducts) -> None:
        self._grow(pending)
        if self.products is None:
            self.products = theirs
        else:
            self.products.merge(theirs)

    def merge(self, other: Statistics) -> None:
        """Take the sums over other rows in; on an error nothing has changed."""
        if other.products is not None:
            pending = self.levels.unify(other.levels)
            self._check_room(pending)
            self._merge(pending, other.products.relevelled(pending.codes, pending.n_levels))
        self.sums.merge(other.sums)
        self.n_dropped += other.n_dropped

    def subtract(self, other: Statistics) -> None:
        """Take rows out again; on an error nothing has changed.

        Raises
        ------
        InputError
            Rows that are not in, or so large a part of all that the rest would be rounding.
        """
        if other.products is not None:
            pending = self.levels.unify(other.levels)
            if self.products is None or pending.n_levels != self.levels.n_levels:
                raise InputError("a - b: expected rows that are in a, got a level that a does not have: "
                                 f"{self._new_label(pending)}")
            theirs = other.products.relevelled(pending.codes, pending.n_levels)
            try:
                self.products.subtract(theirs)
            except ValueError as error:
                raise InputError(f"a - b: {error}") from None
        self.sums.subtract(other.sums)
        self.n_dropped = max(0, self.n_dropped - other.n_dropped)

    def in_final_order(self) -> tuple[_core.CrossProducts, list[NDArray[Any]]]:
        """Cross-products of the levels that have rows, in the order of a fit, and their labels."""
        if self.products is None:
            raise InputError("the cross-products hold no rows, expected some to fit to")
        found = [self.levels.in_order(i, counts > 0) for i, counts in enumerate(self.counts)]
        labels = [labels for labels, _ in found]
        return self.products.relevelled([places for _, places in found], [len(names) for names in labels]), labels

    # ---- what is refused ---------------------------------------------------------------------------------------------

    def _check_room(self, pending: PendingFactors) -> None:
        before, after = self.levels.n_levels, pending.n_levels
        for i, (n, limit) in enumerate(zip(after, self.max_levels, strict=True)):
            if n > limit:
                raise MemoryLimitError(f"grouping factor {self.encoding.factor_names[i]!r}: expected at most {limit} "
                                       f"levels (max_levels), got {n}; the last is {pending.last_label(i)!r}")
        if self.products is None or before == after:
            return
        grown = [new / max(old, 1) for old, new in zip(before, after, strict=True)]
        i = int(np.argmax(grown))
        needed = self.n_bytes * (max(grown) - 1.0) + BYTES_OF_A_LABEL * (sum(after) - sum(before))
        available = available_memory()
        if available and needed > available:
            raise MemoryLimitError(
                f"grouping factor {self.encoding.factor_names[i]!r}: {after[i]} levels need about {needed / 1e9:.3g} "
                f"GB more, there are {available / 1e9:.3g} GB; the last level is {pending.last_label(i)!r}. A factor "
                "whose levels never end is often a column of numbers or times by mistake; max_levels sets a limit")

    def _new_label(self, pending: PendingFactors) -> str:
        return ", ".join(f"{pending.last_label(i)!r} of {name!r}" for i, name in enumerate(self.encoding.factor_names)
                         if pending.n_levels[i] != self.levels.n_levels[i])


def _products(state: dict[str, Any]) -> _core.CrossProducts:
    return _core.CrossProducts.from_state(state)


copyreg.pickle(_core.CrossProducts, lambda products: (_products, (products.state(),)))
