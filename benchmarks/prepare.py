"""Write a case's table for the workers: ``python benchmarks/prepare.py CASE FOLDER``.

The table is stored as a pickle for Python and, where Rscript is installed, as a data frame for R, in which groups are
factors already (their conversion does not count against lme4).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from cases import CASES


def main(name: str, folder: str) -> None:
    case = CASES[name]
    pickle, csv, rds = (Path(folder) / f"{name}{suffix}" for suffix in (".pkl", ".csv", ".rds"))
    if pickle.exists():
        return
    table = case.table()
    if shutil.which("Rscript"):
        factors = [column for column in table if table[column].dtype == "category" or column in case.random]
        table.to_csv(csv, index=False)
        subprocess.run(["Rscript", Path(__file__).with_suffix(".R"), csv, rds, ",".join(factors)], check=True)
        csv.unlink()
    table.to_pickle(pickle)


if __name__ == "__main__":
    main(*sys.argv[1:])
