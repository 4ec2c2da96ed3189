"""How much single rows, or all rows of a level, move the estimates: the result."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._common import Array, MixedParams

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10  # sets of rows in print, those of the largest distances


@dataclass(frozen=True, eq=False)
class Without:
    """Estimates without each of J sets of rows, NaN where there are none.

    Attributes
    ----------
    dfbeta : (J, p) array
        β̂ − β̂₍ⱼ₎.
    se : (J, p) array
        Standard errors of β̂₍ⱼ₎.
    covratio : (J,) array
        Determinant of its covariance over that of the fit.
    sigma : (J,) array or None
        Residual standard deviation of a linear model.
    """

    dfbeta: Array
    se: Array
    covratio: Array
    sigma: Array | None


@dataclass(frozen=True, eq=False)
class Refits:
    """What fits without each of J sets of rows add.

    Attributes
    ----------
    theta : (J, m) array
    converged : (J,) array
    """

    theta: Array
    converged: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Influence:
    """Influence of sets of rows on the estimates: `DiagnosedSolution.influence`. Prints the largest.

    Attributes
    ----------
    labels : (J,) array
        The sets: positions of rows in the user's data, or levels.
    by : str
        What they are.
    params : LMMParams or GLMMParams
        The estimates from all rows.
    whitening : (p, p) array
        A with A'A the inverse of the covariance of the coefficients.
    without : Without
    refits : Refits or None
        None where theta was held.
    method : str
        How it was computed.
    """

    labels: NDArray[Any]
    by: str
    params: MixedParams
    whitening: Array
    without: Without
    refits: Refits | None
    method: str

    @property
    def dfbeta(self) -> pd.DataFrame:
        """β̂ − β̂₍ⱼ₎: what the set adds to the coefficients (J, p)."""
        return self._table(self.without.dfbeta, self.params.coefficient_names)

    @property
    def dfbetas(self) -> pd.DataFrame:
        """`dfbeta` over the standard errors of β̂₍ⱼ₎ (J, p); Nieuwenhuis, te Grotenhuis & Pelzer (2012), R J. 4(2)."""
        return self._table(self.without.dfbeta / self.without.se, self.params.coefficient_names)

    @cached_property
    def cooks_distance(self) -> pd.Series[float]:
        """(β̂ − β̂₍ⱼ₎)' Var(β̂)⁻¹ (β̂ − β̂₍ⱼ₎) / p (J,); Cook (1977), Technometrics 19(1)."""
        whitened = self.without.dfbeta @ self.whitening.T
        return self._series((whitened**2).mean(axis=1), "cooks_distance")

    @property
    def covratio(self) -> pd.Series[float]:
        """Ratio det Var(β̂₍ⱼ₎) / det Var(β̂) (J,): above 1, the set makes the estimates more precise."""
        return self._series(self.without.covratio, "covratio")

    @property
    def sigma(self) -> pd.Series[float] | None:
        """Residual standard deviation without the set (J,), of a linear model."""
        return None if self.without.sigma is None else self._series(self.without.sigma, "sigma")

    @property
    def dtheta(self) -> pd.DataFrame | None:
        """θ̂ − θ̂₍ⱼ₎ (J, m); None where theta was held."""
        if self.refits is None:
            return None
        return self._table(self.params.theta - self.refits.theta, self.params.theta_names)

    @property
    def converged(self) -> pd.Series[bool] | None:
        """Whether the fits without the set did (J,); None where there were none."""
        return None if self.refits is None else self._series(self.refits.converged, "converged")

    def to_pandas(self) -> pd.DataFrame:
        """A row per set: ``cooks_distance, covratio, sigma``, ``dfbeta.NAME`` per coefficient, ``dtheta.NAME``."""
        import pandas as pd

        tables: list[Any] = [self.cooks_distance, self.covratio, self.sigma, self.dfbeta.add_prefix("dfbeta.")]
        if (dtheta := self.dtheta) is not None:
            tables.append(dtheta.add_prefix("dtheta."))
        joined: pd.DataFrame = pd.concat([table for table in tables if table is not None], axis=1)
        return joined

    @property
    def _index(self) -> pd.Index[Any]:
        import pandas as pd

        index: pd.Index[Any] = pd.Index(self.labels, name=self.by)
        return index

    def _table(self, values: Array, names: tuple[str, ...]) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(values, self._index, list(names))

    def _series(self, values: NDArray[Any], name: str) -> pd.Series[Any]:
        import pandas as pd

        return pd.Series(values, self._index, name=name)

    def _largest(self) -> pd.DataFrame:
        """The sets of the largest distances, each with the coefficient that it moves most."""
        dfbetas = self.dfbetas.to_numpy()
        most = np.nan_to_num(np.abs(dfbetas)).argmax(axis=1)
        table: pd.DataFrame = self.cooks_distance.to_frame().assign(
            covratio=self.covratio, dfbetas=dfbetas[np.arange(len(most)), most],
            of=np.array(self.params.coefficient_names, dtype=object)[most])
        return table.nlargest(SHOWN, "cooks_distance")

    @property
    def _title(self) -> str:
        unknown = int(np.isnan(self.without.dfbeta).any(axis=1).sum())
        rest = f"; {unknown} without estimates" if unknown else ""
        return f"influence by {self.by} ({len(self.labels)}), {self.method}{rest}"

    def __repr__(self) -> str:
        return f"{self._title}\n{self._largest().to_string(float_format='{:.4g}'.format)}"

    def _repr_html_(self) -> str:
        return f"<p>{self._title}</p>{self._largest().to_html()}"
