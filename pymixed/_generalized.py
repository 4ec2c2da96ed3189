"""The fit of a generalized linear mixed model: its criterion evaluated by the core, and its estimates."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._common import Array, GLMMParams, Result, check_choice, check_number
from ._convergence import LEAST_CURVATURE, certificate, free_parameters
from ._deleted_rows import estimates_without
from ._diagnosis import boundary_findings, separation_findings
from ._engine import ClusterScores, HeldEstimates
from ._family import Family
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
from ._inference.resampling import ModelPoint
from ._refits import GeneralizedResampler
from ._sampling import core_family
from .design import MixedDesign
from .errors import InputError
from .inference import parameter_covariance, singular_directions, term_covariances, theta_names
from .solution import GLMMSolution

CURVATURES = ("observed", "expected")
STANDARD_ERRORS = ("hessian", "rx")
QUADRATURE_COLUMNS = 3  # dimensions of a tensor grid that are still affordable


@dataclass(frozen=True)
class GeneralizedOptions(FitOptions):
    """What `pymixed.glmm` says of the fit itself."""

    n_agq: int
    curvature: str
    se: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("curvature", self.curvature, CURVATURES)
        check_choice("se", self.se, STANDARD_ERRORS)
        check_number("n_agq", self.n_agq, Integral, 0)

    def check(self, design: MixedDesign) -> None:
        """Refuse quadrature for models that it does not suit."""
        n_columns = sum(len(term.columns) for term in design.terms)
        if self.n_agq > 1 and (len(design.factors) > 1 or n_columns > QUADRATURE_COLUMNS):
            factors = ", ".join(factor.name for factor in design.factors)
            raise InputError(f"n_agq: expected 0 or 1, got {self.n_agq}; quadrature needs one grouping factor with at "
                             f"most {QUADRATURE_COLUMNS} random-effects columns, here there are {n_columns} on "
                             f"{factors}")


class GroupCriterion:
    """What generalized models say of rows that are not those of the fit, the estimates held."""

    _arguments: tuple[MixedDesign, Family, GeneralizedOptions]

    def options(self) -> dict[str, Any]:
        """What the fit was told."""
        return asdict(self._arguments[2])

    def group_modes(self, psi: Array, design: MixedDesign) -> tuple[Array, ...]:
        """Conditional modes of the levels of other rows, whose offset holds all but the random effects."""
        engine, psi = self._of_rows(psi, design, np.empty((design.n, 0)))
        estimates = engine.core.estimates(psi)
        if estimates is None:
            raise InputError("newdata: the conditional modes of the random effects were not found")
        return estimates[2]

    def group_covariance(self, psi: Array, design: MixedDesign, column: Array) -> _core.EffectsCovariance:
        """Covariance of the random effects of other rows, with one column in the place of X."""
        engine, of_rows = self._of_rows(psi, design, np.empty((design.n, 0)))
        weights = engine.core.working_rows(of_rows)[0]
        if (weights > 0.0).all():
            products = _core.CrossProducts(design.y, column[:, None], *structure(design), weights, None)
            return working_covariance(products, psi[:len(theta_names(design.terms))])
        engine, of_rows = self._of_rows(psi, design, column[:, None])
        return engine.effects_covariance(of_rows)

    def _of_rows(self, psi: Array, design: MixedDesign, X: Array) -> tuple[GeneralizedEngine, Array]:
        """The criterion of other rows, and its parameters: coefficients are zero, the offset has their part."""
        _, family, options = self._arguments
        m, k = len(theta_names(design.terms)), len(family.distribution.estimated) + len(design.zi_names)
        rows = replace(design, X=X, coefficient_names=tuple(f"x{j}" for j in range(X.shape[1])))
        engine = GeneralizedEngine(rows, family, replace(options, n_agq=1))
        return engine, np.concatenate([psi[:m], np.zeros(X.shape[1]), psi[len(psi) - k:]])


class GeneralizedEngine(GroupCriterion, CoreEngine[_core.GeneralizedDeviance]):
    """The criterion of one model, evaluated by the core; see `pymixed._engine.Criterion`.

    Pickles as the design and the family and builds the core's part anew where it is loaded.

    Parameters
    ----------
    design : MixedDesign
    family : Family
    options : GeneralizedOptions
    """

    def __init__(self, design: MixedDesign, family: Family, options: GeneralizedOptions) -> None:
        self._arguments = (design, family, options)
        likelihood = core_family(family, design.zero_inflation is not None)
        # nodes of a tensor rule for several columns are laid out in the user's coordinates
        centred = options.n_agq <= 1 or all(len(term.columns) == 1 for term in design.terms)
        self.problem = make_problem(lambda limit: _core.GeneralizedProblem(
            design.y, design.X, *structure(design), design.weights, design.offset, likelihood, design.zero_inflation,
            options.method, limit, centred), design)
        self.core = _core.GeneralizedDeviance(
            self.problem, int(options.n_agq), options.curvature, options.n_threads or 1)

    @classmethod
    def started(cls, design: MixedDesign, family: Family, options: GeneralizedOptions) -> GeneralizedEngine:
        """An engine that knows near which modes to look for others, as it does after a fit."""
        engine = cls(design, family, options)
        engine.core.start()
        return engine

    def __reduce__(self) -> tuple[
            Callable[..., GeneralizedEngine], tuple[MixedDesign, Family, GeneralizedOptions]]:
        return GeneralizedEngine.started, self._arguments

    def refit(self, design: MixedDesign, reml: bool | None = None, optimizer: str | None = None) -> GLMMSolution:
        """Fit of another design with the same family and options, but for the optimiser; `reml` has no meaning here."""
        _, family, given = self._arguments
        options = replace(given, optimizer=optimizer or given.optimizer)
        result, engine = estimate_generalized(design, family, Timer(), options)
        warn_of_convergence(result)
        return GLMMSolution(result, design, engine, family)

    def resampler(self, design: MixedDesign, point: ModelPoint, reml: bool | None = None) -> GeneralizedResampler:
        """The same model to be fitted to other responses; `reml` has no meaning here."""
        _, family, options = self._arguments
        return GeneralizedResampler(self.problem, design, point, family, int(options.n_agq), options.curvature,
                                    options.tol, options.max_iter)

    def products(self, psi: Array) -> _core.CrossProducts:
        """Cross-products of the rows with the weights at the conditional modes."""
        self.core.start()  # the same modes to the bit, whatever was evaluated before
        return self.core.working_products(psi)

    def effects_covariance(self, psi: Array) -> _core.EffectsCovariance:
        """Covariance of the random effects given the coefficients, with the weights at the conditional modes."""
        return working_covariance(self.products(psi), psi[:self._n_theta])

    def working_rows(self, psi: Array) -> tuple[Array, Array]:
        """The criterion's weights and the derivatives of log f at the conditional modes."""
        return self.core.working_rows(psi)

    def estimates_without(self, psi: Array, sets: Iterable[NDArray[np.intp]]) -> Iterator[HeldEstimates | None]:
        """Estimates without each of some sets of rows of the linear model at the conditional modes, theta held."""
        design, _, options = self._arguments
        weights, scores = self.working_rows(psi)
        if not (weights > 0.0).all():
            raise InputError("by: expected levels that share no level of another factor with other rows, as working "
                             "weights of the fit are not positive; refit=True takes any")
        estimates = self.core.estimates(psi)
        assert estimates is not None, "the parameters are near the estimates"
        beta, _, _, eta, *_ = estimates
        linear = replace(design, y=eta + scores / weights, weights=weights, zero_inflation=None, zi_names=())
        return estimates_without(linear, psi[:self._n_theta], beta, options, sets)

    @property
    def _n_theta(self) -> int:
        return len(theta_names(self._arguments[0].terms))

    def internal_derivatives(self, x: Array) -> tuple[Array, Array]:
        """Gradient and Hessian in the core's coordinates, whose columns are centred and scaled.

        There, columns of X that are all but collinear in the user's units do not blur the differences.
        """
        return self.core.differentiate(x, internal=True)[1], self.core.hessian(x, internal=True)

    def cluster_scores(self, psi: Array, clusters: NDArray[np.int32], n_clusters: int) -> ClusterScores:
        """Derivatives of the criterion by clusters of rows, in the core's coordinates."""
        x = self.core.to_internal(psi)
        gradients = self.core.cluster_gradients(x, clusters, n_clusters, internal=True)
        return ClusterScores(gradients, self.internal_derivatives(x)[1], self.problem.coefficient_map)


