"""Plots draw the numbers of the solution, on the Axes that they are given, and leave everything else alone."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.quiver import Quiver
from numpy.typing import NDArray
from scipy import integrate, stats

import pymixed as pm
from pymixed._plots.profiles import profile_density
from pymixed._plots.random_effects import ellipse, least_squares_by_level
from pymixed._plots.residuals import BINS, MANY_ROWS, order_statistic_band, smooth
from pymixed._plots.style import MANY_LEVELS
from pymixed.errors import InputError, InputTypeError, PymixedError, RankDeficiencyWarning, SingularFitWarning

mpl.use("Agg")

DRAWN = 1e-12      # relative: matplotlib keeps doubles
SOLVED = 1e-9      # relative, of least squares by another route


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Every test starts and ends without figures."""
    plt.close("all")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def sleep() -> Any:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def cbpp() -> Any:
    return pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", pm.datasets.load("cbpp"))


@pytest.fixture(scope="module")
def cake() -> Any:
    return pm.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", pm.datasets.load("cake"))


@pytest.fixture(scope="module")
def crossed() -> Any:
    return pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pm.datasets.load("penicillin"))


def artists(ax: Axes, kind: type) -> list[Any]:
    return [artist for artist in ax.get_children() if isinstance(artist, kind)]


def points(ax: Axes, i: int = 0) -> NDArray[Any]:
    """Places of the i-th scatter (n, 2)."""
    return np.asarray(artists(ax, PathCollection)[i].get_offsets())


def segments(ax: Axes, i: int = 0) -> NDArray[Any]:
    """The i-th collection of lines (n, 2 ends, 2)."""
    return np.array(artists(ax, LineCollection)[i].get_segments())


