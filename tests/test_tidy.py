"""Tidy tables: their columns as broom.mixed documents them, their numbers as lme4, lmerTest and glmmTMB have them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference_cases
from reference_cases import interaction, plain, positions
from scipy import stats

import pymixed as pm
from pymixed.errors import BoundaryWarning, InputError, InputTypeError, RankDeficiencyWarning

# Fits stop within 1e-5 standard errors of the optimum of the variance parameters; see test_reference_lmm.
FIRST_ORDER = 4e-5   # what depends on them, relative
DF = 1e-4            # relative: a ratio of derivatives
P_VALUE = 1e-3       # relative: far in the tail, the logarithm of p moves by t² times what t moves
LINEAR = ["sleepstudy_slope", "sleepstudy_slope_ml", "cake_interaction", "pastes_nested", "sleepstudy_weights",
          "sleepstudy_three_slopes"]
GENERALIZED = ["cbpp_laplace", "grouseticks_offset"]


def fixed_rows(case: Any, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the coefficients in R's order."""
    rows = table[table["effect"] == "fixed"]
    return rows.iloc[positions(rows["term"], case.spec["fixed_columns"], interaction)]


def random_parameters(case: Any) -> dict[tuple[str, str], float]:
    """lme4's standard deviations and correlations under broom.mixed's names."""
    found = {}
    for block in case.results["random"]:
        columns = block["columns"]
        for i, name in enumerate(columns):
            found[block["group"], f"sd__{name}"] = block["sd"][i]
            for j in range(i):
                found[block["group"], f"cor__{columns[j]}.{name}"] = block["correlation"][i][j]
    return found


# ---- tidy ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LINEAR)
def test_coefficients_and_tests_are_those_of_lmertest(name: str) -> None:
    case = reference_cases.load(name)
    rows = fixed_rows(case, case.fit().tidy("fixed"))
    expected = np.array(case.results["satterthwaite"]["values"]).T
    estimate, se, df, t, p = expected
    np.testing.assert_allclose(rows["estimate"], estimate, rtol=0, atol=FIRST_ORDER * se.max())
    np.testing.assert_allclose(rows["std.error"], se, rtol=FIRST_ORDER)
    np.testing.assert_allclose(rows["df"], df, rtol=DF)
    np.testing.assert_allclose(rows["statistic"], t, rtol=FIRST_ORDER, atol=FIRST_ORDER)
    np.testing.assert_allclose(rows["p.value"], p, rtol=P_VALUE)


@pytest.mark.parametrize("name", [*LINEAR, *GENERALIZED])
def test_random_parameters_are_those_of_lme4(name: str) -> None:
    case = reference_cases.load_glmm(name) if name in GENERALIZED else reference_cases.load(name)
    table = case.fit().tidy("ran_pars")
    ours = {(group, plain(term)): value for group, term, value in table[["group", "term", "estimate"]].to_numpy()}
    expected = {(group, plain(term)): value for (group, term), value in random_parameters(case).items()}
    if name in LINEAR:
        expected["Residual", "sd__Observation"] = case.results["sigma"]
    assert set(ours) == set(expected)
    scale = {key: abs(value) if key[1].startswith("sd") else 1.0 for key, value in expected.items()}
    for key, value in expected.items():
        assert ours[key] == pytest.approx(value, abs=FIRST_ORDER * scale[key]), key


@pytest.mark.parametrize("name", GENERALIZED)
def test_coefficients_and_tests_are_those_of_glmer(name: str) -> None:
    case = reference_cases.load_glmm(name)
    rows = fixed_rows(case, case.fit().tidy("fixed"))
    estimate, se, z, p = np.array(case.results["coefficients"]["values"]).T
    np.testing.assert_allclose(rows["estimate"], estimate, rtol=0, atol=FIRST_ORDER * se.max())
    np.testing.assert_allclose(rows["std.error"], se, rtol=1e-4)  # of a second derivative, at both ends numerical
    np.testing.assert_allclose(rows["statistic"], z, rtol=1e-4)
    np.testing.assert_allclose(rows["p.value"], p, rtol=10 * P_VALUE)


