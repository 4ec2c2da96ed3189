"""Data that break fits of generalized linear mixed models: each is right, by the dense reference, or is said not to be.

Separated data have no finite estimates: the fit says which coefficient runs off. A variance that is zero is said to be.
"""

import warnings
from typing import Any

import numpy as np
import pytest
from dense_glmm import LINKS, DenseFamily
from hypothesis import given, settings
from hypothesis import strategies as st
from models import TermSpec
from models_glmm import FAMILIES, ArrayGLMM, deviance, gradient, scale_of, simulated
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import optimize, special

import pymixed as pm
from pymixed.errors import BoundaryWarning, InputError, PymixedWarning

Array = NDArray[np.float64]

GAIN = 1e-6          # of the log-likelihood, that one more Newton step by the dense reference may promise
MAX_EVALUATIONS = 40  # where the optimum exists

LOGIT, POISSON = DenseFamily("binomial", "logit"), DenseFamily("poisson", "log")
NEGATIVE_BINOMIAL = DenseFamily("negative_binomial", "log")


def codes(solution: Any) -> set[str]:
    return {warning.code for warning in solution.warnings}


def message(solution: Any, code: str) -> str:
    return " ".join(str(warning) for warning in solution.warnings if warning.code == code)


def psi_of(solution: Any) -> Array:
    return np.concatenate([solution.theta, solution.coefficients if solution.params.n_agq else [],
                           solution.params.extra])


def assert_minimum(solution: Any, model: ArrayGLMM) -> None:
    """The dense reference's gradient at the solution, in standard errors by the package's Hessian."""
    n_agq, psi = solution.params.n_agq, psi_of(solution)
    dense = model.dense()
    H = solution.hessian_at(solution.theta, solution.coefficients if n_agq else None, solution.params.extra)
    unit = np.sqrt(2 / np.maximum(H.diagonal(), 1e-8))
    assert_allclose(-2 * solution.log_likelihood, dense.criterion(psi, n_agq), rtol=1e-8)
    slope = dense.gradient(psi, n_agq, np.minimum(0.01 * unit, 0.1)) * unit
    scaled = H * np.outer(unit, unit)
    free = np.abs(psi) > 0
    assert 0.25 * slope[free] @ np.linalg.solve(scaled[np.ix_(free, free)], slope[free]) < GAIN
    assert solution.converged, solution.convergence.message


def clustered(seed: int = 1, n: int = 120, n_groups: int = 12) -> tuple[np.random.Generator, Array, Array, Array]:
    """(rng, groups, covariate, effects of the groups per row)."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % n_groups
    return rng, groups, rng.normal(size=n), rng.normal(0, 0.7, n_groups)[groups]


def model_of(y: Array, X: Array, groups: Any, family: DenseFamily, **more: Any) -> ArrayGLMM:
    groups = groups if isinstance(groups, dict) else {"a": groups}
    terms = more.pop("terms", tuple(TermSpec(name) for name in groups))
    return ArrayGLMM(np.asarray(y, float), X, groups, terms, family, **more)


def with_intercept(*columns: Array) -> Array:
    return np.column_stack([np.ones(len(columns[0])), *columns]).astype(float)


# ---- no finite estimate ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("n_agq", [0, 1, 5])
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_a_level_of_successes_only(link: str, n_agq: int) -> None:
    """The coefficient of that level goes to infinity, the others are those of the other levels' rows."""
    rng, groups, _, effects = clustered()
    level = rng.integers(0, 3, 120)
    y = np.where(level == 2, 1, rng.uniform(size=120) < special.expit(effects - 0.3))
    family = DenseFamily("binomial", link)
    separated = model_of(y, with_intercept(level == 1, level == 2), groups, family).fit(n_agq=n_agq)
    assert "separation" in codes(separated)
    assert "'X2'" in message(separated, "separation")
    assert "'X1'" not in message(separated, "separation")
    rest = level < 2
    others = model_of(y[rest], with_intercept(level == 1)[rest], groups[rest], family).fit(n_agq=n_agq)
    # the rows of the level have lost their say but for what Laplace's approximation makes of the path to infinity
    tolerance = 2e-2 if link == "cauchit" or n_agq != 1 else 1e-3
    assert_allclose(separated.coefficients[:2] / others.se, others.coefficients / others.se, atol=tolerance)


def test_a_covariate_that_separates() -> None:
    _, groups, x, _ = clustered()
    solution = model_of(x > 0, with_intercept(x), groups, LOGIT).fit()
    assert "separation" in codes(solution)
    assert "'X1' goes to +infinity" in message(solution, "separation")


