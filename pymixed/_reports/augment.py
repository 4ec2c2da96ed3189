"""The rows of a table with what a fitted model says of them, in the columns of R's package broom.mixed."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._adapters import arrow_table
from .._categorical import Categorical
from .._common import Array, MixedParams, check_choice
from .._family import Family
from .._parts import RowsWithGaps
from .._prediction import NEW_LEVELS, PredictedRows, asked_groups, own_rows, with_modes
from ..design import MixedDesign
from ..errors import InputError
from ..formula import INTERCEPT

if TYPE_CHECKING:
    import pandas as pd


def augmented(design: MixedDesign, params: MixedParams, family: Family | None,
              means: Callable[[PredictedRows], Array], data: Any, new_levels: str,
              offset: ArrayLike | None) -> pd.DataFrame:
    """The rows of a table, or of the fit, with predictions; see `ReportedSolution.augment`.

    `means` gives the means of the response; `family` is None of a linear model.
    """
    check_choice("new_levels", new_levels, NEW_LEVELS)
    found, table = _rows(design, family, data, offset)
    groups = asked_groups(design, "all")
    rows = with_modes(design, params, found.rows, groups, new_levels, found.positions)
    without = with_modes(design, params, found.rows, (), new_levels, found.positions)
    eta, fitted = rows.linear_predictor, means(rows)
    columns = {".fitted": fitted, ".resid": np.nan if found.y is None else found.y - fitted, ".fixed": means(without),
               ".mu": eta if family is None else family.mean(eta),
               ".offset": 0.0 if found.rows.offset is None else found.rows.offset}
    if family is not None:
        columns[".eta"] = eta
    complete = slice(None) if found.positions is None else found.positions
    for name, values in columns.items():
        column = np.full(len(table), np.nan)
        column[complete] = values
        table[name] = column
    return table


def _rows(design: MixedDesign, family: Family | None, data: Any,
          offset: ArrayLike | None) -> tuple[RowsWithGaps, pd.DataFrame]:
    """The rows of a table that the formula reads, or those of the fit, with a copy of the table that they are of."""
    if data is not None and design.formula is not None:
        return design.encoder.rows_with_gaps(design, data, offset, asked_groups(design, "all"), family), _pandas(data)
    if offset is not None:
        raise InputError("offset: expected only together with new rows of a model from a formula, those of the fit "
                         "have theirs")
    if data is None:
        return RowsWithGaps(own_rows(design), design.y, None), _model_frame(design)
    table = _pandas(data)
    if len(table) != design.n_rows_given:
        raise InputError(f"data: expected a table of the {design.n_rows_given} rows that the arrays of the model had, "
                         f"got {len(table)}; predict(newdata) takes new ones")
    return RowsWithGaps(own_rows(design), design.y, design.rows), table


def _model_frame(design: MixedDesign) -> pd.DataFrame:
    """The columns that the design has of the user's data, in the rows of the fit, which the index numbers."""
    import pandas as pd

    columns: dict[str, Any] = {design.response_name: design.y}
    if design.formula is None:
        columns |= {name: x for name, x in zip(design.coefficient_names, design.X.T, strict=True) if name != INTERCEPT}
    else:
        columns |= {variable.name: variable.values for variable in design.encoder.fixed_variables()}
    columns |= {factor.name: Categorical(factor.codes, factor.levels) for factor in design.factors}
    for term in design.terms:
        for name, x in zip(term.columns, term.data, strict=True):
            if x is not None:
                columns.setdefault(name, x)
    columns |= {f"({name})": x for name, x in (("weights", design.weights), ("offset", design.offset)) if x is not None}
    return pd.DataFrame(
        {name: pd.Categorical.from_codes(x.codes, pd.Index(x.levels), x.ordered) if isinstance(x, Categorical) else x
         for name, x in columns.items()}, index=design.rows)


def _pandas(data: Any) -> pd.DataFrame:
    """A copy of any table."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data.copy()
    if not isinstance(data, Mapping):
        table: pd.DataFrame = arrow_table(data, "data").to_pandas()
        return table
    try:
        return pd.DataFrame(dict(data))
    except ValueError as error:
        raise InputError(f"data: expected columns of equal length, got {error}") from None
