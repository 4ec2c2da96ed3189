"""The estimator for scikit-learn: its own checks, and the fits that it makes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

import pymixed as pm
from pymixed.errors import InputError
from pymixed.sklearn import MixedModelRegressor

SLEEP = pm.datasets.load("sleepstudy")
X, Y = SLEEP[["Days", "Subject"]], SLEEP["Reaction"]
FORMULA = "~ Days + (Days | Subject)"


@pytest.mark.parametrize("check", [
    pytest.param(check, id=str(check.func.__name__)) for _, check in estimator_checks_generator(MixedModelRegressor())
    if check.func.__name__ != "check_array_api_input"])  # array API input needs an environment variable
def test_scikit_learns_checks(check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(MixedModelRegressor())


@pytest.mark.parametrize("options", [
    {"formula": FORMULA}, {"formula": "Days + (Days | Subject)"},
    {"groups": "Subject", "random_effects": {"Subject": ["1", "Days"]}},
    {"groups": ["Subject"], "random_effects": {"Subject": ["1", "Days"]}},
    {"groups": 1, "random_effects": {"Subject": ["1", "Days"]}}])
def test_the_fit_is_that_of_lmer(options):
    model = MixedModelRegressor(**options).fit(X, Y)
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    np.testing.assert_allclose(model.coef_, fit.coefficients[1:], rtol=1e-8)
    np.testing.assert_allclose(model.intercept_, fit.coefficients[0], rtol=1e-8)
    np.testing.assert_allclose(model.predict(X), fit.fitted_values, rtol=1e-8)
    assert model.n_features_in_ == 2
    assert model.feature_names_in_.tolist() == ["Days", "Subject"]


def test_arrays_have_named_columns():
    array = np.column_stack([SLEEP["Days"], SLEEP["Subject"].astype(float)])
    by_formula = MixedModelRegressor("~ x0 + (x0 | x1)").fit(array, Y)
    by_position = MixedModelRegressor(groups=[1], random_effects={"x1": ["1", "x0"]}).fit(array, Y)
    np.testing.assert_allclose(by_formula.predict(array), by_position.predict(array), rtol=1e-8)


def test_without_groups_it_is_weighted_least_squares():
    rng = np.random.default_rng(0)
    A, y, w = rng.normal(size=(30, 3)), rng.normal(size=30), rng.uniform(0.5, 2.0, 30)
    model = MixedModelRegressor().fit(A, y, sample_weight=w)
    design = np.column_stack([np.ones(30), A])
    expected = np.linalg.solve(design.T @ (w[:, None] * design), design.T @ (w * y))
    np.testing.assert_allclose([model.intercept_, *model.coef_], expected, rtol=1e-10)
    assert model.solution_ is None


def test_cross_validation_with_new_groups():
    model = MixedModelRegressor(FORMULA)
    scores = cross_val_score(model, X, Y, cv=GroupKFold(6), groups=X["Subject"], scoring="neg_root_mean_squared_error")
    expected = []
    for train, test in GroupKFold(6).split(X, Y, X["Subject"]):
        fit = pm.lmer("Reaction ~ Days + (Days | Subject)", SLEEP.iloc[train])
        error = Y.iloc[test] - fit.predict(SLEEP.iloc[test], re="none")  # all their subjects are new
        expected.append(-np.sqrt((error**2).mean()))
    np.testing.assert_allclose(scores, expected, rtol=1e-7)


def test_cross_validation_with_known_groups():
    found = cross_val_predict(MixedModelRegressor(FORMULA), X, Y, cv=5)
    assert 20.0 < np.sqrt(((found - Y) ** 2).mean()) < 60.0


def test_searches_and_pipelines():
    search = GridSearchCV(make_pipeline(FunctionTransformer(), MixedModelRegressor()), {
        "mixedmodelregressor__formula": ["~ 1 + (1 | Subject)", FORMULA]}, cv=3)
    assert search.fit(X, Y).best_params_["mixedmodelregressor__formula"] == FORMULA
    assert clone(MixedModelRegressor(FORMULA, reml=False)).get_params()["reml"] is False


def test_generalized_models_predict_means():
    ticks = pm.datasets.load("grouseticks")
    model = MixedModelRegressor("~ YEAR + (1 | BROOD)", family="poisson").fit(ticks, ticks["TICKS"])
    fit = pm.glmer("TICKS ~ YEAR + (1 | BROOD)", ticks, family="poisson")
    np.testing.assert_allclose(model.predict(ticks), fit.fitted_values, rtol=1e-7)


def test_prior_weights():
    w = np.random.default_rng(0).uniform(0.5, 2.0, len(Y))
    model = MixedModelRegressor(FORMULA).fit(X, Y, sample_weight=w)
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", SLEEP, weights=w)
    np.testing.assert_allclose(model.coef_, fit.coefficients[1:], rtol=1e-8)


def test_a_column_called_y_does_not_get_in_the_way():
    data = pd.DataFrame({"y": SLEEP["Days"], "g": SLEEP["Subject"]})
    model = MixedModelRegressor("~ y + (1 | g)").fit(data, Y)
    np.testing.assert_allclose(model.coef_, pm.lmer("Reaction ~ Days + (1 | Subject)", SLEEP).coefficients[1:],
                               rtol=1e-8)


@pytest.mark.parametrize(("options", "message"), [
    ({"groups": "Person"}, "groups: expected columns of X \\('Days', 'Subject'\\) or their positions, got 'Person'"),
    ({"groups": 7}, "groups: expected columns of X"),
    ({"groups": "Subject", "random_effects": {"Days": ["1"]}}, "random_effects: expected names of groups"),
])
def test_wrong_arguments(options, message):
    with pytest.raises(InputError, match=message):
        MixedModelRegressor(**options).fit(X, Y)
