"""ManyFits: tests, contrasts, tables, files, merging; moderated variances against the paper's equations."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from many_cases import ROW_ARRAYS, assert_same_bits, counts, crossed, sleepstudy
from scipy import integrate, special, stats

import pymixed as pm
from pymixed._many import fits as fits_module
from pymixed._many.moderation import moderate, trigamma_inverse
from pymixed._many.triangles import diagonal, order_of, quadratic_weights, unpacked
from pymixed.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")


@pytest.fixture(scope="module")
def fits() -> pm.ManyFits:
    """Twelve responses, the fourth of which failed."""
    case = sleepstudy(12)
    case.Y[:, 3] = 1.0
    case.Y[::9, 5] = np.nan
    return case.many(df="satterthwaite")


# ---- arrays ----------------------------------------------------------------------------------------------------------


def test_triangles_are_those_of_the_matrices():
    rng = np.random.default_rng(0)
    V = rng.normal(size=(4, 5, 5))
    V = V + V.transpose(0, 2, 1)
    rows, columns = np.tril_indices(5)
    packed, L = V[:, rows, columns], rng.normal(size=(3, 5))
    assert order_of(packed.shape[1]) == 5
    assert [order_of(p * (p + 1) // 2) for p in range(40)] == list(range(40))
    np.testing.assert_array_equal(unpacked(packed), V)
    np.testing.assert_array_equal(packed[:, diagonal(5)], np.diagonal(V, axis1=1, axis2=2))
    np.testing.assert_allclose(packed @ quadratic_weights(L), np.einsum("ki,rij,kj->rk", L, V, L), rtol=1e-12)


def test_covariances_standard_errors_and_p_values(fits):
    good = fits.converged
    case = sleepstudy(12)
    one = case.separate(case.Y[:, 7])
    np.testing.assert_allclose(fits.vcov[7], one.params.vcov, rtol=1e-5)
    np.testing.assert_allclose(fits.se[good], np.sqrt(np.diagonal(fits.vcov, axis1=1, axis2=2))[good], rtol=1e-14)
    np.testing.assert_allclose(fits.t_values, fits.coefficients / fits.se)
    np.testing.assert_allclose(fits.p_values[good], 2.0 * stats.t.sf(np.abs(fits.t_values), fits.df)[good], rtol=1e-9)
    np.testing.assert_allclose(fits.vcov[7], one.vcov(), rtol=1e-5)
    np.testing.assert_array_equal(fits.sigma, fits.extra[:, 0])
    with pytest.raises(AttributeError, match="only a linear model has sigma"):
        _ = counts(1).many().sigma


def test_false_discovery_rates_are_scipys(fits):
    good = fits.converged
    for j in range(2):
        expected = stats.false_discovery_control(fits.p_values[good, j], method="bh")
        np.testing.assert_allclose(fits.p_adjusted()[good, j], expected, rtol=1e-12)


def test_other_adjustments_by_their_definitions(fits):
    good = fits.converged
    m, p = int(good.sum()), fits.p_values[good]
    np.testing.assert_allclose(fits.p_adjusted("bonferroni")[good], np.minimum(1.0, m * p))
    np.testing.assert_allclose(fits.p_adjusted("none")[good], p)
    for j in range(2):
        holm = fits.p_adjusted("holm")[good, j]
        for i in range(m):
            steps = [min(1.0, (m - rank) * q) for rank, q in enumerate(np.sort(p[:, j])) if q <= p[i, j]]
            assert holm[i] == pytest.approx(max(steps), rel=1e-12)
    with pytest.raises(InputError, match="method: expected one of 'fdr', 'holm', 'bonferroni', 'none', got 'BH'"):
        fits.p_adjusted("BH")


# ---- contrasts -------------------------------------------------------------------------------------------------------


def test_contrasts_equal_those_of_separate_fits(fits):
    case = sleepstudy(12)
    L = {"at day 5": {"(Intercept)": 1.0, "X1": 5.0}, "slope": {"X1": 2.0}}
    table = fits.contrast(L, rhs=[250.0, 1.0])
    assert table.columns.tolist() == ["response", "contrast", "estimate", "se", "df", "t", "p", "p_adjusted"]
    assert table["contrast"].tolist() == ["at day 5", "slope"] * 12
    assert table["response"].tolist() == np.repeat(fits.responses, 2).tolist()
    for i in (0, 2, 11):
        expected = case.separate(case.Y[:, i]).contrast(L, rhs=[250.0, 1.0])
        found = table[table["response"] == f"y{i}"].set_index("contrast")
        for name in expected.columns:
            np.testing.assert_allclose(found[name], expected[name], rtol=2e-4)
    assert table[table["response"] == "y3"].iloc[:, 2:].isna().all(axis=None)
    good = table[table["contrast"] == "slope"].dropna()
    np.testing.assert_allclose(good["p_adjusted"], stats.false_discovery_control(good["p"]), rtol=1e-12)


def test_contrasts_of_coefficients_are_the_coefficients(fits):
    table = fits.contrast(np.eye(2), method="holm")
    for name, values in (("estimate", fits.coefficients), ("se", fits.se), ("df", fits.df), ("t", fits.t_values),
                         ("p", fits.p_values), ("p_adjusted", fits.p_adjusted("holm"))):
        np.testing.assert_allclose(table[name], values.ravel(), rtol=1e-12)


def test_contrasts_of_fits_without_degrees_of_freedom():
    case = counts(4)
    fits = case.many()
    table = fits.contrast({"X1": 1.0})
    assert "z" in table.columns
    assert np.isinf(table["df"]).all()
    np.testing.assert_allclose(table["p"], fits.p_values[:, 1])
    residual = sleepstudy(4).many(df="residual").contrast([1.0, 1.0])
    assert (residual["df"] == 178).all()
    with pytest.raises(InputError, match=re.escape("L: expected coefficients out of (Intercept), X1, got 'X2'")):
        fits.contrast({"X2": 1.0})
    with pytest.raises(InputError, match=re.escape("moderated: expected fits with df='satterthwaite'")):
        fits.contrast({"X1": 1.0}, moderated=True)


# ---- tables, files, merging ------------------------------------------------------------------------------------------


def test_a_row_per_response(fits):
    table = fits.to_pandas()
    assert table.index.name == "response"
    assert table.index.tolist() == [f"y{j}" for j in range(12)]
    per_coefficient = [f"{what}.{name}" for name in ("(Intercept)", "X1")
                       for what in ("estimate", "se", "df", "t", "p", "p_adjusted")]
    assert table.columns.tolist() == [
        *per_coefficient, "Subject.(Intercept)", "Subject.days.(Intercept)", "Subject.days", "sigma", "log_likelihood",
        "n_obs", "n_evaluations", "converged", "status"]
    np.testing.assert_array_equal(table["p_adjusted.X1"], fits.p_adjusted()[:, 1])
    np.testing.assert_array_equal(table["Subject.days"], fits.theta[:, 2])
    assert table["status"].iloc[0] == "success"
    assert table["n_obs"].iloc[5] == 160
    poisson = counts(2).many().to_pandas("none")
    np.testing.assert_array_equal(poisson["p_adjusted.X1"], poisson["p.X1"])
    assert "z.X1" in poisson
    assert "sigma" not in poisson


def test_a_parquet_file_holds_the_table(fits, tmp_path, monkeypatch):
    monkeypatch.setattr(fits_module, "PARQUET_ROWS", 5)
    fits.write_parquet(tmp_path / "fits.parquet", "holm")
    file = pq.ParquetFile(tmp_path / "fits.parquet")
    assert file.num_row_groups == 3
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    expected = fits.to_pandas("holm").reset_index()
    pd.testing.assert_frame_equal(file.read().to_pandas(), expected, check_dtype=False)
    sleepstudy(0).many().write_parquet(str(tmp_path / "none.parquet"))
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0


def test_results_of_one_model_merge():
    case = sleepstudy(9)
    case.Y[:, 3] = 1.0
    whole = case.many(df="satterthwaite")
    parts = [case.many(case.Y[:, start:stop], df="satterthwaite") for start, stop in ((0, 2), (2, 3), (3, 9))]
    for merged in (pm.ManyFits.concatenate(parts), parts[0] + parts[1] + parts[2]):
        assert_same_bits(whole, merged)
        np.testing.assert_array_equal(merged.p_adjusted(), whole.p_adjusted())
    assert merged.responses.tolist() == ["y0", "y1", "y0", *(f"y{j}" for j in range(6))]
    for other in (case.many(), case.many(df="satterthwaite", reml=False), crossed(2).many(df="satterthwaite")):
        with pytest.raises(InputError, match="concatenate: expected results of the same model, got <ManyFits of "):
            _ = whole + other
    with pytest.raises(InputError, match="concatenate: expected at least one result, got none"):
        pm.ManyFits.concatenate([])
    with pytest.raises(TypeError):
        _ = whole + 1


def test_results_pickle_and_are_frozen(fits):
    for again in (pickle.loads(pickle.dumps(fits)), copy.deepcopy(fits)):
        assert_same_bits(fits, again)
        np.testing.assert_array_equal(again.df, fits.df)
    with pytest.raises(AttributeError):
        fits.theta = fits.theta
    assert all(len(getattr(fits, name)) == len(fits) == 12 for name in ROW_ARRAYS)


def test_in_print(fits):
    assert repr(fits) == "<ManyFits of arrays by REML: 12 responses, 1 without estimates>"
    assert repr(counts(2).many()) == "<ManyFits of arrays by poisson (log), n_agq=1: 2 responses>"
    data = pm.datasets.load("sleepstudy")
    by_formula = pm.fit_many("~ Days + (1 | Subject)", data, sleepstudy(2).Y, reml=False)
    assert repr(by_formula) == "<ManyFits of ~ Days + (1 | Subject) by ML: 2 responses>"


# ---- moderated variances ---------------------------------------------------------------------------------------------


def test_the_inverse_of_trigamma():
    for x in np.logspace(-9, 9, 40):
        assert special.polygamma(1, trigamma_inverse(x)) == pytest.approx(x, rel=1e-10)


def test_the_prior_solves_the_papers_equations():
    rng = np.random.default_rng(1)
    d = rng.integers(3, 30, 500).astype(float)
    s2 = stats.invgamma.rvs(3.0, scale=6.0, size=500, random_state=rng) * rng.chisquare(d) / d
    found = moderate(s2[:, None], d[:, None])
    d0, s02 = found.prior_df[0], found.prior_variance[0]
    # log s² is log s0² plus the logarithm of an F variable with d and d0 degrees of freedom: its moments by quadrature
    def moment(df: float, k: int, centre: float) -> float:
        density = stats.f(df, d0)
        return integrate.quad(lambda z: (z - centre) ** k * density.pdf(np.exp(z)) * np.exp(z), -40, 40, limit=400)[0]

    means = {df: moment(df, 1, 0.0) for df in np.unique(d)}
    spread = {df: moment(df, 2, means[df]) for df in np.unique(d)}
    log_means = np.log(s02) + np.array([means[df] for df in d])
    assert np.log(s2).mean() == pytest.approx(log_means.mean(), abs=1e-7)
    e = np.log(s2) - log_means
    assert (e - e.mean()).var(ddof=1) == pytest.approx(np.mean([spread[df] for df in d]), rel=1e-6)
    np.testing.assert_allclose(found.variance[:, 0], (d0 * s02 + d * s2) / (d0 + d))
    np.testing.assert_allclose(found.df[:, 0], d0 + d)


def test_hyperparameters_are_recovered():
    rng = np.random.default_rng(2)
    n, d0, s02 = 40_000, np.array([4.0, 12.0]), np.array([0.25, 9.0])
    truth = d0 * s02 / rng.chisquare(d0, (n, 2))
    d = rng.uniform(2.0, 20.0, (n, 2))
    found = moderate(truth * rng.chisquare(d) / d, d)
    np.testing.assert_allclose(found.prior_df, d0, rtol=0.06)           # standard errors of about 2 %
    np.testing.assert_allclose(found.prior_variance, s02, rtol=0.02)
    assert (np.abs(np.log(found.variance / truth)).mean(axis=0) < 0.6).all()


def test_equal_variances_are_pooled_and_nan_takes_no_part():
    rng = np.random.default_rng(3)
    d = np.full((300, 3), 6.0)
    s2 = 2.0 * np.exp(0.1 * rng.normal(size=(300, 3)))  # scatters less than 6 degrees of freedom explain
    s2[5, 0], s2[:, 1], s2[1:, 2] = np.nan, np.nan, np.nan
    found = moderate(s2, d)
    assert np.isinf(found.prior_df[0])
    kept = np.delete(s2[:, 0], 5)
    expected = np.exp(np.mean(np.log(kept) - special.digamma(3.0) + np.log(3.0)))
    np.testing.assert_allclose(np.delete(found.variance[:, 0], 5), expected, rtol=1e-12)
    assert np.isinf(np.delete(found.df[:, 0], 5)).all()
    assert np.isnan([found.variance[5, 0], found.df[5, 0], found.prior_df[1], found.prior_df[2]]).all()
    assert np.isnan(found.variance[:, 1:]).all()


def test_moderated_fits_are_moderated_squared_standard_errors(fits):
    moderated = fits.moderated()
    found = moderate(fits.se**2, fits.df)
    np.testing.assert_array_equal(moderated.se, np.sqrt(found.variance))
    np.testing.assert_array_equal(moderated.prior_df, found.prior_df)
    np.testing.assert_array_equal(moderated.prior_variance, found.prior_variance)
    np.testing.assert_allclose(moderated.p_values[0], 2.0 * stats.t.sf(np.abs(moderated.t_values[0]), moderated.df[0]))
    np.testing.assert_array_equal(np.isnan(moderated.p_adjusted()).any(axis=1), ~fits.converged)
    table = fits.contrast(np.eye(2), moderated=True)
    np.testing.assert_allclose(table["se"], moderated.se.ravel(), rtol=1e-12)
    np.testing.assert_allclose(table["p_adjusted"], moderated.p_adjusted().ravel(), rtol=1e-9)
    assert moderated.to_pandas().columns.tolist()[:6] == [
        "estimate.(Intercept)", "se.(Intercept)", "df.(Intercept)", "t.(Intercept)", "p.(Intercept)",
        "p_adjusted.(Intercept)"]
    assert repr(moderated).startswith("<ModeratedFits: 12 responses; prior degrees of freedom (Intercept): ")


def test_moderated_tests_hold_their_level_and_gain_power():
    """A factor between and one within eight groups; standard deviations vary over the responses."""
    rng = np.random.default_rng(4)
    R, g = 4000, np.repeat(np.arange(8), 4)
    between, within = (g % 2).astype(float), np.tile([0.0, 1.0], 16)
    tau = np.sqrt(6.0 * 1.0 / rng.chisquare(6.0, R))
    sigma = np.sqrt(6.0 * 0.5 / rng.chisquare(6.0, R))
    Y = tau * rng.normal(size=(8, R))[g] + sigma * rng.normal(size=(32, R))
    X = np.column_stack([np.ones(32), between, within])
    fits = pm.fit_many_arrays(Y, X, {"g": g}, df="satterthwaite")
    moderated = fits.moderated()
    rates = (moderated.p_values[:, 1:] < 0.05).mean(axis=0)
    assert (np.abs(rates - 0.05) < 0.015).all()  # standard error 0.0034; moderation rests on approximate df
    effect = Y + np.outer(between, 1.5 * tau)
    fits = pm.fit_many_arrays(effect, X, {"g": g}, df="satterthwaite")
    power, plain = ((result.p_values[:, 1] < 0.05).mean() for result in (fits.moderated(), fits))
    assert power > plain + 0.02
