"""Models that the tests of the bootstrap share."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import pymixed as pm
from pymixed._inference.bootstrap import Bootstrap
from pymixed._inference.resampling import make_plan
from pymixed.errors import PymixedWarning

Array = NDArray[Any]

# What the responses of `counts` are drawn as, and how each is fitted.
GENERALIZED: dict[str, dict[str, Any]] = {
    "poisson": {"formula": "count ~ x + (1 | g) + (1 | h)", "family": "poisson"},
    "poisson, n_agq=0": {"formula": "count ~ x + (1 | g)", "family": "poisson", "n_agq": 0},
    "poisson, n_agq=5": {"formula": "count ~ x + (1 | g)", "family": "poisson", "n_agq": 5},
    "poisson, offset": {"formula": "count ~ x + offset(x) + (1 | g)", "family": "poisson"},
    "poisson, zero inflation": {"formula": "zeros ~ x + (1 | g)", "family": "poisson", "zi": "~ x"},
    "negative_binomial": {"formula": "over ~ x + (1 | g)", "family": "negative_binomial"},
    "negative_binomial1": {"formula": "over ~ x + (1 | g)", "family": "negative_binomial1"},
    "binomial": {"formula": "binary ~ x + (1 | g)", "family": "binomial"},
    "binomial, trials": {"formula": "share ~ x + (x | g)", "family": "binomial", "weights": "trials"},
    "gamma": {"formula": "positive ~ x + (1 | g)", "family": pm.families.Gamma(link="log")},
    "inverse_gaussian": {"formula": "positive ~ x + (1 | g)", "family": pm.families.InverseGaussian(link="log")},
    "beta": {"formula": "part ~ x + (1 | g)", "family": "beta"},
    "tweedie": {"formula": "amount ~ x + (1 | g)", "family": "tweedie"},
    "student_t": {"formula": "heavy ~ x + (1 | g)", "family": "student_t"},
}


def counts() -> pd.DataFrame:
    """200 rows with a response of every kind."""
    rng, n = np.random.default_rng(7), 200
    frame = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) % 20, "h": rng.integers(0, 8, n)})
    frame["trials"] = 1 + np.arange(n) % 5
    eta = 0.4 + 0.4 * frame.x + 0.5 * rng.normal(size=20)[frame.g] + 0.4 * rng.normal(size=8)[frame.h]
    mu, p = np.exp(eta), 1.0 / (1.0 + np.exp(-eta))
    frame["count"] = rng.poisson(mu)
    frame["over"] = rng.negative_binomial(2, 2 / (2 + mu))
    frame["zeros"] = rng.poisson(2 * mu) * (rng.random(n) > 0.3)
    frame["binary"] = rng.binomial(1, p)
    frame["share"] = rng.binomial(frame.trials, p) / frame.trials
    frame["positive"] = rng.gamma(3.0, mu / 3)
    frame["part"] = np.clip(rng.beta(5 * p, 5 * (1 - p)), 1e-9, 1 - 1e-9)
    frame["amount"] = rng.gamma(np.maximum(frame["count"], 1e-9), 1.0) * (frame["count"] > 0)
    frame["heavy"] = eta + 0.3 * rng.standard_t(5, n)
    return frame


def quiet(function: Any, *arguments: Any, **options: Any) -> Any:
    """The call without the package's warnings: refits are often singular, that is not the point here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return function(*arguments, **options)


def generalized(name: str) -> Any:
    return quiet(pm.glmer, data=counts(), **GENERALIZED[name])


def resampler_of(fit: Any) -> Any:
    return fit._engine.resampler(fit._design, fit._model_point())


def responses_of(fit: Any, count: int, seed: int = 1, first: int = 0) -> Array:
    """Responses (n, count) of a parametric bootstrap."""
    return resampler_of(fit).responses(make_plan(fit._design, "parametric", seed, None, 1), first, count)


def refitted(fit: Any, y: Array) -> Any:
    """The model fitted to another response by the ordinary way, from the ordinary start."""
    return quiet(fit._engine.refit, replace(fit._design, y=np.ascontiguousarray(y)))


def assert_same_bits(one: Bootstrap, other: Bootstrap) -> None:
    for name in ("model", "kind", "names", "statuses"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("estimates", "estimates_se", "values", "coefficients", "se", "theta", "extra", "objective", "status",
                 "n_evaluations", "seed", "number"):
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype == second.dtype
        assert first.shape == second.shape
        assert first.tobytes() == second.tobytes(), name
