"""Columns of every kind of table arrive as the same floats and codes."""

import decimal
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymixed._categorical import Categorical, cross, factorize
from pymixed._frames import Table, complete_rows, factor
from pymixed.errors import InputError, InputTypeError

RAW = {
    "integer": [3, 1, 2, 3],
    "float": [1.5, None, 2.0, 3.0],
    "string": ["b", None, "a", "b"],
    "boolean": [True, False, True, True],
    "missing_boolean": [True, None, True, False],
    "missing_integer": [1, None, 2, 2],
    "decimal": [decimal.Decimal(text) for text in ("1.5", "2.0", "3.0", "4.0")],
}
TABLES = {
    "dict": RAW,
    "dict of arrays": {name: np.array(values) for name, values in RAW.items()},
    "pandas": pd.DataFrame(RAW),
    "pandas objects": pd.DataFrame(RAW, dtype=object),
    "pandas nullable": pd.DataFrame(RAW).convert_dtypes(),
    "pandas arrow": pd.DataFrame(RAW).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame(RAW),
    "polars categorical": pl.DataFrame(RAW).with_columns(pl.col("string").cast(pl.Categorical)),
    "pyarrow": pa.table(RAW),
    "pyarrow chunks": pa.concat_tables([pa.table(RAW).slice(0, 1), pa.table(RAW).slice(1)]),
}


