"""Synthetic designs of the benchmarks, drawn with fixed seeds.

``make(name)`` returns ``(formula, columns)`` with ``columns`` a dict of NumPy arrays; groups are integer codes.
``python benchmark_data.py NAME OUT.csv`` writes one as CSV (for R). Needs NumPy alone.
"""
from __future__ import annotations

import sys

import numpy as np


def _zipf(size: int, exponent: float, shift: float) -> np.ndarray:
    weight = (np.arange(1, size + 1) + shift) ** -exponent
    return weight / weight.sum()


def big(slope: bool) -> tuple[str, dict[str, np.ndarray]]:
    """One factor, 50,000 groups, 1e6 rows, p = 5; random intercept, or intercept and slope."""
    rng = np.random.default_rng(11)
    n, q = 1_000_000, 50_000
    g = rng.integers(q, size=n)
    x, x2, x3, x4 = rng.normal(size=n), rng.normal(size=n), rng.random(n), (rng.random(n) < 0.4).astype(float)
    b0 = rng.normal(0, 0.8, q)
    b1 = 0.5 * b0 + rng.normal(0, 0.4, q) if slope else np.zeros(q)
    y = 1 + 0.5 * x - 0.3 * x2 + 0.2 * x3 + 0.1 * x4 + b0[g] + b1[g] * x + rng.normal(size=n)
    return f"y ~ x + x2 + x3 + x4 + ({'x' if slope else '1'} | g)", dict(y=y, x=x, x2=x2, x3=x3, x4=x4, g=g)


def ratings() -> tuple[str, dict[str, np.ndarray]]:
    """1e6 ratings of 4,000 items by 6,000 users, popularity by a shifted Zipf law, no pair twice."""
    rng = np.random.default_rng(12)
    users, items, n = 6000, 4000, 1_000_000
    pairs = np.empty(0, dtype=np.int64)
    while pairs.size < n:
        u = rng.choice(users, 1_200_000, p=_zipf(users, 0.7, 50))
        i = rng.choice(items, 1_200_000, p=_zipf(items, 0.9, 30))
        pairs = np.unique(np.concatenate([pairs, u * items + i]))
    pairs = rng.permutation(pairs)[:n]
    u, i = pairs // items, pairs % items
    x = rng.normal(size=n)
    y = 3.5 + 0.05 * x + rng.normal(0, 0.45, users)[u] + rng.normal(0, 0.6, items)[i] + rng.normal(0, 0.85, n)
    return "y ~ x + (1 | u) + (1 | i)", dict(y=y, x=x, u=u, i=i)


def nested() -> tuple[str, dict[str, np.ndarray]]:
    """200,000 rows in 20,000 classes in 2,000 schools in 100 regions."""
    rng = np.random.default_rng(13)
    n = 200_000
    cl = rng.integers(20_000, size=n)
    school = rng.integers(2000, size=20_000)[cl]
    region = rng.integers(100, size=2000)[school]
    x, x2 = rng.normal(size=n), rng.normal(size=n)
    y = (2 + 0.3 * x + 0.1 * x2 + rng.normal(0, 0.5, 20_000)[cl] + rng.normal(0, 0.4, 2000)[school]
         + rng.normal(0, 0.3, 100)[region] + rng.normal(size=n))
    columns = dict(y=y, x=x, x2=x2, cl=cl, school=school, region=region)
    return "y ~ x + x2 + (1 | cl) + (1 | school) + (1 | region)", columns


def crossed_slope() -> tuple[str, dict[str, np.ndarray]]:
    """200,000 rows, 5,000 subjects with a random slope crossed with 1,000 items."""
    rng = np.random.default_rng(14)
    n = 200_000
    a, b, x = rng.integers(5000, size=n), rng.integers(1000, size=n), rng.normal(size=n)
    b0 = rng.normal(0, 0.7, 5000)
    b1 = 0.3 * b0 + rng.normal(0, 0.3, 5000)
    y = 1 + 0.4 * x + b0[a] + b1[a] * x + rng.normal(0, 0.5, 1000)[b] + rng.normal(size=n)
    return "y ~ x + (x | a) + (1 | b)", dict(y=y, x=x, a=a, b=b)


def workers_firms() -> tuple[str, dict[str, np.ndarray]]:
    """200,000 rows, 40,000 workers who move between a few of 4,000 firms (sparse crossing)."""
    rng = np.random.default_rng(15)
    n = 200_000
    a = rng.integers(40_000, size=n)
    firm = (a // 10 + rng.choice([0, 0, 0, 1, 2, 50], n)) % 4000
    x = rng.normal(size=n)
    y = 1 + 0.4 * x + rng.normal(0, 0.7, 40_000)[a] + rng.normal(0, 0.5, 4000)[firm] + rng.normal(size=n)
    return "y ~ x + (1 | a) + (1 | firm)", dict(y=y, x=x, a=a, firm=firm)


def three_factors() -> tuple[str, dict[str, np.ndarray]]:
    """45,861 rows, 2,500 x 1,000 x 150 levels crossed, none nested in another."""
    rng = np.random.default_rng(17)
    n = 45_861
    a, b, c = rng.integers(2500, size=n), rng.integers(1000, size=n), rng.integers(150, size=n)
    x, x2 = rng.normal(size=n), rng.normal(0, 1, 1000)[b]  # the second one differs between the levels of b alone
    y = (1 + 0.3 * x + 0.1 * x2 + rng.normal(0, 0.6, 2500)[a] + rng.normal(0, 0.5, 1000)[b]
         + rng.normal(0, 0.3, 150)[c] + rng.normal(size=n))
    return "y ~ x + x2 + (1 | a) + (1 | b) + (1 | c)", dict(y=y, x=x, x2=x2, a=a, b=b, c=c)


def poisson() -> tuple[str, dict[str, np.ndarray]]:
    """100,000 counts in 2,000 groups, log link."""
    rng = np.random.default_rng(16)
    n = 100_000
    g, x = rng.integers(2000, size=n), rng.normal(size=n)
    y = rng.poisson(np.exp(0.3 + 0.4 * x + rng.normal(0, 0.5, 2000)[g])).astype(float)
    return "y ~ x + (1 | g)", dict(y=y, x=x, g=g)


CASES = {
    "big_intercept": lambda: big(False),
    "big_slope": lambda: big(True),
    "ratings": ratings,
    "nested": nested,
    "crossed_slope": crossed_slope,
    "workers_firms": workers_firms,
    "three_factors": three_factors,
    "poisson": poisson,
}


def make(name: str) -> tuple[str, dict[str, np.ndarray]]:
    """Formula and columns of one design; ``name`` is a key of ``CASES``."""
    return CASES[name]()


if __name__ == "__main__":
    name, path = sys.argv[1:]
    _, columns = make(name)
    np.savetxt(path, np.column_stack(list(columns.values())), delimiter=",", header=",".join(columns), comments="",
               fmt=["%d" if np.issubdtype(c.dtype, np.integer) else "%.17g" for c in columns.values()])
