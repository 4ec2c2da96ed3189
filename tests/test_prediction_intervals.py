"""Intervals and means over the population, against closed forms, quadrature and simulation."""

import warnings

import numpy as np
import pandas as pd
import pytest
from prediction_models import fit_of, table
from scipy import integrate, stats

import pymixed as pm
from pymixed._averaged import averaged_mean
from pymixed._links import LINKS
from pymixed.errors import InputError, PymixedWarning

# ---- new levels, intervals -------------------------------------------------------------------------------------------

def test_a_new_group_adds_the_variance_between_groups():
    fit = fit_of("slope")
    sigma = fit.params.term_covariances[0].matrix
    found = fit.predict({"Days": [4.0], "Subject": ["new"]}, new_levels="population", interval="prediction").iloc[0]
    x = np.array([1.0, 4.0])
    between = x @ fit.vcov() @ x + x @ sigma @ x
    np.testing.assert_allclose(found["se"], np.sqrt(between), rtol=1e-12)
    reach = stats.t.ppf(0.975, found["df"]) * np.sqrt(between + fit.residual_variance)
    np.testing.assert_allclose([found["lower"], found["upper"]], found["estimate"] + reach * np.array([-1, 1]))
    unknown = fit.predict({"Days": [4.0]}, re="none", interval="prediction").iloc[0]
    np.testing.assert_allclose([unknown["lower"], unknown["upper"]], [found["lower"], found["upper"]])
    np.testing.assert_allclose(unknown["se"], np.sqrt(x @ fit.vcov() @ x), rtol=1e-12)


def test_missing_levels_have_no_prediction():
    fit = fit_of("slope")
    new = pd.DataFrame({"Days": [1.0, 2.0], "Subject": ["new", "308"]}, index=["a", "b"])
    found = fit.predict(new, new_levels="missing", interval="confidence", level=0.8)
    assert found.index.tolist() == ["a", "b"]
    assert found.columns.tolist() == ["estimate", "se", "df", "lower", "upper"]
    assert found.loc["a"].isna().all()
    assert found.loc["b"].notna().all()


def test_own_rows_have_their_weights_in_prediction_intervals():
    fit = fit_of("weighted")
    found = fit.predict(interval="prediction")
    weights = table("sleepstudy")["w"].to_numpy()
    width = 0.5 * (found["upper"] - found["lower"]) / stats.t.ppf(0.975, found["df"])
    np.testing.assert_allclose(width**2 - found["se"]**2, fit.residual_variance / weights, rtol=1e-9)


def test_intervals_of_means_stay_in_their_range():
    fit = fit_of("cbpp")
    new = {"period": ["1", "4"], "herd": ["new", "8"]}
    link = fit.predict(new, new_levels="population", interval="confidence", level=0.9999)
    mean = fit.predict(new, new_levels="population", type="response", interval="confidence", level=0.9999)
    for end in ("lower", "upper"):
        np.testing.assert_allclose(mean[end], 1.0 / (1.0 + np.exp(-link[end])), rtol=1e-12)
    assert link.columns.tolist() == ["estimate", "se", "lower", "upper"]


@pytest.mark.parametrize("name", ["ticks", "nb"])
def test_prediction_intervals_of_counts_are_quantiles_of_the_mixture(name):
    fit = fit_of(name)
    new = {"YEAR": ["95", "97"], "BROOD": ["501", "none"], "LOCATION": ["32", "none"]}
    found = fit.predict(new, new_levels="population", type="response", interval="prediction", level=0.9)
    link = fit.predict(new, new_levels="population", se=True)
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    for i in range(2):
        mu = np.exp(link["estimate"][i] + link["se"][i] * nodes)
        if name == "ticks":
            def at_most(k, mu=mu):
                return weights @ stats.poisson.cdf(k, mu) / weights.sum()
        else:
            shape = fit.family_parameters["shape"]

            def at_most(k, mu=mu, shape=shape):
                return weights @ stats.nbinom.cdf(k, shape, shape / (shape + mu)) / weights.sum()
        for end, probability in (("lower", 0.05), ("upper", 0.95)):
            value = found[end][i]
            assert value == np.floor(value)
            assert at_most(value) >= probability > (at_most(value - 1) if value > 0 else 0.0)


