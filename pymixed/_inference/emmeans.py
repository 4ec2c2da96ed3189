"""Estimated marginal means, trends and their contrasts."""
from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._common import Array, MixedParams, check_choice
from .._links import Link
from .._plots.means import ShownMeans, draw_means
from ..design import MixedDesign
from ..errors import EstimabilityWarning, InputError, InputTypeError
from .adjust import ADJUSTMENTS, SIMULTANEOUS, adjusted_p, critical_values
from .coefficient_tests import CoefficientTests
from .contrast_methods import contrast_family
from .contrasts import estimable_rows
from .grid import Margin, ReferenceGrid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

S = TypeVar("S", bound=np.generic)

ZERO_SUM = 1e-10  # sum of the weights of a difference that is rounding

RATIOS = {"log": "ratio", "logit": "odds ratio"}  # what a difference on the link's scale is when it is exponentiated


@dataclass(frozen=True, eq=False)
class Model:
    """What marginal means need of a fitted model.

    Attributes
    ----------
    design : MixedDesign
    params : MixedParams
    tests : CoefficientTests
    link : Link or None
        Between the linear predictor and the mean; None for a linear model.
    """

    design: MixedDesign
    params: MixedParams
    tests: CoefficientTests
    link: Link | None


@dataclass(frozen=True, eq=False, repr=False)
class Estimates(ABC):
    """A table of linear functions of the coefficients, in families of equal size; see the two kinds.

    Indexing it with a column's name gives the column.
    """

    _model: Model
    _labels: Mapping[str, NDArray[Any]]
    _by: tuple[str, ...]
    _functions: Array           # (rows, all columns of X), families one after the other
    _n_family: int
    _scale: str                 # "link" or "response"
    _level: float
    _constant: Array            # added to each (rows,): the offset
    _averaged: tuple[str, ...]

    def __getitem__(self, column: str) -> pd.Series[Any]:
        return self.table[column]

    def __len__(self) -> int:
        return len(self._functions)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a DataFrame of its own."""
        return self.table.copy()

    @property
    @abstractmethod
    def table(self) -> pd.DataFrame:
        """The table, a DataFrame."""

    def __repr__(self) -> str:
        return "\n".join([self.table.to_string(index=False), *self._notes()])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(note)}</p>" for note in self._notes())
        return f"<div>{self.table.to_html(index=False)}{notes}</div>"

    def _notes(self) -> list[str]:
        return [f"averaged over {', '.join(self._averaged)}"] if self._averaged else []

    # ---- numbers -----------------------------------------------------------------------------------------------------

    @cached_property
    def _rows(self) -> tuple[Array, NDArray[np.bool_]]:
        return estimable_rows(self._functions, self._model.design, self._model.params)

    @cached_property
    def _numbers(self) -> tuple[Array, Array, Array]:
        """Estimates, standard errors and degrees of freedom (rows,) on the scale of the linear predictor."""
        rows, good = self._rows
        tests, values = self._model.tests, np.full((3, len(rows)), np.nan)
        # a function without coefficients, as a trend in a variable that is in no term with some level, is known
        some = good & rows.any(axis=1)
        values[:, some] = rows[some] @ tests.coefficients, tests.se(rows[some]), tests.df(rows[some])
        values[0, good & ~some], values[1, good & ~some] = 0.0, 0.0
        values[0] += self._constant
        return values[0], values[1], values[2]

    def _families(self, values: NDArray[S]) -> NDArray[S]:
        return values.reshape(-1, self._n_family)

    def joint(self) -> pd.DataFrame:
        """Test that all estimates are zero, those of every combination of `by` on their own.

        Returns
        -------
        DataFrame
            The columns of `by`, ``num_df, den_df, F, p`` or, for asymptotic tests, ``num_df, chi2, p``. Functions that
            are not estimable take no part; `num_df` is the rank of the others.
        """
        import pandas as pd

        tests, rows, found = self._model.tests, self._rows[0], []
        usable = self._families(self._rows[1] & rows.any(axis=1))
        for i, chosen in enumerate(usable):
            family = rows[i * self._n_family:(i + 1) * self._n_family][chosen]
            label = {name: self._labels[name][i * self._n_family] for name in self._by}
            if not len(family):
                found.append({**label, "num_df": 0})
                continue
            test = tests.joint(family, -self._families(self._constant)[i][chosen])
            found.append({**label, "num_df": test.num_df, **(
                {"chi2": test.num_df * test.statistic} if tests.asymptotic else
                {"den_df": test.den_df, "F": test.statistic}), "p": test.p_value})
        return pd.DataFrame(found)

    def _limits(self, level: float, adjust: str, n_means: int) -> tuple[Array, Array]:
        """Confidence limits on the scale of the linear predictor."""
        estimate, se, df = self._numbers
        width = critical_values(level, self._families(df), adjust, n_means).ravel() * se
        return estimate - width, estimate + width

    def _interval_table(self, level: float | None, adjust: str, n_means: int) -> pd.DataFrame:
        import pandas as pd

        level = self._level if level is None else check_level(level)
        lower, upper = self._back_transformed(*self._limits(level, adjust, n_means))
        columns = {**self._labels, **self._estimate_columns(), "lower": lower, "upper": upper}
        return pd.DataFrame(columns)

    @abstractmethod
    def _estimate_columns(self) -> dict[str, Array]:
        """Estimates, standard errors and degrees of freedom on the scale shown."""

    @abstractmethod
    def _back_transformed(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Limits on the scale shown from those of the linear predictor."""


