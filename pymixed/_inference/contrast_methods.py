"""Named families of contrasts of k means as rows of weights."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from math import gcd, lcm
from typing import Any, NamedTuple

import numpy as np

from .._common import Array
from ..errors import InputError, InputTypeError

METHODS = ("pairwise", "trt.vs.ctrl", "consec", "eff", "poly")
DEFAULT_ADJUSTMENT = {"pairwise": "tukey", "trt.vs.ctrl": "sidak", "consec": "sidak", "eff": "fdr", "poly": "none"}
POLYNOMIALS = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")


class ContrastFamily(NamedTuple):
    """Contrasts of the k means of a family.

    Attributes
    ----------
    names : list of str
        Of differences; one that is a single difference has `sides` as well.
    weights : (m, k) array
    adjust : str
        How the p-values are adjusted by default.
    pairwise : bool
        Whether it has all pairs, each once.
    """

    names: list[str]
    weights: Array
    adjust: str
    pairwise: bool = False


def contrast_family(method: Any, labels: Sequence[str], reference: Any, minus: str = "-") -> ContrastFamily:
    """Contrasts by name, or as given by the user: a mapping from names to weights, or an array of weights.

    `minus` stands between the labels of a difference: "/" where it is a ratio.
    """
    k = len(labels)
    if not isinstance(method, str):
        return _given(method, labels)
    if method not in METHODS:
        raise InputError(f"method: expected one of {', '.join(map(repr, METHODS))}, a mapping or an array, "
                         f"got {method!r}")
    if k < 2:
        raise InputError(f"method: expected two or more means to contrast, got {k}")
    if reference is not None and method != "trt.vs.ctrl":
        raise InputError(f"reference: expected only with 'trt.vs.ctrl', got {reference!r} with {method!r}")
    indicators, adjust = np.eye(k), DEFAULT_ADJUSTMENT[method]
    if method == "eff":
        return ContrastFamily([f"{label} effect" for label in labels], indicators - 1.0 / k, adjust)
    if method == "poly":
        rows = orthogonal_polynomials(k)
        return ContrastFamily(list(POLYNOMIALS[:len(rows)]), rows, adjust)
    if method == "pairwise":
        pairs = list(combinations(range(k), 2))
    elif method == "consec":
        pairs = [(i + 1, i) for i in range(k - 1)]
    else:
        control = _reference(reference, labels)
        pairs = [(i, control) for i in range(k) if i != control]
    first, second = np.array(pairs, int).T
    names = [f"{labels[i]} {minus} {labels[j]}" for i, j in zip(first, second, strict=True)]
    return ContrastFamily(names, indicators[first] - indicators[second], adjust, method == "pairwise")


def _reference(reference: Any, labels: Sequence[str]) -> int:
    if reference is None:
        return 0
    if str(reference) not in labels:
        raise InputError(f"reference: expected one of {', '.join(map(repr, labels))}, got {reference!r}")
    return list(labels).index(str(reference))


def _given(weights: Any, labels: Sequence[str]) -> ContrastFamily:
    k = len(labels)
    names = []
    if isinstance(weights, Mapping):
        names, weights = [str(name) for name in weights], [
            _by_label(row, labels) if isinstance(row, Mapping) else row for row in weights.values()]
    try:
        rows = np.atleast_2d(np.asarray(weights, np.float64))
    except (TypeError, ValueError):
        raise InputTypeError(f"method: expected a name, a mapping or an array of weights, got {weights!r}") from None
    if rows.ndim != 2 or rows.shape[1] != k or not len(rows):
        raise InputError(f"method: expected {k} weights per contrast, of {', '.join(labels)}, "
                         f"got shape {rows.shape}")
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        raise InputError("method: expected finite weights that are not all zero")
    return ContrastFamily(names or [f"c{i + 1}" for i in range(len(rows))], rows, "none")


def _by_label(weights: Mapping[Any, float], labels: Sequence[str]) -> list[float]:
    given = {str(label): weight for label, weight in weights.items()}
    for label in given:
        if label not in labels:
            raise InputError(f"method: expected weights of {', '.join(map(repr, labels))}, got {label!r}")
    return [given.get(label, 0.0) for label in labels]


def orthogonal_polynomials(k: int) -> Array:
    """Orthogonal polynomials of degree 1 to 6 at k equally spaced points, scaled to whole numbers without a divisor."""
    basis: list[list[Fraction]] = [[Fraction(1)] * k]
    for degree in range(1, min(k, len(POLYNOMIALS) + 1)):
        column = [Fraction(i)**degree for i in range(k)]
        for other in basis:
            slope = Fraction(sum(a * b for a, b in zip(column, other, strict=True)), sum(b * b for b in other))
            column = [a - slope * b for a, b in zip(column, other, strict=True)]
        scale = lcm(*(a.denominator for a in column))
        whole = [int(a * scale) for a in column]
        basis.append([Fraction(a, gcd(*whole)) for a in whole])
    return np.array([[float(a) for a in row] for row in basis[1:]])
