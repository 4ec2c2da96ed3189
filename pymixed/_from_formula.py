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
from ._formula_columns import (
    CompleteColumns,
    check_coded,
    check_names,
    complete_columns,
    group_columns,
    per_row,
    random_columns,
    response_of,
    total_offset,
    variables,
)
from ._frames import Column, FloatArray, Table, take_rows
from ._model_matrix import (
    Block,
    Contrast,
    categorical_factors,
    check_contrasts,
    column_names,
    encode,
    expression_formula,
    model_matrix,
    model_terms,
)
from ._parts import (
    FixedVariable,
    GroupingFactor,
    ModelParts,
    ModelTerm,
    NewRows,
    ObservedRows,
    RandomTerm,
    RowsWithGaps,
    TermContent,
    TermData,
    column_term,
)
from ._responses import finish, is_binomial, models_response
from .errors import InputError, InputTypeError
from .formula import INTERCEPT, Bar, ParsedFormula, check_zero_inflation, parse, split_names

if TYPE_CHECKING:
    from formulaic import ModelSpec


def read_formula(formula: str, data: Any, weights: ArrayLike | str | None, offset: ArrayLike | str | None,
                 contrasts: Mapping[str, Contrast] | None, na_action: str, family: Family | None, zi: str | None,
                 placeholder: Callable[[int], FloatArray] | None = None) -> ModelParts:
    """Evaluate a formula on a table; the arguments are those of `MixedDesign.from_formula`.

    `placeholder` gives a response for n rows where the formula's own is only a name.
    """
    parsed, table = parse_for(formula, family, zi, placeholder is not None), Table(data)
    contrasts, response_name = dict(contrasts or {}), parsed.response
    if placeholder is not None:
        response_name = response_name.strip("`") or "y"
        parsed = replace(parsed, response="")
    check_names(parsed, table, family)
    check_contrasts(contrasts)

    columns: dict[str, Column] = {name: table.column(name) for name in variables(parsed, table.names)}
    groups = {name: table.factor(name) for name in group_columns(parsed.bars)}
    check_coded(contrasts, columns, table)
    used = complete_columns(columns, groups, per_row("weights", weights, table), per_row("offset", offset, table),
                            table.n_rows, na_action)
    blocks = encode(parsed, used.columns, used.n, contrasts, {})
    fixed = blocks[parsed.fixed]
    zero_inflation = blocks[parsed.zi_fixed] if parsed.zi else None
    given = placeholder(used.n) if placeholder else response_of(parsed, used.columns, blocks, used.n)
    y, prior = finish(given, used.weights, response_name, family, used.rows)
    encoder = FormulaEncoder(
        parsed, contrasts, {text: block.spec for text, block in blocks.items()},
        {name: isinstance(values, Categorical) for name, values in columns.items()}, crossed_columns(parsed),
        offset if isinstance(offset, str) else None, offset is not None,
        {name: used.columns[name] for name in split_names(parsed.fixed)[0] if name in columns},
        given.levels if isinstance(given, Categorical) else None)
    factors = tuple(GroupingFactor(":".join(names), crossed.codes, crossed.levels) for names in encoder.factors
                    for crossed in [cross(used.groups[name] for name in names)])
    terms = tuple(RandomTerm(factors[position].name, position, term_columns, data, "us")
                  for position, term_columns, data in encoder.terms_of(blocks, parsed.bars))
    return ModelParts(
        y, fixed.matrix, fixed.names, factors, terms, prior, total_offset(parsed, blocks, used.offset),
        response_name, formula, used.rows, table.n_rows, zero_inflation.matrix if zero_inflation else None,
        zero_inflation.names if zero_inflation else (), encoder)


def parse_for(formula: str, family: Family | None, zi: str | None, many: bool = False) -> ParsedFormula:
    """Cut a formula into the parts that a model of the family, None for a linear one, has.

    With `many` the responses are given elsewhere.
    """
    parsed = parse(formula, many)
    if zi is not None:
        check_zero_inflation(zi)
        if family is None or not family.distribution.counts:
            raise InputError("zi: only counts are inflated at zero (families poisson, negative_binomial, nbinom1), not "
                             f"the response of {models_response(family)}")
        parsed = replace(parsed, zi=zi)
    return parsed if is_binomial(family) else replace(parsed, counts=())  # elsewhere cbind() is an unknown function


def crossed_columns(parsed: ParsedFormula) -> tuple[tuple[str, ...], ...]:
    """Columns that each grouping factor crosses, in order of appearance."""
    return tuple(dict.fromkeys(names for bar in parsed.bars for names in bar.groups))


