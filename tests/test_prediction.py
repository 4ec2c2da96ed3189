"""Predictions with their uncertainty, against dense algebra, closed forms, quadrature and simulation."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import pymixed as pm
from pymixed._averaged import averaged_mean
from pymixed._links import LINKS
from pymixed.errors import InputError, InputTypeError, PymixedWarning

LINEAR = {
    "slope": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "pastes", {}),
    "crossed slope": ("Reaction ~ Days + (Days | Subject) + (1 | weekday)", "sleepstudy", {}),
    "weighted": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"weights": "w", "offset": "o"}),
    "aliased": ("Reaction ~ Days + I(2 * Days) + (1 | Subject)", "sleepstudy", {}),
    "singular": ("Reaction ~ Days + (1 | Subject) + (1 | nothing)", "sleepstudy", {}),
    "ml": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"reml": False}),
}
GENERALIZED = {
    "cbpp": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", {}),
    "probit": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp",
               {"family": pm.families.Binomial("probit")}),
    "ticks": ("TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", "grouseticks", {"family": "poisson"}),
    "nb": ("TICKS ~ YEAR + (1 | BROOD)", "grouseticks", {"family": "negative_binomial"}),
    "profiled": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", {"n_agq": 0}),
    "quadrature": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", {"n_agq": 7}),
}


@cache
def table(name):
    data = pm.datasets.load(name).copy()
    if name == "sleepstudy":
        data["weekday"] = data["Days"] % 7
        data["nothing"] = np.arange(len(data)) % 6
        data["w"] = np.random.default_rng(1).uniform(0.5, 2.0, len(data))
        data["o"] = np.random.default_rng(2).normal(0.0, 5.0, len(data))
    return data


@cache
def fit_of(name):
    formula, data, options = (LINEAR | GENERALIZED)[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return (pm.lmer if name in LINEAR else pm.glmer)(formula, table(data), **(
            options if name in LINEAR else {"family": "binomial", **options}))


class Dense:
    """The joint covariance of all coefficients and random effects by the definition, dense.

    With u spherical and b = T u, (β̂ − β, û − u) has the covariance scale [X'WX, X'WZT; T'Z'WX, T'Z'WZT + I]⁻¹ for a
    given theta, also where T is singular.
    """

    def __init__(self, fit, weights, scale):
        design = fit._design
        kept = [name in fit.coefficient_names for name in design.coefficient_names]
        self.kept, self.design, self.scale = kept, design, scale
        X, Z, T = design.X[:, kept], [], []
        self.offsets, start, position = [], 0, 0
        for term in design.terms:
            n_levels, c = len(design.factors[term.factor].levels), len(term.columns)
            block = np.zeros((design.n, n_levels * c))
            for j, x in enumerate(term.data):
                block[np.arange(design.n), design.factors[term.factor].codes * c + j] = 1.0 if x is None else x
            template = np.zeros((c, c))
            entries = [(r, k) for k in range(c) for r in range(k, c)] if term.structure == "us" else [
                (k, k) for k in range(c)]
            for r, k in entries:
                template[r, k] = fit.theta[position]
                position += 1
            Z.append(block)
            T.append(np.kron(np.eye(n_levels), template))
            self.offsets.append(start)
            start += n_levels * c
        ZT = np.hstack([z @ t for z, t in zip(Z, T, strict=True)])
        self.T, A = T, np.hstack([X, ZT])
        precision = A.T @ (weights[:, None] * A)
        precision[X.shape[1]:, X.shape[1]:] += np.eye(ZT.shape[1])
        self.inverse = scale * np.linalg.inv(precision)
        self.p = X.shape[1]

    def row(self, x, levels, columns):
        """The row (x, T'z); `levels` per term, None for none, `columns` its values."""
        z = []
        for term, T, level, values in zip(self.design.terms, self.T, levels, columns, strict=True):
            part = np.zeros(len(T))
            if level is not None:
                part[level * len(term.columns) + np.arange(len(term.columns))] = values
            z.append(T.T @ part)
        return np.concatenate([x, *z])

    def variance(self, row, vcov=None):
        """Variance of a row's error; `vcov` in the place of the coefficients' own covariance."""
        if vcov is None:
            return row @ self.inverse @ row
        p, S = self.p, self.inverse
        Q = S[p:, p:] - S[p:, :p] @ np.linalg.solve(S[:p, :p], S[:p, p:])
        deviation = row[:p] + np.linalg.solve(S[:p, :p], S[:p, p:]) @ row[p:]
        return row[p:] @ Q @ row[p:] + deviation @ vcov @ deviation


def own_rows(fit, dense, rows):
    design = fit._design
    for i in rows:
        yield dense.row(design.X[i, dense.kept],
                        [int(design.factors[term.factor].codes[i]) for term in design.terms],
                        [[1.0 if x is None else x[i] for x in term.data] for term in design.terms])


def working_weights(fit):
    """-d²log f/dη² at the modes by differences, canonical or not."""
    design, family, h = fit._design, fit._family, 1e-4
    eta, prior = fit.linear_predictor, 1.0 if design.weights is None else design.weights

    def loglik(eta):
        mu, y = family.mean(eta), design.y
        if family.name == "binomial":
            return prior * (y * np.log(mu) + (1 - y) * np.log1p(-mu))
        if family.name == "poisson":
            return y * np.log(mu) - mu
        shape = fit.family_parameters["shape"]
        return y * np.log(mu) - (y + shape) * np.log(shape + mu)

    points = [loglik(eta + k * h) for k in (-2, -1, 0, 1, 2)]
    return -np.dot([-1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12], points) / h**2


# ---- standard errors -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LINEAR)
def test_standard_errors_of_a_linear_model_are_those_of_hendersons_equations(name):
    fit = fit_of(name)
    design = fit._design
    dense = Dense(fit, np.ones(design.n) if design.weights is None else design.weights, fit.residual_variance)
    rows = np.arange(0, design.n, 7)
    expected = [np.sqrt(dense.variance(row)) for row in own_rows(fit, dense, rows)]
    found = fit.predict(se=True)
    np.testing.assert_array_equal(found["estimate"], fit.predict())
    np.testing.assert_allclose(found["se"][rows], expected, rtol=1e-9)  # rounding of a dense inverse


@pytest.mark.parametrize("name", GENERALIZED)
def test_standard_errors_of_a_generalized_model(name):
    fit = fit_of(name)
    dense = Dense(fit, working_weights(fit), 1.0)
    rows = np.arange(0, fit.n_obs, 5)
    expected = [np.sqrt(dense.variance(row, fit.vcov())) for row in own_rows(fit, dense, rows)]
    found = fit.predict(se=True)
    np.testing.assert_allclose(found["se"][rows], expected, rtol=1e-6)  # second differences of the density
    response, slope = fit.predict(type="response", se=True), fit._family.link.inverse_derivative(fit.predict())
    np.testing.assert_allclose(response["se"], np.abs(slope) * found["se"], rtol=1e-12)


@pytest.mark.parametrize("name", ["crossed", "crossed slope", "nested"])
def test_standard_errors_with_some_of_the_random_effects(name):
    fit = fit_of(name)
    design = fit._design
    dense = Dense(fit, np.ones(design.n), fit.residual_variance)
    for group in fit.n_groups:
        found = fit.predict(re=[group], se=True)["se"]
        for i in (0, 11, 23):
            levels = [int(design.factors[term.factor].codes[i]) if term.group == group else None
                      for term in design.terms]
            row = dense.row(design.X[i, dense.kept], levels,
                            [[1.0 if x is None else x[i] for x in term.data] for term in design.terms])
            np.testing.assert_allclose(found[i], np.sqrt(dense.variance(row)), rtol=1e-9)


def test_standard_errors_of_the_fixed_part_are_those_of_contrasts():
    fit = fit_of("slope")
    found = fit.predict({"Days": [0.0, 3.0, 20.0]}, re="none", interval="confidence")
    for (estimate, se, df, lower, upper), days in zip(found.to_numpy(), (0.0, 3.0, 20.0), strict=True):
        theirs = fit.contrast([[1.0, days]]).iloc[0]
        np.testing.assert_allclose([estimate, se, df], theirs[["estimate", "se", "df"]].to_numpy(float), rtol=1e-6)
        reach = stats.t.ppf(0.975, theirs["df"]) * theirs["se"]
        np.testing.assert_allclose([lower, upper], [estimate - reach, estimate + reach], rtol=1e-7)


@pytest.mark.parametrize("name", ["slope", "crossed slope", "weighted"])
def test_degrees_of_freedom_are_those_of_the_variance_by_differences(name):
    """2 v² / Var(v), Var(v) by the delta method in (theta, sigma) with the dense variance and Hessian."""
    fit = fit_of(name)
    design = fit._design
    weights = np.ones(design.n) if design.weights is None else design.weights
    m, sigma = fit.theta.size, fit.residual_std
    nu = fit.n_obs - fit.coefficients.size

    class At:
        def __init__(self, theta, sigma):
            self.theta, self._design, self.coefficient_names = theta, design, fit.coefficient_names
            self.scale = sigma**2

    def variance(parameters, i):
        point = At(parameters[:-1], parameters[-1])
        dense = Dense(point, weights, point.scale)
        return dense.variance(next(own_rows(point, dense, [i]))) + point.scale / weights[i]

    # Hessian of d(theta, sigma) = profiled(theta) + nu (log(sigma²/s²) + s²/sigma² - 1), s² = r²(theta)/nu
    psi = np.append(fit.theta, sigma)
    h_theta = fit.hessian_at(fit.theta)
    slope = fit._engine.variance_derivatives(fit.theta).d_pwrss / fit.params.pwrss  # d log s² / d theta
    H = np.zeros((m + 1, m + 1))
    H[:m, :m] = h_theta + nu * np.outer(slope, slope)
    H[m, :m] = H[:m, m] = -2.0 * nu / sigma * slope
    H[m, m] = 4.0 * nu / sigma**2
    covariance = 2.0 * np.linalg.inv(H)
    rows = [0, 25, 97]
    found = fit.predict(interval="prediction").iloc[rows]
    for i, df in zip(rows, found["df"], strict=True):
        gradient = np.empty(m + 1)
        for k in range(m + 1):
            step = np.zeros(m + 1)
            step[k] = 1e-5 * max(1.0, abs(psi[k]))
            gradient[k] = (variance(psi + step, i) - variance(psi - step, i)) / (2.0 * step[k])
        np.testing.assert_allclose(df, 2.0 * variance(psi, i)**2 / (gradient @ covariance @ gradient), rtol=1e-5)


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


# ---- input -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "error", "message"), [
    ({"type": "mean"}, InputError, "type: expected one of 'link', 'response', 'marginal', got 'mean'"),
    ({"interval": "credible"}, InputError, "interval: expected one of 'confidence', 'prediction', got 'credible'"),
    ({"interval": "confidence", "level": 1.5}, InputError, "level: expected a number between 0 and 1, got 1.5"),
    ({"se": "yes"}, InputTypeError, "se: expected True or False, got 'yes'"),
    ({"type": "marginal", "re": "none"}, InputError, "re: expected 'all' with type='marginal'"),
    ({"interval": "prediction"}, InputError, "interval: expected None or 'confidence' with type='link'"),
    ({"offset": [1.0]}, InputError, "offset: expected only together with newdata"),
])
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        fit_of("ticks").predict(**options)


