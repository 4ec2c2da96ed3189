"""Model matrices from the parts of a formula: the one module that knows the package formulaic, and slow to import.

formulaic reads the formulas, applies the rules of marginality and keeps the state of transforms such as splines. Ours
are the coding of categorical columns (a table of contrasts indexed by integer codes, with levels that new data must
respect) and the assembly of a matrix by columns, without a data frame.
"""
from __future__ import annotations

import builtins
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from formulaic import Formula, ModelSpec
from formulaic.errors import FormulaicError
from formulaic.materializers import FormulaMaterializer
from formulaic.materializers.types import FactorValues
from formulaic.transforms import TRANSFORMS
from formulaic.transforms.contrasts import Contrasts, ContrastsRegistry, CustomContrasts, TreatmentContrasts
from numpy.typing import NDArray

from ._categorical import Categorical
from ._frames import Column, FloatArray, factor
from ._parts import FactorColumns, ModelTerm, TermColumns
from .errors import FormulaError, InputError, PymixedError
from .formula import INTERCEPT, ParsedFormula, split_names

Contrast: TypeAlias = "str | FloatArray | Sequence[Sequence[float]] | Contrasts"

WIDTH = "pymixed width"  # our entry in formulaic's state of a factor: how many columns it has

CONTRASTS: dict[str, type[Contrasts]] = {
    "treatment": ContrastsRegistry.treatment,
    "sum": ContrastsRegistry.sum,
    "helmert": ContrastsRegistry.helmert,
    "poly": ContrastsRegistry.poly,
    "sas": ContrastsRegistry.SAS,
    "diff": ContrastsRegistry.diff,
}


@dataclass(frozen=True, eq=False)
class Block:
    """Columns that one formula gives.

    Attributes
    ----------
    matrix : (n, p) array
        By columns (Fortran order).
    names : tuple of str
        `(Intercept)` and formulaic's names.
    spec : ModelSpec
        Formula, levels and state of transforms, for new data.
    """

    matrix: FloatArray
    names: tuple[str, ...]
    spec: ModelSpec


def encode(parsed: ParsedFormula, columns: Mapping[str, Column], n: int, contrasts: Mapping[str, Contrast],
           specs: Mapping[str, ModelSpec]) -> dict[str, Block]:
    """Build the matrices of all parts of a formula.

    These are the fixed part, the offsets, the bars' left-hand sides, the zero inflation, and the response where it is
    no column as it stands.

    Parameters
    ----------
    parsed : ParsedFormula
        The formula.
    columns : mapping
        The columns that it names.
    n : int
        Number of rows.
    contrasts : mapping
        Coding of categorical columns by name, treatment contrasts for the others.
    specs : mapping
        Specs of an earlier call by part, to encode new data as then; empty on the first call.

    Returns
    -------
    dict
        From a part's text to its block; the left-hand side "1" has none.
    """
    return {text: model_matrix(specs.get(text, text), columns, n, contrasts, whole)
            for text, whole in part_texts(parsed, columns).items()}


def part_texts(parsed: ParsedFormula, columns: Collection[str]) -> dict[str, str]:
    """Parts of a formula that give columns, each with the formula that it is in."""
    computed = [part for part in parsed.responses if part and part.strip("`") not in columns]
    texts = dict.fromkeys([parsed.fixed, *map(expression_formula, (*parsed.offsets, *computed)),
                           *(bar.lhs for bar in parsed.bars)], parsed.text)
    texts = {parsed.zi_fixed: parsed.zi, **texts} if parsed.zi else texts
    return {text: whole for text, whole in texts.items() if text != "1" or text in (parsed.fixed, parsed.zi_fixed)}


def expression_formula(expression: str) -> str:
    """The formula whose only column is the expression's value."""
    return f"0 + {{{expression}}}"


def model_matrix(formula: str | ModelSpec, columns: Mapping[str, Column], n: int,
                 contrasts: Mapping[str, Contrast], whole: str) -> Block:
    """Build the matrix of one part of the `whole` formula; the arguments are those of `encode`.

    Raises
    ------
    FormulaError
        formulaic cannot read or evaluate the formula.
    InputError
        A categorical column with a single level, with levels that were not there before, or with contrasts that do
        not fit.
    """
    used = split_names(formula if isinstance(formula, str) else str(formula.formula))[0]
    data = {name: _categorical(_as_pandas(values), contrasts.get(name), name=f"column {name!r}", known=values)
            if isinstance(values, Categorical) else values for name, values in columns.items() if name in used}
    materializer = _Materializer(data, FUNCTIONS, n=n)
    try:
        with np.errstate(all="ignore"):  # undefined values are reported by name afterwards
            built = materializer.get_model_matrix(
                _formula(formula) if isinstance(formula, str) else formula, output="numpy", na_action="ignore")
    except (FormulaicError, SyntaxError) as error:
        if isinstance(error.__cause__, PymixedError):  # our own, raised inside an expression
            raise error.__cause__ from None
        part = formula if isinstance(formula, str) else str(formula.formula)
        hint = "; names that are no Python names are quoted in backticks" if isinstance(error, SyntaxError) else ""
        raise FormulaError(f"in {part!r}: {str(error).splitlines()[0]}{hint}", whole) from error
    finally:  # it is part of a cycle, which would keep the columns until the next collection of garbage
        data.clear()
        materializer.__dict__.clear()
    spec = built.model_spec
    return Block(built.__wrapped__, column_names(spec), spec)


