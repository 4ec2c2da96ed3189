"""lme4's formula grammar: text in, its parts out. Nothing is evaluated here.

A formula `response ~ fixed + offset(e) + (lhs | group)` is cut at brackets, `+`, `-` and `|` into

- the response, an expression;
- the fixed part, a formula of the package formulaic without random terms and offsets;
- the offsets, expressions;
- the bars, each a left-hand side (again a formulaic formula) and the grouping factors that `/` and `:` spell.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from .errors import FormulaError, InputTypeError

__all__ = ["Bar", "ParsedFormula", "check_zero_inflation", "parse", "position_of", "split_names"]

INTERCEPT = "(Intercept)"  # the constant column's name, in the fixed part and in random terms

_CLOSER = {"(": ")", "[": "]", "{": "}"}
_FILLER = "_"  # stands for quoted text in a mask: a letter of a name, no operator
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "lambda", "for", "None", "True", "False"})
_NAME = re.compile(r"[^\W\d][\w.]*")
_NAMES_AND_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"|`([^`]*)`|(?<![\w.])([^\W\d]\w*)")


@dataclass(frozen=True)
class Bar:
    """A random-effects term as written.

    Attributes
    ----------
    lhs : str
        The columns, a formulaic formula: `"1"`, `"x"`, `"0 + x"`.
    groups : tuple of tuple of str
        Grouping factors, each the names of the columns that it crosses: `(1 | a/b)` has `("a",)` and `("b", "a")`.
    correlated : bool
        False for `||`: every column is a term of its own.
    """

    lhs: str
    groups: tuple[tuple[str, ...], ...]
    correlated: bool


@dataclass(frozen=True)
class ParsedFormula:
    """The parts of a formula.

    Attributes
    ----------
    text : str
        The formula as given.
    response : str
        Expression on the left of `~`.
    fixed : str
        The fixed-effects part, `"1"` where only random terms were written.
    offsets : tuple of str
        Arguments of the `offset()` terms.
    bars : tuple of Bar
        Random-effects terms in the order written.
    counts : tuple of str
        Arguments of a response `cbind(success, failure)`; empty for any other.
    zi : str
        The formula of a model for zero inflation as given, empty where there is none.
    """

    text: str
    response: str
    fixed: str
    offsets: tuple[str, ...]
    bars: tuple[Bar, ...]
    counts: tuple[str, ...] = ()
    zi: str = ""

    @property
    def responses(self) -> tuple[str, ...]:
        """The response's expressions: one, or those that `cbind` counts."""
        return self.counts or (self.response,)

    @property
    def zi_fixed(self) -> str:
        """The fixed-effects part of `zi`, empty where there is none."""
        return self.zi.partition("~")[2].strip()


def parse(formula: str, many: bool = False) -> ParsedFormula:
    """Cut a mixed-model formula into its parts.

    Parameters
    ----------
    formula : str
        lme4's grammar, with Python expressions: `(1 | g)`, `(x | g)`, `(0 + x | g)`, `(x || g)`, `(1 | a/b)`,
        `(1 | a:b)`, `offset(e)`, `log(y) ~ ...`, names in backticks.
    many : bool
        Whether the responses are given elsewhere: then the left of `~` is empty or a name for them.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    FormulaError
        With the position of what cannot be understood.
    InputTypeError
        `formula` is not a string.

    Notes
    -----
    The grammar is that of Bates, Mächler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 2.2.

    Examples
    --------
    >>> from pymixed.formula import parse
    >>> parse("log(y) ~ x + (x || a/b)").bars
    (Bar(lhs='x', groups=(('a',), ('b', 'a')), correlated=False),)
    """
    if not isinstance(formula, str):
        raise InputTypeError(f"formula: expected a string such as 'y ~ x + (1 | g)', got {type(formula).__name__}")
    return _parse(formula, many)


@lru_cache(maxsize=256)
def _parse(formula: str, many: bool) -> ParsedFormula:
    whole = _Piece(formula, *_scan(formula), 0, len(formula), -1)
    tildes = whole.find("~")
    if not tildes:
        raise whole.error("missing '~' between the response and the model", whole.end)
    if len(tildes) > 1:
        raise whole.error("a formula has one '~'", tildes[1])
    response, right = whole.cut(0, tildes[0]), whole.cut(tildes[0] + 1, whole.end)
    if many and response.text and split_names(response.text) != ((response.text.strip("`"),), ()):
        raise response.error("the response is no column of the data: expected nothing or a name for it on the left of "
                             "'~'; transform its values themselves")
    if not many and not response.text:
        raise whole.error("missing response on the left of '~'", tildes[0])

    fixed: list[str] = []
    offsets: list[str] = []
    bars: list[Bar] = []
    for sign, term in _terms(right):
        is_bar, offset = bool(term.find("|")), term.argument_of("offset")
        if sign == "-" and (is_bar or offset is not None):
            raise term.error("random terms and offsets are added with '+', not taken away")
        if is_bar:
            bars.append(_parse_bar(term))
        elif offset is not None:
            offsets.append(offset.text)
        else:
            fixed.append(f"{sign} {term.text}" if fixed or sign == "-" else term.text)
    if not bars:
        raise whole.error("no random term: a mixed model needs one such as (1 | group)", whole.end)
    counts = response.argument_of("cbind")
    return ParsedFormula(formula, response.text, " ".join(fixed) or "1", tuple(offsets), tuple(bars),
                         () if counts is None else tuple(piece.text for piece in counts.split(",")))


