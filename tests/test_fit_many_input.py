"""The forms in which fit_many takes responses, and what it refuses."""

import re
from collections.abc import Iterator
from functools import partialmethod
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from many_cases import Case, assert_same_bits, counts, in_blocks, sleepstudy

import pymixed as pm
from pymixed._many import responses, running
from pymixed.errors import FormulaError, InputError, InputTypeError, InterruptedWarning, PymixedError


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two responses of sleepstudy and pieces of one."""
    monkeypatch.setattr(responses, "BLOCK_VALUES", 2 * 180)
    monkeypatch.setattr(responses, "FEWEST_COLUMNS", 1)
    monkeypatch.setattr(running, "piece_size", lambda *_: 1)


# ---- forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [
    np.asfortranarray, lambda Y: np.repeat(Y, 2, axis=1)[:, ::2], lambda Y: Y.tolist(), np.ma.masked_invalid,
    lambda Y: Y.astype(object)], ids=["columns", "strided", "lists", "masked", "objects"])
def test_arrays_of_any_layout(form):
    case = sleepstudy(7)
    case.Y[3, 2] = np.nan
    assert_same_bits(case.many(), case.many(form(case.Y)))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16, np.uint8, ">f8", np.longdouble])
def test_numbers_of_any_type(dtype):
    case = sleepstudy(4)
    Y = np.clip(case.Y - 150.0, 0.0, 255.0).astype(dtype)
    assert_same_bits(case.many(Y.astype(float)), case.many(Y))


def test_booleans_of_a_binomial_model():
    case = counts(3)
    case = Case(case.X, case.groups, case.terms, case.Y > 2.0, "binomial")
    assert_same_bits(case.many(case.Y.astype(float)), case.many())


def test_one_response():
    case = sleepstudy(1)
    fits = case.many()
    for y in (case.Y[:, 0], pd.Series(case.Y[:, 0]), pl.Series(case.Y[:, 0]), pa.array(case.Y[:, 0]),
              case.Y[:, 0].tolist(), np.ma.masked_invalid(case.Y[:, 0])):
        one = case.many(y)
        assert one.responses.tolist() == ["y0"]
        assert_same_bits(fits, one)


def test_no_responses():
    fits = sleepstudy(0).many(df="satterthwaite")
    assert len(fits) == 0
    assert fits.coefficients.shape == fits.df.shape == fits.p_adjusted().shape == (0, 2)
    assert len(fits.to_pandas()) == len(fits.contrast({"X1": 1})) == 0


def test_a_memory_mapped_file_is_read_block_by_block(tmp_path, monkeypatch):
    case = sleepstudy(11)
    for order in "CF":
        mapped = np.memmap(tmp_path / order, np.float32, "w+", shape=case.Y.shape, order=order)
        mapped[:] = case.Y
        expected = case.many(np.array(mapped, float))
        widths: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(responses, "BLOCK_VALUES", 3 * 180)
            patch.setattr(responses, "FEWEST_COLUMNS", 1)
            patch.setattr(responses._Columns, "read", partialmethod(noted_read, responses._Columns.read, widths))
            assert_same_bits(expected, case.many(mapped))
        assert widths == [3, 3, 3, 2]


def noted_read(columns: Any, read: Any, widths: list[int], first: int, stop: int) -> Any:
    """Read columns and note how many."""
    widths.append(stop - first)
    return read(columns, first, stop)


@pytest.mark.parametrize("table", [
    pd.DataFrame, lambda d: pd.DataFrame(d).convert_dtypes(), pl.DataFrame, pa.table,
    lambda d: pa.RecordBatch.from_pydict({k: pa.array(v) for k, v in d.items()}), dict],
    ids=["pandas", "nullable", "polars", "arrow", "batch", "dict"])
def test_columns_of_a_table_name_the_responses(table):
    case = sleepstudy(3)
    case.Y[4, 1] = np.nan
    columns = {"a": case.Y[:, 0].round().astype(int), "b b": case.Y[:, 1], "c": case.Y[:, 2]}
    fits = case.many(table(columns))
    assert fits.responses.tolist() == ["a", "b b", "c"]
    assert_same_bits(case.many(np.column_stack(list(columns.values()))), fits)


def test_tables_with_rows_left_out():
    case, data = sleepstudy(3), pm.datasets.load("sleepstudy")
    data["Days"] = data["Days"].where(data["Days"] != 3)
    with pytest.warns(pm.errors.MissingValuesWarning):
        fits, other = (pm.fit_many("~ Days + (1 | Subject)", data, Y) for Y in (case.Y, pd.DataFrame(case.Y)))
    assert_same_bits(fits, other)
    assert (fits.n_obs == 162).all()


@pytest.mark.parametrize("sizes", [(10,), (1,) * 10, (3, 0, 5, 2)])
def test_an_iterator_of_blocks(sizes):
    case = sleepstudy(10)
    rng = np.random.default_rng(3)
    weights, offset = rng.uniform(1.0, 2.0, case.Y.shape), rng.normal(size=case.Y.shape)
    case.Y[2, 5] = np.nan
    fits = case.many(weights=weights, offset=offset)
    other = case.many(in_blocks(case.Y, *sizes), weights=in_blocks(weights, *sizes), offset=in_blocks(offset, *sizes))
    assert_same_bits(fits, other)
    assert other.responses.tolist() == fits.responses.tolist() == [f"y{j}" for j in range(10)]


def test_an_iterator_of_tables_and_arrays_with_weights_of_the_design():
    case, weights = sleepstudy(4), np.random.default_rng(4).uniform(1.0, 2.0, 180)
    blocks = iter([pd.DataFrame(case.Y[:, :2], columns=["p", "q"]), case.Y[:, 2], pl.DataFrame({"r": case.Y[:, 3]})])
    fits = case.many(blocks, weights=weights)
    assert fits.responses.tolist() == ["p", "q", "y2", "r"]
    assert_same_bits(case.many(weights=weights), fits)


@pytest.mark.usefixtures("small_pieces")
def test_an_iterator_is_read_one_block_at_a_time():
    case = sleepstudy(12)
    alive: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, 12, 4):
            alive.append(start)
            yield case.Y[:, start:start + 4]

    with pytest.warns(InterruptedWarning):
        fits = case.many(blocks(), time_limit=1e-9)
    assert alive == [0]
    assert len(fits) == 4


def test_blocks_and_pieces_do_not_change_a_bit(request):
    case = sleepstudy(9)
    case.Y[::5, ::2] = np.nan
    fits = case.many(df="satterthwaite")
    request.getfixturevalue("small_pieces")
    assert_same_bits(fits, case.many(df="satterthwaite"))


# ---- what is refused -------------------------------------------------------------------------------------------------

CASE = sleepstudy(3)
DATA = pm.datasets.load("sleepstudy")


def many(formula: str = "~ Days + (Days | Subject)", Y: Any = CASE.Y, **options: Any) -> pm.ManyFits:
    return pm.fit_many(formula, DATA, Y, **options)


def fails(kind: type[PymixedError], message: str) -> Any:
    """The context of a call that must raise this kind, with the message in it."""
    return pytest.raises(kind, match=re.escape(message))


@pytest.mark.parametrize("left", ["log(y)", "y + z", "cbind(a, b)", "-y", "1"])
def test_an_expression_on_the_left_is_refused(left):
    with fails(FormulaError, "the response is no column of the data: expected nothing or a name for it on the left of "
                             f"'~'; transform its values themselves\n  {left} ~ Days + (1 | Subject)\n  ^"):
        many(f"{left} ~ Days + (1 | Subject)")


@pytest.mark.parametrize("name", ["y", "`a b`", "Reaction"])
def test_a_name_on_the_left_need_not_be_a_column(name):
    assert many(f"{name} ~ Days + (1 | Subject)").responses[1] == name.strip("`") + "1"


@pytest.mark.parametrize(("Y", "kind", "message"), [
    (CASE.Y[:-1], InputError, "Y: expected 180 rows, as many as the design was given, got 179"),
    (CASE.Y[None], InputError, "Y: expected shape (n, R), a response per column, got (1, 180, 3)"),
    (3.0, InputError, "Y: expected shape (n, R), a response per column, got ()"),
    (CASE.Y.astype(complex), InputTypeError, "Y: expected numbers, got complex128"),
    (CASE.Y.astype(str), InputTypeError, "Y: expected numbers, got "),
    (np.full((180, 2), "a", object), InputTypeError, "Y: expected numbers, got ndarray: could not convert"),
    ([[1.0, 2.0], [3.0]], InputTypeError, "Y: expected numbers, got list: "),
    ("abc", InputTypeError, "Y: expected numbers, got "),
    (pd.DataFrame({"a": ["x"] * 180}), InputTypeError, "Y: column 'a': expected numbers, got strings or categories"),
    (pd.DataFrame(CASE.Y, columns=list("aba")), InputError, "Y: expected columns of different names, got 'a' twice"),
    (iter([CASE.Y, CASE.Y[:9]]), InputError, "Y: expected 180 rows, as many as the design was given, got 9"),
])
def test_responses_of_the_wrong_form(Y, kind, message):
    with fails(kind, message):
        many(Y=Y)


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_weights_and_offsets_of_the_wrong_form(argument):
    ones = np.ones((180, 3))
    for values, kind, message in (
            (ones[:, :2], InputError, "expected 3 columns as in Y, got 2"),
            (ones[:9], InputError, "expected 180 rows, as many as the design was given, got 9"),
            (iter([ones]), InputError, "expected an array or table like Y, got an iterator"),
            (ones[:9, 0], InputError, "expected 180 values, one per row, got 9")):
        with fails(kind, f"{argument}: {message}"):
            many(**{argument: values})
    for values, message in ((ones, "expected an iterator of blocks like Y, or one value per row for all responses"),
                            (iter([ones]), "expected as many blocks as Y has, got 1"),
                            (iter([ones] * 3), "expected as many blocks as Y has, got more"),
                            (iter([ones, ones[:, :1]]), "expected 3 columns as in Y, got 1")):
        with fails(InputError, f"{argument}: {message}"):
            many(Y=iter([CASE.Y, CASE.Y]), **{argument: values})
    with fails(InputError, "data: no column 'nothing'"):
        many(**{argument: "nothing"})
    with fails(InputError, f"{argument}: expected the columns of Y in the same order, got other names"):
        many(Y=pd.DataFrame(CASE.Y, columns=list("abc")), **{argument: pd.DataFrame(ones, columns=list("acb"))})


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"df": "kenward-roger"}, InputError, "df: expected one of 'satterthwaite', 'residual', got 'kenward-roger'"),
    ({"df": "residual", "family": "poisson"}, InputError, "df: expected None for a family, whose tests are z tests"),
    ({"start": "hot"}, InputError, "start: expected None, 'warm' or an array, got 'hot'"),
    ({"start": [1.0]}, InputError, "start: expected 3 values (Subject.(Intercept), Subject.Days.(Intercept), "),
    ({"start": [1.0, np.nan, 1.0]}, InputError, "start: expected finite values"),
    ({"executor": 4}, InputTypeError, "executor: expected a concurrent.futures.Executor"),
    ({"time_limit": 0}, InputError, "time_limit: expected a positive number, got 0"),
    ({"family": "normal"}, InputError, "family: "),
    ({"reml": 1}, InputTypeError, "reml: expected True or False, got 1"),
    ({"n_threads": 0}, InputError, "n_threads: expected a positive integer, got 0"),
    ({"method": "fast"}, InputError, "method: expected one of 'auto'"),
    ({"zi": "~ 1"}, InputError, "zi: only counts are inflated at zero"),
    ({"se": "robust", "family": "poisson"}, InputError, "se: expected one of 'hessian', 'rx', got 'robust'"),
    ({"na_action": "omit"}, InputError, "na_action: expected 'drop' or 'raise', got 'omit'"),
])
def test_bad_options(options, kind, message):
    with fails(kind, message):
        many(**options)


def test_bad_designs():
    with fails(InputError, "X: expected shape (n, p), got (180,)"):
        pm.fit_many_arrays(CASE.Y, CASE.X[:, 0], CASE.groups)
    with fails(InputError, "grouping factor 'g': 180 levels and 180 rows"):
        pm.fit_many_arrays(CASE.Y, CASE.X, {"g": np.arange(180)})
    with fails(FormulaError, "no column 'Dais'"):
        many("~ Dais + (1 | Subject)")
    with fails(InputError, "n_agq: expected 0 or 1, got 5"):
        pm.fit_many_arrays(np.ones((40, 1)), np.ones((40, 1)), {"g": np.arange(40) % 5, "h": np.arange(40) % 8},
                           family="poisson", n_agq=5)
