"""The designs of the simulation checks, and what theory says of them."""

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, f
from simulation_engine import COVERAGE, LEVELS, Array, Effects, Key, Study

ONE = np.ones((1, 1))


def intercepts(codes: Array, sd: float) -> Effects:
    return Effects(codes, np.ones((len(codes), 1)), sd * ONE)


def treatment(codes: Array, level: int) -> Array:
    return (codes == level).astype(float)


# ---- split plot ------------------------------------------------------------------------------------------------------
# Two strata: whole plots with 4 and rows within them with 8 degrees of freedom for error. Where the mean square of
# whole plots is the larger one, the F ratio of the stratum is the F statistic of every method.

PLOT, WITHIN = np.repeat(np.arange(6), 3), np.tile(np.arange(3), 6)
NU_BETWEEN, NU_WITHIN, NU_RESIDUAL = 4, 8, 12
N_BETWEEN, N_WITHIN = 6, 12  # dimensions of the strata, what a likelihood divides by


def _split_plot_matrix() -> Array:
    a = np.where(PLOT % 2, 1.0, -1.0)
    b = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])[WITHIN]
    return np.column_stack([np.ones(18), a, b, a[:, None] * b])


def _exact_sizes(label: str, q: int, nu: int) -> dict[Key, tuple[float, ...]]:
    """Sizes of tests whose statistic is F with q and nu degrees of freedom."""
    return {
        (label, "satterthwaite"): LEVELS,
        (label, "kenward-roger"): LEVELS,
        (label, "residual"): tuple(f.sf(f.isf(level, q, NU_RESIDUAL), q, nu) for level in LEVELS),
        (label, "asymptotic"): tuple(f.sf(chi2.isf(level, q) / q, q, nu) for level in LEVELS)}


def _ratio_size(level: float, n: int, nu: int) -> float:
    """Size of the likelihood-ratio test of one coefficient: n log(1 + F / nu)."""
    return float(f.sf(nu * np.expm1(chi2.isf(level, 1) / n), 1, nu))


def _sigma_coverage() -> dict[Key, float]:
    """Of the residual standard deviation, whose sum of squares is chi-squared with 8 degrees of freedom."""
    limit = chi2.isf(1.0 - COVERAGE, 1)

    def ratio(q: float) -> float:
        return float(q - N_WITHIN - N_WITHIN * np.log(q / N_WITHIN) - limit)

    low, high = brentq(ratio, 1e-3, N_WITHIN), brentq(ratio, N_WITHIN, 100.0)
    reach = np.exp(np.sqrt(4.0 * limit / (2.0 * NU_WITHIN)))  # of the variance; log sigma has 1 / (2 nu)
    return {("sigma", "profile"): float(chi2.cdf(high, NU_WITHIN) - chi2.cdf(low, NU_WITHIN)),
            ("sigma", "wald"): float(chi2.cdf(NU_WITHIN * reach, NU_WITHIN) - chi2.cdf(NU_WITHIN / reach, NU_WITHIN))}


def _split_plot_coverage() -> dict[Key, float]:
    exact = _sigma_coverage()
    for name in ("(Intercept)", "A", "B1", "B2", "A:B1", "A:B2"):
        between = name in ("(Intercept)", "A")
        n, nu = (N_BETWEEN, NU_BETWEEN) if between else (N_WITHIN, NU_WITHIN)
        exact[name, "wald"] = 1.0 - float(f.sf(chi2.isf(1.0 - COVERAGE, 1), 1, nu))
        exact[name, "profile"] = 1.0 - _ratio_size(1.0 - COVERAGE, n, nu)
        exact[name, "studentized"] = COVERAGE  # t is pivotal, and its 5th and 195th of 199 values are the quantiles
    return exact


