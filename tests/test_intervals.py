"""Wald intervals of every parameter, and what conf_int makes of its arguments."""

import warnings
from typing import Any

import numpy as np
import pytest
import reference_cases
from dense import Evaluation
from dense_glmm import five_point
from models import dense_of_design
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import norm
from test_profile import interval_key, load

import pymixed as pm
from pymixed._inference.variance_parameters import variance_values
from pymixed.errors import InputError, InputTypeError

Array = NDArray[Any]
Z = norm.ppf(0.975)

# lme4 takes the size that it has estimated for known.
KNOWN_SHAPE = {"grouseticks_negbin"}


def quiet(case: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return case.fit()


# ---- against R -------------------------------------------------------------------------------------------------------

def wald_cases() -> list[str]:
    return [name for name in [*reference_cases.linear_cases(), *reference_cases.glmm_cases()]
            if load(name).results.get("confint_wald") and name not in KNOWN_SHAPE]


@pytest.mark.parametrize("name", wald_cases())
def test_coefficients_have_the_limits_of_lme4(name: str) -> None:
    case = load(name)
    ref = case.results["confint_wald"]
    table = quiet(case).conf_int()
    ours = {interval_key(str(row)): limits for row, limits in zip(table.index, table.to_numpy(), strict=True)}
    for row, theirs in zip(ref["rows"], ref["values"], strict=True):
        if theirs[0] is not None:  # lme4 has none for variances
            # standard errors hold to 1e-4 (Hessians by differences), a twentieth of it where they are in closed form
            assert_allclose(ours[interval_key(row)], theirs, rtol=0, atol=3e-5 * (theirs[1] - theirs[0]))


def single_term_cases() -> list[str]:
    """Models of glmmTMB whose random effects are intercepts: its parameters are logarithms of their deviations."""
    return [name for name in reference_cases.tmb_cases()
            if all(len(term.columns) == 1 for term in load_tmb(name).design.terms)]


def load_tmb(name: str) -> reference_cases.GLMMCase:
    return reference_cases.load_glmm(name)


@pytest.mark.parametrize("name", single_term_cases())
def test_deviations_and_families_have_the_limits_of_glmmtmb(name: str) -> None:
    case = load_tmb(name)
    ref, family = case.results, case.spec["family"]
    table = quiet(case).conf_int()
    names = np.array(ref["raw_parameter_names"])
    raw, se = np.array(ref["raw_parameters"]), np.sqrt(np.diag(ref["raw_vcov"]))
    limits = np.column_stack([raw - Z * se, raw + Z * se])
    ours = np.log(table[[str(row).startswith("sd_") for row in table.index]])
    theirs = limits[names == "theta"]
    assert_allclose(np.sort(ours, axis=0), np.sort(theirs, axis=0), atol=2e-3)
    if "betad" in names:
        own = {"Gamma": -1.0, "t": 2.0}.get(family, 1.0) * limits[names == "betad"][0]
        assert_allclose(np.log(table.loc[family_row(table)]), np.sort(own), atol=2e-3)
    if "power" in table.index:
        assert_allclose(table.loc["power"], 1 + 1 / (1 + np.exp(-limits[names == "psi"][0])), atol=1e-4)
    zi = table[[str(row).startswith("zi.") for row in table.index]]
    assert_allclose(zi, limits[names == "betazi"], rtol=2e-3, atol=2e-3)


def family_row(table: Any) -> str:
    return next(name for name in ("shape", "dispersion", "precision", "scale2", "variance") if name in table.index)


# ---- the delta method ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["sleepstudy_slope", "sleepstudy_three_slopes", "penicillin_crossed"])
def test_variance_parameters_by_the_delta_method(name: str) -> None:
    """Differences of the transformed parameters with the dense covariance of (theta, sigma)."""
    case = reference_cases.load(name)
    fit = case.fit()
    terms, m = fit._design.terms, fit.theta.size
    at: Evaluation = dense_of_design(fit._design, reml=fit.reml).at(fit.theta)

    def transformed(x: Array) -> Array:
        values = variance_values(terms, x[:m], x[m])
        return np.where([str(row).startswith("cor") for row in rows], np.arctanh(np.clip(values, -0.99, 0.99)),
                        np.log(np.abs(values)))

    rows = fit.conf_int().index[fit.coefficients.size:]
    x = np.append(fit.theta, fit.residual_std)
    jacobian = five_point(transformed, x, 1e-4 * np.abs(x))
    centre = transformed(x)
    reach = Z * np.sqrt(np.einsum("ij,jk,ik->i", jacobian, at.covariance_theta_sigma(), jacobian))
    back = [np.tanh if str(row).startswith("cor") else np.exp for row in rows]
    expected = [[f(c - r), f(c + r)] for f, c, r in zip(back, centre, reach, strict=True)]
    # the Hessian of a fit is good to 1e-6, and so are the differences here
    assert_allclose(fit.conf_int().loc[rows], expected, rtol=1e-5, atol=1e-6)


# ---- ends of ranges --------------------------------------------------------------------------------------------------

def test_a_standard_deviation_of_zero_has_no_upper_limit() -> None:
    fit = quiet(reference_cases.load("dyestuff2_singular"))
    table = fit.conf_int()
    lower, upper = table.loc["sd_(Intercept)|Batch"]
    assert lower == 0.0
    assert np.isnan(upper)
    assert table.drop("sd_(Intercept)|Batch").notna().all(axis=None)


def test_a_perfect_correlation_has_no_limits() -> None:
    rng = np.random.default_rng(0)
    a = np.arange(120) % 15
    x, b = rng.normal(size=120), rng.normal(size=15)
    y = 1 + x + b[a] + 0.9 * b[a] * x + rng.normal(size=120)
    with pytest.warns(pm.errors.SingularFitWarning):
        fit = pm.lmer("y ~ x + (x | a)", {"y": y, "x": x, "a": a.astype(str)})
    assert_allclose(fit.varcorr()["sdcor"][2], 1.0)
    table = fit.conf_int()
    assert table.loc["cor_x.(Intercept)|a"].isna().all()
    assert table.drop("cor_x.(Intercept)|a").notna().all(axis=None)


# ---- arguments -------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def fit() -> Any:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


def test_rows_and_columns(fit: Any) -> None:
    table = fit.conf_int()
    assert list(table.columns) == ["lower", "upper"]
    assert list(table.index) == ["(Intercept)", "Days", "sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject",
                                 "sd_Days|Subject", "sigma"]
    assert (table["lower"] < table["upper"]).all()


def test_intervals_widen_with_the_level(fit: Any) -> None:
    for method in ("wald", "profile"):
        narrow, wide = fit.conf_int(0.5, method), fit.conf_int(0.99, method)
        assert (wide["lower"] < narrow["lower"]).all()
        assert (wide["upper"] > narrow["upper"]).all()


@pytest.mark.parametrize("method", ["wald", "profile"])
def test_some_parameters_in_the_order_wanted(fit: Any, method: str) -> None:
    whole = fit.conf_int(method=method)
    some = fit.conf_int(method=method, parameters=iter(["sigma", "Days"]))
    assert list(some.index) == ["sigma", "Days"]
    assert_allclose(some, whole.loc[["sigma", "Days"]], rtol=1e-8)
    assert_allclose(fit.conf_int(method=method, parameters="sigma"), whole.loc[["sigma"]], rtol=1e-8)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"level": 0.0}, "level: expected a number between 0 and 1, got 0.0"),
    ({"level": 1}, "level: expected a number between 0 and 1, got 1"),
    ({"level": 95}, "level: expected a number between 0 and 1, got 95"),
    ({"level": np.nan}, "level: expected a number between 0 and 1, got nan"),
    ({"level": "0.95"}, "level: expected a number between 0 and 1, got '0.95'"),
    ({"level": True}, "level: expected a number between 0 and 1, got True"),
    ({"method": "likelihood"}, "method: expected one of 'wald', 'profile'.*, got 'likelihood'"),
    ({"parameters": "slope"}, r"parameters: expected names among \(Intercept\), Days, .*, got 'slope'"),
    ({"parameters": ["Days", 1]}, "parameters: expected names among .*, got 1"),
    ({"parameters": []}, "parameters: expected at least one name, got none"),
    ({"parameters": 3}, "parameters: expected names of parameters, got 3"),
])
def test_arguments_that_do_not_fit_are_refused(fit: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=message):
        fit.conf_int(**arguments)
    if "method" not in arguments:
        with pytest.raises((InputError, InputTypeError), match=message):
            fit.profile(**arguments)


