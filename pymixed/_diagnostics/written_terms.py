"""Random-effects terms as the user wrote them, what of a singular fit's can be left out, and the model that remains."""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from .._common import Array
from .._parts import ModelTerm, Term, column_term
from ..design import MixedDesign, RandomTerm
from ..formula import INTERCEPT, Bar, ParsedFormula, parse, quoted, spelled_groups
from ..inference import SingularDirection, singular_directions, template_entries, templates


@dataclass(frozen=True)
class Columns:
    """Some columns of one of the design's terms.

    Attributes
    ----------
    position : int
        Of the term.
    kept : tuple of int
        Positions of the columns in it.
    structure : str
    """

    position: int
    kept: tuple[int, ...]
    structure: str

    def of(self, terms: Sequence[RandomTerm]) -> RandomTerm:
        """The term that they make."""
        term = terms[self.position]
        return RandomTerm(term.group, term.factor, tuple(term.columns[j] for j in self.kept),
                          tuple(term.data[j] for j in self.kept), self.structure)

    @property
    def n_parameters(self) -> int:
        """Number of its covariance parameters."""
        return len(template_entries(len(self.kept), self.structure)[0])


@dataclass(frozen=True, eq=False)
class WrittenBar:
    """A bar of the formula on one of its grouping factors, or a term from arrays.

    Attributes
    ----------
    bar : int or None
        Position of the bar in the formula; None for arrays.
    name : str
        As written: ``"Days | Subject"``.
    group : str
        Its grouping factor, likewise.
    positions : tuple of int
        Of its terms in the design, one per column for `||`.
    columns : tuple of str
        All its columns.
    parts : tuple of ModelTerm
        What its left-hand side consists of, with places among all columns.
    structure : str
        ``"us"``, or ``"diag"`` also for `||`.
    """

    bar: int | None
    name: str
    group: str
    positions: tuple[int, ...]
    columns: tuple[str, ...]
    parts: tuple[ModelTerm, ...]
    structure: str


@dataclass(frozen=True, eq=False)
class SingularBar:
    """A bar and what of it has no variance in a fit.

    Attributes
    ----------
    written : WrittenBar
    directions : tuple of SingularDirection
        Without variance.
    dropped : tuple of ModelTerm
        Parts of the left-hand side that can be left out.
    """

    written: WrittenBar
    directions: tuple[SingularDirection, ...]
    dropped: tuple[ModelTerm, ...]

    @property
    def kept_parts(self) -> list[ModelTerm]:
        """Parts that stay."""
        return [part for part in self.written.parts if part not in self.dropped]

    @property
    def kept(self) -> list[int]:
        """Positions of the columns that stay."""
        return sorted(j for part in self.kept_parts for j in part.columns)

    @property
    def combinations(self) -> tuple[SingularDirection, ...]:
        """Combinations of several columns without variance."""
        return tuple(direction for direction in self.directions if len(direction.columns) > 1)

    @property
    def text(self) -> str:
        """What stays, as it would be written; empty where nothing does."""
        if self.written.bar is not None and not self.dropped:
            return f"({self.written.name})"
        return self._spelled("|" if self.written.structure == "us" or len(self.kept) == 1 else "||")

    @property
    def uncorrelated_text(self) -> str:
        """The same without correlations."""
        return self._spelled("||")

    def _spelled(self, sign: str) -> str:
        if not self.kept_parts:
            return ""
        if self.written.bar is None:
            structure = "us" if sign == "|" else "diag"
            return repr(Term(self.written.group, ["1" if part.name == INTERCEPT else part.name
                                                  for part in self.kept_parts], structure))
        names = [":".join(map(_factor_text, part.factors)) for part in self.kept_parts if part.factors]
        constant = "1" if len(names) < len(self.kept_parts) else "0"
        return f"({' + '.join([constant, *names])} {sign} {self.written.group})"

    @property
    def change(self) -> str:
        """What becomes of the bar, and why."""
        gone = ", ".join(self.written.columns[j] for part in self.dropped for j in part.columns)
        verb = "have" if sum(len(part.columns) for part in self.dropped) > 1 else "has"
        return f"({self.written.name}): {gone} {verb} no variance; it " + (
            f"becomes {self.text}" if self.text else "is left out")

    @property
    def uncorrelated_change(self) -> str:
        """What becomes of the bar without correlations, and why that is another model."""
        return (f"({self.written.name}): " + "; ".join(map(_without_group, self.combinations)) +
                f"; no formula has a covariance of lower rank, {self.uncorrelated_text} gives up the correlations")

    @property
    def notes(self) -> tuple[str, ...]:
        """Columns without variance that no formula leaves out alone."""
        dropped = {self.written.columns[j] for part in self.dropped for j in part.columns}
        return tuple(f"({self.written.name}): {direction.columns[0]} has no variance, but no formula leaves it out "
                     "alone" for direction in self.directions
                     if len(direction.columns) == 1 and direction.columns[0] not in dropped)

    def terms(self, uncorrelated: bool) -> Iterator[Columns]:
        """What stays, as terms of the design."""
        first = 0
        for position in self.written.positions:
            width = len(self.written.columns) // len(self.written.positions)
            kept = tuple(j - first for j in self.kept if first <= j < first + width)
            first += width
            if kept:
                yield Columns(position, kept, "diag" if uncorrelated else self.written.structure)


