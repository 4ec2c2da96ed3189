"""The power of a test by simulation: its result, and what simulates and tests."""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._common import Array
from .._inference.pbtest import LARGEST_PIECE
from .._inference.progress import in_pieces
from .._inference.resampling import Plan, Resampler
from .._tables import Table
from .jobs import BlockFitter
from .joint import joint_p_values
from .responses import Block

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95  # of the Monte-Carlo intervals


@dataclass(frozen=True, eq=False, repr=False)
class Power:
    """Power of a test at one or several sizes of a study, S of them.

    Attributes
    ----------
    test : str
        What was tested, in words.
    size_name : str
        What the sizes count.
    level : float
        Significance level.
    size : (S,) array of int
    n : (S,) array of int
        Simulated data sets.
    failures : (S,) array of int
        Those of them without a test: the fit failed, or a response could not be drawn. They do not reject.
    rejected : (S,) array of int
        Those with a p-value of at most the level.
    seed : int
        Of the simulation.
    """

    test: str
    size_name: str
    level: float
    size: NDArray[np.intp]
    n: NDArray[np.intp]
    failures: NDArray[np.intp]
    rejected: NDArray[np.intp]
    seed: int

    @property
    def power(self) -> Array:
        """Share of the data sets that rejected (S,)."""
        return self.rejected / self.n

    @property
    def lower(self) -> Array:
        """Lower limits of 95 % intervals for the power (S,); see `upper`."""
        from scipy.special import betaincinv

        some = np.maximum(self.rejected, 1)
        return np.where(self.rejected == 0, 0.0, betaincinv(some, self.n - some + 1, 0.5 - 0.5 * CONFIDENCE))

    @property
    def upper(self) -> Array:
        """Upper limits (S,): the power that repeated simulation would end at, by Clopper & Pearson.

        References
        ----------
        Clopper & Pearson (1934), The use of confidence or fiducial limits illustrated in the case of the binomial,
        Biometrika 26.
        """
        from scipy.special import betaincinv

        some = np.minimum(self.rejected, self.n - 1)
        return np.where(self.rejected == self.n, 1.0, betaincinv(some + 1, self.n - some, 0.5 + 0.5 * CONFIDENCE))

    def to_pandas(self) -> pd.DataFrame:
        """A row per size with columns ``size, n, failures, rejected, power, lower, upper``."""
        import pandas as pd

        return pd.DataFrame({name: getattr(self, name) for name in
                             ("size", "n", "failures", "rejected", "power", "lower", "upper")})

    def _table(self) -> Table:
        counts = zip(self.size, self.n, self.failures, self.rejected, strict=True)
        shares = zip(self.power, self.lower, self.upper, strict=True)
        rows = tuple((*map(str, count), *(f"{share:.3f}" for share in some))
                     for count, some in zip(counts, shares, strict=True))
        return Table((self.size_name, "n", "failures", "rejected", "power", "lower", "upper"), rows,
                     title=f"Power of the test of {self.test} at level {self.level:g}")

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()


@dataclass(frozen=True, eq=False)
class Study:
    """A study of one size that can be simulated and analysed.

    Attributes
    ----------
    size, n_rows : int
    fitter : BlockFitter
    resampler : Resampler
        Draws the responses.
    L : (r, p) array
        Independent contrasts that are zero under the hypothesis.
    df_method : str or None
        None of z and chi-squared tests.
    level : float
    """

    size: int
    n_rows: int
    fitter: BlockFitter
    resampler: Resampler
    L: Array
    df_method: str | None
    level: float

    def outcomes(self, plan: Plan, first: int, count: int) -> NDArray[np.int8]:
        """Whether data sets `first`, `first` + 1, ... reject (count,): 1, 0, or -1 where there is no test."""
        Y = self.resampler.responses(plan, first, count)
        Y[:, ~np.isfinite(Y).all(axis=0)] = np.inf  # else a NaN would stand for a row that is not there
        names = list(map(str, range(Y.shape[1])))
        fits = self.fitter.fit(Block(names, Y, None, None), np.empty(0))
        p_values = joint_p_values(fits, self.L, self.df_method)
        return np.where(np.isnan(p_values), -1, p_values <= self.level).astype(np.int8)


def run_studies(studies: list[Study], plan: Plan, n: int, progress: bool) -> list[NDArray[np.int8]]:
    """Outcomes of n data sets of every study; of fewer, with a warning at the caller's caller, after Ctrl-C."""

    def work(first: int, count: int) -> NDArray[np.int8]:
        parts = []
        stop = first + count
        while first < stop:
            study, number = divmod(first, n)
            size = min(stop - first, n - number)
            parts.append(studies[study].outcomes(plan, number, size))
            first += size
        return np.concatenate(parts)

    largest = max(1, LARGEST_PIECE // max(study.n_rows for study in studies))
    done = np.concatenate(in_pieces(work, n * len(studies), progress, largest))
    return [done[first:first + n] for first in range(0, len(done), n)]
