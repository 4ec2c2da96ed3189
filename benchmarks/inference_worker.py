"""One process of the benchmark of inference: does a task with a model fitted by pymixed, prints what it took as JSON.

    python benchmarks/inference_worker.py MODEL TASK REPLICATES FOLDER

FOLDER holds the model's table. Fitting does not count, and every repetition has a fit of its own, because a solution
keeps what it has computed. TASK is a key of `TASKS`, or "threads": the bootstrap with one and with two threads.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from cases import CASES, Case

if TYPE_CHECKING:
    import pandas as pd

MIN_SECONDS = 1.0
LONG_SECONDS = 10.0  # what takes longer is not repeated within a process
THREAD_ROUNDS = 5


# ---- tasks -----------------------------------------------------------------------------------------------------------


def every_coefficient(solution: Any, ddf: str) -> Any:
    return solution.contrast(np.eye(solution.coefficients.size), ddf=ddf)


# What is timed, of a solution and a number of replicates.
TASKS: dict[str, Callable[[Any, int], Any]] = {
    "bootstrap": lambda solution, n: solution.bootstrap(n, seed=1),
    "profile": lambda solution, _: solution.profile(),
    "profile_intervals": lambda solution, _: solution.conf_int(method="profile"),
    "kenward_roger": lambda solution, _: every_coefficient(solution, "kenward-roger"),
    "satterthwaite": lambda solution, _: every_coefficient(solution, "satterthwaite"),
    "anova": lambda solution, _: solution.anova(),
    "means": lambda solution, _: solution.emmeans("btype").pairs(),
}

# Numbers of its result in an order that the peer's can be brought into.
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "bootstrap": lambda _: [],
    "profile": lambda result: np.sort(result.conf_int().to_numpy(), axis=None),
    "profile_intervals": lambda result: np.sort(result.to_numpy(), axis=None),
    "kenward_roger": lambda result: result[["se", "df"]].to_numpy().ravel("F"),
    "satterthwaite": lambda result: result[["se", "df"]].to_numpy().ravel("F"),
    "anova": lambda result: result[["F value", "DenDF"]].to_numpy().ravel("F"),
    "means": lambda result: result.to_pandas()[["estimate", "SE", "df", "p"]].to_numpy().ravel("F"),
}


# ---- measuring -------------------------------------------------------------------------------------------------------


def fitter(case: Case, table: pd.DataFrame) -> Callable[[], Any]:
    import pymixed as pm

    if case.linear:
        return lambda: pm.lmer(case.formula, table, compute_satterthwaite=False)
    return lambda: pm.glmer(case.formula, table, family=case.family)


def repeat(fit: Callable[[], Any], task: Callable[[Any], Any], count: int) -> tuple[float, float, Any]:
    """Seconds of wall and of CPU that the task takes per repetition, and the last result."""
    total_wall = total_cpu = 0.0
    for _ in range(count):
        solution = fit()
        wall, cpu = time.perf_counter(), time.process_time()
        result = task(solution)
        total_wall, total_cpu = total_wall + time.perf_counter() - wall, total_cpu + time.process_time() - cpu
    return total_wall / count, total_cpu / count, result


def measure(fit: Callable[[], Any], name: str, replicates: int) -> dict[str, object]:
    """Seconds per task or replicate, peak memory after the fit (bytes), numbers of the result."""

    def task(solution: Any) -> Any:
        return TASKS[name](solution, replicates)

    fit()
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu, result = repeat(fit, task, 1)
    if wall < LONG_SECONDS:  # that was to load and to warm
        count = 1
        while True:
            wall, cpu, result = repeat(fit, task, count)
            if count * wall >= MIN_SECONDS:
                break
            count = max(2 * count, int(1.2 * MIN_SECONDS / wall))
    numbers = np.asarray(NUMBERS[name](result), float)
    return {"wall": wall / replicates, "cpu": cpu / replicates, "fit_memory": memory, "numbers": numbers.tolist()}


def measure_threads(solution: Any, replicates: int) -> dict[str, object]:
    """Medians of the wall time with one thread and with two, which take turns, and whether all bits agree."""
    reference = solution.bootstrap(replicates, seed=1)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    identical = True
    for _ in range(THREAD_ROUNDS):
        for n_threads, walls in seconds.items():
            wall = time.perf_counter()
            found = solution.bootstrap(replicates, seed=1, n_threads=n_threads)
            walls.append(time.perf_counter() - wall)
            identical &= all(
                getattr(found, name).tobytes() == getattr(reference, name).tobytes()
                for name in ("coefficients", "se", "theta", "extra", "objective", "status")
            )
    return {"one": median(seconds[1]), "two": median(seconds[2]), "identical": identical}


def main(model: str, task: str, replicates: str, folder: str) -> None:
    import pandas as pd

    warnings.simplefilter("ignore")
    fit = fitter(CASES[model], pd.read_pickle(Path(folder) / f"{model}.pkl"))
    threads = task == "threads"
    print(json.dumps(measure_threads(fit(), int(replicates)) if threads else measure(fit, task, int(replicates))))


if __name__ == "__main__":
    main(*sys.argv[1:])
