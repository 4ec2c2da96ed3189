"""Cluster-robust covariances: against dense matrices with explicit V, by their laws, and what they refuse."""

import warnings
from typing import Any

import numpy as np
import pytest
from dense_glmm import DenseFamily, five_point
from hypothesis import given
from hypothesis import strategies as st
from models import ArrayModel, TermSpec, array_models, lone_observations, nested, one_factor
from models_glmm import ArrayGLMM
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import pymixed as pm
from pymixed._inference.clusters import read_clusters
from pymixed._inference.robust import ClusterSums
from pymixed.errors import InputError, PymixedWarning

Array = NDArray[Any]


# ---- the dense judge -------------------------------------------------------------------------------------------------

def cholesky_root(V: Array) -> Array:
    return np.linalg.cholesky(V)


def symmetric_root(V: Array) -> Array:
    values, vectors = np.linalg.eigh(V)
    return (vectors * np.sqrt(values)) @ vectors.T


def pseudo_root_inverse(M: Array) -> Array:
    values, vectors = np.linalg.eigh(M)
    kept = values > 1e-9
    return (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T


class DenseRobust:
    """B_j with beta^ - beta = sum of B_j e_j-like shares: the covariance is the sum of (B_je_j)(B_je_j)'.

    CR2 after Bell & McCaffrey (2002) in whitened coordinates: B_j = C X*_j'(I - H*_jj)^(-1/2) V_j^(-1/2).
    """

    def __init__(self, model: ArrayModel, theta: Array, codes: Array, kind: str, root: Any = cholesky_root) -> None:
        at = model.dense().at(theta)
        self.at, self.X = at, at.model.X
        self.V = at.model.W_inverse + at.ZLambda @ at.ZLambda.T
        self.shares = []
        for j in range(codes.max() + 1):
            rows = np.flatnonzero(codes == j)
            whiten = np.linalg.inv(root(self.V[np.ix_(rows, rows)]))
            X = whiten @ self.X[rows]
            A = pseudo_root_inverse(np.eye(len(rows)) - X @ at.C @ X.T) if kind == "CR2" else np.eye(len(rows))
            B = np.zeros((self.X.shape[1], len(codes)))
            B[:, rows] = at.C @ X.T @ A @ whiten
            self.shares.append(B)
        self.factor = len(self.shares) / (len(self.shares) - 1) if kind == "CR1" else 1.0

    @property
    def vcov(self) -> Array:
        return self.factor * sum(np.outer(B @ self.at.residual, B @ self.at.residual) for B in self.shares)

    @property
    def expected(self) -> Array:
        """Of the covariance over sigma², under the working model."""
        variance = self.V - self.X @ self.at.C @ self.X.T  # of y - X beta^
        return self.factor * sum(B @ variance @ B.T for B in self.shares)

    def df(self, contrast: Array) -> float:
        variance = self.V - self.X @ self.at.C @ self.X.T
        rows = np.array([contrast @ B for B in self.shares])
        omega = rows @ variance @ rows.T
        return float(np.trace(omega) ** 2 / np.sum(omega**2))


def fit_quietly(model: ArrayModel, **options: Any) -> Any:
    return model.fit(compute_satterthwaite=False, **options)


def several_clusters_per_coefficient(model: ArrayModel, codes: Array) -> bool:
    """Whether no coefficient is determined by a cluster alone: X of the other clusters has full rank."""
    p = model.X.shape[1]
    return all(np.linalg.matrix_rank(model.X[codes != j]) == p for j in range(codes.max() + 1))


@given(model=array_models(groupings=(one_factor, lone_observations, nested)),
       kind=st.sampled_from(["CR0", "CR1", "CR2"]), root=st.sampled_from([cholesky_root, symmetric_root]))
def test_covariance_and_df_are_those_of_dense_matrices_with_any_root_of_v(
        model: ArrayModel, kind: str, root: Any) -> None:
    p = model.X.shape[1]
    if p == 0:
        return
    fit, codes = fit_quietly(model), np.unique(model.groups["a"], return_inverse=True)[1]
    dense = DenseRobust(model, fit.theta, codes, kind, root)
    scale = np.sqrt(np.outer(*[np.diag(dense.vcov)] * 2))
    assert_allclose(fit.vcov(kind) / scale, dense.vcov / scale, rtol=0, atol=1e-8)
    contrasts = np.vstack([np.eye(p), np.ones(p)])
    table = fit.contrast(contrasts, vcov=kind)
    assert_allclose(table["df"], [dense.df(contrast) for contrast in contrasts], rtol=1e-7)
    assert_allclose(table["se"], np.sqrt(np.einsum("ij,jk,ik->i", contrasts, dense.vcov, contrasts)), rtol=1e-8)
    if kind == "CR2" and several_clusters_per_coefficient(model, codes):
        # exactly unbiased where the model holds
        assert_allclose(dense.expected, dense.at.C, rtol=0, atol=1e-10 * np.abs(dense.at.C).max())


@given(model=array_models(groupings=(nested,)))
def test_expected_shares_of_cr2_add_up_to_the_model_covariance(model: ArrayModel) -> None:
    p = model.X.shape[1]
    if p == 0:
        return
    fit = fit_quietly(model)
    sums = linear_sums(fit)
    information = sums.information
    expected = (sums.adjustments @ information @ (np.eye(p) - information) @ sums.adjustments).sum(axis=0)
    assert_allclose(expected, np.eye(p), rtol=0, atol=1e-10)
    assert_allclose(sums.root @ sums.root.T, fit.vcov() / fit.residual_variance, rtol=1e-9)


def linear_sums(fit: Any) -> ClusterSums:
    return fit._robust_tests("CR2", read_clusters(fit._design, None)).sums


# ---- known special cases ---------------------------------------------------------------------------------------------

def test_balanced_one_way_layout() -> None:
    """Every kind of interval for the mean of a balanced one-way layout has J - 1 degrees of freedom and one width."""
    fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
    means = pm.datasets.load("dyestuff").groupby("Batch", observed=True)["Yield"].mean()
    for kind in ("CR1", "CR2"):
        assert_allclose(fit.vcov(kind), [[means.var(ddof=1) / 6]], rtol=1e-9)
        assert_allclose(fit.contrast([[1.0]], vcov=kind)["df"], [5.0], rtol=1e-10)
    assert_allclose(fit.vcov("CR0"), 5 / 6 * fit.vcov("CR1"), rtol=1e-12)


def test_sleepstudy_is_balanced() -> None:
    """Complete data, the same days for every subject: CR2 is the model's covariance, with Satterthwaite's 17."""
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))
    assert_allclose(fit.vcov("CR2"), fit.vcov(), rtol=1e-6)  # what tol leaves of theta's minimum
    table = fit.contrast(np.eye(2), vcov="CR2")
    assert_allclose(table["df"], [17.0, 17.0], rtol=1e-10)
    joint = fit.contrast(np.eye(2), vcov="CR2", joint=True)
    assert joint["num_df"].item() == 2
    assert_allclose(joint["den_df"], 17.0, rtol=1e-9)
    assert_allclose(joint["F"], fit.coefficients @ np.linalg.solve(fit.vcov("CR2"), fit.coefficients) / 2, rtol=1e-10)


