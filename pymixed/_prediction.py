"""The linear predictor offset + Xβ + Zb on the rows of a fit and on new ones, and the variance of its error."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._common import Array, MixedParams, check_choice
from ._joint import Codes, JointCovariance, blocks
from ._parts import TermData
from .design import MixedDesign, NewRows
from .errors import InputError

NEW_LEVELS = ("error", "population", "missing")


@dataclass(frozen=True, eq=False)
class PredictedRows:
    """Rows to predict for.

    Attributes
    ----------
    design : MixedDesign
    params : MixedParams
    rows : NewRows
        The rows, encoded.
    codes : tuple of (m,) arrays of int32
        Per grouping factor the level whose mode a row has, -1 for none.
    new : tuple of (m,) arrays of bool
        Per grouping factor whether a row has a level that the fit has not seen, of a factor that is asked for.
    missing : bool
        Whether the prediction of such a row is NaN; else its random effects are at zero.
    """

    design: MixedDesign
    params: MixedParams
    rows: NewRows
    codes: Codes
    new: tuple[NDArray[np.bool_], ...]
    missing: bool

    @cached_property
    def X(self) -> Array:  # noqa: N802  the field's name
        """Columns of X that have a coefficient (m, p)."""
        aliased = self.params.aliased
        names = self.design.coefficient_names
        return self.rows.X[:, [name not in aliased for name in names]] if aliased else self.rows.X

    @cached_property
    def fixed_part(self) -> Array:
        """Offset + Xβ (m,)."""
        fixed: Array = self.X @ self.params.coefficients
        return fixed if self.rows.offset is None else fixed + self.rows.offset

    @cached_property
    def linear_predictor(self) -> Array:
        """Offset + Xβ + Zb (m,)."""
        eta = self.fixed_part.copy()
        for term, columns, block in zip(self.design.terms, self._data, blocks(self.design.terms), strict=True):
            codes = self.codes[term.factor]
            if (codes < 0).all():
                continue
            modes = self.params.random_effects[term.group][:, block]
            for mode, x in zip(modes.T, columns, strict=True):
                effects = np.append(mode, 0.0)[codes]  # -1 reaches the appended one
                eta += effects if x is None else x * effects
        return self.without_missing(eta)

    def without_missing(self, values: Array) -> Array:
        """Values of the rows (m,), NaN where there is no prediction."""
        return np.where(np.any(self.new, axis=0), np.nan, values) if self.missing and self.new else values

    def deviations(self, joint: JointCovariance) -> Array:
        """Rows less the modes of the columns of X, x − F'z (m, p)."""
        return joint.deviations(self.X, self.design.terms, self.codes, self._data)

    def error_variances(self, joint: JointCovariance, covariances: Sequence[Array], of_new_response: bool) -> Array:
        """Variances of x'β + z'b less its prediction (m,).

        Effects of new levels have their `covariances`, a matrix (c, c) per term; for a new response those of grouping
        factors that are not asked for as well.
        """
        variances = joint.variances(self.X, self.design.terms, self.codes, self._data)
        vary = [codes < 0 if of_new_response else new for codes, new in zip(self.codes, self.new, strict=True)]
        return self.without_missing(variances + self.between_variances(covariances, vary))

    def between_variances(self, covariances: Sequence[Array],
                          vary: Sequence[NDArray[np.bool_]] | None = None) -> Array:
        """Variances z'Σz of random effects that are not known (m,), of all or of the grouping factors in `vary`."""
        total = np.zeros(len(self.X))
        for term, columns, covariance in zip(self.design.terms, self._data, covariances, strict=True):
            if vary is not None and not vary[term.factor].any():
                continue
            z = np.column_stack([np.ones(len(total)) if x is None else x for x in columns])
            variances = ((z @ covariance) * z).sum(axis=1)
            total += variances if vary is None else np.where(vary[term.factor], variances, 0.0)
        return total

    @cached_property
    def _data(self) -> list[TermData]:
        """Columns per term, of terms that are not asked for anything: no row has an effect of them."""
        return [columns or (None,) * len(term.columns)
                for term, columns in zip(self.design.terms, self.rows.data, strict=True)]


