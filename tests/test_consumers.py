"""Hosts in C++ and C that take the library in the three ways, built and run far from the source tree.

Built are the library as a part of a host, that host's installation, and the library as the Python package carries it;
PYMIXED_PREFIX names an installation to test instead. CMAKE_CXX_COMPILER_LAUNCHER=ccache makes the next run cheaper.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from distribution import ROOT, lay_out

import pymixed as pm

pytestmark = pytest.mark.builds

CONSUMERS = ROOT / "tests/consumers"
CMAKE = shutil.which("cmake", path=f"{os.environ['PATH']}{os.pathsep}{sysconfig.get_path('scripts')}")


def run(*command: str | Path, **options) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def configure(project: Path, *options: str) -> str:
    """Configure into the folder `build` of the project; Eigen is that of this Python where none is installed."""
    return run(CMAKE, "-S", project, "-B", project / "build", f"-DPython3_EXECUTABLE={sys.executable}", *options)


def build(project: Path, *options: str) -> None:
    configure(project, "-DCMAKE_UNITY_BUILD=ON", *options)
    run(CMAKE, "--build", project / "build", "--parallel", str(os.cpu_count()))


def host(name: str, folder: Path) -> Path:
    """A copy of a host, with the program that it is made of."""
    shutil.copytree(CONSUMERS / name, folder)
    for path in (ROOT / "csrc/examples").glob("sleepstudy.*"):
        shutil.copy(path, folder)
    return folder


def project(folder: Path, text: str) -> Path:
    """A host that is configured only."""
    folder.mkdir()
    (folder / "host.cpp").write_text("int main() {}\n")
    (folder / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.21)\nproject(host LANGUAGES CXX)\n{text}\n"
        "add_executable(host host.cpp)\ntarget_link_libraries(host PRIVATE pymixed::pymixed)\n")
    return folder


def slope(program: Path) -> float:
    return float(re.search(r"^Days +(\S+)", run(program), re.MULTILINE).group(1))


def compile_commands(folder: Path, *options: str) -> dict[str, str]:
    """Names of the library's sources and how the host compiles them."""
    configure(folder, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
    entries = json.loads((folder / "build/compile_commands.json").read_text())
    return {Path(entry["file"]).name: entry["command"] for entry in entries if "host.cpp" not in entry["file"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The site-packages in which pymixed is installed, or a folder like that where it is imported from a checkout."""
    package = Path(pm.__file__).parent
    if (package / "cpp").is_dir():
        return package.parent
    folder = lay_out(ROOT, tmp_path_factory.mktemp("wheel"))
    shutil.copy(pm._core.__file__, folder / "pymixed")
    return folder


@pytest.fixture(scope="module")
def wheel_dir(wheel) -> str:
    printed = run(sys.executable, "-m", "pymixed", "--cmakedir", cwd=wheel, env={**os.environ, "PYTHONPATH": ""})
    assert printed == f"{wheel}/pymixed/cpp/cmake\n"
    return f"-Dpymixed_DIR={printed.strip()}"


@pytest.fixture(scope="module")
def embedded(wheel, tmp_path_factory) -> Path:
    """A host that has the library's sources in a folder of its own, built."""
    folder = host("add_subdirectory", tmp_path_factory.mktemp("embedded") / "host")
    shutil.copytree(wheel / "pymixed/cpp", folder / "pymixed")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def prefix(request, tmp_path_factory) -> Path:
    """An installation."""
    if given := os.environ.get("PYMIXED_PREFIX"):
        return Path(given)
    folder = request.getfixturevalue("embedded")
    build(folder, "-DPYMIXED_INSTALL=ON")
    to = tmp_path_factory.mktemp("prefix")
    run(CMAKE, "--install", folder / "build", "--prefix", to)
    return to


# ---- built and run ---------------------------------------------------------------------------------------------------

def test_add_subdirectory(embedded):
    assert slope(embedded / "build/host") == 10.467
    assert not list(embedded.rglob("libpymixed_c*"))  # nobody links it


@pytest.mark.parametrize(("name", "programs"), [("find_package", ["host", "host_c"]), ("find_package_c", ["host_c"])])
def test_installation(prefix, name, programs, tmp_path):
    folder = host(name, tmp_path / "host")
    build(folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    for program in programs:
        assert slope(folder / "build" / program) == 10.467


def test_installation_is_not_for_wider_registers(prefix, tmp_path):
    """Eigen's types and functions would be others. Only x86-64 has registers of several widths."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return
    folder = host("find_package", tmp_path / "host")
    configure(folder, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_CXX_FLAGS=-mavx")
    with pytest.raises(AssertionError, match="same_registers"):
        run(CMAKE, "--build", folder / "build", "--target", "host")


def test_wheel_with_the_flags_of_the_host(wheel_dir, tmp_path):
    folder = host("find_package", tmp_path / "host")
    build(folder, wheel_dir, "-DCMAKE_CXX_FLAGS=-O3 -march=native")
    for program in ("host", "host_c"):
        assert slope(folder / "build" / program) == 10.467


# ---- what is installed -----------------------------------------------------------------------------------------------

def test_installed_files(prefix):
    found = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()}
    (archive,) = (name for name in found if name.endswith("libpymixed.a"))
    libraries = archive.removesuffix("libpymixed.a")
    headers = {f"include/{path.relative_to(ROOT / 'csrc/include').as_posix()}"
               for path in (ROOT / "csrc/include").rglob("*.h*")}
    cmake = {f"{libraries}cmake/pymixed/{name}" for name in
             ("eigen.cmake", "pymixedConfig.cmake", "pymixedConfigVersion.cmake", "pymixedTargets.cmake")}
    cmake |= {name for name in found if f"{libraries}cmake/pymixed/pymixedTargets-" in name}  # of a build type
    shared = {f"{libraries}libpymixed_c.so{version}" for version in ("", ".0.1", f".{pm.__version__}")}
    assert found == headers | cmake | shared | {archive}


def test_the_shared_library_exports_the_c_interface_alone(prefix):
    (library,) = prefix.rglob("libpymixed_c.so")
    exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    declared = set(re.findall(r"\b(pymixed_\w+)\(", (ROOT / "csrc/include/pymixed.h").read_text(encoding="utf-8")))
    assert {"pymixed_version", "pymixed_last_error"} <= exported <= declared


# ---- configured only -------------------------------------------------------------------------------------------------

@pytest.fixture(params=["installation", "wheel"])
def found_in(request) -> str:
    """The option by which a host finds the package."""
    if request.param == "wheel":
        return request.getfixturevalue("wheel_dir")
    return f"-DCMAKE_PREFIX_PATH={request.getfixturevalue('prefix')}"


@pytest.mark.parametrize("version", ["0.1", "0.1.0", "0.1...<0.2"])
def test_versions_that_satisfy(version, found_in, tmp_path):
    configure(project(tmp_path / "host", f"find_package(pymixed {version} REQUIRED)"), found_in)


@pytest.mark.parametrize("version", ["0.2", "0.1.1", "0.0", "1"])
def test_versions_that_do_not(version, found_in, tmp_path):
    with pytest.raises(AssertionError, match=f"not accepted:\\s+\\S+, version: {re.escape(pm.__version__)}\n"):
        configure(project(tmp_path / "host", f"find_package(pymixed {version} REQUIRED)"), found_in)


FIND, ADD = "find_package(pymixed REQUIRED)", "add_subdirectory(pymixed)"


@pytest.mark.parametrize("lines", [(FIND, FIND), (FIND, ADD), (ADD, FIND), (ADD, "add_subdirectory(pymixed again)")])
def test_twice_is_harmless(lines, found_in, wheel, tmp_path):
    folder = project(tmp_path / "host", "\n".join(lines))
    shutil.copytree(wheel / "pymixed/cpp", folder / "pymixed")
    configure(folder, found_in)


@pytest.mark.parametrize("way", [FIND, ADD])
def test_flags_of_the_host_are_those_of_the_library(way, wheel, wheel_dir, tmp_path):
    folder = project(tmp_path / "host", way)
    shutil.copytree(wheel / "pymixed/cpp", folder / "pymixed")
    commands = compile_commands(folder, wheel_dir, "-DCMAKE_CXX_FLAGS=-O2 -fsanitize=undefined")
    assert {path.name for path in (ROOT / "csrc/src").glob("*.cpp")} <= set(commands)
    assert all("-O2 -fsanitize=undefined" in command for command in commands.values())


def test_eigen_of_the_host(wheel_dir, tmp_path):
    own = tmp_path / "own_eigen"
    folder = project(tmp_path / "host", f"""add_library(eigen INTERFACE)
        target_include_directories(eigen INTERFACE $<BUILD_INTERFACE:{own}> $<INSTALL_INTERFACE:include>)
        add_library(Eigen3::Eigen ALIAS eigen)
        {FIND}""")
    assert all(f"-isystem {own} " in command for command in compile_commands(folder, wheel_dir).values())


def test_eigen_beside_the_package(wheel, tmp_path):
    shutil.copytree(wheel / "pymixed/cpp", tmp_path / "pymixed/cpp")
    eigen = tmp_path / "cmeel.prefix/include/eigen3"
    (eigen / "Eigen").mkdir(parents=True)
    (eigen / "Eigen/Core").write_text("")
    options = (f"-Dpymixed_DIR={tmp_path}/pymixed/cpp/cmake", "-DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON")
    commands = compile_commands(project(tmp_path / "host", FIND), *options)
    assert all(f"-isystem {eigen} " in command for command in commands.values())
