"""New data are encoded as the fit's own: levels, contrasts and transforms are those of the fit."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pymixed.design import MixedDesign, Term
from pymixed.errors import FormulaError, InputError, InputTypeError

N = 30
RNG = np.random.default_rng(2)
FRAME = pd.DataFrame({
    "y": RNG.normal(size=N),
    "x": RNG.uniform(1.0, 2.0, N),
    "f": pd.Categorical(np.tile(["b", "a", "c"], 10), ["c", "b", "a"]),
    "year": np.tile([2001, 2002, 2003], 10),
    "flag": np.arange(N) % 2 == 0,
    "g": np.repeat(["p", "q", "r"], 10),
    "h": np.tile([1, 2, 3, 4, 5], 6),
    "off": RNG.normal(size=N),
})


def design(formula, **options):
    return MixedDesign.from_formula(formula, FRAME, **options)


@pytest.mark.parametrize("formula", [
    "y ~ x * f + (x | g)",
    "y ~ poly(x, 2) + bs(x, df=4) + scale(x) + (poly(x, 2) | g)",
    "y ~ cr(x, df=3) + C(year) + flag + (0 + f | g)",
    "y ~ factor(year) * x + np.log(x) + offset(off) + offset(log(x)) + (f || g)",
    "y ~ f:x + I(f == 'a') + C(f, contr.poly) + (1 | g/f)",
    "log(x) ~ 0 + f + (1 | g:f) + (x - 1 | h)",
])
@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_part_of_the_data_gives_those_rows_of_the_design(formula, table):
    found = design(formula, contrasts={"f": "sum"})
    rows = np.array([29, 4, 4, 11])
    part = FRAME.iloc[rows].assign(f=FRAME["f"].iloc[rows].astype(str)).drop(columns="y")
    new = pickle.loads(pickle.dumps(found)).new_rows(table(part))
    np.testing.assert_allclose(new.X, found.X[rows], rtol=1e-12, atol=1e-12)
    if found.offset is None:
        assert new.offset is None
    else:
        np.testing.assert_allclose(new.offset, found.offset[rows])
    for codes, factor in zip(new.codes, found.factors, strict=True):
        np.testing.assert_array_equal(codes, factor.codes[rows])
    for columns, term in zip(new.data, found.terms, strict=True):
        for column, expected in zip(columns, term.data, strict=True):
            assert (column is None) == (expected is None)
            if column is not None:
                np.testing.assert_allclose(column, expected[rows], rtol=1e-12, atol=1e-12)


def test_levels_that_the_fit_has_not_seen():
    new = design("y ~ x + (1 | g/h)").new_rows({"x": [1.0, 1.5, 2.0], "g": ["r", "new", "p"], "h": [1, 1, 9]})
    assert new.codes[0].tolist() == [2, -1, 0]
    assert new.labels[0].tolist() == ["r", "new", "p"]
    assert new.codes[1].tolist() == [2, -1, -1]
    assert new.labels[1].tolist() == ["1:r", "1:new", "9:p"]
    assert new.codes[0].dtype == np.int32


def test_numbers_are_labels_where_the_fit_had_a_categorical_column():
    frame = FRAME.assign(year=FRAME["year"].astype("category"))
    found = MixedDesign.from_formula("y ~ year + (1 | g)", frame)
    new = found.new_rows({"year": [2003, 2001], "g": ["p", "q"]})
    np.testing.assert_array_equal(new.X, [[1, 0, 1], [1, 0, 0]])


def test_columns_of_factors_not_asked_for_need_not_be_there():
    new = design("y ~ x + (x | g) + (1 | h)").new_rows({"x": [1.0, 2.0], "g": ["p", "q"]}, groups=["g"])
    assert [codes.tolist() for codes in new.codes] == [[0, 1], [-1, -1]]
    assert new.data[0][1].tolist() == [1.0, 2.0]
    assert new.data[1] == ()
    assert design("y ~ 1 + (x | g)").new_rows({"any": [1.0, 2.0]}, groups=()).X.shape == (2, 1)


def test_offset_argument():
    by_name = design("y ~ x + (1 | g)", offset="off").new_rows(FRAME[:3])
    np.testing.assert_array_equal(by_name.offset, FRAME["off"][:3])
    by_array = design("y ~ x + offset(x) + (1 | g)", offset=FRAME["off"].to_numpy())
    given = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(by_array.new_rows(FRAME[:3], offset=given).offset, given + FRAME["x"][:3])
    with pytest.raises(InputError, match="offset: the model was fitted with an array of offsets"):
        by_array.new_rows(FRAME[:3])


@pytest.mark.parametrize(("change", "kind", "message"), [
    ({"f": ["a", "zz"]}, InputError, "column 'f': level 'zz' is not among those of the fit: 'c', 'b', 'a'"),
    ({"year": [2001, 1999]}, InputError, "C(): level 1999 is not among those of the fit: 2001, 2002, 2003"),
    ({"x": [1.0, np.nan]}, InputError, "missing values: column 'x' has 1"),
    ({"f": ["a", None]}, InputError, "missing values: column 'f' has 1"),
    ({"g": ["p", None]}, InputError, "missing values: column 'g' has 1"),
    ({"x": [1.0, np.inf]}, InputError, "column 'x': expected finite values, got inf in row 1"),
    ({"x": ["1", "2"]}, InputTypeError, "newdata: expected numbers in column 'x' as in the fit, got strings"),
    ({"x": None}, InputError, "newdata: no column 'x'"),
    ({"g": None}, InputError, "newdata: no column 'g'"),
    ({"x": [1.0]}, InputError, "expected"),
])
def test_wrong_new_data(change, kind, message):
    found = design("y ~ x + f + C(year) + (1 | g)")
    data = {"x": [1.0, 2.0], "f": ["a", "b"], "year": [2001, 2002], "g": ["p", "q"], **change}
    with pytest.raises(kind, match=re.escape(message)):
        found.new_rows({name: values for name, values in data.items() if values is not None})


def test_a_spline_does_not_reach_beyond_its_data():
    with pytest.raises(FormulaError, match=re.escape("bs(x, df=4)")):
        design("y ~ bs(x, df=4) + (1 | g)").new_rows({"x": [100.0], "g": ["p"]})


# ---- arrays ----------------------------------------------------------------------------------------------------------

X = np.column_stack([np.ones(N), FRAME["x"]])


def from_arrays(**options):
    return MixedDesign.validate(FRAME["y"], X, {"g": FRAME["g"], "h": FRAME["h"]},
                                [Term("g", ["1", "time"]), Term("h", ["1"])], {"time": FRAME["off"]}, **options)


def test_arrays_give_new_rows():
    new = from_arrays().new_rows(
        {"X": X[:2], "groups": {"g": ["q", "new"], "h": [5, 6]}, "random_data": {"time": [1, 2]}})
    np.testing.assert_array_equal(new.X, X[:2])
    assert [codes.tolist() for codes in new.codes] == [[1, -1], [4, -1]]
    assert new.labels[0].tolist() == ["q", "new"]
    assert new.data[0][0] is None
    assert new.data[0][1].tolist() == [1.0, 2.0]
    assert new.offset is None


def test_arrays_need_only_what_is_asked_for():
    new = from_arrays().new_rows({"X": X[:2]}, groups=())
    assert [codes.tolist() for codes in new.codes] == [[-1, -1], [-1, -1]]
    assert new.data == ((), ())


@pytest.mark.parametrize(("newdata", "kind", "message"), [
    (X, InputTypeError, "newdata: expected a mapping with 'X', 'groups' and 'random_data'"),
    ({"X": X[:2, :1]}, InputError, "newdata['X']: expected 2 columns as in the fit, got 1"),
    ({"X": X[:2]}, InputError, "newdata['groups']: expected an entry 'g', got []"),
    ({"X": X[:2], "groups": {"g": ["p", "q"], "h": [1, 2]}}, InputError, "random_data: expected an entry 'time'"),
    ({"X": X[:2] * np.nan, "groups": {"g": ["p", "q"], "h": [1, 2]}, "random_data": {"time": [1, 2]}}, InputError,
     "missing values: X has 2"),
])
def test_wrong_new_arrays(newdata, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        from_arrays().new_rows(newdata)


def test_new_arrays_need_the_offset():
    found = from_arrays(offset=np.ones(N))
    with pytest.raises(InputError, match="offset: the model was fitted with offsets"):
        found.new_rows({"X": X[:2]}, groups=())
    assert found.new_rows({"X": X[:2]}, groups=(), offset=[3.0, 4.0]).offset.tolist() == [3.0, 4.0]


def test_arrays_of_numbers_import_neither_pandas_nor_formulaic():
    code = """
import sys, numpy as np
from pymixed.design import MixedDesign
design = MixedDesign.validate(np.arange(6.0), np.ones((6, 1)), {"g": [1, 1, 2, 2, 3, 3], "h": list("aabbcc")})
assert design.n == 6
print(sorted({"pandas", "formulaic", "pyarrow", "polars"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
