"""A family: a distribution composed with a link."""
from __future__ import annotations

from dataclasses import dataclass

from ._common import Array, check_choice
from ._distributions import Distribution
from ._links import LINKS, Link


def find_link(name: str, distribution: Distribution) -> Link:
    """The link of a name, where it suits the distribution."""
    name = "1/mu^2" if name == "inverse_squared" else name
    check_choice(f"link of the {distribution.name} family", name, distribution.links)
    return LINKS[name]


@dataclass(frozen=True, repr=False)
class Family:
    """Conditional distribution of the response: a distribution with the mean mu, and a link g, eta = g(mu).

    Made by its subclasses in `pymixed.families`; equal to another of the same class with the same link and constants.

    Attributes
    ----------
    distribution : Distribution
        What the mean and the family's parameters make of the response.
    link : Link
        What the linear predictor makes of the mean.
    """

    distribution: Distribution
    link: Link

    @property
    def name(self) -> str:
        """Name of the distribution."""
        return self.distribution.name

    @property
    def link_name(self) -> str:
        """Name of the link, as R spells it."""
        return self.link.name

    def mean(self, eta: Array) -> Array:
        """Mean of the response (n,) at a linear predictor (n,)."""
        return self.link.inverse(eta)

    def __repr__(self) -> str:
        fixed = "".join(f", {name}={value!r}" for name, value in vars(self.distribution).items() if value is not None)
        return f"{type(self).__name__}(link={self.link_name!r}{fixed})"
