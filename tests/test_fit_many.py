"""fit_many: each row equals a separate fit by lmm or glmm; forms of input that mean the same give the same bits."""

import numpy as np
import pytest
from many_cases import Case, assert_same_bits, counts, crossed, sleepstudy

import pymixed as pm
from pymixed._many.designs import placeholder

# Of separate fits: many are singular, and one of thousands is too flat to know that it has converged.
pytestmark = [pytest.mark.filterwarnings("ignore::pymixed.errors.ConvergenceWarning"),
              pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning"),
              pytest.mark.filterwarnings("ignore::pymixed.errors.MissingValuesWarning")]


def assert_equal_fits(case: Case, fits: pm.ManyFits, rows: range, loglik: float = 5e-8, estimate: float = 1e-5,
                      **options) -> None:
    """Rows equal separate fits: 1e-7 in the criterion is 5e-8 in the log-likelihood.

    Either fit may be that far above the minimum, so that estimates agree to the root of it, in standard errors.
    """
    assert fits.converged[list(rows)].all()
    for i in rows:
        one = case.separate(case.Y[:, i], **options)
        assert fits.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=loglik)
        assert np.abs(fits.coefficients[i] - one.coefficients).max() < estimate * one.se.max()
        np.testing.assert_allclose(fits.se[i], one.se, rtol=1e-4)
        assert fits.n_obs[i] == one.n_obs


def test_two_thousand_responses_on_sleepstudy_equal_separate_fits():
    case = sleepstudy(2000)
    fits = case.many()
    assert len(fits) == 2000
    assert_equal_fits(case, fits, range(2000))
    assert np.isinf(fits.df).all()


def test_satterthwaite_and_residual_df_equal_separate_fits():
    case = sleepstudy(60)
    fits, residual, by_ml = (case.many(**options) for options in (
        {"df": "satterthwaite"}, {"df": "residual"}, {"df": "satterthwaite", "reml": False}))
    for i in range(60):
        one = case.separate(case.Y[:, i])
        np.testing.assert_allclose(fits.df[i], one.df_satterthwaite, rtol=1e-4)  # of theta to 1e-5 of its error
        np.testing.assert_allclose(fits.theta[i], one.theta, atol=1e-5)
        np.testing.assert_allclose(fits.sigma[i], one.residual_std, rtol=1e-6)
        np.testing.assert_allclose(fits.p_values[i], one.p_values, rtol=1e-3)
        one = case.separate(case.Y[:, i], reml=False)
        np.testing.assert_allclose(by_ml.df[i], one.df_satterthwaite, rtol=1e-4)
        assert by_ml.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)
    assert (residual.df == 178).all()


def test_five_hundred_responses_on_a_crossed_design_equal_separate_fits():
    case = crossed(500)
    assert_equal_fits(case, case.many(), range(500))


def test_five_hundred_poisson_responses_equal_separate_fits():
    case = counts(500)
    fits = case.many()
    assert_equal_fits(case, fits, range(500))
    one = case.separate(case.Y[:, 0])
    np.testing.assert_allclose(fits.p_values[0], one.p_values, rtol=1e-4)
    assert fits.statistic_name == "z"


@pytest.mark.parametrize("options", [{"se": "rx"}, {"n_agq": 0}, {"n_agq": 5}, {"curvature": "expected"}])
def test_options_of_generalized_fits(options):
    case = counts(5)
    assert_equal_fits(case, case.many(**options), range(5), **options)


def test_family_parameters_and_zero_inflation():
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(15), 12), rng.normal(size=180)
    mu = np.exp(1.5 + 0.3 * x[:, None] + 0.5 * rng.normal(size=(15, 3))[g])
    Y = rng.negative_binomial(3.0, 3.0 / (3.0 + mu)) * (rng.uniform(size=mu.shape) > 0.2)
    data = {"g": g, "x": x}
    fits = pm.fit_many("~ x + (1 | g)", data, Y, family="negative_binomial", zi="~ 1")
    assert fits.extra_names == ("log(shape)", "zi.(Intercept)")
    for i in range(3):
        one = pm.glmer("y ~ x + (1 | g)", {**data, "y": Y[:, i]}, family="negative_binomial", zi="~ 1")
        assert fits.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)
        np.testing.assert_allclose(fits.extra[i], one.params.extra, rtol=1e-4)


