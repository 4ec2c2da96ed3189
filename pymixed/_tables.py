"""A fit as text, HTML, Markdown and LaTeX, in the layout that lme4 and lmerTest made familiar."""
from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count

import numpy as np

from ._common import Array, GLMMParams, LMMParams, MixedParams, normal_p_values
from .inference import SingularDirection

Cells = tuple[str, ...]

SIGNIFICANT_DIGITS = 4
CORRELATED_COEFFICIENTS = 20  # no table of correlations for more
SMALLEST_P = np.finfo(float).eps
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
STARS_LEGEND = "Signif. codes: 0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1"
RULE = "---"  # line between a table and its legend
INDENT = "  "  # of a cell under a heading
LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
         "~": r"$\sim$", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
         "|": r"\textbar{}", "²": r"\textsuperscript{2}"}
LATEX_BREAK = "\n\n\\medskip\\noindent\n"
DF_METHODS = {"satterthwaite": "Satterthwaite's method", "residual": "residual degrees of freedom"}


@dataclass(frozen=True)
class Table:
    """Cells of text under a header; the first `n_labels` columns are left-aligned, the others right-aligned."""

    header: Cells
    rows: tuple[Cells, ...]
    n_labels: int = 1
    title: str = ""
    footer: str = ""

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [
            " ".join(cell.ljust(width) if j < self.n_labels else cell.rjust(width)
                     for j, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
            for row in (self.header, *self.rows)]
        return "\n".join([*filter(None, [self.title]), *lines, *filter(None, [self.footer])])

    def _repr_html_(self) -> str:
        aligned = self._aligned("left", "right")
        rows = [
            "<tr>" + "".join(f'<{tag} style="text-align: {side}">{_cell(cell, escape, "&emsp;")}</{tag}>'
                             for cell, side in zip(row, aligned, strict=True)) + "</tr>"
            for tag, row in (("th", self.header), *(("td", row) for row in self.rows))]
        caption = (f'<caption style="white-space: nowrap">{escape(self.title)}</caption>' if self.title else "")
        table = f"<table>{caption}<thead>{rows[0]}</thead><tbody>{''.join(rows[1:])}</tbody></table>"
        return table + (_paragraph(self.footer) if self.footer else "")

    def to_markdown(self) -> str:
        """The table in Markdown with pipes, as GitHub, Jupyter and pandoc read it."""
        header, *body = [[_cell(cell, markdown_escape, "&emsp;") for cell in row] for row in (self.header, *self.rows)]
        lines = [f"| {' | '.join(row)} |" for row in (header, self._aligned(":--", "--:"), *body)]
        title = f"**{markdown_escape(self.title)}**" if self.title else ""
        return "\n\n".join(filter(None, [title, "\n".join(lines), _markdown_paragraph(self.footer)]))

    def to_latex(self) -> str:
        r"""The table as a LaTeX tabular, with the rules of the package booktabs."""
        header, *body = map(_latex_row, (self.header, *self.rows))
        lines = [rf"\begin{{tabular}}{{{''.join(self._aligned('l', 'r'))}}}", r"\toprule", header, r"\midrule", *body,
                 r"\bottomrule", r"\end{tabular}"]
        title = rf"\textbf{{{latex_escape(self.title)}}}" if self.title else ""
        return LATEX_BREAK.join(filter(None, [title, "\n".join(lines), _latex_paragraph(self.footer)]))

    def _aligned(self, left: str, right: str) -> list[str]:
        """A word for each column."""
        return [left if j < self.n_labels else right for j in range(len(self.header))]


@dataclass(frozen=True)
class Summary:
    """What `summary()` returns: text when printed, tables in a notebook, Markdown and LaTeX for documents.

    Examples
    --------
    >>> import pymixed as pm
    >>> fit = pm.lmer("Yield ~ 1 + (1 | Batch)", pm.datasets.load("dyestuff"))
    >>> print(fit.summary().to_markdown().partition("Random effects:**")[2].partition("Number")[0].strip())
    | Groups | Name | Variance | Std.Dev. |
    | :-- | :-- | --: | --: |
    | Batch | (Intercept) | 1764 | 42.00 |
    | Residual |  | 2451 | 49.51 |
    """

    blocks: tuple[str | Table, ...]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.blocks))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        blocks = [_paragraph(block) if isinstance(block, str) else block._repr_html_() for block in self.blocks]
        return f"<div>{''.join(blocks)}</div>"

    def to_markdown(self) -> str:
        """The summary in Markdown, its tables with pipes, as GitHub, Jupyter and pandoc read it."""
        return "\n\n".join(_markdown_paragraph(block) if isinstance(block, str) else block.to_markdown()
                           for block in self.blocks)

    def to_latex(self) -> str:
        """The summary in LaTeX; its tables are tabulars that need the package booktabs."""
        return LATEX_BREAK.join(_latex_paragraph(block) if isinstance(block, str) else block.to_latex()
                                for block in self.blocks)


