"""The results of linear and generalized linear mixed models."""
from ._generalized_solution import GLMMSolution
from ._linear_solution import LMMSolution

__all__ = ["GLMMSolution", "LMMSolution"]
