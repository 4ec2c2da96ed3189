"""Quantiles of a new response whose linear predictor is only known up to a normal error."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ._averaged import normal_nodes
from ._common import Array
from ._distributions import Counts
from ._family import Family
from .errors import InputError

WIDEST_STEP = 0.1          # between nodes of the normal error, in its standard deviations
NARROWEST_STEP = 0.005
MOST_VALUES = 1 << 19      # of the distribution function at a time
HALVINGS = 60              # of a bracket: to the rounding of its ends


def predictive_quantiles(family: Family, parameters: Mapping[str, float], eta: Array, sd: Array, pi: Array | None,
                         trials: Array | None, probabilities: tuple[float, float]) -> tuple[Array, Array]:
    """Quantiles of y given η ~ N(eta, sd²), two per row.

    The distribution function ∫ F(y | η) φ(η) dη is summed by the trapezoidal rule, with steps no wider than the
    response itself spreads, and inverted by bisection; of a discrete response the quantile is the smallest value that
    reaches the probability.

    Parameters
    ----------
    family : Family
    parameters : mapping of str to float
        The family's own parameters in natural units.
    eta, sd : (m,) array
    pi : (m,) array or None
        Probability of a structural zero.
    trials : (m,) array or None
        Numbers of trials of a binomial response.
    probabilities : tuple of two floats
    """
    out = np.full((2, len(eta)), np.nan)
    known = np.flatnonzero(np.isfinite(eta) & np.isfinite(sd))
    if family.name == "binomial" and trials is None:
        raise InputError("interval: expected None or 'confidence' for new rows of a binomial response, whose numbers "
                         "of trials are not known, got 'prediction'; simulate(newdata=, weights=) draws responses")
    mixture = _Mixture(family, parameters, _step(family, parameters, eta[known], sd[known]))
    rows = max(1, MOST_VALUES // len(mixture.nodes))
    for start in range(0, len(known), rows):
        part = known[start:start + rows]
        at = mixture.at(eta[part], sd[part], None if pi is None else pi[part],
                        None if trials is None else trials[part])
        for k, probability in enumerate(probabilities):
            out[k, part] = at.quantile(probability)
    return out[0], out[1]


def _step(family: Family, parameters: Mapping[str, float], eta: Array, sd: Array) -> float:
    """Distance of the nodes: one standard deviation of the response on the scale of the linear predictor at most."""
    mu, slope = family.link.inverse(eta), np.abs(family.link.inverse_derivative(eta))
    variance = family.distribution.variance(mu, parameters)
    if family.distribution.dispersed:
        variance = variance * family.distribution.dispersion(parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(variance) / (slope * sd)
    return float(np.clip(np.nanmin(ratio, initial=WIDEST_STEP), NARROWEST_STEP, WIDEST_STEP))


class _Mixture:
    """A family's distribution averaged over nodes of the linear predictor.

    Parameters
    ----------
    family : Family
    parameters : mapping of str to float
    step : float
        Distance of the nodes in standard deviations.
    """

    def __init__(self, family: Family, parameters: Mapping[str, float], step: float) -> None:
        self.family, self.parameters = family, parameters
        self.nodes, self.weights = normal_nodes(step)

    def at(self, eta: Array, sd: Array, pi: Array | None, trials: Array | None) -> _MixtureRows:
        """The distributions of some rows."""
        mu = self.family.mean((eta[:, None] + sd[:, None] * self.nodes).ravel())
        return _MixtureRows(self, mu, len(eta), pi, trials)


class _MixtureRows:
    def __init__(self, mixture: _Mixture, mu: Array, m: int, pi: Array | None, trials: Array | None) -> None:
        self._mixture, self._mu, self._m, self._pi, self._trials = mixture, mu, m, pi, trials
        self._unit = 1.0 if trials is None else 1.0 / trials
        distribution = mixture.family.distribution
        self._whole = isinstance(distribution, Counts) or trials is not None
        self._low, self._high = distribution.support

    def quantile(self, probability: float) -> Array:
        """The smallest values at which the distribution functions reach a probability (m,)."""
        low, high = self._bracket(probability)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            if self._whole:
                middle = np.floor(middle / self._unit + 1e-9) * self._unit
                if (high - low <= 1.5 * self._unit).all():
                    break
            reached = self._cdf(middle) >= probability
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        return high

    def _bracket(self, probability: float) -> tuple[Array, Array]:
        """Values below and not below the quantiles; the lower end of the support where it has all that."""
        centre = (self._mu.reshape(self._m, -1) @ self._mixture.weights) if np.isinf(self._high) else np.ones(self._m)
        if np.isinf(self._low):
            width = np.ones(self._m)
            while (outside := self._cdf(centre - width) >= probability).any():
                width = np.where(outside, 2.0 * width, width)
            low = centre - width
        else:
            low = np.full(self._m, self._low) - (self._unit if self._whole else 0.0)
        if np.isfinite(self._high):
            return low, np.full(self._m, self._high)
        width = np.maximum(np.abs(centre), 1.0)
        width = np.ceil(width) if self._whole else width
        start = np.floor(centre) if self._whole else centre
        while (below := self._cdf(start + width) < probability).any():
            width = np.where(below, 2.0 * width, width)
        return low, start + width

    def _cdf(self, y: Array) -> Array:
        """P(Y <= y) (m,)."""
        mixture, n_nodes = self._mixture, len(self._mixture.nodes)
        inside = np.clip(y, self._low, self._high)
        trials = None if self._trials is None else np.repeat(self._trials, n_nodes)
        upper = mixture.family.distribution.cdf(np.repeat(inside, n_nodes), self._mu, trials, mixture.parameters)[1]
        total = upper.reshape(self._m, n_nodes) @ mixture.weights
        total = total if self._pi is None else self._pi + (1.0 - self._pi) * total
        return np.where(y < self._low, 0.0, total)
