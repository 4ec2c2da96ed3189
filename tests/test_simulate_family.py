"""Responses drawn from every family, against the distributions of scipy.stats.

Seeds are fixed, so that a test of level 0.001 either always passes or always fails.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pymixed import _core, _distributions
from pymixed._links import LINKS

N = 200_000
LEVEL = 1e-3
NONE = np.zeros(0)


def make(distribution: str, link: str, shape: float | None = None, power: float | None = None) -> _core.Family:
    return _core.make_family(distribution, LINKS[link].core_name if link in LINKS else link, shape, power)


def predictor(link: str, mean: float) -> float:
    return float(LINKS[link].link(np.array([mean]))[0]) if link in LINKS else mean


def draw(family: _core.Family, eta: float, parameters: Any = NONE, weight: float | None = None,
         zeta: float | None = None, seed: int = 20) -> Any:
    def rows(value: float | None) -> Any:
        return None if value is None else np.full(N, value)

    return family.simulate(np.full(N, eta), rows(zeta), rows(weight), np.array(parameters, float), seed, 3)


def check_moments(y, mean, variance):
    """Within five standard errors; that of the variance by the sample's own fourth moment."""
    deviation = y - mean
    assert abs(deviation.mean()) < 5 * np.sqrt(variance / N)
    squares = deviation**2
    assert abs(squares.mean() - variance) < 5 * squares.std() / np.sqrt(N) + 1e-9 * variance


def check_continuous(y, expected):
    check_moments(y, expected.mean(), expected.var())
    assert stats.kstest(y, expected.cdf).pvalue > LEVEL


def check_discrete(y, expected, zeros=0.0):
    """A chi-squared test with cells between quantiles, some of them in the tails; `zeros`: a share of more zeros."""
    kept = 1.0 - zeros
    mean = kept * expected.mean()
    check_moments(y, mean, kept * (expected.var() + expected.mean()**2) - mean**2)
    assert (y == np.round(y)).all()
    tail = np.array([1e-4, 5e-4, 2e-3])
    quantiles = np.concatenate([tail, np.linspace(0.005, 0.995, 80), 1.0 - tail[::-1]])
    edges = np.unique(expected.ppf(quantiles))
    below = zeros + kept * expected.cdf(edges)
    cells = [0]                                # from the left, of a probability that 10 rows are expected
    for i in range(1, len(edges)):
        if below[i] - below[cells[-1]] > 10 / N and 1.0 - below[i] > 10 / N:
            cells.append(i)
    probabilities = np.diff(np.concatenate([[0.0], below[cells], [1.0]]))
    counts = np.diff(np.concatenate([[0], np.searchsorted(np.sort(y), edges[cells], side="right"), [N]]))
    possible = probabilities > 0.1 / N         # a Poisson of mean 0.001 takes few values
    assert counts[~possible].sum() <= 3
    if possible.sum() > 1:
        scaled = probabilities[possible] / probabilities[possible].sum() * counts[possible].sum()
        assert stats.chisquare(counts[possible], scaled).pvalue > LEVEL


# ---- counts ----------------------------------------------------------------------------------------------------------

POSITIVE_LINKS = ("log", "sqrt", "inverse", "1/mu^2", "identity")


@pytest.mark.parametrize("mean", [0.1, 1.0, 5.0, 9.99, 10.0, 14.04, 30.86, 50.0, 1000.0, 1e6])
def test_poisson(mean):
    check_discrete(draw(make("poisson", "log"), np.log(mean)), stats.poisson(mean))


@pytest.mark.parametrize("link", POSITIVE_LINKS)
def test_poisson_by_link(link):
    check_discrete(draw(make("poisson", link), predictor(link, 3.2)), stats.poisson(3.2))


@pytest.mark.parametrize("trials", [1, 2, 20, 1000])
@pytest.mark.parametrize("probability", [0.001, 0.00999, 0.01, 0.3, 0.4999, 0.5, 0.7, 0.98, 0.999])
def test_binomial(trials, probability):
    y = draw(make("binomial", "logit"), predictor("logit", probability), weight=trials)
    np.testing.assert_array_equal(y, np.round(y * trials) / trials)
    check_discrete(np.round(y * trials), stats.binom(trials, probability))


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit", "log", "identity_probability"])
def test_binomial_by_link(link):
    core = "identity" if link == "identity_probability" else link
    check_discrete(draw(make("binomial", core), predictor(link, 0.23)), stats.bernoulli(0.23))
    check_discrete(12 * draw(make("binomial", core), predictor(link, 0.86), weight=12), stats.binom(12, 0.86))


@pytest.mark.parametrize("shape", [0.05, 0.7, 4.0, 300.0])
@pytest.mark.parametrize("mean", [0.3, 12.0, 900.0])
def test_negative_binomial(shape, mean):
    expected = stats.nbinom(shape, shape / (shape + mean))
    check_discrete(draw(make("negative_binomial", "log"), np.log(mean), [np.log(shape)]), expected)
    check_discrete(draw(make("negative_binomial", "sqrt", shape), np.sqrt(mean), seed=5), expected)