def summarize_linear(params: LMMParams, formula: str | None, residual_quantiles: Array | None,
                     singularity: Sequence[SingularDirection], rows_dropped: int) -> Summary:
    """Lay out a linear mixed model; `residual_quantiles` are the five of the residuals over sigma, if known."""
    method = "REML" if params.reml else "maximum likelihood"
    title = f"Linear mixed model fit by {method}. t-tests use {DF_METHODS[params.df_method]}"
    criterion = (f"REML criterion at convergence: {params.objective:.1f}" if params.reml
                 else _criteria(params, "deviance"))
    return _summary([
        _heading(title, formula),
        criterion,
        "" if residual_quantiles is None else _quantiles(residual_quantiles),
        _random_effects(params, params.residual_variance),
        _fixed_effects(params, "t", params.df_satterthwaite),
        _correlations(params),
        _notes(params, singularity, rows_dropped)])


def summarize_generalized(params: GLMMParams, formula: str | None, residual_quantiles: Array | None,
                          singularity: Sequence[SingularDirection], rows_dropped: int,
                          findings: Sequence[str]) -> Summary:
    """Lay out a generalized linear mixed model; `residual_quantiles` are the five of the scaled residuals, if known."""
    method = ("Laplace Approximation" if params.n_agq == 1
              else f"Adaptive Gauss-Hermite Quadrature, nAGQ = {params.n_agq}")
    title = f"Generalized linear mixed model fit by maximum likelihood ({method})"
    constants = "; ".join(f"{name} {value:.4g}" for name, value in params.family_parameters.items())
    zero_inflation: str | Table = ""
    if params.zi_names:
        se = np.sqrt(params.zi_vcov.diagonal())
        zero_inflation = _coefficients("Zero inflation (logit):", params.zi_names, params.zi_coefficients, se,
                                       normal_p_values(params.zi_coefficients / se), "z")
    return _summary([
        _heading(f"{title}\nFamily: {params.family_name} ( {params.link_name} )", formula),
        _criteria(params, "-2*log(L)"),  # `deviance` is another quantity here
        "" if residual_quantiles is None else _quantiles(residual_quantiles),
        _random_effects(params, None),
        _fixed_effects(params, "z"),
        zero_inflation,
        f"Parameters of the {params.family_name} family: {constants}" if constants else "",
        _correlations(params),
        _notes(params, singularity, rows_dropped, findings)])


def _summary(blocks: Iterable[str | Table]) -> Summary:
    return Summary(tuple(block for block in blocks if block))


def _heading(title: str, formula: str | None) -> str:
    return f"{title}\nFormula: {formula}" if formula else title


def _criteria(params: MixedParams, objective: str) -> Table:
    values = (params.aic, params.bic, params.log_likelihood, params.objective)
    cells = (*(f"{value:.1f}" for value in values), str(params.n_obs - params.n_parameters))
    return Table(("AIC", "BIC", "logLik", objective, "df.resid"), (cells,), n_labels=0)


def _quantiles(five: Array) -> Table:
    return Table(("Min", "1Q", "Median", "3Q", "Max"), (tuple(f"{q:.4f}" for q in five),), n_labels=0,
                 title="Scaled residuals:")


def _random_effects(params: MixedParams, residual_variance: float | None) -> Table:
    terms = params.term_covariances
    residual = [] if residual_variance is None else [residual_variance]
    variances = format_together([*(v for term in terms for v in term.matrix.diagonal()), *residual])
    std_devs = format_together([*(s for term in terms for s in term.std_dev), *np.sqrt(residual)])
    names, correlations = [], []
    for term in terms:
        correlation = term.correlation if term.structure == "us" else np.empty((len(term.columns), 0))
        for j, column in enumerate(term.columns):
            names.append((term.group if j == 0 else "", column))
            correlations.append([f"{r:.2f}" for r in correlation[j, :j]])
    if residual:
        names.append(("Residual", ""))
        correlations.append([])
    n_correlations = max(map(len, correlations))
    rows = tuple(
        (*name, variance, std_dev, *r, *[""] * (n_correlations - len(r)))
        for name, variance, std_dev, r in zip(names, variances, std_devs, correlations, strict=True))
    groups = "; ".join(f"{group}, {n_levels}" for group, n_levels in params.n_groups.items())
    header = ("Groups", "Name", "Variance", "Std.Dev.", *["Corr", *[""] * n_correlations][:n_correlations])
    return Table(header, rows, n_labels=2, title="Random effects:",
                 footer=f"Number of obs: {params.n_obs}, groups: {groups}")


def _fixed_effects(params: MixedParams, statistic: str, df: Array | None = None) -> str | Table:
    if params.coefficients.size == 0:
        return "No fixed effects"
    return _coefficients("Fixed effects:", params.coefficient_names, params.coefficients, params.se, params.p_values,
                         statistic, df)