def _zero_variance_sizes() -> dict[Key, tuple[float, ...]]:
    """Of the restricted likelihood ratio of a variance of zero, a function of the ratio F of the two mean squares."""
    def ratio(F: float) -> float:
        return float(NU_RESIDUAL * np.log((NU_BETWEEN * F + NU_WITHIN) / NU_RESIDUAL) - NU_BETWEEN * np.log(F))

    def size(level: float) -> float:
        critical = brentq(lambda F: ratio(F) - chi2.isf(level, 1), 1.0, 1e6)
        return float(f.sf(critical, NU_BETWEEN, NU_WITHIN))

    return {("(1 | plot)", "naive"): tuple(size(level) for level in LEVELS),
            ("(1 | plot)", "mixture"): tuple(size(2.0 * level) for level in LEVELS)}


SPLIT_PLOT = Study(
    title="Split plot, balanced",
    design="Six whole plots, three of each level of the factor A, with three rows each, one per level of the factor B; "
           "model `A * B + (1 | plot)`, sum-to-zero coding, SD of plots 6, σ = 1, so that the estimated variance of "
           "plots is almost never zero.",
    seed=1, replicates=5_000, X=_split_plot_matrix(), groups={"plot": PLOT},
    coefficients={"(Intercept)": 3.0, "A": 0.0, "B1": 0.0, "B2": 0.0, "A:B1": 0.0, "A:B2": 0.0},
    effects=(intercepts(PLOT, 6.0),), variances={"sd_plot": 6.0, "sigma": 1.0},
    contrasts={"A": np.eye(6)[1], "B": np.eye(6)[2:4], "A:B": np.eye(6)[4:]},
    intervals={"wald": 2_000, "profile": 2_000}, bootstraps=1_000, dropped={"A": 1}, bootstrapped_ratios=1_000,
    exact={**_exact_sizes("A", 1, NU_BETWEEN), **_exact_sizes("B", 2, NU_WITHIN), **_exact_sizes("A:B", 2, NU_WITHIN),
           ("A", "likelihood ratio"): tuple(_ratio_size(level, N_BETWEEN, NU_BETWEEN) for level in LEVELS),
           ("A", "pbtest"): LEVELS},
    exact_coverage=_split_plot_coverage())

AT_ZERO = replace(
    SPLIT_PLOT, title="At the boundary: a variance of zero",
    design="The split plot with no variance of plots: more than half of the fits are singular.",
    seed=2, effects=(), variances={"sd_plot": 0.0, "sigma": 1.0}, ranova=True, dropped={}, bootstrapped_ratios=0,
    exact=_zero_variance_sizes(), exact_coverage={})

NEAR_ZERO = replace(
    SPLIT_PLOT, title="Near the boundary: a small variance",
    design="The split plot with SD of plots 0.4, σ = 1.",
    seed=3, effects=(intercepts(PLOT, 0.4),), variances={"sd_plot": 0.4, "sigma": 1.0}, bootstrapped_ratios=1_000,
    exact={}, exact_coverage={})


# ---- random slopes, crossed factors ----------------------------------------------------------------------------------

def _slopes() -> Study:
    lengths = np.array([3, 4, 5, 6, 7, 3, 4, 5, 6, 7])
    subject = np.repeat(np.arange(10), lengths)
    time = np.concatenate([np.arange(n, dtype=float) for n in lengths])
    group = (np.arange(10) % 5 < 2).astype(float)[subject]
    columns = np.column_stack([np.ones(len(time)), time])
    covariance = np.array([[1.0, 0.15], [0.15, 0.25]])
    return Study(
        title="Random slopes, unbalanced",
        design="Ten subjects with three to seven times each, four of them in the other group; model `time + group + "
               "(time | subject)`, SDs 1 and 0.5, correlation 0.3, σ = 1.",
        seed=4, replicates=4_000, X=np.column_stack([columns, group]), groups={"subject": subject},
        coefficients={"(Intercept)": 2.0, "time": 0.0, "group": 0.0},
        effects=(Effects(subject, columns, np.linalg.cholesky(covariance)),),
        random_effects={"subject": ["1", "time"]}, random_data={"time": time},
        variances={"sd_1": 1.0, "cor": 0.3, "sd_time": 0.5, "sigma": 1.0},
        contrasts={"time": np.eye(3)[1], "group": np.eye(3)[2], "both": np.eye(3)[1:]},
        intervals={"wald": 2_000, "profile": 2_000}, bootstraps=1_000, dropped={"time": 1, "group": 2},
        bootstrapped_ratios=1_000)