def check_zero_inflation(formula: str) -> None:
    """Refuse a formula that is not `~` and a fixed-effects part.

    Parameters
    ----------
    formula : str
        Such as `"~ x"`; `"~ 1"` for the same probability in every row.

    Raises
    ------
    FormulaError
        With the position of what cannot be understood.
    InputTypeError
        It is not a string.

    Examples
    --------
    >>> from pymixed.formula import check_zero_inflation
    >>> check_zero_inflation("x + 1")
    Traceback (most recent call last):
    pymixed.errors.FormulaError: zi: expected '~' and the fixed effects, as in '~ x'
      x + 1
      ^
    """
    if not isinstance(formula, str):
        raise InputTypeError(f"zi: expected a formula such as '~ x', got {type(formula).__name__}")
    whole = _Piece(formula, *_scan(formula), 0, len(formula), -1)
    part = whole.cut(0, whole.end)
    if part.find("~") != [part.start] or not part.text:
        raise part.error("zi: expected '~' and the fixed effects, as in '~ x'", 0)
    for _, term in _terms(part.cut(part.start + 1, part.end)):
        if term.find("|"):
            raise term.error("zi: random terms have no place in the model for zero inflation")
        if term.argument_of("offset") is not None:
            raise term.error("zi: offsets have no place in the model for zero inflation")


