"""The parameters of a fitted model as a tidy table, a row each, in the columns of R's package broom.mixed."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._bounded_solution import BoundedSolution
from .._common import Array, LMMParams, check_choice
from .._inference.coefficient_tests import t_p_values, t_quantiles
from .._inference.intervals import normal_quantile
from ..errors import InputError, InputTypeError
from .parameters import RandomParameter, random_parameters, random_positions, zero_inflation

if TYPE_CHECKING:
    import pandas as pd

EFFECTS = ("fixed", "ran_pars", "ran_vals")
# All columns in their order; a table has those that its effects have.
COLUMNS = ("effect", "component", "group", "level", "term", "estimate", "std.error", "statistic", "df", "p.value",
           "conf.low", "conf.high")
TEXTS = ("effect", "component", "group", "level", "term")
RESIDUAL = "Residual"  # what the parameters of the conditional distribution are under in `group`


@dataclass(frozen=True)
class Intervals:
    """Which intervals a table is to have; the attributes are the arguments of `ReportedSolution.tidy`."""

    level: float
    method: str
    n: int
    seed: int | None

    def __post_init__(self) -> None:
        check_choice("conf_method", self.method, ("wald", "profile", "bootstrap"))

    @property
    def wald(self) -> bool:
        """Whether they follow from standard errors."""
        return self.method == "wald"


Block = dict[str, Sequence[Any] | Array]


def tidy_table(fit: BoundedSolution[Any], effects: str | Iterable[str], intervals: Intervals | None,
               exponentiate: bool, ddf: str | None) -> pd.DataFrame:
    """The parameters and random effects of a fit; see `ReportedSolution.tidy`."""
    blocks: list[Block] = []
    for effect in _chosen(effects):
        if effect == "ran_vals":
            blocks += _random_values(fit, intervals)
        elif effect == "ran_pars":
            blocks.append(_random_parameters(fit, intervals))
        else:
            found = [_coefficients(fit, intervals, ddf), *_zero_inflation(fit, intervals)]
            blocks += map(_exponentiated, found) if exponentiate else found
    return _bound(blocks)


def _chosen(effects: str | Iterable[str]) -> list[str]:
    """The effects wanted, once each."""
    if not isinstance(effects, (str, Iterable)):
        raise InputTypeError(f"effects: expected names among {', '.join(EFFECTS)}, got {effects!r}")
    chosen = list(dict.fromkeys([effects] if isinstance(effects, str) else effects))
    for effect in chosen:
        check_choice("effects", effect, EFFECTS)
    if not chosen:
        raise InputError("effects: expected at least one, got none")
    return chosen


# ---- a block of rows per effect --------------------------------------------------------------------------------------

def _coefficients(fit: BoundedSolution[Any], intervals: Intervals | None, ddf: str | None) -> Block:
    """The fixed effects, with the tests of the fit or of other degrees of freedom."""
    params = fit.params
    estimates, se = params.coefficients, params.se
    linear = isinstance(params, LMMParams)
    df = params.df_satterthwaite if linear else np.full(estimates.size, np.inf)
    if ddf is not None:
        tests, each = fit._coefficient_tests(ddf), np.eye(estimates.size)
        se, df = tests.se(each), tests.df(each)
    block: Block = {"effect": ["fixed"] * estimates.size, "component": ["cond"] * estimates.size,
                    "term": params.coefficient_names, "estimate": estimates, "std.error": se,
                    "statistic": estimates / se, **({"df": df} if linear else {}),
                    "p.value": t_p_values(estimates / se, df)}
    if intervals is None:
        return block
    if intervals.wald:
        return block | _limits(estimates, se, t_quantiles(0.5 + 0.5 * intervals.level, df))
    return block | _interval_columns(fit, range(estimates.size), intervals)


def _zero_inflation(fit: BoundedSolution[Any], intervals: Intervals | None) -> Iterator[Block]:
    """The coefficients of the model for zero inflation, where there is one."""
    found = zero_inflation(fit)
    if found is None:
        return
    r, last = len(found.names), len(fit._parameter_names)
    block: Block = {"effect": ["fixed"] * r, "component": ["zi"] * r, "term": found.names,
                    "estimate": found.estimates, "std.error": found.se, "statistic": found.estimates / found.se,
                    "p.value": found.p_values}
    if intervals is None:
        yield block
    elif intervals.wald:
        yield block | _limits(found.estimates, found.se, normal_quantile(intervals.level))
    else:
        yield block | _interval_columns(fit, range(last - r, last), intervals)


def _random_parameters(fit: BoundedSolution[Any], intervals: Intervals | None) -> Block:
    """Standard deviations and correlations of the random effects, and the parameters of the response's distribution."""
    parameters = random_parameters(fit)
    k = len(parameters)
    block: Block = {"effect": ["ran_pars"] * k, "component": ["cond"] * k,
                    "group": [parameter.group or RESIDUAL for parameter in parameters],
                    "term": [_term(parameter) for parameter in parameters],
                    "estimate": [parameter.value for parameter in parameters]}
    return block if intervals is None else block | _interval_columns(fit, random_positions(fit), intervals)


