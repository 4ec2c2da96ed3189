"""Clusters of rows: independent of one another, with all random effects inside one of them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._frames import factor
from ..design import GroupingFactor, MixedDesign
from ..errors import InputError


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which cluster every row is in.

    Attributes
    ----------
    codes : (n,) array of int32
        Position of the row's cluster in `labels`.
    labels : (n_clusters,) array
        Each has a row at least.
    """

    codes: NDArray[np.int32]
    labels: NDArray[Any]

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.labels)


def read_clusters(design: MixedDesign, cluster: Any) -> Clusters:
    """Clusters from the name of a grouping factor or labels of the rows; without them the coarsest grouping factor.

    Raises
    ------
    InputError, InputTypeError
        If there is no factor of that name, labels are missing or of another number than the rows, levels of a grouping
        factor are in several clusters, or there is one cluster only.
    """
    clusters = _coarsest(design) if cluster is None else labelled_clusters(design, cluster, "cluster")
    for other in design.factors:
        row = _split_level(other.codes, len(other.levels), clusters.codes)
        if row is not None:
            codes = np.unique(clusters.codes[other.codes == other.codes[row]])[:2]
            first, second = clusters.labels[codes].tolist()
            (level,) = other.levels[other.codes[row:row + 1]].tolist()
            raise InputError(f"cluster: expected clusters that hold all rows of a level of {other.name!r}, got rows of "
                             f"{level!r} in {first!r} and {second!r}; give a coarser grouping")
    if clusters.count < 2:
        raise InputError(f"cluster: expected at least two clusters, got only {clusters.labels.tolist()[0]!r}")
    return clusters


def are_independent(design: MixedDesign, clusters: Clusters) -> bool:
    """Whether every level of every grouping factor has all its rows in one cluster."""
    return all(_split_level(factor.codes, len(factor.levels), clusters.codes) is None for factor in design.factors)


def _coarsest(design: MixedDesign) -> Clusters:
    """The grouping factor in which all the others are nested."""
    coarsest = min(design.factors, key=lambda factor: len(factor.levels))
    for other in design.factors:
        if _split_level(other.codes, len(other.levels), coarsest.codes) is not None:
            raise InputError(f"cluster: expected labels of the rows, or the name of a grouping factor in which all "
                             f"others are nested; {other.name!r} is not nested in {coarsest.name!r}, give a grouping "
                             "that is coarser than both")
    return _of_factor(coarsest)


def _of_factor(factor: GroupingFactor) -> Clusters:
    return Clusters(factor.codes, factor.levels)


def labelled_clusters(design: MixedDesign, cluster: Any, argument: str) -> Clusters:
    """Clusters of any kind: the levels of a grouping factor, or labels of the rows.

    Raises
    ------
    InputError, InputTypeError
        If there is no factor of that name, or labels are missing or of another number than the rows; names `argument`.
    """
    if isinstance(cluster, str):
        for candidate in design.factors:
            if candidate.name == cluster:
                return _of_factor(candidate)
        names = ", ".join(repr(candidate.name) for candidate in design.factors)
        raise InputError(f"{argument}: expected a grouping factor of the model, {names}, got {cluster!r}; other "
                         "columns are not kept, give theirs as an array")
    labels = factor(cluster, argument)
    if len(labels) == design.n_rows_given and design.rows is not None:
        labels = labels.take(design.rows)
    elif len(labels) != design.n:
        used = f" (or {design.n_rows_given}, with the rows that were dropped)" if design.rows is not None else ""
        raise InputError(f"{argument}: expected {design.n} labels{used}, one per row, got {len(labels)}")
    missing = np.flatnonzero(labels.codes < 0)
    if len(missing):
        raise InputError(f"{argument}: expected a label for every row, got none in {len(missing)} rows")
    return Clusters(labels.codes, labels.levels)


def _split_level(codes: NDArray[np.int32], n_levels: int, clusters: NDArray[np.int32]) -> int | None:
    """A row whose level has rows in another cluster too, None where there is none."""
    home = np.empty(n_levels, np.int32)
    home[codes] = clusters
    outside = home[codes] != clusters
    return int(outside.argmax()) if outside.any() else None
