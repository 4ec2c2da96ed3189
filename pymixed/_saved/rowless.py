"""The design of a fit that holds no rows."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._frames import FloatArray
from .._from_formula import FormulaEncoder
from .._parts import Encoder, FixedVariable, GroupingFactor, RandomTerm, TermData
from .._row_sums import RowSums, SumsOfRows
from ..design import MixedDesign
from ..errors import InputError

Self = TypeVar("Self", bound="RowlessDesign")


class _Named:
    """Printed by its name: an attribute that is not there cannot be."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class RowlessFactor(_Named, GroupingFactor):
    """A grouping factor without the rows' codes; `why` there are none."""

    def __init__(self, name: str, levels: NDArray[Any], why: str) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "_why", why)

    @property
    def codes(self) -> NDArray[np.int32]:
        """There are none."""
        return _no_rows(self._why, "levels by row")

    _why: str


class RowlessTerm(_Named, RandomTerm):
    """A random-effects term without its columns; `why` there are none."""

    def __init__(self, group: str, factor: int, columns: tuple[str, ...], structure: str, why: str) -> None:
        for name, value in (("group", group), ("factor", factor), ("columns", columns), ("structure", structure),
                            ("_why", why)):
            object.__setattr__(self, name, value)

    @property
    def data(self) -> TermData:
        """There are none."""
        return _no_rows(self._why, "columns of random effects")

    _why: str


@dataclass(frozen=True, eq=False)
class RowlessEncoder(FormulaEncoder):
    """The formula's encoder with what is known of the variables of the fixed part."""

    variables: tuple[FixedVariable, ...] = field(repr=False, default=())

    @classmethod
    def of(cls, encoder: FormulaEncoder, variables: Sequence[FixedVariable]) -> RowlessEncoder:
        """An encoder without the columns of the rows."""
        common = {part.name: getattr(encoder, part.name) for part in fields(FormulaEncoder)}
        return cls(**{**common, "fixed_columns": {}}, variables=tuple(variables))

    def fixed_variables(self) -> tuple[FixedVariable, ...]:
        """Columns of the data that the fixed part uses."""
        return self.variables


@dataclass(frozen=True, eq=False)
class HeldSums(RowSums):
    """Sums over the rows that a fit had; the attributes answer the methods of `RowSums`.

    Attributes
    ----------
    weight, offset : float
        Sum of the prior weights; mean of the known part of the linear predictor.
    triangle_of_X : (p, p) array
    constants : (p,) array
        Value of the columns of X that are constant, NaN for others.
    covariance : (p, p) array
        Sample covariance of the columns of X.
    products : tuple of (c, c) arrays
        Per term.
    root_squares : tuple of (2, c) arrays
        Per term, without and with weights.
    """

    weight: float
    offset: float
    triangle_of_X: FloatArray  # noqa: N815  the field's name
    constants: FloatArray
    covariance: FloatArray
    products: tuple[FloatArray, ...]
    root_squares: tuple[FloatArray, ...]

    @classmethod
    def of(cls, design: MixedDesign) -> HeldSums:
        """Those of a design."""
        sums, p, n_terms = design.sums, design.p, len(design.terms)
        units = np.eye(p)
        if isinstance(sums, SumsOfRows):
            constants = np.where(np.ptp(design.X, axis=0) == 0.0, design.X[0], np.nan)
        else:
            constants = np.where([sums.is_constant([j]) and sums.fixed_variance(units[j]) == 0.0 for j in range(p)],
                                 1.0, np.nan)
        variances = np.array([sums.fixed_variance(unit) for unit in units])
        covariance = np.diag(variances)
        for j in range(p):
            for k in range(j):
                together = sums.fixed_variance(units[j] + units[k])
                covariance[j, k] = covariance[k, j] = 0.5 * (together - variances[j] - variances[k])
        return cls(sums.total_weight, sums.mean_offset, sums.triangle, constants, covariance,
                   tuple(sums.term_products(i) for i in range(n_terms)),
                   tuple(np.array([sums.reaches(i, False), sums.reaches(i, True)]) for i in range(n_terms)))

    @property
    def total_weight(self) -> float:
        """Sum of the prior weights."""
        return self.weight

    @property
    def mean_offset(self) -> float:
        """Mean of the known part of the linear predictor."""
        return self.offset

    @property
    def triangle(self) -> FloatArray:
        """R of X = QR."""
        return self.triangle_of_X

    def is_constant(self, columns: Sequence[int]) -> bool:
        """Whether these columns of X are the same in every row."""
        values = self.constants[list(columns)]
        return bool(np.all(values == values[:1]))  # NaN differs from itself

    def fixed_variance(self, coefficients: FloatArray) -> float:
        """Sample variance of X times coefficients."""
        return float(coefficients @ self.covariance @ coefficients)

    def term_products(self, position: int) -> FloatArray:
        """Means of the products of a term's columns."""
        return self.products[position]

    def reaches(self, position: int, weighted: bool) -> FloatArray:
        """Root mean squares of a term's columns."""
        return np.asarray(self.root_squares[position][int(weighted)])