@pytest.mark.parametrize(("name", "group"), [("sleepstudy_slope", "Subject"), ("cbpp_laplace", "herd")])
def test_random_values_are_those_of_lme4(name: str, group: str) -> None:
    case = reference_cases.load_glmm(name) if name in GENERALIZED else reference_cases.load(name)
    lme4 = case.results["ranef"][group]
    rows = case.fit().tidy("ran_vals", conf_int=True, conf_level=0.9)
    assert set(rows["group"]) == {group}
    by_place = rows.set_index(["level", "term"])
    order = pd.MultiIndex.from_product([lme4["levels"], lme4["columns"]])
    variances = np.array([np.diagonal(matrix) for matrix in lme4["cond_var"][0]])
    ours = by_place.loc[order]
    sd = np.sqrt(variances.max())
    np.testing.assert_allclose(ours["estimate"], np.ravel(lme4["values"]), rtol=0, atol=FIRST_ORDER * sd)
    np.testing.assert_allclose(ours["std.error"], np.sqrt(variances).ravel(), rtol=FIRST_ORDER)
    reach = stats.norm.ppf(0.95) * ours["std.error"]
    np.testing.assert_allclose(ours["conf.high"] - ours["estimate"], reach, rtol=1e-12)
    np.testing.assert_allclose(ours["estimate"] - ours["conf.low"], reach, rtol=1e-12)


LEADING = ["effect", "group", "term", "estimate"]
TESTS = ["std.error", "statistic", "df", "p.value"]
LIMITS = ["conf.low", "conf.high"]


