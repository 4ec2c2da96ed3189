"""From arrays, groups and names of columns to the parts of a model: the seed's way in."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._categorical import Categorical
from ._family import Family
from ._frames import Column, FloatArray, complete_rows, factor, matrix, numbers, take_rows
from ._parts import (
    FixedVariable,
    GroupingFactor,
    ModelParts,
    ModelTerm,
    NewRows,
    ObservedRows,
    RandomTerm,
    RowsWithGaps,
    Term,
    TermContent,
    TermData,
    column_term,
)
from ._responses import array_response, finish
from .errors import InputError, InputTypeError
from .formula import INTERCEPT

RandomEffects: TypeAlias = Mapping[str, Sequence[str]] | Sequence[Term]


def read_arrays(y: ArrayLike, X: ArrayLike, groups: Mapping[str, ArrayLike], random_effects: RandomEffects | None,
                random_data: Mapping[str, ArrayLike] | None, weights: ArrayLike | None, offset: ArrayLike | None,
                na_action: str, family: Family | None) -> ModelParts:
    """Check and convert arrays; the arguments are those of `MixedDesign.validate`."""
    response = array_response(y, family)
    n_given = len(response)
    fixed = matrix(X, "X", n_given)
    labels = _labels(groups, n_given)
    terms = _terms(labels, random_effects)
    data = _columns(random_data or {}, n_given, terms)
    prior = {name: None if values is None else numbers(values, name, n_given)
             for name, values in (("weights", weights), ("offset", offset))}
    rows = complete_rows(
        {"y": response, "X": fixed, **prior, **{f"groups[{name!r}]": values for name, values in labels.items()},
         **{f"random_data[{name!r}]": values for name, values in data.items()}}, n_given, na_action)
    if rows is not None:
        response = take_rows(response, rows)
        fixed = fixed[rows]
        labels = {name: values.take(rows) for name, values in labels.items()}
        data = {name: values[rows] for name, values in data.items()}
        prior = {name: values if values is None else values[rows] for name, values in prior.items()}

    position = {name: i for i, name in enumerate(labels)}
    values, weights = finish(response, prior["weights"], "y", family, rows)
    return ModelParts(
        values, fixed, tuple(INTERCEPT if j == 0 else f"X{j}" for j in range(fixed.shape[1])),
        tuple(GroupingFactor(name, values.codes, values.levels) for name, values in labels.items()),
        tuple(RandomTerm(term.group, position[term.group], _column_names(term), _term_data(term, data), term.structure)
              for term in terms),
        weights, prior["offset"], "y", None, rows, n_given, None, (), ArrayEncoder(terms, offset is not None))


@dataclass(frozen=True)
class ArrayEncoder:
    """Encodes new rows given as a mapping with the arguments' names: X, groups, random_data.

    Attributes
    ----------
    terms : tuple of Term
        The random-effects terms.
    has_offset : bool
        Whether there was an `offset` argument.
    """

    terms: tuple[Term, ...]
    has_offset: bool

    def new_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                 effects: Collection[str]) -> NewRows:
        """Encode new data; levels of grouping factors in `groups`, columns of the terms of those in `effects`."""
        if not isinstance(newdata, Mapping) or "X" not in newdata:
            raise InputTypeError("newdata: expected a mapping with 'X', 'groups' and 'random_data', as the model was "
                                 f"fitted from arrays, got {type(newdata).__name__}")
        if offset is None and self.has_offset:
            raise InputError("offset: the model was fitted with offsets, expected them for the new rows too")
        m = len(np.asarray(newdata["X"]))
        X = matrix(newdata["X"], "newdata['X']", m)
        if X.shape[1] != parts.p:
            raise InputError(f"newdata['X']: expected {parts.p} columns as in the fit, got {X.shape[1]}")
        wanted = [factor.name for factor in parts.factors if factor.name in groups]
        given = newdata.get("groups") or {}
        if missing := [name for name in wanted if name not in given]:
            raise InputError(f"newdata['groups']: expected an entry {missing[0]!r}, got {list(given)}")
        labels = _labels({name: given[name] for name in wanted}, m) if wanted else {}
        terms = [term for term in self.terms if term.group in effects]
        random_data = newdata.get("random_data") or {}
        data = _columns({name: random_data[name] for name in _used(terms) if name in random_data}, m, terms)
        known = None if offset is None else numbers(offset, "offset", m)
        complete_rows(
            {"X": X, "offset": known, **{f"groups[{name!r}]": values for name, values in labels.items()},
             **{f"random_data[{name!r}]": values for name, values in data.items()}}, m, "raise", argument="newdata")
        return NewRows(
            X, known, None,
            tuple(labels[seen.name].codes_in(seen.levels, f"newdata['groups'][{seen.name!r}]")
                  if seen.name in labels else np.full(m, -1, np.int32)
                  for seen in parts.factors),
            tuple(labels[seen.name].labels() if seen.name in labels else np.full(m, None) for seen in parts.factors),
            tuple(_term_data(term, data) if term.group in effects else () for term in self.terms))

    def observed_rows(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                      weights: ArrayLike | str | None = None, family: Family | None = None) -> ObservedRows:
        """Refused: new data of arrays have no response."""
        raise InputError("the model was fitted from arrays; residuals of new rows need a formula, which says what the "
                         "response is: see pymixed.lmer")

    def rows_with_gaps(self, parts: ModelParts, newdata: Any, offset: ArrayLike | None, groups: Collection[str],
                       family: Family | None) -> RowsWithGaps:
        """Refused as well."""
        raise InputError("the model was fitted from arrays, whose new rows have no response and lack no value")

    def fixed_terms(self, parts: ModelParts) -> tuple[ModelTerm, ...]:
        """Every column of X is a term."""
        return tuple(column_term(name, j) for j, name in enumerate(parts.coefficient_names))

    def random_terms(self, parts: ModelParts) -> tuple[TermContent, ...]:
        """Every column of a random-effects term is a term of its own."""
        bars = {"us": "|", "diag": "||"}
        return tuple(
            TermContent(" ".join([" + ".join(term.terms), bars[term.structure], term.group]),
                        tuple(column_term(name, j) for j, name in enumerate(_column_names(term))))
            for term in self.terms)

    def fixed_variables(self) -> tuple[FixedVariable, ...]:
        """Refused: arrays have no variables."""
        raise InputError("the model was fitted from arrays; marginal means and trends need a formula, which says what "
                         "the columns of X are made of: see pymixed.lmer and pymixed.glmer")

    def fixed_matrix(self, columns: Mapping[str, Column], n: int) -> FloatArray:
        """Refused as well."""
        raise InputError("the model was fitted from arrays, whose columns of X are given and not made of others")

    def take(self, rows: NDArray[np.intp]) -> ArrayEncoder:
        """Itself: it holds no rows."""
        return self


def _labels(groups: Mapping[str, ArrayLike], n: int) -> dict[str, Categorical]:
    if not isinstance(groups, Mapping):
        raise InputTypeError(f"groups: expected a mapping from names to labels, got {type(groups).__name__}")
    if not groups:
        raise InputError("groups: expected at least one grouping factor, got none")
    labels = {}
    for name, values in groups.items():
        labels[name] = factor(values, f"groups[{name!r}]")
        if len(labels[name]) != n:
            raise InputError(f"groups[{name!r}]: expected {n} labels, one per row, got {len(labels[name])}")
    return labels


def _terms(groups: Collection[str], random_effects: RandomEffects | None) -> tuple[Term, ...]:
    """Terms in the user's order; a random intercept for every group that a mapping does not speak of."""
    if random_effects is None or isinstance(random_effects, Mapping):
        given = random_effects or {}
        terms = tuple(Term(name, given.get(name, ("1",))) for name in groups)
        named: Iterable[str] = given
    else:
        terms = tuple(random_effects)
        for term in terms:
            if not isinstance(term, Term):
                raise InputTypeError("random_effects: expected a mapping from groups to lists of terms or a list of "
                                     f"Term, got {term!r} in the list")
        named = [term.group for term in terms]
        if unused := [name for name in groups if name not in named]:
            raise InputError(f"random_effects: expected a Term for every group, got none for {unused[0]!r}")
    if unknown := [name for name in named if name not in groups]:
        raise InputError(f"random_effects: expected names of groups ({', '.join(map(repr, groups))}), "
                         f"got {unknown[0]!r}")
    return terms


def _columns(random_data: Mapping[str, ArrayLike], n: int, terms: Iterable[Term]) -> dict[str, FloatArray]:
    used = _used(terms)
    if missing := [name for name in used if name not in random_data]:
        raise InputError(f"random_data: expected an entry {missing[0]!r}, which a term names; got {list(random_data)}")
    if unused := [name for name in random_data if name not in used]:
        raise InputError(f"random_data: {unused[0]!r} is in no term, expected only {used}")
    return {name: numbers(random_data[name], f"random_data[{name!r}]", n) for name in used}


def _used(terms: Iterable[Term]) -> list[str]:
    return list(dict.fromkeys(name for term in terms for name in term.terms if name != "1"))


def _column_names(term: Term) -> tuple[str, ...]:
    return tuple(INTERCEPT if name == "1" else name for name in term.terms)


def _term_data(term: Term, data: Mapping[str, FloatArray]) -> TermData:
    return tuple(None if name == "1" else data[name] for name in term.terms)
