"""Variance inflation, principal components, several optimisers and smaller models, against what defines them."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pymixed as pm
from pymixed.errors import InputError, InputTypeError, PymixedWarning

Array = Any


def quietly(fit: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return fit()


@pytest.fixture(scope="module")
def factors() -> pd.DataFrame:
    """Factors and covariates that are correlated."""
    rng = np.random.default_rng(21)
    n = 200
    data = pd.DataFrame({"g": rng.integers(0, 15, n).astype(str), "h": rng.integers(0, 6, n).astype(str),
                         "f": rng.choice(["a", "b", "c"], n), "x": rng.normal(size=n)})
    data["z"] = 0.8 * data["x"] + 0.5 * (data["f"] == "b") + 0.6 * rng.normal(size=n)
    group = rng.normal(size=15)[data["g"].astype(int)]
    return data.assign(y=1.0 + data["x"] + group + rng.normal(size=n), count=rng.poisson(np.exp(0.3 + 0.3 * group)))


# ---- variance inflation ----------------------------------------------------------------------------------------------

def test_inflation_by_the_determinants_that_define_it(factors: pd.DataFrame) -> None:
    fit = pm.lmer("y ~ x + f + z + (1 | g)", factors)
    table = fit.vif()
    sd = np.sqrt(fit.vcov().diagonal())
    R = (fit.vcov() / np.outer(sd, sd))[1:, 1:]
    names = fit.coefficient_names[1:]
    assert table.index.tolist() == ["x", "f", "z"]
    assert table["df"].tolist() == [1, 2, 1]
    for term in table.index:
        own = np.array([name == term or name.startswith(f"{term}[") for name in names])
        gvif = np.linalg.det(R[np.ix_(own, own)]) * np.linalg.det(R[np.ix_(~own, ~own)]) / np.linalg.det(R)
        assert table.loc[term, "gvif"] == pytest.approx(gvif, rel=1e-10)
        assert table.loc[term, "inflation"] == pytest.approx(gvif ** (0.5 / own.sum()), rel=1e-10)
    # of a single column: the diagonal of the inverse correlation matrix
    assert table.loc["x", "gvif"] == pytest.approx(np.linalg.inv(R)[names.index("x"), names.index("x")], rel=1e-10)


def test_inflation_does_not_depend_on_units_or_coding(factors: pd.DataFrame) -> None:
    fit = pm.lmer("y ~ x + f + z + (1 | g)", factors)
    other = pm.lmer("y ~ x + f + z + (1 | g)", factors.assign(x=1e3 * factors["x"]), contrasts={"f": "sum"})
    assert np.allclose(fit.vif(), other.vif(), rtol=1e-8)


def test_inflation_without_correlation_or_with_nothing_else(factors: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    a, b = np.tile([-1.0, 1.0], 40), np.repeat([-1.0, 1.0, -1.0, 1.0], 20)
    g = np.repeat(np.arange(8), 10)
    y = a + rng.normal(size=8)[g] + rng.normal(size=80)
    assert pm.lmm(y, np.column_stack([np.ones(80), a, b]), {"g": g}).vif()["gvif"].to_numpy() == pytest.approx(
        [1.0, 1.0], rel=1e-10)
    assert pm.lmer("y ~ x + (1 | g)", factors).vif()["gvif"].tolist() == [1.0]
    assert pm.lmer("y ~ 1 + (1 | g)", factors).vif().empty


def test_inflation_of_a_term_that_was_dropped_is_missing(factors: pd.DataFrame) -> None:
    fit = quietly(lambda: pm.lmer("y ~ x + I(2 * x) + z + (1 | g)", factors))
    table, plain = fit.vif(), pm.lmer("y ~ x + z + (1 | g)", factors).vif()
    assert table["df"].tolist() == [1, 0, 1]
    assert np.isnan(table.loc["I(2 * x)", "gvif"])
    assert table["gvif"].dropna().to_numpy() == pytest.approx(plain["gvif"].to_numpy(), rel=1e-7)


def test_inflation_of_a_generalized_model(factors: pd.DataFrame) -> None:
    fit = pm.glmer("count ~ x + z + (1 | g)", factors, family="poisson")
    correlation = fit.vcov()[1, 2] / np.sqrt(fit.vcov()[1, 1] * fit.vcov()[2, 2])
    assert fit.vif()["gvif"].to_numpy() == pytest.approx(1.0 / (1.0 - correlation**2), rel=1e-10)


# ---- principal components --------------------------------------------------------------------------------------------

def test_components_are_those_of_the_covariance_matrix(factors: pd.DataFrame) -> None:
    fit = quietly(lambda: pm.lmer("y ~ x + (x + z | g) + (1 | h)", factors))
    found = fit.pca()
    assert [term.term for term in found.terms] == ["x + z | g", "1 | h"]
    for term, covariance in zip(found.terms, fit.params.term_covariances, strict=True):
        relative = covariance.matrix / fit.residual_variance
        rebuilt = (term.loadings * term.std_dev**2) @ term.loadings.T
        assert np.abs(rebuilt - relative).max() < 1e-10 * max(1.0, np.abs(relative).max())
        assert np.abs(term.loadings.T @ term.loadings - np.eye(len(term.columns))).max() < 1e-12
        assert (np.diff(term.std_dev) <= 0).all()
        assert np.sqrt(np.maximum(np.linalg.eigvalsh(relative)[::-1], 0)) == pytest.approx(term.std_dev, abs=1e-7)
    table = found.to_pandas()
    assert table["component"].tolist() == ["PC1", "PC2", "PC3", "PC1"]
    assert table["proportion"][:3].sum() == pytest.approx(1.0, abs=1e-12)
    assert table["cumulative"][:3].tolist() == pytest.approx(table["proportion"][:3].cumsum().tolist())
    assert found.loadings["x + z | g"].index.tolist() == ["(Intercept)", "x", "z"]


def test_components_are_those_of_lme4(sleepstudy: pd.DataFrame) -> None:
    theirs = json.loads((Path(__file__).parent / "reference_inference" / "diagnostics.json").read_text())["pca"]
    ours = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy).pca().terms[0]
    assert ours.std_dev == pytest.approx(theirs["Subject"]["sdev"], rel=1e-6)   # both optimisers'
    assert np.abs(np.abs(ours.loadings) - np.abs(theirs["Subject"]["rotation"])).max() < 1e-6


def test_components_of_correlations_do_not_depend_on_units(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    other = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy.assign(Days=sleepstudy["Days"] / 24))
    correlation = fit.params.term_covariances[0].correlation[0, 1]
    assert fit.pca(correlation=True).terms[0].std_dev == pytest.approx(
        np.sqrt([1 + abs(correlation), 1 - abs(correlation)]), rel=1e-8)
    assert other.pca(correlation=True).terms[0].std_dev == pytest.approx(
        fit.pca(correlation=True).terms[0].std_dev, rel=1e-6)


def test_a_term_without_variance_has_no_proportions() -> None:
    fit = quietly(lambda: pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff2")))
    for correlation in (False, True):
        table = fit.pca(correlation).to_pandas()
        assert table["std_dev"].tolist() == [0.0]
        assert table["proportion"].isna().all()
    assert "PC1" in repr(fit.pca())
    assert "<table" in fit.pca()._repr_html_()


# ---- optimisers ------------------------------------------------------------------------------------------------------

def test_all_optimisers_agree(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    found = fit.allfit()
    table = found.to_pandas()
    assert table.index.tolist() == ["newton", "L-BFGS-B", "trust-constr", "Nelder-Mead", "COBYQA"]
    assert table["converged"].all()
    assert table["above_best"].min() == 0.0
    assert table["above_best"].max() < 1e-6   # what tol=1e-8 leaves of a criterion of 1744
    assert (table["evaluations"] > 0).all()
    assert (table["seconds"] > 0).all()
    assert np.abs(found.theta - fit.theta).max().max() < 1e-4
    assert np.abs(found.coefficients - fit.coefficients).max().max() < 1e-6
    assert found.theta.columns.tolist() == list(fit.theta_names)
    assert found.differences["log_likelihood"] == pytest.approx(0.5 * table["above_best"].max(), abs=1e-9)
    assert found.differences["theta"] == pytest.approx(np.ptp(found.theta, axis=0).max(), rel=1e-9)
    assert found.solutions["COBYQA"].info["optimizer"] == "COBYQA"
    assert found.solutions["L-BFGS-B"].reml


def test_optimisers_of_a_generalized_model() -> None:
    fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", pm.datasets.load("cbpp"))
    found = fit.allfit(["newton", "L-BFGS-B"])
    assert found.to_pandas()["above_best"].max() < 1e-6
    assert found.solutions["newton"].log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)


def test_an_optimiser_that_fails_is_a_row(sleepstudy: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = pm.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    refit = type(fit._engine).refit

    def failing(engine: Any, design: Any, reml: bool | None = None, optimizer: str | None = None) -> Any:
        if optimizer == "COBYQA":
            raise InputError("y: no estimates")
        return refit(engine, design, reml, optimizer)

    monkeypatch.setattr(type(fit._engine), "refit", failing)
    found = fit.allfit(["COBYQA", "newton"])
    table = found.to_pandas()
    assert table["converged"].tolist() == [False, True]
    assert table.loc["COBYQA", ["deviance", "above_best"]].isna().all()
    assert table.loc["COBYQA", "message"] == "y: no estimates"
    assert found.theta.isna().all(axis=1).tolist() == [True, False]
    assert "COBYQA: y: no estimates" in repr(found)
    assert (found.differences == 0.0).all()
    assert fit.allfit(["COBYQA"]).to_pandas()["above_best"].isna().all()
    assert fit.allfit(["COBYQA"]).differences.tolist() == [0.0, 0.0, 0.0]


def test_warnings_of_optimisers_are_in_the_table(sleepstudy: pd.DataFrame) -> None:
    fit = quietly(lambda: pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, max_iter=2))
    table = fit.allfit(["L-BFGS-B"]).to_pandas()
    assert not table["converged"].any()
    assert table["message"].str.contains("gain").all()


def test_unknown_optimisers_are_errors(sleepstudy: pd.DataFrame) -> None:
    fit = pm.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    with pytest.raises(InputError, match=r"optimizers: expected one of 'newton'.*got 'bobyqa'"):
        fit.allfit(["newton", "bobyqa"])
    with pytest.raises(InputTypeError, match="optimizers: expected a list of names, got 'newton'"):
        fit.allfit("newton")


# ---- smaller models --------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def singular() -> pd.DataFrame:
    """Intercepts of g; columns whose random effects have no variance because their residuals are too alike."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 12).astype(str), "x": np.tile(np.arange(12.0), 20) - 5.5,
                         "f": np.tile(list("uvw"), 80), "h": np.tile(np.repeat(list("pq"), 3), 40)})
    data["k"] = np.where(data["g"].astype(int) < 10, "k1", "k2")
    X = np.column_stack([np.ones(12), data["x"][:12]])
    noise = rng.normal(size=(20, 12))
    noise -= noise @ X @ np.linalg.inv(X.T @ X) @ X.T      # no intercept or slope of any group is left
    spread = np.repeat(rng.normal(size=20), 12)
    return data.assign(y=noise.ravel() + 2.0 * spread, flat=noise.ravel(), slope=noise.ravel() + spread * data["x"],
                       both=noise.ravel() + spread * (1.0 + 0.5 * data["x"]))


