"""Solutions as the dense reference evaluates them: results and tables tested without the core or its optimiser."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dense import DenseLMM, independent_columns
from models import dense_of_design
from numpy.typing import ArrayLike, NDArray

from pymixed import inference
from pymixed._common import Convergence, LMMParams, Result
from pymixed._engine import VarianceDerivatives
from pymixed.solution import LMMSolution

Array = NDArray[Any]
PROVEN = Convergence(True, 0.0, 1.0, 0.0, (), "the gradient vanishes and the Hessian is positive definite")


@dataclass(frozen=True, eq=False)
class DenseEngine:
    """The `LinearCriterion` of a fit: `factor_modes` are the positions in b, (levels, c) per grouping factor."""

    model: DenseLMM
    factor_modes: tuple[Array, ...]

    def deviance(self, theta: Array) -> float:
        return float(self.model.at(theta).criterion)

    def gradient(self, theta: Array) -> Array:
        return self.model.at(theta).gradient

    def hessian(self, theta: Array) -> Array:
        return self.model.at(theta).hessian

    def variance_derivatives(self, theta: Array) -> VarianceDerivatives:
        at = self.model.at(theta)
        VX = at.V_inverse @ self.model.X
        dC = np.array([at.C @ (VX.T @ dV @ VX) @ at.C for dV in at.dV])
        return VarianceDerivatives(at.gradient, at.hessian, at.C, dC, at.r2_gradient)

    def centred_derivatives(self, theta: Array) -> tuple[Array, VarianceDerivatives]:
        return theta, self.variance_derivatives(theta)

    def conditional_covariances(self, theta: Array) -> tuple[Array, ...]:
        at = self.model.at(theta)
        scaled = at.conditional_covariance / at.sigma2
        return tuple(scaled[rows[:, :, None], rows[:, None, :]] for rows in self.factor_modes)


def solution_at(design: Any, theta: ArrayLike, *, reml: bool = True, convergence: Convergence = PROVEN) -> LMMSolution:
    """What a fit of the design returns when its optimiser ends at theta, all of whose entries count as free."""
    theta = np.asarray(theta, float)
    kept = independent_columns(design.X)
    model = dense_of_design(replace(design, X=design.X[:, kept]), reml=reml)
    at = model.at(theta)
    blocks = np.split(np.arange(len(at.b)), np.cumsum(model.n_random)[:-1])
    factor_modes = tuple(
        np.hstack([block.reshape(len(factor.levels), -1)
                   for block, term in zip(blocks, design.terms, strict=True) if term.factor == i])
        for i, factor in enumerate(design.factors))
    engine = DenseEngine(model, factor_modes)
    derivatives = engine.variance_derivatives(theta)
    uncertainty = inference.variance_uncertainty(
        derivatives, at.sigma, model.nu, np.ones(len(theta), bool), inference.theta_names(design.terms))
    names = design.coefficient_names
    params = LMMParams(
        coefficients=at.beta,
        coefficient_names=tuple(names[j] for j in kept),
        aliased=tuple(name for j, name in enumerate(names) if j not in kept),
        vcov=at.vcov,
        df_satterthwaite=inference.satterthwaite(np.eye(len(kept)), at.vcov, uncertainty),
        df_method="satterthwaite",
        uncertainty=uncertainty,
        theta=theta,
        theta_names=inference.theta_names(design.terms),
        term_covariances=inference.term_covariances(design.terms, theta, at.sigma2),
        residual_variance=at.sigma2,
        pwrss=at.r2,
        objective=at.criterion,
        reml=reml,
        n_obs=design.n,
        n_groups={factor.name: len(factor.levels) for factor in design.factors},
        random_effects={factor.name: at.b[rows] for factor, rows in zip(design.factors, factor_modes, strict=True)},
        convergence=convergence,
        n_iter=5)
    return LMMSolution(Result(params, {"method": "REML" if reml else "ML"}, {"total": 0.0}, "dense"), design, engine)
