"""What a bootstrap's result computes, against NumPy; merging, files, interruptions, and what is refused."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bootstrap_models import assert_same_bits, counts, generalized, quiet, resampler_of, responses_of
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import pymixed as pm
from pymixed import Bootstrap, _core
from pymixed.errors import InputError, InputTypeError, InterruptedWarning

Array = NDArray[Any]


@pytest.fixture(scope="module")
def sleep() -> Any:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def boot(sleep: Any) -> Bootstrap:
    return sleep.bootstrap(200, seed=5)


@pytest.fixture(scope="module")
def arms() -> Any:
    """Two treatments of two clusters each: a draw of one treatment alone says nothing of its effect."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(4), 12)
    frame = pd.DataFrame({"g": g, "arm": (g > 1).astype(float)})
    frame["y"] = frame.arm + rng.normal(size=4)[g] + rng.normal(size=48)
    return quiet(pm.lmer, "y ~ arm + (1 | g)", frame)


@pytest.fixture(scope="module")
def failing(arms: Any) -> Bootstrap:
    return arms.bootstrap(200, kind="cluster", seed=1)


# ---- failures --------------------------------------------------------------------------------------------------------

def test_failed_fits_are_rows_with_a_status(failing: Bootstrap) -> None:
    # 2 (1/2)^4 of the draws are of one arm; the binomial standard error of their share is 0.023
    assert abs(failing.n_failed / 200 - 0.125) < 5 * 0.0234
    assert {failing.statuses[code] for code in failing.status[failing.failed]} == {
        "columns of X depend on others in the rows that were drawn"}
    for name in ("values", "coefficients", "se", "theta", "extra", "objective"):
        values = getattr(failing, name)
        assert np.isnan(values[failing.failed]).all()
        assert np.isfinite(values[~failing.failed]).all()
    assert repr(failing).endswith(f"200 cluster replicates, {failing.n_failed} failed>")
    table = failing.to_pandas()
    assert (table["status"] == "success").sum() == 200 - failing.n_failed
    good = failing.values[~failing.failed]
    assert_allclose(failing.summary()["se"], good.std(axis=0, ddof=1), rtol=1e-12)
    assert_allclose(failing.conf_int(), np.quantile(good, [0.025, 0.975], axis=0, method="weibull").T, rtol=1e-12)
    slopes = failing.map(lambda r: r.coefficients[1])
    assert np.array_equal(np.isnan(slopes), failing.failed)


def test_a_limit_of_evaluations_is_a_failure_unless_nothing_is_left_to_gain(sleep: Any) -> None:
    fit = quiet(pm.lmer, "Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"), max_iter=4)
    found = fit.bootstrap(100, seed=1)
    assert 0 < found.n_failed < 100
    assert {found.statuses[code] for code in found.status[found.failed]} == {
        "the limit of evaluations was reached before convergence"}
    assert np.isnan(found.values[found.failed]).all()
    whole = resampler_of(sleep).fit(responses_of(fit, 100, seed=1), 1)
    good = ~found.failed
    assert np.max(found.objective[good] - whole.objective[good]) < 4e-6  # a certified minimum: 2e-6 by a quadratic
    assert np.max(np.abs(found.coefficients[good] - whole.coefficients[good]) / whole.se[good]) < 2e-3


def test_where_nothing_succeeded(failing: Bootstrap) -> None:
    rows = np.flatnonzero(failing.failed)
    lost = replace(failing, **{name: getattr(failing, name)[rows] for name in (
        "values", "coefficients", "se", "theta", "extra", "objective", "status", "n_evaluations", "seed", "number")})
    assert lost.n_failed == len(lost) == len(rows)
    with pytest.raises(InputError, match=r"conf_int: expected at least two replicates that did not fail, got 0"):
        lost.conf_int()
    with pytest.raises(InputError, match=r"map: expected a replicate that did not fail, got none"):
        lost.map(lambda r: r.number)
    assert lost.summary()[["bias", "se"]].isna().all(axis=None)


def test_responses_that_cannot_be_fitted(sleep: Any) -> None:
    design = sleep._design
    Y = np.column_stack([design.y, np.full(design.n, 3.7), design.X @ [250.0, 10.0], design.y])
    found = resampler_of(sleep).fit(Y, 1)
    assert [sleep.bootstrap(1).statuses[code][:20] for code in found.status] == [
        "success", "a factorisation brok", "a factorisation brok", "success"]
    assert found.coefficients[0].tobytes() == found.coefficients[3].tobytes()
    assert np.isnan(found.coefficients[1:3]).all()
    with pytest.raises(ValueError, match=r"Y: expected 180 rows, got 179"):
        resampler_of(sleep).fit(Y[:-1], 1)


