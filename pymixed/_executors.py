"""Work spread over the threads, processes or machines of an engine that the user brings."""
from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from ._adapters import is_a
from .errors import InputError, InputTypeError, WorkerError

T = TypeVar("T")
R = TypeVar("R")

AnyExecutor: TypeAlias = Executor | str

TASKS_PER_WORKER = 3  # in flight: the next is there when one ends, and few are waited for after an interruption
_KEPT = 2             # values of `PerProcess` that a process keeps


def check_executor(executor: object) -> None:
    """Refuse what is neither an executor nor a name of one of joblib's backends."""
    if not isinstance(executor, (Executor, str)):
        raise InputTypeError("executor: expected a concurrent.futures.Executor, such as ProcessPoolExecutor() or "
                             "dask's client.get_executor(), or the name of a joblib backend ('loky', 'threading', "
                             f"'dask', 'ray'), got {executor!r}")
    if isinstance(executor, str):
        _parallel(executor)


def run_on(executor: AnyExecutor, function: Callable[[T], R], items: Iterable[T],
           window: int | None = None) -> Iterator[R]:
    """Results of the function, in the order of the items.

    Parameters
    ----------
    executor : Executor or str
        As for `check_executor`. Its workers stay the user's; a joblib backend has as many as the user's
        `joblib.parallel_config` says, else all that it can have.
    function : callable
        Of one item; it and the items are pickled where the workers are other processes.
    items : iterable
        May be lazy: it is read, in the caller's thread, as results are taken.
    window : int, optional
        Most items in flight; by default a few per worker.

    Returns
    -------
    iterator
        What has not begun is cancelled when it is closed.

    Raises
    ------
    WorkerError
        A worker was lost. Exceptions of the function and of the items pass through.
    """
    check_executor(executor)
    return (_on_joblib(executor, function, items, window) if isinstance(executor, str)
            else _on_executor(executor, function, items, window))


def _on_executor(executor: Executor, function: Callable[[T], R], items: Iterable[T],
                 window: int | None) -> Iterator[R]:
    window = window or TASKS_PER_WORKER * _n_workers(executor)
    pending: deque[Future[R]] = deque()
    done = 0
    try:
        for item in items:
            if len(pending) == window:
                yield _result(pending.popleft(), done, len(pending))
                done += 1
            try:
                pending.append(executor.submit(function, item))
            except BrokenExecutor as error:
                _lost(done, len(pending), error)
        while pending:
            yield _result(pending.popleft(), done, len(pending))
            done += 1
    finally:
        for future in pending:
            future.cancel()


def _result(future: Future[R], number: int, n_others: int) -> R:
    try:
        return future.result()
    except (BrokenExecutor, CancelledError) as error:
        _lost(number, n_others, error)
    except Exception as error:
        if is_a(error, "distributed", "scheduler.KilledWorker"):
            _lost(number, n_others, error)
        raise


def _lost(number: int, n_others: int, error: BaseException) -> NoReturn:
    others = f" or one of the {n_others} after it" if n_others else ""
    raise WorkerError(f"executor: a worker was lost, with item {number}{others} ({type(error).__name__}: {error}); it "
                      "may have run out of memory") from error


def _n_workers(executor: Executor) -> int:
    """How many tasks run at once: what the executor tells, or one for each of this machine's processors."""
    client: Any = getattr(executor, "_client", None)  # dask's
    told = sum(client.ncores().values()) if hasattr(client, "ncores") else getattr(executor, "_max_workers", None)
    return int(told or os.cpu_count() or 1)


# ---- joblib ----------------------------------------------------------------------------------------------------------

def _parallel(backend: str) -> tuple[Any, int]:
    """The engine of joblib, with all workers that it can have unless the user said how many, and their number."""
    try:
        import joblib
    except ImportError:
        raise InputError(f"executor: the backend {backend!r} needs the package joblib") from None
    said = joblib.Parallel().n_jobs
    try:
        with joblib.parallel_config(backend, n_jobs=-1 if said == 1 else said):
            return joblib.Parallel(batch_size=1, max_nbytes=None), joblib.effective_n_jobs(None)
    except (ImportError, ValueError) as error:
        raise InputError(f"executor: expected a joblib backend that can be used, got {backend!r}: {error}") from None


def _on_joblib(backend: str, function: Callable[[T], R], items: Iterable[T], window: int | None) -> Iterator[R]:
    """One list of items after another, which every backend can do and which bounds what is in flight."""
    from joblib import delayed

    engine, n_workers = _parallel(backend)
    window = window or TASKS_PER_WORKER * n_workers
    with engine as parallel:
        remaining = iter(items)
        done = 0
        while batch := list(islice(remaining, window)):
            try:
                results = parallel(delayed(function)(item) for item in batch)
            except BrokenExecutor as error:  # loky's TerminatedWorkerError is one
                _lost(done, len(batch) - 1, error)
            except Exception as error:
                if is_a(error, "distributed", "scheduler.KilledWorker"):
                    _lost(done, len(batch) - 1, error)
                raise
            done += len(batch)
            yield from results


# ---- what a worker keeps ---------------------------------------------------------------------------------------------

_made: OrderedDict[str, Any] = OrderedDict()
_making = threading.Lock()


@dataclass(frozen=True)
class PerProcess(Generic[T]):
    """A value that is made once in every process that asks for it, however often this is pickled.

    Attributes
    ----------
    token : str
        Names the value in all processes.
    make : callable
        Makes it, without arguments; picklable.
    """

    token: str
    make: Callable[[], T]

    def get(self) -> T:
        """The value; the few last used ones are kept."""
        with _making:
            value: T = _made[self.token] if self.token in _made else self.make()
            _made[self.token] = value
            _made.move_to_end(self.token)
            while len(_made) > _KEPT:
                _made.popitem(last=False)
            return value
