"""The parametric bootstrap likelihood-ratio test: against fits one by one, its definitions, and refusals."""
from typing import Any

import numpy as np
import pytest
from reference_cases import load
from scipy import stats

import pymixed as pm
from pymixed._inference.progress import in_pieces
from pymixed.errors import InputError, InterruptedWarning, RefitWarning

# pbkrtest 0.5-2 with lme4 1.1-31, PBmodcomp(large, small, nsim = 2000) after set.seed(1), of the two models below. The
# Monte-Carlo standard error is sqrt(0.28 * 0.72 / 2000) = 0.010.
PBKRTEST = {"PBtest": 0.2844, "Bartlett": 0.2782, "Gamma": 0.2790}


SINGULAR = pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")


@pytest.fixture(scope="module")
def oats() -> tuple[Any, Any]:
    frame = load("oats_split_plot").frame
    return tuple(pm.lmer(f"yield ~ {fixed} + (1 | Block/Variety)", frame, reml=False)
                 for fixed in ("nitro", "nitro + Variety"))


def test_agrees_with_pbkrtest(oats: tuple[Any, Any]) -> None:
    table = pm.pbtest(*oats, n=4000, seed=1).table
    for name, theirs in PBKRTEST.items():
        assert abs(table.loc[name, "p"] - theirs) < 4 * np.sqrt(0.28 * 0.72 * (1 / 2000 + 1 / 4000))
    assert table.loc["LRT", "p"] == pytest.approx(0.2100, abs=5e-5)


@SINGULAR
def test_statistics_are_those_of_separate_fits(oats: tuple[Any, Any]) -> None:
    small, large = oats
    test = pm.pbtest(small, large, n=6, seed=3)
    resampler = small._engine.resampler(small._design, small._model_point())
    responses = resampler.responses(pm._inference.resampling.make_plan(small._design, "parametric", 3, None, 1), 0, 6)
    frame = load("oats_split_plot").frame
    for k, y in enumerate(responses.T):
        null, full = (pm.lmer(f"y ~ {fixed} + (1 | Block/Variety)", frame.assign(y=y), reml=False)
                      for fixed in ("nitro", "nitro + Variety"))
        # criteria of about 600 that two starts find to 1e-9 of it
        assert test.reference[k] == pytest.approx(null.params.objective - full.params.objective, abs=1e-6)


def test_does_not_depend_on_threads_and_pieces(oats: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    one = pm.pbtest(*oats, n=50, seed=4).reference
    assert np.array_equal(one, pm.pbtest(*oats, n=50, seed=4, n_threads=2).reference)
    monkeypatch.setattr("pymixed._inference.pbtest.LARGEST_PIECE", 3 * oats[0].n_obs)
    assert np.array_equal(one, pm.pbtest(*oats, n=50, seed=4).reference)


def test_table_follows_its_definitions(oats: tuple[Any, Any]) -> None:
    test = pm.pbtest(*oats, n=300, seed=5)
    table, T, t = test.table, test.reference, test.statistic
    assert test.df == 2
    assert test.p_value == (1 + (t <= T).sum()) / 301 == table.loc["PBtest", "p"]
    assert table.loc["Bartlett", "p"] == pytest.approx(stats.chi2.sf(t * 2 / T.mean(), 2), rel=1e-12)
    scale = T.var(ddof=1) / T.mean()
    assert table.loc["Gamma", "p"] == pytest.approx(stats.gamma.sf(t, T.mean() / scale, scale=scale), rel=1e-12)


@SINGULAR
def test_a_variance_of_zero_gives_no_evidence() -> None:
    """Where both models fit alike every simulated statistic is as large, up to rounding."""
    case = load("dyestuff2_singular").frame.assign(other=np.tile(["a", "b"], 15))
    small = pm.lmer("Yield ~ 1 + (1 | Batch)", case, reml=False)
    large = pm.lmer("Yield ~ 1 + (1 | Batch) + (1 | other)", case, reml=False)
    test = pm.pbtest(small, large, n=200, seed=1)
    assert test.statistic == pytest.approx(0.0, abs=1e-8)
    assert test.p_value == 1.0


def test_generalized_models() -> None:
    cbpp = pm.datasets.load("cbpp")
    small, large = (pm.glmer(f"cbind(incidence, size - incidence) ~ {fixed} + (1 | herd)", cbpp)
                    for fixed in ("1", "period"))
    test = pm.pbtest(small, large, n=400, seed=2)
    assert test.n_failed == 0
    assert test.p_value == 1 / 401
    # chi-squared with three degrees of freedom holds roughly: mean 3 with standard error sqrt(6 / 400)
    assert test.reference.mean() == pytest.approx(3.0, abs=0.6)


def test_reml_fits_are_fitted_again() -> None:
    data = pm.datasets.load("sleepstudy")
    small, large = (pm.lmer(f"Reaction ~ Days + ({slope} | Subject)", data) for slope in ("1", "Days"))
    with pytest.warns(RefitWarning, match="2 of 2"):
        test = pm.pbtest(small, large, n=20, seed=1)
    assert test.statistic == pytest.approx(42.139298, abs=1e-5)


def test_refusals(oats: tuple[Any, Any]) -> None:
    small, large = oats
    for call, message in [
            (lambda: pm.pbtest(large, small, n=10), "m0: expected a special case of m1"),
            (lambda: pm.pbtest(small, small, n=10), "m0: expected a special case of m1"),
            (lambda: pm.pbtest(small, large, n=0), "n: expected a positive integer"),
            (lambda: pm.pbtest(small, large, seed=-1), "seed: expected"),
            (lambda: pm.pbtest(small, pm.lmer("Reaction ~ Days + (1 | Subject)", pm.datasets.load("sleepstudy"))),
             "different rows")]:
        with pytest.raises(InputError, match=message):
            call()


def test_an_interrupted_test_keeps_what_is_done() -> None:
    def work(first: int, count: int) -> tuple[int, int]:
        if first > 0:
            raise KeyboardInterrupt
        return first, count

    with pytest.warns(InterruptedWarning, match="after 1 of 9"):
        assert in_pieces(work, 9, False) == [(0, 1)]
