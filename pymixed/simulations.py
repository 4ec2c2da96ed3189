"""Simulation before there are data: `simulate` draws responses, `power` finds how often a test would reject."""
from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array, check_choice, check_number
from ._family import Family
from ._fitting import design_findings
from ._generalized import GeneralizedOptions
from ._inference.contrasts import dependencies, rows_of_contrasts
from ._inference.drawing import in_rows_given, warn_of_domain
from ._inference.resampling import ModelPoint, make_plan
from ._inference.truth import ParameterNames
from ._linear import LinearOptions
from ._many.designs import formula_design
from ._many.fits import DF_METHODS
from ._many.growth import as_frame, with_levels, with_rows
from ._many.jobs import BlockFitter, GeneralizedJob, LinearJob
from ._many.power import Power, Study, run_studies
from ._many.responses import Given
from .design import MixedDesign, NaAction
from .errors import InputError, InputTypeError, PymixedWarning
from .families import resolve
from .formula import parse, split_names

if TYPE_CHECKING:
    from ._model_matrix import Contrast

__all__ = ["Power", "power", "simulate"]

Truth = ArrayLike | Mapping[str, float]


def simulate(formula: str, data: Any, *, beta: Truth, theta: Truth, sigma: float | None = None,
             family: str | Family | None = None, family_parameters: Mapping[str, float] | None = None,
             zi: str | None = None, zi_beta: Truth | None = None, n: int = 1, seed: int | None = None,
             weights: ArrayLike | str | None = None, offset: ArrayLike | str | None = None,
             contrasts: Mapping[str, Contrast] | None = None, na_action: NaAction = "drop") -> Array:
    """Draw responses of a mixed model from a formula, the predictors and the parameters.

    Parameters
    ----------
    formula : str
        As in `lmer`, with nothing on the left of ``~`` or a name for the response, which need not be there.
    data : table
        As in `lmer`: predictors and grouping factors.
    beta : array_like (p,) or mapping
        Fixed effects, in the order of the columns of X or by their names.
    theta : array_like (m,) or mapping
        Relative covariance parameters, in the order of a fit's `theta_names` or by these names: per random-effects term
        the lower triangle, by columns, of the Cholesky factor of the covariance matrix over sigma². For a single column
        that is its standard deviation over sigma, for a generalized model the standard deviation.
    sigma : float, optional
        Residual standard deviation of a linear model, 1 by default.
    family : str or Family, optional
        As in `glmer`; a linear mixed model without.
    family_parameters : mapping, optional
        The family's own parameters by name (``{"shape": 2}``, ``{"dispersion": 0.5}``), but for those that the family
        fixes; as a fit's `family_parameters` has them.
    zi : str, optional
        As in `glmer`.
    zi_beta : array_like (r,) or mapping, optional
        Fixed effects of the logit of the probability of a structural zero.
    n : int
        Number of responses.
    seed : int, optional
        Non-negative, below 2**64; drawn by default. Response j depends on the seed and j alone, whatever n.
    weights, offset : array_like (rows,) or str, optional
        As in `lmer`; of a binomial response the numbers of trials.
    contrasts, na_action
        As in `lmer`.

    Returns
    -------
    (rows, n) array
        A response per column, as `fit_many` takes it and a column of `data` may hold it: NaN in rows of `data` that
        lack a value; of a binomial response proportions of the trials.

    Raises
    ------
    FormulaError
        The formula cannot be understood; shows the place.
    InputError, InputTypeError
        Data that no such model can be fitted to; a parameter that is missing, unknown or out of range, with the names
        of those expected.

    Warns
    -----
    MissingValuesWarning, RankDeficiencyWarning
    DomainWarning
        A link gives no mean for some linear predictors; such responses are NaN.

    Examples
    --------
    Four visits of 40 subjects, whose intercepts and slopes have standard deviations 10 and 2 and the correlation 0.3;
    the residuals have the standard deviation 2.

    >>> import numpy as np, pymixed as pm
    >>> data = {"visit": np.tile(np.arange(4.0), 40), "subject": np.repeat(np.arange(40), 4)}
    >>> sigma, covariance = 2.0, np.array([[100.0, 6.0], [6.0, 4.0]])
    >>> theta = (np.linalg.cholesky(covariance) / sigma).T[np.triu_indices(2)]
    >>> Y = pm.simulate("y ~ visit + (visit | subject)", data, beta={"(Intercept)": 50, "visit": 3}, theta=theta,
    ...                 sigma=sigma, n=2, seed=1)
    >>> fit = pm.lmer("y ~ visit + (visit | subject)", data | {"y": Y[:, 0]})
    >>> fit.coefficients.round(1).tolist()
    [53.0, 3.2]
    """
    check_number("n", n, Integral)
    truth = _Truth(beta, theta, sigma, family_parameters, zi_beta, None if family is None else resolve(family))
    design = formula_design(formula, data, _given(weights, offset), contrasts, na_action, truth.family, zi)
    plan = make_plan(design, "parametric", seed, None, None)
    engine = _job(design, truth.family).engine()
    names = tuple(design.coefficient_names[j] for j in engine.problem.kept)
    for warning in design_findings(design, [name for name in design.coefficient_names if name not in names]):
        warnings.warn(warning, stacklevel=2)
    Y = engine.resampler(design, truth.point(design, names)).responses(plan, 0, int(n))
    warn_of_domain(Y, truth.family, stacklevel=3)
    return in_rows_given(design, Y)


