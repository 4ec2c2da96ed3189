"""Cross-products of batches: fits to pieces of the data equal fits to the whole.

The sums are the same up to rounding, so the criterion at one theta agrees to 1e-9 and better. The estimates are where
two optimisations of nearly the same function stop: with tol = 1e-14 the expected gain left is below 1e-17, that is 3e-9
of a standard error; a criterion with rounding of 1e-13 in 1e3 has its minimum known to about 1e-7 standard errors of
theta only, and theta compares in its own size.
"""

import functools
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_cases import linear_cases, load
from streams import cut, gaps, generated, merged_in_a_random_tree

import pymixed as pm
from pymixed.errors import SingularFitWarning

CASES = linear_cases()
TIGHT = 1e-14
print_everything = False


def arguments(case: Any) -> dict[str, Any]:
    """Arguments of from_batches for a reference case: columns by name, and the table with them."""
    return {"weights": case.spec.get("weights"), "offset": case.spec.get("offset"),
            "contrasts": case.model["contrasts"]}


@functools.cache
def whole(name: str) -> pm.LMMSolution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(name).fit(tol=TIGHT)


def fitted(cp: pm.CrossProducts, reml: bool) -> pm.LMMSolution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cp.fit(reml=reml, tol=TIGHT)


def check(name, cp):
    found = gaps(fitted(cp, load(name).spec["REML"]), whole(name))
    print(name, {k: f"{v:.1e}" for k, v in found.items()})


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n_pieces", [1, 2, 7])
def test_pieces_equal_the_whole(name, n_pieces):
    case = load(name)
    cp = pm.CrossProducts.from_batches(case.formula, cut(case.frame, n_pieces, seed=1), **arguments(case))
    check(name, cp)
