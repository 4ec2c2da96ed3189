"""The benchmark cases: what is fitted, on which data, and how much faster than the peers pymixed is to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
        A synthetic design of ``benchmark_data.CASES``, else one of pymixed's data sets.
    formula : str
        The model, fitted by REML.
    fixed : tuple of str
        Columns of X after the intercept; a factor of two levels stands for its indicator.
    random : Mapping[str, tuple of str]
        Grouping column -> terms, ``"1"`` being the intercept.
    goal_lme4, goal_glmm : float
        How many times faster pymixed is to be.
    """

    name: str
    formula: str
    fixed: tuple[str, ...]
    random: Mapping[str, tuple[str, ...]]
    goal_lme4: float
    goal_glmm: float

    def table(self) -> pd.DataFrame:
        """Make the table; groups of the synthetic designs are integers, factors of the data sets are categorical."""
        import pandas as pd

        if self.name in benchmark_data.CASES:
            return pd.DataFrame(benchmark_data.make(self.name)[1])
        from pymixed import datasets

        return datasets.load(self.name)

    def arrays(self, table: pd.DataFrame) -> dict[str, object]:
        """Make the arguments of ``pymixed.lmm``; groups are integer codes."""
        response = self.formula.split(" ~ ")[0]
        columns = [_numbers(table[name]) for name in self.fixed]
        slopes = {name for terms in self.random.values() for name in terms if name != "1"}
        return {
            "y": _numbers(table[response]),
            "X": np.column_stack([np.ones(len(table)), *columns]),
            "groups": {group: _codes(table[group]) for group in self.random},
            "random_effects": {group: list(terms) for group, terms in self.random.items()},
            "random_data": {name: _numbers(table[name]) for name in sorted(slopes)} or None,
        }


def _codes(column: pd.Series) -> np.ndarray:
    return (column.cat.codes if column.dtype == "category" else column).to_numpy()


def _numbers(column: pd.Series) -> np.ndarray:
    return _codes(column).astype(float)


_BIG = ("x", "x2", "x3", "x4")

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
    )
}
