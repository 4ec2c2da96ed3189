"""Columns of labels as integer codes: how they are found, subset, crossed and translated."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputTypeError

# Up to about this many labels a sort beats a hash table, and saves the import of pandas.
_SMALL = 2000
_EXACT = 2.0**53


@dataclass(frozen=True, eq=False)
class Categorical:
    """A column of labels.

    Attributes
    ----------
    codes : (n,) array of int32
        Position of each value in `levels`, -1 where it is missing.
    levels : (n_levels,) array
        Labels, every one of them used: in a categorical column's order, else sorted.
    ordered : bool
        Whether the column says that its order has a meaning.
    declared : (n_declared,) array or None
        All labels that a categorical column may hold, those that it does not use among them; None of other columns.
    """

    codes: NDArray[np.int32]
    levels: NDArray[Any]
    ordered: bool = False
    declared: NDArray[Any] | None = None

    @classmethod
    def from_codes(cls, codes: NDArray[Any], levels: NDArray[Any], ordered: bool = False,
                   declared: NDArray[Any] | None = None) -> Categorical:
        """Take codes as they come; levels that no code uses are dropped."""
        used = np.zeros(len(levels) + 1, np.bool_)
        used[codes] = True  # -1 marks the extra entry at the end
        used = used[:-1]
        if not used.all():
            codes = np.append(np.cumsum(used) - 1, -1)[codes]
            levels = levels[used]
        return cls(codes.astype(np.int32, copy=False), levels, ordered, declared)

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.intp]) -> Categorical:
        """The column at some rows."""
        return Categorical.from_codes(self.codes[rows], self.levels, self.ordered, self.declared)

    def labels(self) -> NDArray[Any]:
        """Label of every row, None where it is missing (n,)."""
        labels = np.full(len(self.levels) + 1, None)
        labels[:-1] = self.levels
        return labels[self.codes]

    def codes_in(self, levels: NDArray[Any], what: str = "labels") -> NDArray[np.int32]:
        """Positions of the values in another set of levels, -1 for values that it lacks (n,).

        Raises
        ------
        InputTypeError
            The levels are of another kind, so that it cannot have any of the values, which `what` calls.
        """
        kind, expected = label_kind(self.levels), label_kind(levels)
        if kind and expected and kind != expected:
            raise InputTypeError(f"{what}: expected {expected} as in the fit, got {kind}: {self.levels.tolist()[0]!r}")
        position = {level: i for i, level in enumerate(levels.tolist())}
        translation = [position.get(level, -1) for level in self.levels.tolist()]
        return np.array([*translation, -1], np.int32)[self.codes]


def label_kind(labels: NDArray[Any]) -> str:
    """What sort of labels an array holds, for messages and comparison; empty where it holds none."""
    if not len(labels):
        return ""
    kind = labels.dtype.kind
    if kind == "O":
        kind = np.asarray(labels[:1].tolist()).dtype.kind
    return {"i": "numbers", "u": "numbers", "f": "numbers", "b": "booleans", "U": "strings", "T": "strings",
            "M": "dates"}.get(kind, "objects")


def factorize(values: NDArray[Any]) -> Categorical:
    """Codes and sorted labels of an array of numbers, booleans, strings or dates.

    Integers of a small range go through a table, others through a sort or, where there are many, a hash table.
    """
    if values.dtype.kind in "iu" and len(values):
        low = values.min()
        span = int(values.max()) - int(low) + 1
        if span <= 4 * len(values):
            steps = (values - low).astype(np.intp, copy=False)
            used = np.zeros(span, np.bool_)
            used[steps] = True
            levels = (np.flatnonzero(used) + low).astype(values.dtype)
            codes = steps if len(levels) == span else (np.cumsum(used) - 1)[steps]
            return Categorical(codes.astype(np.int32), levels)
    if len(values) <= _SMALL:
        levels, codes = np.unique(values, return_inverse=True)
        if values.dtype.kind == "f" and len(levels) and np.isnan(levels[-1]):
            levels, codes = levels[:-1], np.where(codes == len(levels) - 1, -1, codes)
    else:
        from pandas import factorize as factorize_by_hash
        codes, levels = factorize_by_hash(values, sort=True)
    if levels.dtype.kind == "f" and (levels == np.floor(levels)).all() and np.abs(levels).max(initial=0) < _EXACT:
        levels = levels.astype(np.int64)  # whole numbers are floats only because a value is missing somewhere
    return Categorical(codes.astype(np.int32), levels)


def cross(columns: Iterable[Categorical]) -> Categorical:
    """Cross columns without missing values: labels "A:a", the first column's order outermost."""
    return reduce(_cross, columns)


def _cross(first: Categorical, second: Categorical) -> Categorical:
    pairs = factorize(first.codes * np.int64(len(second.levels)) + second.codes)
    outer, inner = np.divmod(pairs.levels, len(second.levels))
    outer_texts = np.char.add(first.levels.astype(str)[outer], ":")
    return Categorical(pairs.codes, np.char.add(outer_texts, second.levels.astype(str)[inner]).astype(object))
