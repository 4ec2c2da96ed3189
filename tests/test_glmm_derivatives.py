"""Criterion, gradient and Hessian of generalized linear mixed models against the dense reference.

The dense reference evaluates the criterion alone and differentiates it numerically: five-point differences with steps
of 3/1000 of the parameters' scale are good to about 1e-8 of the largest derivative.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from dense_glmm import DenseFamily, five_point
from hypothesis import given, settings
from hypothesis import strategies as st
from models import TermSpec, crossed, nested, one_factor
from models_glmm import (
    FAMILIES,
    SAFE,
    ArrayGLMM,
    array_glmms,
    deviance,
    gradient,
    hessian,
    numeric_hessian,
    simulated,
    typical_psi,
    unit_of,
)
from numpy.testing import assert_allclose
from numpy.typing import NDArray

Array = NDArray[np.float64]

CRITERION = 1e-10    # relative: the same function, computed another way; modes are found to rounding by both
GRADIENT = 1e-6      # of the largest entry, in the parameters' scales: the differences' own error is 1e-8
HESSIAN = 1e-5       # likewise; the package differentiates its gradient numerically, so do we
METHODS = 1e-9       # between two factorisations: modes are found to 1e-10 or so in each
STEP = 3e-3          # of the parameters' scales


@dataclass(frozen=True)
class Kind:
    """What is approximated how."""

    name: str
    columns: tuple[str, ...]
    n_agq: int
    curvature: str = "observed"


KINDS = (
    Kind("laplace", ("1",), 1), Kind("laplace-expected", ("1",), 1, "expected"),
    Kind("profiled", ("1",), 0), Kind("profiled-expected", ("1",), 0, "expected"),
    Kind("quadrature", ("1",), 5), Kind("quadrature-expected", ("1",), 5, "expected"),
    Kind("vector", ("1", "x"), 1), Kind("vector-expected", ("1", "x"), 1, "expected"),
    Kind("vector-profiled", ("1", "x"), 0), Kind("vector-quadrature", ("1", "x"), 3),
)


def assert_gradient(solution: Any, model: ArrayGLMM, psi: Array, n_agq: int, curvature: str) -> None:
    dense, unit = model.dense(curvature), unit_of(model, n_agq)
    assert_allclose(deviance(solution, psi, n_agq), dense.criterion(psi, n_agq), rtol=CRITERION)
    ours, numeric = gradient(solution, psi, n_agq) * unit, dense.gradient(psi, n_agq, STEP * unit) * unit
    assert_allclose(ours, numeric, rtol=0, atol=GRADIENT * max(1, np.abs(numeric).max()))


def assert_hessian(solution: Any, psi: Array, unit: Array, n_agq: int) -> None:
    """Against differences of the gradient, which `assert_gradient` compares with the dense reference."""
    scale = np.outer(unit, unit)
    ours = hessian(solution, psi, n_agq) * scale
    numeric = numeric_hessian(lambda x: gradient(solution, x, n_agq), psi, STEP * unit) * scale
    assert_allclose(ours, numeric, rtol=0, atol=HESSIAN * max(1, np.abs(numeric).max()))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.distribution}-{f.link}")
def test_every_family_and_link(family: DenseFamily, kind: Kind) -> None:
    rng = np.random.default_rng(5)
    model = simulated(rng, family, one_factor(rng), (TermSpec("a", kind.columns),), weights=True, offset=True)
    solution = model.fit(n_agq=kind.n_agq, curvature=kind.curvature)
    psi = typical_psi(model, kind.n_agq, seed=1)
    assert_gradient(solution, model, psi, kind.n_agq, kind.curvature)
    assert_hessian(solution, psi, unit_of(model, kind.n_agq), kind.n_agq)


@pytest.mark.parametrize("curvature", ["observed", "expected"])
@pytest.mark.parametrize("n_agq", [0, 1, 5])
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("distribution", ["poisson", "negative_binomial", "negative_binomial1"])
def test_zero_inflation(distribution: str, columns: int, n_agq: int, curvature: str) -> None:
    rng = np.random.default_rng(6)
    model = simulated(rng, DenseFamily(distribution, "log"), one_factor(rng), (TermSpec("a"),),
                      zero_inflation=columns, offset=True)
    solution, psi = model.fit(n_agq=n_agq, curvature=curvature), typical_psi(model, n_agq, seed=2)
    assert_gradient(solution, model, psi, n_agq, curvature)
    assert_hessian(solution, psi, unit_of(model, n_agq), n_agq)


@pytest.mark.parametrize("family", [DenseFamily("negative_binomial", "log", shape=1.5),
                                    DenseFamily("student_t", "identity", shape=4.0),
                                    DenseFamily("tweedie", "log", power=1.4)], ids=lambda f: f.distribution)
def test_parameters_that_are_held_are_none_of_the_criterions(family: DenseFamily) -> None:
    rng = np.random.default_rng(7)
    model = simulated(rng, family, one_factor(rng), (TermSpec("a"),))
    solution, psi = model.fit(), typical_psi(model, 1, seed=3)
    assert_gradient(solution, model, psi, 1, "observed")


@given(model=array_glmms(), seed=st.integers(0, 99), n_agq=st.sampled_from([0, 1]),
       curvature=st.sampled_from(["observed", "expected"]))
@settings(max_examples=30)
def test_random_designs(model: ArrayGLMM, seed: int, n_agq: int, curvature: str) -> None:
    solution, psi = model.fit(n_agq=n_agq, curvature=curvature), typical_psi(model, n_agq, seed)
    assert_gradient(solution, model, psi, n_agq, curvature)
    assert_hessian(solution, psi, unit_of(model, n_agq), n_agq)


@given(model=array_glmms(groupings=(one_factor,)), seed=st.integers(0, 99), n_agq=st.sampled_from([2, 3, 6]))
@settings(max_examples=20)
def test_quadrature_of_random_designs(model: ArrayGLMM, seed: int, n_agq: int) -> None:
    """Several terms on the factor, diagonal templates."""
    solution, psi = model.fit(n_agq=n_agq), typical_psi(model, n_agq, seed)
    assert_gradient(solution, model, psi, n_agq, "observed")


@pytest.mark.parametrize("n_agq", [0, 1, 5])
@pytest.mark.parametrize("family", SAFE[:5], ids=lambda f: f"{f.distribution}-{f.link}")
def test_beyond_the_parameter_space(family: DenseFamily, n_agq: int) -> None:
    """Diagonal entries that are zero, which is stationary, or negative: the criterion is smooth and even there."""
    rng = np.random.default_rng(8)
    columns = ("1", "x") if n_agq < 5 else ("1",)
    model = simulated(rng, family, one_factor(rng), (TermSpec("a", columns),))
    solution, psi = model.fit(n_agq=n_agq), typical_psi(model, n_agq, seed=4)
    first = np.zeros(len(psi), bool)
    first[:len(columns)] = True                         # the template's first column
    for factor in (0, -1):
        point = np.where(first, factor * psi, psi)
        assert_gradient(solution, model, point, n_agq, "observed")
        assert_hessian(solution, point, unit_of(model, n_agq), n_agq)
    assert_allclose(gradient(solution, np.where(first, 0, psi), n_agq)[0], 0, atol=1e-9)
    assert_allclose(deviance(solution, np.where(first, -psi, psi), n_agq), deviance(solution, psi, n_agq), rtol=1e-12)


def test_hessian_of_the_dense_reference() -> None:
    """Second differences of the dense criterion itself, so that no derivative of the package is taken on trust."""
    for family in (DenseFamily("binomial", "cloglog"), DenseFamily("negative_binomial", "log")):
        rng = np.random.default_rng(9)
        model = simulated(rng, family, crossed(rng), (TermSpec("a", ("1", "x")), TermSpec("b")))
        solution, psi = model.fit(), typical_psi(model, 1, seed=5)
        dense, unit = model.dense(), unit_of(model, 1)
        numeric = five_point(lambda x, d=dense, u=unit: d.gradient(x, 1, 0.05 * u), psi, 0.05 * unit)
        numeric = (numeric + numeric.T) / 2 * np.outer(unit, unit)
        ours = hessian(solution, psi) * np.outer(unit, unit)
        assert_allclose(ours, numeric, rtol=0, atol=1e-4 * np.abs(numeric).max())      # the differences' own error


@pytest.mark.parametrize("design", [one_factor, nested, crossed])
@pytest.mark.parametrize("family", [DenseFamily("binomial", "logit"), DenseFamily("negative_binomial", "log"),
                                    DenseFamily("beta", "probit")], ids=lambda f: f"{f.distribution}-{f.link}")
@pytest.mark.parametrize("curvature", ["observed", "expected"])
def test_all_methods_give_the_same_numbers(family: DenseFamily, design: Any, curvature: str) -> None:
    rng = np.random.default_rng(10)
    groups = design(rng)
    terms = tuple(TermSpec(group, ("1", "x") if group == "a" else ("1",)) for group in groups)
    model = simulated(rng, family, groups, terms, weights=True)
    for n_agq in (0, 1):
        auto, psi = model.fit(n_agq=n_agq, curvature=curvature), typical_psi(model, n_agq, seed=6)
        for method in ("dense", "sparse", *(["single"] if len(groups) == 1 else [])):
            forced = model.fit(n_agq=n_agq, curvature=curvature, method=method)
            assert_allclose(deviance(forced, psi, n_agq), deviance(auto, psi, n_agq), rtol=METHODS)
            scale = unit_of(model, n_agq)
            ours, theirs = gradient(forced, psi, n_agq) * scale, gradient(auto, psi, n_agq) * scale
            assert_allclose(ours, theirs, rtol=0, atol=METHODS * max(1, np.abs(theirs).max()))
            assert_allclose(forced.log_likelihood, auto.log_likelihood, rtol=METHODS)
