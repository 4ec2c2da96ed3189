"""The bootstrap of a fitted model: its replicates, and intervals from them."""
from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._archives import read_archive, write_archive
from .._common import Array, check_choice
from ..errors import InputError
from .intervals import normal_quantile
from .progress import in_pieces
from .resampling import RefitArrays

if TYPE_CHECKING:
    import pandas as pd

INTERVALS = ("percentile", "basic", "studentized", "shortest")
FORMAT = 1  # of saved files


@dataclass(frozen=True, eq=False)
class Replicate:
    """One replicate's estimates, with the names that a solution has for them.

    Attributes
    ----------
    number : int
        Its number, which with the seed determines it.
    coefficients : (p,) array
    se : (p,) array
        Standard errors with theta held.
    theta : (m,) array
    extra : (k,) array
        Sigma of a linear model; the family's unconstrained parameters and the coefficients of the zero inflation of a
        generalized one.
    log_likelihood : float
    parameters : dict of str to float
        Coefficients, standard deviations, correlations, sigma or the family's parameters, by name.
    """

    number: int
    coefficients: Array
    se: Array
    theta: Array
    extra: Array
    log_likelihood: float
    parameters: dict[str, float]


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """Replicates of a fit, R of them; those that failed are rows of NaN with a status.

    Made by the method `bootstrap` of a solution. Results with the same seed and other numbers, or other seeds, merge
    by ``+``. Where a response that was drawn separates a generalized model, the fit succeeds with a coefficient far
    out, where the iteration stopped: quantiles are right, means and standard deviations are not.

    Attributes
    ----------
    model : str
        The model in a line.
    kind : str
        ``"parametric"``, ``"residual"`` or ``"cluster"``.
    names : tuple of str
        Coefficients, standard deviations, correlations, sigma or the family's parameters: K of them.
    estimates : (K,) array
        Of the fit itself.
    estimates_se : (p,) array
        Standard errors of its coefficients with theta held, as in `se`.
    values : (R, K) array
        Of the replicates.
    coefficients, se : (R, p) array
        Estimates, and standard errors with theta held.
    theta : (R, m) array
    extra : (R, k) array
        Sigma of a linear model; the family's unconstrained parameters and the coefficients of the zero inflation.
    objective : (R,) array
        Minus twice the (restricted) log-likelihood.
    status : (R,) array of int8
        Position in `statuses`; 0 is success.
    n_evaluations : (R,) array of int
        Evaluations of the criterion.
    seed, number : (R,) array of int
        Together they determine a replicate, whatever the number of threads.
    statuses : tuple of str
        Meaning of the codes.
    """

    model: str
    kind: str
    names: tuple[str, ...]
    estimates: Array
    estimates_se: Array
    values: Array
    coefficients: Array
    se: Array
    theta: Array
    extra: Array
    objective: Array
    status: NDArray[np.int8]
    n_evaluations: NDArray[np.intp]
    seed: NDArray[np.uint64]
    number: NDArray[np.int64]
    statuses: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.status)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which replicates have no trustworthy estimates (R,)."""
        return np.asarray(self.status != 0)

    @property
    def n_failed(self) -> int:
        """How many these are."""
        return int(self.failed.sum())

    def to_pandas(self) -> pd.DataFrame:
        """The parameters of every replicate by name, its log-likelihood and its status in words."""
        import pandas as pd

        table = pd.DataFrame(self.values, columns=list(self.names))
        table["log_likelihood"] = -0.5 * self.objective
        table["status"] = np.array(self.statuses, object)[self.status]
        return table.set_index(pd.Index(self.number, name="replicate"))

    def map(self, function: Callable[[Replicate], ArrayLike]) -> Array:
        """Value of any function of the estimates at every replicate.

        Parameters
        ----------
        function : callable
            Takes a `Replicate`, returns a number or an array of always the same shape.

        Returns
        -------
        (R, ...) array
            NaN for replicates that failed.

        Raises
        ------
        InputError
            If all replicates failed, or the values are of several shapes.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
        >>> boot = fit.bootstrap(200, seed=1)
        >>> ratio = boot.map(lambda r: r.parameters["Days"] / r.parameters["sigma"])
        >>> ratio.shape
        (200,)
        """
        good = np.flatnonzero(~self.failed)
        if not len(good):
            raise InputError("map: expected a replicate that did not fail, got none")
        values = [np.asarray(function(self._replicate(i)), np.float64) for i in good.tolist()]
        if len({value.shape for value in values}) > 1:
            raise InputError("function: expected values of the same shape, got "
                             + " and ".join(sorted({str(value.shape) for value in values})))
        out = np.full((len(self), *values[0].shape), np.nan)
        out[good] = values
        return out

    def _replicate(self, i: int) -> Replicate:
        return Replicate(int(self.number[i]), self.coefficients[i], self.se[i], self.theta[i], self.extra[i],
                         float(-0.5 * self.objective[i]),
                         dict(zip(self.names, self.values[i].tolist(), strict=True)))

    @cached_property
    def _good(self) -> Array:
        return self.values[~self.failed]

    def summary(self) -> pd.DataFrame:
        """Estimate, mean of the replicates less it (`bias`), and their standard deviation (`se`), per parameter."""
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a correlation that never exists
            bias, spread = np.nanmean(self._good, axis=0) - self.estimates, np.nanstd(self._good, axis=0, ddof=1)
        return pd.DataFrame({"estimate": self.estimates, "bias": bias, "se": spread}, index=list(self.names))

    def conf_int(self, level: float = 0.95, method: str = "percentile",
                 parameters: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Intervals from the replicates that did not fail.

        Parameters
        ----------
        level : float
            Between 0 and 1.
        method : str
            ``"percentile"``: quantiles of the replicates; ``"basic"``: twice the estimate less these;
            ``"studentized"``: estimate and standard error with the quantiles of the replicates' t statistics,
            coefficients only; ``"shortest"``: the shortest interval that holds that part of the replicates.
        parameters : str or iterable of str, optional
            Out of `names`; all by default.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``, a row per parameter.

        Raises
        ------
        InputError
            If a choice is unknown, or fewer than two replicates succeeded.

        References
        ----------
        Davison & Hinkley (1997), Bootstrap Methods and Their Application, sections 5.2 and 5.3.
        """
        import pandas as pd

        normal_quantile(level)  # checks it
        check_choice("method", method, INTERVALS)
        p = self.coefficients.shape[1]
        known = self.names[:p] if method == "studentized" else self.names
        chosen = [parameters] if isinstance(parameters, str) else list(known if parameters is None else parameters)
        for name in chosen:
            check_choice("parameters", name, known)
        where = [self.names.index(name) for name in chosen]
        if len(self._good) < 2:
            raise InputError(f"conf_int: expected at least two replicates that did not fail, got {len(self._good)}")
        values, estimates = self._good[:, where], self.estimates[where]
        tails = np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
        if method == "shortest":
            limits = np.array([_shortest(column, level) for column in values.T])
        elif method == "studentized":
            t = (values - estimates) / self.se[~self.failed][:, where]
            limits = estimates[:, None] - _quantiles(t, tails[::-1]) * self.estimates_se[where][:, None]
        else:
            limits = _quantiles(values, tails)
            if method == "basic":
                limits = 2.0 * estimates[:, None] - limits[:, ::-1]
        return pd.DataFrame(limits, index=chosen, columns=["lower", "upper"])

    def __add__(self, other: Bootstrap) -> Bootstrap:
        """The replicates of both, which are of the same fit.

        Raises
        ------
        InputError
            If the fits or kinds differ, or a replicate is in both.
        """
        if not isinstance(other, Bootstrap):
            return NotImplemented
        same = (self.model, self.kind, self.names) == (other.model, other.kind, other.names)
        if not same or not np.array_equal(self.estimates, other.estimates, equal_nan=True):
            raise InputError(f"+: expected replicates of the same fit, got {self!r} and {other!r}")
        common = set(zip(self.seed.tolist(), self.number.tolist(), strict=True)) & set(
            zip(other.seed.tolist(), other.number.tolist(), strict=True))
        if common:
            raise InputError(f"+: expected other replicates or another seed, got {len(common)} of them twice; give "
                             "`first` or another `seed`")
        merged: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(other, name)])
                                  for name in _PER_REPLICATE}
        return replace(self, **merged)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a file that `load` reads; nothing in it can execute."""
        write_archive(path, FORMAT, {name: getattr(self, name) for name in _TEXTS},
                      {name: getattr(self, name) for name in (*_PER_REPLICATE, *_PER_FIT)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Bootstrap:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is none of these.
        OSError
            If it cannot be read at all.
        """
        def make(texts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Bootstrap:
            return cls(texts["model"], texts["kind"], tuple(texts["names"]), statuses=tuple(texts["statuses"]),
                       **{name: arrays[name] for name in (*_PER_REPLICATE, *_PER_FIT)})

        return read_archive(path, FORMAT, make, "replicates", "Bootstrap.save")

    def __repr__(self) -> str:
        failures = f", {self.n_failed} failed" if self.n_failed else ""
        return f"<Bootstrap of {self.model}: {len(self)} {self.kind} replicates{failures}>"


_TEXTS = ("model", "kind", "names", "statuses")
_PER_FIT = ("estimates", "estimates_se")
_PER_REPLICATE = tuple(field.name for field in fields(Bootstrap) if field.name not in (*_TEXTS, *_PER_FIT))


def _quantiles(values: Array, probabilities: Array) -> Array:
    """Quantiles (K, 2) of the columns (R, K), of a correlation over the replicates in which it exists.

    The k-th of R sorted values is the quantile of k / (R + 1) (Davison & Hinkley 1997, section 2.4), as it would be for
    a uniform variable: an interval of an exact pivot has its level, whatever R.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanquantile(values, probabilities, axis=0, method="weibull").T)


def _shortest(values: Array, level: float) -> tuple[float, float]:
    """The shortest interval between two of the values that holds that part of them."""
    ordered = np.sort(values[np.isfinite(values)])
    count = int(np.ceil(level * len(ordered) * (1.0 - 1e-12)))  # 0.07 * 100 is a little more than 7
    if count < 2:
        return np.nan, np.nan
    widths = ordered[count - 1:] - ordered[:len(ordered) - count + 1]
    start = int(widths.argmin())
    return float(ordered[start]), float(ordered[start + count - 1])


def run(draw: Callable[[int, int], RefitArrays], first: int, n: int, progress: bool) -> RefitArrays:
    """Draw replicates `first` to `first` + `n` - 1; fewer, with a warning, after Ctrl-C."""
    done = in_pieces(lambda start, count: draw(first + start, count), n, progress)
    return RefitArrays(**{field.name: np.concatenate([getattr(part, field.name) for part in done])
                          for field in fields(RefitArrays)})
