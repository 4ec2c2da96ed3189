"""A fitted model as tidy tables and plots: the methods of a solution that report."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._common import P
from ._diagnosed_solution import DiagnosedSolution
from ._plots.accessor import Plots
from ._reports.augment import augmented
from ._reports.tidy import Intervals, tidy_table
from ._updates import UpdatedCriterion

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class ReportedSolution(DiagnosedSolution[P]):
    """A fitted mixed model with its tables and plots; see the two kinds."""

    @property
    def plot(self) -> Plots:
        """Plots with matplotlib, ``fit.plot.<kind>()``; printed it names them."""
        return Plots(self)

    def tidy(self, effects: str | Iterable[str] = ("fixed", "ran_pars"), conf_int: bool = False,
             conf_level: float = 0.95, conf_method: str = "wald", exponentiate: bool = False, *,
             ddf: str | None = None, n: int = 1000, seed: int | None = None) -> pd.DataFrame:
        """The estimates as one table, a row each, in the columns of R's package broom.mixed.

        Parameters
        ----------
        effects : str or iterable of str
            ``"fixed"``: coefficients with their tests. ``"ran_pars"``: standard deviations and correlations of the
            random effects, the residual standard deviation of a linear model, estimated parameters of a family.
            ``"ran_vals"``: conditional modes of the random effects, with the root of their conditional variance.
        conf_int : bool
            Whether to give confidence limits.
        conf_level : float
            Their probability of coverage, between 0 and 1.
        conf_method : str
            ``"wald"``, ``"profile"`` or ``"bootstrap"``, as in `conf_int`; but Wald limits of coefficients have the
            quantiles of their tests, so that limits and p-values agree. Limits of ``"ran_vals"`` are always normal.
        exponentiate : bool
            Give exp(estimate) of the coefficients (odds ratios, rate ratios), its limits and, by the delta method, its
            standard error. Tests stay those of the coefficients.
        ddf : str, optional
            Degrees of freedom of the tests of coefficients, as in `contrast`; those of `df_satterthwaite` by default.
        n, seed : int
            Replicates of the bootstrap, and its seed.

        Returns
        -------
        DataFrame
            Columns ``effect, component, group, level, term, estimate, std.error, statistic, df, p.value, conf.low,
            conf.high``, without those that none of the effects has. ``component`` is there with zero inflation only:
            ``cond``, or ``zi`` for its coefficients. Terms of ``ran_pars`` are ``sd__x``, ``cor__x.y``; those of the
            response's distribution have the group ``Residual``: ``sd__Observation``, or the family's parameter.

        Raises
        ------
        InputError, InputTypeError
            If an argument is unknown or out of range, or the method has no intervals, as in `conf_int`.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.tidy("ran_pars", conf_int=True)[["group", "term", "estimate", "conf.low", "conf.high"]].round(2)
              group                   term  estimate  conf.low  conf.high
        0   Subject        sd__(Intercept)     24.74     15.58      39.28
        1   Subject  cor__(Intercept).Days      0.07     -0.52       0.61
        2   Subject               sd__Days      5.92      3.92       8.95
        3  Residual        sd__Observation     25.59     22.80      28.72
        """
        intervals = Intervals(conf_level, conf_method, n, seed) if conf_int else None
        return tidy_table(self, effects, intervals, exponentiate, ddf)

    def glance(self) -> pd.DataFrame:
        """The fit as a whole in one row, in the columns of R's package broom.mixed.

        Returns
        -------
        DataFrame
            Columns ``nobs``; ``sigma``, the residual standard deviation, of a generalized model the root of the
            dispersion where the family's variance is a multiple of it, else 1; ``logLik, AIC, BIC``; ``REMLcrit``
            after REML, else ``deviance``: minus twice the log-likelihood of a linear model, `GLMMSolution.deviance` of
            others; ``df.residual``, rows less parameters.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.glance().round(2)
           nobs  sigma  logLik      AIC      BIC  REMLcrit  df.residual
        0   180  25.59 -871.81  1755.63  1774.79   1743.63          174
        """
        import pandas as pd

        name, value = self._criterion_at_fit
        return pd.DataFrame({
            "nobs": [self.n_obs], "sigma": [self._scale], "logLik": [self.log_likelihood], "AIC": [self.aic],
            "BIC": [self.bic], name: [value], "df.residual": [self.n_obs - self.params.n_parameters]})

    def augment(self, data: Any = None, new_levels: str = "error", offset: ArrayLike | None = None) -> pd.DataFrame:
        """The rows of a table with predictions and residuals, in the columns of R's package broom.mixed.

        Parameters
        ----------
        data : table, optional
            That of the fit or new rows, any table that the fit accepts; the response may be missing in some rows, or
            altogether. Of a model from arrays a table of their rows, whose columns need not be the arrays. By default
            the columns of the model, in the rows of the fit.
        new_levels : str
            What a level that the fit has not seen gives, as for `predict`.
        offset : array_like (rows,), optional
            That of the data's rows, where the fit was given its own as an array.

        Returns
        -------
        DataFrame
            A row per row of the data, in their order: their columns and ``.fitted``, the mean of the response given the
            random effects; ``.resid``, the response less that, NaN where it is missing; ``.fixed``, the mean with the
            random effects at zero; ``.mu``, the mean of the family's distribution, which differs from ``.fitted`` by
            the zero inflation; ``.offset``; of a generalized model ``.eta``, the linear predictor. NaN where a column
            of the model other than the response is missing, as in rows that the fit dropped for it. Without `data` also
            ``.hat``, the leverage, and ``.cooksd``, Cook's distance of the row with theta held.

        Raises
        ------
        InputError, InputTypeError
            As `predict`, and if the model holds no rows and no data are given.

        Examples
        --------
        >>> import pymixed as pm
        >>> data = pm.datasets.load("sleepstudy")
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.augment(data).head(2)[["Days", ".fitted", ".resid", ".fixed"]].round(2)
           Days  .fitted  .resid  .fixed
        0     0   253.66   -4.10  251.41
        1     1   273.33  -14.63  261.87
        """
        means = partial(self._means, scale="response")
        table = augmented(self._design, self.params, self._response_family, means, data, new_levels, offset)
        if data is None and not isinstance(self._engine, UpdatedCriterion):
            table[".hat"] = self.leverage()
            table[".cooksd"] = self.influence().cooks_distance.to_numpy() if self.coefficients.size else np.nan
        return table

    @property
    @abstractmethod
    def _scale(self) -> float:
        """Standard deviation of a residual of weight one, over the root of the variance function."""

    @property
    @abstractmethod
    def _criterion_at_fit(self) -> tuple[str, float]:
        """Name and value of the criterion that `glance` gives."""