def advice(formula: str, data: pd.DataFrame, **more: Any) -> tuple[Any, Any]:
    fit = quietly(lambda: pm.lmer(formula, data, **more))
    return fit, quietly(lambda: fit.simplification(check=True))


def test_a_fit_that_is_not_singular_needs_no_advice(sleepstudy: pd.DataFrame) -> None:
    found = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy).simplification(check=True)
    assert found.directions == found.models == found.notes == ()
    assert found.equal is None
    assert "not singular" in repr(found)


EQUAL = [
    # formula, smaller one, parameters saved
    ("y ~ x + (1 + x | g)", "y ~ x + (1 | g)", 2),
    ("y ~ x + (x || g)", "y ~ x + (1 | g)", 1),
    ("slope ~ x + (x | g)", "slope ~ x + (0 + x | g)", 2),
    ("flat ~ x + (1 | g)", "flat ~ x", 1),
    ("y ~ x + (1 | k / g)", "y ~ x + (1 | g:k)", 1),
    ("y ~ x + (1 | k) + (x | g) + offset(x)", "y ~ x + offset(x) + (1 | g)", 3),
    ("y ~ x + (1 | g) + (0 + f | k)", "y ~ x + (1 | g)", 6),
    ("both ~ x + (x | g) + (1 | k)", "both ~ x + (x | g)", 1),
]


