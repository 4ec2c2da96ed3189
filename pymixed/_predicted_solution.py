"""Predictions of a fitted model: the methods of a solution that say what new rows have."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array, P, check_choice
from ._inference.intervals import normal_quantile
from ._joint import JointCovariance
from ._prediction import NEW_LEVELS, PredictedRows, asked_groups, predicted_rows, with_modes
from ._saved_solution import SavedSolution
from ._updates import UpdatedCriterion, group_rows
from .errors import InputError, InputTypeError

if TYPE_CHECKING:
    import pandas as pd

Self = TypeVar("Self", bound="PredictedSolution[Any]")

TYPES = ("link", "response", "marginal")
INTERVALS = ("confidence", "prediction")


class Uncertainty(NamedTuple):
    """Predictions with their standard errors and, if wanted, limits and degrees of freedom, each (m,)."""

    estimate: Array
    se: Array
    limits: tuple[Array, Array] | None
    df: Array | None


@dataclass(frozen=True, eq=False, repr=False)
class PredictedSolution(SavedSolution[P]):
    """A fitted mixed model with its predictions; see the two kinds."""

    @overload
    def predict(self, newdata: Any = None, re: str | Iterable[str] = "all", new_levels: str = "error",
                type: str = "link", se: Literal[False] = False, interval: None = None, level: float = 0.95,
                offset: ArrayLike | None = None) -> Array: ...
    @overload
    def predict(self, newdata: Any = None, re: str | Iterable[str] = "all", new_levels: str = "error",
                type: str = "link", se: bool = ..., interval: str | None = None, level: float = 0.95,
                offset: ArrayLike | None = None) -> Array | pd.DataFrame: ...

    def predict(self, newdata: Any = None, re: str | Iterable[str] = "all", new_levels: str = "error",
                type: str = "link",  # noqa: A002  R's name
                se: bool = False, interval: str | None = None, level: float = 0.95,
                offset: ArrayLike | None = None) -> Array | pd.DataFrame:
        """Predict the linear predictor or the mean of the response, with its uncertainty if wanted.

        Parameters
        ----------
        newdata : table, optional
            Rows to predict for, any table that the fit accepts, without a response; the rows of the fit by default.
        re : str or iterable of str
            Random effects to add: ``"all"``, ``"none"``, or the names of grouping factors.
        new_levels : str
            What a level that the fit has not seen gives: ``"error"``; ``"population"``, the prediction with its random
            effects at zero; ``"missing"``, NaN.
        type : str
            ``"link"``: the linear predictor offset + Xβ + Zb. ``"response"``: the mean of the response given these
            random effects, zero inflation included. ``"marginal"``: the mean over the population, integrated over all
            random effects; grouping factors need not be there. All the same for a linear model but for the random
            effects that ``"marginal"`` leaves out.
        se : bool
            Whether standard errors are wanted.
        interval : str, optional
            ``"confidence"``: for x'β + z'b or the mean that belongs to it. ``"prediction"``: for a new response of
            weight one (rows of the fit: of their weight), whose random effects that are not asked for are those of new
            groups; of a generalized model with ``type="response"`` or ``"marginal"``.
        level : float
            Probability of the intervals, between 0 and 1.
        offset : array_like (rows,), optional
            That of the new rows, where the fit was given its own as an array.

        Returns
        -------
        (rows,) array, or DataFrame with `se` or `interval`
            Columns ``estimate``, ``se`` and with an interval ``lower, upper``, of a linear model ``df`` before them;
            index that of `newdata` if it is pandas'.

        Raises
        ------
        InputError, InputTypeError
            If a choice is unknown, a column or value is missing, a level of a fixed factor is not one of the fit's, or
            one of a grouping factor is unseen with ``new_levels="error"``.

        Notes
        -----
        The errors of coefficients and random effects have the joint covariance of Henderson's mixed-model equations
        with theta held; random effects of new levels add the variance between groups, z'Σz. Intervals of a linear model
        are t intervals with Satterthwaite's degrees of freedom of that variance; those of a generalized model are
        normal on the scale of the linear predictor and brought to that of the response, of new responses quantiles of
        the family's distribution averaged over this error.

        References
        ----------
        Henderson (1975), Biometrics 31(2). Robinson (1991), Statist. Sci. 6(1). Giesbrecht & Burns (1985), Biometrics
        41(2), for the degrees of freedom.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> new = {"Days": [10, 10], "Subject": ["308", "new"]}
        >>> fit.predict(new, new_levels="population").round(2).tolist()
        [450.33, 356.08]
        >>> fit.predict(new, new_levels="population", interval="prediction").round(1)
           estimate    se     df  lower  upper
        0     450.3  15.9  157.5  390.9  509.8
        1     356.1  67.6   19.5  205.1  507.1
        """
        check_choice("type", type, TYPES)
        check_choice("new_levels", new_levels, NEW_LEVELS)
        if not isinstance(se, (bool, np.bool_)):
            raise InputTypeError(f"se: expected True or False, got {se!r}")
        if interval is not None:
            check_choice("interval", interval, INTERVALS)
            normal_quantile(level)  # checks it
        marginal = type == "marginal"
        if marginal and re != "all":
            raise InputError(f"re: expected 'all' with type='marginal', which integrates over them, got {re!r}")
        groups = () if marginal else asked_groups(self._design, re)
        every_effect = marginal or interval == "prediction"
        rows = predicted_rows(self._design, self.params, newdata, groups, new_levels, offset,
                              [factor.name for factor in self._design.factors] if every_effect else None)
        if interval is None and not se:
            return self._means(rows, type)
        return _table(self._uncertain(rows, type, interval, level, newdata is None), newdata)

    def update_groups(self: Self, newdata: Any, weights: ArrayLike | str | None = None,
                      offset: ArrayLike | None = None) -> Self:
        """Learn the random effects of new or changed groups from their rows, without fitting again.

        Coefficients, variances and the family's parameters stay. The levels of all grouping factors that occur in the
        rows get the conditional modes that these rows alone give, together, where they had others or none before; the
        other levels keep theirs.

        Parameters
        ----------
        newdata : table
            Rows with their responses, all that are known of these levels; rows that lack a value are left out.
        weights : array_like (rows,) or str, optional
            Prior weights, needed where the model has them; counts of successes and failures bring their trials.
        offset : array_like (rows,), optional
            That of the rows, where the fit was given its own as an array.

        Returns
        -------
        LMMSolution or GLMMSolution
            The model with these modes, for `predict` (with its standard errors), `ranef` and `save`; what it tells of
            the fit itself is the fit's.

        Raises
        ------
        InputError, InputTypeError
            A column that is missing or of another kind, a response that the family does not have, or a model that was
            fitted from arrays.

        Examples
        --------
        >>> import pymixed as pm
        >>> data = pm.datasets.load("sleepstudy")
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", data[data["Subject"] != "308"])
        >>> known = fit.update_groups(data[data["Subject"] == "308"])
        >>> known.ranef()["Subject"].loc["308"].round(2).tolist()
        [2.25, 9.77]
        """
        design, family = self._design, self._response_family
        groups = [factor.name for factor in design.factors]
        observed = design.encoder.observed_rows(design, newdata, offset, groups, weights, family)
        if not len(observed.y):
            raise InputError("newdata: expected at least one complete row, got none")
        weighted = design.weights is not None if design.has_rows else design.sums.total_weight != design.n
        if weighted and observed.weights is None:
            raise InputError("weights: the model was fitted with prior weights, expected them for the new rows too")
        rows = with_modes(design, self.params, observed.rows, (), "population")
        if family is not None:
            family.distribution.check_response(observed.y, observed.weights, f"response {design.response_name!r}",
                                               observed.positions)
        found = group_rows(design, observed, rows.X, rows.fixed_part)
        point = self._criterion_point
        modes = found.extended(list(self.random_effects.values()), self._engine.group_modes(point, found.design))
        params = replace(self.params, random_effects=dict(zip(groups, modes, strict=True)),
                         n_groups={name: len(values) for name, values in zip(groups, modes, strict=True)})
        return replace(self, _result=replace(self._result, params=params), _design=design.with_levels(found.all_levels),
                       _engine=UpdatedCriterion(self._engine, found))

    @abstractmethod
    def _means(self, rows: PredictedRows, scale: str) -> Array:
        """Predictions on one of the scales of `TYPES` (m,)."""

    @abstractmethod
    def _uncertain(self, rows: PredictedRows, scale: str, interval: str | None, level: float,
                   own: bool) -> Uncertainty:
        """The same with their uncertainty; `own` are the rows of the fit."""

    @property
    def _effects_scale(self) -> float:
        """Variance that the relative covariance of the random effects is multiplied with."""
        return 1.0

    @cached_property
    def _joint_covariance(self) -> JointCovariance:
        return JointCovariance(self._engine.effects_covariance(self._criterion_point), self.params.vcov,
                               self._effects_scale)

    def _error_variances(self, rows: PredictedRows, of_new_response: bool) -> Array:
        covariances = [term.matrix for term in self.params.term_covariances]
        return rows.error_variances(self._joint_covariance, covariances, of_new_response)


def _table(found: Uncertainty, newdata: Any) -> pd.DataFrame:
    import pandas as pd

    columns = {"estimate": found.estimate, "se": found.se}
    if found.df is not None:
        columns["df"] = found.df
    if found.limits is not None:
        columns |= dict(zip(("lower", "upper"), found.limits, strict=True))
    return pd.DataFrame(columns, index=newdata.index if isinstance(newdata, pd.DataFrame) else None)