def working_covariance(products: _core.CrossProducts, theta: Array) -> _core.EffectsCovariance:
    """Covariance of the random effects of a generalized model from its products with the working weights."""
    return _core.EffectsCovariance(_core.Problem(products, "auto", 0.0, True), theta)


def _covariance(hessian: Array, free: NDArray[np.bool_], part: slice, to_user: Array) -> Array:
    """Asymptotic covariance of the coefficients or those of the zero inflation, `part` of the parameters.

    `hessian` and `free` are of the core's coordinates, from which `to_user` leads to the user's.
    """
    if to_user.size == 0:
        return np.empty((0, 0))
    wanted = np.zeros(len(free), np.bool_)
    wanted[part] = True
    return np.asarray(to_user @ parameter_covariance(hessian, wanted, free) @ to_user.T)


def _cross_covariance(hessian: Array, free: NDArray[np.bool_], coefficients: slice, n_zero: int,
                      problem: _core.GeneralizedProblem) -> Array:
    """Asymptotic covariances of the coefficients and those of the zero inflation, the last `n_zero` parameters."""
    wanted = np.zeros(len(free), np.bool_)
    wanted[coefficients] = True
    p = int(wanted.sum())
    if p == 0 or n_zero == 0:
        return np.zeros((p, n_zero))
    wanted[len(wanted) - n_zero:] = True
    block = parameter_covariance(hessian, wanted, free)[:p, p:]
    return np.asarray(problem.coefficient_map @ block @ problem.zero_map.T)


