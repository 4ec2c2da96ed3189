"""Shares of variance, R², intraclass correlations, AICc and conditional AIC."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import ArrayModel, TermSpec, array_models
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import pymixed as pm
from pymixed._convergence import free_parameters
from pymixed.errors import InputError, PymixedWarning

Array = NDArray[Any]


def quiet(function: Any, *arguments: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return function(*arguments, **options)


# ---- shares of variance ----------------------------------------------------------------------------------------------

@given(model=array_models())
def test_parts_are_those_of_the_covariance_of_the_rows(model: ArrayModel) -> None:
    fit, dense = model.fit(compute_satterthwaite=False), model.dense()
    at = dense.at(fit.theta)
    shares = fit.variance_shares().set_index("part")
    n = len(model.y)
    assert_allclose(shares.loc["random", "variance"].sum(),
                    fit.residual_variance * np.trace(at.ZLambda @ at.ZLambda.T) / n, rtol=1e-9, atol=1e-12)
    assert_allclose(shares.loc["fixed", "variance"], np.var(model.X @ fit.coefficients, ddof=1), rtol=1e-12, atol=1e-14)
    assert shares.loc["residual", "variance"] == fit.residual_variance
    assert shares["share"].sum() == pytest.approx(1.0)
    r2, icc = fit.r2(), fit.icc()
    assert r2.marginal == pytest.approx(shares.loc["fixed", "share"])
    assert r2.conditional == pytest.approx(1.0 - shares.loc["residual", "share"])
    assert icc.conditional == pytest.approx(r2.conditional - r2.marginal, abs=1e-12)
    assert icc.adjusted == pytest.approx((r2.conditional - r2.marginal) / (1.0 - r2.marginal), abs=1e-12)
    by_group = fit.icc(by_group=True)
    assert list(by_group.index) == list(model.groups)
    assert by_group["adjusted"].sum() == pytest.approx(icc.adjusted)


def test_known_values_for_sleepstudy() -> None:
    """What MuMIn's r.squaredGLMM is known to give, and the terms one by one."""
    fit = pm.lmer("Reaction ~ Days + (Days || Subject)", pm.datasets.load("sleepstudy"))
    shares = fit.variance_shares()
    assert shares["part"].tolist() == ["fixed", "random", "random", "residual"]
    assert shares["columns"].tolist()[1:3] == ["(Intercept)", "Days"]
    intercept, slope = (component.variance for component in fit.var_components)
    assert_allclose(shares["variance"].iloc[1:3], [intercept, 28.5 * slope], rtol=1e-12)  # mean of Days²: 28.5
    correlated = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy")).r2()
    assert round(correlated.marginal, 3) == 0.279
    assert round(correlated.conditional, 3) == 0.799


def test_singular_fits_have_shares() -> None:
    fit = quiet(pm.lmer, "Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff2"))
    assert fit.theta[0] == 0.0
    assert vars(fit.r2()) == pytest.approx({"marginal": 0.0, "conditional": 0.0}, abs=1e-25)  # a constant's variance
    assert vars(fit.icc()) == {"adjusted": 0.0, "conditional": 0.0}


@pytest.fixture(scope="module")
def counts() -> dict[str, Array]:
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(30), 8), rng.normal(size=240)
    mu = np.exp(0.5 + 0.4 * x + 0.6 * rng.normal(size=30)[g])
    return {"g": g.astype(str), "x": x, "count": rng.poisson(mu * rng.gamma(2, 0.5, 240)), "size": rng.gamma(3, mu / 3),
            "events": rng.binomial(1, mu / (1 + mu)), "log_time": 0.3 * rng.normal(size=240)}


def residual(fit: Any, **options: Any) -> float:
    return float(fit.variance_shares(**options)["variance"].iloc[-1])


