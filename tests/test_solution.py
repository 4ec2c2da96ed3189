"""LMMSolution and the inference behind it, on fits that the dense reference evaluates at lme4's theta."""

import functools
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference_cases
from dense_solution import solution_at
from models import dense_of_design
from reference_cases import Case, interaction, plain, positions

from pymixed import inference
from pymixed._row_sums import reaches
from pymixed.design import GroupingFactor, MixedDesign, RandomTerm
from pymixed.errors import InputError, InputTypeError
from pymixed.solution import LMMSolution

SMALL_INTERIOR = ("dyestuff", "dyestuff_ml", "penicillin_crossed", "sleepstudy_slope", "sleepstudy_slope_ml",
                  "sleepstudy_weights", "sleepstudy_offset", "sleepstudy_two_terms", "sleepstudy_uncorrelated")


def design_of(case: Case) -> MixedDesign:
    return MixedDesign.from_formula(case.formula, case.frame, **case.model)


@functools.cache
def solution_of(name: str) -> tuple[LMMSolution, dict[str, Any]]:
    """The solution at lme4's theta, in our order of theta, and lme4's results."""
    case = reference_cases.load(name)
    design = design_of(case)
    theirs = [plain(entry) for entry in case.spec["theta_names"]]
    order = [theirs.index(plain(entry)) for entry in inference.theta_names(design.terms)]
    theta = np.array(case.results["theta"])[order]
    return solution_at(design, theta, reml=case.spec["REML"]), case.results


@pytest.fixture(scope="module")
def slopes() -> LMMSolution:
    return solution_of("sleepstudy_slope")[0]


@pytest.fixture(scope="module")
def two_terms() -> LMMSolution:
    return solution_of("sleepstudy_two_terms")[0]


def toy_term(*columns: str, structure: str = "us", data: Any = None) -> RandomTerm:
    return RandomTerm("g", 0, columns, data or (None,) * len(columns), structure)


# ---- theta in the user's units ---------------------------------------------------------------------------------------

def test_theta_runs_down_the_columns_of_the_template() -> None:
    terms = (toy_term("(Intercept)", "x", "z"), toy_term("a", "b", structure="diag"))
    assert inference.theta_names(terms) == (
        "g.(Intercept)", "g.x.(Intercept)", "g.z.(Intercept)", "g.x", "g.z.x", "g.z", "g.a", "g.b")
    first, second = inference.templates(terms, np.arange(1.0, 9.0))
    np.testing.assert_array_equal(first, [[1, 0, 0], [2, 4, 0], [3, 5, 6]])
    np.testing.assert_array_equal(second, [[7, 0], [0, 8]])


def singular_directions(term: RandomTerm, theta: Any, weights: Any = None) -> Any:
    return inference.singular_directions((term,), theta, [reaches(term, weights)])


def test_a_zero_variance_is_a_singular_direction() -> None:
    x = np.arange(10.0)
    term = toy_term("(Intercept)", "x", data=(None, x))
    (direction,) = singular_directions(term, np.array([0.9, 0.0, 0.0]), None)
    assert (direction.columns, direction.weights) == (("x",), (1.0,))
    (direction,) = singular_directions(term, np.array([0.0, 0.0, 0.3]))
    assert direction.columns == ("(Intercept)",)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_perfect_correlation_is_a_singular_direction_in_any_unit(unit: float) -> None:
    x = unit * np.arange(10.0)
    term = toy_term("(Intercept)", "x", data=(None, x))
    theta = np.array([0.8, -0.2 / unit, 0.0])                       # effect of x = -effect of the intercept / (4 unit)
    (direction,) = singular_directions(term, theta)
    assert direction.columns == ("(Intercept)", "x")
    np.testing.assert_allclose(direction.weights, [0.25 / unit, 1.0])
    weighted = singular_directions(term, theta * 1e3, np.full(10, 1e-6))
    np.testing.assert_allclose(weighted[0].weights, direction.weights)
    assert not singular_directions(term, np.array([0.8, -0.2 / unit, 0.1 / unit]))


def test_a_singular_direction_leaves_out_columns_without_a_part_in_it() -> None:
    term = toy_term("a", "b", "c")
    template = np.array([[1.0, 0, 0], [0.5, 2.0, 0], [0.25, 1.0, 0]])          # c = b / 2
    (direction,) = singular_directions(term, template.T[np.triu_indices(3)])
    assert str(direction) == "g: c - 0.5 b has no variance"


