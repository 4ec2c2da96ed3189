"""Gradient and Hessian of the criterion against the closed forms of the dense reference.

Points inside the parameter space, on its boundary (a template's diagonal entry is zero) and beyond it (a negative
diagonal, which the optimiser passes through): the derivatives are those of the same smooth function everywhere.
"""

from typing import Any

import numpy as np
import pytest
from dense import DenseLMM
from hypothesis import given
from hypothesis import strategies as st
from models import ArrayModel, TermSpec, array_models, dense_of_design
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from reference_cases import load

from pymixed.design import MixedDesign

Array = NDArray[np.float64]

GRADIENT = 1e-9    # relative to the largest entry: rounding alone
HESSIAN = 1e-6

REFERENCE = ["cake_slope_ml", "oats_double_bar_factor", "orthodont_slope", "pastes_nested", "penicillin_crossed",
             "sleepstudy_three_slopes", "sleepstudy_two_terms", "sleepstudy_uncorrelated", "sleepstudy_weights"]


def assert_derivatives(solution: Any, dense: DenseLMM, theta: Array) -> None:
    there = dense.at(theta)
    gradient, hessian = there.gradient, there.hessian
    assert_allclose(solution.deviance_at(theta), there.criterion, rtol=1e-10)
    assert_allclose(solution.gradient_at(theta), gradient, rtol=0, atol=GRADIENT * max(1, np.abs(gradient).max()))
    assert_allclose(solution.hessian_at(theta), hessian, rtol=0, atol=HESSIAN * max(1, np.abs(hessian).max()))


def points(interior: Array, diagonal: NDArray[np.bool_]) -> list[Array]:
    """The interior point given, then every diagonal entry in turn zero and negative, then all of theta zero."""
    entries = np.eye(len(interior), dtype=bool)[diagonal]
    edges = [np.where(entry, factor * interior, interior) for entry in entries for factor in (0, -1)]
    return [interior, *edges, np.zeros_like(interior)]


@pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")
@pytest.mark.parametrize("name", REFERENCE)
def test_on_real_data(name: str) -> None:
    case = load(name)
    design = MixedDesign.from_formula(case.formula, case.frame, **case.model)
    dense = dense_of_design(design, reml=case.spec["REML"])
    solution = case.fit()
    diagonal = np.concatenate([TermSpec(t.group, t.columns, t.structure).diagonal for t in design.terms])
    rng = np.random.default_rng(7)
    for theta in points(rng.uniform(-0.5, 0.5, dense.n_theta) + 0.7 * diagonal, diagonal):
        assert_derivatives(solution, dense, theta)


@given(model=array_models(), seed=st.integers(0, 99), reml=st.booleans())
def test_on_random_designs(model: ArrayModel, seed: int, reml: bool) -> None:
    solution, dense = model.fit(reml=reml), model.dense(reml=reml)
    for theta in points(model.interior(seed), model.diagonal):
        assert_derivatives(solution, dense, theta)