# ---- rows, weights and offsets of each response ----------------------------------------------------------------------


@pytest.mark.parametrize("make", [sleepstudy, crossed, counts])
def test_missing_cells_equal_dropping_the_rows(make):
    case = make(12)
    case.Y[np.random.default_rng(7).uniform(size=case.Y.shape) < np.linspace(0.0, 0.3, 12)] = np.nan
    case.Y[case.groups[next(iter(case.groups))] == case.groups[next(iter(case.groups))][0], 3] = np.nan  # a level goes
    fits = case.many()
    np.testing.assert_array_equal(fits.n_obs, (~np.isnan(case.Y)).sum(axis=0))
    assert_equal_fits(case, fits, range(12))


@pytest.mark.parametrize("make", [sleepstudy, counts])
def test_cells_without_a_weight_or_offset_are_missing(make):
    case, rng = make(3), np.random.default_rng(13)
    weights, offset = rng.integers(1, 4, case.Y.shape).astype(float), 0.1 * rng.normal(size=case.Y.shape)
    case.Y[3, 1] = weights[3, 1] = offset[3, 1] = weights[8, 1] = offset[11, 2] = np.nan
    fits = case.many(weights=weights, offset=offset)
    assert fits.n_obs.tolist() == [len(case.Y), len(case.Y) - 2, len(case.Y) - 1]
    for i in range(3):
        one = case.separate(case.Y[:, i], weights=weights[:, i], offset=offset[:, i])
        assert fits.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)


def test_missing_cells_leave_satterthwaite_equal():
    case = sleepstudy(6)
    case.Y[np.random.default_rng(8).uniform(size=case.Y.shape) < 0.2] = np.nan
    fits = case.many(df="satterthwaite")
    ones = [case.separate(y) for y in case.Y.T]
    np.testing.assert_allclose(fits.df, [one.df_satterthwaite for one in ones], rtol=1e-4)
    L = np.array([[1.0, 5.0], [0.0, 2.0]])
    table = fits.contrast(L)
    for i, one in enumerate(ones):
        rows = table[table["response"] == f"y{i}"]
        expected = one.contrast(L)
        for name in ("estimate", "se", "df", "t", "p"):
            np.testing.assert_allclose(rows[name], expected[name], rtol=2e-4)


def test_a_column_that_depends_on_others_in_a_responses_rows_is_nan():
    case = crossed(3)
    X = np.column_stack([case.X, (case.groups["a"] == 2).astype(float)])
    case.Y[case.groups["a"] == 2, 1] = np.nan
    wide = Case(X, case.groups, case.terms, case.Y)
    fits = wide.many(df="satterthwaite")
    assert fits.converged.all()
    np.testing.assert_array_equal(np.isnan(fits.coefficients), [[0, 0, 0], [0, 0, 1], [0, 0, 0]])
    with pytest.warns(pm.errors.RankDeficiencyWarning):
        one = wide.separate(wide.Y[:, 1])
    np.testing.assert_allclose(fits.coefficients[1, :2], one.coefficients, rtol=1e-6)
    np.testing.assert_allclose(fits.df[1, :2], one.df_satterthwaite, rtol=1e-4)
    table = fits.contrast({"slope": {"X1": 1.0}, "third": {"X2": 1.0}}).set_index(["response", "contrast"])
    assert table.loc[("y1", "third")].isna().sum() == 6
    assert table.loc[("y1", "slope"), "df"] == pytest.approx(one.df_satterthwaite[1], rel=1e-4)
    assert table.drop([("y1", "third")]).notna().all(axis=None)
    assert np.isnan(fits.p_adjusted()[1, 2])
    assert (~np.isnan(case.Y).any(axis=0) == (fits.n_obs == 120)).all()