def test_an_unseen_level_of_a_fixed_factor_is_an_error():
    with pytest.raises(InputError, match="level '99' is not among those of the fit"):
        fit_of("ticks").predict({"YEAR": ["99"]}, re="none")


def test_averages_that_do_not_exist_are_refused():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(10), 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        fit = pm.glmer("y ~ 1 + (1 | g)", {"y": rng.gamma(5.0, 1.0, 80), "g": g}, family=pm.families.Gamma("inverse"))
    with pytest.raises(InputError, match="inverse link, whose mean has no average"):
        fit.predict({"g": [1]}, type="marginal")


@pytest.mark.parametrize("name", ["slope", "crossed slope", "ticks", "cbpp"])
def test_no_rows_have_no_predictions(name):
    fit = fit_of(name)
    none = table((LINEAR | GENERALIZED)[name][1]).iloc[:0]
    assert fit.predict(none).shape == (0,)
    assert len(fit.predict(none, interval="confidence")) == 0
    assert fit.predict(none, type="marginal").shape == (0,)
    assert len(fit.augment(none)) == 0


def test_missing_values_of_new_rows_are_named():
    with pytest.raises(InputError, match=r"newdata: missing values: column 'Days' has 1$"):
        fit_of("slope").predict({"Days": [1.0, np.nan], "Subject": ["308", "309"]})


def test_labels_of_another_kind_are_refused():
    data = table("sleepstudy").assign(Subject=lambda d: d["Subject"].astype(int))
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", data)
    with pytest.raises(InputTypeError, match="newdata: column 'Subject': expected numbers as in the fit, got strings"):
        fit.predict({"Days": [1.0], "Subject": ["308"]}, new_levels="population")
    with pytest.raises(InputTypeError, match="expected strings as in the fit, got numbers: 95"):
        fit_of("ticks").predict({"YEAR": [95]}, re="none")
