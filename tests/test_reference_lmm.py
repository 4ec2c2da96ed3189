"""Every linear mixed model of tests/reference against lme4: from a formula and a table to estimates and predictions.

The references hold to about 1e-9 standard errors (the `convergence` of each file), so what is measured is our own
distance from the optimum. A fit stops where one more Newton step would gain less than 1e-10 of the criterion, that is
within sqrt(1e-10) = 1e-5 standard errors of the variance parameters; whatever depends on these to first order has no
more digits than that, and each quantity compares in the unit in which this is so.
"""

import functools
import warnings
from typing import Any

import numpy as np
import pytest
from models import dense_of_design
from numpy.typing import NDArray
from reference_cases import Case, interaction, linear_cases, load, plain, positions

from pymixed.design import MixedDesign
from pymixed.errors import SingularFitWarning

Array = NDArray[np.float64]

TOLERANCE = {
    "criterion": 1e-9,       # relative; arithmetic alone, no optimiser
    "gradient": 1e-6,        # relative to its largest entry; fourth-order differences are good to about 1e-8
    "optimum": 1e-7,         # absolute, above lme4's best of six optimisers, plus rounding of the criterion
    "log_likelihood": 1e-9,  # relative, as are AIC and BIC: second order in the distance from the optimum
    "theta": 2e-5,           # in max(1, |theta|)
    "sigma": 1e-5,           # relative
    "beta": 1e-5,            # in standard errors; none where the design is balanced
    "vcov": 2e-5,            # in products of standard errors, so it serves se as well: quadratic in theta
    "varcorr": 4e-5,         # in products of standard deviations: quadratic in theta
    "ranef": 2e-5,           # in standard deviations of the random effects
    "condvar": 4e-5,         # in products of these
    "fitted": 1e-6,          # in root mean squares of the fitted values, as are the residuals
    "predict": 1e-6,         # relative to the largest prediction
    "df": 1e-4,              # relative; a ratio of derivatives of vcov, while lmerTest's figures hold to 1e-7
}
ROUNDING = 1e-12             # relative, of a criterion: sums over n rows
MAX_EVALUATIONS = 8          # joint ones of criterion and derivatives, from a cold start
STEP = 5e-3                  # of numerical derivatives, in max(0.1, |theta|)

# lme4's own defaults stop short of the optimum by more than 1e-7 in the log-likelihood on these.
LME4_STOPS_SHORT = {"cake_factor_slopes", "insteval_slopes_ml", "orthodont_slope", "orthodont_slope_ml"}

CASES = linear_cases()
UNIQUE = [name for name in CASES if load(name).unique_theta]


class Reading:
    """A fitted case, read in lme4's order of parameters."""

    def __init__(self, case: Case) -> None:
        self.case, self.lme4 = case, case.results
        with warnings.catch_warnings():                     # test_singular_fits_are_said_to_be checks it
            warnings.simplefilter("ignore", SingularFitWarning)
            self.solution = case.fit()
        self.coefficients = positions(self.solution.coefficient_names, case.spec["fixed_columns"], interaction)
        self.theta_index = positions(self.solution.theta_names, case.spec["theta_names"])

    @property
    def points(self) -> list[tuple[float, Array]]:
        """lme4's criterion at fixed theta, the latter in our order."""
        return [(point["value"], self.ours(point["theta"])) for point in self.lme4["devfun"]["of_theta"].values()]

    def ours(self, theta: Any) -> Array:
        result = np.empty(len(self.theta_index))
        result[self.theta_index] = theta
        return result

    def standard_deviations(self, group: str, columns: list[str]) -> Array:
        """Of random effects by lme4's names, or a tenth of sigma where they are smaller or zero."""
        sd: dict[str, float] = {}
        for block in self.lme4["random"]:
            if block["group"] == group:
                sd.update(zip(block["columns"], block["sd"], strict=True))
        return np.array([max(sd[column], 0.1 * self.lme4["sigma"]) for column in columns])


@functools.cache
def fitted(name: str) -> Reading:
    return Reading(load(name))


