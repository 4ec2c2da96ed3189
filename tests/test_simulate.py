"""Responses drawn from models: their moments against closed forms, and the forms in which they are taken and given.

Seeds are fixed, so that a bound of five standard errors either always holds or never.
"""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bootstrap_models import GENERALIZED, counts, quiet
from numpy.typing import NDArray

import pymixed as pm
from pymixed._inference.resampling import make_plan
from pymixed.errors import DomainWarning, InputError, InputTypeError, MissingValuesWarning

Array = NDArray[Any]
N = 20_000


def fails(kind: type[Exception], message: str) -> Any:
    """The context of a call that must raise this kind, with the message in it."""
    return pytest.raises(kind, match=re.escape(message))


def crossed() -> pd.DataFrame:
    """24 rows, two crossed factors, weights and an offset."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=24), "g": np.repeat(list("abcdef"), 4), "h": np.tile(list("uvwz"), 6)})
    frame["w"] = 1.0 + np.arange(24) % 3
    frame["o"] = rng.normal(size=24)
    frame["y"] = frame.x + rng.normal(size=24)
    return frame


FORMULA = "y ~ x + (x | g) + (1 | h)"
TRUTH: dict[str, Any] = {"beta": [1.0, -2.0], "theta": [0.8, 0.3, 0.5, 1.2], "sigma": 1.5}


def covariance(frame: pd.DataFrame, levels: tuple[Any, Any] = (None, None)) -> Array:
    """Z Sigma Z' + sigma² / W at TRUTH; `levels` restrict the random effects to these levels of g and h."""
    T, sigma2 = np.array([[0.8, 0.0], [0.3, 0.5]]), 1.5**2
    Z = np.column_stack([np.ones(len(frame)), frame.x])
    same = [np.equal.outer(frame[name].to_numpy(), frame[name].to_numpy()) for name in "gh"]
    for matrix, name, drawn in zip(same, "gh", levels, strict=True):
        if drawn is not None:
            matrix &= frame[name].isin(drawn).to_numpy()
    return sigma2 * (same[0] * (Z @ T @ T.T @ Z.T) + same[1] * 1.2**2 + np.diag(1.0 / frame.w))


def check_moments(Y: Array, mean: Array, covariance: Array) -> None:
    """Of normal responses: every mean and every entry of the covariance within five standard errors."""
    n = Y.shape[1]
    variance = covariance.diagonal()
    assert (np.abs(Y.mean(axis=1) - mean) < 5 * np.sqrt(variance / n)).all()
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    deviation = Y - mean[:, None]
    assert (np.abs(deviation @ deviation.T / n - covariance) < 5 * error).all()


# ---- linear models ---------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def linear() -> Any:
    return quiet(pm.lmer, FORMULA, crossed(), weights="w", offset="o")


def test_moments_of_new_responses(linear):
    frame = crossed()
    mean = (1.0 - 2.0 * frame.x + frame.o).to_numpy()
    check_moments(linear.simulate(N, seed=1, params=TRUTH), mean, covariance(frame))
    check_moments(pm.simulate(FORMULA, frame, **TRUTH, weights="w", offset="o", n=N, seed=2), mean, covariance(frame))
    rows = linear.simulate(N, seed=3, params=TRUTH, newdata=frame, weights=frame.w)
    check_moments(rows, mean, covariance(frame))


def test_moments_at_the_modes(linear):
    sigma2, frame = linear.residual_variance, crossed()
    check_moments(linear.simulate(N, seed=4, re="fitted"), linear.fitted_values, np.diag(sigma2 / frame.w))


def test_moments_of_new_rows_with_seen_and_unseen_levels(linear):
    frame = crossed().drop(columns="y").replace({"g": {"a": "new", "b": "other"}, "h": {"u": "third"}})
    held = linear.predict(frame, new_levels="population")
    change = linear.simulate(N, seed=5, re="fitted", newdata=frame, weights=frame.w,
                             params={"theta": TRUTH["theta"], "sigma": 1.5})
    check_moments(change, held, covariance(frame, (["new", "other"], ["third"])))


