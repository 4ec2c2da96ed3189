"""Responses simulated from a fitted model: the methods of a solution that draw."""
from __future__ import annotations

from dataclasses import dataclass

from ._common import P
from ._predicted_solution import PredictedSolution


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedSolution(PredictedSolution[P]):
    """A fitted mixed model that can be simulated from; see the two kinds."""
