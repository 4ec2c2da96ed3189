"""Laws that a linear mixed model obeys, on random designs: equal to the dense reference, invariant, equivariant."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dense import DenseLMM, independent_columns
from hypothesis import given
from hypothesis import strategies as st
from models import ArrayModel, TermSpec, array_models, lone_observations, one_factor
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import pymixed as pm

Array = NDArray[np.float64]

CRITERION = 1e-10    # relative: the same function of theta, computed another way
ESTIMATE = 2e-5      # in standard errors, between two fits of one model: how far each may stop from the optimum
DIGITS = 1e-8        # relative, under badly scaled covariates

seeds = st.integers(0, 2**16)


def close(actual: Any, desired: Any, tolerance: float) -> None:
    """|actual - desired| <= tolerance * max(1, largest |desired|)."""
    assert_allclose(actual, desired, rtol=0, atol=tolerance * max(1, np.max(np.abs(desired), initial=0)))


def same_criterion(a: Any, theta_a: Array, b: Any, theta_b: Array, difference: float = 0.0) -> None:
    """b's criterion is a's plus the difference, at one point."""
    close(b.deviance_at(theta_b), a.deviance_at(theta_a) + difference, CRITERION)


def same_optimum(a: Any, b: Any) -> None:
    close(b.log_likelihood, a.log_likelihood, CRITERION)
    close(b.coefficients / a.se, a.coefficients / a.se, ESTIMATE)
    close(b.vcov() / np.outer(a.se, a.se), a.vcov() / np.outer(a.se, a.se), ESTIMATE)
    close(b.residual_std / a.residual_std, 1, ESTIMATE)


# ---- against the dense reference -------------------------------------------------------------------------------------

@given(model=array_models(), seed=seeds, reml=st.booleans())
def test_equals_the_dense_reference(model: ArrayModel, seed: int, reml: bool) -> None:
    solution, dense = model.fit(reml=reml), model.dense(reml=reml)
    theta = model.interior(seed)
    close(solution.deviance_at(theta), dense.at(theta).criterion, CRITERION)
    assert_estimates(solution, dense, model)


@given(model=array_models(groupings=(one_factor, lone_observations)), seed=seeds)
def test_dependent_columns_are_dropped(model: ArrayModel, seed: int) -> None:
    """As R does: a column that earlier ones explain goes, and the fit is that of the others."""
    X = np.column_stack([model.X, model.X @ np.ones(model.X.shape[1]), model.data["z"], np.zeros(len(model.y))])
    kept = independent_columns(X)
    solution = replace(model, X=X).fit()
    dense = replace(model, X=X[:, kept]).dense()
    assert len(solution.coefficient_names) == len(kept)
    assert len(solution.params.aliased) == X.shape[1] - len(kept)
    theta = model.interior(seed)
    close(solution.deviance_at(theta), dense.at(theta).criterion, CRITERION)
    assert_estimates(solution, dense, replace(model, X=X[:, kept]))


def assert_estimates(solution: Any, dense: DenseLMM, model: ArrayModel) -> None:
    """Everything at the solution's own theta, so that only the algebra counts."""
    there = dense.at(solution.theta)
    close(-2 * solution.log_likelihood, there.criterion, CRITERION)
    close(solution.coefficients, there.beta, 1e-9)
    close(solution.vcov(), there.vcov, 1e-9)
    close(solution.residual_std, there.sigma, 1e-10)
    close(solution.fitted_values, there.fitted, 1e-9)
    modes, variances = solution.ranef(condvar=True)
    covariance = there.conditional_covariance
    for group in model.groups:
        of_group = [i for i, term in enumerate(model.terms) if term.group == group]
        close(modes[group].to_numpy(), np.hstack([there.modes[i] for i in of_group]), 1e-9)
        for level in range(len(modes[group])):
            columns = dense.columns_of_level(of_group, level)
            close(variances[group][level], covariance[np.ix_(columns, columns)], 1e-9)


