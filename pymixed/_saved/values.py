"""The values of a fit as arrays and JSON, and back."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import errors, families
from .._common import Convergence, GLMMParams, LMMParams, MixedParams, Result, VarianceUncertainty
from .._custom import Custom
from .._family import Family
from .._parts import GroupingFactor, RandomTerm
from ..design import MixedDesign
from ..errors import InputError, PymixedWarning
from ..inference import term_covariances
from .plain import from_json, to_json

Values = dict[str, Any]


class TermLayout(NamedTuple):
    """A random-effects term without its columns."""

    group: str
    factor: int
    columns: tuple[str, ...]
    structure: str


# what follows from the others, or is written in another form
_DERIVED = ("term_covariances", "random_effects", "convergence", "uncertainty", "n_groups")
_KINDS: dict[str, type[MixedParams]] = {"lmm": LMMParams, "glmm": GLMMParams}


def params_to_values(params: MixedParams, with_rows: bool) -> tuple[Values, Values]:
    """JSON and arrays of the estimates; what has a value per row only `with_rows`."""
    arrays = {f"modes.{i}": modes for i, modes in enumerate(params.random_effects.values())}
    content: Values = {"convergence": to_json(asdict(params.convergence), "convergence")}
    for field in fields(params):
        value = getattr(params, field.name)
        if isinstance(value, np.ndarray) and (with_rows or field.name != "linear_predictor"):
            arrays[field.name] = value
        elif field.name not in _DERIVED and not isinstance(value, np.ndarray):
            content[field.name] = to_json(value, field.name)
    if isinstance(params, LMMParams) and params.uncertainty is not None:
        content["uncertainty"] = to_json(asdict(params.uncertainty), "uncertainty")
    return content, arrays


def params_from_values(content: Mapping[str, Any], arrays: Mapping[str, Any], design: MixedDesign) -> MixedParams:
    """The estimates again."""
    kind = _KINDS[arrays["kind"]]
    found: Values = {"linear_predictor": np.empty(0)} if kind is GLMMParams else {"uncertainty": None}
    found |= {field.name: arrays[field.name] for field in fields(kind) if field.name in arrays}
    found |= {name: from_json(value) for name, value in content.items()}
    found["convergence"] = Convergence(**found["convergence"])
    if found.get("uncertainty") is not None:
        found["uncertainty"] = VarianceUncertainty(**found["uncertainty"])
    found["term_covariances"] = term_covariances(design.terms, found["theta"], found.get("residual_variance", 1.0))
    found["random_effects"] = {factor.name: arrays[f"modes.{i}"] for i, factor in enumerate(design.factors)}
    found["n_groups"] = {factor.name: len(factor.levels) for factor in design.factors}
    return kind(**found)


def result_to_json(result: Result[Any]) -> Values:
    """What a result says beside the estimates."""
    return {"info": to_json(dict(result.info), "info"), "timing": dict(result.timing),
            "backend": result.backend_name,
            "warnings": [[type(warning).__name__, str(warning)] for warning in result.warnings]}


def result_from_json(entry: Mapping[str, Any], params: MixedParams) -> Result[Any]:
    """The result again."""
    return Result(params, from_json(entry["info"]), entry["timing"], entry["backend"],
                  tuple(_warning(name, text) for name, text in entry["warnings"]))


def _warning(name: str, text: str) -> PymixedWarning:
    kind = getattr(errors, name)
    if not (isinstance(kind, type) and issubclass(kind, PymixedWarning)):
        raise ValueError(f"no warning: {name}")
    return kind(text)


def family_to_json(family: Family) -> Values:
    """A family's class, link and constants.

    Raises
    ------
    InputError
        A family of a user's functions.
    """
    if isinstance(family, Custom):
        raise InputError("family: expected one of pymixed.families, got a custom one, whose functions no file can "
                         "hold; pickle keeps them")
    return {"class": type(family).__name__, "link": family.link_name,
            "constants": {name: to_json(value, name) for name, value in vars(family.distribution).items()
                          if value is not None}}


def family_from_json(entry: Mapping[str, Any]) -> Family:
    """The family again."""
    kind = getattr(families, entry["class"])
    if not (isinstance(kind, type) and issubclass(kind, Family)) or kind is Custom:
        raise ValueError(f"no family: {entry['class']}")
    family: Family = kind(link=entry["link"], **{name: from_json(value) for name, value in entry["constants"].items()})
    return family


def rows_to_values(design: MixedDesign) -> Values:
    """Arrays of a design's rows."""
    entries = {name: getattr(design, name) for name in ("y", "X", "weights", "offset", "zero_inflation", "rows")}
    entries |= {f"codes.{i}": factor.codes for i, factor in enumerate(design.factors)}
    entries |= {f"data.{j}.{k}": column for j, term in enumerate(design.terms) for k, column in enumerate(term.data)}
    return {name: values for name, values in entries.items() if values is not None}


def rows_from_values(rows: Mapping[str, Any], names: Sequence[str], levels: Sequence[NDArray[Any]],
                     terms: Sequence[TermLayout]) -> Values:
    """The rows again: attributes of a `MixedDesign`. `names` and `levels` are those of its grouping factors."""
    positions = rows.get("rows")
    return {
        "y": rows["y"], "X": np.asfortranarray(rows["X"]), "weights": rows.get("weights"),
        "offset": rows.get("offset"), "zero_inflation": rows.get("zero_inflation"),
        "rows": None if positions is None else positions.astype(np.intp),
        "factors": tuple(GroupingFactor(name, rows[f"codes.{i}"], labels)
                         for i, (name, labels) in enumerate(zip(names, levels, strict=True))),
        "terms": tuple(
            RandomTerm(term.group, term.factor, term.columns,
                       tuple(rows.get(f"data.{j}.{k}") for k in range(len(term.columns))), term.structure)
            for j, term in enumerate(terms))}