def _term(parameter: RandomParameter) -> str:
    if parameter.kind == "family":
        return parameter.name
    return "sd__Observation" if parameter.kind == "sigma" else f"{parameter.kind}__{'.'.join(parameter.columns)}"


def _random_values(fit: BoundedSolution[Any], intervals: Intervals | None) -> Iterator[Block]:
    """The conditional modes of the random effects, a block per grouping factor."""
    modes, covariances = fit.ranef(condvar=True)
    for group, table in modes.items():
        n_levels, n_columns = table.shape
        estimates = table.to_numpy().T.ravel()
        se = np.sqrt(np.diagonal(covariances[group], axis1=1, axis2=2)).T.ravel()
        n = estimates.size
        block: Block = {"effect": ["ran_vals"] * n, "component": ["cond"] * n, "group": [group] * n,
                        "level": np.tile(table.index.to_numpy(object), n_columns),
                        "term": np.repeat(table.columns.to_numpy(object), n_levels), "estimate": estimates,
                        "std.error": se}
        yield block if intervals is None else block | _limits(estimates, se, normal_quantile(intervals.level))


# ---- columns ---------------------------------------------------------------------------------------------------------

def _limits(estimates: Array, se: Array, quantiles: Array | float) -> Block:
    return {"conf.low": estimates - quantiles * se, "conf.high": estimates + quantiles * se}


def _interval_columns(fit: BoundedSolution[Any], positions: range, intervals: Intervals) -> Block:
    """Limits of the parameters at some positions of the fit's."""
    names = fit._parameter_names
    distinct = len(set(names)) == len(names)  # else a name does not say which is meant
    wanted = [names[i] for i in positions] if distinct else None
    if not positions:
        return {"conf.low": np.empty(0), "conf.high": np.empty(0)}
    table = fit.conf_int(intervals.level, intervals.method, wanted, n=intervals.n, seed=intervals.seed).to_numpy()
    low, high = (table if distinct else table[positions.start:positions.stop]).T
    return {"conf.low": low, "conf.high": high}


def _exponentiated(block: Block) -> Block:
    """Coefficients and limits as ratios, standard errors by the delta method; tests are of the coefficients."""
    ratios = {name: np.exp(block[name]) for name in ("estimate", "conf.low", "conf.high") if name in block}
    return block | ratios | {"std.error": ratios["estimate"] * np.asarray(block["std.error"])}


def _bound(blocks: Sequence[Block]) -> pd.DataFrame:
    """Blocks of rows one below the other; what a block has not is missing."""
    import pandas as pd

    has_components = any("zi" in block["component"] for block in blocks)
    columns = [name for name in COLUMNS if any(name in block for block in blocks)
               and (name != "component" or has_components)]
    return pd.DataFrame({name: np.concatenate([_column(block, name) for block in blocks]) for name in columns}
                        ).infer_objects()


def _column(block: Block, name: str) -> Any:
    if name in TEXTS:
        column = np.full(len(block["term"]), None, object)
        column[:] = block.get(name)
        return column
    return np.asarray(block[name]) if name in block else np.full(len(block["term"]), np.nan)
