"""The dense reference itself: its densities against SciPy's and against one, its criteria against lme4 and glmmTMB.

lme4's and glmmTMB's criteria at fixed parameters agree to rounding, quadrature with many points with the integral.
"""

from typing import Any

import numpy as np
import pytest
from dense import DenseTerm
from dense_glmm import LINKS, DenseFamily, DenseGLMM, derivatives
from models import TermSpec
from models_glmm import EXTRA, FAMILIES, MEANS, scale_of, simulated, typical_extra, typical_psi
from numpy.testing import assert_allclose
from reference_cases import GLMMCase, dense_family, glmm_cases, lme4_parameters, load_glmm, tmb_cases, tmb_parameters
from reference_cases import dense_glmm as dense_of_case
from scipy import integrate, special, stats

COUNTS = np.arange(400.0)
FAMILY_IDS = [f"{family.distribution}-{family.link}" for family in FAMILIES]


def predictors(family: DenseFamily) -> np.ndarray:
    centre = LINKS[family.link].forward(np.array(MEANS[family.distribution]))
    return float(centre) + scale_of(family) * np.array([-1.0, 0.0, 1.3])


# ---- densities -------------------------------------------------------------------------------------------------------

def in_scipy(family: DenseFamily, mu: float) -> Any:
    value = {name: np.exp(EXTRA[name]) for name in family.parameter_names}
    phi = value.get("log dispersion")
    match family.distribution:
        case "binomial":
            return stats.bernoulli(mu)
        case "poisson":
            return stats.poisson(mu)
        case "negative_binomial":
            k = value["log shape"]
            return stats.nbinom(k, k / (k + mu))
        case "negative_binomial1":
            return stats.nbinom(mu / phi, 1 / (1 + phi))
        case "gamma":
            return stats.gamma(1 / phi, scale=phi * mu)
        case "inverse_gaussian":
            return stats.invgauss(mu * phi, scale=1 / phi)
        case "beta":
            precision = value["log precision"]
            return stats.beta(mu * precision, (1 - mu) * precision)
        case "gaussian":
            return stats.norm(mu, np.sqrt(value["log variance"]))
        case "student_t":
            return stats.t(value["log df"], mu, np.sqrt(value["log variance"]))
    raise KeyError(family.distribution)


def sample(family: DenseFamily, mu: float) -> np.ndarray:
    if family.distribution == "binomial":
        return np.array([0.0, 1.0])
    if family.count:
        return np.array([0.0, 1.0, 5.0, 30.0])
    return np.array([0.3, 0.9, 1.0, 1.4]) * mu


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.distribution != "tweedie"],
                         ids=lambda family: f"{family.distribution}-{family.link}")
def test_densities_are_scipys(family: DenseFamily) -> None:
    """All that SciPy has: Tweedie's density is compared with its integral and mean below."""
    for eta in predictors(family):
        mu = float(family.mu(np.array(eta)))
        known, y = in_scipy(family, mu), sample(family, mu)
        theirs = known.logpmf(y) if hasattr(known.dist, "logpmf") else known.logpdf(y)
        ours = family.log_density(y, np.full(len(y), eta), typical_extra(family))
        assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_densities_have_integral_one_and_mean_mu(family: DenseFamily) -> None:
    for eta in predictors(family):
        def density(y: np.ndarray, eta: float = eta) -> np.ndarray:
            return np.exp(family.log_density(np.atleast_1d(y), np.full(np.size(y), eta), typical_extra(family)))

        mu = float(family.mu(np.array(eta)))
        if family.count or family.distribution == "binomial":
            y = COUNTS[:2] if family.distribution == "binomial" else COUNTS
            total, mean = density(y).sum(), density(y) @ y
        else:
            ends = {"beta": (0, 1), "gaussian": (-np.inf, np.inf), "student_t": (-np.inf, np.inf)}
            low, high = ends.get(family.distribution, (0, np.inf))
            lump = density(np.array([0.0]))[0] if family.distribution == "tweedie" else 0.0
            pieces = [(low, mu), (mu, high)]
            total = lump + sum(integrate.quad(lambda y: density(y)[0], *piece, limit=200)[0] for piece in pieces)
            mean = sum(integrate.quad(lambda y: y * density(y)[0], *piece, limit=200)[0] for piece in pieces)
        assert_allclose([total, mean], [1, mu], rtol=1e-7)       # that of quad


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_derivatives_are_the_densitys(family: DenseFamily) -> None:
    """Complex step for the first, central differences of it for the second."""
    for eta in predictors(family):
        y = sample(family, float(family.mu(np.array(eta))))
        extra = typical_extra(family)

        def slope(e: float, y: np.ndarray = y, extra: np.ndarray = extra) -> np.ndarray:
            return family.log_density(y, np.full(len(y), e + 1e-30j), extra).imag / 1e-30

        _, first, second = derivatives(lambda e, y=y, extra=extra: family.log_density(y, e, extra),
                                       np.full(len(y), eta))
        h = 1e-3 * scale_of(family)
        numeric = (slope(eta - 2 * h) - 8 * slope(eta - h) + 8 * slope(eta + h) - slope(eta + 2 * h)) / (12 * h)
        assert_allclose(first, slope(eta), rtol=1e-10, atol=1e-10 * np.abs(first).max())
        assert_allclose(second, numeric, rtol=1e-7, atol=1e-7 * np.abs(second).max())


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_information_is_the_mean_of_the_curvature(family: DenseFamily) -> None:
    eta, extra = predictors(family), typical_extra(family)

    def curvature(y: np.ndarray, e: float) -> np.ndarray:
        value, _, second = derivatives(lambda x: family.log_density(y, x, extra), np.full(len(y), e))
        return -np.exp(value) * second

    if family.distribution == "negative_binomial1":
        variance = family.mu(eta) * (1 + np.exp(extra[0]))
        expected = derivatives(family.mu, eta, 1)[1] ** 2 / variance
    elif family.count:
        expected = np.array([curvature(COUNTS, e).sum() for e in eta])
    elif family.distribution == "binomial":
        expected = np.array([curvature(COUNTS[:2], e).sum() for e in eta])
    else:
        ends = {"beta": (0, 1), "gaussian": (-np.inf, np.inf), "student_t": (-np.inf, np.inf)}
        low, high = ends.get(family.distribution, (0, np.inf))
        lump = [curvature(np.array([0.0]), e)[0] if family.distribution == "tweedie" else 0.0 for e in eta]
        expected = np.array([
            more + sum(integrate.quad(lambda y, e=e: curvature(np.array([y]), e)[0], *piece, limit=200)[0]
                       for piece in ((low, family.mu(e)), (family.mu(e), high)))
            for e, more in zip(eta, lump, strict=True)])
    assert_allclose(family.information(eta, extra), expected, rtol=1e-6)


