"""Estimates without some rows, theta held, from the sums over the others."""
from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._common import Array
from ._engine import HeldEstimates
from ._fitting import FitOptions, make_problem, structure
from .design import MixedDesign
from .errors import InputError

Rows = NDArray[np.intp]


def estimates_without(design: MixedDesign, theta: Array, beta: Array, options: FitOptions,
                      sets: Iterable[Rows]) -> Iterator[HeldEstimates | None]:
    """Estimates of a linear mixed model without each set of rows; None where a coefficient has none.

    The rows' sums are taken away from those over all rows, or, where that would leave too few digits, those over the
    rest are made anew.
    """
    whole = _products(design, None)
    kept = np.ones(design.n, np.bool_)
    for rows in sets:
        kept[rows] = False
        rest = whole.copy()
        try:
            rest.subtract(_products(design, rows))
        except _core.UnsafeSubtraction:
            rest = _products(design, np.flatnonzero(kept))
        kept[rows] = True
        yield _estimates(rest, design, theta, beta, options)


def _products(design: MixedDesign, rows: Rows | None) -> _core.CrossProducts:
    """Sums over some rows, with all levels of the design."""
    def of(values: Array | None) -> Array | None:
        return values if values is None or rows is None else values[rows]

    codes, n_levels, terms, columns = structure(design)
    own = slice(None) if rows is None else rows
    return _core.CrossProducts(design.y[own], design.X[own], [code[own] for code in codes], n_levels, terms,
                               [of(column) for column in columns], of(design.weights), of(design.offset))


def _estimates(products: _core.CrossProducts, design: MixedDesign, theta: Array, beta: Array,
               options: FitOptions) -> HeldEstimates | None:
    try:
        problem = make_problem(lambda limit: _core.Problem(products, options.method, limit), design)
    except InputError:  # no more rows than coefficients
        return None
    if len(problem.kept) < len(beta):
        return None
    found = _core.Deviance(problem, False, options.n_threads or 1).estimates(theta)
    if found is None:
        return None
    coefficients, C, pwrss, *_ = found
    return HeldEstimates(coefficients - beta, C, pwrss)
