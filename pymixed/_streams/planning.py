"""What must be known of all rows before the first of them is encoded: levels of columns and state of transforms.

It is declared, taken from a table, or found by a first pass over the columns that are needed.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._categorical import Categorical, factorize
from .._formula_columns import check_coded, check_names, complete_columns, group_columns, per_row, variables
from .._frames import Column, FloatArray, Table, factor
from .._from_formula import parse_for
from .._model_matrix import STATEFUL, Contrast, check_contrasts, factor_expressions, part_texts, transform_state
from ..errors import FormulaError, InputError, InputTypeError
from ..formula import ParsedFormula, split_names
from .batches import naming
from .encoding import Recipe
from .levels import ColumnLevels

ROWS_OF_SAMPLE = 32


@dataclass(frozen=True)
class Model:
    """What the user says of a model that is fitted to batches; see `CrossProducts.from_batches`."""

    formula: str
    levels: Mapping[str, Any]
    state: Any
    weights: str | None
    offset: str | None
    contrasts: Mapping[str, Contrast]
    na_action: str

    def __post_init__(self) -> None:
        for name in ("weights", "offset"):
            if not isinstance(given := getattr(self, name), (str, type(None))):
                raise InputTypeError(f"{name}: expected the name of a column of the batches, got "
                                     f"{type(given).__name__}")
        if not isinstance(self.levels, Mapping):
            raise InputTypeError(f"levels: expected a mapping from columns to labels, got {type(self.levels).__name__}")
        if self.na_action not in ("drop", "raise"):
            raise InputError(f"na_action: expected 'drop' or 'raise', got {self.na_action!r}")
        check_contrasts(self.contrasts)

    def columns(self, names: Collection[str] | None) -> list[str] | None:
        """Those of a table's columns that the model uses; None where it is not known what columns there are."""
        if names is None:
            return None
        parsed = parse_for(self.formula, None, None)
        check_names(parsed, Table(dict.fromkeys(names)), None)
        extra = [name for name in (self.weights, self.offset, *self.contrasts) if name is not None and name in names]
        return list(dict.fromkeys([*variables(parsed, names), *group_columns(parsed.bars), *extra]))


Again = Callable[[Sequence[str]], Iterable[Any]]


def make_recipe(model: Model, first: Any, again: Again | None) -> Recipe:
    """Find what the encoding of a model's batches needs.

    Parameters
    ----------
    model : Model
    first : table
        The first batch that has rows.
    again : callable or None
        All batches anew, with the columns named; None where they can be read once only.

    Raises
    ------
    InputError, InputTypeError, FormulaError
        A model that the first batch has no columns for; levels or state that are neither declared nor to be found.
    """
    parsed, table = parse_for(model.formula, None, None), Table(first, "data")
    check_names(parsed, table, None)
    for argument in ("weights", "offset"):
        per_row(argument, getattr(model, argument), table)
    columns = {name: table.column(name) for name in variables(parsed, table.names)}
    check_coded(model.contrasts, columns, table)
    reading = _Reading(model, parsed, columns)
    levels, state = reading.declared(), {}
    if model.state is not None:
        given = reading.complete(Table(model.state, "state"))
        levels = {**{name: _own_levels(given[name]) for name in reading.labelled}, **levels}
        state = reading.state(given)
    elif (unknown := reading.unknown(levels, again)) or reading.stateful:
        if again is None:
            raise InputError(_once(unknown, reading.stateful, reading.values))
        levels_found, given = reading.first_pass(again, unknown, reading.values)
        levels = {**levels_found, **levels}
        state = reading.state(given)
    levels = {**{name: _own_levels(columns[name]) for name in reading.labelled}, **levels}
    complete = {name: values for name, values in columns.items() if name not in levels}
    return Recipe(
        model.formula, model.contrasts, model.weights, model.offset, model.na_action, levels,
        tuple(name for name in levels if isinstance(column := columns[name], Categorical) and column.ordered),
        tuple(name for name in levels if name not in reading.numbers), state, _sample(complete))