@dataclass(frozen=True, eq=False)
class BatchRows:
    """Complete rows of a batch, encoded but for the levels of the grouping factors.

    Attributes
    ----------
    y : (m,) array
    X : (m, p) array
    groups : mapping
        Labels of the columns of the grouping factors.
    data : tuple of tuples
        Per term what `RandomTerm.data` is.
    weights, offset : (m,) array or None
    fixed_columns : mapping
        Columns that the fixed part uses.
    rows : array of int or None
        Positions of the rows in the batch, None where all are complete.
    n_given : int
        Rows of the batch.
    """

    y: FloatArray
    X: FloatArray
    groups: Mapping[str, Categorical]
    data: tuple[TermData, ...]
    weights: FloatArray | None
    offset: FloatArray | None
    fixed_columns: Mapping[str, Column]
    rows: NDArray[np.intp] | None
    n_given: int


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
    response_levels : (2,) array or None
        Labels of failure and success, where the response has labels.
    """

    parsed: ParsedFormula
    contrasts: Mapping[str, Contrast]
    specs: Mapping[str, ModelSpec]
    categorical: Mapping[str, bool]
    factors: tuple[tuple[str, ...], ...]
    offset_column: str | None
    has_offset: bool
    fixed_columns: Mapping[str, Column] = field(repr=False)
    response_levels: NDArray[Any] | None = None

    def new_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                 effects: Collection[str]) -> NewRows:
        """Encode new data; levels of grouping factors in `groups`, columns of the terms of those in `effects`."""
        used_factors = self._used(parts, groups)
        asked = self._asked(self._used(parts, effects), False)
        used = self._complete(Table(newdata, "newdata"), asked, used_factors, offset, "raise")
        return self._encoded(parts, asked, used, used_factors)[0]

    def observed_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                      weights: ArrayLike | str | None = None, family: Family | None = None) -> ObservedRows:
        """Encode new data and their responses, in the rows where nothing is missing."""
        if not self.parsed.response:
            raise InputError("the model's response was no column that the formula names, and new rows have none")
        used_factors = self._used(parts, groups)
        asked = self._asked(used_factors, True)
        table = Table(newdata, "newdata")
        used = self._complete(table, asked, used_factors, offset, "drop", weights)
        rows, blocks = self._encoded(parts, asked, used, used_factors)
        given = self._as_labelled(response_of(asked, used.columns, blocks, used.n))
        y, prior = finish(given, used.weights, asked.response, family, used.rows)
        return ObservedRows(rows, y, prior, used.rows, table.n_rows)

    def _used(self, parts: ModelParts, groups: Collection[str]) -> list[tuple[str, ...]]:
        """Columns crossed by the grouping factors that are wanted."""
        return [names for names, factor in zip(self.factors, parts.factors, strict=True) if factor.name in groups]

    def _asked(self, used: Collection[tuple[str, ...]], with_response: bool) -> ParsedFormula:
        """The formula without what is not wanted."""
        bars = tuple(bar for bar in self.parsed.bars if any(names in used for names in bar.groups))
        asked = replace(self.parsed, bars=bars)
        return asked if with_response else replace(asked, response="", counts=())

    def _complete(self, table: Table, asked: ParsedFormula, used: Iterable[tuple[str, ...]],
                  offset: ArrayLike | None, na_action: str,
                  weights: ArrayLike | str | None = None) -> CompleteColumns:
        known = self._offset(table, offset)
        return complete_columns(
            {name: self.column(table, name) for name in variables(asked, self.categorical)},
            {name: table.factor(name) for name in dict.fromkeys(chain.from_iterable(used))},
            per_row("weights", weights, table), known, table.n_rows, na_action, argument=table.argument)

    def _encoded(self, parts: ModelParts, asked: ParsedFormula, used: CompleteColumns,
                 used_factors: Collection[tuple[str, ...]]) -> tuple[NewRows, dict[str, Block]]:
        m = used.n
        blocks = encode(asked, used.columns, m, self.contrasts, self.specs)
        crossed = [cross(used.groups[name] for name in names) if names in used_factors else None
                   for names in self.factors]
        data = {(position, names): values for position, names, values in self.terms_of(blocks, asked.bars)}
        return NewRows(
            blocks[asked.fixed].matrix, total_offset(asked, blocks, used.offset),
            blocks[asked.zi_fixed].matrix if asked.zi else None,
            tuple(np.full(m, -1, np.int32) if factor is None else
                  factor.codes_in(seen.levels, f"newdata: column {seen.name!r}")
                  for factor, seen in zip(crossed, parts.factors, strict=True)),
            tuple(np.full(m, None) if factor is None else factor.labels() for factor in crossed),
            tuple(data.get((term.factor, term.columns), ()) for term in parts.terms)), blocks

    def encode_batch(self, table: Table, weights: str | None, na_action: str) -> BatchRows:
        """Encode rows that are to be added to others: all columns, with labels of groups whatever they are.

        Raises
        ------
        InputError, InputTypeError
            A column that is missing or holds something else than in the rows that the encoder was made from.
        """
        columns = {name: self.column(table, name) for name in variables(self.parsed, self.categorical)}
        groups = {name: table.factor(name) for name in group_columns(self.parsed.bars)}
        used = complete_columns(columns, groups, per_row("weights", weights, table), self._offset(table, None),
                                table.n_rows, na_action, none_left=True)
        blocks = encode(self.parsed, used.columns, used.n, self.contrasts, self.specs)
        y, prior = finish(response_of(self.parsed, used.columns, blocks, used.n), used.weights, self.parsed.response,
                          None, used.rows)
        return BatchRows(
            y, blocks[self.parsed.fixed].matrix, used.groups,
            tuple(data for _, _, data in self.terms_of(blocks, self.parsed.bars)), prior,
            total_offset(self.parsed, blocks, used.offset),
            {name: used.columns[name] for name in self.fixed_columns}, used.rows, table.n_rows)

    def rows_with_gaps(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                       family: Family | None) -> RowsWithGaps:
        """Encode new data in the rows where nothing but the response is missing, with responses where they are."""
        used_factors = self._used(parts, groups)
        asked = self._asked(used_factors, False)
        table = Table(newdata, "newdata")
        used = self._complete(table, asked, used_factors, offset, "drop")
        rows = self._encoded(parts, asked, used, used_factors)[0]
        return RowsWithGaps(rows, self._observed(table, used.rows, used.n, family), used.rows)

    def _observed(self, table: Table, rows: NDArray[np.intp] | None, n: int,
                  family: Family | None) -> FloatArray | None:
        """Responses of n rows of a table, NaN where they are missing; None where the table lacks their columns."""
        names = [name for part in self.parsed.responses for name in split_names(part)[0] if name in self.categorical]
        if not names or not set(names).issubset(table.names):
            return None
        columns: dict[str, Column] = {name: self.column(table, name) for name in names}
        if rows is not None:
            columns = {name: take_rows(values, rows) for name, values in columns.items()}
        known = complete_columns(columns, {}, None, None, n, "drop", none_left=True, argument="newdata")
        y = np.full(n, np.nan)
        if known.n:
            texts = map(expression_formula, self.parsed.responses)
            blocks = {text: model_matrix(self.specs[text], known.columns, known.n, self.contrasts, self.parsed.text)
                      for text in texts if text in self.specs}
            given = self._as_labelled(response_of(self.parsed, known.columns, blocks, known.n))
            positions = np.arange(table.n_rows) if rows is None else rows
            complete = slice(None) if known.rows is None else known.rows
            y[complete], _ = finish(given, None, self.parsed.response, family, positions[complete])
        return y

    def _as_labelled(self, response: Column) -> Column:
        """A response of labels with the two levels that it had in the fit."""
        if self.response_levels is None or not isinstance(response, Categorical):
            return response
        codes = response.codes_in(self.response_levels)
        if (codes < 0).any():
            known = " or ".join(map(repr, self.response_levels.tolist()))
            raise InputError(f"response {self.parsed.response!r}: expected {known} as in the fit, "
                             f"got {response.labels()[codes < 0][0]!r}")
        return Categorical(codes, self.response_levels)

    def terms_of(self, blocks: Mapping[str, Block],
                 bars: Iterable[Bar]) -> Iterator[tuple[int, tuple[str, ...], TermData]]:
        """Position of the grouping factor, names and data of every term, as `/` and `||` spell them out."""
        position = {names: i for i, names in enumerate(self.factors)}
        for bar in bars:
            names, data = random_columns(bar.lhs, blocks)
            for group in bar.groups:
                if bar.correlated:
                    yield position[group], names, data
                else:
                    yield from ((position[group], (name,), (values,))
                                for name, values in zip(names, data, strict=True))

    def fixed_terms(self, parts: ModelParts) -> tuple[ModelTerm, ...]:
        """Which columns of X belong together, the intercept among them."""
        return model_terms(self.specs[self.parsed.fixed])

    def random_terms(self, parts: ModelParts) -> tuple[TermContent, ...]:
        """What each random-effects term consists of."""
        return tuple(replace(content, bar=i) for i, bar in enumerate(self.parsed.bars)
                     for content in self._contents(bar))

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
        coded = self.coded_levels()
        return tuple(FixedVariable.of(name, _as_coded(values, coded.get(name)))
                     for name, values in self.fixed_columns.items())

    def coded_levels(self) -> dict[str, NDArray[Any]]:
        """Levels of the columns that are categorical in the fixed part, or that it makes so."""
        return {names[0]: levels for expression, levels in categorical_factors(self.specs[self.parsed.fixed]).items()
                if len(names := split_names(expression)[0]) == 1}

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
        return per_row("offset", self.offset_column if offset is None else offset, table)

    def column(self, table: Table, name: str) -> Column:
        """A column used outside of groups, of the kind that it had in the fit."""
        if self.categorical[name]:
            return table.factor(name)
        values = table.column(name)
        if isinstance(values, Categorical):
            raise InputTypeError(f"{table.argument}: expected numbers in column {name!r} as in the fit, got strings or "
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
