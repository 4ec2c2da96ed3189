"""The values that a fit consists of: frozen, independent of pandas, shared by solvers, results and tables."""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, PymixedWarning

Array = NDArray[np.float64]
P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class VarianceDerivatives:
    """Derivatives in theta: of the criterion, and of the covariance of the fixed effects over sigma squared.

    Attributes
    ----------
    gradient : (m,) array
        Gradient of the criterion.
    hessian : (m, m) array
        Its Hessian.
    C : (p, p) array
        (X'V⁻¹X)⁻¹ with V = W⁻¹ + ZΛΛ'Z'; the covariance of the coefficients is sigma² C.
    dC : (m, p, p) array
        Derivatives of C in theta.
    d_pwrss : (m,) array
        Derivatives of r²(theta), the penalised weighted residual sum of squares.
    """

    gradient: Array
    hessian: Array
    C: Array
    dC: Array  # noqa: N815  the formula's name
    d_pwrss: Array


class Engine(Protocol):
    """The criterion of a fit as functions of theta, in the user's order of terms and units of the data."""

    def deviance(self, theta: Array) -> float:
        """Minus twice the (restricted) log-likelihood: the criterion that the fit minimised."""

    def gradient(self, theta: Array) -> Array:
        """Its gradient, (m,)."""

    def hessian(self, theta: Array) -> Array:
        """Its Hessian, (m, m)."""

    def variance_derivatives(self, theta: Array) -> VarianceDerivatives:
        """Derivatives of the criterion and of the covariance of the fixed effects."""

    def conditional_covariances(self, theta: Array) -> tuple[Array, ...]:
        """Var(b | y) / sigma² per grouping factor, (levels, c, c), columns of its terms side by side."""


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
        Largest absolute derivative of the free parameters.
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
class LMMParams:
    """Everything that a linear mixed model estimates, with p coefficients and m variance parameters.

    Attributes
    ----------
    coefficients : (p,) array
        Fixed effects, in units of the response over those of the column.
    coefficient_names : tuple of str
        Their columns; columns dropped as linear combinations of others are in `aliased` only.
    aliased : tuple of str
        Dropped columns of a rank-deficient X.
    vcov : (p, p) array
        Covariance of the coefficients.
    df_satterthwaite : (p,) array
        Denominator degrees of freedom of the t tests.
    df_method : str
        ``"satterthwaite"``, or ``"residual"`` where n - p took their place.
    theta : (m,) array
        Relative covariance parameters: lower triangles of the terms' templates by columns, user's order of terms.
    theta_names : tuple of str
        Group, row and column of the template: ``"Subject.Days.(Intercept)"``, ``"Subject.Days"``.
    term_covariances : tuple of TermCovariance
        One per random-effects term.
    residual_variance : float
        sigma², the variance of a residual of weight one.
    pwrss : float
        r² = ‖W½(y − Xβ − Zb)‖² + ‖u‖².
    objective : float
        The minimised criterion, minus twice `log_likelihood`.
    reml : bool
        Whether that is the restricted likelihood.
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
    df_satterthwaite: Array
    df_method: str
    theta: Array
    theta_names: tuple[str, ...]
    term_covariances: tuple[TermCovariance, ...]
    residual_variance: float
    pwrss: float
    objective: float
    reml: bool
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

    @cached_property
    def p_values(self) -> Array:
        """Two-sided p-values of the t tests, (p,)."""
        from scipy.special import stdtr  # on first use: SciPy costs more to import than most fits to compute

        return np.asarray(2.0 * stdtr(self.df_satterthwaite, -np.abs(self.t_values)))

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
    def residual_std(self) -> float:
        """sigma, in units of the response."""
        return float(np.sqrt(self.residual_variance))

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood, restricted if `reml`."""
        return -0.5 * self.objective

    @property
    def n_parameters(self) -> int:
        """Coefficients, theta and sigma: p + m + 1."""
        return self.coefficients.size + self.theta.size + 1

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
class Result(Generic[P]):
    """What a solver returns: estimates, and how it came to them.

    Attributes
    ----------
    params : LMMParams
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
