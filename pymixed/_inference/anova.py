"""Tables of tests of the fixed-effects terms: analysis of variance, and single terms against all others."""
from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._common import Array
from ..errors import EstimabilityWarning, InputError
from .coefficient_tests import CoefficientTests
from .terms import FixedTerms

if TYPE_CHECKING:
    import pandas as pd

TYPES = (1, 2, 3)


def check_type(type_: object) -> int:
    """The type of an analysis of variance, refused unless it is 1, 2 or 3."""
    if isinstance(type_, bool) or type_ not in TYPES:
        raise InputError(f"type: expected 1, 2 or 3, got {type_!r}")
    return int(type_)


def anova_table(terms: FixedTerms, tests: CoefficientTests, type_: int, residual_variance: float) -> pd.DataFrame:
    """A row of tests per term; warns, for its caller's caller, of terms that the data cannot test."""
    hypotheses = terms.hypotheses(type_)
    if untestable := [name for name, rows in zip(terms.names, hypotheses, strict=True) if not len(rows)]:
        warnings.warn(EstimabilityWarning(
            f"type {type_}: no hypothesis about {', '.join(untestable)} is estimable: cells of the design are empty or "
            "columns of X depend on others"), stacklevel=3)
    return table_of_tests(tests, terms.names, hypotheses, residual_variance)


def table_of_tests(tests: CoefficientTests, names: Sequence[str], hypotheses: Sequence[Array],
                   residual_variance: float) -> pd.DataFrame:
    """The F tests, or chi-squared tests, of hypotheses about the coefficients in lmerTest's columns.

    Mean Sq = F sigma², F with the model's own covariance whatever the degrees of freedom, Sum Sq = Mean Sq NumDF; NaN
    where a hypothesis has no rows.
    """
    import pandas as pd

    joint = [tests.joint(rows) if len(rows) else None for rows in hypotheses]
    num_df = np.array([0 if test is None else test.num_df for test in joint], int)
    den_df = np.array([np.nan if test is None else test.den_df for test in joint], float)
    statistic = np.array([np.nan if test is None else test.statistic for test in joint], float)
    p = np.array([np.nan if test is None else test.p_value for test in joint], float)
    if tests.asymptotic:
        columns = {"Chisq": num_df * statistic, "Df": num_df, "Pr(>Chisq)": p}
    else:
        mean_square = residual_variance * np.array(
            [np.nan if test is None else tests.mean_square(rows, test)
             for rows, test in zip(hypotheses, joint, strict=True)], float)
        columns = {"Sum Sq": num_df * mean_square, "Mean Sq": mean_square, "NumDF": num_df, "DenDF": den_df,
                   "F value": statistic, "Pr(>F)": p}
    table = pd.DataFrame(columns, index=list(names))
    table.attrs["notes"] = list(tests.notes)
    return table
