"""Leverage and influence: against dense hat matrices, fits without the rows, Newton steps in all effects, and lme4."""

import functools
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dense import independent_columns
from dense_glmm import DenseFamily
from models import dense_of_design
from models_glmm import ArrayGLMM, TermSpec

import pymixed as pm
from pymixed.errors import ConvergenceWarning, InputError, PymixedWarning, RankDeficiencyWarning

Array = Any

EXACT = 1e-9     # relative to standard errors: rounding of dense inverses
SHARED = 1e-8    # the same where the rows' sums are taken away from those of all rows
REFIT = 1e-5     # of fits again, whose theta is good to about 1e-6
LME4 = 1e-7      # of leverages at lme4's theta


@functools.cache
def r() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "reference_inference" / "diagnostics.json").read_text())


def quietly(fit: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return fit()


def sleepstudy(formula: str = "Reaction ~ Days + (Days | Subject)", **more: Any) -> Any:
    return quietly(lambda: pm.lmer(formula, pm.datasets.load("sleepstudy"), **more))


def crossed(**more: Any) -> Any:
    return pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pm.datasets.load("penicillin"), **more)


def weighted_and_deficient() -> Any:
    rng = np.random.default_rng(5)
    data = pm.datasets.load("sleepstudy").assign(w=rng.uniform(0.3, 3.0, 180), o=rng.normal(size=180),
                                                 half=rng.choice(["p", "q"], 180))
    data.loc[[3, 50], "Reaction"] = np.nan
    formula = "Reaction ~ Days + I(2 * Days) + half + (Days || Subject) + (1 | half:Subject)"
    return quietly(lambda: pm.lmer(formula, data, weights="w", offset="o", reml=False))


def from_arrays() -> Any:
    rng = np.random.default_rng(8)
    a, b, time = rng.integers(0, 9, 70), rng.integers(0, 5, 70), rng.normal(3.0, 1.0, 70)
    y = 5.0 + time + rng.normal(size=9)[a] + 0.5 * rng.normal(size=9)[a] * time + rng.normal(size=5)[b]
    return quietly(lambda: pm.lmm(y + rng.normal(size=70), np.column_stack([np.ones(70), time]), {"a": a, "b": b},
                                  random_effects={"a": ["1", "time"]}, random_data={"time": time}))


def pastes() -> Any:
    return pm.lmer("strength ~ 1 + (1 | batch / cask)", pm.datasets.load("pastes"))


LINEAR = [sleepstudy, weighted_and_deficient, from_arrays, pastes, crossed]


@dataclass(frozen=True)
class Held:
    """A linear mixed model with theta held, all matrices formed: V = W^-1 + Z Lambda Lambda' Z'."""

    y: Array
    X: Array
    V: Array
    reml: bool

    @classmethod
    def of(cls, fit: Any) -> "Held":
        design = fit._design
        dense = dense_of_design(replace(design, X=design.X[:, independent_columns(design.X)]), reml=fit.reml)
        ZLambda = dense.Z @ sum(t * direction for t, direction in zip(fit.theta, dense.dLambda, strict=True))
        return cls(dense.y, dense.X, dense.W_inverse + ZLambda @ ZLambda.T, fit.reml)

    def without(self, rows: Array) -> "Held":
        kept = np.delete(np.arange(len(self.y)), rows)
        return replace(self, y=self.y[kept], X=self.X[kept], V=self.V[np.ix_(kept, kept)])

    @cached_property
    def P(self) -> Array:
        inverse = np.linalg.inv(self.V)
        return inverse - inverse @ self.X @ self.C @ self.X.T @ inverse

    @cached_property
    def C(self) -> Array:
        return np.linalg.inv(self.X.T @ np.linalg.solve(self.V, self.X))

    @cached_property
    def beta(self) -> Array:
        return self.C @ self.X.T @ np.linalg.solve(self.V, self.y)

    @cached_property
    def sigma2(self) -> float:
        residual = self.y - self.X @ self.beta
        return residual @ np.linalg.solve(self.V, residual) / (len(self.y) - self.X.shape[1] * self.reml)

    @property
    def vcov(self) -> Array:
        return self.sigma2 * self.C