def _no_estimates(design: MixedDesign, family: Family, reason: str) -> InputError:
    safe = family.distribution.links[0]
    hint = "" if family.link_name == safe else f"; the link {safe!r} allows any linear predictor"
    return InputError(f"response {design.response_name!r}: the fit found no estimates: {reason}{hint}")


def fit_generalized(design: MixedDesign, family: Family, timer: Timer, options: GeneralizedOptions) -> GLMMSolution:
    """Fit a generalized linear mixed model; warns on behalf of its caller's caller."""
    result, engine = estimate_generalized(design, family, timer, options)
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=3)
    return GLMMSolution(result, design, engine, family)


def estimate_generalized(design: MixedDesign, family: Family, timer: Timer,
                         options: GeneralizedOptions) -> tuple[Result[GLMMParams], GeneralizedEngine]:
    """Estimate a generalized linear mixed model; what there is to warn of is in the result."""
    options.check(design)
    with timer.section("problem"):
        engine = GeneralizedEngine(design, family, options)
    with timer.section("optimization"):
        if options.optimizer == "newton":
            found, estimates = engine.core.fit(None, 1e-3 * options.tol, options.max_iter)
            x, psi, objective = found.internal, found.parameters, found.objective
            n_iter, status, differences = found.n_evaluations, found.status, found.n_differences
            exhausted = not found.success and n_iter >= options.max_iter
        else:
            start = engine.core.start()
            if start.size == 0:
                raise _no_estimates(design, family, "the conditional modes of the random effects were not found")
            x, n_iter, status, exhausted = minimize_with_scipy(engine.core, engine.core.to_internal(start), options)
            psi = engine.core.to_user(x)
            objective, estimates, differences = engine.deviance(psi), engine.core.estimates(psi), 0
    if estimates is None or not np.isfinite(psi).all():
        raise _no_estimates(design, family, status)
    beta, rx_covariance, modes, eta, _, _, pirls_iterations, _, _ = estimates
    m, p = len(theta_names(design.terms)), len(beta) if options.n_agq else 0
    theta, extra = psi[:m], psi[m + p:]
    family_part, zi = np.split(extra, [len(extra) - len(design.zi_names)])
    constants = family.distribution.natural(family_part)

    with timer.section("hessian"):
        gradient, hessian = engine.internal_derivatives(x)
    free = np.append(free_parameters(design.terms, x[:m]), np.ones(len(x) - m, bool))
    shared = shared_estimates(design, engine.problem, theta, beta, modes)
    extra_names = (*family.distribution.estimated_names, *(f"zi.{name}" for name in design.zi_names))
    names = (*shared["theta_names"], *(shared["coefficient_names"] if options.n_agq else ()), *extra_names)
    convergence = certificate(names, gradient, hessian, free)
    # at a saddle, or where the Hessian does not exist, there is only the other kind
    by_hessian = options.se == "hessian" and options.n_agq > 0 and convergence.min_eigenvalue >= LEAST_CURVATURE
    params = GLMMParams(
        **shared,
        vcov=(_covariance(hessian, free, slice(m, m + p), engine.problem.coefficient_map) if by_hessian
              else rx_covariance),
        term_covariances=term_covariances(design.terms, theta, 1.0), objective=objective,
        convergence=convergence, n_iter=n_iter,
        family_name=family.name, link_name=family.link_name, family_parameters=constants,
        dispersion=family.distribution.dispersion(constants), extra=extra, extra_names=extra_names,
        zi_coefficients=zi, zi_names=design.zi_names,
        zi_vcov=_covariance(hessian, free, slice(len(psi) - len(zi), len(psi)), engine.problem.zero_map),
        zi_cross_vcov=(_cross_covariance(hessian, free, slice(m, m + p), len(zi), engine.problem) if by_hessian
                       else np.zeros((len(beta), len(zi)))),
        linear_predictor=eta,
        n_agq=int(options.n_agq), se_method="hessian" if by_hessian else "rx")
    singular = singular_directions(design.terms, theta, design.reaches(weighted=False))
    findings = (*common_findings(design, params, singular, status, exhausted),
                *separation_findings(design, family, params), *boundary_findings(design, family, params))
    method = {0: "PIRLS", 1: "Laplace"}.get(params.n_agq, f"adaptive quadrature with {params.n_agq} nodes")
    info = {"method": method, "family": family.name, "link": family.link_name, "curvature": options.curvature,
            "se": params.se_method, "n_differences": differences, "pirls_iter": pirls_iterations,
            **shared_facts(design, engine.problem, params, options.optimizer, status)}
    return Result(params, info, timer.result(), "core", findings), engine
