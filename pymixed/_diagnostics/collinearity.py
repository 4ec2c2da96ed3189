"""Variance inflation of the fixed effects, term by term."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._common import Array, MixedParams
from .._inference.terms import FixedTerms
from ..design import MixedDesign

if TYPE_CHECKING:
    import pandas as pd


def variance_inflation(design: MixedDesign, params: MixedParams, terms: FixedTerms) -> pd.DataFrame:
    """Generalised variance-inflation factors; see `DiagnosedSolution.vif`."""
    import pandas as pd

    position = {name: j for j, name in enumerate(params.coefficient_names)}
    blocks = [[position[name] for j in columns if (name := design.coefficient_names[j]) in position]
              for columns in terms.columns]
    factors = generalized_inflation(params.vcov, blocks)
    df = np.array([len(block) for block in blocks], dtype=int)
    power = np.where(df > 0, 0.5 / np.maximum(df, 1), np.nan)
    return pd.DataFrame({"df": df, "gvif": factors, "inflation": factors**power},
                        index=pd.Index(terms.names, name="term"))


def generalized_inflation(vcov: Array, blocks: list[list[int]]) -> Array:
    """det(R_11) det(R_22) / det(R) of each block 1 of coefficients against the blocks 2 of all others.

    R is the correlation matrix of the estimates in `blocks` together; NaN for a block without coefficients.
    """
    every = [j for block in blocks for j in block]
    se = np.sqrt(vcov.diagonal())
    correlation = vcov / np.outer(se, se)

    def log_det(positions: list[int]) -> float:
        return float(np.linalg.slogdet(correlation[np.ix_(positions, positions)])[1])

    logs = [log_det(block) + log_det([j for j in every if j not in block]) - log_det(every) if block else np.nan
            for block in blocks]
    return np.asarray(np.exp(np.array(logs, dtype=float)))