def test_probabilities_keep_their_digits_in_the_tails() -> None:
    for name in ("logit", "probit", "cloglog", "cauchit"):
        link = LINKS[name]
        eta = np.array([-30.0, -8.0, -1.5, 0.3, 1.5, 3.0])
        assert_allclose(np.exp(link.log_mu(eta)), link.inverse(eta), rtol=1e-13)
        assert_allclose(np.exp(link.log_1_mu(eta)), link.complement(eta), rtol=1e-13)
        assert_allclose(link.inverse(eta) + link.complement(eta), 1, rtol=1e-13)
    assert_allclose(LINKS["cauchit"].inverse(np.array([-1e9])), 1e-9 / np.pi, rtol=1e-13)


# ---- criteria --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name in glmm_cases() if load_glmm(name).spec["n_observations"] < 5000])
def test_criterion_is_lme4s(name: str) -> None:
    """Laplace with expected information, n_agq = 0, and quadrature up to its constant."""
    case = load_glmm(name)
    model, n_agq = dense_of_case(case), case.spec["nAGQ"]
    extra = case.held_parameters
    for point in case.results["devfun"]["stage_0_of_theta"].values():
        theta, beta = lme4_parameters(case, point)
        at = model.at(theta, extra=extra)
        assert_allclose(at.criterion, point["value"], rtol=1e-12)
        assert_allclose(at.beta, beta, rtol=1e-6, atol=1e-7)     # lme4's iteration stops there at theta = 0
    for point in case.results["devfun"].get("of_theta_beta", {}).values():
        at = model.at(*lme4_parameters(case, point), extra)
        ours = at.quadrature(n_agq) if n_agq > 1 else at.criterion
        assert_allclose(ours, point["value"] + case.constant, rtol=1e-12)


@pytest.mark.parametrize("name", tmb_cases())
def test_criterion_is_glmmtmbs(name: str) -> None:
    case = load_glmm(name)
    model = dense_of_case(case)
    for point in case.points:
        assert_allclose(model.at(*tmb_parameters(case, point["raw_parameters"])).criterion, 2 * point["value"],
                        rtol=1e-11)


def test_a_student_t_criterion_may_have_two_modes() -> None:
    """Why the last point of sleepstudy_t is left out: glmmTMB's mode is not the higher one."""
    case = load_glmm("sleepstudy_t")
    model = dense_of_case(case)
    at = model.at(*tmb_parameters(case, case.results["negative_log_likelihood_points"][2]["raw_parameters"]))
    assert 2 * case.results["negative_log_likelihood_points"][2]["value"] - at.criterion > 0.01


@pytest.mark.parametrize("columns", [("1",), ("1", "x"), ("1", "x", "z")])
@pytest.mark.parametrize("family", [DenseFamily("binomial", "logit"), DenseFamily("poisson", "log"),
                                    DenseFamily("gamma", "log")], ids=str)
def test_quadrature_converges_to_the_integral(family: DenseFamily, columns: tuple[str, ...]) -> None:
    rng = np.random.default_rng(3)
    model = simulated(rng, family, {"a": np.repeat(np.arange(3), 5)}, (TermSpec("a", columns),), sd=2.0)
    dense, psi = model.dense(), typical_psi(model, 1, 4)
    exact = dense.integral(*dense.split(psi), points={1: 2001, 2: 401, 3: 61}[len(columns)],
                           reach={1: 12.0, 2: 10.0, 3: 8.0}[len(columns)])
    errors = [abs(dense.criterion(psi, n_agq) - exact) for n_agq in (1, 3, 7, 15)]
    assert errors[0] < 0.1
    assert errors[1] < errors[0]
    assert errors[2] < 1e-5
    assert errors[3] < 1e-8 * abs(exact) + 1e-9


def test_integral_is_the_textbooks_beta_binomial_like_sum() -> None:
    """One group of one Bernoulli trial, probit: P(y = 1) = Phi(beta / sqrt(1 + theta^2)), in closed form."""
    model = DenseGLMM([1.0], [[1.0]], [DenseTerm(np.array([0]), np.ones((1, 1)))], DenseFamily("binomial", "probit"))
    assert_allclose(model.integral([1.3], [0.4]), -2 * special.log_ndtr(0.4 / np.hypot(1, 1.3)), rtol=1e-13)


def test_every_case_has_a_dense_family() -> None:
    cases: list[GLMMCase] = [load_glmm(name) for name in [*glmm_cases(), *tmb_cases()]]
    assert all(dense_family(case).distribution for case in cases)
