"""A fitted model that goes into a file: the methods of a solution that keep it."""
from __future__ import annotations

import os
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._common import Array, P
from ._described_solution import DescribedSolution
from .errors import InputTypeError


@dataclass(frozen=True, eq=False, repr=False)
class SavedSolution(DescribedSolution[P]):
    """A fitted mixed model that can be saved; see the two kinds."""

    def save(self, path: str | os.PathLike[str], slim: bool = True) -> None:
        """Write the model into one file, which `pymixed.load` reads.

        The file holds plain values, nothing in it can execute, and the C++ library reads it as well. Without rows its
        size depends on the numbers of levels and of their combinations, not on the number of rows.

        Parameters
        ----------
        path : str or path
            Of the file, which is replaced if it exists; ``.pmx`` is the usual ending.
        slim : bool
            Whether to leave out the rows of the fit. What it predicts, simulates for new rows and reports stays;
            residuals, refits and the criterion of a generalized model need the rows.

        Raises
        ------
        InputError, InputTypeError
            Something in the model is no plain value: a custom family, contrasts given as an object, labels that are
            neither strings nor numbers, booleans or dates, a formula with functions of the user's.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> import pymixed as pm, tempfile
        >>> fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit.save(f"{folder}/dyestuff.pmx")
        ...     pm.load(f"{folder}/dyestuff.pmx").fixef().round(1).to_dict()
        {'(Intercept)': 1527.5}
        """
        from ._saved.writing import write_model  # reads formulas

        if not isinstance(slim, (bool, np.bool_)):
            raise InputTypeError(f"slim: expected True or False, got {slim!r}")
        write_model(path, self._result, self._design, self._engine, self._response_family, self._criterion_point,
                    self._held_numbers(), bool(slim))

    @property
    def _criterion_point(self) -> Array:
        """Parameters of the criterion at the estimates."""
        return self.theta

    @abstractmethod
    def _held_numbers(self) -> dict[str, Any]:
        """What results tell of the rows, for a file that has none."""
