"""Benchmark fits to many responses and cross-products: ``python benchmarks/many.py [CASE ...]``.

One design, many responses: pymixed's `fit_many` against a loop of lme4's `refit` and one of the Python package glmm,
for time only. Each engine is a process of its own on one thread, the engines in turn; medians of the seconds per
response over the rounds are printed as Markdown, then `fit_many` with one and two threads, and rows per second of
cross-products. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from run import HERE, ONE_THREAD, ROUNDS, TABLES, at_least, available_engines, markdown, seconds

THREAD_ROUNDS = 7
THREAD_RESPONSES = 20  # times the usual number
PRODUCT_ROWS = 5_000_000
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class ManyCase:
    """One design and how its responses are drawn."""

    dataset: str
    formula: str  # without a response
    family: str
    count: int  # responses of pymixed
    peer_count: int  # of a peer
    draw: Callable[[Any, np.random.Generator], Array]
    goal_lme4: float | None = None
    goal_glmm: float | None = None


def codes(column: Any) -> Any:
    return np.unique(np.asarray(column), return_inverse=True)[1]


def draw_sleepstudy(table: Any, rng: np.random.Generator) -> Array:
    days, subject = np.asarray(table["Days"], float), codes(table["Subject"])
    return (251 + 10.5 * days + rng.normal(0, 24, 18)[subject] + rng.normal(0, 6, 18)[subject] * days
            + rng.normal(0, 25, len(days)))


def draw_penicillin(table: Any, rng: np.random.Generator) -> Array:
    plate, sample = codes(table["plate"]), codes(table["sample"])
    return 23 + rng.normal(0, 0.85, 24)[plate] + rng.normal(0, 1.8, 6)[sample] + rng.normal(0, 0.55, len(plate))


def draw_grouseticks(table: Any, rng: np.random.Generator) -> Array:
    brood = codes(table["BROOD"])
    eta = 0.4 + 0.9 * (np.asarray(table["YEAR"]).astype(str) == "96") + rng.normal(0, 0.9, brood.max() + 1)[brood]
    return rng.poisson(np.exp(eta)).astype(float)


CASES = {
    "sleepstudy": ManyCase(
        "sleepstudy", "Days + (Days | Subject)", "gaussian", 10_000, 200, draw_sleepstudy, 3000, 100),
    "penicillin": ManyCase("penicillin", "1 + (1 | plate) + (1 | sample)", "gaussian", 2_000, 200, draw_penicillin),
    "grouseticks": ManyCase("grouseticks", "YEAR + (1 | BROOD)", "poisson", 500, 20, draw_grouseticks),
}


def inputs(case: ManyCase, count: int) -> tuple[Any, Array]:
    """The table and responses (n, count), always the same."""
    import pymixed as pm

    table = pm.datasets.load(case.dataset)
    rng = np.random.default_rng(20240607)
    return table, np.asfortranarray(np.column_stack([case.draw(table, rng) for _ in range(count)]))


# ---- workers ---------------------------------------------------------------------------------------------------------

def pymixed_options(kind: str, Y: Array) -> tuple[Array, dict[str, Any]]:
    """Responses and arguments of what is measured."""
    rng = np.random.default_rng(1)
    if kind == "df":
        return Y, {"df": "satterthwaite"}
    if kind == "missing cells":
        Y = Y.copy(order="F")
        for column in Y.T:
            column[rng.integers(len(Y), size=3)] = np.nan
    if kind == "own weights":
        return Y, {"weights": np.asfortranarray(rng.uniform(0.5, 1.5, Y.shape))}
    return Y, {}


def work(engine: str, name: str, kind: str) -> dict[str, float]:
    """CPU seconds per response of one engine."""
    case = CASES[name]
    warnings.simplefilter("ignore")
    if engine == "pymixed":
        import pymixed as pm

        table, Y = inputs(case, case.count if kind in ("", "df") else case.count // 5)
        Y, options = pymixed_options(kind, Y)
        if kind == "threads":
            Y = np.tile(Y, THREAD_RESPONSES)  # a tenth of a second, next to which reading the design is little
        options["family"] = None if case.family == "gaussian" else case.family

        def fit(n_threads: int = 1) -> Any:
            return pm.fit_many(f"~ {case.formula}", table, Y, n_threads=n_threads, **options)

        fit()
        if kind == "threads":
            return threads(fit)
        found, cpu = timed(fit)
        return {"cpu": cpu / Y.shape[1], "failed": float((~found.converged).sum())}
    import glmm

    table, Y = inputs(case, case.peer_count)
    table = table.assign(y=Y[:, 0])
    options = {"satterthwaite": False} if case.family == "gaussian" else {"nagq": 1, "anova_test": "Wald"}

    def loop() -> None:
        for y in Y.T:
            table["y"] = y
            glmm.fit(table, f"y ~ {case.formula}", family=case.family, **options)

    loop()
    return {"cpu": timed(loop)[1] / Y.shape[1]}


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def threads(fit: Callable[[int], Any]) -> dict[str, float]:
    """Wall seconds with one thread over those with two, medians of alternating runs; whether the bits agree."""
    one, two = [], []
    bits = set()
    for _ in range(THREAD_ROUNDS):
        for n_threads, seconds_of in ((1, one), (2, two)):
            start = time.perf_counter()
            found = fit(n_threads)
            seconds_of.append(time.perf_counter() - start)
            bits.add(found.coefficients.tobytes() + found.theta.tobytes())
    assert len(bits) == 1, "two threads gave other bits"
    return {"speedup": median(one) / median(two)}


def products() -> dict[str, float]:
    """Million rows per second of the cross-products of five columns, from arrays and from a formula's table."""
    import pymixed as pm

    rng = np.random.default_rng(1)
    n = PRODUCT_ROWS
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=(n, 4))]))
    g = rng.integers(50_000, size=n).astype(np.int32)
    y = X @ np.ones(5) + rng.normal(size=50_000)[g] + rng.normal(size=n)
    rates = {}
    for kind, groups in (("random order", g), ("sorted", np.sort(g))):
        fit = pm.lmm(y, X, {"g": groups}, compute_satterthwaite=False)
        rates[f"arrays, {kind}"] = n / fit.timing["cross_products"] / 1e6
    table = {"y": y, "g": g, **{f"x{j}": X[:, j] for j in range(1, 5)}}
    batches = [{name: values[first:first + 500_000] for name, values in table.items()}
               for first in range(0, n, 500_000)]
    _, cpu = timed(lambda: pm.CrossProducts.from_batches("y ~ x1 + x2 + x3 + x4 + (1 | g)", batches))
    return {**rates, "tables of 500,000 rows": n / cpu / 1e6}


