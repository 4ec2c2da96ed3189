"""The values that a fit consists of: frozen, independent of pandas, shared by solvers, results and tables."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, InputTypeError, PymixedWarning

Array = NDArray[np.float64]
P = TypeVar("P", bound="MixedParams")


@dataclass(frozen=True)
class VarCompSummary:
    """One variance component.

    Attributes
    ----------
    group, name : str
        Grouping factor and column of the random-effects term.
    variance, std_dev : float
        In squared units of the response over squared units of the column, and its root.
    corr : float or None
        Correlation with the term's first column; None for that column and where a variance is zero.
    """

    group: str
    name: str
    variance: float
    std_dev: float
    corr: float | None


@dataclass(frozen=True, eq=False)
class TermCovariance:
    """Covariance matrix sigma² T T' of one random-effects term.

    Attributes
    ----------
    group : str
        Grouping factor.
    columns : tuple of str
        The c columns of the term.
    structure : str
        ``"us"`` or ``"diag"``; the latter has no correlations.
    matrix : (c, c) array
    """

    group: str
    columns: tuple[str, ...]
    structure: str
    matrix: Array

    @property
    def std_dev(self) -> Array:
        """Standard deviations, (c,)."""
        return np.sqrt(self.matrix.diagonal())

    @property
    def correlation(self) -> Array:
        """Correlations, (c, c); NaN where a variance is zero."""
        sd = np.where(self.std_dev > 0, self.std_dev, np.nan)
        return np.asarray(np.clip(self.matrix / np.outer(sd, sd), -1.0, 1.0))


@dataclass(frozen=True)
class Convergence:
    """Certificate that theta is a minimum: properties of the point, not the optimiser's word.

    Attributes
    ----------
    converged : bool
        Whether the other figures prove a (possibly singular) minimum.
    expected_gain : float
        ¼ g'H⁻¹g over the free parameters, g and H those of the criterion: the log-likelihood that one more Newton
        step would gain.
    min_eigenvalue : float
        Smallest eigenvalue of the Hessian of the free parameters, scaled to a unit diagonal.
    gradient_norm : float
        Largest absolute derivative of the free parameters, in coordinates whose columns are centred and scaled.
    active : tuple of (str, float)
        Parameters held at their boundary, each with the derivative of the criterion there.
    message : str
        The same in words.
    """

    converged: bool
    expected_gain: float
    min_eigenvalue: float
    gradient_norm: float
    active: tuple[tuple[str, float], ...]
    message: str


@dataclass(frozen=True, eq=False)
class MixedParams(ABC):
    """What linear and generalized linear mixed models estimate alike, with p coefficients and m variance parameters.

    Attributes
    ----------
    coefficients : (p,) array
        Fixed effects, in units of the linear predictor over those of the column.
    coefficient_names : tuple of str
        Their columns; columns dropped as linear combinations of others are in `aliased` only.
    aliased : tuple of str
        Dropped columns of a rank-deficient X.
    vcov : (p, p) array
        Covariance of the coefficients.
    theta : (m,) array
        Relative covariance parameters: lower triangles of the terms' templates by columns, user's order of terms.
    theta_names : tuple of str
        Group, row and column of the template: ``"Subject.Days.(Intercept)"``, ``"Subject.Days"``.
    term_covariances : tuple of TermCovariance
        One per random-effects term.
    objective : float
        The minimised criterion, minus twice `log_likelihood`.
    n_obs : int
    n_groups : dict of str to int
        Levels of each grouping factor.
    random_effects : dict of str to (levels, columns) array
        Conditional modes b per grouping factor; several terms on a factor stand side by side.
    convergence : Convergence
    n_iter : int
        Iterations of the optimiser.
    """

    coefficients: Array
    coefficient_names: tuple[str, ...]
    aliased: tuple[str, ...]
    vcov: Array
    theta: Array
    theta_names: tuple[str, ...]
    term_covariances: tuple[TermCovariance, ...]
    objective: float
    n_obs: int
    n_groups: Mapping[str, int]
    random_effects: Mapping[str, Array]
    convergence: Convergence
    n_iter: int

    @cached_property
    def se(self) -> Array:
        """Standard errors of the coefficients, (p,)."""
        return np.sqrt(self.vcov.diagonal())

    @cached_property
    def t_values(self) -> Array:
        """Coefficients over their standard errors, (p,)."""
        return self.coefficients / self.se

    @property
    @abstractmethod
    def p_values(self) -> Array:
        """Two-sided p-values of the coefficients, (p,)."""

    @cached_property
    def var_components(self) -> tuple[VarCompSummary, ...]:
        """One summary per column of each term; the residual variance stands apart."""
        return tuple(
            VarCompSummary(term.group, name, float(variance), float(np.sqrt(variance)),
                           None if j == 0 or np.isnan(corr) else float(corr))
            for term in self.term_covariances
            for j, (name, variance, corr) in enumerate(
                zip(term.columns, term.matrix.diagonal(), term.correlation[:, 0], strict=True)))

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood, restricted after REML."""
        return -0.5 * self.objective

    @property
    def n_parameters(self) -> int:
        """All that is estimated but the random effects."""
        return self.coefficients.size + self.theta.size

    @property
    def aic(self) -> float:
        """Akaike's criterion, with `n_parameters` for either likelihood as in lme4."""
        return self.objective + 2.0 * self.n_parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion, with the logarithm of `n_obs`."""
        return self.objective + float(np.log(self.n_obs)) * self.n_parameters

    @property
    def converged(self) -> bool:
        """Whether the certificate holds."""
        return self.convergence.converged


@dataclass(frozen=True, eq=False)
class VarianceUncertainty:
    """How well (theta, sigma) are known, and how the covariance of the coefficients depends on them.

    Attributes
    ----------
    vcov_varpar : (m + 1, m + 1) array
        Asymptotic covariance of (theta, sigma), theta in coordinates whose columns are centred and scaled; parameters
        held at their boundary have none.
    jac_vcov_beta : (m + 1, p, p) array
        Derivatives of the covariance of the coefficients in the same (theta, sigma).
    held : tuple of str
        Names of the entries of theta that are held at their boundary.
    """

    vcov_varpar: Array
    jac_vcov_beta: Array
    held: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LMMParams(MixedParams):
    """Everything that a linear mixed model estimates: the attributes of `MixedParams` and these.

    Attributes
    ----------
    df_satterthwaite : (p,) array
        Denominator degrees of freedom of the t tests.
    df_method : str
        ``"satterthwaite"``, or ``"residual"`` where n - p took their place.
    uncertainty : VarianceUncertainty or None
        What Satterthwaite's method rests on; None where it was not wanted.
    residual_variance : float
        sigma², the variance of a residual of weight one.
    pwrss : float
        r² = ‖W½(y − Xβ − Zb)‖² + ‖u‖².
    reml : bool
        Whether the criterion is the restricted likelihood.
    """

    df_satterthwaite: Array
    df_method: str
    uncertainty: VarianceUncertainty | None
    residual_variance: float
    pwrss: float
    reml: bool

    @cached_property
    def p_values(self) -> Array:
        """Two-sided p-values of the t tests, (p,)."""
        from scipy.special import stdtr  # on first use: SciPy costs more to import than most fits to compute

        return np.asarray(2.0 * stdtr(self.df_satterthwaite, -np.abs(self.t_values)))

    @property
    def residual_std(self) -> float:
        """sigma, in units of the response."""
        return float(np.sqrt(self.residual_variance))

    @property
    def n_parameters(self) -> int:
        """Coefficients, theta and sigma: p + m + 1."""
        return super().n_parameters + 1


@dataclass(frozen=True, eq=False)
class GLMMParams(MixedParams):
    """Everything that a generalized linear mixed model estimates: the attributes of `MixedParams` and these.

    Attributes
    ----------
    family_name, link_name : str
    family_parameters : dict of str to float
        The family's own parameters in natural units, fixed ones among them.
    dispersion : float
        That of them which measures the spread; 1 where there is none.
    extra : (k,) array
        Estimated parameters beside theta and the coefficients: the family's on the unconstrained scale of
        `extra_names`, then `zi_coefficients`.
    extra_names : tuple of str
        ``"log(shape)"``, ``"zi.(Intercept)"``.
    zi_coefficients : (r,) array
        Fixed effects of the logit of the probability of a structural zero.
    zi_names : tuple of str
        Their columns.
    zi_vcov : (r, r) array
        Their covariance.
    zi_cross_vcov : (p, r) array
        Covariances of the coefficients and them; zero where `vcov` is not from the Hessian.
    linear_predictor : (n,) array
        offset + Xβ + Zb.
    n_agq : int
        0: coefficients profiled in the inner iteration, 1: Laplace's approximation, else nodes of the quadrature.
    se_method : str
        ``"hessian"`` or ``"rx"``, where `vcov` is from; the latter too where the Hessian is not positive definite.
    """

    family_name: str
    link_name: str
    family_parameters: Mapping[str, float]
    dispersion: float
    extra: Array
    extra_names: tuple[str, ...]
    zi_coefficients: Array
    zi_names: tuple[str, ...]
    zi_vcov: Array
    zi_cross_vcov: Array
    linear_predictor: Array
    n_agq: int
    se_method: str

    @cached_property
    def p_values(self) -> Array:
        """Two-sided p-values of the z tests, (p,)."""
        return normal_p_values(self.t_values)

    @property
    def n_parameters(self) -> int:
        """Coefficients, theta and extra: p + m + k."""
        return super().n_parameters + self.extra.size


def normal_p_values(z: Array) -> Array:
    """Two-sided p-values of standard normal statistics."""
    from scipy.special import ndtr  # on first use: SciPy costs more to import than most fits to compute

    return np.asarray(2.0 * ndtr(-np.abs(z)))


@dataclass(frozen=True, eq=False)
class Result(Generic[P]):
    """What a solver returns: estimates, and how it came to them.

    Attributes
    ----------
    params : LMMParams or GLMMParams
        The estimates.
    info : mapping
        Method, optimiser, path of the factorisation and further facts of the run.
    timing : mapping of str to float
        Seconds per section.
    backend_name : str
    warnings : tuple of PymixedWarning
        What was warned of; each has a `code`.
    """

    params: P
    info: Mapping[str, Any]
    timing: Mapping[str, float]
    backend_name: str
    warnings: tuple[PymixedWarning, ...] = ()


def check_choice(argument: str, value: object, choices: Collection[str]) -> None:
    """Raise an `InputError` unless the value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{argument}: expected one of {', '.join(map(repr, choices))}, got {value!r}")


def check_number(name: str, value: object, kind: type[Real] | type[Integral], lowest: int | None = None) -> None:
    """Raise unless the value is a finite number of the kind, not below the lowest; positive where none is given."""
    noun = "number" if kind is Real else "integer"
    expected = f"expected a positive {noun}" if lowest is None else f"expected an {noun} of at least {lowest}"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise InputTypeError(f"{name}: {expected}, got {value!r}")
    number = float(value)
    if not np.isfinite(number) or (number <= 0 if lowest is None else number < lowest):
        raise InputError(f"{name}: {expected}, got {value}")
