"""The parameters of a fitted model by name, each with its estimate and standard error, and Wald intervals from them.

They are the coefficients, the standard deviations and correlations of the random effects, sigma of a linear model, and
the estimated parameters of a family and of the zero inflation.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._common import Array, GLMMParams, LMMParams
from .._convergence import free_parameters
from .._engine import Criterion, VarianceDerivatives
from ..design import MixedDesign, RandomTerm
from ..errors import InputError, InputTypeError
from ..inference import parameter_covariance, varpar_covariance
from .coefficient_tests import t_quantiles
from .variance_parameters import VarianceParameter, variance_jacobian, variance_parameters, variance_values

if TYPE_CHECKING:
    import pandas as pd

# A correlation this close to one is at the end of its range.
PERFECT = 1.0 - 1e-10

Limits: TypeAlias = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter of a fitted model.

    Attributes
    ----------
    name : str
        As in tables.
    kind : str
        ``"coefficient"``, ``"sd"``, ``"cor"``, ``"sigma"``, ``"family"`` or ``"zi"``, as the core calls them.
    place : tuple of int
        For the core: position of the term or of the coefficient, and a term's row and column.
    estimate : float
        In natural units; that of a family on the core's unconstrained scale.
    se : float
        Its standard error, NaN at the end of the parameter's range.
    tangent : array or None
        How the criterion's parameters, and log(sigma) of a linear model last, change with this one near the estimates;
        None where that is not known.
    """

    name: str
    kind: str
    place: tuple[int, int, int]
    estimate: float
    se: float
    tangent: Array | None = None

    def natural(self, value: ArrayLike) -> Array:
        """Values in the units of tables."""
        if self.kind != "family":
            return np.asarray(value, float)
        with np.errstate(over="ignore"):
            exponential = np.exp(np.asarray(value, float))
            return np.asarray(2.0 - 1.0 / (1.0 + exponential) if self.name == "power" else exponential)

    def from_natural(self, value: ArrayLike) -> Array:
        """Values on the scale of `estimate`."""
        values = np.asarray(value, float)
        if self.kind != "family":
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log((values - 1.0) / (2.0 - values)) if self.name == "power" else np.log(values))

    def wald(self, z: float) -> Limits:
        """Limits at z standard errors on the scale on which the estimate is about normal, in natural units.

        That is the logarithm for standard deviations, Fisher's z for correlations, the core's scale for a family. NaN
        at the end of the range; a standard deviation of zero has the lower limit zero.
        """
        estimate, reach = self.estimate, z * self.se
        if self.kind in ("sd", "sigma"):
            if estimate == 0.0:
                return 0.0, np.nan
            with np.errstate(over="ignore"):
                factor = float(np.exp(reach / estimate))
            return estimate / factor, estimate * factor
        if self.kind == "cor":
            if not abs(estimate) < PERFECT:
                return np.nan, np.nan
            centre, reach = np.arctanh(estimate), reach / (1.0 - estimate**2)
            return float(np.tanh(centre - reach)), float(np.tanh(centre + reach))
        lower, upper = self.natural([estimate - reach, estimate + reach])
        return float(lower), float(upper)


@dataclass(frozen=True, eq=False)
class EstimatedModel:
    """A fitted model as its parameters see it.

    Attributes
    ----------
    engine : Criterion
        Its criterion.
    terms : sequence of RandomTerm
    parameters : tuple of Parameter
        In the order of tables.
    point : array
        The criterion's own parameters at the estimates.
    coefficients : (p,) array
    sigma : float or None
        Residual standard deviation of a linear model.
    objective : float
        The criterion at the estimates.
    profiled : bool
        Whether the criterion has the coefficients at their minimum and does not depend on them.
    """

    engine: Criterion
    terms: Sequence[RandomTerm]
    parameters: tuple[Parameter, ...]
    point: Array
    coefficients: Array
    sigma: float | None
    objective: float
    profiled: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    def select(self, names: str | Iterable[str] | None) -> tuple[Parameter, ...]:
        """The parameters of these names, in that order; None: all."""
        if names is None:
            return self.parameters
        wanted = [names] if isinstance(names, str) else names
        if not isinstance(wanted, Iterable):
            raise InputTypeError(f"parameters: expected names of parameters, got {names!r}")
        chosen: list[Parameter] = []
        for name in wanted:
            found = [parameter for parameter in self.parameters if parameter.name == name]
            if not found:
                raise InputError(f"parameters: expected names among {', '.join(self.names)}, got {name!r}")
            chosen += found
        if not chosen:
            raise InputError("parameters: expected at least one name, got none")
        return tuple(chosen)


# ---- the two kinds of models -----------------------------------------------------------------------------------------

