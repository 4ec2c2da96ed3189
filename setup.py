"""Builds the extension `pymixed._core`; everything else stands in pyproject.toml."""

import os
import re
import sys
import sysconfig
from multiprocessing.pool import ThreadPool
from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension, build_ext
from setuptools import setup

ROOT = Path(__file__).parent
CSRC = Path("csrc")  # sources are named relative to setup.py, as setuptools requires


def version() -> str:
    header = (ROOT / CSRC / "include/pymixed/version.h").read_text(encoding="utf-8")
    match = re.search(r'^#define PYMIXED_VERSION "(.+)"$', header, re.MULTILINE)
    if match is None:
        raise RuntimeError("csrc/include/pymixed/version.h defines no PYMIXED_VERSION")
    return match.group(1)


def eigen_include_dir() -> str:
    """Folder that holds `Eigen/`: the environment's EIGEN3_INCLUDE_DIR, else the headers of cmeel-eigen."""
    given = os.environ.get("EIGEN3_INCLUDE_DIR")
    if given:
        return given
    import cmeel

    return str(Path(cmeel.__file__).parents[1] / "cmeel.prefix/include/eigen3")


def files(*patterns: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for pattern in patterns for path in (ROOT / CSRC).glob(pattern))


class BuildExt(build_ext):
    """Compiles in parallel, `*_avx2.cpp` with their own flags, and leaves the core in a checkout as well."""

    def run(self) -> None:
        super().run()
        if not self.inplace:
            # Python started in the checkout finds the pymixed folder there before the installed one, so that
            # folder gets its core too: `python -m pymixed` and `python -m pytest` then work from the checkout.
            self.copy_extensions_to_source()

    def build_extensions(self) -> None:
        microsoft = self.compiler.compiler_type == "msvc"
        for extension in self.extensions:
            # /GL-: code is made file by file, for the processor that the file's flags say. -g0: some Pythons ask for
            # what debuggers read, a third of the compiler's time and most of the wheel.
            extension.extra_compile_args += ["/O2", "/GL-"] if microsoft else ["-O3", "-g0", "-pthread"]
            extension.extra_link_args += [] if microsoft else ["-pthread"]
            if sys.platform == "linux":  # templates of the standard library are exported otherwise
                extension.extra_link_args += ["-Wl,--version-script=csrc/bindings/exports.map"]
                if "-g0" in extension.extra_compile_args:  # pybind11 adds it unless CFLAGS ask for symbols
                    extension.extra_link_args += ["-Wl,-s"]
        self.compiler.compile = file_by_file(self.compiler.compile, avx2_flags(microsoft))
        super().build_extensions()


def avx2_flags(microsoft: bool) -> list[str]:
    """For the files `*_avx2.cpp`, which compile to an empty fallback where there are none."""
    platform = sysconfig.get_platform()
    if platform == "win-amd64":
        # GCC for Windows does not align its stack for these registers.
        return ["/arch:AVX2", "/fp:contract"] if microsoft else []
    if platform.startswith("macosx"):  # perhaps for two processors at once
        return ["-Xarch_x86_64", "-mavx2", "-Xarch_x86_64", "-mfma", "-Wno-unused-command-line-argument"]
    return ["-mavx2", "-mfma"] if platform.endswith("x86_64") else []


def file_by_file(compile_all, flags):  # type: ignore[no-untyped-def]
    """A compiler's method `compile` with a thread per source, NPY_NUM_BUILD_JOBS at once, and flags for some."""

    def compile_sources(sources, *, extra_postargs, **options):  # type: ignore[no-untyped-def]
        def compile_one(source):  # type: ignore[no-untyped-def]
            own = flags if source.endswith("_avx2.cpp") else []
            return compile_all([source], extra_postargs=[*extra_postargs, *own], **options)

        first, *others = sources
        objects = compile_one(first)  # alone: Microsoft's compiler is looked for on its first use
        with ThreadPool(int(os.environ.get("NPY_NUM_BUILD_JOBS", 0)) or None) as pool:
            for compiled in pool.imap(compile_one, others):
                objects += compiled
        return objects

    return compile_sources


core = Pybind11Extension(
    "pymixed._core",
    files("src/*.cpp", "bindings/*.cpp"),
    depends=files("include/**/*.h*", "src/*.hpp", "src/*.inl", "bindings/*.hpp", "bindings/*.map"),
    include_dirs=["csrc/include", "csrc/src", eigen_include_dir()],
    define_macros=[("EIGEN_MPL2_ONLY", None)],
    cxx_std=17,
)

setup(version=version(), ext_modules=[core], cmdclass={"build_ext": BuildExt})
