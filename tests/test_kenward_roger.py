"""Kenward-Roger against dense matrices and against pbkrtest."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dense_inference import DenseKenwardRoger, scaled_f
from hypothesis import given
from hypothesis import strategies as st
from models import ArrayModel, TermSpec, array_models
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from reference_cases import interaction, linear_cases, load, positions
from scipy import stats

import pymixed as pm
from pymixed._inference import kenward_roger as _kenward_roger
from pymixed._inference.kenward_roger import KenwardRoger, kenward_roger
from pymixed.errors import InputError, LongComputationWarning, MemoryLimitError

Array = NDArray[Any]

SUMS = 1e-10        # relative to the largest of each block: rounding alone
ROUNDING = 1e-12    # of what the inverse information makes of the sums, times its condition


def adjustment(solution: Any, theta: Array | None = None) -> KenwardRoger:
    return kenward_roger(solution._engine, solution.theta if theta is None else theta)


def assert_sums(solution: Any, dense: DenseKenwardRoger, theta: Array) -> None:
    """P, Q and T in the user's parameters and in coordinates in which the covariance is the identity, over sigma²."""
    sums = solution._engine.kenward_roger_sums(theta)
    J, root, sigma2 = sums.to_internal, sums.root, sums.sigma2
    assert_allclose(sigma2, dense.sigma2, rtol=1e-9)
    Phi = dense.Phi
    assert_allclose(sigma2 * root @ root.T, Phi, rtol=0, atol=1e-9 * np.abs(Phi).max(initial=1))
    scale = np.sqrt(np.outer(dense.T.diagonal(), dense.T.diagonal())) * sigma2**2
    scale[scale == 0] = 1
    assert_allclose(J.T @ sums.T @ J / scale, dense.T * sigma2**2 / scale, rtol=0, atol=SUMS)
    P = np.einsum("ki,kab->iab", J, sums.P)
    Q = np.einsum("ki,lj,kalb->ijab", J, J, sums.Q)
    dense_P, dense_Q = sigma2**2 * root.T @ dense.P @ root, sigma2**3 * root.T @ dense.Q @ root
    assert_allclose(P, dense_P, rtol=0, atol=SUMS * np.abs(dense_P).max(initial=1))
    assert_allclose(Q, dense_Q, rtol=0, atol=SUMS * np.abs(dense_Q).max(initial=1))


def assert_adjustment(found: KenwardRoger, dense: DenseKenwardRoger, contrasts: Array) -> None:
    rtol = 1e-9 + ROUNDING * dense.condition
    assert_allclose(found.vcov, dense.vcov, rtol=0, atol=rtol * np.abs(dense.vcov).max(initial=0))
    W = dense.W
    assert_allclose(found.W, W, rtol=0, atol=rtol * np.abs(W).max())
    estimate = np.arange(1.0, len(contrasts) + 1)
    for row, df, value in zip(contrasts, found.df(contrasts), estimate, strict=True):
        F, m, factor = dense.f_test(row[None], value[None])
        assert_allclose(df, m, rtol=1e1 * rtol)     # 4 + 3 / (rho - 1) of the paper cancels
        assert_allclose(factor, 1, rtol=1e1 * rtol)
        assert_allclose(value**2 / (row @ found.vcov @ row), F, rtol=1e1 * rtol)
    if len(contrasts) > 1:
        F, m, _ = dense.f_test(contrasts, estimate)
        if m > 0:
            assert_allclose(found.f_test(contrasts, estimate), (F, len(contrasts), m), rtol=1e2 * rtol)


def points(model: ArrayModel, seed: int) -> list[Array]:
    """Inside the parameter space, and with every diagonal entry in turn zero, then all of theta."""
    interior = model.interior(seed)
    edges = [np.where(entry, 0, interior) for entry in np.eye(model.n_theta, dtype=bool)[model.diagonal]]
    return [interior, *edges, np.zeros(model.n_theta)]


# ---- against the definition ------------------------------------------------------------------------------------------

@given(model=array_models(), seed=st.integers(0, 99), method=st.sampled_from(["auto", "dense", "sparse"]))
def test_on_random_designs(model: ArrayModel, seed: int, method: str) -> None:
    solution = model.fit(method=method if len(model.groups) > 1 else "auto")
    p = model.X.shape[1]
    rng = np.random.default_rng(seed)
    for theta in points(model, seed):
        dense = DenseKenwardRoger(model.dense().at(theta))
        assert_sums(solution, dense, theta)
        assert_adjustment(adjustment(solution, theta), dense, rng.normal(size=(p, p)))


