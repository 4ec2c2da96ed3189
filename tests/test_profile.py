"""Profile likelihoods against their definition: a dense likelihood minimised by SciPy with the parameter held.

The judge takes the model in its natural parameters (standard deviations, correlations, sigma, coefficients) and forms
the covariance of y; it shares nothing with the package but the data.
"""

import functools
import itertools
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference_cases
from dense_glmm import DenseFamily
from models import ArrayModel, TermSpec
from models_glmm import ArrayGLMM
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

import pymixed as pm
from pymixed._profile import curves, profile_intervals
from pymixed.errors import InputError, ProfileWarning

Array = NDArray[Any]

EQUATION = 1e-8   # of zeta at a limit: the package solves to 1e-9, SciPy finds the minimum to about 1e-9
SLOPE = 2e-6      # relative, of dD/dvalue; fourth-order differences of D are good to about 1e-7


# ---- the judge -------------------------------------------------------------------------------------------------------

def correlations(partial: Array, order: tuple[int, ...]) -> Array:
    """Correlation matrix (c, c) from partial correlations of a vine: order[0] with the others, order[1] given order[0]
    with the rest, ... (Joe 2006, J. Multivariate Anal. 97(10)), so that that of order[0] and order[1] is the first."""
    c = len(order)
    P = np.eye(c)
    for value, (i, j) in zip(partial, itertools.combinations(range(c), 2), strict=True):
        r = value
        for k in reversed(range(i)):
            r = r * np.sqrt((1 - P[k, i] ** 2) * (1 - P[k, j] ** 2)) + P[k, i] * P[k, j]
        P[i, j] = value  # partial ones above the diagonal
        P[j, i] = r
    R = np.tril(P, -1) + np.tril(P, -1).T + np.eye(c)
    back = np.argsort(order)
    return R[np.ix_(back, back)]


def exp(x: float) -> float:
    """Held where a line search runs away."""
    return float(np.exp(np.clip(x, -20, 8)))