def sets_of(fit: Any, by: str | None) -> Iterator[Array]:
    design = fit._design
    codes = np.arange(design.n) if by is None else next(f.codes for f in design.factors if f.name == by)
    return (np.flatnonzero(codes == j) for j in range(codes.max() + 1))


def groupings(fit: Any) -> list[str | None]:
    return [None, *(factor.name for factor in fit._design.factors)]


# ---- linear models ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make", LINEAR)
def test_leverage_is_the_diagonal_of_the_hat_matrix(make: Callable[[], Any]) -> None:
    fit = make()
    design = fit._design
    weights = np.ones(design.n) if design.weights is None else design.weights
    # yhat = y - W^-1 P y
    assert np.abs(fit.leverage() - (1.0 - Held.of(fit).P.diagonal() / weights)).max() < 1e-11
    assert fit.leverage().sum() == pytest.approx(fit.effective_parameters(corrected=False), rel=1e-10)


@pytest.mark.parametrize("name", ["slopes", "weighted", "crossed"])
def test_leverages_are_those_of_lme4(name: str) -> None:
    fit = {"slopes": sleepstudy, "crossed": crossed,
           "weighted": lambda: sleepstudy("Reaction ~ Days + (Days || Subject)", weights=np.tile([1, 2.5, 0.4], 60)),
           }[name]()
    assert np.abs(fit.leverage() - r()["hatvalues"][name]).max() < LME4


@pytest.mark.parametrize("make", LINEAR)
def test_influence_with_theta_held_is_the_fit_to_the_other_rows(make: Callable[[], Any]) -> None:
    fit = make()
    full = Held.of(fit)
    for by in groupings(fit):
        found = fit.influence(by)
        for j, rows in enumerate(sets_of(fit, by)):
            at = full.without(rows)
            se = np.sqrt(at.vcov.diagonal())
            step = fit.coefficients - at.beta
            assert np.abs((found.dfbeta.to_numpy()[j] - step) / se).max() < SHARED, (by, j)
            assert np.abs(found.dfbetas.to_numpy()[j] - step / se).max() < SHARED, (by, j)
            assert found.sigma.iloc[j] == pytest.approx(np.sqrt(at.sigma2), rel=EXACT), (by, j)
            assert found.covratio.iloc[j] == pytest.approx(
                np.linalg.det(at.vcov) / np.linalg.det(fit.vcov()), rel=SHARED), (by, j)
            assert found.cooks_distance.iloc[j] == pytest.approx(
                step @ np.linalg.solve(fit.vcov(), step) / step.size, rel=SHARED, abs=1e-12), (by, j)


@pytest.mark.parametrize("by", [None, "g", "h"])
def test_columns_far_from_zero_cost_few_digits(by: str | None) -> None:
    rng = np.random.default_rng(0)
    g, h, x = rng.integers(0, 20, 300), rng.integers(0, 7, 300), rng.normal(size=300)
    y = x + rng.normal(size=20)[g] + rng.normal(size=7)[h] + rng.normal(size=300)
    groups = {"g": g, "h": h} if by == "h" else {"g": g}
    near, far = (pm.lmm(y, np.column_stack([np.ones(300), x + shift]), groups) for shift in (0.0, 1e6))
    assert np.abs(near.leverage() - far.leverage()).max() < 1e-10
    ours, theirs = far.influence(by), near.influence(by)
    # 1e6 takes six of sixteen digits where the core sums over the rows, and the covariance in these units all but four
    assert np.abs(ours.dfbetas["X1"] - theirs.dfbetas["X1"]).max() < 1e-9
    assert np.abs(ours.cooks_distance - theirs.cooks_distance).max() < (1e-6 if by == "h" else 1e-9)
    assert np.abs(ours.covratio - theirs.covratio).max() < (1e-4 if by == "h" else 1e-9)


