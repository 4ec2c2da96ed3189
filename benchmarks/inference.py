"""Benchmark pymixed's inference against R: ``python benchmarks/inference.py [MODEL[:TASK] ...]``.

The peers are lme4 (bootstrap, profiles), lmerTest (Satterthwaite's degrees of freedom), pbkrtest (Kenward and Roger's)
and emmeans (marginal means); those that are not installed are left out. Every measurement is a process of its own on
one thread, pymixed and the peer in turn; medians over the rounds are printed as Markdown. A process that needs more
than CPU_SECONDS or MEMORY_BYTES is ended and reported as not done.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
from statistics import median
from typing import Any

import numpy as np
from cases import CASES
from inference_cases import GOAL_THREADS, INFERENCES, THREADS, Inference
from inference_worker import LONG_SECONDS
from run import HERE, ONE_THREAD, ROUNDS, TABLES, at_least, markdown, seconds

CPU_SECONDS = 120  # of a process, with its fit
MEMORY_BYTES = 8 * 10**9  # of address space
LONG_ROUNDS = 2  # where the task takes longer than LONG_SECONDS

Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "cases",
        nargs="*",
        metavar="CASE",
        help=f"a model, MODEL:TASK, or 'threads' (default: all); of {', '.join(INFERENCES)}",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of short tasks (default: {ROUNDS})")
    options = parser.parse_args()
    known = {"threads", *INFERENCES, *(case.model for case in INFERENCES.values())}
    unknown = set(options.cases) - known
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    chosen = set(options.cases or known)
    cases = [case for case in INFERENCES.values() if chosen & {case.name, case.model}]
    installed = installed_packages({case.peer for case in cases})
    rows = []
    for case in cases:
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        rows.append(row(case, *run_case(case, case.peer in installed, options.rounds)))
    if rows:
        print(markdown(HEADER, rows))
    if "threads" in chosen:
        print()
        print(threads_table())


def installed_packages(wanted: set[str]) -> set[str]:
    """Which of these R packages there are; the others are named on the standard error."""
    found = set()
    for package in sorted(wanted):
        try:
            subprocess.run(["Rscript", "-e", f"library({package}); library(lme4)"], check=True, capture_output=True)
            found.add(package)
        except (FileNotFoundError, subprocess.CalledProcessError):
            print(f"R with {package} is not installed: left out.", file=sys.stderr)
    return found


# ---- measuring -------------------------------------------------------------------------------------------------------


def run_case(case: Inference, with_peer: bool, rounds: int) -> tuple[Run, Run | None]:
    """Medians of pymixed's runs and of the peer's."""
    prepare(case.model)
    ours: list[Run] = []
    theirs: list[Run] = []
    for _ in range(rounds):
        for command, done in ((worker(case), ours), *([(peer(case), theirs)] if with_peer else [])):
            ended = bool(done) and "failure" in done[0]
            long = bool(done) and not ended and duration(case, done) > LONG_SECONDS
            if not ended and not (long and len(done) >= LONG_ROUNDS):
                done.append(run_once(command))
        if "failure" in ours[0]:
            raise SystemExit(f"pymixed failed on {case.name}: {ours[0]['failure']}")
    return medians(ours), medians(theirs) if theirs else None


def duration(case: Inference, done: list[Run]) -> float:
    """Seconds of the whole task in its first run."""
    return done[0]["wall"] * (case.peer_replicates if done[0]["peer"] else case.replicates)


def prepare(model: str) -> None:
    TABLES.mkdir(exist_ok=True)
    subprocess.run([sys.executable, HERE / "prepare.py", model, TABLES], check=True)


def worker(case: Inference) -> list[str]:
    return [sys.executable, str(HERE / "inference_worker.py"), case.model, case.task, str(case.replicates), str(TABLES)]


def peer(case: Inference) -> list[str]:
    model = CASES[case.model]
    return [
        "Rscript",
        str(HERE / "inference.R"),
        case.task,
        str(case.peer_replicates),
        model.formula,
        str(TABLES / f"{case.model}.rds"),
        model.family,
    ]


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def run_once(command: list[str]) -> Run:
    """What a worker reports and the peak memory of its process (bytes); ``failure`` says why there is no result."""
    environment = {**os.environ, **ONE_THREAD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, preexec_fn=limit) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    found: Run = {"peer": command[0] == "Rscript", "memory": 1024 * usage.ru_maxrss}
    if process.returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        return found | {"failure": f"not done after {CPU_SECONDS} s"}
    if process.returncode != 0:
        return found | {"failure": f"exit code {process.returncode}"}
    found |= json.loads(output)
    if "failure" in found:
        print(f"  {found['failure']}", file=sys.stderr)
        found["failure"] = f"an error with {MEMORY_BYTES / 1e9:g} GB"
    return found


def medians(runs: list[Run]) -> Run:
    """Medians of the numbers; the other values are those of the last run."""
    middle = {key: median(run[key] for run in runs) for key in ("wall", "cpu", "memory") if key in runs[0]}
    return runs[-1] | middle | {"rounds": len(runs)}


# ---- tables ----------------------------------------------------------------------------------------------------------

HEADER = [
    "model",
    "inference",
    "peer",
    "pymixed CPU",
    "peer CPU",
    "times faster",
    "goal",
    "largest difference",
    "peak MB, pymixed (of the fit)",
    "peer",
    "rounds",
]


def row(case: Inference, ours: Run, theirs: Run | None) -> list[str]:
    per = " (a replicate)" if case.task == "bootstrap" else ""
    goal = "; ".join(filter(None, [at_least(case.goal), case.goal_seconds and f"under {case.goal_seconds:g} s"]))
    cells = [case.model, case.task.replace("_", " ") + per, case.peer, seconds(ours["cpu"])]
    if theirs is None:
        return [*cells, "", "", goal, "", memory(ours), "", f"{ours['rounds']}"]
    if "failure" in theirs:
        return [*cells, theirs["failure"], "", goal, "", memory(ours), memory(theirs), f"{ours['rounds']}, 1"]
    agreement = "" if case.task == "bootstrap" else difference(ours["numbers"], theirs["numbers"])  # random numbers
    rounds = [ours["rounds"], *([theirs["rounds"]] if theirs["rounds"] != ours["rounds"] else [])]
    return [
        *cells,
        seconds(theirs["cpu"]),
        f"{theirs['cpu'] / ours['cpu']:.3g}",
        goal,
        agreement,
        memory(ours),
        memory(theirs),
        ", ".join(map(str, rounds)),
    ]


def memory(run: Run) -> str:
    fit = f" ({run['fit_memory'] / 1e6:.0f})" if "fit_memory" in run else ""
    return f"{run['memory'] / 1e6:.0f}{fit}"


def difference(ours: list[float], theirs: list[float]) -> str:
    """Largest relative difference between the results."""
    a, b = np.array(ours), np.array(theirs)
    if a.shape != b.shape:
        return f"{a.size} against {b.size} numbers"
    return f"{np.max(np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))):.0e}"


def threads_table() -> str:
    header = ["model", "replicates", "wall, one thread", "wall, two threads", "times faster", "goal", "same bits"]
    rows = []
    for model, replicates in THREADS.items():
        print(f"{model}, threads ...", file=sys.stderr, flush=True)
        prepare(model)
        run = run_once(
            [sys.executable, str(HERE / "inference_worker.py"), model, "threads", str(replicates), str(TABLES)]
        )
        if "failure" in run:
            raise SystemExit(f"pymixed failed on {model}: {run['failure']}")
        rows.append(
            [
                model,
                f"{replicates:,}",
                seconds(run["one"]),
                seconds(run["two"]),
                f"{run['one'] / run['two']:.3g}",
                at_least(GOAL_THREADS),
                "yes" if run["identical"] else "no",
            ]
        )
    return markdown(header, rows)


if __name__ == "__main__":
    main()
