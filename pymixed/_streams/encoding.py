"""A formula read once for all batches: the same columns, codings and state of transforms for each of them."""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._categorical import Categorical, factorize, label_kind
from .._formula_columns import group_columns, variables
from .._frames import Column, FloatArray, Table
from .._from_formula import BatchRows, FormulaEncoder, crossed_columns, parse_for
from .._model_matrix import Contrast, encode, part_texts, with_state
from .._parts import RandomTerm, TermData
from ..errors import FormulaError, InputTypeError
from ..formula import INTERCEPT, ParsedFormula, split_names

if TYPE_CHECKING:
    from formulaic import ModelSpec

SAME = 1e-9  # relative difference of values that are the same but for rounding


@dataclass(frozen=True, eq=False)
class Recipe:
    """What an encoding is made from: plain values only.

    Attributes
    ----------
    formula : str
    contrasts : mapping
        Coding of categorical columns by name.
    weights, offset : str or None
        Names of columns.
    na_action : str
    levels : mapping
        Labels of the columns that are categorical outside of groups, and numbers of those that the formula makes so.
    ordered : tuple of str
        Those of them whose order has a meaning.
    labelled : tuple of str
        Those of them that hold labels, not numbers.
    state : mapping
        formulaic's state of the transforms that depend on all rows, by expression.
    sample : mapping
        A few values of every other column.
    """

    formula: str
    contrasts: Mapping[str, Contrast]
    weights: str | None
    offset: str | None
    na_action: str
    levels: Mapping[str, NDArray[Any]]
    ordered: tuple[str, ...]
    labelled: tuple[str, ...]
    state: Mapping[str, Any]
    sample: Mapping[str, FloatArray] = field(repr=False)

    def difference(self, other: Recipe) -> str:
        """What keeps the sums over rows encoded so from being added to others, empty where nothing does."""
        for part in fields(self):
            mine, theirs = getattr(self, part.name), getattr(other, part.name)
            if part.name not in ("sample", "na_action") and not _equal(mine, theirs):
                what = part.name.replace("labelled", "kinds of columns").replace("ordered", "ordered columns")
                return f"different {what}: {_shown(mine, theirs)}"
        return ""


