"""Whether one mixed model is a special case of another: its column spaces lie inside the other's."""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._common import Array
from ..design import GroupingFactor, MixedDesign

# Part of a column outside a space, relative to the column, that is rounding.
OUTSIDE = 1e-7

# Singular values of columns of length one, relative to the largest, that are rounding.
RANK = 1e-10


def contains(large: MixedDesign, small: MixedDesign) -> bool:
    """Whether the fixed effects, random effects and zero inflation of one design are among those of the other.

    Random effects are where every term of the small one has its columns in the space of one term of the large one with
    the same groups. A term of uncorrelated columns counts as a term per column.
    """
    return (spans(large.X, small.X) and _contains_zero_inflation(large, small)
            and all(any(_same_groups(own_factor, other_factor) and spans(other, own)
                        for other_factor, other in _random_blocks(large))
                    for own_factor, own in _random_blocks(small)))


def spans(large: Array, small: Array) -> bool:
    """Whether all columns of a matrix are combinations of another's."""
    if small.shape[1] == 0 or (large.shape == small.shape and np.array_equal(large, small)):
        return True
    if large.shape[1] == 0:
        return not small.any()
    vectors, values, _ = np.linalg.svd(_unit(large), full_matrices=False)
    basis, columns = vectors[:, values > RANK * values[0]], _unit(small)
    return bool(np.sqrt(((columns - basis @ (basis.T @ columns)) ** 2).sum(axis=0)).max() < OUTSIDE)


def _unit(matrix: Array) -> Array:
    return np.asarray(matrix / np.maximum(np.sqrt((matrix**2).sum(axis=0)), np.finfo(float).tiny))


def _contains_zero_inflation(large: MixedDesign, small: MixedDesign) -> bool:
    if small.zero_inflation is None:
        return True
    return large.zero_inflation is not None and spans(large.zero_inflation, small.zero_inflation)


def _random_blocks(design: MixedDesign) -> Iterator[tuple[GroupingFactor, Array]]:
    """Grouping factor and columns of every unstructured block."""
    for term in design.terms:
        columns = np.column_stack([np.ones(design.n) if column is None else column for column in term.data])
        blocks = np.hsplit(columns, columns.shape[1]) if term.structure == "diag" else [columns]
        yield from ((design.factors[term.factor], block) for block in blocks)


def _same_groups(first: GroupingFactor, second: GroupingFactor) -> bool:
    n_levels = len(first.levels)
    if n_levels != len(second.levels):
        return False
    if np.array_equal(first.codes, second.codes):
        return True
    pairs = np.unique(first.codes.astype(np.int64) * n_levels + second.codes)
    return len(pairs) == n_levels
