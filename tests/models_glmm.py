"""One generalized linear mixed model as arrays, to be fitted by pymixed and evaluated by the dense reference."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from dense import DenseTerm
from dense_glmm import LINKS, DenseFamily, DenseGLMM, five_point
from hypothesis import strategies as st
from models import GROUPINGS, TERMS_OF_A_FACTOR, TermSpec
from numpy.typing import ArrayLike, NDArray

import pymixed as pm
from pymixed.errors import PymixedWarning

Array = NDArray[Any]

CLASSES = {"binomial": "Binomial", "poisson": "Poisson", "negative_binomial": "NegativeBinomial",
           "negative_binomial1": "NegativeBinomial1", "gamma": "Gamma", "inverse_gaussian": "InverseGaussian",
           "beta": "Beta", "gaussian": "Gaussian", "student_t": "StudentT", "tweedie": "Tweedie"}


def pymixed_family(family: DenseFamily) -> Any:
    """The member of pm.families that the dense family describes."""
    held = {} if family.power is None else {"power": family.power}
    if family.shape is not None:
        held["df" if family.distribution == "student_t" else "shape"] = family.shape
    return getattr(pm.families, CLASSES[family.distribution])(link=family.link, **held)


@dataclass(frozen=True)
class ArrayGLMM:
    """y (n,), X (n, p), labels (n,) per grouping factor, terms, family, and what else the model has.

    `zero_inflation` are columns (n, r) of the zero-inflation predictor, the first of them ones.
    """

    y: Array
    X: Array
    groups: Mapping[str, Array]
    terms: tuple[TermSpec, ...]
    family: DenseFamily
    data: Mapping[str, Array] = field(default_factory=dict)
    weights: Array | None = None
    offset: Array | None = None
    zero_inflation: Array | None = None

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What hypothesis shows of a failing example: its kind, its numbers would fill the screen."""
        n_levels = {group: len(np.unique(labels)) for group, labels in self.groups.items()}
        given = [name for name in ("weights", "offset", "zero_inflation") if getattr(self, name) is not None]
        printer.text(f"ArrayGLMM({self.family}, X {self.X.shape}, {n_levels}, {self.terms}, {given})")

    @property
    def n_theta(self) -> int:
        return sum(term.n_theta for term in self.terms)

    @property
    def diagonal(self) -> NDArray[np.bool_]:
        return np.concatenate([term.diagonal for term in self.terms])

    def fit(self, **options: Any) -> Any:
        """`pm.glmm` of the model (`pm.glmer` where there is zero inflation), its warnings not shown but kept."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PymixedWarning)
            if self.zero_inflation is not None:
                return self._glmer(**options)
            used = {name for term in self.terms for name in term.columns}
            data = {name: values for name, values in self.data.items() if name in used}
            return pm.glmm(self.y, self.X, dict(self.groups), family=pymixed_family(self.family),
                           random_data=data or None, weights=self.weights, offset=self.offset,
                           random_effects=[pm.Term(t.group, t.columns, structure=t.structure) for t in self.terms],
                           **options)

    def _glmer(self, **options: Any) -> Any:
        n = range(self.X.shape[1])
        zi = {f"zi{j}": column for j, column in enumerate(self.zero_inflation.T) if j > 0}
        frame = pd.DataFrame({"y": self.y, **{f"x{j}": self.X[:, j] for j in n}, **zi, **self.data,
                              **{name: pd.Categorical(labels) for name, labels in self.groups.items()}})
        bars = [f"({'+'.join(('0', *t.columns) if '1' not in t.columns else t.columns)} "
                f"{'||' if t.structure == 'diag' and len(t.columns) > 1 else '|'} {t.group})" for t in self.terms]
        formula = f"y ~ {' + '.join(['0', *[f'x{j}' for j in n], *bars])}"
        return pm.glmer(formula, frame, family=pymixed_family(self.family), zi=f"~ {' + '.join(['1', *zi])}",
                        weights=self.weights, offset=self.offset, **options)

    def dense(self, curvature: str = "observed") -> DenseGLMM:
        terms = []
        for term in self.terms:
            columns = [np.ones(len(self.y)) if name == "1" else self.data[name] for name in term.columns]
            codes = np.unique(self.groups[term.group], return_inverse=True)[1]
            terms.append(DenseTerm(codes, np.column_stack(columns), term.structure))
        return DenseGLMM(self.y, self.X, terms, self.family, weights=self.weights, offset=self.offset,
                         zero_inflation=self.zero_inflation, curvature=curvature)

    def rows(self, index: Array) -> "ArrayGLMM":
        """The model of the rows chosen, in that order."""
        def take(columns: Mapping[str, Array]) -> dict[str, Array]:
            return {name: values[index] for name, values in columns.items()}

        given = {name: None if getattr(self, name) is None else getattr(self, name)[index]
                 for name in ("weights", "offset", "zero_inflation")}
        return replace(self, y=self.y[index], X=self.X[index], groups=take(self.groups), data=take(self.data), **given)


# ---- pymixed's criterion and its derivatives as functions of psi -----------------------------------------------------

def arguments(solution: Any, psi: ArrayLike, n_agq: int) -> tuple[Any, ...]:
    """(theta, beta, extra) of psi as deviance_at and the like take them; (theta, None, extra) for n_agq = 0."""
    psi, m = np.asarray(psi, float), len(solution.theta)
    p = len(solution.coefficients) if n_agq else 0
    theta, beta, extra = np.split(psi, [m, m + p])
    return theta, beta if n_agq else None, extra if len(extra) else None


def deviance(solution: Any, psi: ArrayLike, n_agq: int = 1) -> float:
    return float(solution.deviance_at(*arguments(solution, psi, n_agq)))


def gradient(solution: Any, psi: ArrayLike, n_agq: int = 1) -> Array:
    return np.asarray(solution.gradient_at(*arguments(solution, psi, n_agq)), float)


def hessian(solution: Any, psi: ArrayLike, n_agq: int = 1) -> Array:
    return np.asarray(solution.hessian_at(*arguments(solution, psi, n_agq)), float)


def numeric_hessian(f: Callable[[Array], Array], psi: ArrayLike, step: ArrayLike = 1e-3) -> Array:
    """Symmetrised differences of a gradient."""
    H = five_point(f, psi, step)
    return (H + H.T) / 2


# ---- simulated data --------------------------------------------------------------------------------------------------

LINKS_OF = {
    "binomial": ("logit", "probit", "cloglog", "cauchit", "log"),
    "beta": ("logit", "probit", "cloglog", "cauchit", "log"),
    **dict.fromkeys(("poisson", "negative_binomial", "negative_binomial1", "gamma", "inverse_gaussian", "gaussian",
                     "student_t", "tweedie"), ("log", "sqrt", "inverse", "inverse_squared", "identity"))}
FAMILIES = tuple(DenseFamily(distribution, link) for distribution, links in LINKS_OF.items() for link in links)

# A typical mean, and values of the family's parameters (unconstrained).
MEANS = {"binomial": 0.35, "beta": 0.4, "gamma": 3.0, "inverse_gaussian": 2.0, "gaussian": 4.0, "student_t": 4.0,
         "tweedie": 4.0, "poisson": 8.0, "negative_binomial": 8.0, "negative_binomial1": 8.0}
EXTRA = {"log shape": np.log(4.0), "log dispersion": np.log(0.3), "log precision": np.log(12.0),
         "log variance": np.log(0.4), "log df": np.log(6.0), "logit(power - 1)": -0.3}


def typical_extra(family: DenseFamily) -> Array:
    return np.array([EXTRA[name] for name in family.parameter_names])


def scale_of(family: DenseFamily) -> float:
    """How much the linear predictor changes with the mean by 15 % (5 points of a probability or proportion)."""
    mean = MEANS[family.distribution]
    change = 0.05 if family.distribution in ("binomial", "beta") else 0.15 * mean
    ends = [LINKS[family.link].forward(np.array(mean + sign * change)) for sign in (-1, 1)]
    return float(abs(ends[1] - ends[0]) / 2)


def draw_response(rng: np.random.Generator, family: DenseFamily, mu: Array, trials: Array | None = None) -> Array:
    """y at means mu; proportions of the trials for the binomial family."""
    value = dict(zip(family.parameter_names, typical_extra(family), strict=True))
    n, phi = len(mu), np.exp(value.get("log dispersion", 0.0))
    match family.distribution:
        case "binomial":
            trials = np.ones(n) if trials is None else trials
            return rng.binomial(trials.astype(int), mu) / trials
        case "poisson":
            return rng.poisson(mu).astype(float)
        case "negative_binomial":
            k = family.shape or np.exp(value["log shape"])
            return rng.poisson(mu * rng.gamma(k, 1 / k, n)).astype(float)
        case "negative_binomial1":
            return rng.poisson(rng.gamma(mu / phi, phi)).astype(float)
        case "gamma":
            return rng.gamma(1 / phi, phi * mu)
        case "inverse_gaussian":
            return rng.wald(mu, 1 / phi)
        case "beta":
            precision = np.exp(value["log precision"])
            return np.clip(rng.beta(mu * precision, (1 - mu) * precision), 1e-3, 1 - 1e-3)
        case "gaussian":
            return rng.normal(mu, np.exp(value["log variance"] / 2))
        case "student_t":
            df = family.shape or np.exp(value["log df"])
            return mu + np.exp(value["log variance"] / 2) * rng.standard_t(df, n)
        case "tweedie":
            p = family.power or 1 + 1 / (1 + np.exp(-value["logit(power - 1)"]))
            count = rng.poisson(mu ** (2 - p) / (phi * (2 - p)))
            return np.array([rng.gamma(k * (2 - p) / (p - 1), phi * (p - 1) * m ** (p - 1)) if k else 0.0
                             for k, m in zip(count, mu, strict=True)])
    raise ValueError(family.distribution)


def simulated(rng: np.random.Generator, family: DenseFamily, groups: Mapping[str, Array],
              terms: tuple[TermSpec, ...], *, p: int = 2, weights: bool = False, offset: bool = False,
              zero_inflation: int = 0, sd: float = 1.0) -> ArrayGLMM:
    """A model of the design with y drawn from it: effects of the size of `scale_of`, so that means stay in range."""
    n = len(next(iter(groups.values())))
    scale, centre = scale_of(family), LINKS[family.link].forward(np.array(MEANS[family.distribution]))
    x, z = rng.uniform(-1, 1, (2, n))
    X = np.column_stack([np.ones(n), x, rng.uniform(-1, 1, n)])[:, :p]
    known = 0.3 * scale * rng.uniform(-1, 1, n) if offset else np.zeros(n)
    eta = known + (centre if p > 0 else 0) + (0.7 * scale * x if p > 1 else 0)
    if p == 0:
        known = known + centre
        eta = eta + centre
    for labels in groups.values():
        codes = np.unique(labels, return_inverse=True)[1]
        effects = np.clip(rng.normal(size=(2, codes.max() + 1)), -2, 2) * sd * scale / (1 + len(groups))
        eta = eta + effects[0][codes] + 0.5 * effects[1][codes] * x
    prior: Array | None = None
    if family.distribution == "binomial":
        prior = rng.integers(1, 7, n).astype(float) if weights else None
    elif weights:
        prior = rng.integers(1, 4, n).astype(float)
    y = draw_response(rng, family, LINKS[family.link].inverse(eta), prior)
    inflation = None
    if zero_inflation:
        inflation = np.column_stack([np.ones(n), rng.uniform(-1, 1, n)])[:, :zero_inflation]
        y = np.where(rng.uniform(size=n) < 0.25, 0.0, y)
    return ArrayGLMM(y, X, dict(groups), terms, family, {"x": x, "z": z}, prior,
                     known if offset or p == 0 else None, inflation)


def typical_psi(model: ArrayGLMM, n_agq: int, seed: int) -> Array:
    """(theta, beta unless n_agq = 0, extra) near the values the data were drawn with."""
    rng, scale = np.random.default_rng(seed), scale_of(model.family)
    theta = scale * np.where(model.diagonal, rng.uniform(0.3, 0.7, model.n_theta),
                             rng.uniform(-0.3, 0.3, model.n_theta))
    beta = np.array([float(LINKS[model.family.link].forward(np.array(MEANS[model.family.distribution]))),
                     0.6 * scale, 0.1 * scale])[:model.X.shape[1]]
    zi = [] if model.zero_inflation is None else [-1.0, 0.3][:model.zero_inflation.shape[1]]
    extra = typical_extra(model.family) + rng.uniform(-0.2, 0.2, len(model.family.parameter_names))
    return np.concatenate([theta, beta + 0.05 * scale * rng.uniform(-1, 1, len(beta)) if n_agq else [], extra, zi])


def unit_of(model: ArrayGLMM, n_agq: int) -> Array:
    """The scale of psi's entries: that of the predictor for theta and beta, one for the rest."""
    n_predictor = model.n_theta + model.X.shape[1] * (n_agq > 0)
    n_rest = model.dense().n_extra
    return np.concatenate([np.full(n_predictor, scale_of(model.family)), np.ones(n_rest)])


# Families whose log-density is concave enough for the modes to be unique on any design.
SAFE = (DenseFamily("binomial", "logit"), DenseFamily("binomial", "probit"), DenseFamily("binomial", "cloglog"),
        DenseFamily("poisson", "log"), DenseFamily("negative_binomial", "log"),
        DenseFamily("negative_binomial", "log", shape=2.0), DenseFamily("gamma", "log"),
        DenseFamily("beta", "logit"), DenseFamily("tweedie", "log", power=1.5))


@st.composite
def array_glmms(draw: st.DrawFn, groupings: tuple[Callable[..., Any], ...] = GROUPINGS,
                families: tuple[DenseFamily, ...] = SAFE) -> ArrayGLMM:
    """Models of about 50 rows over all kinds of grouping, of terms and of families, with weights, an offset."""
    grouping, family = draw(st.sampled_from(groupings)), draw(st.sampled_from(families))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = grouping(rng)
    terms = tuple(TermSpec(group, columns, structure)
                  for group in groups for columns, structure in draw(st.sampled_from(TERMS_OF_A_FACTOR)))
    return simulated(rng, family, groups, terms, p=draw(st.integers(1, 3)), weights=draw(st.booleans()),
                     offset=draw(st.booleans()), sd=2.0)
