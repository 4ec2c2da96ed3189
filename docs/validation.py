"""Fit every reference case of R and write how far the results are from R's: ``python docs/validation.py``.

Makes ``docs/validation.md``. The cases, R's results and the units are those of the tests.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import test_reference_glmm as glmm  # noqa: E402
import test_reference_lmm as lmm  # noqa: E402
from reference_cases import (  # noqa: E402
    glmm_cases,
    interaction,
    linear_cases,
    lme4_parameters,
    load_glmm,
    positions,
    tmb_cases,
    tmb_parameters,
)
from test_profile import interval_key  # noqa: E402

from pymixed.errors import PymixedWarning  # noqa: E402

gap = lmm.gap

TEXT = """# Validation

Written by `python docs/validation.py`, which fits every model for which the repository holds results of R
(`tests/reference`, where the data, the R scripts and their versions are) and compares. The tests hold every difference
below a tolerance; this page shows the differences themselves. They depend on the machine in their last digits.

What R's numbers are: the best of six optimisers with tight tolerances for lme4, not its default call; its criterion is
settled, so that it does not depend on where its inner iteration stopped. Kenward-Roger's numbers are of pbkrtest,
degrees of freedom and F tests of lmerTest. Each difference is the largest over its kind:

- **criterion**: minus twice the log-likelihood (REML: restricted) less R's; negative where R's is not the minimum.
- **coefficients**: in standard errors.
- **SE**: relative. **theta**: absolute, relative above 1.
- **df**, **KR df**: denominator degrees of freedom by Satterthwaite and by Kenward & Roger, relative.
- **F**: F statistics of type 1, 2 and 3 tables, **KR F** with Kenward & Roger's adjustment, relative.
- **profile**: ends of 95 % profile intervals, in widths of the interval. lme4 interpolates its profile with splines,
  good to 4 or 5 digits; ours is solved at the end itself. Parameters for which lme4 reports that its spline failed are
  left out.
- **fitted**, **predicted**: relative to the size of the fitted values and predictions, the latter for old and new
  groups, with and without random effects.
"""

LINEAR = """
## Linear models, against lme4, lmerTest and pbkrtest

An empty cell: R has no such number (no Kenward-Roger for maximum likelihood or for the larger data, profiles of the
smaller ones alone), or the parameter is not unique (`note` in the case's file). Where a variance is zero lmerTest
differentiates across the boundary and pymixed takes the parameter as known; their degrees of freedom differ by
definition and are marked †; so do their F tests.
"""

GENERALIZED = """
## Generalized models, against lme4

With `curvature="expected"`, lme4's approximation. lme4's standard errors take the size of a negative binomial as known
and ours do not; these are marked †. Gamma and inverse Gaussian models, where lme4 maximises another criterion, are
compared with glmmTMB.
"""

TMB = """
## Generalized models, against glmmTMB

With the default `curvature="observed"`. glmmTMB's standard errors come from differences of its gradient with a step of
1e-3, which is coarse where they are small (marked †); **other** are the parameters of the family and of the zero
inflation, in standard errors.
"""


OTHERS = """
## Everything else

Results that the files above have no numbers for, or that no other package computes, have judges of their own:

| result | judged by | in `tests` |
| --- | --- | --- |
| gradients, Hessians | dense closed forms, complex steps | `test_derivatives.py`, `test_glmm_derivatives.py` |
| tables of terms, likelihood ratios | lmerTest, lme4 | `test_anova.py`, `test_comparison.py` |
| marginal means, adjusted p-values | emmeans, SciPy | `test_emmeans.py` |
| predictions' errors and intervals | dense algebra, quadrature, simulated coverage | `test_prediction*.py` |
| leverage, influence | dense hat matrices, fits without the rows, lme4 | `test_influence.py` |
| robust covariances | dense matrices with explicit V | `test_robust.py` |
| profiles | a dense likelihood minimised by SciPy, lme4 | `test_profile.py` |
| bootstrap, simulation | fits one by one, closed forms, scipy.stats | `test_bootstrap.py`, `test_simulate.py` |
| power | exact power of balanced designs | `test_power.py` |
| many responses, cross-products | separate fits, fits to all rows | `test_fit_many.py`, `test_crossproducts.py` |
| model files | the model that was saved, bit by bit | `test_model_file.py` |
| sizes of tests, coverage of intervals | theory, by [simulation](simulations.md) | `test_simulations.py` |
"""


def main() -> None:
    """Write the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)  # singular fits are meant
        page = TEXT + LINEAR + linear_table() + GENERALIZED + lme4_table() + TMB + tmb_table() + OTHERS
    (HERE / "validation.md").write_text(page, encoding="utf-8")


