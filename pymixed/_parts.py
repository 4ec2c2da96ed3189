"""The parts of a mixed model's data as values, with the checks that every mixed model must pass."""
from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._categorical import Categorical
from ._distributions import Binomial
from ._family import Family
from ._frames import Column, FloatArray, all_finite, check_finite, first_offender
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
    """

    name: str
    terms: tuple[ModelTerm, ...]


@dataclass(frozen=True, eq=False)
class FixedVariable:
    """A column of the data that the fixed part uses.

    Attributes
    ----------
    name : str
    values : Categorical or (n,) array
        Its labels or numbers in the rows of the fit; labels also where the formula makes numbers categorical.
    """

    name: str
    values: Column


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
        for a factor that was not asked for.
    labels : tuple of (m,) arrays
        Per grouping factor: the labels themselves, None for a factor that was not asked for.
    data : tuple of tuples
        Per term of the design what `RandomTerm.data` is; empty for a factor that was not asked for.
    """

    X: FloatArray
    offset: FloatArray | None
    zero_inflation: FloatArray | None
    codes: tuple[NDArray[np.int32], ...]
    labels: tuple[NDArray[Any], ...]
    data: tuple[TermData, ...]


class Encoder(Protocol):
    """How a kind of data encodes new rows as it encoded those of the fit."""

    def new_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str]) -> NewRows:
        """Encode new data; grouping factors that are not in `groups` are not read."""

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


def check(parts: ModelParts, family: Family | None) -> None:
    """Refuse what no mixed model of the family, None for a linear one with a residual variance, can be fitted to.

    Raises
    ------
    InputError
        Infinite or undefined values; weights that are not positive; a response outside the family's range; a grouping
        factor with one level; a column twice on one factor; dependent columns for zero inflation. Where the family has
        a parameter of spread, a constant response and, without weights, which may tell them from residuals, as many
        random effects as rows. For a binary response, a random effect of its own for every row.
    """
    _check_values(parts)
    discrete = family is not None and family.distribution.discrete
    if family is not None:
        family.distribution.check_response(parts.y, parts.weights, f"response {parts.response_name!r}", parts.rows)
    if not discrete and parts.y.min() == parts.y.max():
        raise InputError(f"response {parts.response_name!r}: expected values that differ, got {parts.y[0]} in every "
                         "row")
    for factor in parts.factors:
        if len(factor.levels) < 2:
            raise InputError(f"grouping factor {factor.name!r}: expected more than one level, got only "
                             f"{factor.levels.tolist()[0]!r}")
    for term in parts.terms:
        n_levels, n_columns = len(parts.factors[term.factor].levels), len(term.columns)
        if discrete and n_levels == parts.n and _is_binary(parts, family):
            raise InputError(f"grouping factor {term.group!r}: {n_levels} levels and {parts.n} rows; a binary response "
                             "says nothing about a random effect in every row, expected fewer levels than rows")
        if not discrete and parts.weights is None and n_levels * n_columns >= parts.n:
            each = "" if n_columns == 1 else f" of {n_columns} random effects each"
            raise InputError(f"grouping factor {term.group!r}: {n_levels} levels{each} and {parts.n} rows; the random "
                             "effects cannot be told from the residuals, expected fewer random effects than rows")
    columns = Counter((term.group, column) for term in parts.terms for column in term.columns)
    for (group, column), times in columns.items():
        if times > 1:
            raise InputError(f"random effects: column {column!r} of group {group!r} is in {times} terms, expected one")


def _is_binary(parts: ModelParts, family: Family | None) -> bool:
    """Whether every row is a single trial."""
    one_trial = parts.weights is None or bool((parts.weights == 1).all())
    return family is not None and isinstance(family.distribution, Binomial) and one_trial


def _check_values(parts: ModelParts) -> None:
    check_finite(parts.y, f"response {parts.response_name!r}", parts.rows)
    _check_columns(parts.X, parts.coefficient_names, "fixed-effects column", parts.rows)
    if parts.zero_inflation is not None:
        _check_columns(parts.zero_inflation, parts.zi_names, "zi: column", parts.rows)
        if not parts.zi_names or np.linalg.matrix_rank(parts.zero_inflation) < len(parts.zi_names):
            raise InputError("zi: expected columns of which none is a combination of the others, got "
                             f"{', '.join(parts.zi_names) or 'none'}")
    for term in parts.terms:
        for name, data in zip(term.columns, term.data, strict=True):
            if data is not None:
                check_finite(data, f"random-effects column {name!r} of group {term.group!r}", parts.rows)
    if parts.offset is not None:
        check_finite(parts.offset, "offset", parts.rows)
    if parts.weights is not None:
        check_finite(parts.weights, "weights", parts.rows)
        if not parts.weights.min() > 0:
            raise InputError("weights: expected positive values, got "
                             f"{first_offender(parts.weights, parts.weights <= 0, parts.rows)}")


def _check_columns(matrix: FloatArray, names: Sequence[str], what: str, rows: NDArray[np.intp] | None) -> None:
    if not all_finite(matrix):  # in memory's order, which columns may not be
        for name, values in zip(names, matrix.T, strict=True):
            check_finite(values, f"{what} {name!r}", rows)