def parsed_terms(text: str, whole: str) -> Formula:
    """The terms of a part of the `whole` formula."""
    try:
        return _formula(text)
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(f"in {text!r}: {str(error).splitlines()[0]}", whole) from error


def factor_expressions(text: str, whole: str) -> tuple[str, ...]:
    """The expressions whose products are the columns of a part of the `whole` formula."""
    return tuple(dict.fromkeys(factor.expr for term in parsed_terms(text, whole) for factor in term.factors))


def with_state(text: str, whole: str, state: dict[str, Any]) -> ModelSpec:
    """A part of the `whole` formula with the state of its transforms, to be encoded for the first time."""
    return ModelSpec(formula=parsed_terms(text, whole), transform_state=state)


def transform_state(expressions: Sequence[str], columns: Mapping[str, Column], n: int, whole: str) -> dict[str, Any]:
    """State of the transforms in some expressions of the `whole` formula, by what formulaic calls them."""
    block = model_matrix(f"0 + {' + '.join(expressions)}", columns, n, {}, whole)
    return dict(block.spec.transform_state)


def column_names(spec: ModelSpec) -> tuple[str, ...]:
    """Names of a part's columns."""
    return tuple(chain.from_iterable(
        [INTERCEPT] if str(part.term) == "1" else part.columns for part in spec.structure))


def model_terms(spec: ModelSpec) -> tuple[ModelTerm, ...]:
    """Terms of a part of the formula and the columns that each of them has in the part's matrix."""
    codings = {expression: _coding_tables(state) for expression, (_, state) in spec.encoder_state.items()}

    def columns_of(expression: str, reduced: bool) -> FactorColumns:
        coding = codings.get(expression, {}).get(reduced)
        if coding is None:
            return FactorColumns(expression, spec.encoder_state.get(expression, (None, {}))[1].get(WIDTH, 1), None)
        return FactorColumns(expression, coding.shape[1], coding)

    terms, start = [], 0
    for part in spec.structure:
        blocks = []
        for scoped in part.scoped_terms:
            blocks.append(TermColumns(start, tuple(
                columns_of(factor.factor.expr, factor.reduced) for factor in scoped.factors)))
            start += blocks[-1].n_columns
        name, factors = str(part.term), tuple(factor.expr for factor in part.term.factors)
        terms.append(ModelTerm(INTERCEPT, (), tuple(blocks)) if name == "1" else
                     ModelTerm(name, factors, tuple(blocks)))
    return tuple(terms)


def categorical_factors(spec: ModelSpec) -> dict[str, NDArray[Any]]:
    """Levels of every categorical factor of a part of the formula, by its expression."""
    return {expression: state["levels"] for expression, (_, state) in spec.encoder_state.items() if "levels" in state}


def _coding_tables(state: Mapping[str, Any]) -> dict[bool, FloatArray]:
    """Values of a categorical factor's columns by level, reduced in rank and not; none of other factors."""
    if "levels" not in state:
        return {}
    indicators = np.eye(len(state["levels"]))
    return {False: indicators, True: state.get("coding", indicators[:, 1:])}


def check_contrasts(contrasts: Mapping[str, Contrast]) -> None:
    """Refuse unknown codings before anything is computed."""
    for name, contrast in contrasts.items():
        if isinstance(contrast, str) and contrast not in CONTRASTS:
            raise InputError(f"contrasts[{name!r}]: expected one of {', '.join(CONTRASTS)} or a matrix, "
                             f"got {contrast!r}")


@lru_cache(maxsize=256)
def _formula(text: str) -> Formula:
    return Formula(text)


# ---- categorical columns -------------------------------------------------------------------------------------------

def _categorical(values: Any, contrasts: Contrast | None = None, *, levels: Sequence[Any] | None = None,
                 name: str = "C()", known: Categorical | None = None) -> FactorValues:
    """Mark values as categorical; formulas call it as `C(x)`, `C(x, contr.sum)`, `factor(x)`.

    The levels of the first encoding stay in formulaic's state, and later ones must keep to them.
    """
    def encode(values: Any, reduced_rank: bool, drop_rows: object, encoder_state: dict[str, Any],
               model_spec: object) -> FactorValues:
        del drop_rows, model_spec  # part of formulaic's signature
        data = factor(values.__wrapped__, name) if known is None else known
        seen = encoder_state.setdefault("levels", data.levels if levels is None else np.asarray(levels))
        codes = data.codes if data.levels is seen else data.codes_in(seen, name)
        if (codes < 0).any():
            unseen = data.labels()[codes < 0][0]
            raise InputError(f"{name}: level {unseen!r} is not among those of the fit: "
                             f"{', '.join(map(repr, seen.tolist()[:10]))}{', ...' if len(seen) > 10 else ''}")
        coding = _coding(contrasts, seen.tolist(), reduced_rank, name)
        table = coding.get_coding_matrix(seen.tolist(), reduced_rank=reduced_rank)
        if reduced_rank:
            encoder_state["coding"] = table.to_numpy(np.float64)
        return FactorValues(
            {field: np.ascontiguousarray(column)[codes] for field, column in table.to_dict("series").items()},
            kind="categorical", spans_intercept=not reduced_rank, encoded=True,
            format=coding.get_factor_format(seen, reduced_rank=reduced_rank))

    return FactorValues(values, kind="categorical", spans_intercept=True, encoder=encode)


