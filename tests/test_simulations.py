"""Simulated sizes and coverages at small samples against theory: ``python -m pytest -m slow``, some minutes.

Bounds are 3.5 Monte-Carlo standard errors, two-sided probability 0.0005. docs/simulations.md has the tables.
"""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import f, kstest
from simulation_engine import LEVELS, Array, Outcome, monte_carlo_error, run
from simulation_studies import NU_BETWEEN, NU_RESIDUAL, NU_WITHIN, PLOT, STUDIES

pytestmark = pytest.mark.slow

BOUND = 3.5
P_BOUND = 4.7e-4  # the same of a test
SPLIT_PLOTS = ["split_plot", "at_zero", "near_zero"]


@cache
def outcome(name: str) -> Outcome:
    return run(STUDIES[name])


# ---- what is exact ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", STUDIES)
def test_nothing_fails(name: str) -> None:
    result = outcome(name)
    assert all(np.isfinite(p).all() for p in result.p.values())
    # models are fitted again by maximum likelihood; one such fit of random slopes ends in a minimum at the boundary
    # that is not the lowest, of which its profile tells
    assert set(result.warnings) <= {"RefitWarning", "ProfileWarning"}
    assert result.warnings["ProfileWarning"] < 0.001 * result.study.replicates


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if study.exact])
def test_exact_sizes(name: str) -> None:
    result = outcome(name)
    for key, sizes in result.study.exact.items():
        for level, size in zip(LEVELS, sizes, strict=True):
            error = monte_carlo_error(size, len(result.p[key]))
            assert abs(result.size(key, level) - size) < BOUND * error, (key, level)


def test_exact_coverages() -> None:
    result = outcome("split_plot")
    for key, coverage in result.study.exact_coverage.items():
        error = monte_carlo_error(coverage, len(result.limits[key]))
        assert abs(result.coverage(key) - coverage) < BOUND * error, key


@pytest.mark.parametrize("name", SPLIT_PLOTS)
def test_every_split_plot_gives_the_tests_of_its_mean_squares(name: str) -> None:
    """F of the stratum where the variance of plots is positive; else the ordinary linear model's, with 12 df."""
    result = outcome(name)
    y = result.responses.reshape(-1, 6, 3)
    plots, levels, a = y.mean(axis=2), y.mean(axis=1), PLOT[::3] % 2
    arms = np.stack([plots[:, a == 0].mean(axis=1), plots[:, a == 1].mean(axis=1)], axis=1)
    cells = np.stack([y[:, a == 0].mean(axis=1), y[:, a == 1].mean(axis=1)], axis=1)
    mean = levels.mean(axis=1)
    interaction = cells - arms[:, :, None] - levels[:, None] + mean[:, None, None]
    between = 3.0 * ((plots - arms[:, a]) ** 2).sum(axis=1)
    within = ((y - plots[:, :, None] - (cells - arms[:, :, None])[:, a]) ** 2).sum(axis=(1, 2))
    squares = {"A": (9.0 * ((arms - mean[:, None]) ** 2).sum(axis=1), 1, between, NU_BETWEEN),
               "B": (6.0 * ((levels - mean[:, None]) ** 2).sum(axis=1), 2, within, NU_WITHIN),
               "A:B": (3.0 * (interaction**2).sum(axis=(1, 2)), 2, within, NU_WITHIN)}
    positive = between / NU_BETWEEN > within / NU_WITHIN
    nearly_zero = positive & (between / NU_BETWEEN < 1.05 * within / NU_WITHIN)
    assert (result.singular == ~positive).all()
    for test, (square, q, error, nu) in squares.items():
        stratum = f.sf(square / q / (error / nu), q, nu)
        pooled = f.sf(square / q / ((between + within) / NU_RESIDUAL), q, NU_RESIDUAL)
        expected = {"satterthwaite": np.where(positive, stratum, pooled),
                    "kenward-roger": np.where(positive, stratum, result.p[test, "kenward-roger"])}
        for way, p in expected.items():
            # the optimiser stops 1e-11 above the minimum, which leaves fewer digits of a variance that is nearly zero
            # (with tol=1e-12 these p-values agree too)
            assert_allclose(result.p[test, way][~nearly_zero], p[~nearly_zero], rtol=1e-5)
            assert_allclose(result.p[test, way][nearly_zero], p[nearly_zero], rtol=1e-3)


@pytest.mark.parametrize(("name", "tests"), [("split_plot", ["A", "B", "A:B"]), ("alike", ["slope", "arm"])])
def test_p_values_of_exact_tests_are_uniform(name: str, tests: list[str]) -> None:
    for test in tests:
        for way in ("satterthwaite", "kenward-roger", *(["CR2"] if name == "alike" else [])):
            assert kstest(outcome(name).p[test, way], "uniform").pvalue > P_BOUND, (test, way)