@lru_cache(maxsize=1024)
def split_names(expression: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the names in an expression or a formula without bars.

    Parameters
    ----------
    expression : str
        Text without unbalanced brackets or quotes.

    Returns
    -------
    variables : tuple of str
        Names that stand for values, in order of appearance, without repeats.
    functions : tuple of str
        Names that are called. Attributes (`x.T`, `np.log`) and keywords (`bs(x, df=4)`) belong to neither.
    """
    variables: dict[str, None] = {}
    functions: dict[str, None] = {}
    for quoted, bare, end in _names(expression):
        following = expression[end:].lstrip()
        if quoted is not None:
            variables[quoted] = None
        elif following.startswith("("):
            functions[bare] = None
        elif bare not in _WORDS and not re.match(r"=(?!=)", following):
            variables[bare] = None
    return tuple(variables), tuple(functions)


def quoted(name: str) -> str:
    """A column as a formula names it: in backticks where it needs them."""
    return name if _NAME.fullmatch(name) else f"`{name}`"


def spelled_groups(groups: tuple[tuple[str, ...], ...]) -> str:
    """The grouping factors of a bar as written: `a/b` for `(("a",), ("b", "a"))`."""
    outer = ((), *groups[:-1])
    return "/".join(":".join(map(quoted, names[:len(names) - len(before)]))
                    for names, before in zip(groups, outer, strict=True))


def position_of(name: str, formula: str) -> int | None:
    """Index of a name's first appearance in a formula; None where it does not appear."""
    for quoted, bare, end in _names(formula):
        if name in (quoted, bare):
            return end - len(name) - (quoted is not None)
    return None


def _names(text: str) -> Iterator[tuple[str | None, str, int]]:
    """Names in backticks and bare names outside strings, with the index after each."""
    for match in _NAMES_AND_STRINGS.finditer(text):
        quoted, bare = match.groups()
        if quoted is not None or bare is not None:
            yield quoted, bare or "", match.end()


@dataclass(frozen=True)
class _Piece:
    """A stretch of a formula that knows its place: `formula[start:end]`, directly inside the bracket at `opener`.

    `mask` is the formula with quoted text blanked out; `openers[i]` is the index of the innermost bracket around
    character i, -1 outside all of them.
    """

    formula: str
    mask: str
    openers: tuple[int, ...]
    start: int
    end: int
    opener: int

    @property
    def text(self) -> str:
        return self.formula[self.start:self.end]

    def find(self, symbols: str) -> list[int]:
        """Places of any of the symbols, not inside deeper brackets."""
        return [i for i in range(self.start, self.end) if self.mask[i] in symbols and self.openers[i] == self.opener]

    def cut(self, start: int, end: int) -> _Piece:
        """Part of this piece, without the blanks around it."""
        while start < end and self.formula[start].isspace():
            start += 1
        while start < end and self.formula[end - 1].isspace():
            end -= 1
        return replace(self, start=start, end=end)

    def split(self, symbols: str) -> list[_Piece]:
        """Pieces between the symbols."""
        marks = self.find(symbols)
        return [self.cut(a, b) for a, b in zip([self.start, *(i + 1 for i in marks)], [*marks, self.end], strict=True)]

    def inner(self) -> _Piece | None:
        """What the parentheses around the whole piece hold; None where there are none."""
        if self.end - self.start < 2 or self.mask[self.start] != "(":
            return None
        closes = [i for i in range(self.start + 1, self.end) if self.mask[i] == ")" and self.openers[i] == self.opener]
        if not closes or closes[0] != self.end - 1:
            return None
        return replace(self, opener=self.start).cut(self.start + 1, self.end - 1)

    def unwrapped(self) -> _Piece:
        """The piece without the parentheses around it."""
        inner = self.inner()
        return self if inner is None else inner.unwrapped()

    def argument_of(self, function: str) -> _Piece | None:
        """What the call holds where the piece is one call of the function; else None."""
        if not re.match(rf"{function}\s*\(", self.text):
            return None
        argument = self.cut(self.formula.index("(", self.start), self.end).inner()
        if argument is not None and not argument.text:
            raise self.error(f"{function}() needs an argument", argument.start)
        return argument

    def stray_bar(self) -> int | None:
        """Place of a `|` in parentheses that are no call's, at any depth; None where there is none."""
        for i in range(self.start, self.end):
            opener = self.openers[i]
            if self.mask[i] == "|" and opener >= 0 and self.mask[opener] == "(" and not _is_call(self.mask, opener):
                return i
        return None

    def error(self, reason: str, position: int | None = None) -> FormulaError:
        return FormulaError(reason, self.formula, self.start if position is None else position)


def _scan(formula: str) -> tuple[str, tuple[int, ...]]:
    """Blank out quoted text and find the bracket around every character; check that both close."""
    mask = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", lambda quoted: _FILLER * len(quoted.group()), formula)
    if (unclosed := re.search(r"[`'\"]", mask)) is not None:
        raise FormulaError(f"unclosed quote {unclosed.group()}", formula, unclosed.start())
    openers, stack = [], [-1]
    for i, symbol in enumerate(mask):
        if symbol in _CLOSER.values():
            if stack[-1] < 0 or _CLOSER[mask[stack[-1]]] != symbol:
                raise FormulaError(f"unbalanced {symbol!r}", formula, i)
            stack.pop()
        openers.append(stack[-1])
        if symbol in _CLOSER:
            stack.append(i)
        elif symbol == "^" and stack[-1] >= 0 and _is_call(mask, stack[-1]):
            raise FormulaError("write ** for a power inside a call, as in I(x**2): '^' is the formula's power of "
                               "terms, as in (a + b)^2", formula, i)
    if stack[-1] >= 0:
        raise FormulaError(f"unbalanced {mask[stack[-1]]!r}", formula, stack[-1])
    return mask, tuple(openers)


def _is_call(mask: str, opener: int) -> bool:
    """Whether the bracket opens a call or an index, not a group of terms."""
    return bool(re.search(r"[\w)\]]\s*$", mask[:opener]))


def _terms(right: _Piece) -> Iterator[tuple[str, _Piece]]:
    """Signed terms of a sum; parentheses around random terms are taken off."""
    signs = ["+", *(right.mask[i] for i in right.find("+-"))]
    for k, (sign, term) in enumerate(zip(signs, right.split("+-"), strict=True)):
        if not term.text:
            if k == 0 and len(signs) > 1:
                continue  # a leading sign, as in y ~ -1 + x
            raise term.error("a term is missing", min(term.start, len(term.formula)))
        if term.find("|"):
            raise term.error("'|' outside brackets: write a random term as (lhs | group)", term.find("|")[0])
        bar, inner = term.stray_bar(), term.inner()
        if bar is None:
            yield sign, term
        elif inner is None or (sign == "-" and not inner.find("|")):
            raise term.error("a random term stands alone: add it with '+'", bar)
        elif inner.find("|"):
            yield sign, inner
        else:
            yield from _terms(inner)


def _parse_bar(inner: _Piece) -> Bar:
    """Read `lhs | group` or `lhs || group`."""
    marks = inner.find("|")
    double = len(marks) == 2 and marks[1] == marks[0] + 1
    if len(marks) > 1 and not double:
        raise inner.error("a random term has one '|' or '||'", marks[1])
    lhs, group = inner.cut(inner.start, marks[0]), inner.cut(marks[-1] + 1, inner.end)
    if not lhs.text:
        raise inner.error("nothing on the left of '|': write (1 | group) for an intercept", marks[0])
    if (nested := lhs.stray_bar()) is not None:
        raise inner.error("a random term inside a random term", nested)
    return Bar(lhs.text, tuple(_nested_groups(group, marks[-1])), correlated=not double)


def _nested_groups(group: _Piece, bar: int) -> Iterator[tuple[str, ...]]:
    """Grouping factors of `a/b/c`: a, then b:a, then c:b:a."""
    outer: tuple[str, ...] = ()
    for level in group.unwrapped().split("/"):
        outer = (*(_group_name(part, bar) for part in level.unwrapped().split(":")), *outer)
        yield outer


def _group_name(part: _Piece, bar: int) -> str:
    if not part.text:
        raise part.error("empty grouping factor", max(part.start, bar + 1))
    if quoted := re.fullmatch(r"`([^`]+)`", part.text):
        return quoted.group(1)
    if not _NAME.fullmatch(part.text):
        raise part.error("a grouping factor is a column's name; several are joined by ':' or '/'; "
                         f"got {part.text!r}")
    return part.text