def _coefficients(title: str, names: Sequence[str], values: Array, se: Array, p_values: Array, statistic: str,
                  df: Array | None = None) -> Table:
    """Estimates with tests; `statistic` is "t" or "z"."""
    p = len(names)
    estimates = format_together([*values, *se])
    columns = [names, estimates[:p], estimates[p:], *([] if df is None else [format_together(df)]),
               [f"{ratio:.3f}" for ratio in values / se], [_format_p(p_value) for p_value in p_values],
               [stars_of(p_value).ljust(3) for p_value in p_values]]
    header = ("", "Estimate", "Std. Error", *([] if df is None else ["df"]), f"{statistic} value",
              f"Pr(>|{statistic}|)", "")
    return Table(header, tuple(zip(*columns, strict=True)), title=title, footer=f"{RULE}\n{STARS_LEGEND}")


def _correlations(params: MixedParams) -> str | Table:
    names, p = params.coefficient_names, params.coefficients.size
    if p < 2:
        return ""
    if p > CORRELATED_COEFFICIENTS:
        return f"Correlation of Fixed Effects: not shown for {p} > {CORRELATED_COEFFICIENTS} coefficients; see vcov()"
    correlation = params.vcov / np.outer(params.se, params.se)
    rows = tuple(
        (names[i], *(f"{r:.3f}" for r in correlation[i, :i]), *[""] * (p - 1 - i))
        for i in range(1, p))
    return Table(("", *abbreviate(names[:-1])), rows, title="Correlation of Fixed Effects:")


def _notes(params: MixedParams, singularity: Sequence[SingularDirection], rows_dropped: int,
           findings: Sequence[str] = ()) -> str:
    notes = []
    if rows_dropped:
        notes.append(f"{rows_dropped} of {rows_dropped + params.n_obs} rows dropped for missing values")
    if params.aliased:
        notes.append(f"columns dropped as linear combinations of others: {', '.join(params.aliased)}")
    if singularity:
        notes.append(f"singular fit: {'; '.join(map(str, singularity))}")
    notes.extend(findings)
    if not params.converged:
        notes.append(f"not converged: {params.convergence.message}")
    return "\n".join(notes)


def format_together(values: Iterable[float]) -> list[str]:
    """Numbers with equal decimals, the smallest with four significant digits; scientific where that is shorter."""
    values = list(values)
    # the exponent after rounding: 9.9999 counts as 10
    exponents = [int(f"{v:.{SIGNIFICANT_DIGITS - 1}e}".split("e")[1]) for v in values if math.isfinite(v) and v != 0]
    decimals = max(0, SIGNIFICANT_DIGITS - 1 - min(exponents, default=0))
    width_fixed = max([*exponents, 0]) + 2 + decimals
    width_scientific = SIGNIFICANT_DIGITS + 5
    style = f".{decimals}f" if width_fixed <= width_scientific else f".{SIGNIFICANT_DIGITS - 1}e"
    return [format(v, style) for v in values]


def abbreviate(names: Sequence[str], width: int = 6) -> list[str]:
    """Names of at most `width` characters where they stay different: without lower-case vowels, then letters."""
    return next(short for longest in count(width)
                if len(set(short := [_shortened(name, longest) for name in names])) == len(set(names)))


def _shortened(name: str, longest: int) -> str:
    for droppable in ("aeiou", "abcdefghijklmnopqrstuvwxyz"):
        for i in reversed(range(1, len(name))):
            if len(name) <= longest:
                return name
            if name[i] in droppable and name[i - 1].isalnum():  # first letters of words stay
                name = name[:i] + name[i + 1:]
    return name


def _format_p(p: float) -> str:
    if p < SMALLEST_P:
        return "< 2e-16"
    return f"{p:.5f}" if p >= 1e-4 else f"{p:.2e}"


def stars_of(p: float) -> str:
    """The stars of a p-value, as in `STARS_LEGEND`."""
    return next((stars for limit, stars in STARS if p < limit), "")


# ---- the formats -----------------------------------------------------------------------------------------------------

def _cell(text: str, escaped: Callable[[str], str], indent: str) -> str:
    """A cell without the blanks that line up columns of text, an indent in the format's own way."""
    return indent * text.startswith(INDENT) + escaped(text.strip())


def _paragraph(text: str) -> str:
    return f"<p>{escape(text).replace(chr(10), '<br>')}</p>"


def markdown_escape(text: str) -> str:
    """Text that Markdown shows as it is, also in the cell of a table."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", text)


def _markdown_paragraph(text: str) -> str:
    lines = [re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", markdown_escape(line)) for line in _without_rules(text)]
    return "\\\n".join(lines)


def latex_escape(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return re.sub("|".join(map(re.escape, LATEX)), lambda found: LATEX[found.group()], text)


def _latex_row(cells: Cells) -> str:
    escaped = [re.sub(r"^-(?=[\d.])", "$-$", _cell(cell, latex_escape, r"\quad ")) for cell in cells]
    # the end of the row before would take a bracket or a star for its argument
    first = "{}" if escaped[0].startswith(("[", "*")) else ""
    return first + " & ".join(escaped) + r" \\"


def _latex_paragraph(text: str) -> str:
    return " \\\\\n".join(map(latex_escape, _without_rules(text)))


def _without_rules(text: str) -> list[str]:
    """Lines of a text but those that draw a line under a table, which the formats do themselves."""
    return [line for line in text.splitlines() if line != RULE]