@pytest.mark.parametrize(("formula", "smaller", "saved"), EQUAL)
def test_the_smaller_model_has_the_same_likelihood(formula: str, smaller: str, saved: int,
                                                   singular: pd.DataFrame) -> None:
    fit, found = advice(formula, singular)
    assert fit.singularity == found.directions
    assert found.equal.model == smaller
    assert found.equal.parameters_saved == saved
    assert abs(found.equal.log_likelihood_difference) < 1e-6   # directions without variance count up to 1e-4 sigma
    if "|" in smaller:
        other = quietly(lambda: pm.lmer(smaller, singular))
        assert other.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)
        assert fit.params.n_parameters - other.params.n_parameters == saved
    assert smaller in repr(found)
    assert quietly(lambda: pm.lmer(formula, singular)).simplification().equal.log_likelihood_difference is None


def test_a_perfect_correlation_has_no_smaller_formula(singular: pd.DataFrame) -> None:
    fit, found = advice("both ~ x + (x | g)", singular)
    assert [len(direction.columns) for direction in fit.singularity] == [2]
    assert found.equal is None
    (other,) = found.models
    assert other.model == "both ~ x + (1 + x || g)"
    assert not other.equal
    assert other.parameters_saved == 1
    refit = quietly(lambda: pm.lmer(other.model, singular))
    assert other.log_likelihood_difference == pytest.approx(refit.log_likelihood - fit.log_likelihood, abs=1e-6)
    assert other.log_likelihood_difference < -1.0
    assert "is another model" in repr(found)


