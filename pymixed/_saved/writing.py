"""A fitted model as one file; `reading` gives it back.

An archive of the core (csrc/include/pymixed/archive.hpp) with these entries: ``format``, ``kind`` (``"lmm"``,
``"glmm"``), ``coefficients``, ``coefficient_names``, ``vcov``, ``theta``, ``sigma``, ``factors``, ``levels.I``,
``modes.I``, ``terms.factor``, ``terms.J.columns``, ``terms.J.structure``, ``products.NAME`` (the state of the
cross-products Z'WZ, Z'WX, ...), of a generalized model ``family``, ``link``, ``family.parameters``,
``zi.coefficients``: all that predictions need, in any language. The other arrays and the JSON text ``header`` are what
else results tell. With rows, ``rows.NAME``; rows that groups were updated from, ``updates.K.NAME``.
"""
from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np

from .._archives import write_archive
from .._categorical import Categorical
from .._common import GLMMParams, LMMParams, Result
from .._engine import Criterion
from .._family import Family
from .._frames import Column
from .._updates import GroupRows, UpdatedCriterion
from ..design import MixedDesign
from .encoders import encoder_to_json
from .plain import label_kind, labels_to_texts, to_json
from .rowless import HeldSums
from .values import Values, family_to_json, params_to_values, result_to_json, rows_to_values

FORMAT = 1


def write_model(path: str | os.PathLike[str], result: Result[Any], design: MixedDesign, engine: Criterion,
                family: Family | None, point: np.ndarray[Any, np.dtype[np.float64]], held: Values, slim: bool) -> None:
    """Write a fit; `point` are the parameters of its criterion at the estimates, `held` numbers from its rows."""
    params, with_rows = result.params, design.has_rows and not slim
    updates: list[GroupRows] = []
    while isinstance(engine, UpdatedCriterion):
        updates.insert(0, engine.rows)
        engine = engine.base
    content, arrays = params_to_values(params, with_rows)
    header: Values = {
        "params": content, "result": result_to_json(result), "options": to_json(engine.options(), "options"),
        "family": None if family is None else family_to_json(family),
        "encoder": encoder_to_json(design, with_rows), "held": to_json(held, "held"),
        "design": {"n": design.n, "n_rows_given": design.n_rows_given, "response_name": design.response_name,
                   "formula": design.formula, "names": design.coefficient_names, "zi_names": design.zi_names,
                   "levels": [label_kind(factor.levels) for factor in design.factors]}}
    entries: Values = {
        "kind": "lmm" if isinstance(params, LMMParams) else "glmm",
        "coefficient_names": list(params.coefficient_names),
        "sigma": np.array([params.residual_std if isinstance(params, LMMParams) else 1.0]),
        "factors": [factor.name for factor in design.factors],
        "terms.factor": np.array([term.factor for term in design.terms], np.int32)}
    for i, factor in enumerate(design.factors):
        entries[f"levels.{i}"] = labels_to_texts(factor.levels, f"levels of {factor.name!r}")
    for j, term in enumerate(design.terms):
        entries |= {f"terms.{j}.columns": list(term.columns), f"terms.{j}.structure": term.structure}
    if isinstance(params, GLMMParams) and family is not None:
        entries |= {"family": family.name, "link": family.link.core_name, "zi.coefficients": params.zi_coefficients,
                    "family.parameters": np.array(list(params.family_parameters.values()), np.float64)}
    if with_rows:
        entries |= _rows(design, header)
    else:
        entries |= {f"products.{name}": values for name, values in engine.products(point).state().items()}
        entries |= {f"sums.{name}": values for name, values in _sums(HeldSums.of(design)).items()}
    for k, update in enumerate(updates):
        entries |= {f"updates.{k}.{name}": values for name, values in _updated(update).items()}
    write_archive(path, FORMAT, header, {**arrays, **entries})


def _sums(sums: HeldSums) -> Values:
    entries = asdict(sums)
    for name in ("products", "root_squares"):
        entries |= {f"{name}.{i}": values for i, values in enumerate(entries.pop(name))}
    return {name: np.atleast_1d(values) for name, values in entries.items()}


def _rows(design: MixedDesign, header: Values) -> Values:
    entries = rows_to_values(design)
    columns: dict[str, Column] = getattr(design.encoder, "fixed_columns", {})
    header["columns"] = {}
    for name, column in columns.items():
        if isinstance(column, Categorical):
            entries[f"column.{name}"] = column.codes
            header["columns"][name] = {"levels": labels_to_texts(column.levels, name),
                                       "kind": label_kind(column.levels), "ordered": column.ordered}
        else:
            entries[f"column.{name}"], header["columns"][name] = column, None
    return {f"rows.{name}": values for name, values in entries.items()}


def _updated(update: GroupRows) -> Values:
    levels = {f"levels.{i}": places for i, places in enumerate(update.levels)}
    return {**rows_to_values(update.design), **levels,
            "n_levels": np.array([len(labels) for labels in update.all_levels], np.int64)}
