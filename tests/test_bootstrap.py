"""The bootstrap's replicates: against separate fits, moments by dense matrices, threads, pieces and stored numbers."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bootstrap_models import (
    GENERALIZED,
    assert_same_bits,
    generalized,
    quiet,
    refitted,
    resampler_of,
    responses_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from models import ArrayModel, TermSpec, array_models, crossed, dense_of_design, nested
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import pymixed as pm
from pymixed._inference.resampling import make_plan, residual_pools

Array = NDArray[Any]
GOLDEN = Path(__file__).parent / "bootstrap_stream.json"

# A fit ends where a step promises less than 1e-11 of the criterion, hence within sqrt(1e-11) standard errors.
STANDARD_ERRORS = 1e-5


@pytest.fixture(scope="module")
def sleep() -> Any:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def pastes() -> Any:
    """Samples within batches."""
    return pm.lmer("strength ~ 1 + (1 | batch/cask)", pm.datasets.load("pastes"))


# ---- threads, pieces, ranges -----------------------------------------------------------------------------------------

def check_threads_and_pieces(fit: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    whole = fit.bootstrap(30, seed=11, **options)
    assert len(whole) == 30
    for n_threads in (2, 4, 64):
        assert_same_bits(whole, fit.bootstrap(30, seed=11, n_threads=n_threads, **options))
    parts = [fit.bootstrap(count, seed=11, first=first, n_threads=2, **options)
             for first, count in ((0, 1), (1, 12), (13, 17))]
    assert_same_bits(whole, parts[0] + parts[1] + parts[2])
    monkeypatch.setattr("pymixed._inference.progress.PIECE_SECONDS", 0.0)  # one at a time
    assert_same_bits(whole, fit.bootstrap(30, seed=11, **options))
    assert not np.array_equal(whole.values, fit.bootstrap(30, seed=12, **options).values)


@pytest.mark.parametrize("kind", ["parametric", "residual", "cluster"])
def test_linear_replicates_depend_on_seed_and_number_alone(sleep: Any, pastes: Any, kind: str,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    for fit in (sleep, pastes):
        check_threads_and_pieces(fit, monkeypatch, kind=kind)


@pytest.mark.parametrize("kind", ["parametric", "cluster"])
@pytest.mark.parametrize("name", ["poisson, offset", "poisson, n_agq=5", "negative_binomial", "binomial, trials"])
def test_generalized_replicates_depend_on_seed_and_number_alone(name: str, kind: str,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    check_threads_and_pieces(generalized(name), monkeypatch, kind=kind)


def test_large_seeds_and_numbers(sleep: Any) -> None:
    far = sleep.bootstrap(3, seed=2**64 - 1, first=2**63 - 4)
    assert far.number.tolist() == [2**63 - 4, 2**63 - 3, 2**63 - 2]
    assert set(far.seed.tolist()) == {2**64 - 1}
    assert far.n_failed == 0
    assert len({tuple(row) for row in far.values.tolist()}) == 3
    assert_same_bits(far, sleep.bootstrap(np.int64(3), seed=np.uint64(2**64 - 1), first=np.int64(2**63 - 4)))


# ---- against separate fits -------------------------------------------------------------------------------------------

def check_against_separate_fits(fit: Any, Y: Array, found: Any) -> None:
    for k, y in enumerate(Y.T):
        own = refitted(fit, y)
        assert found.status[k] == 0
        assert found.objective[k] == pytest.approx(own.params.objective, rel=1e-9, abs=1e-9)
        if own.coefficients.size:
            assert np.max(np.abs(found.coefficients[k] - own.coefficients) / found.se[k]) < STANDARD_ERRORS
        assert_allclose(found.theta[k], own.theta, rtol=0, atol=1e-4 * max(1.0, np.abs(own.theta).max()))


@settings(max_examples=25)
@given(array_models(), st.booleans())
def test_linear_fits_are_those_of_separate_calls(model: ArrayModel, reml: bool) -> None:
    fit = model.fit(reml=reml)
    Y = responses_of(fit, 3)
    found = resampler_of(fit).fit(Y, 1)
    check_against_separate_fits(fit, Y, found)
    boot = fit.bootstrap(3, seed=1)
    assert np.array_equal(boot.coefficients, found.coefficients)
    assert np.array_equal(boot.objective, found.objective)
    for k in range(3):
        own = refitted(fit, Y[:, k])
        if own.coefficients.size:
            assert_allclose(found.se[k], own.se, rtol=1e-4)
        assert found.extra[k, 0] == pytest.approx(own.residual_std, rel=1e-5)


@pytest.mark.parametrize("name", GENERALIZED)
def test_generalized_fits_are_those_of_separate_calls(name: str) -> None:
    fit = generalized(name)
    Y = responses_of(fit, 4)
    found = resampler_of(fit).fit(Y, 2)
    check_against_separate_fits(fit, Y, found)
    for k in range(4):
        own = refitted(fit, Y[:, k])
        assert_allclose(found.extra[k], own.params.extra, rtol=0, atol=1e-4)
        if own.params.se_method == "rx":
            assert_allclose(found.se[k], own.se, rtol=1e-4)


@pytest.mark.parametrize("name", GENERALIZED)
def test_every_family_is_bootstrapped(name: str) -> None:
    fit = generalized(name)
    for kind in ("parametric", "cluster"):
        if kind == "cluster" and len(fit._design.factors) > 1:
            continue
        boot = fit.bootstrap(40, kind=kind, seed=3, n_threads=2)
        assert boot.n_failed == 0
        assert np.isfinite(boot.coefficients).all()
        assert np.isfinite(boot.se).all()
        assert boot.names == tuple(fit.conf_int().index)
        assert_allclose(boot.estimates, fit.bootstrap(1, seed=9).estimates)
        # a bootstrap distribution lies around the estimates it is drawn from
        p = boot.coefficients.shape[1]
        spread = boot.coefficients.std(axis=0, ddof=1)
        assert (np.abs(boot.coefficients.mean(axis=0) - fit.coefficients) < 1.0 * spread).all()
        assert_allclose(boot.values[:, :p], boot.coefficients)


def test_coefficients_that_were_dropped_stay_dropped() -> None:
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=90), np.arange(90) % 15
    X = np.column_stack([np.ones(90), x, 2 * x - 1, rng.normal(size=90)])
    y = x + rng.normal(size=15)[g] + rng.normal(size=90)
    fit = quiet(pm.lmm, y, X, {"g": g})
    assert len(fit.params.aliased) == 1
    for kind in ("parametric", "residual", "cluster"):
        boot = fit.bootstrap(20, kind=kind, seed=1)
        assert boot.n_failed == 0
        assert boot.coefficients.shape == (20, 3)
    less = quiet(pm.lmm, y, X[:, [0, 1, 3]], {"g": g}).bootstrap(20, seed=1)
    assert_allclose(fit.bootstrap(20, seed=1).coefficients, less.coefficients, rtol=1e-6)


def test_rows_that_were_dropped_and_an_offset_in_the_formula(sleepstudy: pd.DataFrame) -> None:
    shifted = sleepstudy.assign(known=np.linspace(-40.0, 40.0, len(sleepstudy)))
    gaps = pd.concat([shifted, shifted.iloc[::9]], ignore_index=True)
    gaps.loc[len(shifted):, "Days"] = np.nan
    formula = "Reaction ~ Days + offset(known) + (Days | Subject)"
    fit, clean = quiet(pm.lmer, formula, gaps), pm.lmer(formula, shifted)
    for kind in ("parametric", "residual", "cluster"):
        one, other = fit.bootstrap(10, kind=kind, seed=1), clean.bootstrap(10, kind=kind, seed=1)
        assert one.values.tobytes() == other.values.tobytes()
    by_rows = fit.bootstrap(10, kind="cluster", cluster=gaps["Subject"], seed=1)
    assert by_rows.values.tobytes() == one.values.tobytes()
    # a known part that the response also has changes nothing but the response
    moved = pm.lmer(formula, shifted.assign(Reaction=shifted.Reaction + shifted.known))
    plain = pm.lmer("Reaction ~ Days + (Days | Subject)", shifted)
    assert_allclose(moved.bootstrap(5, seed=2).values, plain.bootstrap(5, seed=2).values, rtol=1e-6)


# ---- moments ---------------------------------------------------------------------------------------------------------

def check_moments(Y: Array, mean: Array, V: Array) -> None:
    """Means and covariances of R responses (n, R), within 5.5 standard errors of every entry.

    The largest of the n (n + 1) / 2 standard normal errors here is below that but once in 10 000 times.
    """
    R = Y.shape[1]
    assert np.max(np.abs(Y.mean(axis=1) - mean) / np.sqrt(np.diag(V) / R)) < 5.5
    E = Y - mean[:, None]
    products = E @ E.T / R
    spread = np.sqrt(np.maximum((E**2) @ (E**2).T / R - products**2, 0.0) / R)
    assert np.max(np.abs(products - V) / spread) < 5.5


def crossed_model(weighted: bool) -> ArrayModel:
    rng = np.random.default_rng(5)
    groups = crossed(rng)
    n = len(groups["a"])
    x = rng.normal(size=n)
    y = 3 + 2 * x + rng.normal(size=(9, 2))[groups["a"]] @ [1.0, 0.0] + rng.normal(size=6)[groups["b"]]
    y += rng.normal(size=9)[groups["a"]] * x + rng.normal(size=n)
    return ArrayModel(y, np.column_stack([np.ones(n), x]), groups,
                      (TermSpec("a", ("1", "x")), TermSpec("b")), {"x": x},
                      weights=rng.uniform(0.3, 3.0, n) if weighted else None, offset=rng.normal(size=n))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["parametric", "residual"])
def test_linear_responses_have_the_models_moments(kind: str, weighted: bool) -> None:
    fit = crossed_model(weighted).fit()
    design, sigma = fit._design, fit.residual_std
    at = dense_of_design(design, reml=True).at(fit.theta)
    pools = None
    if kind == "residual":
        pools = residual_pools(design, fit.params, fit.residuals, sigma)
    plan = make_plan(design, kind, 21, None, 1)
    Y = resampler_of(fit).responses(replace(plan, pools=pools), 0, 20_000)
    check_moments(Y, design.offset + design.X @ fit.coefficients,
                  sigma**2 * (at.model.W_inverse + at.ZLambda @ at.ZLambda.T))


def test_one_factor_at_a_time() -> None:
    """Variance of each factor alone: the others' parts of theta are zero, and nothing leaks from factor to factor."""
    fit = crossed_model(weighted=True).fit()
    point = fit._model_point()
    for only in (slice(0, 3), slice(3, 4), slice(0, 0)):
        theta = np.zeros_like(fit.theta)
        theta[only] = fit.theta[only]
        Y = fit._engine.resampler(fit._design, replace(point, theta=theta)).responses(
            make_plan(fit._design, "parametric", 4, None, 1), 0, 10_000)
        at = dense_of_design(fit._design, reml=True).at(theta)
        check_moments(Y, fit._design.offset + fit._design.X @ fit.coefficients,
                      fit.residual_std**2 * (at.model.W_inverse + at.ZLambda @ at.ZLambda.T))