# ---- what it computes ------------------------------------------------------------------------------------------------

def test_names_and_estimates_are_those_of_the_fit(sleep: Any, boot: Bootstrap) -> None:
    assert boot.names == ("(Intercept)", "Days", "sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject",
                          "sd_Days|Subject", "sigma")
    matrix = sleep.params.term_covariances[0].matrix
    sd = np.sqrt(np.diag(matrix))
    assert_allclose(boot.estimates, [*sleep.coefficients, sd[0], matrix[0, 1] / sd.prod(), sd[1], sleep.residual_std],
                    rtol=1e-12)
    assert_allclose(boot.estimates_se, sleep.se, rtol=1e-6)
    assert boot.kind == "parametric"
    assert repr(boot) == f"<Bootstrap of {sleep!r}: 200 parametric replicates>"


def test_values_follow_from_theta(boot: Bootstrap) -> None:
    for k in range(0, 200, 17):
        a, b, c = boot.theta[k]
        L = boot.extra[k, 0] * np.array([[a, 0.0], [b, c]])
        V = L @ L.T
        expected = [*boot.coefficients[k], np.sqrt(V[0, 0]), V[0, 1] / np.sqrt(V[0, 0] * V[1, 1]), np.sqrt(V[1, 1]),
                    boot.extra[k, 0]]
        assert_allclose(boot.values[k], expected, rtol=1e-10)


def test_tables_are_the_arrays(boot: Bootstrap) -> None:
    table = boot.to_pandas()
    assert table.columns.tolist() == [*boot.names, "log_likelihood", "status"]
    assert table.index.name == "replicate"
    assert table.index.tolist() == list(range(200))
    assert np.array_equal(table[list(boot.names)].to_numpy(), boot.values)
    assert_allclose(table["log_likelihood"], -0.5 * boot.objective)
    summary = boot.summary()
    assert_allclose(summary["estimate"], boot.estimates)
    assert_allclose(summary["bias"], boot.values.mean(axis=0) - boot.estimates, rtol=1e-9)
    assert_allclose(summary["se"], boot.values.std(axis=0, ddof=1), rtol=1e-12)


def test_map_gives_any_function(boot: Bootstrap) -> None:
    ratios = boot.map(lambda r: r.parameters["Days"] / r.parameters["sigma"])
    assert_allclose(ratios, boot.values[:, 1] / boot.values[:, 5])
    rows = boot.map(lambda r: [r.number, r.log_likelihood, *r.coefficients, *r.se, *r.theta, *r.extra])
    assert rows.shape == (200, 10)
    assert_allclose(rows, np.column_stack([boot.number, -0.5 * boot.objective, boot.coefficients, boot.se, boot.theta,
                                           boot.extra]))
    with pytest.raises(InputError, match=r"function: expected values of the same shape, got \(\) and \(2,\)"):
        boot.map(lambda r: r.coefficients if r.number % 2 else 1.0)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_intervals_are_their_definitions(boot: Bootstrap, level: float) -> None:
    tails = [0.5 - level / 2, 0.5 + level / 2]
    low, high = np.quantile(boot.values, tails, axis=0, method="weibull")
    assert_allclose(boot.conf_int(level), np.column_stack([low, high]), rtol=1e-12)
    basic = boot.conf_int(level, "basic")
    assert_allclose(basic, np.column_stack([2 * boot.estimates - high, 2 * boot.estimates - low]), rtol=1e-12)
    t = (boot.coefficients - boot.estimates[:2]) / boot.se
    t_low, t_high = np.quantile(t, tails, axis=0, method="weibull")
    studentized = boot.conf_int(level, "studentized")
    assert studentized.index.tolist() == ["(Intercept)", "Days"]
    assert_allclose(studentized, np.column_stack([boot.estimates[:2] - t_high * boot.estimates_se,
                                                  boot.estimates[:2] - t_low * boot.estimates_se]), rtol=1e-12)
    shortest = boot.conf_int(level, "shortest")
    for name, values in zip(boot.names, boot.values.T, strict=True):
        lower, upper = shortest.loc[name]
        held = round(level * 200)
        assert ((values >= lower) & (values <= upper)).sum() == held
        ordered = np.sort(values)
        assert upper - lower == min(ordered[i + held - 1] - ordered[i] for i in range(200 - held + 1))


