"""The parts of a mixed model's data as values, with the checks that every mixed model must pass."""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._categorical import Categorical
from ._family import Family
from ._frames import Column, FloatArray
from .errors import InputError
from .formula import INTERCEPT

TermData: TypeAlias = tuple[FloatArray | None, ...]
Parts = TypeVar("Parts", bound="ModelParts")

_STRUCTURES = ("us", "diag")


@dataclass(frozen=True)
class Term:
    """A random-effects term for models from arrays.

    Parameters
    ----------
    group : str
        Name of its grouping factor.
    terms : sequence of str
        Its columns: `"1"` for the intercept, else names in `random_data`.
    structure : {"us", "diag"}
        Covariance matrix of the columns: unstructured or diagonal.

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.Term("subject", ["1", "time"], structure="diag")
    Term(group='subject', terms=('1', 'time'), structure='diag')
    """

    group: str
    terms: Sequence[str]
    structure: str = "us"

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", (self.terms,) if isinstance(self.terms, str) else tuple(self.terms))
        if not self.terms:
            raise InputError(f"terms: expected at least one column for group {self.group!r}, got none")
        if self.structure not in _STRUCTURES:
            raise InputError(f"structure: expected one of {', '.join(map(repr, _STRUCTURES))}, got {self.structure!r}")


@dataclass(frozen=True, eq=False)
class GroupingFactor:
    """Which level every row belongs to.

    Attributes
    ----------
    name : str
        Column's name; `"b:a"` for crossed columns.
    codes : (n,) array of int32
        Position of the row's level in `levels`.
    levels : (n_levels,) array
        Labels, each used at least once: in a categorical column's order, else sorted.
    """

    name: str
    codes: NDArray[np.int32]
    levels: NDArray[Any]


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """Columns that vary over the levels of a grouping factor, with one covariance matrix.

    Attributes
    ----------
    group : str
        Name of the grouping factor.
    factor : int
        Its position in the design's `factors`.
    columns : tuple of str
        `(Intercept)` and names of columns.
    data : tuple
        A float array (n,) per column, None for the constant 1.
    structure : {"us", "diag"}
        Template of the covariance: a full lower triangle or a diagonal.
    """

    group: str
    factor: int
    columns: tuple[str, ...]
    data: TermData
    structure: str


@dataclass(frozen=True, eq=False)
class FactorColumns:
    """What one factor of a formula's term multiplies into columns of X.

    Attributes
    ----------
    name : str
        The factor as written: `"recipe"`, `"C(temp)"`, `"poly(x, 2)"`.
    n_columns : int
    coding : (levels, n_columns) array or None
        Value of the columns at each level, square where they are the indicators of the levels; None for numbers.
    """

    name: str
    n_columns: int
    coding: FloatArray | None


@dataclass(frozen=True, eq=False)
class TermColumns:
    """Consecutive columns of X: the products of columns of some factors, those of the first factor fastest.

    Attributes
    ----------
    start : int
        Position of the first of them.
    factors : tuple of FactorColumns
        None for the intercept.
    """

    start: int
    factors: tuple[FactorColumns, ...]

    @property
    def n_columns(self) -> int:
        """How many there are."""
        return prod(factor.n_columns for factor in self.factors)


@dataclass(frozen=True, eq=False)
class ModelTerm:
    """A term of the fixed part, or of the left-hand side of a random-effects term.

    Attributes
    ----------
    name : str
        `"recipe:temperature"`; `(Intercept)`.
    factors : tuple of str
        Factors that it crosses, none for the intercept.
    blocks : tuple of TermColumns
        Its columns; several blocks where it also stands for lower terms that the formula leaves out.
    """

    name: str
    factors: tuple[str, ...]
    blocks: tuple[TermColumns, ...]

    @property
    def columns(self) -> list[int]:
        """Positions of its columns."""
        return [block.start + j for block in self.blocks for j in range(block.n_columns)]


def column_term(name: str, position: int) -> ModelTerm:
    """A column that is a term of its own."""
    factors = () if name == INTERCEPT else (FactorColumns(name, 1, None),)
    return ModelTerm(name, tuple(factor.name for factor in factors), (TermColumns(position, factors),))


@dataclass(frozen=True, eq=False)
class TermContent:
    """What a random-effects term consists of.

    Attributes
    ----------
    name : str
        The term as lme4 writes it: `"Days | Subject"`.
    terms : tuple of ModelTerm
        The terms of its left-hand side, the intercept among them.
    bar : int or None
        Position of the formula's bar that it comes from; None for arrays.
    """

    name: str
    terms: tuple[ModelTerm, ...]
    bar: int | None = None


@dataclass(frozen=True, eq=False)
class FixedVariable:
    """A column of the data that the fixed part uses, as the rows of the fit have it.

    Attributes
    ----------
    name : str
    levels : (k,) array or None
        Its labels, also where the formula makes numbers categorical; None of numbers.
    ordered : bool
        Whether the labels' order has a meaning.
    mean, low, high : float
        Of numbers.
    few : array or None
        The distinct numbers where there are at most two of them.
    values : Categorical or (n,) array or None
        Labels or numbers of the rows; None where they are not kept.
    """

    name: str
    levels: NDArray[Any] | None
    ordered: bool
    mean: float
    low: float
    high: float
    few: FloatArray | None
    values: Column | None

    @classmethod
    def of(cls, name: str, values: Column) -> FixedVariable:
        """What the values of the rows say."""
        if isinstance(values, Categorical):
            return cls(name, values.levels, values.ordered, np.nan, np.nan, np.nan, None, values)
        low, high = values.min(), values.max()
        few = np.unique([low, high]) if bool(((values == low) | (values == high)).all()) else None
        return cls(name, None, False, float(values.mean()), float(low), float(high), few, values)


