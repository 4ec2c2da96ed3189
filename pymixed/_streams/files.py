"""Sums over rows in one file, in which nothing can execute.

Encoding rows evaluates the formula's expressions, so that of a file may have nothing but columns, operators, numbers
and the functions that formulas know.
"""
from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._archives import read_archive, write_archive
from .._from_formula import parse_for
from .._saved.plain import from_json, to_json
from .._saved.safety import UnsafeFormulaError, check_formula
from ..errors import InputError
from .encoding import Recipe, StreamEncoding
from .levels import ColumnLevels
from .statistics import Statistics
from .sums import NumberSums, StreamedSums

FORMAT = 1


def write_statistics(statistics: Statistics, path: str | os.PathLike[str]) -> None:
    """Write everything; see `CrossProducts.save`."""
    recipe = statistics.encoding.recipe
    stored: dict[str, Any] = {}
    header = {
        "formula": recipe.formula, "weights": recipe.weights, "offset": recipe.offset,
        "na_action": recipe.na_action, "ordered": recipe.ordered, "labelled": recipe.labelled,
        "contrasts": {name: to_json(contrast, f"contrasts[{name!r}]") for name, contrast in recipe.contrasts.items()},
        "state": {name: to_json(state, f"state of {name}") for name, state in recipe.state.items()},
        "levels": {name: to_json(levels, f"levels[{name!r}]") for name, levels in recipe.levels.items()},
        "sample": {name: values.tolist() for name, values in recipe.sample.items()},
        "max_levels": [None if np.isinf(limit) else int(limit) for limit in statistics.max_levels],
        "n_dropped": statistics.n_dropped,
        "groups": {name: _group(table, stored) for name, table in statistics.levels.columns.items()},
        "sums": _sums(statistics.sums, stored)}
    _check(recipe)
    for i, table in enumerate(statistics.levels.crossed.values()):
        stored[f"crossed.{i}"] = np.array(table.keys, np.int64)
    if statistics.products is not None:
        stored |= {f"products.{name}": values for name, values in statistics.products.state().items()}
    write_archive(path, FORMAT, header, stored)


def read_statistics(path: str | os.PathLike[str]) -> Statistics:
    """Read what `write_statistics` wrote; see `CrossProducts.load`."""
    return read_archive(path, FORMAT, _statistics, "cross-products", "CrossProducts.save", (UnsafeFormulaError,))


def _check(recipe: Recipe) -> None:
    """Refuse a formula that could do anything else than compute."""
    check_formula(parse_for(recipe.formula, None, None), {*recipe.levels, *recipe.sample})


def _statistics(header: Mapping[str, Any], stored: Mapping[str, Any]) -> Statistics:
    recipe = Recipe(
        header["formula"], {name: from_json(contrast) for name, contrast in header["contrasts"].items()},
        header["weights"], header["offset"], header["na_action"],
        {name: from_json(levels) for name, levels in header["levels"].items()}, tuple(header["ordered"]),
        tuple(header["labelled"]), {name: from_json(state) for name, state in header["state"].items()},
        {name: np.array(values, np.float64) for name, values in header["sample"].items()})
    _check(recipe)
    limits = [np.inf if limit is None else limit for limit in header["max_levels"]]
    statistics = Statistics(StreamEncoding(recipe), limits)
    for name, table in statistics.levels.columns.items():
        _fill(table, header["groups"][name], stored)
    for i, crossed in enumerate(statistics.levels.crossed.values()):
        crossed.fill(stored[f"crossed.{i}"].tolist())
    state = {name.removeprefix("products."): values for name, values in stored.items() if name.startswith("products.")}
    statistics.products = _core.CrossProducts.from_state(state) if state else None
    statistics.sums, statistics.n_dropped = _sums_of(header["sums"], stored), header["n_dropped"]
    n_levels = [len(counts) for counts in statistics.counts] if state else statistics.levels.n_levels
    if len(limits) != len(n_levels) or n_levels != statistics.levels.n_levels:
        raise ValueError("the parts of the file do not belong together")
    return statistics


# ---- labels --------------------------------------------------------------------------------------------------------

def _labels(labels: list[Any], name: str, stored: dict[str, Any], dates: bool) -> dict[str, Any]:
    """Labels as an array of numbers or a list of texts."""
    if labels and isinstance(labels[0], str):
        stored[name] = labels
        return {"array": name, "kind": "strings"}
    values = np.array(labels)
    if values.dtype.kind not in "iufb":
        raise InputError(f"{name}: expected strings, numbers, booleans or dates, got labels of another kind, which no "
                         "file can hold")
    stored[name] = values
    return {"array": name, "kind": "dates" if dates else "numbers"}


def _label_list(entry: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Any]:
    labels = stored[entry["array"]]
    return list(labels if entry["kind"] == "strings" else labels.tolist())


def _label_array(entry: Mapping[str, Any], stored: Mapping[str, Any]) -> NDArray[Any]:
    labels = _label_list(entry, stored)
    if entry["kind"] == "dates":
        return np.array(labels, np.int64).view("M8[ns]")
    return np.array(labels, object if entry["kind"] == "strings" else None)


def _group(table: ColumnLevels, stored: dict[str, Any]) -> dict[str, Any]:
    dates = table.kind == "dates"
    declared = None
    if table.declared is not None:
        declared = _labels(table.declared.tolist(), f"declared.{table.name}", stored, False)
    return {"labels": _labels(table.labels, f"labels.{table.name}", stored, dates), "kind": table.kind,
            "unit": table.unit, "declared": declared}


def _fill(table: ColumnLevels, entry: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    declared = None if entry["declared"] is None else _label_array(entry["declared"], stored)
    table.fill(_label_list(entry["labels"], stored), entry["kind"], declared, entry["unit"])


# ---- sums ----------------------------------------------------------------------------------------------------------

def _sums(sums: StreamedSums, stored: dict[str, Any]) -> dict[str, Any]:
    stored |= {"sums.shift": sums.shift, "sums.x": sums.x, "sums.xx": sums.xx}
    stored |= {f"sums.products.{i}": products for i, products in enumerate(sums.products)}
    numbers = {name: asdict(number) for name, number in sums.variables.items()}
    return {"n": sums.n, "weight": sums.weight, "offset": sums.offset, "weighted": sums.weighted,
            "response": asdict(sums.response), "variables": numbers, "n_terms": len(sums.products)}


def _sums_of(entry: Mapping[str, Any], stored: Mapping[str, Any]) -> StreamedSums:
    return StreamedSums(
        stored["sums.shift"], stored["sums.x"], stored["sums.xx"],
        [stored[f"sums.products.{i}"] for i in range(entry["n_terms"])],
        {name: _number(values) for name, values in entry["variables"].items()},
        entry["n"], entry["weight"], entry["offset"], entry["weighted"], _number(entry["response"]))


def _number(values: Mapping[str, Any]) -> NumberSums:
    few = values["few"]
    return NumberSums(values["total"], values["low"], values["high"], None if few is None else tuple(few))
