"""Fits as models of the package marginaleffects, an optional dependency: ``pip install "pymixed[marginaleffects]"``."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from marginaleffects.classes import ModelAbstract, ModelVault

from ._common import Array, check_choice
from ._from_formula import FormulaEncoder
from ._links import Link
from .errors import InputError
from .formula import split_names
from .solution import GLMMSolution, LMMSolution


class MixedModel(ModelAbstract):  # type: ignore[misc]  # marginaleffects ships no types
    """A fitted mixed model for `marginaleffects.predictions`, `comparisons`, `slopes` and `hypotheses`.

    Predictions are those of the fixed effects, random effects being zero; standard errors come from the covariance of
    the coefficients.

    Parameters
    ----------
    solution : LMMSolution or GLMMSolution
        Fitted from a formula, without zero inflation.
    data : table
        The data that it was fitted to, which those functions average over.
    type : str
        Scale of the predictions: ``"response"`` or ``"link"``.

    Raises
    ------
    InputError
        The model was fitted from arrays or has zero inflation.

    Examples
    --------
    With Python 3.12 or later, ``avg_slopes(MixedModel(fit, data))`` averages the derivatives of the mean over the rows
    of the data.
    """

    def __init__(self, solution: LMMSolution | GLMMSolution, data: Any,
                 type: str = "response") -> None:  # noqa: A002  R's name
        check_choice("type", type, ("link", "response"))
        design = solution._design
        if not isinstance(design.encoder, FormulaEncoder):
            raise InputError("solution: expected a fit from a formula, which says what the columns of X are made of")
        if design.zi_names:
            raise InputError("solution: expected a model without zero inflation")
        self._link: Link | None = (solution._family.link if isinstance(solution, GLMMSolution) and type == "response"
                                   else None)
        self._design = design
        self._kept = [name in solution.coefficient_names for name in design.coefficient_names]
        predictors = [variable.name for variable in design.encoder.fixed_variables()]
        names = split_names(design.response_name)[0]
        vault = ModelVault(
            coef=np.array(solution.coefficients), coefnames=np.array(solution.coefficient_names),
            formula=f"{names[0]} ~ {' + '.join(predictors) or '1'}", variable_names=[names[0], *predictors],
            modeldata=_with_categories(data, [*names, *predictors]), package="pymixed")
        super().__init__(solution, vault)

    def get_vcov(self, vcov: Any = True) -> Array | None:
        """Covariance of the coefficients: the model's, or one of the kinds of `vcov` of a solution."""
        if vcov is False or vcov is None:
            return None
        return self.model.vcov() if vcov is True else np.asarray(self.model.vcov(vcov))

    def get_exog(self, newdata: Any) -> Array:
        """X of new rows, and their offset as a last column."""
        rows = self._design.new_rows(newdata, groups=())
        return np.column_stack([rows.X[:, self._kept], np.zeros(len(rows.X)) if rows.offset is None else rows.offset])

    def get_predict(self, params: Array, newdata: Any) -> pl.DataFrame:
        """Predictions at other coefficients."""
        X = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
        eta = X[:, :-1] @ np.asarray(params) + X[:, -1]
        mean = eta if self._link is None else self._link.inverse(eta)
        return pl.DataFrame({"rowid": np.arange(len(mean)), "estimate": mean})


def _with_categories(data: Any, names: Sequence[str]) -> pl.DataFrame:
    """The columns of a table that the model names, strings as categories: marginaleffects takes no strings."""
    table = pl.DataFrame(data)
    table = table.select([name for name in dict.fromkeys(names) if name in table.columns]).drop_nulls()
    return table.with_columns(pl.col(name).cast(pl.Enum(table[name].unique().sort().to_list()))
                              for name, kind in table.schema.items() if kind == pl.String)