# ---- Satterthwaite ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", SMALL_INTERIOR)
def test_degrees_of_freedom_and_variance_parameters_match_lmertest(name: str) -> None:
    fit, ref = solution_of(name)
    order = positions(fit.coefficient_names, reference_cases.load(name).spec["fixed_columns"], interaction)
    df, t, p = np.array(ref["satterthwaite"]["values"], float).T[2:]
    np.testing.assert_allclose(fit.df_satterthwaite[order], df, rtol=1e-4)  # lmerTest differentiates numerically
    np.testing.assert_allclose(fit.t_values[order], t, rtol=1e-6)
    np.testing.assert_allclose(fit.p_values[order], p, rtol=1e-3)


@pytest.mark.parametrize("name", SMALL_INTERIOR)
def test_covariance_of_the_variance_parameters_matches_lmertest(name: str) -> None:
    case = reference_cases.load(name)
    fit, ref = solution_of(name)
    at = dense_of_design(design_of(case), reml=fit.reml).at(fit.theta)
    varpar = inference.varpar_covariance(at.hessian, at.r2_gradient, at.sigma, at.model.nu,
                                         np.ones(len(fit.theta), bool))
    theirs = np.array(ref["vcov_theta_sigma"])
    order = np.append(positions(fit.theta_names, case.spec["theta_names"]), len(fit.theta))
    scale = np.sqrt(theirs.diagonal())
    np.testing.assert_allclose(varpar[np.ix_(order, order)] / np.outer(scale, scale), theirs / np.outer(scale, scale),
                               atol=1e-4)
    np.testing.assert_allclose(varpar, at.covariance_theta_sigma(), rtol=1e-6, atol=1e-9 * np.abs(varpar).max())


def test_parameters_at_the_boundary_have_no_variance(slopes: LMMSolution) -> None:
    theta, free = np.array([0.9, 0.0, 0.0]), np.array([True, False, False])
    at = dense_of_design(slopes._design, reml=True).at(theta)
    varpar = inference.varpar_covariance(at.hessian, at.r2_gradient, at.sigma, at.model.nu, free)
    assert not varpar[1:3].any()
    np.testing.assert_allclose(varpar[np.ix_([0, 3], [0, 3])], at.covariance_theta_sigma(free), rtol=1e-8)
    derivatives = slopes._engine.variance_derivatives(theta)
    uncertainty = inference.variance_uncertainty(derivatives, at.sigma, at.model.nu, free, "abc")
    assert uncertainty.held == ("b", "c")
    df = inference.satterthwaite(np.eye(2), at.vcov, uncertainty)
    np.testing.assert_allclose(df, at.satterthwaite(free), rtol=1e-8)


def test_without_free_parameters_the_degrees_of_freedom_are_those_of_the_residuals(slopes: LMMSolution) -> None:
    derivatives = slopes._engine.variance_derivatives(np.zeros(3))
    uncertainty = inference.variance_uncertainty(derivatives, 2.0, 178, np.zeros(3, bool), "abc")
    np.testing.assert_allclose(inference.satterthwaite(np.eye(2), 4.0 * derivatives.C, uncertainty), 178)


def test_a_direction_that_does_not_change_the_model_has_no_variance() -> None:
    """Two equal terms: only the sum of squares of their parameters matters."""
    single, doubled = np.array([[8.0]]), np.outer([0.6, 0.8], [0.6, 0.8]) * 8.0
    one = inference.varpar_covariance(single, np.array([-3.0]), 1.5, 40, np.ones(1, bool))
    two = inference.varpar_covariance(doubled, np.array([-1.8, -2.4]), 1.5, 40, np.ones(2, bool))
    np.testing.assert_allclose(two[2, 2], one[1, 1])
    along = np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(along @ two @ along.T, one, atol=1e-12)


# ---- estimates and tables --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", SMALL_INTERIOR)
def test_estimates_match_lme4(name: str) -> None:
    fit, ref = solution_of(name)
    order = positions(fit.coefficient_names, reference_cases.load(name).spec["fixed_columns"], interaction)
    np.testing.assert_allclose(fit.coefficients[order], ref["beta"], rtol=1e-6)
    np.testing.assert_allclose(fit.se[order], ref["se"], rtol=1e-5)
    np.testing.assert_allclose(fit.vcov()[np.ix_(order, order)], ref["vcov"], rtol=1e-5)
    names = {"residual_std": "sigma", "log_likelihood": "log_likelihood", "aic": "AIC", "bic": "BIC"}
    for ours, theirs in names.items():
        np.testing.assert_allclose(getattr(fit, ours), ref[theirs], rtol=1e-7)
    assert fit.params.n_parameters == ref["n_parameters"]
    for kind, theirs in ref["residuals"].items():
        np.testing.assert_allclose(fit.resid(kind)[:10], theirs["first"], rtol=1e-5)
    np.testing.assert_allclose(fit.fitted_values[:10], ref["fitted"]["first"], rtol=1e-6)


