"""What the project gives away: the files of its tree, a copy of them, and what a wheel puts into site-packages."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

LIBRARY = ("csrc/CMakeLists.txt", "csrc/c_api", "csrc/cmake", "csrc/include", "csrc/src")  # what a wheel carries of it
ITEMS = (
    ".ci", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md", "benchmarks", *LIBRARY,
    "csrc/Doxyfile", "csrc/bindings", "csrc/examples", "csrc/fuzz", "csrc/tests", "docs", "examples", "licenses",
    "pymixed", "pyproject.toml", "setup.py", "tests",
)
MADE = re.compile(r"(^|/)__pycache__/|\.(py[cod]|so|pyd)$|^(benchmarks/tables|docs/(_build|api|figures))/")


def project_files() -> set[str]:
    """Files of the tree, without what builds leave in it."""
    found = set()
    for item in ITEMS:
        path = ROOT / item
        paths = [path] if path.is_file() else path.rglob("*")
        found |= {file.relative_to(ROOT).as_posix() for file in paths if file.is_file()}
    return {name for name in found if not MADE.search(name)}


def copy_project(to: Path) -> Path:
    """Copy the folders that the project's files are in, with what else is there."""
    for name in {item.split("/")[0] for item in ITEMS}:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyd"))
        else:
            shutil.copyfile(ROOT / name, to / name)
    return to


def run_setuptools(tree: Path, code: str, *arguments: str | Path) -> str:
    """What a program prints in the tree of a project, with an Eigen that nothing is compiled with."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=tree, check=False, text=True,
                          capture_output=True, env={**os.environ, "EIGEN3_INCLUDE_DIR": "none"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def lay_out(tree: Path, to: Path) -> Path:
    """What a wheel of this tree puts into site-packages, but for the compiled core and the metadata."""
    run_setuptools(tree, "import runpy, sys; sys.argv[0] = 'setup.py'; runpy.run_path('setup.py')",
                   "-q", "build_py", "--build-lib", to)
    return to
