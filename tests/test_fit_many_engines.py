"""fit_many stopped early, and on the user's engines."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from many_cases import assert_same_bits, counts, crossed, in_blocks, sleepstudy

import pymixed as pm
from pymixed._many import responses, running
from pymixed.errors import InterruptedWarning, WorkerError


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two responses of sleepstudy and pieces of one."""
    monkeypatch.setattr(responses, "BLOCK_VALUES", 2 * 180)
    monkeypatch.setattr(responses, "FEWEST_COLUMNS", 1)
    monkeypatch.setattr(running, "piece_size", lambda *_: 1)


# ---- stopping early --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pieces")
def test_ctrl_c_returns_what_is_done(monkeypatch):
    case = sleepstudy(7)
    fits, calls = case.many(), []
    work = running.work

    def interrupted(task: running.Task) -> running.Done:
        calls.append(task)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return work(task)

    monkeypatch.setattr(running, "work", interrupted)
    with pytest.warns(InterruptedWarning, match="^interrupted after 4 of 7 responses; what was done is returned$") as w:
        some = case.many(df="satterthwaite")
    assert w[0].filename.endswith("many_cases.py")  # where fit_many_arrays is called
    np.testing.assert_array_equal(some.objective[:4], fits.objective[:4])
    assert some.to_pandas()["status"].tolist() == ["success"] * 4 + ["interrupted"] * 3
    assert not some.converged[4:].any()
    assert np.isnan(some.df[4:]).all()
    assert (some.n_obs[4:] == 0).all()


@pytest.mark.usefixtures("small_pieces")
def test_ctrl_c_on_an_iterator():
    case = sleepstudy(9)

    def blocks() -> Iterator[np.ndarray]:
        yield case.Y[:, :3]
        yield case.Y[:, 3:5]
        raise KeyboardInterrupt

    with pytest.warns(InterruptedWarning, match="^interrupted after 5 of 5 responses that were read;"):
        fits = case.many(blocks())
    assert_same_bits(case.many(), fits, slice(5))


def test_ctrl_c_before_anything_is_done(monkeypatch):
    monkeypatch.setattr(running, "work", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        sleepstudy(3).many()


@pytest.mark.usefixtures("small_pieces")
def test_the_time_limit(monkeypatch):
    case = sleepstudy(40)
    work = running.work
    monkeypatch.setattr(running, "work", lambda task: (time.sleep(0.02), work(task))[1])
    with pytest.warns(InterruptedWarning, match=r"stopped by the time limit of 0\.1 s after \d of 40 responses"):
        fits = case.many(time_limit=0.1)
    n = int(fits.converged.sum())
    assert 1 <= n <= 6
    assert len(fits) == 40
    assert (fits.status[n:] == fits.statuses.index("interrupted")).all()


def test_the_progress_bar_counts_responses(capsys):
    case = sleepstudy(30)
    case.many(progress=True)
    assert "30/30" in capsys.readouterr().err
    case.many(in_blocks(case.Y, 10, 10, 10), progress=True)
    assert "30fit" in capsys.readouterr().err
    case.many()
    assert capsys.readouterr() == ("", "")


# ---- engines ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with (LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as local,
          Client(local) as client):
        yield client


@pytest.mark.parametrize("make", [sleepstudy, crossed, counts])
@pytest.mark.parametrize("engine", ["processes", "threads", "loky", "threading", "dask", "joblib on dask"])
def test_engines_do_not_change_a_bit(engine, make, request):
    case = make(60)
    case.Y[::7, ::5] = np.nan
    options: dict[str, Any] = {} if case.family else {"df": "satterthwaite"}
    fits = case.many(**options)
    executor: Executor | str = engine
    if engine == "processes":
        executor = request.getfixturevalue("processes")
    elif engine == "threads":
        executor = ThreadPoolExecutor(2)
    elif engine.endswith("dask"):
        client = request.getfixturevalue("cluster")
        executor = client.get_executor() if engine == "dask" else "dask"
    assert_same_bits(fits, case.many(executor=executor, n_threads=2, **options))
    assert_same_bits(fits, case.many(in_blocks(case.Y, 25, 35), executor=executor, start=None, **options))


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def test_an_engine_with_weights_rows_left_out_and_a_warm_start(processes):
    case, data = sleepstudy(30), pm.datasets.load("sleepstudy")
    data["Days"] = data["Days"].where(data["Days"] != 3)
    weights = np.random.default_rng(5).uniform(1.0, 2.0, case.Y.shape)
    with pytest.warns(pm.errors.MissingValuesWarning):
        here, there = (pm.fit_many("~ Days + (Days | Subject)", data, case.Y, weights=weights, offset="Days",
                                   start="warm", executor=executor) for executor in (None, processes))
    assert_same_bits(here, there)


def test_a_time_limit_on_an_engine(processes, monkeypatch):
    monkeypatch.setattr(running, "piece_size", lambda *_: 1)
    case = sleepstudy(400)
    with pytest.warns(InterruptedWarning):
        fits = case.many(executor=processes, time_limit=0.05)
    n = int(fits.converged.sum())
    assert n < 400
    assert fits.converged[:n].all()


def test_ctrl_c_on_an_engine(monkeypatch):
    case = sleepstudy(50)
    monkeypatch.setattr(running, "piece_size", Mock(side_effect=[1, 1, KeyboardInterrupt]))
    with ThreadPoolExecutor(2) as pool, pytest.warns(InterruptedWarning, match="interrupted after 3 of 50"):
        fits = case.many(executor=pool)
    assert fits.converged.sum() == 3


def log_density(y: Any, eta: Any) -> Any:
    """Poisson; fatal in a worker."""
    if parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return y * eta - np.exp(eta)


def score(y: Any, eta: Any) -> Any:
    return y - np.exp(eta)


def curvature(_: Any, eta: Any) -> Any:
    return -np.exp(eta)


def initial(y: Any) -> Any:
    return np.log(y + 0.5)


def test_a_killed_worker_is_an_error():
    case, family = counts(3), pm.families.Custom(log_density, score, curvature, curvature, initial_predictor=initial)
    with (ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
          pytest.raises(WorkerError, match="executor: a worker was lost, with item 0")):
        pm.fit_many_arrays(case.Y, case.X, case.groups, family=family, executor=pool)


def test_a_family_that_does_not_pickle_stays_in_one_process(processes):
    family = pm.families.Custom(log_density, score, curvature, curvature, initial_predictor=lambda y: np.log(y + 0.5))
    case = counts(3)
    fits = pm.fit_many_arrays(case.Y, case.X, case.groups, family=family)
    expected = case.many().coefficients
    np.testing.assert_allclose(fits.coefficients, expected, atol=1e-6)
    with pytest.raises(Exception, match=r"(?i)pickle"):
        pm.fit_many_arrays(case.Y, case.X, case.groups, family=family, executor=processes)
