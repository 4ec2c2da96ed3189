"""Profile likelihoods against their definition: a dense likelihood minimised by SciPy with the parameter held.

Limits, slopes, the ends of ranges, invariances, lme4's intervals, and what is said when something goes wrong.
"""

import functools
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference_cases
from dense_glmm import DenseFamily
from models import ArrayModel, TermSpec
from models_glmm import ArrayGLMM
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from profile_judge import Judge, held, lowest
from scipy.stats import norm
from simulation_studies import STUDIES

import pymixed as pm
from pymixed._inference.intervals import linear_model
from pymixed._inference.profile import curves, profile_intervals, profile_model
from pymixed.errors import InputError, ProfileWarning

Array = NDArray[Any]

EQUATION = 1e-8   # of zeta at a limit: the package solves to 1e-9, SciPy finds the minimum to about 1e-9
SLOPE = 2e-6      # relative, of dD/dvalue; fourth-order differences of D are good to about 1e-7


# ---- models ----------------------------------------------------------------------------------------------------------

def simulated(seed: int, n: int, n_levels: tuple[int, ...], terms: tuple[TermSpec, ...], *, weights: bool = False,
              offset: bool = False, effects: float = 1.0) -> ArrayModel:
    rng = np.random.default_rng(seed)
    groups = {name: rng.permutation(np.arange(n) % size) for name, size in zip("ab", n_levels, strict=False)}
    x, z = rng.normal(size=(2, n))
    data = {"x": x, "z": z}
    y = 3 + 2 * x + rng.normal(size=n)
    for term in terms:
        codes = groups[term.group]
        for column in term.columns:
            b = effects * rng.normal(size=codes.max() + 1)
            y = y + b[codes] * (1 if column == "1" else data[column])
    return ArrayModel(y, np.column_stack([np.ones(n), x]), groups, terms, data,
                      weights=rng.uniform(0.4, 2.5, n) if weights else None,
                      offset=rng.normal(size=n) if offset else None)


MODELS = {
    "slope": simulated(1, 72, (12,), (TermSpec("a", ("1", "x")),)),
    "three columns, weights": simulated(2, 96, (12,), (TermSpec("a", ("1", "x", "z")),), weights=True),
    "crossed, offset": simulated(3, 80, (10, 8), (TermSpec("a", ("1", "x")), TermSpec("b", ("1",))), offset=True),
    "two terms, diagonal": simulated(4, 80, (10,), (TermSpec("a", ("1", "z"), "diag"), TermSpec("a", ("x",)))),
}
NAMES = ["(Intercept)", "X1", "sd_(Intercept)|a", "sd_x|a", "cor_x.(Intercept)|a", "sd_z|a", "cor_z.x|a",
         "sd_(Intercept)|b", "sigma"]


@functools.cache
def fitted(name: str, reml: bool = False) -> Any:
    return MODELS[name].fit(reml=reml)


def cases() -> list[tuple[str, str]]:
    return [(model, name) for model in MODELS for name in NAMES if name in fitted(model).conf_int().index]


@pytest.mark.parametrize(("model", "name"), cases())
def test_limits_solve_the_equation(model: str, name: str) -> None:
    fit, judge = fitted(model), Judge(MODELS[model], held(MODELS[model], name))
    best = judge.minimum(None)
    assert_allclose(-2 * fit.log_likelihood, best, atol=1e-8)
    z = norm.ppf(0.975)
    lower, upper = fit.conf_int(method="profile", parameters=name).loc[name]
    estimate = fit.profile([name]).values.query("zeta == 0")["value"].item()
    assert lower < estimate < upper
    for limit in (lower, upper):
        if (name.startswith("sd") and limit == 0) or abs(limit) == 1:  # not reached on the way to the end of the range
            assert judge.minimum(limit or 1e-9) - best < z**2
        else:
            assert_allclose(np.sqrt(judge.minimum(limit) - best), z, atol=EQUATION)


# ---- points of a profile ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("model", "name"), cases())
def test_slopes_are_derivatives(model: str, name: str) -> None:
    fit = fitted(model)
    parameter, = fit._estimated.select(name)
    start = np.append(fit.theta, np.log(fit.residual_std))

    def at(value: float) -> Any:
        found = fit._engine.constrained_fit(parameter.kind, parameter.place, value, start)
        assert found.status == "success"
        return found

    h = 2e-3 * parameter.se
    for value in (parameter.estimate - 0.7 * parameter.se, parameter.estimate + 1.3 * parameter.se):
        if parameter.kind == "cor" and abs(value) > 0.95:
            continue
        D = [at(value + k * h).deviance for k in (-2, -1, 1, 2)]
        difference = (D[0] - 8 * D[1] + 8 * D[2] - D[3]) / (12 * h)
        assert_allclose(at(value).slope, difference, rtol=SLOPE, atol=SLOPE / parameter.se)


