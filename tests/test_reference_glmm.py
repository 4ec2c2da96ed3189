"""Every generalized linear mixed model of tests/reference against lme4 and glmmTMB, from formula to predictions.

lme4's models are met with the expected information, glmmTMB's with the observed one. lme4's references hold to 1e-9
standard errors (`convergence` in each file, settled values of its criterion), glmmTMB's parameters to 1e-8, while its
standard errors come from first differences of a gradient, good to about 1e-5.
"""

import functools
import warnings
from typing import Any

import numpy as np
import pytest
from dense_glmm import five_point
from models_glmm import arguments, numeric_hessian
from numpy.typing import NDArray
from reference_cases import (
    GLMMCase,
    dense_family,
    dense_glmm,
    glmm_cases,
    interaction,
    lme4_parameters,
    load_glmm,
    plain,
    positions,
    tmb_cases,
    tmb_parameters,
)
from test_reference_lmm import gap, summary_gap

from pymixed.errors import PymixedWarning

Array = NDArray[np.float64]

TOLERANCE = {
    "criterion": 1e-9,       # relative; both sides find the modes to rounding
    "gradient": 1e-6,        # relative to its largest entry, per unit of the parameters
    "optimum": 1e-7,         # absolute, above the reference, plus rounding of the criterion
    "log_likelihood": 1e-9,  # relative, as are AIC and BIC: second order in the distance from the optimum
    "theta": 3e-5,           # in max(1, |theta|): a fit stops 1e-5 standard errors from the optimum, as linear ones do
    "beta": 2e-5,            # in standard errors
    "vcov": 1e-4,            # in products of standard errors: a Hessian by differences on both sides
    "tmb_se": 1e-4,          # relative, see above
    "varcorr": 6e-5,         # in products of standard deviations: quadratic in theta
    "extra": 2e-5,           # in standard errors of the family's parameters and of the zero inflation
    "ranef": 3e-5,           # in standard deviations of the random effects
    "condvar": 6e-5,         # in products of these
    "fitted": 1e-5,          # in root mean squares, as are the residuals
    "predict": 1e-5,         # relative to the largest prediction
}
ROUNDING = 1e-12             # relative, of a criterion: sums over n rows
MAX_EVALUATIONS = 20         # joint ones of criterion and derivatives, from a cold start

# glmmTMB differentiates its gradient with steps of 1e-3, which is no less than these standard errors.
TMB_SE_WRONG = {"orthodont_gamma_inverse_observed"}

LME4, TMB = glmm_cases(), tmb_cases()
ALL = [*LME4, *TMB]


class Reading:
    """A fitted case, read in the reference's order of parameters."""

    def __init__(self, case: GLMMCase, **changes: Any) -> None:
        self.case, self.results = case, case.results
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PymixedWarning)
            self.solution = case.fit(**changes)
        self.n_agq = changes.get("n_agq", case.n_agq)
        names = case.results["conditional"]["rows"] if case.tmb else case.spec["fixed_columns"]
        self.coefficients = positions(self.solution.coefficient_names, names, interaction)

    @property
    def psi(self) -> Array:
        params = self.solution.params
        return np.concatenate([params.theta, params.coefficients if self.n_agq else [], params.extra])

    def criterion(self, theta: Any, beta: Any = None, extra: Any = ()) -> float:
        return self.solution.deviance_at(theta, beta, extra if len(extra) else None)


@functools.cache
def fitted(name: str) -> Reading:
    return Reading(load_glmm(name))


@functools.cache
def profiled(name: str) -> Reading:
    """The case fitted with n_agq=0."""
    return Reading(load_glmm(name), n_agq=0)


def best(case: GLMMCase) -> float:
    """The reference's criterion, -2 log-likelihood with all constants."""
    return case.constant + case.results["objective"] if not case.tmb else -2 * case.results["log_likelihood"]


# ---- the criterion as a function -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name in LME4 if load_glmm(name).n_agq > 0])
def test_criterion_of_theta_and_beta(name: str) -> None:
    reading, case = fitted(name), load_glmm(name)
    for point in case.results["devfun"]["of_theta_beta"].values():
        ours = reading.criterion(*lme4_parameters(case, point), case.held_parameters)
        assert gap(ours, point["value"] + case.constant, abs(point["value"])) < TOLERANCE["criterion"]


