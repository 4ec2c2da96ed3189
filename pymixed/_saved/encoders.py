"""How new rows are encoded, as plain values and back."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from .._family import Family
from .._frames import Column
from .._from_arrays import ArrayEncoder
from .._from_formula import FormulaEncoder, crossed_columns, parse_for
from .._parts import Encoder, FixedVariable, Term
from ..design import MixedDesign
from ..errors import InputError
from .plain import from_json, to_json
from .rowless import RowlessEncoder
from .safety import check_formula
from .specs import spec_from_json, spec_to_json


def encoder_to_json(design: MixedDesign, with_rows: bool) -> dict[str, Any]:
    """The encoder of a design without the columns of its rows; without any rows, with what is known of them.

    Raises
    ------
    InputError
        A formula or contrasts that no file can hold.
    """
    encoder = design.encoder
    if isinstance(encoder, ArrayEncoder):
        return {"terms": [asdict(term) for term in encoder.terms], "has_offset": encoder.has_offset}
    if not isinstance(encoder, FormulaEncoder):
        raise InputError(f"a model whose rows are encoded by {type(encoder).__name__} cannot be saved")
    parsed = encoder.parsed
    check_formula(parsed, encoder.categorical)
    entry = {
        "formula": parsed.text, "response": parsed.response, "zi": parsed.zi,
        "contrasts": {name: to_json(contrast, f"contrasts[{name!r}]") for name, contrast in encoder.contrasts.items()},
        "specs": {text: spec_to_json(text, spec) for text, spec in encoder.specs.items()},
        "categorical": dict(encoder.categorical), "offset_column": encoder.offset_column,
        "has_offset": encoder.has_offset,
        "response_levels": to_json(encoder.response_levels, f"response {parsed.response!r}")}
    if with_rows:
        return entry
    return {**entry, "variables": [
        {part.name: to_json(getattr(variable, part.name), f"column {variable.name!r}")
         for part in fields(variable) if part.name != "values"} for variable in encoder.fixed_variables()]}


def encoder_from_json(entry: Mapping[str, Any], family: Family | None, columns: Mapping[str, Column]) -> Encoder:
    """The encoder again, with the rows' `columns` of the fixed part where they are kept.

    Raises
    ------
    UnsafeFormulaError
        A formula that could do anything else than compute.
    """
    if "terms" in entry:
        return ArrayEncoder(tuple(Term(**term) for term in entry["terms"]), entry["has_offset"])
    many = not entry["response"]  # the responses were given elsewhere
    parsed = parse_for(entry["formula"], family, entry["zi"] or None, many)
    parsed = replace(parsed, response="") if many else parsed
    check_formula(parsed, entry["categorical"])
    encoder = FormulaEncoder(
        parsed, {name: from_json(contrast) for name, contrast in entry["contrasts"].items()},
        {text: spec_from_json(text, parsed.text, spec) for text, spec in entry["specs"].items()},
        entry["categorical"], crossed_columns(parsed), entry["offset_column"], entry["has_offset"], columns,
        from_json(entry["response_levels"]))
    if "variables" not in entry:
        return encoder
    return RowlessEncoder.of(encoder, [
        FixedVariable(**{name: from_json(value) for name, value in variable.items()}, values=None)
        for variable in entry["variables"]])

