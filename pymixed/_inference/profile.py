"""Profile likelihoods of the parameters of a fitted model, and intervals from them."""
from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._common import Array, check_choice
from .._plots.profiles import ShownProfile, draw_density, draw_zeta
from ..errors import InputError, ProfileWarning
from .intervals import PERFECT, EstimatedModel, Limits, Parameter, interval_table, normal_quantile
from .profile_branch import FISHER, IDENTITY, LOGARITHM, Branch, ProfileError, ProfilePoint, Scale
from .progress import progress_bar
from .variance_parameters import variance_values

if TYPE_CHECKING:
    import pandas as pd

POINTS_PER_SIDE = 8

# A criterion lower than the fit's by more than this, in its own units, is another minimum.
LOWER = 1e-6


@dataclass(eq=False)
class Curve:
    """The profile of one parameter: its two sides, none where the estimate is not defined."""

    parameter: Parameter
    branches: tuple[Branch, ...]

    @property
    def points(self) -> list[ProfilePoint]:
        """All points, by value."""
        return [point for branch in self.branches
                for point in (reversed(branch.points) if branch.direction < 0.0 else branch.points[1:])]

    def zeta(self, values: Array) -> Array:
        """Interpolated by cubics through the points with their slopes; NaN beyond them."""
        result = np.full(values.shape, np.nan)
        for branch in self.branches:
            for i, value in np.ndenumerate(values):
                if branch.direction * (value - branch.origin.value) >= 0.0:
                    result[i] = branch.direction * branch.interpolate(float(value))
        return result


def curve(model: EstimatedModel, parameter: Parameter) -> Curve:
    """The profile of a parameter, of which only the estimate is known yet."""
    if np.isnan(parameter.estimate):
        return Curve(parameter, ())
    coordinates = model.point if model.sigma is None else np.append(model.point, np.log(model.sigma))
    branches = []
    for direction in (-1.0, 1.0):
        scale, bound = _scale_and_bound(parameter, direction)
        at_bound = abs(parameter.estimate - bound) <= 1.0 - PERFECT
        value = bound if at_bound else parameter.estimate
        origin = ProfilePoint(0.0, 0.0, parameter.se / scale.slope(value), value, coordinates, model.coefficients)
        branches.append(Branch(partial(model.engine.constrained_fit, parameter.kind, parameter.place), model.objective,
                               scale, direction, bound, parameter.tangent, _first_step(model, parameter), [origin],
                               model.objective))
    return Curve(parameter, tuple(branches))


def _scale_and_bound(parameter: Parameter, direction: float) -> tuple[Scale, float]:
    """The scale on which zeta is about straight, where the estimate is well away from the end of the range."""
    if parameter.kind == "cor":
        return FISHER if parameter.se < 1.0 - parameter.estimate**2 else IDENTITY, direction
    if parameter.kind == "sigma":
        return LOGARITHM, direction * np.inf
    if parameter.kind == "sd" and direction < 0.0:
        return IDENTITY, 0.0
    return LOGARITHM if parameter.kind == "sd" and parameter.se < 0.5 * parameter.estimate else IDENTITY, \
        direction * np.inf


def _first_step(model: EstimatedModel, parameter: Parameter) -> float:
    """From an estimate whose standard error is not known."""
    if parameter.kind == "cor":
        return 0.2
    if parameter.kind == "sd":
        size = float(model.reaches[parameter.place[0]][parameter.place[1]])
        return 0.3 * (1.0 if model.sigma is None else model.sigma) / max(size, 1e-300)
    return max(0.1 * abs(parameter.estimate), 1.0)


def curves(model: EstimatedModel, names: str | Iterable[str] | None) -> list[Curve]:
    """The profiles of parameters by name.

    Raises
    ------
    InputError
        If a name is unknown, or the criterion has no such parameter.
    """
    chosen = model.select(names)
    if model.profiled and any(parameter.kind == "coefficient" for parameter in chosen):
        others = [parameter.name for parameter in model.parameters if parameter.kind != "coefficient"]
        raise InputError("parameters: expected parameters other than the coefficients after a fit with n_agq=0, whose "
                         f"criterion has them at their minimum; fit with n_agq=1, or ask for parameters={others}")
    return [curve(model, parameter) for parameter in chosen]


