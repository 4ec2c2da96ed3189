"""Cross-products of batches: fits to pieces of the data equal fits to the whole.

The sums are the same up to rounding, so the criterion agrees to many more digits than 1e-9. Theta is where two
optimisations of nearly the same function stop; with tol = 1e-14 what is left is the rounding of the gradient, some
1e-13 of its terms, and theta is not determined at all where the model is over-parameterized.
"""

import copy
import functools
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_cases import Case, linear_cases, load
from streams import cut, gap, gaps, merged_in_a_random_tree

import pymixed as pm
from pymixed.errors import InputError, InputTypeError, MissingValuesWarning, RankDeficiencyWarning

TOLERANCE = {
    "criterion": 1e-12,     # relative; sums in another order
    "at one theta": 1e-12,
    "theta": 3e-9,          # relative to the largest; see above
    "coefficients": 1e-9,   # in standard errors
    "se": 1e-9,             # relative
}
CASES = linear_cases()
SMALL = [name for name in CASES if len(load(name).frame) <= 300]
TIGHT = 1e-14


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of singular fits and the like, which other tests are about
        yield


def given(case: Case) -> dict[str, Any]:
    return {"weights": case.spec.get("weights"), "offset": case.spec.get("offset"),
            "contrasts": case.model["contrasts"]}


@functools.cache
def whole(name: str) -> Any:
    with quiet():
        return load(name).fit(tol=TIGHT)


def from_pieces(name: str, pieces: Any) -> pm.CrossProducts:
    return pm.CrossProducts.from_batches(load(name).formula, pieces, **given(load(name)))


def assert_equal_to_whole(cp: pm.CrossProducts, name: str) -> None:
    with quiet():
        fit = cp.fit(reml=load(name).spec["REML"], tol=TIGHT)
    assert_equal(fit, whole(name), load(name).unique_theta)


def assert_equal(fit: Any, other: Any, unique_theta: bool = True) -> None:
    found = gaps(fit, other)
    if not unique_theta:
        del found["theta"]
    assert {name: value for name, value in found.items() if not value < TOLERANCE[name]} == {}


# ---- reference cases -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CASES)
def test_consecutive_pieces_equal_the_whole(name: str) -> None:
    for n_pieces in (1, 2) if name in SMALL else (2,):
        assert_equal_to_whole(from_pieces(name, cut(load(name).frame, n_pieces)), name)


@pytest.mark.parametrize("name", CASES)
def test_random_pieces_merged_in_a_random_tree_equal_the_whole(name: str) -> None:
    empty = from_pieces(name, [load(name).frame]).empty()
    parts = []
    for piece in cut(load(name).frame, 7, seed=3):
        part = empty.empty()
        part.update(piece)
        parts.append(part)
    assert_equal_to_whole(merged_in_a_random_tree(parts, seed=4), name)


@pytest.mark.parametrize("name", SMALL)
def test_one_object_per_row_equals_the_whole(name: str) -> None:
    frame = load(name).frame
    empty = from_pieces(name, [frame]).empty()
    parts = []
    for piece in cut(frame, len(frame), seed=5):
        part = empty.empty()
        part.update(piece)
        parts.append(part)
    assert_equal_to_whole(merged_in_a_random_tree(parts, seed=6), name)


@pytest.mark.parametrize("name", ["arabidopsis_large_p", "penicillin_crossed"])
def test_row_by_row_equals_the_whole(name: str) -> None:
    frame = load(name).frame
    cp = from_pieces(name, [frame]).empty()
    for start in range(len(frame)):
        cp.update(frame.iloc[start:start + 1])
    assert_equal_to_whole(cp, name)


# ---- harder data -----------------------------------------------------------------------------------------------------

def simulated(n: int = 600, seed: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "x": rng.normal(size=n), "z": rng.gamma(2.0, size=n), "f": rng.choice(["low", "mid", "high"], n),
        "g": np.sort(rng.integers(0, 30, n)), "h": rng.choice(list("pqrstu"), n), "w": rng.uniform(0.5, 3.0, n),
        "off": rng.normal(size=n)})
    effects = rng.normal(size=(30, 2))[frame["g"]]
    between = rng.normal(size=6)[frame["h"].map("pqrstu".index)]
    frame["y"] = (1.0 + 0.5 * frame["x"] + effects[:, 0] + effects[:, 1] * frame["x"] + between + np.sin(frame["z"])
                  + rng.normal(size=n) / np.sqrt(frame["w"]))
    return frame


