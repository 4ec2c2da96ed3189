"""Predictions of a fitted model: the methods of a solution that say what new rows have."""
from __future__ import annotations

from dataclasses import dataclass

from ._common import P
from ._described_solution import DescribedSolution


@dataclass(frozen=True, eq=False, repr=False)
class PredictedSolution(DescribedSolution[P]):
    """A fitted mixed model with its predictions; see the two kinds."""