@pytest.mark.parametrize("make", [sleepstudy, crossed, counts])
def test_weights_and_offsets_of_each_response_equal_separate_fits(make):
    case, rng = make(6), np.random.default_rng(9)
    weights = rng.integers(1, 4, case.Y.shape) if case.family else rng.uniform(0.5, 2.0, case.Y.shape)
    offset = 0.1 * rng.normal(size=case.Y.shape)
    case.Y[5:9, 2] = np.nan
    fits = case.many(weights=weights, offset=offset)
    only_weights, only_offset = case.many(weights=weights), case.many(offset=offset)
    for i in (0, 1, 3, 4, 5):
        y = case.Y[:, i]
        for found, options in ((fits, {"weights": weights[:, i], "offset": offset[:, i]}),
                               (only_weights, {"weights": weights[:, i]}), (only_offset, {"offset": offset[:, i]})):
            one = case.separate(y, **options)
            assert found.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)
            np.testing.assert_allclose(found.se[i], one.se, rtol=1e-4)
    one = case.separate(case.Y[:, 2], weights=weights[:, 2], offset=offset[:, 2])
    assert fits.log_likelihood[2] == pytest.approx(one.log_likelihood, abs=5e-8)


@pytest.mark.parametrize("make", [sleepstudy, counts])
def test_weights_and_offset_of_the_design(make):
    case, rng = make(4), np.random.default_rng(10)
    weights, offset = rng.integers(1, 4, len(case.Y)).astype(float), 0.1 * rng.normal(size=len(case.Y))
    own = 0.1 * rng.normal(size=case.Y.shape)
    fits, added = case.many(weights=weights, offset=offset), case.many(weights=weights, offset=offset[:, None] + own)
    for i in range(4):
        one = case.separate(case.Y[:, i], weights=weights, offset=offset)
        assert fits.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)
        one = case.separate(case.Y[:, i], weights=weights, offset=offset + own[:, i])
        assert added.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)


def test_binomial_proportions_with_trials_of_the_design_or_of_each_response():
    cbpp = pm.datasets.load("cbpp")
    rng, size = np.random.default_rng(11), cbpp["size"].to_numpy(float)
    trials = rng.integers(5, 20, (56, 4)).astype(float)
    Y, Z = rng.binomial(size[:, None].astype(int), 0.3, (56, 4)) / size[:, None], rng.binomial(
        trials.astype(int), 0.3) / trials
    fits = pm.fit_many("~ period + (1 | herd)", cbpp, Y, family="binomial", weights="size")
    own = pm.fit_many("~ period + (1 | herd)", cbpp, Z, family="binomial", weights=trials)
    for i in range(4):
        one = pm.glmer("y ~ period + (1 | herd)", cbpp.assign(y=Y[:, i]), weights=size)
        assert fits.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)
        one = pm.glmer("y ~ period + (1 | herd)", cbpp.assign(y=Z[:, i]), weights=trials[:, i])
        assert own.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=5e-8)
    ones = pm.fit_many("~ period + (1 | herd)", cbpp, Y > 0.3, family="binomial")
    one = pm.glmer("y ~ period + (1 | herd)", cbpp.assign(y=Y[:, 2] > 0.3))
    assert ones.log_likelihood[2] == pytest.approx(one.log_likelihood, abs=5e-8)


def test_weights_of_the_responses_allow_a_random_effect_in_every_row():
    rng = np.random.default_rng(12)
    case = Case(np.ones((30, 1)), {"row": np.arange(30)}, {}, rng.normal(size=(30, 2)))
    weights = rng.uniform(0.1, 10.0, (30, 2))
    fits = case.many(weights=weights)
    assert fits.log_likelihood[1] == pytest.approx(case.separate(case.Y[:, 1], weights=weights[:, 1]).log_likelihood,
                                                   abs=5e-8)


# ---- formulas --------------------------------------------------------------------------------------------------------


