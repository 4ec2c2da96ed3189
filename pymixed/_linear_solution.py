"""The result of a linear mixed model: its numbers by name, and what follows on demand."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array, LMMParams, VarianceUncertainty, check_choice
from ._convergence import free_parameters
from ._engine import LinearCriterion, VarianceDerivatives
from ._inference.clusters import Clusters
from ._inference.coefficient_tests import (
    CoefficientTests,
    FixedDfTests,
    KenwardRogerTests,
    SatterthwaiteTests,
    t_quantiles,
)
from ._inference.conditional_aic import conditional_deviance, estimation_correction, hat_trace
from ._inference.intervals import EstimatedModel, linear_model
from ._inference.kenward_roger import KenwardRoger, kenward_roger
from ._inference.resampling import ModelPoint, Pools, residual_pools
from ._inference.robust import linear_robust_tests
from ._inference.variance_parameters import variance_parameters, variance_values
from ._joint import JointCovariance, central_differences
from ._plots.residuals import ShownResiduals
from ._predicted_solution import Uncertainty
from ._prediction import PredictedRows, residuals_of
from ._reported_solution import ReportedSolution
from ._solution import parameter_vector
from ._tables import Summary, summarize_linear
from .errors import InputError
from .inference import term_covariances, variance_uncertainty

_QUANTILES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])  # of the residuals in a summary


@dataclass(frozen=True, eq=False, repr=False)
class LMMSolution(ReportedSolution[LMMParams]):
    """A fitted linear mixed model.

    Returned by `pymixed.lmer` and `pymixed.lmm`. Coefficients come in the order of `coefficient_names`, random-effects
    terms and theta in the order of the formula; tables are pandas objects, arrays NumPy's. With n rows, p coefficients
    and m variance parameters, arrays have the shapes given in brackets.

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    >>> fit.fixef().round(2).to_dict()
    {'(Intercept)': 251.41, 'Days': 10.47}
    >>> round(fit.residual_std, 2)
    25.59
    """

    _engine: LinearCriterion
    _weighted: ClassVar = True

    @property
    def df_satterthwaite(self) -> Array:
        """Denominator degrees of freedom of the t tests (p,)."""
        return self.params.df_satterthwaite

    @property
    def residual_variance(self) -> float:
        """sigma², the variance of a residual of weight one."""
        return self.params.residual_variance

    @property
    def residual_std(self) -> float:
        """sigma, in units of the response."""
        return self.params.residual_std

    @property
    def reml(self) -> bool:
        """Whether the fit is by REML."""
        return self.params.reml

    def _coefficient_tests(self, ddf: str | None) -> CoefficientTests:
        ddf = "satterthwaite" if ddf is None else ddf
        check_choice("ddf", ddf, ("satterthwaite", "kenward-roger", "residual", "asymptotic"))
        if ddf == "satterthwaite":
            return SatterthwaiteTests(self.coefficients, self.params.vcov, self._uncertainty)
        if ddf == "kenward-roger":
            return KenwardRogerTests(self.coefficients, self._kenward_roger.vcov, self._kenward_roger)
        constant = float(self.n_obs - self.coefficients.size) if ddf == "residual" else np.inf
        return FixedDfTests(self.coefficients, self.params.vcov, constant)

    @cached_property
    def _kenward_roger(self) -> KenwardRoger:
        if not self.reml:
            raise InputError("ddf: expected a fit by REML for 'kenward-roger', got one by maximum likelihood")
        return kenward_roger(self._engine, self.theta, stacklevel=5)

    @cached_property
    def _uncertainty(self) -> VarianceUncertainty:
        params = self.params
        if params.uncertainty is not None:
            return params.uncertainty
        nu = self.n_obs - self.coefficients.size if self.reml else self.n_obs
        theta, derivatives = self._engine.centred_derivatives(self.theta)
        return variance_uncertainty(derivatives, self.residual_std, nu, free_parameters(self._design.terms, theta),
                                    self.theta_names)

    def _model_point(self) -> ModelPoint:
        return ModelPoint(self.theta, self.coefficients, np.array([self.residual_std]))

    @property
    def _parameter_names(self) -> tuple[str, ...]:
        variances = variance_parameters(self._design.terms, with_sigma=True)
        return (*self.coefficient_names, *(parameter.name for parameter in variances))

    def _parameter_values(self, coefficients: Array, theta: Array, extra: Array) -> Array:
        return np.hstack([coefficients, variance_values(self._design.terms, theta, extra[:, 0])])

    def _residual_pools(self) -> Pools:
        return residual_pools(self._design, self.params, self.residuals, self.residual_std)

    _influence_method: ClassVar = "exact"

    def _working_rows(self) -> tuple[Array, Array]:
        weights = np.ones(self.n_obs) if self._design.weights is None else self._design.weights
        return weights, weights * self.residuals

    @cached_property
    def _estimated(self) -> EstimatedModel:
        return linear_model(self._engine, self._design, self.params, self._variance_derivatives)

    @cached_property
    def _likelihood_fit(self) -> LMMSolution:
        fit: LMMSolution = self._engine.refit(self._design, reml=False) if self.reml else self
        return fit

    @property
    def _likelihood_estimated(self) -> EstimatedModel:
        return self._likelihood_fit._estimated

    @cached_property
    def _variance_derivatives(self) -> VarianceDerivatives:
        return self._engine.variance_derivatives(self.theta)

    _vcov_kinds: ClassVar = ("model", "kenward-roger", "CR0", "CR1", "CR2")

    def _robust_tests(self, kind: str, clusters: Clusters) -> CoefficientTests:
        return linear_robust_tests(self._design, self.params, self._engine, self.residuals, clusters, kind)

    def _residual_variance(self, null: Any) -> float:
        if null is not None:
            raise InputError("null: expected None for a linear model, whose residual variance needs no mean")
        return self.residual_variance

    def _conditional_covariances(self) -> tuple[Array, ...]:
        relative = self._engine.conditional_covariances(self.theta)
        return tuple(self.residual_variance * block for block in relative)

    def _varcorr_rows(self) -> Iterator[tuple[str, str | None, str | None, float, float]]:
        yield from super()._varcorr_rows()
        yield "Residual", None, None, self.residual_variance, self.residual_std

    # ---- the criterion as a function ---------------------------------------------------------------------------------

    def deviance_at(self, theta: ArrayLike) -> float:
        """Minus twice the profiled log-likelihood, restricted if `reml`, at other parameters.

        Parameters
        ----------
        theta : (m,) array_like
            In the order of `theta_names`.

        Raises
        ------
        InputError, InputTypeError
            If theta has another length, is not finite, or not numeric.
        """
        return self._engine.deviance(parameter_vector("theta", theta, self.theta_names))

    def gradient_at(self, theta: ArrayLike) -> Array:
        """Exact gradient of `deviance_at` (m,)."""
        return self._engine.gradient(parameter_vector("theta", theta, self.theta_names))

    def hessian_at(self, theta: ArrayLike) -> Array:
        """Hessian of `deviance_at` (m, m)."""
        return self._engine.hessian(parameter_vector("theta", theta, self.theta_names))

    # ---- rows --------------------------------------------------------------------------------------------------------

    @cached_property
    def fitted_values(self) -> Array:
        """Conditional means, offset + Xβ + Zb (n,)."""
        return self.predict()

    def resid(self, kind: str = "response") -> Array:
        """Residuals (n,).

        Parameters
        ----------
        kind : str
            ``"response"``: y minus fitted value; ``"pearson"``: times the root of the prior weight.
        """
        check_choice("kind", kind, ("response", "pearson"))
        weights = self._design.weights
        return self.residuals if kind == "response" or weights is None else self.residuals * np.sqrt(weights)

    def _shown_residuals(self, kind: str | None, seed: int | None) -> ShownResiduals:
        name, kind = self._design.response_name, "pearson" if kind is None else kind
        weighted = ", times root weight" if kind == "pearson" and self._design.weights is not None else ""
        return ShownResiduals(self.fitted_values, f"Fitted {name}", self.resid(kind), f"Residual of {name}{weighted}",
                              self.residual_std, is_normal=False)

    def _means(self, rows: PredictedRows, scale: str) -> Array:
        return rows.linear_predictor

    @property
    def _effects_scale(self) -> float:
        return self.residual_variance

    def _uncertain(self, rows: PredictedRows, scale: str, interval: str | None, level: float,
                   own: bool) -> Uncertainty:
        estimate, variances = rows.linear_predictor, self._error_variances(rows, False)
        if interval is None:
            return Uncertainty(estimate, np.sqrt(variances), None, None)
        total, of_new_response = variances, interval == "prediction"
        if of_new_response:
            weights = self._design.weights if own and self._design.weights is not None else 1.0
            total = self._error_variances(rows, True) + self.residual_variance / weights
        df = self._row_df(rows, of_new_response, total)
        reach = t_quantiles(0.5 + 0.5 * level, df) * np.sqrt(total)
        return Uncertainty(estimate, np.sqrt(variances), (estimate - reach, estimate + reach), df)

    def _row_df(self, rows: PredictedRows, of_new_response: bool, total: Array) -> Array:
        """Satterthwaite's degrees of freedom 2 v² / Var(v) of the variances of rows (m,)."""
        terms, sigma2, uncertainty = self._design.terms, self.residual_variance, self._uncertainty
        x, to_user = self._engine.coordinates(self.theta)

        def at(step: Array) -> Array:
            theta = to_user(x + step)
            vcov = self.params.vcov + np.tensordot(step, uncertainty.jac_vcov_beta[:-1], 1)
            joint = JointCovariance(self._engine.effects_covariance(theta), vcov, sigma2)
            covariances = [term.matrix for term in term_covariances(terms, theta, sigma2)]
            return rows.error_variances(joint, covariances, of_new_response)

        free = uncertainty.vcov_varpar.diagonal()[:-1] > 0.0
        gradient = np.vstack([central_differences(at, x, free, len(total)), 2.0 * total / self.residual_std])
        return np.asarray(2.0 * total**2 / (gradient * (uncertainty.vcov_varpar @ gradient)).sum(axis=0))

    def residuals_for(self, newdata: Any, re: str | Iterable[str] = "all", new_levels: str = "error",
                      offset: ArrayLike | None = None) -> Array:
        """Response minus prediction of any rows: those of the fit that it does not hold, or new ones.

        Parameters
        ----------
        newdata : table
            Rows with their response, any table that the fit accepts.
        re, new_levels, offset
            As for `predict`.

        Returns
        -------
        (rows,) array
            NaN where a value is missing.

        Raises
        ------
        InputError
            As `predict`, and if the model was fitted from arrays.

        Examples
        --------
        >>> import pymixed as pm
        >>> data = pm.datasets.load("sleepstudy")
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.residuals_for(data[:2]).round(3)
        array([ -4.104, -14.625])
        """
        return residuals_of(self._design, self.params, newdata, re, new_levels, offset)

    # ---- information criteria ----------------------------------------------------------------------------------------

    def effective_parameters(self, corrected: bool = True) -> float:
        """Effective number of parameters of the mean, random effects included: tr(dŷ/dy).

        Parameters
        ----------
        corrected : bool
            Whether y also acts through the estimates of theta (Greven & Kneib 2010); else theta is held, and the number
            is the trace of the hat matrix (Vaida & Blanchard 2005).

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> round(fit.effective_parameters(), 2), round(fit.effective_parameters(corrected=False), 2)
        (30.25, 29.02)
        """
        trace = hat_trace(self.params, self._variance_derivatives)
        if not corrected:
            return trace
        return trace + estimation_correction(self._design, self.params, self._engine, self._variance_derivatives,
                                             self.residuals)

    def caic(self, corrected: bool = True) -> float:
        """Conditional AIC, -2 log f(y | b) + 2 (effective parameters + 1).

        For choosing between models whose random effects are themselves of interest: the density is that of y given the
        estimated random effects, with the fit's sigma; the 1 counts sigma.

        Parameters
        ----------
        corrected : bool
            As for `effective_parameters`. The uncorrected one favours random effects of any size.

        References
        ----------
        Vaida & Blanchard (2005), Biometrika 92(2). Greven & Kneib (2010), Biometrika 97(4).

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> round(fit.caic(), 1)
        1711.5
        """
        deviance = conditional_deviance(self.params, self._design.weights, self.residuals)
        return deviance + 2.0 * (self.effective_parameters(corrected) + 1.0)

    @property
    def _scale(self) -> float:
        return self.residual_std

    @property
    def _criterion_at_fit(self) -> tuple[str, float]:
        return "REMLcrit" if self.reml else "deviance", self.params.objective

    # ---- in print ----------------------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Lay the fit out as lme4 does: `print` it, or let a notebook show it.

        Returns
        -------
        Summary
            Criterion, quantiles of the scaled residuals where the rows are there, random effects, fixed effects with t
            tests, their correlations, and notes on anything unusual.
        """
        return summarize_linear(self.params, self._design.formula, self._residual_quantiles, self.singularity,
                                self._rows_dropped)

    @property
    def _residual_quantiles(self) -> Array | None:
        if not self._design.has_rows:
            held: Array | None = self._design.held("residual_quantiles")
            return held
        return np.asarray(np.quantile(self.resid("pearson") / self.residual_std, _QUANTILES))

    def _held_numbers(self) -> dict[str, Any]:
        quantiles = self._residual_quantiles
        return {} if quantiles is None else {"residual_quantiles": list(quantiles)}

    def __repr__(self) -> str:
        return self._described("REML" if self.reml else "ML")