# ---- invariance ------------------------------------------------------------------------------------------------------

@given(model=array_models(), seed=seeds)
def test_order_of_rows_does_not_matter(model: ArrayModel, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(model.y))
    a, b, theta = model.fit(), model.rows(order).fit(), model.interior(seed)
    same_criterion(a, theta, b, theta)
    same_optimum(a, b)
    close(b.fitted_values, a.fitted_values[order], ESTIMATE)


@given(model=array_models(), seed=seeds)
def test_names_of_levels_do_not_matter(model: ArrayModel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    new_names = {group: rng.permutation([f"level {k}" for k in range(20)]) for group in model.groups}
    a = model.fit()
    b = replace(model, groups={g: new_names[g][labels] for g, labels in model.groups.items()}).fit()
    same_criterion(a, model.interior(seed), b, model.interior(seed))
    same_optimum(a, b)
    for group, modes in a.ranef().items():
        renamed = b.ranef()[group].loc[new_names[group][modes.index.to_numpy()]]
        close(renamed.to_numpy(), modes.to_numpy(), ESTIMATE)


@given(model=array_models(), seed=seeds, data=st.data())
def test_order_of_terms_does_not_matter(model: ArrayModel, seed: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(model.terms))))
    a, b = model.fit(), replace(model, terms=tuple(model.terms[i] for i in order)).fit()
    pieces = np.split(model.interior(seed), np.cumsum([term.n_theta for term in model.terms])[:-1])
    same_criterion(a, np.concatenate(pieces), b, np.concatenate([pieces[i] for i in order]))
    same_optimum(a, b)


@given(model=array_models(), seed=seeds)
def test_sign_of_a_template_column_does_not_matter(model: ArrayModel, seed: int) -> None:
    solution, theta = model.fit(), model.interior(seed)
    same_criterion(solution, theta, solution, -theta)
    close(solution.gradient_at(-theta), -solution.gradient_at(theta), 1e-9)


# ---- weights ---------------------------------------------------------------------------------------------------------

@given(model=array_models(), seed=seeds, reml=st.booleans())
def test_whole_weights_equal_repeated_rows(model: ArrayModel, seed: int, reml: bool) -> None:
    """Log-determinants and r^2 are those of the repeats; the number of rows N and the constants are not:

        d_weights = logdets + nu (1 + log(2 pi r^2 / nu)) - sum log w,    nu = n - p or n
        d_repeats = logdets + NU (1 + log(2 pi r^2 / NU)),                NU = N - p or N

    so with r^2 = nu sigma^2 at the weighted fit, one criterion gives the other.
    """
    rng = np.random.default_rng(seed)
    w = rng.integers(1, 4, len(model.y))
    weighted = replace(model, weights=w.astype(float)).fit(reml=reml)
    repeated = replace(model, weights=None).rows(np.repeat(np.arange(len(w)), w)).fit(reml=reml)
    p = model.X.shape[1] * reml
    r2 = weighted.residual_variance * (len(w) - p)

    def profiled(nu: int) -> float:
        return float(nu * (1 + np.log(2 * np.pi * r2 / nu)))

    constants = profiled(w.sum() - p) - profiled(len(w) - p) + np.log(w).sum()
    same_criterion(weighted, weighted.theta, repeated, weighted.theta, constants)


