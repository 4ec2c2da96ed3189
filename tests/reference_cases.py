"""The results of lme4 in tests/reference: a case's data, the call of pymixed that fits it, and lme4's names in ours."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import pymixed as pm

FOLDER = Path(__file__).parent / "reference"

# lme4 1.1 reads (f || g) with a factor f as written here; pymixed, like lme4 2, takes every contrast column apart.
FORMULAS = {"oats_double_bar_factor": "yield ~ nitro * Variety + (1 | Block) + (0 + Variety | Block)"}


@dataclass(frozen=True)
class Case:
    """A file of tests/reference/cases: `spec` is the whole of it, `results` what lme4 found."""

    name: str
    spec: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        return self.spec["results"]

    @property
    def formula(self) -> str:
        return FORMULAS.get(self.name, self.spec["formula"])

    @property
    def unique_theta(self) -> bool:
        """False where the model is over-parameterized: theta and what depends on it alone do not compare."""
        return "theta is not unique" not in (self.spec["note"] or "")

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The data as a user has them: categoricals with R's order of levels."""
        columns = self.spec["columns"]
        factors = {name: str for name, column in columns.items() if column["type"] == "factor"}
        frame = pd.read_csv(FOLDER / self.spec["data"], dtype=factors, usecols=list(columns),
                            na_values=["NA"], keep_default_na=False)
        for name in factors:
            levels = columns[name]["levels"] or sorted(frame[name].unique())
            frame[name] = pd.Categorical(frame[name], levels, ordered=columns[name]["ordered"])
        return frame

    @property
    def model(self) -> dict[str, Any]:
        """Keyword arguments of lmer() and MixedDesign.from_formula() besides formula and data."""
        given = {key: self._column(self.spec[key]) for key in ("weights", "offset")}
        # polynomial contrasts are R's default for ordered factors; pymixed's is treatment
        ordered = [name for name, column in self.spec["columns"].items() if column.get("ordered")]
        return {**given, "contrasts": dict.fromkeys(ordered, "poly") or None}

    def _column(self, name: str | None) -> NDArray[np.float64] | None:
        return None if name is None else self.frame[name].to_numpy(float)

    def fit(self, **changes: Any) -> Any:
        return pm.lmer(self.formula, self.frame, **{**self.model, "reml": self.spec["REML"], **changes})

    @property
    def new_rows(self) -> pd.DataFrame:
        """The rows that `results["predictions"]` are for; the level "NEW" is new."""
        return pd.DataFrame(self.results["predictions"]["newdata"])


def linear_cases() -> list[str]:
    """Names of the linear mixed models."""
    names = (path.stem for path in sorted((FOLDER / "cases").glob("*.json")))
    return [name for name in names if load(name).spec["family"] == "gaussian"]


@functools.cache
def load(name: str) -> Case:
    return Case(name, json.loads((FOLDER / "cases" / f"{name}.json").read_text()))


def plain(name: str) -> str:
    """R's spelling of a column's name: "recipe[T.B]" and "recipeB" are one."""
    return re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", name)


def interaction(name: str) -> tuple[str, ...]:
    """A coefficient's name without the order of an interaction's factors."""
    return tuple(sorted(plain(name).split(":")))


def positions(ours: Iterable[Any], theirs: Sequence[Any], key: Callable[[Any], Any] = plain) -> NDArray[np.intp]:
    """Where each of `theirs` stands in `ours`, which must hold the same names."""
    where = {key(name): i for i, name in enumerate(ours)}
    wanted = [key(name) for name in theirs]
    assert sorted(where) == sorted(wanted)
    return np.array([where[name] for name in wanted], int)