def test_a_combination_beside_columns_without_variance(singular: pd.DataFrame) -> None:
    _, found = advice("both ~ x + (x | g) + (1 | k)", singular)
    assert [model.model for model in found.models] == ["both ~ x + (x | g)", "both ~ x + (1 + x || g)"]
    assert [model.parameters_saved for model in found.models] == [1, 2]


def at(formula: str, theta: Array, data: pd.DataFrame) -> Any:
    """Advice for a fit of a formula as if it had ended at theta."""
    from dataclasses import replace

    fit = quietly(lambda: pm.lmer(formula, data))
    params = replace(fit.params, theta=np.array(theta, float))
    return replace(fit, _result=replace(fit._result, params=params)).simplification()


@pytest.mark.parametrize(("lhs", "theta", "smaller"), [
    # f is coded in full without a constant: no formula has its differences alone
    ("1 + f", [0, 0, 0, 1, .2, 1], None),
    ("1 + f", [1, 0, 0, 0, 0, 0], "(1 | g)"),
    ("1 + f", [1, .3, 0, 1, 0, 0], None),         # one of the columns of f
    ("0 + f + x", [1, .3, .2, 0, 1, .1, 0, 1, 0, 0], "(0 + f | g)"),
    ("0 + f + x", [0, 0, 0, .3, 0, 0, 0, 0, 0, 1], "(0 + x | g)"),
    ("0 + f + h", [0, 0, 0, 0, 0, 0, 0, 0, 0, 1], None),   # h would be coded in full
    ("x * f", [1, .1, .1, .1, .1, 0, 1, .1, .1, .1, 0, 1, .1, .1, 0, 1, .1, 0, 1, 0, 0], None),
    ("x * f", [1, .1, .1, .1, 0, 0, 1, .1, .1, 0, 0, 1, .1, 0, 0, 1, 0, 0, 0, 0, 0], "(1 + x + f | g)"),
    ("1 + I(x**2) + np.abs(x)", [1, 0, .2, 0, 0, 1], "(1 + np.abs(x) | g)"),
])
def test_parts_that_a_formula_can_leave_out(lhs: str, theta: Array, smaller: str | None,
                                            singular: pd.DataFrame) -> None:
    found = at(f"y ~ x + ({lhs} | g)", theta, singular)
    assert found.directions
    if smaller is None:
        assert found.equal is None
        assert found.notes or found.models
        return
    assert found.equal.model == f"y ~ x + {smaller}"
    # its columns are some of the fit's
    columns = {term.columns for term in quietly(lambda: pm.lmer(found.equal.model, singular))._design.terms}
    full = quietly(lambda: pm.lmer(f"y ~ x + ({lhs} | g)", singular))._design.terms[0]
    assert all(set(names) <= set(full.columns) for names in columns)