def profile_limits(found: Sequence[Curve], target: float) -> list[Limits]:
    """Where zeta is -target and target, in natural units; warns of what it does not find."""
    limits, lost = [], []
    for one in found:
        ends = [np.nan, np.nan]
        for i, branch in enumerate(one.branches):
            try:
                ends[i] = branch.limit(target)
            except ProfileError:
                lost.append(one.parameter.name)
        lower, upper = one.parameter.natural(ends)
        limits.append((float(lower), float(upper)))
    _warn_of_failures(found, lost, "limits of the profiles of {} were not found")
    return limits


def _warn_of_failures(found: Sequence[Curve], lost: Iterable[str], message: str) -> None:
    """Warn of parameters that could not be profiled, and of a minimum below the one that the fit found."""
    undefined = [one.parameter.name for one in found if not one.branches]
    if undefined:
        _warn(f"not defined at the estimates, where a standard deviation is zero: {', '.join(undefined)}")
    if lost := list(dict.fromkeys(lost)):
        _warn(message.format(", ".join(lost)))
    gap = max((branch.minimum - branch.lowest for one in found for branch in one.branches), default=0.0)
    if gap > LOWER:
        _warn(f"a profile falls {gap:.2g} below the criterion of the fit (-2 log-likelihood), which is not at its "
              "minimum; fit again with another optimizer or a smaller tol")


def _warn(message: str) -> None:
    warnings.warn(ProfileWarning(message), stacklevel=5)


