"""Intervals, profiles and the bootstrap of a fitted model: the methods of a solution that ask how far."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ._common import Array, P, check_choice, check_number
from ._inference.bootstrap import Bootstrap, run
from ._inference.coefficient_tests import t_quantiles
from ._inference.intervals import EstimatedModel, interval_table, normal_quantile
from ._inference.profile import Profile, curves, profile_intervals, profile_model
from ._inference.resampling import ModelPoint, Pools, make_plan
from ._tested_solution import TestedSolution
from .errors import InputError

if TYPE_CHECKING:
    import pandas as pd

LAST_REPLICATE = 2**63 - 1  # whose number a signed integer holds


@dataclass(frozen=True, eq=False, repr=False)
class BoundedSolution(TestedSolution[P]):
    """A fitted mixed model with its intervals; see the two kinds."""

    @cached_property
    @abstractmethod
    def _estimated(self) -> EstimatedModel:
        """All parameters with their standard errors."""

    @property
    def _likelihood_estimated(self) -> EstimatedModel:
        """The same of the fit by maximum likelihood."""
        return self._estimated

    def conf_int(self, level: float = 0.95, method: str = "wald",
                 parameters: str | Iterable[str] | None = None, *, ddf: str | None = None, n: int = 1000,
                 seed: int | None = None) -> pd.DataFrame:
        """Confidence intervals of all parameters.

        Parameters
        ----------
        level : float
            Probability of coverage, between 0 and 1.
        method : str
            ``"wald"``: estimate and standard error with normal quantiles; on the scale of the logarithm for standard
            deviations and sigma, of Fisher's z for correlations, on their unconstrained scale for a family's
            parameters. NaN at the end of a parameter's range, but for the lower limit zero of a standard deviation of
            zero.
            ``"profile"``: the values that a likelihood ratio test does not reject; see `profile`. Where it rejects
            none up to the end of a parameter's range, that is the limit.
            ``"bootstrap"``: percentiles of a parametric bootstrap; see `bootstrap`, whose result has other intervals.
        parameters : str or iterable of str, optional
            Names of those wanted, as in the index of the result.
        ddf : str, optional
            Wald intervals of the coefficients with the t quantiles, and for ``"kenward-roger"`` the standard errors, of
            these degrees of freedom, as in `contrast`; they hold in small samples.
        n, seed : int
            Replicates of the bootstrap, and its seed.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``. A row per coefficient, then ``sd_x|g`` and ``cor_y.x|g`` in the order of theta,
            ``sigma`` of a linear model, the estimated parameters of a family and ``zi.x`` of a zero inflation.

        Raises
        ------
        InputError, InputTypeError
            If an argument is unknown or out of range, or the coefficients of a fit with ``n_agq=0`` are to be profiled.

        Warns
        -----
        ProfileWarning
            If a limit was not found, it is NaN; or if a profile shows that the fit is not at the minimum.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.conf_int(method="profile", parameters=["Days", "sigma"]).round(2).to_dict("index")
        {'Days': {'lower': 7.36, 'upper': 13.58}, 'sigma': {'lower': 22.9, 'upper': 28.86}}
        """
        check_choice("method", method, ("wald", "profile", "bootstrap"))
        z = normal_quantile(level)
        if ddf is not None and method != "wald":
            raise InputError(f"ddf: expected None with method={method!r}, got {ddf!r}")
        if method == "bootstrap":
            return self.bootstrap(n, seed=seed).conf_int(level, parameters=parameters)
        if method == "profile":
            return profile_intervals(curves(self._likelihood_estimated, parameters), level)
        chosen = self._estimated.select(parameters)
        limits = {parameter.name: parameter.wald(z) for parameter in chosen}
        if ddf is not None:
            tests, rows = self._coefficient_tests(ddf), np.eye(self.coefficients.size)
            reach = t_quantiles(0.5 + 0.5 * level, tests.df(rows)) * tests.se(rows)
            exact = zip((self.coefficients - reach).tolist(), (self.coefficients + reach).tolist(), strict=True)
            limits |= dict(zip(self.coefficient_names, exact, strict=True))
        return interval_table(chosen, [limits[parameter.name] for parameter in chosen])

    def profile(self, parameters: str | Iterable[str] | None = None, level: float = 0.99,
                progress: bool = False) -> Profile:
        """Profile likelihoods.

        A fit by REML is profiled as its fit by maximum likelihood: restricted likelihoods do not compare values of
        coefficients.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Names of those wanted, as in the index of `conf_int`.
        level : float
            Profiles reach to the joint confidence region of this level for all of the model's parameters, a
            chi-squared quantile, or to the end of a parameter's range.
        progress : bool
            Whether to show tqdm's progress bar.

        Returns
        -------
        Profile
            Its points, intervals of any level, and interpolation.

        Raises
        ------
        InputError, InputTypeError
            If a name is unknown, the level out of range, or the coefficients of a fit with ``n_agq=0`` are wanted.

        Warns
        -----
        ProfileWarning
            If a profile could not be followed, or shows that the fit is not at the minimum.

        References
        ----------
        Bates, Mächler, Bolker & Walker (2015), section 5.1; Pinheiro & Bates (2000), Mixed-Effects Models in S and
        S-PLUS.
        """
        return profile_model(self._likelihood_estimated, parameters, level, progress)

    @abstractmethod
    def _model_point(self) -> ModelPoint:
        """The estimates, as resampling takes them."""

    @property
    @abstractmethod
    def _parameter_names(self) -> tuple[str, ...]:
        """Names of all parameters, those of `_estimated` without its standard errors: K of them."""

    @abstractmethod
    def _parameter_values(self, coefficients: Array, theta: Array, extra: Array) -> Array:
        """Values of all parameters (R, K) at R points."""

    @property
    def _parameter_estimates(self) -> Array:
        """Values of all parameters (K,)."""
        point = self._model_point()
        values = self._parameter_values(point.coefficients[None], point.theta[None], point.extra[None])
        return np.asarray(values[0])

    def bootstrap(self, n: int = 1000, kind: str = "parametric", seed: int | None = None, first: int = 0,
                  cluster: Any = None, n_threads: int | None = None, progress: bool = False) -> Bootstrap:
        """Fit the model to `n` resampled data sets.

        Parameters
        ----------
        n : int
            Number of replicates.
        kind : str
            ``"parametric"``: responses simulated from the fit, with new random effects; ``"residual"``: random effects
            and residuals drawn from their estimates, which are centred and scaled to the estimated covariances first
            (linear models); ``"cluster"``: clusters of rows drawn with replacement.
        seed : int, optional
            Non-negative, below 2**64; one is drawn and kept in the result by default. A replicate depends on the seed
            and its number alone, not on the number of threads.
        first : int
            Number of the first replicate: another range under the same seed merges with this one.
        cluster : str or array_like (n_obs,), optional
            Clusters of a cluster bootstrap: name of a grouping factor, or labels of the rows. Every level of each
            grouping factor must lie within one of them. The coarsest grouping factor by default.
        n_threads : int, optional
            1 by default.
        progress : bool
            Whether to show tqdm's progress bar.

        Returns
        -------
        Bootstrap
            A fit that failed is a row of it, with a status.

        Raises
        ------
        InputError, InputTypeError
            If an argument is out of range, or the model cannot be resampled in this way.

        Warns
        -----
        InterruptedWarning
            If Ctrl-C ends it early; the replicates made by then are returned.

        References
        ----------
        Carpenter, Goldstein & Rasbash (2003), J. R. Stat. Soc. C 52(4), for the residual bootstrap. Davison & Hinkley
        (1997), Bootstrap Methods and Their Application, section 3.8, for clusters.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> boot = fit.bootstrap(500, seed=1)
        >>> boot.conf_int().loc["Days"].round(1).tolist()
        [7.5, 13.4]
        """
        plan = make_plan(self._design, kind, seed, cluster, n_threads)
        if kind == "residual":
            plan = replace(plan, pools=self._residual_pools())
        check_number("n", n, Integral)
        check_number("first", first, Integral, 0)
        if first + n > LAST_REPLICATE:
            raise InputError(f"first: expected replicates below {LAST_REPLICATE}, got {n} from {first} on")
        resampler = self._engine.resampler(self._design, self._model_point())
        found = run(partial(resampler.draw, plan), int(first), int(n), progress)
        own_se = resampler.fit(self._design.y[:, None], 1).se[0]
        count = len(found.status)
        return Bootstrap(
            repr(self), kind, self._parameter_names, self._parameter_estimates, own_se,
            self._parameter_values(found.coefficients, found.theta, found.extra), found.coefficients, found.se,
            found.theta, found.extra, found.objective, found.status, found.n_evaluations,
            np.full(count, plan.seed, np.uint64), np.arange(count, dtype=np.int64) + int(first), resampler.statuses)

    @abstractmethod
    def _residual_pools(self) -> Pools:
        """What a residual bootstrap draws from."""