@pytest.mark.parametrize("family", ["gamma", "gaussian", "beta"])
def test_prediction_intervals_of_continuous_responses(family):
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(20), 10)
    mu = np.exp(0.3 * rng.normal(size=20)[g])
    y = {"gamma": rng.gamma(4.0, mu / 4.0), "gaussian": rng.normal(mu, 0.4),
         "beta": rng.beta(5 * mu / (1 + mu), 5 / (1 + mu))}[family]
    link = {"gamma": pm.families.Gamma("log"), "gaussian": pm.families.Gaussian(), "beta": pm.families.Beta()}[family]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        fit = pm.glmer("y ~ 1 + (1 | g)", {"y": y, "g": g}, family=link)
    new = {"g": [3, 99]}
    found = fit.predict(new, new_levels="population", type="response", interval="prediction")
    eta = fit.predict(new, new_levels="population", se=True)
    for i in range(2):
        for end, probability in (("lower", 0.025), ("upper", 0.975)):
            def density(z, end=end, i=i):
                mean = fit._family.mean(np.array([eta["estimate"][i] + eta["se"][i] * z]))
                return stats.norm.pdf(z) * fit._family.distribution.cdf(
                    np.array([found[end][i]]), mean, None, fit.family_parameters)[1][0]
            total = integrate.quad(density, -9, 9, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
            np.testing.assert_allclose(total, probability, rtol=1e-9)


def test_binomial_prediction_intervals_need_trials():
    fit = fit_of("cbpp")
    own = fit.predict(type="response", interval="prediction")
    trials = table("cbpp")["size"].to_numpy()
    for end in ("lower", "upper"):
        np.testing.assert_allclose(own[end] * trials, np.round(own[end] * trials), atol=1e-9)
    assert (own["lower"] <= own["estimate"]).all()
    with pytest.raises(InputError, match="numbers of trials"):
        fit.predict({"period": ["1"], "herd": ["8"]}, type="response", interval="prediction")


def test_limits_of_links_that_are_not_monotone():
    lower, upper = np.array([-1.0, 1.0, -3.0]), np.array([2.0, 2.0, -1.0])
    np.testing.assert_allclose(LINKS["sqrt"].interval(lower, upper), [[0.0, 1.0, 1.0], [4.0, 4.0, 9.0]])
    for name, power in (("inverse", -1.0), ("1/mu^2", -0.5)):
        low, high = LINKS[name].interval(lower[:2], upper[:2])
        np.testing.assert_allclose(low, upper[:2] ** power)
        np.testing.assert_allclose(high, [np.inf, 1.0])


# ---- means over the population ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_marginal_means_are_integrals_over_the_random_effects(link):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", table("cbpp"),
                       family=pm.families.Binomial(link))
    found = fit.predict({"period": ["1", "2", "4"]}, type="marginal")
    sd = fit.params.term_covariances[0].std_dev[0]
    eta = fit.coefficients[0] + np.array([0.0, fit.coefficients[1], fit.coefficients[3]])
    expected = [integrate.quad(lambda t, e=e: stats.norm.pdf(t) * fit._family.mean(np.array([e + sd * t]))[0], -9, 9,
                               epsabs=1e-13, epsrel=1e-13)[0] for e in eta]
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("sd", [0.0, 0.5, 3.0, 20.0])
def test_averages_hold_for_large_variances(sd):
    eta = np.array([-4.0, 0.3, 2.0])
    for name in ("logit", "cloglog", "cauchit"):
        link = LINKS[name]
        mean, slope = averaged_mean(link, eta, np.full(3, sd))
        for k in range(3):
            points = [-eta[k] / sd] if sd else None
            def density(t, k=k, link=link):
                return stats.norm.pdf(t) * link.inverse(np.array([eta[k] + sd * t]))[0]
            exact = integrate.quad(density, -9, 9, epsabs=1e-13, epsrel=1e-12, limit=500, points=points)[0]
            np.testing.assert_allclose(mean[k], exact, rtol=1e-10)
        above, below = (averaged_mean(link, eta + d, np.full(3, sd))[0] for d in (1e-5, -1e-5))
        np.testing.assert_allclose(slope, (above - below) / 2e-5, rtol=1e-6, atol=1e-12)


def test_marginal_means_of_a_log_link():
    fit = fit_of("ticks")
    variance = sum(float(term.matrix[0, 0]) for term in fit.params.term_covariances)
    found = fit.predict({"YEAR": ["95", "96"]}, type="marginal", interval="confidence")
    fixed = fit.predict({"YEAR": ["95", "96"]}, re="none", se=True)
    np.testing.assert_allclose(found["estimate"], np.exp(fixed["estimate"] + variance / 2), rtol=1e-12)
    np.testing.assert_allclose(found["se"], found["estimate"] * fixed["se"], rtol=1e-12)
    z = stats.norm.ppf(0.975)
    np.testing.assert_allclose(found["upper"], found["estimate"] * np.exp(z * fixed["se"]), rtol=1e-12)


def test_marginal_means_of_a_linear_model_are_the_fixed_part():
    fit = fit_of("slope")
    np.testing.assert_array_equal(fit.predict({"Days": [1.0, 2.0]}, type="marginal"),
                                  fit.predict({"Days": [1.0, 2.0]}, re="none"))


