"""Predictions of a generalized model on the scales of the linear predictor and of the response, with their limits."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ._averaged import averaged_mean
from ._common import Array, GLMMParams
from ._conditional import zero_probability
from ._family import Family
from ._joint import JointCovariance
from ._prediction import PredictedRows
from ._predictive import predictive_quantiles


@dataclass(frozen=True, eq=False)
class GeneralizedPrediction:
    """Rows of a generalized model on one of the scales of `predict`.

    Standard errors of means are those of the linear predictor by the delta method, and limits those of the linear
    predictor on the scale of the mean. With zero inflation the mean is a product of two estimates, whose joint
    covariance counts; limits are then on the scale of its logarithm, and that the random effects also depend on the
    coefficients of the zero inflation is left out.

    Attributes
    ----------
    family : Family
    params : GLMMParams
    rows : PredictedRows
    scale : str
        ``"link"``, ``"response"`` or ``"marginal"``.
    """

    family: Family
    params: GLMMParams
    rows: PredictedRows
    scale: str

    @cached_property
    def pi(self) -> Array | None:
        """Probability of a structural zero (m,); None without zero inflation."""
        Z = self.rows.rows.zero_inflation
        return None if Z is None else zero_probability(Z @ self.params.zi_coefficients)

    @cached_property
    def _mean_and_slope(self) -> tuple[Array, Array]:
        """Mean of the family's distribution and its derivative in the linear predictor."""
        link, rows = self.family.link, self.rows
        if self.scale == "marginal":
            covariances = [term.matrix for term in self.params.term_covariances]
            return averaged_mean(link, rows.fixed_part, np.sqrt(rows.between_variances(covariances)))
        return self.family.mean(rows.linear_predictor), link.inverse_derivative(rows.linear_predictor)

    @property
    def estimate(self) -> Array:
        """Prediction (m,)."""
        if self.scale == "link":
            return self.rows.linear_predictor
        mean = self._mean_and_slope[0]
        return mean if self.pi is None else (1.0 - self.pi) * mean

    def se(self, se_link: Array, joint: JointCovariance) -> Array:
        """Standard errors from those of the linear predictor (m,)."""
        if self.scale == "link":
            return se_link
        mean, slope = self._mean_and_slope
        Z, pi = self.rows.rows.zero_inflation, self.pi
        if Z is None or pi is None:
            return np.abs(slope) * se_link
        by_eta, by_zero = (1.0 - pi) * slope, -pi * (1.0 - pi) * mean
        between = ((self.rows.deviations(joint) @ self.params.zi_cross_vcov) * Z).sum(axis=1)
        of_zero = ((Z @ self.params.zi_vcov) * Z).sum(axis=1)
        return np.asarray(np.sqrt((by_eta * se_link)**2 + by_zero**2 * of_zero + 2.0 * by_eta * by_zero * between))

    def confidence_limits(self, z: float, se_link: Array, joint: JointCovariance) -> tuple[Array, Array]:
        """Limits z standard errors away, on the scale where they are symmetric."""
        if self.scale == "link":
            return self.estimate - z * se_link, self.estimate + z * se_link
        if self.pi is not None:
            reach = np.exp(z * self.se(se_link, joint) / self.estimate)
            return self.estimate / reach, self.estimate * reach
        link, centre, width = self.family.link, self.rows.linear_predictor, z * se_link
        if self.scale == "marginal":
            centre = link.link(self.estimate)
            width = width * np.abs(self._mean_and_slope[1] / link.inverse_derivative(centre))
        return link.interval(centre - width, centre + width)

    def prediction_limits(self, level: float, sd: Array, trials: Array | None) -> tuple[Array, Array]:
        """Quantiles of a new response whose linear predictor has the standard error `sd`."""
        probabilities = 0.5 - 0.5 * level, 0.5 + 0.5 * level
        return predictive_quantiles(self.family, self.params.family_parameters, self.rows.linear_predictor, sd, self.pi,
                                    trials, probabilities)
