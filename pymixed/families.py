"""Families of generalized linear mixed models: `pm.glmer(..., family=pm.families.Binomial(link="probit"))`.

A family is the distribution of the response given its mean mu, composed with a link, eta = g(mu). Links are named as
in R: ``logit``, ``probit``, ``cloglog``, ``cauchit``, ``log``, ``sqrt``, ``inverse``, ``1/mu^2``, ``identity``; a
wrong one is an error that lists those that suit the family. Parameters of a family that are not fixed here are
estimated together with the model, by maximum likelihood.
"""
from __future__ import annotations

from collections.abc import Callable
from numbers import Real

from . import _distributions as distributions
from ._custom import Custom
from ._family import Family, find_link
from .errors import InputError, InputTypeError

__all__ = [
    "Beta",
    "Binomial",
    "Custom",
    "Family",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "NegativeBinomial",
    "NegativeBinomial1",
    "Poisson",
    "StudentT",
    "Tweedie",
    "resolve",
]


class _Named(Family):
    """A family of a known distribution."""

    def __init__(self, distribution: distributions.Distribution, link: str) -> None:
        super().__init__(distribution, find_link(link, distribution))


class Binomial(_Named):
    """Successes in a number of trials, or a binary response.

    The response is ``cbind(success, failure)`` in a formula or two such columns, a proportion with the trials as
    weights, 0 and 1, booleans, or a factor with two levels, of which the first is the failure. Variance
    mu (1 - mu) / trials.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog", "cauchit", "log"}

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.Binomial("probit")
    Binomial(link='probit')
    """

    def __init__(self, link: str = "logit") -> None:
        super().__init__(distributions.Binomial(), link)


class Poisson(_Named):
    """Counts with variance mu.

    Parameters
    ----------
    link : {"log", "sqrt", "inverse", "1/mu^2", "identity"}

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.Poisson().link_name
    'log'
    """

    def __init__(self, link: str = "log") -> None:
        super().__init__(distributions.Poisson(), link)


class NegativeBinomial(_Named):
    """Counts with variance mu + mu² / shape, known as NB2; `dispersion` of a fit is the shape (R's theta or size).

    Parameters
    ----------
    link : {"log", "sqrt", "inverse", "1/mu^2", "identity"}
    shape : float, optional
        Positive; estimated by default.

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.NegativeBinomial(shape=1.5)
    NegativeBinomial(link='log', shape=1.5)
    """

    def __init__(self, link: str = "log", shape: float | None = None) -> None:
        super().__init__(distributions.NegativeBinomial(_constant("shape", shape, 0.0, float("inf"))), link)


class NegativeBinomial1(_Named):
    """Counts with variance mu (1 + dispersion), known as NB1.

    Parameters
    ----------
    link : {"log", "sqrt", "inverse", "1/mu^2", "identity"}

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.NegativeBinomial1()
    NegativeBinomial1(link='log')
    """

    def __init__(self, link: str = "log") -> None:
        super().__init__(distributions.NegativeBinomial1(), link)


class Gamma(_Named):
    """Positive numbers with variance dispersion mu².

    The fit is by maximum likelihood in all parameters, as glmmTMB's; lme4's criterion for this family is another.

    Parameters
    ----------
    link : {"inverse", "log", "sqrt", "1/mu^2", "identity"}
        The default is R's; ``"log"`` keeps means positive whatever the linear predictor.

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.Gamma("log")
    Gamma(link='log')
    """

    def __init__(self, link: str = "inverse") -> None:
        super().__init__(distributions.Gamma(), link)


class InverseGaussian(_Named):
    """Positive numbers with variance dispersion mu³.

    Parameters
    ----------
    link : {"1/mu^2", "inverse", "log", "sqrt", "identity"}
        The default is R's; ``"log"`` keeps means positive whatever the linear predictor.

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.InverseGaussian()
    InverseGaussian(link='1/mu^2')
    """

    def __init__(self, link: str = "1/mu^2") -> None:
        super().__init__(distributions.InverseGaussian(), link)


