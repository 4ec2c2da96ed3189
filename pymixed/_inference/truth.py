"""The parameters that responses are simulated with, as the user gives them: arrays, or mappings by name."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .._common import Array, check_number
from .._family import Family
from .._solution import parameter_vector
from ..design import MixedDesign
from ..errors import InputError
from ..inference import theta_names
from .resampling import ModelPoint


@dataclass(frozen=True)
class ParameterNames:
    """Names of the parameters of a model, by the argument that gives them.

    Attributes
    ----------
    blocks : dict of str to tuple of str
        ``"beta"``, ``"theta"``, then ``"sigma"`` of a linear model, ``"family_parameters"`` and ``"zi_beta"`` of a
        generalized one that has them.
    family : Family or None
        None of a linear model.
    """

    blocks: dict[str, tuple[str, ...]]
    family: Family | None

    @classmethod
    def of(cls, design: MixedDesign, coefficient_names: tuple[str, ...], family: Family | None) -> ParameterNames:
        """Names of a model's parameters; `coefficient_names` are those of the columns of X that have one."""
        blocks = {"beta": coefficient_names, "theta": theta_names(design.terms)}
        if family is None:
            blocks["sigma"] = ("sigma",)
        else:
            own = {"family_parameters": family.distribution.estimated, "zi_beta": design.zi_names}
            blocks |= {argument: names for argument, names in own.items() if names}
        return cls(blocks, family)

    def read(self, given: Mapping[str, Any], estimates: ModelPoint | None = None) -> ModelPoint:
        """The point that values by argument describe; what they leave out is taken from the estimates.

        Raises
        ------
        InputError, InputTypeError
            An argument or name that the model does not have, a value that is missing, not a number, or out of range.
        """
        given = self._without_constants(given)
        unknown = [argument for argument in given if argument not in self.blocks]
        if unknown:
            raise InputError(f"params: expected out of {', '.join(map(repr, self.blocks))}, got {unknown[0]!r}")
        known = {} if estimates is None else self._natural(estimates)
        values = {argument: self._block(argument, given[argument], names, known.get(argument)) if argument in given
                  else self._known(argument, names, known)
                  for argument, names in self.blocks.items()}
        if self.family is None:
            return ModelPoint(values["theta"], values["beta"], values["sigma"])
        distribution, nothing = self.family.distribution, np.empty(0)
        if estimates is not None and "family_parameters" not in given:
            own = estimates.extra[:len(distribution.estimated)]  # to the last bit
        else:
            own = distribution.unconstrained(values.get("family_parameters", nothing))
        return ModelPoint(values["theta"], values["beta"], np.append(own, values.get("zi_beta", nothing)))

    def _without_constants(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments without parameters that the family fixes at the value given."""
        values = given.get("family_parameters")
        if self.family is None or not isinstance(values, Mapping):
            return given
        fixed = vars(self.family.distribution)
        own = {name: value for name, value in values.items() if value is None or fixed.get(name) != value}
        return {argument: own if argument == "family_parameters" else value for argument, value in given.items()
                if own or argument != "family_parameters"}

    def _natural(self, point: ModelPoint) -> dict[str, Array]:
        """Values of a point by argument."""
        values = {"theta": point.theta, "beta": point.coefficients}
        if self.family is None:
            return values | {"sigma": point.extra}
        own = len(self.family.distribution.estimated)
        return values | {"family_parameters": self.family.distribution.natural_values(point.extra[:own]),
                         "zi_beta": point.extra[own:]}

    def _known(self, argument: str, names: tuple[str, ...], known: Mapping[str, Array]) -> Array:
        if argument not in known:
            raise InputError(f"{argument}: expected a value for {', '.join(map(repr, names))}, got none")
        return known[argument]

    def _block(self, argument: str, values: Any, names: tuple[str, ...], known: Array | None) -> Array:
        """The values of an argument in the order of its names."""
        if argument == "sigma":
            check_number("sigma", values, Real)
            return np.array([float(values)])
        if not isinstance(values, Mapping):
            return parameter_vector(argument, values, names)
        expected = ", ".join(map(repr, names))
        for name in values:
            if name not in names:
                raise InputError(f"{argument}: expected names out of {expected}, got {name!r}")
        if known is None and (missing := [name for name in names if name not in values]):
            raise InputError(f"{argument}: expected values for {expected}, got none for {missing[0]!r}")
        return parameter_vector(argument, [values.get(name, np.nan if known is None else known[j])
                                           for j, name in enumerate(names)], names)
