"""Marginal means, trends and their contrasts against emmeans; adjusted p-values against R and SciPy."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_cases import linear_cases, load, load_glmm
from reference_tables import data, fit, gap, numbers, p_gap, relative, tables
from scipy import stats

import pymixed as pm
from pymixed._inference.adjust import adjusted_p, critical_values, tukey_quantiles, tukey_sf
from pymixed._inference.contrast_methods import orthogonal_polynomials
from pymixed.errors import EstimabilityWarning, InputError, InputTypeError, PymixedWarning

ESTIMATE = 1e-5    # in standard errors, as a fit may be off by
DF = 1e-5          # relative, see test_anova
TUKEY = 1e-7       # of the p-values: R integrates to about eight digits
QTUKEY = 1e-4      # relative, of quantiles: documented accuracy of R's qtukey

MAIN = tables()["marginal"]


def main(**options: Any) -> Any:
    return fit(MAIN["formula"][0], **options)


def compare(table: Any, theirs: dict[str, Any], estimate: str, column: str, labels: tuple[str, ...] = (),
            limits: float = ESTIMATE) -> None:
    """Estimates, standard errors and degrees of freedom, limits where R gives them, and the order of the rows."""
    se = numbers(theirs["SE"])
    for label in labels:
        assert table[label].tolist() == theirs[label]
    assert gap(table[column], theirs[estimate], se) < ESTIMATE
    assert relative(table["SE"], theirs["SE"]) < ESTIMATE
    if theirs["df"][0] is None:  # infinite
        assert np.isinf(table["df"]).all()
    else:
        assert relative(table["df"], theirs["df"]) < DF
    lower = next((name for name in theirs if name.endswith(".LCL") or name == "lower.CL"), None)
    if lower is not None:
        upper = lower.replace("LCL", "UCL").replace("lower", "upper")
        assert gap(table["lower"], theirs[lower], se) < limits
        assert gap(table["upper"], theirs[upper], se) < limits


# ---- means and trends ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("key", "specs", "options"), [
    ("means", "a", {"by": "b"}), ("plain", "a", {}), ("two", ["a", "b"], {}),
    ("proportional", "a", {"weights": "proportional"}),
    ("at", "a", {"by": "x", "at": {"x": [0, 1.5], "b": "v", "z": 3}}),
    ("levels99", "a", {"level": 0.99}), ("overall", (), {}), ("asymptotic", "b", {"ddf": "asymptotic"}),
])
def test_means(key: str, specs: Any, options: dict[str, Any]) -> None:
    labels = tuple(name for name in ("a", "b", "x") if name in MAIN[key])
    compare(main().emmeans(specs, **options), MAIN[key], "emmean", "emmean", labels)


def test_means_do_not_depend_on_the_coding() -> None:
    one, other = main().emmeans("a", by="b"), main(coded=True).emmeans("a", by="b")
    np.testing.assert_allclose(one["emmean"], other["emmean"], rtol=1e-9)
    np.testing.assert_allclose(one["df"], other["df"], rtol=1e-5)


CASES = [(name, i) for name in linear_cases() for i, _ in enumerate(load(name).results.get("emmeans") or [])]


@pytest.mark.parametrize(("name", "i"), CASES)
def test_reference_cases(name: str, i: int) -> None:
    entry = load(name).results["emmeans"][i]
    means = load(name).fit().emmeans(entry["specs"].lstrip("~"), ddf=entry["df_method"])
    compare(means, entry["means"], "emmean", "emmean")
    pairs, theirs = means.pairs(adjust="none"), entry["pairs_unadjusted"]
    assert len(pairs) == len(theirs["contrast"])
    assert gap(pairs["estimate"], theirs["estimate"], numbers(theirs["SE"])) < ESTIMATE
    assert relative(pairs["df"], theirs["df"]) < DF
    assert p_gap(pairs["p"], theirs["p.value"]) < 10 * ESTIMATE


def test_offsets_are_at_their_mean() -> None:
    case = MAIN["offset"]
    compare(fit(case["formula"][0], offset="o").emmeans("a"), case["means"], "emmean", "emmean", ("a",))


def test_trends() -> None:
    trends = main().emtrends("a", "x")
    compare(trends, MAIN["trends"], "x.trend", "x.trend", ("a",))
    compare(trends.pairs(adjust="none"), MAIN["trend_pairs"], "estimate", "estimate", ("contrast",))


def test_trend_of_a_curve() -> None:
    # emmeans takes one-sided differences
    trends = main().emtrends("z", "z", at={"z": [2, 4]})
    theirs = MAIN["curved"]
    assert gap(trends["z.trend"], theirs["z.trend"], numbers(theirs["SE"])) < 1e-3
    direct = main().emmeans("z", at={"z": [2 - 1e-4, 2 + 1e-4]}).contrast([[-1, 1]])
    assert trends["z.trend"][0] == pytest.approx(direct["estimate"][0] / 2e-4, rel=1e-7)


@pytest.mark.parametrize(("term", "derivative"), [
    ("x + I(x**3)", lambda b, x: b[1] + 3 * b[2] * x**2),
    ("log(z)", lambda b, z: b[1] / z), ("sqrt(z)", lambda b, z: b[1] / (2 * np.sqrt(z)))])
def test_trends_are_derivatives(term: str, derivative: Any) -> None:
    name = "x" if "x" in term else "z"
    model = fit(f"y ~ {term} + (1 | g)")
    ends = data()[name].min(), data()[name].mean(), data()[name].max()   # the ends have one-sided differences
    trends = model.emtrends(name, name, at={name: ends})
    expected = derivative(model.coefficients, np.array(ends))
    np.testing.assert_allclose(trends[f"{name}.trend"], expected, rtol=1e-8)


def test_trends_of_splines_stay_inside_the_data() -> None:
    model = fit("y ~ bs(x, df=5) + (1 | g)")
    low, high = data()["x"].min(), data()["x"].max()
    trends = model.emtrends("x", "x", at={"x": [low, high]})
    step = 1e-6
    for value, inside, slope in ((low, low + step, trends["x.trend"][0]), (high, high - step, trends["x.trend"][1])):
        means = model.emmeans("x", at={"x": [value, inside]})["emmean"]
        assert slope == pytest.approx((means[1] - means[0]) / (inside - value), rel=1e-4)


# ---- contrasts -------------------------------------------------------------------------------------------------------

def test_pairs() -> None:
    means = main().emmeans("a", by="b")
    compare(means.pairs(adjust="none"), MAIN["pairs"], "estimate", "estimate", ("contrast", "b"))


@pytest.mark.parametrize("adjust", sorted(MAIN["adjusted"]))
def test_adjusted_pairs(adjust: str) -> None:
    pairs, theirs = main().emmeans("a", by="b").pairs(adjust=adjust), MAIN["adjusted"][adjust]
    if adjust == "tukey":
        assert gap(pairs["p"], theirs["p"], numbers(theirs["p"]) * 100 * ESTIMATE + TUKEY) < 1
    else:
        assert p_gap(pairs["p"], theirs["p"]) < 10 * ESTIMATE
    intervals = pairs.conf_int()
    compare(intervals, theirs["intervals"], "estimate", "estimate", ("contrast", "b"),
            limits=10 * QTUKEY if adjust == "tukey" else 10 * ESTIMATE)


@pytest.mark.parametrize("method", ["eff", "poly", "consec", "trt.vs.ctrl"])
def test_named_contrasts(method: str) -> None:
    reference = "q" if method == "trt.vs.ctrl" else None
    contrasts = main().emmeans("a", by="b").contrast(method, reference=reference)
    theirs = MAIN["contrasts"][method]
    compare(contrasts, theirs, "estimate", "estimate", ("contrast", "b"))
    assert relative(contrasts["t"], theirs["t.ratio"]) < 10 * ESTIMATE
    assert p_gap(contrasts["p"], theirs["p.value"]) < 10 * ESTIMATE
    compare(contrasts.conf_int(), MAIN["contrast_intervals"][method], "estimate", "estimate",
            limits=10 * ESTIMATE)


def test_contrasts_of_the_user() -> None:
    means, theirs = main().emmeans("a", by="b"), MAIN["custom"]
    by_position = means.contrast({"p - rest": [1, -0.5, -0.5], "total": [1, 1, 1]})
    by_level = means.contrast({"p - rest": {"p": 1, "q": -0.5, "r": -0.5}, "total": dict.fromkeys("pqr", 1)})
    for contrasts in (by_position, by_level):
        compare(contrasts, theirs, "estimate", "estimate", ("contrast", "b"))
    as_array = means.contrast(np.array([[1, -0.5, -0.5]]))
    assert as_array["contrast"].tolist() == ["c1", "c1"]
    # one row or two go through other routines of BLAS, which sum in another order
    np.testing.assert_allclose(as_array["estimate"], by_level["estimate"][::2], rtol=1e-14)


def test_intervals_of_means_together() -> None:
    means = main().emmeans("a", by="b")
    compare(means.conf_int(adjust="sidak"), MAIN["sidak"], "emmean", "emmean", limits=10 * ESTIMATE)
    assert (means.conf_int(adjust="bonferroni")["upper"] > means.conf_int(adjust="sidak")["upper"]).all()


def test_joint_tests() -> None:
    means = main().emmeans("a", by="b")
    joint = means.pairs().joint()
    assert joint["b"].tolist() == ["u", "v"]
    assert joint["num_df"].tolist() == [2, 2]                     # three pairs, of which two are independent
    one = means.contrast("consec").joint()
    np.testing.assert_allclose(joint["F"], one["F"], rtol=1e-9)
    chi = main().emmeans("a", by="b", ddf="asymptotic").pairs().joint()
    np.testing.assert_allclose(chi["chi2"], 2 * joint["F"], rtol=1e-9)
    offset = fit("y ~ a + (1 | g)", offset="o")
    rows = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]], float)
    direct = offset.contrast(rows, rhs=-data()["o"].mean(), joint=True)
    assert offset.emmeans("a").joint()["F"][0] == pytest.approx(direct["F"].iloc[0], rel=1e-9)


def test_orthogonal_polynomials_are_the_tabulated_ones() -> None:
    assert orthogonal_polynomials(2).tolist() == [[-1, 1]]
    assert orthogonal_polynomials(4).tolist() == [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]]
    assert orthogonal_polynomials(6)[:3].tolist() == [
        [-5, -3, -1, 1, 3, 5], [5, -1, -4, -4, -1, 5], [-5, 7, 4, -4, -7, 5]]
    assert len(orthogonal_polynomials(12)) == 6
    products = orthogonal_polynomials(12) @ orthogonal_polynomials(12).T
    assert not (products - np.diag(products.diagonal())).any()


# ---- the scale of the response ---------------------------------------------------------------------------------------

@pytest.mark.parametrize(("key", "ratio"), [("binomial", "odds ratio"), ("poisson", "ratio"), ("probit", "estimate")])
def test_response_scale(key: str, ratio: str) -> None:
    # the references hold standard errors from the factor; lme4 stops within 1e-5 of the optimum
    if key == "poisson":
        model = pm.glmer("count ~ a + x + (1 | g)", data(), family="poisson", se="rx")
        means = model.emmeans("a", type="response")
    else:
        case = load_glmm("cbpp_laplace" if key == "binomial" else "cbpp_probit")
        means = case.fit(se="rx").emmeans("period", type="response")
    theirs = tables()[key]
    name = next(name for name in ("prob", "rate") if name in theirs["means"])
    se = numbers(theirs["means"]["SE"])
    assert gap(means["response"], theirs["means"][name], se) < 1e-4
    assert relative(means["SE"], theirs["means"]["SE"]) < 1e-4
    assert np.isinf(means["df"]).all()
    assert gap(means["lower"], theirs["means"]["asymp.LCL"], se) < 1e-3
    assert gap(means["upper"], theirs["means"]["asymp.UCL"], se) < 1e-3

    pairs, reference = means.pairs(), theirs["pairs"]
    assert pairs["contrast"].tolist() == reference["contrast"]
    column = next(name for name in ("odds.ratio", "ratio", "estimate") if name in reference)
    assert gap(pairs[ratio], reference[column], numbers(reference["SE"])) < 1e-4
    assert relative(pairs["SE"], reference["SE"]) < 1e-4
    assert gap(pairs["z"], reference["z.ratio"]) < 1e-3
    assert gap(pairs["p"], reference["p.value"]) < 1e-4
    intervals = pairs.conf_int()
    assert gap(intervals["lower"], theirs["pair_intervals"]["asymp.LCL"], numbers(reference["SE"])) < 2e-3
    assert gap(intervals["upper"], theirs["pair_intervals"]["asymp.UCL"], numbers(reference["SE"])) < 2e-3


def test_contrasts_that_are_no_differences_stay_on_the_link_scale() -> None:
    model = load_glmm("cbpp_laplace").fit()
    response, link = (model.emmeans("period", type=scale).contrast({"sum": [1, 1, 0, 0]}) for scale in
                      ("response", "link"))
    assert response["estimate"][0] == link["estimate"][0]


def test_falling_links_keep_limits_in_order() -> None:
    model = pm.glmer("y ~ a + (1 | g)", data().assign(y=np.exp(0.2 * data()["y"])),
                     family=pm.families.Gamma(link="inverse"))
    means = model.emmeans("a", type="response")
    assert (means["lower"] < means["response"]).all()
    assert (means["response"] < means["upper"]).all()


def test_conditional_part_of_a_zero_inflated_model() -> None:
    frame = data().assign(count=data()["count"] * (data()["w"] > 0.9))
    model = pm.glmer("count ~ a + (1 | g)", frame, family="poisson", zi="~ z")
    means = model.emmeans("a")
    np.testing.assert_allclose(means["emmean"], model.coefficients[0] + [0, *model.coefficients[1:]], rtol=1e-12)


# ---- the grid --------------------------------------------------------------------------------------------------------

def test_numbers_that_the_formula_makes_categorical_are_factors() -> None:
    coded, plain = fit("y ~ C(dose) + x + (1 | g)"), fit("y ~ a + x + (1 | g)")
    means = coded.emmeans("dose")
    assert means["dose"].tolist() == [1, 2, 4]
    np.testing.assert_allclose(means["emmean"], plain.emmeans("a")["emmean"], rtol=1e-9)
    assert means.pairs()["contrast"].tolist() == ["dose1 - dose2", "dose1 - dose4", "dose2 - dose4"]
    assert len(fit("y ~ dose + (1 | g)").emmeans("dose")) == 1


def test_transformed_covariates_are_at_the_covariates_mean() -> None:
    model = fit("y ~ a + log(z) + bs(x, df=4) + (1 | g)")
    means = model.emmeans("a")
    at_mean = pd.DataFrame({"a": list("pqr"), "z": data()["z"].mean(), "x": data()["x"].mean()})
    np.testing.assert_allclose(means["emmean"], model.predict(at_mean, re="none"), rtol=1e-12)


def test_not_estimable_means_are_named() -> None:
    model = fit("y ~ a * b + (1 | g)", empty=True)
    with pytest.warns(EstimabilityWarning, match="1 of 3 means are not estimable.*: a r"):
        means = model.emmeans("a")
    compare(means, MAIN["empty"], "emmean", "emmean", ("a",))
    pairs = means.pairs()
    assert np.isnan(pairs["p"]).tolist() == [False, True, True]
    assert np.isnan(pairs.conf_int()["lower"]).tolist() == [False, True, True]
    # a contrast of means that are not estimable can be
    assert np.isfinite(model.emmeans("b", by="a", at={"a": ["p", "q"]}).pairs()["estimate"]).all()
    proportional = model.emmeans("a", at={"b": "u"}, weights="proportional")
    assert np.isfinite(proportional["emmean"]).all()


def test_grids_of_thousands_of_rows() -> None:
    means = main().emmeans(["x", "a"], by="b", at={"x": np.linspace(0, 4, 1000)})
    assert len(means) == 6000
    assert np.isfinite(means["df"]).all()


def test_table_of_its_own() -> None:
    means = main().emmeans("a")
    assert list(means.table.columns) == ["a", "emmean", "SE", "df", "lower", "upper"]
    copied = means.to_pandas()
    copied["emmean"] = 0
    assert means["emmean"].all()
    assert "averaged over b, twice" in repr(means)
    assert "<table" in means._repr_html_()
    pairs = means.pairs()
    assert list(pairs.table.columns) == ["contrast", "estimate", "SE", "df", "t", "p"]
    assert "p-values adjusted: tukey" in repr(pairs)
    assert len(pairs) == 3


# ---- adjustments -----------------------------------------------------------------------------------------------------

def test_adjustments_as_in_r() -> None:
    theirs = tables()["adjustments"]
    t, df = numbers(theirs["t"]), numbers(theirs["df"])
    df[df < 0] = np.inf
    for adjust in ("bonferroni", "holm", "fdr"):
        np.testing.assert_allclose(adjusted_p(t, df, adjust, 5), theirs[adjust], rtol=1e-9)
    np.testing.assert_allclose(adjusted_p(t, df, "tukey", 5), theirs["tukey"], atol=TUKEY)
    np.testing.assert_allclose(adjusted_p(t, df, "sidak", 5), 1 - (1 - adjusted_p(t, df, "none", 5)) ** 5, rtol=1e-12)


def test_missing_statistics_take_no_part() -> None:
    t, df = np.array([2.0, np.nan, -3.0, 1.0]), np.array([9.0, np.nan, 12.0, 30.0])
    for adjust in ("sidak", "bonferroni", "holm", "fdr", "none"):
        known = adjusted_p(t[[0, 2, 3]], df[[0, 2, 3]], adjust, 3)
        np.testing.assert_allclose(adjusted_p(t, df, adjust, 3), np.insert(known, 1, np.nan), rtol=1e-14)
        if adjust not in ("holm", "fdr"):
            widths = critical_values(0.95, df, adjust, 3)
            np.testing.assert_allclose(widths, np.insert(critical_values(0.95, df[[0, 2, 3]], adjust, 3), 1, np.nan))


@pytest.mark.parametrize("n_means", [2, 3, 8, 50])
@pytest.mark.parametrize("df", [1.5, 4.2, 30.0, 900.0, np.inf])
def test_studentized_range_as_in_scipy(n_means: int, df: float) -> None:
    q = np.array([0.3, 2.0, 4.0, 9.0])
    # SciPy's own integration is good to about 1e-9, less for few degrees of freedom
    np.testing.assert_allclose(tukey_sf(q, n_means, np.full(4, df)), stats.studentized_range.sf(q, n_means, df),
                               atol=1e-8)


def test_studentized_range_of_two_means_is_students_t() -> None:
    df = np.array([1.0, 1.3, 2.0, 7.0, 1e3, 1e7, np.inf])
    for t in (0.5, 2.5, 12.0):
        np.testing.assert_allclose(tukey_sf(np.full(7, np.sqrt(2) * t), 2, df), 2 * stats.t.sf(t, df), atol=1e-12)


def test_quantiles_of_the_studentized_range() -> None:
    df = np.array([1.0, 3.7, 20.0, np.inf, np.nan])
    for n_means in (2, 5, 40):
        for level in (0.5, 0.95, 0.999):
            q = tukey_quantiles(level, n_means, df)
            np.testing.assert_allclose(tukey_sf(q[:4], n_means, df[:4]), 1 - level, atol=1e-11)
            assert np.isnan(q[4])


# ---- errors ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("call", "message"), [
    (lambda m: m.emmeans("no"), r"specs: expected variables of the fixed part \(a, b, x, twice, z\), got 'no'"),
    (lambda m: m.emmeans("a", by="g"), "by: expected variables of the fixed part"),
    (lambda m: m.emmeans("a", by="a"), "by: expected variables that are not in specs, got a"),
    (lambda m: m.emmeans(["a", "a"]), "specs: expected each variable once"),
    (lambda m: m.emmeans("a", at={"y": 1}), "at: expected variables of the fixed part"),
    (lambda m: m.emmeans("a", at={"a": "s"}), r"at\['a'\]: expected levels of the fit \('p', 'q', 'r'\), got 's'"),
    (lambda m: m.emmeans("a", at={"x": [np.nan]}), r"at\['x'\]: expected finite numbers"),
    (lambda m: m.emmeans("a", type="mean"), "type: expected one of 'link', 'response', got 'mean'"),
    (lambda m: m.emmeans("a", weights="cells"), "weights: expected one of 'equal', 'proportional', got 'cells'"),
    (lambda m: m.emmeans("a", level=95), "level: expected a number between 0 and 1, got 95"),
    (lambda m: m.emmeans("a", ddf="exact"), "ddf: expected one of"),
    (lambda m: m.emmeans("a", at={"x": np.zeros(2_000_000)}), "at: the reference grid has .* rows"),
    (lambda m: m.emtrends("a", "b"), "var: expected a numeric variable, 'b' is a factor"),
    (lambda m: m.emtrends("a", "t"), "var: expected a variable of the fixed part"),
    (lambda m: m.emmeans("a").pairs(adjust="scheffe"), "adjust: expected one of"),
    (lambda m: m.emmeans("a").contrast("eff", adjust="tukey"), "adjust: 'tukey' is for the differences of all pairs"),
    (lambda m: m.emmeans("a").conf_int(adjust="tukey"), "adjust: 'tukey' is for the differences of all pairs"),
    (lambda m: m.emmeans("a").pairs().conf_int(adjust="holm"), "adjust: expected one of"),
    (lambda m: m.emmeans("a").contrast("dunnett"), "method: expected one of"),
    (lambda m: m.emmeans("a").contrast("trt.vs.ctrl", reference="s"), "reference: expected one of 'p', 'q', 'r'"),
    (lambda m: m.emmeans("a").contrast("eff", reference="p"), "reference: expected only with 'trt.vs.ctrl'"),
    (lambda m: m.emmeans("a").contrast([[1, -1]]), "method: expected 3 weights per contrast, of p, q, r"),
    (lambda m: m.emmeans("a").contrast({"c": {"s": 1}}), "method: expected weights of 'p', 'q', 'r', got 's'"),
    (lambda m: m.emmeans("a").contrast([[0, 0, 0]]), "method: expected finite weights that are not all zero"),
    (lambda m: m.emmeans(()).pairs(), "method: expected two or more means to contrast, got 1"),
])
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(main())


@pytest.mark.parametrize(("call", "message"), [
    (lambda m: m.emmeans("a", at=["x"]), "at: expected a mapping"),
    (lambda m: m.emmeans("a", at={"x": "high"}), r"at\['x'\]: expected numbers"),
    (lambda m: m.emmeans("a", level="high"), "level: expected a number"),
    (lambda m: m.emmeans("a").contrast({"c": "p - q"}), "method: expected a name, a mapping or an array"),
])
def test_errors_of_type(call: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        call(main())


def test_arrays_need_a_formula() -> None:
    frame = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        model = pm.lmm(frame["y"], np.ones((len(frame), 1)), {"g": frame["g"]})
    for call in (lambda: model.emmeans("x"), lambda: model.emtrends("x", "x")):
        with pytest.raises(InputError, match="fitted from arrays; marginal means and trends need a formula"):
            call()