@dataclass(frozen=True, eq=False)
class NewRows:
    """New data encoded as the design encodes its own.

    Attributes
    ----------
    X : (m, p) array
        Fixed-effects matrix.
    offset : (m,) array or None
        Known part of the linear predictor.
    zero_inflation : (m, r) array or None
        Matrix of the model for zero inflation, where there is one.
    codes : tuple of (m,) arrays of int32
        Per grouping factor of the design: position in its levels, -1 for a level that it has not seen and throughout
        for a factor whose levels were not asked for.
    labels : tuple of (m,) arrays
        Per grouping factor: the labels themselves, None for a factor whose levels were not asked for.
    data : tuple of tuples
        Per term of the design what `RandomTerm.data` is; empty for a factor whose effects were not asked for.
    """

    X: FloatArray
    offset: FloatArray | None
    zero_inflation: FloatArray | None
    codes: tuple[NDArray[np.int32], ...]
    labels: tuple[NDArray[Any], ...]
    data: tuple[TermData, ...]


@dataclass(frozen=True, eq=False)
class ObservedRows:
    """New data with their responses.

    Attributes
    ----------
    rows : NewRows
        Those in which nothing is missing.
    y : (m,) array
        Their responses.
    weights : (m,) array or None
        Their prior weights.
    positions : (m,) array or None
        Where they stand in the new data, None where all are complete.
    n_given : int
        Number of rows of the new data.
    """

    rows: NewRows
    y: FloatArray
    weights: FloatArray | None
    positions: NDArray[np.intp] | None
    n_given: int


@dataclass(frozen=True, eq=False)
class RowsWithGaps:
    """New data, some with their responses.

    Attributes
    ----------
    rows : NewRows
        Those in which nothing but the response is missing.
    y : (m,) array or None
        Their responses, NaN where they are missing; None where the new data have none.
    positions : (m,) array or None
        Where they stand in the new data, None where all are complete.
    """

    rows: NewRows
    y: FloatArray | None
    positions: NDArray[np.intp] | None


class Encoder(Protocol):
    """How a kind of data encodes new rows as it encoded those of the fit."""

    def new_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                 effects: Collection[str]) -> NewRows:
        """Encode new data; levels of grouping factors in `groups`, columns of the terms of those in `effects`."""

    def observed_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                      weights: ArrayLike | str | None = None, family: Family | None = None) -> ObservedRows:
        """Encode new data and their responses; an `InputError` where there was no formula."""

    def rows_with_gaps(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                       family: Family | None) -> RowsWithGaps:
        """Encode new data whose responses may be missing; an `InputError` where there was no formula.

        `family` is that of a generalized linear mixed model. Rows that lack another value are left out.
        """

    def fixed_terms(self, parts: ModelParts) -> tuple[ModelTerm, ...]:
        """Which columns of X belong together, the intercept among them."""

    def random_terms(self, parts: ModelParts) -> tuple[TermContent, ...]:
        """What each random-effects term consists of."""

    def fixed_variables(self) -> tuple[FixedVariable, ...]:
        """Columns of the data that the fixed part uses; an `InputError` where there was no formula."""

    def fixed_matrix(self, columns: Mapping[str, Column], n: int) -> FloatArray:
        """X for n rows with other values of those columns."""

    def take(self, rows: NDArray[np.intp]) -> Encoder:
        """The encoder of some rows of the fit."""


@dataclass(frozen=True, eq=False)
class ModelParts:
    """Everything that a mixed model is fitted to: the attributes of `pymixed.design.MixedDesign`, and `encoder`.

    `encoder` is what new rows are encoded with.
    """

    y: FloatArray
    X: FloatArray
    coefficient_names: tuple[str, ...]
    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]
    weights: FloatArray | None
    offset: FloatArray | None
    response_name: str
    formula: str | None
    rows: NDArray[np.intp] | None
    n_rows_given: int
    zero_inflation: FloatArray | None
    zi_names: tuple[str, ...]
    encoder: Encoder = field(repr=False)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def p(self) -> int:
        """Number of columns of X."""
        return len(self.coefficient_names)

    def take(self: Parts, rows: NDArray[np.intp]) -> Parts:
        """Some of the rows, without the levels that they do not have; X is as it was for all."""
        labels = [Categorical.from_codes(factor.codes[rows], factor.levels) for factor in self.factors]
        return replace(
            self, y=self.y[rows], X=self.X[rows],
            factors=tuple(GroupingFactor(factor.name, kept.codes, kept.levels)
                          for factor, kept in zip(self.factors, labels, strict=True)),
            terms=tuple(replace(term, data=tuple(None if column is None else column[rows] for column in term.data))
                        for term in self.terms),
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            rows=rows if self.rows is None else self.rows[rows],
            zero_inflation=None if self.zero_inflation is None else self.zero_inflation[rows],
            encoder=self.encoder.take(rows))
