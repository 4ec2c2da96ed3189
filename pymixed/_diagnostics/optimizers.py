"""The same fit by several optimisers side by side."""
from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._common import Array, check_choice
from .._engine import Criterion
from .._inference.progress import progress_bar
from ..design import MixedDesign
from ..errors import InputTypeError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Attempt:
    """What one optimiser did.

    Attributes
    ----------
    optimizer : str
    solution : LMMSolution or GLMMSolution or None
        The fit, None where the optimiser failed.
    seconds : float
        That it took.
    message : str
        Certificate of the fit in words, or why there is none.
    """

    optimizer: str
    solution: Any
    seconds: float
    message: str


@dataclass(frozen=True, eq=False)
class OptimizerComparison:
    """Fits of one model by several optimisers: `DiagnosedSolution.allfit`. Printed as a table.

    Attributes
    ----------
    attempts : tuple of Attempt
        In the order asked for.
    """

    attempts: tuple[Attempt, ...]

    @property
    def solutions(self) -> Mapping[str, Any]:
        """The fits by optimiser, without those that failed."""
        return {attempt.optimizer: attempt.solution for attempt in self.attempts if attempt.solution is not None}

    def to_pandas(self) -> pd.DataFrame:
        """A row per optimiser.

        Returns
        -------
        DataFrame
            ``deviance``, the criterion where it ended; ``above_best``, how far above the lowest of them;
            ``converged``, whether the certificate holds; ``evaluations``; ``seconds``; ``message``.
        """
        import pandas as pd

        found = [None if attempt.solution is None else attempt.solution.params for attempt in self.attempts]
        deviance = np.array([np.nan if params is None else params.objective for params in found])
        best = np.nanmin(deviance) if np.isfinite(deviance).any() else np.nan
        return pd.DataFrame({
            "deviance": deviance, "above_best": deviance - best,
            "converged": [params is not None and params.converged for params in found],
            "evaluations": pd.array([None if params is None else params.n_iter for params in found], dtype="Int64"),
            "seconds": [attempt.seconds for attempt in self.attempts],
            "message": [attempt.message for attempt in self.attempts]}, index=self._index)

    @property
    def theta(self) -> pd.DataFrame:
        """Relative covariance parameters, a row per optimiser."""
        return self._estimates("theta", "theta_names")

    @property
    def coefficients(self) -> pd.DataFrame:
        """Fixed effects, a row per optimiser."""
        return self._estimates("coefficients", "coefficient_names")

    @cached_property
    def differences(self) -> pd.Series[float]:
        """Largest differences between any two optimisers.

        Of ``log_likelihood``, of ``theta``, and of the ``coefficients`` over their smallest standard error.
        """
        import pandas as pd

        fits = [solution.params for solution in self.solutions.values()]
        se = np.array([params.se for params in fits])
        return pd.Series({
            "log_likelihood": _spread([np.array([params.log_likelihood]) for params in fits]).max(initial=0.0),
            "theta": _spread([params.theta for params in fits]).max(initial=0.0),
            "coefficients": (_spread([params.coefficients for params in fits]) / se.min(axis=0)).max(initial=0.0)
            if fits else 0.0}, name="largest difference")

    @property
    def _index(self) -> pd.Index[str]:
        import pandas as pd

        return pd.Index([attempt.optimizer for attempt in self.attempts], name="optimizer")

    def _estimates(self, values: str, names: str) -> pd.DataFrame:
        import pandas as pd

        rows = {name: getattr(solution.params, values) for name, solution in self.solutions.items()}
        columns: tuple[str, ...] = next((getattr(fit.params, names) for fit in self.solutions.values()), ())
        table = pd.DataFrame.from_dict(rows, orient="index", columns=list(columns))
        return table.reindex(self._index)

    def __repr__(self) -> str:
        shown = self.to_pandas().drop(columns="message")
        return "\n".join([
            shown.to_string(float_format="{:.6g}".format), "",
            "largest differences: " + ", ".join(f"{name} {value:.2g}" for name, value in self.differences.items()),
            *(f"{attempt.optimizer}: {attempt.message}" for attempt in self.attempts if attempt.solution is None)])

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html())


def _spread(values: list[Array]) -> Array:
    """Largest minus smallest of each entry; none of no values."""
    return np.ptp(np.array(values), axis=0) if values else np.empty(0)


def compare_optimizers(engine: Criterion, design: MixedDesign, optimizers: Iterable[str] | None,
                       progress: bool) -> OptimizerComparison:
    """Fit again by each optimiser; see `DiagnosedSolution.allfit`."""
    if isinstance(optimizers, str) or not (optimizers is None or isinstance(optimizers, Iterable)):
        raise InputTypeError(f"optimizers: expected a list of names, got {optimizers!r}")
    chosen = engine.optimizers if optimizers is None else tuple(optimizers)
    for name in chosen:
        check_choice("optimizers", name, engine.optimizers)
    attempts = []
    with progress_bar(len(chosen), "fit", progress) as advance:
        for name in chosen:
            attempts.append(_attempt(engine, design, name))
            advance(1)
    return OptimizerComparison(tuple(attempts))


def _attempt(engine: Criterion, design: MixedDesign, optimizer: str) -> Attempt:
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():  # the table tells which fits did not converge
            warnings.simplefilter("ignore")
            solution = engine.refit(design, optimizer=optimizer)
    except (ValueError, ArithmeticError) as error:  # no estimates; what SciPy raises where the criterion is infinite
        return Attempt(optimizer, None, time.perf_counter() - start, str(error))
    return Attempt(optimizer, solution, time.perf_counter() - start, solution.convergence.message)
