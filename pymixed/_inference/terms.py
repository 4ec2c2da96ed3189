"""The hypothesis that a table of terms tests for each of them, and the models without one of them.

A term's columns of X depend on the coding of its factors, its hypothesis must not. The columns of its over-parametrised
form, an indicator for every combination of levels times the covariates, are X B with a matrix B that follows from the
codings alone; a function l'beta has the coefficients l'B in that form. Rows l of the hypothesis l'beta = 0 are

- type 1, 2: the columns X B of the term after those of some others are taken out, (I - P) X B, times X: what the term
  adds to the terms before it (1), or to those that do not contain it (2), by the crossproduct of X without weights;
- type 3: of the functions l'B that vanish on the terms that do not contain it, those orthogonal to the ones that vanish
  on the term as well: where no cell is empty, marginal means with equal weights are equal.

A term contains another if it crosses more factors with the same covariates (SAS Institute, SAS/STAT User's Guide, The
Four Types of Estimable Functions; Goodnight 1978, SAS Technical Report R-101; Kuznetsova, Brockhoff & Christensen 2017,
J. Stat. Softw. 82(13), section 2.4). A main effect of a factor is therefore tested where covariates that it interacts
with are zero.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from .._common import Array, MixedParams
from .._parts import FactorColumns, ModelTerm, TermColumns
from ..design import MixedDesign
from ..formula import INTERCEPT
from .contrasts import dependencies, kept_columns

# Singular values of columns of length one that are rounding.
ROUNDING = 1e-9


class FixedTerms:
    """The terms of the fixed part of a model.

    Parameters
    ----------
    design : MixedDesign
    params : MixedParams
        Its estimates: they say which columns of X were dropped.
    """

    def __init__(self, design: MixedDesign, params: MixedParams) -> None:
        self._design, self._params = design, params
        self._all = design.encoder.fixed_terms(design)
        self._indicators = indicator_columns(self._all, design.p)
        self.tested = [i for i, term in enumerate(self._all) if not self._is_constant(term)]

    def _is_constant(self, term: ModelTerm) -> bool:
        """Whether it is the intercept; of arrays the first column is called so, whatever it holds."""
        return term.name == INTERCEPT and self._design.sums.is_constant(term.columns)

    @property
    def names(self) -> list[str]:
        """Names of the terms that can be tested: all but the intercept."""
        return [self._all[i].name for i in self.tested]

    @property
    def columns(self) -> list[list[int]]:
        """Positions in X of the columns of the terms that can be tested."""
        return [self._all[i].columns for i in self.tested]

    def hypotheses(self, type_: int) -> list[Array]:
        """Rows (r, p) of the hypothesis of each term; none (r = 0) where the data cannot test it."""
        rows = {1: self._sequential, 2: self._partial, 3: self._marginal}[type_]
        kept = kept_columns(self._design, self._params)
        return [rows(i)[:, kept] for i in self.tested]

    def droppable(self) -> list[int]:
        """Positions, among the tested ones, of the terms whose factors are not all part of another term."""
        return [k for k, i in enumerate(self.tested)
                if not any(set(self._all[i].factors) < set(term.factors) for term in self._all)]

    def added(self, k: int) -> Array:
        """Rows (r, p) of the hypothesis that a tested term adds nothing to all others."""
        i = self.tested[k]
        others = [j for j in range(len(self._all)) if j != i]
        rows = self._after(others, i)
        return _reduced(rows, rows[:, self._all[i].columns])[:, kept_columns(self._design, self._params)]

    def matrix_without(self, k: int) -> tuple[Array, tuple[str, ...]]:
        """X and names of its columns for the model without a tested term."""
        i, X, names = self.tested[k], self._design.X, self._design.coefficient_names
        rest = np.hstack([np.empty((self._design.p, 0)), *(self._indicators[j] for j in range(len(self._all))
                                                           if j != i)])
        own = self._all[i].columns
        if not rest[own].any():
            return np.delete(X, own, axis=1), tuple(name for j, name in enumerate(names) if j not in own)
        # the columns of the term also stand for others: y ~ 0 + a + b without a
        from scipy.linalg import qr

        _, R, order = qr(rest, mode="economic", pivoting=True)
        rank = int((np.abs(R.diagonal()) > ROUNDING * np.abs(R[0, 0])).sum())
        return X @ rest[:, np.sort(order[:rank])], tuple(f"column {j + 1}" for j in range(rank))

    # ---- the three types ---------------------------------------------------------------------------------------------

    def _sequential(self, i: int) -> Array:
        return self._after(range(i), i)

    def _partial(self, i: int) -> Array:
        containing = [j for j in range(len(self._all)) if self._contains(j, i)]
        rows = self._after([j for j in range(len(self._all)) if j != i and j not in containing], i)
        return rows if containing else _reduced(rows, rows[:, self._all[i].columns])

    def _after(self, others: Iterable[int], i: int) -> Array:
        """Rows of the hypothesis that a term adds nothing to others: those of Doolittle's factor of X'X."""
        before = np.hstack([np.empty((self._design.p, 0)), *(self._indicators[j] for j in others)])
        directions = list(_range(_unit_product(self._triangle, before)).T)
        first = len(directions)
        for column in _unit_product(self._triangle, np.eye(self._design.p)[:, self._all[i].columns]).T:
            basis = np.array(directions).reshape(-1, len(column))
            rest = column - (basis @ column) @ basis
            rest -= (basis @ rest) @ basis  # once more: the first time leaves rounding relative to what it took out
            if (size := np.linalg.norm(rest)) > ROUNDING:
                directions.append(rest / size)
        rows = np.array(directions[first:]).reshape(-1, self._design.p) @ self._triangle
        own = rows[:, self._all[i].columns]
        return rows / own[np.arange(len(rows)), _pivots(own)][:, None]

    @property
    def _triangle(self) -> Array:
        return self._design.sums.triangle

    def _marginal(self, i: int) -> Array:
        outside = [self._indicators[j] for j in range(len(self._all)) if j != i and not self._contains(j, i)]
        functions = _left_null_space(np.hstack([self._dependencies, *outside]))
        inside = functions @ self._indicators[i]
        on_containing = _left_null_space(inside) @ functions
        everything = np.hstack(self._indicators)
        products = (functions @ everything) @ (on_containing @ everything).T
        rows = _left_null_space(products) @ functions
        return _reduced(rows, rows @ self._indicators[i][:, _differences_first(self._all[i])])

    @cached_property
    def _dependencies(self) -> Array:
        null = dependencies(self._design.sums.triangle, kept_columns(self._design, self._params))
        return np.asarray(null / np.sqrt((null**2).sum(axis=0)))

    def _contains(self, j: int, i: int) -> bool:
        """Whether term j contains term i."""
        factors_j, covariates_j = _sorts(self._all[j])
        factors_i, covariates_i = _sorts(self._all[i])
        return covariates_i == covariates_j and factors_i < factors_j


def _sorts(term: ModelTerm) -> tuple[set[str], set[str]]:
    """Factors of a term that are categorical, and those that are not."""
    factors = {factor.name for block in term.blocks for factor in block.factors if _is_complete(factor)}
    return factors, set(term.factors) - factors


def _is_complete(factor: FactorColumns) -> bool:
    """Whether its columns, with a constant, can tell all levels apart; others count as covariates."""
    return factor.coding is not None and len(factor.coding) <= factor.coding.shape[1] + 1


def _is_full(factor: FactorColumns) -> bool:
    """Whether its columns are the indicators of the levels."""
    return factor.coding is not None and len(factor.coding) == factor.coding.shape[1]


# ---- the over-parametrised form --------------------------------------------------------------------------------------

def indicator_columns(terms: Sequence[ModelTerm], p: int) -> list[Array]:
    """B (p, k) of every term: X B are the products of the indicators of its factors' levels and its covariates.

    A factor with the reduced coding C (levels, levels - 1) has the indicators e = [1, C] V, V = [1, C]⁻¹. A product of
    indicators is thereby a sum of products of constants and reduced columns, each of which the rules of marginality
    have in exactly one block of X: a block of reduced factors R and full ones F stands for every product of all of R
    with some of F. Summed over these, its columns have in the term with factors K the coefficient

        prod over R of V[1:] x prod over F and K of I x prod over F without K of 1 x prod over K without R, F of V[0].
    """
    codings = {factor.name: factor.coding for term in terms for block in term.blocks for factor in block.factors
               if factor.coding is not None and _is_complete(factor) and not _is_full(factor)}
    inverses = {name: np.linalg.inv(np.column_stack([np.ones(len(coding)), coding]))
                for name, coding in codings.items()}
    return [_indicators(term, terms, p, inverses) for term in terms]


def _indicators(term: ModelTerm, terms: Sequence[ModelTerm], p: int, inverses: dict[str, Array]) -> Array:
    columns = term.columns
    if any(factor.coding is not None and not _is_complete(factor) for block in term.blocks for factor in block.factors):
        return np.eye(p)[:, columns]  # an incomplete coding has no indicators: its columns are covariates
    levels = {factor.name: len(factor.coding) for block in term.blocks for factor in block.factors
              if factor.coding is not None}
    widths = {factor.name: factor.n_columns for factor in term.blocks[0].factors if factor.coding is None}
    result = np.zeros((p, *widths.values(), *levels.values()))
    for block in _blocks_of(terms, widths, levels):
        positions = _positions(block, (*widths, *(name for name in levels if name in _names(block)),
                                       *(name for name in _names(block) if name not in (*widths, *levels))))
        _place(result, positions, block, widths, levels, inverses)
    return result.reshape(p, -1)


def _blocks_of(terms: Sequence[ModelTerm], widths: dict[str, int], levels: dict[str, int]) -> Iterator[TermColumns]:
    """Blocks that take part in a term: with its covariates, and no reduced factor that it lacks."""
    for term in terms:
        for block in term.blocks:
            covariates = {factor.name for factor in block.factors if not _is_complete(factor)}
            reduced = {factor.name for factor in block.factors if _is_complete(factor) and not _is_full(factor)}
            if covariates == set(widths) and reduced <= set(levels):
                yield block


def _names(block: TermColumns) -> list[str]:
    return [factor.name for factor in block.factors]


def _positions(block: TermColumns, order: Sequence[str]) -> NDArray[np.intp]:
    """Positions in X of a block's columns, an axis per factor in the order wanted."""
    names = _names(block)[::-1]  # the first is the fastest
    grid = np.arange(block.start, block.start + block.n_columns).reshape(
        [factor.n_columns for factor in block.factors][::-1])
    return grid.transpose([names.index(name) for name in order])


