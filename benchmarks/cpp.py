"""Throughput of `fit_many` from C++ against that from Python: ``python benchmarks/cpp.py [CASE ...]``.

Compiles `cpp_many.cpp` with the sources that the installed package carries (CMake, Release flags) and gives both the
same designs and responses as `many.py`. The two take turns, each in a process of its own after a call to warm up, with
one and with two threads. Medians of the seconds of a response are printed as Markdown with their ratio, and whether
coefficients, theta and covariances have the same bits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from many import CASES, THREAD_RESPONSES, ManyCase, inputs
from run import HERE, ONE_THREAD, ROUNDS, markdown, seconds

PROJECT = """cmake_minimum_required(VERSION 3.21)
project(cpp_many LANGUAGES CXX)
find_package(pymixed REQUIRED)
add_executable(cpp_many {source})
target_link_libraries(cpp_many PRIVATE pymixed::pymixed)
"""


def build(folder: Path) -> Path:
    """The C++ program, compiled."""
    found = subprocess.run([sys.executable, "-m", "pymixed", "--cmakedir"], check=True, capture_output=True, text=True)
    (folder / "CMakeLists.txt").write_text(PROJECT.format(source=HERE / "cpp_many.cpp"), encoding="utf-8")
    subprocess.run(["cmake", "-S", folder, "-B", folder / "build", f"-Dpymixed_DIR={found.stdout.strip()}",
                    "-DCMAKE_BUILD_TYPE=Release"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder / "build", "--parallel", "2"], check=True, stdout=subprocess.DEVNULL)
    return folder / "build" / "cpp_many"


def responses(case: ManyCase) -> tuple[Any, Any]:
    table, Y = inputs(case, case.count)
    return table, np.asfortranarray(np.tile(Y, max(THREAD_RESPONSES // 4, 1)))


def write_design(case: ManyCase, path: Path) -> None:
    """A case as the C++ program reads it."""
    import pymixed as pm

    table, Y = responses(case)
    family = None if case.family == "gaussian" else case.family
    table = table.assign(y=Y[:, 0])
    fit = pm.lmer(f"y ~ {case.formula}", table) if family is None else pm.glmer(
        f"y ~ {case.formula}", table, family=family)
    design = fit._design
    numbers = [len(Y), design.p, len(design.factors), len(design.terms), Y.shape[1], int(family is not None)]
    numbers += [len(factor.levels) for factor in design.factors]
    for term in design.terms:
        numbers += [term.factor, len(term.columns), *(int(column is None) for column in term.data)]
    with path.open("wb") as file:
        file.write(np.array(numbers, np.int64).tobytes())
        file.write(design.X.tobytes(order="F") + Y.tobytes(order="F"))
        for term in design.terms:
            for column in term.data:
                file.write(b"" if column is None else np.asarray(column, float).tobytes())
        for factor in design.factors:
            file.write(factor.codes.astype(np.int32).tobytes())


def work(name: str, n_threads: int, results: str) -> dict[str, float]:
    """CPU and wall seconds of a call from Python, after one to warm up."""
    import pymixed as pm

    case = CASES[name]
    table, Y = responses(case)
    family = None if case.family == "gaussian" else case.family

    def fit() -> Any:
        return pm.fit_many(f"~ {case.formula}", table, Y, family=family, n_threads=n_threads)

    fit()
    cpu, wall = time.process_time(), time.perf_counter()
    fits = fit()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    Path(results).write_bytes(fits.coefficients.tobytes() + fits.theta.tobytes() + fits.packed_vcov.tobytes())
    return {"cpu": cpu, "wall": wall}


def compare(name: str, program: Path, folder: Path, rounds: int) -> list[list[str]]:
    design, ours, theirs = folder / "design", folder / "cpp.results", folder / "python.results"
    write_design(CASES[name], design)
    count = responses(CASES[name])[1].shape[1]
    environment = {**os.environ, **ONE_THREAD}
    rows = []
    for n_threads in (1, 2):
        cpp, python, same = [], [], True
        for _ in range(rounds):
            done = subprocess.run([program, design, str(n_threads), ours], check=True, capture_output=True, text=True)
            cpp.append([float(value) for value in done.stdout.split()])
            done = subprocess.run([sys.executable, __file__, "--worker", name, str(n_threads), theirs], check=True,
                                  capture_output=True, text=True, env=environment)
            found = json.loads(done.stdout)
            python.append([found["cpu"], found["wall"]])
            same = same and ours.read_bytes() == theirs.read_bytes()
        middle = [[median(run[k] for run in runs) / count for runs in (cpp, python)] for k in (0, 1)]
        times = [text for c, p in middle for text in (seconds(c), seconds(p), f"{p / c:.3f}")]
        rows.append([name, str(n_threads), *times, "yes" if same else "no"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds (default: {ROUNDS})")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, n_threads, results = options.worker
        print(json.dumps(work(name, int(n_threads), results)))
        return
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        program = build(folder)
        rows = [row for name in options.cases or CASES for row in compare(name, program, folder, options.rounds)]
    print(markdown(["design", "threads", "C++, CPU a response", "Python", "Python / C++", "C++, wall a response",
                    "Python", "Python / C++", "same bits"], rows))


if __name__ == "__main__":
    main()