def test_counts_have_the_moments_of_their_mixture() -> None:
    fit = generalized("poisson, offset")
    design, point = fit._design, fit._model_point()
    at = dense_of_design(design, reml=False).at(fit.theta)
    K = at.ZLambda @ at.ZLambda.T
    mean = np.exp(design.offset + design.X @ point.coefficients + 0.5 * np.diag(K))
    V = np.outer(mean, mean) * np.expm1(K) + np.diag(mean)
    few = np.arange(40)  # products of so many rows
    check_moments(responses_of(fit, 40_000)[few], mean[few], V[np.ix_(few, few)])


@given(array_models())
def test_pools_have_the_estimated_covariances(model: ArrayModel) -> None:
    fit = model.fit()
    pools = residual_pools(fit._design, fit.params, fit.residuals, fit.residual_std)
    assert pools.residuals.mean() == pytest.approx(0.0, abs=1e-12 * fit.residual_std)
    assert np.mean(pools.residuals**2) == pytest.approx(fit.residual_std**2, rel=1e-10)
    for factor, modes in zip(fit._design.factors, pools.modes, strict=True):
        terms = [term.matrix for term in fit.params.term_covariances if term.group == factor.name]
        size = sum(map(len, terms))
        wanted = np.zeros((size, size))
        start = 0
        for matrix in terms:
            wanted[start:start + len(matrix), start:start + len(matrix)] = matrix
            start += len(matrix)
        scale = max(np.abs(wanted).max(), 1e-300)
        assert modes.shape == (len(factor.levels), size)
        assert np.abs(modes.mean(axis=0)).max() < 1e-10 * math.sqrt(scale)
        b = fit.params.random_effects[factor.name]
        rank = np.linalg.matrix_rank(b - b.mean(axis=0), tol=1e-5 * max(np.abs(b).max(), 1e-300))
        if rank == np.linalg.matrix_rank(wanted, tol=1e-8 * scale) == size:  # modes that reach every direction
            assert_allclose(modes.T @ modes / len(modes), wanted, rtol=0, atol=1e-6 * scale)