def test_a_level_has_the_same_effect_in_all_of_its_rows(linear):
    frame = pd.DataFrame({"x": [0.0, 0.0, 0.0], "g": ["new", "a", "new"], "h": ["u"] * 3, "o": [0.0] * 3})
    Y = linear.simulate(50, seed=6, re="fitted", newdata=frame,
                        params={"theta": {"g.(Intercept)": 1e6}, "sigma": 1e-3})
    assert np.abs(Y[0] - Y[2]).max() < 0.02  # ten times the residuals
    assert Y[0].std() > 100
    assert Y[1].std() < 0.01


def test_responses_are_those_of_the_bootstrap(linear):
    Y = linear.simulate(4, seed=11)
    replicates = quiet(linear.bootstrap, 4, seed=11)
    for j in range(4):
        # the refit starts elsewhere: the optimiser's tolerance
        np.testing.assert_allclose(quiet(linear.refit, Y[:, j]).coefficients, replicates.coefficients[j], atol=1e-4)


@pytest.mark.parametrize("model", GENERALIZED)
def test_responses_of_every_family_are_those_of_the_bootstrap(model):
    options = dict(GENERALIZED[model])
    fit = quiet(pm.glmer, options.pop("formula"), counts(), **options)
    resampler = fit._engine.resampler(fit._design, fit._model_point())
    expected = resampler.responses(make_plan(fit._design, "parametric", 12, None, None), 0, 3)
    Y = fit.simulate(3, seed=12)
    np.testing.assert_array_equal(Y, expected)
    again = quiet(fit.refit, Y[:, 0])
    assert again.n_obs == 200
    assert np.isfinite(again.coefficients).all()
    draws = fit.simulate(2, seed=12, re="fitted")
    assert np.isfinite(draws).all()
    assert quiet(fit.refit, draws[:, 1]).n_obs == 200


def test_seeds_determine_responses(linear):
    frame = crossed()
    for options in ({}, {"re": "fitted"}, {"newdata": frame}):
        Y = linear.simulate(5, seed=2**64 - 1, **options)
        np.testing.assert_array_equal(linear.simulate(3, seed=2**64 - 1, **options), Y[:, :3])
        assert not np.allclose(linear.simulate(5, seed=8, **options), Y)
        assert not np.allclose(linear.simulate(**options), linear.simulate(**options))
        assert np.unique(Y).size == Y.size


def test_a_formula_gives_what_the_fit_gives(linear):
    Y = pm.simulate("~ x + (x | g) + (1 | h)", crossed(), **TRUTH, weights="w", offset="o", n=3, seed=9)
    np.testing.assert_array_equal(Y, linear.simulate(3, seed=9, params=TRUTH))
    named = {"beta": {"x": -2.0, "(Intercept)": 1.0}, "sigma": 1.5,
             "theta": dict(zip(linear.theta_names, TRUTH["theta"], strict=True))}
    np.testing.assert_array_equal(pm.simulate(FORMULA, crossed().drop(columns="y"), **named, weights="w", offset="o",
                                              n=3, seed=9), Y)
    np.testing.assert_array_equal(linear.simulate(3, seed=9, params=named), Y)


@pytest.mark.parametrize("family", ["poisson", "tweedie", pm.families.NegativeBinomial(shape=2.0)])
def test_parameters_of_a_fit_are_taken_as_they_are(family):
    response = "amount" if family == "tweedie" else "count"
    fit = quiet(pm.glmer, f"{response} ~ x + (1 | g)", counts(), family=family)
    Y = pm.simulate("~ x + (1 | g)", counts(), beta=fit.coefficients, theta=fit.theta, family=family,
                    family_parameters=fit.family_parameters, n=2, seed=5)
    np.testing.assert_allclose(Y, fit.simulate(2, seed=5), rtol=1e-12)  # parameters by way of their natural units


def test_parameters_by_name_leave_the_others(linear):
    base = linear.simulate(2, seed=9)
    np.testing.assert_allclose(linear.simulate(2, seed=9, params={"beta": {"x": linear.coefficients[1] + 1.0}}) - base,
                               np.repeat(crossed().x.to_numpy()[:, None], 2, axis=1), atol=1e-12)