def test_labels_of_rows_are_positions_in_the_data_and_levels() -> None:
    fit = weighted_and_deficient()
    assert fit.influence().dfbeta.index.tolist() == [i for i in range(180) if i not in (3, 50)]
    assert fit.influence("Subject").dfbeta.index.tolist() == list(fit.ranef()["Subject"].index)
    assert fit.influence("Subject").dfbeta.columns.tolist() == list(fit.coefficient_names)


def test_labels_may_be_any_grouping_of_the_rows() -> None:
    fit = sleepstudy()
    subject = pm.datasets.load("sleepstudy")["Subject"].to_numpy()
    ours, theirs = fit.influence(subject), fit.influence("Subject")
    assert np.array_equal(ours.dfbeta, theirs.dfbeta)
    # pairs of subjects share no level with others, halves of a subject's days do
    halves = np.arange(180) % 2
    found = fit.influence(halves)
    for j in range(2):
        at = Held.of(fit).without(np.flatnonzero(halves == j))
        assert np.abs((found.dfbeta.to_numpy()[j] - (fit.coefficients - at.beta)) / fit.se).max() < SHARED


def test_large_sets_leave_too_few_rows_or_digits() -> None:
    rng = np.random.default_rng(9)
    data = pd.DataFrame({"g": np.tile(np.arange(6), 10), "h": np.repeat(np.arange(6), 10), "y": rng.normal(size=60),
                         "x": rng.normal(size=60), "z": rng.normal(size=60)})
    data.loc[data.index >= 4, "x"] *= 1e5     # the sums over the first rows are rounding in those over all
    fit = quietly(lambda: pm.lmer("y ~ x + z + (1 | g) + (1 | h)", data))
    for left in (3, 4):
        labels = (data.index >= left).astype(int)
        found = fit.influence(labels)
        assert found.cooks_distance.isna().tolist() == [False, left == 3]
        for j in range(left - 2):
            at = Held.of(fit).without(np.flatnonzero(labels == j))
            step = (fit.coefficients - at.beta) / np.sqrt(at.vcov.diagonal())
            assert np.abs(found.dfbetas.to_numpy()[j] - step).max() < SHARED * max(1.0, np.abs(step).max())


def test_what_single_rows_or_groups_determine_is_missing() -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(list("abcdef"), 5), "h": np.tile(list("vwxyz"), 6), "y": rng.normal(size=30)})
    data["only"] = (data.index == 7).astype(float)
    data["f"] = (data["g"] == "c").astype(float)
    row = quietly(lambda: pm.lmer("y ~ only + (1 | g)", data))
    assert np.isnan(row.influence().dfbeta.to_numpy()).all(axis=1).nonzero()[0].tolist() == [7]
    assert row.leverage()[7] == pytest.approx(1.0, abs=1e-12)
    group = quietly(lambda: pm.lmer("y ~ f + (1 | g)", data))
    assert group.influence("g").cooks_distance.isna().to_dict() == {g: g == "c" for g in "abcdef"}
    shared = quietly(lambda: pm.lmer("y ~ f + (1 | g) + (1 | h)", data))
    assert shared.influence("g").cooks_distance.isna().to_dict() == {g: g == "c" for g in "abcdef"}
    pair = quietly(lambda: pm.lmer("y ~ 1 + (1 | two)", data.assign(two=data["g"] < "d")))
    with pytest.warns(ConvergenceWarning, match=r"2 of 2 fits .*; grouping factor 'two'"):
        pair.influence("two", refit=True)   # one level is left
    with pytest.warns(ConvergenceWarning, match="1 of 6 fits"):
        again = quietly_but_for_convergence(lambda: group.influence("g", refit=True))
    assert again.converged.to_dict() == {g: g != "c" for g in "abcdef"}
    assert "1 without estimates" in repr(again)


