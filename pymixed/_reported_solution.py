"""A fitted model as tidy tables and plots: the methods of a solution that report."""
from __future__ import annotations

from dataclasses import dataclass

from ._common import P
from ._diagnosed_solution import DiagnosedSolution
from ._plots.accessor import Plots


@dataclass(frozen=True, eq=False, repr=False)
class ReportedSolution(DiagnosedSolution[P]):
    """A fitted mixed model with its tables and plots; see the two kinds."""

    @property
    def plot(self) -> Plots:
        """Plots with matplotlib, ``fit.plot.<kind>()``; printed it names them."""
        return Plots(self)
