"""Fits without single rows or the rows of a level: theta held, by formulas or evaluations, or fitted again."""
from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check
from .._common import Array, LMMParams, MixedParams
from .._inference.clusters import Clusters, are_independent, labelled_clusters
from .._inference.gls import kept_columns
from .._inference.progress import progress_bar
from .._predicted_solution import PredictedSolution
from ..design import MixedDesign
from ..errors import ConvergenceWarning, InputError
from .deletion import Deletions, WorkingModel, without_clusters, without_rows
from .influence import Influence, Refits, Without

Rows = NDArray[np.intp]


def influence_with_theta_held(solution: PredictedSolution[Any], by: Any, model: WorkingModel, method: str,
                              progress: bool) -> Influence:
    """Influence by formulas, or by evaluations where levels share others; see `DiagnosedSolution.influence`."""
    design, params = solution._design, solution.params
    name, sets = _sets(solution, by)
    if by is None:
        found = without_rows(model)
    elif are_independent(design, sets):
        found = without_clusters(model, _errors(design, params), sets)
    else:
        found = _without_shared(model, solution, sets, progress)
    without = _held(params, model.variances, found, np.bincount(sets.codes).astype(float))
    return Influence(sets.labels, name, params, _whitening(params, model), without, None, f"theta held, {method}")


def influence_by_refits(solution: PredictedSolution[Any], by: Any, model: WorkingModel, progress: bool) -> Influence:
    """Influence by fits without each set; warns on behalf of its caller's caller."""
    name, sets = _sets(solution, by)
    without, refits, refused = _fitted_again(solution, sets, progress)
    if failed := int((~refits.converged).sum()):
        reason = f"; {refused[0]}" if refused else ""
        warnings.warn(ConvergenceWarning(f"{failed} of {sets.count} fits did not converge, or do not have all "
                                         f"coefficients: see `converged`{reason}"), stacklevel=3)
    return Influence(sets.labels, name, solution.params, _whitening(solution.params, model), without, refits,
                     "fitted again without each")


def _whitening(params: MixedParams, model: WorkingModel) -> Array:
    """The inverse of a root of Var(β̂): from the rows where they have it, with more digits than `vcov`."""
    if isinstance(params, LMMParams):
        return model.whitening / params.residual_std
    return np.asarray(np.linalg.inv(np.linalg.cholesky(params.vcov)), np.float64)


def _sets(solution: PredictedSolution[Any], by: Any) -> tuple[str, Clusters]:
    """The sets of rows to be left out, and what they are."""
    design = solution._design
    if solution.params.coefficients.size == 0:
        raise InputError("influence: expected a model with fixed effects, got none")
    if by is None:
        labels = np.arange(len(design.y)) if design.rows is None else design.rows
        return "row", Clusters(np.arange(design.n, dtype=np.int32), labels)
    clusters = labelled_clusters(design, by, "by")
    if clusters.count < 2:
        raise InputError(f"by: expected at least two levels, got only {clusters.labels.tolist()[0]!r}")
    return by if isinstance(by, str) else "label", clusters


def _rows(sets: Clusters) -> list[Rows]:
    """Positions of the rows of each set."""
    order = np.argsort(sets.codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(sets.codes))[:-1])


# ---- theta held ------------------------------------------------------------------------------------------------------

def _errors(design: MixedDesign, params: MixedParams) -> Array:
    """Y - offset - Xβ (n,)."""
    errors = design.y - kept_columns(design, params) @ params.coefficients
    return errors if design.offset is None else errors - design.offset


def _without_shared(model: WorkingModel, solution: PredictedSolution[Any], sets: Clusters,
                    progress: bool) -> Deletions:
    """The model without sets that share levels with other rows, an evaluation each."""
    out = Deletions.unknown(sets.count, len(model.C))
    own, log_det, pwrss = model.basis @ model.step, model.log_det, getattr(solution.params, "pwrss", np.nan)
    with progress_bar(sets.count, "set", progress) as advance:
        for j, found in enumerate(solution._engine.estimates_without(solution._criterion_point, _rows(sets))):
            if found is not None:
                out.dfbeta[j], out.variances[j] = own - found.step, found.C.diagonal()
                out.log_det[j], out.lost[j] = np.linalg.slogdet(found.C)[1] - log_det, pwrss - found.pwrss
            advance(1)
    return out


def _held(params: MixedParams, variances: Array, found: Deletions, n_deleted: Array) -> Without:
    """Estimates with theta held; of a generalized model, whose `vcov` has another scale, by what C becomes."""
    sigma, ratio = None, np.ones(len(found.lost))
    if isinstance(params, LMMParams):
        left = params.n_obs - n_deleted - (params.coefficients.size if params.reml else 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.where(left > 0, np.maximum(params.pwrss - found.lost, 0.0) / left, np.nan)
        sigma, ratio = np.sqrt(variance), variance / params.residual_variance
    return Without(
        found.dfbeta, params.se * np.sqrt(found.variances / variances * ratio[:, None]),
        np.exp(found.log_det) * ratio**params.coefficients.size, sigma)


# ---- fitted again ----------------------------------------------------------------------------------------------------

def _fitted_again(solution: PredictedSolution[Any], sets: Clusters,
                  progress: bool) -> tuple[Without, Refits, list[InputError]]:
    """Estimates without each set, and why there are none."""
    params = solution.params
    J, p = sets.count, params.coefficients.size
    out = Without(np.full((J, p), np.nan), np.full((J, p), np.nan), np.full(J, np.nan),
                  np.full(J, np.nan) if isinstance(params, LMMParams) else None)
    refits = Refits(np.full((J, params.theta.size), np.nan), np.zeros(J, np.bool_))
    log_det, refused = np.linalg.slogdet(params.vcov)[1], []
    with progress_bar(J, "fit", progress) as advance:
        for j, fit in enumerate(_fits_without(solution, _rows(sets))):
            if isinstance(fit, InputError):
                refused.append(fit)
            elif fit.coefficients.size == p:  # fewer rows can make columns dependent, never independent
                out.dfbeta[j], out.se[j] = params.coefficients - fit.coefficients, fit.se
                out.covratio[j] = np.exp(np.linalg.slogdet(fit.vcov)[1] - log_det)
                if out.sigma is not None:
                    out.sigma[j] = fit.residual_std
                refits.theta[j], refits.converged[j] = fit.theta, fit.converged
            advance(1)
    return out, refits, refused


def _fits_without(solution: PredictedSolution[Any], sets: Iterable[Rows]) -> Iterator[Any]:
    """Estimates without each set, or why there are none."""
    design, kept = solution._design, np.ones(solution.n_obs, np.bool_)
    for rows in sets:
        kept[rows] = False
        try:
            with warnings.catch_warnings():  # counted once for all
                warnings.simplefilter("ignore", ConvergenceWarning)
                rest = design.take(np.flatnonzero(kept))
                check(rest, solution._response_family)
                found = solution._engine.refit(rest).params
        except InputError as error:
            found = error
        kept[rows] = True
        yield found
