"""One process of the benchmark: fits a case with one Python engine and prints what it took as JSON.

    python benchmarks/worker.py ENGINE CASE FOLDER

FOLDER holds the case's table (`run.py` puts it there). The engine is warmed on a small model of the same kind first, so
that imports are not counted; a fit shorter than MIN_SECONDS is then repeated and the mean reported.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cases import CASES, Case

if TYPE_CHECKING:
    import pandas as pd

MIN_SECONDS = 1.0

Fit = Callable[[], Any]
Report = Callable[[Any], dict[str, object]]


def _report_pymixed(solution: Any) -> dict[str, object]:
    return {
        "criterion": -2 * solution.log_likelihood,
        "evaluations": solution.n_iter,
        "converged": solution.converged,
    }


def pymixed_formula(case: Case, table: pd.DataFrame) -> tuple[Fit, Report]:
    import pymixed as pm

    if case.linear:
        return lambda: pm.lmer(case.formula, table, compute_satterthwaite=False), _report_pymixed
    return lambda: pm.glmer(case.formula, table, family=case.family, n_agq=case.n_agq), _report_pymixed


def pymixed_arrays(case: Case, table: pd.DataFrame) -> tuple[Fit, Report]:
    import pymixed as pm

    arrays = case.arrays(table)
    if case.linear:
        return lambda: pm.lmm(**arrays, compute_satterthwaite=False), _report_pymixed
    return lambda: pm.glmm(**arrays), _report_pymixed


def glmm(case: Case, table: pd.DataFrame) -> tuple[Fit, Report]:
    import glmm

    def report(fit: Any) -> dict[str, object]:
        return {
            "criterion": -2 * fit.loglik,
            "evaluations": fit.n_eval + fit.n_grad,
            "converged": bool(fit.converged),
        }

    # no likelihood-ratio tests of its own, which it would refit the model for
    options = {"satterthwaite": False} if case.linear else {"nagq": case.n_agq, "anova_test": "Wald"}
    return lambda: glmm.fit(table, case.formula, family=case.family, **options), report


ENGINES = {"pymixed, formula": pymixed_formula, "pymixed, arrays": pymixed_arrays, "glmm": glmm}


def measure(fit: Fit, report: Report) -> dict[str, object]:
    """Seconds of wall and of CPU per fit, and what the fit reached."""
    count = 1
    while True:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            solution = fit()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if wall >= MIN_SECONDS:
            return {"wall": wall / count, "cpu": cpu / count, **report(solution)}
        count = max(2 * count, int(1.2 * MIN_SECONDS / wall * count))


def main(engine: str, name: str, folder: str) -> None:
    import pandas as pd

    warnings.simplefilter("ignore")
    case = CASES[name]
    small = case.small
    tables = {case.name: pd.read_pickle(Path(folder) / f"{case.name}.pkl") for case in (small, case)}
    ENGINES[engine](small, tables[small.name])[0]()
    print(json.dumps(measure(*ENGINES[engine](case, tables[name]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
