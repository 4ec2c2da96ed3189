"""Effective parameters of a linear mixed model whose random effects are of interest, for its conditional AIC.

    cAIC = -2 log f(y | b) + 2 (ρ + 1),    ρ = tr(dŷ/dy)

ρ with theta held is the trace of the hat matrix I - W⁻¹P (Vaida & Blanchard 2005, Biometrika 92(2)); that theta is
estimated from y too adds the derivative of ŷ through theta (Greven & Kneib 2010, Biometrika 97(4)), by the
implicit-function theorem on the criterion's gradient. Entries of theta at their boundary stay there. The 1 is for
sigma. Does not correct for the estimation of sigma otherwise, nor for small samples.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._common import Array, LMMParams
from .._convergence import free_parameters
from .._engine import LinearCriterion, VarianceDerivatives
from ..design import MixedDesign, RandomTerm
from ..inference import positive_inverse, template_entries, templates
from .gls import inverse_covariance_times, kept_columns


def hat_trace(params: LMMParams, derivatives: VarianceDerivatives) -> float:
    """Trace of dŷ/dy with theta held, p + tr(ZΣZ'P), Σ over sigma².

    theta enters the templates linearly, so that half of theta'∇d = tr(ZΣZ'R) - (ν/r²) y'PZΣZ'Py, R = P or (ML) V⁻¹,
    half of theta'∇r² = -y'PZΣZ'Py, and half of the sum of theta_i tr(C⁻¹ dC_i) = tr(ZΣZ'(V⁻¹ - P)).
    """
    p, theta = params.coefficients.size, params.theta
    nu = params.n_obs - p if params.reml else params.n_obs
    slope = derivatives.gradient - nu / params.pwrss * derivatives.d_pwrss
    if not params.reml and p:
        slope = slope - np.trace(np.linalg.solve(derivatives.C, derivatives.dC), axis1=1, axis2=2)
    return float(p + 0.5 * theta @ slope)


def estimation_correction(design: MixedDesign, params: LMMParams, engine: LinearCriterion,
                          derivatives: VarianceDerivatives, residuals: Array) -> float:
    """What the estimation of theta adds to the trace.

    With a_i = PV_iPy, V_i the derivative of V in theta_i, and H the Hessian of the criterion,

        dθ/dy = H⁻¹ (2ν/r²) [a_i - (y'a_i / r²) Py],   dŷ/dθ_j = W⁻¹a_j

    over the entries of theta that are not at their boundary.
    """
    free = free_parameters(design.terms, params.theta)
    if not free.any():
        return 0.0
    weights = np.ones(design.n) if design.weights is None else design.weights
    Py = weights * residuals
    columns = _variance_columns(design, params.theta, Py)[:, free]  # V_iPy
    a = inverse_covariance_times(design, columns, engine.modes_of(params.theta, columns))
    if params.coefficients.size:
        X = kept_columns(design, params)
        VX = inverse_covariance_times(design, X, engine.fixed_modes(params.theta))
        a = a - VX @ (derivatives.C @ (VX.T @ columns))
    nu = design.n - params.coefficients.size if params.reml else design.n
    share = (columns * Py[:, None]).sum(axis=0) / params.pwrss  # y'a_i / r²
    K = (a - Py[:, None] * share).T @ (a / weights[:, None])
    H_inverse = positive_inverse(derivatives.hessian[np.ix_(free, free)])
    return float(2.0 * nu / params.pwrss * np.sum(H_inverse * K))


def _variance_columns(design: MixedDesign, theta: Array, Py: Array) -> Array:
    """V_iPy = ZD_iZ'Py for every entry of theta (n, m), D_i = d_iTT' + Td_iT' for every level."""
    columns = []
    for term, template in zip(design.terms, templates(design.terms, theta), strict=True):
        codes = design.factors[term.factor].codes
        s = np.column_stack([np.bincount(codes, Py if x is None else x * Py) for x in term.data])
        columns += [_spread(term, s @ _product_derivative(template, row, column), codes)
                    for row, column in zip(*template_entries(len(term.columns), term.structure), strict=True)]
    return np.column_stack(columns)


def _product_derivative(template: Array, row: int, column: int) -> Array:
    """Derivative of TT' in an entry of T."""
    out = np.zeros_like(template)
    out[row] = template[:, column]
    return out + out.T


def _spread(term: RandomTerm, effects: Array, codes: NDArray[np.int32]) -> Array:
    """Zb of a term (n,), b (levels, c)."""
    return np.asarray(sum(effect[codes] * (1.0 if x is None else x)
                          for effect, x in zip(effects.T, term.data, strict=True)))


def conditional_deviance(params: LMMParams, weights: Array | None, residuals: Array) -> float:
    """Minus twice the log-density of y given the estimated random effects."""
    sigma2 = params.residual_variance
    n = params.n_obs
    if weights is None:
        return float(n * np.log(2.0 * np.pi * sigma2) + residuals @ residuals / sigma2)
    return float(n * np.log(2.0 * np.pi * sigma2) - np.log(weights).sum()
                 + residuals @ (weights * residuals) / sigma2)
