"""From a formula and a table to the parts of a model, and from new rows to the same columns."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._categorical import Categorical, cross, factorize
from ._family import Family
from ._frames import Column, FloatArray, Table, check_finite, complete_rows, numbers, take_rows
from ._model_matrix import (
    KNOWN_NAMES,
    Block,
    Contrast,
    categorical_factors,
    check_contrasts,
    column_names,
    encode,
    expression_formula,
    model_matrix,
    model_terms,
    response,
)
from ._parts import (
    FixedVariable,
    GroupingFactor,
    ModelParts,
    ModelTerm,
    NewRows,
    RandomTerm,
    TermContent,
    TermData,
    column_term,
)
from ._responses import finish, is_binomial, models_response
from .errors import FormulaError, InputError, InputTypeError
from .formula import INTERCEPT, Bar, ParsedFormula, check_zero_inflation, parse, position_of, split_names

if TYPE_CHECKING:
    from formulaic import ModelSpec


def read_formula(formula: str, data: Any, weights: ArrayLike | str | None, offset: ArrayLike | str | None,
                 contrasts: Mapping[str, Contrast] | None, na_action: str, family: Family | None, zi: str | None,
                 placeholder: Callable[[int], FloatArray] | None = None) -> ModelParts:
    """Evaluate a formula on a table; the arguments are those of `MixedDesign.from_formula`.

    `placeholder` gives a response for n rows where the formula's own is only a name.
    """
    parsed, table, contrasts = _parsed(formula, family, zi, placeholder is not None), Table(data), dict(contrasts or {})
    response_name = parsed.response
    if placeholder is not None:
        response_name = response_name.strip("`") or "y"
        parsed = replace(parsed, response="")
    _check_names(parsed, table, family)
    check_contrasts(contrasts)

    columns: dict[str, Column] = {name: table.column(name) for name in _variables(parsed, table.names)}
    groups = {name: table.factor(name) for name in _group_columns(parsed.bars)}
    _check_coded(contrasts, columns, table)
    prior = {"weights": _per_row("weights", weights, table), "offset": _per_row("offset", offset, table)}
    rows = complete_rows({**_described(columns), **_described(groups), **prior}, table.n_rows, na_action)
    if rows is not None:
        columns = {name: values.take(rows) for name, values in columns.items()}
        groups = {name: values.take(rows) for name, values in groups.items()}
        prior = {name: values if values is None else values[rows] for name, values in prior.items()}
    _check_finite(columns, rows)

    n = table.n_rows if rows is None else len(rows)
    blocks = encode(parsed, columns, n, contrasts, {})
    fixed = blocks[parsed.fixed]
    zero_inflation = blocks[parsed.zi_fixed] if parsed.zi else None
    given = placeholder(n) if placeholder else _response(parsed, columns, n)
    y, weights = finish(given, prior["weights"], response_name, family, rows)
    names = dict.fromkeys(names for bar in parsed.bars for names in bar.groups)
    factors = tuple(GroupingFactor(":".join(parts), crossed.codes, crossed.levels)
                    for parts in names for crossed in [cross(groups[name] for name in parts)])
    position = {parts: i for i, parts in enumerate(names)}
    terms = tuple(RandomTerm(factors[position[parts]].name, position[parts], term_columns, data, "us")
                  for parts, term_columns, data in _terms(parsed.bars, blocks))
    encoder = FormulaEncoder(
        parsed, contrasts, {text: block.spec for text, block in blocks.items()},
        {name: isinstance(values, Categorical) for name, values in columns.items()},
        tuple(names), offset if isinstance(offset, str) else None, offset is not None,
        {name: columns[name] for name in split_names(parsed.fixed)[0] if name in columns})
    return ModelParts(
        y, fixed.matrix, fixed.names, factors, terms, weights, _total_offset(parsed, blocks, prior["offset"]),
        response_name, formula, rows, table.n_rows, zero_inflation.matrix if zero_inflation else None,
        zero_inflation.names if zero_inflation else (), encoder)


def _parsed(formula: str, family: Family | None, zi: str | None, many: bool) -> ParsedFormula:
    parsed = parse(formula, many)
    if zi is not None:
        check_zero_inflation(zi)
        if family is None or not family.distribution.counts:
            raise InputError("zi: only counts are inflated at zero (families poisson, negative_binomial, nbinom1), not "
                             f"the response of {models_response(family)}")
        parsed = replace(parsed, zi=zi)
    return parsed if is_binomial(family) else replace(parsed, counts=())  # elsewhere cbind() is an unknown function


@dataclass(frozen=True, eq=False)
class FormulaEncoder:
    """What a formula's new rows need: its parts, the codings, the levels and the state of transforms.

    Attributes
    ----------
    parsed : ParsedFormula
        The formula.
    contrasts : mapping
        Coding of categorical columns by name.
    specs : mapping
        formulaic's specs by part of the formula.
    categorical : mapping
        For the columns used outside of groups, whether they are categorical: then new data's numbers are labels too.
    factors : tuple of tuple of str
        Columns that each grouping factor crosses.
    offset_column : str or None
        Column that the `offset` argument named.
    has_offset : bool
        Whether there was an `offset` argument.
    fixed_columns : mapping
        Columns that the fixed part uses, in the rows of the fit.
    """

    parsed: ParsedFormula
    contrasts: Mapping[str, Contrast]
    specs: Mapping[str, ModelSpec]
    categorical: Mapping[str, bool]
    factors: tuple[tuple[str, ...], ...]
    offset_column: str | None
    has_offset: bool
    fixed_columns: Mapping[str, Column] = field(repr=False)

    def new_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str]) -> NewRows:
        """Encode new data; grouping factors that are not in `groups` are not read."""
        table = Table(newdata, "newdata")
        wanted = [factor.name in groups for factor in parts.factors]
        known = self._offset(table, offset)
        used = [names for names, want in zip(self.factors, wanted, strict=True) if want]
        bars = tuple(bar for bar in self.parsed.bars if any(names in used for names in bar.groups))
        asked = replace(self.parsed, response="", counts=(), bars=bars)
        columns = {name: self._column(table, name) for name in _variables(asked, self.categorical)}
        labels = {name: table.factor(name) for name in dict.fromkeys(chain.from_iterable(used))}
        complete_rows({**_described(columns), **_described(labels), "offset": known}, table.n_rows, "raise")
        _check_finite(columns, None)

        m = table.n_rows
        blocks = encode(asked, columns, m, self.contrasts, self.specs)
        crossed = [cross(labels[name] for name in names) if want else None
                   for names, want in zip(self.factors, wanted, strict=True)]
        data = {(names, term_columns): values for names, term_columns, values in _terms(bars, blocks)}
        return NewRows(
            blocks[asked.fixed].matrix, _total_offset(asked, blocks, known),
            blocks[asked.zi_fixed].matrix if asked.zi else None,
            tuple(np.full(m, -1, np.int32) if factor is None else factor.codes_in(seen.levels)
                  for factor, seen in zip(crossed, parts.factors, strict=True)),
            tuple(np.full(m, None) if factor is None else factor.labels() for factor in crossed),
            tuple(data.get((self.factors[term.factor], term.columns), ()) for term in parts.terms))

    def fixed_terms(self, parts: ModelParts) -> tuple[ModelTerm, ...]:
        """Which columns of X belong together, the intercept among them."""
        return model_terms(self.specs[self.parsed.fixed])

    def random_terms(self, parts: ModelParts) -> tuple[TermContent, ...]:
        """What each random-effects term consists of."""
        return tuple(chain.from_iterable(map(self._contents, self.parsed.bars)))

    def _contents(self, bar: Bar) -> Iterator[TermContent]:
        intercept = column_term(INTERCEPT, 0)
        terms = (intercept,) if bar.lhs == "1" else model_terms(self.specs[bar.lhs])
        for group in map(":".join, bar.groups):
            if bar.correlated or bar.lhs == "1":
                yield TermContent(f"{bar.lhs} | {group}", terms)
            else:
                for name in column_names(self.specs[bar.lhs]):
                    yield (TermContent(f"1 | {group}", (intercept,)) if name == INTERCEPT else
                           TermContent(f"0 + {name} | {group}", (column_term(name, 0),)))

    def fixed_variables(self) -> tuple[FixedVariable, ...]:
        """Columns of the data that the fixed part uses."""
        coded = {names[0]: levels for expression, levels in categorical_factors(self.specs[self.parsed.fixed]).items()
                 if len(names := split_names(expression)[0]) == 1}
        return tuple(FixedVariable(name, _as_coded(values, coded.get(name)))
                     for name, values in self.fixed_columns.items())

    def fixed_matrix(self, columns: Mapping[str, Column], n: int) -> FloatArray:
        """X for n rows with other values of those columns."""
        values = {name: column if self.categorical[name] else _as_numbers(column)
                  for name, column in columns.items()}
        return model_matrix(self.specs[self.parsed.fixed], values, n, self.contrasts, self.parsed.text).matrix

    def take(self, rows: NDArray[np.intp]) -> FormulaEncoder:
        """The encoder of some rows of the fit."""
        columns = {name: take_rows(values, rows) for name, values in self.fixed_columns.items()}
        return replace(self, fixed_columns=columns)

    def _offset(self, table: Table, offset: ArrayLike | None) -> FloatArray | None:
        if offset is None and self.has_offset and self.offset_column is None:
            raise InputError("offset: the model was fitted with an array of offsets, expected one for the new rows too")
        return _per_row("offset", self.offset_column if offset is None else offset, table)

    def _column(self, table: Table, name: str) -> Column:
        if self.categorical[name]:
            return table.factor(name)
        values = table.column(name)
        if isinstance(values, Categorical):
            raise InputTypeError(f"newdata: expected numbers in column {name!r} as in the fit, got strings or "
                                 "categories")
        return values


def _as_coded(values: Column, levels: NDArray[Any] | None) -> Column:
    """Numbers as labels where these are the levels of a factor that the formula makes, as C(x) does."""
    if levels is None or isinstance(values, Categorical):
        return values
    labels = factorize(values)
    return labels if labels.levels.tolist() == levels.tolist() else values


def _as_numbers(column: Column) -> Column:
    return column.levels.astype(np.float64)[column.codes] if isinstance(column, Categorical) else column


# ---- names ---------------------------------------------------------------------------------------------------------

def _expressions(parsed: ParsedFormula) -> Iterator[tuple[str, str]]:
    """Expressions outside of groups, each with the formula that it is in."""
    for expression in (*(parsed.counts or (parsed.response,)), parsed.fixed, *parsed.offsets):
        yield expression, parsed.text
    yield from ((bar.lhs, parsed.text) for bar in parsed.bars)
    yield parsed.zi_fixed, parsed.zi


def _variables(parsed: ParsedFormula, columns: Collection[str]) -> list[str]:
    """Columns that the formula names outside of groups, in order of appearance."""
    names = dict.fromkeys(name for expression, _ in _expressions(parsed) for name in split_names(expression)[0])
    return [name for name in names if name in columns]


def _group_columns(bars: Iterable[Bar]) -> list[str]:
    return list(dict.fromkeys(name for bar in bars for names in bar.groups for name in names))


def _check_names(parsed: ParsedFormula, table: Table, family: Family | None) -> None:
    """Refuse names that are neither columns nor known functions."""
    if parsed.counts and len(parsed.counts) != 2:
        raise FormulaError(f"cbind(): expected successes and failures, got {len(parsed.counts)} arguments", parsed.text,
                           position_of("cbind", parsed.text))
    for expression, text in _expressions(parsed):
        variables, functions = split_names(expression)
        for name in variables:
            if name not in table.names and name not in KNOWN_NAMES:
                raise FormulaError(table.unknown(name), text, position_of(name, text))
        for name in functions:
            if name not in KNOWN_NAMES:
                reason = f"unknown function {name!r}"
                if name == "cbind":
                    reason = ("cbind() is a response of its own, no part of an expression" if is_binomial(family) else
                              f"cbind() makes a binomial response, which {models_response(family)} does not have")
                raise FormulaError(reason, text, position_of(name, text))
    for name in _group_columns(parsed.bars):
        if name not in table.names:
            raise FormulaError(table.unknown(name), parsed.text, position_of(name, parsed.text))


def _check_coded(contrasts: Mapping[str, Contrast], columns: Mapping[str, Column], table: Table) -> None:
    for name in contrasts:
        if name not in table.names:
            raise InputError(f"contrasts: {table.unknown(name)}")
        if isinstance(columns.get(name), np.ndarray):
            raise InputError(f"contrasts: expected a categorical column, {name!r} holds numbers; C({name}) in the "
                             "formula makes it categorical")


# ---- columns -------------------------------------------------------------------------------------------------------

def _per_row(argument: str, values: ArrayLike | str | None, table: Table) -> FloatArray | None:
    """An argument with a value per row, given as array or as name of a column."""
    if values is None:
        return None
    if not isinstance(values, str):
        return numbers(values, argument, table.n_rows)
    named = table.column(values)
    if isinstance(named, Categorical):
        raise InputTypeError(f"{argument}: expected numbers in column {values!r}, got strings or categories")
    return named


def _described(columns: Mapping[str, Column]) -> dict[str, Column]:
    return {f"column {name!r}": values for name, values in columns.items()}


def _check_finite(columns: Mapping[str, Column], rows: NDArray[np.intp] | None) -> None:
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            check_finite(values, f"column {name!r}", rows)


# ---- parts ---------------------------------------------------------------------------------------------------------

def _response(parsed: ParsedFormula, columns: Mapping[str, Column], n: int) -> Column:
    """The response as the formula has it: (n,) numbers or labels, or (n, 2) successes and failures."""
    if not parsed.counts:
        return _value(parsed.response, parsed, columns, n)
    counts = np.empty((n, 2))
    for j, part in enumerate(parsed.counts):
        values = _value(part, parsed, columns, n)
        if isinstance(values, Categorical):
            raise InputTypeError(f"cbind(): expected numbers, got strings or categories in {part!r}")
        counts[:, j] = values
    return counts


def _value(expression: str, parsed: ParsedFormula, columns: Mapping[str, Column], n: int) -> Column:
    """A column as it is, or the value of an expression of columns."""
    column = columns.get(expression.strip("`"))
    return response(expression, columns, n, parsed.text) if column is None else column


def _total_offset(parsed: ParsedFormula, blocks: Mapping[str, Block], given: FloatArray | None) -> FloatArray | None:
    """Sum of the formula's offsets and the argument's."""
    parts = [blocks[expression_formula(expression)].matrix[:, 0] for expression in parsed.offsets]
    parts += [] if given is None else [given]
    return np.sum(parts, axis=0) if parts else None


def _terms(bars: Iterable[Bar],
           blocks: Mapping[str, Block]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], TermData]]:
    """Columns crossed by the grouping factor, names and data of every term, as `/` and `||` spell them out."""
    for bar in bars:
        names, data = _random_columns(bar.lhs, blocks)
        for group in bar.groups:
            if bar.correlated:
                yield group, names, data
            else:
                yield from ((group, (name,), (values,)) for name, values in zip(names, data, strict=True))


def _random_columns(lhs: str, blocks: Mapping[str, Block]) -> tuple[tuple[str, ...], TermData]:
    if lhs == "1":
        return (INTERCEPT,), (None,)
    block = blocks[lhs]
    if not block.names:
        raise InputError(f"random-effects term ({lhs} | ...): expected at least one column, got none")
    columns = zip(block.names, block.matrix.T, strict=True)
    return block.names, tuple(None if name == INTERCEPT else column for name, column in columns)
