"""Likelihood-ratio comparison of fitted models."""
from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._common import Array, GLMMParams, LMMParams, MixedParams
from .._solution import MixedSolution
from ..design import MixedDesign
from ..errors import InputError, InputTypeError, NestingWarning, RefitWarning
from .nesting import contains, spans

if TYPE_CHECKING:
    import pandas as pd

# Difference of log|X'X|, relative to it, between two bases of a column space that is rounding.
SAME_BASIS = 1e-8


def anova(*models: MixedSolution[Any], refit: bool = True) -> pd.DataFrame:
    """Compare fitted models by likelihood-ratio tests.

    The models are sorted by their numbers of parameters and each is tested against the one before it; twice the
    difference of their log-likelihoods is chi-squared with the difference of the numbers of parameters as degrees of
    freedom if the smaller model is true. This holds for variances only inside the parameter space: a test of whether a
    variance is zero is conservative, see `LMMSolution.ranova`.

    Parameters
    ----------
    *models : LMMSolution or GLMMSolution
        Two or more fits of one kind to the same data.
    refit : bool
        Fit models again by maximum likelihood that were fitted by REML, with a `RefitWarning`. Otherwise REML fits are
        compared as they are, if all have the same fixed effects.

    Returns
    -------
    DataFrame
        A row per model, ``npar, AIC, BIC, logLik, deviance`` (minus twice the log-likelihood) and, from the second on,
        ``Chisq, Df, Pr(>Chisq)``. The index has the models' formulas, where these tell them apart, else ``m0``, ``m1``,
        ... in the order given. A p-value is NaN where the models have as many parameters, or the smaller one is no
        special case of the larger: fixed effects in its column space, each random-effects term in one of its terms on
        the same groups. The latter is said in a `NestingWarning`.

    Raises
    ------
    InputError, InputTypeError
        If the models are of different kinds or families, approximate the likelihood in different ways, were fitted to
        different data, or by REML with different fixed effects and ``refit=False``.

    Warns
    -----
    RefitWarning, NestingWarning, ConvergenceWarning

    Examples
    --------
    >>> import pymixed as pm
    >>> sleepstudy = pm.datasets.load("sleepstudy")
    >>> small = pm.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False)
    >>> large = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False)
    >>> pm.anova(small, large)[["npar", "Chisq", "Df"]].round(2).values.tolist()
    [[4.0, nan, nan], [6.0, 42.14, 2.0]]
    """
    check_models(models)
    params = [model.params for model in models]
    if any(isinstance(p, LMMParams) and p.reml for p in params):
        if refit:
            params = [model.params for model in refitted(models, stacklevel=3)]
        else:
            _check_restricted(models)
    order = sorted(range(len(models)), key=lambda i: params[i].n_parameters)
    designs = [models[i]._design for i in order]
    nested = [contains(large, small) for small, large in pairwise(designs)]
    labels = _labels([model._design for model in models])
    for (i, j), good in zip(pairwise(order), nested, strict=True):
        if not good and params[i].n_parameters < params[j].n_parameters:
            warnings.warn(NestingWarning(f"{labels[i]} is no special case of {labels[j]}: their likelihood ratio has "
                                         "no known distribution and no p-value"), stacklevel=2)
    return _table([params[i] for i in order], [labels[i] for i in order], np.array(nested, bool))


def refitted(models: Sequence[MixedSolution[Any]], stacklevel: int) -> list[Any]:
    """Fits of linear models by maximum likelihood; warns, so many calls up, of those fitted again."""
    restricted = [bool(model.params.reml) for model in models]
    how_many = f"{sum(restricted)} of {len(models)} models" if len(models) > 1 else "the model"
    warnings.warn(RefitWarning(f"{how_many} fitted again by maximum likelihood: REML criteria of models with different "
                               "fixed effects do not compare"), stacklevel=stacklevel)
    return [model._engine.refit(model._design, reml=False) if again else model
            for model, again in zip(models, restricted, strict=True)]


def chi_squared_p(statistic: Any, df: Any) -> NDArray[np.float64]:
    """Probability of a larger statistic; NaN without degrees of freedom."""
    from scipy.special import chdtrc

    statistic, df = np.asarray(statistic, float), np.asarray(df, float)
    return np.where(df > 0, chdtrc(np.where(df > 0, df, 1.0), np.maximum(statistic, 0.0)), np.nan)


