"""The result of a generalized linear mixed model: its numbers by name, and what follows on demand."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._averaged import averaged_mean
from ._common import Array, GLMMParams, check_choice
from ._conditional import ConditionalResponse, Overdispersion, zero_probability
from ._convergence import free_parameters
from ._engine import GeneralizedCriterion
from ._family import Family
from ._inference.clusters import Clusters
from ._inference.coefficient_tests import CoefficientTests, FixedDfTests
from ._inference.effects import distribution_variance, marginal_mean
from ._inference.intervals import EstimatedModel, generalized_model, normal_quantile
from ._inference.resampling import ModelPoint, Pools
from ._inference.robust import sandwich
from ._inference.variance_parameters import variance_parameters, variance_values
from ._links import Link
from ._plots.residuals import ShownResiduals
from ._predicted_solution import Uncertainty
from ._prediction import PredictedRows
from ._predictive import predictive_quantiles
from ._reported_solution import ReportedSolution
from ._solution import parameter_vector
from ._tables import Summary, summarize_generalized
from .errors import BoundaryWarning, InputError, SeparationWarning

_QUANTILES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])  # of the residuals in a summary


@dataclass(frozen=True, eq=False, repr=False)
class GLMMSolution(ReportedSolution[GLMMParams]):
    """A fitted generalized linear mixed model.

    Returned by `pymixed.glmer` and `pymixed.glmm`. Coefficients come in the order of `coefficient_names`,
    random-effects terms and theta in the order of the formula; tables are pandas objects, arrays NumPy's. With n rows,
    p coefficients, m variance parameters and k further ones (of the family and of the zero inflation), arrays have the
    shapes given in brackets.

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", pm.datasets.load("cbpp"))
    >>> fit.fixef().round(3).tolist()
    [-1.399, -0.992, -1.129, -1.58]
    >>> round(fit.log_likelihood, 3)
    -92.026
    """

    _engine: GeneralizedCriterion
    _family: Family

    @property
    def family_name(self) -> str:
        """Name of the conditional distribution."""
        return self.params.family_name

    @property
    def _response_family(self) -> Family:
        return self._family

    @property
    def link_name(self) -> str:
        """Name of the link, as R spells it."""
        return self.params.link_name

    @property
    def z_values(self) -> Array:
        """Fixed effects over their standard errors (p,), under the name of their test; `t_values` are the same."""
        return self.params.t_values

    @property
    def dispersion(self) -> float:
        """The family's parameter of spread in natural units; 1 where there is none.

        The shape (size) of NB2, the dispersion of NB1, Gamma, inverse Gaussian, Gaussian and Tweedie, the squared scale
        of t, the precision of beta.
        """
        return self.params.dispersion

    @property
    def family_parameters(self) -> Mapping[str, float]:
        """The family's own parameters in natural units, those that were fixed among them."""
        return self.params.family_parameters

    @property
    def zi_coefficients(self) -> Array:
        """Fixed effects of the logit of the probability of a structural zero (r,); r is 0 without zero inflation."""
        return self.params.zi_coefficients

    @property
    def zi_names(self) -> tuple[str, ...]:
        """Columns of `zi_coefficients`."""
        return self.params.zi_names

    @property
    def zi_se(self) -> Array:
        """Standard errors of `zi_coefficients` (r,)."""
        return np.sqrt(self.params.zi_vcov.diagonal())

    def _coefficient_tests(self, ddf: str | None) -> CoefficientTests:
        ddf = "asymptotic" if ddf is None else ddf
        check_choice("ddf", ddf, ("asymptotic",))
        return FixedDfTests(self.coefficients, self.params.vcov, np.inf)

    @property
    def _mean_link(self) -> Link:
        return self._family.link

    def _model_point(self) -> ModelPoint:
        return ModelPoint(self.theta, self.coefficients, self.params.extra)

    @property
    def _parameter_names(self) -> tuple[str, ...]:
        variances = variance_parameters(self._design.terms, with_sigma=False)
        return (*self.coefficient_names, *(parameter.name for parameter in variances),
                *self._family.distribution.estimated, *(f"zi.{name}" for name in self.zi_names))

    def _parameter_values(self, coefficients: Array, theta: Array, extra: Array) -> Array:
        own = len(self._family.distribution.estimated)
        return np.hstack([coefficients, variance_values(self._design.terms, theta, None),
                          self._family.distribution.natural_values(extra[:, :own]), extra[:, own:]])

    def _residual_pools(self) -> Pools:
        raise InputError("kind: expected 'parametric' or 'cluster' for a generalized linear mixed model, whose "
                         "residuals are not alike, got 'residual'")

    _influence_method: ClassVar = "one step"

    def _working_rows(self) -> tuple[Array, Array]:
        return self._engine.working_rows(self._criterion_point)

    @cached_property
    def _estimated(self) -> EstimatedModel:
        point = self._parameters(self.theta, None, None)[0]
        free = np.append(free_parameters(self._design.terms, self.theta),
                         np.ones(point.size - self.theta.size, np.bool_))
        return generalized_model(self._engine, self._design, self.params, point, free,
                                 self._family.distribution.estimated)

    _vcov_kinds: ClassVar = ("model", "CR0", "CR1")

    def _robust_tests(self, kind: str, clusters: Clusters) -> CoefficientTests:
        params, m = self.params, self.theta.size
        if params.n_agq == 0:
            raise InputError(f"vcov: expected 'model' after a fit with n_agq=0, whose coefficients are no minimum of "
                             f"its criterion, got {kind!r}")
        psi = self._parameters(self.theta, None, None)[0]
        scores = self._engine.cluster_scores(psi, clusters.codes, clusters.count)
        free = np.append(free_parameters(self._design.terms, self.theta), np.ones(len(psi) - m, bool))
        vcov = sandwich(scores, slice(m, m + self.coefficients.size), free, kind)
        return FixedDfTests(self.coefficients, vcov, np.inf)

    def _residual_variance(self, null: Any) -> float:
        if self._design.zi_names:
            raise InputError("shares of variance: expected a model without zero inflation")
        if null is not None and not (isinstance(null, GLMMSolution) and null.n_obs == self.n_obs):
            raise InputError(f"null: expected a generalized fit to the same rows, got {null!r}")
        mean = (self if null is None else null)._mean_response
        return distribution_variance(self._family, self.family_parameters, mean)

    @cached_property
    def _mean_response(self) -> float:
        if not self._design.has_rows:
            return float(self._design.held("mean"))
        return marginal_mean(self._family, self._design, self.params, self.fitted_values)

    def _conditional_covariances(self) -> tuple[Array, ...]:
        return self._engine.conditional_covariances(self._parameters(self.theta, None, None)[0])

    # ---- the criterion as a function ---------------------------------------------------------------------------------

    def deviance_at(self, theta: ArrayLike, beta: ArrayLike | None = None, extra: ArrayLike | None = None) -> float:
        """Minus twice the approximated log-likelihood at other parameters; those not given stay at the estimates.

        Parameters
        ----------
        theta : (m,) array_like
            In the order of `theta_names`.
        beta : (p,) array_like, optional
            In the order of `coefficient_names`. A fit with ``n_agq=0`` has none: its coefficients follow from theta.
        extra : (k,) array_like, optional
            In the order of `params.extra_names`: the family's parameters on their unconstrained scale, then
            `zi_coefficients`.

        Returns
        -------
        float
            Infinity where no conditional modes can be found.

        Raises
        ------
        InputError, InputTypeError
            If an argument has another length, is not finite, or not numeric.
        """
        return self._engine.deviance(self._parameters(theta, beta, extra)[0])

    def gradient_at(self, theta: ArrayLike, beta: ArrayLike | None = None, extra: ArrayLike | None = None) -> Array:
        """Exact gradient of `deviance_at` in the parameters given: (m,) of theta alone, (m + p,) with beta, ..."""
        parameters, given = self._parameters(theta, beta, extra)
        return np.asarray(self._engine.gradient(parameters)[given])

    def hessian_at(self, theta: ArrayLike, beta: ArrayLike | None = None, extra: ArrayLike | None = None) -> Array:
        """Hessian of `deviance_at` in the parameters given."""
        parameters, given = self._parameters(theta, beta, extra)
        return np.asarray(self._engine.hessian(parameters)[np.ix_(given, given)])

    def _parameters(self, theta: ArrayLike, beta: ArrayLike | None, extra: ArrayLike | None) -> tuple[Array, Any]:
        """All parameters of the criterion, and which of them were given."""
        params = self.params
        parts = [("theta", theta, params.theta, params.theta_names),
                 ("beta", beta, params.coefficients, params.coefficient_names),
                 ("extra", extra, params.extra, params.extra_names)]
        if params.n_agq == 0:
            if beta is not None:
                raise InputError("beta: expected None after a fit with n_agq=0, whose coefficients follow from theta")
            del parts[1]
        values = [estimate if given is None else parameter_vector(argument, given, names)
                  for argument, given, estimate, names in parts]
        is_given = [np.full(estimate.size, given is not None) for _, given, estimate, _ in parts]
        return np.concatenate(values), np.flatnonzero(np.concatenate(is_given))

    # ---- rows --------------------------------------------------------------------------------------------------------

    @property
    def linear_predictor(self) -> Array:
        """Offset + Xβ + Zb (n,)."""
        return self.params.linear_predictor if self._design.has_rows else self.predict()

    @cached_property
    def _conditional(self) -> ConditionalResponse:
        design = self._design
        return ConditionalResponse(self._family, self.family_parameters, design.y, design.weights,
                                   self.linear_predictor, self._zero_probability(design.zero_inflation))

    def _zero_probability(self, matrix: Array | None) -> Array | None:
        return None if matrix is None else zero_probability(matrix @ self.zi_coefficients)

    @property
    def fitted_values(self) -> Array:
        """Means of the response given the random effects (n,), of binomial counts those of the proportion."""
        return self._conditional.mean

    @property
    def deviance(self) -> float:
        """Sum of the squared deviance residuals, NaN where there are none: zero inflation, a custom family.

        This is lme4's ``deviance``, not minus twice the log-likelihood.
        """
        if not self._design.has_rows:
            return float(self._design.held("deviance"))
        try:
            return self._conditional.deviance
        except InputError:
            return float("nan")

    @cached_property
    def overdispersion(self) -> Overdispersion:
        """Squared Pearson residuals, over the dispersion where the family has one, against their expectation."""
        if not self._design.has_rows:
            return Overdispersion(**self._design.held("overdispersion"))
        return self._conditional.overdispersion(self.n_obs - self.params.n_parameters)

    def resid(self, kind: str = "response", seed: int | None = None) -> Array:
        """Residuals (n,), as R defines them.

        Parameters
        ----------
        kind : str
            ``"response"``: y - mu. ``"pearson"``: that times sqrt(weight / V(mu)). ``"deviance"``: the root of the
            row's part of `deviance` with the sign of y - mu. ``"working"``: (y - mu) / (dmu / deta). ``"quantile"``:
            the normal quantile of the distribution function at y, at a random place of its jump for a discrete
            response; standard normal where the model is right.
        seed : int, optional
            Of the random places of ``"quantile"``.

        Raises
        ------
        InputError
            If the kind is unknown, or the model has no such residuals.

        References
        ----------
        Dunn & Smyth (1996), Randomized quantile residuals, J. Comput. Graph. Stat. 5(3).
        """
        return self._conditional.residuals(kind, seed)

    def _shown_residuals(self, kind: str | None, seed: int | None) -> ShownResiduals:
        kind = "quantile" if kind is None else kind
        return ShownResiduals(self.linear_predictor, f"Linear predictor ({self.link_name})", self.resid(kind, seed),
                              f"{kind.capitalize()} residual", 1.0, is_normal=kind == "quantile")

    @property
    def _criterion_point(self) -> Array:
        return self._parameters(self.theta, None, None)[0]

    def _means(self, rows: PredictedRows, scale: str) -> Array:
        if scale == "link":
            return rows.linear_predictor
        pi = self._zero_probability(rows.rows.zero_inflation)
        mu = self._family.mean(rows.linear_predictor) if scale == "response" else self._averaged(rows)[0]
        return mu if pi is None else (1.0 - pi) * mu

    def _averaged(self, rows: PredictedRows) -> tuple[Array, Array]:
        """Means over the population of the family's distribution, and their derivatives in the linear predictor."""
        covariances = [term.matrix for term in self.params.term_covariances]
        return averaged_mean(self._family.link, rows.fixed_part, np.sqrt(rows.between_variances(covariances)))

    def _uncertain(self, rows: PredictedRows, scale: str, interval: str | None, level: float,
                   own: bool) -> Uncertainty:
        estimate, eta = self._means(rows, scale), rows.linear_predictor
        se = se_link = np.sqrt(self._error_variances(rows, False))
        if scale != "link":
            se = self._response_se(rows, scale, se_link)
        if interval is None:
            return Uncertainty(estimate, se, None, None)
        if interval == "prediction":
            if scale == "link":
                raise InputError("interval: expected None or 'confidence' with type='link', got 'prediction'; new "
                                 "responses are on the scale of type='response'")
            sd = np.sqrt(self._error_variances(rows, True))
            limits = predictive_quantiles(
                self._family, self.family_parameters, eta, sd, self._zero_probability(rows.rows.zero_inflation),
                self._design.weights if own else None, (0.5 - 0.5 * level, 0.5 + 0.5 * level))
            return Uncertainty(estimate, se, limits, None)
        z = normal_quantile(level)
        if scale == "link":
            return Uncertainty(estimate, se, (eta - z * se, eta + z * se), None)
        if rows.rows.zero_inflation is not None:  # a product of two estimates: on the scale of its logarithm
            reach = np.exp(z * se / estimate)
            return Uncertainty(estimate, se, (estimate / reach, estimate * reach), None)
        if scale == "marginal":
            at, width = self._family.link.link(estimate), z * se / self._slope(self._family.link.link(estimate))
        else:
            at, width = eta, z * se_link
        ends = self._family.mean(at - width), self._family.mean(at + width)
        return Uncertainty(estimate, se, (np.minimum(*ends), np.maximum(*ends)), None)

    def _slope(self, eta: Array) -> Array:
        return np.abs(self._family.link.inverse_derivative(eta))

    def _response_se(self, rows: PredictedRows, scale: str, se_link: Array) -> Array:
        """Standard errors of means by the delta method, from those of the linear predictor."""
        mu, slope = (self._averaged(rows) if scale == "marginal" else
                     (self._family.mean(rows.linear_predictor), self._slope(rows.linear_predictor)))
        Z = rows.rows.zero_inflation
        if Z is None:
            return np.abs(slope) * se_link
        pi = self._zero_probability(Z)
        assert pi is not None
        by_eta, by_zero = (1.0 - pi) * slope, -pi * (1.0 - pi) * mu
        between = ((rows.deviations(self._joint_covariance) @ self.params.zi_cross_vcov) * Z).sum(axis=1)
        of_zero = ((Z @ self.params.zi_vcov) * Z).sum(axis=1)
        return np.asarray(np.sqrt((by_eta * se_link)**2 + by_zero**2 * of_zero + 2.0 * by_eta * by_zero * between))

    @property
    def _scale(self) -> float:
        return float(np.sqrt(self.dispersion)) if self._family.distribution.dispersed else 1.0

    @property
    def _criterion_at_fit(self) -> tuple[str, float]:
        return "deviance", self.deviance

    # ---- in print ----------------------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Lay the fit out as lme4 does: `print` it, or let a notebook show it.

        Returns
        -------
        Summary
            Criteria, quantiles of the scaled Pearson residuals, random effects, fixed effects with z tests, zero
            inflation, the family's parameters, correlations, and notes on anything unusual.
        """
        findings = [str(warning) for warning in self.warnings
                    if isinstance(warning, (BoundaryWarning, SeparationWarning))]
        return summarize_generalized(self.params, self._design.formula, self._residual_quantiles, self.singularity,
                                     self._rows_dropped, findings)

    @property
    def _residual_quantiles(self) -> Array | None:
        if not self._design.has_rows:
            held: Array | None = self._design.held("residual_quantiles")
            return held
        try:
            return np.asarray(np.quantile(self._conditional.scaled_residuals, _QUANTILES))
        except InputError:  # a custom family without a variance
            return None

    def _held_numbers(self) -> dict[str, Any]:
        quantiles, design = self._residual_quantiles, self._design
        try:
            overdispersion = asdict(self.overdispersion)
        except InputError:
            overdispersion = None
        return {"residual_quantiles": None if quantiles is None else list(quantiles), "deviance": self.deviance,
                "overdispersion": overdispersion, "mean": None if design.zi_names else self._mean_response}

    def __repr__(self) -> str:
        return self._described(f"{self.family_name} ({self.link_name}), {self.info['method']}")
