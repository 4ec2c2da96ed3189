"""Symmetric matrices by the thousand, each as the row of its lower triangle, row by row; and what is computed so."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._common import Array


def order_of(n_packed: int) -> int:
    """Order p of a matrix whose triangle has p (p + 1) / 2 entries."""
    return int(np.sqrt(2 * n_packed + 0.25) - 0.5)


def diagonal(p: int) -> NDArray[np.intp]:
    """Positions of the diagonal (p,)."""
    return np.cumsum(1 + np.arange(p)) - 1


def unpacked(packed: Array) -> Array:
    """The matrices (..., p, p) of triangles (..., p (p + 1) / 2)."""
    p = order_of(packed.shape[-1])
    rows, columns = np.tril_indices(p)
    full = np.empty((*packed.shape[:-1], p, p))
    full[..., rows, columns] = packed
    full[..., columns, rows] = packed
    return full


def quadratic_weights(L: Array) -> Array:
    """Weights (p (p + 1) / 2, k) with which triangles of matrices V give L V L' for each row of L (k, p)."""
    rows, columns = np.tril_indices(L.shape[1])
    return np.asarray((L[:, rows] * L[:, columns] * np.where(rows == columns, 1.0, 2.0)).T)


def satterthwaite_df(variance: Array, gradient: Array, varpar: Array) -> Array:
    """Degrees of freedom 2 v² / Var(v) of estimated variances v; see `inference.satterthwaite`.

    Parameters
    ----------
    variance : (R, k) array
    gradient : (R, m + 1, k) array
        Their derivatives in the variance parameters.
    varpar : (R, (m + 1) (m + 2) / 2) array
        Covariances of these parameters, packed.
    """
    of_variance = np.einsum("rak,rab,rbk->rk", gradient, unpacked(varpar), gradient, optimize=True)
    return np.asarray(2.0 * variance**2 / of_variance)
