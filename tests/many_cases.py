"""Designs with many responses, and the separate fits that fit_many must equal."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pymixed as pm

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A design in arrays with responses (n, R)."""

    X: Array
    groups: Mapping[str, Array]
    terms: dict[str, Any]
    Y: Array
    family: str | None = None

    def many(self, Y: Any = None, **options: Any) -> pm.ManyFits:
        return pm.fit_many_arrays(self.Y if Y is None else Y, self.X, self.groups, family=self.family, **self.terms,
                                  **options)

    def separate(self, y: Array, **options: Any) -> Any:
        """A fit to one response, rows without a value left out."""
        fit: Callable[..., Any] = pm.lmm if self.family is None else pm.glmm
        more = {} if self.family is None else {"family": self.family}
        return fit(y, self.X, self.groups, na_action="drop", **self.terms, **more, **options)


def sleepstudy(count: int, seed: int = 1) -> Case:
    """Reaction times with noise, so that some fits are singular."""
    data = pm.datasets.load("sleepstudy")
    days, rng = data["Days"].to_numpy(float), np.random.default_rng(seed)
    y = data["Reaction"].to_numpy(float)
    Y = y.mean() + np.outer(y - y.mean(), rng.uniform(0.0, 1.0, count)) + rng.normal(0.0, 30.0, (180, count))
    return Case(np.column_stack([np.ones(180), days]), {"Subject": data["Subject"].to_numpy()},
                {"random_effects": {"Subject": ["1", "days"]}, "random_data": {"days": days}}, Y)


def crossed(count: int, seed: int = 2) -> Case:
    """Two crossed factors and a covariate."""
    rng, n = np.random.default_rng(seed), 120
    a, b = rng.integers(0, 12, n), rng.integers(0, 9, n)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    Y = (X @ [2.0, 0.5])[:, None] + rng.normal(size=(12, count))[a] + 0.7 * rng.normal(size=(9, count))[b]
    return Case(X, {"a": a, "b": b}, {}, Y + rng.normal(size=(n, count)))


def counts(count: int, seed: int = 3) -> Case:
    """Poisson counts in groups."""
    rng, n = np.random.default_rng(seed), 60
    g = np.repeat(np.arange(12), 5)
    X = np.column_stack([np.ones(n), np.tile(np.linspace(-1.0, 1.0, 5), 12)])
    eta = (X @ [0.8, 0.4])[:, None] + 0.5 * rng.normal(size=(12, count))[g]
    return Case(X, {"g": g}, {}, rng.poisson(np.exp(eta)).astype(float), "poisson")


ROW_ARRAYS = ("coefficients", "theta", "extra", "objective", "status", "n_obs", "n_evaluations", "packed_vcov",
              "packed_varpar", "jacobian")


def assert_same_bits(first: pm.ManyFits, second: pm.ManyFits, rows: Any = slice(None)) -> None:
    for name in ROW_ARRAYS:
        np.testing.assert_array_equal(getattr(first, name)[rows], getattr(second, name), err_msg=name)


def in_blocks(values: Any, *sizes: int) -> Iterator[Any]:
    """Columns of an array in blocks of these sizes."""
    start = 0
    for size in sizes:
        yield values[:, start:start + size]
        start += size
