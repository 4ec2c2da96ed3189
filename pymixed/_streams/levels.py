"""Levels of grouping factors that are discovered as they come: tables of labels that grow and unify.

A code is a level's place in the order of discovery, and stays; the order in which a fit has the levels, that of a
categorical column or the sorted one, is found from the labels at the end.
"""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._categorical import Categorical, factorize, label_kind
from ..errors import InputError, InputTypeError

Codes = NDArray[np.int32]
SPARSE = 8             # entries of a table of integers for each that is used
SMALL_RANGE = 1 << 16  # of a table that may be sparse
_SHIFT = 32  # a pair of codes is one integer: the first code in its upper half


class Pending(NamedTuple):
    """Codes of some values, and what the table must learn for them to hold.

    Attributes
    ----------
    codes : (n,) array of int32
    labels : list
        Labels that the table does not know, in the order of their codes.
    kind : str
        Kind of the labels, empty where there were none.
    declared : array or None
        What a categorical column declares.
    unit : str
        That of dates, empty for other labels.
    """

    codes: Codes
    labels: list[Any]
    kind: str = ""
    declared: NDArray[Any] | None = None
    unit: str = ""


class ColumnLevels:
    """The labels of one column.

    Parameters
    ----------
    name : str
        Of the column.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.labels: list[Any] = []
        self.kind = self.unit = ""
        self.declared: NDArray[Any] | None = None
        self._untouched = True  # no column was seen: what the first one declares is what all declare
        self._codes: dict[Any, int] = {}
        self._integers: _IntegerCodes | None = _IntegerCodes()

    def __len__(self) -> int:
        return len(self.labels)

    def copy(self) -> ColumnLevels:
        """A table of its own."""
        other = copy.copy(self)
        other.labels, other._codes = list(self.labels), dict(self._codes)
        other._integers = copy.deepcopy(self._integers)
        return other

    def look_up(self, column: Categorical) -> Pending:
        """Codes of a column's values, those of unknown labels following the known ones; nothing changes yet.

        Raises
        ------
        InputTypeError
            Labels of another kind than before.
        """
        kind = label_kind(column.levels)
        if kind and self.kind and kind != self.kind:
            raise InputTypeError(f"column {self.name!r}: expected labels that are {self.kind} as before, got {kind}: "
                                 f"{column.levels.tolist()[0]!r}")
        translation, unknown = self._translate(column.levels)
        codes = np.append(translation, np.int32(-1))[column.codes]
        unit = np.datetime_data(column.levels.dtype)[0] if kind == "dates" else ""
        return Pending(codes, unknown, kind, column.declared, unit)

    def fill(self, labels: list[Any], kind: str, declared: NDArray[Any] | None, unit: str) -> None:
        """Take the content of another table, into one that is empty."""
        self.learn(Pending(np.empty(0, np.int32), labels, kind, declared, unit))

    def learn(self, pending: Pending) -> None:
        """Take what `look_up` found."""
        start = len(self.labels)
        self.labels += pending.labels
        self._codes.update(zip(pending.labels, range(start, len(self.labels)), strict=True))
        if self._integers is not None and not self._integers.learn(pending.labels, start):
            self._integers = None
        self.kind, self.unit = self.kind or pending.kind, self.unit or pending.unit
        if self._untouched:
            self.declared, self._untouched = pending.declared, False
        elif self.declared is not None and not _same(self.declared, pending.declared):
            self.declared = None

    def unify(self, other: ColumnLevels) -> Pending:
        """Codes here of another table's labels."""
        if other.kind and self.kind and other.kind != self.kind:
            raise InputTypeError(f"column {self.name!r}: expected labels that are {self.kind} in both, got "
                                 f"{other.kind}")
        codes, unknown = self._translate(other.array())
        declared = self.declared if other._untouched else other.declared
        return Pending(codes, unknown, other.kind, declared, other.unit)

    def _translate(self, labels: NDArray[Any]) -> tuple[Codes, list[Any]]:
        """Codes of different labels, and those that are unknown."""
        if self._integers is not None and labels.dtype.kind in "iu" and np.can_cast(labels.dtype, np.int64):
            codes = self._integers.look_up(labels.astype(np.int64, copy=False))
        else:
            get = self._codes.get
            codes = np.array([get(label, -1) for label in _plain(labels)], np.int32)
        new = codes < 0
        codes[new] = np.arange(len(self.labels), len(self.labels) + new.sum())
        return codes, _plain(labels[new])

    def array(self) -> NDArray[Any]:
        """The labels in the order of their codes."""
        if self.kind == "dates":
            return np.array(self.labels, np.int64).view("M8[ns]").astype(f"M8[{self.unit}]")
        return np.array(self.labels, object if self.kind in ("strings", "objects") else None)

    def ranks(self) -> NDArray[np.intp]:
        """Place of every code in the final order: that of the declared categories, else sorted."""
        labels = self.labels
        if self.declared is not None:
            place = {label: i for i, label in enumerate(_plain(self.declared))}
            order = np.argsort([place[label] for label in labels])
        else:
            order = np.argsort(self.array(), kind="stable")
        ranks = np.empty(len(labels), np.intp)
        ranks[order] = np.arange(len(labels))
        return ranks


