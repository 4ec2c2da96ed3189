"""The checks that every mixed model must pass."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ._distributions import Binomial
from ._family import Family
from ._frames import FloatArray, all_finite, check_finite, first_offender
from ._parts import GroupingFactor, ModelParts, RandomTerm
from .errors import InputError


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
    check_rows(parts.y, parts.X, parts.coefficient_names, parts.response_name, parts.terms, parts.weights, parts.offset,
               parts.rows)
    if parts.zero_inflation is not None:
        _check_columns(parts.zero_inflation, parts.zi_names, "zi: column", parts.rows)
        if not parts.zi_names or np.linalg.matrix_rank(parts.zero_inflation) < len(parts.zi_names):
            raise InputError("zi: expected columns of which none is a combination of the others, got "
                             f"{', '.join(parts.zi_names) or 'none'}")
    discrete = family is not None and family.distribution.discrete
    if family is not None:
        family.distribution.check_response(parts.y, parts.weights, f"response {parts.response_name!r}", parts.rows)
    if not discrete:
        check_spread(parts.response_name, float(parts.y.min()), float(parts.y.max()))
    check_factors(parts.factors)
    if not discrete and parts.weights is None:
        check_residuals(parts.factors, parts.terms, parts.n)
    for term in parts.terms:
        n_levels = len(parts.factors[term.factor].levels)
        if discrete and n_levels == parts.n and _is_binary(parts, family):
            raise InputError(f"grouping factor {term.group!r}: {n_levels} levels and {parts.n} rows; a binary response "
                             "says nothing about a random effect in every row, expected fewer levels than rows")
    check_terms(parts.terms)


def check_spread(response: str, low: float, high: float) -> None:
    """Refuse a response with a residual variance that is the same in every row."""
    if low == high:
        raise InputError(f"response {response!r}: expected values that differ, got {low} in every row")


def check_factors(factors: Iterable[GroupingFactor]) -> None:
    """Refuse grouping factors with one level."""
    for factor in factors:
        if len(factor.levels) < 2:
            raise InputError(f"grouping factor {factor.name!r}: expected more than one level, got only "
                             f"{factor.levels.tolist()[0]!r}")


def check_residuals(factors: Sequence[GroupingFactor], terms: Iterable[RandomTerm], n: int) -> None:
    """Refuse as many random effects as rows, of which none has a weight that may tell them from residuals."""
    for term in terms:
        n_levels, n_columns = len(factors[term.factor].levels), len(term.columns)
        if n_levels * n_columns >= n:
            each = "" if n_columns == 1 else f" of {n_columns} random effects each"
            raise InputError(f"grouping factor {term.group!r}: {n_levels} levels{each} and {n} rows; the random "
                             "effects cannot be told from the residuals, expected fewer random effects than rows")


def check_terms(terms: Iterable[RandomTerm]) -> None:
    """Refuse a column twice on one factor."""
    columns = Counter((term.group, column) for term in terms for column in term.columns)
    for (group, column), times in columns.items():
        if times > 1:
            raise InputError(f"random effects: column {column!r} of group {group!r} is in {times} terms, expected one")


def _is_binary(parts: ModelParts, family: Family | None) -> bool:
    """Whether every row is a single trial."""
    one_trial = parts.weights is None or bool((parts.weights == 1).all())
    return family is not None and isinstance(family.distribution, Binomial) and one_trial


def check_rows(y: FloatArray, X: FloatArray, names: Sequence[str], response: str, terms: Iterable[RandomTerm],
               weights: FloatArray | None, offset: FloatArray | None, rows: NDArray[np.intp] | None) -> None:
    """Refuse infinite and undefined values, and weights that are not positive; `rows` are those of the user's data."""
    check_finite(y, f"response {response!r}", rows)
    _check_columns(X, names, "fixed-effects column", rows)
    for term in terms:
        for name, data in zip(term.columns, term.data, strict=True):
            if data is not None:
                check_finite(data, f"random-effects column {name!r} of group {term.group!r}", rows)
    if offset is not None:
        check_finite(offset, "offset", rows)
    if weights is not None:
        check_finite(weights, "weights", rows)
        if not weights.min() > 0:
            raise InputError(f"weights: expected positive values, got {first_offender(weights, weights <= 0, rows)}")


def _check_columns(matrix: FloatArray, names: Sequence[str], what: str, rows: NDArray[np.intp] | None) -> None:
    if not all_finite(matrix):  # in memory's order, which columns may not be
        for name, values in zip(names, matrix.T, strict=True):
            check_finite(values, f"{what} {name!r}", rows)
