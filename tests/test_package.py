"""The package as a whole: one version, light imports, typed, licences shipped, docstring examples that run."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import pymixed as pm

ROOT = Path(__file__).parents[1]
HEAVY = {"scipy", "pandas", "formulaic", "matplotlib", "polars", "pyarrow"}
NOT_IMPORTED = {"pymixed.__main__", "pymixed.marginaleffects"}  # the latter needs a package of Python 3.12
MODULES = sorted(module.name for module in pkgutil.walk_packages(pm.__path__, "pymixed.")
                 if module.name not in NOT_IMPORTED)


def test_one_version():
    header = (ROOT / "csrc/include/pymixed/version.h").read_text(encoding="utf-8")
    defined = dict(re.findall(r"^#define PYMIXED_VERSION(\S*) (\S+)$", header, re.MULTILINE))
    assert defined[""] == f'"{pm.__version__}"'
    assert ".".join(defined[part] for part in ("_MAJOR", "_MINOR", "_PATCH")) == pm.__version__
    assert metadata.version("pymixed") == pm.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(\d\S+)\]", changelog, re.MULTILINE).group(1) == pm.__version__


def test_import_is_light():
    command = "import sys, pymixed, pymixed.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_import_loads_the_core_alone():
    command = "import sys, pymixed; print(*(name for name in sys.modules if name.startswith('pymixed.')))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"pymixed._core", "pymixed.errors"}


def test_public_names_exist():
    assert set(pm.__all__) <= set(dir(pm))
    assert sorted(pm.__all__) == sorted(set(pm.__all__))
    for name in pm.__all__:
        assert hasattr(pm, name)


def test_ships_types_and_licences():
    assert (resources.files("pymixed") / "py.typed").is_file()
    assert (resources.files("pymixed") / "_core.pyi").is_file()
    shipped = {Path(path).name for path in metadata.files("pymixed") if "licenses" in Path(path).parts}
    assert {"LICENSE", "MPL-2.0.txt", "pybind11.txt"} <= shipped


@pytest.mark.parametrize("name", ["pymixed", *MODULES])
def test_examples_of_the_docstrings(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
