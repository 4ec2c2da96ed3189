"""The design of a fit that holds no rows."""
from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._categorical import Categorical
from .._checks import check_factors, check_residuals, check_spread, check_terms
from .._from_formula import FormulaEncoder
from .._parts import FixedVariable, GroupingFactor, RandomTerm, TermData
from ..design import MixedDesign
from ..errors import InputError
from .statistics import Statistics
from .sums import StreamedSums


class _Named:
    """Printed by its name: an attribute that is not there cannot be."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _no_rows(what: str) -> NoReturn:
    raise InputError(f"the model was fitted from cross-products, which hold no rows: there are no {what}; "
                     "residuals_for(batch) and predict(newdata) take rows")


class StreamedFactor(_Named, GroupingFactor):
    """A grouping factor without the rows' codes."""

    def __init__(self, name: str, levels: NDArray[Any]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "levels", levels)

    @property
    def codes(self) -> NDArray[np.int32]:
        """There are none."""
        return _no_rows("levels by row")


class StreamedTerm(_Named, RandomTerm):
    """A random-effects term without its columns."""

    def __init__(self, term: RandomTerm) -> None:
        for name in ("group", "factor", "columns", "structure"):
            object.__setattr__(self, name, getattr(term, name))

    @property
    def data(self) -> TermData:
        """There are none."""
        return _no_rows("columns of random effects")


@dataclass(frozen=True, eq=False)
class StreamedEncoder(FormulaEncoder):
    """The formula's encoder with what is known of the variables of the fixed part."""

    variables: tuple[FixedVariable, ...] = field(repr=False, default=())

    def fixed_variables(self) -> tuple[FixedVariable, ...]:
        """Columns of the data that the fixed part uses."""
        return self.variables


class StreamedDesign(_Named, MixedDesign):
    """A design whose rows are gone: everything that needs them is an `InputError`.

    Parameters
    ----------
    statistics : Statistics
        Is not changed, and may change afterwards.
    """

    _products: _core.CrossProducts
    sums: StreamedSums

    def __init__(self, statistics: Statistics) -> None:
        encoding, sums = statistics.encoding, statistics.sums.copy()
        products, levels = statistics.in_final_order()
        attributes = {
            "_products": products, "sums": sums, "coefficient_names": encoding.names,
            "factors": tuple(map(StreamedFactor, encoding.factor_names, levels)),
            "terms": tuple(map(StreamedTerm, encoding.terms_of([()] * len(encoding.term_sizes)))),
            "response_name": encoding.parsed.response, "formula": encoding.parsed.text,
            "n_rows_given": sums.n + statistics.n_dropped, "zero_inflation": None, "zi_names": (),
            "encoder": _encoder(encoding.encoder, sums)}
        for name, value in attributes.items():
            object.__setattr__(self, name, value)
        check_spread(self.response_name, sums.response.low, sums.response.high)
        check_factors(self.factors)
        if not sums.weighted:
            check_residuals(self.factors, self.terms, self.n)
        check_terms(self.terms)

    @property
    def n(self) -> int:
        """Number of rows that the cross-products are of."""
        return self.sums.n

    @property
    def has_rows(self) -> bool:
        """It has not."""
        return False

    @property
    def products(self) -> _core.CrossProducts:
        """What the model is fitted to."""
        return self._products

    @property
    def y(self) -> NDArray[np.float64]:
        """There is none."""
        return _no_rows("responses")

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802  the field's name
        """There is none."""
        return _no_rows("rows of X")

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """There are none by row."""
        return _no_rows("weights by row")

    @property
    def offset(self) -> NDArray[np.float64] | None:
        """There is none by row."""
        return _no_rows("offsets by row")

    @property
    def rows(self) -> NDArray[np.intp] | None:
        """There are none."""
        return _no_rows("rows")


def _encoder(encoder: FormulaEncoder, sums: StreamedSums) -> StreamedEncoder:
    """The encoder of new rows that a fit to the sums has."""
    coded = encoder.coded_levels()
    variables = []
    for name, column in encoder.fixed_columns.items():
        if name in sums.variables:
            variables.append(sums.variables[name].variable(name, sums.n))
        else:
            levels, ordered = ((column.levels, column.ordered) if isinstance(column, Categorical)
                               else (coded[name], False))
            variables.append(FixedVariable(name, levels, ordered, np.nan, np.nan, np.nan, None, None))
    common = {part.name: getattr(encoder, part.name) for part in fields(FormulaEncoder)}
    return StreamedEncoder(**common, variables=tuple(variables))
