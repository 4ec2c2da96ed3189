"""Responses drawn for any rows, those of a fit or new ones, with random effects that are drawn too or held."""
from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._common import Array
from .._engine import Criterion
from .._family import Family
from .._joint import blocks
from ..design import MixedDesign, NewRows
from ..errors import DomainWarning
from ..inference import templates
from .resampling import ModelPoint


@dataclass(frozen=True, eq=False)
class Draw:
    """What responses are drawn with.

    Attributes
    ----------
    point : ModelPoint
        The parameters.
    seed : int
    family : Family or None
        None of a linear model.
    """

    point: ModelPoint
    seed: int
    family: Family | None

    @property
    def sigma(self) -> float:
        """What random effects are relative to: sigma of a linear model, else 1."""
        return float(self.point.extra[0]) if self.family is None else 1.0


@dataclass(frozen=True, eq=False)
class _Levels:
    """Levels of a grouping factor that some rows have.

    Attributes
    ----------
    codes : (m,) array
        Position of each row's level.
    seen : (k,) array
        Position of these levels among those of the fit, -1 for others.
    """

    codes: NDArray[np.intp]
    seen: NDArray[np.intp]

    @classmethod
    def of(cls, codes: NDArray[np.int32], labels: NDArray[np.object_], n_levels: int) -> _Levels:
        """Levels of rows by their codes in the fit, which are -1 for labels that it does not know."""
        numbers = codes.astype(np.intp)
        unseen = codes < 0
        if unseen.any():
            from pandas import factorize

            numbers[unseen] = n_levels + factorize(labels[unseen])[0]
        present, positions = np.unique(numbers, return_inverse=True)
        return cls(positions, np.where(present < n_levels, present, -1))


def draw_responses(engine: Criterion, design: MixedDesign, rows: NewRows, weights: Array | None,
                   is_kept: NDArray[np.bool_], modes: Mapping[str, Array] | None, draw: Draw, n: int) -> Array:
    """Responses (m, n) of rows; column j depends on the seed and j alone.

    Random effects come from NumPy's generator of the same kind as the core's (Philox), under another key; the core
    draws the responses given them.

    Parameters
    ----------
    engine : Criterion
    design : MixedDesign
        That of the fit.
    rows : NewRows
    weights : (m,) array or None
        Their prior weights.
    is_kept : (p,) array
        Which columns of X have a coefficient.
    modes : mapping or None
        Random effects that levels of the fit keep, (levels, c) per grouping factor; None: all are drawn.
    draw : Draw
    n : int
    """
    point = draw.point
    fixed = rows.X[:, is_kept] @ point.coefficients
    if rows.offset is not None:
        fixed += rows.offset
    zeta = None
    if rows.zero_inflation is not None:
        zeta = rows.zero_inflation @ point.extra[-rows.zero_inflation.shape[1]:]
    levels = [_Levels.of(codes, labels, len(factor.levels))
              for codes, labels, factor in zip(rows.codes, rows.labels, design.factors, strict=True)]
    roots, places = list(templates(design.terms, draw.sigma * point.theta)), list(blocks(design.terms))
    key = np.array([draw.seed, 1], np.uint64)
    Y = np.empty((len(fixed), n), order="F")
    for j in range(n):
        counter = np.array([0, 0, j, 0], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
        eta = fixed.copy()
        for term, block, root, data in zip(design.terms, places, roots, rows.data, strict=True):
            level = levels[term.factor]
            effects = generator.standard_normal((len(level.seen), len(root))) @ root.T
            if modes is not None:
                held = level.seen >= 0
                effects[held] = modes[term.group][level.seen[held]][:, block]
            for effect, column in zip(effects.T, data, strict=True):
                eta += effect[level.codes] if column is None else effect[level.codes] * column
        Y[:, j] = engine.respond(draw.family, eta, zeta, weights, point.extra, draw.seed, j)
    return Y


def in_rows_given(design: MixedDesign, Y: Array) -> Array:
    """Responses (n_rows_given, n) of responses of the rows that the design kept, NaN in the others."""
    if design.rows is None:
        return Y
    everywhere = np.full((design.n_rows_given, Y.shape[1]), np.nan, order="F")
    everywhere[design.rows] = Y
    return everywhere


def warn_of_domain(Y: Array, family: Family | None, stacklevel: int) -> None:
    """Warn of responses that could not be drawn."""
    if family is None:
        return
    missing = int(np.isnan(Y).sum())
    if missing:
        warnings.warn(DomainWarning(
            f"{missing} of {Y.size} responses could not be drawn and are NaN: the link {family.link_name!r} gives no "
            f"mean for their linear predictors; {family.distribution.links[0]!r} allows any"), stacklevel=stacklevel)