@pytest.mark.parametrize("name", LME4)
def test_criterion_of_theta_alone(name: str) -> None:
    case = load_glmm(name)
    for point in case.results["devfun"]["stage_0_of_theta"].values():
        theta, _ = lme4_parameters(case, point)
        ours = profiled(name).criterion(theta, None, case.held_parameters)
        assert gap(ours, point["value"], abs(point["value"])) < TOLERANCE["criterion"]


@pytest.mark.parametrize("name", TMB)
def test_criterion_is_glmmtmbs(name: str) -> None:
    case = load_glmm(name)
    for point in case.points:
        ours = fitted(name).criterion(*tmb_parameters(case, point["raw_parameters"]))
        assert gap(ours, 2 * point["value"], abs(2 * point["value"])) < TOLERANCE["criterion"]


@pytest.mark.parametrize("name", ALL)
def test_gradient_against_differences(name: str) -> None:
    reading = fitted(name)
    solution, psi, n_agq = reading.solution, reading.psi, reading.n_agq
    unit = np.concatenate([0.1 * np.abs(solution.theta), solution.se if n_agq else [],
                           np.full(len(solution.params.extra), 0.1)])
    point = psi + 0.3 * unit                                  # where it does not vanish
    numeric = unit * five_point(lambda x: solution.deviance_at(*arguments(solution, x, n_agq)), point, 0.02 * unit)
    ours = unit * solution.gradient_at(*arguments(solution, point, n_agq))
    assert gap(ours, numeric, max(1.0, np.abs(numeric).max())) < TOLERANCE["gradient"]


# ---- the optimum -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ALL)
def test_optimum_is_no_worse_than_the_references(name: str) -> None:
    reading = fitted(name)
    solution, reference = reading.solution, best(reading.case)
    assert -2 * solution.log_likelihood - reference < TOLERANCE["optimum"] + ROUNDING * abs(reference)
    at_solution = solution.deviance_at(*arguments(solution, reading.psi, reading.n_agq))
    assert gap(at_solution, -2 * solution.log_likelihood, abs(reference)) < ROUNDING


@pytest.mark.parametrize("name", ALL)
def test_converges_in_few_evaluations(name: str) -> None:
    solution = fitted(name).solution
    assert solution.converged, solution.convergence.message
    assert solution.warnings == ()
    assert solution.n_iter <= MAX_EVALUATIONS


@pytest.mark.parametrize("name", ALL)
def test_likelihood_and_information_criteria(name: str) -> None:
    case, solution = load_glmm(name), fitted(name).solution
    assert gap(-2 * solution.log_likelihood, best(case), abs(best(case))) < TOLERANCE["log_likelihood"]
    if dense_family(case).shape is not None:
        return                                       # lme4 counts a held size as a parameter
    for ours, theirs in ((solution.aic, "AIC"), (solution.bic, "BIC")):
        reference = case.results[theirs] + case.constant
        assert gap(ours, reference, abs(reference)) < TOLERANCE["log_likelihood"]


# ---- estimates -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LME4)
def test_fixed_effects(name: str) -> None:
    reading = fitted(name)
    solution, results, k = reading.solution, reading.results, reading.coefficients
    se = np.array(results["se"])
    assert gap(solution.coefficients[k], results["beta"], se) < TOLERANCE["beta"]
    vcov = solution.vcov()
    assert gap(solution.se, np.sqrt(vcov.diagonal()), solution.se) < ROUNDING
    if results["nb_theta"] is not None and dense_family(reading.case).shape is None:
        vcov = with_extra_held(reading)              # lme4's standard errors take the size as known
    assert gap(vcov[np.ix_(k, k)], results["vcov"], np.outer(se, se)) < TOLERANCE["vcov"]


def with_extra_held(reading: Reading) -> Array:
    """Covariance of beta from the Hessian in theta and beta alone."""
    solution, m = reading.solution, len(reading.solution.theta)
    H = solution.hessian_at(*arguments(solution, reading.psi, reading.n_agq)[:2])
    return 2 * np.linalg.inv(H)[m:, m:]


