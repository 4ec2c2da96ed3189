"""The results of lme4 and glmmTMB in tests/reference: a case's data, the call of pymixed, and R's names in ours."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dense import DenseTerm
from dense_glmm import DenseFamily, DenseGLMM
from models_glmm import pymixed_family
from numpy.typing import NDArray
from scipy import stats

import pymixed as pm
from pymixed.design import MixedDesign

FOLDER = Path(__file__).parent / "reference"

# lme4 1.1 reads (f || g) with a factor f as written here; pymixed, like lme4 2, takes every contrast column apart.
FORMULAS = {"oats_double_bar_factor": "yield ~ nitro * Variety + (1 | Block) + (0 + Variety | Block)"}


@dataclass(frozen=True)
class Case:
    """A file of tests/reference/cases: `spec` is the whole of it, `results` what lme4 found."""

    name: str
    spec: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        return self.spec["results"]

    @property
    def formula(self) -> str:
        return FORMULAS.get(self.name, self.spec["formula"])

    @property
    def unique_theta(self) -> bool:
        """False where the model is over-parameterized: theta and what depends on it alone do not compare."""
        return "theta is not unique" not in (self.spec["note"] or "")

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The data as a user has them: categoricals with R's order of levels."""
        columns = self.spec["columns"]
        factors = {name: str for name, column in columns.items() if column["type"] == "factor"}
        frame = pd.read_csv(FOLDER / self.spec["data"], dtype=factors, usecols=list(columns),
                            na_values=["NA"], keep_default_na=False)
        for name in factors:
            levels = columns[name]["levels"] or sorted(frame[name].unique())
            frame[name] = pd.Categorical(frame[name], levels, ordered=columns[name]["ordered"])
        return frame

    @property
    def model(self) -> dict[str, Any]:
        """Keyword arguments of lmer() and MixedDesign.from_formula() besides formula and data."""
        given = {key: self._column(self.spec.get(key)) for key in ("weights", "offset")}
        # polynomial contrasts are R's default for ordered factors; pymixed's is treatment
        ordered = [name for name, column in self.spec["columns"].items() if column.get("ordered")]
        return {**given, "contrasts": dict.fromkeys(ordered, "poly") or None}

    def _column(self, name: str | None) -> NDArray[np.float64] | None:
        return None if name is None else self.frame[name].to_numpy(float)

    def fit(self, **changes: Any) -> Any:
        return pm.lmer(self.formula, self.frame, **{**self.model, "reml": self.spec["REML"], **changes})

    @property
    def new_rows(self) -> pd.DataFrame:
        """The rows that `results["predictions"]` are for; the level "NEW" is new."""
        return pd.DataFrame(self.results["predictions"]["newdata"])


def linear_cases() -> list[str]:
    """Names of the linear mixed models."""
    names = (path.stem for path in sorted((FOLDER / "cases").glob("*.json")))
    return [name for name in names if load(name).spec["family"] == "gaussian"]


@functools.cache
def load(name: str) -> Case:
    return Case(name, json.loads((FOLDER / "cases" / f"{name}.json").read_text()))


# ---- generalized linear mixed models ---------------------------------------------------------------------------------

LME4_FOLDERS = ("cases", "cases_more_lme4")
TMB_FOLDERS = ("cases_glmmtmb", "cases_more_glmmtmb")
PSEUDO_LIKELIHOOD = ("Gamma", "inverse.gaussian")     # what lme4 maximises for these two is not a likelihood
DISTRIBUTIONS = {"nbinom2": "negative_binomial", "nbinom1": "negative_binomial1", "Gamma": "gamma", "t": "student_t"}
# The density of sleepstudy_t at its last point has two modes; glmmTMB's is the lower one.
POINTS_LEFT_OUT = {"sleepstudy_t": 1}


