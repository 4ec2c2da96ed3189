"""Builds the extension `pymixed._core`; everything else stands in pyproject.toml."""

import os
import re
import sysconfig
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
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
    """Adds the instruction-set flags of `*_avx2.cpp`, and leaves the core in a checkout as well."""

    def run(self) -> None:
        super().run()
        if not self.inplace:
            # Python started in the checkout finds the pymixed folder there before the installed one, so that
            # folder gets its core too: `python -m pymixed` and `python -m pytest` then work from the checkout.
            self.copy_extensions_to_source()

    def build_extensions(self) -> None:
        unix = self.compiler.compiler_type == "unix"
        for extension in self.extensions:
            extension.extra_compile_args += ["-O3", "-pthread"] if unix else ["/O2"]
            extension.extra_link_args += ["-pthread"] if unix else []
        # On other machines, and in macOS's universal builds, those files compile to an empty fallback.
        if unix and sysconfig.get_platform().endswith("x86_64"):
            compile_one = self.compiler._compile

            def compile_with_flags(obj, src, ext, cc_args, extra_postargs, pp_opts):  # type: ignore[no-untyped-def]
                flags = ["-mavx2", "-mfma"] if src.endswith("_avx2.cpp") else []
                compile_one(obj, src, ext, cc_args, [*extra_postargs, *flags], pp_opts)

            self.compiler._compile = compile_with_flags
        super().build_extensions()


core = Pybind11Extension(
    "pymixed._core",
    files("src/*.cpp", "bindings/*.cpp"),
    depends=files("include/**/*.h*", "src/*.hpp", "src/*.inl", "bindings/*.hpp"),
    include_dirs=["csrc/include", "csrc/src", eigen_include_dir()],
    define_macros=[("EIGEN_MPL2_ONLY", None)],
    cxx_std=17,
)

with ParallelCompile("NPY_NUM_BUILD_JOBS"):
    setup(version=version(), ext_modules=[core], cmdclass={"build_ext": BuildExt})
