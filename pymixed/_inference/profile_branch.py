"""One side of a profile likelihood: from the estimate of a parameter outwards, to where the likelihood ratio is wanted.

    zeta(value) = sign(value - estimate) sqrt(D(value) - D(estimate)),    D' known exactly at every point

Points are found on a scale on which zeta is nearly straight (logarithms, Fisher's z). There |zeta| is a function z of
the distance t from the estimate. The next point comes from the cubic through two points and their slopes dt/dz =
2 z / D', read off at the z that is wanted: z to within 1e-9 takes three or four points.
"""
from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._common import Array
from .._engine import ConstrainedFit

ACCURACY = 1e-9       # of zeta at a limit
REACH = 2.2           # most that zeta may grow from one point to the next
MOST_POINTS = 40      # of one search
FLAT = 1e-6           # change of zeta over twice the distance at which it has reached its limit
LEAST_SHARE = 0.1     # of the way to the end of the range that is left before the end itself is tried

# Gain of a further step of the iteration, in units of the criterion, that a point may leave where the core gave up: it
# is slow where a standard deviation is about to vanish. At a 95 % limit this is 3e-7 of zeta.
TOLERATED_GAIN = 1e-6


class Scale(NamedTuple):
    """A scale for a parameter's values: to it, from it, and the derivative of the value on it.

    The last is a function of the value.
    """

    to: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]


