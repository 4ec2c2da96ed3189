"""Linear functions of the coefficients as the user gives them, checked, and the table of their tests."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._common import Array, MixedParams
from ..design import MixedDesign
from ..errors import InputError, InputTypeError
from .coefficient_tests import CoefficientTests, t_p_values

if TYPE_CHECKING:
    import pandas as pd

# Part of a contrast outside the row space of X, relative to the contrast, that is rounding.
ESTIMABLE = 1e-8


def read_contrasts(L: Any, design: MixedDesign, params: MixedParams) -> tuple[list[str], Array]:
    """Labels (r) and rows (r, p) of contrasts given as an array, a DataFrame or a mapping.

    Columns of X that were dropped as linear combinations of others may take part, in arrays as long as all columns or
    by name, where the contrast is estimable all the same.

    Raises
    ------
    InputError, InputTypeError
        If they do not fit the coefficients, name unknown ones, are zero, or are not estimable.
    """
    return rows_of_contrasts(L, design.coefficient_names, params.coefficient_names, params.aliased,
                             lambda: dependencies(design.X, kept_columns(design, params)))


def rows_of_contrasts(L: Any, everything: tuple[str, ...], kept: tuple[str, ...], aliased: tuple[str, ...],
                      null: Callable[[], Array]) -> tuple[list[str], Array]:
    """The same from the names of all columns of X, of those kept and of those dropped, and `dependencies`."""
    names, weights = _named(L, everything)
    if not isinstance(weights, np.ndarray):
        weights = _numbers(weights)
    if weights.ndim != 2 or weights.shape[1] not in (len(kept), len(everything)):
        raise InputError(f"L: expected rows of {len(kept)} weights ({', '.join(kept)}), "
                         f"got an array of shape {weights.shape}")
    labels = names or [_described(row, kept if len(row) == len(kept) else everything) for row in weights]
    for label, row in zip(labels, weights, strict=True):
        if not np.isfinite(row).all() or not row.any():
            raise InputError(f"L: expected finite weights that are not all zero, got {row.tolist()} for {label!r}")
    if weights.shape[1] == len(kept):
        return labels, weights
    estimable = _are_estimable(weights, null())
    if not estimable.all():
        bad = ", ".join(repr(label) for label, good in zip(labels, estimable, strict=True) if not good)
        raise InputError(f"L: expected estimable contrasts, got {bad}; the columns {', '.join(aliased)} of X "
                         "depend on others, and the data say nothing of their coefficients alone")
    return labels, weights[:, [name not in aliased for name in everything]]


def estimable_rows(weights: Array, design: MixedDesign, params: MixedParams) -> tuple[Array, NDArray[np.bool_]]:
    """Contrasts of all columns of X (r, all) as contrasts of the coefficients (r, p), and which are estimable (r,).

    L beta is estimable when L is a combination of rows of X (Searle 1971, Linear Models, section 5.4): when it
    vanishes for every combination of columns that is zero.
    """
    is_kept = kept_columns(design, params)
    return weights[:, is_kept], _are_estimable(weights, dependencies(design.X, is_kept))


def _are_estimable(weights: Array, null: Array) -> NDArray[np.bool_]:
    outside, size = np.abs(weights @ null), np.abs(weights) @ np.abs(null)
    return np.asarray((outside <= ESTIMABLE * size).all(axis=1))


def kept_columns(design: MixedDesign, params: MixedParams) -> NDArray[np.bool_]:
    """Which columns of X have a coefficient (all,)."""
    return np.array([name not in params.aliased for name in design.coefficient_names], bool)


def dependencies(X: Array, is_kept: NDArray[np.bool_]) -> Array:
    """Combinations of columns of X that are zero (all, dropped): each dropped column by those kept."""
    null = np.zeros((X.shape[1], int((~is_kept).sum())))
    if is_kept.all():
        return null
    scale = 1.0 / np.maximum(np.sqrt((X**2).sum(axis=0)), np.finfo(float).tiny)
    combination = np.linalg.lstsq(X[:, is_kept] * scale[is_kept], X[:, ~is_kept], rcond=None)[0]
    null[is_kept] = scale[is_kept][:, None] * combination
    null[~is_kept] = -np.eye(null.shape[1])
    return null


def _named(L: Any, columns: tuple[str, ...]) -> tuple[list[str], Any]:
    """Labels, empty where there are none, and weights."""
    if isinstance(L, Mapping):
        nested = {label: weights if isinstance(weights, Mapping) else None for label, weights in L.items()}
        if all(weights is None for weights in nested.values()):
            nested = {"": L}  # one contrast
        table = np.zeros((len(nested), len(columns)))
        for row, (label, weights) in zip(table, nested.items(), strict=True):
            if weights is None:
                raise InputTypeError(f"L[{label!r}]: expected weights by coefficient, got {L[label]!r}")
            for name, weight in weights.items():
                row[_position(name, columns)] = _numbers(weight)[0, 0]
        return [] if list(nested) == [""] else [str(label) for label in nested], table
    if hasattr(L, "columns") and hasattr(L, "index"):  # a DataFrame
        table = np.zeros((len(L), len(columns)))
        for name in L.columns:
            table[:, _position(name, columns)] = _numbers(L[name])[0]
        return [str(label) for label in L.index], table
    return [], _numbers(L)


def _position(name: Any, columns: tuple[str, ...]) -> int:
    if name not in columns:
        raise InputError(f"L: expected coefficients out of {', '.join(columns)}, got {name!r}")
    return columns.index(name)


def _numbers(values: ArrayLike) -> Array:
    try:
        return np.atleast_2d(np.asarray(values, np.float64))
    except (TypeError, ValueError):
        raise InputTypeError(f"L: expected numbers, got {values!r}") from None


def _described(row: Array, names: tuple[str, ...]) -> str:
    """``"Days - 2 (Intercept)"`` of a row of weights."""
    text = ""
    for name, weight in zip(names, row, strict=True):
        if weight:
            size = "" if abs(weight) == 1 else f"{abs(weight):.4g} "
            text += (f" {'-' if weight < 0 else '+'} " if text else "-" if weight < 0 else "") + size + name
    return text


def right_hand_side(rhs: ArrayLike, n_contrasts: int) -> Array:
    """A value per contrast."""
    try:
        values = np.asarray(rhs, np.float64)
    except (TypeError, ValueError):
        raise InputTypeError(f"rhs: expected numbers, got {rhs!r}") from None
    if values.shape not in ((), (n_contrasts,)) or not np.isfinite(values).all():
        raise InputError(f"rhs: expected a finite number, or {n_contrasts} of them, got {rhs!r}")
    return np.broadcast_to(values, n_contrasts)


def contrast_table(tests: CoefficientTests, labels: list[str], rows: Array, rhs: Array) -> pd.DataFrame:
    """Estimates and tests of the contrasts, one by one."""
    import pandas as pd

    estimate, se, df = rows @ tests.coefficients, tests.se(rows), tests.df(rows)
    statistic = (estimate - rhs) / se
    table = pd.DataFrame({"estimate": estimate, "se": se, "df": df, "z" if tests.asymptotic else "t": statistic,
                          "p": t_p_values(statistic, df)}, index=pd.Index(labels, name="contrast"))
    table.attrs["notes"] = list(tests.notes)
    return table


def joint_table(tests: CoefficientTests, rows: Array, rhs: Array) -> pd.DataFrame:
    """The F test, or chi-squared test, of all contrasts together: one row."""
    import pandas as pd

    test = tests.joint(rows, rhs)
    if tests.asymptotic:
        columns = {"num_df": test.num_df, "chi2": test.num_df * test.statistic, "p": test.p_value}
    else:
        columns = {"num_df": test.num_df, "den_df": test.den_df, "F": test.statistic, "p": test.p_value}
    table = pd.DataFrame([columns], index=["joint"])
    table.attrs["notes"] = list(tests.notes)
    return table