def test_aliased_columns_have_no_row() -> None:
    data = pm.datasets.load("sleepstudy")
    data["Weeks"] = data["Days"] / 7
    with pytest.warns(pm.errors.RankDeficiencyWarning):
        fit = pm.lmer("Reaction ~ Days + Weeks + (1 | Subject)", data)
    for method in ("wald", "profile"):
        assert list(fit.conf_int(method=method).index) == ["(Intercept)", "Days", "sd_(Intercept)|Subject", "sigma"]


def test_small_sample_intervals_of_coefficients() -> None:
    """Where a t test with the same degrees of freedom does not reject."""
    fit = pm.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", pm.datasets.load("cake"))
    for ddf in ("satterthwaite", "kenward-roger", "residual"):
        table = fit.conf_int(0.9, ddf=ddf)
        p = table.index.get_indexer(fit.coefficient_names)
        for limit in ("lower", "upper"):
            at_limit = fit.contrast(np.eye(len(p)), rhs=table[limit].to_numpy()[p], ddf=ddf)
            assert_allclose(at_limit["p"], 0.1, rtol=1e-10)
        assert_allclose(table.loc["sigma"], fit.conf_int(0.9).loc["sigma"], rtol=0)
    with pytest.raises(InputError, match="ddf: expected None with method='profile'"):
        fit.conf_int(method="profile", ddf="residual")
