"""What a fitted model says beyond its estimates: the methods of a solution that test, compare and bound."""
from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._clusters import Clusters, read_clusters
from ._common import Array, P, check_choice
from ._contrasts import contrast_table, joint_table, read_contrasts, right_hand_side
from ._effects import IntraclassCorrelation, RSquared, VarianceParts, variance_parts
from ._solution import MixedSolution
from ._tests import CoefficientTests
from .errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class InferentialSolution(MixedSolution[P]):
    """A fitted mixed model with its tests and intervals; see the two kinds."""

    _vcov_kinds: ClassVar[tuple[str, ...]]

    # ---- covariances and tests of the coefficients -------------------------------------------------------------------

    @abstractmethod
    def _coefficient_tests(self, ddf: str | None) -> CoefficientTests:
        """How linear functions of the coefficients are tested."""

    @abstractmethod
    def _robust_tests(self, kind: str, clusters: Clusters) -> CoefficientTests:
        """The same with a cluster-robust covariance."""

    def vcov(self, kind: str = "model", cluster: Any = None) -> Array:
        """Covariance of the fixed effects.

        Parameters
        ----------
        kind : str
            ``"model"``: that which `se` is from. Cluster-robust: ``"CR0"``, the sandwich; ``"CR1"``, that times
            J / (J - 1) for J clusters; ``"CR2"`` (linear models), adjusted to be unbiased where the model holds.
        cluster : str or array_like (n,), optional
            Clusters of rows that are independent of one another: the name of a grouping factor, or labels of the rows
            used (or given, where some were dropped). Rows of one level of a grouping factor are in one cluster. By
            default the grouping factor in which all the others are nested.

        Returns
        -------
        (p, p) array
            NaN for coefficients that one cluster alone determines: its residuals say nothing of them.

        Raises
        ------
        InputError, InputTypeError
            If the kind is unknown, or there are no such clusters.

        References
        ----------
        Bell & McCaffrey (2002), Bias reduction in standard errors for linear regression with multi-stage samples, Surv.
        Methodol. 28(2). Pustejovsky & Tipton (2018), J. Bus. Econ. Stat. 36(4).

        Examples
        --------
        >>> import numpy as np
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> np.sqrt(np.diag(fit.vcov("CR2"))).round(3).tolist()
        [6.825, 1.546]
        """
        tests = self._tests(None, kind, cluster, "kind")
        vcov = tests.vcov
        unknown = np.isnan(tests.se(np.eye(len(vcov))))
        if unknown.any():
            vcov = np.where(unknown[:, None] | unknown, np.nan, vcov)
        return vcov

    def _tests(self, ddf: str | None, vcov: str, cluster: Any, argument: str) -> CoefficientTests:
        """Tests with the covariance of a kind, which `argument` gave."""
        check_choice(argument, vcov, self._vcov_kinds)
        if vcov == "model":
            if cluster is not None:
                raise InputError(f"cluster: expected None with {argument}='model'")
            return self._coefficient_tests(ddf)
        if ddf is not None:
            raise InputError(f"ddf: expected None with {argument}={vcov!r}, which has its own, got {ddf!r}")
        return self._robust_tests(vcov, read_clusters(self._design, cluster))

    def contrast(self, L: Any, rhs: ArrayLike = 0.0, ddf: str | None = None, joint: bool = False, *,
                 vcov: str = "model", cluster: Any = None) -> pd.DataFrame:
        """Estimate and test linear functions of the coefficients, L beta = rhs.

        Parameters
        ----------
        L : array_like (r, p) or (p,), DataFrame, or mapping
            Weights of the coefficients, a row per contrast; a DataFrame has coefficients as columns and labels as
            index; a mapping gives weights by name, ``{"Days": 1}``, or such mappings by label.
        rhs : float or array_like (r,)
            Values under the null hypothesis.
        ddf : str, optional
            Denominator degrees of freedom: ``"satterthwaite"`` (the default for a linear model),
            ``"kenward-roger"`` (with its covariance; a REML fit), ``"residual"`` (n - p), ``"asymptotic"`` (z and
            chi-squared tests: the default and only choice for a generalized linear model).
        joint : bool
            Test all contrasts together instead of one by one.
        vcov, cluster : str, str or array_like
            Kind of covariance and its clusters, as for `vcov`. With a cluster-robust one t tests of a linear model have
            the degrees of freedom of Bell and McCaffrey, and `ddf` is not given.

        Returns
        -------
        DataFrame
            A row per contrast with columns ``estimate, se, df, t`` (``z`` if asymptotic) and ``p`` (two-sided); with
            `joint` one row, ``num_df, den_df, F, p`` (``num_df, chi2, p`` if asymptotic). NaN where a robust standard
            error does not exist: one cluster alone determines a coefficient of the contrast.

        Raises
        ------
        InputError, InputTypeError
            If weights do not fit the coefficients, a contrast is not estimable, or there are no such clusters.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.contrast({"Days": 1}, rhs=10).round(3).to_dict("records")
        [{'estimate': 10.467, 'se': 1.546, 'df': 17.0, 't': 0.302, 'p': 0.766}]
        """
        labels, rows = read_contrasts(L, self._design, self.params)
        values, tests = right_hand_side(rhs, len(rows)), self._tests(ddf, vcov, cluster, "vcov")
        return joint_table(tests, rows, values) if joint else contrast_table(tests, labels, rows, values)

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

    @abstractmethod
    def _effective_parameters(self, corrected: bool) -> float:
        """Trace of the derivative of the fitted values in the response."""

    @abstractmethod
    def _conditional_deviance(self) -> float:
        """Minus twice the log-density of the response given the random effects."""

    def effective_parameters(self, corrected: bool = True) -> float:
        """Effective number of parameters of the mean, random effects included: tr(dŷ/dy), linear models only.

        Parameters
        ----------
        corrected : bool
            Whether y also acts through the estimates of theta (Greven & Kneib 2010); else theta is held, and the number
            is the trace of the hat matrix (Vaida & Blanchard 2005).

        Raises
        ------
        InputError
            If the model is a generalized one.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> round(fit.effective_parameters(), 2), round(fit.effective_parameters(corrected=False), 2)
        (30.25, 29.02)
        """
        return self._effective_parameters(corrected)

    def caic(self, corrected: bool = True) -> float:
        """Conditional AIC of a linear model, -2 log f(y | b) + 2 (effective parameters + 1).

        For choosing between models whose random effects are themselves of interest: the density is that of y given the
        estimated random effects, with the fit's sigma; the 1 counts sigma.

        Parameters
        ----------
        corrected : bool
            As for `effective_parameters`. The uncorrected one favours random effects of any size.

        Raises
        ------
        InputError
            If the model is a generalized one.

        References
        ----------
        Vaida & Blanchard (2005), Biometrika 92(2). Greven & Kneib (2010), Biometrika 97(4).

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> round(fit.caic(), 1)
        1711.5
        """
        return self._conditional_deviance() + 2.0 * (self._effective_parameters(corrected) + 1.0)
