"""Tables of the fixed-effects terms against lmerTest, against the definitions, and whatever the coding."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_cases import interaction, linear_cases, load, load_glmm
from reference_tables import data, fit, p_gap, relative, tables

import pymixed as pm
from pymixed._inference.terms import FixedTerms, indicator_columns
from pymixed.errors import EstimabilityWarning, InputError, PymixedWarning

DF = 1e-5          # relative, of degrees of freedom: a fit may be off by 1e-5 standard errors of variance parameters
F_VALUE = 2e-5     # relative, of F and of sums of squares: twice the 1e-5 standard errors that a fit may be off

COLUMNS = ("Sum Sq", "Mean Sq", "NumDF", "F value")


def compare(table: Any, theirs: dict[str, Any], skip: tuple[str, ...] = (), df: float = DF) -> None:
    names = {interaction(name): i for i, name in enumerate(table.index)}
    ours = table.iloc[[names[interaction(name)] for name in theirs["rows"]]]
    assert len(ours) == len(table)
    for column in COLUMNS:
        assert relative(ours[column], theirs[column]) < F_VALUE, column
    if "DenDF" not in skip:
        assert relative(ours["DenDF"], theirs["DenDF"]) < df
        assert p_gap(ours["Pr(>F)"], theirs["Pr(>F)"]) < max(F_VALUE, df)


@pytest.mark.parametrize("type_", [1, 2, 3])
@pytest.mark.parametrize("name", sorted(tables()["anova"]))
def test_types_as_in_lmertest(name: str, type_: int) -> None:
    case = tables()["anova"][name]
    columns = {"weights": case["weights"][0]} if "weights" in case else {}
    compare(fit(case["formula"][0], "empty" in case, **columns).anova(type_), case["treatment"][str(type_)])


@pytest.mark.parametrize("type_", [1, 2, 3])
@pytest.mark.parametrize("name", ["two_way", "three_way"])
def test_other_codings_as_in_lmertest(name: str, type_: int) -> None:
    case = tables()["anova"][name]
    compare(fit(case["formula"][0], coded=True).anova(type_), case["sum_helmert"][str(type_)])


@pytest.mark.parametrize("type_", [1, 2, 3])
@pytest.mark.parametrize("name", [name for name in linear_cases() if load(name).results.get("anova_satterthwaite")])
def test_reference_cases(name: str, type_: int) -> None:
    case = load(name)
    theirs = case.results["anova_satterthwaite"]["I" * type_]
    columns = dict(zip(theirs["columns"], np.array(theirs["values"], dtype=object).T, strict=True))
    # at the boundary lmerTest keeps variances of zero as free
    skip = ("DenDF",) if case.spec["convergence"]["theta_at_boundary"] else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        table = case.fit().anova(type_)
    compare(table, {"rows": theirs["rows"], **columns}, skip, df=1e-4)  # as df of coefficients in test_reference_lmm


@pytest.mark.parametrize("name", [name for name in linear_cases() if load(name).results.get("anova_kenward_roger_III")])
def test_reference_cases_with_kenward_roger(name: str) -> None:
    case = load(name)
    theirs = case.results["anova_kenward_roger_III"]
    columns = dict(zip(theirs["columns"], np.array(theirs["values"], dtype=object).T, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        table = case.fit().anova(3, ddf="kenward-roger")
    compare(table, {"rows": theirs["rows"], **columns})


# ---- laws ------------------------------------------------------------------------------------------------------------

RIGHT_SIDES = ("a*b", "a*b*c", "x*a*b", "a + a:b", "a:b", "x*z + a:x", "0 + a*b", "a*b + poly(x, 2):c", "a*x")


@pytest.mark.parametrize("right", RIGHT_SIDES)
def test_type_3_does_not_depend_on_the_coding(right: str) -> None:
    formula = f"y ~ {right} + (1 | g)"
    one, other = fit(formula).anova(), fit(formula, coded=True).anova()
    assert list(one.index) == list(other.index)
    np.testing.assert_allclose(one.to_numpy(), other.to_numpy(), rtol=1e-6)  # p-values are steep in F


def test_type_3_tests_marginal_means_with_equal_weights() -> None:
    model = fit("y ~ a * b + (1 | g)")
    table = model.anova()
    for factor in "ab":
        joint = model.emmeans(factor).contrast("consec").joint()
        assert joint["F"][0] == pytest.approx(table["F value"][factor], rel=1e-9)
        assert joint["num_df"][0] == table["NumDF"][factor]


def test_nested_form_has_the_same_hypothesis_of_the_outer_factor() -> None:
    crossed, nested = fit("y ~ a * b + (1 | g)").anova(), fit("y ~ a + a:b + (1 | g)").anova()
    assert nested["F value"]["a"] == pytest.approx(crossed["F value"]["a"], rel=1e-9)
    assert nested["NumDF"].tolist() == [2, 3]


def test_balanced_designs_have_one_table() -> None:
    cake = pm.datasets.load("cake")
    model = pm.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    first = model.anova(1)
    for type_ in (2, 3):
        np.testing.assert_allclose(model.anova(type_), first, rtol=1e-8)


@given(right=st.sampled_from(RIGHT_SIDES), coded=st.booleans())
def test_indicator_columns_are_products_of_indicators(right: str, coded: bool) -> None:
    design = fit(f"y ~ {right} + (1 | g)", coded=coded)._design
    terms = design.encoder.fixed_terms(design)
    frame = data()
    for term, B in zip(terms, indicator_columns(terms, design.p), strict=True):
        covariates = [name for name in term.factors if name not in "abc"]
        columns = design.X @ B
        # one indicator per row is on, times the covariates
        width = 2 if "poly(x, 2)" in covariates else 1
        on = np.abs(columns).reshape(len(frame), width, -1).sum(axis=1) > 1e-12
        assert (on.sum(axis=1) <= 1).all()
        cells = frame.groupby([name for name in term.factors if name in "abc"]).ngroups if (
            set(term.factors) & set("abc")) else 1
        assert on.any(axis=0).sum() == cells
        value = np.prod([frame[name] for name in covariates if width == 1], axis=0) if covariates else 1.0
        if width == 1:
            np.testing.assert_allclose(columns.sum(axis=1), np.broadcast_to(value, len(frame)), atol=1e-12)


def test_columns_of_a_multi_column_covariate_cross_in_the_right_order() -> None:
    model = fit("y ~ poly(x, 2) * poly(z, 3) * a + (1 | g)")
    design = model._design
    names = FixedTerms(design, model.params).names
    assert names[-1] == "poly(x, 2):poly(z, 3):a"
    assert model.anova()["NumDF"].tolist() == [2, 3, 2, 6, 4, 6, 12]


# ---- empty cells, arrays, other tests --------------------------------------------------------------------------------

def test_what_cannot_be_tested_is_said() -> None:
    # b is v exactly where a is r: only two of their three degrees of freedom exist
    frame = data().copy()
    frame["b"] = np.where(frame["a"] == "r", "v", "u")
    with pytest.warns(PymixedWarning, match="depend on others"):
        model = pm.lmer("y ~ a + b + (1 | g)", frame)
    with pytest.warns(EstimabilityWarning, match="about b is estimable"):
        table = model.anova(3)
    assert table["NumDF"].tolist() == [1, 0]
    assert np.isnan(table.loc["b", ["F value", "DenDF", "Pr(>F)", "Sum Sq"]].to_numpy(float)).all()


def test_every_column_is_a_term_of_arrays() -> None:
    frame = data()
    X = np.column_stack([np.ones(len(frame)), frame["x"], frame["z"]])
    model = pm.lmm(frame["y"], X, {"g": frame["g"]})
    for type_ in (2, 3):
        table = model.anova(type_)
        assert list(table.index) == ["X1", "X2"]
        np.testing.assert_allclose(table["F value"], model.t_values[1:] ** 2, rtol=1e-9)
        np.testing.assert_allclose(table["DenDF"], model.df_satterthwaite[1:], rtol=1e-9)
    assert list(model.anova(1).index) == ["X1", "X2"]
    slopes = pm.lmm(frame["y"], X[:, 1:], {"g": frame["g"]})  # no constant among the columns
    assert list(slopes.anova().index) == ["(Intercept)", "X1"]


def test_wald_tables() -> None:
    model = fit("y ~ a * b + (1 | g)")
    F, chi = model.anova(), model.anova(ddf="asymptotic")
    assert list(chi.columns) == ["Chisq", "Df", "Pr(>Chisq)"]
    np.testing.assert_allclose(chi["Chisq"], F["F value"] * F["NumDF"], rtol=1e-12)
    residual = model.anova(ddf="residual")
    assert set(residual["DenDF"]) == {model.n_obs - 6.0}

    glmm = load_glmm("cbpp_laplace").fit()
    table = glmm.anova()
    beta, V = glmm.coefficients[1:], glmm.vcov()[1:, 1:]
    assert table.loc["period", "Chisq"] == pytest.approx(beta @ np.linalg.solve(V, beta), rel=1e-10)
    assert table.loc["period", "Df"] == 3


def test_covariates_far_from_zero() -> None:
    """Slopes do not care; the tests of a factor that interacts with them are where they are zero."""
    frame = data().copy()
    frame["far"] = frame["x"] + 1e5
    near, far = fit("y ~ a * x + (1 | g)").anova(2), pm.lmer("y ~ a * far + (1 | g)", frame).anova(2)
    np.testing.assert_allclose(far["F value"][["far", "a:far"]],
                               near["F value"][["x", "a:x"]], rtol=1e-6)


def test_intercept_alone_has_no_terms() -> None:
    table = pm.lmer("y ~ 1 + (1 | g)", data()).anova()
    assert len(table) == 0
    assert list(table.columns) == ["Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)"]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"type": 4}, "type: expected 1, 2 or 3, got 4"), ({"type": "III"}, "type: expected 1, 2 or 3, got 'III'"),
    ({"type": True}, "type: expected 1, 2 or 3"), ({"ddf": "exact"}, "ddf: expected one of"),
])
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit("y ~ a * b + (1 | g)").anova(**arguments)