class Stream:
    """A table known by Arrow's protocol alone."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


TABLES["arrow stream"] = Stream(pa.table(RAW))


@pytest.mark.parametrize("kind", TABLES)
def test_columns_are_the_same_from_every_table(kind):
    table = Table(TABLES[kind])
    assert table.names == tuple(RAW)
    assert table.n_rows == 4
    for name in ("integer", "float", "missing_integer", "decimal"):
        expected = [math.nan if value is None else float(value) for value in RAW[name]]
        np.testing.assert_array_equal(table.column(name), expected)
    for name in ("string", "boolean", "missing_boolean"):
        column = table.column(name)
        assert column.labels().tolist() == RAW[name]
        assert column.levels.tolist() == sorted({value for value in RAW[name] if value is not None})
        assert column.codes.dtype == np.int32


@pytest.mark.parametrize("kind", TABLES)
def test_numbers_are_labels_of_a_factor(kind):
    table = Table(TABLES[kind])
    assert table.factor("integer").levels.tolist() == [1, 2, 3]
    assert table.factor("missing_integer").codes.tolist() == [0, -1, 1, 1]
    assert [type(level) for level in table.factor("missing_integer").levels.tolist()] == [int, int]


ORDER = ["c", "unused", "b", "a"]
ORDERED = {
    "pandas": pd.DataFrame({"f": pd.Categorical(["b", "a", None, "c"], ORDER, ordered=True)}),
    "polars": pl.DataFrame({"f": pl.Series(["b", "a", None, "c"], dtype=pl.Enum(ORDER))}),
    "pyarrow array": {"f": pa.DictionaryArray.from_arrays(pa.array([2, 3, None, 0]), pa.array(ORDER), ordered=True)},
    "pyarrow": pa.table({
        "f": pa.DictionaryArray.from_arrays(pa.array([2, 3, None, 0]), pa.array(ORDER), ordered=True)}),
}


@pytest.mark.parametrize("kind", ORDERED)
def test_categories_keep_their_order_and_lose_the_unused(kind):
    column = Table(ORDERED[kind]).column("f")
    assert column.levels.tolist() == ["c", "b", "a"]
    assert column.codes.tolist() == [1, 2, -1, 0]
    assert column.ordered


def test_dictionaries_of_several_chunks_are_unified():
    chunks = [pa.table({"f": pa.array(values).dictionary_encode()}) for values in (["q", "a"], ["b", "a"])]
    assert Table(pa.concat_tables(chunks)).column("f").labels().tolist() == ["q", "a", "b", "a"]


@pytest.mark.parametrize("table", [dict, pd.DataFrame], ids=["dict", "pandas"])
def test_float_columns_are_not_copied(table):
    data = table({"x": np.arange(3.0), "y": np.arange(3.0)})
    assert np.shares_memory(Table(data).column("x"), np.asarray(data["x"]))


def test_only_columns_asked_for_are_touched():
    table = Table({"bad": object(), "x": [1.0, 2.0]})
    assert table.column("x").tolist() == [1.0, 2.0]
    assert table.n_rows == 2


@pytest.mark.parametrize(("values", "message"), [
    (pd.date_range("2020-01-01", periods=2), "expected numbers, strings, booleans or categories, got datetime64"),
    (np.array([1, "a"], object), "expected values of one type, got objects"),
    ([{}, {}], "expected values of one type, got objects"),
    (np.array([1j, 2.0]), "expected numbers, strings, booleans or categories, got complex128"),
])
def test_columns_of_other_types_are_refused(values, message):
    with pytest.raises(InputTypeError, match=f"column 'x': {message}"):
        Table({"x": values}).column("x")


def test_wrong_tables_are_refused():
    with pytest.raises(InputTypeError, match=r"data: expected a pandas or polars DataFrame.*got list"):
        Table([1, 2])
    with pytest.raises(InputError, match="data: expected at least one column"):
        Table({})
    with pytest.raises(InputError, match=r"column 'x': expected one dimension, got shape \(2, 2\)"):
        Table({"x": np.eye(2)}).column("x")
    with pytest.raises(InputError, match=r"column 'x': expected one dimension, got .*inhomogeneous"):
        Table({"x": [[1], [1, 2]]}).column("x")
    table = Table({"x": [1.0, 2.0], "y": [1.0]})
    table.column("x")
    with pytest.raises(InputError, match="column 'y': expected 2 values as in the other columns, got 1"):
        table.column("y")


@pytest.mark.parametrize(("name", "hint"), [("Day", "did you mean 'Days'"), ("zzz", "did you mean 'Days' or 'total.x'"),
                                            ("total", "quote a name with a dot in backticks: `total.x`")])
def test_an_unknown_column_gets_a_hint(name, hint):
    with pytest.raises(InputError, match=f"no column {name!r}.*{hint}"):
        Table({"Days": [1.0], "total.x": [1.0]}).column(name)


LABELS = st.one_of(
    st.lists(st.integers(-10, 10), min_size=1, max_size=40),
    st.lists(st.integers(-2**62, 2**62), min_size=1, max_size=40),
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3), min_size=1),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1),
    st.lists(st.booleans(), min_size=1),
)


@given(LABELS, st.sampled_from([1, 3000]))
def test_factorize_by_table_sort_and_hash(labels, repeats):
    values = np.tile(np.array(labels), repeats)
    found = factorize(values)
    assert found.levels.tolist() == sorted(set(labels))
    np.testing.assert_array_equal(found.levels[found.codes], values)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("xyz"), st.booleans()), min_size=1))
def test_crossed_labels_join_those_of_the_columns(rows):
    columns = [factor(np.array(values), "f") for values in zip(*rows, strict=True)]
    crossed = cross(columns)
    assert crossed.labels().tolist() == [":".join(map(str, row)) for row in rows]
    assert [level.split(":") for level in crossed.levels] == [list(map(str, row)) for row in sorted(set(rows))]


def test_subsets_drop_levels_and_codes_translate():
    column = Categorical(np.array([0, 1, 2, -1], np.int32), np.array(["a", "b", "c"], object))
    part = column.take(np.array([2, 3]))
    assert (part.codes.tolist(), part.levels.tolist()) == ([0, -1], ["c"])
    assert column.codes_in(np.array(["c", "a"], object)).tolist() == [1, -1, 0, -1]


def test_complete_rows():
    x, f = np.array([1.0, np.nan, 3.0]), Categorical(np.array([0, 0, -1], np.int32), np.array(["a"]))
    assert complete_rows({"x": x[:1], "none": None}, 1, "raise") is None
    assert complete_rows({"x": x, "f": f}, 3, "drop").tolist() == [0]
    assert complete_rows({"X": np.column_stack([x, x])}, 3, "drop").tolist() == [0, 2]
    assert complete_rows({"x": np.array([1e308, 1e308])}, 2, "raise") is None
    with pytest.raises(InputError, match="missing values: x has 1, f has 1; na_action='drop'"):
        complete_rows({"x": x, "f": f}, 3, "raise")
    with pytest.raises(InputError, match="none of the 1 rows is complete"):
        complete_rows({"x": np.array([np.nan])}, 1, "drop")
    with pytest.raises(InputError, match="expected at least one row"):
        complete_rows({"x": np.empty(0)}, 0, "drop")
    with pytest.raises(InputError, match="na_action: expected 'drop' or 'raise', got 'omit'"):
        complete_rows({"x": x}, 3, "omit")