class Beta(_Named):
    """Numbers strictly between 0 and 1 with variance mu (1 - mu) / (1 + precision); `dispersion` is the precision.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog", "cauchit", "log"}

    References
    ----------
    Ferrari & Cribari-Neto (2004), Beta regression for modelling rates and proportions, J. Appl. Stat. 31(7).

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.Beta()
    Beta(link='logit')
    """

    def __init__(self, link: str = "logit") -> None:
        super().__init__(distributions.Beta(), link)


class Gaussian(_Named):
    """Numbers with variance dispersion; with the identity link this is a linear mixed model by maximum likelihood.

    Parameters
    ----------
    link : {"identity", "log", "sqrt", "inverse", "1/mu^2"}

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.Gaussian("log")
    Gaussian(link='log')
    """

    def __init__(self, link: str = "identity") -> None:
        super().__init__(distributions.Gaussian(), link)


class StudentT(_Named):
    """mu plus a scaled t variable: robust against outliers; `dispersion` is the squared scale.

    Parameters
    ----------
    link : {"identity", "log", "sqrt", "inverse", "1/mu^2"}
    df : float, optional
        Degrees of freedom, positive; estimated by default.

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.StudentT(df=4)
    StudentT(link='identity', df=4.0)
    """

    def __init__(self, link: str = "identity", df: float | None = None) -> None:
        super().__init__(distributions.StudentT(_constant("df", df, 0.0, float("inf"))), link)


class Tweedie(_Named):
    """Zeros and positive numbers with variance dispersion mu^power: a Poisson number of gamma variables added up.

    Parameters
    ----------
    link : {"log", "sqrt", "inverse", "1/mu^2", "identity"}
    power : float, optional
        Between 1 and 2; estimated by default.

    References
    ----------
    Dunn & Smyth (2005), Series evaluation of Tweedie exponential dispersion model densities, Stat. Comput. 15.

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.Tweedie(power=1.6)
    Tweedie(link='log', power=1.6)
    """

    def __init__(self, link: str = "log", power: float | None = None) -> None:
        super().__init__(distributions.Tweedie(_constant("power", power, 1.0, 2.0)), link)


# the first name of each is the one that messages list
_NAMES: dict[Callable[[], Family], tuple[str, ...]] = {
    Binomial: ("binomial",),
    Poisson: ("poisson",),
    NegativeBinomial: ("negative_binomial", "nbinom2"),
    NegativeBinomial1: ("nbinom1", "negative_binomial1"),
    Gamma: ("gamma",),
    InverseGaussian: ("inverse_gaussian", "inverse.gaussian"),
    Beta: ("beta",),
    Gaussian: ("gaussian",),
    StudentT: ("t", "student_t"),
    Tweedie: ("tweedie",),
}
_FAMILIES = {name: family for family, names in _NAMES.items() for name in names}


def resolve(family: str | Family) -> Family:
    """The family that an argument `family` means.

    Parameters
    ----------
    family : str or Family
        A name, then with the family's default link and all parameters estimated; R's spellings ``"Gamma"``,
        ``"inverse.gaussian"``, ``"nbinom2"``, ``"nbinom1"``, ``"t"`` are known. Or a family, which is returned.

    Returns
    -------
    Family

    Raises
    ------
    InputError
        An unknown name; lists the known ones.
    InputTypeError
        Neither a name nor a family.

    Examples
    --------
    >>> import pymixed as pm
    >>> pm.families.resolve("Gamma")
    Gamma(link='inverse')
    """
    if isinstance(family, Family):
        return family
    if not isinstance(family, str):
        raise InputTypeError(f"family: expected a name or a family such as pymixed.families.Poisson(), got {family!r}")
    if family.lower() not in _FAMILIES:
        known = ", ".join(repr(names[0]) for names in _NAMES.values())
        raise InputError(f"family: expected one of {known}, or a family of pymixed.families, got {family!r}")
    return _FAMILIES[family.lower()]()


def _constant(name: str, value: object, low: float, high: float) -> float | None:
    """A parameter that a user fixed, checked."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(f"{name}: expected a number or None, got {value!r}")
    if not low < float(value) < high:
        expected = "a positive number" if high == float("inf") else f"a number between {low:g} and {high:g}"
        raise InputError(f"{name}: expected {expected}, got {value!r}")
    return float(value)
