"""The example programs run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one process", "workers"])
def test_rows_from_parquet(tmp_path: Path, workers: tuple[str, ...]) -> None:
    path = os.pathsep.join(filter(None, [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, EXAMPLES / "parquet_rows.py", "--rows", "300000", "--folder", tmp_path, *workers],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert "300000 rows, user: " in done.stdout
    table = done.stdout[done.stdout.index("Fixed effects:"):]
    slope = re.search(r"^hours +(\S+) +(\S+)", table, re.MULTILINE)
    assert slope is not None
    assert abs(float(slope[1]) - 0.5) < 5 * float(slope[2])  # what the rows were made with