def gap(ours: Any, theirs: Any, unit: Any = 1.0) -> float:
    """Largest |ours - theirs| / unit."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    assert ours.shape == theirs.shape
    return float(np.max(np.abs(ours - theirs) / unit, initial=0.0))


def summary_gap(ours: Any, theirs: dict[str, Any], unit: float) -> float:
    """First ten values, sum and sum of squares of a vector of n."""
    ours = np.asarray(ours, float)
    return max(gap(ours[:10], theirs["first"], unit), gap(ours.mean(), theirs["sum"] / len(ours), unit),
               gap(ours @ ours / len(ours), theirs["sum_of_squares"] / len(ours), unit**2))


# ---- the criterion as a function -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CASES)
def test_criterion_at_fixed_points(name: str) -> None:
    reading = fitted(name)
    for value, theta in reading.points:
        assert gap(reading.solution.deviance_at(theta), value, abs(value)) < TOLERANCE["criterion"]


@pytest.mark.parametrize("name", CASES)
def test_gradient_against_differences(name: str) -> None:
    reading = fitted(name)
    for _, theta in reading.points:
        numeric = np.empty(len(theta))
        for i, direction in enumerate(np.eye(len(theta))):
            h = STEP * max(0.1, abs(theta[i]))
            d = [reading.solution.deviance_at(theta + k * h * direction) for k in (-2, -1, 1, 2)]
            numeric[i] = (d[0] - 8 * d[1] + 8 * d[2] - d[3]) / (12 * h)
        unit = max(1.0, np.abs(numeric).max())
        assert gap(reading.solution.gradient_at(theta), numeric, unit) < TOLERANCE["gradient"]


# ---- the optimum -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CASES)
def test_optimum_is_no_worse_than_lme4s_best(name: str) -> None:
    solution, best = fitted(name).solution, load(name).results["objective"]
    assert -2 * solution.log_likelihood - best < TOLERANCE["optimum"] + ROUNDING * abs(best)
    assert gap(solution.deviance_at(solution.theta), -2 * solution.log_likelihood, abs(best)) < ROUNDING


@pytest.mark.parametrize("name", CASES)
def test_cold_start_takes_few_evaluations(name: str) -> None:
    solution = fitted(name).solution
    assert solution.converged
    assert solution.n_iter <= MAX_EVALUATIONS


@pytest.mark.parametrize("name", sorted(LME4_STOPS_SHORT))
def test_better_than_lme4s_defaults_where_these_stop_short(name: str) -> None:
    reached, best = load(name).results["default_lme4"]["log_likelihood"], load(name).results["log_likelihood"]
    assert reached < best - 1e-7
    assert fitted(name).solution.log_likelihood > reached + 0.9 * (best - reached)


@pytest.mark.parametrize("name", UNIQUE)
def test_singular_fits_are_said_to_be(name: str) -> None:
    reading = fitted(name)
    singular = reading.lme4["is_singular"]
    assert bool(reading.solution.singularity) == singular
    assert any(isinstance(w, SingularFitWarning) for w in reading.solution.warnings) == singular


# ---- estimates -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CASES)
def test_fixed_effects(name: str) -> None:
    reading = fitted(name)
    solution, lme4, k = reading.solution, reading.lme4, reading.coefficients
    se = np.array(lme4["se"])
    assert gap(solution.coefficients[k], lme4["beta"], se) < TOLERANCE["beta"]
    assert gap(solution.se[k], se, se) < TOLERANCE["vcov"]
    assert gap(solution.vcov()[np.ix_(k, k)], lme4["vcov"], np.outer(se, se)) < TOLERANCE["vcov"]


@pytest.mark.parametrize("name", CASES)
def test_sigma_likelihood_and_information_criteria(name: str) -> None:
    solution, lme4 = fitted(name).solution, load(name).results
    assert gap(solution.residual_std, lme4["sigma"], lme4["sigma"]) < TOLERANCE["sigma"]
    for ours, theirs in (("log_likelihood", "log_likelihood"), ("aic", "AIC"), ("bic", "BIC")):
        assert gap(getattr(solution, ours), lme4[theirs], abs(lme4[theirs])) < TOLERANCE["log_likelihood"]


@pytest.mark.parametrize("name", UNIQUE)
def test_variance_parameters(name: str) -> None:
    reading = fitted(name)
    theta = np.array(reading.lme4["theta"])
    ours = reading.solution.theta[reading.theta_index]
    assert gap(ours, theta, np.maximum(1, np.abs(theta))) < TOLERANCE["theta"]

    table = reading.solution.varcorr()
    covariance = {(row.grp, frozenset(plain(v) for v in (row.var1, row.var2) if isinstance(v, str))): row.vcov
                  for row in table.itertuples()}
    sigma2 = reading.lme4["sigma"] ** 2
    assert gap(covariance["Residual", frozenset()], sigma2, sigma2) < TOLERANCE["varcorr"]
    for block in reading.lme4["random"]:
        sd = reading.standard_deviations(block["group"], block["columns"])
        for i, first in enumerate(block["columns"]):
            for j, second in enumerate(block["columns"][:i + 1]):
                ours = covariance[block["group"], frozenset((first, second))]
                assert gap(ours, block["covariance"][i][j], sd[i] * sd[j]) < TOLERANCE["varcorr"]


@pytest.mark.parametrize("name", UNIQUE)
def test_random_effects(name: str) -> None:
    reading = fitted(name)
    modes, variances = reading.solution.ranef(condvar=True)
    assert sorted(modes) == sorted(variances) == sorted(reading.lme4["ranef"])
    for group, lme4 in reading.lme4["ranef"].items():
        columns = positions(modes[group].columns, lme4["columns"])
        rows = modes[group].index.get_indexer(lme4["levels"])          # all levels, or the first twenty
        values = modes[group].to_numpy()[:, columns]
        sd = reading.standard_deviations(group, lme4["columns"])
        assert len(values) == lme4["n_levels"]
        assert gap(values[rows], lme4["values"], sd) < TOLERANCE["ranef"]
        assert gap((values**2).sum(0) / len(values), np.array(lme4["column_sums_of_squares"]) / len(values),
                   sd**2) < TOLERANCE["ranef"]

        blocks = lme4.get("cond_var") or []                            # one per term of the factor
        start = 0
        for block in map(np.array, blocks.values() if isinstance(blocks, dict) else blocks):
            k = columns[start:start + block.shape[1]]
            unit = sd[start:start + block.shape[1]]
            ours = variances[group][np.ix_(rows[:len(block)], k, k)]
            assert gap(ours, block, np.outer(unit, unit)) < TOLERANCE["condvar"]
            start += block.shape[1]


@pytest.mark.parametrize("name", CASES)
def test_fitted_values_residuals_and_predictions(name: str) -> None:
    reading = fitted(name)
    solution, lme4, n = reading.solution, reading.lme4, reading.case.spec["n_observations"]
    unit = np.sqrt(lme4["fitted"]["sum_of_squares"] / n)
    assert len(solution.fitted_values) == len(solution.residuals) == n
    assert summary_gap(solution.fitted_values, lme4["fitted"], unit) < TOLERANCE["fitted"]
    assert summary_gap(solution.residuals, lme4["residuals"]["response"], unit) < TOLERANCE["fitted"]
    assert summary_gap(solution.resid("pearson"), lme4["residuals"]["pearson"], unit) < TOLERANCE["fitted"]
    for re, part in (("all", "with_random"), ("none", "fixed_only")):
        theirs = np.array(lme4["predictions"][f"link_{part}"])
        ours = solution.predict(reading.case.new_rows, re=re, new_levels="population")
        assert gap(ours, theirs, np.abs(theirs).max()) < TOLERANCE["predict"]


# ---- Satterthwaite's degrees of freedom ------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name in UNIQUE if not load(name).spec["convergence"]["theta_at_boundary"]])
def test_satterthwaite_in_the_interior(name: str) -> None:
    reading = fitted(name)
    _, _, df, t, p = np.array(reading.lme4["satterthwaite"]["values"]).T
    solution, k = reading.solution, reading.coefficients
    assert gap(solution.df_satterthwaite[k], df, df) < TOLERANCE["df"]
    assert gap(solution.t_values[k], t, np.maximum(1, np.abs(t))) < TOLERANCE["beta"] * (1 + np.abs(t).max())
    ours, theirs = (np.log(np.maximum(value, 1e-300)) for value in (solution.p_values[k], p))
    assert gap(ours, theirs, np.maximum(1, -theirs)) < TOLERANCE["df"]


@pytest.mark.parametrize("name", [name for name in UNIQUE if load(name).spec["convergence"]["theta_at_boundary"]])
def test_satterthwaite_at_the_boundary_holds_what_is_zero(name: str) -> None:
    """lmerTest differentiates across the boundary; pymixed treats the active parameters as known, as the dense does."""
    reading = fitted(name)
    solution, case = reading.solution, reading.case
    active = {name for name, _ in solution.convergence.active}
    free = [name not in active for name in solution.theta_names]
    design = MixedDesign.from_formula(case.formula, case.frame, **case.model)
    dense = dense_of_design(design, reml=case.spec["REML"]).at(solution.theta)
    df = dense.satterthwaite(free)
    assert active
    assert gap(solution.df_satterthwaite, df, df) < TOLERANCE["df"]
