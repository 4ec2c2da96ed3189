"""Tests on the coefficients of a fitted model: the methods of a solution that ask whether."""
from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._clusters import Clusters, read_clusters
from ._common import Array, P, check_choice
from ._contrasts import contrast_table, joint_table, read_contrasts, right_hand_side
from ._solution import MixedSolution
from ._tests import CoefficientTests
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
