"""Tables with formulas, and arrays, become designs; what no model can be made of is refused with its name."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import reference_cases
from reference_cases import load, plain

from pymixed.design import MixedDesign, Term
from pymixed.errors import FormulaError, InputError, InputTypeError, PymixedError

N = 24
RNG = np.random.default_rng(1)
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": RNG.uniform(1.0, 2.0, N),
    "f": np.tile(["a", "b", "c"], 8),
    "flag": np.arange(N) % 5 > 2,
    "g": np.repeat(np.arange(4), 6) * 10,
    "h": np.tile(["u", "v"], 12),
    "w": RNG.uniform(1.0, 2.0, N),
}
FRAME = pd.DataFrame(DATA)


def design(formula, data=FRAME, **options):
    return MixedDesign.from_formula(formula, data, **options)


def term_columns(formula, **options):
    return [(term.group, term.columns) for term in design(formula, **options).terms]


# ---- formulas: reference cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference_cases.linear_cases())
def test_reference_case_has_lme4s_columns(name):
    case = load(name)
    found = MixedDesign.from_formula(case.formula, case.frame, **case.model)
    expected = case.spec["fixed_columns"] + (case.spec["dropped_columns"] or [])
    assert sorted(map(plain, found.coefficient_names)) == sorted(map(plain, expected))
    assert found.n == case.spec["n_observations"]
    again = pickle.loads(pickle.dumps(found))
    new = again.new_rows(case.frame.iloc[:7])
    np.testing.assert_allclose(new.X, found.X[:7], rtol=1e-12, atol=1e-12)
    for codes, factor in zip(new.codes, found.factors, strict=True):
        np.testing.assert_array_equal(codes, factor.codes[:7])


def test_polynomial_contrasts_are_those_of_r():
    case = load("cake_interaction")
    contrasts = np.array(case.spec["columns"]["temperature"]["contrasts"]["values"])
    found = design("angle ~ temperature + (1 | replicate)", case.frame, contrasts={"temperature": "poly"})
    codes = case.frame["temperature"].cat.codes.to_numpy()
    np.testing.assert_allclose(found.X[:, 1:], contrasts[codes], atol=1e-13)
    assert found.coefficient_names[1] == "temperature[.L]"


# ---- formulas: fixed part --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fixed", "names"), [
    ("1", ["(Intercept)"]),
    ("0", []),
    ("x + f", ["(Intercept)", "x", "f[T.b]", "f[T.c]"]),
    ("0 + f", ["f[a]", "f[b]", "f[c]"]),
    ("-1 + x", ["x"]),
    ("x * h", ["(Intercept)", "x", "h[T.v]", "x:h[T.v]"]),
    ("flag", ["(Intercept)", "flag[T.True]"]),
    ("C(g)", ["(Intercept)", "C(g)[T.10]", "C(g)[T.20]", "C(g)[T.30]"]),
    ("C(f, contr.sum)", ["(Intercept)", "C(f, contr.sum)[S.a]", "C(f, contr.sum)[S.b]"]),
    ("I(x**2) + log(z)", ["(Intercept)", "I(x ** 2)", "log(z)"]),
    ("(f + h)^2", ["(Intercept)", "f[T.b]", "f[T.c]", "h[T.v]", "f[T.b]:h[T.v]", "f[T.c]:h[T.v]"]),
    ("f/x", ["(Intercept)", "f[T.b]", "f[T.c]", "f[a]:x", "f[b]:x", "f[c]:x"]),
])
def test_names_of_fixed_columns(fixed, names):
    found = design(f"y ~ {fixed} + (1 | g)")
    assert list(found.coefficient_names) == names
    assert found.X.shape == (N, found.p) == (N, len(names))
    assert found.X.dtype == np.float64


@pytest.mark.parametrize(("text", "value"), [
    ("sqrt(z) + log1p(z)", lambda d: [np.sqrt(d["z"]), np.log1p(d["z"])]),
    ("np.exp(x)", lambda d: [np.exp(d["x"])]),
    ("I(f == 'b')", lambda d: [d["f"] == "b"]),
    ("f:x", lambda d: [(d["f"] == level) * d["x"] for level in "abc"]),
    ("scale(x)", lambda d: [(d["x"] - d["x"].mean()) / d["x"].std(ddof=1)]),
])
def test_values_of_fixed_columns(text, value):
    np.testing.assert_allclose(design(f"y ~ {text} + (1 | g)").X[:, 1:].T, value(DATA), rtol=1e-12)


def test_orthogonal_polynomials_and_splines():
    found = design("y ~ poly(x, 2) + bs(z, df=4) + (1 | g)")
    poly = found.X[:, 1:3]
    np.testing.assert_allclose(poly.T @ poly, np.eye(2), atol=1e-12)
    assert found.p == 7


def test_names_in_backticks():
    data = {**DATA, "my y": DATA["y"], "my x": DATA["x"], "yield": DATA["z"], "my g": DATA["g"]}
    found = design("`my y` ~ `my x` + log(`my x`**2) + yield + (1 | `my g`)", data)
    assert found.coefficient_names[1] == "my x"
    assert found.factors[0].name == "my g"
    np.testing.assert_allclose(found.X[:, 2], np.log(DATA["x"] ** 2))
    np.testing.assert_array_equal(found.X[:, 3], DATA["z"])


def test_response_may_be_an_expression():
    found = design("log(z) - x ~ 1 + (1 | g)")
    np.testing.assert_allclose(found.y, np.log(DATA["z"]) - DATA["x"])
    assert found.response_name == "log(z) - x"


@pytest.mark.parametrize(("coding", "columns"), [
    ("treatment", [[0, 0], [1, 0], [0, 1]]),
    ("sum", [[1, 0], [0, 1], [-1, -1]]),
    ("helmert", [[-1, -1], [1, -1], [0, 2]]),
    ("sas", [[1, 0], [0, 1], [0, 0]]),
    ("diff", [[-2 / 3, -1 / 3], [1 / 3, -1 / 3], [1 / 3, 2 / 3]]),
    ("poly", [[-(0.5**0.5), 6**-0.5], [0, -2 * 6**-0.5], [0.5**0.5, 6**-0.5]]),
    ([[1, 2], [3, 4], [5, 7]], [[1, 2], [3, 4], [5, 7]]),
])
def test_contrasts_hold_in_fixed_and_random_part(coding, columns):
    found = design("y ~ f + (f | g)", contrasts={"f": coding})
    expected = np.array(columns, float)[np.tile([0, 1, 2], 8)]
    np.testing.assert_allclose(found.X[:, 1:], expected, atol=1e-12)
    np.testing.assert_allclose(np.column_stack(found.terms[0].data[1:]), expected, atol=1e-12)
    full = design("y ~ 0 + f + (1 | g)", contrasts={"f": coding})
    np.testing.assert_array_equal(full.X, np.eye(3)[np.tile([0, 1, 2], 8)])


def test_ordered_columns_have_treatment_contrasts_and_unused_levels_none():
    data = FRAME.assign(f=pd.Categorical(FRAME["f"], ["c", "unused", "b", "a"], ordered=True))
    assert design("y ~ f + (1 | g)", data).coefficient_names == ("(Intercept)", "f[T.b]", "f[T.a]")
    np.testing.assert_array_equal(design("y ~ I(f < 'a') + (1 | g)", data).X[:, 1], FRAME["f"] != "a")


# ---- formulas: random part -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("random", "terms"), [
    ("(1 | g)", [("g", ("(Intercept)",))]),
    ("(x | g)", [("g", ("(Intercept)", "x"))]),
    ("(0 + x | g) + (1 | h)", [("g", ("x",)), ("h", ("(Intercept)",))]),
    ("(x - 1 | g)", [("g", ("x",))]),
    ("(x + z || g)", [("g", ("(Intercept)",)), ("g", ("x",)), ("g", ("z",))]),
    ("(f || g)", [("g", ("(Intercept)",)), ("g", ("f[T.b]",)), ("g", ("f[T.c]",))]),
    ("(0 + f || g)", [("g", ("f[a]",)), ("g", ("f[b]",)), ("g", ("f[c]",))]),
    ("(f | g)", [("g", ("(Intercept)", "f[T.b]", "f[T.c]"))]),
    ("(x * h | g)", [("g", ("(Intercept)", "x", "h[T.v]", "x:h[T.v]"))]),
    ("(poly(x, 2) | g)", [("g", ("(Intercept)", "poly(x, 2)[1]", "poly(x, 2)[2]"))]),
    ("(1 | g/h)", [("g", ("(Intercept)",)), ("h:g", ("(Intercept)",))]),
    ("(x || g:h)", [("g:h", ("(Intercept)",)), ("g:h", ("x",))]),
    ("(1 | h/flag/g)", [("h", ("(Intercept)",)), ("flag:h", ("(Intercept)",)), ("g:flag:h", ("(Intercept)",))]),
])
def test_columns_of_random_terms(random, terms):
    weights = "w" if "/g" in random or "*" in random else None  # as many effects as rows need weights
    assert term_columns(f"y ~ x + {random}", weights=weights) == terms


def test_random_data_and_codes():
    found = design("y ~ 1 + (x | g) + (1 | g:h)")
    slope, crossed = found.terms
    assert slope.data[0] is None
    np.testing.assert_array_equal(slope.data[1], DATA["x"])
    assert [factor.name for factor in found.factors] == ["g", "g:h"]
    assert crossed.factor == 1
    assert found.factors[0].levels.tolist() == [0, 10, 20, 30]
    labels = found.factors[1].levels[found.factors[1].codes]
    assert labels.tolist() == [f"{g}:{h}" for g, h in zip(DATA["g"], DATA["h"], strict=True)]
    assert found.factors[1].codes.dtype == np.int32


@pytest.mark.parametrize("table", [dict, pd.DataFrame, pl.DataFrame, pa.table],
                         ids=["dict", "pandas", "polars", "pyarrow"])
def test_every_table_gives_the_same_design(table):
    formula = "y ~ x * f + flag + (1 + x | g) + (1 | f:h)"
    expected, found = design(formula, weights="w"), design(formula, table(DATA), weights="w")
    assert found.coefficient_names == expected.coefficient_names
    np.testing.assert_array_equal(found.X, expected.X)
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(found.weights, DATA["w"])
    for ours, theirs in zip(found.factors, expected.factors, strict=True):
        np.testing.assert_array_equal(ours.codes, theirs.codes)
        assert ours.levels.tolist() == theirs.levels.tolist()


# ---- weights, offsets, missing values --------------------------------------------------------------------------------


def test_offsets_add_up():
    found = design("y ~ x + offset(log(z)) + offset(2 * x) + (1 | g)", offset="w")
    np.testing.assert_allclose(found.offset, np.log(DATA["z"]) + 2 * DATA["x"] + DATA["w"])
    np.testing.assert_array_equal(design("y ~ x + (1 | g)", offset=DATA["w"]).offset, DATA["w"])
    assert design("y ~ x + (1 | g)").offset is None


def test_rows_with_missing_values_are_dropped():
    frame = FRAME.astype({"f": object})
    frame.loc[1, "x"] = np.nan
    frame.loc[3, "f"] = None
    frame.loc[frame["h"] == "v", "g"] = np.nan
    frame.loc[4, "w"] = np.nan
    frame["unused"] = np.nan
    found = design("y ~ x + f + (1 | g)", frame, weights="w")
    assert found.rows.tolist() == [0, 2, *range(6, N, 2)]
    assert (found.n, found.n_rows_given) == (11, N)
    for values, column in ((found.y, "y"), (found.X[:, 1], "x"), (found.weights, "w")):
        np.testing.assert_array_equal(values, FRAME[column][found.rows])
    with pytest.raises(InputError, match="missing values: column 'x' has 1, column 'f' has 1, column 'g' has 12, "
                                         "weights has 1; na_action='drop'"):
        design("y ~ x + f + (1 | g)", frame, weights="w", na_action="raise")


def test_levels_that_only_dropped_rows_have_are_dropped():
    frame = FRAME.assign(y=FRAME["y"].where(FRAME["f"] != "c").where(FRAME["g"] != 10))
    found = design("y ~ f + (1 | g)", frame)
    assert found.coefficient_names == ("(Intercept)", "f[T.b]")
    assert found.factors[0].levels.tolist() == [0, 20, 30]


def test_complete_data_keep_all_rows():
    assert design("y ~ x + (1 | g)").rows is None


def test_a_design_does_not_depend_on_the_order_of_its_data():
    order = RNG.permutation(N)
    found, shuffled = (design("y ~ poly(x, 2) * f + (1 | g)", data) for data in (FRAME, FRAME.iloc[order]))
    np.testing.assert_allclose(shuffled.X, found.X[order], atol=1e-12)
    np.testing.assert_array_equal(shuffled.factors[0].codes, found.factors[0].codes[order])


# ---- wrong input -----------------------------------------------------------------------------------------------------


def changed(**columns):
    return {**DATA, **columns}


def with_value(column, row, value):
    values = np.array(DATA[column], float)
    values[row] = value
    return changed(**{column: values})


@pytest.mark.parametrize(("formula", "data", "options", "kind", "message"), [
    ("y ~ X + (1 | g)", DATA, {}, FormulaError, "no column 'X'"),
    ("y ~ x + (1 | G)", DATA, {}, FormulaError, "no column 'G'; did you mean"),
    ("y ~ blah(x) + (1 | g)", DATA, {}, FormulaError, "unknown function 'blah'"),
    ("cbind(y, x) ~ x + (1 | g)", DATA, {}, FormulaError, "cbind() makes a binomial response"),
    ("y ~ x:+ (1 | g)", DATA, {}, FormulaError, "in 'x:': Operator `:` has insuffient arguments"),
    ("y ~ log(f) + (1 | g)", DATA, {}, FormulaError, "Unable to evaluate factor `log(f)`"),
    ("y ~ x + (0 | g)", DATA, {}, InputError, "(0 | ...): expected at least one column"),
    ("y ~ x + (1 | g) + (x | g)", DATA, {}, InputError, "column '(Intercept)' of group 'g' is in 2 terms"),
    ("f ~ x + (1 | g)", DATA, {}, InputTypeError, "response 'f': expected numbers, got strings"),
    ("poly(y, 2) ~ x + (1 | g)", DATA, {}, FormulaError, "response: expected one value per row, got 2 columns"),
    ("y ~ x + (1 | g)", changed(y=np.ones(N)), {}, InputError, "response 'y': expected values that differ, got 1.0"),
    ("y ~ x + (1 | g)", with_value("x", 7, np.inf), {}, InputError,
     "column 'x': expected finite values, got inf in row 7"),
    ("log(y) ~ x + (1 | g)", with_value("y", 3, -1.0), {}, InputError, "response 'log(y)': expected finite values"),
    ("y ~ log(x) + (1 | g)", DATA, {}, InputError, "fixed-effects column 'log(x)': expected finite values, got nan"),
    ("y ~ 1 + (log(x) | g)", DATA, {}, InputError, "random-effects column 'log(x)' of group 'g': expected finite"),
    ("y ~ x + offset(log(x)) + (1 | g)", DATA, {}, InputError, "offset: expected finite values, got nan"),
    ("y ~ x + (1 | g)", changed(g=np.zeros(N, int)), {}, InputError,
     "factor 'g': expected more than one level, got only 0"),
    ("y ~ x + (1 | g)", changed(g=np.arange(N)), {}, InputError, "grouping factor 'g': 24 levels and 24 rows"),
    ("y ~ x + (x * z + f | g)", DATA, {}, InputError, "'g': 4 levels of 6 random effects each and 24 rows"),
    ("y ~ f + (1 | g)", changed(f=["a"] * N), {}, InputError,
     "column 'f': a factor in the model needs at least two levels"),
    ("y ~ x + (1 | g)", changed(x=np.ones(3)), {}, InputError, "column 'x': expected 24 values"),
    ("y ~ x + (1 | g)", {name: values[:0] for name, values in DATA.items()}, {}, InputError,
     "at least one row, got none"),
    ("y ~ x + (1 | g)", changed(x=np.full(N, np.nan)), {}, InputError, "none of the 24 rows is complete"),
    ("y ~ x + (1 | g)", [1, 2], {}, InputTypeError, "data: expected a pandas or polars DataFrame"),
    ("y ~ x + (1 | g)", DATA, {"weights": -DATA["w"]}, InputError, "weights: expected positive values, got -1."),
    ("y ~ x + (1 | g)", with_value("w", 2, 0.0), {"weights": "w"}, InputError,
     "weights: expected positive values, got 0.0 in row 2"),
    ("y ~ x + (1 | g)", with_value("w", 2, np.inf), {"weights": "w"}, InputError,
     "weights: expected finite values, got inf in row 2"),
    ("y ~ x + (1 | g)", DATA, {"weights": "f"}, InputTypeError, "weights: expected numbers in column 'f'"),
    ("y ~ x + (1 | g)", DATA, {"weights": "v"}, InputError, "no column 'v'"),
    ("y ~ x + (1 | g)", DATA, {"weights": [1.0, 2.0]}, InputError, "weights: expected 24 values, one per row, got 2"),
    ("y ~ x + (1 | g)", DATA, {"offset": DATA["f"]}, InputTypeError, "offset: expected numbers"),
    ("y ~ x + (1 | g)", DATA, {"na_action": "omit"}, InputError, "na_action: expected 'drop' or 'raise', got 'omit'"),
    ("y ~ f + (1 | g)", DATA, {"contrasts": {"f": "zero"}}, InputError,
     "contrasts['f']: expected one of treatment, sum"),
    ("y ~ f + (1 | g)", DATA, {"contrasts": {"F": "sum"}}, InputError, "contrasts: data: no column 'F'"),
    ("y ~ x + (1 | g)", DATA, {"contrasts": {"x": "sum"}}, InputError, "'x' holds numbers"),
    ("y ~ f + (1 | g)", DATA, {"contrasts": {"f": np.eye(2)}}, InputError, "expected a matrix of 3 rows (levels)"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_input_from_formulas(formula, data, options, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        design(formula, data, **options)


def test_an_unknown_column_is_shown_in_its_place():
    with pytest.raises(FormulaError) as caught:
        design("y ~ x + lg(zz) + (1 | g)")
    assert caught.value.position == 11
    assert "  y ~ x + lg(zz) + (1 | g)\n             ^" in str(caught.value)


def test_rows_in_messages_are_those_of_the_users_data():
    data = with_value("w", 5, -1.0)
    data["x"] = np.where(np.arange(N) < 3, np.nan, data["x"])
    with pytest.raises(InputError, match=r"got -1\.0 in row 5"):
        design("y ~ x + (1 | g)", data, weights="w")


def test_weights_allow_one_level_per_row():
    assert len(design("y ~ x + (1 | i)", changed(i=np.arange(N)), weights="w").factors[0].levels) == N


# ---- arrays ----------------------------------------------------------------------------------------------------------

Y, X = DATA["y"], np.column_stack([np.ones(N), DATA["x"], DATA["z"]])


def test_arrays_as_the_seed_takes_them():
    found = MixedDesign.validate(Y, X, {"g": DATA["g"], "h": DATA["h"]}, {"g": ["1", "time"]}, {"time": DATA["x"]})
    assert found.coefficient_names == ("(Intercept)", "X1", "X2")
    assert [(term.group, term.columns, term.structure) for term in found.terms] == [
        ("g", ("(Intercept)", "time"), "us"), ("h", ("(Intercept)",), "us")]
    assert found.terms[0].data[0] is None
    assert found.terms[0].data[1] is DATA["x"]
    assert found.factors[0].levels.tolist() == [0, 10, 20, 30]
    assert found.factors[1].levels.tolist() == ["u", "v"]
    assert (found.formula, found.response_name, found.rows) == (None, "y", None)


def test_arrays_and_formula_give_the_same_design():
    arrays = MixedDesign.validate(Y, X, {"g": DATA["g"]}, weights=DATA["w"], offset=DATA["z"])
    formula = design("y ~ x + z + (1 | g)", weights="w", offset="z")
    for name in ("y", "X", "weights", "offset"):
        np.testing.assert_array_equal(getattr(arrays, name), getattr(formula, name))


def test_a_list_of_terms_says_everything():
    found = MixedDesign.validate(Y, X[:, :0], {"g": DATA["g"], "h": DATA["h"]}, [
        Term("h", "1"), Term("g", ["time", "1"], structure="diag")], {"time": list(DATA["x"])})
    assert [(term.group, term.factor, term.columns, term.structure) for term in found.terms] == [
        ("h", 1, ("(Intercept)",), "us"), ("g", 0, ("time", "(Intercept)"), "diag")]
    assert found.p == 0


def test_arrays_drop_missing_values_on_request():
    y, labels = Y.copy(), DATA["h"].astype(object)
    y[0], labels[5] = np.nan, None
    with pytest.raises(InputError, match=re.escape("missing values: y has 1, groups['h'] has 1")):
        MixedDesign.validate(y, X, {"h": labels})
    found = MixedDesign.validate(y, X, {"h": labels}, na_action="drop")
    assert found.rows.tolist() == [1, 2, 3, 4, *range(6, N)]


G = {"g": DATA["g"]}


@pytest.mark.parametrize(("arguments", "options", "kind", "message"), [
    ((DATA["f"], X, G), {}, InputTypeError, "y: expected numbers, got"),
    ((X, X, G), {}, InputError, "y: expected one dimension, got shape (24, 3)"),
    (([], X[:0], {"g": []}), {}, InputError, "expected at least one row, got none"),
    ((np.ones(N), X, G), {}, InputError, "response 'y': expected values that differ"),
    ((Y, X[:3], G), {}, InputError, "X: expected shape (24, p), one row per value of the response, got (3, 3)"),
    ((Y, X[:, 0], G), {}, InputError, "X: expected shape (24, p)"),
    ((Y, X.astype(str), G), {}, InputTypeError, "X: expected numbers"),
    ((Y, np.where(X == 1, np.inf, X), G), {}, InputError, "fixed-effects column '(Intercept)': expected finite values"),
    ((Y, np.where(X == 1, np.nan, X), G), {}, InputError, "missing values: X has 24"),
    ((Y, X, DATA["g"]), {}, InputTypeError, "groups: expected a mapping from names to labels, got ndarray"),
    ((Y, X, {}), {}, InputError, "groups: expected at least one grouping factor"),
    ((Y, X, {"g": [1, 2]}), {}, InputError, "groups['g']: expected 24 labels, one per row, got 2"),
    ((Y, X, {"g": np.ones(N)}), {}, InputError, "grouping factor 'g': expected more than one level"),
    ((Y, X, {"g": np.arange(N)}), {}, InputError, "grouping factor 'g': 24 levels and 24 rows"),
    ((Y, X, G, {"k": ["1"]}), {}, InputError, "random_effects: expected names of groups ('g'), got 'k'"),
    ((Y, X, G, {"g": ["1", "1"]}), {}, InputError, "column '(Intercept)' of group 'g' is in 2 terms"),
    ((Y, X, G, {"g": []}), {}, InputError, "terms: expected at least one column for group 'g', got none"),
    ((Y, X, G, {"g": ["time"]}), {}, InputError, "random_data: expected an entry 'time', which a term names; got []"),
    ((Y, X, G, None, {"time": Y}), {}, InputError, "random_data: 'time' is in no term"),
    ((Y, X, G, {"g": ["time"]}, {"time": Y[:3]}), {}, InputError, "random_data['time']: expected 24 values"),
    ((Y, X, G, {"g": ["time"]}, {"time": DATA["f"]}), {}, InputTypeError, "random_data['time']: expected numbers"),
    ((Y, X, G, ["1"]), {}, InputTypeError,
     "random_effects: expected a mapping from groups to lists of terms or a list"),
    ((Y, X, {**G, "h": DATA["h"]}, [Term("g", "1")]), {}, InputError,
     "expected a Term for every group, got none for 'h'"),
    ((Y, X, G), {"weights": np.zeros(N)}, InputError, "weights: expected positive values, got 0.0 in row 0"),
    ((Y, X, G), {"weights": [1.0]}, InputError, "weights: expected 24 values"),
    ((Y, X, G), {"offset": np.full(N, np.inf)}, InputError, "offset: expected finite values"),
])
def test_wrong_input_from_arrays(arguments, options, kind, message):
    with pytest.raises(kind, match=re.escape(message)) as caught:
        MixedDesign.validate(*arguments, **options)
    assert isinstance(caught.value, PymixedError)


def test_a_term_has_a_known_structure():
    with pytest.raises(InputError, match="structure: expected one of 'us', 'diag', got 'toeplitz'"):
        Term("g", ["1"], structure="toeplitz")
