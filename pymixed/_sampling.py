"""Families as the core has them, and responses drawn from them."""
from __future__ import annotations

import numpy as np

from . import _core
from ._common import Array
from ._custom import Custom
from ._distributions import NegativeBinomial, StudentT, Tweedie
from ._family import Family
from .errors import InputError


def core_family(family: Family, zero_inflated: bool) -> _core.Family:
    """A family with its constants in the core's form."""
    if isinstance(family, Custom):
        made = _core.custom_family(family.functions, False)
    else:
        distribution, shape, power = family.distribution, None, None
        if isinstance(distribution, NegativeBinomial):
            shape = distribution.shape
        elif isinstance(distribution, StudentT):
            shape = distribution.df
        elif isinstance(distribution, Tweedie):
            power = distribution.power
        made = _core.make_family(distribution.name, family.link.core_name, shape, power)
    return _core.zero_inflated(made) if zero_inflated else made


def check_sampled(family: Family) -> None:
    """Refuse a family that responses cannot be drawn from."""
    if isinstance(family, Custom):
        raise InputError(f"family: expected one of the package's own to simulate responses from, got {family!r}, whose "
                         "distribution is only known by its density; a cluster bootstrap simulates nothing")


def respond(family: Family | None, eta: Array, zeta: Array | None, weights: Array | None, extra: Array, seed: int,
            stream: int) -> Array:
    """A response of any rows given their linear predictors; see `_engine.Criterion`."""
    if family is None:
        normal = _core.make_family("gaussian", "identity", None, None)
        return normal.simulate(eta, None, weights, 2.0 * np.log(extra), seed, stream)
    check_sampled(family)
    sampled = core_family(family, zeta is not None)
    return sampled.simulate(eta, zeta, weights, extra[:sampled.n_parameters], seed, stream)
