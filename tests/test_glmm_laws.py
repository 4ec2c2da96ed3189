"""Laws that a generalized linear mixed model obeys: equal to the dense reference, invariant, consistent."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dense_glmm import DenseFamily
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models import TermSpec, crossed, lone_observations, nested, one_factor
from models_glmm import (
    SAFE,
    ArrayGLMM,
    arguments,
    array_glmms,
    deviance,
    scale_of,
    simulated,
    typical_psi,
)
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.special import gammaln

import pymixed as pm

Array = NDArray[np.float64]

CRITERION = 1e-10    # relative: the same function of psi, computed another way
ESTIMATE = 5e-5      # in standard errors, between two fits of one model: how far each may stop from the optimum
DIGITS = 1e-8        # relative, of what a badly scaled covariate leaves

seeds = st.integers(0, 2**16)
LOGIT, POISSON = DenseFamily("binomial", "logit"), DenseFamily("poisson", "log")
NEGATIVE_BINOMIAL, GAMMA = DenseFamily("negative_binomial", "log"), DenseFamily("gamma", "log")


def close(actual: Any, desired: Any, tolerance: float) -> None:
    """|actual - desired| <= tolerance * max(1, largest |desired|)."""
    assert_allclose(actual, desired, rtol=0, atol=tolerance * max(1, np.max(np.abs(desired), initial=0)))


def psi_of(solution: Any) -> Array:
    return np.concatenate([solution.theta, solution.coefficients if solution.params.n_agq else [],
                           solution.params.extra])


def same_optimum(a: Any, b: Any) -> None:
    """Where both fits found a minimum; hypothesis draws designs on which a variance or a shape runs off."""
    assume(a.converged and b.converged and np.all(np.isfinite(a.se)))
    close(b.log_likelihood, a.log_likelihood, 1e-9)
    close(b.coefficients / a.se, a.coefficients / a.se, ESTIMATE)
    close(b.vcov() / np.outer(a.se, a.se), a.vcov() / np.outer(a.se, a.se), 10 * ESTIMATE)


def poisson_model(n: int = 60, seed: int = 0, **changes: Any) -> ArrayGLMM:
    rng = np.random.default_rng(seed)
    groups = {"a": np.arange(n) % 8, "b": rng.integers(0, 5, n)}
    return simulated(rng, POISSON, groups, (TermSpec("a"), TermSpec("b")), sd=3.0, **changes)


# ---- against the dense reference -------------------------------------------------------------------------------------

@given(model=array_glmms(), n_agq=st.sampled_from([0, 1]), curvature=st.sampled_from(["observed", "expected"]))
@settings(max_examples=30)
def test_estimates_are_those_of_the_dense_reference(model: ArrayGLMM, n_agq: int, curvature: str) -> None:
    """Everything at the solution's own parameters, so that only the algebra counts."""
    solution = model.fit(n_agq=n_agq, curvature=curvature, se="rx")
    dense, psi = model.dense(curvature), psi_of(solution)
    assume(np.all(np.abs(solution.params.extra) < 5))           # the dense densities are no good at the boundary
    there = dense.at(*dense.split(psi, n_agq))
    close(-2 * solution.log_likelihood, there.criterion, CRITERION)
    close(solution.coefficients, there.beta, 1e-7)
    close(solution.linear_predictor, there.eta, 1e-8)
    close(solution.fitted_values, there.fitted, 1e-8)
    close(solution.vcov(), there.vcov_rx, 1e-7)
    modes, variances = solution.ranef(condvar=True)
    covariance, starts = there.conditional_covariance, np.cumsum([0, *dense.n_random])
    for group in model.groups:
        of_group = [i for i, term in enumerate(model.terms) if term.group == group]
        close(modes[group].to_numpy(), np.hstack([there.modes[i] for i in of_group]), 1e-7)
        sizes = [dense.terms[i].columns.shape[1] for i in of_group]
        for level in range(len(modes[group])):
            columns = np.concatenate([starts[i] + level * c + np.arange(c)
                                      for i, c in zip(of_group, sizes, strict=True)])
            close(variances[group][level], covariance[np.ix_(columns, columns)], 1e-7)