@dataclass(frozen=True, eq=False, repr=False)
class MarginalMeans(Estimates):
    """Estimated marginal means or trends; returned by `emmeans` and `emtrends` of a solution.

    A table: indexing it with a column's name gives the column, `table` the DataFrame.

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", pm.datasets.load("cake"))
    >>> means = fit.emmeans("recipe")
    >>> means["emmean"].round(2).tolist()
    [33.12, 31.64, 31.6]
    >>> means.pairs()["p"].round(3).tolist()
    [0.82, 0.81, 1.0]
    """

    _name: str
    _specs: tuple[str, ...]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Values of the variables, estimates, `SE`, `df` and confidence limits, a row per combination."""
        return self.conf_int()

    def conf_int(self, level: float | None = None, adjust: str = "none") -> pd.DataFrame:
        """The table with confidence limits of another level or joint ones.

        Parameters
        ----------
        level : float, optional
            That of the table by default.
        adjust : str
            ``"none"``, or ``"sidak"`` or ``"bonferroni"`` for limits that hold for all means of a family together.
        """
        check_choice("adjust", adjust, SIMULTANEOUS)
        _check_tukey(adjust, False)
        return self._interval_table(level, adjust, self._n_family)

    def plot(self, ax: Any = None, **points: Any) -> Axes:
        """Draw the means with their intervals, those of `table`; needs matplotlib.

        Parameters
        ----------
        ax : Axes, optional
            A new figure by default.
        **points
            For `Axes.scatter`, which draws the means.

        Returns
        -------
        Axes
            Combinations of the variables of `specs` from left to right, at their values where there is one and it is a
            number; a colour per combination of those of `by`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", pm.datasets.load("cake"))
        >>> fit.emmeans("recipe").plot().get_xlabel()
        'recipe'
        """
        limits, link = self.table[["lower", "upper"]].to_numpy(float), self._model.link
        response = self._model.design.response_name
        trend = self._name.removesuffix(".trend")
        name = f"Slope of {response} in {trend}" if trend != self._name else f"Marginal mean of {response}"
        scale = "" if link is None or self._scale == "response" else f", {link.name} scale"
        return draw_means(ShownMeans(
            {name: self._labels[name] for name in self._specs}, {name: self._labels[name] for name in self._by},
            len(self) // self._n_family, self.table[self._name].to_numpy(float), limits[:, 0], limits[:, 1],
            f"{name}{scale}", [*Estimates._notes(self), f"{100 * self._level:g}% interval"]), ax, points)

    def _estimate_columns(self) -> dict[str, Array]:
        estimate, se, df = self._numbers
        if self._scale == "response" and self._model.link is not None:
            link = self._model.link
            estimate, se = link.inverse(estimate), se * np.abs(link.inverse_derivative(estimate))
        return {self._name: estimate, "SE": se, "df": df}

    def _back_transformed(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        if self._scale == "link" or self._model.link is None:
            return lower, upper
        limits = self._model.link.inverse(lower), self._model.link.inverse(upper)
        return np.minimum(*limits), np.maximum(*limits)

    def pairs(self, adjust: str = "tukey") -> MarginalContrasts:
        """Differences of all pairs: `contrast` with ``"pairwise"``."""
        return self.contrast("pairwise", adjust=adjust)

    def contrast(self, method: Any = "eff", adjust: str | None = None, reference: Any = None) -> MarginalContrasts:
        """Contrasts of the means of each family, one for every combination of `by`.

        Parameters
        ----------
        method : str, mapping or array_like (m, k)
            ``"pairwise"``, differences of all pairs; ``"trt.vs.ctrl"``, of every mean and the first or `reference`;
            ``"consec"``, of each mean and the one before; ``"eff"``, from their average; ``"poly"``, orthogonal
            polynomials in whole numbers; or weights of the k means, an array or a mapping from names to k weights or to
            weights by level.
        adjust : str, optional
            ``"tukey"`` (pairwise only), ``"sidak"``, ``"bonferroni"``, ``"holm"``, ``"fdr"``, ``"none"``. By default
            tukey for pairs, sidak for consec and trt.vs.ctrl, fdr for eff, none for others.
        reference : label, optional
            Mean that the others are compared with in ``"trt.vs.ctrl"``.

        Returns
        -------
        MarginalContrasts
            With means on the scale of the response and a logarithmic or logit link, ratios or odds ratios.
        """
        exponentiated = self._scale == "response" and self._model.link is not None and self._model.link.name in RATIOS
        family = contrast_family(method, self._mean_names(), reference, "/" if exponentiated else "-")
        adjust = family.adjust if adjust is None else adjust
        check_choice("adjust", adjust, ADJUSTMENTS)
        _check_tukey(adjust, family.pairwise)
        exponentiated = exponentiated and bool(np.abs(family.weights.sum(axis=1)).max() < ZERO_SUM)
        n_by, m = len(self) // self._n_family, len(family.names)
        functions = np.einsum("mk,gkp->gmp", family.weights,
                              self._functions.reshape(n_by, self._n_family, -1)).reshape(n_by * m, -1)
        labels = {"contrast": np.tile(np.array(family.names, object), n_by),
                  **{name: np.repeat(self._labels[name][::self._n_family], m) for name in self._by}}
        constant = (self._families(self._constant) @ family.weights.T).ravel()
        return MarginalContrasts(
            self._model, labels, self._by, functions, m, "response" if exponentiated else "link", self._level, constant,
            self._averaged, adjust, self._n_family, family.pairwise)

    def _mean_names(self) -> list[str]:
        """A label per mean of a family; numbers are preceded by their variable."""
        parts = []
        for name in self._specs:
            values = [str(value) for value in self._labels[name][:self._n_family]]
            parts.append([f"{name}{value}" if _is_number(value) else value for value in values])
        return [" ".join(words) for words in zip(*parts, strict=True)] if parts else ["overall"]

    def _notes(self) -> list[str]:
        notes = [*super()._notes(), f"confidence level {self._level:g}"]
        if self._model.link is not None:
            notes.append(f"scale: {self._scale} ({self._model.link.name} link)")
        return notes


@dataclass(frozen=True, eq=False, repr=False)
class MarginalContrasts(Estimates):
    """Contrasts of marginal means or trends; returned by `MarginalMeans.contrast` and `pairs`.

    A table: indexing it with a column's name gives the column, `table` the DataFrame.
    """

    _adjust: str
    _n_means: int
    _pairwise: bool

    @cached_property
    def table(self) -> pd.DataFrame:
        """``contrast``, the columns of `by`, ``estimate`` (``ratio``, ``odds ratio``), ``SE, df, t`` (``z``) and ``p``.

        The tests are on the scale of the linear predictor, p-values adjusted within each combination of `by`.
        """
        import pandas as pd

        estimate, se, df = self._numbers
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(se > 0, estimate / se, np.nan)
        p = adjusted_p(self._families(t), self._families(df), self._adjust, self._n_means).ravel()
        return pd.DataFrame({**self._labels, **self._estimate_columns(),
                             "z" if self._model.tests.asymptotic else "t": t, "p": p})

    def conf_int(self, level: float | None = None, adjust: str | None = None) -> pd.DataFrame:
        """Confidence limits of the contrasts.

        Parameters
        ----------
        level : float, optional
            That of the means by default.
        adjust : str, optional
            As for the tests; bonferroni where those have no intervals (holm, fdr).
        """
        if adjust is None:
            adjust = self._adjust if self._adjust in SIMULTANEOUS else "bonferroni"
        check_choice("adjust", adjust, SIMULTANEOUS)
        _check_tukey(adjust, self._pairwise)
        return self._interval_table(level, adjust, self._n_means)

    def _estimate_columns(self) -> dict[str, Array]:
        estimate, se, df = self._numbers
        if self._scale == "response" and self._model.link is not None:
            ratio = np.exp(estimate)
            return {RATIOS[self._model.link.name]: ratio, "SE": ratio * se, "df": df}
        return {"estimate": estimate, "SE": se, "df": df}

    def _back_transformed(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        return (np.exp(lower), np.exp(upper)) if self._scale == "response" else (lower, upper)

    def _notes(self) -> list[str]:
        return [*super()._notes(), f"p-values adjusted: {self._adjust}"]


# ---- made by a solution ----------------------------------------------------------------------------------------------

def marginal_means(model: Model, specs: str | Iterable[str], by: str | Iterable[str] | None,
                   at: Mapping[str, Any] | None, scale: str, level: float, weights: str) -> MarginalMeans:
    """See `emmeans` of a solution; warns, for its caller's caller, of means that are not estimable."""
    check_choice("type", scale, ("link", "response"))
    grid = ReferenceGrid(model.design, at)
    names, groups = _names(grid, specs, by)
    margin = grid.margin(names, groups, weights)
    column = "emmean" if scale == "link" or model.link is None else "response"
    return _made(model, margin, names, groups, scale, level,
                 np.full(len(margin.functions), model.design.sums.mean_offset), column)


