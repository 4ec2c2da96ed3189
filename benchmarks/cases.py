"""The benchmark cases: what is fitted, on which data, and how much faster than the peers pymixed is to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import benchmark_data
import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Case:
    """A model, as a formula and as the arrays that say the same.

    Attributes
    ----------
    name : str
        A synthetic design of ``benchmark_data.CASES``, else one of pymixed's data sets unless `data` names that.
    formula : str
        The model; a linear one is fitted by REML.
    fixed : tuple of str
        Columns of X after the intercept; a factor stands for the indicators of all levels but the first.
    random : Mapping[str, tuple of str]
        Grouping column -> terms, ``"1"`` being the intercept.
    goal_lme4, goal_glmm : float or None
        How many times faster pymixed is to be; None: no goal.
    family : str
        "gaussian" for a linear model, "binomial" or "poisson" with their default links otherwise.
    n_agq : int
        1: Laplace's approximation; more: nodes of adaptive quadrature.
    data : str
        The data set, where it is not `name`.
    derived : mapping
        Columns that are added to the data set, as functions of its table.
    trials : tuple of str
        Columns of successes and failures, where the response is ``cbind()`` of them.
    """

    name: str
    formula: str
    fixed: tuple[str, ...]
    random: Mapping[str, tuple[str, ...]]
    goal_lme4: float | None = None
    goal_glmm: float | None = None
    family: str = "gaussian"
    n_agq: int = 1
    data: str = ""
    derived: Mapping[str, Callable[[pd.DataFrame], pd.Series]] = field(default_factory=dict)
    trials: tuple[str, ...] = ()

    @property
    def linear(self) -> bool:
        """Whether this is a linear mixed model."""
        return self.family == "gaussian"

    @property
    def small(self) -> Case:
        """A small model of the same kind, which warms the engines."""
        return CASES["sleepstudy" if self.linear else "cbpp"]

    def table(self) -> pd.DataFrame:
        """Make the table; groups of the synthetic designs are integers, factors of the data sets are categorical."""
        import pandas as pd

        if self.name in benchmark_data.CASES:
            return pd.DataFrame(benchmark_data.make(self.name)[1])
        from pymixed import datasets

        return datasets.load(self.data or self.name).assign(**self.derived)

    def arrays(self, table: pd.DataFrame) -> dict[str, object]:
        """Make the arguments of ``pymixed.lmm`` or ``pymixed.glmm``; groups are integer codes."""
        slopes = {name for terms in self.random.values() for name in terms if name != "1"}
        return {
            **self._response(table),
            "X": np.column_stack([np.ones(len(table)), *(_indicators(table[name]) for name in self.fixed)]),
            "groups": {group: _codes(table[group]) for group in self.random},
            "random_effects": {group: list(terms) for group, terms in self.random.items()},
            "random_data": {name: table[name].to_numpy(float) for name in sorted(slopes)} or None,
            **({} if self.linear else {"family": self.family, "n_agq": self.n_agq}),
        }

    def _response(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        if not self.trials:
            return {"y": table[self.formula.split(" ~ ")[0]].to_numpy(float)}
        success, failure = (table[name].to_numpy(float) for name in self.trials)
        return {"y": success / (success + failure), "weights": success + failure}


def _codes(column: pd.Series) -> np.ndarray:
    return (column.cat.codes if column.dtype == "category" else column).to_numpy()


def _indicators(column: pd.Series) -> np.ndarray:
    """One column (n, 1) of numbers, or one per level of a factor but its first."""
    if column.dtype != "category":
        return column.to_numpy(float)[:, None]
    return (_codes(column)[:, None] == np.arange(1, len(column.cat.categories))).astype(float)


_BIG = ("x", "x2", "x3", "x4")
_VERBAGG = {
    "formula": "yes ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
    "fixed": ("Anger", "Gender", "btype", "situ"),
    "random": {"id": ("1",), "item": ("1",)},
    "data": "verbagg",
    "derived": {"yes": lambda table: (table["r2"] == "Y").astype(float)},
}
_CBPP = {
    "formula": "cbind(incidence, healthy) ~ period + (1 | herd)",
    "fixed": ("period",),
    "random": {"herd": ("1",)},
    "family": "binomial",
    "data": "cbpp",
    "derived": {"healthy": lambda table: table["size"] - table["incidence"]},
    "trials": ("incidence", "healthy"),
}

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("sleepstudy", "Reaction ~ Days + (Days | Subject)", ("Days",), {"Subject": ("1", "Days")}, 60, 2),
        Case("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", (), {"plate": ("1",), "sample": ("1",)}, 60, 2),
        Case("pastes", "strength ~ 1 + (1 | batch) + (1 | sample)", (), {"batch": ("1",), "sample": ("1",)}, 60, 2),
        Case(
            "insteval",
            "y ~ service + (1 | s) + (1 | d) + (1 | dept)",
            ("service",),
            {"s": ("1",), "d": ("1",), "dept": ("1",)},
            20,
            4,
        ),
        Case("big_intercept", "y ~ x + x2 + x3 + x4 + (1 | g)", _BIG, {"g": ("1",)}, 100, 5),
        Case("big_slope", "y ~ x + x2 + x3 + x4 + (x | g)", _BIG, {"g": ("1", "x")}, 250, 4),
        Case(
            "nested",
            "y ~ x + x2 + (1 | cl) + (1 | school) + (1 | region)",
            ("x", "x2"),
            {"cl": ("1",), "school": ("1",), "region": ("1",)},
            100,
            5,
        ),
        Case("workers_firms", "y ~ x + (1 | a) + (1 | firm)", ("x",), {"a": ("1",), "firm": ("1",)}, 35, 3),
        Case("crossed_slope", "y ~ x + (x | a) + (1 | b)", ("x",), {"a": ("1", "x"), "b": ("1",)}, 40, 9),
        Case("ratings", "y ~ x + (1 | u) + (1 | i)", ("x",), {"u": ("1",), "i": ("1",)}, 15, 8),
        Case(
            "three_factors",
            "y ~ x + x2 + (1 | a) + (1 | b) + (1 | c)",
            ("x", "x2"),
            {"a": ("1",), "b": ("1",), "c": ("1",)},
        ),
        Case(**_VERBAGG, name="verbagg_linear"),
        Case(**_VERBAGG, name="verbagg", family="binomial", goal_lme4=80, goal_glmm=3),
        Case(**_CBPP, name="cbpp", goal_lme4=100, goal_glmm=2),
        Case(**_CBPP, name="cbpp_agq9", n_agq=9, goal_lme4=100, goal_glmm=2),
        Case(
            "grouseticks",
            "TICKS ~ YEAR + height100 + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
            ("YEAR", "height100"),
            {"BROOD": ("1",), "INDEX": ("1",), "LOCATION": ("1",)},
            60,
            4,
            family="poisson",
            derived={"height100": lambda table: (table["HEIGHT"] - 462) / 100},
        ),
        Case("poisson", "y ~ x + (1 | g)", ("x",), {"g": ("1",)}, 65, 6, family="poisson"),
    )
}
