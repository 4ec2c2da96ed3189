"""Exceptions for wrong input and coded warnings for numerical findings.

Wrong input is an exception that names the argument, what was expected and what was got. Numerical trouble is a status
of the fit and one of the warnings below; each class carries a short `code` for programs to test.
"""
from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BoundaryWarning",
    "ConvergenceWarning",
    "EstimabilityWarning",
    "FormulaError",
    "InputError",
    "InputTypeError",
    "InterruptedWarning",
    "LongComputationWarning",
    "MemoryLimitError",
    "MissingValuesWarning",
    "NestingWarning",
    "ProfileWarning",
    "PymixedError",
    "PymixedWarning",
    "RankDeficiencyWarning",
    "RefitWarning",
    "SeparationWarning",
    "SingularFitWarning",
    "WorkerError",
]


class PymixedError(Exception):
    """Base of every exception that pymixed raises on purpose."""


class InputError(PymixedError, ValueError):
    """An argument has the right type and a value that no model can be made of."""


class InputTypeError(PymixedError, TypeError):
    """An argument has the wrong type: strings where numbers are needed, for example."""


class FormulaError(InputError):
    """A formula that cannot be understood; the message shows it with a caret under the place.

    Parameters
    ----------
    reason : str
        What is wrong.
    formula : str
        The formula as given.
    position : int or None
        Index of the offending character in `formula`; None where no single place is to blame.

    Examples
    --------
    >>> from pymixed.errors import FormulaError
    >>> print(FormulaError("empty grouping factor", "y ~ x + (1 | )", 13))
    empty grouping factor
      y ~ x + (1 | )
                   ^
    """

    def __init__(self, reason: str, formula: str, position: int | None = None) -> None:
        super().__init__(reason, formula, position)  # all three, so that the exception survives pickling
        self.reason = reason
        self.formula = formula
        self.position = position

    def __str__(self) -> str:
        # the caret needs the formula on one line, character for character
        lines = [self.reason, "  " + self.formula.replace("\n", " ")]
        if self.position is not None:
            lines.append(" " * (self.position + 2) + "^")
        return "\n".join(lines)


class MemoryLimitError(MemoryError, PymixedError):  # in this order its __new__ is the one that unpickling needs
    """A model needs more memory than there is; raised before anything is allocated."""


class WorkerError(PymixedError, RuntimeError):
    """A worker of the `executor` was lost: killed, out of memory, or its machine gone."""


class PymixedWarning(UserWarning):
    """Base of pymixed's warnings.

    Attributes
    ----------
    code : str
        Short name of the finding, the same for every message of a class.
    """

    code: ClassVar[str] = "pymixed"


class ConvergenceWarning(PymixedWarning):
    """The convergence certificate of a fit is not met."""

    code = "convergence"


class SingularFitWarning(PymixedWarning):
    """Some direction of a random-effects term has an estimated variance of zero."""

    code = "singular"


class RankDeficiencyWarning(PymixedWarning):
    """Columns of the fixed-effects matrix depend on others and were dropped."""

    code = "rank_deficiency"


class SeparationWarning(PymixedWarning):
    """A coefficient has no finite estimate: a combination of columns predicts some rows perfectly."""

    code = "separation"


class BoundaryWarning(PymixedWarning):
    """A parameter of the family or of the zero inflation runs off to where the family becomes a simpler one."""

    code = "boundary"


class ProfileWarning(PymixedWarning):
    """A profile likelihood could not be followed, or shows that the fit is not at the minimum."""

    code = "profile"


class LongComputationWarning(PymixedWarning):
    """A computation that takes long has begun; the message estimates memory and time."""

    code = "long_computation"


class MissingValuesWarning(PymixedWarning):
    """Rows were dropped because a value that the model uses is missing."""

    code = "missing_values"


class InterruptedWarning(PymixedWarning):
    """Ctrl-C ended a long computation early; what was done by then is returned."""

    code = "interrupted"


class EstimabilityWarning(PymixedWarning):
    """The data say nothing of a hypothesis or a mean, which is left undefined."""

    code = "estimability"


class RefitWarning(PymixedWarning):
    """Models were fitted again, by maximum likelihood, to be compared."""

    code = "refit"


class NestingWarning(PymixedWarning):
    """Of two models compared, none contains the other: their likelihood ratio has no known distribution."""

    code = "nesting"


class DomainWarning(PymixedWarning):
    """A link gives no mean for some linear predictors; what depends on it is missing."""

    code = "domain"
