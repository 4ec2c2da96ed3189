"""The columns of a table that a formula names, read and checked, in the rows where none of them lacks a value."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._categorical import Categorical
from ._family import Family
from ._frames import Column, FloatArray, Table, check_finite, complete_rows, numbers
from ._model_matrix import KNOWN_NAMES, Block, Contrast, expression_formula
from ._parts import TermData
from ._responses import is_binomial, models_response
from .errors import FormulaError, InputError, InputTypeError
from .formula import INTERCEPT, Bar, ParsedFormula, position_of, split_names


@dataclass(frozen=True, eq=False)
class CompleteColumns:
    """What a formula uses of a table, in the rows where nothing is missing.

    Attributes
    ----------
    columns : mapping
        Columns used outside of groups.
    groups : mapping
        Columns of the grouping factors.
    weights, offset : (n,) array or None
        Prior weights, and the offset that was given as an argument.
    rows : array of int or None
        Positions of the rows in the table, None where all are complete.
    n : int
        Their number.
    """

    columns: Mapping[str, Column]
    groups: Mapping[str, Categorical]
    weights: FloatArray | None
    offset: FloatArray | None
    rows: NDArray[np.intp] | None
    n: int


def complete_columns(columns: Mapping[str, Column], groups: Mapping[str, Categorical], weights: FloatArray | None,
                     offset: FloatArray | None, n: int, na_action: str, none_left: bool = False,
                     argument: str = "data") -> CompleteColumns:
    """Leave out the rows that lack a value; see `_frames.complete_rows`. Infinite values are refused by name."""
    rows = complete_rows({**_described(columns), **_described(groups), "weights": weights, "offset": offset}, n,
                         na_action, none_left, argument)
    if rows is not None:
        columns = {name: values.take(rows) for name, values in columns.items()}
        groups = {name: values.take(rows) for name, values in groups.items()}
        weights, offset = (values if values is None else values[rows] for values in (weights, offset))
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            check_finite(values, f"column {name!r}", rows)
    return CompleteColumns(columns, groups, weights, offset, rows, n if rows is None else len(rows))


def _described(columns: Mapping[str, Column]) -> dict[str, Column]:
    return {f"column {name!r}": values for name, values in columns.items()}


def per_row(argument: str, values: ArrayLike | str | None, table: Table) -> FloatArray | None:
    """An argument with a value per row, given as array or as name of a column."""
    if values is None:
        return None
    if not isinstance(values, str):
        return numbers(values, argument, table.n_rows)
    named = table.column(values)
    if isinstance(named, Categorical):
        raise InputTypeError(f"{argument}: expected numbers in column {values!r}, got strings or categories")
    return named


# ---- names ---------------------------------------------------------------------------------------------------------

def _expressions(parsed: ParsedFormula) -> Iterator[tuple[str, str]]:
    """Expressions outside of groups, each with the formula that it is in."""
    for expression in (*parsed.responses, parsed.fixed, *parsed.offsets):
        yield expression, parsed.text
    yield from ((bar.lhs, parsed.text) for bar in parsed.bars)
    yield parsed.zi_fixed, parsed.zi


def variables(parsed: ParsedFormula, columns: Collection[str]) -> list[str]:
    """Columns that the formula names outside of groups, in order of appearance."""
    names = dict.fromkeys(name for expression, _ in _expressions(parsed) for name in split_names(expression)[0])
    return [name for name in names if name in columns]


def group_columns(bars: Iterable[Bar]) -> list[str]:
    """Columns that the grouping factors cross, in order of appearance."""
    return list(dict.fromkeys(name for bar in bars for names in bar.groups for name in names))


def check_names(parsed: ParsedFormula, table: Table, family: Family | None) -> None:
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
    for name in group_columns(parsed.bars):
        if name not in table.names:
            raise FormulaError(table.unknown(name), parsed.text, position_of(name, parsed.text))


def check_coded(contrasts: Mapping[str, Contrast], columns: Mapping[str, Column], table: Table) -> None:
    """Refuse codings of columns that do not exist or hold numbers."""
    for name in contrasts:
        if name not in table.names:
            raise InputError(f"contrasts: {table.unknown(name)}")
        if isinstance(columns.get(name), np.ndarray):
            raise InputError(f"contrasts: expected a categorical column, {name!r} holds numbers; C({name}) in the "
                             "formula makes it categorical")


# ---- values from the columns of a formula ---------------------------------------------------------------------------

def response_of(parsed: ParsedFormula, columns: Mapping[str, Column], blocks: Mapping[str, Block], n: int) -> Column:
    """The response as the formula has it: (n,) numbers or labels, or (n, 2) successes and failures."""
    if not parsed.counts:
        return _value(parsed.response, parsed, columns, blocks)
    counts = np.empty((n, 2))
    for j, part in enumerate(parsed.counts):
        values = _value(part, parsed, columns, blocks)
        if isinstance(values, Categorical):
            raise InputTypeError(f"cbind(): expected numbers, got strings or categories in {part!r}")
        counts[:, j] = values
    return counts


def _value(expression: str, parsed: ParsedFormula, columns: Mapping[str, Column],
           blocks: Mapping[str, Block]) -> Column:
    """A column as it is, or the value of an expression of columns."""
    column = columns.get(expression.strip("`"))
    if column is not None:
        return column
    block = blocks[expression_formula(expression)]
    if len(block.names) != 1:
        raise FormulaError(f"response: expected one value per row, got {len(block.names)} columns", parsed.text)
    return block.matrix[:, 0]


def total_offset(parsed: ParsedFormula, blocks: Mapping[str, Block], given: FloatArray | None) -> FloatArray | None:
    """Sum of the formula's offsets and the argument's."""
    parts = [blocks[expression_formula(expression)].matrix[:, 0] for expression in parsed.offsets]
    parts += [] if given is None else [given]
    return np.sum(parts, axis=0) if parts else None


def random_columns(lhs: str, blocks: Mapping[str, Block]) -> tuple[tuple[str, ...], TermData]:
    """Names and values of the columns of a random-effects term."""
    if lhs == "1":
        return (INTERCEPT,), (None,)
    block = blocks[lhs]
    if not block.names:
        raise InputError(f"random-effects term ({lhs} | ...): expected at least one column, got none")
    columns = zip(block.names, block.matrix.T, strict=True)
    return block.names, tuple(None if name == INTERCEPT else column for name, column in columns)