@given(model=array_models(), seed=seeds)
def test_weights_equal_scaled_rows(model: ArrayModel, seed: int) -> None:
    """Rows times sqrt(w): the same model, its criterion higher by sum log w; the constant column becomes sqrt(w)."""
    w = np.random.default_rng(seed).uniform(0.2, 4, len(model.y))
    root = np.sqrt(w)
    scaled = ArrayModel(
        model.y * root, model.X * root[:, None], model.groups,
        tuple(replace(t, columns=tuple("root" if c == "1" else c for c in t.columns)) for t in model.terms),
        {"root": root, **{name: values * root for name, values in model.data.items()}},
        offset=None if model.offset is None else model.offset * root)
    a, b, theta = replace(model, weights=w).fit(), scaled.fit(), model.interior(seed)
    same_criterion(a, theta, b, theta, np.log(w).sum())
    # the internal coordinates differ, and so may the local minimum that is found: each is one of both criteria
    for theta in (a.theta, b.theta):
        same_criterion(a, theta, b, theta, np.log(w).sum())
    assert a.converged
    assert b.converged
    if np.abs(a.theta - b.theta).max() < 1e-3:
        close(b.coefficients / a.se, a.coefficients / a.se, ESTIMATE)
        close(b.residual_std / a.residual_std, 1, ESTIMATE)


@given(model=array_models(), seed=seeds, reml=st.booleans())
def test_an_offset_is_part_of_the_response(model: ArrayModel, seed: int, reml: bool) -> None:
    offset = np.random.default_rng(seed).normal(size=len(model.y))
    a = replace(model, offset=None).fit(reml=reml)
    b = replace(model, y=model.y + offset, offset=offset).fit(reml=reml)
    same_criterion(a, model.interior(seed), b, model.interior(seed))
    same_optimum(a, b)
    close(b.fitted_values, a.fitted_values + offset, ESTIMATE)


# ---- ways of factorising ---------------------------------------------------------------------------------------------

@given(model=array_models(), seed=seeds, reml=st.booleans())
def test_all_methods_give_the_same_numbers(model: ArrayModel, seed: int, reml: bool) -> None:
    theta = model.interior(seed)
    auto = model.fit(reml=reml)
    for method in ("dense", "sparse", *(["single"] if len(model.groups) == 1 else [])):
        forced = model.fit(reml=reml, method=method)
        close(forced.deviance_at(theta), auto.deviance_at(theta), CRITERION)
        close(forced.gradient_at(theta), auto.gradient_at(theta), CRITERION)
        close(forced.hessian_at(theta), auto.hessian_at(theta), 1e-9)
        same_optimum(auto, forced)


# ---- ways in ---------------------------------------------------------------------------------------------------------

def test_formula_equals_arrays(sleepstudy: pd.DataFrame) -> None:
    days = sleepstudy["Days"].to_numpy(float)
    a = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    b = pm.lmm(sleepstudy["Reaction"].to_numpy(), np.column_stack([np.ones(len(days)), days]),
               {"Subject": sleepstudy["Subject"].to_numpy()}, random_effects={"Subject": ["1", "Days"]},
               random_data={"Days": days})
    same_criterion(a, np.array([1.0, 0.2, 0.5]), b, np.array([1.0, 0.2, 0.5]))
    same_optimum(a, b)
    assert a.theta_names == b.theta_names
    close(b.ranef()["Subject"].to_numpy(), a.ranef()["Subject"].to_numpy(), ESTIMATE)


def test_one_random_intercept_per_group_is_the_default(penicillin: pd.DataFrame) -> None:
    groups = {name: penicillin[name].to_numpy() for name in ("plate", "sample")}
    a = pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)
    b = pm.lmm(penicillin["diameter"].to_numpy(), np.ones((len(penicillin), 1)), groups)
    same_optimum(a, b)
    close(b.theta, a.theta, ESTIMATE)


# ---- badly scaled covariates -----------------------------------------------------------------------------------------

def graded(n: int = 72) -> ArrayModel:
    """x and y on a grid of 1/1024, so that a shift by 1e6 is exact and only the package can lose digits."""
    rng = np.random.default_rng(20)
    a = np.arange(n) % 12
    x = np.round(rng.normal(size=n) * 1024) / 1024
    b = rng.normal(size=(12, 2)) * [1.5, 0.8]
    y = np.round((3 + 2 * x + b[a, 0] + b[a, 1] * x + rng.normal(size=n)) * 1024) / 1024
    return ArrayModel(y, np.column_stack([np.ones(n), x]), {"a": a}, (TermSpec("a"),), {"x": x})


