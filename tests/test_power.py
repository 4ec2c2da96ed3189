"""Power by simulation against the exact power of balanced designs, and the designs that it grows.

Seeds are fixed, so that a bound of so many standard errors either always holds or never.
"""

import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from bootstrap_models import counts, quiet
from numpy.typing import NDArray
from scipy import stats

import pymixed as pm
from pymixed._inference.resampling import make_plan
from pymixed._many.growth import as_frame, with_levels, with_rows
from pymixed._many.joint import joint_p_values
from pymixed._many.power import Study
from pymixed._many.responses import Block
from pymixed.errors import InputError, InputTypeError, InterruptedWarning
from pymixed.simulations import _hypothesis, _job

Array = NDArray[Any]


def fails(kind: type[Exception], message: str) -> Any:
    """The context of a call that must raise this kind, with the message in it."""
    return pytest.raises(kind, match=re.escape(message))


def visits(n_subjects: int = 10, n_visits: int = 4) -> dict[str, Array]:
    """Subjects of two arms that are seen several times."""
    subject = np.repeat(np.arange(n_subjects), n_visits)
    return {"visit": np.tile(np.arange(float(n_visits)), n_subjects), "subject": subject, "arm": subject % 2}


VISITS: dict[str, Any] = {"formula": "y ~ visit + (1 | subject)", "data": visits(), "test": "visit",
                          "beta": [10.0, 0.3], "theta": [1.0]}


def t_power(effect: float, se: float, df: float, level: float) -> float:
    """Of a two-sided t test."""
    critical = stats.t.ppf(1 - level / 2, df)
    return float(stats.nct.sf(critical, df, effect / se) + stats.nct.cdf(-critical, df, effect / se))


def check_power(found: Any, expected: Any) -> None:
    """Within four standard errors of the simulation."""
    expected = np.asarray(expected, float)
    assert (np.abs(found.power - expected) < 4 * np.sqrt(expected * (1 - expected) / found.n)).all()


# ---- against exact power ---------------------------------------------------------------------------------------------

def test_a_slope_within_subjects():
    """The test is that of a linear model with fixed subjects: n - subjects - 1 degrees of freedom."""
    sizes = [5, 10, 20]
    found = pm.power(**VISITS, along="subject", sizes=sizes, n=4000, seed=1)
    expected = [t_power(0.3, 1 / np.sqrt(5.0 * size), 3 * size - 1, 0.05) for size in sizes]
    check_power(found, expected)
    assert found.size.tolist() == sizes
    assert found.failures.tolist() == [0, 0, 0]


def test_an_effect_between_subjects():
    """The test is the t test of the subjects' means where the variance between subjects is not estimated as zero."""
    data = visits(16)
    found = pm.power("y ~ arm + (1 | subject)", data, test={"arm": 1}, beta={"(Intercept)": 0, "arm": 3.0},
                     theta=[2.0], sigma=1.5, n=4000, level=0.1, seed=2)
    se = np.sqrt(4 * (9.0 + 1.5**2 / 4) / 16)
    check_power(found, t_power(3.0, se, 14, 0.1))
    assert found.size.tolist() == [64]


def blocks() -> pd.DataFrame:
    return pd.DataFrame({"block": np.repeat(np.arange(12), 3), "treatment": np.tile(list("abc"), 12)})


@pytest.mark.parametrize("effects", [(0.0, 0.0), (0.6, 1.1)])
def test_several_coefficients_of_randomised_blocks(effects):
    found = pm.power("y ~ treatment + (1 | block)", blocks(), beta=[5.0, *effects], theta=[2.0], n=4000, seed=3,
                     test={"b": {"treatment[T.b]": 1}, "c": {"treatment[T.c]": 1}})
    means = np.array([0.0, *effects])
    noncentrality = 12 * ((means - means.mean())**2).sum()
    critical = stats.f.ppf(0.95, 2, 22)
    check_power(found, stats.ncf.sf(critical, 2, 22, noncentrality) if noncentrality else 0.05)


def test_more_rows_per_subject():
    found = pm.power(**VISITS, within="subject", sizes=[4, 8], n=4000, seed=4)
    check_power(found, [t_power(0.3, 1 / np.sqrt(50.0 * times), 10 * 4 * times - 11, 0.05) for times in (1, 2)])


def test_z_tests_reject_more():
    """Known sigma would give the normal power; with 19 degrees of freedom the z test exceeds its level."""
    options: dict[str, Any] = VISITS | {"data": visits(10, 3), "beta": [10.0, 0.0], "n": 4000, "seed": 5}
    check_power(pm.power(**options, ddf="asymptotic"), 2 * stats.t.sf(stats.norm.ppf(0.975), 19))
    check_power(pm.power(**options, ddf="residual"), 2 * stats.t.sf(stats.t.ppf(0.975, 28), 19))