def nested_model() -> ArrayModel:
    """Pupils in classes in schools, with an uncorrelated slope, in ten components; seven coefficients."""
    rng = np.random.default_rng(3)
    n, inner = 180, rng.permutation(np.arange(180) % 36)
    x, z = rng.normal(size=(2, n))
    X = np.column_stack([np.ones(n), x, z, rng.normal(size=(n, 4))])
    y = x + rng.normal(size=n) + rng.normal(size=10)[inner % 10] + rng.normal(size=36)[inner]
    return ArrayModel(y, X, {"school": inner % 10, "class": inner},
                      (TermSpec("school", ("1", "x"), "diag"), TermSpec("class", ("1", "x"))), {"x": x},
                      weights=rng.uniform(0.3, 3, n))


def three_factor_model() -> ArrayModel:
    """Three crossed factors, two terms on one of the tail."""
    rng = np.random.default_rng(4)
    n = 160
    groups = {"a": rng.integers(0, 20, n), "b": rng.integers(0, 6, n), "c": rng.integers(0, 4, n)}
    x, z = rng.normal(size=(2, n))
    y = rng.normal(size=n) + rng.normal(size=20)[groups["a"]] * x + rng.normal(size=6)[groups["b"]]
    return ArrayModel(y, np.ones((n, 1)), groups,
                      (TermSpec("b"), TermSpec("a", ("1", "x")), TermSpec("b", ("x", "z")), TermSpec("c")),
                      {"x": x, "z": z}, offset=rng.normal(size=n))


@pytest.mark.parametrize("make", [nested_model, three_factor_model])
def test_methods_agree_with_the_definition(make: Any) -> None:
    model = make()
    p = model.X.shape[1]
    for theta in points(model, 0):
        dense = DenseKenwardRoger(model.dense().at(theta))
        for method in ("dense", "sparse"):
            solution = model.fit(method=method)
            assert_sums(solution, dense, theta)
            assert_adjustment(adjustment(solution, theta), dense, np.random.default_rng(1).normal(size=(p, p)))


