"""Fits to all responses, in pieces: here or on the user's engine, with progress, until Ctrl-C or a limit of time."""
from __future__ import annotations

import time
import uuid
import warnings
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._common import Array
from .._executors import AnyExecutor, PerProcess, run_on
from .._inference.progress import piece_size, progress_bar
from .._solution import parameter_vector
from ..errors import InputError, InterruptedWarning
from .jobs import BlockFitter, FitArrays, Job
from .responses import Block, Responses

WARM = "warm"


class Task(NamedTuple):
    """A piece of work that can be sent to another process."""

    fitter: PerProcess[BlockFitter]
    block: Block
    start: Array


class Done(NamedTuple):
    """A finished piece, with the time that it took."""

    arrays: FitArrays
    seconds: float


def work(task: Task) -> Done:
    """Do a piece of work."""
    fitter = task.fitter.get()
    begun = time.perf_counter()
    arrays = fitter.fit(task.block, task.start)
    return Done(arrays, time.perf_counter() - begun)


def check_start(start: object) -> None:
    """Refuse a text that says nothing."""
    if isinstance(start, str) and start != WARM:
        raise InputError(f"start: expected None, {WARM!r} or an array, got {start!r}")


class Run:
    """Fits of a model to all responses.

    Parameters
    ----------
    job : Job
        The model.
    responses : Responses
    start : "warm", array_like or None
        As `pymixed.fit_many` takes it.
    executor : Executor, str or None
        None: here.
    time_limit : float or None
        Seconds after which no piece is begun.
    """

    def __init__(self, job: Job, responses: Responses, start: str | ArrayLike | None, executor: AnyExecutor | None,
                 time_limit: float | None) -> None:
        self._job, self._responses, self._executor, self._time_limit = job, responses, executor, time_limit
        self._fitter = PerProcess(uuid.uuid4().hex, job)
        self.fitter = self._fitter.get()  # refuses here, not in another process, what the core refuses
        self._warm = isinstance(start, str)
        self._start = np.empty(0)  # each its own
        if start is not None and not self._warm:
            names = chain(*job.parameters(job.theta_names, self.fitter.coefficient_names, job.extra_names))
            self._start = parameter_vector("start", start, tuple(names))
        self._n_threads = job.options.n_threads or 1
        self._size, self._stopped = self._n_threads, ""

    def __call__(self, progress: bool) -> FitArrays:
        """The fits; warns, on behalf of its caller's caller's caller, if they are not all."""
        done: list[FitArrays] = []
        n_done = 0
        tasks = self._tasks()
        results = map(work, tasks) if self._executor is None else run_on(self._executor, work, tasks)
        with progress_bar(self._responses.n_total, "fit", progress) as advance:
            try:
                for arrays, seconds in results:
                    done.append(arrays)
                    n_done += len(arrays.status)
                    self._size = max(piece_size(len(arrays.status), seconds), self._n_threads)
                    advance(len(arrays.status))
            except KeyboardInterrupt:
                if not done:
                    raise
                self._stopped = "interrupted"
            finally:
                del results  # cancels what has not begun
        n_known = len(self._responses.names)
        if self._stopped:
            read = "" if self._responses.n_total is not None else " that were read"
            warnings.warn(InterruptedWarning(
                f"{self._stopped} after {n_done} of {n_known} responses{read}; what was done is returned"),
                stacklevel=4)
        done.append(self.fitter.nothing(n_known - n_done))
        return FitArrays(*map(np.concatenate, zip(*done, strict=True)))

    def _tasks(self) -> Iterator[Task]:
        """Pieces, cut as they are taken: of a size that suits the time which those before them took."""
        deadline = np.inf if self._time_limit is None else time.perf_counter() + self._time_limit
        for block in self._responses.blocks():
            if self._warm:
                self._start, self._warm = self._estimates(block.part(0, 1)), False
            count, first = len(block.names), 0
            while first < count:
                if time.perf_counter() > deadline:
                    self._stopped = f"stopped by the time limit of {self._time_limit:g} s"
                    return
                stop = min(first + self._size, count)
                yield Task(self._fitter, block.part(first, stop), self._start)
                first = stop

    def _estimates(self, block: Block) -> Array:
        """Parameters of a fit to one response, from which others can start; none if it fails."""
        found = self.fitter.fit(block, self._start)
        return self._start if found.status[0] else self._job.start(found)