@pytest.mark.parametrize("name", LME4)
def test_standard_errors_from_rx(name: str) -> None:
    case = load_glmm(name)
    reading = Reading(case, se="rx")
    k, theirs = reading.coefficients, np.array(case.results["vcov_rx"])
    se = np.sqrt(theirs.diagonal())
    assert gap(reading.solution.vcov()[np.ix_(k, k)], theirs, np.outer(se, se)) < TOLERANCE["vcov"]


@pytest.mark.parametrize("name", LME4)
def test_variance_parameters(name: str) -> None:
    case, solution = load_glmm(name), fitted(name).solution
    theta, _ = lme4_parameters(case, case.results)
    assert gap(solution.theta, theta, np.maximum(1, np.abs(theta))) < TOLERANCE["theta"]
    assert_varcorr(solution, [(b["group"], b["columns"], b["sd"], b["covariance"]) for b in case.results["random"]])


@pytest.mark.parametrize("name", TMB)
def test_parameters_are_glmmtmbs(name: str) -> None:
    case, reading = load_glmm(name), fitted(name)
    solution, k = reading.solution, reading.coefficients
    theta, beta, extra = tmb_parameters(case, case.results["raw_parameters"])
    se = np.array([row[1] for row in case.results["conditional"]["values"]], float)
    assert gap(solution.theta, theta, np.maximum(1, np.abs(theta))) < TOLERANCE["theta"]
    assert gap(solution.coefficients, beta, solution.se) < TOLERANCE["beta"]
    if name not in TMB_SE_WRONG:
        assert gap(solution.se[k], se, se) < TOLERANCE["tmb_se"]
    raw_se = np.sqrt(np.diag(case.results["raw_vcov"]))
    names = np.array(case.results["raw_parameter_names"])
    unit = np.concatenate([raw_se[names == kind] for kind in ("betad", "psi", "betazi")])
    assert gap(solution.params.extra, extra, unit) < 2 * TOLERANCE["extra"]
    blocks = [(group, b["columns"], b["sd"], np.outer(b["sd"], b["sd"]) * np.array(b["correlation"]))
              for group, b in case.results["random_conditional"].items()]
    assert_varcorr(solution, blocks)


@pytest.mark.parametrize("name", sorted(TMB_SE_WRONG))
def test_standard_errors_where_glmmtmbs_are_wrong(name: str) -> None:
    reading = fitted(name)
    solution, dense, m = reading.solution, dense_glmm(reading.case), len(reading.solution.theta)
    step = 0.05 * np.concatenate([0.1 * solution.theta, solution.se, np.full(len(solution.params.extra), 0.1)])
    H = numeric_hessian(lambda x: dense.gradient(x, 1, step), reading.psi, step)
    se = np.sqrt(2 * np.linalg.inv(H).diagonal())[m:m + len(solution.se)]
    assert gap(solution.se, se, se) < TOLERANCE["tmb_se"]


def assert_varcorr(solution: Any, blocks: list[tuple[str, list[str], list[float], Any]]) -> None:
    covariance = {(row.grp, frozenset(plain(v) for v in (row.var1, row.var2) if isinstance(v, str))): row.vcov
                  for row in solution.varcorr().itertuples()}
    for group, columns, sds, matrix in blocks:
        sd = np.maximum(sds, 0.1)
        for i, first in enumerate(columns):
            for j, second in enumerate(columns[:i + 1]):
                ours = covariance[group, frozenset((first, second))]
                assert gap(ours, matrix[i][j], sd[i] * sd[j]) < TOLERANCE["varcorr"]


@pytest.mark.parametrize("name", [name for name in TMB if load_glmm(name).zi is not None])
def test_zero_inflation_is_glmmtmbs(name: str) -> None:
    solution, table = fitted(name).solution, load_glmm(name).results["zero_inflation"]
    k = positions(solution.zi_names, table["rows"], interaction)
    beta, se = np.array([row[:2] for row in table["values"]], float).T
    assert gap(solution.zi_coefficients[k], beta, se) < TOLERANCE["extra"]
    assert gap(solution.zi_se[k], se, se) < TOLERANCE["tmb_se"]