class _IntegerCodes:
    """Codes of whole numbers of a small range: a table in place of a search."""

    def __init__(self) -> None:
        self._low = 0
        self._table = np.empty(0, np.int32)

    def look_up(self, labels: NDArray[np.int64]) -> Codes:
        """Codes, -1 where unknown."""
        codes = np.full(len(labels), -1, np.int32)
        inside = (labels >= self._low) & (labels < self._low + len(self._table))
        codes[inside] = self._table[labels[inside] - self._low]
        return codes

    def learn(self, labels: list[Any], start: int) -> bool:
        """Give codes to labels; False where they are not all whole or their range has become too large."""
        if not labels:
            return True
        values = np.array(labels)
        if values.dtype.kind != "i":
            return False
        low, high = int(values.min()), int(values.max())
        if len(self._table):
            low, high = min(low, self._low), max(high, self._low + len(self._table) - 1)
        if high - low > SPARSE * (start + len(labels)) + SMALL_RANGE:
            return False
        if high - low >= len(self._table):
            room = len(self._table) // 2  # so that growing is rare
            table = np.full(high - low + 1 + room, -1, np.int32)
            table[self._low - low:self._low - low + len(self._table)] = self._table
            self._low, self._table = low, table
        self._table[values - self._low] = np.arange(start, start + len(labels))
        return True


