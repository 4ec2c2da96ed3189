"""The dense reference itself: against lme4's numbers, and its derivatives against complex steps.

lme4's deviance functions agree to rounding; lmerTest differentiates numerically, which its degrees of freedom show.
"""

from typing import Any

import numpy as np
import pytest
from dense import DenseLMM, Evaluation, independent_columns, inverse_and_logdet
from hypothesis import given
from hypothesis import strategies as st
from models import ArrayModel, array_models, dense_of_design
from numpy.testing import assert_allclose
from reference_cases import Case, interaction, linear_cases, load, plain, positions

from pymixed.design import MixedDesign

SMALL = [name for name in linear_cases() if load(name).spec["n_observations"] < 1000]
LMERTEST = [name for name in SMALL if load(name).results.get("satterthwaite")]  # lmerTest was run on these


class Reading:
    """A case as a dense model, read in lme4's order of parameters."""

    def __init__(self, case: Case) -> None:
        self.case = case
        design = MixedDesign.from_formula(case.formula, case.frame, **case.model)
        self.model: DenseLMM = dense_of_design(design, reml=case.spec["REML"])
        self.coefficients = positions(design.coefficient_names, case.spec["fixed_columns"], interaction)
        blocks = {(b["group"], tuple(b["columns"])): b for b in case.results["random"]}
        self.blocks = [blocks[t.group, tuple(map(plain, t.columns))] for t in design.terms]
        self.theta_index = np.concatenate([block["theta_index_from_0"] for block in self.blocks])

    def at(self, theta: Any) -> Evaluation:
        return self.model.at(np.asarray(theta, float)[self.theta_index])


@pytest.fixture(scope="module", params=SMALL)
def reading(request: pytest.FixtureRequest) -> Reading:
    return Reading(load(request.param))


def test_criterion_is_lme4s(reading: Reading) -> None:
    for point in reading.case.results["devfun"]["of_theta"].values():
        evaluation = reading.at(point["theta"])
        assert_allclose(evaluation.criterion, point["value"], rtol=1e-13)
        assert_allclose(evaluation.beta[reading.coefficients], point["beta"], rtol=1e-9, atol=1e-9)


def test_estimates_are_lme4s(reading: Reading) -> None:
    lme4, evaluation = reading.case.results, reading.at(reading.case.results["theta"])
    k, se = reading.coefficients, np.array(lme4["se"])
    assert_allclose(evaluation.vcov[np.ix_(k, k)] / np.outer(se, se), lme4["vcov"] / np.outer(se, se), atol=1e-11)
    assert_allclose(evaluation.sigma, lme4["sigma"], rtol=1e-12)
    assert_allclose(evaluation.fitted[:10], lme4["fitted"]["first"], rtol=1e-12)
    for block, modes in zip(reading.blocks, evaluation.modes, strict=True):
        of_factor = lme4["ranef"][block["group"]]
        columns = [of_factor["columns"].index(name) for name in block["columns"]]
        sums = np.array(of_factor["column_sums_of_squares"])[columns]
        assert_allclose(np.sum(modes**2, axis=0), sums, rtol=1e-10)


@pytest.mark.parametrize("reading", LMERTEST, indirect=True)
def test_degrees_of_freedom_are_lmertests(reading: Reading) -> None:
    lme4 = reading.case.results
    df = [row[2] for row in lme4["satterthwaite"]["values"]]
    assert_allclose(reading.at(lme4["theta"]).satterthwaite()[reading.coefficients], df, rtol=1e-6)


@given(model=array_models(), seed=st.integers(0, 99), reml=st.booleans())
def test_derivatives_are_those_of_the_criterion(model: ArrayModel, seed: int, reml: bool) -> None:
    dense, theta = model.dense(reml=reml), model.interior(seed)
    here = dense.at(theta)
    steps = [dense.at(theta + 1e-30j * direction) for direction in np.eye(dense.n_theta)]
    gradient = np.array([step.criterion.imag for step in steps]) / 1e-30
    hessian = np.array([step.gradient.imag for step in steps]) / 1e-30
    assert_allclose(here.gradient, gradient, rtol=0, atol=1e-11 * max(1, np.abs(gradient).max()))
    assert_allclose(here.hessian, hessian, rtol=0, atol=1e-11 * max(1, np.abs(hessian).max()))


def test_inverse_keeps_the_precision_of_its_argument() -> None:
    A = np.array([[4, 2, 1], [2, 5, 3], [1, 3, 6]], np.longdouble)
    inverse, logdet = inverse_and_logdet(A)
    assert inverse.dtype == np.longdouble
    assert_allclose(A @ inverse, np.eye(3), atol=8 * np.finfo(np.longdouble).eps)
    assert_allclose(logdet, np.log(np.longdouble(67)), rtol=4 * np.finfo(np.longdouble).eps)


def test_independent_columns_keeps_the_first_of_a_dependent_set() -> None:
    x = np.arange(5.0)
    X = np.column_stack([np.ones(5), x, 2 * x + 1, x**2, np.zeros(5)])
    assert independent_columns(X).tolist() == [0, 1, 3]
