"""Covariance of the errors of random effects and coefficients, by the core, against dense matrices."""
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import pymixed as pm
from pymixed import _core


def dense_Z(codes, columns, terms, n_levels):
    """Rows of Z: per factor, level after level, the columns of its terms side by side; -1 has none."""
    blocks = []
    for f, (code, levels) in enumerate(zip(codes, n_levels, strict=True)):
        start, own = 0, []
        for factor, n_cols, _ in terms:
            if factor == f:
                own += columns[start:start + n_cols]
            start += n_cols
        z = np.column_stack([np.ones(len(code)) if column is None else column for column in own])
        indicator = code[:, None] == np.arange(levels)
        blocks.append((indicator[:, :, None] * z[:, None, :]).reshape(len(code), -1))
    return blocks


def dense_covariance(design, theta, weights):
    """Q = Lambda M^-1 Lambda' and F = Q Z'WX per factor, by their definition."""
    codes, n_levels, terms, columns = pm._fitting.structure(design)
    templates = []
    for f in range(len(n_levels)):
        rows, start = [], 0
        for factor, c, kind in terms:
            size = c if kind == "diag" else c * (c + 1) // 2
            if factor == f:
                T = np.zeros((c, c))
                T.T[np.diag_indices(c) if kind == "diag" else np.triu_indices(c)] = theta[start:start + size]
                rows.append(T)
            start += size
        c = sum(len(T) for T in rows)
        template, at = np.zeros((c, c)), 0
        for T in rows:
            template[at:at + len(T), at:at + len(T)] = T
            at += len(T)
        templates.append(np.kron(np.eye(n_levels[f]), template))
    Z = np.hstack(dense_Z(codes, columns, terms, n_levels))
    Lambda = np.zeros((Z.shape[1],) * 2)
    at = 0
    for block in templates:
        Lambda[at:at + len(block), at:at + len(block)] = block
        at += len(block)
    M = Lambda.T @ (Z.T * weights) @ Z @ Lambda + np.eye(len(Lambda))
    Q = Lambda @ np.linalg.solve(M, Lambda.T)
    return Q, Q @ (Z.T * weights)


def random_rows(design, n, rng):
    """Codes of any combination of levels, some missing, and values of the columns."""
    _, n_levels, _, columns = pm._fitting.structure(design)
    codes = [rng.integers(-1, levels, n).astype(np.int32) for levels in n_levels]
    return codes, [None if column is None else rng.normal(size=n) for column in columns]


def check(covariance, design, theta, weights, X, rtol=1e-9):
    rng = np.random.default_rng(1)
    codes, n_levels, terms, columns = pm._fitting.structure(design)
    Q, QZW = dense_covariance(design, theta, weights)
    for rows in (random_rows(design, 1, rng), random_rows(design, 300, rng), (codes, columns)):
        Z = np.hstack(dense_Z(*rows, terms, n_levels))
        # both are solutions of the same normal equations, whose condition is below 1e6
        assert_allclose(covariance.random_variances(*rows), ((Z @ Q) * Z).sum(1), rtol=rtol, atol=1e-14)
    F, at = QZW @ X, 0
    for block in covariance.fixed_modes():
        size = block.shape[0] * block.shape[1]
        assert_allclose(block.reshape(size, -1), F[at:at + size], rtol=rtol, atol=rtol * abs(F).max())
        at += size


