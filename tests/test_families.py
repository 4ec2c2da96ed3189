"""Families, distributions and links on the Python side: laws, scipy.stats as the outside source, bad input."""

import pickle
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

import pymixed as pm
from pymixed import _core, _distributions, families
from pymixed._distributions import Distribution
from pymixed._links import LINKS
from pymixed.errors import InputError, InputTypeError

UNIT = np.array([1e-6, 0.02, 0.3, 0.5, 0.8, 0.999])
POSITIVE = np.array([1e-3, 0.2, 1.0, 3.7, 250.0])
MEANS = {name: UNIT if name in ("logit", "probit", "cloglog", "cauchit") else POSITIVE for name in LINKS}


def frozen(distribution: str, mu: Any, parameters: dict[str, float]) -> Any:
    """The same distribution in scipy's parameters."""
    dispersion = parameters.get("dispersion", 1.0)
    match distribution:
        case "poisson":
            return stats.poisson(mu)
        case "negative_binomial":
            size = parameters["shape"]
            return stats.nbinom(size, size / (size + mu))
        case "negative_binomial1":
            return stats.nbinom(mu / dispersion, 1 / (1 + dispersion))
        case "gamma":
            return stats.gamma(1 / dispersion, scale=mu * dispersion)
        case "inverse_gaussian":
            return stats.invgauss(mu * dispersion, scale=1 / dispersion)
        case "beta":
            precision = parameters["precision"]
            return stats.beta(mu * precision, (1 - mu) * precision)
        case "gaussian":
            return stats.norm(mu, np.sqrt(dispersion))
        case "student_t":
            return stats.t(parameters["df"], mu, np.sqrt(dispersion))
    raise AssertionError(distribution)


# a distribution, its parameters on the core's scale, responses, means
CASES: dict[str, tuple[Distribution, list[float], list[float], list[float]]] = {
    "poisson": (_distributions.Poisson(), [], [0, 1, 4, 60], [0.3, 2.5, 2.5, 50.0]),
    "negative_binomial": (_distributions.NegativeBinomial(), [0.4], [0, 1, 4, 60], [0.3, 2.5, 2.5, 50.0]),
    "fixed shape": (_distributions.NegativeBinomial(2.5), [], [0, 1, 4, 60], [0.3, 2.5, 2.5, 50.0]),
    "negative_binomial1": (_distributions.NegativeBinomial1(), [0.7], [0, 1, 4, 60], [0.3, 2.5, 2.5, 50.0]),
    "gamma": (_distributions.Gamma(), [-1.2], [0.1, 1.0, 7.0, 40.0], [0.3, 1.0, 2.5, 50.0]),
    "inverse_gaussian": (_distributions.InverseGaussian(), [-1.2], [0.1, 1.0, 7.0, 40.0], [0.3, 1.0, 2.5, 50.0]),
    "beta": (_distributions.Beta(), [1.8], [0.05, 0.4, 0.6, 0.99], [0.1, 0.4, 0.5, 0.9]),
    "gaussian": (_distributions.Gaussian(), [0.6], [-2.0, 0.1, 0.5, 9.0], [-1.0, 0.1, 2.5, 6.0]),
    "student_t": (_distributions.StudentT(), [0.6, 1.1], [-2.0, 0.1, 0.5, 9.0], [-1.0, 0.1, 2.5, 6.0]),
    "fixed df": (_distributions.StudentT(7.0), [0.6], [-2.0, 0.1, 0.5, 9.0], [-1.0, 0.1, 2.5, 6.0]),
    "tweedie": (_distributions.Tweedie(), [0.2, -0.8], [0.0, 0.4, 2.0, 30.0], [0.3, 0.4, 2.5, 20.0]),
    "binomial": (_distributions.Binomial(), [], [0.0, 1.0, 0.5, 0.25], [0.2, 0.9, 0.3, 0.6]),
}


