"""Inference as functions on arrays: what theta means in the user's units, and Satterthwaite's degrees of freedom.

theta holds, term by term in the user's order, the lower triangle of the c x c template T by columns (structure "us")
or its diagonal ("diag"); the covariance of the term's random effects is sigma² T T'.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from ._common import Array, TermCovariance, VarianceUncertainty
from ._engine import VarianceDerivatives
from .design import RandomTerm

# A direction of a term is singular when its standard deviation over sigma, in the root mean square of the data that
# carry it, stays below this: lme4's isSingular() takes the same figure.
SINGULAR_TOLERANCE = 1e-4

# Eigenvalues of the Hessian scaled to a unit diagonal, below which a direction of theta does not change the model.
FLAT_TOLERANCE = 1e-10


@cache
def template_entries(n_columns: int, structure: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column in the template of each of a term's entries of theta."""
    if structure == "diag":
        return np.arange(n_columns), np.arange(n_columns)
    columns, rows = np.triu_indices(n_columns)
    return rows, columns


def theta_names(terms: Sequence[RandomTerm]) -> tuple[str, ...]:
    """Group, row and column of every entry: ``"Subject.Days.(Intercept)"``; one name on the diagonal."""
    return tuple(
        f"{term.group}.{term.columns[row]}" + ("" if row == column else f".{term.columns[column]}")
        for term in terms
        for row, column in zip(*template_entries(len(term.columns), term.structure), strict=True))


def templates(terms: Sequence[RandomTerm], theta: Array) -> Iterator[Array]:
    """Lower-triangular template T of each term, (c, c)."""
    start = 0
    for term in terms:
        c = len(term.columns)
        entries = template_entries(c, term.structure)
        template = np.zeros((c, c))
        template[entries] = theta[start:start + len(entries[0])]
        start += len(entries[0])
        yield template


def term_covariances(terms: Sequence[RandomTerm], theta: Array, residual_variance: float) -> tuple[TermCovariance, ...]:
    """Covariance matrix sigma² T T' of each term."""
    return tuple(
        TermCovariance(term.group, term.columns, term.structure, residual_variance * (template @ template.T))
        for term, template in zip(terms, templates(terms, theta), strict=True))


@dataclass(frozen=True)
class SingularDirection:
    """A combination of a term's random effects that has no variance.

    Attributes
    ----------
    group : str
        Grouping factor of the term.
    columns : tuple of str
        The columns that take part.
    weights : tuple of float
        Their weights in the units of the data; that of the last column is 1.
    """

    group: str
    columns: tuple[str, ...]
    weights: tuple[float, ...]

    def __str__(self) -> str:
        combination = self.columns[-1]
        for name, weight in zip(self.columns[:-1], self.weights[:-1], strict=True):
            combination += f" {'-' if weight < 0 else '+'} {abs(weight):.4g} {name}"
        return f"{self.group}: {combination} has no variance"


def singular_directions(terms: Sequence[RandomTerm], theta: Array,
                        reaches: Iterable[Array]) -> tuple[SingularDirection, ...]:
    """Directions in which a term has no variance, of all terms.

    A column is compared with the columns before it, as aliased columns of X are: either it has no variance of its own,
    or its random effect is a fixed combination of theirs (a correlation of ±1 for two columns). `reaches`, per term
    what a unit effect of each column amounts to in units of sigma, keep the decision from depending on the units of the
    columns or of the prior weights.
    """
    return tuple(
        direction
        for term, template, reach in zip(terms, templates(terms, theta), reaches, strict=True)
        for direction in _term_directions(term, template, reach))


def _term_directions(term: RandomTerm, template: Array, reaches: Array) -> Iterator[SingularDirection]:
    # what a row of a lower triangle adds to the span of the rows before it is its diagonal entry
    if (reaches * np.abs(template.diagonal())).min() >= SINGULAR_TOLERANCE:
        return
    scaled = reaches[:, None] * template
    independent: list[int] = []
    for j, row in enumerate(scaled):
        loadings = np.linalg.lstsq(scaled[independent].T, row, rcond=None)[0]
        if np.linalg.norm(row - loadings @ scaled[independent]) >= SINGULAR_TOLERANCE:
            independent.append(j)
            continue
        # loadings of a column without variance are rounding errors
        used = np.abs(loadings) * np.linalg.norm(scaled[independent], axis=1) >= SINGULAR_TOLERANCE
        partners = np.array(independent, int)[used]
        weights = -loadings[used] * reaches[partners] / reaches[j]
        yield SingularDirection(term.group, tuple(term.columns[i] for i in (*partners, j)), (*weights.tolist(), 1.0))


