"""Which smaller model a singular fit equals, in the words of its formula.

A column of a random-effects term without variance can be left out: its row of the template T is zero, and with it all
its covariances, so that the smaller model reaches the same criterion; being nested it can reach no less. A combination
of columns without variance (a correlation of ±1) leaves a covariance of lower rank, which no formula says; what comes
nearest, the term without its correlations, is another model.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._common import Array
from .._inference.deletions import without_random_effects
from .._inference.submodels import with_random_terms
from .._solution import MixedSolution
from ..inference import SingularDirection
from .written_terms import Columns, SingularBar, singular_bars, written_model


@dataclass(frozen=True)
class SmallerModel:
    """A model that a singular fit could be replaced by.

    Attributes
    ----------
    model : str
        Its formula; for a fit from arrays its argument `random_effects`.
    changes : tuple of str
        What becomes of the terms of the fit, and why.
    equal : bool
        Whether it is the fit in fewer parameters; else it is another model.
    parameters_saved : int
        Variance parameters fewer.
    log_likelihood_difference : float or None
        Log-likelihood of the smaller model's fit minus that of the fit; None where it was not checked.
    """

    model: str
    changes: tuple[str, ...]
    equal: bool
    parameters_saved: int
    log_likelihood_difference: float | None = None

    def __str__(self) -> str:
        verdict = "equals the fit" if self.equal else "is another model"
        saved = "1 parameter" if self.parameters_saved == 1 else f"{self.parameters_saved} parameters"
        found = "" if self.log_likelihood_difference is None else (
            f"; its log-likelihood differs by {self.log_likelihood_difference:.2g}")
        return "\n    ".join([f"{self.model}\n    {verdict}, with {saved} fewer{found}", *self.changes])


@dataclass(frozen=True)
class Simplification:
    """Advice for a singular fit: `DiagnosedSolution.simplification`. Printed in words.

    Attributes
    ----------
    directions : tuple of SingularDirection
        Without variance; none of a fit that is not singular.
    models : tuple of SmallerModel
        The one that equals the fit first, if there is one; then those that do not.
    notes : tuple of str
        What no formula can say.
    """

    directions: tuple[SingularDirection, ...]
    models: tuple[SmallerModel, ...]
    notes: tuple[str, ...]

    @property
    def equal(self) -> SmallerModel | None:
        """The smaller model that the fit equals."""
        return next((model for model in self.models if model.equal), None)

    def __str__(self) -> str:
        if not self.directions:
            return "not singular: every direction of every random-effects term has variance"
        return "\n".join([*map(str, self.directions), *(f"  {model}" for model in self.models), *self.notes])

    __repr__ = __str__


def simplify(solution: MixedSolution[Any], reaches: Sequence[Array], check: bool) -> Simplification:
    """Advice for a fit; see `DiagnosedSolution.simplification`."""
    design = solution._design
    bars = singular_bars(design, solution.theta, reaches)
    models = []
    if any(bar.dropped for bar in bars):
        models.append(_smaller(solution, bars, None, check))
    models += [_smaller(solution, bars, bar, check) for bar in bars if bar.combinations]
    return Simplification(tuple(direction for bar in bars for direction in bar.directions), tuple(models),
                          tuple(note for bar in bars for note in bar.notes))


def _smaller(solution: MixedSolution[Any], bars: Sequence[SingularBar], uncorrelated: SingularBar | None,
             check: bool) -> SmallerModel:
    """The model without the columns that have no variance and, of one bar, without its correlations."""
    terms = [term for bar in bars for term in bar.terms(bar is uncorrelated)]
    changes = [bar.change for bar in bars if bar.dropped]
    if uncorrelated is not None:
        changes.append(uncorrelated.uncorrelated_change)
    return SmallerModel(
        written_model(solution._design, bars, uncorrelated), tuple(changes), uncorrelated is None,
        solution.theta.size - sum(term.n_parameters for term in terms),
        _difference(solution, terms) if check else None)


def _difference(solution: MixedSolution[Any], terms: Sequence[Columns]) -> float:
    """Log-likelihood of the fit with other random-effects terms, minus its own."""
    design, engine = solution._design, solution._engine
    if terms:
        smaller = with_random_terms(design, [term.of(design.terms) for term in terms])
        objective = engine.refit(smaller).params.objective
    else:
        objective = without_random_effects(engine, solution.params)
    return 0.5 * float(solution.params.objective - objective)
