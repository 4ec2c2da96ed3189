"""The result of fitting one model to many responses."""
from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._common import Array
from .._inference.coefficient_tests import t_p_values
from .._inference.contrasts import right_hand_side, rows_of_contrasts
from ..errors import InputError
from .moderation import Moderation, moderate
from .rows import TestedRows, adjusted
from .triangles import diagonal, quadratic_weights, satterthwaite_df, unpacked

if TYPE_CHECKING:
    import pandas as pd

DF_METHODS = ("satterthwaite", "residual")
PARQUET_ROWS = 2**16  # of a piece


@dataclass(frozen=True, eq=False, repr=False)
class ManyFits(TestedRows):
    """Fits of one model to R responses, a row each; a fit that failed is a row of NaN with its status.

    Returned by `pymixed.fit_many` and `pymixed.fit_many_arrays`. With p coefficients, m variance parameters and k
    further ones. Results of one model merge by ``+`` or `concatenate`.

    Attributes
    ----------
    model : str
        The model in a line.
    coefficient_names : tuple of str
        Columns of X that have a coefficient.
    aliased : tuple of str
        Columns of X that depend on others and were dropped.
    theta_names, extra_names : tuple of str
        As those of a solution; the extra one of a linear model is ``"sigma"``.
    df_method : str or None
        ``"satterthwaite"``, ``"residual"``, or None for z tests.
    statuses : tuple of str
        Meaning of the codes in `status`.
    responses : (R,) array of str
        Names.
    coefficients : (R, p) array
        NaN also for a column that depends on others in the rows that a response has.
    theta : (R, m) array
    extra : (R, k) array
        Sigma of a linear model; of a generalized one the family's parameters on their unconstrained scale and the
        coefficients of the zero inflation.
    objective : (R,) array
        Minus twice the (restricted) log-likelihood.
    status : (R,) array of int8
        Position in `statuses`; 0 is success.
    n_obs : (R,) array of int
        Rows used.
    n_evaluations : (R,) array of int
        Evaluations of the criterion.
    packed_vcov : (R, p (p + 1) / 2) array
        Lower triangles of `vcov`, row by row.
    packed_varpar : (R, (m + 1) (m + 2) / 2) array
        The same of the covariance of (theta, sigma); empty unless the degrees of freedom are Satterthwaite's.
    jacobian : (R, m + 1, p (p + 1) / 2) array
        Derivatives of `packed_vcov` in (theta, sigma); empty likewise.
    columns : tuple of str
        All columns of X.
    dependencies : (all, dropped) array
        Combinations of them that are zero.

    Examples
    --------
    >>> import numpy as np, pymixed as pm
    >>> data = pm.datasets.load("sleepstudy")
    >>> Y = np.column_stack([data["Reaction"], 0.5 * data["Reaction"]])
    >>> fits = pm.fit_many("~ Days + (Days | Subject)", data, Y)
    >>> fits.coefficients.round(2).tolist()
    [[251.41, 10.47], [125.7, 5.23]]
    >>> fits.converged.all()
    np.True_
    """

    model: str
    coefficient_names: tuple[str, ...]
    aliased: tuple[str, ...]
    theta_names: tuple[str, ...]
    extra_names: tuple[str, ...]
    df_method: str | None
    statuses: tuple[str, ...]
    responses: NDArray[Any]
    coefficients: Array
    theta: Array
    extra: Array
    objective: Array
    status: NDArray[np.int8]
    n_obs: NDArray[np.intp]
    n_evaluations: NDArray[np.intp]
    packed_vcov: Array
    packed_varpar: Array
    jacobian: Array
    columns: tuple[str, ...]
    dependencies: Array

    # ---- estimates ---------------------------------------------------------------------------------------------------

    @property
    def vcov(self) -> Array:
        """Covariances of the coefficients (R, p, p)."""
        return unpacked(self.packed_vcov)

    @cached_property
    def se(self) -> Array:
        """Standard errors of the coefficients (R, p)."""
        return np.sqrt(self.packed_vcov[:, diagonal(self.coefficients.shape[1])])

    @cached_property
    def df(self) -> Array:
        """Degrees of freedom of the tests (R, p); infinite for z tests."""
        return self._contrasts(np.eye(self.coefficients.shape[1]))[2]

    @property
    def statistic_name(self) -> str:
        """``"t"`` or ``"z"``."""
        return "z" if self.df_method is None else "t"

    @property
    def sigma(self) -> Array:
        """Residual standard deviations of a linear model (R,)."""
        if self.extra_names != ("sigma",):
            raise AttributeError(f"{self.model}: only a linear model has sigma; see extra and extra_names")
        return self.extra[:, 0]

    @property
    def log_likelihood(self) -> Array:
        """Log-likelihoods (R,), restricted ones after REML."""
        return -0.5 * self.objective

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Which fits succeeded (R,)."""
        return np.asarray(self.status == 0)

    # ---- tests -------------------------------------------------------------------------------------------------------

    def contrast(self, L: Any, rhs: ArrayLike = 0.0, method: str = "fdr", moderated: bool = False) -> pd.DataFrame:
        """Estimate and test linear functions of the coefficients of every response, L beta = rhs.

        Parameters
        ----------
        L : array_like (r, p) or (p,), DataFrame, or mapping
            As in `LMMSolution.contrast`.
        rhs : float or array_like (r,)
            Values under the null hypothesis.
        method : str
            Of adjustment for the number of responses, each contrast on its own; see `p_adjusted`.
        moderated : bool
            Whether the variance of each contrast is moderated over the responses, as `moderated` does it.

        Returns
        -------
        DataFrame
            A row per response and contrast, ``response, contrast, estimate, se, df, t`` (or ``z``), ``p, p_adjusted``;
            NaN where the fit failed or the contrast involves a coefficient that the response does not have.

        Raises
        ------
        InputError, InputTypeError
            If weights do not fit the coefficients, or a contrast is not estimable.
        """
        import pandas as pd

        labels, rows = rows_of_contrasts(L, self.columns, self.coefficient_names, self.aliased,
                                         lambda: self.dependencies)
        values = right_hand_side(rhs, len(rows))
        estimate, variance, df = self._contrasts(rows)
        if moderated:
            _, _, variance, df = self._moderated(variance, df)
        se = np.sqrt(variance)
        t = (estimate - values) / se
        table = {"estimate": estimate, "se": se, "df": df, self.statistic_name: t, "p": t_p_values(t, df),
                 "p_adjusted": adjusted(t, df, method)}
        return pd.DataFrame({"response": np.repeat(self.responses, len(rows)), "contrast": labels * len(self),
                             **{name: array.ravel() for name, array in table.items()}})

    def _contrasts(self, L: Array) -> tuple[Array, Array, Array]:
        """Estimates, variances and degrees of freedom (R, r) of the rows of L (r, p).

        NaN where a coefficient with a weight is; one without a weight takes no part.
        """
        missing = np.isnan(self.coefficients)
        unknown = missing.astype(np.float64) @ (L != 0).T > 0
        weights = quadratic_weights(L)
        estimate = np.where(missing, 0.0, self.coefficients) @ L.T
        variance = np.nan_to_num(self.packed_vcov, nan=0.0) @ weights
        estimate[unknown] = variance[unknown] = np.nan
        if self.df_method == "satterthwaite":
            df = satterthwaite_df(variance, np.nan_to_num(self.jacobian, nan=0.0) @ weights, self.packed_varpar)
        elif self.df_method == "residual":
            df = np.repeat((self.n_obs - (~missing).sum(axis=1)).astype(np.float64)[:, None], len(L), axis=1)
        else:
            df = np.full(estimate.shape, np.inf)
        return estimate, variance, np.where(unknown, np.nan, df)

    def moderated(self) -> ModeratedFits:
        """Empirical-Bayes moderated tests: the variance of each coefficient shrunk towards that of all responses.

        Smyth (2004) has the true variances of many responses follow a scaled inverse chi-squared distribution, whose
        parameters he finds from the mean and variance of the logarithms of the estimates. Here that is done for the
        squared standard error of every coefficient with its own degrees of freedom, not for sigma²: in a mixed model a
        coefficient that varies between groups rests on the few degrees of freedom that the groups give, and there is
        little to gain where sigma² has many.

        Returns
        -------
        ModeratedFits

        Raises
        ------
        InputError
            If the fits were made without degrees of freedom.

        References
        ----------
        Smyth (2004), Linear models and empirical Bayes methods for assessing differential expression in microarray
        experiments, Stat. Appl. Genet. Mol. Biol. 3(1), article 3.
        """
        moderation = self._moderated(self.se**2, self.df)
        return ModeratedFits(self.responses, self.coefficient_names, self.coefficients, moderation)

    def _moderated(self, variance: Array, df: Array) -> Moderation:
        if self.df_method is None:
            raise InputError("moderated: expected fits with df='satterthwaite' (or 'residual'), got df=None; an "
                             "estimated variance is weighed by its degrees of freedom")
        return moderate(variance, df)

    # ---- as tables ---------------------------------------------------------------------------------------------------

    def to_pandas(self, method: str = "fdr") -> pd.DataFrame:
        """A row per response.

        Parameters
        ----------
        method : str
            That of `p_adjusted`.

        Returns
        -------
        DataFrame
            ``estimate.x, se.x, df.x, t.x`` (or ``z.x``), ``p.x, p_adjusted.x`` for every coefficient x; theta, sigma or
            what is in `extra` by name; ``log_likelihood, n_obs, n_evaluations, converged``, and ``status`` in words.
        """
        import pandas as pd

        return pd.DataFrame(self._columns(method), index=pd.Index(self.responses, name="response"))

    def write_parquet(self, path: str | os.PathLike[str], method: str = "fdr") -> None:
        """Write the table of `to_pandas`, with a column ``response``, to a Parquet file, some rows at a time.

        Raises
        ------
        InputError
            If the package pyarrow is missing.
        """
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise InputError("write_parquet: needs the package pyarrow") from None
        columns = {"response": self.responses, **self._columns(method)}
        kinds = {"O": pa.string(), "b": pa.bool_(), "i": pa.int64(), "f": pa.float64()}
        schema = pa.schema([(name, kinds[values.dtype.kind]) for name, values in columns.items()])
        with parquet.ParquetWriter(os.fspath(path), schema, compression="zstd") as writer:
            for first in range(0, len(self), PARQUET_ROWS):
                part = {name: values[first:first + PARQUET_ROWS] for name, values in columns.items()}
                writer.write_table(pa.table(part, schema))

    def _columns(self, method: str) -> dict[str, NDArray[Any]]:
        return {
            **self._test_columns(method),
            **dict(zip(self.theta_names, self.theta.T, strict=True)),
            **dict(zip(self.extra_names, self.extra.T, strict=True)),
            "log_likelihood": self.log_likelihood, "n_obs": self.n_obs, "n_evaluations": self.n_evaluations,
            "converged": self.converged, "status": np.array(self.statuses, object)[self.status]}

    # ---- together ----------------------------------------------------------------------------------------------------

    @classmethod
    def concatenate(cls, parts: Iterable[ManyFits]) -> ManyFits:
        """The responses of several results of the same model, one after another.

        Raises
        ------
        InputError
            If there are none, or their models differ.
        """
        results = list(parts)
        if not results:
            raise InputError("concatenate: expected at least one result, got none")
        first = results[0]
        for other in results[1:]:
            if any(getattr(first, name) != getattr(other, name) for name in _SHARED):
                raise InputError(f"concatenate: expected results of the same model, got {first!r} and {other!r}")
        rows: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in results]) for name in _PER_ROW}
        return replace(first, **rows)

    def __add__(self, other: ManyFits) -> ManyFits:
        """The responses of both; see `concatenate`."""
        return self.concatenate([self, other]) if isinstance(other, ManyFits) else NotImplemented

    def __repr__(self) -> str:
        n_failed = len(self) - int(self.converged.sum())
        failures = f", {n_failed} without estimates" if n_failed else ""
        return f"<ManyFits of {self.model}: {len(self)} responses{failures}>"


_SHARED = ("model", "coefficient_names", "aliased", "theta_names", "extra_names", "df_method", "statuses", "columns")
_PER_ROW = tuple(field.name for field in fields(ManyFits) if field.name not in (*_SHARED, "dependencies"))


@dataclass(frozen=True, eq=False, repr=False)
class ModeratedFits(TestedRows):
    """Tests with moderated variances, made by `ManyFits.moderated`.

    Attributes
    ----------
    responses : (R,) array of str
    coefficient_names : tuple of str
    coefficients : (R, p) array
    moderation : Moderation
        What the properties are from.
    """

    responses: NDArray[Any]
    coefficient_names: tuple[str, ...]
    coefficients: Array
    moderation: Moderation

    @cached_property
    def se(self) -> Array:
        """Roots of the moderated variances (R, p)."""
        return np.sqrt(self.moderation.variance)

    @property
    def df(self) -> Array:
        """Degrees of freedom of the response and of the prior together (R, p)."""
        return self.moderation.df

    @property
    def prior_df(self) -> Array:
        """Degrees of freedom that the prior is worth (p,); infinite where the variances scatter by chance alone."""
        return self.moderation.prior_df

    @property
    def prior_variance(self) -> Array:
        """Variance of each coefficient that the prior says (p,)."""
        return self.moderation.prior_variance

    def __repr__(self) -> str:
        priors = ", ".join(f"{name}: {df:.3g}" for name, df in zip(self.coefficient_names, self.prior_df, strict=True))
        return f"<ModeratedFits: {len(self)} responses; prior degrees of freedom {priors}>"
