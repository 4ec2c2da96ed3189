"""Fitting one model to many responses: `fit_many` from a formula and a table, `fit_many_arrays` from arrays."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._common import check_choice, check_number
from ._executors import check_executor
from ._family import Family
from ._fitting import design_findings
from ._generalized import GeneralizedOptions
from ._inference.contrasts import dependencies
from ._linear import LinearOptions
from ._many.designs import array_design, formula_design
from ._many.fits import DF_METHODS, ManyFits, ModeratedFits
from ._many.jobs import STATUSES, GeneralizedJob, Job, LinearJob
from ._many.responses import Given, Prior, Responses
from ._many.running import Run, check_start
from .design import MixedDesign, NaAction, Term
from .errors import InputError
from .families import resolve

if TYPE_CHECKING:
    from ._model_matrix import Contrast

__all__ = ["ManyFits", "ModeratedFits", "fit_many", "fit_many_arrays"]


def fit_many(formula: str, data: Any, Y: Any, *, family: str | Family | None = None, reml: bool = True, n_agq: int = 1,
             curvature: str = "observed", se: str = "hessian", zi: str | None = None, weights: Prior = None,
             offset: Prior = None, contrasts: Mapping[str, Contrast] | None = None, na_action: NaAction = "drop",
             df: str | None = None, start: str | ArrayLike | None = None, tol: float = 1e-8, max_iter: int = 200,
             n_threads: int | None = None, method: str = "auto", executor: Executor | str | None = None,
             progress: bool = False, time_limit: float | None = None) -> ManyFits:
    """Fit a mixed model given by a formula to every column of Y.

    The design is analysed once; of each response there are the estimates and their covariance, as separate fits by
    `lmer` or `glmer` would give them, and nothing else is kept. A fit that fails is a row with its status.

    Parameters
    ----------
    formula : str
        As in `lmer`, with nothing on the left of ``~`` or a name for the responses.
    data : table
        As in `lmer`. Rows that lack a predictor are left out, and the same rows of Y.
    Y : array, table or iterator
        A response per column, in the rows of `data`: a NumPy array (n, R) or (n,) of any type of numbers; a
        memory-mapped one, of which a block at a time is read; a pandas, polars or pyarrow table, whose columns name the
        responses; or an iterator of such blocks of columns. NaN: the row is not there for that response. Binomial
        responses are 0 and 1, or proportions with the numbers of trials as weights.
    family : str or Family, optional
        As in `glmer`; a linear mixed model without.
    reml : bool
        For a linear model, as in `lmer`.
    n_agq, curvature, se, zi
        For a family, as in `glmer`.
    weights, offset : array_like (n,), str, or in any of the forms of Y, optional
        As in `lmer`, the same for all responses; or, with a column per response, its own (an iterator of blocks along
        with one of Y), where NaN says that the row is not there. An offset of its own is added to those of the formula.
    contrasts, na_action, tol, max_iter, method
        As in `lmer`.
    df : str, optional
        Degrees of freedom of a linear model's t tests: ``"satterthwaite"``; ``"residual"``, rows less coefficients; by
        default none, z tests.
    start : str or array_like, optional
        Where fits start. By default each at its own start. ``"warm"``: at the estimates for the first response; an
        array: at these parameters (theta, of a family also the coefficients and `extra`). The minimum is the same up to
        the tolerance; where a criterion has several, it may be another.
    n_threads : int, optional
        Threads that share the responses, of every worker; 1 by default. The result is bitwise the same for any number.
    executor : Executor or str, optional
        Spreads the responses over processes or machines: any `concurrent.futures.Executor`, such as a
        `ProcessPoolExecutor` or dask's ``client.get_executor()``, or the name of a joblib backend (``"loky"``,
        ``"threading"``, ``"dask"``, ``"ray"``). The result is bitwise that of one process.
    progress : bool
        Show a progress bar.
    time_limit : float, optional
        Seconds after which no more fits are begun.

    Returns
    -------
    ManyFits
        After Ctrl-C or at the time limit with what was done; other responses that are known have the status
        ``"interrupted"``.

    Raises
    ------
    FormulaError
        The formula cannot be understood; shows the place.
    InputError, InputTypeError
        A design that no such model can be fitted to, Y or an option of the wrong form.
    MemoryLimitError
        The factor would not fit into memory.
    WorkerError
        A worker of the executor was lost.

    Warns
    -----
    MissingValuesWarning, RankDeficiencyWarning, InterruptedWarning

    Examples
    --------
    >>> import numpy as np, pymixed as pm
    >>> data = pm.datasets.load("sleepstudy")
    >>> noise = np.random.default_rng(1).normal(size=(180, 200))
    >>> fits = pm.fit_many("~ Days + (Days | Subject)", data, data["Reaction"].to_numpy()[:, None] + 20 * noise,
    ...                    df="satterthwaite")
    >>> fits
    <ManyFits of ~ Days + (Days | Subject) by REML: 200 responses>
    >>> int((fits.p_adjusted()[:, 1] < 0.05).sum())
    200
    """
    known, model = _model(family, reml, n_agq, curvature, se, tol, max_iter, n_threads, method, df)
    plan = _Plan(df, start, executor, progress, time_limit)
    given = Given.sorted(Y, weights, offset)
    design = formula_design(formula, data, given, contrasts, na_action, known, zi)
    return _fit(model(design), given, plan)


def fit_many_arrays(Y: Any, X: ArrayLike, groups: Mapping[str, ArrayLike], *,
                    random_effects: Mapping[str, Sequence[str]] | Sequence[Term] | None = None,
                    random_data: Mapping[str, ArrayLike] | None = None, family: str | Family | None = None,
                    reml: bool = True, n_agq: int = 1, curvature: str = "observed", se: str = "hessian",
                    weights: Prior = None, offset: Prior = None, na_action: NaAction = "drop", df: str | None = None,
                    start: str | ArrayLike | None = None, tol: float = 1e-8, max_iter: int = 200,
                    n_threads: int | None = None, method: str = "auto", executor: Executor | str | None = None,
                    progress: bool = False, time_limit: float | None = None) -> ManyFits:
    """Fit a mixed model given by arrays to every column of Y.

    Parameters
    ----------
    Y : array, table or iterator
        A response per column, as in `fit_many`.
    X, groups, random_effects, random_data
        As in `lmm`.
    weights, offset
        As in `fit_many`, without names of columns.
    family, reml, n_agq, curvature, se, na_action, df, start, tol, max_iter, n_threads, method, executor, progress, \