@pytest.mark.parametrize(("value", "family", "direction"), [
    (0, "binomial", "-"), (1, "binomial", "+"), (0, "poisson", "-"), (0, "negative_binomial", "-")])
def test_a_constant_response(value: int, family: str, direction: str) -> None:
    _, groups, x, _ = clustered()
    link = "logit" if family == "binomial" else "log"
    solution = model_of(np.full(120, value), with_intercept(x), groups, DenseFamily(family, link)).fit()
    assert {"separation", "singular"} <= codes(solution)
    assert f"'(Intercept)' goes to {direction}infinity" in message(solution, "separation")
    assert_allclose(solution.log_likelihood, 0, atol=1e-6)


def test_counts_that_are_all_zero_at_a_level() -> None:
    rng, groups, x, effects = clustered()
    level = rng.integers(0, 3, 120)
    y = np.where(level == 1, 0, rng.poisson(np.exp(1 + 0.5 * x + effects)))
    solution = model_of(y, with_intercept(level == 1, level == 2), groups, POISSON).fit()
    assert "'X1' goes to -infinity" in message(solution, "separation")


@pytest.mark.parametrize("n_agq", [1, 9])
def test_pairs_that_always_agree(n_agq: int) -> None:
    """The variance runs off: either a minimum of the criterion or said not to be one."""
    pairs, y = np.repeat(np.arange(40), 2), np.repeat(np.random.default_rng(1).integers(0, 2, 40), 2)
    model = model_of(y, np.ones((80, 1)), pairs, LOGIT)
    solution = model.fit(n_agq=n_agq)
    if solution.converged:
        assert_minimum(solution, model)
    else:
        assert codes(solution) & {"convergence", "separation", "boundary"}
    assert_allclose(-2 * solution.log_likelihood, model.dense().criterion(psi_of(solution), n_agq), rtol=1e-6)


def test_groups_that_are_all_alike_inside() -> None:
    """Ten groups of twenty rows, five of successes and five of failures."""
    groups, y = np.repeat(np.arange(10), 20), np.repeat(np.arange(10) % 2, 20)
    model = model_of(y, np.ones((200, 1)), groups, LOGIT)
    solution = model.fit()
    if not solution.converged:
        assert codes(solution) & {"convergence", "separation", "boundary"}
    best = optimize.minimize_scalar(lambda t: model.dense().criterion([t, 0.0]), bounds=(1, 60), method="bounded").fun
    assert -2 * solution.log_likelihood < best + 1e-6