def test_a_formula_has_no_response_or_the_name_of_one():
    case, data = sleepstudy(3), pm.datasets.load("sleepstudy")
    fits = pm.fit_many("~ Days + (Days | Subject)", data, case.Y)
    named = pm.fit_many("voxel ~ Days + (Days | Subject)", data, case.Y)
    np.testing.assert_array_equal(fits.objective, named.objective)
    assert fits.responses.tolist() == ["y0", "y1", "y2"]
    assert named.responses.tolist() == ["voxel0", "voxel1", "voxel2"]
    assert fits.coefficient_names == ("(Intercept)", "Days")
    assert fits.theta_names == ("Subject.(Intercept)", "Subject.Days.(Intercept)", "Subject.Days")
    np.testing.assert_allclose(fits.objective, case.many().objective, atol=1e-7)


def test_rows_without_a_predictor_are_left_out_of_the_responses():
    case, data = sleepstudy(3), pm.datasets.load("sleepstudy")
    data["Days"] = data["Days"].astype(float)
    data.loc[[4, 17], "Days"] = np.nan
    weights = np.random.default_rng(1).uniform(1.0, 2.0, (180, 3))
    with pytest.warns(pm.errors.MissingValuesWarning, match="2 of 180 rows were dropped"):
        fits = pm.fit_many("~ Days + offset(Days) + (Days | Subject)", data, case.Y, weights=weights,
                           offset=0.1 * case.Y)
    one = pm.lmer("y ~ Days + offset(Days) + (Days | Subject)", data.assign(y=case.Y[:, 2]), weights=weights[:, 2],
                  offset=0.1 * case.Y[:, 2])
    assert fits.n_obs.tolist() == [178] * 3
    assert fits.log_likelihood[2] == pytest.approx(one.log_likelihood, abs=5e-8)


def test_dropped_columns_are_named_once():
    case = crossed(4)
    with pytest.warns(pm.errors.RankDeficiencyWarning, match="dropped: X2"):
        fits = pm.fit_many_arrays(case.Y, np.column_stack([case.X, case.X[:, 1] * 2.0]), case.groups)
    assert fits.aliased == ("X2",)
    np.testing.assert_allclose(fits.objective, case.many().objective, atol=1e-7)
    table = fits.contrast([[0.0, 0.5, 1.0]])  # estimable: 0.5 x + 2 x
    np.testing.assert_allclose(table["estimate"], 0.5 * fits.coefficients[:, 1])
    with pytest.raises(pm.errors.InputError, match="L: expected estimable contrasts"):
        fits.contrast([[0.0, 0.0, 1.0]])


# ---- the same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sleepstudy, crossed, counts])
def test_threads_do_not_change_a_bit(make):
    case = make(40)
    case.Y[::7, ::5] = np.nan
    options = {} if case.family else {"df": "satterthwaite"}
    fits = case.many(**options)
    for n_threads in (2, 4):
        assert_same_bits(fits, case.many(n_threads=n_threads, **options))


@pytest.mark.parametrize("make", [sleepstudy, counts])
def test_a_response_does_not_depend_on_its_company(make):
    case = make(30)
    case.Y[::7, ::5] = np.nan
    fits = case.many()
    some = [4, 0, 20, 21, 25]
    assert_same_bits(fits, case.many(case.Y[:, some]), some)


def test_a_start_does_not_change_the_minimum():
    case = sleepstudy(100)
    fits = case.many()
    for start in ("warm", [1.0, 0.0, 0.2]):
        other = case.many(start=start)
        np.testing.assert_allclose(other.objective, fits.objective, atol=1e-7)
        assert (other.objective != fits.objective).any()
    poisson = counts(40)
    fits, warm = poisson.many(), poisson.many(start="warm")
    np.testing.assert_allclose(warm.objective, fits.objective, atol=1e-7)
    first = np.concatenate([fits.theta[0], fits.coefficients[0]])
    assert_same_bits(poisson.many(start=first), warm)