FRAME = simulated()


@pytest.mark.parametrize("formula", [
    "y ~ x + f + (x | g) + (1 | h)",
    "y ~ scale(x) * f + (scale(x) || g)",
    "y ~ poly(z, 3) + bs(x, df=5) + (1 | g)",
    "y ~ cr(z, df=4) + center(x):f + (0 + x | g) + (1 | h)",
    "scale(y) ~ log(z) + I(x**2) + (1 | g / h)",
    "y ~ x + offset(off) + (f | h)",
    "y ~ 0 + f + f:x + (1 | g:h)",
    "y ~ C(g) + (1 | h)",
])
def test_formulas_have_one_state_for_all_batches(formula: str) -> None:
    with quiet():
        expected = pm.lmer(formula, FRAME, tol=TIGHT)
        for pieces in (cut(FRAME, 3), cut(FRAME, 11, seed=8)):
            assert_equal(pm.CrossProducts.from_batches(formula, pieces).fit(tol=TIGHT), expected)


@pytest.mark.parametrize("contrast", ["sum", "helmert", "poly", np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])])
def test_contrasts_are_those_of_all_levels(contrast: Any) -> None:
    arguments: dict[str, Any] = {"contrasts": {"f": contrast}}
    expected = pm.lmer("y ~ f * x + (1 | g)", FRAME, tol=TIGHT, **arguments)
    pieces = [FRAME[FRAME["f"] == level] for level in ("mid", "high", "low")]  # a level each
    cp = pm.CrossProducts.from_batches("y ~ f * x + (1 | g)", pieces, **arguments)
    assert_equal(cp.fit(tol=TIGHT), expected)


def test_levels_unseen_in_some_pieces_and_in_any_order() -> None:
    expected = pm.lmer("y ~ x + (x | g) + (1 | h)", FRAME, tol=TIGHT)
    pieces = [FRAME[FRAME["g"] % 7 == k] for k in (4, 0, 6, 2, 5, 1, 3)]
    assert_equal(pm.CrossProducts.from_batches("y ~ x + (x | g) + (1 | h)", pieces).fit(tol=TIGHT), expected)
    parts = [pm.CrossProducts.from_batches("y ~ x + (x | g) + (1 | h)", [piece]) for piece in pieces]
    assert_equal(sum(parts).fit(tol=TIGHT), expected)  # type: ignore[union-attr]


def test_a_covariate_far_from_zero_keeps_its_digits() -> None:
    near = FRAME.assign(x=np.round(FRAME["x"], 6))
    far = near.assign(x=near["x"] + 1e6, y=near["y"] + 1e6)
    formula = "y ~ x + f + (1 | g)"
    expected = pm.lmer(formula, near, tol=TIGHT)
    for pieces in (cut(far, 7, seed=9), cut(far, 60)):
        fit = pm.CrossProducts.from_batches(formula, pieces).fit(tol=TIGHT)
        # x + 1e6 is rounded to 1e-10, y likewise: 1e-10 of a standard deviation
        assert fit.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-9)
        np.testing.assert_allclose(fit.coefficients[1:], expected.coefficients[1:], rtol=1e-8)
        np.testing.assert_allclose(fit.se[1:], expected.se[1:], rtol=1e-8)