def _table(params: Sequence[MixedParams], labels: Sequence[str], nested: NDArray[np.bool_]) -> pd.DataFrame:
    import pandas as pd

    n_parameters = np.array([p.n_parameters for p in params])
    objective = np.array([p.objective for p in params])
    chisq, df = np.append(np.nan, -np.diff(objective)), np.append(np.nan, np.diff(n_parameters))
    p_values = np.where(np.append(False, nested), chi_squared_p(chisq, df), np.nan)
    return pd.DataFrame({
        "npar": n_parameters, "AIC": [p.aic for p in params], "BIC": [p.bic for p in params],
        "logLik": -0.5 * objective, "deviance": objective, "Chisq": chisq, "Df": df, "Pr(>Chisq)": p_values},
        index=list(labels))


def _labels(designs: Sequence[MixedDesign]) -> list[str]:
    formulas = [design.formula for design in designs if design.formula is not None]
    return formulas if len(set(formulas)) == len(designs) else [f"m{i}" for i in range(len(designs))]


# ---- what compares ---------------------------------------------------------------------------------------------------

def check_models(models: Sequence[Any]) -> None:
    """Raise unless they are two or more fits of one kind to the same data."""
    for i, model in enumerate(models):
        if not isinstance(model, MixedSolution):
            raise InputTypeError(f"models: expected fitted models, got {type(model).__name__} as number {i}")
    if len(models) < 2:
        raise InputError(f"models: expected at least two, got {len(models)}; model.anova() tests the terms of one")
    for i, model in enumerate(models[1:], 1):
        if difference := _different_kind(models[0], model) or _different_data(models[0]._design, model._design):
            raise InputError(f"models: expected fits that compare, got {difference} in numbers 0 and {i}")


def _different_kind(first: MixedSolution[Any], second: MixedSolution[Any]) -> str:
    """What keeps the likelihoods of two fits from being the same function of the data, if anything does."""
    a, b = first.params, second.params
    if type(a) is not type(b):
        return "a linear and a generalized linear model"
    if isinstance(a, GLMMParams):
        families = [fit._family for fit in (first, second)]  # type: ignore[attr-defined]  # both are generalized
        if families[0] != families[1]:
            return f"the families {families[0]!r} and {families[1]!r}"
        if a.n_agq != b.n_agq:
            return f"n_agq={a.n_agq} and n_agq={b.n_agq}"
        if first.info["curvature"] != second.info["curvature"]:
            return f"the curvatures {first.info['curvature']!r} and {second.info['curvature']!r}"
    return ""


def _different_data(first: MixedDesign, second: MixedDesign) -> str:
    if first.n != second.n or (first.n_rows_given == second.n_rows_given and not _same_rows(first, second)):
        return f"different rows ({first.n} and {second.n} used)"
    if not np.array_equal(first.y, second.y):
        return f"different responses ({first.response_name} and {second.response_name})"
    for name, default in (("weights", 1.0), ("offset", 0.0)):
        one, other = (np.full(first.n, default) if given is None else given
                      for given in (getattr(first, name), getattr(second, name)))
        if not np.array_equal(one, other):
            return f"different {name}"
    return ""


def _same_rows(first: MixedDesign, second: MixedDesign) -> bool:
    if first.rows is None or second.rows is None:
        return first.rows is second.rows
    return np.array_equal(first.rows, second.rows)


def _check_restricted(models: Sequence[MixedSolution[Any]]) -> None:
    """Refuse restricted likelihoods that are not of the same contrasts of the response."""
    if not all(model.params.reml for model in models):
        raise InputError("refit: expected True for models of which some were fitted by REML and some by maximum "
                         "likelihood, got False")
    first = _kept_matrix(models[0])
    for i, model in enumerate(models[1:], 1):
        X = _kept_matrix(model)
        if X.shape != first.shape or not spans(first, X):
            raise InputError(f"refit: expected True for REML fits with different fixed effects, numbers 0 and {i}, got "
                             "False")
        if not np.isclose(_log_determinant(first), _log_determinant(X), rtol=SAME_BASIS, atol=SAME_BASIS):
            raise InputError(f"refit: expected True for REML fits whose fixed effects are coded differently, numbers 0 "
                             f"and {i}: the restricted likelihood depends on the coding; got False")


def _kept_matrix(model: MixedSolution[Any]) -> Array:
    return model._design.X[:, [name in model.coefficient_names for name in model._design.coefficient_names]]


def _log_determinant(X: Array) -> float:
    return float(2.0 * np.log(np.abs(np.diagonal(np.linalg.qr(X, mode="r")))).sum())