# ---- linear models ---------------------------------------------------------------------------------------------------


def linear_table() -> str:
    """Table of the linear models."""
    header = ("case", "rows", "criterion", "coefficients", "SE", "theta", "df", "KR df", "F", "KR F", "profile",
              "fitted", "predicted")
    return table(header, (linear_row(name) for name in linear_cases()))


def linear_row(name: str) -> list[str]:
    """Differences of a linear model."""
    reading = lmm.fitted(name)
    fit, r, k, unique = reading.solution, reading.lme4, reading.coefficients, reading.case.unique_theta
    se = np.array(r["se"])
    theta = np.array(r["theta"])
    boundary = bool(reading.case.spec["convergence"]["theta_at_boundary"])
    scale = np.sqrt(r["fitted"]["sum_of_squares"] / reading.case.spec["n_observations"])
    kenward_roger = r.get("kenward_roger")
    cells = [
        number(-2 * fit.log_likelihood - r["objective"], signed=True),
        number(gap(fit.coefficients[k], r["beta"], se)),
        number(gap(fit.se[k], se, se)),
        number(gap(fit.theta[reading.theta_index], theta, np.maximum(1, np.abs(theta)))) if unique else "",
        "†" if boundary else relative(fit.df_satterthwaite[k], column(r["satterthwaite"], "df")) if unique else "",
        relative(kenward_roger_df(fit)[k], column(kenward_roger, "df")) if kenward_roger else "",
        "†" if boundary else f_statistics(fit, r.get("anova_satterthwaite")) if unique else "",
        f_statistics(fit, {"III": r.get("anova_kenward_roger_III")}, ddf="kenward-roger"),
        profile(fit, r.get("confint_profile")),
        number(lmm.summary_gap(fit.fitted_values, r["fitted"], scale)),
        number(predictions(fit, reading.case, ("link",))),
    ]
    return [name, f"{fit.n_obs:,}", *cells]


def kenward_roger_df(fit: Any) -> Any:
    """Degrees of freedom of the coefficients."""
    return fit.contrast(np.eye(fit.coefficients.size), ddf="kenward-roger")["df"].to_numpy()


def f_statistics(fit: Any, tables: dict[str, Any] | None, ddf: str = "satterthwaite") -> str:
    """Largest relative difference of F statistics over the types of tables that R has."""
    gaps = []
    for kind, theirs in (tables or {}).items():
        if theirs and theirs["rows"]:
            ours = fit.anova(type=len(kind), ddf=ddf)
            k = positions(ours.index, theirs["rows"], interaction)
            gaps.append(relative_gap(ours["F value"].to_numpy()[k], column(theirs, "F value")))
    return number(max(gaps)) if gaps else ""


def profile(fit: Any, theirs: dict[str, Any] | None) -> str:
    """Largest difference of ends of profile intervals, in widths, but where R says that its spline failed."""
    if not theirs:
        return ""
    table = fit.conf_int(method="profile")
    ours = {interval_key(name): limits for name, limits in zip(table.index, table.to_numpy(), strict=True)}
    return number(max(gap(ours[interval_key(name)], limits, limits[1] - limits[0])
                      for name, limits in zip(theirs["rows"], theirs["values"], strict=True)
                      if not any(name in warning for warning in theirs["warnings"])))


# ---- generalized models ----------------------------------------------------------------------------------------------


