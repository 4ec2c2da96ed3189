"""Estimates of many responses with their tests: what fits and moderated fits have in common."""
from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from .._common import Array, check_choice
from .._inference.adjust import adjusted_p
from .._inference.coefficient_tests import t_p_values

if TYPE_CHECKING:
    import pandas as pd

ADJUSTMENTS = ("fdr", "holm", "bonferroni", "none")


def adjusted(t: Array, df: Array, method: str) -> Array:
    """Adjusted p-values of statistics (R, k), a family per column; NaN ones take no part."""
    check_choice("method", method, ADJUSTMENTS)
    return adjusted_p(t.T, df.T, method, 0).T


class TestedRows(ABC):
    """A row of estimates per response, a column per coefficient, NaN where there is none."""

    responses: NDArray[Any]
    coefficient_names: tuple[str, ...]
    coefficients: Array

    @property
    @abstractmethod
    def se(self) -> Array:
        """Standard errors of the coefficients (R, p)."""

    @property
    @abstractmethod
    def df(self) -> Array:
        """Degrees of freedom of their tests (R, p); infinite for z tests."""

    @property
    def statistic_name(self) -> str:
        """``"t"`` or ``"z"``."""
        return "t"

    def __len__(self) -> int:
        return len(self.coefficients)

    @cached_property
    def t_values(self) -> Array:
        """Coefficients over their standard errors (R, p)."""
        return self.coefficients / self.se

    @cached_property
    def p_values(self) -> Array:
        """Two-sided p-values (R, p)."""
        return t_p_values(self.t_values, self.df)

    def p_adjusted(self, method: str = "fdr") -> Array:
        """P-values adjusted for the number of responses, each coefficient on its own (R, p).

        Parameters
        ----------
        method : str
            ``"fdr"``: Benjamini & Hochberg (1995, J. R. Stat. Soc. B 57), the rate of false discoveries; ``"holm"``
            (1979, Scand. J. Stat. 6) and ``"bonferroni"``: any false discovery; ``"none"``.

        Raises
        ------
        InputError
            If the method is none of these.
        """
        return adjusted(self.t_values, self.df, method)

    def _test_columns(self, method: str) -> dict[str, Array]:
        """Columns of a flat table, by name."""
        arrays = {"estimate": self.coefficients, "se": self.se, "df": self.df, self.statistic_name: self.t_values,
                  "p": self.p_values, "p_adjusted": self.p_adjusted(method)}
        return {f"{what}.{name}": values[:, j] for j, name in enumerate(self.coefficient_names)
                for what, values in arrays.items()}

    def to_pandas(self, method: str = "fdr") -> pd.DataFrame:
        """A row per response: ``estimate.x, se.x, df.x, t.x, p.x, p_adjusted.x`` for every coefficient x.

        `method` is that of `p_adjusted`.
        """
        import pandas as pd

        return pd.DataFrame(self._test_columns(method), index=pd.Index(self.responses, name="response"))