def quietly_but_for_convergence(work: Callable[[], Any]) -> Any:
    """The work, without warnings of singular and deficient fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        warnings.simplefilter("always", ConvergenceWarning)
        return work()


@pytest.mark.parametrize("by", [None, "Subject"])
def test_refits_are_fits_to_the_rest_of_the_data(by: str | None) -> None:
    data = pm.datasets.load("sleepstudy")
    data = data[data["Subject"].isin(["308", "309", "310", "330", "331", "332"])].reset_index(drop=True)
    fit = pm.lmer("Reaction ~ Days + (1 | Subject)", data)
    found = fit.influence(by, refit=True)
    labels = data.index if by is None else data["Subject"]
    for label in found.dfbeta.index[:8]:
        other = pm.lmer("Reaction ~ Days + (1 | Subject)", data[labels != label])
        step = fit.coefficients - other.coefficients
        assert np.abs((found.dfbeta.loc[label] - step) / other.se).max() < REFIT
        assert np.abs(found.dfbetas.loc[label] - step / other.se).max() < REFIT
        assert np.abs(found.dtheta.loc[label] - (fit.theta - other.theta)).max() < REFIT
        assert found.sigma.loc[label] == pytest.approx(other.residual_std, rel=REFIT)
        assert found.covratio.loc[label] == pytest.approx(
            np.linalg.det(other.vcov()) / np.linalg.det(fit.vcov()), rel=10 * REFIT)
    assert found.converged.all()


def test_refits_without_a_subject_are_those_of_lme4() -> None:
    theirs = r()["subject_influence"]
    found = sleepstudy().influence("Subject", refit=True)
    assert found.dfbeta.index.tolist() == theirs["subject"]
    # theirs are estimates without minus with; their distance has the factor (J - p) / J
    assert np.abs(found.dfbeta.to_numpy() + np.array(theirs["dfbeta"])).max() < 1e-8
    assert np.abs(found.dfbetas.to_numpy() + np.array(theirs["dfbetas"])).max() < 1e-4
    assert np.abs(found.cooks_distance * 16 / 18 - theirs["cooks_distance"]).max() < 1e-6


# ---- generalized models ----------------------------------------------------------------------------------------------

def herds(**more: Any) -> Any:
    return pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", pm.datasets.load("cbpp"), **more)


def counts(link: str = "log", **more: Any) -> tuple[ArrayGLMM, Any]:
    """A model of counts with two crossed factors and an offset, and its fit."""
    rng = np.random.default_rng(12)
    n = 80
    a, b, x, offset = rng.integers(0, 9, n), rng.integers(0, 6, n), rng.normal(size=n), rng.uniform(-0.3, 0.3, n)
    eta = (1.4 if link == "log" else 5.0) + 0.3 * x + offset + 0.5 * rng.normal(size=9)[a] + 0.4 * rng.normal(size=6)[b]
    y = rng.poisson(np.exp(eta) if link == "log" else eta**2)
    model = ArrayGLMM(y.astype(float), np.column_stack([np.ones(n), x]), {"a": a, "b": b},
                      (TermSpec("a", ("1",)), TermSpec("b", ("1",))), DenseFamily("poisson", link), offset=offset)
    return model, model.fit(**more)


def clustered(**more: Any) -> tuple[ArrayGLMM, Any]:
    """A probit model with slopes of one factor, and its fit."""
    rng = np.random.default_rng(4)
    n = 160
    a, x = rng.integers(0, 16, n), rng.normal(size=n)
    eta = 0.4 + 0.5 * x + 0.7 * rng.normal(size=16)[a] + 0.4 * rng.normal(size=16)[a] * x
    y = (rng.normal(size=n) < eta).astype(float)
    model = ArrayGLMM(y, np.column_stack([np.ones(n), x]), {"a": a}, (TermSpec("a", ("1", "x")),),
                      DenseFamily("binomial", "probit"), {"x": x})
    return model, model.fit(**more)


def zero_inflated(**more: Any) -> tuple[ArrayGLMM, Any]:
    """Counts with structural zeros, and the fit: some of its working weights are negative."""
    rng = np.random.default_rng(31)
    n = 150
    a, x = rng.integers(0, 12, n), rng.normal(size=n)
    mu = np.exp(1.2 + 0.4 * x + 0.5 * rng.normal(size=12)[a])
    y = np.where(rng.random(n) < 0.25, 0, rng.poisson(mu)).astype(float)
    model = ArrayGLMM(y, np.column_stack([np.ones(n), x]), {"a": a}, (TermSpec("a", ("1",)),),
                      DenseFamily("poisson", "log"), zero_inflation=np.ones((n, 1)))
    return model, model.fit(**more)


MODELS: dict[str, tuple[Callable[..., tuple[ArrayGLMM, Any]], dict[str, Any]]] = {
    "counts": (counts, {}), "counts by square roots": (counts, {"link": "sqrt"}), "probit": (clustered, {}),
    "probit, expected": (clustered, {"curvature": "expected"}), "profiled": (counts, {"n_agq": 0}),
    "quadrature": (clustered, {"n_agq": 3}), "zero-inflated": (zero_inflated, {})}


def working(model: ArrayGLMM, fit: Any, curvature: str) -> tuple[Any, Array]:
    """The dense mode of a fit, and the derivatives of log f there."""
    at = model.dense(curvature).at(fit.theta, fit.coefficients, fit.params.extra)
    return at, at.model.row_derivatives(at.eta, at.extra)[0]


@pytest.mark.parametrize("name", MODELS)
def test_one_step_is_a_newton_step_in_all_effects(name: str) -> None:
    make, options = MODELS[name]
    model, fit = make(**options)
    at, scores = working(model, fit, options.get("curvature", "observed"))
    q = at.u.size
    columns = np.hstack([at.ZLambda, at.model.X])
    penalty = np.diag(np.concatenate([np.ones(q), np.zeros(columns.shape[1] - q)]))

    def step(kept: Array) -> tuple[Array, Array]:
        """Newton's (or Fisher's) step of the penalised log-likelihood of some rows, and its inverse curvature."""
        rows = columns[kept]
        inverse = np.linalg.inv(rows.T @ (at.weights[kept, None] * rows) + penalty)
        gradient = rows.T @ scores[kept] - penalty @ np.concatenate([at.u, np.zeros(columns.shape[1] - q)])
        return (inverse @ gradient)[q:], inverse[q:, q:]

    own, C = step(np.ones(len(scores), bool))
    hat = ((columns @ np.linalg.inv(columns.T @ (at.weights[:, None] * columns) + penalty)) * columns).sum(axis=1)
    assert np.abs(fit.leverage() - at.weights * hat).max() < 1e-8   # modes found to about that
    for by in groupings(fit):
        found = fit.influence(by)
        for j, rows in enumerate(sets_of(fit, by)):
            kept = np.ones(len(scores), bool)
            kept[rows] = False
            other, without = step(kept)
            assert np.abs((found.dfbeta.to_numpy()[j] - (own - other)) / fit.se).max() < 1e-7, (by, j)
            assert found.covratio.iloc[j] == pytest.approx(np.linalg.det(without) / np.linalg.det(C), rel=1e-7)
            se = fit.se * np.sqrt(without.diagonal() / C.diagonal())
            assert np.abs(found.dfbetas.to_numpy()[j] - (own - other) / se).max() < 1e-7
        assert found.sigma is None


def test_leverages_of_a_binomial_model_are_those_of_the_matrices_of_lme4() -> None:
    # its hatvalues() are others: they exceed 1 and do not add up to any number of parameters
    assert np.abs(herds().leverage() - r()["hatvalues"]["herds"]).max() < 1e-5   # its estimates are good to 1e-6


def test_one_step_goes_most_of_the_way_to_a_refit() -> None:
    fit = herds()
    step, again = fit.influence("herd"), fit.influence("herd", refit=True)
    gap = (step.dfbeta - again.dfbeta).abs().to_numpy() / fit.se
    # theta, which is held, takes the rest: a herd has one of 15 modes that it is estimated from
    assert gap.max() < 0.25
    assert np.corrcoef(step.dfbeta.to_numpy().ravel(), again.dfbeta.to_numpy().ravel())[0, 1] > 0.98
    assert again.dtheta.shape == (15, 1)
    other = pm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)",
                     pm.datasets.load("cbpp").query("herd != '4'"))
    assert np.abs((again.dfbeta.loc["4"] - (fit.coefficients - other.coefficients)) / fit.se).max() < REFIT


def negative_weights() -> Any:
    """A fit with crossed factors and outliers, at which the density is convex."""
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 8, 90), rng.integers(0, 6, 90)
    y = rng.normal(size=8)[a] + 0.5 * rng.normal(size=6)[b] + rng.standard_t(2.5, size=90)
    return quietly(lambda: pm.glmm(y, np.ones((90, 1)), {"a": a, "b": b}, family=pm.families.StudentT(df=3)))


def test_weights_may_be_negative_where_formulas_hold() -> None:
    fit = negative_weights()
    weights, _ = fit._engine.working_rows(fit._criterion_point)
    assert weights.min() < 0.0
    assert fit.leverage().min() < 0.0   # raising such a response lowers its own fitted value
    step = fit.influence()
    again = quietly(lambda: fit.influence(refit=True))
    gap = (step.dfbeta - again.dfbeta).abs().to_numpy() / fit.se
    assert np.median(gap) < 0.02
    quietly(lambda: fit.influence("b", refit=True))


# ---- results and errors ----------------------------------------------------------------------------------------------

def test_a_result_in_print_and_as_a_table() -> None:
    fit = sleepstudy()
    found = fit.influence("Subject", refit=True)
    table = found.to_pandas()
    assert table.columns.tolist() == ["cooks_distance", "covratio", "sigma", "dfbeta.(Intercept)", "dfbeta.Days",
                                      *(f"dtheta.{name}" for name in fit.theta_names)]
    assert repr(found).splitlines()[0] == "influence by Subject (18), fitted again without each"
    assert repr(found).splitlines()[3].startswith(table["cooks_distance"].idxmax())
    assert len(repr(found).splitlines()) == 3 + 10
    assert "<table" in found._repr_html_()
    held = fit.influence()
    assert held.dtheta is None
    assert held.converged is None
    assert "influence by row (180), theta held, exact" in repr(held)


def test_what_cannot_be_deleted_is_an_error() -> None:
    fit = sleepstudy()
    with pytest.raises(InputError, match="by: expected a grouping factor of the model, 'Subject', got 'Days'"):
        fit.influence("Days")
    with pytest.raises(InputError, match="by: expected 180 labels, one per row, got 3"):
        fit.influence([1, 2, 3])
    with pytest.raises(InputError, match="by: expected levels that share no level of another factor"):
        negative_weights().influence("b")
    with pytest.raises(InputError, match="by: expected at least two levels, got only 1"):
        fit.influence(np.ones(180))
    with pytest.raises(InputError, match="influence: expected a model with fixed effects"):
        sleepstudy("Reaction ~ 0 + (Days | Subject)").influence()
    assert sleepstudy("Reaction ~ 0 + (Days | Subject)").leverage().shape == (180,)
    streamed = pm.CrossProducts.from_batches("Reaction ~ Days + (Days | Subject)",
                                             [pm.datasets.load("sleepstudy")]).fit()
    for use in (streamed.leverage, streamed.influence, lambda: streamed.influence("Subject", refit=True)):
        with pytest.raises(InputError, match="hold no rows"):
            use()


def test_a_deficient_fit_warns_once() -> None:
    data = pm.datasets.load("sleepstudy")
    with pytest.warns(RankDeficiencyWarning):
        fit = pm.lmer("Reaction ~ Days + I(2 * Days) + (1 | Subject)", data)
    assert fit.influence("Subject", refit=True).dfbeta.shape == (18, 2)