class CrossedLevels:
    """The combinations of levels of two factors that occur."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self._codes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def copy(self) -> CrossedLevels:
        """A table of its own."""
        other = CrossedLevels()
        other.keys, other._codes = list(self.keys), dict(self._codes)
        return other

    def look_up(self, first: Codes, second: Codes) -> Pending:
        """Codes of pairs of codes."""
        pairs = factorize(first.astype(np.int64) << _SHIFT | second)
        keys = pairs.levels.tolist()
        found = list(map(self._codes.get, keys))
        unknown = [key for key, code in zip(keys, found, strict=True) if code is None]
        new = iter(range(len(self.keys), len(self.keys) + len(unknown)))
        translation = np.array([next(new) if code is None else code for code in found], np.int32)
        return Pending(translation[pairs.codes], unknown)

    def fill(self, keys: list[int]) -> None:
        """Take the content of another table, into one that is empty."""
        self.learn(Pending(np.empty(0, np.int32), keys))

    def learn(self, pending: Pending) -> None:
        """Take what `look_up` found."""
        start = len(self.keys)
        self.keys += pending.labels
        self._codes.update(zip(pending.labels, range(start, len(self.keys)), strict=True))

    @property
    def pairs(self) -> tuple[Codes, Codes]:
        """The two codes of every combination."""
        keys = np.array(self.keys, np.int64)
        return (keys >> _SHIFT).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)


class FactorLevels:
    """The levels of all grouping factors of a formula, those of crossed columns among them.

    Parameters
    ----------
    factors : sequence of tuple of str
        Columns that each factor crosses.
    """

    def __init__(self, factors: Sequence[tuple[str, ...]]) -> None:
        self.factors = tuple(factors)
        self.columns = {name: ColumnLevels(name) for names in factors for name in names}
        # a factor of k columns is crossed step by step, and shares the steps with others
        self.crossed = {names[:k]: CrossedLevels() for names in factors for k in range(2, len(names) + 1)}

    @property
    def n_levels(self) -> list[int]:
        """Levels of every factor."""
        return [len(self.columns[names[0]] if len(names) == 1 else self.crossed[names]) for names in self.factors]

    def copy(self) -> FactorLevels:
        """Tables of their own."""
        other = FactorLevels(self.factors)
        other.columns = {name: table.copy() for name, table in self.columns.items()}
        other.crossed = {names: table.copy() for names, table in self.crossed.items()}
        return other

    def look_up(self, groups: Mapping[str, Categorical]) -> PendingFactors:
        """Codes of the factors for columns without missing values; nothing changes yet."""
        return self._pending({name: self.columns[name].look_up(groups[name]) for name in self.columns})

    def _pending(self, columns: dict[str, Pending]) -> PendingFactors:
        crossed: dict[tuple[str, ...], Pending] = {}
        for names, table in self.crossed.items():
            first = columns[names[0]] if len(names) == 2 else crossed[names[:-1]]
            crossed[names] = table.look_up(first.codes, columns[names[-1]].codes)
        return PendingFactors(self, columns, crossed)

    def unify(self, other: FactorLevels) -> PendingFactors:
        """Codes here of the levels of another object, per factor."""
        columns = {name: table.unify(other.columns[name]) for name, table in self.columns.items()}
        crossed: dict[tuple[str, ...], Pending] = {}
        for names, table in self.crossed.items():
            first, second = other.crossed[names].pairs
            of_first = columns[names[0]] if len(names) == 2 else crossed[names[:-1]]
            crossed[names] = table.look_up(of_first.codes[first], columns[names[-1]].codes[second])
        return PendingFactors(self, columns, crossed)

    def in_order(self, position: int, used: NDArray[np.bool_]) -> tuple[NDArray[Any], Codes]:
        """Labels of a factor's levels that are used, in their final order, and the place of every code there.

        The place of a level that is not used is -1.
        """
        names = self.factors[position]
        ranks = self._ranks(names)
        order = np.argsort(ranks)
        order = order[used[order]]
        places = np.full(len(ranks), -1, np.int32)
        places[order] = np.arange(len(order))
        return self._labels(names)[order], places

    def _ranks(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        last = self.columns[names[-1]].ranks()
        if len(names) == 1:
            return last
        first, second = self.crossed[names].pairs
        order = np.lexsort((last[second], self._ranks(names[:-1])[first]))
        ranks = np.empty(len(order), np.intp)
        ranks[order] = np.arange(len(order))
        return ranks

    def _labels(self, names: tuple[str, ...]) -> NDArray[Any]:
        last = self.columns[names[-1]].array()
        if len(names) == 1:
            return last
        first, second = self.crossed[names].pairs
        outer = np.char.add(self._labels(names[:-1]).astype(str)[first], ":")
        return np.char.add(outer, last.astype(str)[second]).astype(object)


class PendingFactors:
    """What `FactorLevels.look_up` found: codes per factor, and what it has to learn."""

    def __init__(self, levels: FactorLevels, columns: dict[str, Pending],
                 crossed: dict[tuple[str, ...], Pending]) -> None:
        self._levels, self._columns, self._crossed = levels, columns, crossed

    @property
    def codes(self) -> list[Codes]:
        """Per factor."""
        return [found.codes for found in self._of_factors()]

    @property
    def n_levels(self) -> list[int]:
        """Levels per factor with those that are new."""
        return [n + len(found.labels)
                for n, found in zip(self._levels.n_levels, self._of_factors(), strict=True)]

    def last_label(self, position: int) -> Any:
        """The last new label of a factor."""
        names, (found, *_) = self._levels.factors[position], self._of_factors()[position:]
        if len(names) == 1 or not found.labels:
            return found.labels[-1] if found.labels else None
        parts = [(self._levels.columns[name].labels + self._columns[name].labels) for name in names]
        codes, key = [], found.labels[-1]
        for step in range(len(names) - 1, 0, -1):
            codes.append(key & 0xFFFFFFFF)
            key >>= _SHIFT
            if step > 1:
                table = names[:step]
                key = (self._levels.crossed[table].keys + self._crossed[table].labels)[key]
        codes.append(key)
        return ":".join(str(labels[code]) for labels, code in zip(parts, reversed(codes), strict=True))

    def learn(self) -> None:
        """Take it all."""
        for name, found in self._columns.items():
            self._levels.columns[name].learn(found)
        for names, found in self._crossed.items():
            self._levels.crossed[names].learn(found)

    def _of_factors(self) -> list[Pending]:
        return [self._columns[names[0]] if len(names) == 1 else self._crossed[names]
                for names in self._levels.factors]


def check_limits(limits: Any, factors: Sequence[tuple[str, ...]]) -> list[float]:
    """The most levels of every factor, from an int, a mapping by factor, or None."""
    names = [":".join(parts) for parts in factors]
    given = limits if isinstance(limits, Mapping) else dict.fromkeys(names, limits)
    for name, limit in given.items():
        if name not in names:
            raise InputError(f"max_levels: expected names of grouping factors ({', '.join(names)}), got {name!r}")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1):
            raise InputError(f"max_levels: expected a whole number, 1 or more, got {limit!r}")
    return [np.inf if given.get(name) is None else int(given[name]) for name in names]


def _plain(labels: NDArray[Any]) -> list[Any]:
    """Labels as Python values that compare with those of other arrays."""
    if labels.dtype.kind == "M":
        return list(labels.astype("M8[ns]").view(np.int64).tolist())
    return list(labels.tolist())


def _same(first: NDArray[Any], second: NDArray[Any] | None) -> bool:
    return second is not None and (first is second or np.array_equal(first, second))
