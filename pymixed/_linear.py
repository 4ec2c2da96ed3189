"""The fit of a linear mixed model: its criterion evaluated by the core, and its estimates."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._common import Array, LMMParams, Result
from ._convergence import certificate, free_parameters
from ._deleted_rows import estimates_without
from ._engine import ComputingCost, ConstrainedFit, HeldEstimates, KenwardRogerSums, VarianceDerivatives
from ._fitting import (
    CONSTRAINED_EVALUATIONS,
    CONSTRAINED_GAIN,
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
from ._inference.resampling import ModelPoint
from ._refits import LinearResampler
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


def cross_products(design: MixedDesign) -> _core.CrossProducts:
    """What a design is fitted to: the sums over its rows, or those that it has in their place."""
    if not design.has_rows:
        held: _core.CrossProducts = design.products
        return held
    return _core.CrossProducts(design.y, design.X, *structure(design), design.weights, design.offset)


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
        products = cross_products(design)
        self.problem = make_problem(lambda limit: _core.Problem(products, options.method, limit), design)
        self.core = _core.Deviance(self.problem, options.reml, options.n_threads or 1)

    def __reduce__(self) -> tuple[Callable[..., LinearEngine], tuple[MixedDesign, LinearOptions]]:
        return LinearEngine, self._arguments

    def refit(self, design: MixedDesign, reml: bool | None = None, optimizer: str | None = None) -> LMMSolution:
        """Fit of another design with the same options, but for those that are given."""
        given = self._arguments[1]
        options = replace(given, reml=given.reml if reml is None else reml, optimizer=optimizer or given.optimizer)
        result, engine = estimate_linear(design, Timer(), options)
        warn_of_convergence(result)
        return LMMSolution(result, design, engine)

    def resampler(self, design: MixedDesign, point: ModelPoint, reml: bool | None = None) -> LinearResampler:
        """The same model to be fitted to other responses."""
        options = self._arguments[1]
        return LinearResampler(self.problem, design, point, options.reml if reml is None else reml, options.tol,
                               options.max_iter)

    def variance_derivatives(self, theta: Array) -> VarianceDerivatives:
        """Derivatives of the criterion and of the covariance of the fixed effects over sigma squared."""
        return self._derivatives(theta, internal=False)

    def centred_derivatives(self, theta: Array) -> tuple[Array, VarianceDerivatives]:
        """The same in coordinates of centred and scaled columns, and theta in them; in the user's at singular theta.

        Where a template loses a column, the user's coordinates say plainly which direction is at its boundary.
        """
        singular = self._is_singular(theta)
        x = theta if singular else self.core.to_internal(theta)
        return x, self._derivatives(x, internal=not singular)

    def coordinates(self, theta: Array) -> tuple[Array, Callable[[Array], Array]]:
        """Theta in those coordinates, and the way back from them."""
        if self._is_singular(theta):
            return theta, lambda x: x
        return self.core.to_internal(theta), self.core.to_user

    def _is_singular(self, theta: Array) -> bool:
        return not free_parameters(self._arguments[0].terms, theta).all()

    def _derivatives(self, theta: Array, internal: bool) -> VarianceDerivatives:
        gradient, hessian, C, dC, d_pwrss = self.core.variance_derivatives(theta, internal)
        return VarianceDerivatives(gradient, hessian, C, np.asarray(dC).reshape(len(theta), *C.shape), d_pwrss)

    def constrained_fit(self, kind: str, place: tuple[int, int, int], value: float, start: Array) -> ConstrainedFit:
        """Minimum with one parameter held."""
        status, gain, deviance, slope, theta, coefficients, sigma, n_evaluations = self.core.constrained_fit(
            kind, place, value, start[:-1], np.exp(start[-1]), CONSTRAINED_GAIN, CONSTRAINED_EVALUATIONS)
        return ConstrainedFit(status, gain, deviance, slope, np.append(theta, np.log(sigma)), coefficients,
                              n_evaluations)

    def products(self, theta: Array) -> _core.CrossProducts:
        """Cross-products that the model is fitted to."""
        return cross_products(self._arguments[0])

    def options(self) -> dict[str, Any]:
        """What the fit was told."""
        return asdict(self._arguments[1])

    def effects_covariance(self, theta: Array) -> _core.EffectsCovariance:
        """Covariance of the random effects over sigma²."""
        return _core.EffectsCovariance(self.problem, theta)

    def estimates_without(self, theta: Array, sets: Iterable[NDArray[np.intp]]) -> Iterator[HeldEstimates | None]:
        """Estimates without each of some sets of rows, theta held."""
        design, options = self._arguments
        estimates = self.core.estimates(theta)
        assert estimates is not None, "theta is near the estimates"
        return estimates_without(design, theta, estimates[0], options, sets)

    def group_modes(self, theta: Array, design: MixedDesign) -> tuple[Array, ...]:
        """Conditional modes of the levels of other rows, whose offset holds all but the random effects."""
        residuals = design.y if design.offset is None else design.y - design.offset
        return tuple(modes[..., 0] for modes in self.group_covariance(theta, design, residuals).fixed_modes())

    def group_covariance(self, theta: Array, design: MixedDesign, column: Array) -> _core.EffectsCovariance:
        """Covariance of the random effects of other rows, with one column in the place of X."""
        products = _core.CrossProducts(design.y, column[:, None], *structure(design), design.weights, None)
        return _core.EffectsCovariance(_core.Problem(products, "auto", 0.0, True), theta)

    def fixed_modes(self, theta: Array) -> tuple[Array, ...]:
        """Modes of the columns of X that have a coefficient, per grouping factor (levels, c, p)."""
        return self.effects_covariance(theta).fixed_modes()

    def modes_of(self, theta: Array, columns: Array) -> tuple[Array, ...]:
        """Modes of any columns (n, k), per grouping factor (levels, c, k): each takes the place of X in a problem."""
        design = self._arguments[0]
        found = [self.group_covariance(theta, design, np.ascontiguousarray(column)).fixed_modes()
                 for column in columns.T]
        return tuple(np.concatenate(modes, axis=2) for modes in zip(*found, strict=True))

    def kenward_roger_cost(self) -> ComputingCost:
        """What `kenward_roger_sums` takes."""
        return ComputingCost(*self.core.kenward_roger_cost(), self._arguments[1].n_threads or 1)

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
            x, theta, objective = found.internal, found.parameters, found.objective
            n_iter, status = found.n_evaluations, found.status
            exhausted = not found.success and n_iter >= options.max_iter
        else:
            x, n_iter, status, exhausted = minimize_with_scipy(engine.core, engine.core.start(), options)
            theta = engine.core.to_user(x)
            objective, estimates = engine.deviance(theta), engine.core.estimates(theta)
    if estimates is None or not np.isfinite(theta).all():
        raise InputError(f"y: {status}")
    beta, C, pwrss, modes, gradient, hessian = estimates
    if pwrss <= _core.EXACT_FIT * design.sums.total_weight * engine.problem.response_scale**2:
        raise InputError(f"response {design.response_name!r}: expected values that the model does not fit exactly, got "
                         f"a residual sum of squares of {pwrss:.2g}, which is rounding")

    nu = design.n - len(beta) if reml else design.n
    sigma2 = pwrss / nu
    with timer.section("satterthwaite"):
        df, uncertainty = np.full(len(beta), float(design.n - len(beta))), None
        if compute_satterthwaite:
            x, derivatives = engine.centred_derivatives(theta)
            gradient, hessian = derivatives.gradient, derivatives.hessian
            uncertainty = variance_uncertainty(derivatives, np.sqrt(sigma2), nu, free_parameters(design.terms, x),
                                               theta_names(design.terms))
            df = satterthwaite(np.eye(len(beta)), sigma2 * C, uncertainty)
    shared = shared_estimates(design, engine.problem, theta, beta, modes)
    convergence = certificate(shared["theta_names"], gradient, hessian, free_parameters(design.terms, x))
    if not (compute_satterthwaite or convergence.converged):  # the optimiser's curvature is no Hessian
        x, derivatives = engine.centred_derivatives(theta)
        convergence = certificate(shared["theta_names"], derivatives.gradient, derivatives.hessian,
                                  free_parameters(design.terms, x))
    params = LMMParams(
        **shared,
        vcov=sigma2 * C, df_satterthwaite=df, df_method="satterthwaite" if compute_satterthwaite else "residual",
        uncertainty=uncertainty,
        term_covariances=term_covariances(design.terms, theta, sigma2), residual_variance=sigma2, pwrss=pwrss,
        objective=objective, reml=reml, convergence=convergence, n_iter=n_iter)
    singular = singular_directions(design.terms, theta, design.reaches(weighted=True))
    findings = tuple(common_findings(design, params, singular, status, exhausted))
    info = {"method": "REML" if reml else "ML",
            **shared_facts(design, engine.problem, params, optimizer, status)}
    return Result(params, info, timer.result(), "core", findings), engine
