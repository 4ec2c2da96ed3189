"""The design that many responses share: read without a response, checked with one that stands for all of them."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from .._checks import check
from .._family import Family
from .._from_arrays import RandomEffects, read_arrays
from .._parts import ModelParts
from ..design import MixedDesign
from ..errors import InputError
from .responses import Given

if TYPE_CHECKING:
    from .._common import Array
    from .._model_matrix import Contrast

def placeholder(n: int, family: Family | None) -> Array:
    """A response (n,) that suits the family, always the same, so that no analysis depends on those of the user."""
    return _core.placeholder_response(n, family is not None and family.distribution.discrete)


def formula_design(formula: str, data: Any, given: Given, contrasts: Mapping[str, Contrast] | None, na_action: str,
                   family: Family | None, zi: str | None) -> MixedDesign:
    """The design of a formula; see `pymixed.fit_many`. Its response is a placeholder."""
    from .._from_formula import read_formula  # formulaic and pandas are slow to import

    return _checked(read_formula(formula, data, given.design_weights, given.design_offset, contrasts, na_action, family,
                                 zi, lambda n: placeholder(n, family)), family, given)


def array_design(X: ArrayLike, groups: Mapping[str, ArrayLike], random_effects: RandomEffects | None,
                 random_data: Mapping[str, ArrayLike] | None, given: Given, na_action: str,
                 family: Family | None) -> MixedDesign:
    """The design of arrays; see `pymixed.fit_many_arrays`. Its response is a placeholder."""
    if np.ndim(X) != 2:
        raise InputError(f"X: expected shape (n, p), got {np.shape(X)}")
    y = placeholder(len(np.asarray(X)), family)
    return _checked(read_arrays(y, X, groups, random_effects, random_data, given.design_weights, given.design_offset,
                                na_action, family), family, given)


def _checked(parts: ModelParts, family: Family | None, given: Given) -> MixedDesign:
    """The parts as a design; the responses' own weights allow what the design's weights do."""
    check(parts if given.weights is None else replace(parts, weights=np.full(parts.n, 2.0)), family)
    return MixedDesign(**vars(parts))