def test_residual_variance_of_binary_responses(counts: dict[str, Array]) -> None:
    for link, expected in (("logit", np.pi**2 / 3), ("probit", 1.0), ("cloglog", np.pi**2 / 6)):
        fit = pm.glmer("events ~ x + (1 | g)", counts, family=pm.families.Binomial(link=link))
        assert residual(fit) == expected


def test_residual_variance_for_a_log_link(counts: dict[str, Array]) -> None:
    """Nakagawa et al. (2017): log(1 + 1/mu), log(1 + 1/mu + 1/shape), log(1 + 1/shape), mu = exp(b0 + variance / 2)."""
    null = pm.glmer("count ~ 1 + (1 | g)", counts, family="poisson")
    mu = np.exp(null.coefficients[0] + 0.5 * null.var_components[0].variance)
    poisson = pm.glmer("count ~ x + (1 | g)", counts, family="poisson")
    assert residual(poisson, null=null) == pytest.approx(np.log1p(1 / mu), rel=1e-12)
    eta = poisson.coefficients @ [np.ones(240), counts["x"]] + 0.5 * poisson.var_components[0].variance
    own = np.exp(eta).mean()
    assert residual(poisson) == pytest.approx(np.log1p(1 / own), rel=1e-12)
    assert own == pytest.approx(counts["count"].mean(), rel=0.1)
    negative = pm.glmer("count ~ x + (1 | g)", counts, family="negative_binomial")
    assert residual(negative, null=null) == pytest.approx(np.log1p(1 / mu + 1 / negative.dispersion), rel=1e-12)
    gamma = pm.glmer("size ~ x + (1 | g)", counts, family=pm.families.Gamma(link="log"))
    assert residual(gamma) == pytest.approx(np.log1p(gamma.dispersion), rel=1e-12)
    parts = poisson.variance_shares(null=null)["variance"]
    assert poisson.r2(null=null).marginal == pytest.approx(parts[0] / parts.sum())
    assert poisson.icc(null=null).adjusted == pytest.approx(parts[1] / (parts[1] + parts[2]))


def test_an_offset_moves_the_mean_of_the_response(counts: dict[str, Array]) -> None:
    fit = pm.glmer("count ~ x + offset(log_time) + (1 | g)", counts, family="poisson")
    eta = fit.coefficients @ [np.ones(240), counts["x"]] + counts["log_time"] + 0.5 * fit.var_components[0].variance
    assert residual(fit) == pytest.approx(np.log1p(1 / np.exp(eta).mean()), rel=1e-12)


def test_residual_variance_by_the_delta_method(counts: dict[str, Array]) -> None:
    root = pm.glmer("count ~ x + (1 | g)", counts, family=pm.families.Poisson(link="sqrt"))
    assert residual(root) == pytest.approx(0.25, rel=1e-12)
    gaussian = pm.glmer("size ~ x + (1 | g)", counts, family="gaussian")
    assert residual(gaussian) == pytest.approx(gaussian.dispersion, rel=1e-12)


def test_models_without_shares(counts: dict[str, Array]) -> None:
    inflated = quiet(pm.glmer, "count ~ x + (1 | g)", counts, family="poisson", zi="~ 1")
    with pytest.raises(InputError, match="without zero inflation"):
        inflated.r2()
    linear = pm.lmer("size ~ x + (1 | g)", counts)
    with pytest.raises(InputError, match="null: expected None for a linear model"):
        linear.r2(null=linear)
    poisson = pm.glmer("count ~ x + (1 | g)", counts, family="poisson")
    with pytest.raises(InputError, match="null: expected a generalized fit to the same rows"):
        poisson.icc(null=linear)


# ---- information criteria --------------------------------------------------------------------------------------------

def test_aicc(sleepstudy: Any) -> None:
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    assert fit.aicc == pytest.approx(fit.aic + 2 * 6 * 7 / (180 - 7))
    small = quiet(pm.lmm, np.array([1.0, 3.0, 2.0, 5.0]), np.ones((4, 1)), {"g": [1, 1, 2, 2]})
    assert small.aicc == np.inf