def test_a_binomial_model_without_variance_between_groups():
    """Close to the normal approximation of a logistic regression, which the fit all but is."""
    data = {"x": np.repeat([0.0, 1.0], 40), "g": np.tile(np.arange(10), 8), "trials": np.full(80, 20)}
    p = 1 / (1 + np.exp(-np.array([0.2, 0.5])))
    se = np.sqrt((1 / (800 * p * (1 - p))).sum())
    found = pm.power("~ x + (1 | g)", data, test="x", family="binomial", weights="trials", beta=[0.2, 0.3], theta=[0.0],
                     n=1000, seed=6)
    assert abs(found.power[0] - stats.norm.sf(1.96 - 0.3 / se)) < 0.05  # the approximation, and four standard errors


# ---- tests of many fits ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ddf", ["satterthwaite", "residual", "asymptotic"])
@pytest.mark.parametrize("L", [[[0.0, 1.0, 0.0]], [[0.0, 1.0, 0.0], [0.0, 0.3, -1.0]], np.eye(3)])
def test_p_values_are_those_of_separate_fits(L, ddf):
    data = pd.DataFrame(visits(8)).drop(index=[3, 7, 13])
    formula, rows = "y ~ visit + arm + (visit | subject)", np.array(L)
    data["y"] = pm.simulate(formula, data, beta=[1.0, 0.5, -0.5], theta=[1.0, 0.2, 0.5], seed=7)[:, 0]
    fit = quiet(pm.lmer, formula, data)
    Y = fit.simulate(20, seed=8)
    fitter = _job(fit._design, None, uncertainty=ddf == "satterthwaite")()
    found = fitter.fit(Block([""] * 20, Y, None, None), np.empty(0))
    p_values = joint_p_values(found, rows, None if ddf == "asymptotic" else ddf)
    for j in range(20):
        expected = quiet(fit.refit, Y[:, j]).contrast(rows, joint=True, ddf=ddf).p.iloc[0]
        # separate fits end elsewhere within the optimiser's tolerance
        np.testing.assert_allclose(p_values[j], expected, rtol=1e-3)


@pytest.mark.parametrize("n_agq", [0, 1])
def test_p_values_of_a_family_are_those_of_separate_fits(n_agq):
    data = counts()
    fit = quiet(pm.glmer, "zeros ~ x + (1 | g)", data, family="poisson", zi="~ x", n_agq=n_agq)
    Y = fit.simulate(5, seed=8)
    found = _job(fit._design, fit._family, n_agq=n_agq)().fit(Block([""] * 5, Y, None, None), np.empty(0))
    p_values = joint_p_values(found, np.eye(2), None)
    for j in range(5):
        expected = quiet(fit.refit, Y[:, j]).contrast(np.eye(2), joint=True).p.iloc[0]
        # the Hessian is one of differences at slightly different estimates
        np.testing.assert_allclose(p_values[j], expected, rtol=1e-2, atol=1e-12)


@pytest.mark.parametrize(("beta", "family", "parameters"), [
    ([9.0, 0.0], "poisson", None), ([7.0, 0.0], "negative_binomial", {"shape": 0.5}),
    ([8.0, 0.0], pm.families.Gamma("log"), {"dispersion": 0.5}),
    ([5.0, 0.0], "tweedie", {"dispersion": 2, "power": 1.5})])
def test_large_means_are_no_failures(beta, family, parameters):
    data = {"x": np.tile([0.0, 1.0], 60), "g": np.repeat(np.arange(20), 6)}
    found = pm.power("~ x + (1 | g)", data, test="x", beta=beta, theta=[1.0], family=family,
                     family_parameters=parameters, n=200, seed=3)
    assert found.failures.tolist() == [0]
    assert found.rejected[0] < 25  # 10 are expected of the nominal level, with a standard deviation of 3


def test_what_cannot_be_tested_is_a_failure():
    data = {"x": np.linspace(-1, 1, 24), "g": np.tile(list("abcd"), 6)}
    options: dict[str, Any] = {"test": "x", "family": "gamma", "family_parameters": {"dispersion": 0.1},
                               "beta": [2.0, 0.0], "n": 40, "seed": 1}
    found = pm.power("~ x + (1 | g)", data, theta=[1.5], **options)  # every fourth group has no mean
    assert 10 < found.failures[0] < 40
    assert found.rejected[0] + found.failures[0] <= found.n[0] == 40
    assert pm.power("~ x + (1 | g)", data, theta=[0.1], **options).failures.tolist() == [0]