# ---- clusters --------------------------------------------------------------------------------------------------------

def multisets(n: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations_with_replacement(range(n), n))


def gathered(model: ArrayModel, site: Array, drawn: tuple[int, ...]) -> ArrayModel:
    """The rows of the clusters drawn, every copy with levels of its own."""
    rows = [np.flatnonzero(site == cluster) for cluster in drawn]
    copy = np.repeat(np.arange(len(drawn)), [len(index) for index in rows])
    index = np.concatenate(rows)
    out = model.rows(index)
    groups = {name: 1000 * copy + labels for name, labels in out.groups.items()}
    return ArrayModel(out.y, out.X, groups, out.terms, out.data, out.weights, out.offset)


@pytest.mark.parametrize("reml", [True, False])
def test_clusters_are_fits_to_data_put_together_by_hand(reml: bool) -> None:
    """Four clusters: each of the 35 samples, fitted to rows gathered by hand, and as often drawn as it should be."""
    rng = np.random.default_rng(16)  # with no sample whose criterion has two minima
    groups = nested(rng)
    site = groups["a"] * 7 % 4  # not sorted, and coarser than both factors
    n = len(site)
    x = rng.normal(size=n)
    y = 1 + x + rng.normal(size=10)[groups["b"]] + rng.normal(size=4)[groups["a"]] * x + rng.normal(size=n)
    model = ArrayModel(y, np.column_stack([np.ones(n), x]), groups,
                       (TermSpec("a", ("1", "x"), "diag"), TermSpec("b")), {"x": x},
                       weights=rng.uniform(0.5, 2.0, n), offset=rng.normal(size=n))
    samples = multisets(4)
    expected = {drawn: gathered(model, site, drawn).fit(reml=reml) for drawn in samples}
    boot = model.fit(reml=reml).bootstrap(600, kind="cluster", cluster=site, seed=1, n_threads=2)
    objectives = np.array([expected[drawn].params.objective for drawn in samples])
    assert np.diff(np.sort(objectives)).min() > 1e-4  # they tell samples apart
    which = np.abs(boot.objective[:, None] - objectives).argmin(axis=1)
    for k, i in enumerate(which):
        own = expected[samples[i]]
        assert boot.objective[k] == pytest.approx(own.params.objective, rel=1e-9)
        assert np.max(np.abs(boot.coefficients[k] - own.coefficients) / own.se) < STANDARD_ERRORS
        assert_allclose(boot.se[k], own.se, rtol=1e-4)
        assert_allclose(boot.theta[k], own.theta, rtol=0, atol=1e-4)
        assert boot.extra[k, 0] == pytest.approx(own.residual_std, rel=1e-5)
    probability = np.array([math.factorial(4) / math.prod(math.factorial(drawn.count(c)) for c in range(4))
                            for drawn in samples]) / 4**4
    counts = np.bincount(which, minlength=len(samples))
    chi_squared = float(((counts - 600 * probability) ** 2 / (600 * probability)).sum())
    assert chi_squared < 34 + 5 * math.sqrt(2 * 34)  # 34 degrees of freedom