def test_clusters_of_one_row_give_the_covariances_of_least_squares() -> None:
    """A random effect per row leaves V a multiple of I: HC0 and HC2 of MacKinnon & White (1985)."""
    rng = np.random.default_rng(5)
    n = 40
    X = np.column_stack([np.ones(n), rng.normal(size=n), rng.exponential(size=n)])
    y = X @ [1.0, 2.0, -1.0] + rng.normal(size=n) * (1 + np.abs(X[:, 1]))
    model = ArrayModel(y, X, {"row": np.arange(n)}, (TermSpec("row"),), weights=np.ones(n))
    fit = fit_quietly(model)
    inverse = np.linalg.inv(X.T @ X)
    residuals = y - X @ inverse @ X.T @ y
    leverage = np.einsum("ij,jk,ik->i", X, inverse, X)
    for kind, squares in (("CR0", residuals**2), ("CR2", residuals**2 / (1 - leverage))):
        assert_allclose(fit.vcov(kind), inverse @ (X.T * squares) @ X @ inverse, rtol=1e-8)


def test_units_and_origin_of_a_covariate_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    g, x = np.repeat(np.arange(12), 6), rng.normal(size=72)
    y = 1 + x + rng.normal(size=12)[g] + rng.normal(size=72)
    ones = np.ones(72)
    near = pm.lmm(y, np.column_stack([ones, x]), {"g": g})
    far = pm.lmm(y, np.column_stack([ones, 100 + 0.1 * x]), {"g": g})
    back = np.array([[1.0, 100.0], [0.0, 0.1]])  # near coefficients from far ones
    for kind in ("CR0", "CR2"):  # the way back costs six digits, 100 / 0.1 squared
        assert_allclose(back @ far.vcov(kind) @ back.T, near.vcov(kind), rtol=1e-8)
    assert_allclose(far.contrast([0.0, 1.0], vcov="CR2")["df"], near.contrast([0.0, 1.0], vcov="CR2")["df"], rtol=1e-8)