def _factor_text(factor: str) -> str:
    """A factor of a part as written: a call as it is, a column's name in backticks where it needs them."""
    return factor if re.match(r"[\w.]+\(|\{", factor) else quoted(factor)


def _without_group(direction: SingularDirection) -> str:
    return str(direction).removeprefix(f"{direction.group}: ")


# ---- reading ---------------------------------------------------------------------------------------------------------

def singular_bars(design: MixedDesign, theta: Array, reaches: Sequence[Array]) -> list[SingularBar]:
    """The bars of a fit with what of them has no variance, `reaches` as for `singular_directions`."""
    found = [singular_directions((term,), template[template_entries(len(term.columns), term.structure)], (reach,))
             for term, template, reach in zip(design.terms, templates(design.terms, theta), reaches, strict=True)]
    bars = []
    for written in _written_bars(design):
        directions = tuple(direction for i in written.positions for direction in found[i])
        bars.append(SingularBar(written, directions, _droppable(written, directions)))
    return bars


def _written_bars(design: MixedDesign) -> Iterator[WrittenBar]:
    contents = design.encoder.random_terms(design)
    bars = () if design.formula is None else parsed_formula(design.formula).bars
    keys = [(content.bar, term.group) if content.bar is not None else (None, i)
            for i, (content, term) in enumerate(zip(contents, design.terms, strict=True))]
    for (bar, _), positions in groupby(range(len(keys)), keys.__getitem__):
        own = tuple(positions)
        term, content = design.terms[own[0]], contents[own[0]]
        columns = tuple(name for i in own for name in design.terms[i].columns)
        if bar is None:
            yield WrittenBar(bar, content.name, term.group, own, columns, content.terms, term.structure)
            continue
        lhs, correlated = bars[bar].lhs, bars[bar].correlated
        group = next(":".join(map(quoted, names)) for names in bars[bar].groups if ":".join(names) == term.group)
        parts = (content.terms if correlated or lhs == "1" else
                 tuple(column_term(name, j) for j, name in enumerate(columns)))
        yield WrittenBar(bar, f"{lhs} {'|' if correlated else '||'} {group}", group, own, columns, parts,
                         "us" if correlated else "diag")


def parsed_formula(formula: str) -> ParsedFormula:
    """The parts of a fit's formula, which names no response where there were many."""
    return parse(formula, many=formula.lstrip().startswith("~"))


def _droppable(written: WrittenBar, directions: Sequence[SingularDirection]) -> tuple[ModelTerm, ...]:
    """Parts without variance of which the formula can be freed with no other column changing.

    How the columns of a factor are coded depends on the parts that its part contains, and on whether there is a
    constant; columns such as ``f[T.b]`` of `||` are named by no formula.
    """
    zero = {direction.columns[0] for direction in directions if len(direction.columns) == 1}
    dropped = [part for part in written.parts if zero.issuperset(written.columns[j] for j in part.columns)]
    has_constant = any(part.name == INTERCEPT for part in written.parts)

    def may_go(part: ModelTerm) -> bool:
        coded = [kept for kept in written.parts if kept not in dropped and _is_coded(kept)]
        return not any(set(part.factors) < set(kept.factors) for kept in coded) and not (
            coded and _is_coded(part) and not has_constant)

    while held := [part for part in dropped if not may_go(part)]:
        dropped = [part for part in dropped if part not in held]
    return tuple(dropped)


def _is_coded(part: ModelTerm) -> bool:
    return "[" in part.name or any(factor.coding is not None for block in part.blocks for factor in block.factors)


# ---- writing ---------------------------------------------------------------------------------------------------------

def written_model(design: MixedDesign, bars: Sequence[SingularBar], uncorrelated: SingularBar | None) -> str:
    """The model that remains: a formula, or the argument `random_effects` of arrays."""
    if design.formula is None:
        texts = [bar.uncorrelated_text if bar is uncorrelated else bar.text for bar in bars]
        return f"random_effects=[{', '.join(filter(None, texts))}]"
    parsed = parsed_formula(design.formula)
    random = [text for i, bar in enumerate(parsed.bars)
              for text in _written_bar(bar, [own for own in bars if own.written.bar == i], uncorrelated)]
    offsets = [f"offset({expression})" for expression in parsed.offsets]
    return f"{parsed.response} ~ {' + '.join([parsed.fixed, *offsets, *random])}".strip()


def _written_bar(bar: Bar, own: Sequence[SingularBar], uncorrelated: SingularBar | None) -> list[str]:
    if not any(part.dropped or part is uncorrelated for part in own):
        return [f"({bar.lhs} {'|' if bar.correlated else '||'} {spelled_groups(bar.groups)})"]
    return [text for part in own if (text := part.uncorrelated_text if part is uncorrelated else part.text)]