def power(formula: str, data: Any, *, test: Any, beta: Truth, theta: Truth, sigma: float | None = None,
          family: str | Family | None = None, family_parameters: Mapping[str, float] | None = None,
          zi: str | None = None, zi_beta: Truth | None = None, ddf: str | None = None, level: float = 0.05,
          n: int = 1000, seed: int | None = None, along: str | None = None,
          within: str | Sequence[str] | None = None, sizes: Iterable[int] | None = None,
          weights: ArrayLike | str | None = None, offset: ArrayLike | str | None = None,
          contrasts: Mapping[str, Contrast] | None = None, na_action: NaAction = "drop", reml: bool = True,
          n_agq: int = 1, n_threads: int | None = None, progress: bool = False) -> Power:
    """Find the power of a test by simulation: how often it rejects where the parameters are the ones given.

    Responses are drawn from the model, which is fitted to each of them.

    Parameters
    ----------
    formula, beta, theta, sigma, family, family_parameters, zi, zi_beta, weights, offset, contrasts, na_action
        As in `simulate`; with `sizes` weights and offset are names of columns.
    data : table, or callable
        As in `simulate`. A function makes the table for each of `sizes`, for designs that `along` and `within` do not
        describe.
    test : str, or contrasts
        The hypothesis: name of a coefficient that is zero, or L with L beta = 0 in the forms of `LMMSolution.contrast`,
        several rows being tested together.
    ddf : str, optional
        Degrees of freedom: ``"satterthwaite"`` (the default for a linear model), ``"residual"``, ``"asymptotic"`` (z
        and chi-squared tests: the default and only choice for a family).
    level : float
        Significance level, between 0 and 1: the test rejects where p is at most that.
    n : int
        Simulated data sets per size.
    seed : int, optional
        Non-negative, below 2**64; drawn, and kept in the result, by default. What a size gives depends on the seed, not
        on other sizes or the number of threads.
    along : str, optional
        Grouping factor, a column, of which the study has as many levels as `sizes` say: the first ones of the data, or
        all of them and copies of the first, second, ... with the same rows and labels of their own, in factors nested
        in it too.
    within : str or sequence of str, optional
        Columns for whose every combination of values the study has as many rows as `sizes` say: the first ones of the
        data, repeated in turn.
    sizes : iterable of int, optional
        Sizes of a power curve; without, the data are the study, and its size the number of rows.
    reml, n_agq
        As in `lmer` and `glmer`.
    n_threads : int, optional
        1 by default; the result does not depend on it.
    progress : bool
        Whether to show tqdm's progress bar.

    Returns
    -------
    Power
        A table with the columns ``size, n, failures, rejected, power, lower, upper``, a row per size, the last two a 95
        % interval for what the simulation leaves open. A fit that fails is counted, and does not reject. After Ctrl-C
        with what was done.

    Raises
    ------
    FormulaError, InputError, InputTypeError
        As `simulate`, and for a test, a level or sizes of the wrong form.

    Warns
    -----
    MissingValuesWarning, RankDeficiencyWarning, InterruptedWarning

    References
    ----------
    Arnold, Hogan, Colford & Hubbard (2011), Simulation methods to estimate design power, BMC Med. Res. Methodol. 11.

    Examples
    --------
    >>> import numpy as np, pymixed as pm
    >>> visits = {"visit": np.tile(np.arange(4.0), 10), "subject": np.repeat(np.arange(10), 4)}
    >>> pm.power("y ~ visit + (1 | subject)", visits, test="visit", beta=[10, 0.3], theta=[1.0], n=400, seed=1,
    ...          along="subject", sizes=[10, 20, 40])
    Power of the test of visit at level 0.05
    subject   n failures rejected power lower upper
    10      400        0      223 0.557 0.507 0.607
    20      400        0      328 0.820 0.779 0.856
    40      400        0      395 0.988 0.971 0.996
    """
    check_number("n", n, Integral)
    check_number("level", level, Real)
    if level >= 1:
        raise InputError(f"level: expected a number between 0 and 1, got {level}")
    truth = _Truth(beta, theta, sigma, family_parameters, zi_beta, None if family is None else resolve(family))
    df_method = _df_method(ddf, truth.family)
    studies, findings = [], dict[str, PymixedWarning]()
    for size, table in _tables(formula, data, along, within, sizes, weights, offset):
        design = formula_design(formula, table, _given(weights, offset), contrasts, na_action, truth.family, zi)
        job = _job(design, truth.family, reml, n_agq, n_threads, df_method == "satterthwaite")
        fitter = job()
        findings |= {str(warning): warning for warning in design_findings(design, fitter.aliased)}
        label, L = _hypothesis(test, design, fitter)
        point = truth.point(design, fitter.coefficient_names)
        studies.append(Study(design.n if size is None else size, design.n, fitter,
                             job.engine().resampler(design, point), L, df_method, float(level)))
    for warning in findings.values():
        warnings.warn(warning, stacklevel=2)
    plan = make_plan(design, "parametric", seed, None, n_threads)
    outcomes = run_studies(studies, plan, int(n), progress)
    counts = {name: np.array([(part == code).sum() for part in outcomes]) for name, code in _CODES.items()}
    return Power(label, _size_name(along, within, sizes), float(level),
                 np.array([study.size for study in studies[:len(outcomes)]]), np.array(list(map(len, outcomes))),
                 counts["failures"], counts["rejected"], plan.seed)