def test_a_refit_finds_the_parameters():
    data = {"x": np.tile(np.arange(10.0), 400), "g": np.repeat(np.arange(400), 10)}
    truth: dict[str, Any] = {"beta": [3.0, 0.5], "theta": [1.0, 0.2, 0.4], "sigma": 2.0}
    data["y"] = pm.simulate("~ x + (x | g)", data, **truth, seed=1)[:, 0]
    fit = pm.lmer("y ~ x + (x | g)", data)
    assert (np.abs(fit.coefficients - truth["beta"]) < 4 * fit.se).all()
    limits = fit.conf_int(level=0.9999)
    assert limits.lower["sigma"] < 2.0 < limits.upper["sigma"]
    assert limits.lower["sd_x|g"] < 2.0 * np.hypot(0.2, 0.4) < limits.upper["sd_x|g"]


# ---- forms of rows ---------------------------------------------------------------------------------------------------

def test_rows_left_out_are_missing():
    frame = crossed()
    frame.loc[[2, 7], "x"] = np.nan
    fit = quiet(pm.lmer, "y ~ x + (1 | g)", frame)
    for options in ({}, {"re": "fitted"}):
        Y = fit.simulate(6, seed=1, **options)
        assert Y.shape == (24, 6)
        assert np.flatnonzero(np.isnan(Y).all(axis=1)).tolist() == [2, 7]
        assert np.isnan(Y).sum() == 12
        assert quiet(fit.refit, Y[:, 0]).n_obs == 22
        many = quiet(pm.fit_many, "~ x + (1 | g)", frame, Y)
        assert (many.n_obs == 22).all()
    with pytest.warns(MissingValuesWarning):
        Y = pm.simulate("y ~ x + (1 | g)", frame, beta=fit.coefficients, theta=fit.theta, sigma=fit.residual_std,
                        n=6, seed=1)
    np.testing.assert_array_equal(Y, fit.simulate(6, seed=1))


def test_binomial_responses_are_proportions():
    cbpp = pm.datasets.load("cbpp")
    fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    Y = fit.simulate(3, seed=1)
    successes = Y * cbpp["size"].to_numpy()[:, None]
    np.testing.assert_allclose(successes, np.round(successes), atol=1e-12)  # a division and a product
    again = fit.refit(Y[:, 0])
    many = pm.fit_many("~ period + (1 | herd)", cbpp, Y, family="binomial", weights="size")
    # two starts of the same optimiser
    np.testing.assert_allclose(many.coefficients[0], again.coefficients, atol=1e-4)
    rows = fit.simulate(2, seed=1, newdata={"period": ["1", "4"], "herd": ["1", "x"]}, weights=[7, 1])
    assert np.isin(np.round(7 * rows[0], 9), np.arange(8)).all()
    assert np.isin(rows[1], [0, 1]).all()
    with fails(InputError, "weights: expected whole numbers of trials for the binomial family, got 1.5 in row 1"):
        fit.simulate(newdata={"period": ["1", "4"], "herd": ["1", "x"]}, weights=[7, 1.5])


def test_labels_are_zero_and_one():
    frame = counts()
    frame["label"] = np.where(frame.binary == 1, "yes", "no")
    fit = quiet(pm.glmer, "label ~ x + (1 | g)", frame)
    Y = fit.simulate(2, seed=3)
    assert set(np.unique(Y)) == {0.0, 1.0}
    assert quiet(fit.refit, Y[:, 0]).n_obs == 200


def test_models_from_arrays():
    frame = crossed()
    X = np.column_stack([np.ones(24), frame.x, 2 * frame.x])
    fit = quiet(pm.lmm, frame.y, X, {"g": frame.g}, random_effects=[pm.Term("g", ["1", "x"], "diag")],
                random_data={"x": frame.x})
    assert fit.params.aliased == ("X2",)
    truth: dict[str, Any] = {"beta": [1.0, 2.0], "theta": [0.5, 0.7], "sigma": 2.0}
    same = np.equal.outer(frame.g.to_numpy(), frame.g.to_numpy())
    expected = 4.0 * (same * (0.25 + 0.49 * np.outer(frame.x, frame.x)) + np.eye(24))
    mean = (1.0 + 2.0 * frame.x).to_numpy()
    check_moments(fit.simulate(N, seed=1, params=truth), mean, expected)
    new = {"X": X, "groups": {"g": frame.g + "'"}, "random_data": {"x": frame.x}}
    check_moments(fit.simulate(N, seed=2, params=truth, newdata=new, re="fitted"), mean, expected)


