"""Tests of linear functions of the coefficients: what every table of contrasts, terms and marginal means rests on."""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._common import Array, VarianceUncertainty, normal_p_values
from ..errors import InputError
from ..inference import satterthwaite
from .kenward_roger import KenwardRoger

# Eigenvalues of the covariance of contrasts scaled to unit variances, below which rows depend on one another.
DEPENDENT = 1e-10


class JointTest(NamedTuple):
    """A test of several contrasts at once.

    Attributes
    ----------
    statistic : float
        F; chi-squared over its degrees of freedom where `den_df` is infinite.
    num_df : int
        Rank of the contrasts.
    den_df : float
    """

    statistic: float
    num_df: int
    den_df: float

    @property
    def p_value(self) -> float:
        """Probability of a larger statistic."""
        from scipy.special import chdtrc, fdtrc

        if np.isinf(self.den_df):
            return float(chdtrc(self.num_df, self.num_df * self.statistic))
        return float(fdtrc(self.num_df, self.den_df, self.statistic))


@dataclass(frozen=True, eq=False)
class CoefficientTests(ABC):
    """How linear functions of the coefficients are tested: a covariance matrix and denominator degrees of freedom.

    Attributes
    ----------
    coefficients : (p,) array
    vcov : (p, p) array
        Covariance of the coefficients that the method works with.
    """

    coefficients: Array
    vcov: Array

    @abstractmethod
    def df(self, contrasts: Array) -> Array:
        """Degrees of freedom (r,) of the t test of each row of the contrasts (r, p); infinite for z tests."""

    @property
    def asymptotic(self) -> bool:
        """Whether tests are z and chi-squared tests whatever the contrast."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the tests should know."""
        return ()

    def se(self, contrasts: Array) -> Array:
        """Standard errors (r,) of the contrasts (r, p)."""
        return np.asarray(np.sqrt(((contrasts @ self.vcov) * contrasts).sum(axis=-1)))

    def joint(self, contrasts: Array, rhs: Array | float = 0.0) -> JointTest:
        """F test of L beta = rhs for contrasts L (r, p).

        The statistic is a mean of squared t statistics of independent combinations, whose degrees of freedom nu_k give
        those of the mean by its expectation, sum nu_k / (nu_k - 2) (Fai & Cornelius 1996, J. Stat. Comput. Simul.
        54(4); Kuznetsova, Brockhoff & Christensen 2017, section 2.2). The combinations are the principal axes of the
        covariance of the contrasts as they are given; others would give slightly different degrees of freedom.
        """
        combinations, estimates = self.independent(contrasts, rhs)
        statistic = float(np.mean(estimates**2))
        return JointTest(statistic, len(combinations), float(mean_df(self.df(combinations))))

    def mean_square(self, contrasts: Array, test: JointTest) -> float:
        """Mean square over sigma² of the contrasts (r, p), whose joint test is given: F with the model's covariance."""
        return test.statistic

    def independent(self, contrasts: Array, rhs: Array | float) -> tuple[Array, Array]:
        """Combinations of the contrasts with unit variance and no covariance (k, p), k the rank, and their estimates.

        Raises
        ------
        InputError
            If rows depend on one another and their right-hand sides contradict it.
        """
        scale = 1.0 / self.se(contrasts)
        rows = scale[:, None] * contrasts
        differences = scale * (contrasts @ self.coefficients - rhs)
        values, vectors = np.linalg.eigh(rows @ self.vcov @ rows.T)
        kept = values > DEPENDENT * values[-1]
        dropped = (differences @ vectors)[~kept]
        if np.abs(dropped).max(initial=0.0) > np.sqrt(DEPENDENT) * max(1.0, np.abs(differences).max()):
            raise InputError("rhs: expected values that linearly dependent contrasts can have together, "
                             f"got {np.asarray(rhs).tolist()}")
        if kept.all():
            # the directions, on which the degrees of freedom depend, are those of the contrasts as they are
            again, directions = np.linalg.eigh(contrasts @ self.vcov @ contrasts.T)
            if again[0] > DEPENDENT * again[-1]:
                values, vectors = again, directions
                rows, differences = contrasts, contrasts @ self.coefficients - rhs
        root = np.sqrt(values[kept])
        return (vectors[:, kept] / root).T @ rows, (differences @ vectors)[kept] / root


def mean_df(df: Array) -> Array:
    """Degrees of freedom (...) of the mean of squared t statistics from theirs (..., r)."""
    count, lowest, highest = df.shape[-1], df.min(axis=-1), df.max(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = (lowest == highest) | (highest - lowest < 1e-8)
        # x / (x - 2) = 1 + 2 / (x - 2), also for an infinite x
        excess = (2.0 / (df - 2.0)).sum(axis=-1)
        mean = 2.0 * (count + excess) / excess
    # the mean has no expectation where one of them is 2 or less
    return np.where(alike, df.mean(axis=-1), np.where(lowest <= 2.0, 2.0, mean))


@dataclass(frozen=True, eq=False)
class SatterthwaiteTests(CoefficientTests):
    """t and F tests with Satterthwaite's degrees of freedom; see `inference.satterthwaite`.

    Attributes
    ----------
    uncertainty : VarianceUncertainty
        That of the variance parameters, and what `vcov` has of it.
    """

    uncertainty: VarianceUncertainty

    @property
    def notes(self) -> tuple[str, ...]:
        held = self.uncertainty.held
        return (f"degrees of freedom with {', '.join(held)} held at zero, the boundary",) if held else ()

    def df(self, contrasts: Array) -> Array:
        return satterthwaite(contrasts, self.vcov, self.uncertainty)


@dataclass(frozen=True, eq=False)
class KenwardRogerTests(CoefficientTests):
    """t and F tests with Kenward & Roger's degrees of freedom, `vcov` being their adjusted covariance.

    Attributes
    ----------
    adjustment : KenwardRoger
    """

    adjustment: KenwardRoger

    def df(self, contrasts: Array) -> Array:
        return self.adjustment.df(contrasts)

    def joint(self, contrasts: Array, rhs: Array | float = 0.0) -> JointTest:
        return JointTest(*self.adjustment.f_test(contrasts, contrasts @ self.coefficients - rhs))

    def mean_square(self, contrasts: Array, test: JointTest) -> float:
        model = FixedDfTests(self.coefficients, self.adjustment.root @ self.adjustment.root.T, np.inf)
        return model.joint(contrasts).statistic


@dataclass(frozen=True, eq=False)
class FixedDfTests(CoefficientTests):
    """Tests with the same degrees of freedom for every contrast.

    Attributes
    ----------
    constant : float
        Residual degrees of freedom, or infinity for z and chi-squared tests.
    """

    constant: float

    @property
    def asymptotic(self) -> bool:
        return bool(np.isinf(self.constant))

    def df(self, contrasts: Array) -> Array:
        return np.full(len(contrasts), self.constant)


def t_p_values(t: Array, df: Array) -> Array:
    """Two-sided p-values of t statistics; normal ones where the degrees of freedom are infinite."""
    from scipy.special import stdtr

    finite = np.isfinite(df)
    return np.where(finite, 2.0 * stdtr(np.where(finite, df, 1.0), -np.abs(t)), normal_p_values(t))


def t_quantiles(probability: float, df: Array) -> Array:
    """Quantiles of Student's distribution; normal ones where the degrees of freedom are infinite."""
    from scipy.special import ndtri, stdtrit

    finite = np.isfinite(df)
    return np.where(finite, stdtrit(np.where(finite, df, 1.0), probability), ndtri(probability))
