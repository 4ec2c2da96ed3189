"""Diagnostics of a fitted model: influence of rows and groups, collinearity, dimensions, other optimisers."""
from __future__ import annotations

from dataclasses import dataclass

from ._common import P
from ._simulated_solution import SimulatedSolution


@dataclass(frozen=True, eq=False, repr=False)
class DiagnosedSolution(SimulatedSolution[P]):
    """A fitted mixed model with its diagnostics; see the two kinds."""