@dataclass(frozen=True, eq=False, repr=False)
class Profile:
    """Profile likelihoods of the parameters of a fitted model, as `profile()` returns them.

    The profile of a parameter is D(value), the minimum of minus twice the log-likelihood over all other parameters, as

        zeta(value) = sign(value - estimate) sqrt(D(value) - D(estimate)),

    which is a straight line where the likelihood is normal and has the quantiles of a normal variable at the limits of
    intervals. Parameters are those of `conf_int`.

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    >>> profile = fit.profile()
    >>> profile.conf_int().loc["sigma"].round(2).tolist()
    [22.9, 28.86]
    >>> profile.zeta("Days", [7.0, 12.0]).round(2).tolist()
    [-2.16, 1.01]
    """

    _model: EstimatedModel
    _curves: tuple[Curve, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that are profiled."""
        return tuple(one.parameter.name for one in self._curves)

    @cached_property
    def values(self) -> pd.DataFrame:
        """The points: ``parameter, value, zeta``, and a column per parameter of the model with its value there."""
        import pandas as pd

        model, points = self._model, [(one.parameter, point) for one in self._curves for point in one.points]
        coordinates = np.array([point.coordinates for _, point in points]).reshape(len(points), -1)
        sigma = None if model.sigma is None else np.exp(coordinates[:, -1])
        m = sum(parameter.kind in ("sd", "cor") for parameter in model.parameters)
        values = np.concatenate([one.parameter.natural([point.value for point in one.points]) for one in self._curves])
        zeta = [math.copysign(point.z, point.value - parameter.estimate) for parameter, point in points]
        variance = variance_values(model.terms, coordinates[:, :m], sigma)
        beta = np.array([point.coefficients for _, point in points]).reshape(len(points), -1)
        extra = [parameter.natural(column) for parameter, column in
                 zip((p for p in model.parameters if p.kind in ("family", "zi")),
                     coordinates.T[m + (0 if model.profiled else beta.shape[1]):], strict=False)]
        table = pd.DataFrame(np.column_stack([values, zeta, beta, variance, *extra]),
                             columns=["value", "zeta", *model.names])
        table.insert(0, "parameter", [parameter.name for parameter, _ in points])
        return table

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Profile intervals, as `conf_int(method="profile")` of the fit has them.

        Parameters
        ----------
        level : float
            Between 0 and 1. Beyond the points of the profile new ones are found.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``, a row per parameter.
        """
        return profile_intervals(self._curves, level)

    def zeta(self, parameter: str, values: ArrayLike) -> Array:
        """Signed root of the likelihood ratio of a parameter, interpolated.

        Parameters
        ----------
        parameter : str
        values : array_like
            Of the parameter.

        Returns
        -------
        array
            Of the shape of `values`; NaN beyond the points of the profile.

        Raises
        ------
        InputError
            If the parameter is not profiled.
        """
        for one in self._curves:
            if one.parameter.name == parameter:
                return one.zeta(one.parameter.from_natural(values))
        raise InputError(f"parameter: expected one of {', '.join(self.parameters)}, got {parameter!r}")

    def plot(self, kind: str = "zeta", level: float = 0.95, ax: Any = None, **line: Any) -> Any:
        """Draw the profiles, a panel per parameter whose estimate is defined; needs matplotlib.

        Parameters
        ----------
        kind : str
            ``"zeta"``: a straight line where the likelihood is normal; dotted lines at the quantiles of the level, and
            upright ones at the limits of the interval. ``"density"``: φ(zeta) dzeta/dvalue, the density that makes zeta
            standard normal; the interval is shaded. The area is less than 1 by what lies beyond the points of the
            profile or the end of the parameter's range.
        level : float
            Of the intervals.
        ax : Axes or sequence of Axes, optional
            As many as there are panels; a new figure by default.
        **line
            For `Axes.plot`, which draws the curve.

        Returns
        -------
        Axes or array of Axes

        Raises
        ------
        InputError, InputTypeError
            If the kind or the level is unknown or out of range, or no estimate is defined.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import pymixed as pm
        >>> fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
        >>> [panel.get_xlabel() for panel in fit.profile().plot()]
        ['(Intercept)', 'sd_(Intercept)|Batch', 'sigma']
        """
        check_choice("kind", kind, ("zeta", "density"))
        z, defined = normal_quantile(level), [one for one in self._curves if one.branches]
        if not defined:
            raise InputError(f"parameters: expected some that are defined at the estimates, got "
                             f"{', '.join(self.parameters)}")
        panels = [ShownProfile(one.parameter.name, one.parameter.natural([point.value for point in one.points]),
                               partial(self.zeta, one.parameter.name), limits)
                  for one, limits in zip(defined, profile_limits(defined, z), strict=True)]
        return draw_zeta(panels, z, ax, line) if kind == "zeta" else draw_density(panels, ax, line)

    def __repr__(self) -> str:
        n_points = sum(len(one.points) for one in self._curves)
        return f"<Profile of {', '.join(self.parameters)}: {n_points} points>"


def profile_intervals(found: Sequence[Curve], level: float) -> pd.DataFrame:
    """Table of profile intervals."""
    limits = profile_limits(found, normal_quantile(level))
    return interval_table([one.parameter for one in found], limits)


def profile_model(model: EstimatedModel, names: str | Iterable[str] | None, level: float,
                  progress: bool = False) -> Profile:
    """Profiles out to the joint region of a level, with a progress bar if wanted."""
    from scipy.special import chdtri

    normal_quantile(level)  # checks it
    found = curves(model, names)
    reach = float(np.sqrt(chdtri(len(model.parameters), 1.0 - level)))
    lost = []
    branches = [(one.parameter.name, branch) for one in found for branch in one.branches]
    with progress_bar(len(branches), "side", progress) as advance:
        for name, branch in branches:
            try:
                branch.extend(reach, POINTS_PER_SIDE)
            except ProfileError:
                lost.append(name)
            advance(1)
    _warn_of_failures(found, lost, "the profiles of {} end early: a point was not found")
    return Profile(model, tuple(found))
