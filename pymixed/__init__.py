"""Linear mixed models with a C++ core: `lmer` for formulas and tables, `lmm` for arrays."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors
from ._core import __version__
from .design import MixedDesign, Term
from .solution import LMMSolution
from .solvers import lmer, lmm

if TYPE_CHECKING:
    from . import datasets

__all__ = ["LMMSolution", "MixedDesign", "Term", "__version__", "datasets", "errors", "lmer", "lmm"]


def __getattr__(name: str) -> Any:
    if name == "datasets":  # on first use: reads tables with pandas
        import importlib

        return importlib.import_module(".datasets", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