_CODES = {"failures": -1, "rejected": 1}  # of `Study.outcomes`


@dataclass(frozen=True)
class _Truth:
    """The parameters as they are given, with the family they are of."""

    beta: Truth
    theta: Truth
    sigma: float | None
    family_parameters: Mapping[str, float] | None
    zi_beta: Truth | None
    family: Family | None

    def point(self, design: MixedDesign, coefficient_names: tuple[str, ...]) -> ModelPoint:
        """The parameters of a design whose columns of these names have a coefficient."""
        given = {"beta": self.beta, "theta": self.theta, "family_parameters": self.family_parameters,
                 "zi_beta": self.zi_beta,
                 "sigma": 1.0 if self.family is None and self.sigma is None else self.sigma}
        names = ParameterNames.of(design, coefficient_names, self.family)
        return names.read({argument: values for argument, values in given.items() if values is not None})


def _given(weights: ArrayLike | str | None, offset: ArrayLike | str | None) -> Given:
    return Given(None, None, None, weights, offset)


def _job(design: MixedDesign, family: Family | None, reml: bool = True, n_agq: int = 1, n_threads: int | None = None,
         uncertainty: bool = False) -> LinearJob | GeneralizedJob:
    """The model, fitted as `lmer` and `glmer` do by default."""
    shared = 1e-8, 200, "newton", n_threads, "auto"
    if family is None:
        return LinearJob(design, LinearOptions(*shared, reml, False), uncertainty)
    return GeneralizedJob(design, GeneralizedOptions(*shared, n_agq, "observed", "hessian"), family)


