"""What fitting linear and generalized linear mixed models has in common: options, time, optimisers, findings."""
from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._common import Array, MixedParams, Result, check_choice, check_number
from ._engine import ConstrainedFit
from ._family import Family
from ._memory import available_memory
from ._sampling import respond
from .design import MixedDesign
from .errors import (
    ConvergenceWarning,
    InputError,
    MemoryLimitError,
    MissingValuesWarning,
    PymixedWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
)
from .inference import SingularDirection, theta_names

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTIMIZERS = ("newton", "L-BFGS-B", "trust-constr", "Nelder-Mead", "COBYQA")
METHODS = ("auto", "single", "dense", "sparse")

# Where the minimisation with a parameter held ends: expected gain, and evaluations that it may take.
CONSTRAINED_GAIN = 1e-12
CONSTRAINED_EVALUATIONS = 100

T = TypeVar("T")


# ---- options ---------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class FitOptions:
    """What is said of the fit itself; checked before any computing. See `pymixed.lmm`."""

    tol: float
    max_iter: int
    optimizer: str
    n_threads: int | None
    method: str

    def __post_init__(self) -> None:
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("method", self.method, METHODS)
        check_number("tol", self.tol, Real)
        check_number("max_iter", self.max_iter, Integral)
        check_number("n_threads", 1 if self.n_threads is None else self.n_threads, Integral)


# ---- the core's problem ----------------------------------------------------------------------------------------------

Structure: TypeAlias = tuple[list[NDArray[np.int32]], list[int], list[tuple[int, int, str]], list[Array | None]]


def structure(design: MixedDesign) -> Structure:
    """Codes and numbers of levels per factor, terms and their columns, as the core takes them."""
    return ([factor.codes for factor in design.factors], [len(factor.levels) for factor in design.factors],
            [(term.factor, len(term.columns), term.structure) for term in design.terms],
            [column for term in design.terms for column in term.data])


def make_problem(make: Callable[[float], T], design: MixedDesign) -> T:
    """Make a problem of the core with a limit in bytes; what it refuses is an exception of ours."""
    try:
        return make(_memory_limit(design))
    except _core.MemoryLimit as error:
        raise MemoryLimitError(
            f"{error}; use fewer levels in the crossed factors (all but the largest) or a larger machine") from None
    except ValueError as error:
        raise InputError(str(error)) from None


def _memory_limit(design: MixedDesign) -> float:
    """Bytes that are available, 0 (no limit) where the dense factor of all but the largest factor is small anyway."""
    sizes = [sum(len(term.columns) for term in design.terms if term.factor == i) * len(factor.levels)
             for i, factor in enumerate(design.factors)]
    return available_memory() if sum(sizes) - max(sizes) > 1000 else 0.0


# ---- time ------------------------------------------------------------------------------------------------------------