@pytest.fixture(params=CASES)
def case(request):
    """Distribution, parameters in natural units, responses and means."""
    distribution, unconstrained, y, mu = CASES[request.param]
    return distribution, distribution.natural(np.array(unconstrained)), np.array(y, float), np.array(mu)


# ---- links -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LINKS)
def test_inverse_of_a_link(name):
    link, mu = LINKS[name], MEANS[name]
    np.testing.assert_allclose(link.inverse(link.link(mu)), mu, rtol=1e-9)


@pytest.mark.parametrize("name", LINKS)
def test_derivative_of_an_inverse_link(name):
    link = LINKS[name]
    eta = link.link(MEANS[name])
    step = 1e-5 * np.where(eta == 0, 1.0, np.abs(eta))
    numeric = (link.inverse(eta + step) - link.inverse(eta - step)) / (2 * step)
    np.testing.assert_allclose(link.inverse_derivative(eta), numeric, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "cauchit", "log"])
def test_far_linear_predictors_do_no_harm(name):
    eta = np.array([-800.0, -40.0, 40.0, 800.0])
    for values in (LINKS[name].inverse(eta), LINKS[name].inverse_derivative(eta)):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    if name != "log":
        assert (LINKS[name].inverse(eta) < 1).all()


# ---- distributions ---------------------------------------------------------------------------------------------------

def test_parameters_in_natural_units():
    assert CASES["tweedie"][0].natural(np.array([np.log(2.0), 0.0])) == pytest.approx({"dispersion": 2, "power": 1.5})
    fixed = CASES["fixed shape"][0]
    assert fixed.natural(np.empty(0)) == {"shape": 2.5}
    assert (fixed.estimated, fixed.estimated_names) == ((), ())
    assert _distributions.StudentT(4.0).estimated_names == ("log(dispersion)",)
    assert _distributions.Tweedie().estimated_names == ("log(dispersion)", "logit(power - 1)")
    assert _distributions.Poisson().dispersion({}) == 1.0
    assert fixed.dispersion({"shape": 2.5}) == 2.5


def test_unit_deviance_vanishes_at_the_mean_alone(case):
    distribution, parameters, y, mu = case
    possible = mu if distribution.name in ("beta", "gaussian", "student_t", "gamma", "inverse_gaussian") else np.array(
        [1.0, 2.0, 4.0, 9.0]) / (10.0 if distribution.name == "binomial" else 1.0)
    np.testing.assert_allclose(distribution.unit_deviance(possible, possible, parameters), 0.0, atol=1e-12)
    assert (distribution.unit_deviance(y, mu, parameters)[y != mu] > 0).all()


def test_unit_deviance_is_the_integral_of_the_variance_function(case):
    """Its derivative in mu is -2 (y - mu) / V(mu); the t distribution has that of its density instead."""
    distribution, parameters, y, mu = case
    step = 1e-5 * np.abs(mu)
    numeric = (distribution.unit_deviance(y, mu + step, parameters)
               - distribution.unit_deviance(y, mu - step, parameters)) / (2 * step)
    exact = -2 * (y - mu) / distribution.variance(mu, parameters)
    if distribution.name == "student_t":
        exact *= (parameters["df"] + 1) / (parameters["df"] + (y - mu) ** 2 / parameters["dispersion"])
    np.testing.assert_allclose(numeric, exact, rtol=1e-6, atol=1e-8)


def test_a_large_shape_is_poisson():
    y, mu = np.array([0.0, 3.0, 2e5]), np.array([0.1, 4.0, 1.9e5])
    shaped = _distributions.NegativeBinomial().unit_deviance(y, mu, {"shape": 1e15})
    np.testing.assert_allclose(shaped, _distributions.Poisson().unit_deviance(y, mu, {}), rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("tweedie", "binomial")])
