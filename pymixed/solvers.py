"""Fitting linear mixed models: `lmm` from arrays, `lmer` from a formula and a table."""
from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import _core
from ._common import Array, LMMParams, Result, VarianceDerivatives, check_choice
from ._convergence import certificate, free_parameters
from ._memory import available_memory
from .design import MixedDesign, NaAction, Term
from .errors import (
    ConvergenceWarning,
    InputError,
    InputTypeError,
    MemoryLimitError,
    MissingValuesWarning,
    PymixedWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
)
from .inference import (
    satterthwaite,
    singular_directions,
    term_covariances,
    theta_names,
    varpar_covariance,
)
from .solution import LMMSolution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._model_matrix import Contrast

OPTIMIZERS = ("newton", "L-BFGS-B", "trust-constr", "Nelder-Mead", "COBYQA")
METHODS = ("auto", "single", "dense", "sparse")

# Residual sum of squares, in units of that of the response as the core scales it, below which it is rounding: the core
# finds it as a difference of sums.
EXACT_FIT = 1e-14


class CoreEngine:
    """The criterion of one model, evaluated by the core; see `pymixed._common.Engine`.

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
        codes = [factor.codes for factor in design.factors]
        n_levels = [len(factor.levels) for factor in design.factors]
        terms = [(term.factor, len(term.columns), term.structure) for term in design.terms]
        columns = [column for term in design.terms for column in term.data]
        products = _core.CrossProducts(
            design.y, design.X, codes, n_levels, terms, columns, design.weights, design.offset)
        try:
            self.problem = _core.Problem(products, method, _memory_limit(design))
        except _core.MemoryLimit as error:
            raise MemoryLimitError(
                f"{error}; use fewer levels in the crossed factors (all but the largest) or a larger machine"
            ) from None
        except ValueError as error:
            raise InputError(str(error)) from None
        self.core = _core.Deviance(self.problem, reml, n_threads)

    def __reduce__(self) -> tuple[Callable[..., CoreEngine], tuple[MixedDesign, bool, str, int]]:
        return CoreEngine, self._arguments

    def deviance(self, theta: Array) -> float:
        """Minus twice the (restricted) log-likelihood at theta."""
        return self.core.evaluate(theta)

    def gradient(self, theta: Array) -> Array:
        """Gradient of the criterion (m,)."""
        return self.core.differentiate(theta)[1]

    def hessian(self, theta: Array) -> Array:
        """Hessian of the criterion (m, m)."""
        return self.core.hessian(theta)

    def variance_derivatives(self, theta: Array) -> VarianceDerivatives:
        """Derivatives of the criterion and of the covariance of the fixed effects over sigma squared."""
        gradient, hessian, C, dC, d_pwrss = self.core.variance_derivatives(theta)
        return VarianceDerivatives(gradient, hessian, C, np.asarray(dC).reshape(len(theta), *C.shape), d_pwrss)

    def conditional_covariances(self, theta: Array) -> tuple[Array, ...]:
        """Var(b | y) / sigma² per grouping factor, (levels, c, c)."""
        return self.core.conditional_covariances(theta)


def _memory_limit(design: MixedDesign) -> float:
    """Bytes that are available, 0 (no limit) where the dense factor of all but the largest factor is small anyway."""
    sizes = [sum(len(term.columns) for term in design.terms if term.factor == i) * len(factor.levels)
             for i, factor in enumerate(design.factors)]
    return available_memory() if sum(sizes) - max(sizes) > 1000 else 0.0


@dataclass(frozen=True)
class FitOptions:
    """What `lmm` and `lmer` say of the fit itself; checked before any computing. See `lmm`."""

    reml: bool
    tol: float
    max_iter: int
    compute_satterthwaite: bool
    optimizer: str
    n_threads: int | None
    method: str

    def __post_init__(self) -> None:
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("method", self.method, METHODS)
        _check_positive("tol", self.tol, Real)
        _check_positive("max_iter", self.max_iter, Integral)
        _check_positive("n_threads", 1 if self.n_threads is None else self.n_threads, Integral)
        for name in ("reml", "compute_satterthwaite"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise InputTypeError(f"{name}: expected True or False, got {getattr(self, name)!r}")


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


def lmm(y: ArrayLike, X: ArrayLike, groups: Mapping[str, ArrayLike], *,
        random_effects: Mapping[str, Sequence[str]] | Sequence[Term] | None = None,
        random_data: Mapping[str, ArrayLike] | None = None, reml: bool = True, tol: float = 1e-8, max_iter: int = 200,
        compute_satterthwaite: bool = True, weights: ArrayLike | None = None, offset: ArrayLike | None = None,
        optimizer: str = "newton", n_threads: int | None = None, method: str = "auto",
        na_action: NaAction = "raise") -> LMMSolution:
    """Fit a linear mixed model to arrays.

    Parameters
    ----------
    y : array_like (n,)
        Response.
    X : array_like (n, p)
        Fixed-effects matrix, with a column of ones where an intercept is wanted; p may be 0.
    groups : mapping
        From names of grouping factors to labels (n,) of any type.
    random_effects : mapping or list of Term, optional
        Columns per group, `{"subject": ["1", "time"]}` being one correlated term; by default a random intercept per
        group. A list of `pymixed.Term` says everything else.
    random_data : mapping, optional
        Columns (n,) that `random_effects` names.
    reml : bool
        Restricted maximum likelihood (default) or maximum likelihood.
    tol : float
        The optimiser stops when a further step promises to gain less than a thousandth of this in the criterion.
    max_iter : int
        Most evaluations of the criterion; fifty times as many for the two optimisers that take no gradient.
    compute_satterthwaite : bool
        Degrees of freedom by Satterthwaite's method, and the convergence certificate from the exact Hessian. Without
        it the residual n - p and the average information take their places.
    weights : array_like (n,), optional
        Prior weights: row i has the residual variance sigma² / weights[i].
    offset : array_like (n,), optional
        Known part of the linear predictor.
    optimizer : {"newton", "L-BFGS-B", "trust-constr", "Nelder-Mead", "COBYQA"}
        Ours, or one of SciPy's on the same criterion (with its exact gradient where it takes one).
    n_threads : int, optional
        Threads for the dense factorisation; 1 by default. The result does not depend on it.
    method : {"auto", "single", "dense", "sparse"}
        Path of the factorisation; chosen from the design by default.
    na_action : {"raise", "drop"}
        What to do with rows that lack a value.

    Returns
    -------
    LMMSolution

    Raises
    ------
    InputError, InputTypeError
        Data that no linear mixed model can be fitted to.
    MemoryLimitError
        The factor would not fit into memory.

    Warns
    -----
    ConvergenceWarning, SingularFitWarning, RankDeficiencyWarning, MissingValuesWarning

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1).

    Examples
    --------
    >>> import numpy as np, pymixed as pm
    >>> data = pm.datasets.load("sleepstudy")
    >>> days = data["Days"].to_numpy(float)
    >>> fit = pm.lmm(data["Reaction"], np.column_stack([np.ones(180), days]), {"subject": data["Subject"]},
    ...              random_effects={"subject": ["1", "days"]}, random_data={"days": days})
    >>> fit.coefficients.round(3)
    array([251.405,  10.467])
    """
    options = FitOptions(reml, tol, max_iter, compute_satterthwaite, optimizer, n_threads, method)
    timer = Timer()
    with timer.section("setup"):
        design = MixedDesign.validate(y, X, groups, random_effects, random_data, weights=weights, offset=offset,
                                      na_action=na_action)
    return _fit(design, timer, options)


def lmer(formula: str, data: Any, *, reml: bool = True, weights: ArrayLike | str | None = None,
         offset: ArrayLike | str | None = None, contrasts: Mapping[str, Contrast] | None = None,
         na_action: NaAction = "drop", tol: float = 1e-8, max_iter: int = 200, compute_satterthwaite: bool = True,
         optimizer: str = "newton", n_threads: int | None = None, method: str = "auto") -> LMMSolution:
    """Fit a linear mixed model given by a formula to a table.

    Parameters
    ----------
    formula : str
        lme4's grammar: `y ~ x + (x | g)`, `(x || g)`, `(1 | a/b)`, `(1 | a:b)`, `(0 + x | g)`, `offset(z)`; functions
        of columns as formulaic knows them (`log(x)`, `I(x**2)`, `poly(x, 2)`, `bs(x, df=4)`, ...).
    data : table
        pandas or polars DataFrame, pyarrow Table, anything with `__arrow_c_stream__`, dict of arrays.
    weights, offset : array_like (n,) or str, optional
        As in `lmm`, or the name of a column.
    contrasts : mapping, optional
        Coding of categorical columns: "treatment" (default), "sum", "helmert", "poly", "sas", "diff", or a matrix.
    na_action : {"drop", "raise"}
        What to do with rows that lack a value in a column used.
    reml, tol, max_iter, compute_satterthwaite, optimizer, n_threads, method
        As in `lmm`.

    Returns
    -------
    LMMSolution

    Raises
    ------
    FormulaError
        The formula cannot be understood; shows the place.
    InputError, InputTypeError, MemoryLimitError
        As in `lmm`.

    Warns
    -----
    ConvergenceWarning, SingularFitWarning, RankDeficiencyWarning, MissingValuesWarning

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    >>> fit.se.round(3)
    array([6.825, 1.546])
    """
    options = FitOptions(reml, tol, max_iter, compute_satterthwaite, optimizer, n_threads, method)
    timer = Timer()
    with timer.section("setup"):
        design = MixedDesign.from_formula(formula, data, weights=weights, offset=offset, contrasts=contrasts,
                                          na_action=na_action)
    return _fit(design, timer, options)


def _fit(design: MixedDesign, timer: Timer, options: FitOptions) -> LMMSolution:
    reml, tol, max_iter, optimizer = options.reml, options.tol, options.max_iter, options.optimizer
    compute_satterthwaite = options.compute_satterthwaite
    with timer.section("cross_products"):
        engine = CoreEngine(design, reml, options.method, options.n_threads or 1)
    with timer.section("optimization"):
        if optimizer == "newton":
            found, estimates = engine.core.fit(None, 1e-3 * tol, max_iter)
            theta, objective, n_iter, status = found.theta, found.objective, found.n_evaluations, found.status
            exhausted = not found.success and n_iter >= max_iter
        else:
            theta, n_iter, status, exhausted = _minimize(engine, optimizer, tol, max_iter)
            objective, estimates = engine.deviance(theta), engine.core.estimates(theta)
    if estimates is None or not np.isfinite(theta).all():
        raise InputError(f"y: {status}")
    beta, C, pwrss, modes, gradient, hessian = estimates
    total_weight = design.n if design.weights is None else design.weights.sum()
    if pwrss <= EXACT_FIT * total_weight * engine.problem.response_scale**2:
        raise InputError(f"response {design.response_name!r}: expected values that the model does not fit exactly, got "
                         f"a residual sum of squares of {pwrss:.2g}, which is rounding")

    names = tuple(design.coefficient_names[j] for j in engine.problem.kept)
    nu = design.n - len(names) if reml else design.n
    sigma2 = pwrss / nu
    free = free_parameters(design.terms, theta if compute_satterthwaite or optimizer != "newton" else found.internal)
    with timer.section("satterthwaite"):
        df = np.full(len(names), float(design.n - len(names)))
        if compute_satterthwaite:
            derivatives = engine.variance_derivatives(theta)
            gradient, hessian = derivatives.gradient, derivatives.hessian
            varpar = varpar_covariance(hessian, derivatives.d_pwrss, np.sqrt(sigma2), nu, free)
            df = satterthwaite(np.eye(len(names)), derivatives, np.sqrt(sigma2), varpar)
    parameter_names = theta_names(design.terms)
    convergence = certificate(parameter_names, gradient, hessian, free)
    aliased = tuple(design.coefficient_names[j] for j in engine.problem.aliased)
    params = LMMParams(
        coefficients=beta, coefficient_names=names, aliased=aliased, vcov=sigma2 * C, df_satterthwaite=df,
        df_method="satterthwaite" if compute_satterthwaite else "residual", theta=theta,
        theta_names=parameter_names, term_covariances=term_covariances(design.terms, theta, sigma2),
        residual_variance=sigma2, pwrss=pwrss, objective=objective, reml=reml, n_obs=design.n,
        n_groups={factor.name: len(factor.levels) for factor in design.factors},
        random_effects={factor.name: b for factor, b in zip(design.factors, modes, strict=True)},
        convergence=convergence, n_iter=n_iter)
    found_warnings = _findings(design, params, status, exhausted)
    for warning in found_warnings:
        warnings.warn(warning, stacklevel=3)
    info = {
        "method": "REML" if reml else "ML", "optimizer": optimizer, "converged": convergence.converged,
        "n_iter": n_iter, "deviance": objective, "status": status, "factorization": engine.problem.method,
        "workspace_bytes": engine.problem.workspace_bytes, "n_dropped": design.n_rows_given - design.n,
    }
    return LMMSolution(Result(params, info, timer.result(), "core", found_warnings), design, engine)


def _check_positive(name: str, value: object, kind: type[Real] | type[Integral]) -> None:
    expected = f"expected a positive {'number' if kind is Real else 'integer'}"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise InputTypeError(f"{name}: {expected}, got {value!r}")
    if not 0 < float(value) < np.inf:
        raise InputError(f"{name}: {expected}, got {value}")


def _minimize(engine: CoreEngine, optimizer: str, tol: float, max_iter: int) -> tuple[Array, int, str, bool]:
    """Minimise with one of SciPy's optimisers in the core's internal coordinates.

    Returns theta, the number of evaluations, SciPy's message, and whether it ran out of evaluations.
    """
    from scipy.optimize import minimize

    evaluations = 0

    def value(x: Array) -> float:
        nonlocal evaluations
        evaluations += 1
        return engine.core.evaluate(x, internal=True)

    def value_and_gradient(x: Array) -> tuple[float, Array]:
        nonlocal evaluations
        evaluations += 1
        deviance, gradient, _ = engine.core.differentiate(x, internal=True)
        return deviance, gradient

    arguments: dict[str, Any] = {"x0": engine.core.start(), "method": optimizer}
    if optimizer in ("L-BFGS-B", "trust-constr"):
        limit = max_iter
        options = {"maxiter": limit, "gtol": tol}
        if optimizer == "L-BFGS-B":
            options |= {"maxfun": limit, "ftol": 1e-15}
        arguments |= {"fun": value_and_gradient, "jac": True, "options": options}
    else:
        limit = 50 * max_iter
        precision = {"xatol": 1e-7, "fatol": tol} if optimizer == "Nelder-Mead" else {"final_tr_radius": 1e-7}
        arguments |= {"fun": value, "options": {"maxfev": limit, **precision}}
    found = minimize(**arguments)
    exhausted = not found.success and max(evaluations, found.nit) >= limit
    return engine.core.to_user(found.x), evaluations, str(found.message), exhausted


def _findings(design: MixedDesign, params: LMMParams, status: str, exhausted: bool) -> tuple[PymixedWarning, ...]:
    found: list[PymixedWarning] = []
    dropped = design.n_rows_given - design.n
    if dropped:
        found.append(MissingValuesWarning(f"{dropped} of {design.n_rows_given} rows were dropped: missing values"))
    if params.aliased:
        found.append(RankDeficiencyWarning(
            f"columns of the fixed-effects matrix depend on others and were dropped: {', '.join(params.aliased)}"))
    if exhausted or not params.converged:
        verdict = "stopped early at" if params.converged else "not converged:"
        found.append(ConvergenceWarning(f"{verdict} {params.convergence.message} (optimizer: {status})"))
    if singular := singular_directions(design.terms, params.theta, design.weights):
        found.append(SingularFitWarning("singular fit: " + "; ".join(map(str, singular))))
    return tuple(found)