def test_models_without_rows_simulate_new_ones():
    frame = crossed()
    frame["y"] += 2.0 * (frame.g > "c")
    fit, whole = pm.CrossProducts.from_batches("y ~ x + (1 | g)", [frame[:10], frame[10:]]).fit(), pm.lmer(
        "y ~ x + (1 | g)", frame)
    for how in ("new", "fitted"):
        np.testing.assert_allclose(fit.simulate(3, seed=1, newdata=frame, re=how),
                                   whole.simulate(3, seed=1, newdata=frame, re=how),
                                   atol=1e-6)  # theta to the optimiser's tolerance
    with fails(InputError, "the model was fitted from cross-products, which hold no rows"):
        fit.simulate()


def test_groups_learnt_from_their_rows_keep_their_modes():
    new = crossed()[:4].assign(g="new", y=lambda rows: rows.y + 5.0)
    fit = pm.lmer("y ~ x + (1 | g)", crossed().assign(y=lambda rows: rows.y + 2.0 * (rows.g > "c")))
    updated = fit.update_groups(new)
    Y = updated.simulate(N, seed=1, newdata=new, re="fitted")
    check_moments(Y, updated.predict(new), updated.residual_variance * np.eye(4))


# ---- families --------------------------------------------------------------------------------------------------------

FAMILIES: dict[str, tuple[Any, dict[str, float], str | None]] = {
    "binomial": (pm.families.Binomial(), {}, "trials"),
    "binary": (pm.families.Binomial("cloglog"), {}, None),
    "poisson": (pm.families.Poisson(), {}, None),
    "negative_binomial": (pm.families.NegativeBinomial(), {"shape": 1.7}, None),
    "negative_binomial, fixed": (pm.families.NegativeBinomial(shape=1.7), {}, None),
    "negative_binomial1": (pm.families.NegativeBinomial1(), {"dispersion": 0.8}, None),
    "gamma": (pm.families.Gamma("log"), {"dispersion": 0.4}, "trials"),
    "inverse_gaussian": (pm.families.InverseGaussian("log"), {"dispersion": 0.3}, "trials"),
    "beta": (pm.families.Beta(), {"precision": 4.0}, None),
    "gaussian": (pm.families.Gaussian("log"), {"dispersion": 0.6}, "trials"),
    "student_t": (pm.families.StudentT(df=9), {"dispersion": 0.5}, None),
    "tweedie": (pm.families.Tweedie(), {"dispersion": 0.7, "power": 1.4}, "trials"),
}


def moments(family: Any, eta: Array, trials: Array) -> tuple[Array, Array]:
    """Mean and variance of a response, by the text-books' formulas."""
    mu = family.mean(eta)
    variances = {
        "binomial": lambda: mu * (1 - mu) / trials, "poisson": lambda: mu,
        "negative_binomial": lambda: mu + mu**2 / 1.7, "negative_binomial1": lambda: 1.8 * mu,
        "gamma": lambda: 0.4 * mu**2 / trials, "inverse_gaussian": lambda: 0.3 * mu**3 / trials,
        "beta": lambda: mu * (1 - mu) / 5.0, "gaussian": lambda: 0.6 / trials,
        "student_t": lambda: np.full_like(mu, 0.5 * 9 / 7), "tweedie": lambda: 0.7 * mu**1.4 / trials}
    return mu, variances[family.name]()


def check_mean_and_variance(Y: Array, mean: Array, variance: Array) -> None:
    """Row by row within five standard errors, that of the variance by the sample's own fourth moment."""
    squares = (Y - mean[:, None])**2
    assert (np.abs(Y.mean(axis=1) - mean) < 5 * np.sqrt(variance / Y.shape[1])).all()
    assert (np.abs(squares.mean(axis=1) - variance) < 5 * squares.std(axis=1) / np.sqrt(Y.shape[1])).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_moments_of_every_family(name):
    family, parameters, weights = FAMILIES[name]
    data = {"x": np.linspace(-1, 1, 12), "g": np.tile(list("abc"), 4), "trials": 1.0 + np.arange(12) % 4}
    trials = data["trials"] if weights else np.ones(12)
    mean, variance = moments(family, 0.3 + 0.6 * data["x"], trials)
    Y = pm.simulate("~ x + (1 | g)", data, beta=[0.3, 0.6], theta=[0.0], family=family,
                    family_parameters=parameters or None, weights=weights, n=N, seed=21)
    check_mean_and_variance(Y, mean, variance)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "nbinom1"])