def _fishers_z(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == 1.0 else math.atanh(value)


def _fishers_slope(value: float) -> float:
    return (1.0 - value) * (1.0 + value)


def _one(_: float) -> float:
    return 1.0


IDENTITY = Scale(float, float, _one)
LOGARITHM = Scale(math.log, math.exp, float)
FISHER = Scale(_fishers_z, math.tanh, _fishers_slope)


@dataclass(frozen=True, eq=False)
class ProfilePoint:
    """A point of a profile.

    Attributes
    ----------
    t : float
        Distance from the estimate on the branch's scale; infinite at an end of the range that the scale does not reach.
    z : float
        Root of the likelihood ratio, never negative.
    dt_dz : float
        Slope of t in z; NaN where it is not known.
    value : float
    coordinates : array
        The criterion's parameters at the minimum, and log(sigma) last for a linear model.
    coefficients : (p,) array
    """

    t: float
    z: float
    dt_dz: float
    value: float
    coordinates: Array
    coefficients: Array


class ProfileError(Exception):
    """A point of a profile that cannot be found."""


@dataclass(eq=False)
class Branch:
    """One side of a profile.

    Attributes
    ----------
    fit : callable
        The criterion minimised with the parameter held at a value, from a start.
    minimum : float
        The criterion at the estimates.
    scale : Scale
    direction : float
        1 for values above the estimate, -1 for those below.
    bound : float
        End of the parameter's range on this side, infinite where it has none.
    tangent : array or None
        Derivative of the coordinates in the value, at the estimate.
    first_step : float
        From the estimate on the scale, where its slope is not known.
    points : list of ProfilePoint
        Outwards from the estimate.
    lowest : float
        Lowest value of the criterion that was met.
    """

    fit: Callable[[float, Array], ConstrainedFit]
    minimum: float
    scale: Scale
    direction: float
    bound: float
    tangent: Array | None
    first_step: float
    points: list[ProfilePoint]
    lowest: float

    @property
    def origin(self) -> ProfilePoint:
        """The estimate."""
        return self.points[0]

    # ---- where to look -----------------------------------------------------------------------------------------------

    def limit(self, target: float) -> float:
        """The value with |zeta| = target; the end of the range, which may be infinite, where zeta stays below.

        Raises
        ------
        ProfileError
            If there is no such value within a bounded number of points.
        """
        if self.origin.value == self.bound:
            return self.bound
        for attempt in range(MOST_POINTS):
            inside, outside = self._bracket(target)
            for point in (inside, outside):
                if point is not None and abs(point.z - target) <= max(ACCURACY, 2e-15 * abs(self.minimum) / target):
                    return point.value
            if outside is None and (inside.value == self.bound or self._is_flat):
                return self.bound
            if outside is None:
                self._step_out(min(target, inside.z + REACH))
            elif not self._step_between(inside, outside, target, halve=attempt % 8 == 7):
                return outside.value
        raise ProfileError

    def extend(self, target: float, n_points: int) -> None:
        """Add points about equally spaced in zeta until it reaches the target or the range ends.

        Raises
        ------
        ProfileError
            If the target is not reached within a bounded number of points.
        """
        if self.origin.value == self.bound:
            return
        spacing = target / n_points
        for _ in range(MOST_POINTS + n_points):
            last = self.points[-1]
            if last.z >= target - 0.1 * spacing or last.value == self.bound or self._is_flat:
                return
            self._step_out(min(target, last.z + spacing))
        raise ProfileError

    @property
    def _is_flat(self) -> bool:
        """Whether twice the distance has changed nothing: a range without an end that the likelihood levels off in."""
        if len(self.points) < 2 or math.isfinite(self.bound):
            return False
        before, last = self.points[-2:]
        return last.t > 2.0 * before.t > 0.0 and last.z - before.z < FLAT

    def _bracket(self, target: float) -> tuple[ProfilePoint, ProfilePoint | None]:
        """The last point before the target is reached for the first time, and the one after it."""
        for inside, outside in zip(self.points, self.points[1:], strict=False):
            if outside.z >= target:
                return inside, outside
        return self.points[-1], None

    def _step_out(self, z: float) -> None:
        """Add a point beyond the last one, where z is expected."""
        last = self.points[-1]
        if len(self.points) == 1:
            slope = last.dt_dz
            t = slope * z if math.isfinite(slope) and slope > 0.0 else self.first_step
        else:
            before = self.points[-2]
            stride = last.t - before.t
            t = _inverse_hermite(before, last, z)
            if not t > last.t:
                t = last.t + (z - last.z) * last.dt_dz
            # a flat or falling profile: twice as far as before
            t = min(t, last.t + 4.0 * stride) if t > last.t else last.t + 2.0 * stride
        if math.isfinite(self.bound):
            value = self._value(t)
            left, gap = self.direction * (self.bound - value), self.direction * (self.bound - last.value)
            if left < LEAST_SHARE * gap:
                self._add(self.bound)
                return
        self._add(self._value(t))

    def _step_between(self, inside: ProfilePoint, outside: ProfilePoint, z: float, halve: bool) -> bool:
        """Add a point between two; false where they are as close as numbers can be."""
        if outside.t - inside.t <= 4e-15 * max(1.0, abs(self.scale.to(self.origin.value)), inside.t):
            return False
        if math.isinf(outside.t):
            # no part of the scale: at most most of the way there
            t = inside.t + (z - inside.z) * inside.dt_dz
            farthest = outside.value - LEAST_SHARE * (outside.value - inside.value)
            if not (inside.t < t < self._t(farthest)):
                t = self._t(farthest)
        else:
            t = _inverse_hermite(inside, outside, z)
            if not inside.t < t < outside.t:
                t = inside.t + (z - inside.z) * inside.dt_dz
            if not inside.t < t < outside.t:
                t = inside.t + (z - inside.z) / (outside.z - inside.z) * (outside.t - inside.t)
            if halve or not inside.t < t < outside.t:
                t = 0.5 * (inside.t + outside.t)
        self._add(self._value(t))
        return True

    def _value(self, t: float) -> float:
        value = self.scale.back(self.scale.to(self.origin.value) + self.direction * t)
        return min(value, self.bound) if self.direction > 0.0 else max(value, self.bound)

    def _t(self, value: float) -> float:
        return self.direction * (self.scale.to(value) - self.scale.to(self.origin.value))

    def interpolate(self, value: float) -> float:
        """The size of zeta at a value, by the cubic between the points around it; NaN beyond them."""
        t = self._t(value) if self.direction * (self.bound - value) >= 0.0 else math.nan
        for a, b in zip(self.points, self.points[1:], strict=False):
            if a.t <= t <= b.t:
                return _hermite(a, b, t)
        return 0.0 if t == 0.0 else math.nan

    # ---- what is there -----------------------------------------------------------------------------------------------

    def _add(self, value: float) -> None:
        """The point at a value, found from where its neighbours lead to, else from one of them."""
        t = self._t(value)
        nearest = min(self.points, key=lambda point: abs(point.t - t))
        for start in (self._predict(t), nearest.coordinates, self.origin.coordinates):
            found = self.fit(value, start)
            if found.status == "success" or found.expected_gain < TOLERATED_GAIN:
                break
        else:
            raise ProfileError
        self.lowest = min(self.lowest, found.deviance)
        z = math.sqrt(max(found.deviance - self.minimum, 0.0))
        rise = self.direction * found.slope * self.scale.slope(value)  # dD/dt
        dt_dz = 2.0 * z / rise if math.isfinite(t) and rise > 0.0 else math.nan
        insort(self.points, ProfilePoint(t, z, dt_dz, value, found.coordinates, found.coefficients),
               key=lambda point: point.t)

    def _predict(self, t: float) -> Array:
        """Coordinates at t by polynomials through up to three points, and the tangent at the estimate."""
        points = sorted((point for point in self.points if math.isfinite(point.t)), key=lambda point: abs(point.t - t))
        origin = self.origin
        if not math.isfinite(t):
            return points[0].coordinates
        if len(points) < 3 and self.tangent is not None:
            tangent = self.direction * self.scale.slope(origin.value) * self.tangent
            predicted = origin.coordinates + t * tangent
            if len(points) == 2:
                other = self.points[1]
                bend = other.coordinates - origin.coordinates - other.t * tangent
                predicted = predicted + (t / other.t) ** 2 * bend
            return np.asarray(predicted)
        if len(points) == 1:
            return origin.coordinates
        first, second = points[:2]
        slope = (second.coordinates - first.coordinates) / (second.t - first.t)
        predicted = first.coordinates + (t - first.t) * slope
        if len(points) > 2:
            third = points[2]
            bend = ((third.coordinates - second.coordinates) / (third.t - second.t) - slope) / (third.t - first.t)
            predicted = predicted + (t - first.t) * (t - second.t) * bend
        return np.asarray(predicted)


def _inverse_hermite(a: ProfilePoint, b: ProfilePoint, z: float) -> float:
    """Distance t at z by the cubic through two points with their slopes; NaN where it is not known."""
    h = b.z - a.z
    if not h > 0.0:
        return math.nan
    x = (z - a.z) / h
    rise = b.t - a.t
    return float(a.t + rise * x**2 * (3.0 - 2.0 * x)
                 + h * x * (x - 1.0) * ((x - 1.0) * a.dt_dz + x * b.dt_dz))


def _hermite(a: ProfilePoint, b: ProfilePoint, t: float) -> float:
    """Root z at t by the cubic through two points with their slopes, by the line where one is not known."""
    h = b.t - a.t
    if not math.isfinite(h):
        return b.z if t == b.t else math.nan
    x, rise = (t - a.t) / h, b.z - a.z
    secant = h / rise if rise > 0.0 else math.inf
    start, end = (h / (dt_dz if dt_dz > 0.0 else secant) for dt_dz in (a.dt_dz, b.dt_dz))
    return float(a.z + rise * x**2 * (3.0 - 2.0 * x) + x * (x - 1.0) * ((x - 1.0) * start + x * end))