def lme4_table() -> str:
    """Table of lme4's generalized models."""
    header = ("case", "rows", "criterion", "coefficients", "SE", "theta", "profile", "fitted", "predicted")
    return table(header, (lme4_row(name) for name in glmm_cases()))


def lme4_row(name: str) -> list[str]:
    """Differences of a generalized model from lme4."""
    reading = glmm.fitted(name)
    fit, r, k, case = reading.solution, reading.results, reading.coefficients, load_glmm(name)
    se = np.array(r["se"])
    theta, _ = lme4_parameters(case, r)
    scale = np.sqrt(r["fitted"]["sum_of_squares"] / case.spec["n_observations"])
    estimated_size = r["nb_theta"] is not None and glmm.dense_family(case).shape is None
    return [name, f"{fit.n_obs:,}",
            number(-2 * fit.log_likelihood - glmm.best(case), signed=True),
            number(gap(fit.coefficients[k], r["beta"], se)),
            "†" if estimated_size else number(gap(fit.se[k], se, se)),
            number(gap(fit.theta, theta, np.maximum(1, np.abs(theta)))),
            profile(fit, r.get("confint_profile")) if case.n_agq and not estimated_size else "",
            number(lmm.summary_gap(fit.fitted_values, r["fitted"], scale)),
            number(predictions(fit, case, ("link", "response")))]


def tmb_table() -> str:
    """Table of glmmTMB's models."""
    header = ("case", "rows", "criterion", "coefficients", "SE", "theta", "other", "fitted")
    return table(header, (tmb_row(name) for name in tmb_cases()))


def tmb_row(name: str) -> list[str]:
    """Differences of a generalized model from glmmTMB."""
    reading = glmm.fitted(name)
    fit, r, k, case = reading.solution, reading.results, reading.coefficients, load_glmm(name)
    theta, beta, extra = tmb_parameters(case, r["raw_parameters"])
    se = np.array([row[1] for row in r["conditional"]["values"]], float)
    kinds, raw_se = np.array(r["raw_parameter_names"]), np.sqrt(np.diag(r["raw_vcov"]))
    unit = np.concatenate([raw_se[kinds == kind] for kind in ("betad", "psi", "betazi")])
    scale = np.sqrt(r["fitted"]["sum_of_squares"] / case.spec["n_observations"])
    return [name, f"{fit.n_obs:,}",
            number(-2 * fit.log_likelihood - glmm.best(case), signed=True),
            number(gap(fit.coefficients, beta, fit.se)),
            "†" if name in glmm.TMB_SE_WRONG else number(gap(fit.se[k], se, se)),
            number(gap(fit.theta, theta, np.maximum(1, np.abs(theta)))),
            number(gap(fit.params.extra, extra, unit)) if extra.size else "",
            number(lmm.summary_gap(fit.fitted_values, r["fitted"], scale))]


# ---- common parts ----------------------------------------------------------------------------------------------------


def predictions(fit: Any, case: Any, scales: Iterable[str]) -> float:
    """Largest relative difference of predictions."""
    gaps = []
    for re, part in (("all", "with_random"), ("none", "fixed_only")):
        for scale in scales:
            theirs = np.array(case.results["predictions"][f"{scale}_{part}"])
            ours = fit.predict(case.new_rows, re=re, new_levels="population", type=scale)
            gaps.append(gap(ours, theirs, np.abs(theirs).max()))
    return max(gaps)


def column(theirs: dict[str, Any], name: str) -> Any:
    """A column of one of R's tables."""
    j = theirs["columns"].index(name)
    return np.array([row[j] for row in theirs["values"]], float)


def relative_gap(ours: Any, theirs: Any) -> float:
    """Largest relative difference."""
    return gap(ours, theirs, np.abs(theirs))


def relative(ours: Any, theirs: Any) -> str:
    """The same as a cell."""
    return number(relative_gap(ours, theirs))


def number(value: float, signed: bool = False) -> str:
    """A difference with one digit."""
    return f"{value:+.0e}" if signed else f"{value:.0e}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines(header, rows))


def lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Lines of a table."""
    yield header
    yield ["---"] * len(header)
    yield from rows


if __name__ == "__main__":
    main()
