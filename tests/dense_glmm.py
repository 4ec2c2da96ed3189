"""Generalized linear mixed models by their definition: dense, slow, obvious. The judge of the package's algebra.

    eta = offset + X beta + Z Lambda(theta) u,   u ~ N(0, I_q),   y | u ~ f(y | eta, extra)

    u~ maximises sum_i w_i log f(y_i | eta_i) - |u|^2 / 2                (beta given; n_agq = 0: over beta too)
    M = Lambda'Z' W Z Lambda + I,   W = diag(-w d^2 log f / d eta^2) at u~        ("expected": `information`)
    criterion = -2 sum_i w_i log f(y_i | eta~_i) + |u~|^2 + log|M|                (Laplace)

Adaptive Gauss-Hermite quadrature takes the nodes u~ + R z of every group, R = L^-T with M_g = LL'; `integral` takes the
likelihood itself by brute force. All constants of f are counted, so that the criterion is -2 log-likelihood.

A family is written once, as log f, and works for complex eta: its derivatives are the Taylor coefficients that the
values on a circle around eta give (Cauchy's formula), good to about 13 digits.

Parameters in `extra` are unconstrained, the family's first (logarithms of a shape, dispersion, precision or variance;
logit(power - 1)), then the coefficients of the zero inflation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import factorial
from typing import Any

import numpy as np
from dense import DenseTerm, parameter_directions
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[Any]

NEWTON_STEPS = 500


# ---- derivatives -----------------------------------------------------------------------------------------------------

def derivatives(f: Callable[[Array], Array], x: Array, order: int = 2, radius: Any = 0.25,
                points: int = 32) -> list[Array]:
    """[f, f', f'', ...] at real x of an f analytic around it, entry by entry.

    An entry's radius is halved until the Taylor series has converged on its circle, which a singularity inside it
    would prevent: the mean of f times exp(-ikt) is then the k-th coefficient times radius^k.
    """
    turn = np.exp(2j * np.pi * np.arange(points) / points).reshape(-1, *[1] * x.ndim)
    radius, centre = np.broadcast_to(radius, x.shape), f(x)
    for _ in range(30):
        with np.errstate(all="ignore"):
            around = f(x + radius * turn)
            series = np.fft.fft(around - centre, axis=0) / points
        tail = np.abs(series[points // 2:]).max(0)
        noise = 1e-9 * np.abs(around - centre).max(0) + 1e-14 * np.abs(centre)
        rough = ~(tail <= noise)
        if not rough.any():
            break
        radius = np.where(rough, radius / 2, radius)
    return [centre, *(series[k].real * factorial(k) / radius**k for k in range(1, order + 1))]


def five_point(f: Callable[[Array], Any], x: ArrayLike, step: ArrayLike = 1e-3) -> Array:
    """Derivatives of f (a number or an array) by every entry of x, on the last axis; error about f''''' step^4 / 30."""
    x = np.asarray(x, float)
    columns = []
    for direction, h in zip(np.eye(len(x)), np.broadcast_to(step, x.shape), strict=True):
        values = [np.asarray(f(x + k * h * direction)) for k in (-2, -1, 1, 2)]
        columns.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h))
    return np.stack(columns, axis=-1)


# ---- links -----------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Link:
    """mu(eta), its inverse, 1 - mu, log mu and log(1 - mu), the last four without cancellation."""

    inverse: Callable[[Array], Array]
    forward: Callable[[Array], Array]
    complement: Callable[[Array], Array] = lambda eta: np.full_like(eta, np.nan)
    log_inverse: Callable[[Array], Array] | None = None
    log_complement: Callable[[Array], Array] | None = None

    def log_mu(self, eta: Array) -> Array:
        return self.log_inverse(eta) if self.log_inverse else np.log(self.inverse(eta))

    def log_1_mu(self, eta: Array) -> Array:
        return self.log_complement(eta) if self.log_complement else np.log(self.complement(eta))


def _log1p(z: Array) -> Array:
    """log(1 + z) to all digits of a small complex z too, where NumPy's has only those of 1 + z."""
    if not np.iscomplexobj(z):
        return np.log1p(z)
    return 0.5 * np.log1p(z.real * (2 + z.real) + z.imag**2) + 1j * np.arctan2(z.imag, 1 + z.real)


def _log_expit(eta: Array) -> Array:
    small = np.where(eta.real > 0, -eta, eta)
    return np.where(eta.real > 0, 0, eta) - _log1p(np.exp(small))


def _cauchit(eta: Array) -> Array:
    far = eta.real < -1
    return np.where(far, -np.arctan(1 / np.where(far, eta, -1)), np.pi / 2 + np.arctan(eta)) / np.pi


LINKS = {
    "logit": Link(lambda eta: np.exp(_log_expit(eta)), special.logit, lambda eta: np.exp(_log_expit(-eta)),
                  _log_expit, lambda eta: _log_expit(-eta)),
    "probit": Link(special.ndtr, special.ndtri, lambda eta: special.ndtr(-eta), special.log_ndtr,
                   lambda eta: special.log_ndtr(-eta)),
    "cloglog": Link(lambda eta: -np.expm1(-np.exp(eta)), lambda mu: np.log(-np.log1p(-mu)),
                    lambda eta: np.exp(-np.exp(eta)), None, lambda eta: -np.exp(eta)),
    "cauchit": Link(_cauchit, lambda mu: np.tan(np.pi * (mu - 0.5)), lambda eta: _cauchit(-eta)),
    "log": Link(np.exp, np.log, lambda eta: -np.expm1(eta), log_inverse=lambda eta: eta),
    "sqrt": Link(np.square, np.sqrt),
    "inverse": Link(lambda eta: 1 / eta, lambda mu: 1 / mu),
    "inverse_squared": Link(lambda eta: 1 / np.sqrt(eta), lambda mu: 1 / mu**2),
    "identity": Link(lambda eta: 1.0 * eta, lambda mu: 1.0 * mu),
}


# ---- families --------------------------------------------------------------------------------------------------------

def _times(y: Array, log_x: Array) -> Array:
    """y log x, zero where y is."""
    return np.where(y == 0, 0, y * np.where(y == 0, 0, log_x))


def _tweedie_log_sum(y: Array, dispersion: float, power: float) -> Array:
    """log f(y | mu = 1), y > 0, as a Poisson number of gamma variables: sum over their number."""
    alpha, rate = (2 - power) / (power - 1), 1 / (dispersion * (2 - power))
    scale = dispersion * (power - 1)
    largest = np.max(y, initial=1.0) ** (2 - power) / (dispersion * (2 - power)) + rate
    k = np.arange(1, 200 + 4 * int(largest))[:, None]
    terms = -rate + k * np.log(rate) - special.gammaln(k + 1) + (k * alpha - 1) * np.log(y) - y / scale \
        - k * alpha * np.log(scale) - special.gammaln(k * alpha)
    return special.logsumexp(terms, axis=0)


@dataclass(frozen=True)
class DenseFamily:
    """A distribution and a link; `shape`, `power`: a parameter that is held instead of estimated."""

    distribution: str
    link: str
    shape: float | None = None
    power: float | None = None

    @property
    def parameter_names(self) -> tuple[str, ...]:
        names = {"negative_binomial": ("log shape",), "negative_binomial1": ("log dispersion",),
                 "gamma": ("log dispersion",), "inverse_gaussian": ("log dispersion",), "beta": ("log precision",),
                 "gaussian": ("log variance",), "student_t": ("log variance", "log df"),
                 "tweedie": ("log dispersion", "logit(power - 1)")}.get(self.distribution, ())
        held = self.shape is not None or self.power is not None
        return names[:-1] if held else names

    @property
    def count(self) -> bool:
        return self.distribution in ("poisson", "negative_binomial", "negative_binomial1")

    @property
    def domain(self) -> str:
        """Predictors for which the link is one to one and the mean one that y may have."""
        if self.link in ("sqrt", "inverse", "inverse_squared"):
            return "positive"
        if self.link == "identity" and self.distribution not in ("gaussian", "student_t"):
            return "positive"
        return "negative" if self.link == "log" and self.distribution in ("binomial", "beta") else "all"

    def contains(self, eta: Array) -> Array:
        """Which real predictors are in the domain."""
        return {"positive": eta > 0, "negative": eta < 0, "all": np.isfinite(eta)}[self.domain]

    def radius(self, eta: Array) -> Any:
        """Where `derivatives` begins: bounded domains end in a singularity at zero."""
        return 0.25 if self.domain == "all" else 0.25 * np.minimum(1, np.abs(eta))

    def mu(self, eta: Array) -> Array:
        return LINKS[self.link].inverse(eta)

    def _natural(self, parameters: ArrayLike) -> list[float]:
        parameters = np.asarray(parameters, float)
        assert len(parameters) == len(self.parameter_names), f"{self.parameter_names} expected, got {parameters}"
        natural = [float(special.expit(value) + 1 if name.startswith("logit") else np.exp(value))
                   for name, value in zip(self.parameter_names, parameters, strict=True)]
        return natural + [value for value in (self.shape, self.power) if value is not None]

    def log_density(self, y: Array, eta: Array, parameters: ArrayLike) -> Array:
        """log f(y | eta); of the proportion y in one trial for the binomial family, whose weights are trials."""
        link, natural = LINKS[self.link], self._natural(parameters)
        if self.distribution == "binomial":
            return _times(y, link.log_mu(eta)) + _times(1 - y, link.log_1_mu(eta))
        mu = link.inverse(eta)
        if self.distribution == "gaussian":
            variance, = natural
            return -((y - mu) ** 2) / (2 * variance) - 0.5 * np.log(2 * np.pi * variance)
        if self.distribution == "student_t":
            variance, df = natural
            return (special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(np.pi * df * variance)
                    - (df + 1) / 2 * _log1p((y - mu) ** 2 / (df * variance)))
        log_mu = link.log_mu(eta)
        if self.distribution == "poisson":
            return _times(y, log_mu) - mu - special.gammaln(y + 1)
        if self.distribution == "negative_binomial":
            k, = natural
            return (special.gammaln(y + k) - special.gammaln(k) - special.gammaln(y + 1)
                    - k * _log1p(mu / k) - _times(y, _log1p(k / mu)))
        if self.distribution == "negative_binomial1":
            phi, = natural
            k = mu / phi
            return (special.loggamma(y + k) - special.loggamma(k) - special.gammaln(y + 1)
                    - k * np.log1p(phi) + y * np.log(phi / (1 + phi)))
        if self.distribution == "gamma":
            shape = 1 / natural[0]
            return shape * (np.log(shape * y) - log_mu - y / mu) - np.log(y) - special.gammaln(shape)
        if self.distribution == "inverse_gaussian":
            phi, = natural
            return -((y - mu) / mu) ** 2 / (2 * phi * y) - 0.5 * np.log(2 * np.pi * phi * y**3)
        if self.distribution == "beta":
            phi, = natural
            a, b = mu * phi, link.complement(eta) * phi
            return (special.gammaln(phi) - special.loggamma(a) - special.loggamma(b)
                    + (a - 1) * np.log(y) + (b - 1) * np.log1p(-y))
        if self.distribution == "tweedie":
            phi, p = natural
            zero = y == 0
            positive = np.where(zero, 1.0, y)
            at_one = (positive / (1 - p) - 1 / (2 - p)) / phi
            constant = np.where(zero, 0.0, _tweedie_log_sum(positive, phi, p) - at_one)
            return constant + (y * np.exp((1 - p) * log_mu) / (1 - p) - np.exp((2 - p) * log_mu) / (2 - p)) / phi
        raise ValueError(self.distribution)

    def information(self, eta: Array, parameters: ArrayLike) -> Array:
        """-E d^2 log f / d eta^2; for negative_binomial1, where it has no closed form, mu'^2 / variance."""
        mu, slope = derivatives(LINKS[self.link].inverse, eta, 1, self.radius(eta))
        natural = self._natural(parameters)
        if self.distribution == "binomial":
            return slope**2 / (mu * LINKS[self.link].complement(eta))
        if self.distribution == "beta":
            phi, = natural
            return (slope * phi) ** 2 * (special.polygamma(1, mu * phi) + special.polygamma(1, (1 - mu) * phi))
        if self.distribution == "student_t":
            variance, df = natural
            return slope**2 * (df + 1) / ((df + 3) * variance)
        variance = {"poisson": lambda: mu, "negative_binomial": lambda: mu + mu**2 / natural[0],
                    "negative_binomial1": lambda: mu * (1 + natural[0]),
                    "gamma": lambda: natural[0] * mu**2, "inverse_gaussian": lambda: natural[0] * mu**3,
                    "gaussian": lambda: np.full_like(mu, natural[0]),
                    "tweedie": lambda: natural[0] * mu ** natural[1]}[self.distribution]()
        return slope**2 / variance


# ---- the model -------------------------------------------------------------------------------------------------------

class DenseGLMM:
    """A model, all matrices formed; X must have full column rank. Several terms may share a grouping factor.

    `zero_inflation` (n, r): columns of the predictor zeta of the logit of the probability of a structural zero.
    """

    def __init__(self, y: ArrayLike, X: ArrayLike, terms: Sequence[DenseTerm], family: DenseFamily, *,
                 weights: ArrayLike | None = None, offset: ArrayLike | None = None,
                 zero_inflation: ArrayLike | None = None, curvature: str = "observed") -> None:
        self.y, self.X = np.asarray(y, float), np.asarray(X, float)
        n = len(self.y)
        self.weights = np.ones(n) if weights is None else np.asarray(weights, float)
        self.offset = np.zeros(n) if offset is None else np.asarray(offset, float)
        self.zero_inflation = None if zero_inflation is None else np.asarray(zero_inflation, float)
        self.terms, self.family, self.curvature = tuple(terms), family, curvature
        self.Z = np.hstack([term.Z for term in terms])
        self.dLambda = np.array(parameter_directions(terms, float))
        self.n_random = [term.n_levels * term.columns.shape[1] for term in terms]

    @property
    def n_theta(self) -> int:
        return len(self.dLambda)

    @property
    def n_extra(self) -> int:
        return len(self.family.parameter_names) + (0 if self.zero_inflation is None else self.zero_inflation.shape[1])

    def split(self, psi: ArrayLike, n_agq: int = 1) -> tuple[Array, Array | None, Array]:
        """(theta, beta, extra); no beta where n_agq = 0."""
        psi, p = np.asarray(psi, float), self.X.shape[1] * (n_agq > 0)
        theta, beta, extra = np.split(psi, [self.n_theta, self.n_theta + p])
        assert len(extra) == self.n_extra
        return theta, beta if n_agq else None, extra

    def criterion(self, psi: ArrayLike, n_agq: int = 1) -> float:
        """-2 log-likelihood by the approximation that n_agq says, at psi = (theta, beta unless n_agq = 0, extra)."""
        at = self.at(*self.split(psi, n_agq))
        return at.criterion if n_agq < 2 else at.quadrature(n_agq)

    def gradient(self, psi: ArrayLike, n_agq: int = 1, step: ArrayLike = 1e-3) -> Array:
        return five_point(lambda x: self.criterion(x, n_agq), psi, step)

    def at(self, theta: ArrayLike, beta: ArrayLike | None = None, extra: ArrayLike = ()) -> "Mode":
        return Mode(self, np.asarray(theta, float), beta, np.asarray(extra, float))

    # ---- the rows

    def log_density(self, eta: Array, extra: Array, rows: Any = slice(None)) -> Array:
        """w log f of the rows, all constants counted; eta may be complex, and may have leading axes."""
        y, w = self.y[rows], self.weights[rows]
        parameters, gamma = np.split(extra, [len(self.family.parameter_names)])
        if self.zero_inflation is not None:
            return w * self._zero_inflated(y, eta, parameters, self.zero_inflation[rows] @ gamma)
        value = w * self.family.log_density(y, eta, parameters)
        if self.family.distribution == "binomial":
            value = value + special.gammaln(w + 1) - special.gammaln(w * y + 1) - special.gammaln(w * (1 - y) + 1)
        return value

    def _zero_inflated(self, y: Array, eta: Array, parameters: Array, zeta: Array) -> Array:
        log_pi, log_rest = _log_expit(zeta), _log_expit(-zeta)
        base = log_rest + self.family.log_density(y, eta, parameters)
        with np.errstate(all="ignore"):
            zero = log_pi + _log1p(np.exp(np.where(y == 0, base, 0) - log_pi))
        return np.where(y == 0, zero, base)

    def row_derivatives(self, eta: Array, extra: Array) -> tuple[Array, Array]:
        """First two derivatives of w log f in eta."""
        _, first, second = derivatives(lambda e: self.log_density(e, extra), eta, radius=self.family.radius(eta))
        return first, second

    def information(self, eta: Array, extra: Array) -> Array:
        """-E w d^2 log f / d eta^2; with zero inflation that of the rows which are no structural zeros."""
        parameters, gamma = np.split(extra, [len(self.family.parameter_names)])
        kept = 1.0 if self.zero_inflation is None else special.expit(-self.zero_inflation @ gamma)
        return self.weights * kept * self.family.information(eta, parameters)

    def columns_of_levels(self) -> list[Array]:
        """Per level of the one grouping factor, the positions in u of its random effects (all terms' of them)."""
        starts = np.cumsum([0, *self.n_random])
        sizes = [term.columns.shape[1] for term in self.terms]
        return [np.concatenate([start + level * c + np.arange(c) for start, c in zip(starts, sizes, strict=False)])
                for level in range(self.terms[0].n_levels)]

    def integral(self, theta: ArrayLike, beta: ArrayLike, extra: ArrayLike = (), points: int = 2001,
                 reach: float = 12.0) -> float:
        """-2 log of the likelihood of a model with one grouping factor: trapezoids over a grid of u, group by group."""
        extra = np.asarray(extra, float)
        ZLambda = self.Z @ np.tensordot(np.asarray(theta, float), self.dLambda, 1)
        fixed = self.offset + self.X @ np.asarray(beta, float)
        grid, h = np.linspace(-reach, reach, points, retstep=True)
        total = 0.0
        for columns, rows in zip(self.columns_of_levels(), self._rows_of_levels(), strict=True):
            c = len(columns)
            u = np.stack(np.meshgrid(*[grid] * c, indexing="ij"), -1).reshape(-1, c)
            eta = fixed[rows] + u @ ZLambda[np.ix_(rows, columns)].T
            with np.errstate(all="ignore"):
                density = np.where(self.family.contains(eta), self.log_density(eta, extra, rows), -np.inf)
            inside = density.sum(-1) - 0.5 * (u**2).sum(-1)
            total += special.logsumexp(inside) + c * np.log(h / np.sqrt(2 * np.pi))
        return -2 * total

    def _rows_of_levels(self) -> list[Array]:
        return [np.flatnonzero(self.terms[0].codes == level) for level in range(self.terms[0].n_levels)]


class Mode:
    """The conditional mode at (theta, beta, extra), over beta too where none is given, and what is evaluated there."""

    def __init__(self, model: DenseGLMM, theta: Array, beta: ArrayLike | None, extra: Array) -> None:
        self.model, self.extra = model, extra
        self.Lambda = np.tensordot(theta, model.dLambda, 1)
        self.ZLambda = model.Z @ self.Lambda
        q, p = self.ZLambda.shape[1], model.X.shape[1]
        self._design = np.hstack([self.ZLambda, model.X]) if beta is None else self.ZLambda
        self._penalty = np.concatenate([np.ones(q), np.zeros(self._design.shape[1] - q)])
        self._fixed = model.offset + (0 if beta is None else model.X @ np.asarray(beta, float))
        x = self._maximise(self._start(q, p) if beta is None else np.zeros(q))
        self.u, self.beta = x[:q], x[q:] if beta is None else np.asarray(beta, float)
        self.eta = self._fixed + self._design @ x

    def _start(self, q: int, p: int) -> Array:
        """Where beta is sought: at a constant predictor that fits the mean response, by least squares."""
        model = self.model
        mean = np.average(model.y, weights=model.weights)
        target = LINKS[model.family.link].forward(mean) - model.offset
        return np.concatenate([np.zeros(q), np.linalg.lstsq(model.X, target, rcond=None)[0]])

    def _loss(self, x: Array) -> float:
        eta = self._fixed + self._design @ x
        if not np.all(self.model.family.contains(eta)):
            return np.inf
        value = -np.sum(self.model.log_density(eta, self.extra))
        return value + 0.5 * np.sum(self._penalty * x**2)

    def _maximise(self, x: Array) -> Array:
        """Newton's method with step-halving, to rounding. Where -l'' is no convex combination, its positive part."""
        loss, last, settled = self._loss(x), np.inf, 0
        assert np.isfinite(loss), "the start of the mode is outside the family's domain"
        y = np.abs(self.model.y)
        rounding = 1e-13 * abs(loss) + 1e-15 * np.sum(self.model.weights * y * np.log1p(y))
        for _ in range(NEWTON_STEPS):
            first, second = self.model.row_derivatives(self._fixed + self._design @ x, self.extra)
            gradient = self._penalty * x - self._design.T @ first
            H = self._hessian(-second)
            if np.linalg.eigvalsh(H)[0] <= 0:
                H = self._hessian(np.maximum(-second, 1e-3))
            step = np.linalg.solve(H, gradient)
            decrement, factor = gradient @ step, 1.0
            while (new := self._loss(x - factor * step)) > loss + rounding and factor > 1e-10:
                factor /= 2
            x, loss = x - factor * step, min(new, loss)
            scale = max(1, abs(loss))
            settled += decrement < 1e-18 * scale or (decrement < 1e-12 * scale and decrement > 0.1 * last)   # rounding
            if settled == 3:
                return x
            last = decrement
        raise ArithmeticError(f"no conditional mode found; decrement {decrement}")

    def _hessian(self, w: Array) -> Array:
        return (self._design.T * w) @ self._design + np.diag(self._penalty)

    @cached_property
    def weights(self) -> Array:
        """W, (n,)."""
        model = self.model
        if model.curvature == "expected":
            return model.information(self.eta, self.extra)
        return -model.row_derivatives(self.eta, self.extra)[1]

    @cached_property
    def M(self) -> Array:
        return (self.ZLambda.T * self.weights) @ self.ZLambda + np.eye(len(self.u))

    @property
    def log_density(self) -> float:
        return float(np.sum(self.model.log_density(self.eta, self.extra)))

    @property
    def criterion(self) -> float:
        """Laplace's approximation (n_agq = 0 or 1)."""
        sign, logdet = np.linalg.slogdet(self.M)
        return float(-2 * self.log_density + self.u @ self.u + logdet) if sign > 0 else np.inf

    def quadrature(self, n_nodes: int) -> float:
        """Adaptive Gauss-Hermite quadrature, a tensor grid of n_nodes in every direction, group by group."""
        z, omega = np.polynomial.hermite_e.hermegauss(n_nodes)          # weight function exp(-z^2 / 2)
        log_omega = np.log(omega) + z**2 / 2 - np.log(2 * np.pi) / 2
        total, model = 0.0, self.model
        for columns, rows in zip(model.columns_of_levels(), model._rows_of_levels(), strict=True):
            c = len(columns)
            L = np.linalg.cholesky(self.M[np.ix_(columns, columns)])
            grid = np.array(list(product(z, repeat=c)))                  # (nodes^c, c)
            u = self.u[columns] + np.linalg.solve(L.T, grid.T).T
            eta = self.eta[rows] + (u - self.u[columns]) @ self.ZLambda[np.ix_(rows, columns)].T
            with np.errstate(all="ignore"):
                density = np.where(model.family.contains(eta), model.log_density(eta, self.extra, rows), -np.inf)
            inside = density.sum(-1) - (u**2).sum(-1) / 2
            inside = inside + np.array(list(product(log_omega, repeat=c))).sum(-1)
            total += special.logsumexp(inside) - np.log(np.diag(L)).sum()
        return float(-2 * total)

    # ---- what a fit reports

    @property
    def b(self) -> Array:
        return self.Lambda @ self.u

    @property
    def modes(self) -> list[Array]:
        """Per term, (levels, c)."""
        pieces = np.split(self.b, np.cumsum(self.model.n_random)[:-1])
        return [piece.reshape(term.n_levels, -1) for piece, term in zip(pieces, self.model.terms, strict=True)]

    @property
    def conditional_covariance(self) -> Array:
        """Lambda M^-1 Lambda', (q, q)."""
        return self.Lambda @ np.linalg.solve(self.M, self.Lambda.T)

    @property
    def vcov_rx(self) -> Array:
        """Covariance of beta with theta held and u eliminated: (X'WX - X'W ZLambda M^-1 Lambda'Z'WX)^-1."""
        WX = self.weights[:, None] * self.model.X
        cross = self.ZLambda.T @ WX
        return np.linalg.inv(self.model.X.T @ WX - cross.T @ np.linalg.solve(self.M, cross))

    @property
    def fitted(self) -> Array:
        """Mean of y at the mode; of the count part, where there is zero inflation."""
        return self.model.family.mu(self.eta)