def test_variance_and_distribution_function_are_scipys(name):
    distribution, unconstrained, y, mu = CASES[name]
    parameters = distribution.natural(np.array(unconstrained))
    y, mu = np.array(y, float), np.array(mu)
    theirs = frozen(distribution.name, mu, parameters)
    if distribution.name != "student_t":  # whose V is 1
        scale = distribution.dispersion(parameters) if distribution.dispersed else 1.0
        np.testing.assert_allclose(scale * distribution.variance(mu, parameters), theirs.var(), rtol=1e-10)
    lower, upper = distribution.cdf(y, mu, None, parameters)
    np.testing.assert_allclose(upper, theirs.cdf(y), rtol=1e-9)
    np.testing.assert_allclose(lower, theirs.cdf(y - 1) if distribution.discrete else upper, rtol=1e-9)


def test_distribution_function_of_binomial_proportions():
    trials, mu = np.array([1.0, 1.0, 12.0, 12.0, 12.0]), np.array([0.2, 0.9, 0.3, 0.3, 0.3])
    successes = np.array([0.0, 1.0, 0.0, 5.0, 12.0])
    lower, upper = _distributions.Binomial().cdf(successes / trials, mu, trials, {})
    np.testing.assert_allclose(upper, stats.binom.cdf(successes, trials, mu), rtol=1e-10)
    np.testing.assert_allclose(lower, stats.binom.cdf(successes - 1, trials, mu), rtol=1e-10)


def test_distribution_function_of_a_tweedie_variable():
    """Against simulated sums of gamma variables, and the probability of zero."""
    rng = np.random.default_rng(3)
    parameters, mu = {"dispersion": 1.4, "power": 1.3}, 2.5
    rate = mu**0.7 / (1.4 * 0.7)
    gammas = rng.poisson(rate, 200_000)
    draws = rng.gamma(np.maximum(gammas, 1) * 0.7 / 0.3, 1.4 * 0.3 * mu**0.3) * (gammas > 0)
    y = np.array([0.0, 0.5, 2.0, 6.0])
    lower, upper = _distributions.Tweedie().cdf(y, np.full(4, mu), None, parameters)
    np.testing.assert_allclose(upper, [(draws <= value).mean() for value in y], atol=4e-3)
    assert (lower[0], upper[0]) == (0.0, pytest.approx(np.exp(-rate)))
    np.testing.assert_allclose(draws.var(), 1.4 * mu**1.3, rtol=0.02)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("tweedie", "binomial")])
def test_the_core_means_the_same_parameters(name):
    distribution, unconstrained, y, mu = CASES[name]
    parameters = np.array(unconstrained)
    shape = getattr(distribution, "shape", getattr(distribution, "df", None))
    core = _core.make_family(distribution.name, distribution.links[0], shape, None)
    assert core.n_parameters == len(distribution.estimated)
    eta = LINKS[distribution.links[0]].link(np.array(mu))
    density = core.evaluate(np.array(y, float), eta, None, parameters)["l"].sum()
    density += core.normalizer(np.array(y, float), None, parameters)[0]
    theirs = frozen(distribution.name, np.array(mu), distribution.natural(parameters))
    expected = theirs.logpmf(y) if distribution.discrete else theirs.logpdf(y)
    np.testing.assert_allclose(density, expected.sum(), rtol=1e-10)


