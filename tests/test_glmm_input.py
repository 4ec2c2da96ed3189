"""What glmer and glmm take as a response, and bad input: an exception that names argument, expected, got."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pymixed as pm
from pymixed import families
from pymixed.errors import FormulaError, InputError, InputTypeError, PymixedError

N = 60
RNG = np.random.default_rng(5)
G = np.repeat(np.arange(10), 6)
X = RNG.normal(size=N)
ETA = 0.3 + 0.5 * X + RNG.normal(size=10)[G]
TRIALS = RNG.integers(1, 9, N)
TABLE: dict[str, Any] = {
    "x": X, "g": G, "h": np.tile(np.arange(6), 10), "i": np.arange(N),
    "binary": (RNG.uniform(size=N) < 1 / (1 + np.exp(-ETA))).astype(float),
    "count": RNG.poisson(np.exp(0.5 * ETA)).astype(float),
    "positive": np.exp(0.3 * ETA) * RNG.gamma(4, 0.25, N),
    "success": RNG.binomial(TRIALS, 1 / (1 + np.exp(-ETA))).astype(float), "trials": TRIALS.astype(float),
    "label": np.array(list("uvw"))[np.arange(N) % 3],
}


def glmer(formula: str, columns: Any = (), **options: Any) -> Any:
    """A fit of the table with some columns replaced."""
    return pm.glmer(formula, {**TABLE, **dict(columns)}, **options)


def glmm(y: Any, **changes: Any) -> Any:
    return pm.glmm(y, **{"X": np.column_stack([np.ones(N), X]), "groups": {"g": G}, **changes})


def replaced(name: str, row: int, value: float) -> dict[str, Any]:
    return {name: np.where(np.arange(N) == row, value, TABLE[name])}


def fails(kind: type[PymixedError], message: str) -> Any:
    """The context of a call that must raise this kind, with the message in it."""
    return pytest.raises(kind, match=re.escape(message))


# ---- forms of a binomial response ------------------------------------------------------------------------------------

def test_counts_of_successes_in_all_forms():
    expected = glmer("cbind(success, trials - success) ~ x + (1 | g)")
    both = np.column_stack([TABLE["success"], TABLE["trials"] - TABLE["success"]])
    proportion = TABLE["success"] / TABLE["trials"]
    for fit in (glmer("I(success / trials) ~ x + (1 | g)", weights="trials"),
                glmer("p ~ x + (1 | g)", {"p": proportion}, weights=TABLE["trials"]),
                glmer("cbind(success, `not`) ~ x + (1 | g)", {"not": both[:, 1]}),
                glmm(both), glmm(both.astype(int)), glmm(pd.DataFrame(both)), glmm(both.tolist()),
                glmm(proportion, weights=TABLE["trials"])):
        np.testing.assert_allclose(fit.coefficients, expected.coefficients, rtol=1e-7)
        np.testing.assert_allclose(fit.log_likelihood, expected.log_likelihood, rtol=1e-10)
        np.testing.assert_allclose(fit.fitted_values, expected.fitted_values, rtol=1e-6)


def test_weights_multiply_trials():
    doubled = glmer("cbind(success, trials - success) ~ x + (1 | g)", weights=np.full(N, 2.0))
    expected = glmer("cbind(2 * success, 2 * (trials - success)) ~ x + (1 | g)")
    np.testing.assert_allclose(doubled.log_likelihood, expected.log_likelihood, rtol=1e-10)


def test_binary_responses_in_all_forms():
    y = TABLE["binary"]
    expected = glmer("binary ~ x + (1 | g)")
    labels = np.where(y == 1, "yes", "no")
    reversed_order = pd.Categorical(labels, ["yes", "no"])
    for column in (y.astype(bool), y.astype(int), labels, pd.Series(labels), pd.Categorical(labels, ["no", "yes"])):
        for fit in (glmer("y ~ x + (1 | g)", {"y": column}), glmm(column)):
            np.testing.assert_allclose(fit.coefficients, expected.coefficients, rtol=1e-7)
    np.testing.assert_allclose(glmm(reversed_order).coefficients, -expected.coefficients, rtol=1e-6)
    np.testing.assert_allclose(glmer("binary == 1 ~ x + (1 | g)").coefficients, expected.coefficients, rtol=1e-7)
    np.testing.assert_allclose(glmer("y == 'yes' ~ x + (1 | g)", {"y": labels}).coefficients, expected.coefficients,
                               rtol=1e-7)


def test_rows_with_missing_parts_of_a_response_are_dropped():
    missing = np.arange(N) % 20 == 3
    kept = {name: values[~missing] for name, values in TABLE.items()}
    expected = pm.glmer("cbind(success, trials - success) ~ x + (1 | g)", kept)
    columns = {"trials": np.where(missing, np.nan, TABLE["trials"])}
    with pytest.warns(pm.errors.MissingValuesWarning, match="3 of 60 rows"):
        by_formula = glmer("cbind(success, trials - success) ~ x + (1 | g)", columns)
    both = np.column_stack([TABLE["success"], columns["trials"] - TABLE["success"]])
    with pytest.warns(pm.errors.MissingValuesWarning, match="3 of 60 rows"):
        by_arrays = glmm(both, na_action="drop")
    for fit in (by_formula, by_arrays):
        np.testing.assert_allclose(fit.log_likelihood, expected.log_likelihood, rtol=1e-10)
    with fails(InputError, "missing values: y has 3; na_action='drop' leaves such rows out"):
        glmm(both)


# ---- bad responses ---------------------------------------------------------------------------------------------------

CBIND = "cbind(success, trials - success) ~ x + (1 | g)"


@pytest.mark.parametrize(("formula", "columns", "options", "kind", "message"), [
    ("count ~ x + (1 | g)", replaced("count", 4, 2.5), {"family": "poisson"}, InputError,
     "response 'count': expected counts 0, 1, 2, ... for the poisson family, got 2.5 in row 4"),
    ("count ~ x + (1 | g)", replaced("count", 4, -1), {"family": "nbinom2"}, InputError,
     "response 'count': expected counts 0, 1, 2, ... for the negative_binomial family, got -1.0 in row 4"),
    ("count ~ x + (1 | g)", replaced("count", 4, np.inf), {"family": "poisson"}, InputError,
     "column 'count': expected finite values, got inf in row 4"),
    ("positive ~ x + (1 | g)", replaced("positive", 9, 0.0), {"family": "gamma"}, InputError,
     "response 'positive': expected positive numbers for the gamma family, got 0.0 in row 9"),
    ("positive ~ x + (1 | g)", {"positive": np.ones(N)}, {"family": "gamma"}, InputError,
     "response 'positive': expected values that differ, got 1.0 in every row"),
    ("binary ~ x + (1 | g)", {}, {"family": "beta"}, InputError, "expected numbers strictly between 0 and 1 for"),
    ("count ~ x + (1 | g)", {"count": np.full(N, 2.0)}, {}, InputError,
     "response 'count': expected numbers from 0 to 1 for the binomial family, got 2.0 in row 0"),
    ("p ~ x + (1 | g)", {"p": np.full(N, 0.25)}, {}, InputError,
     "response 'p': expected 0 or 1 where no weights give the numbers of trials, got 0.25 in row 0"),
    ("p ~ x + (1 | g)", {"p": np.full(N, 0.25)}, {"weights": np.full(N, 6.0)}, InputError,
     "response 'p': expected proportions of the trials in weights, got 0.25 in row 0, 1.5 of 6 trials"),
    ("p ~ x + (1 | g)", {"p": np.full(N, 0.5)}, {"weights": np.full(N, 2.4)}, InputError,
     "weights: expected whole numbers of trials for the binomial family, got 2.4 in row 0"),
    ("binary ~ x + (1 | g)", {}, {"weights": np.where(np.arange(N) == 2, 0.0, 1.0)}, InputError,
     "weights: expected positive values, got 0.0 in row 2"),
    (CBIND, {**replaced("success", 7, 0), **replaced("trials", 7, 0)}, {}, InputError,
     "response 'cbind(success, trials - success)': expected at least one trial in every row, got 0.0 in row 7"),
    (CBIND, replaced("success", 7, 9), {}, InputError, "expected whole numbers of failures, 0 or more, got "),
    (CBIND, replaced("success", 7, 0.5), {}, InputError, "expected whole numbers of successes, 0 or more, got 0.5 in"),
    ("cbind(label, trials) ~ x + (1 | g)", {}, {}, InputTypeError, "expected numbers, got strings or categories in "
     "'label'"),
    ("label ~ x + (1 | g)", {}, {}, InputError,
     "response 'label': expected two levels, failure and success, got 3: 'u', 'v', 'w'"),
    ("label ~ x + (1 | g)", {}, {"family": "poisson"}, InputTypeError,
     "response 'label': expected numbers, got strings or categories"),
])
def test_responses_of_a_table(formula, columns, options, kind, message):
    with fails(kind, message):
        glmer(formula, columns, **options)


def test_rows_in_messages_are_those_of_the_data():
    columns = {**replaced("x", 1, np.nan), **replaced("count", 4, 2.5)}
    with fails(InputError, "got 2.5 in row 4"):
        glmer("count ~ x + (1 | g)", columns, family="poisson")


@pytest.mark.parametrize(("y", "changes", "kind", "message"), [
    (np.ones((N, 2)), {"family": "poisson"}, InputError,
     "y: two columns, successes and failures, make a binomial response, which the poisson family does not have"),
    (np.ones((N, 3)), {}, InputError, "y: expected one column or two, successes and failures, got 3"),
    (np.zeros((N, 2)), {}, InputError, "response 'y': expected at least one trial in every row, got 0.0 in row 0"),
    (TABLE["label"], {}, InputError, "response 'y': expected two levels, failure and success, got 3"),
    (TABLE["label"], {"family": "poisson"}, InputTypeError, "y: expected numbers, got <U1"),
    (TABLE["count"] + 0.5, {"family": "poisson"}, InputError, "response 'y': expected counts"),
    (TABLE["binary"], {"X": np.ones((5, 1))}, InputError, "X: expected shape (60, p)"),
])
def test_responses_of_arrays(y, changes, kind, message):
    with fails(kind, message):
        glmm(y, **changes)


@pytest.mark.parametrize(("formula", "family", "reason", "caret"), [
    ("cbind(count, trials) ~ x + (1 | g)", "poisson",
     "cbind() makes a binomial response, which the poisson family does not have", 0),
    ("cbind(success) ~ x + (1 | g)", "binomial", "cbind(): expected successes and failures, got 1 arguments", 0),
    ("log(cbind(success, trials)) ~ x + (1 | g)", "binomial", "cbind() is a response of its own", 4),
    ("cbind(success, tries) ~ x + (1 | g)", "binomial", "no column 'tries'", 15),
])
def test_cbind(formula, family, reason, caret):
    with fails(FormulaError, reason) as caught:
        glmer(formula, family=family)
    assert str(caught.value).endswith(f"\n  {formula}\n  {' ' * caret}^")


# ---- groups ----------------------------------------------------------------------------------------------------------

def test_a_random_effect_per_row():
    assert glmer("count ~ x + (1 | i)", family="poisson").n_groups == {"i": N}
    assert glmer("cbind(success, trials - success) ~ x + (1 | i)").n_groups == {"i": N}
    with fails(InputError, "grouping factor 'i': 60 levels and 60 rows; the random effects cannot be told from the "
               "residuals"):
        glmer("positive ~ x + (1 | i)", family="gamma")
    with fails(InputError, "grouping factor 'i': 60 levels and 60 rows; a binary response says nothing about a random "
               "effect in every row"):
        glmer("binary ~ x + (1 | i)")


def test_a_single_level():
    with fails(InputError, "grouping factor 'g': expected more than one level, got only 0"):
        glmer("count ~ x + (1 | g)", {"g": np.zeros(N, int)}, family="poisson")


# ---- options ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"family": "quasibinomial"}, InputError, "family: expected one of 'binomial', 'poisson', 'negative_binomial'"),
    ({"family": 3}, InputTypeError, "family: expected a name or a family"),
    ({"n_agq": -1}, InputError, "n_agq: expected an integer of at least 0, got -1"),
    ({"n_agq": 2.0}, InputTypeError, "n_agq: expected an integer of at least 0, got 2.0"),
    ({"n_agq": True}, InputTypeError, "n_agq: expected an integer of at least 0, got True"),
    ({"curvature": "fisher"}, InputError, "curvature: expected one of 'observed', 'expected', got 'fisher'"),
    ({"se": "sandwich"}, InputError, "se: expected one of 'hessian', 'rx', got 'sandwich'"),
    ({"optimizer": "bobyqa"}, InputError, "optimizer: expected one of 'newton', 'L-BFGS-B'"),
    ({"method": "banded"}, InputError, "method: expected one of 'auto', 'single', 'dense', 'sparse'"),
    ({"tol": 0.0}, InputError, "tol: expected a positive number, got 0.0"),
    ({"max_iter": 0}, InputError, "max_iter: expected a positive integer, got 0"),
    ({"n_threads": 0}, InputError, "n_threads: expected a positive integer, got 0"),
    ({"na_action": "omit"}, InputError, "na_action: expected 'drop' or 'raise', got 'omit'"),
])
def test_options(options, kind, message):
    with fails(kind, message):
        glmer("binary ~ x + (1 | g)", **options)
    with fails(kind, message):
        glmm(TABLE["binary"], **options)


@pytest.mark.parametrize(("formula", "model"), [
    ("binary ~ x + (1 | g) + (1 | h)", "here there are 2 on g, h"),
    ("binary ~ x + (x + I(x**2) + I(x**3) | g)", "here there are 4 on g"),
])
def test_quadrature_needs_one_factor_with_few_columns(formula, model):
    with fails(InputError, "n_agq: expected 0 or 1, got 5; quadrature needs one grouping factor with at most 3 "
               f"random-effects columns, {model}"):
        glmer(formula, n_agq=5)


# ---- zero inflation --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", ["binomial", "gamma", families.Gaussian("log")])
def test_only_counts_are_zero_inflated(family):
    with fails(InputError, "zi: only counts are inflated at zero (families poisson, negative_binomial, nbinom1)"):
        glmer("binary ~ x + (1 | g)", family=family, zi="~ x")


@pytest.mark.parametrize(("zi", "reason", "caret"), [
    ("x", "zi: expected '~' and the fixed effects, as in '~ x'", 0),
    ("count ~ x", "zi: expected '~' and the fixed effects, as in '~ x'", 0),
    ("~ x + (1 | g)", "zi: random terms have no place in the model for zero inflation", 7),
    ("~ x + offset(h)", "zi: offsets have no place in the model for zero inflation", 6),
    ("~ z", "no column 'z'", 2),
    ("~ x +", "a term is missing", 5),
    ("~ (x", "unbalanced '('", 2),
])
def test_formulas_of_zero_inflation(zi, reason, caret):
    with fails(FormulaError, reason) as caught:
        glmer("count ~ x + (1 | g)", family="poisson", zi=zi)
    assert str(caught.value).endswith(f"\n  {zi}\n  {' ' * caret}^")


@pytest.mark.parametrize(("zi", "kind", "message"), [
    ("~ 0", InputError, "zi: expected columns of which none is a combination of the others, got none"),
    ("~ x + I(2 * x)", InputError, "none is a combination of the others, got (Intercept), x, I(2 * x)"),
    (1, InputTypeError, "zi: expected a formula such as '~ x', got int"),
])
def test_columns_of_zero_inflation(zi, kind, message):
    with fails(kind, message):
        glmer("count ~ x + (1 | g)", family="poisson", zi=zi)


def test_missing_values_in_the_zero_inflation_drop_rows():
    zero = np.random.default_rng(2).uniform(size=N) < 0.4
    columns = {"inflated": np.where(zero, 0.0, TABLE["count"] + 1), **replaced("x", 3, np.nan)}
    with pytest.warns(pm.errors.MissingValuesWarning, match="1 of 60 rows"):
        fit = glmer("inflated ~ 1 + (1 | g)", columns, family="poisson", zi="~ x")
    assert fit.n_obs == N - 1


# ---- fits that find nothing ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer", ["newton", "L-BFGS-B"])
def test_a_link_that_leaves_the_range(optimizer):
    with fails(InputError, "response 'binary': the fit found no estimates: the conditional modes of the random effects "
               "were not found; the link 'logit' allows any linear predictor"):
        glmer("binary ~ x + (1 | g)", {"binary": (X > 0) * 1.0, "x": 100 * X}, family=families.Binomial("log"),
              optimizer=optimizer)
