"""Mixed models with a C++ core: `lmer` and `glmer` for formulas and tables, `lmm` and `glmm` for arrays."""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from ._core import __version__

if TYPE_CHECKING:
    from . import datasets, families
    from ._build import build_info
    from ._inference.bootstrap import Bootstrap
    from ._inference.comparison import anova
    from ._inference.pbtest import pbtest
    from ._library import get_cmake_dir, get_include
    from ._reports.compare import compare
    from ._saved.reading import load
    from .crossproducts import CrossProducts
    from .design import MixedDesign, Term
    from .many import ManyFits, fit_many, fit_many_arrays
    from .simulations import Power, power, simulate
    from .solution import GLMMSolution, LMMSolution
    from .solvers import glmer, glmm, lmer, lmm

__all__ = [
    "Bootstrap",
    "CrossProducts",
    "GLMMSolution",
    "LMMSolution",
    "ManyFits",
    "MixedDesign",
    "Power",
    "Term",
    "__version__",
    "anova",
    "build_info",
    "compare",
    "datasets",
    "errors",
    "families",
    "fit_many",
    "fit_many_arrays",
    "get_cmake_dir",
    "get_include",
    "glmer",
    "glmm",
    "lmer",
    "lmm",
    "load",
    "pbtest",
    "power",
    "simulate",
]


# Modules and where names are from, imported on first use: `import pymixed` costs no more than NumPy and the core.
_MODULES = ("crossproducts", "datasets", "design", "families", "formula", "inference", "many", "simulations",
            "solution", "solvers")
_SOURCES = {
    "_build": ("build_info",),
    "_inference.bootstrap": ("Bootstrap",),
    "_inference.comparison": ("anova",),
    "_inference.pbtest": ("pbtest",),
    "_library": ("get_cmake_dir", "get_include"),
    "_reports.compare": ("compare",),
    "_saved.reading": ("load",),
    "crossproducts": ("CrossProducts",),
    "design": ("MixedDesign", "Term"),
    "many": ("ManyFits", "fit_many", "fit_many_arrays"),
    "simulations": ("Power", "power", "simulate"),
    "solution": ("GLMMSolution", "LMMSolution"),
    "solvers": ("glmer", "glmm", "lmer", "lmm"),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    for module, names in _SOURCES.items():
        if name in names:
            value = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
