"""The likelihood-ratio test of two nested models by parametric bootstrap."""
from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .._bounded_solution import BoundedSolution
from .._common import Array, LMMParams, check_number
from ..errors import InputError
from .comparison import check_models, chi_squared_p, refitted
from .nesting import contains
from .progress import in_pieces
from .resampling import make_plan

if TYPE_CHECKING:
    import pandas as pd

LARGEST_PIECE = 2**23  # numbers in the responses that are held at a time


@dataclass(frozen=True, eq=False, repr=False)
class BootstrapTest:
    """A likelihood-ratio test and its distribution under the smaller model, R simulated data sets.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Difference of the numbers of parameters.
    reference : (R,) array
        The statistic of every simulated data set, NaN where a fit failed.
    seed : int
        Of the simulation.
    """

    statistic: float
    df: int
    reference: Array
    seed: int

    @property
    def n_failed(self) -> int:
        """Simulated data sets with a fit that failed."""
        return int(np.isnan(self.reference).sum())

    @property
    def p_value(self) -> float:
        """(1 + simulated statistics as large) / (1 + simulated statistics)."""
        known = self.reference[~np.isnan(self.reference)]
        # as large up to the optimiser's precision: where a variance is zero in both models the two are equal
        as_large = known >= self.statistic - 1e-8 * max(1.0, abs(self.statistic))
        return float((1 + as_large.sum()) / (1 + known.size))

    @property
    def table(self) -> pd.DataFrame:
        """The test by several approximations to its distribution.

        Returns
        -------
        DataFrame
            Columns ``statistic, df, p``. ``LRT``: chi-squared with `df`. ``PBtest``: `p_value`, which assumes nothing.
            ``Bartlett``: the statistic scaled to the mean `df`; ``Gamma``: a gamma distribution with mean and variance
            of the simulated statistics; both need fewer of these, but not a mixture with zero, as tests of variances
            have it.

        References
        ----------
        Halekoh & Højsgaard (2014), J. Stat. Softw. 59(9), section 5.
        """
        import pandas as pd
        from scipy.special import gammaincc

        known = self.reference[~np.isnan(self.reference)]
        mean, variance = known.mean(), known.var(ddof=1)
        scaled = self.statistic * self.df / mean
        gamma = gammaincc(mean**2 / variance, self.statistic * mean / variance)
        return pd.DataFrame({
            "statistic": [self.statistic, self.statistic, scaled, self.statistic],
            "df": [self.df, np.nan, self.df, np.nan],
            "p": [float(chi_squared_p(self.statistic, self.df)), self.p_value, float(chi_squared_p(scaled, self.df)),
                  float(gamma)]}, index=["LRT", "PBtest", "Bartlett", "Gamma"])

    def __repr__(self) -> str:
        failures = f", {self.n_failed} failed" if self.n_failed else ""
        return (f"<BootstrapTest: likelihood ratio {self.statistic:.4g} on {self.df} df, p = {self.p_value:.4g} from "
                f"{self.reference.size} simulated data sets{failures}>")


def pbtest(m0: BoundedSolution[Any], m1: BoundedSolution[Any], n: int = 1000, seed: int | None = None,
           n_threads: int | None = None, progress: bool = False) -> BootstrapTest:
    """Test a model against a larger one by the parametric bootstrap of their likelihood ratio.

    Responses are simulated from the smaller model's fit and both models are fitted to each. Unlike chi-squared tests
    this holds for small samples and for variances, whose null value is at the edge of their range.

    Parameters
    ----------
    m0, m1 : LMMSolution or GLMMSolution
        Fits to the same data, the first one a special case of the second. REML fits are fitted again by maximum
        likelihood, with a `RefitWarning`.
    n : int
        Number of simulated data sets.
    seed : int, optional
        Non-negative, below 2**64; drawn, and kept in the result, by default.
    n_threads : int, optional
        1 by default; the result does not depend on it.
    progress : bool
        Whether to show tqdm's progress bar.

    Returns
    -------
    BootstrapTest

    Raises
    ------
    InputError, InputTypeError
        If the models do not compare, or are not nested in this order.

    Warns
    -----
    RefitWarning, InterruptedWarning

    References
    ----------
    Davison & Hinkley (1997), Bootstrap Methods and Their Application, section 4.2. Halekoh & Højsgaard (2014),
    J. Stat. Softw. 59(9).

    Examples
    --------
    >>> import pymixed as pm
    >>> data = pm.datasets.load("sleepstudy")
    >>> null = pm.lmer("Reaction ~ 1 + (Days | Subject)", data, reml=False)
    >>> test = pm.pbtest(null, pm.lmer("Reaction ~ Days + (Days | Subject)", data, reml=False), n=200, seed=1)
    >>> round(test.statistic, 2), test.p_value < 0.01
    (23.54, True)
    """
    check_models([m0, m1])
    check_number("n", n, Integral)
    plan = make_plan(m0._design, "parametric", seed, None, n_threads)
    if any(isinstance(model.params, LMMParams) and model.params.reml for model in (m0, m1)):
        m0, m1 = refitted([m0, m1], stacklevel=3)
    df = m1.params.n_parameters - m0.params.n_parameters
    if df <= 0 or not contains(m1._design, m0._design):
        raise InputError("m0: expected a special case of m1 with fewer parameters, "
                         f"got {m0.params.n_parameters} and {m1.params.n_parameters}")
    small, large = (model._engine.resampler(model._design, model._model_point()) for model in (m0, m1))

    def draw(first: int, count: int) -> Array:
        responses = small.responses(plan, first, count)
        fits = [model.fit(responses, plan.n_threads) for model in (small, large)]
        good = (fits[0].status == 0) & (fits[1].status == 0)
        return np.where(good, np.maximum(fits[0].objective - fits[1].objective, 0.0), np.nan)

    reference = np.concatenate(in_pieces(draw, int(n), progress, max(1, LARGEST_PIECE // m0.n_obs)))
    return BootstrapTest(m0.params.objective - m1.params.objective, df, reference, plan.seed)