@pytest.mark.parametrize("name", ALL)
def test_dispersion(name: str) -> None:
    """glmmTMB's sigma is a standard deviation for some families."""
    case, solution = load_glmm(name), fitted(name).solution
    held = dense_family(case).shape
    theirs = case.results["sigma"] if case.tmb else case.results["nb_theta"] or held or 1.0
    if case.spec["family"] in ("Gamma", "gaussian", "t"):
        theirs = theirs**2
    assert gap(solution.dispersion, theirs, theirs) < 4 * TOLERANCE["theta"]
    for ours, theirs_name in (("power", "Tweedie power"), ("df", "Student-t df")):
        if case.tmb and theirs_name in case.results["family_parameters"]:
            value = case.results["family_parameters"][theirs_name]
            assert gap(solution.family_parameters[ours], value, value) < 4 * TOLERANCE["theta"]


# ---- random effects, rows --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LME4)
def test_random_effects(name: str) -> None:
    reading = fitted(name)
    sd_of = {(b["group"], column): max(sd, 0.1) for b in reading.results["random"]
             for column, sd in zip(b["columns"], b["sd"], strict=True)}
    modes, variances = reading.solution.ranef(condvar=True)
    assert sorted(modes) == sorted(variances) == sorted(reading.results["ranef"])
    for group, lme4 in reading.results["ranef"].items():
        columns = positions(modes[group].columns, lme4["columns"])
        rows = modes[group].index.get_indexer(lme4["levels"])          # all levels, or the first twenty
        values = modes[group].to_numpy()[:, columns]
        sd = np.array([sd_of[group, column] for column in lme4["columns"]])
        assert len(values) == lme4["n_levels"]
        assert gap(values[rows], lme4["values"], sd) < TOLERANCE["ranef"]
        assert gap((values**2).sum(0) / len(values), np.array(lme4["column_sums_of_squares"]) / len(values),
                   sd**2) < TOLERANCE["ranef"]
        for block in map(np.array, lme4.get("cond_var") or []):        # one term per factor in all cases
            ours = variances[group][np.ix_(rows[:len(block)], columns, columns)]
            assert gap(ours, block, np.outer(sd, sd)) < TOLERANCE["condvar"]


@pytest.mark.parametrize("name", TMB)
def test_random_effects_are_glmmtmbs(name: str) -> None:
    case, modes = load_glmm(name), fitted(name).solution.ranef()
    assert sorted(modes) == sorted(case.results["ranef"])
    for group, tmb in case.results["ranef"].items():
        rows = modes[group].index.get_indexer(tmb["levels"])
        values = modes[group].to_numpy()[rows][:, positions(modes[group].columns, tmb["columns"])]
        sd = np.maximum(np.array(case.results["random_conditional"][group]["sd"]), 0.1)
        assert gap(values, tmb["values"], sd) < TOLERANCE["ranef"]


@pytest.mark.parametrize("name", LME4)
def test_fitted_values_and_residuals(name: str) -> None:
    reading = fitted(name)
    solution, results, n = reading.solution, reading.results, reading.case.spec["n_observations"]
    unit = np.sqrt(results["fitted"]["sum_of_squares"] / n)
    assert len(solution.fitted_values) == n
    assert summary_gap(solution.fitted_values, results["fitted"], unit) < TOLERANCE["fitted"]
    for kind, residuals in results["residuals"].items():
        unit = np.sqrt(residuals["sum_of_squares"] / n)
        assert summary_gap(solution.resid(kind), residuals, unit) < TOLERANCE["fitted"]
    assert gap(solution.deviance, results["deviance"], results["deviance"]) < TOLERANCE["fitted"]


@pytest.mark.parametrize("name", TMB)
def test_fitted_values_are_glmmtmbs(name: str) -> None:
    case, solution = load_glmm(name), fitted(name).solution
    theirs = case.results["fitted"]
    unit = np.sqrt(theirs["sum_of_squares"] / case.spec["n_observations"])
    assert summary_gap(solution.fitted_values, theirs, unit) < TOLERANCE["fitted"]


@pytest.mark.parametrize("name", LME4)
def test_predictions(name: str) -> None:
    case, solution = load_glmm(name), fitted(name).solution
    for re, part in (("all", "with_random"), ("none", "fixed_only")):
        for kind in ("link", "response"):
            theirs = np.array(case.results["predictions"][f"{kind}_{part}"])
            ours = solution.predict(case.new_rows, re=re, new_levels="population", type=kind)
            assert gap(ours, theirs, np.abs(theirs).max()) < TOLERANCE["predict"]


