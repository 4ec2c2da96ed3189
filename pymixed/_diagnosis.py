"""What went to infinity in a generalized linear mixed model, in words.

Complete separation: a combination of columns of X predicts some rows so well that the likelihood grows for ever along
it. The optimiser then stops where the criterion is flat: the coefficients along that direction have huge standard
errors, and the rows that it reaches have saturated means. A parameter of a family at its boundary makes the family a
simpler one.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ._common import Array, GLMMParams
from ._conditional import zero_probability
from ._distributions import Binomial, Counts, NegativeBinomial, NegativeBinomial1, StudentT, Tweedie
from ._family import Family
from .design import MixedDesign
from .errors import BoundaryWarning, SeparationWarning

# On the scale of the linear predictor: the standard deviation from which a direction of X counts as flat, and the
# effect from which a coefficient is on its way to infinity. And what may lack a saturated row's mean from its response.
FLAT_DEVIATION = 30.0
FAR = 5.0
SATURATED = 1e-3

NEGLIGIBLE = 1e-4  # part of the variance, or probability, below which a parameter of a family has no effect


def separation_findings(design: MixedDesign, family: Family, params: GLMMParams) -> Iterator[SeparationWarning]:
    """Warn of coefficients that run off to infinity."""
    if not isinstance(family.distribution, (Binomial, Counts)) or not params.coefficients.size:
        return
    X = design.X
    if params.aliased:
        X = X[:, [name not in params.aliased for name in design.coefficient_names]]
    reach = np.abs(X).max(axis=0)
    if params.vcov.diagonal() @ reach**2 < FLAT_DEVIATION**2:
        return
    saturated = np.abs(design.y - family.mean(params.linear_predictor)) < SATURATED
    variances, directions = np.linalg.eigh(reach[:, None] * params.vcov * reach)
    rows, taking_part = np.zeros(design.n, bool), np.zeros(reach.size, bool)
    for direction in directions.T[variances >= FLAT_DEVIATION**2]:
        effect = np.abs(X @ (direction / reach))
        reached = effect > 0.1 * effect.max()
        if saturated[reached].all():
            rows |= reached
            taking_part |= np.abs(direction) > 0.3 * np.abs(direction).max()
    if rows.any():
        yield SeparationWarning(
            f"separation: {_runaways(params, taking_part, reach)}; the likelihood of {rows.sum()} of {design.n} rows "
            "grows for ever as their means approach what was observed. Estimates and standard errors of these "
            "coefficients say no more than where the iteration stopped")


def _runaways(params: GLMMParams, taking_part: NDArray[np.bool_], reach: Array) -> str:
    """The coefficients that take part in a separation, and where each is going."""
    going = []
    for j in np.flatnonzero(taking_part):
        value = params.coefficients[j]
        where = ("is undetermined" if abs(value) * reach[j] < FAR else
                 f"goes to {'+' if value > 0 else '-'}infinity")
        going.append(f"the coefficient of {params.coefficient_names[j]!r} {where}")
    return ", ".join(going)


def boundary_findings(design: MixedDesign, family: Family, params: GLMMParams) -> Iterator[BoundaryWarning]:
    """Warn of parameters of the family and of the zero inflation that have left it for a simpler model."""
    distribution, values = family.distribution, params.family_parameters
    estimated = distribution.estimated
    if isinstance(distribution, NegativeBinomial) and estimated:
        largest = float(family.mean(params.linear_predictor).max())
        if largest / values["shape"] < NEGLIGIBLE:
            yield BoundaryWarning(f"boundary: the shape goes to infinity ({values['shape']:.2g} at the end): there is "
                                  "no overdispersion, the poisson family gives the same fit")
    if isinstance(distribution, NegativeBinomial1) and values["dispersion"] < NEGLIGIBLE:
        yield BoundaryWarning(f"boundary: the dispersion goes to 0 ({values['dispersion']:.2g} at the end): there is "
                              "no overdispersion, the poisson family gives the same fit")
    if isinstance(distribution, StudentT) and "df" in estimated and values["df"] > 1.0 / NEGLIGIBLE:
        yield BoundaryWarning(f"boundary: the degrees of freedom go to infinity ({values['df']:.2g} at the end): there "
                              "are no heavy tails, the gaussian family gives the same fit")
    if isinstance(distribution, Tweedie) and "power" in estimated:
        power = values["power"]
        if min(power - 1.0, 2.0 - power) < NEGLIGIBLE:
            yield BoundaryWarning(f"boundary: the power goes to {round(power)}, where the density is no tweedie one "
                                  "any more")
    if design.zero_inflation is not None:
        largest = float(zero_probability(design.zero_inflation @ params.zi_coefficients).max())
        if largest < NEGLIGIBLE:
            yield BoundaryWarning(f"boundary: the probability of a structural zero goes to 0 (at most {largest:.2g} at "
                                  "the end): there is no zero inflation, the model without zi gives the same fit")
            return
        deviations = np.sqrt(params.zi_vcov.diagonal()) * np.abs(design.zero_inflation).max(axis=0)
        for j in np.flatnonzero(deviations >= FLAT_DEVIATION):
            sign = "+" if params.zi_coefficients[j] > 0 else "-"
            yield BoundaryWarning(f"boundary: the zi coefficient of {params.zi_names[j]!r} goes to {sign}infinity: the "
                                  "probability of a structural zero goes to 0 or 1 in the rows that it reaches")