def test_the_core_is_left_as_it_was() -> None:
    fit = fitted("crossed, offset")
    before = fit.deviance_at(fit.theta), fit.gradient_at(fit.theta)
    fit.conf_int(method="profile")
    assert fit.deviance_at(fit.theta) == before[0]
    np.testing.assert_array_equal(fit.gradient_at(fit.theta), before[1])


# ---- lme4 ------------------------------------------------------------------------------------------------------------

def profiled_cases() -> list[str]:
    return [name for name in [*reference_cases.linear_cases(), *reference_cases.glmm_cases()]
            if load(name).results.get("confint_profile")]


def load(name: str) -> reference_cases.Case:
    return reference_cases.load_glmm(name) if name in reference_cases.glmm_cases() else reference_cases.load(name)


def interval_key(name: str) -> tuple[str, ...]:
    """Names without R's order of interactions and nestings."""
    return tuple(sorted(reference_cases.plain(name).replace("|", ":").split(":")))


@pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")
@pytest.mark.parametrize("name", profiled_cases())
def test_intervals_are_those_of_lme4(name: str) -> None:
    case = load(name)
    ref = case.results["confint_profile"]
    table = case.fit().conf_int(method="profile")
    ours = {interval_key(str(row)): limits for row, limits in zip(table.index, table.to_numpy(), strict=True)}
    assert len(ours) == len(ref["rows"])
    for row, theirs in zip(ref["rows"], ref["values"], strict=True):
        if any(row in warning for warning in ref["warnings"]):
            continue  # lme4's spline failed
        width = theirs[1] - theirs[0]
        # lme4 interpolates with splines: good to 1e-4 of the width
        assert_allclose(ours[interval_key(row)], theirs, rtol=0, atol=1e-4 * width)


def test_there_are_eleven_of_them() -> None:
    assert len(profiled_cases()) == 11


# ---- ends of ranges --------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def no_variance() -> Any:
    with pytest.warns(pm.errors.SingularFitWarning):
        return pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff2"))


def test_a_standard_deviation_of_zero_has_one_side(no_variance: Any) -> None:
    table = no_variance.conf_int(method="profile")
    assert table.loc["sd_(Intercept)|Batch", "lower"] == 0.0
    assert_allclose(table.loc["sd_(Intercept)|Batch", "upper"], 2.0840478, rtol=1e-6)
    points = no_variance.profile().values.query("parameter == 'sd_(Intercept)|Batch'")
    assert points["zeta"].min() == 0.0
    assert (points["value"] >= 0).all()


def perfect() -> ArrayModel:
    """A slope that is a multiple of the intercept: a correlation of one."""
    rng = np.random.default_rng(0)
    a = np.arange(120) % 15
    x = rng.normal(size=120)
    b = rng.normal(size=15)
    y = 1 + x + b[a] + 0.9 * b[a] * x + rng.normal(size=120)
    return ArrayModel(y, np.column_stack([np.ones(120), x]), {"a": a}, (TermSpec("a", ("1", "x")),), {"x": x})


def test_a_correlation_of_one_has_one_side() -> None:
    model = perfect()
    fit = model.fit(reml=False)
    name = "cor_x.(Intercept)|a"
    assert_allclose(fit.varcorr()["sdcor"][2], 1.0)
    lower, upper = fit.conf_int(method="profile", parameters=[name]).loc[name]
    assert upper == 1.0
    judge = Judge(model, held(model, name))
    assert_allclose(np.sqrt(judge.minimum(lower) + 2 * fit.log_likelihood), norm.ppf(0.975), atol=EQUATION)
    profile = fit.profile([name])
    assert_allclose(profile.zeta(name, [1.0, lower]), [0.0, -norm.ppf(0.975)], atol=2e-3)


def test_a_correlation_with_a_column_without_variance_has_no_profile() -> None:
    fit = fitted("slope")
    params = replace(fit.params, theta=np.array([fit.theta[0], 0.0, 0.0]))
    model = linear_model(fit._engine, fit._design, params, fit._variance_derivatives)
    with pytest.warns(ProfileWarning, match="not defined at the estimates, .*: cor_x"):
        table = profile_intervals(curves(model, ["X1", "cor_x.(Intercept)|a"]), 0.95)
    assert table.loc["cor_x.(Intercept)|a"].isna().all()
    assert table.loc["X1"].notna().all()
    with pytest.warns(ProfileWarning, match="not defined"):
        profile = profile_model(model, None, 0.5)
    assert np.isnan(profile.zeta("cor_x.(Intercept)|a", 0.0))
    assert not profile.values["parameter"].isin(["cor_x.(Intercept)|a"]).any()