def predicted_rows(design: MixedDesign, params: MixedParams, newdata: Any, groups: tuple[str, ...], new_levels: str,
                   offset: ArrayLike | None, effects: Collection[str] | None = None) -> PredictedRows:
    """Encode new data, or take the design's own rows where `newdata` is None; see `LMMSolution.predict`.

    `groups` are the grouping factors whose modes are added, `effects` those whose columns are wanted, the same by
    default.
    """
    if newdata is not None:
        rows = design.new_rows(newdata, offset=offset, groups=groups, effects=effects)
    elif offset is not None:
        raise InputError("offset: expected only together with newdata, the rows of the fit have theirs")
    else:
        rows = own_rows(design)
    return with_modes(design, params, rows, groups, new_levels)


def residuals_of(design: MixedDesign, params: MixedParams, newdata: Any, re: str | Iterable[str], new_levels: str,
                 offset: ArrayLike | None) -> Array:
    """Response minus prediction of new rows, NaN where a value is missing; see `LMMSolution.residuals_for`."""
    check_choice("new_levels", new_levels, NEW_LEVELS)
    groups = asked_groups(design, re)
    observed = design.encoder.observed_rows(design, newdata, offset, groups)
    residuals = np.full(observed.n_given, np.nan)
    complete = slice(None) if observed.positions is None else observed.positions
    rows = with_modes(design, params, observed.rows, groups, new_levels, observed.positions)
    residuals[complete] = observed.y - rows.linear_predictor
    return residuals


def asked_groups(design: MixedDesign, re: str | Iterable[str]) -> tuple[str, ...]:
    """Names of the grouping factors that `re` asks for."""
    known = tuple(factor.name for factor in design.factors)
    if isinstance(re, str) or not isinstance(re, Iterable):
        check_choice("re", re, ("all", "none"))
        return known if re == "all" else ()
    groups = tuple(re)
    for name in groups:
        check_choice("re", name, known)
    return groups


def own_rows(design: MixedDesign) -> NewRows:
    """The rows of the fit."""
    codes = tuple(factor.codes for factor in design.factors)
    labels = tuple(factor.levels[:0] for factor in design.factors)  # they are for naming unseen levels; there are none
    data = tuple(term.data for term in design.terms)
    return NewRows(design.X, design.offset, design.zero_inflation, codes, labels, data)


def with_modes(design: MixedDesign, params: MixedParams, rows: NewRows, groups: tuple[str, ...], new_levels: str,
               positions: NDArray[np.intp] | None = None) -> PredictedRows:
    """Encoded rows with the modes of some grouping factors, `positions` being theirs in the user's data."""
    m, codes, new = len(rows.X), [], []
    for factor, found, labels in zip(design.factors, rows.codes, rows.labels, strict=True):
        asked = factor.name in groups
        codes.append(found if asked else np.full(m, -1, np.int32))
        new.append(codes[-1] < 0 if asked else np.zeros(m, np.bool_))
        if new_levels == "error" and new[-1].any():
            _refuse(factor.name, labels, np.flatnonzero(new[-1]), positions)
    return PredictedRows(design, params, rows, tuple(codes), tuple(new), new_levels == "missing")


def _refuse(name: str, labels: NDArray[Any], unseen: NDArray[np.intp], positions: NDArray[np.intp] | None) -> None:
    (label,) = labels[unseen[:1]].tolist()
    row = unseen[0] if positions is None else positions[unseen[0]]
    raise InputError(
        f"newdata: expected levels of {name!r} that the fit has seen, got {label!r} in row {row} "
        f"({len(unseen)} such rows); new_levels='population' or 'missing' predicts for them")
