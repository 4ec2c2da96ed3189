"""A part of a formula as formulaic has encoded it, as plain values and back."""
from __future__ import annotations

from typing import Any

from formulaic import ModelSpec
from formulaic.materializers.types import EvaluatedFactor, ScopedFactor, ScopedTerm
from formulaic.model_spec import EncodedTermStructure
from formulaic.parser.types import Factor

from .._model_matrix import parsed_terms
from .plain import from_json, to_json


def spec_to_json(text: str, spec: ModelSpec) -> dict[str, Any]:
    """Structure and state of a part of a formula, `text`.

    Raises
    ------
    InputError
        State that is no plain value.
    """
    return {
        "transforms": to_json(dict(spec.transform_state), f"state of {text}"),
        "encoders": {expression: [kind.value, to_json(dict(state), f"coding of {expression}")]
                     for expression, (kind, state) in spec.encoder_state.items()},
        "structure": [
            {"columns": list(part.columns),
             "scoped": [[[[factor.factor.expr, factor.reduced] for factor in scoped.factors], scoped.scale]
                        for scoped in part.scoped_terms]}
            for part in spec.structure]}


def spec_from_json(text: str, whole: str, entry: dict[str, Any]) -> ModelSpec:
    """The spec again, of a part `text` of the `whole` formula."""
    formula = parsed_terms(text, whole)
    factors = {factor.expr: EvaluatedFactor(factor, None) for term in formula for factor in term.factors}
    structure = [
        EncodedTermStructure(
            term,
            [ScopedTerm([ScopedFactor(factors[expression], reduced) for expression, reduced in scoped], scale)
             for scoped, scale in part["scoped"]],
            list(part["columns"]))
        for term, part in zip(formula, entry["structure"], strict=True)]
    return ModelSpec(
        formula=formula, structure=structure, transform_state=from_json(entry["transforms"]),
        encoder_state={expression: (Factor.Kind(kind), from_json(state))
                       for expression, (kind, state) in entry["encoders"].items()})
