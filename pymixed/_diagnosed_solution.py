"""Diagnostics of a fitted model: influence of rows and groups, collinearity, dimensions, other optimisers."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ._common import Array, P
from ._diagnostics.case_deletion import influence_by_refits, influence_with_theta_held
from ._diagnostics.collinearity import variance_inflation
from ._diagnostics.deletion import WorkingModel
from ._diagnostics.dimensions import PrincipalComponents, principal_components
from ._diagnostics.influence import Influence
from ._diagnostics.optimizers import OptimizerComparison, compare_optimizers
from ._diagnostics.simplification import Simplification, simplify
from ._inference.gls import kept_columns, kept_triangle
from ._simulated_solution import SimulatedSolution
from ._updates import UpdatedCriterion, raise_updated

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class DiagnosedSolution(SimulatedSolution[P]):
    """A fitted mixed model with its diagnostics; see the two kinds."""

    # ---- rows and groups ---------------------------------------------------------------------------------------------

    def leverage(self) -> Array:
        """Leverage of the rows: the diagonal of dŷ/dy with theta held.

        w (z'Qz + g'Cg) with Q the covariance of the random effects given the coefficients and C that of the
        coefficients, both over sigma², and g = x - F'z, F = QZ'WX. The leverages of a linear model sum to
        ``effective_parameters(corrected=False)``. A generalized model has those of the linear one with the weights and
        responses at its conditional modes.

        Returns
        -------
        (n,) array

        Raises
        ------
        InputError
            If the model was fitted from cross-products, which hold no rows.

        References
        ----------
        Demidenko & Stukel (2005), Influence analysis for linear mixed-effects models, Stat. Med. 24(6). Hodges (2013),
        Richly Parameterized Linear Models, ch. 2.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.leverage()[:3].round(3).tolist()
        [0.229, 0.17, 0.127]
        """
        return self._working_model().leverages

    def influence(self, by: Any = None, refit: bool = False, progress: bool = False) -> Influence:
        """What the estimates would be without single rows, or without all rows of a level.

        With theta held the figures of a linear model are exact: they are what a fit to the other rows gives at this
        theta, sigma being estimated from them. Those of a generalized model are one step of penalised iteratively
        reweighted least squares from the fit, at its weights; they can be far off where a fit without the rows has
        other weights or another theta.

        Parameters
        ----------
        by : str or (n,) array_like, optional
            Name of a grouping factor of the model, or labels of the rows; single rows by default. Large sets of
            rows that share levels with others, some hundred rows or more, take an evaluation each, all else is
            formulas.
        refit : bool
            Fit the model again without each row or level, theta included.
        progress : bool
            Whether to show a progress bar, of refits and evaluations.

        Returns
        -------
        Influence
            `cooks_distance`, `dfbeta`, `dfbetas`, `covratio`, `sigma`, after refits `dtheta` and `converged`; by
            positions of rows in the data or by levels. NaN where the other rows do not determine all coefficients.

        Raises
        ------
        InputError, InputTypeError
            If `by` names no factor or has not a label for each row, the model has no fixed effects, or was fitted from
            cross-products, which hold no rows; by levels that share others, if working weights are not positive.

        Warns
        -----
        ConvergenceWarning
            Fits without some of the sets did not converge.

        References
        ----------
        Cook (1977), Technometrics 19(1). Demidenko & Stukel (2005), Stat. Med. 24(6). Nieuwenhuis, te Grotenhuis &
        Pelzer (2012), R J. 4(2), on influence of groups.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.influence("Subject").cooks_distance.nlargest(2).round(3).to_dict()
        {'309': 0.149, '335': 0.129}
        """
        model = self._working_model()
        if refit:
            return influence_by_refits(self, by, model, progress)
        return influence_with_theta_held(self, by, model, self._influence_method, progress)

    @abstractmethod
    def _working_rows(self) -> tuple[Array, Array]:
        """Weights and scores of the rows at the conditional modes, the latter V⁻¹(y - offset - Xβ) if linear (n,)."""

    _influence_method: ClassVar[str]
    """How influence with theta held is computed, in words."""

    def _working_model(self) -> WorkingModel:
        if isinstance(self._engine, UpdatedCriterion):
            raise_updated()
        design, joint = self._design, self._joint_covariance
        X, triangle = kept_columns(design, self.params), kept_triangle(design, self.params)
        codes, data = [factor.codes for factor in design.factors], [term.data for term in design.terms]
        deviations = joint.deviations(X, design.terms, codes, data)
        random = joint.effects.random_variances(codes, [x for term in data for x in term])
        return WorkingModel.at(triangle, X, deviations, random, *self._working_rows())

    # ---- the model ---------------------------------------------------------------------------------------------------

    def vif(self) -> pd.DataFrame:
        """Variance inflation of the fixed-effects terms by their correlations with the others.

        det(R₁₁) det(R₂₂) / det(R), R being the correlation matrix of the estimates without the intercept, R₁₁ its block
        of the term's coefficients and R₂₂ that of all others: for one column the variance-inflation factor, for several
        the ratio of squared volumes of confidence ellipsoids with and without the other terms.

        Returns
        -------
        DataFrame
            By term: ``df``, its coefficients; ``gvif``; ``inflation``, gvif^(1 / (2 df)), how much wider an interval
            became, which compares terms of different df. NaN for a term without coefficients. Without an intercept in
            the model the figures also count the correlation of the terms with the constant.

        References
        ----------
        Fox & Monette (1992), Generalized collinearity diagnostics, J. Am. Stat. Assoc. 87.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + I(Days**2) + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.vif().round(2).values.tolist()
        [[1.0, 3.33, 1.82], [1.0, 3.33, 1.82]]
        """
        return variance_inflation(self._design, self.params, self._fixed_terms)

    def pca(self, correlation: bool = False) -> PrincipalComponents:
        """Principal components of the covariance matrix of each random-effects term.

        How many dimensions the random effects of a term have: standard deviations of zero are directions without
        variance, those much smaller than the rest are candidates (Bates, Kliegl, Vasishth & Baayen 2015,
        arXiv:1506.04967).

        Parameters
        ----------
        correlation : bool
            Take those of the correlation matrix, which do not depend on the units of the columns.

        Returns
        -------
        PrincipalComponents
            Standard deviations in units of sigma for a linear model, in those of the linear predictor else; shares of
            the total variance; `loadings`.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.pca()
                  term component  std_dev  proportion  cumulative
        Days | Subject       PC1   0.9669      0.9461      0.9461
        Days | Subject       PC2   0.2309     0.05395           1
        """
        return principal_components(self._design, self.theta, correlation)

    def simplification(self, check: bool = False) -> Simplification:
        """Which smaller model a singular fit equals, as its formula.

        Parameters
        ----------
        check : bool
            Fit the smaller models and give the differences of the log-likelihoods.

        Returns
        -------
        Simplification
            `models`: the one that equals the fit, if there is one; for every term with a combination of columns that
            has no variance, as a correlation of ±1, the model without the term's correlations, which does not equal it.
            Empty if the fit is not singular.

        Raises
        ------
        InputError
            If a check needs the rows of a model that was fitted from cross-products.

        Examples
        --------
        >>> import warnings
        >>> import pymixed as pm
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", pm.errors.SingularFitWarning)
        ...     fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff2"))
        >>> fit.simplification(check=True)
        Batch: (Intercept) has no variance
          Yield ~ 1
            equals the fit, with 1 parameter fewer; its log-likelihood differs by 0
            (1 | Batch): (Intercept) has no variance; it is left out
        """
        return simplify(self, self._design.reaches(self._weighted), check)

    def allfit(self, optimizers: Iterable[str] | None = None, progress: bool = False) -> OptimizerComparison:
        """Fit the model again by several optimisers.

        Where they agree although they work differently, a warning of convergence was about the optimiser and not about
        the estimates.

        Parameters
        ----------
        optimizers : iterable of str, optional
            Of ``"newton"``, ``"L-BFGS-B"``, ``"trust-constr"``, ``"Nelder-Mead"``, ``"COBYQA"``, which are the default.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        OptimizerComparison
            Criterion, certificate of convergence, evaluations and seconds of each; `theta`, `coefficients`; largest
            `differences`. One that fails has its message.

        Raises
        ------
        InputError, InputTypeError
            An unknown optimiser.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> table = fit.allfit(["newton", "L-BFGS-B", "COBYQA"]).to_pandas()
        >>> bool(table["converged"].all()), bool(table["above_best"].max() < 1e-6)
        (True, True)
        """
        return compare_optimizers(self._engine, self._design, optimizers, progress)
