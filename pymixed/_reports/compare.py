"""Several fitted models side by side."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from .._common import GLMMParams, LMMParams
from .._described_solution import DescribedSolution
from .._tables import INDENT, RULE, STARS_LEGEND, Cells, Table, format_together, stars_of
from ..errors import InputError, InputTypeError
from .parameters import RandomParameter, random_parameters, zero_inflation

if TYPE_CHECKING:
    import pandas as pd

Model: TypeAlias = DescribedSolution[Any]

PARTS = {"fixed": "Fixed effects", "zi": "Zero inflation (logit)", "ran_pars": "Random effects",
         "residual": "Residual", "data": "Data", "fit": "Fit"}
NO_COMPARISON = "log-likelihoods, AIC and BIC do not compare"


class Row(NamedTuple):
    """What a row of the table is of.

    Attributes
    ----------
    part : str
        Key of `PARTS`.
    term, label : str
        Its name in data frames and in print.
    style : str
        Format of its numbers; empty where those of a model in the part share their decimals.
    """

    part: str
    term: str
    label: str
    style: str = ""


class Entry(NamedTuple):
    """What a model has in a row: a number, of a coefficient its standard error and p-value, else NaN."""

    estimate: float
    se: float = np.nan
    p_value: float = np.nan

    @property
    def numbers(self) -> list[float]:
        """Those in print."""
        return [self.estimate] if np.isnan(self.se) else [self.estimate, self.se]

    def cell(self, texts: Sequence[str], stars: bool) -> str:
        """The entry in print, `texts` being its numbers."""
        estimate, *se = texts
        cell = f"{estimate} ({se[0]})" if se else estimate
        return f"{cell} {stars_of(self.p_value):3}" if se and stars else cell


Column: TypeAlias = dict[Row, Entry]
"""What a model has."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Fitted models side by side: text when printed, a table in a notebook, Markdown and LaTeX for documents.

    Attributes
    ----------
    columns : mapping
        Entries by row, of every model by name.
    notes : tuple of str
        What the models are, and what a reader of the table should know.
    stars : bool
        Whether print has stars for p-values.
    """

    columns: Mapping[str, Column]
    notes: tuple[str, ...]
    stars: bool = False

    @property
    def rows(self) -> list[Row]:
        """All rows by parts, those of a part in the order in which the models bring them."""
        found = dict.fromkeys(row for column in self.columns.values() for row in column)
        return sorted(found, key=lambda row: list(PARTS).index(row.part))

    @property
    def table(self) -> Table:
        """The table in print."""
        lines: list[Cells] = []
        for part, title in PARTS.items():
            rows = [row for row in self.rows if row.part == part]
            if rows:
                cells = [self._cells(rows, column) for column in self.columns.values()]
                lines.append((title, *[""] * len(cells)))
                lines.extend(zip([INDENT + row.label for row in rows], *cells, strict=True))
        legend = [STARS_LEGEND] if self.stars else []
        return Table(("", *self.columns), tuple(lines), footer="\n".join([RULE, *legend, *self.notes]))

    def _cells(self, rows: Sequence[Row], column: Column) -> list[str]:
        """Cells of a model in rows of a part."""
        together = iter(format_together(
            value for row in rows if row in column and not row.style for value in column[row].numbers))
        return [entry.cell([format(value, row.style) if row.style else next(together) for value in entry.numbers],
                           self.stars) if (entry := column.get(row)) else "" for row in rows]

    def __str__(self) -> str:
        return str(self.table)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table._repr_html_()

    def to_markdown(self) -> str:
        """The table in Markdown with pipes, as GitHub, Jupyter and pandoc read it."""
        return self.table.to_markdown()

    def to_latex(self) -> str:
        """The table as a LaTeX tabular, with the rules of the package booktabs."""
        return self.table.to_latex()

    def to_pandas(self) -> pd.DataFrame:
        """The numbers.

        Returns
        -------
        DataFrame
            A row per ``part`` (``fixed, zi, ran_pars, residual, data, fit``) and ``term``, parameters by their names in
            `conf_int`; per model the columns ``estimate, std.error``. NaN where a model has no such number.
        """
        import pandas as pd

        rows, nothing = self.rows, Entry(np.nan)
        values = [[value for column in self.columns.values() for value in column.get(row, nothing)[:2]]
                  for row in rows]
        index = pd.MultiIndex.from_tuples([(row.part, row.term) for row in rows], names=["part", "term"])
        columns = pd.MultiIndex.from_product([list(self.columns), ["estimate", "std.error"]], names=["model", None])
        return pd.DataFrame(values, index=index, columns=columns)


def compare(*models: Model, names: Sequence[str] | None = None, stars: bool = False) -> Comparison:
    """Lay fitted models out side by side.

    Parameters
    ----------
    *models : LMMSolution or GLMMSolution
        Of any kinds and formulas.
    names : sequence of str, optional
        Of the models; ``(1)``, ``(2)``, ... by default.
    stars : bool
        Whether print marks the p-values of coefficients with stars.

    Returns
    -------
    Comparison
        Coefficients with their standard errors in brackets; standard deviations and correlations of the random effects,
        sigma, estimated parameters of the family; numbers of rows and groups, log-likelihood (restricted after REML),
        AIC, BIC, and the R² of `r2` where it is defined. It prints itself, and has `to_markdown`, `to_latex` and
        `to_pandas`. Its notes name the formulas, and say where likelihoods do not compare, fits are singular or did not
        converge.

    Raises
    ------
    InputError, InputTypeError
        If there is no model, one is no fit, or the names are not one for each, all different.

    Examples
    --------
    >>> import pymixed as pm
    >>> data = pm.datasets.load("sleepstudy")
    >>> intercepts = pm.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    >>> slopes = pm.lmer("Reaction ~ Days + (Days | Subject)", data, reml=False)
    >>> pm.compare(intercepts, slopes)
                                                    (1)             (2)
    Fixed effects
      (Intercept)                     251.4051 (9.5062) 251.405 (6.632)
      Days                             10.4673 (0.8017)  10.467 (1.502)
    Random effects
      SD (Intercept) | Subject                    36.01          23.781
      Cor (Intercept), Days | Subject                              0.08
      SD Days | Subject                                           5.717
    Residual
      SD                                          30.90           25.59
    Data
      Observations                                  180             180
      Groups: Subject                                18              18
    Fit
      Log-likelihood                             -897.0          -876.0
      AIC                                        1802.1          1763.9
      BIC                                        1814.9          1783.1
      R² marginal                                 0.288           0.288
      R² conditional                              0.698           0.793
    ---
    (1): linear, maximum likelihood, Reaction ~ Days + (1 | Subject)
    (2): linear, maximum likelihood, Reaction ~ Days + (Days | Subject)
    """
    for i, model in enumerate(models):
        if not isinstance(model, DescribedSolution):
            raise InputTypeError(f"models: expected fitted models, got {type(model).__name__} as number {i}")
    if not models:
        raise InputError("models: expected at least one, got none")
    labels = _names(names, len(models))
    columns = {name: _column(model) for name, model in zip(labels, models, strict=True)}
    return Comparison(columns, tuple(_notes(models, labels)), stars)


def _names(names: Sequence[str] | None, n: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"({i})" for i in range(1, n + 1))
    if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise InputTypeError(f"names: expected a string for each model, got {names!r}")
    labels = tuple(names)
    if len(labels) != n or len(set(labels)) != n:
        raise InputError(f"names: expected {n} different names, one for each model, got {list(labels)}")
    return labels


# ---- entries ---------------------------------------------------------------------------------------------------------

def _column(model: Model) -> Column:
    """Everything that a model has."""
    params, inflation = model.params, zero_inflation(model)
    column = {Row("fixed", name, name): Entry(*values) for name, *values in zip(
        params.coefficient_names, params.coefficients.tolist(), params.se.tolist(), params.p_values.tolist(),
        strict=True)}
    if inflation is not None:
        column |= {Row("zi", f"zi.{name}", name): Entry(*values) for name, *values in zip(
            inflation.names, inflation.estimates.tolist(), inflation.se.tolist(), inflation.p_values.tolist(),
            strict=True)}
    column |= {_random_row(parameter): Entry(parameter.value) for parameter in random_parameters(model)}
    column[Row("data", "nobs", "Observations", "d")] = Entry(model.n_obs)
    column |= {Row("data", f"n_groups|{group}", f"Groups: {group}", "d"): Entry(n)
               for group, n in model.n_groups.items()}
    column |= {Row("fit", term, label, ".1f"): Entry(value) for term, label, value in (
        ("logLik", "Log-likelihood", model.log_likelihood), ("AIC", "AIC", model.aic), ("BIC", "BIC", model.bic))}
    return column | _r_squared(model)


def _random_row(parameter: RandomParameter) -> Row:
    name, kind = parameter.name, parameter.kind
    if kind == "family":
        return Row("residual", name, name, ".4g")
    if kind == "sigma":
        return Row("residual", name, "SD")
    columns = f"{', '.join(parameter.columns)} | {parameter.group}"
    return Row("ran_pars", name, f"Cor {columns}", ".2f") if kind == "cor" else Row("ran_pars", name, f"SD {columns}")


def _r_squared(model: Model) -> Column:
    try:
        found = model.r2()
    except InputError:  # zero inflation, a custom family without a variance
        return {}
    return {Row("fit", "r2_marginal", "R² marginal", ".3f"): Entry(found.marginal),
            Row("fit", "r2_conditional", "R² conditional", ".3f"): Entry(found.conditional)}


# ---- notes -----------------------------------------------------------------------------------------------------------

def _notes(models: Sequence[Model], names: Sequence[str]) -> Iterator[str]:
    for name, model in zip(names, models, strict=True):
        design = model._design
        yield f"{name}: {_kind(model)}, {design.formula or f'{design.response_name} from arrays'}"
    yield from _obstacles(models)
    for name, model in zip(names, models, strict=True):
        if model.singularity:
            yield f"{name}: singular fit"
        if not model.converged:
            yield f"{name}: not converged"


def _kind(model: Model) -> str:
    params = model.params
    if isinstance(params, LMMParams):
        return f"linear, {'REML' if params.reml else 'maximum likelihood'}"
    return f"{params.family_name} ({params.link_name}), n_agq={params.n_agq}"


def _obstacles(models: Sequence[Model]) -> Iterator[str]:
    """What keeps the likelihoods from being compared."""
    responses = list(dict.fromkeys(model._design.response_name for model in models))
    if len(responses) > 1:
        yield f"different responses ({', '.join(responses)}): {NO_COMPARISON}"
        return
    sizes = list(dict.fromkeys(model.n_obs for model in models))
    if len(sizes) > 1:
        yield f"different numbers of rows ({', '.join(map(str, sizes))}): {NO_COMPARISON}"
    nodes = list(dict.fromkeys(model.params.n_agq for model in models if isinstance(model.params, GLMMParams)))
    if len(nodes) > 1:
        yield f"different approximations (n_agq {', '.join(map(str, nodes))}): {NO_COMPARISON}"
    restricted = [model for model in models if isinstance(model.params, LMMParams) and model.params.reml]
    if restricted and len(restricted) < len(models):
        yield f"some fitted by REML and some by maximum likelihood: {NO_COMPARISON}"
    if len({frozenset(model.coefficient_names) for model in restricted}) > 1:
        yield f"fitted by REML with different fixed effects: {NO_COMPARISON}; fits with reml=False do"
