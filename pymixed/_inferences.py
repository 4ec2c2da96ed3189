"""What a fitted model says beyond its estimates: the methods of a solution that test, compare and bound."""
from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from ._common import P
from ._contrasts import contrast_table, joint_table, read_contrasts, right_hand_side
from ._solution import MixedSolution
from ._tests import CoefficientTests

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class InferentialSolution(MixedSolution[P]):
    """A fitted mixed model with its tests and intervals; see the two kinds."""

    @abstractmethod
    def _coefficient_tests(self, ddf: str | None) -> CoefficientTests:
        """How linear functions of the coefficients are tested."""

    def contrast(self, L: Any, rhs: ArrayLike = 0.0, ddf: str | None = None, joint: bool = False) -> pd.DataFrame:
        """Estimate and test linear functions of the coefficients, L beta = rhs.

        Parameters
        ----------
        L : array_like (r, p) or (p,), DataFrame, or mapping
            Weights of the coefficients, a row per contrast; a DataFrame has coefficients as columns and labels as
            index; a mapping gives weights by name, ``{"Days": 1}``, or such mappings by label.
        rhs : float or array_like (r,)
            Values under the null hypothesis.
        ddf : str, optional
            Denominator degrees of freedom: ``"satterthwaite"`` (the default for a linear model),
            ``"kenward-roger"`` (with its covariance; a REML fit), ``"residual"`` (n - p), ``"asymptotic"`` (z and
            chi-squared tests: the default and only choice for a generalized linear model).
        joint : bool
            Test all contrasts together instead of one by one.

        Returns
        -------
        DataFrame
            A row per contrast with columns ``estimate, se, df, t`` (``z`` if asymptotic) and ``p`` (two-sided); with
            `joint` one row, ``num_df, den_df, F, p`` (``num_df, chi2, p`` if asymptotic).

        Raises
        ------
        InputError, InputTypeError
            If weights do not fit the coefficients, or a contrast is not estimable.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.contrast({"Days": 1}, rhs=10).round(3).to_dict("records")
        [{'estimate': 10.467, 'se': 1.546, 'df': 17.0, 't': 0.302, 'p': 0.766}]
        """
        labels, rows = read_contrasts(L, self._design, self.params)
        values, tests = right_hand_side(rhs, len(rows)), self._coefficient_tests(ddf)
        return joint_table(tests, rows, values) if joint else contrast_table(tests, labels, rows, values)
