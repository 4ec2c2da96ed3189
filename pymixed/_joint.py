"""Uncertainty of x'β + z'b: the joint covariance of the errors of coefficients and random effects."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ._common import Array
from ._engine import EffectsCovariance
from ._parts import RandomTerm, TermData
from .design import MixedDesign

Codes = Sequence[NDArray[np.int32]]
STEP = 1e-4  # in theta: central differences with it are good to 1e-8 of a smooth function


@dataclass(frozen=True, eq=False)
class JointCovariance:
    """Joint covariance of β̂ − β and b̂ − b, theta held.

    With M = Λ'Z'WZΛ + I, Q = ΛM⁻¹Λ', F = QZ'WX and Var(β̂) = C,

        Var(x'(β̂ − β) + z'(b̂ − b)) = scale z'Qz + (x − F'z)'C(x − F'z)

    by Henderson's mixed-model equations (Henderson 1975, Biometrics 31(2); Robinson 1991, Statist. Sci. 6(1)). For a
    generalized linear model W are the weights at the conditional modes and the formula is that of the normal
    approximation to (β, b) there. Nothing here counts the uncertainty of theta.

    Attributes
    ----------
    effects : EffectsCovariance
        Q and F.
    vcov : (p, p) array
        C.
    scale : float
        sigma² of a linear model, else 1.
    """

    effects: EffectsCovariance
    vcov: Array
    scale: float

    @cached_property
    def fixed_modes(self) -> tuple[Array, ...]:
        """F per grouping factor, (levels, c, p)."""
        return self.effects.fixed_modes()

    def deviations(self, X: Array, terms: Sequence[RandomTerm], codes: Codes, data: Sequence[TermData]) -> Array:
        """X − F'z of rows (m, p); code -1 takes no part."""
        deviations = np.array(X)
        for term, columns, block in zip(terms, data, blocks(terms), strict=True):
            known = codes[term.factor] >= 0
            if not known.any():
                continue
            levels = codes[term.factor][known]
            for x, j in zip(columns, block, strict=True):
                modes = self.fixed_modes[term.factor][levels, j]
                deviations[known] -= modes if x is None else x[known, None] * modes
        return deviations

    def variances(self, X: Array, terms: Sequence[RandomTerm], codes: Codes, data: Sequence[TermData]) -> Array:
        """Variances of the errors of rows (m,)."""
        deviations = self.deviations(X, terms, codes, data)
        columns = [x for term in data for x in term]
        random = self.scale * self.effects.random_variances(codes, columns)
        return np.asarray(random + ((deviations @ self.vcov) * deviations).sum(axis=1))


def blocks(terms: Sequence[RandomTerm]) -> Iterator[range]:
    """Positions of the columns of each term among those of its grouping factor."""
    used: dict[int, int] = {}
    for term in terms:
        first = used.get(term.factor, 0)
        used[term.factor] = first + len(term.columns)
        yield range(first, used[term.factor])


def level_covariances(effects: EffectsCovariance, design: MixedDesign) -> tuple[Array, ...]:
    """Diagonal blocks of Q per grouping factor (levels, c, c), from variances of sums of two columns."""
    return tuple(_level_covariances(effects, design, i) for i in range(len(design.factors)))


def _level_covariances(effects: EffectsCovariance, design: MixedDesign, position: int) -> Array:
    n_levels = len(design.factors[position].levels)
    of_factor = [term.factor == position for term in design.terms for _ in term.columns]
    own = np.flatnonzero(of_factor).tolist()
    codes = [np.arange(n_levels, dtype=np.int32) if i == position else np.full(n_levels, -1, np.int32)
             for i in range(len(design.factors))]

    def variance(*chosen: int) -> Array:
        return effects.random_variances(codes, [np.full(n_levels, float(j in chosen)) for j in range(len(of_factor))])

    out = np.empty((n_levels, len(own), len(own)))
    for a, first in enumerate(own):
        out[:, a, a] = variance(first)
        for b, second in enumerate(own[:a]):
            out[:, a, b] = out[:, b, a] = 0.5 * (variance(first, second) - out[:, a, a] - out[:, b, b])
    return out


def central_differences(values: Callable[[Array], Array], x: Array, free: NDArray[np.bool_], m: int) -> Array:
    """Derivatives in the free entries of x of m values as functions of a step from x, a row each; else zero."""
    out = np.zeros((len(x), m))
    for i in np.flatnonzero(free):
        step = np.zeros(len(x))
        step[i] = STEP * max(1.0, abs(x[i]))
        out[i] = (values(step) - values(-step)) / (2.0 * step[i])
    return out
