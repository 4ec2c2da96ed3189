"""Standard deviations, correlations and sigma as functions of (theta, sigma), with their names and derivatives.

A term's covariance is sigma² T T': with row vectors t_r of its template T, sd_r = sigma |t_r| and
cor_rs = t_r't_s / (|t_r| |t_s|). They come in the order of theta, which has an entry for each, sigma last.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .._common import Array
from ..design import RandomTerm
from ..inference import template_entries


class VarianceParameter(NamedTuple):
    """One of them.

    Attributes
    ----------
    name : str
        ``"sd_x|g"``, ``"cor_x.(Intercept)|g"``, ``"sigma"``.
    kind : str
        ``"sd"``, ``"cor"`` or ``"sigma"``.
    term : int
        Position of its term in the user's order, -1 for sigma.
    row, column : int
        Columns of the term, equal for a standard deviation.
    """

    name: str
    kind: str
    term: int
    row: int
    column: int


SIGMA = VarianceParameter("sigma", "sigma", -1, -1, -1)


def variance_parameters(terms: Sequence[RandomTerm], with_sigma: bool) -> tuple[VarianceParameter, ...]:
    """Standard deviations and correlations of the terms, and sigma where the model has one."""
    return (*_of_terms(terms), *([SIGMA] if with_sigma else []))


def _of_terms(terms: Sequence[RandomTerm]) -> Iterator[VarianceParameter]:
    for i, term in enumerate(terms):
        for row, column in zip(*template_entries(len(term.columns), term.structure), strict=True):
            r, c = int(row), int(column)
            if r == c:
                yield VarianceParameter(f"sd_{term.columns[r]}|{term.group}", "sd", i, r, r)
            else:
                yield VarianceParameter(f"cor_{term.columns[r]}.{term.columns[c]}|{term.group}", "cor", i, r, c)


def variance_values(terms: Sequence[RandomTerm], theta: Array, sigma: Array | float | None) -> Array:
    """Their values (..., k) at many theta (..., m) and sigma (...) at once; None for a model without sigma.

    A correlation with a column of no variance is NaN.
    """
    theta = np.asarray(theta)
    scale = np.asarray(1.0 if sigma is None else sigma)[..., None]
    values = np.empty((*theta.shape[:-1], theta.shape[-1] + (sigma is not None)))
    start = 0
    for term in terms:
        rows, columns = template_entries(len(term.columns), term.structure)
        entries = slice(start, start + len(rows))
        template = np.zeros((*theta.shape[:-1], len(term.columns), len(term.columns)))
        template[..., rows, columns] = theta[..., entries]
        products = template @ np.swapaxes(template, -1, -2)
        norms = np.sqrt(np.diagonal(products, axis1=-2, axis2=-1))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlations = np.clip(products[..., rows, columns] / (norms[..., rows] * norms[..., columns]), -1.0, 1.0)
        values[..., entries] = np.where(rows == columns, scale * norms[..., rows], correlations)
        start += len(rows)
    if sigma is not None:
        values[..., -1] = sigma
    return values


def variance_jacobian(terms: Sequence[RandomTerm], theta: Array, sigma: float | None) -> Array:
    """Derivatives (k, m), or (k, m + 1) with sigma last, of the values in (theta, sigma).

    NaN for a standard deviation that is zero and its correlations: they have no derivative there.
    """
    m, has_sigma = len(theta), sigma is not None
    scale = sigma if sigma is not None else 1.0
    jacobian = np.zeros((m + has_sigma, m + has_sigma))
    start = 0
    for term in terms:
        rows, columns = template_entries(len(term.columns), term.structure)
        template = np.zeros((len(term.columns), len(term.columns)))
        template[rows, columns] = theta[start:start + len(rows)]
        norms = np.sqrt((template**2).sum(axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            units = template / norms[:, None]
        for i, (r, c) in enumerate(zip(rows, columns, strict=True)):
            slope = np.zeros_like(template)  # by the entries of the template
            if r == c:
                slope[r] = scale * units[r]
                if has_sigma:
                    jacobian[start + i, -1] = norms[r]
            else:
                cosine = units[r] @ units[c]
                slope[r] = (units[c] - cosine * units[r]) / norms[r]
                slope[c] = (units[r] - cosine * units[c]) / norms[c]
            jacobian[start + i, start:start + len(rows)] = slope[rows, columns]
        start += len(rows)
    if has_sigma:
        jacobian[-1, -1] = 1.0
    return jacobian