@pytest.mark.parametrize("dispersion", [0.01, 0.8, 20.0])
@pytest.mark.parametrize("mean", [0.3, 12.0, 900.0])
def test_negative_binomial1(dispersion, mean):
    expected = stats.nbinom(mean / dispersion, 1 / (1 + dispersion))
    check_discrete(draw(make("negative_binomial1", "log"), np.log(mean), [np.log(dispersion)]), expected)


@pytest.mark.parametrize("zeta", [-2.0, 0.7])
def test_zero_inflation(zeta):
    zeros = 1 / (1 + np.exp(-zeta))
    poisson = _core.zero_inflated(make("poisson", "log"))
    check_discrete(draw(poisson, np.log(2.5), zeta=zeta), stats.poisson(2.5), zeros)
    negative_binomial = _core.zero_inflated(make("negative_binomial", "log"))
    y = draw(negative_binomial, np.log(14.0), [np.log(1.5)], zeta=zeta)
    check_discrete(y, stats.nbinom(1.5, 1.5 / 15.5), zeros)


# ---- continuous ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("shape", [0.05, 0.5, 0.999, 1.0, 1.001, 3.0, 100.0])
def test_gamma(shape):
    y = draw(make("gamma", "log"), np.log(2.5), [-np.log(shape)])
    assert (y > 0).all()
    check_continuous(y, stats.gamma(shape, scale=2.5 / shape))


@pytest.mark.parametrize("link", POSITIVE_LINKS)
def test_positive_means_by_link(link):
    eta = predictor(link, 3.2)
    check_continuous(draw(make("gamma", link), eta, [-1.0]), stats.gamma(np.e, scale=3.2 / np.e))
    y = draw(make("inverse_gaussian", link), eta, [-1.0])
    check_continuous(y, stats.invgauss(3.2 / np.e, scale=np.e))


@pytest.mark.parametrize("dispersion", [1e-4, 0.1, 2.0])
@pytest.mark.parametrize("mean", [0.2, 3.0])
def test_inverse_gaussian(dispersion, mean):
    y = draw(make("inverse_gaussian", "log"), np.log(mean), [np.log(dispersion)])
    check_continuous(y, stats.invgauss(mean * dispersion, scale=1 / dispersion))


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("mean", [0.05, 0.4, 0.97])
@pytest.mark.parametrize("precision", [0.4, 2.0, 60.0])
def test_beta(link, mean, precision):
    y = draw(make("beta", link), predictor(link, mean), [np.log(precision)])
    assert ((y > 0) & (y < 1)).all()
    expected, one = stats.beta(mean * precision, (1 - mean) * precision), 1 - 1e-9
    check_moments(y, expected.mean(), expected.var())
    # much of it may be within rounding of 1: that share, and the distribution of the rest
    share = expected.sf(one)
    assert abs((y > one).mean() - share) <= 4 * np.sqrt(share / N)
    assert stats.kstest(y[y <= one], lambda x: expected.cdf(x) / (1 - share)).pvalue > LEVEL


@pytest.mark.parametrize(("mean", "link"), [(-2.0, "identity"), (3.0, "identity"), (3.0, "log"), (3.0, "inverse")])
def test_gaussian_and_student_t(mean, link):
    eta = predictor(link, mean)
    check_continuous(draw(make("gaussian", link), eta, [0.8]), stats.norm(mean, np.exp(0.4)))
    y = draw(make("student_t", link), eta, [0.8, np.log(9.0)])
    check_continuous(y, stats.t(9.0, mean, np.exp(0.4)))
    # few degrees of freedom: no variance, and at 0.6 no mean
    for df in (0.6, 1.9):
        y = draw(make("student_t", link, df), eta, [0.8])
        assert stats.kstest(y, stats.t(df, mean, np.exp(0.4)).cdf).pvalue > LEVEL


@pytest.mark.parametrize("power", [1.05, 1.5, 1.95])
@pytest.mark.parametrize(("mean", "dispersion"), [(0.3, 2.0), (4.0, 0.6), (30.0, 0.3)])
def test_tweedie(power, mean, dispersion):
    estimated = draw(make("tweedie", "log"), np.log(mean), [np.log(dispersion), np.log((power - 1) / (2 - power))])
    y = draw(make("tweedie", "log", None, power), np.log(mean), [np.log(dispersion)])
    np.testing.assert_allclose(y, estimated, rtol=1e-9)  # a power that went through its logit
    check_tweedie(y, mean, dispersion, power)


def check_tweedie(y, mean, dispersion, power):
    check_moments(y, mean, dispersion * mean**power)
    zero = np.exp(-mean**(2 - power) / (dispersion * (2 - power)))
    assert stats.binomtest(int((y == 0).sum()), N, zero).pvalue > LEVEL

    def cdf(x):  # of the positive ones
        below = _distributions.Tweedie().cdf(x, np.full_like(x, mean), None, {"dispersion": dispersion, "power": power})
        return (below[1] - zero) / (1 - zero)

    assert stats.kstest(y[y > 0][:20_000], cdf).pvalue > LEVEL  # a sum of many terms per value: slow