def linear_model(engine: Criterion, design: MixedDesign, params: LMMParams,
                 derivatives: VarianceDerivatives) -> EstimatedModel:
    """The parameters of a linear mixed model."""
    theta, sigma = params.theta, params.residual_std
    nu = params.n_obs - params.coefficients.size if params.reml else params.n_obs
    covariance = varpar_covariance(derivatives.hessian, derivatives.d_pwrss, sigma, nu,
                                   free_parameters(design.terms, theta))
    # sigma's logarithm is what tangents have
    to_log = np.append(np.ones(theta.size), 1.0 / sigma)
    jacobian = variance_jacobian(design.terms, theta, sigma)
    variance = _variance_parameters(variance_parameters(design.terms, with_sigma=True),
                                    variance_values(design.terms, theta, sigma), jacobian, covariance,
                                    to_log)
    coefficients = _plain("coefficient", params.coefficient_names, params.coefficients, params.se)
    return EstimatedModel(engine, design.terms, (*coefficients, *variance), theta, params.coefficients, sigma,
                          params.objective, False)


def generalized_model(engine: Criterion, design: MixedDesign, params: GLMMParams, point: Array,
                      free: NDArray[np.bool_], estimated: Sequence[str]) -> EstimatedModel:
    """The parameters of a generalized linear mixed model.

    Parameters
    ----------
    point : array
        All parameters of the criterion.
    free : bool array
        False for those held at their boundary.
    estimated : sequence of str
        The family's estimated parameters by name.
    """
    m, n_extra = params.theta.size, params.extra.size
    covariance = np.zeros((point.size, point.size))
    covariance[np.ix_(free, free)] = parameter_covariance(engine.hessian(point), free, free)
    jacobian = np.zeros((m, point.size))
    jacobian[:, :m] = variance_jacobian(design.terms, params.theta, None)
    variance = _variance_parameters(variance_parameters(design.terms, with_sigma=False),
                                    variance_values(design.terms, params.theta, None), jacobian, covariance,
                                    np.ones(point.size))
    profiled = params.n_agq == 0
    tangents = covariance / np.where(covariance.diagonal() > 0.0, covariance.diagonal(), np.nan)[:, None]
    coefficients = _plain("coefficient", params.coefficient_names, params.coefficients, params.se,
                          None if profiled else tangents[m:])
    k = n_extra - params.zi_coefficients.size
    extra = point.size - n_extra
    family = _plain("family", estimated, params.extra[:k], np.sqrt(covariance.diagonal()[extra:extra + k]),
                    tangents[extra:])
    zi = _plain("zi", [f"zi.{name}" for name in params.zi_names], params.zi_coefficients,
                np.sqrt(params.zi_vcov.diagonal()), tangents[extra + k:])
    return EstimatedModel(engine, design.terms, (*coefficients, *variance, *family, *zi), point, params.coefficients,
                          None, params.objective, profiled)


def _plain(kind: str, names: Sequence[str], estimates: Array, se: Array,
           tangents: Array | None = None) -> list[Parameter]:
    """Parameters that are coordinates of the model."""
    found = []
    for i, (name, estimate, error) in enumerate(zip(names, estimates, se, strict=True)):
        tangent = None if tangents is None or not np.isfinite(tangents[i]).all() else tangents[i]
        found.append(Parameter(name, kind, (i, 0, 0), float(estimate), float(error), tangent))
    return found


def _variance_parameters(kinds: Sequence[VarianceParameter], values: Array, jacobian: Array, covariance: Array,
                         to_coordinates: Array) -> list[Parameter]:
    """Standard deviations, correlations and sigma with their standard errors by the delta method."""
    found = []
    for kind, value, row in zip(kinds, values, jacobian, strict=True):
        along = covariance @ row
        variance = float(row @ along)
        regular = variance > 0.0 and np.isfinite(variance)
        place = (max(kind.term, 0), max(kind.row, 0), max(kind.column, 0))
        se = float(np.sqrt(variance)) if regular else np.nan
        found.append(Parameter(kind.name, kind.kind, place, float(value), se,
                               to_coordinates * along / variance if regular else None))
    return found


# ---- tables ----------------------------------------------------------------------------------------------------------

def normal_quantile(level: object) -> float:
    """How many standard errors a two-sided interval of the level reaches; the level is checked."""
    if isinstance(level, bool) or not isinstance(level, Real):
        raise InputTypeError(f"level: expected a number between 0 and 1, got {level!r}")
    if not 0.0 < float(level) < 1.0:
        raise InputError(f"level: expected a number between 0 and 1, got {level}")
    return float(t_quantiles(0.5 + 0.5 * float(level), np.array([np.inf]))[0])


def interval_table(parameters: Iterable[Parameter], limits: Iterable[Limits]) -> pd.DataFrame:
    """Columns ``lower, upper``, a row per parameter."""
    import pandas as pd

    names = [parameter.name for parameter in parameters]
    return pd.DataFrame(np.array(list(limits)).reshape(-1, 2), index=names, columns=["lower", "upper"])
