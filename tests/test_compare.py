"""Fitted models side by side: the numbers are the models' own, each in its place, and every format shows them."""

import warnings

import numpy as np
import pandas as pd
import pytest
import reference_cases
from formats import HtmlCells, read_latex, read_markdown

import pymixed as pm
from pymixed.errors import InputError, InputTypeError, MissingValuesWarning

SLOPES = "Reaction ~ Days + (Days | Subject)"
INTERCEPTS = "Reaction ~ Days + (1 | Subject)"


@pytest.fixture
def pair(sleepstudy: pd.DataFrame) -> tuple[pm.LMMSolution, pm.LMMSolution]:
    return pm.lmer(INTERCEPTS, sleepstudy, reml=False), pm.lmer(SLOPES, sleepstudy, reml=False)


def test_numbers_are_the_models_own(pair: tuple[pm.LMMSolution, pm.LMMSolution]) -> None:
    table = pm.compare(*pair, names=["a", "b"]).to_pandas()
    assert table.columns.tolist() == [(name, what) for name in "ab" for what in ("estimate", "std.error")]
    for name, fit in zip("ab", pair, strict=True):
        ours = table[name]
        np.testing.assert_array_equal(ours.loc["fixed", "estimate"], fit.coefficients)
        np.testing.assert_array_equal(ours.loc["fixed", "std.error"], fit.se)
        sds = [component.std_dev for component in fit.var_components]
        random = ours.loc["ran_pars", "estimate"].dropna()
        np.testing.assert_allclose(random[random.index.str.startswith("sd_")], sds, rtol=1e-12)
        assert ours.loc[("residual", "sigma"), "estimate"] == fit.residual_std
        data, whole = ours.loc["data", "estimate"], ours.loc["fit", "estimate"]
        assert data.to_dict() == {"nobs": 180, "n_groups|Subject": 18}
        assert whole.to_dict() == {"logLik": fit.log_likelihood, "AIC": fit.aic, "BIC": fit.bic,
                                   "r2_marginal": fit.r2().marginal, "r2_conditional": fit.r2().conditional}
        assert ours.loc[["ran_pars", "residual", "data", "fit"], "std.error"].isna().all()
    correlation = table.loc[("ran_pars", "cor_Days.(Intercept)|Subject")]
    assert np.isnan(correlation["a", "estimate"])
    assert correlation["b", "estimate"] == pytest.approx(pair[1].var_components[1].corr, rel=1e-12)


def test_print_has_what_lme4_finds() -> None:
    case = reference_cases.load("sleepstudy_slope")
    lme4 = case.results
    text = str(pm.compare(case.fit()))
    lines = [line.split() for line in text.splitlines()]
    assert lines[2:4] == [["(Intercept)", f"{lme4['beta'][0]:.3f}", f"({lme4['se'][0]:.3f})"],
                          ["Days", f"{lme4['beta'][1]:.3f}", f"({lme4['se'][1]:.3f})"]]
    cells = {" ".join(words[:-1]): words[-1] for words in lines[4:16]}
    assert cells["SD Days | Subject"] == f"{lme4['random'][0]['sd'][1]:.3f}"
    assert cells["Cor (Intercept), Days | Subject"] == "0.07"
    assert cells["AIC"] == f"{lme4['AIC']:.1f}"
    assert cells["SD"] == f"{lme4['sigma']:.2f}"


def test_models_of_different_kinds_share_a_table(sleepstudy: pd.DataFrame) -> None:
    inflated = reference_cases.load_glmm("tmb_zip").fit()
    negative = reference_cases.load_glmm("tmb_nbinom2").fit()
    linear = pm.lmer(INTERCEPTS, sleepstudy)
    found = pm.compare(linear, inflated, negative)
    table = found.to_pandas()["(2)"]
    np.testing.assert_array_equal(table.loc["zi", "estimate"], inflated.zi_coefficients)
    np.testing.assert_allclose(table.loc["zi", "std.error"], inflated.zi_se)
    assert np.isnan(table.loc[("fit", "r2_marginal"), "estimate"])  # not defined with zero inflation
    shape = found.to_pandas()["(3)"].loc[("residual", "shape"), "estimate"]
    assert shape == negative.family_parameters["shape"]
    text = str(found)
    parts = [line for line in text.splitlines()[1:text.splitlines().index("---")] if not line.startswith(" ")]
    assert parts == ["Fixed effects", "Zero inflation (logit)", "Random effects", "Residual", "Data", "Fit"]
    assert "(2): poisson (log), n_agq=1, count ~ mined + spp + (1 | site)" in text
    assert "different responses (Reaction, count): log-likelihoods, AIC and BIC do not compare" in text


