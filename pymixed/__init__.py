"""Mixed models with a C++ core: `lmer` and `glmer` for formulas and tables, `lmm` and `glmm` for arrays."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors, families
from ._core import __version__
from ._inference.bootstrap import Bootstrap
from ._inference.comparison import anova
from ._inference.pbtest import pbtest
from ._reports.compare import compare
from .design import MixedDesign, Term
from .many import ManyFits, fit_many, fit_many_arrays
from .simulations import Power, power, simulate
from .solution import GLMMSolution, LMMSolution
from .solvers import glmer, glmm, lmer, lmm

if TYPE_CHECKING:
    from . import datasets
    from ._saved.reading import load
    from .crossproducts import CrossProducts

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
    "compare",
    "datasets",
    "errors",
    "families",
    "fit_many",
    "fit_many_arrays",
    "glmer",
    "glmm",
    "lmer",
    "lmm",
    "load",
    "pbtest",
    "power",
    "simulate",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "datasets":  # on first use: reads tables with pandas
        return importlib.import_module(".datasets", __name__)
    if name == "CrossProducts":  # likewise: reads formulas
        return importlib.import_module(".crossproducts", __name__).CrossProducts
    if name == "load":
        return importlib.import_module("._saved.reading", __name__).load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
