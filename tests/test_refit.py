"""A solution fitted to another response equals a fresh fit."""

import re

import numpy as np
import pandas as pd
import pytest
from many_cases import counts, sleepstudy

import pymixed as pm
from pymixed.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")


def assert_same_fit(found: pm.LMMSolution | pm.GLMMSolution, expected: pm.LMMSolution | pm.GLMMSolution) -> None:
    """The same computation on the same numbers."""
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-9)
    np.testing.assert_allclose(found.se, expected.se, rtol=1e-7)
    np.testing.assert_allclose(found.theta, expected.theta, atol=1e-8)
    np.testing.assert_allclose(found.fitted_values, expected.fitted_values, rtol=1e-8)
    assert found.n_groups == expected.n_groups
    assert [type(warning) for warning in found.warnings] == [type(warning) for warning in expected.warnings]


@pytest.mark.parametrize("options", [{}, {"reml": False}, {"optimizer": "L-BFGS-B"}, {"compute_satterthwaite": False}])
def test_refit_equals_a_fresh_fit(options):
    data, y = pm.datasets.load("sleepstudy"), sleepstudy(1).Y[:, 0]
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", data, **options)
    found = fit.refit(y)
    assert_same_fit(found, pm.lmer("Reaction ~ Days + (Days | Subject)", data.assign(Reaction=y), **options))
    assert found.reml == fit.reml
    assert found.params.df_method == fit.params.df_method
    assert found.info["optimizer"] == fit.info["optimizer"]
    np.testing.assert_array_equal(fit.refit(data["Reaction"]).coefficients, fit.coefficients)


@pytest.mark.filterwarnings("ignore::pymixed.errors.MissingValuesWarning")
def test_refit_without_the_rows_that_have_no_value():
    data = pm.datasets.load("sleepstudy")
    data["Days"] = data["Days"].where(data["Days"] != 9)
    data["half"] = np.where(np.arange(180) % 20 < 10, "a", "b")
    y = sleepstudy(1).Y[:, 0].copy()
    y[:15] = np.nan  # the first subject goes
    y[100] = np.nan
    weights = np.random.default_rng(1).uniform(1.0, 2.0, 180)
    formula = "Reaction ~ Days * half + (1 | Subject)"
    fit = pm.lmer(formula, data, weights=weights)
    fresh = pm.lmer(formula, data.assign(Reaction=y), weights=weights)
    found = fit.refit(y)
    assert_same_fit(found, fresh)
    assert len(found.ranef()["Subject"]) == 17
    pd.testing.assert_frame_equal(found.emmeans("half").table, fresh.emmeans("half").table)
    assert_same_fit(fit.refit(y[(np.arange(180) % 10) != 9]), fresh)  # a value per row used
    other = np.random.default_rng(2).uniform(1.0, 2.0, 180)
    assert_same_fit(fit.refit(y, other), pm.lmer(formula, data.assign(Reaction=y), weights=other))
    again = found.refit(y)
    assert_same_fit(again, fresh)


def test_refit_of_a_generalized_model():
    cbpp = pm.datasets.load("cbpp")
    fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, n_agq=0)
    successes = np.random.default_rng(3).binomial(cbpp["size"], 0.5 * fit.fitted_values + 0.1)
    table = cbpp.assign(incidence=successes)
    expected = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", table, n_agq=0)
    both = np.column_stack([successes, cbpp["size"] - successes])
    assert_same_fit(fit.refit(both), expected)
    assert_same_fit(fit.refit(successes / cbpp["size"].to_numpy()), expected)  # trials of the fit
    turned = fit.refit(both[:, ::-1])
    assert turned.coefficients[0] == pytest.approx(-expected.coefficients[0], rel=1e-6)
    with pytest.raises(InputError, match=r"expected proportions of the trials in weights"):
        fit.refit(np.full(56, 0.123))


def test_refit_of_arrays_and_counts():
    case = counts(2)
    fit = case.separate(case.Y[:, 0])
    assert_same_fit(fit.refit(case.Y[:, 1]), case.separate(case.Y[:, 1]))
    assert_same_fit(fit.refit(case.Y[:, 1], np.arange(60) % 3 + 1.0),
                    case.separate(case.Y[:, 1], weights=np.arange(60) % 3 + 1.0))


def test_responses_that_refit_refuses():
    case = sleepstudy(1)
    fit = case.separate(case.Y[:, 0])
    for y, message in ((case.Y[:9, 0], "y: expected 180 values, one per row used, got 9"),
                       (np.ones(180), "response 'y': expected values that differ, got 1.0 in every row"),
                       (np.full(180, np.nan), "missing values: none of the 180 rows is complete"),
                       (np.where(np.arange(180) == 3, np.inf, 1.0), "response 'y': expected finite values, got inf in"),
                       (case.Y[:, [0, 0]], "y: expected one dimension, got shape (180, 2)")):
        with pytest.raises(InputError, match=re.escape(message)):
            fit.refit(y)
    with pytest.raises(pm.errors.InputTypeError, match="y: expected numbers"):
        fit.refit(["a"] * 180)
    with pytest.raises(InputError, match=re.escape("weights: expected positive values, got 0.0 in row 0")):
        fit.refit(case.Y[:, 0] + 1.0, np.arange(180.0))