def test_clusters_of_a_generalized_model_are_fits_by_hand() -> None:
    rng = np.random.default_rng(8)
    site, x = np.repeat([2, 0, 1], [20, 25, 30]), rng.normal(size=75)
    g = 10 * site + rng.integers(0, 5, 75)
    y = rng.poisson(np.exp(0.5 + 0.3 * x + 0.6 * rng.normal(size=30)[g]))
    frame = pd.DataFrame({"y": y * (rng.random(75) > 0.2), "x": x, "g": g, "site": site})
    fit = quiet(pm.glmer, "y ~ x + (1 | g)", frame, family="poisson", zi="~ x")
    boot = fit.bootstrap(60, kind="cluster", cluster=frame["site"], seed=1)
    own = {}
    for drawn in multisets(3):
        rows = pd.concat([frame[frame.site == c].assign(g=lambda f, k=k: 1000 * k + f.g) for k, c in enumerate(drawn)])
        own[drawn] = quiet(pm.glmer, "y ~ x + (1 | g)", rows, family="poisson", zi="~ x")
    objectives = np.array([fit.params.objective for fit in own.values()])
    which = np.abs(boot.objective[:, None] - objectives).argmin(axis=1)
    assert boot.n_failed == 0
    assert len(set(which)) > 7
    for k, fit_by_hand in enumerate(np.array(list(own.values()), object)[which]):
        assert boot.objective[k] == pytest.approx(fit_by_hand.params.objective, rel=1e-9)
        assert_allclose(boot.coefficients[k], fit_by_hand.coefficients, rtol=0, atol=1e-5)
        if np.abs(fit_by_hand.params.extra).max() < 10:  # no zeros beyond the counts' own: it goes to infinity
            assert_allclose(boot.extra[k], fit_by_hand.params.extra, rtol=0, atol=1e-3)


