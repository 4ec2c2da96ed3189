"""Tables of rows with what a model says of them: in the user's order, whatever is missing, whatever the model is."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import reference_cases

import pymixed as pm
from pymixed.errors import InputError, MissingValuesWarning

ADDED = [".fitted", ".resid", ".fixed", ".mu", ".offset"]
DIAGNOSTICS = [".hat", ".cooksd"]  # where no data are given


def test_rows_of_the_fit() -> None:
    case = reference_cases.load("sleepstudy_slope")
    fit = case.fit()
    for table in (fit.augment(), fit.augment(case.frame)):
        assert [name for name in table.columns[3:] if name not in DIAGNOSTICS] == ADDED
        assert set(table.columns[:3]) == {"Reaction", "Days", "Subject"}
        np.testing.assert_allclose(table[".fitted"][:10], case.results["fitted"]["first"], rtol=1e-6)
        lme4 = case.results["residuals"]["response"]
        np.testing.assert_allclose(table[".resid"][:10], lme4["first"], rtol=0, atol=1e-3)
        assert (table[".resid"] ** 2).sum() == pytest.approx(lme4["sum_of_squares"], rel=1e-5)
        np.testing.assert_allclose(table["Reaction"] - table[".resid"], table[".fitted"], rtol=1e-12)
        np.testing.assert_allclose(table[".fixed"], fit.predict(re="none"), rtol=1e-12)
        assert (table[".offset"] == 0).all()
    assert list(case.frame.columns) == ["Reaction", "Days", "Subject"]  # the user's table stays as it was


def test_new_rows_are_those_of_lme4() -> None:
    case = reference_cases.load("sleepstudy_slope")
    lme4 = case.results["predictions"]
    table = case.fit().augment(case.new_rows, new_levels="population")
    np.testing.assert_allclose(table[".fitted"], lme4["link_with_random"], rtol=1e-6)
    np.testing.assert_allclose(table[".fixed"], lme4["link_fixed_only"], rtol=1e-6)
    assert table[".resid"].isna().all()
    with pytest.raises(InputError, match=r"'NEW' in row 2"):
        case.fit().augment(case.new_rows)


def test_rows_stay_where_they_are_when_values_are_missing(sleepstudy: pd.DataFrame) -> None:
    data = sleepstudy.astype({"Days": float}).set_index(np.arange(1000, 1180))
    data.loc[1003, "Reaction"] = np.nan
    data.loc[1005, "Days"] = np.nan
    data.loc[1007, "Subject"] = np.nan
    with pytest.warns(MissingValuesWarning):
        fit = pm.lmer("Reaction ~ Days + (Days | Subject)", data)
    table = fit.augment(data)
    pd.testing.assert_frame_equal(table[data.columns], data)
    kept = np.setdiff1d(np.arange(180), [3, 5, 7])
    np.testing.assert_allclose(table[".fitted"].iloc[kept], fit.fitted_values, rtol=1e-12)
    np.testing.assert_allclose(table[".resid"].iloc[kept], fit.residuals, rtol=0, atol=1e-9)
    assert table.iloc[[5, 7]][ADDED].isna().to_numpy().all()
    only_response_missing = table.iloc[3]
    assert np.isnan(only_response_missing[".resid"])
    assert only_response_missing[".fitted"] == pytest.approx(fit.predict(data.iloc[[3]])[0])
    own = fit.augment()
    assert own.index.tolist() == kept.tolist()
    np.testing.assert_array_equal(own[".resid"], fit.residuals)


def test_the_row_that_is_wrong_is_named_in_the_users_table(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    data = sleepstudy.astype({"Days": float, "Subject": str})
    data.loc[2, "Days"], data.loc[9, "Subject"] = np.nan, "new"
    with pytest.raises(InputError, match="'new' in row 9"):
        fit.augment(data)


def test_generalized_rows_are_on_the_scale_of_the_response() -> None:
    case = reference_cases.load_glmm("cbpp_laplace")
    fit = case.fit()
    table = fit.augment(case.frame)
    assert list(table.columns) == [*case.frame.columns, *ADDED, ".eta"]
    np.testing.assert_allclose(table[".fitted"], fit.fitted_values, rtol=1e-10)
    np.testing.assert_allclose(table[".mu"], fit.fitted_values, rtol=1e-10)
    np.testing.assert_allclose(table[".eta"], fit.linear_predictor, rtol=1e-10)
    np.testing.assert_allclose(table[".resid"], fit.resid("response"), rtol=0, atol=1e-10)
    np.testing.assert_allclose(table[".fixed"], fit.predict(re="none", type="response"), rtol=1e-12)
    proportion = case.frame["incidence"] / case.frame["size"]
    np.testing.assert_allclose(table[".fitted"] + table[".resid"], proportion, rtol=1e-12)


def test_zero_inflation_lowers_the_mean() -> None:
    case = reference_cases.load_glmm("tmb_zip")
    fit = case.fit()
    table = fit.augment(case.frame)
    pi = 1 / (1 + np.exp(-(fit.zi_coefficients[0] + fit.zi_coefficients[1] * (case.frame["mined"] == "no"))))
    np.testing.assert_allclose(table[".mu"], np.exp(table[".eta"]), rtol=1e-12)
    np.testing.assert_allclose(table[".fitted"], (1 - pi) * table[".mu"], rtol=1e-10)
    np.testing.assert_allclose(table[".resid"], fit.residuals, rtol=0, atol=1e-10)


def test_labels_of_a_response_mean_what_they_meant_in_the_fit() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 10), "x": rng.normal(size=200)})
    eta = data["x"] + np.repeat(rng.normal(size=20), 10)
    data["y"] = np.where(rng.random(200) < 1 / (1 + np.exp(-eta)), "yes", "no")
    fit = pm.glmer("y ~ x + (1 | g)", data)
    successes = data[data["y"] == "yes"]
    table = fit.augment(successes)
    np.testing.assert_allclose(table[".resid"], 1 - table[".fitted"], rtol=1e-12)
    with pytest.raises(InputError, match="response 'y': expected 'no' or 'yes' as in the fit, got 'maybe'"):
        fit.augment(successes.assign(y="maybe"))
    assert fit.augment(successes.assign(y=None))[".resid"].isna().all()
    updated = fit.update_groups(successes[:3].assign(g=99))  # of successes alone, where "yes" is the only label
    assert updated.ranef()["g"].loc[99].item() > 0.0


def test_transformed_responses_and_offsets() -> None:
    case = reference_cases.load("sleepstudy_slope")
    data = case.frame.assign(o=np.linspace(0, 1, 180))
    fit = pm.lmer("log(Reaction) ~ Days + offset(o / 10) + (1 | Subject)", data)
    table = fit.augment(data)
    np.testing.assert_allclose(table[".resid"], fit.residuals, rtol=0, atol=1e-10)
    np.testing.assert_allclose(table[".fitted"] + table[".resid"], np.log(data["Reaction"]), rtol=1e-12)
    np.testing.assert_allclose(table[".offset"], data["o"] / 10, rtol=1e-12)
    given = pm.lmer("Reaction ~ Days + (1 | Subject)", data, offset=data["o"])
    with pytest.raises(InputError, match="offset"):
        given.augment(data)
    np.testing.assert_allclose(given.augment(data, offset=data["o"])[".resid"], given.residuals, rtol=0, atol=1e-9)
    assert "(offset)" in given.augment().columns


def test_other_libraries_tables(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    expected = fit.augment(sleepstudy)
    for data in (pl.from_pandas(sleepstudy), sleepstudy.to_dict("series"), pl.from_pandas(sleepstudy).to_arrow()):
        table = fit.augment(data)
        assert isinstance(table, pd.DataFrame)
        np.testing.assert_allclose(table[ADDED], expected[ADDED], rtol=1e-12)


def test_models_from_arrays_take_a_table_beside_them(sleepstudy: pd.DataFrame) -> None:
    data = sleepstudy.astype({"Days": float})
    data.loc[4, "Days"] = np.nan
    X = np.column_stack([np.ones(180), data["Days"]])
    with pytest.warns(MissingValuesWarning):
        fit = pm.lmm(data["Reaction"], X, {"Subject": data["Subject"]}, na_action="drop")
    table = fit.augment(data)
    assert table.iloc[4][ADDED].isna().all()
    np.testing.assert_array_equal(table[".resid"].drop(4), fit.residuals)
    assert list(fit.augment().columns) == ["y", "X1", "Subject", *ADDED, *DIAGNOSTICS]
    with pytest.raises(InputError, match="data: expected a table of the 180 rows"):
        fit.augment(data[:10])
    with pytest.raises(InputError, match="offset: expected only"):
        fit.augment(data, offset=np.zeros(180))
    counts = pm.glmm((data["Reaction"] / 10).round(), np.ones((180, 1)), {"Subject": data["Subject"]}, family="poisson")
    np.testing.assert_allclose(counts.augment(data)[".fitted"], counts.fitted_values, rtol=1e-12)


def test_cross_products_take_rows(sleepstudy: pd.DataFrame) -> None:
    formula = "Reaction ~ Days + (Days | Subject)"
    fit = pm.CrossProducts.from_batches(formula, [sleepstudy[:90], sleepstudy[90:]]).fit()
    with pytest.raises(InputError, match="hold no rows"):
        fit.augment()
    rows = pm.lmer(formula, sleepstudy)
    np.testing.assert_allclose(fit.augment(sleepstudy)[ADDED], rows.augment(sleepstudy)[ADDED], rtol=1e-5, atol=1e-3)


def test_columns_of_the_model_in_the_rows_of_the_fit() -> None:
    data = pd.DataFrame({"a": np.repeat(["u", "v"], 60), "b": np.tile(np.repeat(["p", "q", "r"], 4), 10),
                         "x": np.linspace(0, 1, 120), "w": np.linspace(1, 2, 120)})
    data["y"] = np.random.default_rng(2).normal(size=120) + (data["b"] == "p")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = pm.lmer("y ~ poly(x, 2) + (0 + x | a:b)", data, weights="w")
    table = fit.augment()
    assert list(table.columns) == ["y", "x", "a:b", "(weights)", *ADDED, *DIAGNOSTICS]
    np.testing.assert_array_equal(table["x"], data["x"])
    assert table["a:b"].tolist() == (data["a"] + ":" + data["b"]).tolist()


def test_own_rows_have_leverage_and_cooks_distance():
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    table = fit.augment()
    np.testing.assert_array_equal(table[".hat"], fit.leverage())
    np.testing.assert_array_equal(table[".cooksd"], fit.influence().cooks_distance)
    assert ".hat" not in fit.augment(pm.datasets.load("sleepstudy"))
