"""Mixed models as an estimator of scikit-learn, an optional dependency: ``pip install "pymixed[sklearn]"``."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ._common import Array
from .errors import InputError
from .solution import GLMMSolution, LMMSolution
from .solvers import glmer, lmer

if TYPE_CHECKING:
    import pandas as pd

Self = TypeVar("Self", bound="MixedModelRegressor")


class MixedModelRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Linear or generalized linear mixed model whose grouping factors are columns of X.

    As they are columns, they are cut into folds with the rows: `cross_val_score`, pipelines and searches work as for
    any regressor. Groups that a fold has not seen are predicted with random effects of zero, unless `new_levels` says
    otherwise.

    Parameters
    ----------
    formula : str, optional
        Right-hand side of a formula, ``"~ Days + (Days | Subject)"``, with the names of X's columns; of an array they
        are ``x0``, ``x1``, ... All of them take part where there is none.
    groups : str, int or sequence of them, optional
        Without a formula, columns of X that are grouping factors, by name or position, each with a random intercept.
        All others have fixed effects. With neither formula nor groups there are no random effects: least squares.
    random_effects : mapping, optional
        From names of `groups` to the columns that vary over them, ``{"Subject": ["1", "Days"]}``.
    family : str or Family, optional
        That of a generalized model, see `pymixed.families`; the model is linear without.
    reml : bool
        Whether a linear model is fitted by restricted maximum likelihood.
    re, new_levels
        As in `LMMSolution.predict`; the latter is ``"population"`` by default.

    Attributes
    ----------
    solution_ : LMMSolution, GLMMSolution or None
        The fit; None of least squares.
    coef_ : (p,) array
        Coefficients without the intercept.
    intercept_ : float
        Zero where the model has none.
    coefficient_names_ : tuple of str
        Names of `coef_`.
    n_features_in_ : int
    feature_names_in_ : (n_features,) array
        Where X has names.

    Examples
    --------
    >>> import pymixed as pm
    >>> from pymixed.sklearn import MixedModelRegressor
    >>> from sklearn.model_selection import cross_val_score
    >>> data = pm.datasets.load("sleepstudy")
    >>> model = MixedModelRegressor("~ Days + (Days | Subject)")
    >>> X, y = data[["Days", "Subject"]], data["Reaction"]
    >>> model.fit(X, y).coef_.round(2)
    array([10.47])
    >>> float(cross_val_score(model, X, y, cv=5).mean().round(2))
    0.23
    """

    def __init__(self, formula: str | None = None, groups: str | int | Sequence[str | int] | None = None,
                 random_effects: Mapping[str, Sequence[str]] | None = None, family: Any = None, reml: bool = True,
                 re: str | Sequence[str] = "all", new_levels: str = "population") -> None:
        self.formula, self.groups, self.random_effects = formula, groups, random_effects
        self.family, self.reml, self.re, self.new_levels = family, reml, re, new_levels

    def fit(self: Self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : table or (n, n_features) array
        y : array_like (n,)
        sample_weight : array_like (n,), optional
            Prior weights, positive: a row of a linear model has the residual variance sigma² / weight.

        Returns
        -------
        MixedModelRegressor
            This object.

        Raises
        ------
        InputError, InputTypeError
            What the model cannot be fitted to.
        """
        if self.formula is None and self.groups is None:
            return self._fit_least_squares(X, y, sample_weight)
        validate_data(self, X, skip_check_array=True)
        table = _named(X)
        response = "y"
        while response in table.columns:
            response += "_"
        formula = f"{response} {self._right_side(list(table.columns))}"
        data = table.assign(**{response: np.asarray(y)})
        self.solution_: LMMSolution | GLMMSolution | None = (
            lmer(formula, data, reml=self.reml, weights=sample_weight) if self.family is None else
            glmer(formula, data, family=self.family, weights=sample_weight))
        fixed = self.solution_.fixef()
        self.intercept_ = float(fixed.pop("(Intercept)")) if "(Intercept)" in fixed else 0.0
        self.coef_, self.coefficient_names_ = fixed.to_numpy(), tuple(fixed.index)
        return self

    def predict(self, X: Any) -> Array:
        """Predict means of the response.

        Parameters
        ----------
        X : table or (m, n_features) array

        Returns
        -------
        (m,) array
        """
        check_is_fitted(self)
        if self.solution_ is None:
            checked = validate_data(self, X, reset=False)
            return np.asarray(self.intercept_ + checked @ self.coef_)
        validate_data(self, X, skip_check_array=True, reset=False)
        return self.solution_.predict(_named(X), re=self.re, new_levels=self.new_levels, type="response")

    def _fit_least_squares(self: Self, X: Any, y: Any, sample_weight: Any) -> Self:
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weights.shape != (len(y),) or not weights.any() or (weights < 0).any():
            raise InputError(f"sample_weight: expected {len(y)} weights, one per row, not negative and not all zero")
        x_mean, y_mean = np.average(X, axis=0, weights=weights), float(np.average(y, weights=weights))
        root = np.sqrt(weights)
        self.solution_, self.coefficient_names_ = None, tuple(f"x{j}" for j in range(X.shape[1]))
        self.coef_ = np.linalg.lstsq(root[:, None] * (X - x_mean), root * (y - y_mean), rcond=None)[0]
        self.intercept_ = y_mean - float(x_mean @ self.coef_)
        return self

    def _right_side(self, columns: Sequence[str]) -> str:
        """Formula without the response."""
        if self.formula is not None:
            return self.formula if self.formula.lstrip().startswith("~") else f"~ {self.formula}"
        given = [self.groups] if isinstance(self.groups, (str, int, np.integer)) else list(self.groups or ())
        groups = [self._column(name, columns) for name in given]
        effects = dict(self.random_effects or {})
        if unknown := [name for name in effects if name not in groups]:
            raise InputError(f"random_effects: expected names of groups ({', '.join(map(repr, groups))}), got "
                             f"{unknown[0]!r}")
        fixed = [_quoted(name) for name in columns if name not in groups]
        bars = [f"({' + '.join(_quoted(term) for term in effects.get(name, ['1']))} | {_quoted(name)})"
                if "1" in effects.get(name, ["1"]) else
                f"(0 + {' + '.join(map(_quoted, effects[name]))} | {_quoted(name)})" for name in groups]
        return f"~ {' + '.join(['1', *fixed, *bars])}"

    @staticmethod
    def _column(name: str | int, columns: Sequence[str]) -> str:
        if isinstance(name, str) and name in columns:
            return name
        if not isinstance(name, str) and 0 <= name < len(columns):
            return columns[name]
        raise InputError(f"groups: expected columns of X ({', '.join(map(repr, columns[:10]))}) or their positions, "
                         f"got {name!r}")


def _named(X: Any) -> pd.DataFrame:
    """X as a DataFrame with names of columns."""
    import pandas as pd

    if isinstance(X, pd.DataFrame):
        return X
    if hasattr(X, "to_pandas"):
        converted: pd.DataFrame = X.to_pandas()
        return converted
    array = np.asarray(X)
    return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])


def _quoted(name: str) -> str:
    return name if name == "1" else f"`{name}`"