def _crossed() -> Study:
    subject, item = (part.ravel() for part in np.indices((8, 6)))
    kept = (subject + 2 * item) % 4 != 0
    subject, item = subject[kept], item[kept]
    return Study(
        title="Crossed factors with missing cells",
        design="Eight subjects and six items, one row for each of 36 of the 48 pairs; three of the subjects and three "
               "of the items have a treatment; model `s + i + (1 | subject) + (1 | item)`, SDs 1 and 0.8, σ = 1.",
        seed=5, replicates=4_000,
        X=np.column_stack([np.ones(len(item)), subject < 3, item % 2]).astype(float),
        groups={"subject": subject, "item": item},
        coefficients={"(Intercept)": 1.0, "s": 0.0, "i": 0.0},
        effects=(intercepts(subject, 1.0), intercepts(item, 0.8)),
        variances={"sd_subject": 1.0, "sd_item": 0.8, "sigma": 1.0},
        contrasts={"s": np.eye(3)[1], "i": np.eye(3)[2], "both": np.eye(3)[1:]},
        intervals={"wald": 2_000, "profile": 2_000}, bootstraps=1_000, dropped={"s": 1, "i": 2},
        bootstrapped_ratios=1_000)


# ---- few clusters ----------------------------------------------------------------------------------------------------

ROBUST_WAYS = ("satterthwaite", "kenward-roger", "CR0", "CR1", "CR2")
CLUSTERS = 8


def _robust_sizes() -> dict[Key, tuple[float, ...]]:
    """Eight clusters alike but for the arm: CR2 of the slope is a variance of eight slopes, of the arms of two means.

    CR0 divides sums of squares by the number of clusters of the arm (4 of them, or 8) instead of that less one, CR1
    multiplies that with 8/7.
    """
    sizes = {}
    for label, nu, shrinkage in (("slope", 7, 7 / 8), ("arm", 6, 3 / 4)):
        for way, factor in (("CR0", 1.0), ("CR1", 8 / 7), ("CR2", 1 / shrinkage)):
            sizes[label, way] = tuple(float(f.sf(f.isf(level, 1, nu) * factor * shrinkage, 1, nu)) for level in LEVELS)
    return sizes


def _alike() -> Study:
    cluster, x = np.repeat(np.arange(CLUSTERS), 5), np.tile(np.arange(-2.0, 3.0), CLUSTERS)
    arm = np.where(cluster % 2, 0.5, -0.5)
    exact = {**_robust_sizes(), **{(label, way): LEVELS for label in ("slope", "arm")
                                   for way in ("satterthwaite", "kenward-roger")}}
    return Study(
        title="Few clusters, alike, working model right",
        design="Eight clusters, four in each arm, with the same five values of x; model `x + arm + (1 | cluster)`, SD "
               "of clusters 3, σ = 1.",
        seed=6, replicates=5_000, X=np.column_stack([np.ones(len(x)), x, arm]), groups={"cluster": cluster},
        coefficients={"(Intercept)": 1.0, "slope": 0.0, "arm": 0.0}, effects=(intercepts(cluster, 3.0),),
        variances={"sd_cluster": 3.0, "sigma": 1.0},
        contrasts={"slope": np.eye(3)[1], "arm": np.eye(3)[2]}, ways=ROBUST_WAYS, exact=exact)