@dataclass(frozen=True, eq=False)
class BatchEncoder(FormulaEncoder):
    """A formula's encoder that refuses columns of another kind than before.

    Attributes
    ----------
    kinds : mapping
        Kind of the labels of categorical columns.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)

    def column(self, table: Table, name: str) -> Column:
        """A column used outside of groups, of the kind that it had before."""
        values = table.column(name)
        if isinstance(values, Categorical):
            kind = label_kind(values.levels)
        else:
            kind = "" if np.isnan(values[:1]).any() and np.isnan(values).all() else "numbers"
        expected = self.kinds[name] if self.categorical[name] else "numbers"
        if kind and kind != expected:
            raise InputTypeError(f"column {name!r}: expected {expected} as before, got {kind}")
        if self.categorical[name] == isinstance(values, Categorical):
            return values
        return factorize(values) if isinstance(values, np.ndarray) else np.full(len(values), np.nan)  # all are missing


class StreamEncoding:
    """Encodes any batch of a formula's rows.

    Parameters
    ----------
    recipe : Recipe

    Attributes
    ----------
    encoder : BatchEncoder
    names : tuple of str
        Columns of X.
    factor_names : tuple of str
        Grouping factors.
    numeric_variables : tuple of str
        Columns of numbers that the fixed part uses and does not make categorical.
    shift : (p,) array
        Near the means of the columns of X.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        parsed = parse_for(recipe.formula, None, None)
        columns, n = self._prototype()
        specs: dict[str, ModelSpec] = {text: with_state(text, whole, copy.deepcopy(dict(recipe.state)))
                                       for text, whole in part_texts(parsed, columns).items()}
        blocks = encode(parsed, columns, n, recipe.contrasts, specs)
        fixed = blocks[parsed.fixed]
        self.encoder = BatchEncoder(
            parsed, recipe.contrasts, {text: block.spec for text, block in blocks.items()},
            {name: isinstance(values, Categorical) for name, values in columns.items()}, crossed_columns(parsed),
            recipe.offset, recipe.offset is not None,
            {name: columns[name] for name in split_names(parsed.fixed)[0] if name in columns},
            kinds={name: label_kind(levels) for name, levels in recipe.levels.items()})
        self.names = fixed.names
        self.factor_names = tuple(":".join(names) for names in self.encoder.factors)
        self._terms = tuple((position, names) for position, names, _ in self.encoder.terms_of(blocks, parsed.bars))
        coded = self.encoder.coded_levels()
        self.numeric_variables = tuple(name for name in self.encoder.fixed_columns
                                       if not self.encoder.categorical[name] and name not in coded)
        self.shift = fixed.matrix.mean(axis=0)
        self._check_rows_alone(columns, n)

    def __reduce__(self) -> tuple[Callable[[Recipe], StreamEncoding], tuple[Recipe]]:
        return StreamEncoding, (self.recipe,)

    @property
    def parsed(self) -> ParsedFormula:
        """The formula's parts."""
        return self.encoder.parsed

    @property
    def intercept(self) -> int:
        """Position of the constant column of X; -1 without one, whatever looks like it in a batch."""
        return self.names.index(INTERCEPT) if INTERCEPT in self.names else -1

    @property
    def column_names(self) -> list[str]:
        """Columns that are read from every batch."""
        extra = [name for name in (self.recipe.weights, self.recipe.offset) if name is not None]
        return list(dict.fromkeys([*self.encoder.categorical, *group_columns(self.parsed.bars), *extra]))

    def terms_of(self, data: Sequence[TermData]) -> tuple[RandomTerm, ...]:
        """Random-effects terms with their columns."""
        return tuple(RandomTerm(self.factor_names[position], position, names, columns, "us")
                     for (position, names), columns in zip(self._terms, data, strict=True))

    @property
    def term_sizes(self) -> list[int]:
        """Numbers of columns of the terms."""
        return [len(names) for _, names in self._terms]

    def read(self, batch: Any) -> BatchRows:
        """Encode the complete rows of a batch.

        Raises
        ------
        InputError, InputTypeError
            A column that is missing, or that holds something else than those before.
        """
        return self.encoder.encode_batch(Table(batch, "batch"), self.recipe.weights, self.recipe.na_action)

    def _prototype(self) -> tuple[dict[str, Any], int]:
        """A few rows that have all levels."""
        recipe = self.recipe
        n = max([1, *map(len, recipe.sample.values()), *map(len, recipe.levels.values())])
        columns: dict[str, Any] = {name: np.resize(values, n) for name, values in recipe.sample.items()}
        for name, levels in recipe.levels.items():
            codes = np.resize(np.arange(len(levels), dtype=np.int32), n)
            columns[name] = (Categorical(codes, levels, name in recipe.ordered) if name in recipe.labelled
                             else levels[codes].astype(np.float64))
        return {name: columns[name] for name in variables(parse_for(recipe.formula, None, None), columns)}, n

    def _check_rows_alone(self, columns: Mapping[str, Any], n: int) -> None:
        """Refuse expressions whose value in a row depends on other rows and has no state: x - np.mean(x), lag(x)."""
        if n < 3:
            return
        together = encode(self.parsed, columns, n, self.recipe.contrasts, self.encoder.specs)
        for half in (np.arange(n)[::2], np.arange(n)[1::2]):
            alone = encode(self.parsed, {name: values.take(half) for name, values in columns.items()}, len(half),
                           self.recipe.contrasts, self.encoder.specs)
            for text in (text for text, block in together.items() if not _same(block.matrix[half], alone[text].matrix)):
                raise FormulaError(f"in {text!r}: the value of a row depends on the other rows of its batch; of such "
                                   "functions only those that keep a state (center, scale, poly, bs, cr, ...) are the "
                                   "same for all batches", self.recipe.formula)


def _same(expected: FloatArray, got: FloatArray) -> bool:
    size = float(np.nanmax(np.abs(expected), initial=0.0))
    return np.allclose(expected, got, rtol=SAME, atol=SAME * size, equal_nan=True)


# ---- comparison ----------------------------------------------------------------------------------------------------

def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, Mapping):
        return (isinstance(second, Mapping) and first.keys() == second.keys()
                and all(_equal(first[key], second[key]) for key in first))
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, (list, tuple)):
        return (isinstance(second, (list, tuple)) and len(first) == len(second)
                and all(map(_equal, first, second)))
    return bool(first == second)


def _shown(first: Any, second: Any) -> str:
    if isinstance(first, Mapping):
        name = next(key for key in [*first, *second]
                    if key not in first or key not in second or not _equal(first[key], second[key]))
        return f"of {name!r}, {_listed(first.get(name))} and {_listed(second.get(name))}"
    return f"{first!r} and {second!r}"


def _listed(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, np.ndarray):
        return f"{', '.join(map(repr, value.tolist()[:5]))}{', ...' if len(value) > 5 else ''}"
    return str(value)
