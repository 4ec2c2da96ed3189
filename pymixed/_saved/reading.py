"""A fitted model from its file."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _core
from .._archives import read_archive
from .._categorical import Categorical
from .._common import LMMParams
from .._engine import GeneralizedCriterion
from .._frames import Column
from .._generalized import GeneralizedEngine, GeneralizedOptions
from .._linear import LinearEngine, LinearOptions
from .._updates import GroupRows, UpdatedCriterion
from ..design import MixedDesign
from ..solution import GLMMSolution, LMMSolution
from .criterion import HeldCriterion
from .encoders import encoder_from_json
from .plain import from_json, labels_from_texts
from .rowless import HeldSums, RowlessDesign, RowlessFactor, RowlessTerm
from .safety import UnsafeFormulaError
from .values import (
    TermLayout,
    Values,
    family_from_json,
    params_from_values,
    result_from_json,
    rows_from_values,
)
from .writing import FORMAT

WHY = "the model file holds no rows (save(path, slim=False) keeps them)"


def load(path: str | os.PathLike[str]) -> LMMSolution | GLMMSolution:
    """Read a model that `save` of a solution wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    LMMSolution or GLMMSolution
        With the estimates, tables and predictions of the fit, to the bit. Without rows (``slim=True``), what needs them
        is an `InputError`; a linear model keeps everything that its cross-products give, tests and profiles among it.

    Raises
    ------
    InputError
        The file is no model file, damaged, cut off or of a newer version, or its formula does more than compute.
    OSError
        It cannot be read at all.

    Examples
    --------
    >>> import pymixed as pm, tempfile
    >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(f"{folder}/model.pmx")
    ...     pm.load(f"{folder}/model.pmx").predict({"Days": [10], "Subject": ["308"]}).round(2)
    array([450.33])
    """
    return read_archive(path, FORMAT, _solution, "a model", "save", (UnsafeFormulaError,))


def _solution(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> LMMSolution | GLMMSolution:
    family = None if header["family"] is None else family_from_json(header["family"])
    columns = {name: _column(arrays[f"rows.column.{name}"], labels)
               for name, labels in header.get("columns", {}).items()}
    encoder = encoder_from_json(header["encoder"], family, columns)
    state = _part(arrays, "products.")
    products = _core.CrossProducts.from_state(state) if state else None
    design = (_with_rows(header, arrays, encoder) if products is None else
              _without_rows(header, arrays, encoder, products))
    params = params_from_values(header["params"], arrays, design)
    result = result_from_json(header["result"], params)
    if isinstance(params, LMMParams):
        linear = LinearEngine(design, LinearOptions(**from_json(header["options"])))
        return LMMSolution(result, design, _with_updates(linear, design, arrays))
    if family is None:
        raise ValueError("a generalized model without a family")
    options = GeneralizedOptions(**from_json(header["options"]))
    engine: GeneralizedCriterion
    if products is None:
        engine = GeneralizedEngine.started(design, family, options)
    else:
        engine = HeldCriterion(design, products, params.theta, family, options)
    return GLMMSolution(result, design, _with_updates(engine, design, arrays), family)


def _factors(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and levels of the grouping factors."""
    return [(name, labels_from_texts(arrays[f"levels.{i}"], kind))
            for i, (name, kind) in enumerate(zip(arrays["factors"], header["design"]["levels"], strict=True))]


def _terms(arrays: Mapping[str, Any]) -> list[TermLayout]:
    return [TermLayout(arrays["factors"][factor], factor, tuple(arrays[f"terms.{j}.columns"]),
                       arrays[f"terms.{j}.structure"])
            for j, factor in enumerate(arrays["terms.factor"].tolist())]


def _shared(header: Mapping[str, Any]) -> Values:
    design = header["design"]
    return {"coefficient_names": tuple(design["names"]), "response_name": design["response_name"],
            "formula": design["formula"], "n_rows_given": design["n_rows_given"],
            "zi_names": tuple(design["zi_names"])}


def _without_rows(header: Mapping[str, Any], arrays: Mapping[str, Any], encoder: Any,
                  products: _core.CrossProducts) -> MixedDesign:
    sums = _part(arrays, "sums.")
    n_terms = len(arrays["terms.factor"])
    return RowlessDesign(
        **_shared(header), why=WHY, n=header["design"]["n"], products=products, encoder=encoder,
        held=from_json(header["held"]),
        factors=tuple(RowlessFactor(name, levels, WHY) for name, levels in _factors(header, arrays)),
        terms=tuple(RowlessTerm(*term, WHY) for term in _terms(arrays)),
        sums=HeldSums(
            float(sums["weight"][0]), float(sums["offset"][0]), sums["triangle_of_X"], sums["constants"],
            sums["covariance"], tuple(sums[f"products.{i}"] for i in range(n_terms)),
            tuple(sums[f"root_squares.{i}"] for i in range(n_terms))))


def _with_rows(header: Mapping[str, Any], arrays: Mapping[str, Any], encoder: Any) -> MixedDesign:
    factors = _factors(header, arrays)
    return MixedDesign(**_shared(header), encoder=encoder, **rows_from_values(
        _part(arrays, "rows."), [name for name, _ in factors], [levels for _, levels in factors], _terms(arrays)))


def _with_updates(engine: Any, design: MixedDesign, arrays: Mapping[str, Any]) -> Any:
    """The criterion with the rows that groups were updated from."""
    k = 0
    while rows := _part(arrays, f"updates.{k}."):
        places = tuple(rows[f"levels.{i}"].astype(np.intp) for i in range(len(design.factors)))
        levels = [factor.levels[place] for factor, place in zip(design.factors, places, strict=True)]
        names = tuple(f"x{j}" for j in range(rows["X"].shape[1]))
        own = MixedDesign(
            coefficient_names=names, response_name=design.response_name, formula=None, n_rows_given=len(rows["y"]),
            zi_names=design.zi_names, encoder=design.encoder,
            **rows_from_values(rows, arrays["factors"], levels, _terms(arrays)))
        every = tuple(factor.levels[:n] for factor, n in zip(design.factors, rows["n_levels"], strict=True))
        engine, k = UpdatedCriterion(engine, GroupRows(own, places, every)), k + 1
    return engine


def _part(arrays: Mapping[str, Any], prefix: str) -> Values:
    """Entries whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _column(values: Any, labels: Mapping[str, Any] | None) -> Column:
    if labels is None:
        numbers: Column = values
        return numbers
    return Categorical.from_codes(values, labels_from_texts(labels["levels"], labels["kind"]), labels["ordered"])
