"""What the coefficients become without some rows, theta held: formulas, exact for a linear mixed model.

With V = W⁻¹ + ZΛΛ'Z', C = (X'V⁻¹X)⁻¹ and Q = ΛM⁻¹Λ', a row has the deviation g = x − F'z, F = QZ'WX, the leverage
h = w(z'Qz + g'Cg) and the score s = w(y − x'β̂ − z'b), all of which V⁻¹ = W − WZQZ'W gives: V⁻¹X = WG, V⁻¹(y − Xβ̂) = s.
Without it

    β̂ − β̂₍ᵢ₎ = Cgs / (1 − h),    C₍ᵢ₎ = C + w Cgg'C / (1 − h),    r²₍ᵢ₎ = r² − s² / (w(1 − h)).

Without a cluster j of rows that shares no level of a grouping factor with others, the information and score of
`_inference.robust` take their place: with G_j = X_j'V_j⁻¹X_j, s_j = X_j'V_j⁻¹e_j and e = y − Xβ̂

    C₍ⱼ₎ = (C⁻¹ − G_j)⁻¹,    β̂ − β̂₍ⱼ₎ = C₍ⱼ₎s_j,    r²₍ⱼ₎ = r² − e_j'V_j⁻¹e_j − s_j'C₍ⱼ₎s_j

(Demidenko & Stukel 2005, Stat. Med. 24(6)). A generalized linear model has these of the linear one with the weights,
and the response η + score / weight, at its conditional modes: one step of penalised iteratively reweighted least
squares.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._common import Array
from .._inference.clusters import Clusters
from .._inference.robust import ClusterSums

# A row of a leverage closer to 1 than this alone determines a coefficient.
DETERMINED = 1e-10


@dataclass(frozen=True, eq=False)
class WorkingModel:
    """A linear mixed model with theta held, as its rows have it, in coordinates in which X'X is the identity.

    There, columns of X far from zero cost no digits.

    Attributes
    ----------
    basis : (p, p) array
        The user's coefficients from those of these coordinates.
    X, deviations : (n, p) arrays
        Rows x and g, of the columns that have a coefficient.
    random : (n,) array
        z'Qz.
    weights, scores : (n,) arrays
        w and s; the scores are orthogonal to X, as they are at the model's own coefficients.
    C : (p, p) array
        Covariance of these, over sigma².
    step : (p,) array
        The model's own coefficients minus those of the fit: zero of a linear model.
    """

    basis: Array
    X: Array
    deviations: Array
    random: Array
    weights: Array
    scores: Array
    C: Array
    step: Array

    @classmethod
    def at(cls, triangle: Array, X: Array, deviations: Array, random: Array, weights: Array,
           scores: Array) -> WorkingModel:
        """The model whose rows have these scores at the coefficients of the fit, which may be others than its own.

        `triangle` is R of X = QR; X and the deviations are in the user's coordinates.
        """
        basis = np.asarray(np.linalg.inv(triangle), np.float64)
        X, deviations = X @ basis, deviations @ basis
        information = X.T @ (weights[:, None] * deviations)
        C = np.asarray(np.linalg.inv(0.5 * (information + information.T)), np.float64)
        step = C @ (X.T @ scores)
        return cls(basis, X, deviations, random, weights, scores - weights * (deviations @ step), C, step)

    @property
    def leverages(self) -> Array:
        """Leverages h of the rows (n,)."""
        fixed = ((self.deviations @ self.C) * self.deviations).sum(axis=1)
        return np.asarray(self.weights * (self.random + fixed))

    @property
    def variances(self) -> Array:
        """Variances of the user's coefficients over sigma² (p,)."""
        return np.asarray(((self.basis @ self.C) * self.basis).sum(axis=1))

    @property
    def whitening(self) -> Array:
        """The inverse of a root of the covariance of the user's coefficients over sigma² (p, p)."""
        return np.asarray(np.linalg.inv(self.basis @ np.linalg.cholesky(self.C)))

    @property
    def log_det(self) -> float:
        """Logarithm of det C in the user's coordinates."""
        return float(np.linalg.slogdet(self.C)[1] + 2.0 * np.linalg.slogdet(self.basis)[1])


@dataclass(frozen=True, eq=False)
class Deletions:
    """The model without each of J sets of rows; NaN where the rest does not determine all coefficients.

    Attributes
    ----------
    dfbeta : (J, p) array
        β̂ − β̂₍ⱼ₎.
    variances : (J, p) array
        Diagonal of C₍ⱼ₎.
    log_det : (J,) array
        log det C₍ⱼ₎ − log det C.
    lost : (J,) array
        r² − r²₍ⱼ₎; a linear model's alone has a meaning.
    """

    dfbeta: Array
    variances: Array
    log_det: Array
    lost: Array

    @classmethod
    def unknown(cls, J: int, p: int) -> Deletions:
        """None of J sets is known."""
        return cls(np.full((J, p), np.nan), np.full((J, p), np.nan), np.full(J, np.nan), np.full(J, np.nan))


def without_rows(model: WorkingModel) -> Deletions:
    """The model without each row."""
    w, directions = model.weights, model.deviations @ model.C @ model.basis.T
    alone, rest = 1.0 - w * model.random, 1.0 - model.leverages
    rest = np.where(rest > DETERMINED, rest, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # working weights of zero
        lost = model.scores**2 / (w * rest)
    return Deletions(directions * (model.scores / rest)[:, None],
                     model.variances + directions**2 * (w / rest)[:, None], np.log(alone / rest), lost)


def without_clusters(model: WorkingModel, errors: Array, clusters: Clusters) -> Deletions:
    """The model without each cluster, which shares no level with others; `errors` are e = y − offset − Xβ̂ (n,)."""
    root = np.asarray(np.linalg.cholesky(model.C), np.float64)
    whitened = (model.weights[:, None] * model.deviations) @ root
    sums = ClusterSums.from_rows(root, model.X @ root, whitened, model.scores, clusters)
    rest, vectors = sums.spectrum
    rest = np.where((rest > 0.0).all(axis=1, keepdims=True), rest, np.nan)
    inverse = (vectors / rest[:, None]) @ vectors.transpose(0, 2, 1)
    steps = (inverse @ sums.scores[:, :, None])[:, :, 0]
    own = np.bincount(clusters.codes, errors * model.scores, clusters.count)
    to_user = model.basis @ sums.root
    return Deletions(steps @ to_user.T, ((to_user @ inverse) * to_user).sum(axis=2), -np.log(rest).sum(axis=1),
                     own + (sums.scores * steps).sum(axis=1))
