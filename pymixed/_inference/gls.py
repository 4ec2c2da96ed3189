"""Products of the inverse covariance of the rows with columns: V⁻¹R = W (R - Z modes(R)).

modes(R) = Λ M⁻¹ Λ'Z'WR, M = Λ'Z'WZΛ + I, is what the core finds for a column in place of y - Xβ; V = W⁻¹ + ZΛΛ'Z' is
over sigma² and never formed (Woodbury's identity).
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._common import Array, MixedParams
from ..design import MixedDesign


def kept_columns(design: MixedDesign, params: MixedParams) -> Array:
    """The columns of X that have a coefficient (n, p)."""
    if not params.aliased:
        return design.X
    return design.X[:, [name not in params.aliased for name in design.coefficient_names]]


def kept_triangle(design: MixedDesign, params: MixedParams) -> Array:
    """R of these columns, QR (p, p)."""
    kept = [name not in params.aliased for name in design.coefficient_names]
    return np.asarray(np.linalg.qr(design.sums.triangle[:, kept], mode="r"))


def inverse_covariance_times(design: MixedDesign, columns: Array, modes: Sequence[Array]) -> Array:
    """V⁻¹R (n, k) for columns R (n, k) and their modes per grouping factor (levels, c, k)."""
    out = columns.copy()
    used = [0] * len(design.factors)
    for term in design.terms:
        codes = design.factors[term.factor].codes
        for j, x in enumerate(term.data, start=used[term.factor]):
            effects = modes[term.factor][:, j][codes]
            out -= effects if x is None else x[:, None] * effects
        used[term.factor] += len(term.columns)
    if design.weights is not None:
        out *= design.weights[:, None]
    return np.asarray(out)