@pytest.mark.parametrize("family", SAFE, ids=lambda f: f"{f.distribution}-{f.link}")
@pytest.mark.parametrize("columns", [("1",), ("1", "x")])
def test_the_optimum_is_one_of_the_dense_criterion(family: DenseFamily, columns: tuple[str, ...]) -> None:
    """No step in any direction lowers it: a hundredth of the parameters' scale, which a fit must resolve."""
    rng = np.random.default_rng(20)
    groups = {"a": np.repeat(np.arange(12), 6)}
    model = simulated(rng, family, groups, (TermSpec("a", columns),), sd=4.0, weights=True)
    solution, dense = model.fit(), model.dense()
    assert solution.converged
    psi = psi_of(solution)
    best = dense.criterion(psi)
    unit = np.concatenate([np.full(len(psi) - dense.n_extra, scale_of(family)), np.ones(dense.n_extra)])
    directions = rng.normal(size=(40, len(psi)))
    assert min(dense.criterion(psi + 0.01 * unit * d) for d in directions) > best


# ---- quadrature ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", [LOGIT, POISSON, NEGATIVE_BINOMIAL, GAMMA,
                                    DenseFamily("binomial", "cauchit"), DenseFamily("student_t", "identity")],
                         ids=lambda f: f"{f.distribution}-{f.link}")
@pytest.mark.parametrize("columns", [("1",), ("1", "x"), ("1", "x", "z")])
def test_many_nodes_give_the_integral(family: DenseFamily, columns: tuple[str, ...]) -> None:
    """The likelihood itself, by brute force over a fixed grid of the random effects of every (small) group."""
    rng, c = np.random.default_rng(21), len(columns)
    model = simulated(rng, family, {"a": np.repeat(np.arange(4), 5)}, (TermSpec("a", columns),), sd=2.0)
    dense, psi = model.dense(), typical_psi(model, 1, seed=1)
    exact = dense.integral(*dense.split(psi), points=(4001, 501, 61)[c - 1], reach=(12, 9, 8)[c - 1])
    heavy = family.link == "cauchit" or family.distribution == "student_t"      # no entire functions: slow convergence
    n_nodes = (61, 31, 15)[c - 1]
    assert_allclose(deviance(model.fit(n_agq=n_nodes), psi, n_nodes), exact, rtol=1e-5 if heavy else 1e-8)


@given(model=array_glmms(groupings=(one_factor,)), seed=seeds)
@settings(max_examples=15)
def test_one_node_is_laplaces_approximation(model: ArrayGLMM, seed: int) -> None:
    """With the dense quadrature at one node, which is built apart from its Laplace criterion."""
    dense, psi = model.dense(), typical_psi(model, 1, seed)
    close(deviance(model.fit(n_agq=1), psi), dense.at(*dense.split(psi)).quadrature(1), CRITERION)


@pytest.mark.parametrize("columns", [("1",), ("1", "x")])
def test_the_fit_by_quadrature_maximises_the_likelihood(columns: tuple[str, ...]) -> None:
    """Of binary data in small groups, where Laplace's approximation is off."""
    rng = np.random.default_rng(22)
    model = simulated(rng, LOGIT, {"a": np.repeat(np.arange(25), 4)}, (TermSpec("a", columns),), sd=12.0)
    n_nodes = 31 if len(columns) == 1 else 15
    laplace, quadrature = model.fit(), model.fit(n_agq=n_nodes)
    dense = model.dense()

    def likelihood(psi: Array) -> float:
        return dense.integral(*dense.split(psi), points=801 if len(columns) == 1 else 161, reach=9.0)

    exact = likelihood(psi_of(quadrature))
    assert_allclose(-2 * quadrature.log_likelihood, exact, rtol=1e-6)
    assert likelihood(psi_of(laplace)) > exact


# ---- rows ------------------------------------------------------------------------------------------------------------

def trials_of(model: ArrayGLMM) -> ArrayGLMM:
    """A binomial model with a row per trial."""
    trials = model.weights.astype(int)
    index = np.repeat(np.arange(len(trials)), trials)
    first = np.concatenate([[0], np.cumsum(trials)[:-1]])
    within = np.arange(len(index)) - first[index]
    successes = np.round(model.y * trials).astype(int)
    return replace(model.rows(index), y=(within < successes[index]).astype(float), weights=None)


