"""The parameters of a fitted model beside its coefficients, as reports name them."""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._bounded_solution import BoundedSolution
from .._common import Array, GLMMParams, LMMParams, normal_p_values
from .._inference.variance_parameters import variance_parameters


class RandomParameter(NamedTuple):
    """A parameter of the random effects, or of the response's distribution given them.

    Attributes
    ----------
    name : str
        Its name in `conf_int`.
    kind : str
        ``"sd"``, ``"cor"``, ``"sigma"`` or ``"family"``.
    group : str
        Its grouping factor; empty for the latter two.
    columns : tuple of str
        Of the random-effects term: that of the standard deviation, the two of the correlation.
    value : float
    """

    name: str
    kind: str
    group: str
    columns: tuple[str, ...]
    value: float


class ZeroInflation(NamedTuple):
    """Coefficients (r,) of the logit of the probability of a structural zero."""

    names: tuple[str, ...]
    estimates: Array
    se: Array

    @property
    def p_values(self) -> Array:
        """Two-sided p-values of the z tests (r,)."""
        return normal_p_values(self.estimates / self.se)


def zero_inflation(fit: BoundedSolution[Any]) -> ZeroInflation | None:
    """The zero inflation of a fit, None where there is none."""
    params = fit.params
    if not isinstance(params, GLMMParams) or not params.zi_names:
        return None
    return ZeroInflation(params.zi_names, params.zi_coefficients, np.sqrt(params.zi_vcov.diagonal()))


def random_positions(fit: BoundedSolution[Any]) -> range:
    """Where `random_parameters` stand among all parameters: after the coefficients, before those of zero inflation."""
    inflation = zero_inflation(fit)
    return range(fit.coefficients.size, len(fit._parameter_names) - (len(inflation.names) if inflation else 0))


def random_parameters(fit: BoundedSolution[Any]) -> list[RandomParameter]:
    """Standard deviations and correlations of the terms, then sigma or the estimated parameters of the family."""
    places: list[tuple[str, str, tuple[str, ...]]] = []
    for _, kind, position, row, column in variance_parameters(fit._design.terms, with_sigma=False):
        term = fit._design.terms[position]
        entries = (row,) if kind == "sd" else (column, row)
        places.append((kind, term.group, tuple(term.columns[i] for i in entries)))
    positions = random_positions(fit)
    names, values = (of_all[positions.start:positions.stop]
                     for of_all in (fit._parameter_names, fit._parameter_estimates.tolist()))
    own = "sigma" if isinstance(fit.params, LMMParams) else "family"
    places += [(own, "", ())] * (len(names) - len(places))
    return [RandomParameter(name, *place, value) for name, place, value in zip(names, places, values, strict=True)]