@pytest.mark.parametrize(("distribution", "bad", "expected"), [
    (_distributions.Poisson(), -1.0, "counts 0, 1, 2, ... for the poisson family, got -1.0 in row 2"),
    (_distributions.Poisson(), 2.5, "counts 0, 1, 2, ... for the poisson family, got 2.5 in row 2"),
    (_distributions.NegativeBinomial(), 2.5, "counts 0, 1, 2, ..."),
    (_distributions.NegativeBinomial1(), 0.5, "counts 0, 1, 2, ..."),
    (_distributions.Gamma(), 0.0, "positive numbers for the gamma family, got 0.0 in row 2"),
    (_distributions.InverseGaussian(), -2.0, "positive numbers"),
    (_distributions.Beta(), 1.0, "numbers strictly between 0 and 1 for the beta family, got 1.0 in row 2"),
    (_distributions.Beta(), 0.0, "numbers strictly between 0 and 1"),
    (_distributions.Tweedie(), -0.1, "numbers that are not negative"),
    (_distributions.Binomial(), 1.5, "numbers from 0 to 1"),
    (_distributions.Binomial(), 0.5, "0 or 1 where no weights give the numbers of trials, got 0.5 in row 2"),
])
def test_a_response_outside_the_range(distribution, bad, expected):
    fine = 0.5 if isinstance(distribution, _distributions.Beta) else 1.0
    with pytest.raises(InputError, match=re.escape(f"response 'y': expected {expected}")):
        distribution.check_response(np.array([fine, fine, bad, bad]), None, "response 'y'", None)
    with pytest.raises(InputError, match="in row 7"):
        distribution.check_response(np.array([fine, bad]), None, "response 'y'", np.array([4, 7]))


def test_proportions_must_be_of_the_trials():
    check = _distributions.Binomial().check_response
    check(np.array([0.25, 1 / 3]), np.array([4.0, 9.0]), "response 'y'", None)
    check(np.array([0.333333333]), np.array([3.0]), "response 'y'", None)  # rounded to nine digits
    with pytest.raises(InputError, match=r"proportions of the trials in weights, got 0\.3 in row 1, 1\.2 of 4 trials"):
        check(np.array([0.25, 0.3]), np.array([4.0, 4.0]), "response 'y'", None)
    with pytest.raises(InputError, match=r"weights: expected whole numbers of trials .* got 2\.5 in row 0"):
        check(np.array([0.4]), np.array([2.5]), "response 'y'", None)


# ---- families --------------------------------------------------------------------------------------------------------

NAMES = {
    "binomial": families.Binomial(), "poisson": families.Poisson(), "negative_binomial": families.NegativeBinomial(),
    "nbinom2": families.NegativeBinomial(), "nbinom1": families.NegativeBinomial1(), "Gamma": families.Gamma(),
    "gamma": families.Gamma(), "inverse_gaussian": families.InverseGaussian(),
    "inverse.gaussian": families.InverseGaussian(), "beta": families.Beta(), "gaussian": families.Gaussian(),
    "t": families.StudentT(), "tweedie": families.Tweedie()}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_families(name):
    assert families.resolve(name) == NAMES[name]
    assert families.resolve(NAMES[name]) is NAMES[name]


@pytest.mark.parametrize("family", [
    families.Binomial("probit"), families.NegativeBinomial(shape=1.5), families.Tweedie("log", power=1.2)])
def test_families_are_values(family):
    twin = pickle.loads(pickle.dumps(family))
    assert twin == family
    assert hash(twin) == hash(family)
    assert eval(repr(family), vars(families)) == family
    assert family != type(family)()


@pytest.mark.parametrize("family", [
    families.Binomial, families.Poisson, families.NegativeBinomial, families.NegativeBinomial1, families.Gamma,
    families.InverseGaussian, families.Beta, families.Gaussian, families.StudentT, families.Tweedie])
def test_links_of_a_family(family):
    for link in family().distribution.links:
        assert family(link).link_name == link
        _core.make_family(family().name, LINKS[link].core_name, None, None)
    with pytest.raises(InputError, match=rf"link of the {family().name} family: expected one of 'lo.*, got 'lgit'|"
                                         rf"link of the {family().name} family: expected one of 'identity'.*"):
        family("lgit")


def test_spellings_of_the_squared_inverse_link():
    assert families.InverseGaussian("inverse_squared") == families.InverseGaussian("1/mu^2")