def test_a_warm_start_where_a_response_lacks_a_coefficient():
    case = counts(4)
    X = np.column_stack([case.X, (case.groups["g"] == 2).astype(float)])
    case.Y[case.groups["g"] == 2, 1] = np.nan
    for family in ("poisson", "gamma"):
        other = Case(X, case.groups, case.terms, case.Y + 0.5 * (family == "gamma"), family)
        fits, warm = other.many(), other.many(start="warm")
        assert np.isnan(warm.coefficients[1, 2])
        np.testing.assert_allclose(warm.objective, fits.objective, atol=1e-7)


def test_a_warm_start_is_not_from_where_the_family_is_all_but_a_simpler_one():
    case = counts(6)
    case = Case(case.X, case.groups, case.terms, case.Y, "negative_binomial")
    fits = case.many()
    assert fits.extra[0, 0] > 10.0  # Poisson: the shape ran off
    assert_same_bits(fits, case.many(start="warm"))


def test_a_warm_start_after_a_failure_is_each_responses_own():
    case = sleepstudy(3)
    case.Y[:, 0] = 1.0
    assert_same_bits(case.many(start="warm"), case.many())


# ---- failures --------------------------------------------------------------------------------------------------------


def test_responses_that_cannot_be_fitted_are_rows():
    case = sleepstudy(8)
    case.Y[:, 1] = 3.0
    case.Y[5, 2] = np.inf
    case.Y[:, 3] = np.nan
    case.Y[:, 4] = case.X @ [1.0, 2.0]
    case.Y[:-2, 5] = np.nan
    fits = case.many(df="satterthwaite")
    np.testing.assert_array_equal(fits.converged, [True, False, False, False, False, False, True, True])
    words = fits.to_pandas()["status"]
    assert words.iloc[[2, 3, 5]].str.startswith("the response does not suit the model").all()
    assert words.iloc[[1, 4]].str.startswith("a factorisation broke down: the model fits the response exactly").all()
    for values in (fits.coefficients, fits.se, fits.df, fits.p_values, fits.p_adjusted(), fits.theta, fits.extra,
                   fits.log_likelihood[:, None], fits.moderated().se):
        assert np.isnan(values[1:6]).all()
        assert np.isfinite(values[[0, 6, 7]]).all()


@pytest.mark.parametrize(("family", "bad"), [("poisson", -1.0), ("poisson", 0.5), ("binomial", 2.0), ("gamma", 0.0)])
def test_values_outside_the_familys_range_are_rows(family, bad):
    case = counts(3)
    Y = {"poisson": case.Y, "binomial": (case.Y > 2.0).astype(float), "gamma": case.Y + 0.5}[family]
    Y[7, 1] = bad
    fits = pm.fit_many_arrays(Y, case.X, case.groups, family=family)
    np.testing.assert_array_equal(fits.converged, [True, False, True])
    assert fits.statuses[fits.status[1]].startswith("the response does not suit the model")


@pytest.mark.parametrize("make", [sleepstudy, counts])
@pytest.mark.parametrize("bad", [-1.0, np.inf])
def test_weights_that_are_not_positive_are_rows(make, bad):
    case = make(3)
    weights = np.ones(case.Y.shape)
    weights[3, 1] = bad
    fits = case.many(weights=weights)
    np.testing.assert_array_equal(fits.converged, [True, False, True])


def test_the_placeholder_suits_every_family():
    for name in ("binomial", "poisson", "negative_binomial", "gamma", "inverse_gaussian", "beta", "gaussian",
                 "student_t", "tweedie"):
        family = pm.families.resolve(name)
        y = placeholder(50, family)
        family.distribution.check_response(y, None, "y", None)
        assert len(np.unique(y)) > 1


def test_the_placeholder_is_not_a_treatment_of_every_other_row():
    """Fits start from what it says of the design: a column that it equals would have no finite coefficient there."""
    data = {"x": np.tile([0.0, 1.0], 60), "g": np.repeat(np.arange(20), 6), "h": np.tile(np.arange(6), 20)}
    formula = "~ x + (1 | g) + (1 | h)"
    Y = pm.simulate(formula, data, beta=[1.0, 0.0], theta=[0.5, 0.3], family="poisson", n=200, seed=1)
    assert pm.fit_many(formula, data, Y, family="poisson").converged.all()