@given(model=array_glmms(groupings=(one_factor, crossed), families=SAFE[:3]), seed=seeds, n_agq=st.sampled_from([0, 1]))
@settings(max_examples=20)
def test_trials_aggregate_to_proportions(model: ArrayGLMM, seed: int, n_agq: int) -> None:
    """The criteria differ by the logarithms of the binomial coefficients."""
    if model.weights is None:
        model = replace(model, weights=np.ones(len(model.y)))
    a, b, psi = trials_of(model).fit(n_agq=n_agq), model.fit(n_agq=n_agq), typical_psi(model, n_agq, seed)
    n, k = model.weights, np.round(model.y * model.weights)
    coefficients = -2 * np.sum(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
    close(deviance(b, psi, n_agq), deviance(a, psi, n_agq) + coefficients, CRITERION)
    assume(a.converged and b.converged)
    close(b.log_likelihood, a.log_likelihood - coefficients / 2, 1e-9)
    close(b.coefficients / a.se, a.coefficients / a.se, ESTIMATE)
    close(b.se / a.se, 1, 10 * ESTIMATE)


@given(model=array_glmms(families=SAFE[3:]), seed=seeds)
@settings(max_examples=20)
def test_weights_are_repeats(model: ArrayGLMM, seed: int) -> None:
    weights = np.random.default_rng(seed).integers(1, 4, len(model.y))
    a = replace(model.rows(np.repeat(np.arange(len(weights)), weights)), weights=None).fit()
    b = replace(model, weights=weights.astype(float)).fit()
    psi = typical_psi(model, 1, seed)
    close(deviance(b, psi), deviance(a, psi), CRITERION)
    same_optimum(a, b)


@given(model=array_glmms(), seed=seeds)
@settings(max_examples=20)
def test_order_of_rows_does_not_matter(model: ArrayGLMM, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(model.y))
    a, b, psi = model.fit(), model.rows(order).fit(), typical_psi(model, 1, seed)
    close(deviance(b, psi), deviance(a, psi), CRITERION)
    same_optimum(a, b)
    close(b.fitted_values, a.fitted_values[order], ESTIMATE)


@given(model=array_glmms(), seed=seeds)
@settings(max_examples=20)
def test_names_of_levels_do_not_matter(model: ArrayGLMM, seed: int) -> None:
    rng = np.random.default_rng(seed)
    new_names = {group: rng.permutation([f"level {k}" for k in range(60)]) for group in model.groups}
    a = model.fit()
    b = replace(model, groups={g: new_names[g][labels] for g, labels in model.groups.items()}).fit()
    psi = typical_psi(model, 1, seed)
    close(deviance(b, psi), deviance(a, psi), CRITERION)
    same_optimum(a, b)
    for group, modes in a.ranef().items():
        renamed = b.ranef()[group].loc[new_names[group][modes.index.to_numpy()]]
        close(renamed.to_numpy(), modes.to_numpy(), 10 * ESTIMATE)


@given(model=array_glmms(groupings=(nested, crossed)), seed=seeds, data=st.data())
@settings(max_examples=20)
def test_order_of_terms_does_not_matter(model: ArrayGLMM, seed: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(model.terms))))
    a, b = model.fit(), replace(model, terms=tuple(model.terms[i] for i in order)).fit()
    psi = typical_psi(model, 1, seed)
    pieces = np.split(psi[:model.n_theta], np.cumsum([term.n_theta for term in model.terms])[:-1])
    moved = np.concatenate([*(pieces[i] for i in order), psi[model.n_theta:]])
    close(deviance(b, moved), deviance(a, psi), CRITERION)
    same_optimum(a, b)


# ---- offsets and covariates ------------------------------------------------------------------------------------------

@given(model=array_glmms(), shift=st.floats(-3, 3), seed=seeds)
@settings(max_examples=20)
def test_a_constant_offset_shifts_the_intercept(model: ArrayGLMM, shift: float, seed: int) -> None:
    offset = np.zeros(len(model.y)) if model.offset is None else model.offset
    a, b = model.fit(), replace(model, offset=offset + shift).fit()
    psi = typical_psi(model, 1, seed)
    moved = psi.copy()
    moved[model.n_theta] -= shift
    close(deviance(b, moved), deviance(a, psi), CRITERION)
    same_optimum(a, replace_first(b, shift))


