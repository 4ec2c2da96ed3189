"""Designs that lack a part of another: made to be fitted, not to encode new rows."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._common import Array
from .._parts import ModelTerm, TermContent
from ..design import MixedDesign, RandomTerm
from ..formula import INTERCEPT

# Part of the constant outside a term's columns, relative to it, that is rounding.
CONSTANT = 1e-8


def with_fixed_part(design: MixedDesign, X: Array, names: tuple[str, ...]) -> MixedDesign:
    """The design with another matrix of fixed effects."""
    return replace(design, X=np.asfortranarray(X), coefficient_names=names)


def with_random_terms(design: MixedDesign, terms: Sequence[RandomTerm]) -> MixedDesign:
    """The design with other random-effects terms on its grouping factors; those without a term are left out."""
    used = sorted({term.factor for term in terms})
    return replace(design, factors=tuple(design.factors[i] for i in used),
                   terms=tuple(replace(term, factor=used.index(term.factor)) for term in terms))


@dataclass(frozen=True, eq=False)
class Reduction:
    """A random-effects term and what takes its place.

    Attributes
    ----------
    name : str
        What is left out, as lmerTest writes it: ``"Days in (Days | Subject)"``, ``"(1 | Subject)"``.
    position : int
        Of the term.
    term : RandomTerm or None
        What is left of it.
    """

    name: str
    position: int
    term: RandomTerm | None

    def apply(self, terms: Sequence[RandomTerm]) -> list[RandomTerm]:
        """The terms of the smaller model."""
        after = [] if self.term is None else [self.term]
        return [*terms[:self.position], *after, *terms[self.position + 1:]]


def reductions(design: MixedDesign, reduce: bool) -> Iterator[Reduction]:
    """All ways to make one random-effects term smaller by a part, or, without `reduce`, to leave one out."""
    contents = design.encoder.random_terms(design)
    for i, (term, content) in enumerate(zip(design.terms, contents, strict=True)):
        parts = _droppable(content) if reduce else []
        for part in parts:
            yield Reduction(f"{part.name} in ({content.name})", i, _without(term, part, design.n))
        if not parts:
            yield Reduction(f"({content.name})", i, None)


def _droppable(content: TermContent) -> list[ModelTerm]:
    """Parts other than the intercept that are in no other part; none where there is but one column to drop."""
    return [part for part in content.terms if part.name != INTERCEPT and len(content.terms) + len(part.columns) > 2
            and not any(set(part.factors) < set(other.factors) for other in content.terms)]


def _without(term: RandomTerm, part: ModelTerm, n: int) -> RandomTerm | None:
    """A term without some columns; a constant that its columns could form stays."""
    kept = [j for j in range(len(term.columns)) if j not in part.columns]
    names, data = tuple(term.columns[j] for j in kept), tuple(term.data[j] for j in kept)
    if _spans_constant(term.data, n) and not _spans_constant(data, n):
        names, data = (INTERCEPT, *names), (None, *data)
    return replace(term, columns=names, data=data) if names else None


def _spans_constant(data: Sequence[Array | None], n: int) -> bool:
    if any(column is None for column in data):
        return True
    columns = [column for column in data if column is not None]
    if not columns:
        return False
    X, ones = np.column_stack(columns), np.ones(n)
    return bool(np.abs(X @ np.linalg.lstsq(X, ones, rcond=None)[0] - ones).max() < CONSTANT)
