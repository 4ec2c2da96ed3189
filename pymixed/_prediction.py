"""The linear predictor offset + Xβ + Zb on the rows of a fit and on new ones."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._common import Array, MixedParams, check_choice
from .design import MixedDesign, NewRows
from .errors import InputError

NEW_LEVELS = {"error": np.nan, "population": 0.0, "missing": np.nan}  # the effect of a level without a mode


def linear_predictor(design: MixedDesign, params: MixedParams, newdata: Any, re: str | Iterable[str], new_levels: str,
                     offset: ArrayLike | None) -> tuple[Array, NewRows]:
    """Linear predictor and rows of new data, of the design's own where `newdata` is None; see `LMMSolution.predict`."""
    check_choice("new_levels", new_levels, NEW_LEVELS)
    groups = _groups(design, re)
    if newdata is not None:
        rows = design.new_rows(newdata, offset=offset, groups=groups)
    elif offset is not None:
        raise InputError("offset: expected only together with newdata, the rows of the fit have theirs")
    else:
        rows = own_rows(design)
    return predictor(design, params, rows, groups, new_levels, None), rows


def residuals_of(design: MixedDesign, params: MixedParams, newdata: Any, re: str | Iterable[str], new_levels: str,
                 offset: ArrayLike | None) -> Array:
    """Response minus prediction of new rows, NaN where a value is missing; see `LMMSolution.residuals_for`."""
    check_choice("new_levels", new_levels, NEW_LEVELS)
    groups = _groups(design, re)
    observed = design.encoder.observed_rows(design, newdata, offset, groups, None)
    if observed.y is None:
        raise InputError(f"newdata: expected the columns of the response {design.response_name!r}")
    residuals = np.full(observed.n_given, np.nan)
    complete = slice(None) if observed.positions is None else observed.positions
    residuals[complete] = observed.y - predictor(design, params, observed.rows, groups, new_levels, observed.positions)
    return residuals


def predictor(design: MixedDesign, params: MixedParams, rows: NewRows, groups: tuple[str, ...], new_levels: str,
              positions: NDArray[np.intp] | None) -> Array:
    """Linear predictor of encoded rows, `positions` being theirs in the user's data."""
    if new_levels == "error":
        _check_seen(design, rows, groups, positions)
    eta = fixed_part(design, params, rows)
    columns_used = dict.fromkeys(params.random_effects, 0)
    for term, data in zip(design.terms, rows.data, strict=True):
        first = columns_used[term.group]
        columns_used[term.group] = last = first + len(term.columns)
        if term.group in groups:
            modes = params.random_effects[term.group][:, first:last]
            _add_random_part(eta, modes, rows.codes[term.factor], data, NEW_LEVELS[new_levels])
    return eta


def _groups(design: MixedDesign, re: str | Iterable[str]) -> tuple[str, ...]:
    """Names of the grouping factors that `re` asks for."""
    known = tuple(factor.name for factor in design.factors)
    if isinstance(re, str) or not isinstance(re, Iterable):
        check_choice("re", re, ("all", "none"))
        return known if re == "all" else ()
    groups = tuple(re)
    for name in groups:
        check_choice("re", name, known)
    return groups


def own_rows(design: MixedDesign) -> NewRows:
    """The rows of the fit as if they were new."""
    codes = tuple(factor.codes for factor in design.factors)
    labels = tuple(factor.levels[:0] for factor in design.factors)  # they are for naming unseen levels; there are none
    data = tuple(term.data for term in design.terms)
    return NewRows(design.X, design.offset, design.zero_inflation, codes, labels, data)


def _check_seen(design: MixedDesign, rows: NewRows, groups: tuple[str, ...],
                positions: NDArray[np.intp] | None) -> None:
    for factor, codes, labels in zip(design.factors, rows.codes, rows.labels, strict=True):
        unseen = np.flatnonzero(codes < 0)
        if factor.name in groups and len(unseen):
            (label,) = labels[unseen[:1]].tolist()
            row = unseen[0] if positions is None else positions[unseen[0]]
            raise InputError(
                f"newdata: expected levels of {factor.name!r} that the fit has seen, got {label!r} in row {row} "
                f"({len(unseen)} such rows); new_levels='population' or 'missing' predicts for them")


def fixed_part(design: MixedDesign, params: MixedParams, rows: NewRows) -> Array:
    """Xβ of encoded rows, and their offset."""
    X = rows.X
    if params.aliased:
        X = X[:, [name not in params.aliased for name in design.coefficient_names]]
    fixed: Array = X @ params.coefficients
    return fixed if rows.offset is None else fixed + rows.offset


def _add_random_part(eta: Array, modes: Array, codes: NDArray[np.int32], columns: Sequence[Array | None],
                     unseen: float) -> None:
    """Add a term's Zb in place; code -1 is a level without a mode."""
    for mode, x in zip(modes.T, columns, strict=True):
        effects = np.append(mode, unseen)[codes]  # -1 reaches the appended one
        eta += effects if x is None else x * effects
