"""The fit of a linear mixed model: its criterion evaluated by the core, and its estimates."""
from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import _core
from ._common import Array, LMMParams, Result
from ._convergence import certificate, free_parameters
from ._engine import ComputingCost, KenwardRogerSums, VarianceDerivatives
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
    reml : bool
    method : str
        Path of the factorisation.
    n_threads : int
        Threads of the dense factorisation.
    """

    def __init__(self, design: MixedDesign, reml: bool, method: str, n_threads: int) -> None:
        self._arguments = (design, reml, method, n_threads)
        products = _core.CrossProducts(design.y, design.X, *structure(design), design.weights, design.offset)
        self.problem = make_problem(lambda limit: _core.Problem(products, method, limit), design)
        self.core = _core.Deviance(self.problem, reml, n_threads)

    def __reduce__(self) -> tuple[Callable[..., LinearEngine], tuple[MixedDesign, bool, str, int]]:
        return LinearEngine, self._arguments

    def variance_derivatives(self, theta: Array) -> VarianceDerivatives:
        """Derivatives of the criterion and of the covariance of the fixed effects over sigma squared."""
        gradient, hessian, C, dC, d_pwrss = self.core.variance_derivatives(theta)
        return VarianceDerivatives(gradient, hessian, C, np.asarray(dC).reshape(len(theta), *C.shape), d_pwrss)

    def kenward_roger_cost(self) -> ComputingCost:
        """What `kenward_roger_sums` takes."""
        return ComputingCost(*self.core.kenward_roger_cost(), self._arguments[-1])

    def kenward_roger_sums(self, theta: Array) -> KenwardRogerSums:
        """Sums for the method of Kenward & Roger."""
        sums = self.core.kenward_roger(theta)
        if sums is None:
            raise InputError("theta: expected values at which the criterion is finite")
        sigma2, root, P, Q, T, to_internal = sums
        k, p = len(T), len(root)
        return KenwardRogerSums(sigma2, root, P.T.reshape(k, p, p), Q.reshape(k, p, k, p), T, to_internal)


def fit_linear(design: MixedDesign, timer: Timer, options: LinearOptions) -> LMMSolution:
    """Fit a linear mixed model; warns on behalf of its caller's caller."""
    reml, optimizer, compute_satterthwaite = options.reml, options.optimizer, options.compute_satterthwaite
    with timer.section("cross_products"):
        engine = LinearEngine(design, reml, options.method, options.n_threads or 1)
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
    for warning in findings:
        warnings.warn(warning, stacklevel=3)
    info = {"method": "REML" if reml else "ML",
            **shared_facts(design, engine.problem, params, optimizer, status)}
    return LMMSolution(Result(params, info, timer.result(), "core", findings), design, engine)