@pytest.mark.parametrize("name", ["sleepstudy_slope", "sleepstudy_two_terms", "penicillin_crossed"])
def test_varcorr_lists_variances_then_covariances_of_each_term(name: str) -> None:
    fit, ref = solution_of(name)
    table = fit.varcorr().set_index(["grp", "var1", "var2"])
    assert list(table.columns) == ["vcov", "sdcor"]
    for block in ref["random"]:
        for i, first in enumerate(block["columns"]):
            variance = table.loc[[(block["group"], first, None)]].to_numpy()[0]
            np.testing.assert_allclose(variance, [block["variance"][i], block["sd"][i]], rtol=1e-5)
            for j, second in enumerate(block["columns"][:i]):
                covariance = [block["covariance"][i][j], block["correlation"][i][j]]
                row = table.loc[[(block["group"], second, first)]].to_numpy()[0]
                np.testing.assert_allclose(row, covariance, rtol=1e-4)
    np.testing.assert_allclose(table.iloc[-1], [ref["sigma"] ** 2, ref["sigma"]], rtol=1e-6)
    assert table.index[-1][0] == "Residual"


def test_variance_components_carry_the_correlation_with_the_first_column(slopes: LMMSolution) -> None:
    intercept, days = slopes.var_components
    assert (intercept.group, intercept.name, days.name) == ("Subject", "(Intercept)", "Days")
    assert intercept.corr is None
    numbers = [intercept.variance, days.std_dev, days.corr]
    np.testing.assert_allclose(numbers, [612.0899, 5.922133, 0.0655513], rtol=1e-5)


def test_a_correlation_with_a_zero_variance_is_undefined(slopes: LMMSolution) -> None:
    fit = solution_at(slopes._design, [0.0, 0.0, 0.3])
    assert fit.var_components[1].corr is None
    assert np.isnan(fit.varcorr()["sdcor"][2])
    assert [str(direction) for direction in fit.singularity] == ["Subject: (Intercept) has no variance"]
    assert slopes.singularity == ()