def test_columns_that_no_formula_leaves_out_are_named(singular: pd.DataFrame) -> None:
    found = at("y ~ x + (1 + f | g)", [0, 0, 0, 1, .2, 1], singular)
    assert found.notes == ("(1 + f | g): (Intercept) has no variance, but no formula leaves it out alone",)


def test_names_in_backticks_stay_in_them(singular: pd.DataFrame) -> None:
    data = singular.rename(columns={"g": "the group", "x": "the x"})
    fit, found = advice("y ~ 1 + (1 + `the x` | `the group`)", data)
    assert found.equal.model == "y ~ 1 + (1 | `the group`)"
    fit, found = advice("slope ~ 1 + (1 + `the x` | `the group`)", data)
    assert found.equal.model == "slope ~ 1 + (0 + `the x` | `the group`)"
    assert quietly(lambda: pm.lmer(found.equal.model, data)).log_likelihood == pytest.approx(
        fit.log_likelihood, abs=1e-6)


def test_advice_for_arrays_is_in_terms(singular: pd.DataFrame) -> None:
    arguments = {"y": singular["y"], "X": np.column_stack([np.ones(240), singular["x"]]),
                 "groups": {"g": singular["g"], "k": singular["k"]}, "random_data": {"x": singular["x"]}}
    fit = quietly(lambda: pm.lmm(**arguments, random_effects=[pm.Term("g", ["1", "x"]), pm.Term("k", "1")]))
    found = quietly(lambda: fit.simplification(check=True))
    assert found.equal.model == "random_effects=[Term(group='g', terms=('1',), structure='us')]"
    assert found.equal.parameters_saved == 3
    assert abs(found.equal.log_likelihood_difference) < 1e-6
    diagonal = quietly(lambda: pm.lmm(**arguments | {"groups": {"g": singular["g"]}},
                                      random_effects=[pm.Term("g", ["1", "x"], structure="diag")]))
    assert diagonal.simplification().equal.model == "random_effects=[Term(group='g', terms=('1',), structure='us')]"


def test_advice_for_a_generalized_model(singular: pd.DataFrame) -> None:
    counts = singular.assign(count=np.tile([1, 2, 3, 2], 60))   # less spread than Poisson's: no variance at all
    fit = quietly(lambda: pm.glmer("count ~ x + (x | g)", counts, family="poisson"))
    found = fit.simplification(check=True)
    assert found.equal.model == "count ~ x"
    assert abs(found.equal.log_likelihood_difference) < 1e-6


def test_advice_without_rows(singular: pd.DataFrame) -> None:
    fit = quietly(lambda: pm.CrossProducts.from_batches("y ~ x + (x | g)", [singular]).fit())
    assert fit.simplification().equal.model == "y ~ x + (1 | g)"
    with pytest.raises(InputError, match="hold no rows"):
        fit.simplification(check=True)
    assert fit.vif()["gvif"].tolist() == [1.0]
    assert fit.allfit(["newton", "L-BFGS-B"]).to_pandas()["above_best"].max() < 1e-6
