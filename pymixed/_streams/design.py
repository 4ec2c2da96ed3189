"""The design of a fit to sums over rows."""
from __future__ import annotations

import numpy as np

from .._categorical import Categorical
from .._checks import check_factors, check_residuals, check_spread, check_terms
from .._from_formula import FormulaEncoder
from .._parts import FixedVariable
from .._saved.rowless import RowlessDesign, RowlessEncoder, RowlessFactor, RowlessTerm
from .statistics import Statistics
from .sums import StreamedSums

WHY = ("the model was fitted from cross-products, which hold no rows (residuals_for(batch) and predict(newdata) take "
       "rows)")


def streamed_design(statistics: Statistics) -> RowlessDesign:
    """What a model is fitted to of these sums; they are not changed, and may change afterwards.

    Raises
    ------
    InputError
        Data that no mixed model can be fitted to.
    """
    encoding, sums = statistics.encoding, statistics.sums.copy()
    products, levels = statistics.in_final_order()
    terms = encoding.terms_of([()] * len(encoding.term_sizes))
    design = RowlessDesign(
        why=WHY, n=sums.n, n_rows_given=sums.n + statistics.n_dropped, products=products, sums=sums,
        coefficient_names=encoding.names,
        factors=tuple(RowlessFactor(name, labels, WHY)
                      for name, labels in zip(encoding.factor_names, levels, strict=True)),
        terms=tuple(RowlessTerm(term.group, term.factor, term.columns, term.structure, WHY) for term in terms),
        response_name=encoding.parsed.response, formula=encoding.parsed.text, zi_names=(),
        encoder=RowlessEncoder.of(encoding.encoder, _variables(encoding.encoder, sums)))
    check_spread(design.response_name, sums.response.low, sums.response.high)
    check_factors(design.factors)
    if not sums.weighted:
        check_residuals(design.factors, design.terms, design.n)
    check_terms(design.terms)
    return design


def _variables(encoder: FormulaEncoder, sums: StreamedSums) -> list[FixedVariable]:
    """What is known of the columns that the fixed part uses."""
    coded = encoder.coded_levels()
    variables = []
    for name, column in encoder.fixed_columns.items():
        if name in sums.variables:
            variables.append(sums.variables[name].variable(name, sums.n))
        else:
            levels, ordered = ((column.levels, column.ordered) if isinstance(column, Categorical)
                               else (coded[name], False))
            variables.append(FixedVariable(name, levels, ordered, np.nan, np.nan, np.nan, None, None))
    return variables