@pytest.mark.parametrize("name", ["sleepstudy_slope", "sleepstudy_two_terms", "penicillin_crossed"])
def test_ranef_holds_modes_and_conditional_variances_side_by_side(name: str) -> None:
    fit, ref = solution_of(name)
    modes, covariances = fit.ranef(condvar=True)
    assert list(modes) == list(covariances) == list(fit.n_groups)
    for group, theirs in ref["ranef"].items():
        table = modes[group]
        assert (list(table.columns), list(table.index)) == (theirs["columns"], theirs["levels"])
        np.testing.assert_allclose(table, theirs["values"], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(table, fit.ranef()[group])
        blocks = theirs["cond_var"].values() if isinstance(theirs["cond_var"], dict) else theirs["cond_var"]
        start = 0
        for block in map(np.asarray, blocks):
            own = slice(start, start := start + block.shape[1])
            np.testing.assert_allclose(covariances[group][:len(block), own, own], block, rtol=1e-5)
        assert covariances[group].shape == (*table.shape, table.shape[1])


def test_coef_adds_fixed_and_random_effects_of_a_name(slopes: LMMSolution) -> None:
    table = slopes.coef()["Subject"]
    assert list(table.columns) == ["(Intercept)", "Days"]
    np.testing.assert_allclose(table.loc["308"], slopes.coefficients + np.array([2.2585655, 9.1989719]), rtol=1e-6)


def test_coef_keeps_random_effects_without_a_fixed_one(slopes: LMMSolution) -> None:
    design = slopes._design
    fit = solution_at(replace(design, X=design.X[:, :1], coefficient_names=("(Intercept)",)), slopes.theta)
    table = fit.coef()["Subject"]
    np.testing.assert_allclose(table["Days"], fit.ranef()["Subject"]["Days"])
    np.testing.assert_allclose(table["(Intercept)"] - fit.ranef()["Subject"]["(Intercept)"], fit.coefficients[0])


def test_fixef_is_a_series_by_name(slopes: LMMSolution) -> None:
    np.testing.assert_allclose(slopes.fixef()[["Days", "(Intercept)"]], [10.467286, 251.405105], rtol=1e-7)


def test_aliased_columns_are_absent_and_harmless(slopes: LMMSolution) -> None:
    design = slopes._design
    X = np.column_stack([design.X, design.X @ [1.0, 2.0]])
    fit = solution_at(replace(design, X=X, coefficient_names=("(Intercept)", "Days", "again")), slopes.theta)
    assert fit.params.aliased == ("again",)
    assert list(fit.fixef().index) == ["(Intercept)", "Days"]
    np.testing.assert_allclose(fit.fitted_values, slopes.fitted_values)


def test_a_model_without_fixed_effects(slopes: LMMSolution) -> None:
    fit = solution_at(replace(slopes._design, X=np.empty((180, 0)), coefficient_names=()), slopes.theta)
    assert fit.fixef().empty
    assert fit.df_satterthwaite.shape == fit.p_values.shape == (0,)
    assert "No fixed effects" in str(fit.summary())


# ---- the criterion as a function -------------------------------------------------------------------------------------

def test_the_criterion_and_its_derivatives_are_functions_of_theta(slopes: LMMSolution) -> None:
    for point in reference_cases.load("sleepstudy_slope").results["devfun"]["of_theta"].values():
        np.testing.assert_allclose(slopes.deviance_at(point["theta"]), point["value"], rtol=1e-10)
    np.testing.assert_allclose(slopes.gradient_at(list(slopes.theta)), 0, atol=1e-4)
    np.testing.assert_array_equal(slopes.hessian_at(slopes.theta), slopes._engine.hessian(slopes.theta))


@pytest.mark.parametrize(("theta", "message"), [
    ([1.0, 0.0], r"theta: expected 3 values \(Subject\.\(Intercept\), .*\), got an array of shape \(2,\)"),
    ([[1.0, 0.0, 1.0]], r"got an array of shape \(1, 3\)"),
    ([1.0, np.nan, 1.0], "theta: expected finite values"),
    ("start", "theta: expected numbers"),
])
def test_a_theta_that_does_not_fit_is_refused(slopes: LMMSolution, theta: Any, message: str) -> None:
    for function in (slopes.deviance_at, slopes.gradient_at, slopes.hessian_at):
        with pytest.raises((InputError, InputTypeError), match=message):
            function(theta)


# ---- predictions -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [
    "sleepstudy_slope", "sleepstudy_two_terms", "sleepstudy_offset", "penicillin_crossed"])
def test_predictions_match_lme4(name: str) -> None:
    fit, ref = solution_of(name)
    new, theirs = reference_cases.load(name).new_rows, ref["predictions"]
    with_random = fit.predict(new, new_levels="population")
    np.testing.assert_allclose(with_random, theirs["link_with_random"], rtol=1e-6)
    np.testing.assert_allclose(fit.predict(new, re="none", type="response"), theirs["link_fixed_only"], rtol=1e-6)


def test_predictions_of_the_rows_of_the_fit(slopes: LMMSolution, two_terms: LMMSolution) -> None:
    for fit in (slopes, two_terms):
        np.testing.assert_array_equal(fit.predict(), fit.fitted_values)
        np.testing.assert_allclose(fit.predict(re=["Subject"]), fit.fitted_values)
        np.testing.assert_allclose(fit.predict(re="none"), fit._design.X @ fit.coefficients)
        np.testing.assert_allclose(fit.residuals + fit.fitted_values, fit._design.y)


def test_predictions_with_some_of_the_groups() -> None:
    fit, _ = solution_of("penicillin_crossed")
    by_plate = fit.predict(re=["plate"]) - fit.predict(re="none")
    by_sample = fit.predict(re=["sample"]) - fit.predict(re="none")
    np.testing.assert_allclose(by_plate + by_sample, fit.predict() - fit.predict(re="none"), atol=1e-12)
    codes = next(factor.codes for factor in fit._design.factors if factor.name == "plate")
    np.testing.assert_allclose(by_plate, fit.random_effects["plate"][codes, 0], atol=1e-12)


