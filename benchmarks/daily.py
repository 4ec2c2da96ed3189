"""Benchmark what is done with a fitted model every day: ``python benchmarks/daily.py``.

Predictions, simulated responses, leverages, deletion of groups, several optimisers, model files: pymixed against lme4
where R is there. Each engine is a process of its own on one thread; CPU seconds, medians over the rounds, as Markdown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from run import HERE, ONE_THREAD, TABLES, available_engines, markdown, seconds

ROUNDS = 3
CASES = {  # data set, formula, factor whose groups are deleted
    "sleepstudy": ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "Subject"),
    "insteval": ("insteval", "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)", "s"),
}
TASKS = {
    "predict": "predict for the rows of the data",
    "predict_se": "the same with standard errors",
    "interval": "10 rows with prediction intervals",
    "simulate": "100 responses",
    "leverage": "leverage of every row",
    "deletion": "delete each group, theta held",
    "refits": "delete each group and fit again",
    "allfit": "all optimisers",
    "save": "write the model file",
    "load": "read it and predict 10 rows",
}
ONCE = ("refits", "allfit", "deletion")


def cpu(task: Callable[[], object], once: bool) -> float:
    """CPU seconds of a task, repeated for a second after a first time; or of the first time."""
    if not once:
        task()
    start, runs = time.process_time(), 0
    while True:
        task()
        runs += 1
        spent = time.process_time() - start
        if once or spent > 1.0:
            return spent / runs


def work(name: str) -> dict[str, float | None]:
    """The tasks done by pymixed."""
    import pymixed as pm

    dataset, formula, group = CASES[name]
    table = pm.datasets.load(dataset)
    fit = pm.lmer(formula, table)
    small = fit.n_groups[group] < 100
    path = Path(tempfile.mkdtemp()) / "model.pmx"
    fit.save(path)
    tasks: dict[str, Callable[[], object]] = {
        "predict": lambda: fit.predict(table), "predict_se": lambda: fit.predict(table, se=True),
        "interval": lambda: fit.predict(table[:10], interval="prediction"),
        "simulate": lambda: fit.simulate(100, seed=1), "leverage": fit.leverage,
        "save": lambda: fit.save(path), "load": lambda: pm.load(path).predict(table[:10])}
    if small:
        tasks |= {"deletion": lambda: fit.influence(group), "refits": lambda: fit.influence(group, refit=True),
                  "allfit": fit.allfit}
    found: dict[str, float | None] = {task: cpu(run, task in ONCE) for task, run in tasks.items()}
    return {**found, "bytes": float(path.stat().st_size)}


def run_once(engine: str, name: str) -> dict[str, Any]:
    dataset, formula, group = CASES[name]
    command = ([sys.executable, __file__, "--worker", name] if engine == "pymixed" else
               ["Rscript", HERE / "daily.R", TABLES / f"daily_{dataset}.csv", formula, group])
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    import pymixed as pm

    engines = ["pymixed", *(engine for engine in available_engines() if engine == "lme4")]
    TABLES.mkdir(exist_ok=True)
    rows = []
    for name, (dataset, _, _) in CASES.items():
        pm.datasets.load(dataset).to_csv(TABLES / f"daily_{dataset}.csv", index=False)
        runs: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
        for _ in range(ROUNDS):
            for engine in engines:
                print(f"{name}, {engine} ...", file=sys.stderr, flush=True)
                runs[engine].append(run_once(engine, name))
        for task, described in TASKS.items():
            times = {engine: [run[task] for run in done if run.get(task) is not None] for engine, done in runs.items()}
            ours, theirs = (median(times[engine]) if times.get(engine) else None for engine in ("pymixed", "lme4"))
            if ours is not None:
                rows.append([name, described, seconds(ours), "" if theirs is None else seconds(theirs),
                             "" if theirs is None else f"{theirs / ours:.3g}"])
        sizes = [runs[engine][0]["bytes"] if engine in runs else None for engine in ("pymixed", "lme4")]
        shown = ["" if size is None else f"{size / 1e3:.0f} kB" for size in sizes]
        rows.append([name, "size of the file", *shown, "" if sizes[1] is None else f"{sizes[1] / sizes[0]:.3g}"])
    print(markdown(["case", "task", "pymixed", "lme4", "ratio"], rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(sys.argv[2])))
    else:
        main()