time_limit
        As in `fit_many`.

    Returns
    -------
    ManyFits

    Raises
    ------
    InputError, InputTypeError, MemoryLimitError, WorkerError
        As in `fit_many`.

    Warns
    -----
    MissingValuesWarning, RankDeficiencyWarning, InterruptedWarning

    Examples
    --------
    >>> import numpy as np, pymixed as pm
    >>> groups, Y = np.repeat(np.arange(20), 6), np.random.default_rng(2).normal(size=(120, 50))
    >>> pm.fit_many_arrays(Y, np.ones((120, 1)), {"g": groups}).theta.shape
    (50, 1)
    """
    known, model = _model(family, reml, n_agq, curvature, se, tol, max_iter, n_threads, method, df)
    plan = _Plan(df, start, executor, progress, time_limit)
    given = Given.sorted(Y, weights, offset)
    design = array_design(X, groups, random_effects, random_data, given, na_action, known)
    return _fit(model(design), given, plan)


@dataclass(frozen=True)
class _Plan:
    """What is said of the many and not of each fit; checked before any computing."""

    df: str | None
    start: str | ArrayLike | None
    executor: Executor | str | None
    progress: bool
    time_limit: float | None

    def __post_init__(self) -> None:
        check_start(self.start)
        if self.executor is not None:
            check_executor(self.executor)
        if self.time_limit is not None:
            check_number("time_limit", self.time_limit, Real)


def _model(family: str | Family | None, reml: bool, n_agq: int, curvature: str, se: str, tol: float, max_iter: int,
           n_threads: int | None, method: str,
           df: str | None) -> tuple[Family | None, Callable[[MixedDesign], LinearJob | GeneralizedJob]]:
    """The family, and what makes a model of a design; options are checked."""
    shared = tol, max_iter, "newton", n_threads, method
    if df is not None:
        check_choice("df", df, DF_METHODS)
    if family is None:
        linear = LinearOptions(*shared, reml, False)
        return None, lambda design: LinearJob(design, linear, df == "satterthwaite")
    if df is not None:
        raise InputError(f"df: expected None for a family, whose tests are z tests, got {df!r}")
    known, generalized = resolve(family), GeneralizedOptions(*shared, n_agq, curvature, se)
    return known, lambda design: GeneralizedJob(design, generalized, known)


def _fit(job: Job, given: Given, plan: _Plan) -> ManyFits:
    """Fit; warns on behalf of its caller's caller."""
    design = job.design
    responses = Responses(given, design.response_name, design.n_rows_given, design.rows)
    run = Run(job, responses, plan.start, plan.executor, plan.time_limit)
    fitter = run.fitter
    for warning in design_findings(design, fitter.aliased):
        warnings.warn(warning, stacklevel=3)
    arrays = run(plan.progress)
    return ManyFits(
        f"{design.formula or 'arrays'} by {job.method}", fitter.coefficient_names, fitter.aliased, job.theta_names,
        job.extra_names, plan.df, STATUSES, np.array(responses.names, object), columns=design.coefficient_names,
        dependencies=dependencies(design.X, fitter.is_kept), **arrays._asdict())
