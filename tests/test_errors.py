"""Bad input to lmer and lmm: an exception of pymixed.errors that names argument, expected, got."""

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest

import pymixed as pm
from pymixed import _fitting, errors, solvers
from pymixed.errors import FormulaError, InputError, InputTypeError, MemoryLimitError, PymixedError, PymixedWarning

N = 24
RNG = np.random.default_rng(20)
TABLE: dict[str, Any] = {
    "y": RNG.normal(size=N), "x": RNG.normal(size=N), "w": RNG.uniform(1, 2, N),
    "g": np.repeat(np.arange(6), 4), "h": np.tile(np.array(list("abcd")), 6),
}
NAN_IN_ROW_3 = np.where(np.arange(N) == 3, np.nan, TABLE["x"])
ZERO_IN_ROW_2 = np.where(np.arange(N) == 2, 0.0, TABLE["w"])


def lmer(formula: str = "y ~ x + (1 | g)", columns: Any = (), **options: Any) -> Any:
    """A fit of the table with some columns replaced."""
    return pm.lmer(formula, {**TABLE, **dict(columns)}, **options)


def lmm(**changes: Any) -> Any:
    """The same fit from arrays, some arguments replaced."""
    X = np.column_stack([np.ones(N), TABLE["x"]])
    return pm.lmm(**{"y": TABLE["y"], "X": X, "groups": {"g": TABLE["g"]}, **changes})


def fails(kind: type[PymixedError], message: str) -> Any:
    """The context of a call that must raise this kind, with the message in it."""
    return pytest.raises(kind, match=re.escape(message))


# ---- data ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("columns", "options", "kind", "message"), [
    ({"x": NAN_IN_ROW_3}, {"na_action": "raise"}, InputError, "missing values: column 'x' has 1; na_action='drop'"),
    ({"x": np.full(N, np.nan)}, {}, InputError, "missing values: none of the 24 rows is complete (column 'x' has 24)"),
    ({"x": TABLE["x"][:5]}, {}, InputError, "column 'x': expected 24 values as in the other columns, got 5"),
    ({name: values[:0] for name, values in TABLE.items()}, {}, InputError, "data: expected at least one row, got none"),
    ({"g": np.full(N, "only")}, {}, InputError,
     "grouping factor 'g': expected more than one level, got only 'only'"),
    ({"g": np.arange(N)}, {}, InputError,
     "grouping factor 'g': 24 levels and 24 rows; the random effects cannot be told from the residuals"),
    ({"y": np.full(N, 7.5)}, {}, InputError, "response 'y': expected values that differ, got 7.5 in every row"),
    ({"y": TABLE["h"]}, {}, InputTypeError, "response 'y': expected numbers, got strings"),
    ({}, {"weights": TABLE["w"][:5]}, InputError, "weights: expected 24 values, one per row, got 5"),
    ({}, {"weights": ZERO_IN_ROW_2}, InputError, "weights: expected positive values, got 0.0 in row 2"),
    ({}, {"weights": -np.ones(N)}, InputError, "weights: expected positive values, got -1.0 in row 0"),
    ({}, {"weights": "h"}, InputTypeError, "weights: expected numbers in column 'h'"),
    ({}, {"weights": "v"}, InputError, "no column 'v'"),
    ({}, {"offset": TABLE["w"][:5]}, InputError, "offset: expected 24 values, one per row, got 5"),
    ({}, {"offset": TABLE["h"]}, InputTypeError, "offset: expected numbers, got"),
    ({}, {"na_action": "omit"}, InputError, "na_action: expected 'drop' or 'raise', got 'omit'"),
])
def test_data_of_a_table(columns, options, kind, message):
    with fails(kind, message):
        lmer(columns=columns, **options)