@dataclass(frozen=True)
class GLMMCase(Case):
    """A generalized linear mixed model of lme4, with expected information, or of glmmTMB, with the observed one."""

    @property
    def tmb(self) -> bool:
        return "ziformula" in self.spec

    @property
    def formula(self) -> str:
        return self._python(self.spec["formula"])

    def _python(self, text: str) -> str:
        """Names of columns that Python can read: total.fruits becomes total_fruits."""
        for name in self.spec["columns"]:
            text = text.replace(name, name.replace(".", "_"))
        return text

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        return super().frame.rename(columns=self._python)

    @property
    def new_rows(self) -> pd.DataFrame:
        return super().new_rows.rename(columns=self._python)

    @property
    def n_agq(self) -> int:
        return 1 if self.tmb else self.spec["nAGQ"]

    @property
    def curvature(self) -> str:
        return "observed" if self.tmb else "expected"

    @property
    def zi(self) -> str | None:
        return self.spec["ziformula"] if self.spec.get("ziformula", "~0") != "~0" else None

    def fit(self, **changes: Any) -> Any:
        arguments = {"family": pymixed_family(dense_family(self)), "n_agq": self.n_agq, "curvature": self.curvature,
                     "zi": self.zi, **self.model}
        return pm.glmer(self.formula, self.frame, **{**arguments, **changes})

    @property
    def held_parameters(self) -> list[float]:
        """Extra parameters at lme4's fixed points: it holds the size of the negative binomial there."""
        return [] if self.results["nb_theta"] is None else [np.log(self.results["nb_theta"])]

    @property
    def points(self) -> list[dict[str, Any]]:
        """glmmTMB's objective at fixed parameters."""
        points = self.results["negative_log_likelihood_points"]
        return points[:len(points) - POINTS_LEFT_OUT.get(self.name, 0)]

    @property
    def constant(self) -> float:
        """What lme4's criterion lacks for nAGQ > 1: -2 log-likelihood of the saturated model."""
        if self.n_agq < 2:
            return 0.0
        y, trials = self.response
        pmf = stats.poisson(y) if self.spec["family"] == "poisson" else stats.binom(trials, y)
        return float(-2 * pmf.logpmf(y if trials is None else y * trials).sum())

    @property
    def response(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """y, and the weights or trials."""
        text = self.formula.split(" ~ ")[0]
        if text.startswith("cbind("):
            success, failure = (self.frame.eval(part).to_numpy(float) for part in text[6:-1].split(", "))
            return success / (success + failure), success + failure
        y = self.frame[text]
        values = y.cat.codes > 0 if isinstance(y.dtype, pd.CategoricalDtype) else y
        weights = self.spec.get("weights")
        return values.to_numpy(float), None if weights is None else self.frame[weights].to_numpy(float)


    @functools.cached_property
    def design(self) -> MixedDesign:
        """The model's matrices, columns and terms in pymixed's order."""
        return MixedDesign.from_formula(self.formula, self.frame, family=pymixed_family(dense_family(self)), zi=self.zi,
                                        **self.model)


def glmm_cases() -> list[str]:
    """Names of lme4's generalized linear mixed models."""
    cases = [load_glmm(path.stem) for folder in LME4_FOLDERS for path in sorted((FOLDER / folder).glob("*.json"))]
    return [case.name for case in cases if case.spec["family"] not in ("gaussian", *PSEUDO_LIKELIHOOD)]


def tmb_cases() -> list[str]:
    """Names of glmmTMB's models."""
    return [path.stem for folder in TMB_FOLDERS for path in sorted((FOLDER / folder).glob("*.json"))]


@functools.cache
def load_glmm(name: str) -> GLMMCase:
    path = next(path for folder in (*LME4_FOLDERS, *TMB_FOLDERS)
                if (path := FOLDER / folder / f"{name}.json").exists())
    return GLMMCase(name, json.loads(path.read_text()))


def dense_family(case: GLMMCase) -> DenseFamily:
    name, link = case.spec["family"], case.spec["link"]
    if name.startswith("Negative Binomial("):
        held = "held" in (case.spec["note"] or "")
        return DenseFamily("negative_binomial", link, shape=float(name[18:-1]) if held else None)
    return DenseFamily(DISTRIBUTIONS.get(name, name), link)


def dense_glmm(case: GLMMCase) -> DenseGLMM:
    """The dense model of a case, terms and columns in pymixed's order."""
    design, (y, weights) = case.design, case.response
    terms = []
    for term in design.terms:
        columns = [np.ones(design.n) if column is None else column for column in term.data]
        terms.append(DenseTerm(design.factors[term.factor].codes, np.column_stack(columns), term.structure))
    return DenseGLMM(y, design.X, terms, dense_family(case), weights=weights, offset=design.offset,
                     zero_inflation=design.zero_inflation, curvature=case.curvature)


def lme4_parameters(case: GLMMCase, point: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(theta, beta) of a point of lme4 in the design's order."""
    design = case.design
    blocks = {(b["group"], tuple(b["columns"])): b["theta_index_from_0"] for b in case.results["random"]}
    theta = np.concatenate([np.array(point["theta"])[blocks[t.group, tuple(map(plain, t.columns))]]
                            for t in design.terms])
    order = positions(case.spec["fixed_columns"], design.coefficient_names, interaction)
    return theta, np.array(point["beta"])[order]


def tmb_parameters(case: GLMMCase, raw: Sequence[float]) -> tuple[NDArray[np.float64], ...]:
    """(theta, beta, extra) of glmmTMB's parameters, in the design's order.

    They are logarithms of standard deviations and, per term, the lower triangle by rows of a matrix whose rows, scaled
    to length one, are the Cholesky factor of the correlations. Its dispersion is the reciprocal for the Gamma family
    and a standard deviation, not a variance, for t.
    """
    design, names, raw = case.design, np.array(case.results["raw_parameter_names"]), np.asarray(raw)
    beta, zi, dispersion, rest, psi = (raw[names == name] for name in ("beta", "betazi", "betad", "theta", "psi"))
    theta = []
    for term in design.terms:
        c = len(term.columns)
        below = np.tril_indices(c, -1)
        sd, below_values, rest = np.split(rest, [c, c + len(below[0])])
        L = np.eye(c)
        L[below] = below_values
        T = np.exp(sd)[:, None] * L / np.linalg.norm(L, axis=1)[:, None]
        theta.append(T.T[np.triu_indices(c)])
    order = positions(case.results["conditional"]["rows"], design.coefficient_names, interaction)
    factor = {"Gamma": -1, "t": 2}.get(case.spec["family"], 1)
    return np.concatenate(theta), beta[order], np.concatenate([factor * dispersion, psi, zi])


# ---- names -----------------------------------------------------------------------------------------------------------

def plain(name: str) -> str:
    """R's spelling of a column's name: "recipe[T.B]" and "recipeB" are one."""
    return re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", name)


def interaction(name: str) -> tuple[str, ...]:
    """A coefficient's name without the order of an interaction's factors."""
    return tuple(sorted(plain(name).split(":")))


def positions(ours: Iterable[Any], theirs: Sequence[Any], key: Callable[[Any], Any] = plain) -> NDArray[np.intp]:
    """Where each of `theirs` stands in `ours`, which must hold the same names."""
    where = {key(name): i for i, name in enumerate(ours)}
    wanted = [key(name) for name in theirs]
    assert sorted(where) == sorted(wanted)
    return np.array([where[name] for name in wanted], int)