# ---- a coefficient that one cluster determines -----------------------------------------------------------------------

@pytest.fixture
def one_treated() -> tuple[ArrayModel, Array]:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(8), 5)
    x = rng.normal(size=40)
    X = np.column_stack([np.ones(40), g == 3, x])
    y = X @ [1.0, 0.5, 2.0] + 0.4 * rng.normal(size=8)[g] + rng.normal(size=40)
    return ArrayModel(y, X, {"a": g}, (TermSpec("a"),)), g


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2"])
def test_a_coefficient_of_one_cluster_has_no_robust_standard_error(
        one_treated: tuple[ArrayModel, Array], kind: str) -> None:
    model, codes = one_treated
    fit = fit_quietly(model)
    vcov, dense = fit.vcov(kind), DenseRobust(model, fit.theta, codes, kind)
    others = np.ix_([0, 2], [0, 2])
    assert np.isnan(vcov[1]).all()
    assert np.isnan(vcov[:, 1]).all()
    assert_allclose(vcov[others], dense.vcov[others], rtol=1e-8)
    if kind == "CR2":
        assert_allclose(dense.expected[others], dense.at.C[others], rtol=1e-9)
    table = fit.contrast(np.eye(3), vcov=kind)
    assert table.iloc[1][["se", "df", "t", "p"]].isna().all()
    assert_allclose(table["df"].iloc[[0, 2]], [dense.df(np.eye(3)[i]) for i in (0, 2)], rtol=1e-7)
    with pytest.raises(InputError, match="more than one cluster"):
        fit.contrast(np.eye(3), vcov=kind, joint=True)
    assert fit.contrast(np.eye(3)[[0, 2]], vcov=kind, joint=True)["num_df"].item() == 2


def test_more_contrasts_than_clusters_allow() -> None:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(3), 10)
    X = np.column_stack([np.ones(30), rng.normal(size=(30, 3))])
    fit = pm.lmm(rng.normal(size=30) + rng.normal(size=3)[g], X, {"g": g})
    with pytest.raises(InputError, match="at most 2 independent contrasts with 3 clusters, got 3"):
        fit.contrast(np.eye(4)[1:], vcov="CR1", joint=True)
    assert fit.contrast(np.eye(4)[1:3], vcov="CR1", joint=True)["num_df"].item() == 2


# ---- clusters --------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def pastes() -> Any:
    return pm.lmer("strength ~ 1 + (1 | batch/cask)", pm.datasets.load("pastes"))


def test_the_default_is_the_factor_in_which_the_others_are_nested(pastes: Any) -> None:
    data = pm.datasets.load("pastes")
    assert_allclose(pastes.vcov("CR2"), pastes.vcov("CR2", cluster="batch"), rtol=0)
    assert_allclose(pastes.vcov("CR2"), pastes.vcov("CR2", cluster=data["batch"]), rtol=0)
    assert_allclose(pastes.vcov("CR2"), pastes.vcov("CR2", cluster=data["batch"].astype(str).to_numpy()), rtol=0)
    assert pastes.contrast([[1.0]], vcov="CR2")["df"].item() == pytest.approx(9.0)