def test_shortest_holds_no_more_than_it_must(boot: Bootstrap) -> None:
    some = replace(boot, values=boot.values[:100], status=boot.status[:100])
    lower, upper = some.conf_int(0.07, "shortest").loc["Days"]
    assert ((some.values[:, 1] >= lower) & (some.values[:, 1] <= upper)).sum() == 7  # 0.07 * 100 > 7 in binary


def test_intervals_of_some_parameters(boot: Bootstrap) -> None:
    for method in ("percentile", "basic", "studentized", "shortest"):
        whole = boot.conf_int(method=method)
        assert boot.conf_int(method=method, parameters="Days").equals(whole.loc[["Days"]])
        assert boot.conf_int(method=method, parameters=("Days", "(Intercept)")).equals(
            whole.loc[["Days", "(Intercept)"]])
    with pytest.raises(InputError, match=r"parameters: expected .*, got 'sigma'"):
        boot.conf_int(method="studentized", parameters="sigma")
    with pytest.raises(InputError, match=r"parameters: expected .*, got 'day'"):
        boot.conf_int(parameters="day")
    with pytest.raises(InputError, match=r"method: expected .*, got 'bca'"):
        boot.conf_int(method="bca")
    for level in (0.0, 1.0, np.nan, 95):
        with pytest.raises(InputError, match=r"level: expected a number between 0 and 1"):
            boot.conf_int(level)
    with pytest.raises(InputTypeError, match=r"level: expected a number between 0 and 1, got '0.95'"):
        boot.conf_int("0.95")  # type: ignore[arg-type]


def test_studentized_intervals_of_generalized_models_take_standard_errors_of_one_kind() -> None:
    fit = generalized("negative_binomial1")
    found = fit.bootstrap(2, seed=1)
    assert np.abs(found.estimates_se / fit.se - 1).max() > 0.05  # the fit's own are of the joint Hessian
    again = quiet(pm.glmer, "over ~ x + (1 | g)", counts(), family="negative_binomial1", se="rx")
    assert_allclose(found.estimates_se, again.se, rtol=1e-5)


def test_correlations_that_do_not_exist_are_left_out() -> None:
    fit = generalized("binomial, trials")
    found = fit.bootstrap(100, seed=1)
    where = found.names.index("cor_x.(Intercept)|g")
    values = found.values[:, where]
    assert 0 < np.isnan(values).sum() < 100
    assert found.n_failed == 0
    assert_allclose(found.conf_int().iloc[where], np.nanquantile(values, [0.025, 0.975], method="weibull"))
    assert_allclose(found.summary()["se"].iloc[where], np.nanstd(values, ddof=1))


# ---- merging and files -----------------------------------------------------------------------------------------------

def test_merging(sleep: Any, boot: Bootstrap) -> None:
    more = sleep.bootstrap(100, seed=5, first=200) + sleep.bootstrap(10, seed=6)
    both = boot + more
    assert len(both) == 310
    assert both.number.tolist() == [*range(300), *range(10)]
    assert both.seed.tolist() == [5] * 300 + [6] * 10
    assert np.array_equal(both.values[:200], boot.values)
    assert_allclose(both.conf_int(), np.quantile(both.values, [0.025, 0.975], axis=0, method="weibull").T)
    with pytest.raises(InputError, match=r"got 50 of them twice"):
        boot + sleep.bootstrap(50, seed=5, first=150)
    with pytest.raises(InputError, match=r"\+: expected replicates of the same fit"):
        boot + sleep.bootstrap(5, kind="residual", seed=1)
    other = pm.lmer("Reaction ~ Days + (1 | Subject)", pm.datasets.load("sleepstudy"))
    with pytest.raises(InputError, match=r"\+: expected replicates of the same fit"):
        boot + other.bootstrap(5, seed=1)
    data = pm.datasets.load("sleepstudy")
    moved = pm.lmer("Reaction ~ Days + (Days | Subject)", data.assign(Reaction=data.Reaction + 1))
    with pytest.raises(InputError, match=r"\+: expected replicates of the same fit"):
        boot + moved.bootstrap(5, seed=1)
    with pytest.raises(TypeError):
        boot + 1  # type: ignore[operator]