# ---- designs that grow -----------------------------------------------------------------------------------------------

def test_levels_are_copied_with_all_that_is_nested():
    data = pd.DataFrame({"school": list("aaabb"), "class": [1, 1, 2, 3, 3], "region": list("xxxxx"),
                         "teacher": list("uvuvu"), "x": [1.0, 2.0, 3.0, 4.0, 5.0]})
    grown = with_levels(data, "school", 5, ["class", "region", "teacher"])
    assert grown.x.tolist() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3]
    assert grown.school.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4]
    assert grown["class"].nunique() == 8
    assert (grown.groupby("class").school.nunique() == 1).all()
    assert set(grown.region) == {"x"}
    assert grown.teacher.tolist() == list("uvuvuuvuvuuvu")
    fewer = with_levels(data, "school", 1, ["class"])
    assert fewer.x.tolist() == [1, 2, 3]


def test_rows_of_cells_are_repeated():
    data = pd.DataFrame({"g": list("aabba"), "t": [1, 1, 1, 2, 2], "x": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert with_rows(data, ["g"], 4).x.tolist() == [1, 2, 5, 1, 3, 4, 3, 4]
    assert with_rows(data, ["g", "t"], 2).x.tolist() == [1, 2, 5, 5, 3, 3, 4, 4]
    assert with_rows(data, ["g"], 1).x.tolist() == [1, 3]


def test_any_table_can_grow():
    frame = pd.DataFrame(visits())
    expected = pm.power(**VISITS, along="subject", sizes=[6], n=50, seed=1).to_pandas()
    for table in (frame, pl.DataFrame(visits()), pl.DataFrame(visits()).to_arrow()):
        found = pm.power(**(VISITS | {"data": table}), along="subject", sizes=[6], n=50, seed=1)
        pd.testing.assert_frame_equal(found.to_pandas(), expected)
        assert len(as_frame(table)) == 40
    with fails(InputTypeError, "data: expected a pandas or polars DataFrame"):
        pm.power(**(VISITS | {"data": [1, 2]}), along="subject", sizes=[6])


def test_a_function_makes_the_tables():
    found = pm.power(**(VISITS | {"data": lambda size: visits(size, 3)}), sizes=[5, 9], n=50, seed=1)
    assert found.size.tolist() == [5, 9]
    for j, size in enumerate([5, 9]):
        alone = pm.power(**(VISITS | {"data": visits(size, 3)}), n=50, seed=1)
        assert (alone.rejected[0], alone.size[0]) == (found.rejected[j], 3 * size)


# ---- the result ------------------------------------------------------------------------------------------------------

def test_seeds_determine_the_result():
    curve = pm.power(**VISITS, along="subject", sizes=[5, 10, 20], n=100, seed=9)
    pd.testing.assert_frame_equal(
        pm.power(**VISITS, along="subject", sizes=[5, 10, 20], n=100, seed=9, n_threads=3).to_pandas(),
        curve.to_pandas())
    alone = pm.power(**VISITS, along="subject", sizes=[10], n=100, seed=9)
    assert alone.rejected[0] == curve.rejected[1]
    drawn = pm.power(**VISITS, n=100)
    assert pm.power(**VISITS, n=100, seed=drawn.seed).rejected.tolist() == drawn.rejected.tolist()
    # the data sets are those of `simulate`
    Y = pm.simulate("y ~ visit + (1 | subject)", visits(), beta=[10.0, 0.3], theta=[1.0], n=100, seed=9)
    many = pm.fit_many("~ visit + (1 | subject)", visits(), Y, df="satterthwaite")
    assert (many.p_values[:, 1] <= 0.05).sum() == curve.rejected[1]


def test_limits_are_those_of_clopper_and_pearson():
    found = pm.Power("x", "rows", 0.05, np.array([1, 2, 3]), np.array([50, 40, 30]), np.zeros(3, int),
                     np.array([0, 13, 30]), 1)
    for j, (k, n) in enumerate([(0, 50), (13, 40), (30, 30)]):
        exact = stats.binomtest(k, n).proportion_ci(0.95, "exact")
        # two ways to the same quantile of a beta distribution
        np.testing.assert_allclose([found.lower[j], found.upper[j]], [exact.low, exact.high], rtol=1e-9)
    assert str(found).splitlines()[0] == "Power of the test of x at level 0.05"
    assert str(found).splitlines()[3].split() == ["2", "40", "0", "13", "0.325", "0.186", "0.491"]
    assert "<td" in found._repr_html_()
    assert found.to_pandas().columns.tolist() == ["size", "n", "failures", "rejected", "power", "lower", "upper"]


def test_an_interruption_leaves_what_was_done(monkeypatch):
    outcomes, done = Study.outcomes, []

    def interrupted(self, plan, first, count):
        if self.size == 6 and first + count > 20:
            raise KeyboardInterrupt
        done.append(count)
        return outcomes(self, plan, first, count)

    monkeypatch.setattr(Study, "outcomes", interrupted)
    with pytest.warns(InterruptedWarning, match=r"interrupted after \d+ of 120"):
        found = pm.power(**VISITS, along="subject", sizes=[5, 6, 7], n=40, seed=1)
    assert found.size.tolist() in ([5], [5, 6])
    assert found.n[0] <= 40
    assert found.n.sum() <= sum(done)
    monkeypatch.undo()
    whole = pm.power(**VISITS, along="subject", sizes=[5], n=int(found.n[0]), seed=1)
    assert found.rejected[0] == whole.rejected[0]


def test_a_progress_bar_counts_all_sizes(capsys):
    pm.power(**VISITS, along="subject", sizes=[5, 6], n=30, seed=1, progress=True)
    assert "60/60" in capsys.readouterr().err


def test_the_hypothesis_is_labelled():
    design = quiet(pm.lmer, "y ~ visit + (1 | subject)", visits() | {"y": np.arange(40.0) % 7})._design
    fitter = _job(design, None)()
    assert _hypothesis("visit", design, fitter)[0] == "visit"
    label, rows = _hypothesis({"one": {"visit": 1}, "two": {"(Intercept)": 1, "visit": 2}}, design, fitter)
    assert label == "one and two"
    assert rows.tolist() == [[0, 1], [1, 2]]
    assert make_plan(design, "parametric", 4, None, None).seed == 4


# ---- errors ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"test": "time"}, InputError, "test: expected one of '(Intercept)', 'visit', got 'time'"),
    ({"test": [[0, 1], [0, 2]]}, InputError, "test: expected contrasts of which none follows from the others"),
    ({"test": [1, 2, 3]}, InputError, "L: expected rows of 2 weights"),
    ({"level": 1.0}, InputError, "level: expected a number between 0 and 1, got 1.0"),
    ({"level": "a"}, InputTypeError, "level: expected a positive number, got 'a'"),
    ({"n": 0}, InputError, "n: expected a positive integer, got 0"),
    ({"ddf": "kenward-roger"}, InputError, "ddf: expected one of 'satterthwaite', 'residual', 'asymptotic'"),
    ({"family": "poisson", "ddf": "residual"}, InputError, "ddf: expected one of 'asymptotic', got 'residual'"),
    ({"along": "subject"}, InputError, "sizes: expected the sizes that 'along' goes to, got None"),
    ({"sizes": [3]}, InputError, "sizes: expected one of along, within and a function as data"),
    ({"sizes": [3], "along": "subject", "within": "subject"}, InputError, "got along and within"),
    ({"sizes": [], "along": "subject"}, InputError, "sizes: expected at least one, got none"),
    ({"sizes": [0], "along": "subject"}, InputError, "sizes: expected a positive integer, got 0"),
    ({"sizes": [2.5], "along": "subject"}, InputTypeError, "sizes: expected a positive integer, got 2.5"),
    ({"sizes": [3], "along": "visit"}, InputError, "along: expected one of 'subject', got 'visit'"),
    ({"sizes": [3], "within": "arms"}, InputError, "no column 'arms'"),
    ({"sizes": [3], "along": "subject", "weights": [1.0]}, InputTypeError,
     "weights: expected the name of a column, as the rows change with the size, got list"),
    ({"sizes": [1], "along": "subject"}, InputError, "grouping factor 'subject': expected more than one level"),
    ({"beta": [1.0]}, InputError, "beta: expected 2 values ((Intercept), visit)"),
    ({"n_threads": 0}, InputError, "n_threads: expected a positive integer, got 0"),
])
def test_wrong_arguments(options, kind, message):
    with fails(kind, message):
        pm.power(**(VISITS | options))


def test_missing_levels_cannot_grow():
    data = pd.DataFrame(visits()).astype({"subject": float})
    data.loc[3, "subject"] = np.nan
    with fails(InputError, "data: expected no missing values in column 'subject', by which the sizes go"):
        pm.power(**(VISITS | {"data": data}), along="subject", sizes=[3])
