"""Tables of the simulation checks: ``python tests/simulations.py`` runs them and writes docs/simulations.md."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill

import numpy as np
from simulation_engine import INNER, LEVELS, Key, Outcome, monte_carlo_error, run
from simulation_studies import STUDIES

REPORT = Path(__file__).parents[1] / "docs" / "simulations.md"

INTRODUCTION = f"""# Simulation checks

Written by `python tests/simulations.py`, some minutes on one core; `python -m pytest -m slow` runs the same replicates
and compares them with theory. Responses are drawn by NumPy at known parameters, replicate r of a study from
`numpy.random.default_rng([seed, r])`; the model is fitted by `pm.lmm` (REML) or `pm.glmm` and asked for tests of true
hypotheses and for 95 % intervals. Bootstraps within a replicate have {INNER} simulated data sets.

All shares are in per cent, ± one Monte-Carlo standard error; where theory gives the number, it follows in brackets.

- Size: of tests of level 5 % and 1 %. Denominator degrees of freedom by Satterthwaite and by Kenward & Roger, n − p
  (residual), infinite (asymptotic: z and chi-squared); CR0, CR1 and CR2 with the degrees of freedom of Bell &
  McCaffrey; chi-squared likelihood ratios by maximum likelihood, the same by parametric bootstrap (`pbtest`) and with
  Bartlett's correction.
- df: median of the denominator degrees of freedom.
- Variance: mean estimated variance of the contrast over the variance of its estimates.
- Coverage: of the true value; an interval that does not exist (a Wald interval at the end of a range) does not cover,
  and the share of these is given as "none".

What to take from it: with few groups use Kenward & Roger's method for the coefficients, the bootstrap's studentized
intervals where normal quantiles would do harm, CR2 where the model of the covariance is in doubt, and of tests of a
variance the p-value that knows of the boundary.
"""

# What the tables of a study show.
READINGS = {
    "split_plot": """\
Every F statistic is the ratio of two mean squares of its stratum: Satterthwaite's and Kenward & Roger's tests are
exact, and the errors of the others are known. Residual degrees of freedom and normal quantiles take the variance
between plots for better known than it is. Wald intervals have normal quantiles, profiles those of a likelihood ratio
with variances by maximum likelihood; both are too short here, by as much as theory says. The bootstrap of the
likelihood ratio is exact, and so are studentized intervals.
""",
    "at_zero": """\
Where the mean square of plots is the smaller one the estimated variance is zero, the fit is the ordinary linear model,
and Satterthwaite's method, which leaves a parameter at its boundary out, has its 12 degrees of freedom. That the data
choose the mean square makes the test of A conservative and those within plots liberal. Kenward & Roger's method, which
does not take the variance for known at the boundary either, is more conservative for A. The naive p-value of a variance
of zero has half its level, that of the mixture nearly all of it; the exact sizes come from the F distribution of the
ratio of the mean squares. A Wald interval on the logarithm of a standard deviation cannot hold zero, a profile can. The
profile of σ is short: maximum likelihood divides by 18 rows, of which the coefficients take 6.
""",
    "near_zero": """\
More than a third of the estimated variances are zero. Satterthwaite's tests are near the level, two errors against each
other; Kenward & Roger's test of A is conservative; the bootstrap of the likelihood ratio is near the level. The profile
of the small standard deviation has its coverage, the Wald interval often does not exist.
""",
    "slopes": """\
Kenward & Roger's method keeps the level. Satterthwaite's, whose standard errors do not know that the variances are
estimated, is liberal between subjects; the column of variances shows how much of it Kenward & Roger's covariance puts
right. Normal quantiles and residual degrees of freedom reject about twice as often as they should. The bootstrap of
the likelihood ratio, simulated from estimates that are often at the boundary, mends most of what the chi-squared
distribution gets wrong. Wald intervals of the standard deviations, symmetric on the logarithm, are too long, profiles
somewhat short; of the correlation only profiles always exist.
""",
    "crossed": """\
Both small-sample methods are near the level, Kenward & Roger's on its safe side; normal quantiles and residual degrees
of freedom reject about twice as often as they should. The bootstrap of the likelihood ratio has the level. Profiles of
the standard deviations of six and eight levels are short: by maximum likelihood these variances come out too small.
""",
    "alike": """\
Clusters are alike, so the robust variance of the slope is that of eight slopes, and the one of the arms that of two
samples of four means: CR2 is unbiased, and its t tests with Bell & McCaffrey's degrees of freedom are exact. CR0 and
CR1 are too small by known factors. Robustness costs degrees of freedom: 7 instead of 31 for the slope.
""",
    "alike_wrong": """\
