"""The result of a linear mixed model: its numbers by name, and what follows from them on demand."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array, Convergence, Engine, LMMParams, Result, VarCompSummary, check_choice
from ._prediction import linear_predictor
from ._tables import Summary, summarize
from .design import MixedDesign
from .errors import InputError, InputTypeError, PymixedWarning
from .inference import SingularDirection, singular_directions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class LMMSolution:
    """A fitted linear mixed model.

    Returned by `pymixed.lmer` and `pymixed.lmm`. Coefficients come in the order of `coefficient_names`, random-effects
    terms and theta in the order of the formula; tables are pandas objects, arrays NumPy's. With n rows, p coefficients
    and m variance parameters, arrays have the shapes given in brackets.

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    >>> fit.fixef().round(2).to_dict()
    {'(Intercept)': 251.41, 'Days': 10.47}
    >>> round(fit.residual_std, 2)
    25.59
    """

    _result: Result[LMMParams]
    _design: MixedDesign
    _engine: Engine

    # ---- the estimates by name ---------------------------------------------------------------------------------------

    @property
    def params(self) -> LMMParams:
        """The estimates as one frozen object."""
        return self._result.params

    @property
    def info(self) -> Mapping[str, Any]:
        """Facts of the run: method, optimiser, path of the factorisation."""
        return self._result.info

    @property
    def timing(self) -> Mapping[str, float]:
        """Seconds per section of the fit."""
        return self._result.timing

    @property
    def backend_name(self) -> str:
        """What did the computing."""
        return self._result.backend_name

    @property
    def warnings(self) -> tuple[PymixedWarning, ...]:
        """What the fit warned of; each has a `code`."""
        return self._result.warnings

    @property
    def coefficients(self) -> Array:
        """Fixed effects (p,)."""
        return self.params.coefficients

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Columns of X that have a coefficient."""
        return self.params.coefficient_names

    @property
    def se(self) -> Array:
        """Standard errors of the fixed effects (p,)."""
        return self.params.se

    @property
    def df_satterthwaite(self) -> Array:
        """Denominator degrees of freedom of the t tests (p,)."""
        return self.params.df_satterthwaite

    @property
    def t_values(self) -> Array:
        """Fixed effects over their standard errors (p,)."""
        return self.params.t_values

    @property
    def p_values(self) -> Array:
        """Two-sided p-values of the t tests (p,)."""
        return self.params.p_values

    @property
    def var_components(self) -> tuple[VarCompSummary, ...]:
        """A summary per column of each random-effects term."""
        return self.params.var_components

    @property
    def residual_variance(self) -> float:
        """sigma², the variance of a residual of weight one."""
        return self.params.residual_variance

    @property
    def residual_std(self) -> float:
        """sigma, in units of the response."""
        return self.params.residual_std

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood, the restricted one after REML."""
        return self.params.log_likelihood

    @property
    def reml(self) -> bool:
        """Whether the fit is by REML."""
        return self.params.reml

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return self.params.aic

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return self.params.bic

    @property
    def n_obs(self) -> int:
        """Rows used, n."""
        return self.params.n_obs

    @property
    def n_groups(self) -> Mapping[str, int]:
        """Levels of each grouping factor."""
        return self.params.n_groups

    @property
    def converged(self) -> bool:
        """Whether the certificate `convergence` holds."""
        return self.params.converged

    @property
    def convergence(self) -> Convergence:
        """Certificate that theta is a minimum."""
        return self.params.convergence

    @property
    def n_iter(self) -> int:
        """Iterations of the optimiser."""
        return self.params.n_iter

    @property
    def random_effects(self) -> Mapping[str, Array]:
        """Conditional modes per grouping factor (levels, columns); `ranef` gives them names."""
        return self.params.random_effects

    @property
    def theta(self) -> Array:
        """Relative covariance parameters (m,)."""
        return self.params.theta

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Group, row and column of the template: ``"Subject.Days.(Intercept)"``; ``"Subject.Days"`` on the diagonal."""
        return self.params.theta_names

    # ---- tables ------------------------------------------------------------------------------------------------------

    def fixef(self) -> pd.Series[float]:
        """Coefficients of the fixed effects as a Series indexed by `coefficient_names`."""
        import pandas as pd

        return pd.Series(self.coefficients, index=list(self.coefficient_names), name="fixef")

    @overload
    def ranef(self, condvar: Literal[False] = False) -> dict[str, pd.DataFrame]: ...
    @overload
    def ranef(self, condvar: Literal[True]) -> tuple[dict[str, pd.DataFrame], dict[str, Array]]: ...

    def ranef(self, condvar: bool = False) -> (
            dict[str, pd.DataFrame] | tuple[dict[str, pd.DataFrame], dict[str, Array]]):
        """Conditional modes of the random effects.

        Parameters
        ----------
        condvar : bool
            Whether to give their conditional covariances, with the fixed effects held, as well.

        Returns
        -------
        dict of str to DataFrame
            Per grouping factor, levels x columns; several terms on one factor stand side by side.
        dict of str to (levels, c, c) array
            With `condvar`, second of a tuple: Var(b | y) of each level, in the order of that table.
        """
        import pandas as pd

        design = self._design
        modes = {
            factor.name: pd.DataFrame(
                self.random_effects[factor.name],
                index=pd.Index(factor.levels, name=factor.name),
                columns=[column for term in design.terms if term.factor == i for column in term.columns])
            for i, factor in enumerate(design.factors)}
        if not condvar:
            return modes
        covariances = self._engine.conditional_covariances(self.theta)
        return modes, dict(zip(modes, (self.residual_variance * block for block in covariances), strict=True))

    def coef(self) -> dict[str, pd.DataFrame]:
        """Coefficients of each level: fixed effect plus conditional mode of the same name.

        Returns
        -------
        dict of str to DataFrame
            Per grouping factor, levels x columns. A random effect without a fixed one of its name stands alone.
        """
        import pandas as pd

        fixed = dict(zip(self.coefficient_names, self.coefficients, strict=True))
        return {
            group: pd.DataFrame(
                {name: fixed.get(name, 0.0) + modes.get(name, 0.0) for name in [*fixed, *modes.columns]},
                index=modes.index)
            for group, modes in self.ranef().items()}

    def varcorr(self) -> pd.DataFrame:
        """Variances and covariances of the random effects and the residual variance.

        Returns
        -------
        DataFrame
            Columns ``grp, var1, var2, vcov, sdcor``: per term its variances (`var2` empty; `sdcor` the standard
            deviation), then its covariances (`sdcor` the correlation); last ``Residual``.
        """
        import pandas as pd

        return pd.DataFrame(self._varcorr_rows(), columns=["grp", "var1", "var2", "vcov", "sdcor"])

    def _varcorr_rows(self) -> Iterator[tuple[str, str | None, str | None, float, float]]:
        for term in self.params.term_covariances:
            group, columns, correlation = term.group, term.columns, term.correlation
            for name, variance, std_dev in zip(columns, term.matrix.diagonal(), term.std_dev, strict=True):
                yield group, name, None, variance, std_dev
            if term.structure != "diag":
                for i, j in zip(*np.triu_indices(len(columns), k=1), strict=True):
                    yield group, columns[i], columns[j], term.matrix[i, j], correlation[i, j]
        yield "Residual", None, None, self.residual_variance, self.residual_std

    def vcov(self, kind: str = "model") -> Array:
        """Covariance of the fixed effects (p, p).

        Parameters
        ----------
        kind : str
            ``"model"``: sigma² (X'V⁻¹X)⁻¹ at the estimates.
        """
        check_choice("kind", kind, ("model",))
        return self.params.vcov

    @cached_property
    def singularity(self) -> tuple[SingularDirection, ...]:
        """Directions of random-effects terms that have no variance; empty if the fit is not singular."""
        return singular_directions(self._design.terms, self.theta, self._design.weights)

    # ---- the criterion as a function ---------------------------------------------------------------------------------

    def deviance_at(self, theta: ArrayLike) -> float:
        """Minus twice the profiled log-likelihood, restricted if `reml`, at other parameters.

        Parameters
        ----------
        theta : (m,) array_like
            In the order of `theta_names`.

        Raises
        ------
        InputError, InputTypeError
            If theta has another length, is not finite, or not numeric.
        """
        return self._engine.deviance(self._checked_theta(theta))

    def gradient_at(self, theta: ArrayLike) -> Array:
        """Exact gradient of `deviance_at` (m,)."""
        return self._engine.gradient(self._checked_theta(theta))

    def hessian_at(self, theta: ArrayLike) -> Array:
        """Hessian of `deviance_at` (m, m)."""
        return self._engine.hessian(self._checked_theta(theta))

    def _checked_theta(self, theta: ArrayLike) -> Array:
        try:
            values = np.ascontiguousarray(theta, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputTypeError(f"theta: expected numbers, got {theta!r}") from None
        if values.shape != self.theta.shape:
            raise InputError(f"theta: expected {self.theta.size} values ({', '.join(self.theta_names)}), "
                             f"got an array of shape {values.shape}")
        if not np.isfinite(values).all():
            raise InputError(f"theta: expected finite values, got {values}")
        return values

    # ---- rows --------------------------------------------------------------------------------------------------------

    @cached_property
    def fitted_values(self) -> Array:
        """Conditional means, offset + Xβ + Zb (n,)."""
        return self.predict()

    @cached_property
    def residuals(self) -> Array:
        """Response minus `fitted_values` (n,)."""
        return self._design.y - self.fitted_values

    def resid(self, kind: str = "response") -> Array:
        """Residuals (n,).

        Parameters
        ----------
        kind : str
            ``"response"``: y minus fitted value; ``"pearson"``: times the root of the prior weight.
        """
        check_choice("kind", kind, ("response", "pearson"))
        weights = self._design.weights
        return self.residuals if kind == "response" or weights is None else self.residuals * np.sqrt(weights)

    def predict(self, newdata: Any = None, re: str | Iterable[str] = "all", new_levels: str = "error",
                type: str = "link", offset: ArrayLike | None = None) -> Array:  # noqa: A002  R's name
        """Predicted means.

        Parameters
        ----------
        newdata : table, optional
            Rows to predict for, any table that the fit accepts; the rows of the fit by default.
        re : str or iterable of str
            Random effects to add: ``"all"``, ``"none"``, or the names of grouping factors.
        new_levels : str
            What a level that the fit has not seen gives: ``"error"``; ``"population"``, the prediction with its random
            effects at zero; ``"missing"``, NaN.
        type : str
            ``"link"`` or ``"response"``, the same for a linear model.
        offset : array_like (rows,), optional
            That of the new rows, where the fit was given its own as an array.

        Returns
        -------
        (rows,) array

        Raises
        ------
        InputError
            If a choice is unknown, a column is missing, or a level is unseen with ``new_levels="error"``.
        """
        check_choice("type", type, ("link", "response"))
        return linear_predictor(self._design, self.params, newdata, re, new_levels, offset)

    # ---- in print ----------------------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Lay the fit out as lme4 does: `print` it, or let a notebook show it.

        Returns
        -------
        Summary
            Criterion, quantiles of the scaled residuals, random effects, fixed effects with t tests, their
            correlations, and notes on anything unusual.
        """
        quantiles = np.quantile(self.resid("pearson") / self.residual_std, [0.0, 0.25, 0.5, 0.75, 1.0])
        design = self._design
        return summarize(self.params, design.formula, quantiles, self.singularity, design.n_rows_given - design.n)

    def __repr__(self) -> str:
        method = "REML" if self.reml else "ML"
        groups = ", ".join(f"{group}: {n_levels}" for group, n_levels in self.n_groups.items())
        return (f"<LMMSolution {self._design.formula or self._design.response_name} by {method}, {self.n_obs} rows, "
                f"{groups}; log-likelihood {self.log_likelihood:.1f}{'' if self.converged else ', not converged'}>")

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
