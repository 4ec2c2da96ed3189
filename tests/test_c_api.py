"""Hosts of the C interface: C, ctypes and R give the numbers of this package.

The library is built and installed here; PYMIXED_PREFIX names an installation to test instead.
CMAKE_CXX_COMPILER_LAUNCHER=ccache makes the next run cheaper.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from distribution import ROOT
from test_consumers import CMAKE, run

import pymixed as pm

EXAMPLES = ROOT / "csrc/examples"
HEADER = ROOT / "csrc/include/pymixed.h"
COMPILER = os.environ.get("CC", "cc")
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """The shared library of an installation."""
    prefix = Path(os.environ.get("PYMIXED_PREFIX", tmp_path_factory.mktemp("prefix")))
    if "PYMIXED_PREFIX" not in os.environ:
        folder = tmp_path_factory.mktemp("build")
        run(CMAKE, "-S", ROOT / "csrc", "-B", folder, "-DCMAKE_UNITY_BUILD=ON", "-DPYMIXED_BUILD_TESTS=OFF",
            "-DPYMIXED_BUILD_EXAMPLES=OFF", f"-DPython3_EXECUTABLE={sys.executable}")
        run(CMAKE, "--build", folder, "--parallel", str(os.cpu_count()))
        run(CMAKE, "--install", folder, "--prefix", prefix)
    (found,) = prefix.rglob("libpymixed_c.so")
    return found


@pytest.fixture(scope="module")
def fit() -> pm.LMMSolution:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


def flags(library: Path) -> list[str]:
    """How a host is compiled against an installed library."""
    (include,) = (path.parent for path in library.parents[1].rglob("pymixed.h"))
    return [f"-I{include}", f"-L{library.parent}", "-lpymixed_c", f"-Wl,-rpath,{library.parent}"]


def common_lines(fit: pm.LMMSolution) -> list[str]:
    """What the examples print, with this package's numbers."""
    coefficients = zip(fit.coefficient_names, fit.coefficients, fit.se, strict=True)
    return [f"REML criterion  {-2.0 * fit.log_likelihood:.4f}",
            *(f"{name:<15} {beta:.3f}  (standard error {se:.3f})" for name, beta, se in coefficients),
            f"sigma           {fit.residual_std:.3f}"]


# ---- hosts -----------------------------------------------------------------------------------------------------------

@pytest.mark.builds
def test_c(library, fit, tmp_path):
    program = tmp_path / "sleepstudy"
    run(COMPILER, *STRICT, EXAMPLES / "sleepstudy.c", "-o", program, *flags(library), "-lm")
    printed = run(program).splitlines()
    assert [line for line in printed if not line.startswith("sd(Subject)")] == common_lines(fit)
    intercept, slope, correlation = fit.varcorr()["sdcor"].iloc[:3]
    assert f"sd(Subject)     {intercept:.3f}  {slope:.3f}, correlation {correlation:.3f}" in printed


@pytest.mark.builds
def test_ctypes_bit_by_bit(library, fit):
    printed = run(sys.executable, "-I", EXAMPLES / "sleepstudy_ctypes.py", library)
    numbers = {name: float(value) for name, value in (line.split() for line in printed.splitlines())}
    assert numbers == {"(Intercept)": fit.coefficients[0], "Days": fit.coefficients[1], "sigma": fit.residual_std}


@pytest.mark.builds
def test_r(library, fit, tmp_path):
    """Where R is: its glue is compiled and its script run."""
    r = shutil.which("R")
    if r is None:
        assert shutil.which("Rscript") is None
        return
    shutil.copy(EXAMPLES / "r/pymixed.c", tmp_path)
    include, *linked = flags(library)
    environment = {**os.environ, "PKG_CPPFLAGS": include, "PKG_LIBS": " ".join(linked)}
    run(r, "CMD", "SHLIB", "pymixed.c", cwd=tmp_path, env=environment)
    table = tmp_path / "sleepstudy.csv"
    pm.datasets.load("sleepstudy").to_csv(table, index=False)
    printed = run(Path(r).with_name("Rscript"), EXAMPLES / "r/sleepstudy.R", tmp_path / "pymixed.so", table)
    refused = "refused:        size: expected a positive multiple of the 180 rows, got 179"
    assert printed.splitlines() == [*common_lines(fit), refused]


@pytest.mark.builds
def test_exports(library):
    exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    assert exported == declared()


# ---- the header ------------------------------------------------------------------------------------------------------

def declared() -> set[str]:
    """Functions of the header."""
    return set(re.findall(r"^PYMIXED_API .*?\b(pymixed_\w+)\(", HEADER.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.builds
@pytest.mark.parametrize("language", [("c", "-std=c99"), ("c", "-std=c17"), ("c++", "-std=c++17")], ids=" ".join)
def test_header_alone_compiles(language, tmp_path):
    source = tmp_path / "host"
    source.write_text('#include "pymixed.h"\nint main(void) { return pymixed_version() == NULL; }\n')
    name, standard = language
    run(COMPILER, "-x", name, standard, "-fsyntax-only", "-pedantic", "-Wall", "-Wextra", "-Werror",
        f"-I{HEADER.parent}", source)


def test_header_documents_all_that_it_declares():
    text = HEADER.read_text(encoding="utf-8")
    assert len(declared()) > 50
    assert not re.findall(r"(?<!\*/)\n(PYMIXED_API .*)", text)
    constants = re.findall(r"^ +(PYMIXED_\w+) = \d+,? *(.*)$", text, re.MULTILINE)
    assert len(constants) > 35
    assert [name for name, comment in constants if not comment.startswith("/**<")] == []


def test_the_examples_constants_are_the_headers():
    values = dict(re.findall(r"^ +PYMIXED_(\w+) = (\d+)", HEADER.read_text(encoding="utf-8"), re.MULTILINE))
    of_r = re.findall(r"(\w+) = (\d+)L", (EXAMPLES / "r/sleepstudy.R").read_text(encoding="utf-8"))
    assert len(of_r) == 7
    assert {name: value for name, value in of_r if values[name.upper()] != value} == {}
    source = (EXAMPLES / "sleepstudy_ctypes.py").read_text(encoding="utf-8")
    lines = re.findall(r"^([A-Z, ]+) = ([\d, ]*\d)", source, re.MULTILINE)
    of_ctypes = {name: value for left, right in lines
                 for name, value in zip(left.split(", "), right.split(", "), strict=True)}
    assert set(of_ctypes) == {"UNSTRUCTURED", "STATUS", "COEFFICIENTS", "SIGMA"}
    assert {name for name, value in of_ctypes.items() if values[name] != value} == set()