def replace_first(solution: Any, shift: float) -> Any:
    """The solution with the shift added to its first coefficient."""
    class Shifted:
        converged, log_likelihood, vcov = solution.converged, solution.log_likelihood, solution.vcov
        coefficients = solution.coefficients + shift * (np.arange(len(solution.coefficients)) == 0)
    return Shifted


@pytest.mark.parametrize("offset", [1e3, -1e3])
@pytest.mark.parametrize("family", [POISSON, LOGIT, NEGATIVE_BINOMIAL], ids=lambda f: f.distribution)
def test_a_huge_offset_is_taken_by_the_intercept(family: DenseFamily, offset: float) -> None:
    rng = np.random.default_rng(23)
    model = simulated(rng, family, {"a": np.arange(60) % 10}, (TermSpec("a"),), sd=4.0)
    a, b = model.fit(), replace(model, offset=np.full(60, offset)).fit()
    assert a.converged
    assert b.converged
    close(b.log_likelihood, a.log_likelihood, 1e-8)
    close((b.coefficients + np.array([offset, 0])) / a.se, a.coefficients / a.se, 1e-4)
    close(b.se / a.se, 1, 1e-4)


@pytest.mark.parametrize(("shift", "scale"), [(1e6, 1.0), (-2024.0, 1.0), (0.0, 1e-6), (0.0, 1e6)])
@pytest.mark.parametrize("columns", [("1",), ("1", "x")])
@pytest.mark.parametrize("family", [LOGIT, POISSON, GAMMA], ids=lambda f: f.distribution)
def test_moving_a_covariate(family: DenseFamily, columns: tuple[str, ...], shift: float, scale: float) -> None:
    """x becomes (x + shift) * scale: an equivalent model, since every term with x has a free intercept."""
    rng = np.random.default_rng(24)
    model = simulated(rng, family, {"a": np.arange(120) % 12}, (TermSpec("a", columns),), sd=4.0, weights=True)
    x = np.round(model.data["x"] * 1024) / 1024                # so that a shift by 1e6 is exact
    plain = replace(model, X=np.column_stack([np.ones(120), x]), data={"x": x})
    moved = (x + shift) * scale
    a = plain.fit()
    b = replace(plain, X=np.column_stack([np.ones(120), moved]), data={"x": moved}).fit()
    assert a.converged
    assert b.converged
    slope, intercept = a.coefficients[1] / scale, a.coefficients[0] - a.coefficients[1] * shift
    close(b.log_likelihood, a.log_likelihood, DIGITS)
    close((b.coefficients[1] - slope) / (a.se[1] / scale), 0, ESTIMATE)
    close((b.coefficients[0] - intercept) / (a.se[0] + a.se[1] * abs(shift)), 0, ESTIMATE)
    close(b.se[1] * scale / a.se[1], 1, 10 * ESTIMATE)
    close(b.fitted_values, a.fitted_values, ESTIMATE)


@given(model=array_glmms(groupings=(one_factor, lone_observations)), seed=seeds)
@settings(max_examples=15)
def test_dependent_columns_are_dropped(model: ArrayGLMM, seed: int) -> None:
    X = np.column_stack([model.X, model.X @ np.ones(model.X.shape[1]), np.zeros(len(model.y))])
    a, b = model.fit(), replace(model, X=X).fit()
    assert len(b.coefficients) == model.X.shape[1]
    psi = typical_psi(model, 1, seed)
    close(deviance(b, psi), deviance(a, psi), CRITERION)
    same_optimum(a, b)


# ---- families that contain one another -------------------------------------------------------------------------------

def test_a_negative_binomial_of_great_size_is_poisson() -> None:
    model = poisson_model()
    held = replace(model, family=DenseFamily("negative_binomial", "log", shape=1e9))
    a, b = model.fit(), held.fit()
    assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-7)
    close(b.coefficients / a.se, a.coefficients / a.se, 1e-4)