def test_ml_fits_and_threads_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    n = 3000
    groups = {"a": rng.integers(0, 300, n), "b": rng.integers(0, 260, n)}
    model = ArrayModel(rng.normal(size=n), np.column_stack([np.ones(n), rng.normal(size=n)]), groups,
                       (TermSpec("a"), TermSpec("b")))
    theta = np.array([0.7, 0.4])
    first = model.fit(method="dense", reml=False)._engine.kenward_roger_sums(theta)
    second = model.fit(method="dense", n_threads=2)._engine.kenward_roger_sums(theta)
    for name in ("sigma2", "root", "P", "Q", "T"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("far", [1e3, 1e5])
def test_covariate_far_from_zero(far: float) -> None:
    """Shifting x changes what the intercepts mean, fixed and random, and nothing else."""
    model, terms = nested_model(), (TermSpec("class", ("1", "x")), TermSpec("school"))
    near = replace(model, X=model.X[:, :2], terms=terms)
    shifted = replace(near, X=near.X + np.array([0, far]), data={"x": near.data["x"] + far})
    theta = np.array([0.8, 0.3, 0.5, 0.6])
    forward, backward = np.array([[1, far], [0, 1]]), np.array([[1, -far], [0, 1]])  # effects of 1, x and of 1, x + far
    lower = np.linalg.qr((backward @ [[theta[0], 0], [theta[1], theta[2]]]).T)[1].T
    found = adjustment(shifted.fit(), np.append(lower[np.tril_indices(2)], theta[3]))
    dense = DenseKenwardRoger(near.dense().at(theta))
    # theta holds the random intercept at x + far = far to far * 1e-16 of itself
    rtol = 1e-10 + 1e-14 * far
    assert_allclose(found.vcov, backward @ dense.vcov @ backward.T, rtol=rtol)
    contrasts = np.random.default_rng(8).normal(size=(2, 2))
    expected = [dense.f_test(row[None], np.ones(1))[1] for row in contrasts]
    assert_allclose(found.df(contrasts @ forward), expected, rtol=rtol)


# ---- against pbkrtest ------------------------------------------------------------------------------------------------

REFERENCE = [name for name in linear_cases() if "kenward_roger" in load(name).results]
# Both estimates of theta are converged to about 1e-7 of themselves at best; see test_reference_lmm.py.
ESTIMATES = 1e-6


@pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")
@pytest.mark.parametrize("name", REFERENCE)
def test_coefficients_of_pbkrtest(name: str) -> None:
    case = load(name)
    solution = case.fit()
    found = adjustment(solution)
    table = pd.DataFrame(**renamed(case.results["kenward_roger"]))
    order = positions(solution.coefficient_names, table.index, interaction)
    se, df = np.sqrt(found.vcov.diagonal()), found.df(np.eye(len(found.vcov)))
    assert_allclose(se[order], table["Std. Error"], rtol=ESTIMATES)
    assert_allclose(df[order], table["df"], rtol=ESTIMATES)
    t = solution.coefficients / se
    assert_allclose(t[order], table["t value"], rtol=ESTIMATES)
    assert_allclose(2 * stats.t.sf(np.abs(t), df)[order], table["Pr(>|t|)"], rtol=1e2 * ESTIMATES)
    vcov = np.array(case.results["kenward_roger_vcov"])
    assert_allclose(found.vcov[np.ix_(order, order)], vcov, rtol=0, atol=ESTIMATES * np.abs(vcov).max())


@pytest.mark.parametrize(("name", "row", "names"), [
    ("cake_factor_slopes", "recipe", ["recipe[T.B]", "recipe[T.C]"]),
    ("cake_interaction", "recipe:temperature",
     [f"recipe[T.{r}]:temperature[{t}]" for r in "BC" for t in (".L", ".Q", ".C", "^4", "^5")]),
    ("oats_split_plot", "nitro", ["nitro"]),
    ("oats_split_plot", "Variety", ["Variety[T.Marvellous]", "Variety[T.Victory]"]),
    ("orthodont_slope", "age:Sex", ["age:Sex[T.Female]"]),
    ("sleepstudy_slope", "Days", ["Days"]),
])
@pytest.mark.filterwarnings("ignore::pymixed.errors.SingularFitWarning")
def test_terms_of_pbkrtest(name: str, row: str, names: list[str]) -> None:
    case = load(name)
    solution = case.fit()
    L = np.eye(len(solution.coefficients))[[solution.coefficient_names.index(wanted) for wanted in names]]
    F, num_df, den_df = adjustment(solution).f_test(L, L @ solution.coefficients)
    expected = pd.DataFrame(**renamed(case.results["anova_kenward_roger_III"])).loc[row]
    assert num_df == expected["NumDF"]
    assert_allclose([F, den_df], expected[["F value", "DenDF"]].astype(float), rtol=ESTIMATES)


def renamed(table: dict[str, Any]) -> dict[str, Any]:
    return {"data": table["values"], "index": table["rows"], "columns": table["columns"]}


@pytest.fixture
def unbalanced() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 61
    frame = pd.DataFrame({"b": rng.integers(0, 9, n), "h": rng.integers(0, 4, n), "v": rng.integers(0, 4, n),
                          "x": rng.normal(size=n)})
    frame["y"] = (0.5 * frame.x + rng.normal(size=9)[frame.b] + rng.normal(size=9)[frame.b] * frame.x
                  + rng.normal(size=4)[frame.h] * 0.7 + rng.normal(size=n))
    frame["z"] = (frame.b + 1) % 4
    return frame.astype(dict.fromkeys("bhvz", str))


# KRmodcomp() of pbkrtest 0.5.2 on lme4 1.1-31: Fstat, F.scaling, ddf of the three contrasts of v and of z
@pytest.mark.parametrize(("formula", "factor", "expected"), [
    ("y ~ v + x + (x | b) + (1 | h)", "v", (0.097086568158, 0.999875259664, 43.2998905306)),
    ("y ~ v + x + (1 | b)", "v", (0.634749759495, 0.999919888844, 54.2343668929)),
    ("y ~ z + (1 | b)", "z", (0.387559478637, 0.999732120067, 4.80740207084)),
])
def test_scaled_f_of_pbkrtest(unbalanced: pd.DataFrame, formula: str, factor: str,
                              expected: tuple[float, float, float]) -> None:
    solution = pm.lmer(formula, unbalanced)
    L = np.eye(len(solution.coefficients))[[f"{factor}[T." in name for name in solution.coefficient_names]]
    found, estimate = adjustment(solution), L @ solution.coefficients
    F, num_df, den_df = found.f_test(L, estimate)
    unscaled = estimate @ np.linalg.solve(L @ found.vcov @ L.T, estimate) / 3
    assert num_df == 3
    assert_allclose([F, F / unscaled, den_df], expected, rtol=1e-6)


# ---- tests of contrasts ----------------------------------------------------------------------------------------------

def test_dependent_contrasts(unbalanced: pd.DataFrame) -> None:
    solution = pm.lmer("y ~ v + x + (1 | b)", unbalanced)
    found, L = adjustment(solution), np.eye(5)[1:4]
    more = np.vstack([L, 1e6 * (L[0] - L[1]), L[2], np.zeros(5)])
    assert_allclose(found.f_test(more, more @ solution.coefficients), found.f_test(L, L @ solution.coefficients),
                    rtol=1e-9)
    with pytest.raises(InputError, match="contradict"):
        found.f_test(more, more @ solution.coefficients + [0, 0, 0, 1e6, 0, 0])
    with pytest.raises(InputError, match="not zero"):
        found.f_test(np.zeros((2, 5)), np.zeros(2))


def test_single_contrast_is_a_t_test(unbalanced: pd.DataFrame) -> None:
    solution = pm.lmer("y ~ v + x + (1 | b)", unbalanced)
    found, L = adjustment(solution), np.random.default_rng(0).normal(size=(4, 5))
    estimate = L @ solution.coefficients
    for row, value, df in zip(L, estimate, found.df(L), strict=True):
        assert_allclose(found.f_test(row[None], value[None]), (value**2 / (row @ found.vcov @ row), 1, df), rtol=1e-9)
    assert np.isnan(found.df(np.zeros((1, 5)))).all()


@given(rank=st.integers(1, 9), a=st.floats(0.01, 0.45), share=st.floats(0.05, 0.99))
def test_scale_and_df_are_those_of_the_paper(rank: int, a: float, share: float) -> None:
    A2 = rank * a
    u = rank * share if rank > 1 else 1.0
    m, factor = scaled_f(rank, u * A2, A2)
    found = _kenward_roger._scaled_f(rank, u * A2, A2)
    if m > 0 and abs(m - 2) > 1e-3:
        assert_allclose(found, (m, factor), rtol=1e-8)


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 2.0])
def test_exact_tests_have_no_poles(rank: int, a: float) -> None:
    """A1 = r A2: an F distribution with 2 / a degrees of freedom, where the paper's quotients are 0 / 0."""
    for rounding in (0, 1e-13, -1e-13):
        assert_allclose(_kenward_roger._scaled_f(rank, rank**2 * a * (1 + rounding), rank * a), (2 / a, 1), rtol=1e-9)
    assert _kenward_roger._scaled_f(rank, 0.0, 0.0) == (np.inf, 1.0)


