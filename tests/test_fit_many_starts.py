"""Every response of fit_many starts from itself: large and small means together, as separate fits find them."""

from collections.abc import Callable

import numpy as np
import pytest
from many_cases import ROW_ARRAYS, Case, assert_same_bits

import pymixed as pm
from pymixed import families

Array = np.ndarray
Draw = Callable[[np.random.Generator, Array], Array]

LEVELS, REPEATS = 15, 6


def logistic(eta: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-eta))


def tweedie(rng: np.random.Generator, mean: Array) -> Array:
    """Power 1.5, dispersion 1: a Poisson number of exponential variables."""
    number = rng.poisson(2.0 * np.sqrt(mean))
    return np.where(number > 0, rng.gamma(np.maximum(number, 1), 0.5 * np.sqrt(mean)), 0.0)


def beta(rng: np.random.Generator, mean: Array) -> Array:
    return np.clip(rng.beta(40.0 * mean, 40.0 * (1.0 - mean)), 1e-12, 1.0 - 1e-12)


# family, responses of linear predictors, and pairs of intercept and standard deviation between groups
CASES: dict[str, tuple[families.Family, Draw, tuple[tuple[float, float], ...]]] = {
    "poisson": (families.Poisson(), lambda rng, eta: rng.poisson(np.exp(eta)),
                ((9.0, 0.4), (3.0, 2.0), (10.0, 1.0), (0.0, 0.7), (-1.0, 0.8))),
    "negative_binomial": (families.NegativeBinomial(), lambda rng, eta: rng.negative_binomial(
        3.0, 3.0 / (3.0 + np.exp(eta))), ((7.0, 0.6), (11.0, 1.0), (1.0, 0.8))),
    "gamma": (families.Gamma(link="log"), lambda rng, eta: rng.gamma(4.0, np.exp(eta) / 4.0),
              ((8.0, 0.5), (0.0, 1.0), (-8.0, 0.5))),
    "tweedie": (families.Tweedie(power=1.5), lambda rng, eta: tweedie(rng, np.exp(eta)),
                ((5.0, 0.5), (0.0, 0.5), (9.0, 1.0))),
    "binomial": (families.Binomial(), lambda rng, eta: rng.binomial(200, logistic(eta)) / 200.0,
                 ((4.5, 0.7), (-4.5, 0.7), (0.0, 2.0))),
    "beta": (families.Beta(), lambda rng, eta: beta(rng, logistic(eta)), ((2.5, 0.5), (-2.5, 0.5), (0.0, 1.0))),
}


def case(name: str) -> Case:
    """A design with two responses of every pair."""
    family, draw, pairs = CASES[name]
    rng = np.random.default_rng(7)
    g, x = np.repeat(np.arange(LEVELS), REPEATS), rng.normal(size=LEVELS * REPEATS)
    Y = np.column_stack([draw(rng, intercept + 0.3 * x + sd * rng.normal(size=LEVELS)[g])
                         for intercept, sd in pairs for _ in range(2)]).astype(float)
    weights = {"weights": np.full(len(x), 200.0)} if name == "binomial" else {}
    return Case(np.column_stack([np.ones(len(x)), x]), {"g": g}, weights, Y, family)


@pytest.mark.parametrize("name", CASES)
def test_all_converge_to_the_separate_fits(name):
    some = case(name)
    fits = some.many()
    assert fits.converged.all()
    for i, y in enumerate(some.Y.T):
        fit = some.separate(y)
        # what the tolerance 1e-8 of both searches leaves, and rounding of sums of y log(mu), 1e8 for the largest counts
        np.testing.assert_allclose(fits.objective[i], -2.0 * fit.log_likelihood, rtol=0.0, atol=1e-7)
        np.testing.assert_allclose(fits.coefficients[i], fit.coefficients, atol=1e-4 * fit.se.max())
        np.testing.assert_allclose(fits.theta[i], fit.theta, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["poisson", "tweedie"])
@pytest.mark.parametrize("n_agq", [0, 1])
def test_neither_threads_nor_the_other_responses_matter(name, n_agq):
    some = case(name)
    fits = some.many(n_agq=n_agq)
    assert fits.converged.all()
    assert_same_bits(fits, some.many(n_agq=n_agq, n_threads=3))
    backwards = some.many(some.Y[:, ::-1], n_agq=n_agq)
    for values in ROW_ARRAYS:
        np.testing.assert_array_equal(getattr(fits, values), getattr(backwards, values)[::-1], err_msg=values)


@pytest.mark.filterwarnings("ignore::pymixed.errors.MissingValuesWarning")
@pytest.mark.parametrize("n_agq", [0, 1])
def test_rows_missing_and_offsets_of_their_own(n_agq):
    some = case("poisson")
    Y = some.Y.copy()
    Y[::7, ::2] = np.nan
    offset = np.linspace(-1.0, 1.0, len(Y))
    fits = some.many(Y, n_agq=n_agq, offset=offset)
    assert fits.converged.all()
    for i, y in enumerate(Y.T):
        fit = some.separate(y, n_agq=n_agq, offset=offset)
        np.testing.assert_allclose(fits.objective[i], -2.0 * fit.log_likelihood, rtol=0.0, atol=1e-7)


def test_an_effect_of_every_row():
    """Large effects of single rows, far from what the design's placeholder would start at."""
    table = pm.datasets.load("grouseticks")
    formula = "YEAR + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)"
    model = pm.glmer(f"TICKS ~ {formula}", table, family="poisson")
    Y = np.column_stack([model.simulate(4, seed=1), table["TICKS"]])
    fits = pm.fit_many(f"~ {formula}", table, Y, family="poisson")
    assert fits.converged.all()
    np.testing.assert_allclose(fits.objective[-1], -2.0 * model.log_likelihood, rtol=0.0, atol=1e-7)