def test_files_and_pickles_keep_every_bit(boot: Bootstrap, failing: Bootstrap, tmp_path: Path) -> None:
    merged = failing + replace(failing, number=failing.number + 1000)
    for one in (boot, failing, merged):
        for path in (tmp_path / "replicates.pmx", tmp_path / "without an ending"):
            one.save(path)
            assert_same_bits(Bootstrap.load(path), one)
            assert_same_bits(Bootstrap.load(str(path)), one)
        back = pickle.loads(pickle.dumps(one))
        assert_same_bits(back, one)
        assert back.conf_int().equals(one.conf_int())
    assert (Bootstrap.load(path) + replace(merged, number=merged.number + 5000)).n_failed == 2 * merged.n_failed


def test_spoilt_files_are_refused(sleep: Any, tmp_path: Path) -> None:
    small, path = sleep.bootstrap(2, seed=1), tmp_path / "spoilt"
    small.save(path)
    whole = path.read_bytes()
    message = r"path: expected replicates that Bootstrap\.save wrote, whole and unchanged, got '.*spoilt'"
    for size in (0, 1, 10, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=message):
            Bootstrap.load(path)
    for at in range(0, len(whole), 11):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        with pytest.raises(InputError, match="path: expected replicates"):
            Bootstrap.load(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    message = r"path: expected replicates that Bootstrap\.save wrote"
    path.write_text("replicate,Days\n0,1.0\n")
    with pytest.raises(InputError, match=message):
        Bootstrap.load(path)
    format_1 = np.array([1])
    for content in ({"a": np.ones(3)}, {"format": format_1}, {"format": format_1, "header": "[1]"},
                    {"format": "1", "header": "{}"}, {"format": format_1, "header": "{}"}):
        path.write_bytes(_core.pack(content))
        with pytest.raises(InputError, match=message):
            Bootstrap.load(path)
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(InputError, match=message):
        Bootstrap.load(path)
    with path.open("wb") as file:
        pickle.dump({"a": 1}, file)
    with pytest.raises(InputError, match=message):
        Bootstrap.load(path)
    path.write_bytes(_core.pack({"format": np.array([99]), "header": "{}"}))
    with pytest.raises(InputError, match=r"path: expected replicates in format 1, got 99; a newer version"):
        Bootstrap.load(path)
    with pytest.raises(FileNotFoundError):
        Bootstrap.load(tmp_path / "none")
    with pytest.raises(OSError, match=r"irectory|denied"):
        Bootstrap.load(tmp_path)


# ---- interruption and progress ---------------------------------------------------------------------------------------

def test_ctrl_c_returns_what_is_done(sleep: Any, boot: Bootstrap, monkeypatch: pytest.MonkeyPatch) -> None:
    from pymixed._refits import LinearResampler

    draw, calls = LinearResampler.draw, []

    def interrupted(self: Any, plan: Any, first: int, count: int) -> Any:
        calls.append(count)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(self, plan, first, count)

    monkeypatch.setattr(LinearResampler, "draw", interrupted)
    with pytest.warns(InterruptedWarning, match=r"interrupted after \d+ of 200") as caught:
        part = sleep.bootstrap(200, seed=5)
    assert caught[0].filename == __file__
    assert 0 < len(part) == sum(calls[:2]) < 200
    assert np.array_equal(part.values, boot.values[:len(part)])
    rest = sleep.bootstrap(200 - len(part), seed=5, first=len(part))
    assert_same_bits(part + rest, boot)
    calls[:] = [0, 0]
    with pytest.raises(KeyboardInterrupt):  # nothing is done yet
        sleep.bootstrap(200, seed=5)


def test_progress_shows_a_bar_and_changes_nothing(sleep: Any, boot: Bootstrap,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    assert_same_bits(sleep.bootstrap(200, seed=5, progress=True), boot)
    shown = capsys.readouterr()
    assert "200/200" in shown.err
    assert not shown.out


# ---- refusals --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "error", "message"), [
    ({"kind": "cases"}, InputError, r"kind: expected .*'cluster'.*, got 'cases'"),
    ({"kind": None}, InputError, r"kind: expected"),
    ({"n": 0}, InputError, r"n: expected a positive integer, got 0"),
    ({"n": -3}, InputError, r"n: expected a positive integer, got -3"),
    ({"n": 2.5}, InputTypeError, r"n: expected a positive integer, got 2.5"),
    ({"n": True}, InputTypeError, r"n: expected a positive integer, got True"),
    ({"seed": -1}, InputError, r"seed: expected an integer of at least 0, got -1"),
    ({"seed": 2**64}, InputError, r"seed: expected an integer below 2\*\*64"),
    ({"seed": 1.0}, InputTypeError, r"seed: expected an integer of at least 0, got 1.0"),
    ({"first": -1}, InputError, r"first: expected an integer of at least 0, got -1"),
    ({"first": 2**63}, InputError, r"first: expected replicates below"),
    ({"first": 2**63 - 5, "n": 6}, InputError, r"first: expected replicates below 9223372036854775807, got 6 from"),
    ({"n_threads": 0}, InputError, r"n_threads: expected a positive integer, got 0"),
    ({"n_threads": 2**40}, InputError, r"n_threads: expected at most 1024"),
    ({"n_threads": "2"}, InputTypeError, r"n_threads: expected a positive integer, got '2'"),
    ({"cluster": "Subject"}, InputError, r"cluster: expected None for a parametric bootstrap"),
    ({"cluster": "Subject", "kind": "residual"}, InputError, r"cluster: expected None for a residual bootstrap"),
    ({"cluster": "Days", "kind": "cluster"}, InputError, r"cluster: expected a grouping factor of the model"),
    ({"cluster": np.arange(5), "kind": "cluster"}, InputError, r"cluster: expected 180 labels, one per row, got 5"),
    ({"cluster": np.zeros(180), "kind": "cluster"}, InputError, r"cluster: expected at least two clusters"),
    ({"cluster": np.arange(180), "kind": "cluster"}, InputError, r"cluster: expected clusters that hold all rows of"),
])
def test_wrong_arguments(sleep: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sleep.bootstrap(**options)


def test_crossed_factors_need_a_coarser_grouping(penicillin: pd.DataFrame) -> None:
    fit = pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)
    with pytest.raises(InputError, match=r"'plate' is not nested in 'sample'"):
        fit.bootstrap(5, kind="cluster")
    with pytest.raises(InputError, match=r"cluster: expected clusters that hold all rows of a level of 'plate'"):
        fit.bootstrap(5, kind="cluster", cluster="sample")