def arrows(ax: Axes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Starts and ends (n, 2) of the arrows."""
    (quiver,) = artists(ax, Quiver)
    start = np.column_stack([quiver.X, quiver.Y])
    return start, start + np.column_stack([quiver.U, quiver.V])


def close(actual: Any, expected: Any, rtol: float = DRAWN) -> None:
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(np.asarray(expected, float)).max())


# ---- where they draw -------------------------------------------------------------------------------------------------

KINDS: dict[str, dict[str, Any]] = {
    "caterpillar": {"term": "Days"}, "shrinkage": {}, "random_covariance": {}, "qq": {}, "residuals": {},
    "scale_location": {}, "profile": {"parameters": "Days"}, "emmeans": {"specs": ()}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_of_its_own(sleep: Any, kind: str) -> None:
    before = dict(mpl.rcParams)
    ax = getattr(sleep.plot, kind)(**KINDS[kind])
    assert isinstance(ax, Axes)
    assert ax.get_xlabel() or kind == "emmeans"  # of all means there is nothing to name
    assert ax.get_ylabel()
    assert len(plt.get_fignums()) == 1
    assert plt.gcf() is ax.figure
    assert dict(mpl.rcParams) == before
    ax.figure.canvas.draw()


@pytest.mark.parametrize("kind", KINDS)
def test_the_axes_given(sleep: Any, kind: str) -> None:
    _, (mine, current) = plt.subplots(1, 2)
    plt.sca(current)
    assert getattr(sleep.plot, kind)(**KINDS[kind], ax=mine) is mine
    assert mine.has_data()
    assert not current.has_data()
    assert len(plt.get_fignums()) == 1
    assert plt.gca() is current


def test_all_kinds_are_named(sleep: Any) -> None:
    assert repr(sleep.plot) == f"<Plots: {', '.join(sorted(KINDS))}>"


def test_several_panels(sleep: Any) -> None:
    found = sleep.plot.caterpillar()
    assert found.shape == (2,)
    figure, mine = plt.subplots(2, 1)
    assert sleep.plot.caterpillar(ax=mine).tolist() == mine.tolist()
    assert len(sleep.plot.profile(ax=plt.subplots(2, 3)[1])) == 6
    with pytest.raises(InputError, match="ax: expected 2 Axes, one per panel, got 1"):
        sleep.plot.caterpillar(ax=mine[0])
    with pytest.raises(InputTypeError, match="ax: expected Axes of matplotlib, got <Figure"):
        sleep.plot.residuals(ax=figure)


def test_matplotlib_is_imported_by_plots_alone_and_missed_by_name() -> None:
    program = """
import sys
import pymixed as pm
fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
fit.plot
assert "matplotlib" not in sys.modules
sys.modules["matplotlib"] = None
try:
    fit.plot.caterpillar()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == 'plots need matplotlib, which is not installed: pip install "pymixed[plot]"\n'


def test_keywords_reach_the_main_artist(sleep: Any) -> None:
    scatter = artists(sleep.plot.residuals(color="red", s=7.0), PathCollection)[0]
    assert scatter.get_sizes().tolist() == [7.0]
    assert scatter.get_facecolor()[0, :3].tolist() == [1.0, 0.0, 0.0]
    assert sleep.plot.profile("Days", color="red").lines[-1].get_color() == "red"
    assert artists(sleep.plot.shrinkage(color="red"), Quiver)[0].get_facecolor()[0, :3].tolist() == [1.0, 0.0, 0.0]


# ---- random effects --------------------------------------------------------------------------------------------------

def test_caterpillar(sleep: Any) -> None:
    modes, covariances = sleep.ranef(condvar=True)
    order = np.argsort(modes["Subject"]["(Intercept)"].to_numpy(), kind="stable")
    z = stats.norm.ppf(0.95)
    for i, ax in enumerate(sleep.plot.caterpillar("Subject", level=0.9)):
        mode = modes["Subject"].to_numpy()[order, i]
        reach = z * np.sqrt(covariances["Subject"][order, i, i])
        close(points(ax), np.column_stack([mode, np.arange(18)]))
        close(segments(ax)[:, :, 0], np.column_stack([mode - reach, mode + reach]))
        assert [text.get_text() for text in ax.get_yticklabels()] == modes["Subject"].index[order].astype(str).tolist()


def test_order_of_a_caterpillar(sleep: Any) -> None:
    modes = sleep.ranef()["Subject"]
    by_days = sleep.plot.caterpillar(order="Days")
    close(points(by_days[0])[:, 0], modes["(Intercept)"].to_numpy()[np.argsort(modes["Days"].to_numpy())])
    assert (np.diff(points(by_days[1])[:, 0]) > 0).all()
    own = sleep.plot.caterpillar(term="Days", order=False)  # the first level is at the top
    close(points(own)[:, 0], modes["Days"].to_numpy()[::-1])


def test_panels_of_crossed_factors(crossed: Any) -> None:
    plates, samples = crossed.plot.caterpillar()
    assert (plates.get_ylabel(), samples.get_ylabel()) == ("plate", "sample")
    assert crossed.plot.caterpillar("sample").get_ylabel() == "sample"
    assert [len(points(ax)) for ax in crossed.plot.shrinkage()] == [24, 6]
    assert len(crossed.plot.qq("random")) == 2


def test_many_levels_have_no_labels() -> None:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(3000), 2)
    fit = pm.lmm(rng.normal(size=3000)[g] + rng.normal(size=6000), np.ones((6000, 1)), {"g": g})
    ax = fit.plot.caterpillar()
    assert ax.get_ylabel() == "g, 3000 levels"
    assert len(points(ax)) == len(segments(ax)) == 3000 > MANY_LEVELS
    assert ax.get_yticks().tolist() == []


def test_shrinkage_starts_at_least_squares_and_ends_at_coef(sleep: Any, sleepstudy: pd.DataFrame) -> None:
    start, end = arrows(sleep.plot.shrinkage("Subject"))
    close(end, sleep.coef()["Subject"].to_numpy())
    alone = [np.polyfit(rows["Days"], rows["Reaction"], 1)[::-1] for _, rows in sleepstudy.groupby("Subject")]
    close(start, alone, SOLVED)


def test_shrinkage_of_one_column_and_of_three(crossed: Any) -> None:
    start, end = arrows(crossed.plot.shrinkage("sample"))
    coefficients = crossed.coef()["sample"]["(Intercept)"].sort_values()
    close(end[:, 0], coefficients.to_numpy())
    assert end[:, 1].tolist() == start[:, 1].tolist() == list(range(6))
    data = pm.datasets.load("penicillin").assign(r=crossed.fitted_values - crossed.predict(re=["sample"])
                                                 + crossed.coefficients[0])  # what plates and the mean account for
    raw = (data["diameter"] - data["r"]).groupby(data["sample"]).mean() + crossed.coefficients[0]
    close(start[:, 0], raw[coefficients.index].to_numpy(), SOLVED)
    rng = np.random.default_rng(2)
    g, x, z = np.repeat(np.arange(20), 8), rng.normal(size=160), rng.normal(size=160)
    effects = rng.normal(size=(3, 20))[:, g]
    fit = pm.lmer("y ~ x + (x + z | g)", {"y": effects[0] + x * effects[1] + z * effects[2]
                                          + 0.3 * rng.normal(size=160), "x": x, "z": z, "g": g})
    panels = fit.plot.shrinkage()
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in panels] == [
        ("(Intercept)", "x"), ("(Intercept)", "z"), ("x", "z")]
    close(arrows(panels[2])[1], fit.coef()["g"][["x", "z"]].to_numpy())


