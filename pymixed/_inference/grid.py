"""The reference grid of a model: the rows of X that marginal means and trends are averages of.

It has every combination of the levels of the factors in the fixed part, with numeric covariates at their means over the
rows of the fit; a covariate with no more than two distinct values counts as a factor. `at` replaces the values of a
variable. (Searle, Speed & Milliken 1980, Population marginal means in the linear model, Am. Stat. 34; the documented
behaviour of R's emmeans.)
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._categorical import Categorical
from .._common import Array, check_choice
from .._parts import FixedVariable
from ..design import MixedDesign
from ..errors import InputError, InputTypeError

LARGEST = 10_000_000    # cells of a grid times columns of X
FEW_VALUES = 2          # distinct values of a covariate that is averaged over like a factor
STEP = 1e-5             # of numerical derivatives, in the range of the variable
WEIGHTS = ("equal", "proportional")

# Fourth-order differences with the point at each of the five nodes, weights over twelve.
_DIFFERENCES = {
    0: [-25.0, 48.0, -36.0, 16.0, -3.0],
    2: [1.0, -8.0, 0.0, 8.0, -1.0],
    4: [3.0, -16.0, 36.0, -48.0, 25.0],
}


@dataclass(frozen=True, eq=False)
class Axis:
    """A variable of the grid.

    Attributes
    ----------
    name : str
    values : (k,) array
        Its levels or numbers.
    column : Categorical or (k,) array
        The same as a column of data.
    counted : bool
        Whether its values have frequencies: not those of a covariate.
    observed : array or None
        The rows of the fit as positions in `values`, -1 for others; None where they are not kept.
    """

    name: str
    values: NDArray[Any]
    column: Categorical | Array
    counted: bool
    observed: NDArray[np.intp] | None


@dataclass(frozen=True, eq=False)
class Margin:
    """Averages over a part of the grid.

    Attributes
    ----------
    labels : dict of str to (r,) array
        Values of the variables that are not averaged over.
    functions : (r, all columns of X) array
        The average row of X of each combination, those of the variable named first the fastest.
    n_first : int
        Combinations of `specs`: the rows come in families of so many, one for each combination of `by`.
    averaged : tuple of str
        Variables with several values that are averaged over.
    """

    labels: dict[str, NDArray[Any]]
    functions: Array
    n_first: int
    averaged: tuple[str, ...]


class ReferenceGrid:
    """See the module.

    Parameters
    ----------
    design : MixedDesign
    at : mapping or None
        Values of variables to use.
    """

    def __init__(self, design: MixedDesign, at: Mapping[str, Any] | None) -> None:
        self._encoder = design.encoder
        self._n_columns = design.p
        self._variables = {variable.name: variable for variable in design.encoder.fixed_variables()}
        at = _checked_at(at, self._variables)
        self._axes = [_axis(variable, at.get(name)) for name, variable in self._variables.items()]

    def margin(self, specs: Sequence[str], by: Sequence[str], weights: str, slope_of: str | None = None) -> Margin:
        """Average over all variables but `specs` and `by`; X, or its derivative in a covariate."""
        check_choice("weights", weights, WEIGHTS)
        n_cells = prod(len(axis.values) for axis in self._axes)
        if n_cells * self._n_columns > LARGEST:
            sizes = ", ".join(f"{axis.name}: {len(axis.values)}" for axis in self._axes)
            raise InputError(f"at: the reference grid has {n_cells} rows ({sizes}), too many; give fewer values of "
                             "some variables")
        by_name = {axis.name: axis for axis in self._axes}
        # the last axis is the fastest: by, then specs with the first fastest, and what is averaged over
        outer = [by_name[name] for name in (*by[::-1], *specs[::-1])]
        inner = [axis for axis in self._axes if axis not in outer]
        n_outer = prod(len(axis.values) for axis in outer)
        X = self._matrix([*outer, *inner]) if slope_of is None else self._slope([*outer, *inner], slope_of)
        mixing = self._weights(inner, weights)
        functions = np.einsum("rkp,k->rp", X.reshape(n_outer, len(mixing), self._n_columns), mixing)
        labels = dict(zip((axis.name for axis in outer), _crossed([axis.values for axis in outer]), strict=True))
        return Margin({name: labels[name] for name in (*specs, *by)}, functions,
                      prod(len(by_name[name].values) for name in specs),
                      tuple(axis.name for axis in inner if len(axis.values) > 1))

    def covariate(self, name: str) -> FixedVariable:
        """A numeric variable."""
        if not isinstance(name, str) or name not in self._variables:
            raise InputError(f"var: expected a variable of the fixed part ({', '.join(self._variables) or 'none'}), "
                             f"got {name!r}")
        variable = self._variables[name]
        if variable.levels is not None:
            raise InputError(f"var: expected a numeric variable, {name!r} is a factor in the model")
        return variable

    def names(self, argument: str, given: str | Iterable[str] | None) -> tuple[str, ...]:
        """Names of variables, checked."""
        names = () if given is None else (given,) if isinstance(given, str) else tuple(given)
        for name in names:
            if name not in self._variables:
                raise InputError(f"{argument}: expected variables of the fixed part "
                                 f"({', '.join(self._variables) or 'none'}), got {name!r}")
        if len(set(names)) < len(names):
            raise InputError(f"{argument}: expected each variable once, got {', '.join(names)}")
        return names

    def _matrix(self, axes: Sequence[Axis], shift: tuple[str, Array] | None = None) -> Array:
        """X on all combinations, the last axis the fastest; `shift` is added to a variable."""
        sizes = [len(axis.values) for axis in axes]
        positions = _crossed([np.arange(size) for size in sizes])
        columns: dict[str, Any] = {axis.name: _take(axis.column, where)
                                   for axis, where in zip(axes, positions, strict=True)}
        if shift is not None:
            columns[shift[0]] = columns[shift[0]] + shift[1]
        return self._encoder.fixed_matrix(columns, prod(sizes))

    def _slope(self, axes: Sequence[Axis], name: str) -> Array:
        """Derivative of X in a covariate, by differences that stay inside the range of the data where the point is."""
        variable = self.covariate(name)
        low, high = variable.low, variable.high
        step = STEP * (high - low) if high > low else STEP * max(1.0, abs(low))
        positions = dict(zip((axis.name for axis in axes), _crossed([axis.column for axis in axes]), strict=True))
        x = positions[name]
        # position of the point among the nodes: in the middle but near an end of the data
        place = np.where((low <= x) & (x < low + 2 * step), 0, np.where((x <= high) & (x > high - 2 * step), 4, 2))
        weights = np.array([_DIFFERENCES.get(k, [0.0] * 5) for k in range(5)])[place]
        return np.asarray(sum(
            weights[:, [node]] / (12.0 * step) * self._matrix(axes, (name, (node - place) * step))
            for node in range(5)))

    @staticmethod
    def _weights(axes: Sequence[Axis], weights: str) -> Array:
        """Weights (combinations,) of the average over some axes, the last the fastest."""
        sizes = [len(axis.values) for axis in axes]
        result = np.ones(sizes)
        counted = [axis for axis in axes if axis.counted]
        if weights == "proportional" and counted:
            if any(axis.observed is None for axis in counted):
                raise InputError("weights: expected 'equal' for a fit that holds no rows to count, got 'proportional'")
            observed = np.array([axis.observed for axis in counted])
            inside = observed[:, (observed >= 0).all(axis=0)]
            counts = np.zeros([len(axis.values) for axis in counted])
            np.add.at(counts, tuple(inside), 1.0)
            if not counts.any():
                raise InputError("weights: expected values of the variables that occur together, got none in the data")
            result *= counts.reshape([len(axis.values) if axis.counted else 1 for axis in axes])
        return np.asarray((result / result.sum()).ravel())


def _crossed(values: Sequence[Any]) -> list[NDArray[Any]]:
    """Columns of all combinations, the last the fastest."""
    if not values:
        return []
    sizes = [len(v) for v in values]
    grids = np.indices(sizes).reshape(len(sizes), -1)
    return [_take(v, where) if isinstance(v, Categorical) else np.asarray(v)[where]
            for v, where in zip(values, grids, strict=True)]


def _take(column: Categorical | Array, where: NDArray[np.intp]) -> Any:
    if isinstance(column, Categorical):
        return Categorical(column.codes[where], column.levels, column.ordered)
    return column[where]


def _axis(variable: FixedVariable, given: Any) -> Axis:
    name, levels, rows = variable.name, variable.levels, variable.values
    if levels is not None:
        codes = np.arange(len(levels)) if given is None else _codes(name, given, levels)
        position = np.full(len(levels), -1)
        position[codes] = np.arange(len(codes))
        column = Categorical(codes.astype(np.int32), levels, variable.ordered)
        return Axis(name, levels[codes], column, True, position[rows.codes] if isinstance(rows, Categorical) else None)
    if given is not None:
        values = _numbers(name, given)
        return Axis(name, values, values, False, None)
    if variable.few is not None:
        observed = np.searchsorted(variable.few, rows) if isinstance(rows, np.ndarray) else None
        return Axis(name, variable.few, variable.few, True, observed)
    mean = np.array([variable.mean])
    return Axis(name, mean, mean, False, None)


def _checked_at(at: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise InputTypeError(f"at: expected a mapping from variables to values, got {type(at).__name__}")
    for name in at:
        if name not in variables:
            raise InputError(f"at: expected variables of the fixed part ({', '.join(variables) or 'none'}), "
                             f"got {name!r}")
    return at


def _codes(name: str, given: Any, levels: NDArray[Any]) -> NDArray[np.intp]:
    known = {level: i for i, level in enumerate(levels.tolist())}
    labels = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if not labels:
        raise InputError(f"at[{name!r}]: expected at least one level, got none")
    for label in labels:
        if label not in known:
            raise InputError(f"at[{name!r}]: expected levels of the fit ({', '.join(map(repr, known))}), got {label!r}")
    return np.array([known[label] for label in labels], np.intp)


def _numbers(name: str, given: Any) -> Array:
    try:
        values = np.atleast_1d(np.asarray(given, np.float64))
    except (TypeError, ValueError):
        raise InputTypeError(f"at[{name!r}]: expected numbers, got {given!r}") from None
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"at[{name!r}]: expected finite numbers, got {given!r}")
    return values