LINEAR = [("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
          ("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
          ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
          ("pastes", "strength ~ 1 + (1 | batch / cask)")]


@pytest.mark.parametrize(("data", "formula"), LINEAR)
def test_linear_models(data, formula):
    solution = pm.lmer(formula, pm.datasets.load(data))
    theta = solution.params.theta
    covariance = _core.EffectsCovariance(solution._engine.problem, theta)
    check(covariance, solution._design, theta, np.ones(solution._design.n), solution._design.X)


def test_prediction_error_is_that_of_the_mixed_model_equations():
    """z'Qz + (x - F'z)'C(x - F'z) is the quadratic form in the inverse of Henderson's matrix."""
    solution = pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pm.datasets.load("penicillin"))
    design, theta = solution._design, solution.params.theta
    codes, n_levels, terms, columns = pm._fitting.structure(design)
    Z = np.hstack(dense_Z(codes, columns, terms, n_levels))
    G_inverse = np.diag(np.repeat(1 / theta[:2] ** 2, n_levels))
    W = np.hstack([design.X, Z])
    equations = W.T @ W
    equations[1:, 1:] += G_inverse
    expected = ((W @ np.linalg.inv(equations)) * W).sum(1)

    covariance = _core.EffectsCovariance(solution._engine.problem, theta)
    gone = design.X.copy()
    for F, code in zip(covariance.fixed_modes(), codes, strict=True):
        gone -= F[code, 0, :]
    C = solution.params.vcov / solution.params.residual_variance
    found = covariance.random_variances(codes, columns) + ((gone @ C) * gone).sum(1)
    assert_allclose(found, expected, rtol=1e-10)


GENERALIZED = [("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", "binomial", 1, "observed"),
               ("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", "binomial", 0, "observed"),
               ("grouseticks", "TICKS ~ YEAR + scale(HEIGHT) + (1 | BROOD) + (1 | LOCATION)", "poisson", 1, "observed"),
               ("grouseticks", "TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", "nb", 1, "expected"),
               ("grouseticks", "TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", "nb", 1, "observed")]


@pytest.mark.parametrize(("data", "formula", "family", "n_agq", "curvature"), GENERALIZED)
def test_generalized_models(data, formula, family, n_agq, curvature):
    family = pm.families.NegativeBinomial() if family == "nb" else family
    solution = pm.glmer(formula, pm.datasets.load(data), family=family, n_agq=n_agq, curvature=curvature)
    engine, design, theta = solution._engine, solution._design, solution.params.theta
    psi = solution._parameters(theta, None, None)[0]
    weights, scores = engine.core.working_rows(psi)
    products = engine.core.working_products(psi)
    problem = _core.Problem(products, engine.problem.method, 0.0, independent=True)
    covariance = _core.EffectsCovariance(problem, theta)
    kept = engine.problem.kept
    check(covariance, design, theta, weights, design.X[:, kept])

    # at the modes Lambda' times the sums of the scores over the levels is u: b = Lambda Lambda' Z'r
    codes, n_levels, terms, columns = pm._fitting.structure(design)
    sizes = np.repeat(theta ** 2, n_levels)
    Z = np.hstack(dense_Z(codes, columns, terms, n_levels))
    modes = np.concatenate([np.ravel(block) for block in engine.core.estimates(psi)[2]])
    assert_allclose(sizes * (Z.T @ scores), modes, atol=1e-5 * abs(modes).max())  # PIRLS stops at |du|^2 < 1e-10

    blocks = engine.conditional_covariances(psi)
    for f, block in enumerate(blocks):
        levels = len(block)
        asked = [np.full(levels, -1, np.int32) for _ in n_levels]
        asked[f] = np.arange(levels, dtype=np.int32)
        assert_allclose(covariance.random_variances(asked, [None] * len(columns)), block[:, 0, 0], rtol=1e-7)

    restored = _core.Problem(_core.CrossProducts.from_state(products.state()), engine.problem.method, 0.0,
                             independent=True)
    again = _core.EffectsCovariance(restored, theta)
    assert_array_equal(again.random_variances(codes, columns), covariance.random_variances(codes, columns))
    for one, other in zip(again.fixed_modes(), covariance.fixed_modes(), strict=True):
        assert_array_equal(one, other)


def test_what_does_not_fit_is_refused():
    solution = pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pm.datasets.load("penicillin"))
    covariance = _core.EffectsCovariance(solution._engine.problem, solution.params.theta)
    code = np.zeros(3, np.int32)
    with pytest.raises(ValueError, match="codes: expected 3 rows, got 2"):
        covariance.random_variances([code, code[:2]], [None, None])
    with pytest.raises(ValueError, match="codes: expected -1 to 5, got 6"):
        covariance.random_variances([code, code + 6], [None, None])
    with pytest.raises(RuntimeError, match="not positive definite"):
        _core.EffectsCovariance(solution._engine.problem, np.full(2, np.nan))
