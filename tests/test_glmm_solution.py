"""GLMMSolution: what its methods return, by definition, on small fits of every kind."""

import functools
import pickle
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

import pymixed as pm
from pymixed import families
from pymixed.errors import BoundaryWarning, InputError, InputTypeError, SeparationWarning, SingularFitWarning
from pymixed.inference import parameter_covariance
from pymixed.solution import GLMMSolution
from pymixed.solvers import OPTIMIZERS

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
TICKS = "TICKS ~ YEAR + (1 | BROOD)"


@functools.cache
def simulated() -> dict[str, Any]:
    """Responses of several families with the same linear predictor, 40 groups of 12 rows."""
    rng = np.random.default_rng(11)
    n, g = 480, np.repeat(np.arange(40), 12)
    x = rng.normal(size=n)
    eta = 0.4 + 0.5 * x + 0.6 * rng.normal(size=40)[g]
    mu = np.exp(eta)
    unit = 1 / (1 + np.exp(-eta))
    return {
        "g": g, "x": x, "f": np.array(list("abc"))[rng.integers(0, 3, n)],
        "inflated": np.where(rng.uniform(size=n) < 1 / (1 + np.exp(1 - x)), 0, rng.poisson(mu)),
        "count": rng.poisson(mu), "dispersed": rng.negative_binomial(2, 2 / (2 + mu)),
        "binary": (rng.uniform(size=n) < unit) * 1.0, "share": rng.beta(6 * unit, 6 - 6 * unit),
        "positive": mu * rng.gamma(4, 0.25, n), "real": eta + 0.5 * rng.standard_t(5, n),
        "total": [rng.gamma(2, 0.5, k).sum() for k in rng.poisson(mu)]}


SIMULATED = {
    "binary": "binomial", "count": "poisson", "dispersed": "nbinom2", "share": "beta",
    "positive": families.Gamma("log"), "real": "t", "total": "tweedie"}


@functools.cache
def fit_of(name: str, **options: Any) -> GLMMSolution:
    if name == "cbpp":
        return pm.glmer(CBPP, pm.datasets.load("cbpp"), **options)
    if name == "ticks":
        return pm.glmer(TICKS, pm.datasets.load("grouseticks"), **{"family": "nbinom2", **options})
    if name == "inflated":
        return pm.glmer("inflated ~ x + (1 | g)", simulated(), family="poisson", zi="~ x", **options)
    return pm.glmer(f"{name} ~ x + (1 | g)", simulated(), family=SIMULATED[name], **options)


ALL = ("cbpp", "ticks", "inflated", *SIMULATED)


# ---- estimates -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ALL)
def test_names_and_shapes(name):
    fit = fit_of(name)
    p = len(fit.coefficient_names)
    assert fit.converged
    assert fit.coefficients.shape == fit.se.shape == fit.z_values.shape == fit.p_values.shape == (p,)
    np.testing.assert_allclose(fit.t_values, fit.coefficients / fit.se)
    np.testing.assert_allclose(fit.p_values, 2 * stats.norm.sf(np.abs(fit.z_values)))
    np.testing.assert_allclose(fit.vcov().diagonal(), fit.se**2)
    assert fit.params.extra.shape == (len(fit.params.extra_names),)
    assert fit.params.n_parameters == p + len(fit.theta) + len(fit.params.extra)
    np.testing.assert_allclose(fit.aic, -2 * fit.log_likelihood + 2 * fit.params.n_parameters)
    np.testing.assert_allclose(fit.bic, -2 * fit.log_likelihood + np.log(fit.n_obs) * fit.params.n_parameters)
    assert fit.fixef().index.tolist() == list(fit.coefficient_names)


