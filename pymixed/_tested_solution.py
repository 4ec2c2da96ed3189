"""Tests on the coefficients of a fitted model: the methods of a solution that ask whether."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array, LMMParams, P, check_choice
from ._inference.anova import anova_table, check_type, table_of_tests
from ._inference.clusters import Clusters, read_clusters
from ._inference.coefficient_tests import CoefficientTests
from ._inference.contrasts import contrast_table, joint_table, read_contrasts, right_hand_side
from ._inference.deletions import drop_fixed_terms, drop_random_terms
from ._inference.emmeans import MarginalMeans, Model, marginal_means, marginal_trends
from ._inference.terms import FixedTerms
from ._links import Link
from ._solution import MixedSolution
from .errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class TestedSolution(MixedSolution[P]):
    """A fitted mixed model with its tests; see the two kinds."""

    _vcov_kinds: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _coefficient_tests(self, ddf: str | None) -> CoefficientTests:
        """How linear functions of the coefficients are tested."""

    @property
    def _mean_link(self) -> Link | None:
        """Link between the linear predictor and the mean; None for a linear model."""
        return None

    @cached_property
    def _fixed_terms(self) -> FixedTerms:
        return FixedTerms(self._design, self.params)

    @property
    def _mean_square_unit(self) -> float:
        """sigma² of a linear model, what an F value is multiplied with to give a mean square."""
        return self.params.residual_variance if isinstance(self.params, LMMParams) else 1.0

    @abstractmethod
    def _robust_tests(self, kind: str, clusters: Clusters) -> CoefficientTests:
        """The same with a cluster-robust covariance."""

    def vcov(self, kind: str = "model", cluster: Any = None) -> Array:
        """Covariance of the fixed effects.

        Parameters
        ----------
        kind : str
            ``"model"``: that which `se` is from. ``"kenward-roger"``: adjusted for small samples (linear models by
            REML). Cluster-robust: ``"CR0"``, the sandwich; ``"CR1"``, that times
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
        if not vcov.startswith("CR"):
            if cluster is not None:
                raise InputError(f"cluster: expected None with {argument}={vcov!r}, got {cluster!r}")
            if vcov == "model" or ddf in (None, vcov):
                return self._coefficient_tests(ddf if vcov == "model" else vcov)
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

    def anova(self, type: int = 3, ddf: str | None = None) -> pd.DataFrame:  # noqa: A002  R's name
        """Test every fixed-effects term.

        Parameters
        ----------
        type : int
            What a term is tested against. 1: the terms before it; 2: all terms that do not contain it; 3: hypotheses
            about marginal means with equal weights, which depend neither on the coding of the factors nor on the
            numbers of rows in their cells. A term contains another if it crosses more factors with the same covariates.
            A factor that interacts with a covariate is tested, by types 2 and 3, where the covariate is zero.
        ddf : str, optional
            Denominator degrees of freedom as in `contrast`.

        Returns
        -------
        DataFrame
            A row per term with columns ``Sum Sq, Mean Sq, NumDF, DenDF, F value, Pr(>F)``; for a generalized linear
            model and with ``ddf="asymptotic"`` Wald tests, ``Chisq, Df, Pr(>Chisq)``. The mean squares are F times
            sigma². Where cells are empty, type 3 has the estimable functions of SAS, fewer degrees of freedom than
            without, and NaN where nothing can be tested. In a model from arrays every column is a term.

        Raises
        ------
        InputError
            If type or ddf is none of the choices.

        Warns
        -----
        EstimabilityWarning
            Names the terms about which nothing can be tested.

        References
        ----------
        Goodnight (1978), Tests of hypotheses in fixed effects linear models, SAS Technical Report R-101.
        Kuznetsova, Brockhoff & Christensen (2017), lmerTest package, J. Stat. Softw. 82(13).

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", pm.datasets.load("cake"))
        >>> fit.anova()["F value"].round(3).to_dict()
        {'recipe': 0.249, 'temperature': 20.52, 'recipe:temperature': 1.006}
        """
        return anova_table(self._fixed_terms, self._coefficient_tests(ddf), check_type(type), self._mean_square_unit)

    def drop1(self, test: str = "lrt", ddf: str | None = None) -> pd.DataFrame:
        """Test every fixed-effects term that is not part of another against all others.

        Parameters
        ----------
        test : str
            ``"lrt"``: likelihood ratios of models fitted without the term, by maximum likelihood; ``"F"``: F tests in
            the model itself (chi-squared ones where asymptotic), with no refit.
        ddf : str, optional
            Denominator degrees of freedom of the F tests as in `contrast`.

        Returns
        -------
        DataFrame
            ``"lrt"``: the row ``<none>`` for the model itself and one per term, with ``npar`` (parameters fewer),
            ``AIC, LRT, Pr(Chi)``. ``"F"``: the columns of `anova`.

        Raises
        ------
        InputError
            If a choice is unknown, or ddf is given to likelihood ratios.

        Warns
        -----
        RefitWarning
            Likelihood ratios after REML.
        ConvergenceWarning
            A model without a term did not converge.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", pm.datasets.load("cbpp"))
        >>> fit.drop1()["LRT"].round(2).to_dict()
        {'<none>': nan, 'period': 25.61}
        """
        check_choice("test", test, ("lrt", "F"))
        terms = self._fixed_terms
        if test == "lrt":
            if ddf is not None:
                raise InputError(f"ddf: expected None with test='lrt', got {ddf!r}")
            return drop_fixed_terms(self, terms)
        droppable = terms.droppable()
        return table_of_tests(self._coefficient_tests(ddf), [terms.names[k] for k in droppable],
                              [terms.added(k) for k in droppable], self._mean_square_unit)

    def ranova(self, reduce: bool = True) -> pd.DataFrame:
        """Test the random-effects terms by likelihood ratios of models with one of them made smaller.

        Parameters
        ----------
        reduce : bool
            Take a part of a term away where it has several (``Days in (Days | Subject)`` leaves ``(1 | Subject)``); or
            only whole terms.

        Returns
        -------
        DataFrame
            The row ``<none>`` for the model itself and one per smaller model, all fitted by the criterion of the fit,
            with ``npar, logLik, AIC, LRT, Df, Pr(>Chisq)``, and ``Pr(mixture)``. A variance that is zero lies at the
            boundary of the parameter space, where ``Pr(>Chisq)`` is too large. With one variance and k covariances
            gone, the statistic is an equal mixture of chi-squared distributions with k and k + 1 degrees of freedom,
            whose p-value is ``Pr(mixture)``, asymptotically and if the other variances are positive. It is NaN where
            several variances vanish together: the weights of the mixture then depend on the design; ``attrs["notes"]``
            of the table says so. The model without its only term has no random effects at all.

        Raises
        ------
        InputError
            If the model without random effects cannot be fitted.

        Warns
        -----
        ConvergenceWarning
            A smaller model did not converge.

        References
        ----------
        Self & Liang (1987), Asymptotic properties of maximum likelihood estimators and likelihood ratio tests under
        nonstandard conditions, J. Am. Stat. Assoc. 82. Stram & Lee (1994), Variance components testing in the
        longitudinal mixed effects model, Biometrics 50.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.ranova()[["npar", "LRT", "Df"]].round(3).loc["Days in (Days | Subject)"].tolist()
        [4.0, 42.837, 2.0]
        """
        return drop_random_terms(self, reduce)

    # ---- marginal means ----------------------------------------------------------------------------------------------

    def emmeans(self, specs: str | Iterable[str], by: str | Iterable[str] | None = None,
                at: Mapping[str, Any] | None = None, type: str = "link",  # noqa: A002  R's name
                ddf: str | None = None, level: float = 0.95, weights: str = "equal") -> MarginalMeans:
        """Estimated marginal means: predictions averaged over a grid of the fixed-effects variables.

        The grid has every combination of the levels of the factors in the fixed part, with covariates at their means
        and random effects at zero; a covariate of two distinct values counts as a factor, an offset is at its mean.
        Of a zero-inflated model the means are those of the conditional part.

        Parameters
        ----------
        specs : str or iterable of str
            Variables to give means for, every combination of their levels; ``()`` for the mean of all.
        by : str or iterable of str, optional
            Variables whose combinations form families: contrasts are taken, and p-values adjusted, within each.
        at : mapping, optional
            Values of variables of the fixed part to use in the grid: levels, or numbers.
        type : str
            ``"link"``: the scale of the linear predictor; ``"response"``: means there transformed to the response's
            scale, with standard errors by the delta method and transformed limits.
        ddf : str, optional
            Denominator degrees of freedom as in `contrast`.
        level : float
            Confidence level.
        weights : str
            Of the combinations of other factors: ``"equal"``, or ``"proportional"`` to their frequencies.

        Returns
        -------
        MarginalMeans
            A table with the variables of `specs` and `by`, ``emmean`` (``response``), ``SE, df, lower, upper``; its
            methods `pairs`, `contrast`, `joint` and `conf_int` go on from there. Means that the data do not determine
            are NaN.

        Raises
        ------
        InputError, InputTypeError
            If a variable or level is unknown, or the model was fitted from arrays.

        Warns
        -----
        EstimabilityWarning
            Names the means that the data do not determine.

        References
        ----------
        Searle, Speed & Milliken (1980), Population marginal means in the linear model, Am. Stat. 34(4).

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", pm.datasets.load("cbpp"))
        >>> fit.emmeans("period", type="response")["response"].round(3).tolist()
        [0.198, 0.084, 0.074, 0.048]
        """
        return marginal_means(self._model(ddf), specs, by, at, type, level, weights)

    def emtrends(self, specs: str | Iterable[str], var: str, by: str | Iterable[str] | None = None,
                 at: Mapping[str, Any] | None = None, ddf: str | None = None, level: float = 0.95,
                 weights: str = "equal") -> MarginalMeans:
        """Estimated marginal trends: slopes of the linear predictor in a covariate, averaged as `emmeans` averages.

        Parameters
        ----------
        specs, by, at, ddf, level, weights
            As for `emmeans`.
        var : str
            The covariate; the slope is that of all functions of it in the model, at the values of the grid, by
            fourth-order differences of the rows of X.

        Returns
        -------
        MarginalMeans
            As from `emmeans`, the estimates in the column ``"<var>.trend"``.

        Raises
        ------
        InputError, InputTypeError
            As for `emmeans`, and if `var` is a factor.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ poly(Days, 2) + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.emtrends("Days", "Days", at={"Days": [0, 9]})["Days.trend"].round(2).tolist()
        [7.43, 13.5]
        """
        return marginal_trends(self._model(ddf), specs, var, by, at, level, weights)

    def _model(self, ddf: str | None) -> Model:
        return Model(self._design, self.params, self._coefficient_tests(ddf), self._mean_link)
