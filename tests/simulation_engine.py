"""Engine of the simulation checks: responses drawn by NumPy at known parameters, fitted, tested and bounded."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

import pymixed as pm
from pymixed.errors import PymixedWarning

Array = NDArray[Any]
Key = tuple[str, str]  # what is tested or bounded, and by which method

LEVELS = (0.05, 0.01)
COVERAGE = 0.95
INNER = 199  # simulated data sets of a bootstrap within a replicate; (INNER + 1) times a level is a whole number
ROBUST = ("CR0", "CR1", "CR2")


@dataclass(frozen=True)
class Effects:
    """Random effects that the responses have: columns (n, c) times normal effects of the levels in `codes` (n,)."""

    codes: Array
    columns: Array
    root: Array  # (c, c), root @ root.T is their covariance

    def draw(self, rng: np.random.Generator) -> Array:
        effects = rng.standard_normal((self.codes.max() + 1, len(self.root))) @ self.root.T
        return (self.columns * effects[self.codes]).sum(axis=1)


@dataclass(frozen=True)
class Study:
    """A design, what is true of it, and what is asked of every replicate.

    `coefficients` and `variances` are the true values of the fitted model's parameters in its own order, by the names
    of the report; `contrasts` the hypotheses, rows of weights of the coefficients, each true with its value at
    `coefficients`. `noise` is the residual standard deviation, None for binary responses. `exact` holds the sizes at
    LEVELS that theory gives, `exact_coverage` the coverages.
    """

    title: str
    design: str
    seed: int
    replicates: int
    X: Array
    groups: Mapping[str, Array]
    coefficients: Mapping[str, float]
    effects: tuple[Effects, ...]
    noise: float | Array | None = 1.0
    random_effects: Mapping[str, list[str]] | None = None
    random_data: Mapping[str, Array] | None = None
    contrasts: Mapping[str, Array] = field(default_factory=dict)
    ways: tuple[str, ...] = ("satterthwaite", "kenward-roger", "residual", "asymptotic")
    variances: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, int] = field(default_factory=dict)      # method: in how many replicates
    bootstraps: int = 0                                             # in how many replicates
    dropped: Mapping[str, int] = field(default_factory=dict)        # likelihood ratios: columns of X
    bootstrapped_ratios: int = 0                                    # in how many replicates
    ranova: bool = False
    exact: Mapping[Key, tuple[float, ...]] = field(default_factory=dict)
    exact_coverage: Mapping[Key, float] = field(default_factory=dict)

    @property
    def truth(self) -> dict[str, float]:
        return {**self.coefficients, **self.variances}

    def responses(self, rng: np.random.Generator) -> Array:
        predictor = self.X @ np.array(list(self.coefficients.values()))
        for effects in self.effects:
            predictor = predictor + effects.draw(rng)
        if self.noise is None:
            return (rng.random(len(predictor)) < expit(predictor)).astype(float)
        return predictor + self.noise * rng.standard_normal(len(predictor))

    def fit(self, y: Array, X: Array | None = None, **options: Any) -> Any:
        X = self.X if X is None else X
        rest = dict(random_effects=self.random_effects, random_data=self.random_data, **options)
        return pm.glmm(y, X, self.groups, **rest) if self.noise is None else pm.lmm(y, X, self.groups, **rest)


@dataclass(frozen=True)
class Outcome:
    """What the replicates of a study gave; arrays have a replicate per row, fewer where fewer were asked for.

    Attributes
    ----------
    responses : (R, n) array
    p, df, estimate, se : dict of arrays
        Of tests, by what is tested and how; estimates and standard errors of single contrasts only.
    limits : dict of (R, 2) arrays
        Of intervals, by parameter and method.
    singular : (R,) bool array
    warnings : Counter
        Names of their classes, of which singular fits are no part.
    """

    study: Study
    responses: Array
    p: dict[Key, Array]
    df: dict[Key, Array]
    estimate: dict[Key, Array]
    se: dict[Key, Array]
    limits: dict[Key, Array]
    singular: Array
    warnings: Counter[str]

    def rejected(self, key: Key, level: float) -> Array:
        """Which replicates reject; a p-value of a bootstrap may be the level itself."""
        return np.asarray(self.p[key] <= level + 1e-12)

    def size(self, key: Key, level: float) -> float:
        return float(self.rejected(key, level).mean())

    def covered(self, key: Key) -> Array:
        """Which intervals hold the true value; one that does not exist does not."""
        lower, upper = self.limits[key].T
        return np.asarray((lower <= self.study.truth[key[0]]) & (self.study.truth[key[0]] <= upper))

    def coverage(self, key: Key) -> float:
        return float(self.covered(key).mean())

    def undefined(self, key: Key) -> float:
        """Share of intervals that do not exist."""
        return float(np.isnan(self.limits[key]).any(axis=1).mean())

    def variance_ratio(self, key: Key) -> tuple[float, float]:
        """Mean estimated variance over the variance of the estimates, and its Monte-Carlo standard error."""
        estimated, estimates = self.se[key] ** 2, self.estimate[key]
        squares = (estimates - estimates.mean()) ** 2
        ratio = estimated.mean() / squares.mean()
        spread = np.std(estimated / estimated.mean() - squares / squares.mean())
        return float(ratio), float(ratio * spread / np.sqrt(len(squares)))


def monte_carlo_error(share: float, replicates: int) -> float:
    """Standard error of a share of replicates."""
    return float(np.sqrt(share * (1.0 - share) / replicates))


class _Recorder:
    """Collects the values of one replicate after another."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.p: defaultdict[Key, list[float]] = defaultdict(list)
        self.df: defaultdict[Key, list[float]] = defaultdict(list)
        self.estimate: defaultdict[Key, list[float]] = defaultdict(list)
        self.se: defaultdict[Key, list[float]] = defaultdict(list)
        self.limits: defaultdict[Key, list[Array]] = defaultdict(list)

    def tests(self, fit: Any) -> None:
        beta = np.array(list(self.study.coefficients.values()))
        single = {label: weights for label, weights in self.study.contrasts.items() if weights.ndim == 1}
        joint = {label: weights for label, weights in self.study.contrasts.items() if weights.ndim == 2}
        for way in self.study.ways:
            how = dict(vcov=way) if way in ROBUST else dict(ddf=way)
            if single:
                L = np.array(list(single.values()))
                table = fit.contrast(L, L @ beta, **how)
                df = table["df"] if "df" in table else np.full(len(L), np.inf)
                for label, *values in zip(single, table["p"], df, table["estimate"], table["se"], strict=True):
                    for record, value in zip((self.p, self.df, self.estimate, self.se), values, strict=True):
                        record[label, way].append(value)
            for label, L in joint.items():
                table = fit.contrast(L, L @ beta, joint=True, **how)
                self.p[label, way].append(table["p"].iloc[0])
                self.df[label, way].append(table["den_df"].iloc[0] if "den_df" in table else np.inf)

    def ratios(self, fit: Any, y: Array, number: int) -> None:
        study = self.study
        options = {} if study.noise is None else dict(reml=False)
        large = study.fit(y, **options) if study.dropped and options else fit
        for label, column in study.dropped.items():
            small = study.fit(y, np.delete(study.X, column, axis=1), **options)
            self.p[label, "likelihood ratio"].append(pm.anova(small, large)["Pr(>Chisq)"].iloc[1])
            if number < study.bootstrapped_ratios:
                test = pm.pbtest(small, large, INNER, seed=number)
                self.p[label, "pbtest"].append(test.p_value)
                self.p[label, "Bartlett"].append(test.table.loc["Bartlett", "p"])
        if study.ranova:
            for row, values in fit.ranova().iloc[1:].iterrows():
                self.p[str(row), "naive"].append(values["Pr(>Chisq)"])
                self.p[str(row), "mixture"].append(values["Pr(mixture)"])

    def intervals(self, fit: Any, number: int) -> None:
        study = self.study
        for method, replicates in study.intervals.items():
            if number < replicates:
                self._limits(method, fit.conf_int(COVERAGE, method).to_numpy())
        if number < study.bootstraps:
            replicates = fit.bootstrap(INNER, seed=number)
            for method in ("percentile", "basic", "studentized"):
                self._limits(method, replicates.conf_int(COVERAGE, method).to_numpy()[:len(study.coefficients)])

    def _limits(self, method: str, limits: Array) -> None:
        for name, pair in zip(self.study.truth, limits, strict=method in self.study.intervals):
            self.limits[name, method].append(pair)


def run(study: Study) -> Outcome:
    """Run all replicates; each has a stream of random numbers by the study's seed and its own number."""
    recorder, found = _Recorder(study), Counter[str]()
    responses, singular = np.empty((study.replicates, len(study.X))), np.empty(study.replicates, bool)
    for number in range(study.replicates):
        y = responses[number] = study.responses(np.random.default_rng([study.seed, number]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", PymixedWarning)
            fit = study.fit(y)
            singular[number] = bool(fit.singularity)
            recorder.tests(fit)
            recorder.ratios(fit, y, number)
            recorder.intervals(fit, number)
        found.update({type(warning.message).__name__ for warning in caught} - {"SingularFitWarning"})
    p, df, estimate, se, limits = (
        {key: np.array(values) for key, values in one.items()}
        for one in (recorder.p, recorder.df, recorder.estimate, recorder.se, recorder.limits))
    return Outcome(study, responses, p, df, estimate, se, limits, singular, found)