class _Reading:
    """The columns of a formula by what they are needed for."""

    def __init__(self, model: Model, parsed: ParsedFormula, columns: Mapping[str, Column]) -> None:
        self.model, self.parsed = model, parsed
        self.kinds = {name: isinstance(values, Categorical) or (name in model.levels and bool(np.isnan(values).all()))
                      for name, values in columns.items()}
        self._of_first = columns
        expressions = [(expression, text) for text, whole in part_texts(parsed, columns).items()
                       for expression in factor_expressions(text, whole)]
        of_model = {name for text in (parsed.fixed, *parsed.offsets, *(bar.lhs for bar in parsed.bars))
                    for name in split_names(text)[0]}
        self.numbers = self._made_categorical(expression for expression, _ in expressions)
        self.labelled = [*(name for name, labels in self.kinds.items() if labels and name in of_model), *self.numbers]
        self.stateful = list(dict.fromkeys(expression for expression, _ in expressions
                                           if STATEFUL & set(split_names(expression)[1])))
        self.values = list(dict.fromkeys(name for expression in self.stateful for name in split_names(expression)[0]
                                         if name in columns))

    def _made_categorical(self, expressions: Iterable[str]) -> list[str]:
        """Numeric columns whose values are levels: those inside of C() or factor()."""
        found = []
        for expression in expressions:
            names, functions = split_names(expression)
            if {"C", "factor"} & set(functions):
                inside = [name for name in names if not self.kinds.get(name, True)]
                if len(inside) > 1:
                    raise FormulaError(f"in {expression!r}: expected one column that is made categorical, got "
                                       f"{' and '.join(inside)}", self.parsed.text)
                found += inside
        return list(dict.fromkeys(found))

    def declared(self) -> dict[str, NDArray[Any]]:
        """Levels that the user says a column has."""
        found = {}
        for name, given in self.model.levels.items():
            if name not in self.labelled:
                holds = "holds numbers; C() makes it categorical" if name in self.kinds else "is not in it"
                raise InputError(f"levels: expected categorical columns of the fixed part or of a bar's left-hand side "
                                 f"({', '.join(self.labelled) or 'none'}), {name!r} {holds}")
            found[name] = _labels(name, given)
        return found

    def unknown(self, levels: Collection[str], again: Again | None) -> list[str]:
        """Columns whose levels a first pass must find."""
        return [name for name in self.labelled if name not in levels
                and (again is not None or self._declared_by(name) is None)]

    def _declared_by(self, name: str) -> NDArray[Any] | None:
        column = self._of_first[name]
        return column.declared if isinstance(column, Categorical) else None

    def complete(self, table: Table) -> dict[str, Column]:
        """The columns outside of groups in the complete rows of a table, which needs no columns but those asked for."""
        columns = {name: table.factor(name) if labels else table.column(name) for name, labels in self.kinds.items()
                   if name in (*table.names, *self.labelled, *self.values)}
        groups = {name: table.factor(name) for name in group_columns(self.parsed.bars) if name in table.names}
        weights, offset = (per_row(argument, name, table) if name in table.names else None
                           for argument, name in (("weights", self.model.weights), ("offset", self.model.offset)))
        return dict(complete_columns(columns, groups, weights, offset, table.n_rows, "drop", none_left=True).columns)

    def first_pass(self, again: Again, names: list[str],
                   values: list[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Column]]:
        """Levels of some columns and, in the rows where nothing is missing, the values of others."""
        tables = {name: ColumnLevels(name) for name in names}
        parts: dict[str, list[Column]] = {name: [] for name in values}
        extra = [name for name in (self.model.weights, self.model.offset) if name is not None]
        wanted = list(dict.fromkeys([*self.kinds, *group_columns(self.parsed.bars), *extra])) if values else names
        for number, batch in enumerate(again(wanted), 1):
            table = Table(batch, "batch")
            if not table.n_rows:
                continue
            with naming(f"batch {number}"):
                columns = self.complete(table) if values else {
                    name: table.factor(name) if self.kinds[name] else table.column(name) for name in names}
                for name, levels in tables.items():
                    column = columns[name]
                    levels.learn(levels.look_up(column if isinstance(column, Categorical) else factorize(column)))
                for name, found in parts.items():
                    found.append(columns[name])
        found_levels = {}
        for name, levels in tables.items():
            if not len(levels):
                raise InputError(f"column {name!r}: expected at least one level, got none")
            found_levels[name] = levels.array()[np.argsort(levels.ranks())]
        return found_levels, {name: _joined(found) for name, found in parts.items()}

    def state(self, columns: Mapping[str, Column]) -> dict[str, Any]:
        """State of the transforms, from all their values."""
        if not self.stateful:
            return {}
        used = {name: columns[name] for name in self.values}
        return transform_state(self.stateful, used, len(next(iter(used.values()))), self.parsed.text)


def _once(unknown: Sequence[str], stateful: Sequence[str], values: Sequence[str]) -> str:
    """Why batches that can be read once do not do."""
    needs = [f"the levels of {name!r}: levels={{{name!r}: [...]}}" for name in unknown]
    if stateful:
        needs.append(f"all values of {', '.join(map(repr, values))} for {', '.join(stateful)}: state=table, a table "
                     "that they are taken from")
    return (f"batches: they can be read once, and the formula needs to know beforehand {'; '.join(needs)}. Or give "
            "batches that can be read twice: a list, a Parquet path, a function that returns an iterator")


def _own_levels(column: Column) -> NDArray[Any]:
    """All levels that a column may have."""
    labels = column if isinstance(column, Categorical) else factorize(column)
    return labels.levels if labels.declared is None else labels.declared


def _labels(name: str, given: Any) -> NDArray[Any]:
    if isinstance(given, (str, bytes)) or not isinstance(given, (Iterable, np.ndarray)):
        raise InputTypeError(f"levels[{name!r}]: expected a sequence of labels, got {given!r}")
    values = list(given)
    found = factor(values, f"levels[{name!r}]")
    if not values or len(found.levels) < len(values):
        raise InputError(f"levels[{name!r}]: expected labels that differ, at least one, got {values!r}")
    return found.levels[found.codes]  # in the user's order


def _joined(parts: list[Column]) -> Column:
    if not parts:
        return np.empty(0)
    if isinstance(parts[0], Categorical):
        return factor(np.concatenate([part.labels() for part in parts if isinstance(part, Categorical)]), "column")
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])


def _sample(columns: Mapping[str, Column]) -> dict[str, FloatArray]:
    """A few finite values of numeric columns."""
    numeric = {name: values for name, values in columns.items() if isinstance(values, np.ndarray)}
    if not numeric:
        return {}
    complete = np.logical_and.reduce([np.isfinite(values) for values in numeric.values()])
    rows = np.flatnonzero(complete)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS_OF_SAMPLE)).astype(int)] if len(rows) else rows
    return {name: values[rows].copy() if len(rows) else np.ones(1) for name, values in numeric.items()}