def _place(result: Array, positions: NDArray[np.intp], block: TermColumns, widths: dict[str, int],
           levels: dict[str, int], inverses: dict[str, Array]) -> None:
    """Add a block's coefficients to the term's B (p, covariates..., levels...)."""
    by_name = {factor.name: factor for factor in block.factors}
    tables = [np.eye(width) for width in widths.values()]
    for name, n_levels in levels.items():
        if name not in by_name:
            tables.append(inverses[name][:1])               # V[0], no axis among the block's columns
        else:
            tables.append(np.eye(n_levels) if _is_full(by_name[name]) else inverses[name][1:])
    tables += [np.ones((factor.n_columns, 1)) for factor in block.factors if factor.name not in (*widths, *levels)]
    weights: Array = np.ones((1, 1))
    for table in tables:
        weights = np.asarray(np.kron(weights, table))
    shape = result.reshape(len(result), -1)
    shape[positions.reshape(-1)] += weights


def _differences_first(term: ModelTerm) -> NDArray[np.intp]:
    """Order of a term's indicator columns: those without the first level of any factor come first."""
    if not all(_is_complete(factor) or factor.coding is None for block in term.blocks for factor in block.factors):
        return np.arange(len(term.columns))
    levels = {factor.name: len(factor.coding) for block in term.blocks for factor in block.factors
              if factor.coding is not None}
    width = prod(factor.n_columns for factor in term.blocks[0].factors if factor.coding is None)
    first = np.zeros([width, *levels.values()], bool)
    for axis in range(1, first.ndim):
        first.swapaxes(0, axis)[0] = True
    return np.argsort(first.ravel(), kind="stable")