Tests of the slope that trust the model reject almost four times as often as they should. CR2 stays exact, as theory
says; here CR1 is the same for the slope, for which all eight clusters count alike.
""",
    "unlike": """\
With estimated weights CR2 is a few per cent too small, and its tests stay near the level; CR0 and CR1 are much too
small. Kenward & Roger's covariance has most of what the estimated weights add.
""",
    "unlike_wrong": """\
For the arms CR2 is still right on average, but its degrees of freedom are those of the working model. Most of the
variance is in three treated clusters, for which they are too many: the test is liberal, and far less so than those that
trust the model and than CR0 and CR1. For the slope, which the quiet clusters determine, it is conservative.
""",
    "binary": """\
With fifteen groups Wald tests of a covariate between groups are liberal: variances by maximum likelihood, and no
degrees of freedom. The likelihood ratio is a little better, its bootstrap near the level. Percentile intervals, which
repeat a bias instead of removing it, cover least.
""",
    "binary_zero": """\
Two estimates of three are zero rather than every other one, as with many groups: maximum likelihood has not made up for
the two coefficients between groups (in a linear model of this design 68 % would be). The p-value of the mixture is
therefore conservative with fifteen groups, and the naive one more so.
""",
}


def main() -> None:
    sections = []
    for name, study in STUDIES.items():
        sys.stderr.write(f"{name}: {study.replicates} replicates\n")
        sections.append("\n".join(section(run(study), READINGS[name])))
    REPORT.write_text("\n".join([INTRODUCTION, *sections]), encoding="utf-8")


def section(outcome: Outcome, reading: str) -> Iterator[str]:
    study = outcome.study
    yield f"## {study.title}\n"
    found = "".join(f"; {name} in {count} of them" for name, count in sorted(outcome.warnings.items())
                    if name != "RefitWarning")
    yield fill(f"{study.design} {len(outcome.singular)} replicates, seed {study.seed}{found}; "
               f"{100 * outcome.singular.mean():.1f} % of the fits are singular.", 120) + "\n"
    yield from _sizes(outcome)
    yield from _coverages(outcome)
    yield reading


def _sizes(outcome: Outcome) -> Iterator[str]:
    robust = bool(outcome.se)
    yield from _header(["test", "method", *(f"size at {100 * level:.0f} %" for level in LEVELS), "df",
                        *(["variance"] if robust else []), "replicates"])
    for key in _by_subject(outcome.p):
        exact = outcome.study.exact.get(key, (None,) * len(LEVELS))
        cells = [_share(outcome.size(key, level), len(outcome.p[key]), known)
                 for level, known in zip(LEVELS, exact, strict=True)]
        df = np.median(outcome.df[key]) if key in outcome.df else np.nan
        cells.append(f"{df:.1f}" if np.isfinite(df) else "")
        if robust:
            cells.append("{:.3f} ± {:.3f}".format(*outcome.variance_ratio(key)) if key in outcome.se else "")
        yield _row([_escaped(key[0]), key[1], *cells, str(len(outcome.p[key]))])
    yield ""


def _coverages(outcome: Outcome) -> Iterator[str]:
    if not outcome.limits:
        return
    methods = list(dict.fromkeys(method for _, method in outcome.limits))
    counts = {method: len(limits) for (_, method), limits in outcome.limits.items()}
    yield from _header(["coverage", *(f"{method} ({counts[method]})" for method in methods)])
    for name in dict.fromkeys(name for name, _ in outcome.limits):
        cells = []
        for method in methods:
            key = name, method
            if key not in outcome.limits:
                cells.append("")
                continue
            text = _share(outcome.coverage(key), counts[method], outcome.study.exact_coverage.get(key))
            missing = 100 * outcome.undefined(key)
            cells.append(f"{text}, none {missing:.1f}" if missing else text)
        yield _row([_escaped(name), *cells])
    yield ""


def _by_subject(keys: Iterable[Key]) -> list[Key]:
    keys = list(keys)
    subjects = list(dict.fromkeys(subject for subject, _ in keys))
    return sorted(keys, key=lambda key: subjects.index(key[0]))


def _share(value: float, replicates: int, exact: float | None) -> str:
    """Per cent with the Monte-Carlo standard error, and what theory says."""
    text = f"{100 * value:.2f} ± {100 * monte_carlo_error(value, replicates):.2f}"
    return text if exact is None else f"{text} [{100 * exact:.2f}]"


def _escaped(name: str) -> str:
    return name.replace("|", "\\|")


def _header(cells: list[str]) -> Iterator[str]:
    yield _row(cells)
    yield "|---" * len(cells) + "|"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