@pytest.mark.parametrize(("name", "slope_variance"), [("alike", 0.0), ("alike_wrong", 0.25)])
def test_robust_variances_have_their_expectations(name: str, slope_variance: float) -> None:
    """CR2 is unbiased: in these designs whatever the variance of slopes. CR0 and CR1 miss by known factors."""
    result = outcome(name)
    sd = result.study.variances["sd_cluster"]
    variances = {"slope": (slope_variance + 1.0 / 10.0) / 8.0, "arm": (sd**2 + 1.0 / 5.0) / 2.0}
    for test, shrinkage in (("slope", 7 / 8), ("arm", 3 / 4)):
        for way, factor in (("CR0", shrinkage), ("CR1", 8 / 7 * shrinkage), ("CR2", 1.0)):
            estimated = result.se[test, way] ** 2
            error = estimated.std() / np.sqrt(len(estimated))
            assert abs(estimated.mean() - factor * variances[test]) < BOUND * error, (test, way)


# ---- what is approximate ---------------------------------------------------------------------------------------------

def larger_size(result: Outcome, test: str, way: str, other: str) -> float:
    """Difference of two sizes at 5 % in standard errors of paired replicates."""
    n = min(len(result.p[test, way]), len(result.p[test, other]))
    return paired(result.rejected((test, way), LEVELS[0])[:n], result.rejected((test, other), LEVELS[0])[:n])


def paired(first: Array, second: Array) -> float:
    """Difference of two shares of the same replicates in standard errors."""
    difference = first.astype(float) - second
    return float(difference.mean() / (difference.std() / np.sqrt(len(difference))))


@pytest.mark.parametrize("name", ["slopes", "crossed"])
def test_kenward_roger_is_nearer_to_the_level_than_what_ignores_the_degrees_of_freedom(name: str) -> None:
    result = outcome(name)
    for test in result.study.contrasts:
        for other in ("asymptotic", "residual"):
            assert larger_size(result, test, other, "kenward-roger") > BOUND, (test, other)
            near, far = (abs(result.size((test, way), LEVELS[0]) - LEVELS[0]) for way in ("kenward-roger", other))
            assert near < far, (test, other)


@pytest.mark.parametrize("test", ["group", "both"])
def test_kenward_roger_adjusts_what_satterthwaite_takes_for_known(test: str) -> None:
    result = outcome("slopes")
    assert larger_size(result, test, "satterthwaite", "kenward-roger") > BOUND
    near, far = (abs(result.size((test, way), LEVELS[0]) - LEVELS[0]) for way in ("kenward-roger", "satterthwaite"))
    assert near < far


@pytest.mark.parametrize(("name", "test"), [("split_plot", "A"), ("near_zero", "A"), ("crossed", "s"),
                                            ("crossed", "i")])
def test_the_bootstrap_of_a_likelihood_ratio_is_nearer_to_the_level(name: str, test: str) -> None:
    result = outcome(name)
    assert larger_size(result, test, "likelihood ratio", "pbtest") > BOUND
    error = monte_carlo_error(LEVELS[0], len(result.p[test, "pbtest"]))
    assert abs(result.size((test, "pbtest"), LEVELS[0]) - LEVELS[0]) < BOUND * error


@pytest.mark.parametrize(("name", "tests"), [("unlike", ["slope", "arm"]), ("unlike_wrong", ["slope", "arm"])])
def test_cr2_is_larger_than_the_other_robust_variances_and_less_biased(name: str, tests: list[str]) -> None:
    result = outcome(name)
    for test in tests:
        bias = {way: abs(result.variance_ratio((test, way))[0] - 1.0) for way in ("CR0", "CR1", "CR2")}
        assert bias["CR2"] < bias["CR1"] < bias["CR0"]
        assert larger_size(result, test, "CR0", "CR2") > BOUND


@pytest.mark.parametrize(("name", "test"), [("alike_wrong", "slope"), ("unlike_wrong", "arm")])
def test_cr2_protects_against_a_wrong_model(name: str, test: str) -> None:
    result = outcome(name)
    for way in ("satterthwaite", "kenward-roger"):
        assert larger_size(result, test, way, "CR2") > BOUND
        assert result.variance_ratio((test, way))[0] < result.variance_ratio((test, "CR2"))[0]


def test_mixture_p_values_of_a_generalized_model_are_not_liberal() -> None:
    """With few groups maximum likelihood puts more than half of the estimates at zero: both are conservative."""
    result = outcome("binary_zero")
    key, n = "(1 | group)", result.study.replicates
    assert result.singular.mean() > 0.5
    for level in LEVELS:
        naive, mixture = (result.size((key, way), level) for way in ("naive", "mixture"))
        assert naive < level / 2 + BOUND * monte_carlo_error(level / 2, n)
        assert naive < mixture < level + BOUND * monte_carlo_error(level, n)


@pytest.mark.parametrize(("name", "parameter"), [("at_zero", "sd_plot"), ("near_zero", "sd_plot"), ("slopes", "cor")])
def test_profiles_cover_where_wald_intervals_do_not_exist(name: str, parameter: str) -> None:
    result = outcome(name)
    assert result.undefined((parameter, "wald")) > 0.1
    assert paired(result.covered((parameter, "profile")), result.covered((parameter, "wald"))) > BOUND


@pytest.mark.parametrize("name", ["split_plot", "slopes"])
def test_studentized_intervals_cover_better_than_percentiles(name: str) -> None:
    result = outcome(name)
    studentized, percentile = (
        np.concatenate([result.covered((parameter, method)) for parameter in result.study.coefficients])
        for method in ("studentized", "percentile"))
    assert paired(studentized, percentile) > BOUND