@dataclass
class Judge:
    """The maximum-likelihood criterion of an array model with something held.

    `held`: ("sd", term, column), ("cor", term, a, b), ("sigma",) or ("beta", j).
    """

    model: ArrayModel
    held: tuple[Any, ...]

    def __post_init__(self) -> None:
        dense = self.model.dense(reml=False)
        self.y, self.X, self.W_inverse = dense.y, dense.X, dense.W_inverse
        self.terms, self.Z = dense.terms, [term.Z for term in dense.terms]

    def criterion(self, free: Array, value: float | None) -> float:
        """At logarithms of standard deviations, inverse tanh of partial correlations, log(sigma), less what is held."""
        kind, place = self.held[0], self.held[1:]
        values = iter(free)
        V = np.zeros((len(self.y),) * 2)
        for i, (term, Z) in enumerate(zip(self.terms, self.Z, strict=True)):
            c = term.columns.shape[1]
            sd = np.array([value if value is not None and (kind, place) == ("sd", (i, j)) else exp(next(values))
                           for j in range(c)])
            R = np.eye(c)
            if term.structure == "us":
                first = tuple(place[1:]) if kind == "cor" and place[0] == i else ()
                order = (*first, *(j for j in range(c) if j not in first))
                partial = np.array([value if value is not None and first and k == 0 else np.tanh(next(values))
                                    for k in range(c * (c - 1) // 2)])
                R = correlations(partial, order)
            V += Z @ np.kron(np.eye(term.n_levels), np.outer(sd, sd) * R) @ Z.T
        sigma = value if value is not None and kind == "sigma" else exp(next(values))
        V += sigma**2 * self.W_inverse
        y, X = self.y, self.X
        if value is not None and kind == "beta":
            y, X = y - value * X[:, place[0]], np.delete(X, place[0], axis=1)
        L = np.linalg.cholesky(V)
        white = np.linalg.solve(L, np.column_stack([X, y]))
        residual = white[:, -1] - white[:, :-1] @ np.linalg.lstsq(white[:, :-1], white[:, -1])[0]
        return float(2 * np.log(np.diag(L)).sum() + residual @ residual + len(y) * np.log(2 * np.pi))

    def minimum(self, value: float | None) -> float:
        """Over everything that is not held, from a neutral start."""
        n_free = sum(t.columns.shape[1] + (t.structure == "us") * t.columns.shape[1] * (t.columns.shape[1] - 1) // 2
                     for t in self.terms) + 1
        if value is not None and self.held[0] != "beta":
            n_free -= 1
        return lowest(lambda x: self.criterion(x, value), np.zeros(n_free))


def lowest(function: Callable[[Array], float], start: Array) -> float:
    """BFGS with central differences, begun anew until it gains nothing."""
    def gradient(x: Array) -> Array:
        steps = 1e-5 * np.eye(len(x))
        return np.array([(function(x + step) - function(x - step)) / 2e-5 for step in steps])

    found = minimize(function, start, jac=gradient, method="BFGS", options={"gtol": 1e-7})
    while (again := minimize(function, found.x, jac=gradient, method="BFGS", options={"gtol": 1e-7})).fun < found.fun:
        if found.fun - again.fun < 1e-10:
            break
        found = again
    return float(min(again.fun, found.fun))


def held(model: Any, name: str) -> tuple[Any, ...]:
    """What the judge holds for a name of the package."""
    if name == "sigma":
        return ("sigma",)
    if name in ("(Intercept)", "X1"):
        return ("beta", int(name == "X1"))
    kind, rest = name.split("_", 1)
    columns, group = rest.split("|")
    for i, term in enumerate(model.terms):
        names = ["(Intercept)" if c == "1" else c for c in term.columns]
        if term.group == group and set(columns.split(".")) <= set(names):
            return (kind, i, *(names.index(c) for c in columns.split(".")))
    raise AssertionError(name)


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
NAMES = ["(Intercept)", "X1", "sd_(Intercept)|a", "sd_x|a", "cor_x.(Intercept)|a", "sd_z|a", "cor_z.x|a", "sd_(Intercept)|b",
         "sigma"]


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
    rng = np.random.default_rng(3)
    a, x, y = np.arange(60) % 6, rng.normal(size=60), rng.normal(size=60)
    for level in range(6):  # all groups have the same line
        X = np.column_stack([np.ones(10), x[a == level]])
        y[a == level] -= X @ np.linalg.lstsq(X, y[a == level])[0]
    fit = ArrayModel(y, np.ones((60, 1)), {"a": a}, (TermSpec("a", ("1", "x")),), {"x": x}).fit(reml=False)
    assert not fit.theta.any()
    with pytest.warns(ProfileWarning, match="not defined at the estimates, .*: cor_x"):
        table = fit.conf_int(method="profile")
    assert table.loc["cor_x.(Intercept)|a"].isna().all()
    assert table.drop("cor_x.(Intercept)|a").notna().all(axis=None)


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

    def psi(free: Array, value: float) -> Array:
        """Parameters of the dense model with one held, two columns at most."""
        if name.startswith(("sd", "cor")):
            rest = free[m - 1:]
            if m == 1:
                return np.array([value, *rest])
            sd = np.exp(free[:2]) if name.startswith("cor") else np.array([np.exp(free[0]), value])
            r = value if name.startswith("cor") else np.tanh(free[1])
            return np.array([sd[0], sd[1] * r, sd[1] * np.sqrt(1 - r**2), *rest])
        position = {"(Intercept)": m, "X1": m + 1, "shape": m + 2, "zi.(Intercept)": m + 2}[name]
        return np.insert(free, position, np.log(value) if name == "shape" else value)

    estimate = np.concatenate([fit.theta, fit.coefficients, fit.params.extra])
    assert_allclose(dense.criterion(estimate), -2 * fit.log_likelihood, rtol=1e-10)
    z = norm.ppf(0.975)
    for limit in fit.conf_int(method="profile", parameters=name).loc[name]:
        if name == "cor_x.(Intercept)|a":
            start = np.array([np.log(estimate[0]), np.log(np.hypot(*estimate[1:3])), *estimate[m:]])
        elif name == "sd_x|a":
            start = np.array([np.log(estimate[0]), 0.0, *estimate[m:]])
        else:
            start = np.delete(estimate, {"(Intercept)": m, "X1": m + 1}.get(name, 0 if m == 1 and name[:2] == "sd" else m + 2))
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


# ---- the object ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def sleepstudy() -> Any:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


def test_values_hold_the_other_parameters_along_the_path(sleepstudy: Any) -> None:
    table = sleepstudy.profile().values
    names = list(sleepstudy.conf_int().index)
    assert list(table.columns) == ["parameter", "value", "zeta", *names]
    assert list(table["parameter"].unique()) == names
    for name, points in table.groupby("parameter"):
        assert_allclose(points["value"], points[name], rtol=1e-12, atol=1e-12)
        assert points["value"].is_monotonic_increasing
        assert points["zeta"].is_monotonic_increasing
        assert points["zeta"].max() > 2.9
        assert np.diff(points["zeta"]).max() < 0.7  # about equally spaced: twelve per side at most
    middle = table.query("zeta == 0")
    assert len(middle) == len(names)
    assert np.ptp(middle[names].to_numpy(), axis=0).max() == 0.0


def test_some_parameters_only(sleepstudy: Any) -> None:
    profile = sleepstudy.profile(["sigma", "Days"])
    assert profile.parameters == ("sigma", "Days")
    assert list(profile.conf_int(0.9).index) == ["sigma", "Days"]
    assert sleepstudy.profile("Days").parameters == ("Days",)
    assert "Profile of sigma, Days" in repr(profile)


def test_intervals_of_a_profile_are_those_of_the_fit(sleepstudy: Any) -> None:
    profile = sleepstudy.profile()
    for level in (0.5, 0.95, 0.9999):
        pd.testing.assert_frame_equal(profile.conf_int(level), sleepstudy.conf_int(level, method="profile"), rtol=1e-8)


def test_zeta_between_the_points(sleepstudy: Any) -> None:
    profile = sleepstudy.profile()
    for level in (0.3, 0.8, 0.97):
        z = norm.ppf(0.5 + level / 2)
        for name, limits in profile.conf_int(level).iterrows():
            fresh = sleepstudy.profile([name])  # without the limits among its points
            assert_allclose(fresh.zeta(name, limits), [-z, z], atol=5e-3)
    points = profile.values.query("parameter == 'sigma'")
    assert_allclose(profile.zeta("sigma", points["value"]), points["zeta"], atol=1e-9)
    assert np.isnan(profile.zeta("sigma", [[1.0, 1e6]])).all()
    assert profile.zeta("cor_Days.(Intercept)|Subject", [-2.0, 2.0]).tolist() == pytest.approx([np.nan] * 2, nan_ok=True)
    with pytest.raises(InputError, match="parameter: expected one of .*, got 'Day'"):
        profile.zeta("Day", 1.0)


def test_a_family_is_profiled_in_natural_units() -> None:
    fit = GENERALIZED["negative binomial"][0].fit()
    profile = fit.profile("shape")
    points = profile.values
    assert_allclose(points["value"], points["shape"], rtol=1e-12)
    assert_allclose(points.query("zeta == 0")["value"], fit.dispersion)
    lower, upper = profile.conf_int().loc["shape"]
    assert_allclose(profile.zeta("shape", [lower, upper]), [-norm.ppf(0.975), norm.ppf(0.975)], atol=5e-3)


def test_a_profile_survives_pickling(sleepstudy: Any) -> None:
    profile = sleepstudy.profile(["Days"])
    copy = pickle.loads(pickle.dumps(profile))
    pd.testing.assert_frame_equal(copy.values, profile.values)
    pd.testing.assert_frame_equal(copy.conf_int(0.999), profile.conf_int(0.999))


def test_a_fit_above_the_minimum_is_told_of(sleepstudy: Any) -> None:
    model = sleepstudy._likelihood_estimated
    with pytest.warns(ProfileWarning, match="below the criterion of the fit"):
        profile_intervals(curves(replace(model, objective=model.objective + 3.0), None), 0.95)


def test_a_profile_that_cannot_be_followed_is_nan(sleepstudy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = sleepstudy._likelihood_fit
    original = fit._engine.constrained_fit

    def broken(kind: str, place: Any, value: float, start: Array) -> Any:
        found = original(kind, place, value, start)
        return found if value < fit.residual_std else found._replace(status="broken", expected_gain=1.0)

    monkeypatch.setattr(fit._engine, "constrained_fit", broken)
    with pytest.warns(ProfileWarning, match="limits of the profiles of sigma were not found"):
        lower, upper = sleepstudy.conf_int(method="profile", parameters="sigma").loc["sigma"]
    assert np.isnan(upper)
    assert 22 < lower < 23
    with pytest.warns(ProfileWarning, match="the profiles of sigma end early"):
        sleepstudy.profile("sigma")