class Timer:
    """Seconds per section of a fit."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Add the time of the block to a section."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def result(self) -> dict[str, float]:
        """Sections, and the total since the timer was made."""
        return {**self.seconds, "total": time.perf_counter() - self._start}


# ---- the core's criterion, and SciPy's optimisers on it --------------------------------------------------------------

class CoreCriterion(Protocol):
    """A criterion of the core; it can also be evaluated in its internal coordinates."""

    def evaluate(self, parameters: Array, internal: bool = False) -> float: ...
    def differentiate(self, parameters: Array, internal: bool = False) -> tuple[float, Array, Array]: ...
    def hessian(self, parameters: Array, internal: bool = False) -> Array: ...
    def conditional_covariances(self, parameters: Array, /) -> tuple[Array, ...]: ...
    def constrained_fit(self, kind: str, place: tuple[int, int, int], value: float, start: Array, sigma: float,
                        tolerance: float, max_evaluations: int) -> _core.ConstrainedFit: ...


C = TypeVar("C", bound=CoreCriterion)


class CoreEngine(Generic[C]):
    """A criterion of the core as functions of the parameters; see `pymixed._engine.Criterion`.

    Attributes
    ----------
    core : CoreCriterion
        Does the computing.
    """

    core: C
    optimizers = OPTIMIZERS

    def deviance(self, parameters: Array) -> float:
        """Criterion; infinite where it cannot be evaluated."""
        return self.core.evaluate(parameters)

    def gradient(self, parameters: Array) -> Array:
        """Its gradient."""
        return self.core.differentiate(parameters)[1]

    def hessian(self, parameters: Array) -> Array:
        """Its Hessian."""
        return self.core.hessian(parameters)

    def conditional_covariances(self, parameters: Array) -> tuple[Array, ...]:
        """Var(b | y) per grouping factor, (levels, c, c); over sigma² for a linear model."""
        return self.core.conditional_covariances(parameters)

    def respond(self, family: Family | None, eta: Array, zeta: Array | None, weights: Array | None, extra: Array,
                seed: int, stream: int) -> Array:
        """A response of any rows (m,) given their linear predictors."""
        return respond(family, eta, zeta, weights, extra, seed, stream)

    def constrained_fit(self, kind: str, place: tuple[int, int, int], value: float, start: Array) -> ConstrainedFit:
        """Minimum with one parameter held."""
        status, gain, deviance, slope, parameters, coefficients, _, n_evaluations = self.core.constrained_fit(
            kind, place, value, start, 1.0, CONSTRAINED_GAIN, CONSTRAINED_EVALUATIONS)
        return ConstrainedFit(status, gain, deviance, slope, parameters, coefficients, n_evaluations)


def minimize_with_scipy(core: CoreCriterion, start: Array, options: FitOptions) -> tuple[Array, int, str, bool]:
    """Minimise with one of SciPy's optimisers in the core's internal coordinates, those of `start`.

    Returns where it ended, the number of evaluations, SciPy's message, and whether it ran out of evaluations.
    """
    from scipy.optimize import minimize

    optimizer, tol, max_iter = options.optimizer, options.tol, options.max_iter
    evaluations = 0

    def value(x: Array) -> float:
        nonlocal evaluations
        evaluations += 1
        return core.evaluate(x, internal=True)

    def value_and_gradient(x: Array) -> tuple[float, Array]:
        nonlocal evaluations
        evaluations += 1
        deviance, gradient, _ = core.differentiate(x, internal=True)
        return deviance, gradient

    arguments: dict[str, Any] = {"x0": start, "method": optimizer}
    if optimizer in ("L-BFGS-B", "trust-constr"):
        limit = max_iter
        controls: dict[str, float] = {"maxiter": limit, "gtol": tol}
        if optimizer == "L-BFGS-B":
            controls |= {"maxfun": limit, "ftol": 1e-15}
        arguments |= {"fun": value_and_gradient, "jac": True, "options": controls}
    else:
        limit = 50 * max_iter
        precision = {"xatol": 1e-7, "fatol": tol} if optimizer == "Nelder-Mead" else {"final_tr_radius": 1e-7}
        arguments |= {"fun": value, "options": {"maxfev": limit, **precision}}
    found = minimize(**arguments)
    exhausted = not found.success and max(evaluations, found.nit) >= limit
    return found.x, evaluations, str(found.message), exhausted


# ---- results ---------------------------------------------------------------------------------------------------------

class CoreProblem(Protocol):
    """What a problem of the core says of itself."""

    @property
    def kept(self) -> list[int]: ...
    @property
    def aliased(self) -> list[int]: ...
    @property
    def method(self) -> str: ...
    @property
    def workspace_bytes(self) -> float: ...


def shared_estimates(design: MixedDesign, problem: CoreProblem, theta: Array, beta: Array,
                     modes: Sequence[Array]) -> dict[str, Any]:
    """Estimates of any mixed model with their names: a part of `MixedParams`."""
    names = design.coefficient_names
    return {
        "coefficients": beta,
        "coefficient_names": tuple(names[j] for j in problem.kept),
        "aliased": tuple(names[j] for j in problem.aliased),
        "theta": theta,
        "theta_names": theta_names(design.terms),
        "n_obs": design.n,
        "n_groups": {factor.name: len(factor.levels) for factor in design.factors},
        "random_effects": {factor.name: b for factor, b in zip(design.factors, modes, strict=True)},
    }


def shared_facts(design: MixedDesign, problem: CoreProblem, params: MixedParams, optimizer: str,
                 status: str) -> dict[str, Any]:
    """Facts of any fit: a part of `Result.info`."""
    return {
        "optimizer": optimizer, "converged": params.converged, "n_iter": params.n_iter, "deviance": params.objective,
        "status": status, "factorization": problem.method, "workspace_bytes": problem.workspace_bytes,
        "n_dropped": design.n_rows_given - design.n,
    }


# ---- findings --------------------------------------------------------------------------------------------------------

def design_findings(design: MixedDesign, aliased: Sequence[str]) -> list[PymixedWarning]:
    """What there is to warn of before the response is looked at; `aliased` are dropped columns of X."""
    found: list[PymixedWarning] = []
    dropped = design.n_rows_given - design.n
    if dropped:
        found.append(MissingValuesWarning(f"{dropped} of {design.n_rows_given} rows were dropped: missing values"))
    if aliased:
        found.append(RankDeficiencyWarning(
            f"columns of the fixed-effects matrix depend on others and were dropped: {', '.join(aliased)}"))
    return found


def common_findings(design: MixedDesign, params: MixedParams, singular: Sequence[SingularDirection], status: str,
                    exhausted: bool) -> list[PymixedWarning]:
    """What there is to warn of in any mixed model."""
    found = design_findings(design, params.aliased)
    if exhausted or not params.converged:
        verdict = "stopped early at" if params.converged else "not converged:"
        found.append(ConvergenceWarning(f"{verdict} {params.convergence.message} (optimizer: {status})"))
    if singular:
        found.append(SingularFitWarning("singular fit: " + "; ".join(map(str, singular))))
    return found


def warn_of_convergence(result: Result[Any]) -> None:
    """Warn, on behalf of whoever asks for a refit, only if it did not converge."""
    for warning in result.warnings:
        if isinstance(warning, ConvergenceWarning):
            warnings.warn(warning, stacklevel=5)