def test_default_clusters_are_the_coarsest_factor(pastes: Any) -> None:
    by_default = pastes.bootstrap(20, kind="cluster", seed=1)
    assert_same_bits(by_default, pastes.bootstrap(20, kind="cluster", cluster="batch", seed=1))


# ---- what it is for --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["parametric", "residual", "cluster"])
def test_standard_errors_agree_with_asymptotic_ones(kind: str) -> None:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(400), 6)
    x = np.tile(np.linspace(-1, 1, 6), 400)
    y = 2 + x + rng.normal(size=400)[g] + 0.7 * rng.normal(size=400)[g] * x + rng.normal(size=2400)
    fit = pm.lmer("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    boot = fit.bootstrap(2000, kind=kind, seed=1, n_threads=2)
    assert boot.n_failed == 0
    spread, wald = boot.summary()["se"].to_numpy(), fit.conf_int(level=0.5)
    # of a standard deviation from 2 000 replicates the standard error is 1 / sqrt(4 000); residuals and clusters
    # estimate fourth moments from 400 groups, which is good to a further 5 per cent or so
    tolerance = 4.5 / math.sqrt(4000) + (0.0 if kind == "parametric" else 0.06)
    assert_allclose(spread[:2], fit.se, rtol=tolerance)
    halves = 0.5 * (wald["upper"] - wald["lower"]).to_numpy() / 0.6744897501960817
    assert_allclose(spread, halves, rtol=tolerance + 0.03)  # intervals of sd and correlation are not symmetric
    assert np.abs(boot.summary()["bias"] / spread).max() < 0.25


# ---- stored numbers --------------------------------------------------------------------------------------------------

def stream_values(sleep: Any) -> dict[str, list[float]]:
    """A few numbers of every kind of replicate."""
    values = {f"sleepstudy, {kind}": sleep.bootstrap(4, kind=kind, seed=2024, first=7).objective.tolist()
              for kind in ("parametric", "residual", "cluster")}
    for name in GENERALIZED:
        fit = generalized(name)
        values[name] = responses_of(fit, 3, seed=2024)[::40].ravel().tolist()
        values[f"{name}, fits"] = fit.bootstrap(2, seed=2024).objective.tolist()
    return values


def test_the_stream_of_random_numbers_never_changes(sleep: Any) -> None:
    """A seed means the same replicates in every version: `stream_values` once wrote the file.

    The last digits of libm and the instructions of the machine enter, hence not bits.
    """
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))
    here = stream_values(sleep)
    assert here.keys() == stored.keys()
    for name, values in stored.items():
        assert_allclose(here[name], values, rtol=1e-10 if "fits" not in name else 1e-9, err_msg=name)
