"""Shares of the variance and information criteria of a fitted model: the methods of a solution that describe."""
from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._bounded_solution import BoundedSolution
from ._common import P
from ._inference.effects import IntraclassCorrelation, RSquared, VarianceParts, variance_parts

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class DescribedSolution(BoundedSolution[P]):
    """A fitted mixed model with its shares of variance and information criteria; see the two kinds."""

    # ---- shares of variance ------------------------------------------------------------------------------------------

    @abstractmethod
    def _residual_variance(self, null: Any) -> float:
        """Variance of a row given the random effects, on the scale of the linear predictor."""

    def _variance_parts(self, null: Any) -> VarianceParts:
        return variance_parts(self._design, self.params, self._residual_variance(null))

    def variance_shares(self, null: Any = None) -> pd.DataFrame:
        """Variance on the scale of the linear predictor by where it comes from.

        Parameters
        ----------
        null : GLMMSolution, optional
            For a generalized model: the fit without fixed effects but the intercept, whose mean of the response the
            residual variance is then taken at, as in `r2`.

        Returns
        -------
        DataFrame
            Rows: ``fixed``, the sample variance of Xβ; ``random``, one per term, the mean of z'Σz over the rows;
            ``residual``. Columns ``part, group, columns, variance, share``.

        Raises
        ------
        InputError
            If the model has zero inflation.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
        >>> fit.variance_shares()[["part", "share"]].round(3).values.tolist()
        [['fixed', 0.0], ['random', 0.418], ['residual', 0.582]]
        """
        import pandas as pd

        parts, terms = self._variance_parts(null), self._design.terms
        variance = np.array([parts.fixed, *parts.terms, parts.residual])
        return pd.DataFrame({
            "part": ["fixed", *["random"] * len(terms), "residual"],
            "group": [None, *(term.group for term in terms), None],
            "columns": [None, *(", ".join(term.columns) for term in terms), None],
            "variance": variance, "share": variance / parts.total})

    def r2(self, null: Any = None) -> RSquared:
        """Marginal and conditional R²: share of the variance by the fixed, and by fixed and random effects.

        Variances are those of `variance_shares`. The residual variance of a generalized model is that of a latent
        variable for a binary response (π²/3 for the logit, 1 for the probit, π²/6 for the complementary log-log link);
        log(1 + Var(y) / μ²) for a log link; else Var(y) (dη/dμ)². μ is the mean of the response over the rows, as the
        model has it: of exp(offset + Xβ + z'Σz/2) for a log link, else of the fitted values.

        Parameters
        ----------
        null : GLMMSolution, optional
            For a generalized model: the fit without fixed effects but the intercept, to take μ from; what MuMIn and
            performance do.

        Returns
        -------
        RSquared
            `marginal` and `conditional`.

        Raises
        ------
        InputError
            If the model has zero inflation.

        References
        ----------
        Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4(2). Johnson (2014), Methods Ecol. Evol. 5(9). Nakagawa,
        Johnson & Schielzeth (2017), J. R. Soc. Interface 14:20170213.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> round(fit.r2().marginal, 3), round(fit.r2().conditional, 3)
        (0.279, 0.799)
        """
        return self._variance_parts(null).r_squared

    def icc(self, by_group: bool = False, null: Any = None) -> IntraclassCorrelation | pd.DataFrame:
        """Intraclass correlation: share of the variance that lies between groups.

        Parameters
        ----------
        by_group : bool
            For every grouping factor instead of all together.
        null : GLMMSolution, optional
            As for `r2`, which says what the variances are.

        Returns
        -------
        IntraclassCorrelation or DataFrame
            `adjusted`, of the variance that the fixed effects leave, and `conditional`, of all; with `by_group` these
            columns by ``group``.

        Raises
        ------
        InputError
            If the model has zero inflation.

        References
        ----------
        Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14:20170213.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
        >>> round(fit.icc().adjusted, 3)
        0.418
        """
        parts = self._variance_parts(null)
        if not by_group:
            return parts.correlation(parts.random)
        import pandas as pd

        between = dict.fromkeys((factor.name for factor in self._design.factors), 0.0)
        for term, variance in zip(self._design.terms, parts.terms, strict=True):
            between[term.group] += variance
        return pd.DataFrame([vars(parts.correlation(variance)) for variance in between.values()],
                            index=pd.Index(list(between), name="group"))

    # ---- information criteria ----------------------------------------------------------------------------------------

    @property
    def aicc(self) -> float:
        """Akaike's criterion corrected for small samples, + 2k(k + 1) / (n - k - 1) with k parameters; else infinite.

        Hurvich & Tsai (1989), Biometrika 76(2). k and n are those of `aic` and `bic`.
        """
        k = self.params.n_parameters
        left = self.n_obs - k - 1
        return self.aic + 2.0 * k * (k + 1.0) / left if left > 0 else float("inf")