def varpar_covariance(hessian: Array, d_pwrss: Array, sigma: float, nu: int, free: NDArray[np.bool_]) -> Array:
    """Asymptotic covariance of the variance parameters (theta, sigma).

    Twice the inverse Hessian of d(theta, sigma) = log-determinants + nu log(2 pi sigma²) + r²(theta)/sigma². With
    sigma² = r²/nu profiled out and subscripts for derivatives, d_ss = 4 nu / sigma², d_ts = -2 r²_t / sigma³ and
    d_tt = H + d_ts d_ts' / d_ss, so that the inverse follows by blocks from that of the profiled Hessian H.

    Parameters
    ----------
    hessian : (m, m) array
        H, Hessian of the criterion in theta at its minimum.
    d_pwrss : (m,) array
        r²_t, derivatives of the penalised residual sum of squares in theta.
    sigma : float
        Residual standard deviation.
    nu : int
        n - p for REML, n for maximum likelihood.
    free : (m,) bool array
        False for parameters held at their boundary; they have no variance here.

    Returns
    -------
    (m + 1, m + 1) array
        Sigma comes last. Directions of theta along which the model does not change have no variance either.
    """
    m = len(d_pwrss)
    slope = d_pwrss / (2.0 * nu * sigma)  # -d_ts / d_ss: how the minimising sigma follows theta
    follow = np.vstack([np.eye(m), slope])[:, free]
    covariance = 2.0 * follow @ positive_inverse(hessian[np.ix_(free, free)]) @ follow.T
    covariance[m, m] += sigma**2 / (2.0 * nu)
    return np.asarray(covariance)


def positive_inverse(hessian: Array) -> Array:
    """Inverse on the eigenvectors with positive eigenvalues of the Hessian scaled to a unit diagonal."""
    scale, values, vectors = _unit_diagonal(hessian)
    kept = values > FLAT_TOLERANCE
    half = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return np.asarray(half @ half.T)


def _unit_diagonal(hessian: Array) -> tuple[Array, Array, Array]:
    """Scale, eigenvalues and eigenvectors of the Hessian scaled to a unit diagonal."""
    diagonal = hessian.diagonal()
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return scale, *np.linalg.eigh(scale[:, None] * hessian * scale)


def parameter_covariance(hessian: Array, wanted: NDArray[np.bool_], free: NDArray[np.bool_]) -> Array:
    """Asymptotic covariance of some parameters of a criterion: their block of twice its inverse Hessian.

    Parameters
    ----------
    hessian : (k, k) array
        At the minimum, of minus twice the log-likelihood.
    wanted : (k,) bool array
        The parameters.
    free : (k,) bool array
        False for parameters held at their boundary.

    Returns
    -------
    (wanted.sum(), wanted.sum()) array
        Directions of the other parameters along which the model does not change take no part. Along such a direction
        of the wanted ones, where a coefficient runs off, the variance is very large. NaN where the Hessian is not
        finite.
    """
    if not np.isfinite(hessian).all():
        return np.full((wanted.sum(), wanted.sum()), np.nan)
    scale, values, vectors = _unit_diagonal(hessian[free][:, free])
    if values.min(initial=np.inf) > FLAT_TOLERANCE:
        half = (scale[:, None] * vectors)[wanted[free]] / np.sqrt(values)
        return np.asarray(2.0 * half @ half.T)
    others = free & ~wanted
    coupling = hessian[np.ix_(wanted, others)]
    precision = hessian[np.ix_(wanted, wanted)]
    precision = precision - coupling @ positive_inverse(hessian[np.ix_(others, others)]) @ coupling.T
    scale, values, vectors = _unit_diagonal(precision)
    half = scale[:, None] * vectors / np.sqrt(np.maximum(values, FLAT_TOLERANCE))
    return np.asarray(2.0 * half @ half.T)


def variance_uncertainty(derivatives: VarianceDerivatives, sigma: float, nu: int, free: NDArray[np.bool_],
                         names: Sequence[str]) -> VarianceUncertainty:
    """What Satterthwaite's method rests on: see `varpar_covariance` for the arguments, `names` being those of theta."""
    varpar = varpar_covariance(derivatives.hessian, derivatives.d_pwrss, sigma, nu, free)
    jacobian = np.concatenate([sigma**2 * derivatives.dC, 2.0 * sigma * derivatives.C[None]])
    return VarianceUncertainty(varpar, jacobian, tuple(compress(names, ~free)))


def satterthwaite(contrasts: Array, vcov: Array, uncertainty: VarianceUncertainty) -> Array:
    """Denominator degrees of freedom of t tests of L'beta: 2 v² / Var(v), v = L' Var(beta) L the estimated variance.

    Var(v) by the delta method in (theta, sigma), with exact derivatives (Giesbrecht & Burns 1985; Kuznetsova,
    Brockhoff & Christensen 2017, J. Stat. Softw. 82(13)).

    Parameters
    ----------
    contrasts : (r, p) array
        One L per row.
    vcov : (p, p) array
        Covariance of the coefficients.
    uncertainty : VarianceUncertainty

    Returns
    -------
    (r,) array
    """
    variance = ((contrasts @ vcov) * contrasts).sum(axis=-1)
    gradient = ((contrasts @ uncertainty.jac_vcov_beta) * contrasts).sum(axis=-1)
    return np.asarray(2.0 * variance**2 / (gradient * (uncertainty.vcov_varpar @ gradient)).sum(axis=0))
