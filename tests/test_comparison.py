"""Likelihood-ratio tables, drop1 and ranova against lme4 and lmerTest; what may be compared and what not."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_cases import linear_cases, load, load_glmm
from reference_tables import data, fit, gap, p_gap, relative, tables
from scipy import stats

import pymixed as pm
from pymixed.errors import InputError, InputTypeError, NestingWarning, PymixedWarning, RefitWarning

Array = Any

CRITERION = 1e-8   # relative, of log-likelihoods, AIC and BIC
RATIO = 1e-6       # of a difference of two criteria, each good to 1e-8 and so the better the closer to the optimum


def compare(table: pd.DataFrame, theirs: dict[str, Any], criterion: float = CRITERION, ratio: float = RATIO) -> None:
    for column, values in theirs.items():
        if column in ("rows", "npar", "Df"):
            continue
        if column.startswith("Pr"):
            assert p_gap(table[column], values) < 100 * ratio, column
        elif column in ("Chisq", "LRT"):
            assert gap(table[column], values) < ratio * 10, column
        else:
            assert relative(table[column], values) < criterion, column
    for column in {"npar", "Df"} & set(theirs):
        assert gap(table[column], theirs[column]) == 0, column


def by_column(theirs: dict[str, Any]) -> dict[str, Any]:
    return {"rows": theirs["rows"],
            **dict(zip(theirs["columns"], np.array(theirs["values"], dtype=object).T, strict=True))}


def reference_names(key: str) -> list[str]:
    return [name for name in linear_cases() if load(name).results.get(key)]


# ---- models against each other ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", reference_names("likelihood_ratio"))
def test_likelihood_ratios_of_linear_models(name: str) -> None:
    case = load(name)
    theirs = case.results["likelihood_ratio"]
    with warnings.catch_warnings():  # of singular fits
        warnings.simplefilter("ignore", PymixedWarning)
        null = pm.lmer(theirs["null_formula"], case.frame, **case.model, reml=False)
        full = case.fit(reml=False)
    compare(pm.anova(full, null), by_column(theirs["table"]))


def test_likelihood_ratio_of_generalized_models() -> None:
    case = load_glmm("cbpp_laplace")
    theirs = case.results["likelihood_ratio"]
    null = pm.glmer(theirs["null_formula"], case.frame, curvature="expected")
    # lme4's Laplace criterion is good to its inner iteration, see test_reference_glmm
    compare(pm.anova(null, case.fit()), by_column(theirs["table"]), criterion=1e-7, ratio=1e-5)


def test_refitted_by_maximum_likelihood() -> None:
    theirs = tables()["comparison"]
    small, middle, large = (fit(formula) for formula in theirs["formulas"])
    with pytest.warns(RefitWarning, match="3 of 3 models fitted again by maximum likelihood"):
        table = pm.anova(large, small, middle)
    assert list(table.index) == theirs["formulas"]
    compare(table, theirs["refitted"])
    assert large.reml


def test_restricted_likelihoods_with_the_same_fixed_effects() -> None:
    theirs = tables()["comparison"]
    middle, large = (fit(formula) for formula in theirs["formulas"][1:])
    compare(pm.anova(middle, large, refit=False), theirs["restricted"])


def test_maximum_likelihood_fits_are_compared_as_they_are() -> None:
    models = [fit(formula, reml=False) for formula in tables()["comparison"]["formulas"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = pm.anova(*models)
    assert table["logLik"].tolist() == [model.log_likelihood for model in models]
    assert table["deviance"].tolist() == [-2 * model.log_likelihood for model in models]


def test_only_what_needs_it_is_refitted() -> None:
    first, second, _ = tables()["comparison"]["formulas"]
    with pytest.warns(RefitWarning, match="1 of 2"):
        pm.anova(fit(first, reml=False), fit(second))


def test_models_that_are_not_nested_have_no_p_value() -> None:
    a, x = fit("y ~ a + (1 | g)", reml=False), fit("y ~ x + (1 | g)", reml=False)
    with pytest.warns(NestingWarning, match="no special case"):
        table = pm.anova(a, x)
    assert np.isnan(table["Pr(>Chisq)"]).all()
    assert table["Chisq"].iloc[1] == pytest.approx(2 * (a.log_likelihood - x.log_likelihood))


def test_models_with_as_many_parameters_have_no_p_value() -> None:
    table = pm.anova(fit("y ~ x + (1 | g)", reml=False), fit("y ~ z + (1 | g)", reml=False))
    assert np.isnan(table["Pr(>Chisq)"]).all()
    assert table["Df"].iloc[1] == 0


@pytest.mark.parametrize(("small", "large", "nested"), [
    ("y ~ a + (1 | g)", "y ~ a + (x | g)", True),
    ("y ~ a + (x || g)", "y ~ a + (x | g)", True),
    ("y ~ a + (1 | g)", "y ~ a + (0 + a | g)", True),        # the levels' sum is the constant
    ("y ~ a + (1 | g)", "y ~ a + (0 + x | g) + (0 + z | g)", False),
    ("y ~ a + (1 | g)", "y ~ a + (1 | g/c)", True),
    ("y ~ a + (1 | c:g)", "y ~ a + (1 | g:c) + (1 | g)", True),  # the same groups by another name
    ("y ~ a + (1 | c)", "y ~ a + (x | g)", False),
    ("y ~ 0 + a + (1 | g)", "y ~ a * b + (1 | g)", True),
    ("y ~ x + (1 | g)", "y ~ poly(x, 2) + (1 | g)", True),
    ("y ~ z + (1 | g)", "y ~ poly(x, 2) + (1 | g)", False),
])
def test_what_is_nested(small: str, large: str, nested: bool) -> None:
    models = [fit(small, reml=False), fit(large, reml=False)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = pm.anova(*models)
    assert any(isinstance(w.message, NestingWarning) for w in caught) != nested
    assert np.isfinite(table["Pr(>Chisq)"].iloc[1]) == nested


def test_zero_inflation_contains_the_model_without() -> None:
    frame = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        plain = pm.glmer("count ~ x + (1 | g)", frame, family="poisson")
        inflated = pm.glmer("count ~ x + (1 | g)", frame, family="poisson", zi="~ 1")
        table = pm.anova(plain, inflated)
    assert list(table.index) == ["m0", "m1"]     # one formula for both
    assert 0 <= table["Pr(>Chisq)"].iloc[1] <= 1


def test_models_that_do_not_compare() -> None:
    frame, base = data(), fit("y ~ x + (1 | g)")
    def other(formula: str = "y ~ x + (1 | g)", table: pd.DataFrame = frame, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PymixedWarning)
            return pm.lmer(formula, table, **options)

    def poisson(**options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PymixedWarning)
            return pm.glmer("count ~ x + (1 | g)", frame, **{"family": "poisson", **options})

    missing = frame.assign(z=frame["z"].where(frame.index != 3))
    cases = [
        (base, other(table=frame.iloc[:100]), r"different rows \(150 and 100 used\)"),
        (base, other("y ~ x + z + (1 | g)", missing), r"different rows \(150 and 149 used\)"),
        (base, other("z ~ x + (1 | g)"), "different responses"),
        (base, other(weights="w"), "different weights"),
        (base, other(offset="o"), "different offset"),
        (base, poisson(), "a linear and a generalized linear model"),
        (poisson(), poisson(family="negative_binomial"), "the families"),
        (poisson(), poisson(n_agq=5), "n_agq=1 and n_agq=5"),
        (poisson(), poisson(curvature="expected"), "the curvatures 'observed' and 'expected'"),
    ]
    for first, second, message in cases:
        with pytest.raises(InputError, match=message):
            pm.anova(first, second)
    assert len(pm.anova(base, other(weights=np.ones(150)), refit=False)) == 2  # the same weights

    with pytest.raises(InputError, match="refit: expected True for REML fits with different fixed effects"):
        pm.anova(base, other("y ~ z + (1 | g)"), refit=False)
    with pytest.raises(InputError, match="refit: expected True for REML fits whose fixed effects are coded"):
        pm.anova(fit("y ~ a + (1 | g)"), fit("y ~ a + (1 | g)", coded=True), refit=False)
    with pytest.raises(InputError, match="refit: expected True for models of which some"):
        pm.anova(base, other(reml=False), refit=False)
    with pytest.raises(InputError, match="models: expected at least two, got 1"):
        pm.anova(base)
    with pytest.raises(InputTypeError, match="models: expected fitted models, got str as number 1"):
        pm.anova(base, "y ~ x")


# ---- drop1 -----------------------------------------------------------------------------------------------------------

def test_drop1_reference_cases() -> None:
    case = load("cake_slope_ml")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)  # a singular fit
        model = case.fit()
    compare(model.drop1(), by_column(case.results["drop1"]))
    generalized = load_glmm("cbpp_laplace")
    table = generalized.fit().drop1()
    compare(table, by_column(generalized.results["drop1"]), criterion=1e-7, ratio=1e-5)
    assert list(table.index) == ["<none>", "period"]


def test_drop1_of_marginal_terms() -> None:
    theirs = tables()["comparison"]
    model = fit(theirs["formulas"][2])
    table = model.drop1("F")
    assert list(table.index) == theirs["drop1_F"]["rows"] == ["x", "a:b"]
    assert relative(table["F value"], theirs["drop1_F"]["F value"]) < 2e-5
    assert relative(table["DenDF"], theirs["drop1_F"]["DenDF"]) < 1e-5
    with pytest.warns(RefitWarning, match="the model fitted again"):
        ratios = model.drop1()
    compare(ratios, theirs["drop1_lrt"])
    chi = model.drop1("F", ddf="asymptotic")
    assert list(chi.columns) == ["Chisq", "Df", "Pr(>Chisq)"]


@pytest.mark.parametrize(("formula", "reduced"), [
    ("y ~ 0 + a + b + (1 | g)", {"a": "y ~ 0 + b + (1 | g)", "b": "y ~ 0 + a + (1 | g)"}),
    ("y ~ a:b + (1 | g)", {"a:b": "y ~ 1 + (1 | g)"}),
    ("y ~ a * x + b + (1 | g)", {"b": "y ~ a * x + (1 | g)", "a:x": "y ~ a + x + b + (1 | g)"}),
])
def test_terms_are_dropped_whatever_columns_they_stand_for(formula: str, reduced: dict[str, str]) -> None:
    model = fit(formula, reml=False)
    table = model.drop1()
    assert set(table.index) == {"<none>", *reduced}
    for term, smaller in reduced.items():
        other = fit(smaller, reml=False)
        assert table["AIC"][term] == pytest.approx(other.aic, rel=1e-9)
        assert table["npar"][term] == len(model.coefficients) - len(other.coefficients)


def test_drop1_errors() -> None:
    model = fit("y ~ x + (1 | g)")
    with pytest.raises(InputError, match="test: expected one of 'lrt', 'F', got 'Chisq'"):
        model.drop1("Chisq")
    with pytest.raises(InputError, match="ddf: expected None with test='lrt'"):
        model.drop1(ddf="satterthwaite")


# ---- ranova ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", reference_names("ranova"))
def test_ranova_reference_cases(name: str) -> None:
    case = load(name)
    table = case.fit().ranova()
    theirs = by_column(case.results["ranova"])
    assert list(table.index) == theirs["rows"]
    compare(table, theirs)


@pytest.mark.parametrize(("formula", "reduce", "key"), [(2, True, "ranova"), (2, False, "ranova_whole"),
                                                         (0, True, "ranova_scalar")])
def test_ranova_as_in_lmertest(formula: int, reduce: bool, key: str) -> None:
    theirs = tables()["comparison"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        table = fit(theirs["formulas"][formula]).ranova(reduce)
    assert list(table.index) == theirs[key]["rows"]
    compare(table, theirs[key])


def test_mixture_of_chi_squared_distributions(sleepstudy: pd.DataFrame) -> None:
    table = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy).ranova()
    (row,) = [row for name, row in table.iterrows() if name != "<none>"]
    expected = 0.5 * stats.chi2.sf(row["LRT"], [1, 2]).sum()
    assert row["Pr(mixture)"] == pytest.approx(expected, rel=1e-12)
    assert row["Pr(mixture)"] < row["Pr(>Chisq)"]

    table = pm.lmer("Reaction ~ Days + (Days || Subject)", sleepstudy).ranova()
    assert list(table.index) == ["<none>", "(1 | Subject)", "(0 + Days | Subject)"]
    np.testing.assert_allclose(table["Pr(mixture)"][1:], 0.5 * table["Pr(>Chisq)"][1:], rtol=1e-12)

    whole = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy).ranova(reduce=False)
    assert np.isnan(whole["Pr(mixture)"].iloc[1])
    assert "several variances vanish together" in whole.attrs["notes"][0]


def test_a_variance_of_zero_is_no_loss() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        table = load("dyestuff2_singular").fit().ranova()
    assert table["LRT"].iloc[1] == 0
    assert table["Pr(mixture)"].iloc[1] == table["Pr(>Chisq)"].iloc[1] == 1


@pytest.mark.parametrize("reml", [True, False])
def test_model_without_random_effects_is_the_ordinary_linear_model(reml: bool) -> None:
    model = fit("y ~ a * x + (1 | g)", reml=reml, weights="w", offset="o")
    X, w = model._design.X, data()["w"].to_numpy()
    root = np.sqrt(w)
    y = data()["y"].to_numpy() - data()["o"].to_numpy()
    rss = float(np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[1][0])
    n, p = X.shape
    nu = n - p if reml else n
    deviance = nu * (1 + np.log(2 * np.pi * rss / nu)) - np.log(w).sum()
    if reml:
        deviance += np.linalg.slogdet((w[:, None] * X).T @ X)[1]
    table = model.ranova()
    assert table["logLik"].iloc[1] == pytest.approx(-0.5 * deviance, rel=1e-11)
    assert table["npar"].iloc[1] == p + 1


@pytest.mark.parametrize("options", [{"n_agq": 0}, {"n_agq": 1}, {"n_agq": 1, "curvature": "expected"}, {"n_agq": 7}])
def test_model_without_random_effects_is_the_generalized_linear_model(options: dict[str, Any]) -> None:
    model = pm.glmer("count ~ a + x + (1 | g)", data(), family="poisson", **options)
    X, y = model._design.X, data()["count"].to_numpy(float)
    beta = np.zeros(X.shape[1])
    beta[0] = np.log(y.mean())
    for _ in range(30):  # iteratively reweighted least squares
        mu = np.exp(X @ beta)
        beta += np.linalg.solve((mu[:, None] * X).T @ X, X.T @ (y - mu))
    table = model.ranova()
    assert table["logLik"].iloc[1] == pytest.approx(stats.poisson(np.exp(X @ beta)).logpmf(y).sum(), rel=1e-9)
    assert table["npar"].iloc[1] == X.shape[1]


def test_parameters_of_the_family_stay_free_without_random_effects() -> None:
    table = pm.glmer("count ~ x + (1 | g)", data(), family="negative_binomial").ranova()
    assert table["npar"].tolist() == [4, 3]
    assert table["LRT"].iloc[1] > 0


def test_a_constant_that_the_columns_span_stays(sleepstudy: pd.DataFrame) -> None:
    """As in lmerTest: (0 + f | g) without f is (1 | g); (0 + Days | g) without Days is nothing."""
    sleepstudy["f"] = [str(day % 3) for day in sleepstudy["Days"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        full = pm.lmer("Reaction ~ Days + (0 + f | Subject)", sleepstudy).ranova()
        coded = pm.lmer("Reaction ~ Days + (f | Subject)", sleepstudy).ranova()
        slope = pm.lmer("Reaction ~ Days + (0 + Days | Subject)", sleepstudy).ranova()
    assert full["npar"].tolist() == coded["npar"].tolist() == [9, 4]
    assert full["LRT"].iloc[1] == pytest.approx(coded["LRT"].iloc[1], abs=1e-6)
    assert slope["npar"].tolist() == [4, 3]


def test_terms_of_arrays(sleepstudy: pd.DataFrame) -> None:
    days = sleepstudy["Days"].to_numpy(float)
    arguments = (sleepstudy["Reaction"], np.column_stack([np.ones(180), days]), {"s": sleepstudy["Subject"]})
    correlated = pm.lmm(*arguments, random_effects={"s": ["1", "days"]}, random_data={"days": days}).ranova()
    assert list(correlated.index) == ["<none>", "days in (1 + days | s)"]
    assert correlated["LRT"].iloc[1] == pytest.approx(42.8368, abs=1e-3)
    diagonal = pm.lmm(*arguments, random_effects=[pm.Term("s", ["1", "days"], "diag")],
                      random_data={"days": days}).ranova()
    assert diagonal["Pr(mixture)"].iloc[1] == pytest.approx(0.5 * diagonal["Pr(>Chisq)"].iloc[1])
    drop = pm.lmm(*arguments, random_effects={"s": ["1", "days"]}, random_data={"days": days}, reml=False).drop1()
    assert list(drop.index) == ["<none>", "X1"]