# ---- variance zero ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("n_agq", [0, 1, 7])
@pytest.mark.parametrize("family", [LOGIT, POISSON, DenseFamily("gamma", "log")], ids=lambda f: f.distribution)
def test_groups_that_do_not_differ(family: DenseFamily, n_agq: int) -> None:
    """Rows dealt so that the groups are as alike as can be: theta is zero, the rest is the model without groups."""
    rng = np.random.default_rng(2)
    n = 120
    x = rng.normal(size=n)
    mean = np.exp(1 + 0.3 * x) if family.link == "log" else special.expit(0.3 * x)
    y = {"binomial": lambda: rng.uniform(size=n) < mean, "poisson": lambda: rng.poisson(mean),
         "gamma": lambda: rng.gamma(4, mean / 4)}[family.distribution]()
    groups = np.empty(n, int)
    groups[np.argsort((y - mean) / np.sqrt(mean))] = np.tile([*range(10), *range(9, -1, -1)], n // 20)
    model = model_of(y, with_intercept(x), groups, family)
    solution = model.fit(n_agq=n_agq)
    assert solution.theta.tolist() == [0]
    assert "singular" in codes(solution)
    assert solution.converged
    p_extra = len(solution.params.extra)
    dense = model.dense()

    def without_groups(psi: Array) -> float:
        return dense.criterion(np.concatenate([[0.0], psi]))

    start = np.concatenate([solution.coefficients, solution.params.extra])
    plain = optimize.minimize(without_groups, start, method="BFGS")
    assert_allclose(-2 * solution.log_likelihood, plain.fun, rtol=1e-9)
    assert_allclose(start[:len(start) - p_extra], plain.x[:len(start) - p_extra], atol=1e-3)


@given(seed=st.integers(0, 10_000), family=st.sampled_from([LOGIT, POISSON, NEGATIVE_BINOMIAL]),
       columns=st.sampled_from([("1",), ("1", "x")]))
@settings(max_examples=40)
def test_no_false_zeros(seed: int, family: DenseFamily, columns: tuple[str, ...]) -> None:
    """Variances near zero, found or not: no start of a bounded optimiser leads to a lower criterion."""
    rng = np.random.default_rng(seed)
    groups = {"a": np.arange(60) % 10, "b": rng.integers(0, 6, 60)}
    model = simulated(rng, family, groups, (TermSpec("a", columns), TermSpec("b")), sd=rng.choice([1.0, 4.0, 16.0]))
    solution = model.fit()
    if not solution.converged:
        assert "convergence" in codes(solution)
        return
    if np.any(np.abs(solution.params.extra) > 5):
        return                                          # the shape has run off, and is said to have
    psi, unit = psi_of(solution), scale_of(family)
    scale = np.concatenate([np.full(len(psi) - len(solution.params.extra), unit), np.ones(len(solution.params.extra))])

    def criterion(z: Array) -> tuple[float, Array]:
        return deviance(solution, z * scale), gradient(solution, z * scale) * scale

    for size in (0.3, 2.0):
        start = psi / scale
        start[:model.n_theta] = size * model.diagonal
        other = optimize.minimize(criterion, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
        assert -2 * solution.log_likelihood < other.fun + 1e-6


# ---- hard, but with an answer ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", [POISSON, NEGATIVE_BINOMIAL], ids=lambda f: f.distribution)
@pytest.mark.parametrize("n_agq", [1, 9])
def test_groups_of_zeros_only(family: DenseFamily, n_agq: int) -> None:
    rng, groups, x, effects = clustered()
    y = np.where(groups < 4, 0, rng.poisson(np.exp(1 + 0.5 * x + effects) * rng.gamma(2, 0.5, 120)))
    model = model_of(y, with_intercept(x), groups, family)
    solution = model.fit(n_agq=n_agq)
    assert_minimum(solution, model)
    assert codes(solution) == set()
    assert (solution.ranef()["a"].to_numpy()[:4] < -1).all()
    assert solution.n_iter <= MAX_EVALUATIONS


@pytest.mark.parametrize("name", ["negative_binomial", "nbinom1", "t"])
def test_a_family_that_is_wider_than_the_data(name: str) -> None:
    """The parameter that makes it wider goes to its end in a few steps, and the fit is that of the simpler family."""
    rng, groups, x, effects = clustered(n=600)
    eta = 1 + 0.3 * x + 0.5 * effects
    y, simple = ((eta + rng.uniform(-1, 1, 600), "gaussian") if name == "t" else
                 (rng.binomial(20, np.exp(eta) / 30), "poisson"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BoundaryWarning)
        solution, simpler = (pm.glmm(y, with_intercept(x), {"a": groups}, family=family) for family in (name, simple))
    assert "boundary" in codes(solution)
    assert solution.converged
    assert solution.n_iter <= 25
    assert_allclose(solution.log_likelihood, simpler.log_likelihood, rtol=1e-9)
    assert_allclose(solution.coefficients, simpler.coefficients, atol=1e-4 * simpler.se.min())


@pytest.mark.parametrize("theta", [1e2, 1e4, 1e6])
def test_modes_where_means_saturate(theta: float) -> None:
    """Weights vanish there: modes that are near by the weights may be far by the determinant."""
    y, groups = np.repeat([0.0, 1, 1, 0, 0, 1], 2), np.repeat(np.arange(6), 2)
    model = model_of(y, np.ones((12, 1)), groups, LOGIT)
    # the fit itself goes far out, and evaluates from there
    assert_allclose(model.fit().deviance_at([theta], [0.0]), model.dense().criterion(np.array([theta, 0.0])), rtol=1e-8)


@pytest.mark.parametrize("n_agq", [0, 1, 5])
def test_no_fixed_effects(n_agq: int) -> None:
    rng, groups, x, effects = clustered()
    y = rng.poisson(np.exp(effects))
    solution = pm.glmm(y, np.empty((120, 0)), {"a": groups}, family="poisson", offset=0.1 * x, n_agq=n_agq)
    model = model_of(y, np.empty((120, 0)), groups, POISSON, offset=0.1 * x)
    assert_minimum(solution, model)
    assert solution.coefficients.shape == solution.se.shape == (0,)


@pytest.mark.parametrize("seed", [1, 2, 4, 6])
def test_counts_of_a_million(seed: int) -> None:
    rng, groups, x, effects = clustered(seed)
    model = model_of(rng.poisson(1e6 * np.exp(0.1 * x + 0.2 * effects)), with_intercept(x), groups, POISSON)
    solution = model.fit()
    assert_minimum(solution, model)
    assert solution.n_iter <= MAX_EVALUATIONS


def test_overdispersed_counts_of_a_million() -> None:
    rng, groups, x, effects = clustered()
    y = rng.poisson(1e6 * np.exp(0.1 * x + 0.2 * effects) * rng.gamma(5, 0.2, 120))
    model = model_of(y, with_intercept(x), groups, NEGATIVE_BINOMIAL)
    solution = model.fit()
    assert_minimum(solution, model)
    assert_allclose(solution.dispersion, 5, rtol=0.5)


def test_one_observation_per_group() -> None:
    """Overdispersion as a random effect of every row, alone and beside a grouping factor."""
    rng, groups, x, effects = clustered()
    y = rng.poisson(np.exp(1 + 0.5 * x + effects + rng.normal(0, 0.5, 120)))
    for factors in ({"i": np.arange(120)}, {"i": np.arange(120), "a": groups}):
        model = model_of(y, with_intercept(x), factors, POISSON)
        solution = model.fit()
        assert_minimum(solution, model)
        assert codes(solution) == set()


def test_one_group_of_trials_per_row() -> None:
    rng, _, x, _ = clustered()
    trials = rng.integers(5, 20, 120)
    y = rng.binomial(trials, special.expit(0.5 * x + rng.normal(0, 0.8, 120))) / trials
    model = model_of(y, with_intercept(x), np.arange(120), LOGIT, weights=trials.astype(float))
    assert_minimum(model.fit(), model)


def test_a_binary_response_says_nothing_of_its_own_row() -> None:
    rng, _, x, _ = clustered()
    with pytest.raises(InputError, match=r"grouping factor 'a'.*binary"):
        model_of(rng.integers(0, 2, 120), with_intercept(x), np.arange(120), LOGIT).fit()


@pytest.mark.parametrize("kind", ["nested", "crossed", "sparsely crossed"])
@pytest.mark.parametrize("family", [LOGIT, POISSON, DenseFamily("gamma", "log")], ids=lambda f: f.distribution)
def test_several_factors(family: DenseFamily, kind: str) -> None:
    rng = np.random.default_rng(3)
    inner = np.arange(160) % 40
    factors = {"nested": {"a": inner // 5, "b": inner}, "crossed": {"a": inner, "b": np.arange(160) // 40},
               "sparsely crossed": {"a": inner, "b": (inner // 4 + rng.integers(0, 2, 160)) % 10}}[kind]
    model = simulated(rng, family, factors, tuple(TermSpec(name) for name in factors), sd=10.0, weights=True)
    solution = model.fit()
    assert_minimum(solution, model)
    assert solution.n_iter <= MAX_EVALUATIONS


@pytest.mark.parametrize("link", ["logit", "probit", "cauchit"])
def test_outlying_covariates(link: str) -> None:
    rng, groups, x, effects = clustered()
    y = (rng.uniform(size=120) < special.expit(x + effects)).astype(float)
    x = x.copy()
    x[:3], y[:3] = [50, -80, 100], [0, 1, 0]
    model = model_of(y, with_intercept(x), groups, DenseFamily("binomial", link))
    assert_minimum(model.fit(), model)


def test_outlying_responses_of_a_t_distribution() -> None:
    rng, groups, x, effects = clustered()
    y = 1 + x + effects + rng.standard_t(3, 120)
    y[5] = 1e4
    model = model_of(y, with_intercept(x), groups, DenseFamily("student_t", "identity"))
    solution = model.fit()
    assert_minimum(solution, model)
    assert abs(solution.coefficients[1] - 1) < 0.5


@pytest.mark.parametrize("exposure", [1e-6, 1e6])
def test_exposures_of_all_sizes(exposure: float) -> None:
    rng, groups, x, effects = clustered()
    exposures = exposure ** rng.uniform(0, 1, 120)
    y = rng.poisson(exposures * np.exp((14 if exposure < 1 else 0) + 0.5 * x + effects))
    model = model_of(y, with_intercept(x), groups, POISSON, offset=np.log(exposures))
    assert_minimum(model.fit(), model)


@pytest.mark.parametrize("family", [DenseFamily("negative_binomial", "log"), DenseFamily("negative_binomial1", "log")],
                         ids=lambda f: f.distribution)
def test_no_overdispersion(family: DenseFamily) -> None:
    """The family's parameter runs off; the fit is that of the Poisson family and says so."""
    _, groups, x, effects = clustered()
    y = np.round(np.exp(1.5 + 0.3 * x + 0.5 * effects))
    solution = model_of(y, with_intercept(x), groups, family).fit()
    poisson = model_of(y, with_intercept(x), groups, POISSON).fit()
    assert "boundary" in codes(solution)
    assert_allclose(solution.log_likelihood, poisson.log_likelihood, atol=1e-5)
    assert_allclose(solution.coefficients / poisson.se, poisson.coefficients / poisson.se, atol=1e-3)
    assert_allclose(solution.se, poisson.se, rtol=1e-3)


def test_no_zeros_to_inflate() -> None:
    rng, groups, x, effects = clustered()
    y = 1 + rng.poisson(np.exp(1.5 + 0.3 * x + effects))
    model = model_of(y, with_intercept(x), groups, POISSON, zero_inflation=np.ones((120, 1)))
    inflated, plain = model.fit(), model_of(y, with_intercept(x), groups, POISSON).fit()
    assert "boundary" in codes(inflated)
    assert_allclose(inflated.log_likelihood, plain.log_likelihood, atol=1e-5)
    assert_allclose(inflated.coefficients / plain.se, plain.coefficients / plain.se, atol=1e-3)


# ---- large -----------------------------------------------------------------------------------------------------------

def test_a_hundred_thousand_rows() -> None:
    """The benchmark's counts in 2,000 groups, where glmm and lme4 come to 305178.77988."""
    rng = np.random.default_rng(16)
    n = 100_000
    groups, x = rng.integers(2000, size=n), rng.normal(size=n)
    y = rng.poisson(np.exp(0.3 + 0.4 * x + rng.normal(0, 0.5, 2000)[groups])).astype(float)
    solution = pm.glmm(y, with_intercept(x), {"g": groups}, family="poisson")
    assert solution.converged
    assert solution.n_iter <= 10
    assert_allclose(-2 * solution.log_likelihood, 305178.77987713675, atol=1e-6)


def test_many_crossed_levels() -> None:
    """20,000 binary rows, 500 crossed with 300 levels: Laplace's criterion by its gradient alone."""
    rng = np.random.default_rng(17)
    n = 20_000
    a, b, x = rng.integers(500, size=n), rng.integers(300, size=n), rng.normal(size=n)
    eta = 0.5 * x + rng.normal(0, 0.8, 500)[a] + rng.normal(0, 0.5, 300)[b]
    y = (rng.uniform(size=n) < special.expit(eta)).astype(float)
    solution = pm.glmm(y, with_intercept(x), {"a": a, "b": b})
    assert solution.converged
    assert_allclose(solution.theta, [0.8, 0.5], rtol=0.1)
    assert_allclose(solution.coefficients[1], 0.5, atol=4 * solution.se[1])


# ---- far from the data -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.distribution}-{f.link}")
def test_predictors_of_seven_hundred(family: DenseFamily) -> None:
    """The criterion is a number or +infinity, never NaN, and the solution's own point is none the worse for it."""
    rng = np.random.default_rng(18)
    groups = {"a": np.arange(40) % 8}
    model = simulated(rng, family, groups, (TermSpec("a"),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PymixedWarning)
        solution = model.fit()
        before = solution.deviance_at(solution.theta, solution.coefficients)
        for size in (-700.0, -40.0, 40.0, 700.0):
            beta = np.array([size, 0.0])
            value = solution.deviance_at(solution.theta, beta)
            assert not np.isnan(value)
            assert value > before - 1e-6
            if np.isfinite(value):
                assert np.isfinite(solution.gradient_at(solution.theta, beta)).all()
        assert_allclose(solution.deviance_at(solution.theta, solution.coefficients), before, rtol=1e-10)


@pytest.mark.parametrize("eta", [-700.0, -30.0, 30.0, 700.0])
def test_log_likelihood_of_far_predictors(eta: float) -> None:
    """Theta zero: -2 sum of log-densities, which the logit and probit links give to all digits at any distance."""
    y = np.tile([0.0, 1.0, 0.0, 1.0], 10)
    for link in ("logit", "probit"):
        model = model_of(y, np.ones((40, 1)), np.arange(40) % 8, DenseFamily("binomial", link))
        far = np.full(40, eta)
        exact = -2 * np.sum(np.where(y == 1, LINKS[link].log_mu(far), LINKS[link].log_1_mu(far)))
        assert_allclose(model.fit().deviance_at([0.0], [eta]), exact, rtol=1e-13)


