"""What plots of random effects show, taken from a solution."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._common import Array, check_choice
from .._described_solution import DescribedSolution
from ..errors import InputError, InputTypeError
from .random_effects import ShownCovariance, ShownModes, ShownShrinkage, least_squares_by_level
from .residuals import Sample

UNEXPLAINED = 1e-10  # share of a variance that is rounding


class Column(NamedTuple):
    """A column of random effects: its grouping factor, its position in the factor's tables, its name and variance."""

    group: str
    position: int
    name: str
    variance: float


def columns_of(solution: DescribedSolution[Any], group: str | None, term: str | Iterable[str] | None) -> list[Column]:
    """The columns of random effects of these names, by grouping factor.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    if group is not None:
        check_choice("group", group, tuple(solution.n_groups))
    found: list[Column] = []
    for name in solution.n_groups if group is None else [group]:
        terms = [one for one in solution.params.term_covariances if one.group == name]
        found += [Column(name, i, *column) for i, column in enumerate(
            (column, float(variance)) for one in terms
            for column, variance in zip(one.columns, one.matrix.diagonal(), strict=True))]
    if term is None:
        return found
    wanted = [term] if isinstance(term, str) else list(term)
    for name in wanted:
        check_choice("term", name, list(dict.fromkeys(column.name for column in found)))
    return [column for column in found if column.name in wanted]


def shown_modes(solution: DescribedSolution[Any], columns: list[Column], order: bool | str) -> list[ShownModes]:
    """Conditional modes, the levels of a factor in the order of its first column or of the one named."""
    modes, covariances = solution.ranef(condvar=True)
    places: dict[str, NDArray[np.intp]] = {}
    for column in columns:
        if column.group not in places:
            places[column.group] = np.argsort(_order_by(modes[column.group], column, order), kind="stable")
    return [ShownModes(group, name, modes[group].index.to_numpy(), modes[group].iloc[:, i].to_numpy(),
                       np.sqrt(covariances[group][:, i, i]), places[group]) for group, i, name, _ in columns]


def _order_by(table: Any, column: Column, order: bool | str) -> Array:
    if isinstance(order, str):
        check_choice("order", order, list(table.columns))
        return np.asarray(table[order], float)
    if not isinstance(order, (bool, np.bool_)):
        raise InputTypeError(f"order: expected True, False or the name of a column, got {order!r}")
    # levels in their own order read from top to bottom
    return np.asarray(table.iloc[:, column.position] if order else -np.arange(len(table)), float)


def standard_modes(solution: DescribedSolution[Any], columns: list[Column]) -> Iterator[Sample]:
    """Modes over their standard deviations under the model, of the columns that have a variance."""
    if not any(column.variance > 0.0 for column in columns):
        raise InputError("kind: expected 'residuals', since the random effects chosen have no variance, got 'random'")
    modes, covariances = solution.ranef(condvar=True)
    for group, i, name, variance in columns:
        if variance > 0.0:
            explained = variance - covariances[group][:, i, i]
            known = explained > UNEXPLAINED * variance  # of a level whose rows say nothing the mode is zero
            values = modes[group].iloc[:, i].to_numpy()[known] / np.sqrt(explained[known])
            yield Sample(values, f"{name} | {group}, standardised", True)


def shown_shrinkage(solution: DescribedSolution[Any], columns: list[Column]) -> list[ShownShrinkage]:
    """Coefficients of the levels without and with shrinkage, by pairs of a factor's columns."""
    coefficients, panels = solution.coef(), []
    for group in dict.fromkeys(column.group for column in columns):
        own = [column for column in columns if column.group == group]
        table = coefficients[group]
        end = table[[column.name for column in own]].to_numpy(float)
        start, population, start_name = _without_shrinkage(solution, own, end)
        for pair in [(0,)] if len(own) == 1 else combinations(range(len(own)), 2):
            at = list(pair)
            panels.append(ShownShrinkage(group, tuple(own[i].name for i in at), table.index.to_numpy(), start[:, at],
                                         end[:, at], population[at], start_name))
    return panels


def _without_shrinkage(solution: DescribedSolution[Any], columns: list[Column],
                       end: Array) -> tuple[Array, Array, str | None]:
    """Estimates of single levels, fixed effects, and what the former are."""
    design = solution._design
    fixed = dict(zip(solution.coefficient_names, solution.coefficients.tolist(), strict=True))
    population = np.array([fixed.get(column.name, 0.0) for column in columns])
    if solution._mean_link is not None or not design.has_rows:
        return np.broadcast_to(population, end.shape), population, None
    factor = [one.name for one in design.factors].index(columns[0].group)
    data = [values for term in design.terms if term.factor == factor for values in term.data]
    apart = least_squares_by_level(solution.residuals, [data[column.position] for column in columns],
                                   design.factors[factor].codes, len(end), design.weights)
    return np.where(np.isnan(apart), population, end + apart), population, "on its own"


def shown_covariances(solution: DescribedSolution[Any], group: str | None) -> list[ShownCovariance]:
    """Pairs of columns of the same term."""
    columns, first, panels = columns_of(solution, group, None), dict.fromkeys(solution.n_groups, 0), []
    for term in solution.params.term_covariances:
        start = first[term.group]
        first[term.group] += len(term.columns)
        for i, j in combinations(range(len(term.columns)), 2) if group in (None, term.group) else ():
            panels.append(ShownCovariance(
                term.group, (term.columns[i], term.columns[j]),
                solution.random_effects[term.group][:, [start + i, start + j]], term.matrix[np.ix_([i, j], [i, j])],
                float(term.correlation[i, j])))
    if not panels:
        raise InputError("group: expected a random-effects term of two columns or more, got "
                         f"{', '.join(f'{column.name} | {column.group}' for column in columns)}")
    return panels
