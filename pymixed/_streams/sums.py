"""Sums over rows that come in batches: what `RowSums` tells of a fit that holds no rows.

Columns of X are taken relative to a shift near their means, so that no digits are lost; sums with another shift are
brought to the same one before they are added.
"""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .._frames import Column, FloatArray
from .._parts import FixedVariable, TermData
from .._row_sums import RowSums

FEW = 2  # distinct values of a covariate that is averaged over like a factor


@dataclass
class NumberSums:
    """Sum, range and, while they are few, distinct values of a column of numbers."""

    total: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    few: tuple[float, ...] | None = ()

    def add(self, values: FloatArray) -> None:
        """Take rows in."""
        low, high = float(values.min()), float(values.max())
        few = None
        if self.few is not None and bool(((values == low) | (values == high)).all()):
            few = tuple(sorted({low, high}))
        self.merge(NumberSums(float(values.sum()), low, high, few))

    def merge(self, other: NumberSums) -> None:
        """Take the sums over other rows in."""
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        if self.few is not None:
            together = None if other.few is None else tuple(sorted({*self.few, *other.few}))
            self.few = together if together is not None and len(together) <= FEW else None

    def variable(self, name: str, n: int) -> FixedVariable:
        """The column as a variable of the fixed part."""
        return FixedVariable(name, None, False, self.total / n, self.low, self.high,
                             None if self.few is None else np.array(self.few), None)


@dataclass(eq=False)
class StreamedSums(RowSums):
    """Sums over the rows of batches.

    Attributes
    ----------
    shift : (p,) array
        What the columns of X are taken relative to.
    n : int
        Rows.
    weight, offset : float
        Sums of prior weights and of offsets.
    weighted : bool
        Whether a row had a weight.
    response : NumberSums
    x : (p,) array
        Sums of the shifted columns of X.
    xx : (p, p) array
        Sums of their products.
    products : list of (2, c, c) arrays
        Per term the sums of the products of its columns, and the same with weights.
    variables : dict of NumberSums
        Numeric columns of the data that the fixed part uses.
    """

    shift: FloatArray
    x: FloatArray
    xx: FloatArray
    products: list[FloatArray]
    variables: dict[str, NumberSums]
    n: int = 0
    weight: float = 0.0
    offset: float = 0.0
    weighted: bool = False
    response: NumberSums = field(default_factory=NumberSums)

    @classmethod
    def none(cls, shift: FloatArray, sizes: Sequence[int], variables: Sequence[str]) -> StreamedSums:
        """Of no rows; `sizes` are the numbers of columns of the terms."""
        p = len(shift)
        return cls(shift, np.zeros(p), np.zeros((p, p)), [np.zeros((2, c, c)) for c in sizes],
                   {name: NumberSums() for name in variables})

    def copy(self) -> StreamedSums:
        """An object of its own."""
        return copy.deepcopy(self)

    def add(self, y: FloatArray, X: FloatArray, data: Sequence[TermData], weights: FloatArray | None,
            offset: FloatArray | None, columns: Mapping[str, Column]) -> None:
        """Take rows in."""
        self.n += len(y)
        self.weight += float(len(y) if weights is None else weights.sum())
        self.weighted |= weights is not None
        self.offset += 0.0 if offset is None else float(offset.sum())
        self.response.add(y)
        shifted = X - self.shift
        self.x += shifted.sum(axis=0)
        self.xx += shifted.T @ shifted
        for sums, term in zip(self.products, data, strict=True):
            plain = _term_products(term, len(y), None)
            sums += [plain, plain if weights is None else _term_products(term, len(y), weights)]
        for name, sums_of in self.variables.items():
            values = columns[name]
            assert isinstance(values, np.ndarray)
            sums_of.add(values)

    def merge(self, other: StreamedSums) -> None:
        """Take the sums over other rows in."""
        x, xx = other._relative_to(self.shift)
        self.x += x
        self.xx += xx
        self._combine(other, 1)
        self.response.merge(other.response)
        self.weighted |= other.weighted
        for name, sums in self.variables.items():
            sums.merge(other.variables[name])

    def subtract(self, other: StreamedSums) -> None:
        """Take rows out again; the ranges of columns stay as wide as they were."""
        x, xx = other._relative_to(self.shift)
        self.x -= x
        self.xx -= xx
        self._combine(other, -1)
        self.response.total -= other.response.total
        for name, sums in self.variables.items():
            sums.total -= other.variables[name].total

    def _combine(self, other: StreamedSums, sign: int) -> None:
        self.n += sign * other.n
        self.weight += sign * other.weight
        self.offset += sign * other.offset
        for mine, theirs in zip(self.products, other.products, strict=True):
            mine += sign * theirs

    def _relative_to(self, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
        d = self.shift - shift
        cross = np.outer(self.x, d)
        return self.x + self.n * d, self.xx + cross + cross.T + self.n * np.outer(d, d)

    # ---- what inference asks for -------------------------------------------------------------------------------------

    @property
    def total_weight(self) -> float:
        """Sum of the prior weights."""
        return self.weight

    @property
    def mean_offset(self) -> float:
        """Mean of the known part of the linear predictor."""
        return self.offset / self.n

    @cached_property
    def _centred(self) -> FloatArray:
        """Products of the centred columns of X."""
        return self.xx - np.outer(self.x, self.x) / self.n

    @cached_property
    def triangle(self) -> FloatArray:
        """R of X = QR, from a root of the centred products and a row for the means."""
        scale = np.sqrt(np.maximum(self._centred.diagonal(), np.finfo(float).tiny))
        values, vectors = np.linalg.eigh(self._centred / np.outer(scale, scale))
        root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T * scale
        mean = np.sqrt(self.n) * (self.shift + self.x / self.n)
        return np.asarray(np.linalg.qr(np.vstack([root, mean]), mode="r"))

    def is_constant(self, columns: Sequence[int]) -> bool:
        """A formula's intercept is."""
        return True

    def fixed_variance(self, coefficients: FloatArray) -> float:
        """Sample variance of X times coefficients."""
        return float(coefficients @ self._centred @ coefficients / (self.n - 1))

    def term_products(self, position: int) -> FloatArray:
        """Means of the products of a term's columns."""
        return np.asarray(self.products[position][0] / self.n)

    def reaches(self, position: int, weighted: bool) -> FloatArray:
        """Root mean squares of a term's columns."""
        return np.asarray(np.sqrt(self.products[position][int(weighted)].diagonal() / self.n))


def _term_products(term: TermData, n: int, weights: FloatArray | None) -> FloatArray:
    sums = np.empty((len(term), len(term)))
    for j, x in enumerate(term):
        wx = weights if x is None else x if weights is None else weights * x
        for k, z in enumerate(term[:j + 1]):
            sums[j, k] = sums[k, j] = _product(wx, z, n)
    return sums


def _product(x: FloatArray | None, z: FloatArray | None, n: int) -> float:
    if x is None and z is None:
        return float(n)
    if x is None or z is None:
        return sum(float(column.sum()) for column in (x, z) if column is not None)
    return float(x @ z)