def test_where_a_standard_deviation_may_be_zero_no_correlation_is_excluded() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = reference_cases.load("orthodont_slope").fit()
    table = fit.conf_int(method="profile")
    assert table.loc["sd_age|Subject", "lower"] == 0.0
    assert table.loc["cor_age.(Intercept)|Subject"].tolist() == [-1.0, 1.0]


def test_a_profile_that_levels_off_has_no_limit() -> None:
    """Successes only at one level: any larger coefficient is as good."""
    rng = np.random.default_rng(0)
    a = np.repeat(np.arange(20), 6)
    x = np.tile([0.0, 1.0], 60)
    y = (rng.random(120) < 1 / (1 + np.exp(-0.3 - rng.normal(size=20)[a]))).astype(float)
    y[x == 1.0] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = pm.glmm(y, np.column_stack([np.ones(120), x]), {"a": a})
        lower, upper = fit.conf_int(method="profile", parameters="X1").loc["X1"]
    assert 1.0 < lower < 10.0
    assert upper == np.inf


# ---- invariances -----------------------------------------------------------------------------------------------------

def test_reml_is_profiled_by_maximum_likelihood() -> None:
    ml, reml = (fitted("slope", reml).conf_int(method="profile") for reml in (False, True))
    assert_allclose(reml, ml, rtol=1e-6)  # two fits, each at a distance of its own from the minimum


def test_limits_follow_the_units() -> None:
    model = MODELS["three columns, weights"]
    scaled = replace(model, y=10 * model.y, data={**model.data, "x": 1e5 * model.data["x"]})
    ours, theirs = model.fit().conf_int(method="profile"), scaled.fit().conf_int(method="profile")
    factor = np.array([1.0 if name.startswith("cor") else 1e-4 if name == "sd_x|a" else 10.0 for name in ours.index])
    assert_allclose(theirs, factor[:, None] * ours, rtol=2e-7)


def test_limits_of_a_covariate_far_from_zero() -> None:
    """The profile of a slope does not care about the location of its column."""
    model = MODELS["slope"]
    x = model.data["x"] + 1000.0
    moved = replace(model, X=np.column_stack([np.ones(len(x)), x]), data={"x": x})
    names = ["X1", "sd_x|a", "sigma"]
    assert_allclose(moved.fit().conf_int(method="profile", parameters=names),
                    model.fit().conf_int(method="profile", parameters=names), rtol=1e-6)


# ---- generalized models ----------------------------------------------------------------------------------------------

def glmm(seed: int, family: DenseFamily, columns: tuple[str, ...] = ("1",), zero: bool = False) -> ArrayGLMM:
    rng = np.random.default_rng(seed)
    n, a = 90, np.arange(90) % 15
    x = rng.normal(size=n)
    eta = 0.4 + 0.5 * x + 0.8 * rng.normal(size=15)[a] + ("x" in columns) * 0.6 * rng.normal(size=15)[a] * x
    if family.distribution == "binomial":
        y = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    elif family.distribution == "negative_binomial":
        y = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n)).astype(float)
    else:
        y = rng.poisson(np.exp(eta)).astype(float)
    if zero:
        y[rng.random(n) < 0.25] = 0.0
    return ArrayGLMM(y, np.column_stack([np.ones(n), x]), {"a": a}, (TermSpec("a", columns),), family, {"x": x},
                     zero_inflation=np.ones((n, 1)) if zero else None)


GENERALIZED = {
    "binomial": (glmm(1, DenseFamily("binomial", "logit")), ["X1", "sd_(Intercept)|a"]),
    "poisson": (glmm(2, DenseFamily("poisson", "log"), ("1", "x")), ["(Intercept)", "sd_x|a", "cor_x.(Intercept)|a"]),
    "negative binomial": (glmm(3, DenseFamily("negative_binomial", "log")), ["shape", "sd_(Intercept)|a"]),
    "zero-inflated": (glmm(4, DenseFamily("poisson", "log"), zero=True), ["zi.(Intercept)"]),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, (_, names) in GENERALIZED.items() for name in names])
