"""Fitting mixed models: `lmm` and `glmm` from arrays, `lmer` and `glmer` from a formula and a table."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from ._family import Family
from ._fitting import OPTIMIZERS, Timer
from ._generalized import GeneralizedOptions, fit_generalized
from ._linear import LinearOptions, fit_linear
from .design import MixedDesign, NaAction, Term
from .families import resolve
from .solution import GLMMSolution, LMMSolution

if TYPE_CHECKING:
    from ._model_matrix import Contrast

__all__ = ["OPTIMIZERS", "glmer", "glmm", "lmer", "lmm"]


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
    options = LinearOptions(tol, max_iter, optimizer, n_threads, method, reml, compute_satterthwaite)
    timer = Timer()
    with timer.section("setup"):
        design = MixedDesign.validate(y, X, groups, random_effects, random_data, weights=weights, offset=offset,
                                      na_action=na_action)
    return fit_linear(design, timer, options)


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
    options = LinearOptions(tol, max_iter, optimizer, n_threads, method, reml, compute_satterthwaite)
    timer = Timer()
    with timer.section("setup"):
        design = MixedDesign.from_formula(formula, data, weights=weights, offset=offset, contrasts=contrasts,
                                          na_action=na_action)
    return fit_linear(design, timer, options)


def glmm(y: ArrayLike, X: ArrayLike, groups: Mapping[str, ArrayLike], *, family: str | Family = "binomial",
         random_effects: Mapping[str, Sequence[str]] | Sequence[Term] | None = None,
         random_data: Mapping[str, ArrayLike] | None = None, tol: float = 1e-8, max_iter: int = 200, n_agq: int = 1,
         curvature: str = "observed", se: str = "hessian", weights: ArrayLike | None = None,
         offset: ArrayLike | None = None, optimizer: str = "newton", n_threads: int | None = None,
         method: str = "auto", na_action: NaAction = "raise") -> GLMMSolution:
    """Fit a generalized linear mixed model to arrays.

    Parameters
    ----------
    y : array_like (n,) or (n, 2)
        Response; for a binomial family 0 and 1, labels of two kinds (the second is the success), a proportion with the
        trials as weights, or two columns, successes and failures.
    X, groups, random_effects, random_data
        As in `lmm`.
    family : str or Family
        Distribution and link, see `pymixed.families`; a name stands for the family with its default link. The family's
        own parameters (dispersion, shape, power, ...) are estimated together with the others.
    n_agq : int
        1 (default): Laplace's approximation to the likelihood, in theta and the coefficients jointly. More: that many
        nodes of adaptive Gauss-Hermite quadrature per dimension, for one grouping factor with at most three columns.
        0: the coefficients are found within the inner iteration, which is faster and less accurate.
    curvature : {"observed", "expected"}
        Information in the approximation: the observed one, which is Laplace's method as it is defined, or Fisher's,
        which lme4 uses. The two agree for canonical links.
    se : {"hessian", "rx"}
        Standard errors from the Hessian of the criterion in all parameters (default), or from the factor at the
        estimates as if theta were known. With ``n_agq=0`` there are only the latter.
    weights : array_like (n,), optional
        Numbers of trials of a binomial response; otherwise a row of weight w counts as w rows.
    offset : array_like (n,), optional
        Known part of the linear predictor.
    tol, max_iter, optimizer, n_threads, method, na_action
        As in `lmm`.

    Returns
    -------
    GLMMSolution

    Raises
    ------
    InputError, InputTypeError
        Data that no such model can be fitted to, an unknown family, link or option.
    MemoryLimitError
        The factor would not fit into memory.

    Warns
    -----
    ConvergenceWarning, SingularFitWarning, SeparationWarning, BoundaryWarning, RankDeficiencyWarning,
    MissingValuesWarning

    References
    ----------
    Breslow & Clayton (1993), Approximate inference in generalized linear mixed models, J. Am. Stat. Assoc. 88.
    Pinheiro & Chao (2006), Efficient Laplacian and adaptive Gaussian quadrature algorithms, J. Comput. Graph. Stat. 15.

    Examples
    --------
    >>> import numpy as np, pymixed as pm
    >>> cbpp = pm.datasets.load("cbpp")
    >>> counts = np.column_stack([cbpp["incidence"], cbpp["size"] - cbpp["incidence"]])
    >>> X = np.column_stack([np.ones(56), *(cbpp["period"] == k for k in "234")])
    >>> fit = pm.glmm(counts, X, {"herd": cbpp["herd"]}, family="binomial")
    >>> fit.coefficients.round(3)
    array([-1.399, -0.992, -1.129, -1.58 ])
    """
    options = GeneralizedOptions(tol, max_iter, optimizer, n_threads, method, n_agq, curvature, se)
    known = resolve(family)
    timer = Timer()
    with timer.section("setup"):
        design = MixedDesign.validate(y, X, groups, random_effects, random_data, weights=weights, offset=offset,
                                      na_action=na_action, family=known)
    return fit_generalized(design, known, timer, options)


def glmer(formula: str, data: Any, *, family: str | Family = "binomial", n_agq: int = 1, curvature: str = "observed",
          se: str = "hessian", zi: str | None = None, weights: ArrayLike | str | None = None,
          offset: ArrayLike | str | None = None, contrasts: Mapping[str, Contrast] | None = None,
          na_action: NaAction = "drop", tol: float = 1e-8, max_iter: int = 200, optimizer: str = "newton",
          n_threads: int | None = None, method: str = "auto") -> GLMMSolution:
    """Fit a generalized linear mixed model given by a formula to a table.

    Parameters
    ----------
    formula : str
        As in `lmer`. A binomial response is `cbind(success, failure)`, a proportion with the trials as weights, a
        column of 0 and 1, booleans, or two categories, of which the first is the failure.
    data : table
        As in `lmer`.
    zi : str, optional
        Zero inflation of a family of counts: `"~ x"` are the fixed effects of the logit of the probability of a
        structural zero, `"~ 1"` says that it is the same for all rows.
    weights, offset : array_like (n,) or str, optional
        As in `glmm`, or the name of a column.
    contrasts, na_action
        As in `lmer`.
    family, n_agq, curvature, se, tol, max_iter, optimizer, n_threads, method
        As in `glmm`.

    Returns
    -------
    GLMMSolution

    Raises
    ------
    FormulaError
        A formula cannot be understood; shows the place.
    InputError, InputTypeError, MemoryLimitError
        As in `glmm`.

    Warns
    -----
    ConvergenceWarning, SingularFitWarning, SeparationWarning, BoundaryWarning, RankDeficiencyWarning,
    MissingValuesWarning

    Examples
    --------
    >>> import pymixed as pm
    >>> ticks = pm.datasets.load("grouseticks")
    >>> fit = pm.glmer("TICKS ~ YEAR + (1 | BROOD)", ticks, family="negative_binomial")
    >>> print(f"{fit.log_likelihood:.2f} {fit.dispersion:.3f}")
    -916.50 3.309
    """
    options = GeneralizedOptions(tol, max_iter, optimizer, n_threads, method, n_agq, curvature, se)
    known = resolve(family)
    timer = Timer()
    with timer.section("setup"):
        design = MixedDesign.from_formula(formula, data, weights=weights, offset=offset, contrasts=contrasts,
                                          na_action=na_action, family=known, zi=zi)
    return fit_generalized(design, known, timer, options)
