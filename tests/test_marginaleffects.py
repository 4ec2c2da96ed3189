"""The adapter for marginaleffects, by what that package asks of a model; it needs Python 3.12, its interface does not.

Where the package is not installed, a stand-in keeps what the adapter hands over.
"""

import importlib
import importlib.util
import sys
import types

import numpy as np
import polars as pl
import pytest

import pymixed as pm
from pymixed.errors import InputError


@pytest.fixture
def adapter(monkeypatch):
    if importlib.util.find_spec("marginaleffects") is None:
        class ModelAbstract:
            def __init__(self, model, vault):
                self.model, self.vault = model, vault

        package, classes = types.ModuleType("marginaleffects"), types.ModuleType("marginaleffects.classes")
        classes.ModelAbstract, classes.ModelVault = ModelAbstract, types.SimpleNamespace
        monkeypatch.setitem(sys.modules, "marginaleffects", package)
        monkeypatch.setitem(sys.modules, "marginaleffects.classes", classes)
        monkeypatch.delitem(sys.modules, "pymixed.marginaleffects", raising=False)
    module = importlib.import_module("pymixed.marginaleffects")
    yield module.MixedModel
    monkeypatch.delitem(sys.modules, "pymixed.marginaleffects", raising=False)


@pytest.fixture(scope="module")
def cbpp():
    data = pm.datasets.load("cbpp")
    return pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", data), data


def test_predictions_and_their_derivatives_are_the_models(adapter, cbpp):
    fit, data = cbpp
    model = adapter(fit, data)
    new = pl.DataFrame({"period": ["1", "3", "4"]})
    exog = model.get_exog(new)
    found = model.get_predict(fit.coefficients, exog)
    theirs = fit.predict(new, re="none", type="response", se=True)
    assert found["rowid"].to_list() == [0, 1, 2]
    np.testing.assert_allclose(found["estimate"], theirs["estimate"], rtol=1e-14)
    jacobian = np.column_stack([
        (model.get_predict(fit.coefficients + step, exog)["estimate"]
         - model.get_predict(fit.coefficients - step, exog)["estimate"]).to_numpy() / 2e-6
        for step in 1e-6 * np.eye(fit.coefficients.size)])
    se = np.sqrt(np.diag(jacobian @ model.get_vcov() @ jacobian.T))
    np.testing.assert_allclose(se, theirs["se"], rtol=1e-7)  # differences


def test_the_scale_of_the_linear_predictor(adapter, cbpp):
    fit, data = cbpp
    model = adapter(fit, data, type="link")
    np.testing.assert_allclose(model.get_predict(fit.coefficients, data)["estimate"], fit.predict(data, re="none"))


def test_offsets_and_dependent_columns(adapter):
    data = pm.datasets.load("sleepstudy").assign(o=lambda d: 0.5 * d["Days"])
    with pytest.warns(pm.errors.RankDeficiencyWarning):
        fit = pm.lmer("Reaction ~ Days + I(2 * Days) + offset(o) + (1 | Subject)", data)
    model = adapter(fit, data)
    np.testing.assert_allclose(model.get_predict(fit.coefficients, data)["estimate"], fit.predict(re="none"))


def test_what_the_package_is_told(adapter, cbpp):
    fit, data = cbpp
    model = adapter(fit, data)
    vault = model.vault
    np.testing.assert_array_equal(vault.coef, fit.coefficients)
    assert vault.coefnames.tolist() == list(fit.coefficient_names)
    assert vault.variable_names == ["incidence", "period"]
    assert vault.modeldata["period"].dtype in (pl.Enum(["1", "2", "3", "4"]), pl.Categorical)  # no strings
    np.testing.assert_array_equal(model.get_vcov(True), fit.vcov())
    np.testing.assert_array_equal(model.get_vcov("CR0"), fit.vcov("CR0"))
    assert model.get_vcov(False) is None


def test_models_that_it_cannot_describe(adapter, cbpp):
    x = np.random.default_rng(0).normal(size=40)
    arrays = pm.lmm(x + np.repeat(np.arange(8), 5), np.ones((40, 1)), {"g": np.repeat(np.arange(8), 5)})
    with pytest.raises(InputError, match="solution: expected a fit from a formula"):
        adapter(arrays, {})
    with pytest.raises(InputError, match="type: expected one of 'link', 'response', got 'marginal'"):
        adapter(*cbpp, type="marginal")