@pytest.mark.parametrize(("make", "kind", "message"), [
    (lambda: families.resolve("quasi"), InputError, "family: expected one of 'binomial', 'poisson', "),
    (lambda: families.resolve(None), InputTypeError, "family: expected a name or a family"),
    (lambda: families.resolve(families.Poisson), InputTypeError, "such as pymixed.families.Poisson(), got <class"),
    (lambda: families.Poisson("logit"), InputError, "link of the poisson family: expected one of 'log', 'sqrt'"),
    (lambda: families.Binomial(None), InputError, "link of the binomial family: expected one of 'logit'"),
    (lambda: families.NegativeBinomial(shape=0), InputError, "shape: expected a positive number, got 0"),
    (lambda: families.NegativeBinomial(shape=np.inf), InputError, "shape: expected a positive number, got inf"),
    (lambda: families.NegativeBinomial(shape="2"), InputTypeError, "shape: expected a number or None, got '2'"),
    (lambda: families.StudentT(df=-1.0), InputError, "df: expected a positive number, got -1.0"),
    (lambda: families.Tweedie(power=2.0), InputError, "power: expected a number between 1 and 2, got 2.0"),
])
def test_bad_families(make, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        make()


# ---- families from functions -----------------------------------------------------------------------------------------

def log_density(y, eta):
    return y * eta - np.exp(eta)


def d1(y, eta):
    return y - np.exp(eta)


def d2(_y, eta):
    return -np.exp(eta)


def start(y):
    return np.log(y + 0.5)


def custom(**changes: Any) -> families.Custom:
    return families.Custom(**{"log_density": log_density, "d1": d1, "d2": d2, "d3": d2, "initial_predictor": start,
                              "mean": np.exp, **changes})


def test_a_custom_family_is_a_value():
    family = custom()
    assert pickle.loads(pickle.dumps(family)) == family
    assert family != custom(d3=lambda _y, eta: -np.exp(eta))
    assert (family.name, custom(name="zeta").name) == ("custom", "zeta")
    eta = np.array([-1.0, 0.5])
    np.testing.assert_allclose(family.mean(eta), np.exp(eta))
    np.testing.assert_allclose(family.link.inverse_derivative(eta), np.exp(eta), rtol=1e-7)


@pytest.mark.parametrize(("changes", "kind", "message"), [
    ({"d1": lambda y, eta: y - 2 * np.exp(eta)}, InputError, "d1: expected derivative 1 of log_density in eta, "),
    ({"d2": lambda _y, eta: np.exp(eta)}, InputError, "d2: expected derivative 2 of log_density in eta, "),
    ({"d3": lambda _y, eta: 0 * eta}, InputError, "d3: expected derivative 3 of log_density in eta, "),
    ({"d3": lambda _y, _eta: 0.0}, InputError, "d3: expected a value per row, shape (8,), got shape ()"),
    ({"d3": lambda _y, _eta: "abc"}, InputTypeError, "d3: expected an array of numbers, got 'abc'"),
    ({"log_density": lambda _y, eta: eta - np.inf}, InputError, "sample: expected at least 3 points (y, eta) where "),
    ({"initial_predictor": lambda y: 0 * y + np.nan}, InputError, "initial_predictor: expected finite values"),
    ({"mean": 3.0}, InputTypeError, "mean: expected a function, got 3.0"),
    ({"d1": None}, InputTypeError, "d1: expected a function, got None"),
    ({"sample": ([1.0], [1.0, 2.0])}, InputError, "sample: eta: expected 1 values, one per row, got 2"),
])
def test_a_custom_family_is_checked(changes, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        custom(**changes)


def test_points_outside_the_domain_are_left_out_of_the_check():
    def positive_only(y, eta):
        return np.where(y > 0, log_density(y, eta), -np.inf)

    assert custom(log_density=positive_only).name == "custom"
    assert custom(sample=(np.arange(5.0), np.linspace(-2, 2, 5))).name == "custom"


def test_families_are_public():
    assert pm.families is families
    for name in families.__all__:
        assert getattr(families, name).__doc__
