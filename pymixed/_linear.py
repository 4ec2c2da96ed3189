"""The fit of a linear mixed model: its criterion evaluated by the core, and its estimates."""
from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import _core
from ._common import Array, LMMParams, Result
from ._convergence import certificate, free_parameters
from ._engine import VarianceDerivatives
from ._fitting import (
    CoreEngine,
    FitOptions,
    Timer,
    common_findings,
    make_problem,
    minimize_with_scipy,
    shared_estimates,
    shared_facts,
    structure,
    warn_of_convergence,
)
from .design import MixedDesign
from .errors import InputError, InputTypeError
from .inference import (
    satterthwaite,
    singular_directions,
    term_covariances,
    theta_names,
    variance_uncertainty,
)
from .solution import LMMSolution

# Residual sum of squares, in units of that of the response as the core scales it, below which it is rounding: the core
# finds it as a difference of sums.
EXACT_FIT = 1e-14


@dataclass(frozen=True)
class LinearOptions(FitOptions):
    """What `pymixed.lmm` says of the fit itself."""

    reml: bool
    compute_satterthwaite: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("reml", "compute_satterthwaite"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise InputTypeError(f"{name}: expected True or False, got {getattr(self, name)!r}")


class LinearEngine(CoreEngine[_core.Deviance]):
    """The criterion of one model, evaluated by the core; see `pymixed._engine.LinearCriterion`.

    Pickles as the design and builds the core's part anew where it is loaded.

    Parameters
    ----------
    design : MixedDesign
    options : LinearOptions
    """

    def __init__(self, design: MixedDesign, options: LinearOptions) -> None:
        self._arguments = (design, options)
        products = _core.CrossProducts(design.y, design.X, *structure(design), design.weights, design.offset)
        self.problem = make_problem(lambda limit: _core.Problem(products, options.method, limit), design)
        self.core = _core.Deviance(self.problem, options.reml, options.n_threads or 1)

    def __reduce__(self) -> tuple[Callable[..., LinearEngine], tuple[MixedDesign, LinearOptions]]:
        return LinearEngine, self._arguments

    def refit(self, design: MixedDesign, reml: bool | None = None) -> Result[LMMParams]:
        """Estimates of another design with the same options."""
        options = self._arguments[1]
        options = options if reml is None else replace(options, reml=reml)
        result, _ = estimate_linear(design, Timer(), options)
        warn_of_convergence(result)
        return result

    def variance_derivatives(self, theta: Array) -> VarianceDerivatives:
        """Derivatives of the criterion and of the covariance of the fixed effects over sigma squared."""
        gradient, hessian, C, dC, d_pwrss = self.core.variance_derivatives(theta)
        return VarianceDerivatives(gradient, hessian, C, np.asarray(dC).reshape(len(theta), *C.shape), d_pwrss)


def fit_linear(design: MixedDesign, timer: Timer, options: LinearOptions) -> LMMSolution:
    """Fit a linear mixed model; warns on behalf of its caller's caller."""
    result, engine = estimate_linear(design, timer, options)
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=3)
    return LMMSolution(result, design, engine)


def estimate_linear(design: MixedDesign, timer: Timer,
                    options: LinearOptions) -> tuple[Result[LMMParams], LinearEngine]:
    """Estimate a linear mixed model; what there is to warn of is in the result."""
    reml, optimizer, compute_satterthwaite = options.reml, options.optimizer, options.compute_satterthwaite
    with timer.section("cross_products"):
        engine = LinearEngine(design, options)
    with timer.section("optimization"):
        if optimizer == "newton":
            found, estimates = engine.core.fit(None, 1e-3 * options.tol, options.max_iter)
            theta, objective, n_iter, status = found.parameters, found.objective, found.n_evaluations, found.status
            exhausted = not found.success and n_iter >= options.max_iter
        else:
            x, n_iter, status, exhausted = minimize_with_scipy(engine.core, engine.core.start(), options)
            theta = engine.core.to_user(x)
            objective, estimates = engine.deviance(theta), engine.core.estimates(theta)
    if estimates is None or not np.isfinite(theta).all():
        raise InputError(f"y: {status}")
    beta, C, pwrss, modes, gradient, hessian = estimates
    total_weight = design.n if design.weights is None else design.weights.sum()
    if pwrss <= EXACT_FIT * total_weight * engine.problem.response_scale**2:
        raise InputError(f"response {design.response_name!r}: expected values that the model does not fit exactly, got "
                         f"a residual sum of squares of {pwrss:.2g}, which is rounding")

    nu = design.n - len(beta) if reml else design.n
    sigma2 = pwrss / nu
    free = free_parameters(design.terms, theta if compute_satterthwaite or optimizer != "newton" else found.internal)
    with timer.section("satterthwaite"):
        df, uncertainty = np.full(len(beta), float(design.n - len(beta))), None
        if compute_satterthwaite:
            derivatives = engine.variance_derivatives(theta)
            gradient, hessian = derivatives.gradient, derivatives.hessian
            uncertainty = variance_uncertainty(derivatives, np.sqrt(sigma2), nu, free, theta_names(design.terms))
            df = satterthwaite(np.eye(len(beta)), sigma2 * C, uncertainty)
    shared = shared_estimates(design, engine.problem, theta, beta, modes)
    convergence = certificate(shared["theta_names"], gradient, hessian, free)
    params = LMMParams(
        **shared,
        vcov=sigma2 * C, df_satterthwaite=df, df_method="satterthwaite" if compute_satterthwaite else "residual",
        uncertainty=uncertainty,
        term_covariances=term_covariances(design.terms, theta, sigma2), residual_variance=sigma2, pwrss=pwrss,
        objective=objective, reml=reml, convergence=convergence, n_iter=n_iter)
    singular = singular_directions(design.terms, theta, design.weights)
    findings = tuple(common_findings(design, params, singular, status, exhausted))
    info = {"method": "REML" if reml else "ML",
            **shared_facts(design, engine.problem, params, optimizer, status)}
    return Result(params, info, timer.result(), "core", findings), engine