def effective(model: ArrayModel, fit: Any, reml: bool) -> tuple[float, float]:
    """tr(dy^/dy) by dense matrices, theta held and not."""
    dense = model.dense(reml=reml)
    at = dense.at(fit.theta)
    hat = np.eye(len(model.y)) - dense.W_inverse @ at.P
    free = np.flatnonzero(free_parameters(fit._design.terms, fit.theta))
    a = np.array([at.P @ dV @ at.Py for dV in at.dV])
    # dg/dy of the criterion's gradient g
    slopes = -2 * dense.nu / at.r2 * (a - np.outer([at.Py @ dV @ at.Py for dV in at.dV], at.Py) / at.r2)
    d_theta = -np.linalg.pinv(at.hessian[np.ix_(free, free)], rcond=1e-10, hermitian=True) @ slopes[free]
    return float(np.trace(hat)), float(np.trace(hat) + np.sum((a[free] @ dense.W_inverse) * d_theta))


@given(model=array_models(), reml=st.booleans())
def test_effective_parameters_are_those_of_dense_matrices(model: ArrayModel, reml: bool) -> None:
    fit = model.fit(reml=reml)
    hat, corrected = effective(model, fit, reml)
    assert_allclose(fit.effective_parameters(corrected=False), hat, rtol=1e-8)
    flat = np.linalg.cond(fit.hessian_at(fit.theta)) > 1e6  # differences of the gradient say little of the Hessian then
    assert_allclose(fit.effective_parameters(), corrected, rtol=1e-4 if flat else 1e-6)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_effective_parameters_are_the_derivative_of_refits(reml: bool, weighted: bool) -> None:
    rng = np.random.default_rng(4)
    g, h = np.repeat(np.arange(8), 5), np.tile(np.arange(5), 8)
    x = rng.normal(size=40)
    y = 1 + x + rng.normal(size=8)[g] * (1 + 0.5 * x) + rng.normal(size=5)[h] + rng.normal(size=40)
    model = ArrayModel(y, np.column_stack([np.ones(40), x]), {"a": g, "b": h},
                       (TermSpec("a", ("1", "x")), TermSpec("b")), {"x": x},
                       weights=rng.uniform(0.5, 2, 40) if weighted else None, offset=rng.normal(size=40))
    fit = model.fit(reml=reml, tol=1e-14)
    trace, step = 0.0, 1e-4
    for i, direction in enumerate(np.eye(40)):
        ends = [ArrayModel(y + sign * step * direction, model.X, model.groups, model.terms, model.data, model.weights,
                           model.offset).fit(reml=reml, tol=1e-14, compute_satterthwaite=False).fitted_values[i]
                for sign in (1, -1)]
        trace += (ends[0] - ends[1]) / (2 * step)
    assert fit.effective_parameters() == pytest.approx(trace, abs=1e-5)


def test_a_term_without_variance_costs_nothing() -> None:
    fit = quiet(pm.lmer, "Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff2"))
    assert fit.effective_parameters() == pytest.approx(1.0)
    assert fit.effective_parameters(corrected=False) == pytest.approx(1.0)
    residuals = fit.residuals
    deviance = 30 * np.log(2 * np.pi * fit.residual_variance) + residuals @ residuals / fit.residual_variance
    assert fit.caic() == pytest.approx(deviance + 4.0)


def test_conditional_aic_is_of_the_rows_with_their_weights(sleepstudy: Any) -> None:
    from scipy.stats import norm

    weights = np.random.default_rng(0).uniform(0.5, 2.0, 180)
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, weights=weights)
    log_density = norm.logpdf(sleepstudy["Reaction"], fit.fitted_values, fit.residual_std / np.sqrt(weights)).sum()
    for corrected in (True, False):
        assert fit.caic(corrected) == pytest.approx(-2 * log_density + 2 * (fit.effective_parameters(corrected) + 1))