def with_covariate(model: ArrayModel, x: Array) -> ArrayModel:
    return replace(model, X=np.column_stack([model.X[:, 0], x]), data={"x": x})


TERMS = {
    "intercept": (TermSpec("a"),),
    "slope": (TermSpec("a", ("1", "x")),),
}

extended = pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no extended precision on this platform")


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize(("shift", "scale"), [(1e6, 1.0), (-1e6, 1.0), (2024.0, 1.0), (0.0, 1e-6), (0.0, 1e6)])
def test_moving_a_covariate_keeps_eight_digits(terms: tuple[TermSpec, ...], shift: float, scale: float) -> None:
    """x becomes (x + shift) * scale: an equivalent model as long as every term with x has a free intercept."""
    plain = replace(graded(), terms=terms)
    moved = with_covariate(plain, (plain.data["x"] + shift) * scale)
    a, b = plain.fit(), moved.fit()
    slope = a.coefficients[1] / scale
    assert_allclose(b.coefficients, [a.coefficients[0] - a.coefficients[1] * shift, slope], rtol=DIGITS)
    assert_allclose(b.residual_std, a.residual_std, rtol=DIGITS)
    assert_allclose(b.se[1], a.se[1] / scale, rtol=DIGITS)
    assert_allclose(b.log_likelihood, a.log_likelihood - np.log(scale), rtol=DIGITS)
    assert_allclose(b.fitted_values, a.fitted_values, rtol=DIGITS, atol=DIGITS)
    # degrees of freedom rest on differences of the gradient, good to about 1e-8 of the Hessian's condition
    assert_allclose(b.df_satterthwaite[1], a.df_satterthwaite[1], rtol=1e-6)
    assert b.converged


@extended
@pytest.mark.parametrize("terms", [*TERMS.values(), (TermSpec("a", ("x",)),)], ids=[*TERMS, "slope alone"])
@pytest.mark.parametrize("constant", [True, False], ids=["with constant", "without"])
@pytest.mark.parametrize("shift", [0.0, 2024.0, 1e6])
def test_shifted_covariate_in_extended_precision(terms: tuple[TermSpec, ...], constant: bool, shift: float) -> None:
    """At the solution's theta, whatever the model: nothing to centre with where there is no intercept."""
    model = with_covariate(replace(graded(), terms=terms), graded().data["x"] + shift)
    model = model if constant else replace(model, X=model.X[:, 1:])
    solution = model.fit()
    exact = model.dense(dtype=np.longdouble).at(solution.theta)
    assert_allclose(solution.deviance_at(solution.theta), float(exact.criterion), rtol=DIGITS)
    assert_allclose(solution.coefficients, exact.beta.astype(float), rtol=DIGITS)
    assert_allclose(solution.residual_std, float(exact.sigma), rtol=DIGITS)


def test_shifting_the_response_moves_the_intercept_alone() -> None:
    model = graded()
    a, b = model.fit(), replace(model, y=model.y + 1e6).fit()
    assert_allclose(b.coefficients - [1e6, 0], a.coefficients, rtol=DIGITS)
    assert_allclose(b.residual_std, a.residual_std, rtol=DIGITS)
    assert_allclose(b.log_likelihood, a.log_likelihood, rtol=DIGITS)


@given(factor=st.sampled_from([1e-6, 1e-3, 1e3, 1e6]), model=array_models())
def test_scaling_the_response_scales_the_estimates(factor: float, model: ArrayModel) -> None:
    offset = None if model.offset is None else factor * model.offset
    a, b = model.fit(reml=False), replace(model, y=factor * model.y, offset=offset).fit(reml=False)
    close(b.log_likelihood, a.log_likelihood - len(model.y) * np.log(factor), CRITERION)
    close(b.coefficients / factor / a.se, a.coefficients / a.se, ESTIMATE)
    close(b.residual_std / factor / a.residual_std, 1, ESTIMATE)