def test_labels_of_rows_that_were_dropped_are_dropped() -> None:
    data = pm.datasets.load("sleepstudy").astype({"Reaction": float})
    data.loc[[3, 77], "Reaction"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        fit = pm.lmer("Reaction ~ Days + (1 | Subject)", data)
    used = data["Reaction"].notna()
    assert_allclose(fit.vcov("CR2", cluster=data["Subject"]), fit.vcov("CR2"), rtol=0)
    assert_allclose(fit.vcov("CR2", cluster=data["Subject"][used]), fit.vcov("CR2"), rtol=0)
    with pytest.raises(InputError, match=r"expected 178 labels \(or 180, with the rows that were dropped\)"):
        fit.vcov("CR2", cluster=data["Subject"][:100])


@pytest.mark.parametrize(("cluster", "message"), [
    ("sample", "cluster: expected a grouping factor of the model, .*'batch'.*, got 'sample'"),
    ("cask:batch", "clusters that hold all rows of a level of 'batch', got rows of 'A' in"),
    (np.arange(60) % 2, "clusters that hold all rows of a level of"),
    (np.zeros(60), "cluster: expected at least two clusters, got only 0"),
    (np.zeros(59), "cluster: expected 60 labels, one per row, got 59"),
    (np.where(np.arange(60) < 30, np.nan, 1.0), "cluster: expected a label for every row, got none in 30 rows"),
])
def test_clusters_that_are_none(pastes: Any, cluster: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pastes.vcov("CR1", cluster=cluster)


def test_crossed_factors_need_a_coarser_grouping() -> None:
    data = pm.datasets.load("penicillin")
    fit = pm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    with pytest.raises(InputError, match="'plate' is not nested in 'sample', give a grouping"):
        fit.vcov("CR1")


def test_arguments_that_do_not_go_together(pastes: Any) -> None:
    for call, message in [
            (lambda: pastes.vcov("HC3"), "kind: expected one of 'model', .*, 'CR2', got 'HC3'"),
            (lambda: pastes.vcov(cluster="batch"), "cluster: expected None with kind='model'"),
            (lambda: pastes.contrast([1.0], cluster="batch"), "cluster: expected None with vcov='model'"),
            (lambda: pastes.contrast([1.0], vcov="sandwich"), "vcov: expected one of"),
            (lambda: pastes.contrast([1.0], ddf="residual", vcov="kenward-roger"), "ddf: expected None with"),
            (lambda: pastes.contrast([1.0], ddf="residual", vcov="CR2"), "ddf: expected None with vcov='CR2'")]:
        with pytest.raises(InputError, match=message):
            call()


# ---- generalized models ----------------------------------------------------------------------------------------------

TOP = np.arange(96) // 24  # four clusters
TERMS: dict[str, tuple[tuple[TermSpec, ...], int]] = {
    "one": ((TermSpec("low", ("1", "x")),), 1),
    "quadrature": ((TermSpec("low", ("1", "x")),), 3),
    "scalar": ((TermSpec("low"),), 5),
    "nested": ((TermSpec("low"), TermSpec("mid", ("1", "x"))), 1),
    "crossed": ((TermSpec("mid", ("1", "x")), TermSpec("cross", ("1", "x")), TermSpec("other", ("1", "z"), "diag")), 1),
}


def clustered(family: DenseFamily, terms: tuple[TermSpec, ...], zero_inflation: bool = False) -> ArrayGLMM:
    """Factors nested in TOP or crossed within it, weights and an offset."""
    rng = np.random.default_rng(1)
    n = len(TOP)
    mid = np.arange(n) // 8
    groups = {"low": mid * 3 + rng.integers(0, 3, n), "mid": mid, "cross": TOP * 3 + rng.integers(0, 3, n),
              "other": TOP * 4 + rng.integers(0, 4, n)}
    x, z = rng.normal(size=(2, n))
    eta = 0.3 + 0.5 * x
    for labels in groups.values():
        codes = np.unique(labels, return_inverse=True)[1]
        eta = eta + 0.5 * rng.normal(size=96)[codes] + 0.3 * rng.normal(size=96)[codes] * x
    mu, weights = np.exp(np.clip(eta, -2, 2)), rng.integers(1, 5, n).astype(float)
    y = {"binomial": lambda: rng.binomial(weights.astype(int), 1 / (1 + np.exp(-eta))) / weights,
         "poisson": lambda: rng.poisson(mu) * (rng.random(n) > 0.3 * zero_inflation),
         "negative_binomial": lambda: rng.poisson(mu * rng.gamma(0.6, 1 / 0.6, n)),
         "gamma": lambda: rng.gamma(2, mu / 2)}[family.distribution]()
    return ArrayGLMM(np.asarray(y, float), np.column_stack([np.ones(n), x]),
                     {name: groups[name] for name in {term.group: 0 for term in terms}}, terms, family,
                     {"x": x, "z": z}, weights=weights, offset=0.1 * rng.normal(size=n),
                     zero_inflation=np.column_stack([np.ones(n), z]) if zero_inflation else None)


@pytest.mark.parametrize(("structure", "method"), [
    ("one", "auto"), ("quadrature", "auto"), ("scalar", "auto"), ("nested", "dense"), ("nested", "sparse"),
    ("crossed", "dense"), ("crossed", "sparse")])
@pytest.mark.parametrize(("family", "curvature", "zero_inflation"), [
    (DenseFamily("binomial", "logit"), "observed", False), (DenseFamily("poisson", "log"), "observed", True),
    (DenseFamily("negative_binomial", "log"), "observed", False), (DenseFamily("gamma", "log"), "expected", False)],
    ids=lambda value: getattr(value, "distribution", str(value)))
def test_shares_of_the_gradient_are_those_of_models_of_the_clusters(
        family: DenseFamily, curvature: str, zero_inflation: bool, structure: str, method: str) -> None:
    terms, n_agq = TERMS[structure]
    model = clustered(family, terms, zero_inflation)
    fit = model.fit(n_agq=n_agq, curvature=curvature, method=method)
    rng = np.random.default_rng(3)
    psi = np.concatenate([rng.uniform(-0.3, 0.3, model.n_theta) + 0.6 * model.diagonal, fit.coefficients + 0.1,
                          rng.uniform(-0.5, 0.5, len(fit.params.extra))])
    fit._engine.gradient(psi)  # from here on the modes are known to the last digit, not to PIRLS' tolerance
    whole = fit._engine.gradient(psi)
    shares = fit._engine.core.cluster_gradients(psi, TOP.astype(np.int32), 4)
    size = np.abs(shares).max()
    assert_allclose(shares.sum(axis=0), whole, rtol=0, atol=1e-11 * size)
    for j, share in enumerate(shares):
        dense = model.rows(np.flatnonzero(j == TOP)).dense(curvature)
        expected = five_point(lambda at, dense=dense: dense.criterion(at, n_agq), psi, 3e-4)
        assert_allclose(share, expected, rtol=0, atol=2e-8 * size)  # the fifth derivative times step^4 / 30


@pytest.mark.parametrize(("structure", "family"), [
    ("one", DenseFamily("binomial", "logit")), ("scalar", DenseFamily("negative_binomial", "log")),
    ("nested", DenseFamily("gamma", "log"))], ids=["singular", "quadrature", "nested"])
def test_sandwich_of_a_generalized_model(structure: str, family: DenseFamily) -> None:
    terms, n_agq = TERMS[structure]
    model = clustered(family, terms)
    fit = model.fit(n_agq=n_agq)
    psi = np.concatenate([fit.theta, fit.coefficients, fit.params.extra])
    m, free = model.n_theta, np.ones(len(psi), bool)
    if structure == "one":  # singular: the last column of the template is zero
        assert fit.theta[-1] == 0.0
        free[m - 1] = False
    hessian = fit.hessian_at(fit.theta, fit.coefficients, fit.params.extra)
    inverse = np.zeros_like(hessian)
    inverse[np.ix_(free, free)] = np.linalg.inv(hessian[np.ix_(free, free)])
    clusters = [model.rows(np.flatnonzero(j == TOP)).dense() for j in range(4)]
    shares = np.array([five_point(lambda at, dense=dense: dense.criterion(at, n_agq), psi, 1e-3) for dense in clusters])
    expected = (inverse @ shares.T @ shares @ inverse)[m:m + 2, m:m + 2]
    assert_allclose(fit.vcov("CR0", cluster=TOP), expected, rtol=1e-5)  # the Hessians are differences, in two bases
    assert_allclose(fit.vcov("CR1", cluster=TOP), 4 / 3 * fit.vcov("CR0", cluster=TOP), rtol=1e-12)
    table = fit.contrast(np.eye(2), vcov="CR0", cluster=TOP)
    assert list(table.columns) == ["estimate", "se", "df", "z", "p"]
    assert_allclose(table["se"], np.sqrt(np.diag(expected)), rtol=1e-5)


def test_what_generalized_models_do_not_have() -> None:
    data = pm.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    fit = pm.glmer(formula, data)
    with pytest.raises(InputError, match="kind: expected one of 'model', 'CR0', 'CR1', got 'CR2'"):
        fit.vcov("CR2")
    with pytest.raises(InputError, match="n_agq=0"):
        pm.glmer(formula, data, n_agq=0).vcov("CR1")