class RowlessDesign(_Named, MixedDesign):
    """A design whose rows are gone: everything that needs them is an `InputError`.

    Parameters
    ----------
    why : str
        Why there are none, and what can be done.
    n, n_rows_given : int
        Numbers of the rows that the fit used and that it was given.
    products : _core.CrossProducts or None
        What a linear model is fitted to.
    sums : RowSums
    held : mapping, optional
        Numbers that results found from the rows.
    coefficient_names, factors, terms, response_name, formula, zi_names, encoder
        As in `MixedDesign`.
    """

    sums: RowSums

    def __init__(self, *, why: str, n: int, n_rows_given: int, products: _core.CrossProducts | None, sums: RowSums,
                 coefficient_names: tuple[str, ...], factors: tuple[GroupingFactor, ...],
                 terms: tuple[RandomTerm, ...], response_name: str, formula: str | None, zi_names: tuple[str, ...],
                 encoder: Encoder, held: Mapping[str, Any] | None = None) -> None:
        attributes = {
            "_why": why, "_n": n, "_products": products, "_held": held or {}, "sums": sums,
            "coefficient_names": coefficient_names, "factors": factors, "terms": terms,
            "response_name": response_name, "formula": formula, "n_rows_given": n_rows_given, "zi_names": zi_names,
            "encoder": encoder}
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    _why: str
    _n: int
    _products: _core.CrossProducts | None
    _held: Mapping[str, Any]

    @property
    def n(self) -> int:
        """Number of rows that the fit used."""
        return self._n

    @property
    def has_rows(self) -> bool:
        """It has not."""
        return False

    @property
    def products(self) -> _core.CrossProducts | None:
        """What a linear model is fitted to."""
        return self._products

    def with_levels(self: Self, levels: Sequence[NDArray[Any]]) -> Self:
        """The design with more levels of its grouping factors."""
        other = copy.copy(self)
        factors = tuple(RowlessFactor(factor.name, labels, self._why)
                        for factor, labels in zip(self.factors, levels, strict=True))
        object.__setattr__(other, "factors", factors)
        return other

    def held(self, name: str) -> Any:
        """A number that a result found from the rows, None where it is not known."""
        return self._held.get(name)

    @property
    def y(self) -> NDArray[np.float64]:
        """There is none."""
        return _no_rows(self._why, "responses")

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802  the field's name
        """There is none."""
        return _no_rows(self._why, "rows of X")

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """There are none by row."""
        return _no_rows(self._why, "weights by row")

    @property
    def offset(self) -> NDArray[np.float64] | None:
        """There is none by row."""
        return _no_rows(self._why, "offsets by row")

    @property
    def zero_inflation(self) -> NDArray[np.float64] | None:
        """There is none by row."""
        return _no_rows(self._why, "rows of the zero inflation") if self.zi_names else None

    @property
    def rows(self) -> NDArray[np.intp] | None:
        """There are none."""
        return _no_rows(self._why, "rows")


def _no_rows(why: str, what: str) -> NoReturn:
    raise InputError(f"{why}: there are no {what}")