def test_stars_are_those_of_the_p_values(pair: tuple[pm.LMMSolution, pm.LMMSolution]) -> None:
    fit = pair[1]
    assert "*" not in str(pm.compare(fit))
    text = str(pm.compare(fit, stars=True))
    (row,) = [line for line in text.splitlines() if line.startswith("  Days")]
    assert fit.p_values[1] < 0.001
    assert row.split()[-1] == "***"
    assert "Signif. codes" in text


@pytest.mark.parametrize("read", [read_markdown, read_latex])
def test_every_format_holds_the_same_cells(read: object, pair: tuple[pm.LMMSolution, pm.LMMSolution]) -> None:
    found = pm.compare(*pair, names=["m_1|x", "50% & #2"], stars=True)
    text = found.to_markdown() if read is read_markdown else found.to_latex()
    (footer,), (cells,) = read(text)  # type: ignore[operator]
    table = found.table
    assert cells == [[cell.strip() for cell in row] for row in (table.header, *table.rows)]
    assert footer == table.footer.removeprefix("---\n")


def test_html_is_well_formed(pair: tuple[pm.LMMSolution, pm.LMMSolution]) -> None:
    found, reader = pm.compare(*pair, names=["<a>", "b&c"]), HtmlCells()
    reader.feed(found._repr_html_())
    assert not reader.open
    rows = (found.table.header, *found.table.rows)
    expected = [cell.strip() for row in rows for cell in row if cell]
    assert [text.strip() for text in reader.text[:len(expected)]] == expected


# ---- notes -----------------------------------------------------------------------------------------------------------

def notes(*models: object) -> str:
    return "\n".join(pm.compare(*models).notes)  # type: ignore[arg-type]


def test_notes_say_what_does_not_compare(sleepstudy: pd.DataFrame) -> None:
    reml, ml = pm.lmer(SLOPES, sleepstudy), pm.lmer(SLOPES, sleepstudy, reml=False)
    other = pm.lmer("Reaction ~ 1 + (Days | Subject)", sleepstudy)
    assert "do not compare" not in notes(ml, pm.lmer(INTERCEPTS, sleepstudy, reml=False))
    assert "do not compare" not in notes(reml, pm.lmer(INTERCEPTS, sleepstudy))
    assert "some fitted by REML and some by maximum likelihood" in notes(reml, ml)
    assert "fitted by REML with different fixed effects" in notes(reml, other)
    with pytest.warns(MissingValuesWarning):
        fewer = pm.lmer(SLOPES, sleepstudy.assign(Reaction=sleepstudy["Reaction"].where(sleepstudy["Reaction"] < 450)))
    assert f"different numbers of rows (180, {fewer.n_obs})" in notes(reml, fewer)


def test_notes_say_that_approximations_differ() -> None:
    case = reference_cases.load_glmm("cbpp_laplace")
    text = notes(case.fit(), case.fit(n_agq=9))
    assert "different approximations (n_agq 1, 9): log-likelihoods, AIC and BIC do not compare" in text


def test_notes_say_what_the_fits_are(sleepstudy: pd.DataFrame) -> None:
    arrays = pm.lmm(sleepstudy["Reaction"], np.ones((180, 1)), {"Subject": sleepstudy["Subject"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        singular = reference_cases.load("dyestuff2_singular").fit()
        unfinished = pm.lmer(SLOPES, sleepstudy, max_iter=1)
    text = notes(arrays, singular, unfinished)
    assert "(1): linear, REML, y from arrays" in text
    assert "(2): singular fit" in text
    assert "(1): singular fit" not in text
    assert "(3): not converged" in text


def test_fits_without_rows_compare(sleepstudy: pd.DataFrame) -> None:
    streamed = pm.CrossProducts.from_batches(SLOPES, [sleepstudy[:90], sleepstudy[90:]]).fit()
    table = pm.compare(streamed, pm.lmer(SLOPES, sleepstudy)).to_pandas()
    np.testing.assert_allclose(table["(1)"], table["(2)"], rtol=1e-5)


def test_arguments_are_checked(pair: tuple[pm.LMMSolution, pm.LMMSolution]) -> None:
    with pytest.raises(InputError, match="models: expected at least one"):
        pm.compare()
    with pytest.raises(InputTypeError, match="got str as number 1"):
        pm.compare(pair[0], "m")  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="names: expected a string for each model"):
        pm.compare(*pair, names="ab")
    for names in (["a"], ["a", "a"]):
        with pytest.raises(InputError, match="names: expected 2 different names"):
            pm.compare(*pair, names=names)
