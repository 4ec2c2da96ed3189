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
from .._parts import GroupingFactor, RandomTerm
from ..design import MixedDesign
from ..errors import InputError
from ..solution import GLMMSolution, LMMSolution
from .criterion import HeldCriterion
from .encoders import encoder_from_json
from .plain import labels_from_texts
from .rowless import HeldSums, RowlessDesign, RowlessFactor, RowlessTerm
from .safety import UnsafeFormulaError
from .values import Values, family_from_json, params_from_values, result_from_json
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
    try:
        return read_archive(path, FORMAT, _solution, "a model", "save", (UnsafeFormulaError,))
    except UnsafeFormulaError as error:
        raise InputError(f"path: {os.fspath(path)!r}: {error}") from None


def _solution(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> LMMSolution | GLMMSolution:
    family = None if header["family"] is None else family_from_json(header["family"])
    columns = {name: _column(arrays[f"rows.column.{name}"], labels)
               for name, labels in header.get("columns", {}).items()}
    encoder = encoder_from_json(header["encoder"], family, columns)
    state = {name.removeprefix("products."): values for name, values in arrays.items()
             if name.startswith("products.")}
    products = _core.CrossProducts.from_state(state) if state else None
    design = (_with_rows(header, arrays, encoder) if products is None else
              _without_rows(header, arrays, encoder, products))
    params = params_from_values(header["params"], arrays, design)
    result = result_from_json(header["result"], params)
    if isinstance(params, LMMParams):
        return LMMSolution(result, design, LinearEngine(design, LinearOptions(**header["options"])))
    if family is None:
        raise ValueError("a generalized model without a family")
    engine: GeneralizedCriterion
    if products is None:
        engine = GeneralizedEngine.started(design, family, GeneralizedOptions(**header["options"]))
    else:
        engine = HeldCriterion(design, products, params.theta, header["options"])
    return GLMMSolution(result, design, engine, family)


def _factors(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and levels of the grouping factors."""
    return [(name, labels_from_texts(arrays[f"levels.{i}"], kind))
            for i, (name, kind) in enumerate(zip(arrays["factors"], header["design"]["levels"], strict=True))]


def _terms(arrays: Mapping[str, Any]) -> list[tuple[str, int, tuple[str, ...], str]]:
    """Group, position of the factor, columns and structure of the random-effects terms."""
    return [(arrays["factors"][factor], factor, tuple(arrays[f"terms.{j}.columns"]), arrays[f"terms.{j}.structure"])
            for j, factor in enumerate(arrays["terms.factor"].tolist())]


def _shared(header: Mapping[str, Any]) -> Values:
    design = header["design"]
    return {"coefficient_names": tuple(design["names"]), "response_name": design["response_name"],
            "formula": design["formula"], "n_rows_given": design["n_rows_given"],
            "zi_names": tuple(design["zi_names"])}


def _without_rows(header: Mapping[str, Any], arrays: Mapping[str, Any], encoder: Any,
                  products: _core.CrossProducts) -> MixedDesign:
    sums = {name.removeprefix("sums."): values for name, values in arrays.items() if name.startswith("sums.")}
    n_terms = len(arrays["terms.factor"])
    return RowlessDesign(
        **_shared(header), why=WHY, n=header["design"]["n"], products=products, encoder=encoder, held=header["held"],
        factors=tuple(RowlessFactor(name, levels, WHY) for name, levels in _factors(header, arrays)),
        terms=tuple(RowlessTerm(*term, WHY) for term in _terms(arrays)),
        sums=HeldSums(
            float(sums["weight"][0]), float(sums["offset"][0]), sums["triangle_of_X"], sums["constants"],
            sums["covariance"], tuple(sums[f"products.{i}"] for i in range(n_terms)),
            tuple(sums[f"root_squares.{i}"] for i in range(n_terms))))


def _with_rows(header: Mapping[str, Any], arrays: Mapping[str, Any], encoder: Any) -> MixedDesign:
    rows = {name.removeprefix("rows."): values for name, values in arrays.items() if name.startswith("rows.")}
    positions = rows.get("rows")
    return MixedDesign(
        **_shared(header), encoder=encoder, y=rows["y"], X=np.asfortranarray(rows["X"]), weights=rows.get("weights"),
        offset=rows.get("offset"), zero_inflation=rows.get("zero_inflation"),
        rows=None if positions is None else positions.astype(np.intp),
        factors=tuple(GroupingFactor(name, rows[f"codes.{i}"], levels)
                      for i, (name, levels) in enumerate(_factors(header, arrays))),
        terms=tuple(RandomTerm(group, factor, columns, tuple(rows.get(f"data.{j}.{k}") for k in range(len(columns))),
                               structure)
                    for j, (group, factor, columns, structure) in enumerate(_terms(arrays))))


def _column(values: Any, labels: Mapping[str, Any] | None) -> Column:
    if labels is None:
        numbers: Column = values
        return numbers
    return Categorical.from_codes(values, labels_from_texts(labels["levels"], labels["kind"]), labels["ordered"])
