"""What inference needs to know of the rows of a fit beside its criterion: a few sums over them."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ._frames import FloatArray
from ._parts import ModelParts, RandomTerm

BLOCK = 10_000  # rows of X that are factorised at a time


class RowSums(ABC):
    """Sums over the rows of a design, whether it holds them or not."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """Sum of the prior weights."""

    @property
    @abstractmethod
    def mean_offset(self) -> float:
        """Mean of the known part of the linear predictor."""

    @property
    @abstractmethod
    def triangle(self) -> FloatArray:
        """R of X = QR (p, p)."""

    @abstractmethod
    def is_constant(self, columns: Sequence[int]) -> bool:
        """Whether these columns of X, called an intercept, are the same in every row."""

    @abstractmethod
    def fixed_variance(self, coefficients: FloatArray) -> float:
        """Sample variance of X times coefficients of all columns (p,)."""

    @abstractmethod
    def term_products(self, position: int) -> FloatArray:
        """Means of the products of a term's columns, the constant 1 among them (c, c)."""

    @abstractmethod
    def reaches(self, position: int, weighted: bool) -> FloatArray:
        """Root mean squares of a term's columns (c,), times root weights if so wanted."""


class SumsOfRows(RowSums):
    """Those of a design that holds its rows, computed on demand.

    Parameters
    ----------
    parts : ModelParts
    """

    def __init__(self, parts: ModelParts) -> None:
        self._parts = parts

    @property
    def total_weight(self) -> float:
        """Sum of the prior weights."""
        return float(self._parts.n if self._parts.weights is None else self._parts.weights.sum())

    @property
    def mean_offset(self) -> float:
        """Mean of the known part of the linear predictor."""
        return 0.0 if self._parts.offset is None else float(self._parts.offset.mean())

    @cached_property
    def triangle(self) -> FloatArray:
        """R of X = QR (p, p), by blocks of rows: no copy of X is made."""
        X, p = self._parts.X, self._parts.p
        R, n_rows = np.zeros((p, p)), max(BLOCK, 10 * p)
        for start in range(0, len(X), n_rows):
            R = np.asarray(np.linalg.qr(np.vstack([R, X[start:start + n_rows]]), mode="r"))
        return R

    def is_constant(self, columns: Sequence[int]) -> bool:
        """Whether these columns of X are the same in every row."""
        return not np.ptp(self._parts.X[:, columns])

    def fixed_variance(self, coefficients: FloatArray) -> float:
        """Sample variance of X times coefficients."""
        return float(np.var(self._parts.X @ coefficients, ddof=1))

    def term_products(self, position: int) -> FloatArray:
        """Means of the products of a term's columns."""
        columns = [np.ones(self._parts.n) if x is None else x for x in self._parts.terms[position].data]
        return np.array([[np.mean(x * z) for z in columns] for x in columns])

    def reaches(self, position: int, weighted: bool) -> FloatArray:
        """Root mean squares of a term's columns."""
        weights = self._parts.weights if weighted else None
        return reaches(self._parts.terms[position], weights)


def reaches(term: RandomTerm, weights: FloatArray | None) -> FloatArray:
    """Root mean squares of a term's columns (c,), with weights if there are any."""
    return np.array([_reach(x, weights) for x in term.data])


def _reach(x: FloatArray | None, weights: FloatArray | None) -> float:
    if x is None:
        return 1.0 if weights is None else float(np.sqrt(weights.mean()))
    return float(np.sqrt(x @ (x if weights is None else weights * x) / x.size))
