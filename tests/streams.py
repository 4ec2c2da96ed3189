"""Tables cut into batches, and fits compared with those to the whole."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

import pymixed as pm


def cut(frame: pd.DataFrame, n_pieces: int, seed: int | None = None) -> list[pd.DataFrame]:
    """Consecutive pieces of the rows, in a random order where there is a seed."""
    rows = np.arange(len(frame))
    if seed is not None:
        rows = np.random.default_rng(seed).permutation(rows)
    return [frame.iloc[piece] for piece in np.array_split(rows, n_pieces)]


def merged_in_a_random_tree(parts: Sequence[Any], seed: int) -> Any:
    """Sum of the parts, two random ones at a time."""
    rng, parts = np.random.default_rng(seed), list(parts)
    while len(parts) > 1:
        first, second = (parts.pop(rng.integers(len(parts))) for _ in range(2))
        parts.append(first + second)
    return parts[0]


def gap(ours: Any, theirs: Any) -> float:
    """Largest difference relative to the largest entry."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max(initial=0.0) / max(np.abs(theirs).max(initial=0.0), 1e-300))


def gaps(ours: pm.LMMSolution, whole: pm.LMMSolution) -> dict[str, float]:
    """How far a fit to batches is from the fit to the whole; coefficients in standard errors."""
    assert ours.coefficient_names == whole.coefficient_names
    assert ours.n_obs == whole.n_obs
    assert dict(ours.n_groups) == dict(whole.n_groups)
    for name, modes in whole.ranef().items():
        assert ours.ranef()[name].index.tolist() == modes.index.tolist()
    return {
        "criterion": abs(ours.log_likelihood / whole.log_likelihood - 1.0),
        "at one theta": gap(ours.deviance_at(whole.theta), whole.deviance_at(whole.theta)),
        "theta": gap(ours.theta, whole.theta),
        "coefficients": float(np.max(np.abs(ours.coefficients - whole.coefficients) / whole.se, initial=0.0)),
        "se": gap(ours.se, whole.se),
    }


def generated(pieces: Sequence[Any]) -> Iterator[Any]:
    """An iterator that can be read once."""
    yield from pieces