# ---- limits ----------------------------------------------------------------------------------------------------------

def test_parameter_that_fixed_effects_explain_away() -> None:
    """Groups in X and Z both: their variance has no information and stays out of it."""
    rng = np.random.default_rng(2)
    b, c = np.arange(40) % 4, np.arange(40) % 5
    X = np.column_stack([np.eye(4)[b], rng.normal(size=40)])
    model = ArrayModel(rng.normal(size=40) + c, X, {"b": b, "c": c}, (TermSpec("b"), TermSpec("c")))
    found = adjustment(model.fit(), np.array([0.5, 1.0]))
    assert found.W[0, 0] == pytest.approx(0, abs=1e-8)
    without = ArrayModel(model.y, X, {"c": c}, (TermSpec("c"),))
    slope = np.eye(5)[4:]
    assert_allclose(found.df(slope), adjustment(without.fit(), np.array([1.0])).df(slope), rtol=1e-9)


def test_over_parametrised_model() -> None:
    """Two factors with the same levels share the variance of one in any way, and the tests are those of one."""
    model = three_factor_model()
    x = np.random.default_rng(9).normal(size=len(model.y))
    one = replace(model, X=np.column_stack([model.X, x]), groups={"a": model.groups["a"]}, terms=(TermSpec("a"),))
    two = replace(one, groups={"a": model.groups["a"], "b": model.groups["a"]}, terms=(TermSpec("a"), TermSpec("b")))
    found, expected = adjustment(two.fit(), np.array([0.6, 0.8])), adjustment(one.fit(), np.ones(1))
    assert_allclose(found.vcov, expected.vcov, rtol=1e-9)
    assert_allclose(found.df(np.eye(2)), expected.df(np.eye(2)), rtol=1e-9)
    assert_allclose(found.W[:2, :2].sum(), expected.W[0, 0], rtol=1e-9)


def test_cost_is_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    solution = nested_model().fit()
    cost = solution._engine.kenward_roger_cost()
    monkeypatch.setattr(_kenward_roger, "OPERATIONS_PER_SECOND", cost.operations / 100)
    with pytest.warns(LongComputationWarning, match=r'GB and about 100 s; ddf="satterthwaite"') as caught:
        adjustment(solution)
    assert caught[0].message.code == "long_computation"     # type: ignore[union-attr]
    monkeypatch.setattr(_kenward_roger, "OPERATIONS_PER_SECOND", cost.operations / 4000)
    with pytest.raises(MemoryLimitError, match=r"about 4000 s, the limit is 3600 s; ddf="):
        adjustment(solution)
    monkeypatch.setattr(_kenward_roger, "available_memory", lambda: cost.n_bytes / 2)
    with pytest.raises(MemoryLimitError, match="GB of memory; ddf="):
        adjustment(solution)


def test_theta_must_be_finite() -> None:
    with pytest.raises(InputError, match="theta"):
        adjustment(nested_model().fit(), np.full(5, np.nan))