def test_gaussian_identity_is_the_linear_model_by_maximum_likelihood() -> None:
    """Theta of a linear model is relative to sigma."""
    sleepstudy = pm.datasets.load("sleepstudy")
    linear = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False)
    general = pm.glmer("Reaction ~ Days + (Days | Subject)", sleepstudy, family="gaussian")
    assert_allclose(general.log_likelihood, linear.log_likelihood, rtol=1e-9)
    close(general.coefficients / linear.se, linear.coefficients / linear.se, ESTIMATE)
    assert_allclose(general.theta, linear.theta * linear.residual_std, rtol=1e-4)
    assert_allclose(general.dispersion, linear.residual_variance, rtol=1e-4)


def test_student_t_of_many_degrees_of_freedom_is_gaussian() -> None:
    sleepstudy = pm.datasets.load("sleepstudy")
    formula = "Reaction ~ Days + (1 | Subject)"
    a = pm.glmer(formula, sleepstudy, family="gaussian")
    b = pm.glmer(formula, sleepstudy, family=pm.families.StudentT(df=1e8))
    assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-6)
    close(b.coefficients / a.se, a.coefficients / a.se, 1e-3)


def test_no_zero_inflation_is_the_plain_model() -> None:
    """At a zero-inflation intercept of -40 nothing is inflated."""
    rng = np.random.default_rng(25)
    model = simulated(rng, POISSON, {"a": np.arange(60) % 8}, (TermSpec("a"),), sd=4.0)
    inflated = replace(model, zero_inflation=np.ones((60, 1)))
    a, b = model.fit(), inflated.fit()
    psi = psi_of(a)
    assert_allclose(deviance(b, np.append(psi, -40.0)), -2 * a.log_likelihood, rtol=1e-12)
    assert b.log_likelihood > a.log_likelihood - 1e-6


# ---- ways in, out and through ----------------------------------------------------------------------------------------

def test_formula_equals_arrays() -> None:
    cbpp = pm.datasets.load("cbpp")
    a = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    size = cbpp["size"].to_numpy(float)
    X = (cbpp["period"].cat.codes.to_numpy()[:, None] == np.arange(1, 4)).astype(float)
    b = pm.glmm(cbpp["incidence"].to_numpy() / size, np.column_stack([np.ones(len(X)), X]),
                {"herd": cbpp["herd"].to_numpy()}, weights=size)
    assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-12)
    assert_allclose(b.coefficients, a.coefficients, rtol=1e-8)
    assert_allclose(b.se, a.se, rtol=1e-8)


@pytest.mark.parametrize("way", ["booleans", "factor", "strings", "proportion", "two columns"])
def test_ways_to_say_a_binary_response(way: str) -> None:
    rng = np.random.default_rng(26)
    model = simulated(rng, LOGIT, {"a": np.arange(80) % 10}, (TermSpec("a"),), sd=8.0)
    frame = pd.DataFrame({"y": model.y, "x": model.X[:, 1], "a": model.groups["a"]})
    plain = pm.glmer("y ~ x + (1 | a)", frame)
    won = frame["y"] > 0
    told = {"booleans": won, "factor": pd.Categorical(np.where(won, "won", "lost"), ["won", "lost"][::-1]),
            "strings": np.where(won, "yes", "no")}.get(way, frame["y"])
    formula = "cbind(y, 1 - y) ~ x + (1 | a)" if way == "two columns" else "y ~ x + (1 | a)"
    weights = np.ones(80) if way == "proportion" else None
    other = pm.glmer(formula, frame.assign(y=told), weights=weights)
    assert_allclose(other.log_likelihood, plain.log_likelihood, rtol=1e-12)
    assert_allclose(other.coefficients, plain.coefficients, rtol=1e-9)


@pytest.mark.parametrize("optimizer", ["L-BFGS-B", "Nelder-Mead", "COBYQA", "trust-constr"])
@pytest.mark.parametrize("n_agq", [0, 1, 7])
def test_other_optimisers_come_to_the_same(optimizer: str, n_agq: int) -> None:
    rng = np.random.default_rng(27)
    model = simulated(rng, NEGATIVE_BINOMIAL, {"a": np.arange(90) % 15}, (TermSpec("a"),), sd=4.0)
    newton, other = model.fit(n_agq=n_agq), model.fit(n_agq=n_agq, optimizer=optimizer)
    assert newton.converged
    assert newton.log_likelihood > other.log_likelihood - 1e-9
    close(other.log_likelihood, newton.log_likelihood, 1e-7)
    close(other.coefficients / newton.se, newton.coefficients / newton.se, 2e-3)    # they stop where they will