def test_moments_with_zero_inflation(family):
    data = {"x": np.linspace(-1, 1, 12), "g": np.tile(list("abc"), 4)}
    mu, pi = np.exp(0.8 + 0.6 * data["x"]), 1 / (1 + np.exp(0.5 - data["x"]))
    parameters = {"poisson": None, "negative_binomial": {"shape": 2.0}, "nbinom1": {"dispersion": 0.5}}[family]
    conditional = {"poisson": mu, "negative_binomial": mu + mu**2 / 2.0, "nbinom1": 1.5 * mu}[family]
    Y = pm.simulate("~ x + (1 | g)", data, beta=[0.8, 0.6], theta=[0.0], family=family, family_parameters=parameters,
                    zi="~ x", zi_beta={"(Intercept)": -0.5, "x": 1.0}, n=N, seed=22)
    mean = (1 - pi) * mu
    check_mean_and_variance(Y, mean, (1 - pi) * (conditional + mu**2) - mean**2)


def test_counts_of_a_group_covary():
    """Poisson counts with a normal effect of standard deviation t: log-normal means."""
    data, t = {"x": np.linspace(-1, 1, 12), "g": np.tile(list("abc"), 4)}, 0.5
    Y = pm.simulate("~ x + (1 | g)", data, beta=[0.3, 0.6], theta=[t], family="poisson", n=N, seed=23)
    mean = np.exp(0.3 + 0.6 * data["x"] + 0.5 * t**2)
    same = np.equal.outer(data["g"], data["g"])
    expected = same * np.outer(mean, mean) * np.expm1(t**2) + np.diag(mean)
    deviation = Y - mean[:, None]
    products = deviation[:, None, :] * deviation[None, :, :]
    assert (np.abs(products.mean(axis=2) - expected) < 5 * products.std(axis=2) / np.sqrt(N)).all()


def test_new_rows_of_a_zero_inflated_model():
    fit = quiet(pm.glmer, "zeros ~ x + (1 | g)", counts(), family="poisson", zi="~ x")
    new = {"x": [0.0, 1.0, 0.5], "g": [3, 3, 99]}
    Y = fit.simulate(N, seed=24, newdata=new, re="fitted", params={"zi_beta": [-0.5, 1.0], "theta": [0.5]})
    mu, pi = np.exp(fit.predict(new, new_levels="population")), 1 / (1 + np.exp(0.5 - np.array(new["x"])))
    spread = np.array([1.0, 1.0, np.exp(0.25)])  # of the mean's square: only the unseen level has an effect drawn
    mu = mu * np.sqrt(spread)
    mean = (1 - pi) * mu
    check_mean_and_variance(Y, mean, (1 - pi) * (mu + spread * mu**2) - mean**2)
    weighted = quiet(pm.glmer, "positive ~ x + (1 | g)", counts(), family=pm.families.Gamma("log"))
    Y = weighted.simulate(N, seed=25, newdata=new, re="fitted", weights=[1, 4, 2],
                          params={"theta": [0.0], "family_parameters": {"dispersion": 0.8}})
    mu = np.exp(weighted.predict(new, new_levels="population"))
    check_mean_and_variance(Y, mu, 0.8 * mu**2 / [1, 4, 2])


def test_means_that_do_not_exist_are_missing():
    data = {"x": np.linspace(-1, 1, 12), "g": np.tile(list("abc"), 4)}
    with pytest.warns(DomainWarning, match=r"6 of 12 responses could not be drawn and are NaN: the link 'inverse'"):
        Y = pm.simulate("~ x + (1 | g)", data, beta=[0.0, 1.0], theta=[0.0], family="gamma",
                        family_parameters={"dispersion": 0.1}, seed=1)
    assert np.isnan(Y[:, 0]).tolist() == [True] * 6 + [False] * 6


