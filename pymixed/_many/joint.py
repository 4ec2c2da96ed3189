"""Joint tests of linear functions of the coefficients, of many fits at once."""
from __future__ import annotations

import numpy as np

from .._common import Array
from .._inference.coefficient_tests import mean_df
from .jobs import FitArrays
from .triangles import satterthwaite_df, unpacked


def joint_p_values(fits: FitArrays, L: Array, df_method: str | None) -> Array:
    """P-values (R,) of L beta = 0 for independent contrasts L (r, p); NaN where a fit failed.

    F tests as `_inference.coefficient_tests.CoefficientTests.joint` has them, chi-squared tests where `df_method` is
    None.
    """
    from scipy.special import chdtrc, fdtrc

    p_values = np.full(len(fits.status), np.nan)
    good = (fits.status == 0) & np.isfinite(fits.packed_vcov).all(axis=1)
    values, vectors = np.linalg.eigh(L @ unpacked(fits.packed_vcov[good]) @ L.T)
    combinations = np.swapaxes(vectors / np.sqrt(values)[:, None, :], 1, 2) @ L  # of unit variance and independent
    squares = (combinations @ fits.coefficients[good][:, :, None])[:, :, 0]**2
    statistic, rank = squares.mean(axis=1), len(L)
    if df_method is None:
        p_values[good] = chdtrc(rank, rank * statistic)
        return p_values
    if df_method == "satterthwaite":
        gradient = np.einsum("rki,raij,rkj->rak", combinations, unpacked(fits.jacobian[good]), combinations,
                             optimize=True)
        df = mean_df(satterthwaite_df(np.ones_like(squares), gradient, fits.packed_varpar[good]))
    else:
        df = (fits.n_obs[good] - fits.coefficients.shape[1]).astype(np.float64)
    p_values[good] = fdtrc(rank, df, statistic)
    return p_values