def _df_method(ddf: str | None, family: Family | None) -> str | None:
    """Degrees of freedom of the tests, None of z tests."""
    if family is not None:
        check_choice("ddf", "asymptotic" if ddf is None else ddf, ("asymptotic",))
        return None
    check_choice("ddf", "satterthwaite" if ddf is None else ddf, (*DF_METHODS, "asymptotic"))
    return {None: "satterthwaite", "asymptotic": None}.get(ddf, ddf)


def _hypothesis(test: Any, design: MixedDesign, fitter: BlockFitter) -> tuple[str, Array]:
    """The hypothesis in words, and its independent contrasts (r, p)."""
    names = fitter.coefficient_names
    if isinstance(test, str):
        check_choice("test", test, names)
        test = {test: 1.0}
    labels, rows = rows_of_contrasts(test, design.coefficient_names, names, fitter.aliased,
                                     lambda: dependencies(design.X, fitter.is_kept))
    if np.linalg.matrix_rank(rows) < len(rows):
        raise InputError(f"test: expected contrasts of which none follows from the others, got {', '.join(labels)}")
    return " and ".join(labels), rows


def _tables(formula: str, data: Any, along: str | None, within: str | Sequence[str] | None,
            sizes: Iterable[int] | None, weights: Any, offset: Any) -> list[tuple[int | None, Any]]:
    """Sizes, None for that of the data, and the tables of studies of these sizes."""
    ways = [name for name, given in (("along", along), ("within", within)) if given is not None]
    ways += ["data"] if callable(data) else []
    if sizes is None:
        if ways:
            raise InputError(f"sizes: expected the sizes that {ways[0]!r} goes to, got None")
        return [(None, data)]
    if len(ways) != 1:
        raise InputError("sizes: expected one of along, within and a function as data, which say what grows, got "
                         f"{' and '.join(ways) or 'none'}")
    wanted = list(sizes)
    if not wanted:
        raise InputError("sizes: expected at least one, got none")
    for size in wanted:
        check_number("sizes", size, Integral)
    for argument, values in (("weights", weights), ("offset", offset)):
        if values is not None and not isinstance(values, str):
            raise InputTypeError(f"{argument}: expected the name of a column, as the rows change with the size, got "
                                 f"{type(values).__name__}")
    if callable(data):
        return [(size, data(size)) for size in wanted]
    frame = as_frame(data)
    if within is not None:
        columns = [within] if isinstance(within, str) else list(within)
        return [(size, with_rows(frame, columns, size)) for size in wanted]
    parsed = parse(formula, many=True)
    groups = {name for bar in parsed.bars for names in bar.groups for name in names}
    elsewhere = {name for part in (parsed.fixed, *(bar.lhs for bar in parsed.bars)) for name in split_names(part)[0]}
    check_choice("along", along, sorted(groups - elsewhere))
    return [(size, with_levels(frame, str(along), size, sorted(groups - elsewhere))) for size in wanted]


def _size_name(along: str | None, within: str | Sequence[str] | None, sizes: Iterable[int] | None) -> str:
    """What sizes count."""
    if sizes is None:
        return "rows"
    if along is not None:
        return along
    return "size" if within is None else f"rows per {within if isinstance(within, str) else ':'.join(within)}"