@pytest.mark.parametrize(("changes", "kind", "message"), [
    ({"X": NAN_IN_ROW_3[:, None]}, InputError, "missing values: X has 1; na_action='drop'"),
    ({"X": np.ones((5, 1))}, InputError, "X: expected shape (24, p), one row per value of the response, got (5, 1)"),
    ({"X": np.full((N, 1), "a")}, InputTypeError, "X: expected numbers, got <U1"),
    ({"y": [], "X": np.ones((0, 1)), "groups": {"g": []}}, InputError, "data: expected at least one row, got none"),
    ({"y": np.full(N, 7.5)}, InputError, "response 'y': expected values that differ, got 7.5 in every row"),
    ({"y": TABLE["h"]}, InputTypeError, "y: expected numbers, got"),
    ({"groups": {"g": TABLE["g"][:5]}}, InputError, "groups['g']: expected 24 labels, one per row, got 5"),
    ({"groups": {"g": np.zeros(N)}}, InputError, "grouping factor 'g': expected more than one level, got only 0"),
    ({"groups": {"g": np.arange(N)}}, InputError, "grouping factor 'g': 24 levels and 24 rows"),
    ({"groups": TABLE["g"]}, InputTypeError, "groups: expected a mapping from names to labels, got ndarray"),
    ({"random_effects": {"g": ["1", "x"]}}, InputError, "random_data: expected an entry 'x', which a term names"),
    ({"random_effects": {"k": ["1"]}}, InputError, "random_effects: expected names of groups ('g'), got 'k'"),
    ({"weights": ZERO_IN_ROW_2}, InputError, "weights: expected positive values, got 0.0 in row 2"),
    ({"weights": TABLE["w"][:5]}, InputError, "weights: expected 24 values, one per row, got 5"),
    ({"offset": TABLE["h"]}, InputTypeError, "offset: expected numbers, got"),
])
def test_data_of_arrays(changes, kind, message):
    with fails(kind, message):
        lmm(**changes)


def test_weights_admit_as_many_levels_as_rows():
    n = 200
    w = np.geomspace(0.1, 100, n)
    data = {"y": RNG.normal(size=n) + RNG.normal(size=n) / np.sqrt(w), "i": np.arange(n), "w": w}
    by_formula = pm.lmer("y ~ 1 + (1 | i)", data, weights="w")
    by_arrays = pm.lmm(data["y"], np.ones((n, 1)), {"i": data["i"]}, weights=w)
    assert by_formula.n_groups == by_arrays.n_groups == {"i": n}
    assert by_formula.converged


# ---- formulas --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("formula", "reason", "caret"), [
    ("y ~ x + (1 | g", "unbalanced '('", 8),
    ("y ~ x + (1 | )", "empty grouping factor", 12),
    ("y ~ x + (1 | g | h)", "'|'", 15),
    ("y + x + (1 | g)", "missing '~'", 15),
    ("y ~ x", "no random term", 5),
    ("y ~ x + + (1 | g)", "a term is missing", 8),
    ("y ~ z + (1 | g)", "no column 'z'", 4),
    ("y ~ x + (1 | k)", "no column 'k'", 13),
    ("y ~ lg(x) + (1 | g)", "unknown function 'lg'", 4),
])
def test_a_formula_is_shown_with_a_caret_under_the_place(formula, reason, caret):
    with fails(FormulaError, reason) as caught:
        lmer(formula)
    assert str(caught.value).endswith(f"\n  {formula}\n  {' ' * caret}^")


# ---- options ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fit", [lmer, lmm])
@pytest.mark.parametrize(("option", "value", "kind", "message"), [
    ("optimizer", "BFGS", InputError, "expected one of 'newton', 'L-BFGS-B', 'trust-constr', 'Nelder-Mead', 'COBYQA'"),
    ("optimizer", None, InputError, "expected one of 'newton', 'L-BFGS-B', 'trust-constr', 'Nelder-Mead', 'COBYQA'"),
    ("method", "banded", InputError, "expected one of 'auto', 'single', 'dense', 'sparse', got 'banded'"),
    ("tol", 0.0, InputError, "expected a positive number, got 0.0"),
    ("tol", np.nan, InputError, "expected a positive number, got nan"),
    ("tol", np.inf, InputError, "expected a positive number, got inf"),
    ("tol", "small", InputTypeError, "expected a positive number, got 'small'"),
    ("max_iter", 0, InputError, "expected a positive integer, got 0"),
    ("max_iter", 10.5, InputTypeError, "expected a positive integer, got 10.5"),
    ("max_iter", True, InputTypeError, "expected a positive integer, got True"),
    ("n_threads", -1, InputError, "expected a positive integer, got -1"),
    ("n_threads", "all", InputTypeError, "expected a positive integer, got 'all'"),
    ("reml", "REML", InputTypeError, "expected True or False, got 'REML'"),
    ("compute_satterthwaite", None, InputTypeError, "expected True or False, got None"),
])
def test_options(fit, option, value, kind, message):
    with fails(kind, f"{option}: {message}"):
        fit(**{option: value})


