"""Fits whose numbers go to standard output as JSON, to be compared between processes."""

import json
import sys
import warnings
from typing import Any

import many_cases
import numpy as np

import pymixed as pm


def numbers(fit: Any) -> dict[str, Any]:
    """What a fit or many fits have found."""
    return {"log_likelihood": np.asarray(fit.log_likelihood).tolist(), "theta": fit.theta.tolist(),
            "coefficients": fit.coefficients.tolist(), "se": fit.se.tolist()}


def crossed(rows: int = 4000, persons: int = 300, items: int = 260) -> Any:
    """A random slope crossed with so many items that the dense factor has several blocks in every direction."""
    rng = np.random.default_rng(4)
    a, b, x = rng.integers(persons, size=rows), rng.integers(items, size=rows), rng.normal(size=rows)
    y = (1 + (0.4 + rng.normal(0, 0.3, persons)[a]) * x + rng.normal(0, 0.7, persons)[a] + rng.normal(0, 0.5, items)[b]
         + rng.normal(size=rows))
    return pm.lmm(y, np.column_stack([np.ones(rows), x]), {"a": a, "b": b},
                  random_effects={"a": ["1", "x"], "b": ["1"]}, random_data={"x": x})


def main() -> None:
    load = pm.datasets.load
    cbpp, ticks = load("cbpp"), load("grouseticks").assign(height=lambda table: (table["HEIGHT"] - 462) / 100)
    cbpp["healthy"] = cbpp["size"] - cbpp["incidence"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pm.errors.SingularFitWarning)  # some of many
        fits = {
            "linear": pm.lmer("Reaction ~ Days + (Days | Subject)", load("sleepstudy")),
            "crossed": crossed(),
            "binomial": pm.glmer("cbind(incidence, healthy) ~ period + (1 | herd)", cbpp, family="binomial"),
            "quadrature": pm.glmer("cbind(incidence, healthy) ~ period + (1 | herd)", cbpp, family="binomial", n_agq=9),
            "poisson": pm.glmer("TICKS ~ YEAR + height + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)", ticks,
                                family="poisson"),
            "many linear": many_cases.sleepstudy(40).many(),
            "many crossed": many_cases.crossed(10).many(),
            "many poisson": many_cases.counts(10).many(),
        }
    json.dump({"instruction_set": pm.build_info()["instruction_set"],
               **{name: numbers(fit) for name, fit in fits.items()}}, sys.stdout)


if __name__ == "__main__":
    main()
