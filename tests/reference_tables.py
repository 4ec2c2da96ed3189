"""R's tables of terms, comparisons and marginal means in tests/reference_inference/tables.json, with their data."""

import functools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pymixed as pm
from pymixed.errors import PymixedWarning


@functools.cache
def tables() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "reference_inference" / "tables.json").read_text())


@functools.cache
def data(empty: bool = False) -> pd.DataFrame:
    frame = pd.DataFrame(tables()["data"])
    return frame.iloc[tables()["empty_rows"]] if empty else frame


@functools.cache
def fit(formula: str, empty: bool = False, reml: bool = True, coded: bool = False, **columns: str) -> Any:
    """`pm.lmer` on the data, sum and Helmert contrasts with `coded`; warnings are not the point here."""
    contrasts = {"a": "sum", "b": "helmert", "c": "sum"} if coded else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return pm.lmer(formula, data(empty), reml=reml, **columns,
                       contrasts={name: coding for name, coding in contrasts.items() if name in formula})


def numbers(values: Any) -> Any:
    """A column of R's as an array, NaN where R has NA."""
    return np.array([np.nan if value in (None, "NA", "NaN") else np.inf if value == "Inf" else value
                     for value in values], float)


def gap(ours: Any, theirs: Any, unit: Any = 1.0) -> float:
    """Largest |ours - theirs| / unit; NaN only in the same places."""
    ours, theirs = np.asarray(ours, float), numbers(theirs)
    assert ours.shape == theirs.shape
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        gaps = np.where(ours == theirs, 0.0, np.abs(ours - theirs) / unit)  # infinities are equal
    return float(np.nanmax(gaps, initial=0.0))


def relative(ours: Any, theirs: Any) -> float:
    return gap(ours, theirs, np.maximum(np.abs(numbers(theirs)), 1e-300))


def p_gap(ours: Any, theirs: Any) -> float:
    """Error of p-values relative to what an error of the statistic or its degrees of freedom moves."""
    p = numbers(theirs)
    return gap(ours, theirs, p * np.maximum(1.0, -np.log(np.maximum(p, 1e-300))) + 1e-12)
