"""Cross-products summed by workers: threads, processes, joblib and dask give what one process gives."""

import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import dask.bag
import dask.dataframe
import joblib
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster
from streams import cut
from test_crossproducts import FRAME, TIGHT, assert_equal

import pymixed as pm
from pymixed.errors import InputError, InputTypeError, MemoryLimitError, WorkerError

FORMULA = "y ~ scale(x) + f + (x | g) + (1 | h)"
PIECES = cut(FRAME, 11)


@functools.cache
def whole() -> Any:
    return pm.lmer(FORMULA, FRAME, tol=TIGHT)


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


# ---- executors -------------------------------------------------------------------------------------------------------

def test_workers_give_what_one_process_gives(processes: Executor, client: Any) -> None:
    objectives = set()
    with ThreadPoolExecutor(3) as threads:
        for executor in (threads, processes, client.get_executor(), "loky", "threading"):
            cp = pm.CrossProducts.from_batches(FORMULA, PIECES, executor=executor)
            fit = cp.fit(tol=TIGHT)
            assert_equal(fit, whole())
            objectives.add(fit.params.objective)
    with joblib.parallel_config(n_jobs=1):
        objectives.add(pm.CrossProducts.from_batches(FORMULA, PIECES, executor="loky").fit(tol=TIGHT).params.objective)
    assert len(objectives) == 1  # bit by bit, whatever the number of workers


def test_workers_read_their_own_files(processes: Executor, tmp_path: Path) -> None:
    for i, piece in enumerate(PIECES):
        piece.to_parquet(tmp_path / f"part{i:02}.parquet", index=False)
    cp = pm.CrossProducts.from_batches(FORMULA, tmp_path, executor=processes, batch_size=30)
    assert_equal(cp.fit(tol=TIGHT), whole())
    PIECES[4].assign(x=np.inf).to_parquet(tmp_path / "part04.parquet", index=False)
    with pytest.raises(InputError, match="file 5, batch 1: column 'x': expected finite values"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", tmp_path, executor=processes, batch_size=30)


def test_batches_of_a_generator_go_to_workers(processes: Executor) -> None:
    cp = pm.CrossProducts.from_batches("y ~ x + (1 | g)", iter(PIECES), executor=processes)
    assert_equal(cp.fit(tol=TIGHT), pm.lmer("y ~ x + (1 | g)", FRAME, tol=TIGHT))


def test_errors_of_workers_name_the_batch(processes: Executor) -> None:
    bad = [*PIECES[:3], PIECES[3].assign(x="text"), *PIECES[4:]]
    with pytest.raises(InputTypeError, match="batch 4: column 'x': expected numbers as before, got strings"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", bad, executor=processes)


def test_a_limit_that_a_worker_meets_is_said_by_every_engine(processes: Executor, client: Any) -> None:
    for executor in (processes, client.get_executor(), "loky"):
        with pytest.raises(MemoryLimitError, match=r"'g': expected at most 3 levels .max_levels., got 4"):
            pm.CrossProducts.from_batches("y ~ x + (1 | g)", PIECES, max_levels=3, executor=executor)


def deadly() -> Callable[[], Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Deadly(pd.DataFrame):
    """A table that kills the process that it comes to."""

    def __reduce__(self) -> Any:
        return deadly, ()


def test_a_lost_worker_is_an_error_and_nothing_is_left_half_done() -> None:
    cp = pm.CrossProducts.from_batches("y ~ x + (1 | g)", PIECES[:2])
    with (ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor,
          pytest.raises(WorkerError, match="a worker was lost")):
        cp += pm.CrossProducts.from_batches("y ~ x + (1 | g)", [*PIECES[2:4], Deadly(PIECES[4])], executor=executor)
    assert cp.n_obs == sum(map(len, PIECES[:2]))


def test_what_is_no_executor() -> None:
    with pytest.raises(InputTypeError, match="executor"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", PIECES, executor=3)  # type: ignore[arg-type]


# ---- dask ------------------------------------------------------------------------------------------------------------

@pytest.mark.usefixtures("client")
def test_dask_collections_on_a_cluster() -> None:
    for data in (dask.dataframe.from_pandas(FRAME, npartitions=5), dask.bag.from_sequence(PIECES, npartitions=4),
                 [dask.delayed(piece) for piece in PIECES], [dask.delayed(list)(PIECES)]):
        assert_equal(pm.CrossProducts.from_dask(FORMULA, data).fit(tol=TIGHT), whole())
        declared = pm.CrossProducts.from_dask(FORMULA, data, state=FRAME, max_levels=30)
        assert_equal(declared.fit(tol=TIGHT), whole())


def test_dask_without_a_cluster() -> None:
    with dask.config.set(scheduler="threads"):
        cp = pm.CrossProducts.from_dask(FORMULA, [dask.delayed(piece) for piece in PIECES])
    assert_equal(cp.fit(tol=TIGHT), whole())


@pytest.mark.usefixtures("client")
def test_errors_of_partitions_are_named() -> None:
    bad = [dask.delayed(piece) for piece in (*PIECES[:3], PIECES[3].assign(x=np.inf))]
    with pytest.raises(InputError, match="partition 4: column 'x': expected finite values"):
        pm.CrossProducts.from_dask("y ~ x + (1 | g)", bad)
    with pytest.raises(InputTypeError, match="data: expected a dask DataFrame"):
        pm.CrossProducts.from_dask("y ~ x + (1 | g)", PIECES)


def killed(piece: pd.DataFrame) -> pd.DataFrame:
    os.kill(os.getpid(), signal.SIGKILL)
    return piece


def test_a_lost_worker_of_dask_is_an_error() -> None:
    with (dask.config.set({"distributed.scheduler.allowed-failures": 0}),
          LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
          Client(cluster), pytest.raises(WorkerError, match="a worker was lost")):
        pm.CrossProducts.from_dask("y ~ x + (1 | g)", [dask.delayed(PIECES[0]), dask.delayed(killed)(PIECES[1])])


@pytest.mark.parametrize(("module", "use"), [
    ("dask.delayed", lambda: pm.CrossProducts.from_dask("y ~ x + (1 | g)", [])),
    ("joblib", lambda: pm.CrossProducts.from_batches("y ~ x + (1 | g)", PIECES, executor="loky")),
    ("pyarrow.dataset", lambda: pm.CrossProducts.from_batches("y ~ x + (1 | g)", "somewhere"))])
def test_what_needs_another_package_says_so(module: str, use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=f"needs the package {module.split('.')[0]}"):
        use()
