"""The data of a mixed model, checked: response, fixed-effects matrix, grouping factors, random-effects terms.

`MixedDesign.from_formula` reads a table, `MixedDesign.validate` arrays; both give the same kind of object, which also
encodes new rows for predictions.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._checks import check
from ._family import Family
from ._frames import AnyColumn, FloatArray, complete_rows, numbers, take_rows
from ._from_arrays import RandomEffects, read_arrays
from ._parts import GroupingFactor, ModelParts, NewRows, RandomTerm, Term
from ._responses import array_response, finish
from ._row_sums import RowSums, SumsOfRows
from .errors import InputError

if TYPE_CHECKING:
    from ._model_matrix import Contrast

__all__ = ["GroupingFactor", "MixedDesign", "NewRows", "RandomTerm", "Term"]

Self = TypeVar("Self", bound="MixedDesign")

NaAction: TypeAlias = Literal["drop", "raise"]


@dataclass(frozen=True, eq=False)
class MixedDesign(ModelParts):
    """Everything that a mixed model is fitted to.

    Attributes
    ----------
    y : (n,) array
        Response; of binomial counts the proportion of successes.
    X : (n, p) array
        Fixed-effects matrix; by columns where it comes from a formula.
    coefficient_names : tuple of str
        Names of the columns of X.
    factors : tuple of GroupingFactor
        Grouping factors in order of appearance.
    terms : tuple of RandomTerm
        Random-effects terms in the user's order.
    weights, offset : (n,) array or None
        Prior weights (a row of a linear model has the residual variance sigma² / weights[i], one of a generalized
        linear model counts weights[i] times, of binomial counts weights[i] trials); known part of the linear predictor.
    response_name : str
        The response as the user wrote it.
    formula : str or None
        The formula, None for designs from arrays.
    rows : array of int or None
        Positions in the user's data of the rows kept, None where all are.
    n_rows_given : int
        Number of rows of the user's data.
    zero_inflation : (n, r) array or None
        Matrix of the model for zero inflation.
    zi_names : tuple of str
        Names of its columns.
    """

    @classmethod
    def from_formula(cls, formula: str, data: Any, *, weights: ArrayLike | str | None = None,
                     offset: ArrayLike | str | None = None, contrasts: Mapping[str, Contrast] | None = None,
                     na_action: NaAction = "drop", family: Family | None = None, zi: str | None = None) -> MixedDesign:
        """Read a model's data from a table.

        Parameters
        ----------
        formula : str
            lme4's grammar, see `pymixed.formula.parse`. Names are columns of `data`, functions those of formulaic
            (`poly`, `bs`, `cr`, `scale`, `C`, ...) and NumPy's elementary ones.
        data : table
            pandas or polars DataFrame, pyarrow Table, any object with `__arrow_c_stream__`, dict of arrays. Only the
            columns that the model uses are touched; float64 columns are not copied.
        weights, offset : array_like (n,) or str, optional
            Prior weights, positive, and known part of the linear predictor (added to `offset()` terms); a string
            names a column.
        contrasts : mapping, optional
            Coding of categorical columns: "treatment" (the default, for ordered ones too), "sum", "helmert", "poly",
            "sas", "diff" or a matrix (levels, columns).
        na_action : {"drop", "raise"}
            What to do with rows that lack a value in a column used.
        family : Family, optional
            That of a generalized linear mixed model; the model is linear without. A binomial response may be
            `cbind(success, failure)`, booleans or a factor with two levels.
        zi : str, optional
            Fixed effects of a model for zero inflation, `"~ x"`, for families of counts.

        Returns
        -------
        MixedDesign

        Raises
        ------
        FormulaError
            A formula cannot be understood or names an unknown column; shows the place.
        InputError, InputTypeError
            Data that no such mixed model can be fitted to.

        Notes
        -----
        Character and boolean columns are categorical. Levels that do not occur are dropped. `(1 | a/b)` gives the
        factors `a` and `b:a`; `(x || g)` a term per column.

        Examples
        --------
        >>> from pymixed.design import MixedDesign
        >>> data = {"y": [1.0, 3.0, 2.0, 5.0, 4.0, 7.0], "x": [0, 1, 2, 0, 1, 2], "g": list("aaabbb")}
        >>> MixedDesign.from_formula("y ~ x + (1 | g)", data).coefficient_names
        ('(Intercept)', 'x')
        """
        from ._from_formula import read_formula  # formulaic and pandas are slow to import
        return cls._checked(read_formula(formula, data, weights, offset, contrasts, na_action, family, zi), family)

    @classmethod
    def validate(cls, y: ArrayLike, X: ArrayLike, groups: Mapping[str, ArrayLike],
                 random_effects: RandomEffects | None = None, random_data: Mapping[str, ArrayLike] | None = None, *,
                 weights: ArrayLike | None = None, offset: ArrayLike | None = None,
                 na_action: NaAction = "raise", family: Family | None = None) -> MixedDesign:
        """Take a model's data as arrays.

        Parameters
        ----------
        y : array_like (n,)
            Response; of a binomial family also (n, 2), successes and failures, or labels of two kinds.
        X : array_like (n, p)
            Fixed-effects matrix, with a column of ones where an intercept is wanted; p may be 0. The coefficients are
            called `(Intercept)`, `X1`, `X2`, ...
        groups : mapping
            From names of grouping factors to labels (n,) of any type.
        random_effects : mapping or list of Term, optional
            Columns per group, `{"subject": ["1", "time"]}` being one correlated term; by default a random intercept
            per group.
        random_data : mapping, optional
            Columns (n,) that `random_effects` names.
        weights, offset : array_like (n,), optional
            Prior weights, positive, and known part of the linear predictor.
        na_action : {"raise", "drop"}
            What to do with rows that lack a value.
        family : Family, optional
            That of a generalized linear mixed model; the model is linear without.

        Returns
        -------
        MixedDesign

        Raises
        ------
        InputError, InputTypeError
            Data that no such mixed model can be fitted to.

        Examples
        --------
        >>> import numpy as np
        >>> from pymixed.design import MixedDesign
        >>> time = np.tile([0.0, 1.0, 2.0, 3.0], 2)
        >>> design = MixedDesign.validate(np.arange(8.0), np.column_stack([np.ones(8), time]),
        ...                               {"subject": np.repeat(["a", "b"], 4)}, {"subject": ["1", "time"]},
        ...                               {"time": time})
        >>> design.terms[0].columns
        ('(Intercept)', 'time')
        """
        return cls._checked(
            read_arrays(y, X, groups, random_effects, random_data, weights, offset, na_action, family), family)

    def with_response(self, y: ArrayLike, weights: ArrayLike | None = None,
                      family: Family | None = None) -> MixedDesign:
        """The design with another response.

        Parameters
        ----------
        y : array_like (n,) or (n, 2)
            A value for every row of the design, or for every row that the user's data had; in the forms that `validate`
            takes. Rows without a value are left out.
        weights : array_like (n,), optional
            Prior weights, likewise; by default those of the design, of two columns of counts none.
        family : Family, optional
            As for `validate`.

        Raises
        ------
        InputError, InputTypeError
            A response that the model cannot be fitted to.

        Examples
        --------
        >>> from pymixed.design import MixedDesign
        >>> data = {"y": [1.0, 3.0, 2.0, 5.0, 4.0, 7.0], "x": [0, 1, 2, 0, 1, 2], "g": list("aaabbb")}
        >>> MixedDesign.from_formula("y ~ x + (1 | g)", data).with_response([1, 2, 4, float("nan"), 5, 3]).n
        5
        """
        given = self._in_rows(array_response(y, family), "y")
        prior = None if weights is None else self._in_rows(numbers(weights, "weights"), "weights")
        complete, design = complete_rows({"y": given, "weights": prior}, self.n, "drop"), self
        if complete is not None:
            design, given = self.take(complete), take_rows(given, complete)
            prior = None if prior is None else prior[complete]
        are_counts = isinstance(given, np.ndarray) and given.ndim == 2
        values, total = finish(given, design.weights if prior is None and not are_counts else prior,
                               self.response_name, family, design.rows)
        return self._checked(replace(design, y=values, weights=total), family)

    def _in_rows(self, values: AnyColumn, argument: str) -> AnyColumn:
        """Values for the rows of the design, of values for them or for the rows given."""
        if len(values) == self.n:
            return values
        if self.rows is None or len(values) != self.n_rows_given:
            given = "" if self.rows is None else f", or {self.n_rows_given}, one per row given"
            raise InputError(f"{argument}: expected {self.n} values, one per row used{given}, got {len(values)}")
        return take_rows(values, self.rows)

    @classmethod
    def _checked(cls, parts: ModelParts, family: Family | None) -> MixedDesign:
        check(parts, family)
        return cls(**vars(parts))

    @property
    def has_rows(self) -> bool:
        """Whether the design holds the rows of the fit."""
        return True

    @property
    def products(self) -> Any:
        """Cross-products of the core that stand in for the rows; None of a design with rows."""
        return None

    def with_levels(self: Self, levels: Sequence[NDArray[Any]]) -> Self:
        """The design with more levels of its grouping factors, behind those that its rows have."""
        return replace(self, factors=tuple(replace(factor, levels=labels)
                                           for factor, labels in zip(self.factors, levels, strict=True)))

    def held(self, name: str) -> Any:
        """A number that a result once found from rows that are gone; None of a design with rows."""
        return None

    @cached_property
    def sums(self) -> RowSums:
        """Sums over the rows."""
        return SumsOfRows(self)

    def reaches(self, weighted: bool) -> list[FloatArray]:
        """Per term the root mean squares of its columns (c,), times root weights if so wanted."""
        return [self.sums.reaches(i, weighted) for i in range(len(self.terms))]

    def new_rows(self, newdata: Any, *, offset: ArrayLike | None = None, groups: Collection[str] | None = None,
                 effects: Collection[str] | None = None) -> NewRows:
        """Encode new data as the design's own rows were encoded.

        Parameters
        ----------
        newdata : table or mapping
            For a formula a table as in `from_formula`, which needs no response; for arrays a mapping with `"X"`,
            `"groups"` and `"random_data"`.
        offset : array_like (m,), optional
            Needed where the design has an offset that was given as an array.
        groups : collection of str, optional
            Grouping factors whose levels are wanted, all by default; columns of others need not be there.
        effects : collection of str, optional
            Grouping factors whose terms' columns are wanted, those of `groups` by default.

        Returns
        -------
        NewRows
            Levels of grouping factors that the design has not seen have code -1.

        Raises
        ------
        InputError, InputTypeError
            A column or level of the fixed part that is unknown, or a missing value.

        Examples
        --------
        >>> from pymixed.design import MixedDesign
        >>> data = {"y": [1.0, 3.0, 2.0, 5.0, 4.0, 7.0], "x": [0, 1, 2, 0, 1, 2], "g": list("aaabbb")}
        >>> design = MixedDesign.from_formula("y ~ x + (1 | g)", data)
        >>> design.new_rows({"x": [5.0, 6.0], "g": ["b", "new"]}).codes
        (array([ 1, -1], dtype=int32),)
        """
        wanted = [factor.name for factor in self.factors] if groups is None else groups
        return self.encoder.new_rows(self, newdata, offset, wanted, wanted if effects is None else effects)
