"""The printed summary, against stored text; the helpers that format its numbers.

After a deliberate change of the layout, write the stored texts anew: ``python tests/test_tables.py``.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_cases
from dense_solution import PROVEN, solution_at
from formats import HtmlCells, read_latex, read_markdown

import pymixed as pm
from pymixed._tables import Summary, Table, abbreviate, format_together
from pymixed.design import MixedDesign
from pymixed.errors import BoundaryWarning
from pymixed.solution import GLMMSolution, LMMSolution

GOLDEN = Path(__file__).parent / "golden"


def sleepstudy(reml: bool = True) -> LMMSolution:
    case = reference_cases.load("sleepstudy_slope" if reml else "sleepstudy_slope_ml")
    return solution_at(MixedDesign.from_formula(case.formula, case.frame), case.results["theta"], reml=reml)


def crossed() -> LMMSolution:
    case = reference_cases.load("penicillin_crossed")
    return solution_at(MixedDesign.from_formula(case.formula, case.frame), case.results["theta"])


def many_correlations() -> LMMSolution:
    case = reference_cases.load("sleepstudy_three_slopes")
    return solution_at(MixedDesign.from_formula(case.formula, case.frame), case.results["theta"])


def with_notes() -> LMMSolution:
    """Everything that a note tells of: dropped rows, an aliased column, a singular and unfinished fit."""
    data = reference_cases.load("sleepstudy_slope").frame.assign(Hours=lambda d: 24 * d["Days"])
    data.loc[[3, 77], "Reaction"] = np.nan
    design = MixedDesign.from_formula("Reaction ~ Days + Hours + (Days | Subject)", data)
    unfinished = replace(PROVEN, converged=False, message="one more step would gain 0.3 in log-likelihood")
    return solution_at(design, [0.9, -0.2, 0.0], convergence=unfinished)


def without_formula() -> LMMSolution:
    """From arrays, without Satterthwaite, uncorrelated slopes, more coefficients than correlations are shown for."""
    rng = np.random.default_rng(1)
    n = 90
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 21))])
    group, time = np.arange(n) % 9, np.arange(n) / n
    y = X @ rng.normal(size=22) + rng.normal(size=n)
    design = MixedDesign.validate(y, X, {"unit": group}, {"unit": ["1", "time"]}, {"time": time})
    design = replace(design, terms=tuple(replace(term, structure="diag") for term in design.terms))
    fit = solution_at(design, [0.5, 0.7])
    params = replace(fit.params, df_satterthwaite=np.full(22, 68.0), df_method="residual")
    return replace(fit, _result=replace(fit._result, params=params))


def binomial() -> GLMMSolution:
    case = reference_cases.load("cbpp_laplace")
    return pm.glmer(case.formula, case.frame)


def quadrature_from_arrays() -> GLMMSolution:
    frame = reference_cases.load("grouseticks_nested").frame
    return pm.glmm(frame["TICKS"], np.ones((len(frame), 1)), {"BROOD": frame["BROOD"]}, family="poisson", n_agq=9)


def inflated() -> GLMMSolution:
    """A family with a parameter, zero inflation that goes away, and the note that says so."""
    frame = reference_cases.load("grouseticks_nested").frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BoundaryWarning)
        fit = pm.glmer("TICKS ~ YEAR + (1 | BROOD)", frame, family="nbinom2", zi="~ 1")
    # where the iteration stops on its way to infinity is no property of the model
    text = "boundary: the probability of a structural zero goes to 0"
    params = replace(fit.params, zi_coefficients=np.array([-25.0]), zi_vcov=np.array([[1e8]]))
    return replace(fit, _result=replace(fit._result, params=params, warnings=(BoundaryWarning(text),)))


SUMMARIES: dict[str, Callable[[], LMMSolution | GLMMSolution]] = {
    "reml": sleepstudy, "ml": lambda: sleepstudy(reml=False), "crossed": crossed, "three_slopes": many_correlations,
    "notes": with_notes, "arrays": without_formula, "binomial": binomial, "quadrature": quadrature_from_arrays,
    "inflated": inflated}


@pytest.mark.parametrize("name", SUMMARIES)
def test_summary_is_the_stored_text(name: str) -> None:
    assert str(SUMMARIES[name]().summary()) + "\n" == (GOLDEN / f"summary_{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SUMMARIES)
def test_html_holds_the_words_of_the_text(name: str) -> None:
    fit = SUMMARIES[name]()
    parser = HtmlCells()
    parser.feed(fit._repr_html_())
    assert not parser.open
    assert " ".join(parser.text).split() == str(fit.summary()).split()


@pytest.mark.parametrize("read", [read_markdown, read_latex])
@pytest.mark.parametrize("name", SUMMARIES)
def test_markdown_and_latex_hold_the_words_of_the_text(name: str, read: Callable[[str], Any]) -> None:
    summary = SUMMARIES[name]().summary()
    paragraphs, tables = read(summary.to_markdown() if read is read_markdown else summary.to_latex())
    words = [" ".join(paragraphs), *(" ".join(map(" ".join, cells)) for cells in tables)]
    assert sorted(" ".join(words).split()) == sorted(str(summary).replace("\n---\n", "\n").split())
    expected = [block for block in summary.blocks if isinstance(block, Table)]
    assert tables == [[[cell.strip() for cell in row] for row in (block.header, *block.rows)] for block in expected]


NASTY = r"a|b_c & 50% #1 *x* <i> [T.y] ~ ^ {z} $ \ `q`"


def test_names_are_escaped_in_every_format() -> None:
    table = Table(("", NASTY), ((NASTY, "-1.5"), ("[x]", "2"), ("*", "3")), title=NASTY, footer=f"- {NASTY}\n{NASTY}")
    cells = [["", NASTY], [NASTY, "-1.5"], ["[x]", "2"], ["*", "3"]]
    assert read_markdown(table.to_markdown()) == ([NASTY, f"- {NASTY}\n{NASTY}"], [cells])
    assert read_latex(table.to_latex()) == ([NASTY, f"- {NASTY}\n{NASTY}"], [cells])
    for row in table.to_latex().split(r"\\")[1:]:  # a star or bracket there would be the row end's argument
        assert not row.lstrip().startswith(("[", "*"))
    parser = HtmlCells()
    parser.feed(table._repr_html_())
    assert parser.text == [NASTY, NASTY, NASTY, "-1.5", "[x]", "2", "*", "3", f"- {NASTY}", NASTY]


def test_paragraphs_of_markdown_are_no_lists_or_headings() -> None:
    assert Summary(("- a\n---\n# b\n+ c\n1. d",)).to_markdown() == "\\- a\\\n\\# b\\\n\\+ c\\\n1\\. d"


def test_html_escapes_names() -> None:
    assert "<b>" not in Table(("", "x"), (("<b>", "1"),), title="a<b>", footer="c<b>")._repr_html_()


@pytest.mark.parametrize(("values", "expected"), [
    ([612.0899, 35.0717, 654.941], ["612.09", "35.07", "654.94"]),
    ([251.405, -1.5458], ["251.405", "-1.546"]),
    ([9.99996, 120.0], ["10.00", "120.00"]),
    ([0.0, 1.7], ["0.000", "1.700"]),
    ([123456.7], ["123457"]),
    ([0.0], ["0.000"]),
    ([1e5, 1.234e-6], ["1.000e+05", "1.234e-06"]),
    ([np.inf, 17.0], ["inf", "17.00"]),
    ([], []),
])
def test_numbers_of_a_column_share_their_decimals(values: list[float], expected: list[str]) -> None:
    assert format_together(values) == expected


def test_abbreviated_names_stay_different() -> None:
    assert abbreviate(["(Intercept)", "Days", "temperature"]) == ["(Intr)", "Days", "tmprtr"]
    assert len(set(abbreviate(["recipe[T.B]", "recipe[T.C]", "reciper[T.B]"]))) == 3
    short = abbreviate(["treatment_one", "treatment_two"])
    assert len(set(short)) == 2
    assert max(map(len, short)) <= 8


def test_summary_prints_itself(capsys: pytest.CaptureFixture[str]) -> None:
    summary = crossed().summary()
    assert repr(summary) == str(summary)
    assert capsys.readouterr().out == ""


def test_summary_has_no_line_of_trailing_blanks() -> None:
    for make in SUMMARIES.values():
        assert all(line == line.rstrip() for line in str(make().summary()).splitlines())


if __name__ == "__main__":
    for stored, make in SUMMARIES.items():
        (GOLDEN / f"summary_{stored}.txt").write_text(f"{make().summary()}\n", encoding="utf-8")