# ---- errors ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"n": 0}, InputError, "n: expected a positive integer, got 0"),
    ({"re": "old"}, InputError, "re: expected one of 'new', 'fitted', got 'old'"),
    ({"seed": -1}, InputError, "seed: expected an integer of at least 0, got -1"),
    ({"offset": [0.0] * 24}, InputError, "offset: expected only together with newdata, the rows of the fit have"),
    ({"weights": [1.0] * 24}, InputError, "weights: expected only together with newdata"),
    ({"params": {"b": 1}}, InputError, "params: expected out of 'beta', 'theta', 'sigma', got 'b'"),
    ({"params": {"beta": [1.0]}}, InputError, "beta: expected 2 values ((Intercept), x), got an array of shape (1,)"),
    ({"params": {"beta": {"z": 1}}}, InputError, "beta: expected names out of '(Intercept)', 'x', got 'z'"),
    ({"params": {"theta": {"g.x": np.nan}}}, InputError, "theta: expected finite values"),
    ({"params": {"theta": ["a"] * 4}}, InputTypeError, "theta: expected numbers"),
    ({"params": {"sigma": 0}}, InputError, "sigma: expected a positive number, got 0"),
    ({"newdata": {"x": [0.0], "g": ["a"], "o": [0.0]}}, InputError, "newdata: no column 'h'"),
    ({"newdata": {"x": [0.0], "g": ["a"], "h": ["u"]}}, InputError, "newdata: no column 'o'"),
    ({"newdata": crossed(), "weights": [0.0] * 24}, InputError, "weights: expected positive values, got 0.0 in row 0"),
])
def test_wrong_arguments_of_the_method(linear, options, kind, message):
    with fails(kind, message):
        linear.simulate(**options)


COUNTS: dict[str, Any] = {"formula": "~ x + (1 | g)", "data": {"x": np.linspace(-1, 1, 12),
                                                               "g": np.tile(list("abc"), 4)},
                          "beta": [0.0, 1.0], "theta": [0.5], "family": "negative_binomial"}


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({}, InputError, "family_parameters: expected a value for 'shape', got none"),
    ({"family_parameters": {"shape": 0.0}}, InputError, "shape: expected a positive number, got 0.0"),
    ({"family_parameters": {"size": 1.0}}, InputError, "family_parameters: expected names out of 'shape', got 'size'"),
    ({"family": "poisson", "family_parameters": {"shape": 1.0}}, InputError,
     "params: expected out of 'beta', 'theta', got 'family_parameters'"),
    ({"family": pm.families.NegativeBinomial(shape=2.0), "family_parameters": {"shape": 1.0}}, InputError,
     "params: expected out of 'beta', 'theta', got 'family_parameters'"),
    ({"family": "tweedie", "family_parameters": {"dispersion": 1.0, "power": 2.5}}, InputError,
     "power: expected a number between 1 and 2, got 2.5"),
    ({"family": "poisson", "sigma": 1.0}, InputError, "expected out of 'beta', 'theta', got 'sigma'"),
    ({"family": "poisson", "zi": "~ 1"}, InputError, "zi_beta: expected a value for '(Intercept)', got none"),
    ({"family": "poisson", "beta": {"x": 1.0}}, InputError,
     "beta: expected values for '(Intercept)', 'x', got none for '(Intercept)'"),
    ({"family": "poisson", "theta": [1.0, 2.0]}, InputError, "theta: expected 1 values (g.(Intercept))"),
    ({"family": "poisson", "formula": "~ z + (1 | g)"}, InputError, "z"),
])
def test_wrong_arguments_of_the_function(options, kind, message):
    with fails(kind, message):
        pm.simulate(**(COUNTS | options))


def test_custom_families_cannot_be_drawn_from():
    by_hand = pm.families.Custom(
        lambda y, eta: y * eta - np.exp(eta), lambda y, eta: y - np.exp(eta), lambda _, eta: -np.exp(eta),
        lambda _, eta: -np.exp(eta), initial_predictor=lambda y: np.log(y + 0.5), mean=np.exp, name="by hand")
    fit = quiet(pm.glmer, "count ~ x + (1 | g)", counts(), family=by_hand)
    for options in ({}, {"re": "fitted"}, {"newdata": counts()[:3]}):
        with fails(InputError, "family: expected one of the package's own to simulate responses from"):
            fit.simulate(**options)