# ---- tables ----------------------------------------------------------------------------------------------------------

def run_worker(*arguments: str) -> dict[str, float]:
    command = ["Rscript", str(HERE / "many.R"), *arguments[1:]] if arguments[0] == "lme4" else [
        sys.executable, __file__, "--worker", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    found: dict[str, float] = json.loads(done.stdout)
    return found


def case_rows(name: str, engines: list[str], rounds: int) -> list[list[str]]:
    case = CASES[name]
    table, Y = inputs(case, case.peer_count)
    TABLES.mkdir(exist_ok=True)
    responses = pd.DataFrame(Y, columns=[f"response{j}" for j in range(Y.shape[1])], index=table.index)
    pd.concat([table, responses], axis=1).to_csv(TABLES / "many.csv", index=False)
    linear = case.family == "gaussian"
    kinds = {"": "", "df": "with Satterthwaite's df", "missing cells": "3 cells missing in each",
             "own weights": "weights of its own"}
    todo = [("pymixed", name, kind) for kind in kinds if linear or kind != "df"]
    todo += [("glmm", name, "")] if "glmm" in engines else []
    todo += [("lme4", str(TABLES / "many.csv"), case.formula, case.family)] if "lme4" in engines else []
    cpu: dict[tuple[str, ...], list[float]] = {one: [] for one in todo}
    for _ in range(rounds):
        for one in todo:
            cpu[one].append(run_worker(*one)["cpu"])
    middle = {one: median(values) for one, values in cpu.items()}
    peers = {one[0]: value for one, value in middle.items() if one[0] != "pymixed"}

    def ratio(peer: str, ours: float) -> str:
        return f"{peers[peer] / ours:.3g}" if peer in peers else ""

    rows = []
    for one, ours in middle.items():
        if one[0] == "pymixed":
            plain = not one[2]
            rows.append([name, kinds[one[2]], seconds(ours), ratio("lme4", ours), at_least(case.goal_lme4) if plain
                         else "", ratio("glmm", ours), at_least(case.goal_glmm) if plain else ""])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}, threads, products")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds (default: {ROUNDS})")
    parser.add_argument("--worker", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(products() if options.worker[0] == "products" else work(*options.worker)))
        return
    known = {*CASES, "threads", "products"}
    if unknown := set(options.cases) - known:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    chosen = set(options.cases or known)
    engines = available_engines()
    rows = [row for name in CASES if name in chosen for row in case_rows(name, engines, options.rounds)]
    if rows:
        print(markdown(["design", "", "pymixed, CPU a response", "times lme4's refit", "goal", "times glmm", "goal"],
                       rows))
    if "threads" in chosen:
        print()
        print(markdown(["design", "two threads, times one (wall)"],
                       [[name, f"{run_worker('pymixed', name, 'threads')['speedup']:.2f}"] for name in CASES]))
    if "products" in chosen:
        print()
        print(markdown(["cross-products of five columns, one thread", "million rows a second"],
                       [[kind, f"{rate:.0f}"] for kind, rate in run_worker("products").items()]))


if __name__ == "__main__":
    main()
