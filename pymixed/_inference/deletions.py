"""Tables of what a model loses with one of its terms: fixed effects (drop1) and random effects (ranova)."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._common import Array, GLMMParams, LMMParams
from .._engine import Criterion
from .._solution import MixedSolution
from ..design import MixedDesign
from ..errors import InputError
from .comparison import chi_squared_p, refitted
from .submodels import Reduction, reductions, with_fixed_part, with_random_terms
from .terms import FixedTerms

if TYPE_CHECKING:
    import pandas as pd

# Difference of criteria, relative to them, that may be the optimiser's: the smaller model is as good then.
EQUAL_FIT = 1e-9

# Newton's method on a model without random effects.
MAX_STEPS = 50
DECREMENT = 1e-10


# ---- fixed effects ---------------------------------------------------------------------------------------------------

def drop_fixed_terms(model: MixedSolution[Any], terms: FixedTerms) -> pd.DataFrame:
    """The table `drop1` of lme4, likelihood ratios; warns of a REML fit that is fitted again."""
    import pandas as pd

    params, linear = model.params, isinstance(model.params, LMMParams)
    if linear and params.reml:
        params = refitted([model], stacklevel=4)[0].params
    smaller = [model._engine.refit(with_fixed_part(model._design, *terms.matrix_without(k)), False if linear else None)
               .params for k in terms.droppable()]
    df = np.array([params.n_parameters - p.n_parameters for p in smaller], float)
    lrt = np.array([p.objective - params.objective for p in smaller])
    return pd.DataFrame({
        "npar": np.append(np.nan, df), "AIC": [params.aic, *(p.aic for p in smaller)],
        "LRT": np.append(np.nan, lrt), "Pr(Chi)": np.append(np.nan, chi_squared_p(lrt, df))},
        index=["<none>", *(terms.names[k] for k in terms.droppable())])


# ---- random effects --------------------------------------------------------------------------------------------------

def drop_random_terms(model: MixedSolution[Any], reduce: bool) -> pd.DataFrame:
    """The table `ranova` of lmerTest, with p-values that know of the boundary beside the naive ones."""
    import pandas as pd

    design, params = model._design, model.params
    ways = list(reductions(design, reduce))
    fits = [(params.n_parameters, params.objective), *(_without(model, way) for way in ways)]
    n_parameters, objective = np.array(fits, float).T
    lrt, df = objective[1:] - objective[0], n_parameters[0] - n_parameters[1:]
    lrt[np.abs(lrt) < EQUAL_FIT * max(1.0, abs(objective[0]))] = 0.0
    mixture = [_mixture_p(design, way, statistic) for way, statistic in zip(ways, lrt, strict=True)]
    table = pd.DataFrame({
        "npar": n_parameters.astype(int), "logLik": -0.5 * objective, "AIC": objective + 2.0 * n_parameters,
        "LRT": np.append(np.nan, lrt), "Df": np.append(np.nan, df),
        "Pr(>Chisq)": np.append(np.nan, chi_squared_p(lrt, df)), "Pr(mixture)": np.append(np.nan, mixture)},
        index=["<none>", *(way.name for way in ways)])
    table.attrs["notes"] = [
        f"{way.name}: several variances vanish together; the weights of the mixture depend on the data and are not "
        "computed" for way, p in zip(ways, mixture, strict=True) if np.isnan(p)]
    return table


def _without(model: MixedSolution[Any], way: Reduction) -> tuple[int, float]:
    """Number of parameters and criterion of the model with a term reduced."""
    terms = way.apply(model._design.terms)
    if terms:
        params = model._engine.refit(with_random_terms(model._design, terms)).params
        return params.n_parameters, params.objective
    params = model.params
    return (params.n_parameters - params.theta.size,
            without_random_effects(model._engine, params))


def without_random_effects(engine: Criterion, params: LMMParams | GLMMParams) -> float:
    """The criterion of the model without any random effects: that of theta = 0, minimised over all other parameters.

    There, V = W⁻¹ and log|M| = 0: the criterion is that of the ordinary linear model, or minus twice the log-likelihood
    of the generalized linear one whatever the approximation, and the other parameters of the latter are found by
    Newton's method.
    """
    m = params.theta.size
    if isinstance(params, LMMParams):
        return engine.deviance(np.zeros(m))
    others = [params.extra] if params.n_agq == 0 else [params.coefficients, params.extra]
    x = np.concatenate([np.zeros(m), *others])
    value = engine.deviance(x)
    if x.size == m:
        return value
    for _ in range(MAX_STEPS):
        gradient, hessian = engine.gradient(x)[m:], engine.hessian(x)[m:, m:]
        step = np.append(np.zeros(m), -_solve_positive(hessian, gradient))
        decrement = -float(gradient @ step[m:])
        if decrement < DECREMENT * max(1.0, abs(value)):
            return value
        for halving in range(30):
            trial = x + 0.5**halving * step
            if (lower := engine.deviance(trial)) < value:
                break
        else:
            break
        x, value = trial, lower
    raise InputError("reduce: the model without any random effects could not be fitted, its criterion has no minimum "
                     "near the estimates")


def _solve_positive(hessian: Array, gradient: Array) -> Array:
    """Newton's step with the absolute eigenvalues of the Hessian scaled to a unit diagonal."""
    scale = 1.0 / np.sqrt(np.maximum(np.abs(hessian.diagonal()), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(scale[:, None] * hessian * scale)
    values = np.maximum(np.abs(values), 1e-10)
    return np.asarray(scale * (vectors @ ((vectors.T @ (scale * gradient)) / values)))


def _mixture_p(design: MixedDesign, way: Reduction, lrt: float) -> float:
    """p-value of a likelihood ratio under a variance of zero and its covariances, NaN where it is not known.

    One variance at its boundary and k covariances that vanish with it: the statistic is chi-squared with k or k + 1
    degrees of freedom, half of the time each (Self & Liang 1987, J. Am. Stat. Assoc. 82, case 6; Stram & Lee 1994,
    Biometrics 50, cases 1 and 2).
    """
    term = design.terms[way.position]
    n_before, n_after = len(term.columns), 0 if way.term is None else len(way.term.columns)
    if n_before - n_after != 1:
        return float("nan")
    if lrt <= 0.0:
        return 1.0
    covariances = n_after if term.structure == "us" else 0
    without = 0.0 if covariances == 0 else float(chi_squared_p(lrt, covariances))
    return 0.5 * (without + float(chi_squared_p(lrt, covariances + 1)))