def _coding(contrast: Contrast | None, levels: list[Any], reduced_rank: bool, name: str) -> Contrasts:
    """Coding of a factor in formulaic's terms; without the reduction of rank, indicators whatever the contrast."""
    if len(levels) < 2:
        raise InputError(f"{name}: a factor in the model needs at least two levels, got {levels}")
    if contrast is None or not reduced_rank:
        return TreatmentContrasts()
    if isinstance(contrast, str):
        return CONTRASTS[contrast]()
    if isinstance(contrast, Contrasts):
        return contrast
    if isinstance(contrast, type):
        return contrast()
    matrix = np.asarray(contrast, np.float64)
    if matrix.ndim != 2 or len(matrix) != len(levels) or matrix.shape[1] >= len(levels):
        raise InputError(f"contrasts of {name}: expected a matrix of {len(levels)} rows (levels) and fewer columns, "
                         f"got shape {matrix.shape}")
    return CustomContrasts(matrix)


def _as_pandas(column: Categorical) -> Any:
    """What expressions such as `f == "a"` see of a categorical column."""
    return pd.Categorical.from_codes(column.codes, categories=pd.Index(column.levels), ordered=column.ordered)


# ---- formulaic's interface -----------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Any] = {
    **{name: getattr(np, name) for name in (
        "abs", "ceil", "cos", "cosh", "expm1", "floor", "log1p", "maximum", "minimum", "round", "sign", "sin", "sinh",
        "sqrt", "tan", "tanh", "where")},
    "C": _categorical,
    "factor": _categorical,
}
KNOWN_NAMES = frozenset({*FUNCTIONS, *TRANSFORMS, *vars(builtins)})
EVALUATED = frozenset({*FUNCTIONS, "min", "max", "int", "float", "bool", "len", "pow",
                       *(name for name, value in TRANSFORMS.items() if callable(value))})
"""Functions that compute with columns and do nothing else."""
STATEFUL = frozenset(name for name, function in TRANSFORMS.items()
                     if getattr(function, "__is_stateful_transform__", False)
                     and "_state" in inspect.signature(function).parameters)
"""Functions whose value in a row depends on the other rows of the fit."""


class _Materializer(FormulaMaterializer):
    """Columns in a mapping, (n, p) float64 matrix out."""

    REGISTER_NAME = "pymixed"
    REGISTER_OUTPUTS = ("numpy",)

    @property
    @FormulaMaterializer.override
    def nrows(self) -> int:
        return int(self.params["n"])

    @FormulaMaterializer.override
    def _encode_evaled_factor(self, factor: Any, spec: ModelSpec, drop_rows: Sequence[int],
                              reduced_rank: bool = False) -> dict[str, Any]:
        encoded: dict[str, Any] = super()._encode_evaled_factor(factor, spec, drop_rows, reduced_rank)
        if factor.expr in spec.encoder_state:
            spec.encoder_state[factor.expr][1].setdefault(WIDTH, len(encoded))
        return encoded

    @FormulaMaterializer.override
    def _encode_constant(self, value: Any, metadata: Any, encoder_state: dict[str, Any], spec: ModelSpec,
                         drop_rows: Sequence[int]) -> Any:
        return value  # broadcast when the matrix is filled

    @FormulaMaterializer.override
    def _encode_numerical(self, values: Any, metadata: Any, encoder_state: dict[str, Any], spec: ModelSpec,
                          drop_rows: Sequence[int]) -> Any:
        return values.__wrapped__ if isinstance(values, FactorValues) else values

    @FormulaMaterializer.override
    def _encode_categorical(self, values: Any, metadata: Any, encoder_state: dict[str, Any], spec: ModelSpec,
                            drop_rows: Sequence[int], reduced_rank: bool = False) -> Any:
        raise FormulaicError("a categorical value that C() did not make")  # a transform of formulaic's own

    @FormulaMaterializer.override
    def _get_columns_for_term(self, factors: list[dict[str, Any]], spec: ModelSpec, scale: float = 1) -> dict[str, Any]:
        if len(factors) == 1 and scale == 1:
            return factors[0]  # saves a pass over the rows
        columns: dict[str, Any] = super()._get_columns_for_term(factors, spec, scale)
        return columns

    @FormulaMaterializer.override
    def _combine_columns(self, cols: Sequence[tuple[str, Any]], spec: ModelSpec,
                         drop_rows: Sequence[int]) -> FloatArray:
        matrix = np.empty((self.nrows, len(cols)), order="F")
        for j, (_, values) in enumerate(cols):
            matrix[:, j] = values
        return matrix