def test_shrinkage_from_the_population(cbpp: Any, sleep: Any) -> None:
    start, end = arrows(cbpp.plot.shrinkage())
    close(start[:, 0], np.full(15, cbpp.coefficients[0]))
    close(end[:, 0], np.sort(cbpp.coef()["herd"]["(Intercept)"].to_numpy()))
    sums = pm.CrossProducts.from_batches("Reaction ~ Days + (Days | Subject)", [pm.datasets.load("sleepstudy")])
    start, end = arrows(sums.fit().plot.shrinkage())
    close(start, np.tile(sleep.coefficients, (18, 1)), 1e-7)  # two fits of one model
    close(end, sleep.coef()["Subject"].to_numpy(), 1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_least_squares_by_level(weighted: bool) -> None:
    """Against NumPy level by level; covariates far from zero; levels whose rows do not determine the answer."""
    rng = np.random.default_rng(3)
    codes = rng.permutation(np.repeat(np.arange(9), 12)).astype(np.int32)
    x, z, r = 1e5 + rng.normal(size=108), rng.normal(size=108), rng.normal(size=108)
    weights = rng.uniform(0.2, 4.0, 108) if weighted else None
    x[codes == 4] = 7.0  # as the intercept
    z[codes == 5] = 0.0
    found = least_squares_by_level(r, (None, x, z), codes, 10, weights)
    root = np.ones(108) if weights is None else np.sqrt(weights)
    for level in range(9):
        rows = codes == level
        Z = np.column_stack([np.ones(rows.sum()), x[rows], z[rows]])
        alone = np.linalg.lstsq(root[rows, None] * Z, root[rows] * r[rows], rcond=None)[0]
        if level in (4, 5):
            assert np.isnan(found[level]).all()
        else:
            close(found[level], alone, 1e-6)  # the intercept at zero is 1e5 standard deviations of x away
    assert np.isnan(found[9]).all()  # no rows


def test_random_covariance(sleep: Any) -> None:
    ax = sleep.plot.random_covariance(levels=0.8)
    close(points(ax), sleep.random_effects["Subject"])
    around = np.column_stack(ax.lines[-1].get_data())
    covariance = sleep.params.term_covariances[0].matrix
    # a chi-squared variable of two degrees of freedom
    close(np.einsum("ni,ij,nj->n", around, np.linalg.inv(covariance), around), np.full(len(around), -2 * np.log(0.2)),
          SOLVED)
    flat = ellipse(np.array([[4.0, 2.0], [2.0, 1.0]]), 0.95)  # a perfect correlation
    close(flat[:, 0], 2.0 * flat[:, 1], 1e-7)  # the root of a rounding error


# ---- quantiles -------------------------------------------------------------------------------------------------------

def test_qq_of_residuals(sleep: Any) -> None:
    ax = sleep.plot.qq()
    theirs = stats.probplot(sleep.residuals / sleep.residual_std, fit=False)[1]
    close(points(ax)[:, 1], theirs)
    close(points(ax)[:, 0], stats.norm.ppf((np.arange(180) + 0.5) / 180))
    x, y = (np.asarray(values) for values in ax.lines[0].get_data())
    slope = (y[1] - y[0]) / (x[1] - x[0])
    quartiles = np.quantile(theirs, [0.25, 0.75])
    close(y[0] + slope * (stats.norm.ppf([0.25, 0.75]) - x[0]), quartiles)


def test_qq_of_quantile_residuals(cbpp: Any) -> None:
    ax = cbpp.plot.qq(seed=4)
    close(points(ax)[:, 1], np.sort(cbpp.resid("quantile", seed=4)))
    close(*ax.lines[0].get_data())


def test_qq_of_random_effects_has_their_variance_under_the_model(sleep: Any) -> None:
    """Var(E(b | y)) = ΣZ'V⁻¹ZΣ, here by dense matrices."""
    covariance = sleep.params.term_covariances[0].matrix
    for i, ax in enumerate(sleep.plot.qq("random")):
        standard = []
        for level, mode in enumerate(sleep.random_effects["Subject"][:, i]):
            rows = sleep._design.factors[0].codes == level
            Z = np.column_stack([np.ones(rows.sum()), sleep._design.X[rows, 1]])
            V = Z @ covariance @ Z.T + sleep.residual_variance * np.eye(rows.sum())
            standard.append(mode / np.sqrt((covariance @ Z.T @ np.linalg.solve(V, Z @ covariance))[i, i]))
        close(points(ax)[:, 1], np.sort(standard), 1e-8)  # a difference of variances against a product


def test_band_of_order_statistics() -> None:
    lower, upper = order_statistic_band(30, np.arange(1.0, 31.0), 0.9)
    close(lower, stats.norm.ppf(stats.beta.ppf(0.05, np.arange(1, 31), np.arange(30, 0, -1))), SOLVED)
    samples = np.sort(np.random.default_rng(5).normal(size=(4000, 30)), axis=1)
    outside = ((samples < lower) | (samples > upper)).mean(axis=0)
    assert np.abs(outside - 0.1).max() < 4 * np.sqrt(0.1 * 0.9 / 4000)  # four standard errors for thirty of them


# ---- residuals -------------------------------------------------------------------------------------------------------

def test_residuals_of_a_linear_model(sleep: Any, sleepstudy: pd.DataFrame) -> None:
    ax = sleep.plot.residuals()
    close(points(ax), np.column_stack([sleep.fitted_values, sleep.residuals]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Fitted Reaction", "Residual of Reaction")
    close(np.column_stack(ax.lines[-1].get_data()), np.column_stack(smooth(sleep.fitted_values, sleep.residuals)))
    close(points(sleep.plot.scale_location())[:, 1], np.sqrt(np.abs(sleep.residuals) / sleep.residual_std))
    weights = np.random.default_rng(6).uniform(0.5, 2.0, 180)
    weighted = pm.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, weights=weights)
    ax = weighted.plot.residuals()
    close(points(ax)[:, 1], weighted.residuals * np.sqrt(weights))
    assert "weight" in ax.get_ylabel()
    close(points(weighted.plot.residuals("response"))[:, 1], weighted.residuals)


def test_residuals_of_a_generalized_model(cbpp: Any) -> None:
    close(points(cbpp.plot.residuals(seed=7)),
          np.column_stack([cbpp.linear_predictor, cbpp.resid("quantile", seed=7)]))
    close(points(cbpp.plot.residuals("deviance"))[:, 1], cbpp.resid("deviance"))
    close(points(cbpp.plot.scale_location("pearson"))[:, 1], np.sqrt(np.abs(cbpp.resid("pearson"))))


@pytest.mark.parametrize("n", [3, 150, 20_001])
def test_smooth_keeps_a_line(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n)
    at, value = smooth(x, 3.0 - 2.0 * x)
    assert len(at) == min(n, BINS)
    assert (np.diff(at) >= 0).all()
    close(value, 3.0 - 2.0 * at, 1e-9)


def test_smooth_by_its_definition() -> None:
    """A weighted least squares line at each point, tricube weights over the distance of the k-th nearest."""
    rng = np.random.default_rng(8)
    x, y = np.sort(rng.uniform(-1.0, 1.0, 150).round(1)), rng.normal(size=150)
    at, value = smooth(x, y)
    close(at, x)
    for i in (0, 20, 75, 149):
        distance = np.abs(x - x[i])
        weight = np.clip(1.0 - (distance / np.sort(distance)[99]) ** 3, 0.0, None) ** 3  # 2/3 of 150
        close(value[i], np.polyval(np.polyfit(x - x[i], y, 1, w=np.sqrt(weight)), 0.0), 1e-7)
    at, value = smooth(np.repeat(5.0, 9), np.arange(9.0))
    close(value, np.full(9, 4.0))


def test_smooth_of_many_rows_is_that_of_their_means() -> None:
    rng = np.random.default_rng(9)
    x = rng.uniform(-1.0, 1.0, 50_000)
    at, value = smooth(x, x**3 + rng.normal(size=x.size))
    assert len(at) == BINS
    # five standard errors of a mean over a third of the rows, the part that the weights leave
    assert np.abs(value - smooth(x, x**3)[1]).max() < 5.0 / np.sqrt(50_000 / 3)


def test_many_rows_are_counted() -> None:
    rng = np.random.default_rng(10)
    n = MANY_ROWS + 1
    g = rng.integers(0, 50, n)
    fit = pm.lmm(rng.normal(size=50)[g] + rng.normal(size=n), np.ones((n, 1)), {"g": g})
    (hexagons,) = artists(fit.plot.residuals(), PolyCollection)
    assert hexagons.get_array().sum() == n
    assert len(points(fit.plot.residuals(s=1.0))) == n


def test_fit_without_rows() -> None:
    fit = pm.CrossProducts.from_batches("Reaction ~ Days + (Days | Subject)", [pm.datasets.load("sleepstudy")]).fit()
    for kind in ("residuals", "scale_location", "qq"):
        with pytest.raises(InputError, match="hold no rows"):
            getattr(fit.plot, kind)()
    assert plt.get_fignums() == []
    assert len(fit.plot.caterpillar()) == len(fit.plot.qq("random")) == 2


# ---- profiles --------------------------------------------------------------------------------------------------------

def test_zeta_and_limits(sleep: Any) -> None:
    profile, limits = sleep.profile(), sleep.conf_int(0.9, method="profile")
    z = stats.norm.ppf(0.95)
    for name, ax in zip(profile.parameters, profile.plot(level=0.9), strict=True):
        values, zeta = ax.lines[-1].get_data()
        close(zeta, profile.zeta(name, values), SOLVED)
        at_points = profile.values.query("parameter == @name")
        close([values[0], values[-1]], at_points["value"].agg(["min", "max"]).to_numpy(), 1e-6)
        upright = [line.get_data() for line in ax.lines if len(set(line.get_data()[1])) == 2
                   and len(set(line.get_data()[0])) == 1]
        close([x[0] for x, _ in upright], limits.loc[name].to_numpy(), 1e-6)
        close([y[1] for _, y in upright], [-z, z], 1e-6)


def test_density_integrates_to_one(sleep: Any) -> None:
    panels = sleep.plot.profile(kind="density")
    for ax in panels:
        values, density = (np.asarray(part) for part in ax.lines[-1].get_data())
        name = ax.get_xlabel()
        zeta = sleep.profile(name).zeta(name, values[[0, -1]])
        inside = float(np.diff(stats.norm.cdf(zeta))[0])
        assert inside > 0.99 or name.startswith("cor")  # a correlation's range ends
        assert abs(integrate.trapezoid(density, values) - inside) < 1e-3  # of the trapezoidal rule
        assert (density >= 0).all()


def test_density_of_a_normal_likelihood() -> None:
    values = np.linspace(-1.0, 5.0, 301)
    close(profile_density(values, (values - 2.0) / 0.7), stats.norm.pdf(values, 2.0, 0.7), 1e-9)


def test_profile_of_a_variance_at_zero() -> None:
    """Dyestuff2's batches have none: its profile has one side, and half of the density."""
    with pytest.warns(SingularFitWarning):
        fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff2"))
    ax = fit.plot.profile("sd_(Intercept)|Batch", kind="density")
    values, density = (np.asarray(part) for part in ax.lines[-1].get_data())
    assert values[0] == 0.0
    assert abs(integrate.trapezoid(density, values) - 0.5) < 0.01
    with pytest.raises(InputError, match="have no variance"):
        fit.plot.qq("random")
    close(points(fit.plot.caterpillar())[:, 0], np.zeros(6))


# ---- marginal means --------------------------------------------------------------------------------------------------

def test_emmeans(cake: Any) -> None:
    table = cake.emmeans("temperature", by="recipe", level=0.9).table
    ax = cake.plot.emmeans("temperature", by="recipe", level=0.9)
    assert ax.get_legend().get_title().get_text() == "recipe"
    for i, recipe in enumerate("ABC"):
        rows = table[table["recipe"] == recipe]
        close(points(ax, i)[:, 1], rows["emmean"].to_numpy())
        close(segments(ax, i)[:, :, 1], rows[["lower", "upper"]].to_numpy())
        assert np.abs(points(ax, i)[:, 0] - np.arange(6)).max() < 0.5
    assert [text.get_text() for text in ax.get_xticklabels()] == table["temperature"].astype(str)[:6].tolist()


def test_emmeans_at_numbers_and_on_the_scale_of_the_response(cbpp: Any, sleep: Any) -> None:
    ax = sleep.plot.emmeans("Days", at={"Days": [0, 1, 9]})
    close(points(ax), np.column_stack([[0.0, 1.0, 9.0], sleep.predict({"Days": [0, 1, 9]}, re="none")]), SOLVED)
    means = cbpp.emmeans("period", type="response")
    ax = means.plot()
    close(points(ax)[:, 1], means["response"].to_numpy())
    assert "scale" not in ax.get_ylabel()
    assert "logit scale" in cbpp.plot.emmeans("period").get_ylabel()
    slopes = sleep.emtrends((), "Days").plot()
    close(points(slopes)[0, 1], sleep.coefficients[1], SOLVED)
    assert slopes.get_ylabel().startswith("Slope of Reaction in Days")


# ---- other models, wrong input ---------------------------------------------------------------------------------------

def test_models_of_other_kinds() -> None:
    """Zero inflation, fast fits, several terms on a factor, arrays, aliased columns, offsets: all kinds draw."""
    rng = np.random.default_rng(9)
    g, x = np.repeat(np.arange(15), 10), rng.normal(size=150)
    eta = 0.5 + 0.4 * rng.normal(size=15)[g] + (0.3 + 0.4 * rng.normal(size=15)[g]) * x
    y = rng.poisson(np.exp(eta)) * (rng.uniform(size=150) > 0.2)
    data = {"y": y, "x": x, "twice": 2 * x, "g": g, "o": np.full(150, 0.1)}
    with pytest.warns(RankDeficiencyWarning):
        aliased = pm.lmer("y ~ x + twice + (1 | g) + (0 + x | g)", data, offset="o")
    fits = [pm.glmer("y ~ x + (1 | g)", data, family="poisson", zi="~ 1"),
            pm.glmer("y ~ x + (1 | g)", data, family="poisson", n_agq=0), aliased,
            pm.lmm(y.astype(float), np.column_stack([np.ones(150), x]), {"g": g})]
    for fit in fits:
        for kind in ("caterpillar", "shrinkage", "qq", "residuals", "scale_location"):
            panels = np.ravel(getattr(fit.plot, kind)())
            panels[0].figure.canvas.draw()
            assert np.isfinite(points(panels[0])).all()
            plt.close("all")
    close(arrows(aliased.plot.shrinkage())[1], aliased.coef()["g"][["(Intercept)", "x"]].to_numpy())
    with pytest.raises(InputError, match="n_agq=0"):
        fits[1].plot.profile("x")


@pytest.mark.parametrize(("kind", "options", "message"), [
    ("caterpillar", {"group": "Batch"}, "group: expected one of 'Subject', got 'Batch'"),
    ("caterpillar", {"term": "day"}, r"term: expected one of '\(Intercept\)', 'Days', got 'day'"),
    ("caterpillar", {"level": 1.5}, "level: expected a number between 0 and 1, got 1.5"),
    ("caterpillar", {"order": "day"}, r"order: expected one of '\(Intercept\)', 'Days', got 'day'"),
    ("caterpillar", {"order": 1}, "order: expected True, False or the name of a column, got 1"),
    ("shrinkage", {"group": "Batch"}, "group: expected one of 'Subject', got 'Batch'"),
    ("random_covariance", {"levels": [0.5, 2]}, "level: expected a number between 0 and 1, got 2"),
    ("qq", {"kind": "ranef"}, "kind: expected one of 'residuals', 'random', got 'ranef'"),
    ("qq", {"term": "Days"}, "term: expected None with kind='residuals', got 'Days'"),
    ("residuals", {"kind": "quantile"}, "kind: expected one of 'response', 'pearson', got 'quantile'"),
    ("profile", {"kind": "curve"}, "kind: expected one of 'zeta', 'density', got 'curve'"),
    ("profile", {"parameters": "day"}, "parameters: expected names among"),
    ("emmeans", {"specs": "day"}, "specs"),
])
def test_wrong_input_is_named_before_a_figure_is_made(sleep: Any, kind: str, options: dict[str, Any],
                                                      message: str) -> None:
    with pytest.raises(PymixedError, match=message):
        getattr(sleep.plot, kind)(**options)
    assert plt.get_fignums() == []


def test_covariance_needs_two_columns(crossed: Any) -> None:
    with pytest.raises(InputError, match=r"term of two columns or more, got \(Intercept\) \| plate, \(Intercept\) \|"):
        crossed.plot.random_covariance()
