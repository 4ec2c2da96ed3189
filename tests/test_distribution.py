"""The files of the wheel and of the sdist: exactly those that the tree says, nothing missing, nothing else."""

import sysconfig
import tarfile
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest
from distribution import LIBRARY, copy_project, lay_out, project_files, run_setuptools

import pymixed as pm

pytestmark = pytest.mark.source

CORE = f"pymixed/_core{sysconfig.get_config_var('EXT_SUFFIX')}"
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt"}
OF_INSTALLERS = {"INSTALLER", "REQUESTED", "direct_url.json"}


def of_python(name: str) -> bool:
    return name.startswith("pymixed/") and not name.endswith(".md")


def of_library(name: str) -> bool:
    return name.startswith(tuple(item if item.endswith(".txt") else f"{item}/" for item in LIBRARY))


@pytest.fixture(scope="module")
def modules() -> set[str]:
    """Files of the package in a wheel, without the compiled core."""
    files = project_files()
    library = {name.replace("csrc/", "pymixed/cpp/", 1) for name in files if of_library(name)}
    return {name for name in files if of_python(name)} | library


@pytest.fixture(scope="module")
def licences() -> set[str]:
    return {f"licenses/{name}" for name in project_files() if name == "LICENSE" or name.startswith("licenses/")}


# ---- wheel -----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def installed() -> set[str]:
    """Files of the installed distribution. A checkout's own metadata, on the path as well, are not it."""
    paths = sysconfig.get_paths()
    found = list(metadata.distributions(name="pymixed", path=[paths["purelib"], paths["platlib"]]))
    if not found:
        pytest.fail("pymixed is on the path but not installed for this Python: python -m pip install .")
    return {path.as_posix() for path in found[0].files}


def test_wheel(installed, modules, licences):
    folder = f"pymixed-{pm.__version__}.dist-info"
    described = {f"{folder}/{name}" for name in METADATA | licences}
    (command,) = (name for name in installed if PurePosixPath(name).stem == "pymixed" and name.startswith(".."))
    by_installers = {f"{folder}/{name}" for name in OF_INSTALLERS}
    compiled = {name for name in installed if name.endswith(".pyc")}  # by installers as well
    of_link = {name for name in installed if "__editable__" in name}  # an editable installation has no files of its own
    files = installed - by_installers - compiled - of_link - {command}
    assert files == described | (set() if of_link else {CORE} | modules)


def test_layout_of_a_wheel_without_its_core(tree, modules, tmp_path):
    """From any tree, also where nothing is installed."""
    lay_out(tree, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == modules


# ---- sdist -----------------------------------------------------------------------------------------------------------

LEFT_BY_BUILDS = (
    CORE, "pymixed/__pycache__/cli.pyc", "csrc/build/CMakeCache.txt", "build/lib/x.py", "docs/api/pymixed.md",
    "docs/_build/index.html", "docs/figures/a.png", "benchmarks/tables/a.csv", ".venv/pyvenv.cfg",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A checkout in which builds have left their files."""
    root = copy_project(tmp_path_factory.mktemp("tree"))
    for name in LEFT_BY_BUILDS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


@pytest.fixture(scope="module")
def sdist(tree, tmp_path_factory) -> Path:
    """The unpacked source distribution of that checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    run_setuptools(tree, "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])", folder)
    (archive,) = folder.iterdir()
    assert archive.name == f"pymixed-{pm.__version__}.tar.gz"
    with tarfile.open(archive) as content:
        content.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder / f"pymixed-{pm.__version__}"


def test_sdist(sdist):
    files = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    described = {name for name in files if name in {"PKG-INFO", "setup.cfg"} or name.startswith("pymixed.egg-info/")}
    assert files - described == project_files()


def test_sdist_gives_the_same_wheel(sdist, modules, tmp_path):
    lay_out(sdist, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == modules


def test_sdist_has_the_sources_of_the_core(sdist, tree):
    code = """if True:
        from distutils.core import run_setup
        (core,) = run_setup("setup.py", stop_after="init").ext_modules
        print(*core.sources, *core.depends, sep="\\n")
    """
    named = run_setuptools(sdist, "import setuptools\n" + code).split()
    assert {"csrc/src/fit.cpp", "csrc/bindings/module.cpp", "csrc/include/pymixed/version.h"} <= set(named)
    assert named == run_setuptools(tree, "import setuptools\n" + code).split()
