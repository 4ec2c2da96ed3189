"""Fitting: every optimiser reaches one optimum, and a fit tells how it went: certificate, warnings, info, timing."""

import functools
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pymixed as pm
from pymixed.errors import ConvergenceWarning, MissingValuesWarning, RankDeficiencyWarning, SingularFitWarning
from pymixed.solvers import OPTIMIZERS

SLEEPSTUDY = "Reaction ~ Days + (Days | Subject)"
MODELS = {
    "sleepstudy": SLEEPSTUDY,
    "penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "dyestuff2": "Yield ~ 1 + (1 | Batch)",  # singular
}


def fit(name: str, **options: Any) -> tuple[Any, list[warnings.WarningMessage]]:
    """A model of a classic data set, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return pm.lmer(MODELS[name], pm.datasets.load(name), **options), caught


@functools.cache
def default_fit(name: str) -> Any:
    return fit(name)[0]


# ---- optimisers ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_every_optimizer_reaches_the_same_optimum(name, reml, optimizer):
    expected, _ = fit(name, reml=reml)
    found, caught = fit(name, reml=reml, optimizer=optimizer)
    # the criterion to its rounding, estimates within 1e-5 of a standard error, as the certificate's gain tells
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.coefficients / found.se, expected.coefficients / found.se, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.df_satterthwaite, expected.df_satterthwaite, rtol=1e-4)
    assert found.converged
    assert found.convergence.expected_gain < 1e-10
    assert [str(direction) for direction in found.singularity] == [str(direction) for direction in expected.singularity]
    # nothing of SciPy's own, and nothing but the singular fit's
    assert [warning.category for warning in caught] == [SingularFitWarning] * (name == "dyestuff2")
    assert found.info["optimizer"] == optimizer


@pytest.mark.parametrize("optimizer", ["newton", "L-BFGS-B", "trust-constr", "Nelder-Mead"])
@pytest.mark.parametrize("max_iter", [1, 2])
def test_a_fit_that_runs_out_of_evaluations_has_not_converged(optimizer, max_iter):
    found, caught = fit("sleepstudy", optimizer=optimizer, max_iter=max_iter)
    assert not found.converged
    assert not found.info["converged"]
    (warning,) = caught
    assert warning.category is ConvergenceWarning
    assert str(warning.message) == f"not converged: {found.convergence.message} (optimizer: {found.info['status']})"
    assert "one more Newton step would gain" in found.convergence.message
    assert [warning.code for warning in found.warnings] == ["convergence"]
    assert found.log_likelihood < default_fit("sleepstudy").log_likelihood


@pytest.mark.parametrize(("optimizer", "max_iter"), [("newton", 4), ("L-BFGS-B", 10), ("COBYQA", 1)])
def test_running_out_of_evaluations_is_said_even_where_the_certificate_holds(optimizer, max_iter):
    found, (warning,) = fit("sleepstudy", optimizer=optimizer, max_iter=max_iter)
    assert found.converged
    assert warning.category is ConvergenceWarning
    assert str(warning.message) == f"stopped early at a minimum (optimizer: {found.info['status']})"


def test_a_loose_tolerance_stops_early():
    assert fit("sleepstudy", tol=1e3)[0].n_iter < default_fit("sleepstudy").n_iter


# ---- what a fit tells ------------------------------------------------------------------------------------------------

def test_info_and_timing():
    found = default_fit("penicillin")
    assert dict(found.info) == {
        "method": "REML", "optimizer": "newton", "converged": True, "n_iter": found.n_iter,
        "deviance": found.deviance_at(found.theta), "status": "success", "factorization": "dense",
        "workspace_bytes": found.info["workspace_bytes"], "n_dropped": 0}
    assert found.info["workspace_bytes"] > 0
    assert found.backend_name == "core"
    sections = ["setup", "cross_products", "optimization", "satterthwaite", "total"]
    assert list(found.timing) == sections
    assert all(found.timing[section] >= 0 for section in sections)
    assert sum(found.timing[section] for section in sections[:-1]) <= found.timing["total"]
    assert fit("dyestuff2", reml=False)[0].info["method"] == "ML"


def test_the_certificate_of_an_interior_minimum():
    found = default_fit("sleepstudy")
    certificate, derivatives = found.convergence, found._engine.centred_derivatives(found.theta)[1]
    gradient, hessian = derivatives.gradient, derivatives.hessian
    assert certificate.converged
    assert certificate.message == "a minimum"
    assert certificate.active == ()
    np.testing.assert_allclose(certificate.gradient_norm, np.abs(gradient).max(), atol=1e-9)
    scale = 1 / np.sqrt(hessian.diagonal())
    smallest = np.linalg.eigvalsh(hessian * np.outer(scale, scale))[0]
    np.testing.assert_allclose(certificate.min_eigenvalue, smallest, rtol=1e-6)
    # half a Newton step's decrement, halved again for the log-likelihood
    gain = gradient @ np.linalg.solve(hessian, gradient) / 4
    np.testing.assert_allclose(certificate.expected_gain, gain, rtol=1e-3, atol=1e-16)


def test_the_certificate_and_the_warning_of_a_singular_minimum():
    found, (warning,) = fit("dyestuff2")
    assert found.theta.tolist() == [0.0]
    assert found.converged
    ((name, slope),) = found.convergence.active
    assert name == "Batch.(Intercept)"
    # the derivative in theta², the relative variance: the criterion grows when it does
    step = 1e-4
    rise = found.deviance_at([step]) - found.deviance_at([0.0])
    np.testing.assert_allclose(slope, rise / step**2, rtol=1e-3)
    assert warning.category is SingularFitWarning
    assert str(warning.message) == "singular fit: Batch: (Intercept) has no variance"


def test_a_warning_points_at_the_call():
    _, (warning,) = fit("dyestuff2")
    assert warning.filename == __file__


def test_without_satterthwaite_the_residual_degrees_of_freedom_take_its_place():
    found, expected = fit("sleepstudy", compute_satterthwaite=False)[0], default_fit("sleepstudy")
    assert found.df_satterthwaite.tolist() == [178.0, 178.0]
    assert (found.params.df_method, expected.params.df_method) == ("residual", "satterthwaite")
    assert found.converged
    np.testing.assert_array_equal(found.theta, expected.theta)
    np.testing.assert_array_equal(found.se, expected.se)
    np.testing.assert_array_equal(found.hessian_at(found.theta), expected.hessian_at(found.theta))


def test_aliased_columns_are_named(sleepstudy):
    sleepstudy["Weeks"] = sleepstudy["Days"] / 7
    sleepstudy["one"] = 1.0
    with pytest.warns(RankDeficiencyWarning, match="depend on others and were dropped: Weeks, one$") as caught:
        found = pm.lmer("Reaction ~ Days + Weeks + one + (Days | Subject)", sleepstudy)
    assert found.warnings == tuple(warning.message for warning in caught)
    assert found.params.aliased == ("Weeks", "one")
    assert found.coefficient_names == ("(Intercept)", "Days")
    expected = default_fit("sleepstudy")
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-9)
    np.testing.assert_allclose(found.fitted_values, expected.fitted_values, rtol=1e-9)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-12)
    assert found.vcov().shape == (2, 2)


def test_dropped_rows_are_reported(sleepstudy):
    gaps = sleepstudy.astype({"Days": float})
    gaps.loc[3, "Reaction"] = gaps.loc[[50, 51], "Days"] = np.nan
    with pytest.warns(MissingValuesWarning, match="^3 of 180 rows were dropped: missing values$"):
        found = pm.lmer(SLEEPSTUDY, gaps)
    assert found.info["n_dropped"] == 3
    assert found.n_obs == 177
    assert len(found.fitted_values) == len(found.residuals) == 177
    expected = pm.lmer(SLEEPSTUDY, sleepstudy.drop(index=[3, 50, 51]))
    np.testing.assert_array_equal(found.coefficients, expected.coefficients)
    np.testing.assert_array_equal(found.residuals, expected.residuals)
    X = np.column_stack([np.ones(180), gaps["Days"]])
    with pytest.warns(MissingValuesWarning, match="^3 of 180 rows"):
        by_arrays = pm.lmm(gaps["Reaction"], X, {"Subject": gaps["Subject"]}, na_action="drop")
    assert len(by_arrays.residuals) == 177


def test_several_findings_are_several_warnings():
    data = pm.datasets.load("dyestuff2")
    data["again"] = 2.0
    data.loc[0, "Yield"] = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = pm.lmer("Yield ~ again + (1 | Batch)", data)
    assert [warning.code for warning in found.warnings] == ["missing_values", "rank_deficiency", "singular"]
    assert tuple(warning.message for warning in caught) == found.warnings


# ---- sources, threads, copies ----------------------------------------------------------------------------------------

def same_bits(a: Any, b: Any) -> None:
    for name in ("coefficients", "theta", "se", "df_satterthwaite", "fitted_values"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.log_likelihood == b.log_likelihood
    for group, modes in a.random_effects.items():
        np.testing.assert_array_equal(modes, b.random_effects[group])


@pytest.mark.parametrize("table", [
    pl.DataFrame, pa.table, dict, lambda data: pd.DataFrame(data).astype({"Subject": "category"})],
    ids=["polars", "pyarrow", "dict", "categorical"])
def test_every_kind_of_table_gives_the_same_bits(sleepstudy, table):
    columns = {name: sleepstudy[name].to_numpy() for name in ("Reaction", "Days")}
    columns["Subject"] = sleepstudy["Subject"].astype(str).tolist()
    found = pm.lmer(SLEEPSTUDY, table(columns))
    same_bits(found, default_fit("sleepstudy"))
    assert list(found.ranef()["Subject"].index) == list(default_fit("sleepstudy").ranef()["Subject"].index)


def test_arrays_and_formula_agree(sleepstudy):
    days = sleepstudy["Days"].to_numpy(float)
    found = pm.lmm(sleepstudy["Reaction"], np.column_stack([np.ones(180), days]), {"Subject": sleepstudy["Subject"]},
                   random_effects={"Subject": ["1", "Days"]}, random_data={"Days": days})
    same_bits(found, default_fit("sleepstudy"))
    assert found.theta_names == default_fit("sleepstudy").theta_names


@pytest.mark.parametrize("n_threads", [1, 2, np.int64(3)])
def test_the_number_of_threads_changes_no_bit(n_threads):
    same_bits(fit("penicillin", n_threads=n_threads)[0], default_fit("penicillin"))


@pytest.mark.parametrize("name", MODELS)
def test_a_pickled_solution_still_evaluates_its_criterion(name):
    found = default_fit(name)
    twin = pickle.loads(pickle.dumps(found))
    same_bits(twin, found)
    theta = found.theta + 0.1
    assert twin.deviance_at(theta) == found.deviance_at(theta)
    np.testing.assert_array_equal(twin.gradient_at(theta), found.gradient_at(theta))
    np.testing.assert_array_equal(twin.hessian_at(theta), found.hessian_at(theta))
    for group, covariances in twin.ranef(condvar=True)[1].items():
        np.testing.assert_array_equal(covariances, found.ranef(condvar=True)[1][group])
    assert str(twin.summary()) == str(found.summary())
    assert [str(warning) for warning in twin.warnings] == [str(warning) for warning in found.warnings]


def test_the_criterion_takes_as_many_parameters_as_theta():
    found = default_fit("sleepstudy")
    for function in (found.deviance_at, found.gradient_at, found.hessian_at):
        with pytest.raises(pm.errors.InputError, match=r"theta: expected 3 values .*, got an array of shape \(2,\)"):
            function([1.0, 0.0])


# ---- hard places -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("start", [(0.0, 0.0, 0.0), (0.0, 0.3, 0.0), (0.8, 0.0, 0.0), (0.0, 0.0, 0.4)])
def test_false_zeros_are_left(sleepstudy: Any, start: tuple[float, ...]) -> None:
    """Every template with a zero column is stationary along it; only the optimum may end the iteration."""
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    found, _ = fit._engine.core.fit(np.array(start), 1e-11, 200)
    assert found.success
    np.testing.assert_allclose(found.parameters, fit.theta, rtol=1e-4)


@pytest.mark.parametrize("residual", [0.1, 0.01, 0.001])
def test_groups_that_dwarf_the_residuals(residual: float) -> None:
    """theta is the ratio of the two: the iteration must reach a thousand as surely as one."""
    rng = np.random.default_rng(1)
    g, x = rng.integers(50, size=2000), rng.normal(size=2000)
    y = 1 + x + rng.normal(size=50)[g] + rng.normal(size=50)[g] * x + residual * rng.normal(size=2000)
    fit = pm.lmm(y, np.column_stack([np.ones(2000), x]), {"g": g}, random_effects={"g": ["1", "x"]},
                 random_data={"x": x})
    assert fit.converged
    # the standard error of sigma is sigma / sqrt(2 (n - q)); four of them
    assert abs(fit.residual_std / residual - 1) < 4 / np.sqrt(2 * 1900)
    assert 0.7 < fit.theta[0] * residual < 1.5


def test_threads_share_a_dense_factor_without_changing_a_bit() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(500, size=6000), rng.integers(400, size=6000)
    y = rng.normal(size=500)[a] + rng.normal(size=400)[b] + rng.normal(size=6000)
    one, two, three = (pm.lmm(y, np.ones((6000, 1)), {"a": a, "b": b}, method="dense", n_threads=n) for n in (1, 2, 3))
    for other in (two, three):
        assert other.log_likelihood == one.log_likelihood
        np.testing.assert_array_equal(other.theta, one.theta)
        np.testing.assert_array_equal(other.df_satterthwaite, one.df_satterthwaite)