def test_parameters_of_families():
    assert fit_of("cbpp").dispersion == fit_of("count").dispersion == 1.0
    assert fit_of("cbpp").family_parameters == {}
    ticks = fit_of("ticks")
    assert ticks.family_parameters == {"shape": ticks.dispersion}
    np.testing.assert_allclose(np.log(ticks.dispersion), ticks.params.extra[0])
    assert ticks.params.extra_names == ("log(shape)",)
    assert fit_of("total").params.extra_names == ("log(dispersion)", "logit(power - 1)")
    assert 1 < fit_of("total").family_parameters["power"] < 2
    held = pm.glmer(TICKS, pm.datasets.load("grouseticks"), family=families.NegativeBinomial(shape=ticks.dispersion))
    assert (held.dispersion, held.params.extra.size) == (ticks.dispersion, 0)
    np.testing.assert_allclose(held.log_likelihood, ticks.log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(held.aic, ticks.aic - 2)


def test_zero_inflation():
    fit = fit_of("inflated")
    assert fit.zi_names == ("(Intercept)", "x")
    assert fit.params.extra_names == ("zi.(Intercept)", "zi.x")
    np.testing.assert_array_equal(fit.zi_coefficients, fit.params.extra)
    assert (np.abs(fit.zi_coefficients - [-1, 1]) < 3 * fit.zi_se).all()
    assert fit_of("count").zi_coefficients.shape == fit_of("count").zi_se.shape == (0,)


def test_standard_errors_are_of_the_joint_hessian():
    fit = fit_of("ticks")
    hessian = fit.hessian_at(fit.theta, fit.coefficients, fit.params.extra)
    np.testing.assert_allclose(fit.vcov(), 2 * np.linalg.inv(hessian)[1:4, 1:4], rtol=1e-6)
    assert fit.params.se_method == "hessian"
    by_factor = fit_of("ticks", se="rx")
    assert by_factor.params.se_method == "rx"
    assert (by_factor.se < fit.se).any()
    np.testing.assert_allclose(by_factor.se, fit.se, rtol=0.1)


def test_zero_inflation_has_standard_errors_of_the_joint_hessian():
    fit = fit_of("inflated")
    hessian = fit.hessian_at(fit.theta, fit.coefficients, fit.params.extra)
    np.testing.assert_allclose(fit.zi_se, np.sqrt(2 * np.linalg.inv(hessian).diagonal()[-2:]), rtol=1e-6)


def test_covariance_of_some_of_the_parameters():
    """A block of twice the inverse Hessian, without those at their boundary and flat directions of the others."""
    root = np.random.default_rng(2).normal(size=(5, 5))
    hessian, free = root @ root.T + np.eye(5), np.ones(5, bool)
    wanted = np.arange(5) >= 3
    whole = 2 * np.linalg.inv(hessian)
    np.testing.assert_allclose(parameter_covariance(hessian, wanted, free), whole[3:, 3:])
    held = np.arange(5) != 1
    np.testing.assert_allclose(parameter_covariance(hessian, wanted, held), 2 * np.linalg.inv(
        hessian[np.ix_(held, held)])[2:, 2:])
    sums = np.hstack([np.eye(5), np.eye(5)[:, :1]])  # a parameter in two parts: only their sum counts
    doubled = sums.T @ hessian @ sums
    np.testing.assert_allclose(
        parameter_covariance(doubled, np.append(wanted, False), np.ones(6, bool)), whole[3:, 3:], rtol=1e-9)
    flat = np.diag([2.0, 2.0, 0.0])
    covariance = parameter_covariance(flat, np.array([False, True, True]), np.ones(3, bool))
    np.testing.assert_allclose(covariance[0, 0], 1)
    assert covariance[1, 1] > 1e9
    assert np.isnan(parameter_covariance(np.full((2, 2), np.nan), np.array([True, False]), np.ones(2, bool))).all()


def test_tables():
    fit = fit_of("cbpp")
    table = fit.varcorr()
    assert table["grp"].tolist() == ["herd"]
    np.testing.assert_allclose(table[["vcov", "sdcor"]].to_numpy(), [[fit.theta[0] ** 2, fit.theta[0]]])
    modes, covariances = fit.ranef(condvar=True)
    assert modes["herd"].shape == (15, 1)
    assert covariances["herd"].shape == (15, 1, 1)
    assert (covariances["herd"] < fit.theta[0] ** 2).all()
    coefficients = fit.coef()["herd"]
    np.testing.assert_allclose(coefficients["(Intercept)"], fit.coefficients[0] + modes["herd"]["(Intercept)"])
    assert fit.var_components[0].std_dev == pytest.approx(fit.theta[0])


def test_gaussian_with_the_identity_link_is_the_linear_model():
    data = pm.datasets.load("sleepstudy")
    linear = pm.lmer("Reaction ~ Days + (Days | Subject)", data, reml=False)
    fit = pm.glmer("Reaction ~ Days + (Days | Subject)", data, family="gaussian")
    np.testing.assert_allclose(fit.log_likelihood, linear.log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(fit.coefficients, linear.coefficients, rtol=1e-6)
    np.testing.assert_allclose(fit.dispersion, linear.residual_variance, rtol=1e-4)
    np.testing.assert_allclose(fit.theta, linear.theta * linear.residual_std, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(fit.fitted_values, linear.fitted_values, rtol=1e-4)
    np.testing.assert_allclose(fit.aic, linear.aic)


# ---- the criterion ---------------------------------------------------------------------------------------------------

def five_point(function: Any, x: Any, step: float = 1e-3) -> Any:
    steps = step * np.eye(len(x))
    return np.array([(function(x - 2 * h) - 8 * function(x - h) + 8 * function(x + h) - function(x + 2 * h)) / 12 / step
                     for h in steps])


@pytest.mark.parametrize("name", ALL)
def test_criterion_and_its_derivatives(name):
    fit = fit_of(name)
    theta, beta, extra = fit.theta, fit.coefficients, fit.params.extra
    m, p = len(theta), len(beta)
    np.testing.assert_allclose(fit.deviance_at(theta, beta, extra), -2 * fit.log_likelihood, rtol=1e-10)
    np.testing.assert_allclose(fit.gradient_at(theta, beta, extra), 0, atol=1e-3)
    point = np.concatenate([0.9 * theta, beta + 0.2 * fit.se, extra + 0.1])

    def split(x: Any) -> tuple[Any, Any, Any]:
        return x[:m], x[m:m + p], x[m + p:]

    gradient = fit.gradient_at(*split(point))
    numeric = five_point(lambda x: fit.deviance_at(*split(x)), point)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-5 * np.abs(numeric).max())
    hessian = fit.hessian_at(*split(point))
    numeric = five_point(lambda x: fit.gradient_at(*split(x)), point)
    np.testing.assert_allclose(hessian, numeric, rtol=1e-4, atol=1e-5 * np.abs(numeric).max())


def test_parameters_that_are_not_given_stay_at_the_estimates():
    fit = fit_of("ticks")
    theta, beta, extra = 0.8 * fit.theta, fit.coefficients + 0.1, fit.params.extra - 0.2
    whole = fit.gradient_at(theta, fit.coefficients, fit.params.extra)
    for given, all_given in (((theta,), (theta, fit.coefficients, fit.params.extra)),
                             ((theta, beta), (theta, beta, fit.params.extra))):
        np.testing.assert_allclose(fit.deviance_at(*given), fit.deviance_at(*all_given), rtol=1e-12)
    np.testing.assert_allclose(fit.gradient_at(theta), whole[:1])
    np.testing.assert_allclose(fit.gradient_at(theta, fit.coefficients), whole[:4])
    assert fit.gradient_at(theta, extra=extra).shape == (2,)
    assert fit.hessian_at(theta, beta).shape == (4, 4)


def test_profiled_coefficients():
    fit = fit_of("cbpp", n_agq=0)
    assert fit.params.se_method == "rx"
    assert fit.gradient_at(fit.theta).shape == (1,)
    np.testing.assert_allclose(fit.deviance_at(fit.theta), -2 * fit.log_likelihood, rtol=1e-10)
    with pytest.raises(InputError, match="beta: expected None after a fit with n_agq=0"):
        fit.deviance_at(fit.theta, fit.coefficients)


@pytest.mark.parametrize(("arguments", "kind", "message"), [
    (([1.0, 2.0],), InputError, "theta: expected 1 values (herd.(Intercept)), got an array of shape (2,)"),
    (([np.nan],), InputError, "theta: expected finite values, got [nan]"),
    ((["a"],), InputTypeError, "theta: expected numbers, got ['a']"),
    (([1.0], [1.0]), InputError, "beta: expected 4 values ((Intercept), period[T.2], period[T.3], period[T.4]), got"),
    (([1.0], None, [1.0]), InputError, "extra: expected 0 values (), got an array of shape (1,)"),
])
def test_wrong_parameters(arguments, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        fit_of("cbpp").deviance_at(*arguments)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_agree(optimizer):
    fit = fit_of("ticks", optimizer=optimizer)
    assert fit.info["optimizer"] == optimizer
    np.testing.assert_allclose(fit.log_likelihood, fit_of("ticks").log_likelihood, rtol=1e-8)


def test_quadrature_approaches_the_integral():
    few, many, more = (fit_of("cbpp", n_agq=k).log_likelihood for k in (5, 15, 25))
    assert abs(more - many) < 0.01 * abs(more - few)
    assert fit_of("cbpp", n_agq=5).info["method"] == "adaptive quadrature with 5 nodes"


def test_a_solution_survives_pickling():
    for name in ("cbpp", "inflated"):
        fit = fit_of(name)
        twin = pickle.loads(pickle.dumps(fit))
        np.testing.assert_allclose(twin.deviance_at(fit.theta), fit.deviance_at(fit.theta), rtol=1e-12)
        np.testing.assert_array_equal(twin.fitted_values, fit.fitted_values)
        assert str(twin.summary()) == str(fit.summary())


# ---- rows ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ALL)
def test_fitted_values_and_predictions_of_the_own_rows(name):
    fit = fit_of(name)
    np.testing.assert_allclose(fit.predict(), fit.linear_predictor, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fit.predict(type="response"), fit.fitted_values, rtol=1e-9)
    np.testing.assert_allclose(fit.residuals, fit._design.y - fit.fitted_values, atol=1e-12)
    np.testing.assert_array_equal(fit.resid(), fit.residuals)


def test_predictions_of_new_rows():
    fit = fit_of("cbpp")
    new = {"period": ["1", "4", "2"], "herd": ["8", "new", "1"]}
    b = fit.ranef()["herd"]["(Intercept)"]
    fixed = fit.coefficients[0] + np.array([0, fit.coefficients[3], fit.coefficients[1]])
    np.testing.assert_allclose(fit.predict(new, new_levels="population"), fixed + np.array([b["8"], 0, b["1"]]))
    np.testing.assert_allclose(fit.predict(new, re="none", type="response"), 1 / (1 + np.exp(-fixed)))
    assert np.isnan(fit.predict(new, new_levels="missing")).tolist() == [False, True, False]
    with pytest.raises(InputError, match="got 'new' in row 1"):
        fit.predict(new)
    with pytest.raises(InputError, match="type: expected one of 'link', 'response', 'marginal', got 'mean'"):
        fit.predict(type="mean")


def test_predictions_with_zero_inflation():
    fit = fit_of("inflated")
    new = {"x": [-1.0, 2.0], "g": [0, 3]}
    zero = 1 / (1 + np.exp(-(fit.zi_coefficients[0] + fit.zi_coefficients[1] * np.array(new["x"]))))
    np.testing.assert_allclose(fit.predict(new, type="response"), (1 - zero) * np.exp(fit.predict(new)))


def test_residuals_of_binomial_counts():
    fit, data = fit_of("cbpp"), pm.datasets.load("cbpp")
    trials, y = data["size"].to_numpy(float), (data["incidence"] / data["size"]).to_numpy()
    mu = fit.fitted_values
    np.testing.assert_allclose(fit.resid("pearson"), (y - mu) * np.sqrt(trials / (mu * (1 - mu))))
    np.testing.assert_allclose(fit.resid("working"), (y - mu) / (mu * (1 - mu)))
    at_y = stats.binom.logpmf(y * trials, trials, y)
    deviance = 2 * (at_y - stats.binom.logpmf(y * trials, trials, mu))
    np.testing.assert_allclose(fit.resid("deviance"), np.sign(y - mu) * np.sqrt(deviance), rtol=1e-6)
    np.testing.assert_allclose(fit.deviance, deviance.sum())


def test_residuals_with_zero_inflation():
    fit = fit_of("inflated")
    mu = np.exp(fit.linear_predictor)
    zero = 1 - fit.fitted_values / mu
    variance = (1 - zero) * mu * (1 + zero * mu)
    np.testing.assert_allclose(fit.resid("pearson"), fit.residuals / np.sqrt(variance))
    assert np.isnan(fit.deviance)
    with pytest.raises(InputError, match="kind: a zero-inflated model has no deviance residuals"):
        fit.resid("deviance")


@pytest.mark.parametrize("name", ["inflated", *SIMULATED])
def test_quantile_residuals_are_standard_normal(name):
    fit = fit_of(name)
    residuals = fit.resid("quantile", seed=4)
    np.testing.assert_array_equal(residuals, fit.resid("quantile", seed=4))
    assert stats.kstest(residuals, "norm").pvalue > 0.001


@pytest.mark.parametrize("name", ["count", "dispersed", "positive", "total", "inflated", "share"])
def test_no_overdispersion_where_the_family_is_right(name):
    measure = fit_of(name).overdispersion
    assert measure.df == 480 - fit_of(name).params.n_parameters
    assert measure.ratio == measure.chisq / measure.df
    assert 0.7 < measure.ratio < 1.25
    np.testing.assert_allclose(measure.p_value, stats.chi2.sf(measure.chisq, measure.df))


def test_overdispersion_is_seen():
    fit = pm.glmer("dispersed ~ x + (1 | g)", simulated(), family="poisson")
    np.testing.assert_allclose(fit.overdispersion.chisq, (fit.resid("pearson") ** 2).sum())
    assert fit.overdispersion.ratio > 1.5
    assert fit.overdispersion.p_value < 1e-8


def test_unknown_residuals():
    with pytest.raises(InputError, match=r"kind: expected one of 'response', 'pearson', .* got 'anscombe'"):
        fit_of("cbpp").resid("anscombe")


# ---- findings --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("formula", "change", "words"), [
    ("binary ~ x + f + (1 | g)", lambda y, d: np.where(d["f"] == "b", 1.0, y),
     r"the coefficient of 'f\[T.b\]' goes to \+infinity; the likelihood of \d+ of 480 rows grows for ever"),
    ("binary ~ x + f + (1 | g)", lambda y, d: np.where(d["f"] == "a", 0.0, y),
     r"'\(Intercept\)' goes to -infinity, the coefficient of 'f\[T.b\]' goes to \+infinity"),
    ("binary ~ 1 + (1 | g)", lambda y, _d: 0 * y, r"the coefficient of '\(Intercept\)' goes to -infinity"),
    ("binary ~ x + (1 | g)", lambda _y, d: (d["x"] > 0.1) * 1.0, r"the coefficient of 'x' goes to \+infinity"),
])
@pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")
def test_separation_in_words(formula, change, words):
    data = dict(simulated())
    data["binary"] = change(data["binary"], data)
    with pytest.warns(SeparationWarning, match=words):
        fit = pm.glmer(formula, data)
    assert fit.warnings[-1].code == "separation"
    assert str(fit.warnings[-1]) in str(fit.summary())
    assert (fit.se > 30).any()


def test_separation_of_counts():
    data = dict(simulated())
    data["count"] = np.where(data["f"] == "c", 0, data["count"])
    with pytest.warns(SeparationWarning, match=r"the coefficient of 'f\[T.c\]' goes to -infinity"):
        pm.glmer("count ~ x + f + (1 | g)", data, family="poisson")


@pytest.mark.parametrize(("family", "zi", "words"), [
    ("nbinom2", None, "the shape goes to infinity .* the poisson family gives the same fit"),
    ("nbinom1", None, "the dispersion goes to 0 .* the poisson family gives the same fit"),
    ("poisson", "~ 1", "the probability of a structural zero goes to 0"),
])
def test_boundaries_in_words(family, zi, words):
    rng = np.random.default_rng(3)
    data = {"g": np.repeat(np.arange(20), 10)}
    data["y"] = rng.binomial(12, 0.5, 200) + rng.integers(0, 2, 20)[data["g"]]  # less dispersed than Poisson
    with pytest.warns() as caught:
        fit = pm.glmer("y ~ 1 + (1 | g)", data, family=family, zi=zi)
    assert {warning.category for warning in caught} <= {BoundaryWarning, SingularFitWarning}
    assert re.search(words, str(fit.warnings[-1]))
    assert fit.warnings[-1].code == "boundary"
    with pytest.warns(SingularFitWarning):
        plain = pm.glmer("y ~ 1 + (1 | g)", data, family="poisson")
    np.testing.assert_allclose(fit.log_likelihood, plain.log_likelihood, rtol=1e-6)


def test_a_singular_fit():
    rng = np.random.default_rng(1)
    data = {"y": rng.integers(0, 2, 120), "g": np.repeat(np.arange(12), 10)}
    with pytest.warns(SingularFitWarning, match=r"g: \(Intercept\) has no variance"):
        fit = pm.glmer("y ~ 1 + (1 | g)", data)
    assert fit.singularity
    assert fit.convergence.active[0][0] == "g.(Intercept)"


# ---- a family from functions -----------------------------------------------------------------------------------------

def poisson_by_hand(**changes: Any) -> families.Custom:
    from scipy.special import gammaln

    def log_density(y, eta):
        return y * eta - np.exp(eta) - gammaln(y + 1)

    functions = {"log_density": log_density, "d1": lambda y, eta: y - np.exp(eta), "d2": lambda _y, eta: -np.exp(eta),
                 "d3": lambda _y, eta: -np.exp(eta), "initial_predictor": lambda y: np.log(y + 0.5), "mean": np.exp,
                 "variance": lambda mu: mu}
    return families.Custom(**{**functions, **changes})


def test_a_custom_family_fits_as_the_built_in_one():
    fit = pm.glmer("count ~ x + (1 | g)", simulated(), family=poisson_by_hand(name="by hand"))
    expected = fit_of("count")
    assert (fit.family_name, fit.link_name) == ("by hand", "custom")
    np.testing.assert_allclose(fit.log_likelihood, expected.log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(fit.se, expected.se, rtol=1e-5)
    # the two start elsewhere, and each stops where a further step would gain 1e-11: up to 5e-6 standard errors away
    for kind in ("response", "pearson", "working"):
        np.testing.assert_allclose(fit.resid(kind), expected.resid(kind), rtol=1e-5, atol=1e-6)
    assert np.isnan(fit.deviance)
    with pytest.raises(InputError, match="a custom family has no quantile residuals"):
        fit.resid("quantile")


def test_a_custom_family_without_mean_or_variance():
    fit = pm.glmer("count ~ x + (1 | g)", simulated(), family=poisson_by_hand(mean=None, variance=None))
    np.testing.assert_allclose(fit.predict(), fit_of("count").predict(), rtol=1e-5, atol=1e-5)
    assert "Scaled residuals" not in str(fit.summary())
    with pytest.raises(InputError, match=r"only with a function mean="):
        _ = fit.fitted_values


# ---- the rest --------------------------------------------------------------------------------------------------------

def test_facts_of_the_run():
    fit = fit_of("cbpp")
    facts = {"method": "Laplace", "family": "binomial", "link": "logit", "curvature": "observed", "converged": True}
    assert {key: fit.info[key] for key in facts} == facts
    assert fit.info["deviance"] == -2 * fit.log_likelihood
    assert set(fit.timing) == {"setup", "problem", "optimization", "hessian", "total"}
    assert fit.backend_name == "core"
    assert fit.n_groups == {"herd": 15}


def test_representation():
    assert repr(fit_of("cbpp")) == (f"<GLMMSolution {CBPP} by binomial (logit), Laplace, 56 rows, herd: 15; "
                                    "log-likelihood -92.0>")


def test_curvatures_differ_only_for_links_that_are_not_canonical():
    np.testing.assert_allclose(fit_of("cbpp", curvature="expected").log_likelihood, fit_of("cbpp").log_likelihood,
                               rtol=1e-12)
    probit = families.Binomial("probit")
    observed, expected = (fit_of("cbpp", family=probit, curvature=kind) for kind in ("observed", "expected"))
    assert observed.log_likelihood != expected.log_likelihood
    np.testing.assert_allclose(observed.coefficients, expected.coefficients, atol=0.01)