def _alike_wrong(right: Study) -> Study:
    slopes = Effects(right.groups["cluster"], right.X[:, 1:2], 0.5 * ONE)
    exact = {key: sizes for key, sizes in right.exact.items() if key[0] == "arm" or key[1].startswith("CR")}
    return replace(
        right, title="Few clusters, alike, working model wrong",
        design="The same with slopes that vary between clusters, SD 0.5, which the model leaves out.",
        seed=7, effects=(*right.effects, slopes), exact=exact)


def _unlike() -> Study:
    sizes = np.array([3, 9, 4, 6, 5, 8, 3, 10])
    cluster = np.repeat(np.arange(CLUSTERS), sizes)
    rng = np.random.default_rng(2024)
    x = rng.standard_normal(len(cluster)) + rng.standard_normal(CLUSTERS)[cluster]
    arm = treatment(cluster % 3, 0)
    return Study(
        title="Few clusters, unlike, working model right",
        design="Eight clusters of 3 to 10 rows, three of them in the treated arm, x differing between and within "
               "clusters; model `x + arm + (1 | cluster)`, SD of clusters 0.7, σ = 1.",
        seed=8, replicates=5_000, X=np.column_stack([np.ones(len(x)), x, arm]), groups={"cluster": cluster},
        coefficients={"(Intercept)": 1.0, "slope": 0.0, "arm": 0.0}, effects=(intercepts(cluster, 0.7),),
        variances={"sd_cluster": 0.7, "sigma": 1.0},
        contrasts={"slope": np.eye(3)[1], "arm": np.eye(3)[2]}, ways=ROBUST_WAYS)


def _unlike_wrong(right: Study) -> Study:
    cluster, treated = right.groups["cluster"], right.X[:, 2]
    scale = 1.0 + 2.0 * treated
    return replace(
        right, title="Few clusters, unlike, working model wrong",
        design="The same with both standard deviations three times as large in the treated arm.",
        seed=9, effects=(Effects(cluster, scale[:, None], 0.7 * ONE),), noise=scale)


# ---- binary responses ------------------------------------------------------------------------------------------------

def _binary() -> Study:
    group, x = np.repeat(np.arange(15), 10), np.tile(np.linspace(-1.0, 1.0, 10), 15)
    w = (group % 2).astype(float)
    return Study(
        title="Binary responses",
        design="Fifteen groups of ten binary rows, x within and w between groups; model `x + w + (1 | group)`, logit "
               "link, Laplace's approximation, SD of groups 0.8.",
        seed=10, replicates=2_000, X=np.column_stack([np.ones(len(x)), x, w]), groups={"group": group},
        coefficients={"(Intercept)": -0.5, "x": 0.8, "w": 0.0}, effects=(intercepts(group, 0.8),), noise=None,
        variances={"sd_group": 0.8}, contrasts={"x": np.eye(3)[1], "w": np.eye(3)[2]}, ways=("asymptotic",),
        intervals={"wald": 2_000, "profile": 1_000}, bootstraps=500, dropped={"w": 2}, bootstrapped_ratios=500)


def _binary_zero(study: Study) -> Study:
    return replace(
        study, title="Binary responses, a variance of zero",
        design="The same without a variance of groups.",
        seed=11, replicates=5_000, effects=(), variances={"sd_group": 0.0}, intervals={}, bootstraps=0,
        bootstrapped_ratios=0, ranova=True)


ALIKE, UNLIKE, BINARY = _alike(), _unlike(), _binary()
STUDIES: dict[str, Study] = {
    "split_plot": SPLIT_PLOT, "at_zero": AT_ZERO, "near_zero": NEAR_ZERO, "slopes": _slopes(), "crossed": _crossed(),
    "alike": ALIKE, "alike_wrong": _alike_wrong(ALIKE), "unlike": UNLIKE, "unlike_wrong": _unlike_wrong(UNLIKE),
    "binary": BINARY, "binary_zero": _binary_zero(BINARY)}
