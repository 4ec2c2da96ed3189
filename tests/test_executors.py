"""Work on the user's engines: order, laziness, bounds, lost workers; threads, processes, joblib and dask."""

import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest

from pymixed._executors import PerProcess, run_on
from pymixed.errors import InputError, InputTypeError, WorkerError


def slow_square(x: int) -> int:
    """The first items take longest."""
    time.sleep(0.01 * max(0, 5 - x))
    return x * x


def fail_at_three(x: int) -> int:
    if x == 3:
        raise ZeroDivisionError("three")
    return x


def die_at_three(x: int) -> int:
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def process_and_value(value: PerProcess[float]) -> tuple[int, float]:
    return os.getpid(), value.get()


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def cluster() -> Iterator[Executor]:
    from distributed import Client, LocalCluster

    with (LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as local,
          Client(local) as client):
        yield client.get_executor()


@pytest.fixture(params=["threads", "processes", "loky", "threading", "dask", "joblib on dask"])
def engine(request) -> Iterator[Executor | str]:
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param == "dask":
        yield request.getfixturevalue("cluster")
    elif request.param == "joblib on dask":
        request.getfixturevalue("cluster")
        yield "dask"
    else:
        yield request.getfixturevalue("processes") if request.param == "processes" else request.param


def test_results_come_in_the_order_of_the_items(engine):
    assert list(run_on(engine, slow_square, range(12))) == [x * x for x in range(12)]


def test_an_exception_of_the_function_passes_through(engine):
    results = run_on(engine, fail_at_three, range(6), window=1)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="three"):
        next(results)


@pytest.mark.parametrize("engine", ["threads", "threading"], indirect=True)
@pytest.mark.parametrize("window", [1, 3])
def test_items_are_read_as_results_are_taken(engine, window):
    read = []
    results = run_on(engine, slow_square, (read.append(x) or x for x in range(100)), window)
    assert read == []
    for taken, _ in zip(range(1, 20), results, strict=False):
        assert len(read) <= taken + window
    results.close()
    assert len(read) < 30


def test_an_exception_of_the_items_passes_through_and_cancels():
    calls = []
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield from range(5)
        raise KeyboardInterrupt

    def work(x: int) -> int:
        gate.wait(10)
        calls.append(x)
        return x

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            list(run_on(pool, work, items(), window=10))
        gate.set()
    assert calls == [0]  # only that which had begun


def test_what_has_not_begun_is_cancelled_when_the_caller_stops():
    calls = []
    with ThreadPoolExecutor(1) as pool:
        results = run_on(pool, lambda x: calls.append(x) or time.sleep(0.05) or x, range(50), window=20)
        assert next(results) == 0
        results.close()
    assert len(calls) < 5


def test_a_killed_process_is_a_worker_error():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(WorkerError, match=re.escape("a worker was lost, with item 3 (BrokenProcessPool")):
            list(run_on(pool, die_at_three, range(6), window=1))
        with pytest.raises(WorkerError, match=re.escape("with item 0 (BrokenProcessPool")):
            list(run_on(pool, slow_square, range(6)))  # the pool stays broken


@pytest.mark.filterwarnings("ignore:A worker stopped:UserWarning")
def test_a_killed_process_of_joblib_is_a_worker_error():
    with pytest.raises(WorkerError, match=r"a worker was lost, with item 3 \(TerminatedWorkerError"):
        list(run_on("loky", die_at_three, range(6), window=1))
    assert list(run_on("loky", slow_square, range(3))) == [0, 1, 4]  # another pool


def test_a_killed_process_of_dask_is_a_worker_error():
    from dask import config
    from distributed import Client, LocalCluster

    with (config.set({"distributed.scheduler.allowed-failures": 0}),
          LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as local,
          Client(local, set_as_default=False) as client,
          pytest.raises(WorkerError, match=r"a worker was lost, with item 3 \(KilledWorker")):
        list(run_on(client.get_executor(), die_at_three, range(6), window=1))


def test_an_executor_that_cancels_is_a_worker_error():
    pool = ThreadPoolExecutor(1)
    gate = threading.Event()
    results = run_on(pool, lambda x: gate.wait(10) and x, range(1, 4), window=3)
    threading.Timer(0.05, lambda: (pool.shutdown(wait=False, cancel_futures=True), gate.set())).start()
    assert next(results) == 1
    with pytest.raises(WorkerError, match=r"with item 1 or one of the 1 after it \(CancelledError"):
        next(results)


def test_a_value_is_made_once_in_a_process(engine):
    value = PerProcess(f"a random number for {engine!r}", partial(time.perf_counter))
    found = list(run_on(engine, process_and_value, [pickle.loads(pickle.dumps(value)) for _ in range(12)]))
    assert len(set(found)) == len({process for process, _ in found})


def test_bad_executors_are_refused():
    with pytest.raises(InputTypeError, match=r"executor: expected a concurrent\.futures\.Executor, .* got 3"):
        run_on(3, slow_square, [])
    with pytest.raises(InputError, match="executor: expected a joblib backend that can be used, got 'lokki': "):
        run_on("lokki", slow_square, [])