def test_residuals_of_generalized_models_are_refused() -> None:
    with pytest.raises(InputError, match=r"kind: expected 'parametric' or 'cluster' for a generalized"):
        generalized("poisson").bootstrap(5, kind="residual")


def test_custom_families_have_clusters_alone() -> None:
    family = pm.families.Custom(
        lambda y, eta: y * eta - np.exp(eta), lambda y, eta: y - np.exp(eta), lambda _, eta: -np.exp(eta),
        lambda _, eta: -np.exp(eta), initial_predictor=lambda y: np.log(y + 0.5), name="by hand")
    by_hand = quiet(pm.glmer, "count ~ x + (1 | g)", counts(), family=family)
    message = r"family: expected one of the package's own to simulate responses from, got Custom\(name='by hand'\)"
    with pytest.raises(InputError, match=message):
        by_hand.bootstrap(5)
    with pytest.raises(InputError, match=message):
        pm.pbtest(quiet(pm.glmer, "count ~ 1 + (1 | g)", counts(), family=family), by_hand, n=5)
    ours = quiet(pm.glmer, "count ~ x + (1 | g)", counts(), family="poisson")
    one = by_hand.bootstrap(10, kind="cluster", seed=1, n_threads=2)
    other = ours.bootstrap(10, kind="cluster", seed=1)
    assert one.n_failed == 0
    assert_allclose(one.coefficients, other.coefficients, rtol=1e-5, atol=1e-7)
    assert_same_bits(one, by_hand.bootstrap(10, kind="cluster", seed=1))


def test_a_seed_is_drawn_and_kept(sleep: Any) -> None:
    one = sleep.bootstrap(3)
    assert len(set(one.seed.tolist())) == 1
    assert not np.array_equal(one.values, sleep.bootstrap(3).values)
    assert_same_bits(one, sleep.bootstrap(3, seed=int(one.seed[0])))


def test_a_pickled_fit_draws_the_same(sleep: Any, boot: Bootstrap) -> None:
    assert_same_bits(pickle.loads(pickle.dumps(sleep)).bootstrap(200, seed=5), boot)