def marginal_trends(model: Model, specs: str | Iterable[str], var: str, by: str | Iterable[str] | None,
                    at: Mapping[str, Any] | None, level: float, weights: str) -> MarginalMeans:
    """See `emtrends` of a solution; warns, for its caller's caller, of trends that are not estimable."""
    grid = ReferenceGrid(model.design, at)
    grid.covariate(var)
    names, groups = _names(grid, specs, by)
    margin = grid.margin(names, groups, weights, slope_of=var)
    return _made(model, margin, names, groups, "link", level, np.zeros(len(margin.functions)),
                 f"{var}.trend")


def _names(grid: ReferenceGrid, specs: str | Iterable[str],
           by: str | Iterable[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names, groups = grid.names("specs", specs), grid.names("by", by)
    if both := set(names) & set(groups):
        raise InputError(f"by: expected variables that are not in specs, got {', '.join(sorted(both))}")
    return names, groups


def _made(model: Model, margin: Margin, specs: tuple[str, ...], by: tuple[str, ...], scale: str, level: float,
          constant: Array, column: str) -> MarginalMeans:
    means = MarginalMeans(model, margin.labels, by, margin.functions, margin.n_first, scale, check_level(level),
                          constant, margin.averaged, column, specs)
    if not (estimable := means._rows[1]).all():
        unknown = [", ".join(f"{name} {margin.labels[name][i]}" for name in margin.labels)
                   for i in np.flatnonzero(~estimable)[:10]]
        warnings.warn(EstimabilityWarning(
            f"{(~estimable).sum()} of {len(estimable)} means are not estimable, the data have no rows to tell them: "
            f"{'; '.join(unknown)}{'; ...' if (~estimable).sum() > 10 else ''}"), stacklevel=4)
    return means


def check_level(level: float) -> float:
    """A confidence level, refused unless it is between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, (int, float, np.floating)):
        raise InputTypeError(f"level: expected a number between 0 and 1, got {level!r}")
    if not 0.0 < level < 1.0:
        raise InputError(f"level: expected a number between 0 and 1, got {level}")
    return float(level)


def _check_tukey(adjust: str, pairwise: bool) -> None:
    if adjust == "tukey" and not pairwise:
        raise InputError("adjust: 'tukey' is for the differences of all pairs, expected another adjustment")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


