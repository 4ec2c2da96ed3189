"""What the results of linear and generalized linear mixed models share."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from ._common import Array, Convergence, P, Result, VarCompSummary
from ._engine import Criterion
from ._family import Family
from ._plots.residuals import ShownResiduals
from ._tables import Summary
from .design import MixedDesign
from .errors import InputError, InputTypeError, PymixedWarning
from .inference import SingularDirection, singular_directions

if TYPE_CHECKING:
    import pandas as pd

Self = TypeVar("Self", bound="MixedSolution[Any]")


@dataclass(frozen=True, eq=False, repr=False)
class MixedSolution(ABC, Generic[P]):
    """A fitted mixed model: its numbers by name, and tables of them on demand; see the two kinds."""

    _result: Result[P]
    _design: MixedDesign
    _engine: Criterion

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle holds: not what was found on demand, which is found again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    # ---- the estimates by name ---------------------------------------------------------------------------------------

    @property
    def params(self) -> P:
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
    def t_values(self) -> Array:
        """Fixed effects over their standard errors (p,)."""
        return self.params.t_values

    @property
    def p_values(self) -> Array:
        """Two-sided p-values of the fixed effects (p,), of t tests for a linear model, of z tests for others."""
        return self.params.p_values

    @property
    def var_components(self) -> tuple[VarCompSummary, ...]:
        """A summary per column of each random-effects term."""
        return self.params.var_components

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood, the restricted one after REML."""
        return self.params.log_likelihood

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
        """Certificate that the estimates are a minimum of the criterion."""
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

    # ---- another response --------------------------------------------------------------------------------------------

    def refit(self: Self, y: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Fit the same model to another response, with the options of this fit.

        `pymixed.fit_many` is for many of them.

        Parameters
        ----------
        y : array_like (n,) or (n, 2)
            A value for every row of the fit, or for every row that its data had: the forms of `lmm` and `glmm`. Rows
            without a value are left out; the columns of X stay what they were, also where their making looked at all
            rows (`scale`, `poly`).
        weights : array_like (n,), optional
            Prior weights, likewise. By default those of this fit; two columns of counts bring their numbers of trials.

        Returns
        -------
        LMMSolution or GLMMSolution
            Whose `warnings` are those of any fit, of which only a `ConvergenceWarning` is also shown.

        Raises
        ------
        InputError, InputTypeError
            A response that the model cannot be fitted to.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> fit.refit(fit.fitted_values + 2 * fit.residuals).coefficients.round(2).tolist()
        [251.41, 10.47]
        """
        design = self._design.with_response(y, weights, self._response_family)
        solution: Self = self._engine.refit(design)
        return solution

    @property
    def _response_family(self) -> Family | None:
        """Family of the response, None of a linear model."""
        return None

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
        return modes, dict(zip(modes, self._conditional_covariances(), strict=True))

    @abstractmethod
    def _conditional_covariances(self) -> tuple[Array, ...]:
        """Var(b | y) per grouping factor, (levels, c, c)."""

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
        """Variances and covariances of the random effects and, in a linear model, the residual variance.

        Returns
        -------
        DataFrame
            Columns ``grp, var1, var2, vcov, sdcor``: per term its variances (`var2` empty; `sdcor` the standard
            deviation), then its covariances (`sdcor` the correlation); last ``Residual`` of a linear model.
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

    @cached_property
    def singularity(self) -> tuple[SingularDirection, ...]:
        """Directions of random-effects terms that have no variance; empty if the fit is not singular."""
        return singular_directions(self._design.terms, self.theta, self._design.reaches(self._weighted))

    _weighted: ClassVar[bool] = False
    """Whether prior weights put the random effects into units of the residuals."""

    # ---- rows and print ----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def fitted_values(self) -> Array:
        """Conditional means (n,)."""

    @cached_property
    def residuals(self) -> Array:
        """Response minus `fitted_values` (n,)."""
        return self._design.y - self.fitted_values

    @abstractmethod
    def _shown_residuals(self, kind: str | None, seed: int | None) -> ShownResiduals:
        """Residuals of a kind, or of the one that suits the model, as plots show them."""

    @property
    def _rows_dropped(self) -> int:
        return self._design.n_rows_given - self._design.n

    @abstractmethod
    def summary(self) -> Summary:
        """Lay the fit out as a table; see the two kinds."""

    def _described(self, model: str) -> str:
        """The fit in a line, `model` being what it is by which method."""
        groups = ", ".join(f"{group}: {n_levels}" for group, n_levels in self.n_groups.items())
        return (f"<{type(self).__name__} {self._design.formula or self._design.response_name} by {model}, {self.n_obs} "
                f"rows, {groups}; log-likelihood {self.log_likelihood:.1f}"
                f"{'' if self.converged else ', not converged'}>")

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def parameter_vector(argument: str, values: ArrayLike, names: tuple[str, ...]) -> Array:
    """A value for each name, checked.

    Raises
    ------
    InputError, InputTypeError
        If they have another length, are not finite, or not numeric.
    """
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputTypeError(f"{argument}: expected numbers, got {values!r}") from None
    if array.shape != (len(names),):
        raise InputError(f"{argument}: expected {len(names)} values ({', '.join(names)}), "
                         f"got an array of shape {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{argument}: expected finite values, got {array}")
    return array