@pytest.mark.parametrize(("effects", "conf_int", "columns"), [
    ("fixed", False, ["effect", "term", "estimate", *TESTS]),
    ("ran_pars", False, LEADING),
    ("ran_pars", True, [*LEADING, *LIMITS]),
    ("ran_vals", False, ["effect", "group", "level", "term", "estimate", "std.error"]),
    (("fixed", "ran_pars"), True, [*LEADING, *TESTS, *LIMITS]),
    (["ran_vals", "fixed"], False, ["effect", "group", "level", "term", "estimate", *TESTS]),
])
def test_columns_are_those_of_broom_mixed(effects: Any, conf_int: bool, columns: list[str],
                                          sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    table = fit.tidy(effects, conf_int=conf_int)
    assert list(table.columns) == columns
    wanted = [effects] if isinstance(effects, str) else list(effects)
    assert list(dict.fromkeys(table["effect"])) == wanted
    rows = {"fixed": 2, "ran_pars": 4, "ran_vals": 36}
    assert len(table) == sum(rows[effect] for effect in wanted)
    assert table["estimate"].dtype == float


def test_terms_stand_in_the_order_of_broom_mixed(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    assert fit.tidy()["term"].tolist() == ["(Intercept)", "Days", "sd__(Intercept)", "cor__(Intercept).Days",
                                           "sd__Days", "sd__Observation"]
    apart = pm.lmer("Reaction ~ Days + (Days || Subject)", sleepstudy)
    assert apart.tidy("ran_pars")["term"].tolist() == ["sd__(Intercept)", "sd__Days", "sd__Observation"]


def test_generalized_models_have_no_df() -> None:
    table = reference_cases.load_glmm("cbpp_laplace").fit().tidy()
    assert list(table.columns) == [*LEADING, "std.error", "statistic", "p.value"]


def test_wald_limits_agree_with_the_tests() -> None:
    case = reference_cases.load("sleepstudy_slope")
    fit = case.fit()
    rows = fit.tidy("fixed", conf_int=True, conf_level=0.9)
    reach = stats.t.ppf(0.95, rows["df"]) * rows["std.error"]
    np.testing.assert_allclose(rows["conf.low"], rows["estimate"] - reach, rtol=1e-10)
    np.testing.assert_allclose(rows["conf.high"], rows["estimate"] + reach, rtol=1e-10)
    normal = fit.tidy("fixed", conf_int=True, ddf="asymptotic")
    np.testing.assert_allclose(normal[LIMITS], case.results["confint_wald"]["values"], rtol=1e-5)
    np.testing.assert_allclose(normal["p.value"], 2 * stats.norm.sf(np.abs(normal["statistic"])), rtol=1e-10)
    assert np.isinf(normal["df"]).all()
    rogers = fit.tidy("fixed", ddf="kenward-roger")
    expected = np.sqrt(np.diagonal(case.results["kenward_roger_vcov"]))
    np.testing.assert_allclose(rogers["std.error"], expected, rtol=FIRST_ORDER)


def test_profile_limits_are_those_of_lme4() -> None:
    case = reference_cases.load("sleepstudy_slope")
    lme4 = case.results["confint_profile"]
    table = case.fit().tidy(["ran_pars", "fixed"], conf_int=True, conf_method="profile")
    assert lme4["rows"] == ["sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject", "sd_Days|Subject", "sigma",
                            "(Intercept)", "Days"]
    # lme4 interpolates its profile: four or five digits
    np.testing.assert_allclose(table[LIMITS], lme4["values"], rtol=1e-3)


def test_bootstrap_limits_are_those_of_the_bootstrap(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    table = fit.tidy(conf_int=True, conf_method="bootstrap", n=200, seed=3)
    np.testing.assert_array_equal(table[LIMITS], fit.bootstrap(200, seed=3).conf_int())


def test_exponentiated_coefficients_are_ratios() -> None:
    fit = reference_cases.load_glmm("cbpp_laplace").fit()
    plain_table, ratios = fit.tidy(conf_int=True), fit.tidy(conf_int=True, exponentiate=True)
    fixed = plain_table["effect"] == "fixed"
    for column in ("estimate", *LIMITS):
        np.testing.assert_allclose(ratios[fixed][column], np.exp(plain_table[fixed][column]), rtol=1e-14)
    step = 1e-6 * plain_table[fixed]["std.error"]
    slope = (np.exp(plain_table[fixed]["estimate"] + step) - ratios[fixed]["estimate"]) / step
    np.testing.assert_allclose(ratios[fixed]["std.error"], slope * plain_table[fixed]["std.error"], rtol=1e-5)
    pd.testing.assert_frame_equal(ratios[~fixed], plain_table[~fixed])
    pd.testing.assert_series_equal(ratios["p.value"], plain_table["p.value"])


def test_zero_inflation_is_a_component_of_its_own() -> None:
    case = reference_cases.load_glmm("tmb_zip")
    fit = case.fit()
    table = fit.tidy(conf_int=True)
    assert list(table.columns)[:4] == ["effect", "component", "group", "term"]
    for component, block in (("cond", "conditional"), ("zi", "zero_inflation")):
        rows = table[(table["effect"] == "fixed") & (table["component"] == component)]
        lookup = {plain(term): row for term, row in zip(rows["term"], rows.to_dict("records"), strict=True)}
        theirs = case.results[block]
        for name, (estimate, se, z, p) in zip(theirs["rows"], theirs["values"], strict=True):
            row = lookup[name]
            assert row["estimate"] == pytest.approx(estimate, abs=1e-4 * se)
            assert row["std.error"] == pytest.approx(se, rel=1e-3)  # glmmTMB differentiates numerically
            assert row["statistic"] == pytest.approx(z, rel=1e-3)
            assert row["p.value"] == pytest.approx(p, rel=0.02)
            reach = stats.norm.ppf(0.975) * row["std.error"]
            limits = row["conf.low"], row["conf.high"]
            assert limits == pytest.approx((row["estimate"] - reach, row["estimate"] + reach))
    profiled = fit.tidy("fixed", conf_int=True, conf_method="profile")
    expected = fit.conf_int(method="profile", parameters=["zi.(Intercept)"])
    np.testing.assert_allclose(profiled[profiled["component"] == "zi"][LIMITS].iloc[0], expected.iloc[0], rtol=1e-10)


def test_parameters_of_a_family_are_in_the_group_residual() -> None:
    case = reference_cases.load_glmm("tmb_nbinom2")
    table = case.fit().tidy("ran_pars", conf_int=True)
    (row,) = table[table["group"] == "Residual"].to_dict("records")
    assert row["term"] == "shape"
    assert row["estimate"] == pytest.approx(case.results["sigma"], rel=1e-4)
    assert row["conf.low"] < row["estimate"] < row["conf.high"]


def test_limits_belong_to_their_rows_where_names_coincide(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ sigma + (sigma | Subject)", sleepstudy.rename(columns={"Days": "sigma"}))
    ours = fit.tidy(conf_int=True, ddf="asymptotic")
    expected = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy).tidy(conf_int=True, ddf="asymptotic")
    np.testing.assert_allclose(ours[LIMITS], expected[LIMITS], rtol=1e-8)


def test_tidy_refuses_what_it_does_not_know(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    with pytest.raises(InputError, match=r"effects: expected one of 'fixed', .* got 'random'"):
        fit.tidy("random")
    with pytest.raises(InputError, match="effects: expected at least one"):
        fit.tidy([])
    with pytest.raises(InputTypeError, match="effects: expected names"):
        fit.tidy(3)
    with pytest.raises(InputError, match="conf_method"):
        fit.tidy(conf_int=True, conf_method="exact")
    with pytest.raises(InputError, match="level"):
        fit.tidy(conf_int=True, conf_level=95)


def test_models_without_coefficients_or_with_dropped_ones(sleepstudy: pd.DataFrame) -> None:
    none = pm.lmer("Reaction ~ 0 + offset(250 + 10 * Days) + (1 | Subject)", sleepstudy)
    assert none.tidy(conf_int=True)["effect"].tolist() == ["ran_pars", "ran_pars"]
    with pytest.warns(RankDeficiencyWarning):
        aliased = pm.lmer("Reaction ~ Days + Hours + (1 | Subject)", sleepstudy.assign(Hours=24 * sleepstudy["Days"]))
    expected = pm.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    np.testing.assert_allclose(aliased.tidy("fixed")["p.value"], expected.tidy("fixed")["p.value"], rtol=1e-6)
    np.testing.assert_allclose(aliased.augment()[".fixed"], expected.augment()[".fixed"], rtol=1e-9)


# ---- glance ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "criterion"), [
    ("sleepstudy_slope", "REMLcrit"), ("sleepstudy_slope_ml", "deviance"), ("cbpp_laplace", "deviance"),
    ("grouseticks_offset", "deviance")])
def test_glance_is_that_of_lme4(name: str, criterion: str) -> None:
    case = reference_cases.load_glmm(name) if name in GENERALIZED else reference_cases.load(name)
    fit, lme4 = case.fit(), case.results
    table = fit.glance()
    assert list(table.columns) == ["nobs", "sigma", "logLik", "AIC", "BIC", criterion, "df.residual"]
    (row,) = table.to_dict("records")
    theirs = lme4["reml_criterion"] if criterion == "REMLcrit" else lme4["deviance"]
    expected = [fit.n_obs, lme4["sigma"], lme4["log_likelihood"], lme4["AIC"], lme4["BIC"], theirs,
                lme4["df_residual"]]
    np.testing.assert_allclose(list(row.values()), expected, rtol=1e-5)


def test_sigma_of_a_family_with_a_dispersion_is_its_root() -> None:
    fit = reference_cases.load_glmm("tmb_gamma").fit()
    assert fit.glance()["sigma"].item() == pytest.approx(np.sqrt(fit.dispersion))


# ---- whatever the fit -----------------------------------------------------------------------------------------------

def test_fits_to_cross_products_have_their_tables(sleepstudy: pd.DataFrame) -> None:
    formula = "Reaction ~ Days + (Days | Subject)"
    fit, rows = pm.CrossProducts.from_batches(formula, [sleepstudy]).fit(), pm.lmer(formula, sleepstudy)
    for effects in ("fixed", "ran_pars", "ran_vals"):
        pd.testing.assert_frame_equal(fit.tidy(effects, conf_int=True), rows.tidy(effects, conf_int=True), rtol=P_VALUE)
    pd.testing.assert_frame_equal(fit.glance(), rows.glance(), rtol=1e-8)


def test_saved_models_have_their_tables(tmp_path: Path) -> None:
    inflated, linear = reference_cases.load_glmm("tmb_zip"), reference_cases.load("sleepstudy_slope")
    slopes = linear.fit()
    for fit, data in ((inflated.fit(), inflated.frame), (slopes, linear.frame)):
        fit.save(tmp_path / "model.pmx")
        loaded = pm.load(tmp_path / "model.pmx")
        for effects in ("fixed", "ran_pars", "ran_vals"):
            limits = effects == "fixed" or fit is slopes
            pd.testing.assert_frame_equal(loaded.tidy(effects, conf_int=limits), fit.tidy(effects, conf_int=limits))
        pd.testing.assert_frame_equal(loaded.augment(data), fit.augment(data))
        pd.testing.assert_frame_equal(pm.compare(loaded).to_pandas().drop(index="fit", level=0),
                                      pm.compare(fit).to_pandas().drop(index="fit", level=0))
        with pytest.raises(InputError):
            loaded.augment()


def test_a_fit_with_a_boundary_has_its_tables() -> None:
    case = reference_cases.load("dyestuff2_singular")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = case.fit()
        table = fit.tidy(["fixed", "ran_pars", "ran_vals"], conf_int=True)
    assert table.loc[table["term"] == "sd__(Intercept)", "estimate"].item() == 0.0
    assert (table[table["effect"] == "ran_vals"]["std.error"] == 0).all()


def test_a_probability_on_its_boundary() -> None:
    frame = reference_cases.load("grouseticks_nested").frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BoundaryWarning)
        fit = pm.glmer("TICKS ~ YEAR + (1 | BROOD)", frame, family="poisson", zi="~ 1")
    table = fit.tidy()
    assert set(table["component"]) == {"cond", "zi"}
    assert np.isfinite(table["estimate"]).all()