@pytest.mark.parametrize("n_agq", [0, 1, 5])
@pytest.mark.parametrize("family", [LOGIT, GAMMA, DenseFamily("poisson", "sqrt"), DenseFamily("tweedie", "log")],
                         ids=lambda f: f"{f.distribution}-{f.link}")
def test_pickling_keeps_all_digits(family: DenseFamily, n_agq: int) -> None:
    """The criterion too: what a solution evaluates after loading does not remember where the fit ended."""
    rng = np.random.default_rng(28)
    model = simulated(rng, family, {"a": np.arange(60) % 10}, (TermSpec("a"),), sd=3.0)
    a = model.fit(n_agq=n_agq)
    b = pickle.loads(pickle.dumps(a))
    for name in ("coefficients", "se", "theta", "linear_predictor", "fitted_values"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
    assert a.log_likelihood == b.log_likelihood
    for psi in (psi_of(a), typical_psi(model, n_agq, seed=7)):
        assert_allclose(deviance(b, psi, n_agq), deviance(a, psi, n_agq), rtol=1e-10)
        assert_allclose(b.gradient_at(*arguments(b, psi, n_agq)), a.gradient_at(*arguments(a, psi, n_agq)),
                        rtol=1e-7, atol=1e-7)
    assert np.array_equal(a.resid("quantile", seed=1), b.resid("quantile", seed=1))
    assert str(a.summary()) == str(b.summary())


@pytest.mark.parametrize("design", [one_factor, crossed])
@pytest.mark.parametrize("n_agq", [0, 1])
def test_threads_give_the_same_bits(design: Any, n_agq: int) -> None:
    rng = np.random.default_rng(29)
    groups = design(rng)
    terms = tuple(TermSpec(g, ("1", "x") if g == "a" else ("1",)) for g in groups)
    model = simulated(rng, NEGATIVE_BINOMIAL, groups, terms, sd=2.0)
    a, b = model.fit(n_agq=n_agq, n_threads=1), model.fit(n_agq=n_agq, n_threads=2)
    assert a.log_likelihood == b.log_likelihood
    assert np.array_equal(a.coefficients, b.coefficients)
    assert np.array_equal(a.theta, b.theta)
    assert np.array_equal(a.se, b.se)


@pytest.mark.parametrize("n_agq", [0, 1, 5])
def test_evaluations_do_not_depend_on_what_was_evaluated_before(n_agq: int) -> None:
    """Warm starts of the modes leave no trace beyond rounding."""
    rng = np.random.default_rng(30)
    model = simulated(rng, DenseFamily("negative_binomial", "sqrt"), one_factor(rng), (TermSpec("a"),))
    a, b = model.fit(n_agq=n_agq), model.fit(n_agq=n_agq)
    points = [typical_psi(model, n_agq, seed) for seed in range(6)]
    forward = [deviance(a, psi, n_agq) for psi in points]
    backward = [deviance(b, psi, n_agq) for psi in points[::-1]][::-1]
    assert_allclose(forward, backward, rtol=1e-12)


# ---- a family that a user writes -------------------------------------------------------------------------------------

def test_a_custom_family_equals_the_built_in_one() -> None:
    rng = np.random.default_rng(31)
    model = simulated(rng, POISSON, {"a": np.arange(60) % 10}, (TermSpec("a"),), sd=4.0)

    def curvature(_: Array, eta: Array) -> Array:
        return -np.exp(eta)

    custom = pm.families.Custom(
        lambda y, eta: y * eta - np.exp(eta) - gammaln(y + 1), lambda y, eta: y - np.exp(eta), curvature, curvature,
        initial_predictor=lambda y: np.log(y + 0.1), mean=np.exp, variance=lambda mu: mu)
    a, b = model.fit(), pm.glmm(model.y, model.X, dict(model.groups), family=custom)
    assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-10)
    close(b.coefficients / a.se, a.coefficients / a.se, ESTIMATE)
    close(b.se / a.se, 1, 10 * ESTIMATE)
    close(b.fitted_values, a.fitted_values, ESTIMATE)
    close(b.resid("pearson"), a.resid("pearson"), ESTIMATE)
