"""The judge of profile likelihoods: a dense likelihood minimised by SciPy with one parameter held.

It takes a linear model in its natural parameters (standard deviations, correlations, sigma, coefficients) and forms the
covariance of y; it shares nothing with the package but the data.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from models import ArrayModel
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[Any]


def correlations(partial: Array, order: tuple[int, ...]) -> Array:
    """Correlation matrix (c, c) from partial correlations of a vine: order[0] with the others, order[1] given order[0]
    with the rest, ... (Joe 2006, J. Multivariate Anal. 97(10)), so that that of order[0] and order[1] is the first."""
    c = len(order)
    P = np.eye(c)
    for value, (i, j) in zip(partial, itertools.combinations(range(c), 2), strict=True):
        r = value
        for k in reversed(range(i)):
            r = r * np.sqrt((1 - P[k, i] ** 2) * (1 - P[k, j] ** 2)) + P[k, i] * P[k, j]
        P[i, j] = value  # partial ones above the diagonal
        P[j, i] = r
    R = np.tril(P, -1) + np.tril(P, -1).T + np.eye(c)
    back = np.argsort(order)
    return R[np.ix_(back, back)]


def exp(x: float) -> float:
    """Held where a line search runs away."""
    return float(np.exp(np.clip(x, -20, 8)))


@dataclass
class Judge:
    """The maximum-likelihood criterion of an array model with something held.

    `held`: ("sd", term, column), ("cor", term, a, b), ("sigma",) or ("beta", j).
    """

    model: ArrayModel
    held: tuple[Any, ...]

    def __post_init__(self) -> None:
        dense = self.model.dense(reml=False)
        self.y, self.X, self.W_inverse = dense.y, dense.X, dense.W_inverse
        self.terms, self.Z = dense.terms, [term.Z for term in dense.terms]

    def criterion(self, free: Array, value: float | None) -> float:
        """At logarithms of standard deviations, inverse tanh of partial correlations, log(sigma), less what is held."""
        kind, place = self.held[0], self.held[1:]
        values = iter(free)
        V = np.zeros((len(self.y),) * 2)
        for i, (term, Z) in enumerate(zip(self.terms, self.Z, strict=True)):
            c = term.columns.shape[1]
            sd = np.array([value if value is not None and (kind, place) == ("sd", (i, j)) else exp(next(values))
                           for j in range(c)])
            R = np.eye(c)
            if term.structure == "us":
                first = tuple(place[1:]) if kind == "cor" and place[0] == i else ()
                order = (*first, *(j for j in range(c) if j not in first))
                partial = np.array([value if value is not None and first and k == 0 else np.tanh(next(values))
                                    for k in range(c * (c - 1) // 2)])
                R = correlations(partial, order)
            V += Z @ np.kron(np.eye(term.n_levels), np.outer(sd, sd) * R) @ Z.T
        sigma = value if value is not None and kind == "sigma" else exp(next(values))
        V += sigma**2 * self.W_inverse
        y, X = self.y, self.X
        if value is not None and kind == "beta":
            y, X = y - value * X[:, place[0]], np.delete(X, place[0], axis=1)
        L = np.linalg.cholesky(V)
        white = np.linalg.solve(L, np.column_stack([X, y]))
        residual = white[:, -1] - white[:, :-1] @ np.linalg.lstsq(white[:, :-1], white[:, -1])[0]
        return float(2 * np.log(np.diag(L)).sum() + residual @ residual + len(y) * np.log(2 * np.pi))

    def minimum(self, value: float | None) -> float:
        """Over everything that is not held, from a neutral start."""
        n_free = sum(t.columns.shape[1] + (t.structure == "us") * t.columns.shape[1] * (t.columns.shape[1] - 1) // 2
                     for t in self.terms) + 1
        if value is not None and self.held[0] != "beta":
            n_free -= 1
        return lowest(lambda x: self.criterion(x, value), np.zeros(n_free))


def lowest(function: Callable[[Array], float], start: Array) -> float:
    """BFGS with central differences, begun anew until it gains nothing."""
    def gradient(x: Array) -> Array:
        steps = 1e-5 * np.eye(len(x))
        return np.array([(function(x + step) - function(x - step)) / 2e-5 for step in steps])

    found = minimize(function, start, jac=gradient, method="BFGS", options={"gtol": 1e-7})
    while (again := minimize(function, found.x, jac=gradient, method="BFGS", options={"gtol": 1e-7})).fun < found.fun:
        if found.fun - again.fun < 1e-10:
            break
        found = again
    return float(min(again.fun, found.fun))


def held(model: Any, name: str) -> tuple[Any, ...]:
    """What the judge holds for a name of the package."""
    if name == "sigma":
        return ("sigma",)
    if name in ("(Intercept)", "X1"):
        return ("beta", int(name == "X1"))
    kind, rest = name.split("_", 1)
    columns, group = rest.split("|")
    for i, term in enumerate(model.terms):
        names = ["(Intercept)" if c == "1" else c for c in term.columns]
        if term.group == group and set(columns.split(".")) <= set(names):
            return (kind, i, *(names.index(c) for c in columns.split(".")))
    raise AssertionError(name)