def test_weights_offsets_and_missing_values() -> None:
    frame = FRAME.copy()
    rng = np.random.default_rng(10)
    for name in ("y", "x", "f", "g", "w"):
        frame.loc[rng.choice(len(frame), 12, replace=False), name] = np.nan
    frame.loc[:20, "y"] = np.nan  # a piece without a complete row
    arguments: dict[str, Any] = {"weights": "w", "offset": "off"}
    formula = "y ~ scale(x) + f + (x | g) + (1 | h)"
    with pytest.warns(MissingValuesWarning):
        expected = pm.lmer(formula, frame, tol=TIGHT, **arguments)
    pieces = [frame[:20], frame[20:300], frame[300:]]
    cp = pm.CrossProducts.from_batches(formula, pieces, **arguments)
    assert cp.n_obs + cp.n_dropped == len(frame)
    with pytest.warns(MissingValuesWarning, match=f"{cp.n_dropped} of 600"):
        fit = cp.fit(tol=TIGHT)
    assert_equal(fit, expected)
    with pytest.raises(InputError, match=r"batch 1: missing values: .*na_action"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", pieces, na_action="raise")


def test_levels_keep_the_order_of_categories() -> None:
    order = ["u", "t", "s", "r", "q", "p"]
    frame = FRAME.assign(h=pd.Categorical(FRAME["h"], order), f=pd.Categorical(FRAME["f"], ["mid", "low", "high"]))
    expected = pm.lmer("y ~ f + (1 | h) + (1 | g:h)", frame, tol=TIGHT)
    cp = pm.CrossProducts.from_batches("y ~ f + (1 | h) + (1 | g:h)", cut(frame, 5, seed=1))
    fit = cp.fit(tol=TIGHT)
    assert fit.ranef()["h"].index.tolist() == order
    assert_equal(fit, expected)


def test_unused_declared_levels_are_aliased() -> None:
    levels = ["low", "mid", "high", "highest"]
    cp = pm.CrossProducts.from_batches("y ~ f + (1 | g)", iter(cut(FRAME, 3)), levels={"f": levels})
    with pytest.warns(RankDeficiencyWarning, match="highest"):
        fit = cp.fit(tol=TIGHT)
    frame = FRAME.assign(f=pd.Categorical(FRAME["f"], levels))
    np.testing.assert_allclose(fit.coefficients, pm.lmer("y ~ f + (1 | g)", frame, tol=TIGHT).coefficients, rtol=1e-9)


@pytest.mark.parametrize("labels", [
    lambda g: g, lambda g: g - 15, lambda g: g * 1001 - 7, lambda g: g * 10**14, lambda g: g.where(g > 3, g + 0.5)],
    ids=["small", "negative", "sparse", "far apart", "not all whole"])
def test_integers_floats_and_integers_of_other_sizes_are_the_same_labels(labels: Any) -> None:
    frame = FRAME.assign(g=labels(FRAME["g"]))
    first, second, third, fourth = cut(frame.iloc[::-1], 4)  # the largest come first
    pieces = [second.assign(g=second["g"].astype(float)), {name: third[name].to_numpy() for name in third},
              fourth, first]
    fits = frame["g"].between(-99, 99).all() and (frame["g"] == frame["g"].round()).all()
    small = [piece.assign(g=piece["g"].astype(np.int8)) for piece in (first, second) if fits]
    expected = pm.lmer("y ~ x + (1 | g)", pd.concat([frame, *small]), tol=TIGHT)
    for batches in ([*pieces, *small], [*small, *pieces]):
        assert_equal(pm.CrossProducts.from_batches("y ~ x + (1 | g)", batches).fit(tol=TIGHT), expected)


@pytest.mark.parametrize("labels", [
    FRAME["g"].to_numpy().astype("datetime64[D]"), FRAME["g"].to_numpy() + 0.5, FRAME["g"].to_numpy() < 15,
    FRAME["g"].astype(str).to_numpy(object)])
def test_labels_of_any_kind(labels: Any) -> None:
    frame = FRAME.assign(g=labels)
    with quiet():
        expected = pm.lmer("y ~ x + (1 | g)", frame, tol=TIGHT)
        cp = pm.CrossProducts.from_batches("y ~ x + (1 | g)", cut(frame, 4, seed=2))
        assert_equal(cp.fit(tol=TIGHT), expected)


# ---- adding and taking away ------------------------------------------------------------------------------------------

FORMULA = "y ~ x + f + (x | g)"


def of(frame: pd.DataFrame) -> pm.CrossProducts:
    return pm.CrossProducts.from_batches(FORMULA, [frame], levels={"f": ["high", "low", "mid"]})


def test_rows_added_after_a_fit() -> None:
    cp = of(FRAME[:400])
    before = cp.fit(tol=TIGHT)
    cp.update(FRAME[400:])
    assert_equal(before, pm.lmer(FORMULA, FRAME[:400], tol=TIGHT))
    assert before.deviance_at(before.theta) == pytest.approx(-2.0 * before.log_likelihood, rel=1e-12)
    assert_equal(cp.fit(tol=TIGHT), pm.lmer(FORMULA, FRAME, tol=TIGHT))
    assert cp.fit().params.objective == cp.fit().params.objective


def test_operators_leave_their_operands_alone() -> None:
    a, b = of(FRAME[:400]), of(FRAME[400:])
    together = a + b
    assert (a.n_obs, b.n_obs, together.n_obs) == (400, 200, 600)
    assert (together - b).n_obs == 400
    assert (a.n_obs, b.n_obs, together.n_obs) == (400, 200, 600)
    other = a.copy()
    other += b
    assert (a.n_obs, other.n_obs) == (400, 600)
    assert sum([a, b]).n_obs == 600  # type: ignore[union-attr]
    with pytest.raises(TypeError):
        a + "b"
    with pytest.raises(TypeError):
        a - 1


def test_a_rolling_window_equals_a_fit_to_it() -> None:
    pieces = cut(FRAME, 12, seed=3)
    days = [of(piece) for piece in pieces]
    window = sum(days[:6])
    for start in range(1, 7):
        window = window + days[start + 5] - days[start - 1]
        expected = pm.lmer(FORMULA, pd.concat(pieces[start:start + 6]), tol=TIGHT)
        found = gaps(window.fit(tol=TIGHT), expected)
        # what was taken out again leaves its rounding
        assert max(found["criterion"], found["coefficients"], found["se"]) < 1e-9


def test_levels_without_rows_left_are_gone() -> None:
    few = FRAME[FRAME["g"] < 20]
    cp = of(FRAME) - of(FRAME[FRAME["g"] >= 20])
    assert cp.n_groups == {"g": 20}
    assert_equal(cp.fit(tol=TIGHT), pm.lmer(FORMULA, few, tol=TIGHT))


def test_taking_away_what_is_not_there_is_refused() -> None:
    cp, other = of(FRAME[:300]), of(FRAME[300:])
    before = cp.fit().params.objective
    with pytest.raises(InputError, match=r"a - b: .*level"):
        cp - other
    with pytest.raises(InputError, match="a - b"):
        cp - (cp + cp)
    assert cp.fit().params.objective == before


def test_what_differs_is_named() -> None:
    cp = of(FRAME)
    levels = {"f": ["high", "low", "mid"]}

    def other(formula: str = FORMULA, **changes: Any) -> pm.CrossProducts:
        return pm.CrossProducts.from_batches(formula, [FRAME], **{"levels": levels, **changes})

    for changes, message in [
            ({"formula": "y ~ x + f + (1 | g)"}, "different formula"), ({"weights": "w"}, "different weights"),
            ({"contrasts": {"f": "sum"}}, "different contrasts"),
            ({"levels": {"f": ["low", "mid", "high"]}}, "different levels: of 'f', 'high', 'low', 'mid' and 'low'")]:
        with pytest.raises(InputError, match=message):
            cp + other(**changes)
    scaled = [pm.CrossProducts.from_batches("y ~ scale(x) + (1 | g)", [piece]) for piece in cut(FRAME, 2)]
    with pytest.raises(InputError, match=r"different state: of 'scale\(x\)'"):
        scaled[0] + scaled[1]


def test_an_empty_one_holds_the_encoding_and_no_rows() -> None:
    empty = of(FRAME).empty()
    assert (empty.n_obs, empty.n_groups, empty.n_dropped) == (0, {"g": 0}, 0)
    assert "0 rows" in repr(empty)
    with pytest.raises(InputError, match="hold no rows"):
        empty.fit()
    assert (empty + of(FRAME)).n_obs == (of(FRAME) + empty).n_obs == 600


def test_copies_and_pickles_are_equal_and_their_own() -> None:
    cp = of(FRAME[:400])
    for twin in (cp.copy(), copy.deepcopy(cp), pickle.loads(pickle.dumps(cp))):
        twin.update(FRAME[400:])
        assert (cp.n_obs, twin.n_obs) == (400, 600)
        assert_equal(twin.fit(tol=TIGHT), pm.lmer(FORMULA, FRAME, tol=TIGHT))
    assert len(pickle.dumps(cp)) < 20_000


# ---- what a fit without rows does ------------------------------------------------------------------------------------

@functools.cache
def both() -> tuple[Any, Any]:
    formula = "y ~ scale(x) + f + (x | g) + (1 | h)"
    arguments: dict[str, Any] = {"weights": "w", "offset": "off"}
    streamed = pm.CrossProducts.from_batches(formula, cut(FRAME, 5, seed=1), **arguments).fit(tol=TIGHT)
    return streamed, pm.lmer(formula, FRAME, tol=TIGHT, **arguments)


def assert_tables_equal(ours: Any, theirs: Any, rtol: float = 1e-7) -> None:
    pd.testing.assert_frame_equal(ours, theirs, rtol=rtol, atol=1e-9)


def test_tables_equal_those_of_a_fit_with_rows() -> None:
    ours, theirs = both()
    assert_tables_equal(ours.varcorr(), theirs.varcorr())
    for name, modes in theirs.ranef().items():
        assert_tables_equal(ours.ranef()[name], modes)
        assert_tables_equal(ours.coef()[name], theirs.coef()[name])
        np.testing.assert_allclose(ours.ranef(condvar=True)[1][name], theirs.ranef(condvar=True)[1][name], rtol=1e-7,
                                   atol=1e-12)
    for type_ in (1, 2, 3):
        assert_tables_equal(ours.anova(type=type_), theirs.anova(type=type_))
    assert_tables_equal(ours.anova(ddf="kenward-roger"), theirs.anova(ddf="kenward-roger"))
    np.testing.assert_allclose(ours.vcov("kenward-roger"), theirs.vcov("kenward-roger"), rtol=1e-7)
    assert_tables_equal(ours.contrast({"scale(x)": 1.0}), theirs.contrast({"scale(x)": 1.0}))
    assert_tables_equal(ours.conf_int(), theirs.conf_int())
    assert ours.summary().blocks[-1] == theirs.summary().blocks[-1]
    assert "Scaled residuals" not in str(ours.summary())
    assert (ours.aic, ours.bic) == pytest.approx((theirs.aic, theirs.bic), rel=1e-12)
    assert ours.effective_parameters(corrected=False) == pytest.approx(
        theirs.effective_parameters(corrected=False), rel=1e-8)


def test_profiles_equal_those_of_a_fit_with_rows() -> None:
    ours, theirs = both()
    names = ["scale(x)", "sigma"]
    limits = [fit.conf_int(method="profile", parameters=names).to_numpy(float) for fit in (ours, theirs)]
    np.testing.assert_allclose(*limits, rtol=1e-6)


def test_shares_of_variance_and_singularity_equal_those_of_a_fit_with_rows() -> None:
    ours, theirs = both()
    assert vars(ours.r2()) == pytest.approx(vars(theirs.r2()), rel=1e-8)
    assert vars(ours.icc()) == pytest.approx(vars(theirs.icc()), rel=1e-8)
    frame = FRAME.assign(v=FRAME["x"] * 1e4)
    with quiet():
        singular = [pm.lmer("y ~ x + (v + x | h)", frame, weights="w"),
                    pm.CrossProducts.from_batches("y ~ x + (v + x | h)", [frame], weights="w").fit()]
    assert str(singular[1].singularity[0]) == str(singular[0].singularity[0])


def test_marginal_means_equal_those_of_a_fit_with_rows() -> None:
    ours, theirs = both()
    assert_tables_equal(ours.emmeans("f").to_pandas(), theirs.emmeans("f").to_pandas())
    assert_tables_equal(ours.emtrends("f", "x").to_pandas(), theirs.emtrends("f", "x").to_pandas(), rtol=1e-6)
    with pytest.raises(InputError, match="expected 'equal' for a fit that holds no rows"):
        ours.emmeans("x", at={"x": [0.0]}, weights="proportional")
    frame = FRAME.assign(d=(FRAME["x"] > 0).astype(float))  # two values: averaged over like a factor
    fits = [pm.lmer("y ~ d * f + (1 | g)", frame, tol=TIGHT),
            pm.CrossProducts.from_batches("y ~ d * f + (1 | g)", cut(frame, 4)).fit(tol=TIGHT)]
    assert_tables_equal(fits[1].emmeans("f").to_pandas(), fits[0].emmeans("f").to_pandas())


def test_predictions_and_residuals_take_rows() -> None:
    ours, theirs = both()
    np.testing.assert_allclose(ours.predict(FRAME), theirs.fitted_values, rtol=0, atol=1e-7)
    np.testing.assert_allclose(ours.residuals_for(FRAME), theirs.residuals, rtol=0, atol=1e-7)
    rows = FRAME[:5].assign(x=[0.0, np.nan, 1.0, 2.0, 3.0], g=[0, 1, 99, 3, 4])
    for fit in (ours, theirs):
        with pytest.raises(InputError, match="got 99 in row 2"):
            fit.residuals_for(rows)
        residuals = fit.residuals_for(rows, new_levels="population")
        assert np.isnan(residuals).tolist() == [False, True, False, False, False]
        complete = rows.drop(index=1)
        expected = complete["y"] - fit.predict(complete, new_levels="population")
        np.testing.assert_allclose(residuals[[0, 2, 3, 4]], expected, rtol=1e-12)
        population = complete["y"] - fit.predict(complete, re="none")
        np.testing.assert_allclose(fit.residuals_for(complete, re="none"), population, rtol=1e-12)
    with pytest.raises(InputError, match="need a formula"):
        pm.lmm(FRAME["y"], np.ones((600, 1)), {"g": FRAME["g"]}).residuals_for({})


def test_a_transformed_response_has_residuals_on_its_scale() -> None:
    fit = pm.CrossProducts.from_batches("scale(y) ~ x + (1 | g)", cut(FRAME, 3)).fit(tol=TIGHT)
    expected = pm.lmer("scale(y) ~ x + (1 | g)", FRAME, tol=TIGHT).residuals
    np.testing.assert_allclose(fit.residuals_for(FRAME[:50]), expected[:50], rtol=0, atol=1e-8)


@pytest.mark.parametrize("use", [
    lambda fit: fit.residuals, lambda fit: fit.fitted_values, lambda fit: fit.predict(), lambda fit: fit.resid(),
    lambda fit: fit.bootstrap(10), lambda fit: fit.caic(), lambda fit: fit.vcov("CR0"),
    lambda fit: fit.effective_parameters(), lambda fit: fit.drop1(), lambda fit: pm.anova(fit, fit)])
def test_what_needs_rows_says_so(use: Any) -> None:
    with quiet(), pytest.raises(InputError, match=r"cross-products, which hold no rows.*residuals_for\(batch\)"):
        use(both()[0])


def test_a_fit_without_rows_pickles_and_prints() -> None:
    fit = pickle.loads(pickle.dumps(both()[0]))
    assert str(fit.summary()) == str(both()[0].summary())
    assert repr(fit) == repr(both()[0])
    assert repr(fit._design) == "<RowlessDesign>"
    assert gap(fit.deviance_at(fit.theta), both()[0].deviance_at(fit.theta)) == 0.0


# ---- what no model can be fitted to ----------------------------------------------------------------------------------

def test_checks_of_the_whole_data_are_made_by_the_fit() -> None:
    for changes, message in [({"g": 1}, "'g': expected more than one level, got only 1"),
                             ({"y": 2.0}, "'y': expected values that differ, got 2.0"),
                             ({"g": np.arange(600)}, "600 levels of 2 random effects each and 600 rows"),
                             ({"y": FRAME["x"]}, "does not fit exactly")]:
        cp = pm.CrossProducts.from_batches("y ~ x + (x | g)", cut(FRAME.assign(**changes), 2))
        with pytest.raises(InputError, match=message):
            cp.fit()
    twice = pm.CrossProducts.from_batches("y ~ x + (1 | g) + (1 | g)", [FRAME])
    with pytest.raises(InputError, match=r"column '\(Intercept\)' of group 'g' is in 2 terms"):
        twice.fit()
    with pytest.raises(InputTypeError, match="reml: expected True or False"):
        of(FRAME).fit(reml="yes")  # type: ignore[arg-type]
