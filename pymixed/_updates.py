"""Conditional modes of new or changed groups from their own rows, the estimates held."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ._common import Array
from ._engine import Criterion, EffectsCovariance
from ._joint import level_covariances
from ._parts import GroupingFactor, ObservedRows, RandomTerm
from .design import MixedDesign
from .errors import InputError

Positions = tuple[NDArray[np.intp], ...]


@dataclass(frozen=True, eq=False)
class GroupRows:
    """The rows that some levels are known by.

    Attributes
    ----------
    design : MixedDesign
        These rows, with the columns of X that have a coefficient and the levels that occur.
    levels : tuple of arrays of int
        Per grouping factor where these levels stand among all.
    all_levels : tuple of arrays
        Per grouping factor all labels.
    """

    design: MixedDesign
    levels: Positions
    all_levels: tuple[NDArray[Any], ...]

    def extended(self, values: Sequence[Array], own: Sequence[Array]) -> tuple[Array, ...]:
        """Values of all levels (levels, ...) per factor: `own` of those of these rows, else those before, or zero."""
        found = []
        for before, new, levels, labels in zip(values, own, self.levels, self.all_levels, strict=True):
            together = np.zeros((len(labels), *before.shape[1:]))
            together[:len(before)] = before
            together[levels] = new
            found.append(together)
        return tuple(found)


@dataclass(frozen=True, eq=False)
class UpdatedEffects:
    """Covariance of the random effects where some levels are known by rows of their own; see `EffectsCovariance`.

    Attributes
    ----------
    base : EffectsCovariance
        Of the rows of the fit.
    rows : GroupRows
    column : callable
        Covariance of the levels of these rows with one column in the place of X.
    """

    base: EffectsCovariance
    rows: GroupRows
    column: Callable[[Array], EffectsCovariance]

    @cached_property
    def _before(self) -> tuple[Array, ...]:
        return self.base.fixed_modes()

    @cached_property
    def _own(self) -> EffectsCovariance:
        return self.column(np.ones(self.rows.design.n))

    def random_variances(self, codes: Sequence[NDArray[np.int32]], columns: Sequence[Array | None]) -> Array:
        """Variances z'Qz of rows (m,), the parts of levels of either kind added."""
        before, own = [], []
        for code, levels, labels, modes in zip(codes, self.rows.levels, self.rows.all_levels, self._before,
                                               strict=True):
            place = np.full(len(labels) + 1, -1, np.int32)  # code -1 reaches the last
            place[levels] = np.arange(len(levels))
            own.append(place[code])
            here = np.arange(len(labels) + 1, dtype=np.int32)
            here[len(modes):] = -1
            here[levels] = -1
            before.append(here[code])
        return self.base.random_variances(before, columns) + self._own.random_variances(own, columns)

    def solve_sets(self, codes: Sequence[NDArray[np.int32]], columns: Sequence[Array | None], sets: NDArray[np.int32],
                   n_sets: int, weights: Array, values: Array) -> Array:
        """Of the fit, where they go with its rows: not here."""
        raise_updated()

    def fixed_modes(self) -> tuple[Array, ...]:
        """QZ'WX per grouping factor, (levels, c, p)."""
        X = self.rows.design.X
        zero = [np.zeros((len(levels), modes.shape[1], 1))
                for levels, modes in zip(self.rows.levels, self._before, strict=True)]
        own = [self.column(x).fixed_modes() if x.any() else zero for x in X.T]
        together = [np.concatenate(columns, axis=2) for columns in zip(*own, strict=True)] if own else zero
        return self.rows.extended(self._before, together)


def group_rows(design: MixedDesign, observed: ObservedRows, X: Array, fixed_part: Array) -> GroupRows:
    """Rows with a response as a design of their own; levels that the fit's `design` lacks follow its own.

    `X` are their columns that have a coefficient, `fixed_part` is offset + Xβ.
    """
    factors, places, all_levels = [], [], []
    for factor, labels in zip(design.factors, observed.rows.labels, strict=True):
        codes, unique = _factorized(labels)
        known = {label: i for i, label in enumerate(factor.levels.tolist())}
        new = [label for label in unique if label not in known]
        known |= {label: len(factor.levels) + i for i, label in enumerate(new)}
        levels = _with_labels(factor.levels, new)
        place = np.array([known[label] for label in unique], np.intp)
        factors.append(GroupingFactor(factor.name, codes, levels[place]))
        places.append(place)
        all_levels.append(levels)
    rows = observed.rows
    terms = tuple(RandomTerm(term.group, term.factor, term.columns, data, term.structure)
                  for term, data in zip(design.terms, rows.data, strict=True))
    own = MixedDesign(
        y=observed.y, X=X, coefficient_names=tuple(f"x{j}" for j in range(X.shape[1])), factors=tuple(factors),
        terms=terms, weights=observed.weights, offset=fixed_part, response_name=design.response_name, formula=None,
        rows=None, n_rows_given=len(X), zero_inflation=rows.zero_inflation, zi_names=design.zi_names,
        encoder=design.encoder)
    return GroupRows(own, tuple(places), tuple(all_levels))


class UpdatedCriterion:
    """The criterion of a fit in which some levels are known by rows of their own; see `pymixed._engine.Criterion`.

    Everything but the covariance of the random effects is the fit's.

    Parameters
    ----------
    base : Criterion
        Of the fit.
    rows : GroupRows
    """

    def __init__(self, base: Criterion, rows: GroupRows) -> None:
        self.base, self.rows = base, rows

    def __getattr__(self, name: str) -> Any:
        if name in ("base", "rows"):  # not there while a copy is made
            raise AttributeError(name)
        return getattr(self.base, name)

    def fixed_modes(self, parameters: Array) -> tuple[Array, ...]:
        """Of the fit, where they go with its rows: not here."""
        raise_updated()

    def modes_of(self, parameters: Array, columns: Array) -> tuple[Array, ...]:
        """Not either."""
        raise_updated()

    def effects_covariance(self, parameters: Array) -> UpdatedEffects:
        """Covariance of the random effects."""
        return UpdatedEffects(self.base.effects_covariance(parameters), self.rows,
                              lambda x: self.base.group_covariance(parameters, self.rows.design, x))

    def conditional_covariances(self, parameters: Array) -> tuple[Array, ...]:
        """Var(b | y) per grouping factor, (levels, c, c); over sigma² for a linear model."""
        before = self.base.conditional_covariances(parameters)
        design = self.rows.design
        own = level_covariances(self.base.group_covariance(parameters, design, np.ones(design.n)), design)
        return self.rows.extended(before, own)


def raise_updated() -> NoReturn:
    """Refuse what goes with the rows of the fit, where groups are known by others."""
    raise InputError("leverage, influence and robust covariances are those of the fit: expected it, got a model whose "
                     "groups were updated from other rows")


def _factorized(labels: NDArray[Any]) -> tuple[NDArray[np.int32], list[Any]]:
    """Codes of labels of any type, and the labels, sorted."""
    import pandas as pd

    codes, unique = pd.factorize(labels, sort=True)
    return codes.astype(np.int32), unique.tolist()


def _with_labels(levels: NDArray[Any], new: Sequence[Any]) -> NDArray[Any]:
    """Levels with new ones behind them."""
    if not new:
        return levels
    return np.concatenate([levels, np.array(new, object if levels.dtype.kind == "O" else None)])