def test_generalized_limits_solve_the_equation(kind: str, name: str) -> None:
    model = GENERALIZED[kind][0]
    fit, dense = model.fit(), model.dense()
    m = fit.theta.size
    position = {"(Intercept)": m, "X1": m + 1, "shape": m + 2, "zi.(Intercept)": m + 2}

    def psi(free: Array, value: float) -> Array:
        """Parameters of the dense model with one held, two columns at most."""
        if name.startswith(("sd", "cor")):
            rest = free[m - 1:]
            if m == 1:
                return np.array([value, *rest])
            sd = np.exp(free[:2]) if name.startswith("cor") else np.array([np.exp(free[0]), value])
            r = value if name.startswith("cor") else np.tanh(free[1])
            return np.array([sd[0], sd[1] * r, sd[1] * np.sqrt(1 - r**2), *rest])
        return np.insert(free, position[name], np.log(value) if name == "shape" else value)

    estimate = np.concatenate([fit.theta, fit.coefficients, fit.params.extra])
    assert_allclose(dense.criterion(estimate), -2 * fit.log_likelihood, rtol=1e-10)
    z = norm.ppf(0.975)
    for limit in fit.conf_int(method="profile", parameters=name).loc[name]:
        if name == "cor_x.(Intercept)|a":
            start = np.array([np.log(estimate[0]), np.log(np.hypot(*estimate[1:3])), *estimate[m:]])
        elif name == "sd_x|a":
            start = np.array([np.log(estimate[0]), 0.0, *estimate[m:]])
        else:
            start = np.delete(estimate, 0 if name.startswith("sd") else position[name])
        minimum = lowest(lambda free, limit=limit: dense.criterion(psi(free, limit)), start)
        if limit in (0.0, 1.0):  # not reached on the way to the end of the range
            assert minimum + 2 * fit.log_likelihood < z**2
        else:
            assert_allclose(np.sqrt(minimum + 2 * fit.log_likelihood), z, atol=EQUATION)


def test_profiled_coefficients_have_no_profile() -> None:
    fit = GENERALIZED["binomial"][0].fit(n_agq=0)
    with pytest.raises(InputError, match=r"fit with n_agq=1, or ask for parameters=\['sd_\(Intercept\)\|a'\]"):
        fit.conf_int(method="profile")
    lower, upper = fit.conf_int(method="profile", parameters="sd_(Intercept)|a").loc["sd_(Intercept)|a"]
    assert 0 <= lower < fit.theta[0] < upper


def test_the_core_refuses_what_the_model_does_not_have() -> None:
    linear, generalized = fitted("two terms, diagonal", reml=True), GENERALIZED["binomial"][0].fit(n_agq=0)
    start = np.append(linear.theta, 0.0)
    for kind, place in [("coefficient", (0, 0, 0)), ("cor", (0, 1, 0)), ("sd", (5, 0, 0)), ("sd", (0, 7, 0)),
                        ("family", (0, 0, 0)), ("variance", (0, 0, 0))]:
        with pytest.raises(ValueError, match="expected"):
            linear._engine.constrained_fit(kind, place, 0.5, start)
    for kind, place in [("coefficient", (0, 0, 0)), ("sigma", (0, 0, 0)), ("family", (0, 0, 0)), ("zi", (0, 0, 0))]:
        with pytest.raises(ValueError, match="expected"):
            generalized._engine.constrained_fit(kind, place, 0.5, generalized.theta)


# ---- trouble ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def slopes() -> Any:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


def test_a_fit_above_the_minimum_is_told_of(slopes: Any) -> None:
    model = slopes._likelihood_estimated
    with pytest.warns(ProfileWarning, match="below the criterion of the fit"):
        profile_intervals(curves(replace(model, objective=model.objective + 3.0), None), 0.95)


def test_a_profile_that_cannot_be_followed_is_nan(slopes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = slopes._likelihood_fit
    original = fit._engine.constrained_fit

    def broken(kind: str, place: Any, value: float, start: Array) -> Any:
        found = original(kind, place, value, start)
        return found if value < fit.residual_std else found._replace(status="broken", expected_gain=1.0)

    monkeypatch.setattr(fit._engine, "constrained_fit", broken)
    with pytest.warns(ProfileWarning, match="limits of the profiles of sigma were not found"):
        lower, upper = slopes.conf_int(method="profile", parameters="sigma").loc["sigma"]
    assert np.isnan(upper)
    assert 22 < lower < 23
    with pytest.warns(ProfileWarning, match="the profiles of sigma end early"):
        slopes.profile("sigma")


@pytest.mark.filterwarnings("ignore:singular fit")
def test_a_limit_where_a_standard_deviation_is_about_to_vanish() -> None:
    """The core's iteration is slow there; the point that it leaves is good enough."""
    study = STUDIES["slopes"]
    y = study.responses(np.random.default_rng([study.seed, 382]))
    fit = study.fit(y, reml=False)
    limit = float(fit.conf_int(method="profile", parameters="X1").loc["X1", "upper"])
    restricted = study.fit(y, np.delete(study.X, 1, axis=1), reml=False, offset=limit * study.X[:, 1],
                           optimizer="Nelder-Mead")
    # TOLERATED_GAIN of the criterion at the limit
    assert_allclose(restricted.params.objective - fit.params.objective, norm.isf(0.025) ** 2, atol=2e-6)
