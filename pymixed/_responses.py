"""The forms in which a response may be given, as one array and, for binomial counts, numbers of trials."""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._categorical import Categorical
from ._distributions import Binomial, is_whole
from ._family import Family
from ._frames import Column, FloatArray, check_finite, column, first_offender, matrix, numbers
from .errors import InputError, InputTypeError


def is_binomial(family: Family | None) -> bool:
    """Whether the response may count successes; None is the family of a linear mixed model."""
    return family is not None and isinstance(family.distribution, Binomial)


def models_response(family: Family | None) -> str:
    """The model in words, for errors that speak of its response."""
    return "a linear mixed model" if family is None else f"the {family.name} family"


def array_response(y: ArrayLike, family: Family | None) -> Column:
    """An argument y as (n,) numbers or labels or, where it may be, (n, 2) counts of successes and failures."""
    if family is None:
        return numbers(y, "y")
    if np.ndim(y) == 2:
        if not is_binomial(family):
            raise InputError("y: two columns, successes and failures, make a binomial response, which "
                             f"{models_response(family)} does not have")
        counts = matrix(y, "y", len(np.asarray(y)))
        if counts.shape[1] != 2:
            raise InputError(f"y: expected one column or two, successes and failures, got {counts.shape[1]}")
        return counts
    return column(y, "y") if is_binomial(family) else numbers(y, "y")


def finish(given: Column, weights: FloatArray | None, name: str, family: Family | None,
           rows: NDArray[np.intp] | None) -> tuple[FloatArray, FloatArray | None]:
    """Response (n,) and its weights, for binomial counts the proportion and the trials times the prior weights.

    Parameters
    ----------
    given : (n,) or (n, 2) array or Categorical
        Complete rows of the response in any of its forms.
    weights : (n,) array or None
        Prior weights.
    name : str
        The response as the user wrote it.
    family : Family or None
        None for a linear mixed model.
    rows : array of int or None
        Positions of the rows in the user's data, None where all are there.

    Raises
    ------
    InputTypeError
        Labels for a family that needs numbers.
    InputError
        Labels of other than two kinds, counts that are not whole or negative, a row without trials.
    """
    if isinstance(given, Categorical):
        return _indicator(given, name, family), weights
    if given.ndim == 1:
        return given, weights
    for values, what in zip(given.T, ("successes", "failures"), strict=True):
        check_finite(values, f"{what} of {name!r}", rows)
        bad = (values < 0) | ~is_whole(values)
        if bad.any():
            raise InputError(f"response {name!r}: expected whole numbers of {what}, 0 or more, got "
                             f"{first_offender(values, bad, rows)}")
    trials = given.sum(axis=1)
    if (empty := trials == 0).any():
        raise InputError(f"response {name!r}: expected at least one trial in every row, got "
                         f"{first_offender(trials, empty, rows)}")
    return given[:, 0] / trials, trials if weights is None else trials * weights


def _indicator(given: Categorical, name: str, family: Family | None) -> FloatArray:
    """0 for the first of two labels, 1 for the second."""
    if not is_binomial(family):
        raise InputTypeError(f"response {name!r}: expected numbers, got strings or categories")
    if len(given.levels) != 2:
        levels = ", ".join(map(repr, given.levels.tolist()[:5])) + (", ..." if len(given.levels) > 5 else "")
        raise InputError(f"response {name!r}: expected two levels, failure and success, got {len(given.levels)}: "
                         f"{levels}")
    return given.codes.astype(np.float64)