def test_zero_inflated_means_have_the_delta_methods_standard_errors():
    rng = np.random.default_rng(5)
    n, g = 600, np.repeat(np.arange(30), 20)
    x = rng.normal(size=n)
    counts = rng.poisson(np.exp(0.6 + 0.4 * x + 0.5 * rng.normal(size=30)[g]))
    y = np.where(rng.uniform(size=n) < 0.25, 0, counts)
    fit = pm.glmer("y ~ x + (1 | g)", {"y": y, "x": x, "g": g}, family="poisson", zi="~ x")
    new = {"x": [-0.5, 1.0]}
    found = fit.predict(new, re="none", type="response", interval="confidence")
    X = np.column_stack([np.ones(2), new["x"]])
    hessian = fit.hessian_at(fit.theta, fit.coefficients, fit.params.extra)
    joint = 2.0 * np.linalg.inv(hessian)[1:, 1:]  # coefficients, then those of the zero inflation

    def mean(parameters):
        return np.exp(X @ parameters[:2]) / (1.0 + np.exp(X @ parameters[2:]))

    at = np.concatenate([fit.coefficients, fit.zi_coefficients])
    jacobian = np.column_stack([(mean(at + step) - mean(at - step)) / 2e-6 for step in 1e-6 * np.eye(4)])
    np.testing.assert_allclose(found["se"], np.sqrt(np.diag(jacobian @ joint @ jacobian.T)), rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(found["lower"] * found["upper"]), found["estimate"], rtol=1e-12)


# ---- coverage --------------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_coverage_of_prediction_intervals():
    """New responses of known and of new groups fall into their 90 % intervals 90 % of the time.

    12 groups of 6 rows, 1,500 data sets of 2 new responses each for 4 groups: three binomial standard errors, and half
    a percent for what a chi-squared approximation leaves.
    """
    rng = np.random.default_rng(11)
    groups, x = np.repeat(np.arange(12), 6), np.tile(np.arange(6.0), 12)
    hits = {"known": 0, "new": 0, "population": 0}
    n_sets = 1500
    for _ in range(n_sets):
        b = rng.normal(size=(14, 2)) * [1.0, 0.3]
        y = 1.0 + 0.5 * x + b[groups, 0] + b[groups, 1] * x + rng.normal(size=72)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PymixedWarning)
            fit = pm.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": groups})
        levels, at = np.array([0, 5, 12, 13]), np.array([2.0, 7.0, 2.0, 7.0])
        new = 1.0 + 0.5 * at + b[levels, 0] + b[levels, 1] * at + rng.normal(size=4)
        found = fit.predict({"x": at, "g": levels}, new_levels="population", interval="prediction", level=0.9)
        inside = (found["lower"] <= new) & (new <= found["upper"])
        hits["known"] += int(inside[:2].sum())
        hits["new"] += int(inside[2:].sum())
        mean = fit.predict({"x": at[:2]}, re="none", interval="confidence", level=0.9)
        truth = 1.0 + 0.5 * at[:2]
        hits["population"] += int(((mean["lower"] <= truth) & (truth <= mean["upper"])).sum())
    allowed = 3.0 * np.sqrt(0.9 * 0.1 / n_sets) + 0.005  # the two of a data set hang together
    for kind, count in hits.items():
        assert abs(count / (2 * n_sets) - 0.9) < allowed, (kind, count / (2 * n_sets))


@pytest.mark.slow
def test_coverage_of_prediction_intervals_of_counts():
    """New counts of known and of new groups fall into their 80 % intervals at least 80 % of the time.

    25 groups of 8 rows with means near 5, 600 data sets of 4 new counts. The intervals are of whole numbers and hold
    some more than asked for: exactly how much is summed from the true distribution of counts.
    """
    rng = np.random.default_rng(12)
    groups, x = np.repeat(np.arange(25), 8), np.tile(np.linspace(-1.0, 1.0, 8), 25)
    probability = {"known": [], "new": []}
    for _ in range(600):
        b = 0.6 * rng.normal(size=27)
        y = rng.poisson(np.exp(1.5 + 0.5 * x + b[groups]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PymixedWarning)
            fit = pm.glmer("y ~ x + (1 | g)", {"y": y, "x": x, "g": groups}, family="poisson")
        at, levels = np.array([-0.5, 0.8, -0.5, 0.8]), np.array([0, 7, 25, 26])
        found = fit.predict({"x": at, "g": levels}, new_levels="population", type="response", interval="prediction",
                            level=0.8)
        mu = np.exp(1.5 + 0.5 * at + b[levels])
        inside = stats.poisson.cdf(found["upper"], mu) - stats.poisson.cdf(found["lower"] - 1, mu)
        probability["known"] += inside[:2].tolist()
        probability["new"] += inside[2:].tolist()
    for kind, values in probability.items():
        error = np.std(values) / np.sqrt(600)  # the two of a data set hang together
        assert 0.8 - 3.0 * error < np.mean(values) < 0.9, (kind, np.mean(values), error)