# ---- linear algebra --------------------------------------------------------------------------------------------------

def _unit_product(matrix: Array, other: Array) -> Array:
    """Columns of a product scaled to length one, those that are rounding left out."""
    product, terms = matrix @ other, np.abs(matrix) @ np.abs(other)
    norms = np.sqrt((product**2).sum(axis=0))
    real = norms > ROUNDING * np.sqrt((terms**2).sum(axis=0))
    return np.asarray(product[:, real] / norms[real])


def _range(matrix: Array) -> Array:
    """Orthonormal basis (n, rank) of the columns, whose lengths are at most about one."""
    vectors, values, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(vectors[:, values > ROUNDING])


def _left_null_space(matrix: Array) -> Array:
    """Orthonormal rows l with l' matrix = 0, of a matrix whose entries are about one or rounding."""
    vectors, values, _ = np.linalg.svd(matrix, full_matrices=True)
    return np.asarray(vectors[:, int((values > ROUNDING * max(1.0, values.max(initial=0.0))).sum()):].T)


def _pivots(matrix: Array) -> NDArray[np.intp]:
    """Column of the first entry of each row that is not rounding."""
    size = np.abs(matrix)
    return np.asarray((size > ROUNDING * size.max(axis=1, keepdims=True, initial=0.0)).argmax(axis=1))


def _reduced(rows: Array, guide: Array) -> Array:
    """Rows recombined so that those of `guide`, recombined alike, are in reduced echelon form.

    The F test does not depend on the basis of a hypothesis, its Satterthwaite degrees of freedom do. This one compares
    levels with the first whatever the coding.
    """
    if len(rows) == 0:
        return rows
    chosen: list[int] = []
    rest, size = guide.copy(), np.abs(guide).max()
    for j in range(guide.shape[1]):
        if np.abs(rest[:, j]).max() > ROUNDING * size:
            chosen.append(j)
            direction = rest[:, j] / np.linalg.norm(rest[:, j])
            rest -= np.outer(direction, direction @ rest)
        if len(chosen) == len(rows):
            return np.asarray(np.linalg.solve(guide[:, chosen], rows))
    return rows
