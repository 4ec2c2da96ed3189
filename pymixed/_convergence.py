"""The convergence certificate: whether a point is a minimum, judged by its derivatives."""
from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from ._common import Array, Convergence
from .design import RandomTerm
from .inference import template_entries

# Expected gain of one more step, in log-likelihood units, that a certified minimum may leave: estimates are then
# within sqrt(2e-6), about a thousandth, of a standard error of it.
CERTIFIED_GAIN = 1e-6

# Smallest eigenvalue of the Hessian scaled to a unit diagonal that may be rounding.
LEAST_CURVATURE = -1e-6


def free_parameters(terms: Sequence[RandomTerm], theta: Array) -> NDArray[np.bool_]:
    """False for the entries of template columns that are zero: at their boundary."""
    if theta.all():
        return np.ones(len(theta), bool)
    free = np.ones(len(theta), bool)
    start = 0
    for term in terms:
        rows, columns = template_entries(len(term.columns), term.structure)
        entries = theta[start:start + len(rows)]
        largest = np.zeros(len(term.columns))
        np.maximum.at(largest, columns, np.abs(entries))
        free[start:start + len(rows)] = largest[columns] > 0.0
        start += len(rows)
    return free


def certificate(names: Sequence[str], gradient: Array, hessian: Array, free: NDArray[np.bool_]) -> Convergence:
    """Judge a point by its gradient and Hessian, those of the parameters at their boundary apart."""
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return Convergence(False, np.nan, np.nan, np.nan, (), "the criterion is not finite all around the estimates")
    # scaled to a unit diagonal, so that the units of the columns do not decide what is singular
    slope, curvature = gradient[free], hessian[free][:, free]
    diagonal = curvature.diagonal()
    scale = np.where(diagonal > 0, diagonal, 1.0) ** -0.5
    values, vectors = np.linalg.eigh(scale[:, None] * curvature * scale)
    along = (scale * slope) @ vectors
    steep = np.abs(values) >= 1e-8              # the others do not change the model: it is over-parametrised
    gain = 0.25 * float((along[steep] ** 2 / np.abs(values[steep])).sum())
    smallest = float(values.min(initial=1.0))
    problems = []
    if not gain < CERTIFIED_GAIN:
        problems.append(f"one more Newton step would gain {gain:.2g} in log-likelihood")
    if smallest < LEAST_CURVATURE:
        problems.append("the Hessian has a negative eigenvalue: a saddle point")
    active: tuple[tuple[str, float], ...] = ()
    if not free.all():
        # with respect to the variance: the criterion is even in a template column, its derivative is the curvature
        boundary = hessian[~free][:, ~free]
        active = tuple(zip(compress(names, ~free), (0.5 * boundary.diagonal()).tolist(), strict=True))
        scale = np.maximum(np.abs(boundary.diagonal()), 1e-4 * np.abs(hessian.diagonal()).max()) ** -0.5
        if np.linalg.eigvalsh(scale[:, None] * boundary * scale)[0] < -1e-3:
            problems.append(f"the criterion falls when variance is added to {', '.join(name for name, _ in active)}")
    message = "; ".join(problems) if problems else "a minimum"
    return Convergence(not problems, gain, smallest, float(np.abs(slope).max(initial=0.0)), active, message)