# ---- weights ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("weight", [0.3, 5.0])
def test_weights_divide_the_dispersion_where_means_of_rows_are_of_the_same_kind(weight):
    phi, mean = 0.4, 2.5
    parameters, divided = [np.log(phi)], phi / weight
    y = draw(make("gaussian", "identity"), mean, parameters, weight)
    check_continuous(y, stats.norm(mean, np.sqrt(divided)))
    y = draw(make("gamma", "log"), np.log(mean), parameters, weight)
    check_continuous(y, stats.gamma(1 / divided, scale=mean * divided))
    y = draw(make("inverse_gaussian", "log"), np.log(mean), parameters, weight)
    check_continuous(y, stats.invgauss(mean * divided, scale=1 / divided))
    check_tweedie(draw(make("tweedie", "log", None, 1.4), np.log(mean), parameters, weight), mean, divided, 1.4)


@pytest.mark.parametrize(("distribution", "link", "parameters"), [
    ("poisson", "log", []), ("negative_binomial", "log", [0.3]), ("negative_binomial1", "log", [0.3]),
    ("beta", "logit", [1.0]), ("student_t", "identity", [0.2, 1.5])])
def test_weights_change_nothing_elsewhere(distribution, link, parameters):
    family = make(distribution, link)
    np.testing.assert_array_equal(draw(family, 0.4, parameters, 3.0), draw(family, 0.4, parameters))


# ---- streams ---------------------------------------------------------------------------------------------------------

def test_replicates_are_the_same_for_any_number_of_threads():
    family, eta = make("negative_binomial", "log"), np.linspace(-1, 3, 2000)

    def replicates(threads):
        with ThreadPoolExecutor(threads) as pool:
            return np.array(list(pool.map(
                lambda stream: family.simulate(eta, None, None, np.array([0.5]), 2**64 - 1, stream), range(40))))

    one = replicates(1)
    np.testing.assert_array_equal(one, replicates(4))
    assert len(np.unique(one, axis=0)) == 40


def test_streams_and_seeds_are_independent():
    family = make("gaussian", "identity")
    draws = [family.simulate(np.zeros(N), None, None, np.zeros(1), seed, stream)
             for seed, stream in [(0, 0), (0, 1), (1, 0), (0, 2**64 - 1)]]
    correlation = np.corrcoef(draws)[np.triu_indices(4, 1)]
    assert (np.abs(correlation) < 4 / np.sqrt(N)).all()


# ---- limits and wrong input ------------------------------------------------------------------------------------------

def test_outside_the_domain_there_is_no_response():
    eta = np.array([-1.0, np.nan, np.inf, 2.0])
    y = make("poisson", "identity").simulate(eta, None, None, NONE, 1, 1)
    np.testing.assert_array_equal(np.isnan(y), [True, True, True, False])
    y = _core.zero_inflated(make("poisson", "identity")).simulate(eta, np.full(4, 40.0), None, NONE, 1, 1)
    np.testing.assert_array_equal(y, [np.nan, np.nan, np.nan, 0.0])


@pytest.mark.parametrize(("distribution", "link", "parameters"), [
    ("binomial", "logit", []), ("binomial", "cloglog", []), ("poisson", "log", []),
    ("negative_binomial", "log", [-6.0]), ("negative_binomial1", "log", [6.0]), ("gamma", "log", [6.0]),
    ("inverse_gaussian", "log", [6.0]), ("beta", "logit", [-3.0]), ("gaussian", "identity", [6.0]),
    ("tweedie", "log", [3.0, 0.0])])
def test_far_predictors_have_possible_responses(distribution, link, parameters):
    eta = np.repeat([-700.0, -40.0, 40.0, 700.0], 200)
    y = make(distribution, link).simulate(eta, None, None, np.array(parameters), 1, 1)
    assert np.isfinite(y).all()
    kind = {"binomial": _distributions.Binomial, "beta": _distributions.Beta, "gamma": _distributions.Gamma,
            "inverse_gaussian": _distributions.Gamma}.get(distribution)
    if kind is not None:
        kind().check_response(y, None, "y", None)


def test_wrong_input():
    family, eta = make("poisson", "log"), np.zeros(3)
    with pytest.raises(ValueError, match="weights: expected 3 rows, got 2"):
        family.simulate(eta, None, np.ones(2), NONE, 1, 1)
    with pytest.raises(ValueError, match="zeta: expected 3 rows, got 0"):
        _core.zero_inflated(family).simulate(eta, None, None, NONE, 1, 1)
    with pytest.raises(ValueError, match="1 parameters expected, got 0"):
        make("gamma", "log").simulate(eta, None, None, NONE, 1, 1)
    with pytest.raises(ValueError, match="to simulate from, got a custom family"):
        _core.custom_family(object(), False).simulate(eta, None, None, NONE, 1, 1)