def test_the_caller_chooses_what_an_unseen_level_gives(slopes: LMMSolution) -> None:
    new = {"Days": [1.0, 1.0], "Subject": ["308", "new"]}
    with pytest.raises(InputError, match=r"newdata: .*'Subject' .*, got 'new' in row 1 \(1 such rows\)"):
        slopes.predict(new)
    seen, population = slopes.predict(new, new_levels="population")
    np.testing.assert_allclose(population, slopes.coefficients.sum())
    np.testing.assert_array_equal(slopes.predict(new, new_levels="missing"), [seen, np.nan])
    np.testing.assert_allclose(slopes.predict(new, re="none"), slopes.coefficients.sum())
    np.testing.assert_allclose(slopes.predict({"Days": [1.0]}, re="none"), slopes.coefficients.sum())


def test_new_rows_of_a_fit_with_an_offset_array_bring_theirs(slopes: LMMSolution) -> None:
    case = reference_cases.load("sleepstudy_slope")
    fit = solution_at(MixedDesign.from_formula(case.formula, case.frame, offset=np.full(180, 100.0)), slopes.theta)
    new = {"Days": [1.0, 2.0], "Subject": ["308", "309"]}
    np.testing.assert_allclose(fit.predict(new, offset=[100.0, 0.0]), slopes.predict(new) - np.array([0.0, 100.0]))
    np.testing.assert_allclose(fit.fitted_values, slopes.fitted_values)
    with pytest.raises(InputError, match="offset"):
        fit.predict(new)
    with pytest.raises(InputError, match="offset: expected only together with newdata"):
        fit.predict(offset=np.zeros(180))


@pytest.mark.parametrize("arguments", [
    {"re": "some"}, {"re": ["Subject", "Item"]}, {"re": None}, {"re": 1}, {"new_levels": "zero"}, {"type": "mean"}])
def test_an_unknown_choice_of_prediction_is_refused(slopes: LMMSolution, arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(InputError, match=f"^{name}: expected one of .*, got "):
        slopes.predict(**arguments)


def test_an_unknown_kind_is_refused(slopes: LMMSolution) -> None:
    with pytest.raises(InputError, match="kind: expected one of 'response', 'pearson', got 'working'"):
        slopes.resid("working")
    with pytest.raises(InputError, match=r"kind: expected one of 'model', .*, got 'CR9'"):
        slopes.vcov("CR9")


# ---- the object ------------------------------------------------------------------------------------------------------

def test_the_attributes_are_those_of_the_parameters(slopes: LMMSolution) -> None:
    for name in ("coefficients", "coefficient_names", "se", "df_satterthwaite", "t_values", "p_values",
                 "var_components", "residual_variance", "residual_std", "log_likelihood", "reml", "aic", "bic", "n_obs",
                 "n_groups", "converged", "convergence", "n_iter", "random_effects", "theta", "theta_names"):
        assert getattr(slopes, name) is getattr(slopes.params, name) or (
            getattr(slopes, name) == getattr(slopes.params, name))
        with pytest.raises(AttributeError):
            setattr(slopes, name, None)
    assert (slopes.backend_name, slopes.warnings, dict(slopes.info)) == ("dense", (), {"method": "REML"})
    assert slopes.timing["total"] == 0.0


def test_a_solution_survives_pickling(slopes: LMMSolution) -> None:
    copy = pickle.loads(pickle.dumps(slopes))
    np.testing.assert_array_equal(copy.predict(), slopes.predict())
    assert str(copy.summary()) == str(slopes.summary())
    assert copy.deviance_at(slopes.theta) == slopes.deviance_at(slopes.theta)


def test_repr_is_one_line(slopes: LMMSolution) -> None:
    assert repr(slopes) == ("<LMMSolution Reaction ~ Days + (Days | Subject) by REML, 180 rows, Subject: 18; "
                            "log-likelihood -871.8>")


def test_a_factor_of_the_fit_needs_no_random_intercept() -> None:
    """Two factors, the second with a slope alone, built by hand: columns of Z by their definition."""
    rng = np.random.default_rng(0)
    n = 40
    x = rng.normal(size=n)
    a, b = rng.integers(0, 5, n).astype(np.int32), rng.integers(0, 4, n).astype(np.int32)
    a[:5], b[:4] = np.arange(5), np.arange(4)
    design = MixedDesign.validate(rng.normal(size=n), np.ones((n, 1)), {"a": a, "b": b},
                                  {"a": ["1"], "b": ["x"]}, {"x": x})
    assert isinstance(design.factors[0], GroupingFactor)
    fit = solution_at(design, [0.7, 0.4])
    u, v = fit.random_effects["a"][:, 0], fit.random_effects["b"][:, 0]
    np.testing.assert_allclose(fit.fitted_values, fit.coefficients[0] + u[a] + v[b] * x)
