"""What a fit leaves behind to evaluate: its criterion as functions of the parameters, with derivatives."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ._common import Array, Result
from .design import MixedDesign


@dataclass(frozen=True, eq=False)
class VarianceDerivatives:
    """Derivatives in theta: of the criterion, and of the covariance of the fixed effects over sigma squared.

    Attributes
    ----------
    gradient : (m,) array
        Gradient of the criterion.
    hessian : (m, m) array
        Its Hessian.
    C : (p, p) array
        (X'V⁻¹X)⁻¹ with V = W⁻¹ + ZΛΛ'Z'; the covariance of the coefficients is sigma² C.
    dC : (m, p, p) array
        Derivatives of C in theta.
    d_pwrss : (m,) array
        Derivatives of r²(theta), the penalised weighted residual sum of squares.
    """

    gradient: Array
    hessian: Array
    C: Array
    dC: Array  # noqa: N815  the formula's name
    d_pwrss: Array


class Criterion(Protocol):
    """The criterion of a fit as a function of its parameters, in the user's order of terms and units of the data.

    They are theta for a linear model; for a generalized linear one theta, the coefficients (unless they are profiled,
    n_agq = 0), the family's parameters on their unconstrained scale and the coefficients of the zero inflation.
    """

    def deviance(self, parameters: Array) -> float:
        """Minus twice the (restricted) log-likelihood: the criterion that the fit minimised."""

    def gradient(self, parameters: Array) -> Array:
        """Its gradient, (m,)."""

    def hessian(self, parameters: Array) -> Array:
        """Its Hessian, (m, m)."""

    def conditional_covariances(self, parameters: Array) -> tuple[Array, ...]:
        """Var(b | y) per grouping factor, (levels, c, c), columns of its terms side by side.

        Over sigma² for a linear model.
        """

    def refit(self, design: MixedDesign, reml: bool | None = None) -> Result[Any]:
        """Estimates of another design of the same kind, found with the same options.

        `reml` chooses the criterion of a linear model, that of the fit by default. Only failures to converge are
        warned of.
        """


class LinearCriterion(Criterion, Protocol):
    """The criterion of a linear mixed model."""

    def variance_derivatives(self, parameters: Array) -> VarianceDerivatives:
        """Derivatives of the criterion and of the covariance of the fixed effects."""
