"""One linear mixed model as arrays, to be fitted by pymixed and evaluated by the dense reference."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from dense import DenseLMM, DenseTerm
from hypothesis import strategies as st
from numpy.typing import NDArray

import pymixed as pm
from pymixed.errors import PymixedWarning

Array = NDArray[Any]


@dataclass(frozen=True)
class TermSpec:
    """A term by names: its grouping factor, its columns ("1" or a key of the model's `data`), its structure."""

    group: str
    columns: tuple[str, ...] = ("1",)
    structure: str = "us"

    @property
    def n_theta(self) -> int:
        c = len(self.columns)
        return c if self.structure == "diag" else c * (c + 1) // 2

    @property
    def diagonal(self) -> NDArray[np.bool_]:
        """Which of the term's parameters stand on the template's diagonal."""
        if self.structure == "diag":
            return np.ones(self.n_theta, bool)
        return np.concatenate([np.arange(c) == 0 for c in range(len(self.columns), 0, -1)])


@dataclass(frozen=True)
class ArrayModel:
    """y (n,), X (n, p), labels (n,) per grouping factor, terms, and what else the model has."""

    y: Array
    X: Array
    groups: Mapping[str, Array]
    terms: tuple[TermSpec, ...]
    data: Mapping[str, Array] = field(default_factory=dict)
    weights: Array | None = None
    offset: Array | None = None

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What hypothesis shows of a failing example: its kind, its numbers would fill the screen."""
        n_levels = {group: len(np.unique(labels)) for group, labels in self.groups.items()}
        given = [name for name in ("weights", "offset") if getattr(self, name) is not None]
        printer.text(f"ArrayModel(X {self.X.shape}, {n_levels}, {self.terms}, {given})")

    @property
    def n_theta(self) -> int:
        return sum(term.n_theta for term in self.terms)

    @property
    def diagonal(self) -> NDArray[np.bool_]:
        return np.concatenate([term.diagonal for term in self.terms])

    def fit(self, **options: Any) -> Any:
        """`pm.lmm` of the model. Random designs are often singular; that warning is not the point here."""
        used = {name for term in self.terms for name in term.columns}
        data = {name: values for name, values in self.data.items() if name in used}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PymixedWarning)
            return pm.lmm(self.y, self.X, dict(self.groups), random_data=data or None,
                          random_effects=[pm.Term(t.group, t.columns, structure=t.structure) for t in self.terms],
                          weights=self.weights, offset=self.offset, **options)

    def dense(self, *, reml: bool = True, dtype: Any = np.float64) -> DenseLMM:
        terms = []
        for term in self.terms:
            columns = [np.ones_like(self.y) if name == "1" else self.data[name] for name in term.columns]
            codes = np.unique(self.groups[term.group], return_inverse=True)[1]
            terms.append(DenseTerm(codes, np.column_stack(columns), term.structure))
        return DenseLMM(self.y, self.X, terms, weights=self.weights, offset=self.offset, reml=reml, dtype=dtype)

    def rows(self, index: Array) -> "ArrayModel":
        """The model of the rows chosen, in that order."""
        def take(columns: Mapping[str, Array]) -> dict[str, Array]:
            return {name: values[index] for name, values in columns.items()}

        return replace(self, y=self.y[index], X=self.X[index], groups=take(self.groups), data=take(self.data),
                       weights=None if self.weights is None else self.weights[index],
                       offset=None if self.offset is None else self.offset[index])

    def interior(self, seed: int) -> Array:
        """A theta inside the parameter space: diagonals in (0.2, 1.2), the rest in (-0.5, 0.5)."""
        return np.random.default_rng(seed).uniform(-0.5, 0.5, self.n_theta) + 0.7 * self.diagonal


def dense_of_design(design: Any, *, reml: bool) -> DenseLMM:
    """The dense model of a MixedDesign, terms in its order."""
    terms = []
    for term in design.terms:
        columns = [np.ones(design.n) if column is None else column for column in term.data]
        terms.append(DenseTerm(design.factors[term.factor].codes, np.column_stack(columns), term.structure))
    return DenseLMM(design.y, design.X, terms, weights=design.weights, offset=design.offset, reml=reml)


# ---- random models ---------------------------------------------------------------------------------------------------

def one_factor(rng: np.random.Generator) -> dict[str, Array]:
    return {"a": rng.integers(0, 7, 48)}


def lone_observations(rng: np.random.Generator) -> dict[str, Array]:
    """Some groups of one row."""
    return {"a": np.concatenate([np.arange(8), rng.integers(8, 12, 40)])}


def nested(rng: np.random.Generator) -> dict[str, Array]:
    inner = rng.integers(0, 10, 54)
    return {"a": inner // 3, "b": inner}


def crossed(rng: np.random.Generator) -> dict[str, Array]:
    """Every pair of levels, rows in no order."""
    pair = rng.permutation(54)
    return {"a": pair // 6, "b": pair % 6}


def partially_crossed(rng: np.random.Generator) -> dict[str, Array]:
    return {"a": rng.integers(0, 11, 60), "b": rng.integers(0, 5, 60), "c": rng.integers(0, 3, 60)}


GROUPINGS: tuple[Callable[[np.random.Generator], dict[str, Array]], ...] = (
    one_factor, lone_observations, nested, crossed, partially_crossed)

TERMS_OF_A_FACTOR: tuple[tuple[tuple[tuple[str, ...], str], ...], ...] = (
    ((("1",), "us"),),
    ((("x",), "us"),),
    ((("1", "x"), "us"),),
    ((("1", "x", "z"), "us"),),
    ((("1", "x"), "diag"),),
    ((("1",), "us"), (("x",), "us")),
    ((("1",), "us"), (("x", "z"), "us")),
)


@st.composite
def array_models(draw: st.DrawFn, groupings: tuple[Callable[..., Any], ...] = GROUPINGS) -> ArrayModel:
    """Models of about 50 rows over all kinds of grouping and of terms, with p = 0 to 3, weights, an offset."""
    grouping = draw(st.sampled_from(groupings))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = grouping(rng)
    terms = tuple(TermSpec(group, columns, structure)
                  for group in groups for columns, structure in draw(st.sampled_from(TERMS_OF_A_FACTOR)))
    n = len(groups["a"])
    x, z = rng.normal(size=(2, n))
    X = np.column_stack([np.ones(n), x, rng.normal(size=n)])[:, :draw(st.integers(0, 3))]
    y = 3 + 2 * x + rng.normal(size=n)
    for labels in groups.values():
        codes = np.unique(labels, return_inverse=True)[1]
        y += rng.normal(size=60)[codes] + rng.normal(size=60)[codes] * x
    return ArrayModel(y, X, groups, terms, {"x": x, "z": z},
                      weights=rng.uniform(0.3, 3, n) if draw(st.booleans()) else None,
                      offset=rng.normal(size=n) if draw(st.booleans()) else None)