def test_the_single_method_takes_one_factor():
    message = "method: 'single' needs one grouping factor, got 2"
    with fails(InputError, message):
        lmer("y ~ x + (1 | g) + (1 | h)", method="single")
    with fails(InputError, message):
        lmm(groups={"g": TABLE["g"], "h": TABLE["h"]}, method="single")


# ---- models without a residual variance, or too large ----------------------------------------------------------------

def test_x_has_fewer_independent_columns_than_rows():
    with fails(InputError, "X: expected more rows than independent columns, got 24 rows and rank 24"):
        lmm(X=RNG.normal(size=(N, N + 3)))
    with fails(InputError, "X: expected more rows than independent columns, got 24 rows and rank 24"):
        lmer("y ~ C(i) + (1 | g)", {"i": np.arange(N)})


@pytest.mark.parametrize("optimizer", solvers.OPTIMIZERS)
@pytest.mark.parametrize("reml", [True, False])
def test_a_response_that_x_fits_exactly(optimizer, reml):
    message = "response 'y': expected values that the model does not fit exactly, got a residual sum of squares of "
    y = 2 + 3 * TABLE["x"]
    for fit in (lambda **options: lmm(y=y, **options), lambda **options: lmer(columns={"y": y}, **options)):
        with fails(InputError, message):
            fit(optimizer=optimizer, reml=reml)
    with fails(InputError, message):
        lmm(y=y + 5 * TABLE["w"], offset=5 * TABLE["w"], weights=TABLE["w"], optimizer=optimizer, reml=reml)


def test_a_small_residual_variance_is_no_exact_fit():
    y = 2 + 3 * TABLE["x"] + 1e-6 * TABLE["y"]
    np.testing.assert_allclose(lmm(y=y).residual_std, 1e-6 * lmm().residual_std, rtol=1e-6)


def test_a_model_that_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr(_fitting, "available_memory", lambda: 2e8)
    n = 20_000
    data = {"y": RNG.normal(size=n), "a": np.arange(n) // 2, "b": RNG.permutation(n) // 2}
    need = re.compile(r"needs ([\d.]+) GB, the limit is 0\.20 GB of memory; use fewer levels")
    with pytest.raises(MemoryLimitError, match=need) as caught:
        pm.lmer("y ~ 1 + (1 | a) + (1 | b)", data, method="dense")
    assert float(need.search(str(caught.value))[1]) > 0.2
    assert isinstance(caught.value, MemoryError)
    with pytest.raises(MemoryLimitError, match=need):
        pm.lmm(data["y"], np.ones((n, 1)), {"a": data["a"], "b": data["b"]}, method="dense")


# ---- the classes -----------------------------------------------------------------------------------------------------

def test_exceptions_are_those_of_python_too():
    assert issubclass(InputError, ValueError)
    assert issubclass(InputTypeError, TypeError)
    assert issubclass(MemoryLimitError, MemoryError)
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, (PymixedError, PymixedWarning))
        assert kind.__doc__


def test_each_warning_has_its_code():
    kinds = PymixedWarning.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("kind", [InputError, InputTypeError, MemoryLimitError])
def test_exceptions_survive_pickling_and_copying(kind):
    error = kind("y: expected numbers, got strings")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), str(twin)) == (kind, str(error))
