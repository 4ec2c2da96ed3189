"""Benchmark pymixed against R's lme4 and the Python package glmm: ``python benchmarks/run.py [CASE ...]``.

Every fit runs in a process of its own, on one thread, the engines in turn (so that a change of the machine's load
meets all of them); the medians over the rounds are printed as Markdown. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from cases import CASES, Case
from worker import ENGINES

HERE = Path(__file__).parent
TABLES = HERE / "tables"

ROUNDS = 5
LONG_SECONDS, LONG_ROUNDS = 20, 2  # a fit longer than this is not repeated as often

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)

Measurement = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of short cases (default: {ROUNDS})")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    engines = available_engines()
    results = {}
    for name in options.cases or CASES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = run_case(CASES[name], engines, options.rounds)
    print(measurements_table(results))
    print()
    print(ratios_table(results))


def available_engines() -> list[str]:
    engines = ["pymixed, formula", "pymixed, arrays"]
    if importlib.util.find_spec("glmm"):
        engines.append("glmm")
    else:
        print("The Python package glmm is not installed: left out.", file=sys.stderr)
    try:
        subprocess.run(["Rscript", "-e", "library(lme4)"], check=True, capture_output=True)
        engines.append("lme4")
    except (FileNotFoundError, subprocess.CalledProcessError):
        print("Rscript with lme4 is not installed: left out.", file=sys.stderr)
    return engines


# ---- measuring -------------------------------------------------------------------------------------------------------


def run_case(case: Case, engines: list[str], rounds: int) -> dict[str, Measurement]:
    """Medians per engine of what `run_once` measures, with the number of rounds."""
    TABLES.mkdir(exist_ok=True)
    for name in (case.small.name, case.name):  # in processes of their own, which do not swell this one
        subprocess.run([sys.executable, HERE / "prepare.py", name, TABLES], check=True)
    runs: dict[str, list[Measurement]] = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine, done in runs.items():
            long = bool(done) and done[0]["wall"] > LONG_SECONDS
            if not long or len(done) < LONG_ROUNDS:
                done.append(run_once(engine, case))
    return {
        engine: {key: median(run[key] for run in done) for key in done[0]} | {"rounds": len(done)}
        for engine, done in runs.items()
    }


def run_once(engine: str, case: Case) -> Measurement:
    """Seconds of wall and CPU, peak memory (bytes, with interpreter and data), criterion, evaluations, converged."""
    if engine in ENGINES:
        command = [sys.executable, HERE / "worker.py", engine, case.name, TABLES]
    else:
        small = case.small
        command = ["Rscript", HERE / "lme4.R", case.formula, TABLES / f"{case.name}.rds"]
        command += [small.formula, TABLES / f"{small.name}.rds", case.family, str(case.n_agq)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD}) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{engine} failed on {case.name}")
    return json.loads(output) | {"memory": 1024 * usage.ru_maxrss}


# ---- tables ----------------------------------------------------------------------------------------------------------


def markdown(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def at_least(goal: float | None) -> str:
    return "" if goal is None else f"≥ {goal:g}"


def measurements_table(results: dict[str, dict[str, Measurement]]) -> str:
    header = ["case", "engine", "CPU", "wall", "peak MB", "evaluations", "criterion above best", "converged", "rounds"]
    rows = []
    for name, engines in results.items():
        best = min(run["criterion"] for run in engines.values())
        rows += [
            [
                name,
                engine,
                seconds(run["cpu"]),
                seconds(run["wall"]),
                f"{run['memory'] / 1e6:.0f}",
                f"{run['evaluations']:.0f}",
                f"{run['criterion'] - best:.1e}",
                "yes" if run["converged"] else "no",
                f"{run['rounds']:.0f}",
            ]
            for engine, run in engines.items()
        ]
    return markdown(header, rows)


def ratios_table(results: dict[str, dict[str, Measurement]]) -> str:
    """How many times faster (CPU) than each peer, from formula and table and from arrays, and share of its memory."""
    header = ["case"]
    for peer in ("lme4", "glmm"):
        header += [f"× {peer}, formula", f"× {peer}, arrays", "goal", f"memory / {peer}"]
    rows = []
    for name, engines in results.items():
        case, ours = CASES[name], engines["pymixed, formula"]
        row = [name]
        for peer, goal in (("lme4", case.goal_lme4), ("glmm", case.goal_glmm)):
            theirs = engines.get(peer)
            if theirs is None:
                row += ["", "", at_least(goal), ""]
                continue
            ratios = [theirs["cpu"] / engines[way]["cpu"] for way in ("pymixed, formula", "pymixed, arrays")]
            row += [*(f"{ratio:.3g}" for ratio in ratios), at_least(goal), f"{ours['memory'] / theirs['memory']:.2f}"]
        rows.append(row)
    return markdown(header, rows)


if __name__ == "__main__":
    main()
