"""Principal components of the covariance matrices of the random effects."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .._common import Array
from ..design import MixedDesign
from ..inference import templates

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TermComponents:
    """Principal components of one random-effects term.

    Attributes
    ----------
    term : str
        The term as the formula has it: ``"Days | Subject"``.
    columns : tuple of str
        Its c columns.
    std_dev : (c,) array
        Standard deviations of the components, largest first.
    loadings : (c, c) array
        A component per column, of length one, its largest entry positive.
    """

    term: str
    columns: tuple[str, ...]
    std_dev: Array
    loadings: Array

    @property
    def proportion(self) -> Array:
        """Shares of the term's total variance (c,); NaN where the term has none."""
        variance = self.std_dev**2
        total = variance.sum()
        return variance / total if total > 0.0 else np.full(len(variance), np.nan)

    @property
    def cumulative(self) -> Array:
        """Shares of the total variance of each component and those before it (c,)."""
        return np.asarray(self.proportion.cumsum())


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Principal components of every random-effects term: `DiagnosedSolution.pca`. Printed as a table.

    Attributes
    ----------
    terms : tuple of TermComponents
        In the user's order.
    """

    terms: tuple[TermComponents, ...]

    @cached_property
    def loadings(self) -> dict[str, pd.DataFrame]:
        """Per term its columns (rows) by components (columns)."""
        import pandas as pd

        return {term.term: pd.DataFrame(term.loadings, index=list(term.columns), columns=_names(term))
                for term in self.terms}

    def to_pandas(self) -> pd.DataFrame:
        """Columns ``term, component, std_dev, proportion, cumulative``: a row per component."""
        import pandas as pd

        return pd.DataFrame({
            "term": [term.term for term in self.terms for _ in term.columns],
            "component": [name for term in self.terms for name in _names(term)],
            **{name: np.concatenate([getattr(term, name) for term in self.terms])
               for name in ("std_dev", "proportion", "cumulative")}})

    def __repr__(self) -> str:
        return self.to_pandas().to_string(index=False, float_format="{:.4g}".format)

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False))


def _names(term: TermComponents) -> list[str]:
    return [f"PC{k + 1}" for k in range(len(term.columns))]


def principal_components(design: MixedDesign, theta: Array, correlation: bool) -> PrincipalComponents:
    """Singular values and left singular vectors of every template; see `DiagnosedSolution.pca`."""
    contents = design.encoder.random_terms(design)
    return PrincipalComponents(tuple(
        _components(content.name, term.columns, template, correlation)
        for term, content, template in zip(design.terms, contents, templates(design.terms, theta), strict=True)))


def _components(name: str, columns: Sequence[str], template: Array, correlation: bool) -> TermComponents:
    if correlation:
        lengths = np.linalg.norm(template, axis=1, keepdims=True)
        template = template / np.where(lengths > 0.0, lengths, 1.0)
    vectors, std_dev, _ = np.linalg.svd(template)
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(len(largest))])
    return TermComponents(name, tuple(columns), std_dev, vectors * signs)
