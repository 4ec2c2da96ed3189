"""Means of a response averaged over normal random effects."""
from __future__ import annotations

import numpy as np

from ._common import Array
from ._links import Link
from .errors import InputError

REACH = 9.0            # standard deviations: what lies beyond is below the rounding of doubles
STEP = 0.16            # of the linear predictor: the nearest pole of a mean, cauchit's at i, costs exp(-2π/STEP)
MOST_VALUES = 1 << 20  # of the integrand at a time


def averaged_mean(link: Link, eta: Array, sd: Array) -> tuple[Array, Array]:
    """E g⁻¹(η + e) over e ~ N(0, sd²), and its derivative in η, each (m,).

    In closed form for the identity, log and probit links, else by the trapezoidal rule, which converges geometrically
    for integrands that are analytic in a strip and fall off as the normal density does (Trefethen & Weideman 2014,
    SIAM Rev. 56(3)).

    Raises
    ------
    InputError
        If the mean has a pole in η, so that there is no such average.
    """
    if link.name in ("inverse", "1/mu^2"):
        raise InputError(f"type: expected 'link' or 'response' with the {link.name} link, whose mean has no average "
                         "over normal random effects, got 'marginal'")
    if link.name == "identity":
        return eta, np.ones_like(eta)
    if link.name == "log":
        return link.inverse(eta + 0.5 * sd**2), link.inverse(eta + 0.5 * sd**2)
    if link.name == "probit":
        shrink = 1.0 / np.sqrt(1.0 + sd**2)
        return link.inverse(eta * shrink), shrink * link.inverse_derivative(eta * shrink)
    nodes, weights = normal_nodes(STEP / max(float(np.nanmax(sd, initial=0.0)), STEP / 0.25))
    mean, slope = np.empty_like(eta), np.empty_like(eta)
    rows = max(1, MOST_VALUES // len(nodes))
    for start in range(0, len(eta), rows):
        part = slice(start, start + rows)
        at = eta[part, None] + sd[part, None] * nodes
        mean[part], slope[part] = link.inverse(at) @ weights, link.inverse_derivative(at) @ weights
    return mean, slope


def normal_nodes(step: float) -> tuple[Array, Array]:
    """Nodes of the trapezoidal rule on the standard normal density, and their weights."""
    nodes = np.arange(-np.ceil(REACH / step), np.ceil(REACH / step) + 1.0) * step
    weights = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()
