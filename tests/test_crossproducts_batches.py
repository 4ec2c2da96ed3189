"""The forms of batches, what must be declared for them, and batches that are refused and change nothing."""

import functools
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from streams import cut, generated
from test_crossproducts import FRAME, TIGHT, assert_equal

import pymixed as pm
from pymixed._streams import statistics
from pymixed._streams.batches import read_source
from pymixed.errors import FormulaError, InputError, InputTypeError, MemoryLimitError

FORMULA = "y ~ scale(x) + f + (x | g) + (1 | h)"
PIECES = cut(FRAME, 6)
TABLE = pa.Table.from_pandas(FRAME, preserve_index=False)


@functools.cache
def whole() -> Any:
    return pm.lmer(FORMULA, FRAME, tol=TIGHT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows")
    for i, piece in enumerate(PIECES):
        pq.write_table(pa.Table.from_pandas(piece, preserve_index=False), path / f"part{i}.parquet", row_group_size=40)
    return path


def fit(batches: Any, **arguments: Any) -> Any:
    return pm.CrossProducts.from_batches(FORMULA, batches, **arguments).fit(tol=TIGHT)


# ---- forms -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("batches", [
    PIECES, tuple(PIECES), [pl.from_pandas(piece) for piece in PIECES],
    [{name: piece[name].to_numpy() for name in piece} for piece in PIECES], FRAME, TABLE,
    [*TABLE.to_batches(max_chunksize=150)], ds.dataset(TABLE), lambda: generated(PIECES),
], ids=["list", "tuple", "polars", "dicts", "one table", "arrow table", "record batches", "dataset", "function"])
def test_batches_that_can_be_read_twice(batches: Any) -> None:
    assert_equal(fit(batches), whole())


@pytest.mark.parametrize("batches", [
    lambda: generated(PIECES), lambda: TABLE.to_reader(max_chunksize=100),
    lambda: duckdb.from_arrow(TABLE).to_arrow_reader(100), lambda: duckdb.from_arrow(TABLE),
    lambda: pa.RecordBatchReader.from_batches(TABLE.schema, iter(TABLE.to_batches(max_chunksize=100))),
], ids=["generator", "table reader", "duckdb reader", "duckdb relation", "reader"])
def test_batches_that_can_be_read_once(batches: Callable[[], Any]) -> None:
    assert_equal(fit(batches(), state=FRAME), whole())
    plain = pm.CrossProducts.from_batches("y ~ x + f + (1 | g)", batches(), levels={"f": ["high", "low", "mid"]})
    assert_equal(plain.fit(tol=TIGHT), pm.lmer("y ~ x + f + (1 | g)", FRAME, tol=TIGHT))


def test_parquet_files_in_pieces(folder: Path) -> None:
    for batches in (folder, str(folder), folder / "*.parquet", f"{folder}/part[0-9].parquet"):
        assert_equal(fit(batches, batch_size=64), whole())
    one = pm.CrossProducts.from_batches("y ~ x + (1 | g)", folder / "part0.parquet")
    assert one.n_obs == len(PIECES[0])


def test_only_the_columns_needed_are_read_and_little_at_a_time(folder: Path) -> None:
    dataset = ds.dataset(folder)
    read: list[Any] = []

    class Watched(ds.Dataset):
        def __init__(self) -> None:
            pass

        schema = dataset.schema

        def to_batches(self, **options: Any) -> Iterator[Any]:
            read.append(options)
            return dataset.to_batches(**options)

    pm.CrossProducts.from_batches("y ~ scale(x) + (1 | h)", Watched(), batch_size=64, weights="w")
    assert [sorted(options["columns"]) for options in read] == [["h", "w", "x", "y"]] * 3  # first batch, state, sums
    assert all(options["batch_size"] == 64 and options["batch_readahead"] == 1 for options in read)


def test_progress_is_shown_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    pm.CrossProducts.from_batches("y ~ x + (1 | g)", PIECES)
    assert capsys.readouterr() == ("", "")
    pm.CrossProducts.from_batches("y ~ x + (1 | g)", PIECES, progress=True)
    assert "6 batches" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_number_of_batches() -> None:
    def peak(n_batches: int) -> int:
        def batches() -> Iterator[Any]:
            for seed in range(n_batches):
                rng = np.random.default_rng(seed)
                yield {"y": rng.normal(size=20_000), "x": rng.normal(size=20_000), "g": rng.integers(0, 500, 20_000)}

        tracemalloc.start()
        pm.CrossProducts.from_batches("y ~ x + (x | g)", batches())
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)  # what is imported
    assert peak(30) < 1.2 * peak(3)


def test_empty_batches_are_skipped() -> None:
    cp = pm.CrossProducts.from_batches(FORMULA, [FRAME[:0], PIECES[0], FRAME[:0], *PIECES[1:]])
    assert_equal(cp.fit(tol=TIGHT), whole())
    cp.update(FRAME[:0])
    assert cp.n_obs == 600


@pytest.mark.parametrize(("batches", "message"), [
    ([], "expected at least one row"), ([FRAME[:0]], "expected at least one row"), (3, "expected tables"),
    ([1, 2], "batch 1: .*expected a pandas"), (lambda: 3, "a function that returns an iterator"),
    ("nowhere/*.parquet", "no file 'nowhere"), ("nowhere", "no file 'nowhere'")])
def test_what_are_no_batches(batches: Any, message: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=message):
        fit(batches)
    with pytest.raises(InputError, match="batch_size: expected a whole number"):
        read_source(PIECES, 0)


# ---- what must be known beforehand -----------------------------------------------------------------------------------

def test_what_a_single_reading_needs_is_said() -> None:
    with pytest.raises(InputError, match=r"levels of 'f': levels=\{'f': \[...\]\}; all values of 'x' for scale\(x\): "
                                         "state=table.*read twice"):
        fit(generated(PIECES))
    with pytest.raises(InputError, match=r"all values of 'x' for scale\(x\)"):
        fit(generated(PIECES), levels={"f": ["high", "low", "mid"]})


def test_categories_of_the_first_batch_are_declared_by_it() -> None:
    frame = FRAME.assign(f=pd.Categorical(FRAME["f"], ["mid", "high", "low"]))
    pieces = [frame[frame["f"] == level] for level in ("high", "mid", "low")]
    expected = pm.lmer("y ~ f + (1 | g)", frame, tol=TIGHT)
    for batches in (generated(pieces), pieces):
        assert_equal(pm.CrossProducts.from_batches("y ~ f + (1 | g)", batches).fit(tol=TIGHT), expected)


def test_a_state_from_a_sample() -> None:
    sample = FRAME[::3]
    cp = pm.CrossProducts.from_batches(FORMULA, generated(PIECES), state=sample[["x", "f"]])
    centred = FRAME.assign(x2=(FRAME["x"] - sample["x"].mean()) / sample["x"].std())
    expected = pm.lmer("y ~ x2 + f + (x | g) + (1 | h)", centred, tol=TIGHT)
    np.testing.assert_allclose(cp.fit(tol=TIGHT).coefficients, expected.coefficients, rtol=1e-9)


@pytest.mark.parametrize(("arguments", "error", "message"), [
    ({"levels": {"x": [1.0]}}, InputError, r"'x' holds numbers; C\(\) makes it categorical"),
    ({"levels": {"nothing": [1]}}, InputError, "'nothing' is not in it"),
    ({"levels": {"f": "low"}}, InputTypeError, "expected a sequence of labels, got 'low'"),
    ({"levels": {"f": ["low", "low"]}}, InputError, "expected labels that differ"),
    ({"levels": {"f": []}}, InputError, "at least one"),
    ({"levels": ["f"]}, InputTypeError, "levels: expected a mapping"),
    ({"levels": {"f": ["low", "mid"]}}, InputError, "batch 1: column 'f': level 'high' is not among those of the fit"),
    ({"state": FRAME[["x"]]}, InputError, "state: no column 'f'"),
    ({"weights": np.ones(600)}, InputTypeError, "weights: expected the name of a column"),
    ({"weights": "nothing"}, InputError, "no column 'nothing'"),
    ({"offset": "f"}, InputTypeError, "offset: expected numbers in column 'f'"),
    ({"contrasts": {"f": "strange"}}, InputError, "expected one of"),
    ({"contrasts": {"x": "sum"}}, InputError, "expected a categorical column, 'x' holds numbers"),
    ({"na_action": "keep"}, InputError, "na_action: expected 'drop' or 'raise'"),
    ({"max_levels": 0}, InputError, "max_levels: expected a whole number"),
    ({"max_levels": {"z": 3}}, InputError, r"max_levels: expected names of grouping factors \(g, h\)"),
])
def test_wrong_arguments(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit(PIECES, **arguments)


@pytest.mark.parametrize(("formula", "message"), [
    ("y ~ I(x - np.mean(x)) + (1 | g)", "depends on the other rows of its batch"),
    ("y ~ lag(x) + (1 | g)", "depends on the other rows of its batch"),
    ("y ~ x + (I(x / np.max(x)) | g)", "depends on the other rows of its batch"),
    ("I(y - np.mean(y)) ~ x + (1 | g)", "depends on the other rows of its batch"),
    ("y ~ unknown + (1 | g)", "no column 'unknown'"), ("y ~ x + (1 | unknown)", "no column 'unknown'"),
    ("y ~ strange(x) + (1 | g)", "unknown function 'strange'"), ("y ~ x", "random"),
    ("y ~ C(x + w) + (1 | g)", "expected one column that is made categorical"),
    ("y ~ x + + (1 |", "unbalanced"),
])
def test_formulas_that_are_refused(formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        pm.CrossProducts.from_batches(formula, PIECES)


# ---- batches that are refused ----------------------------------------------------------------------------------------

BAD = {
    "lacks a column": (PIECES[2].drop(columns="x"), InputError, "no column 'x'"),
    "lacks a group": (PIECES[2].drop(columns="g"), InputError, "no column 'g'"),
    "strings for numbers": (PIECES[2].assign(x="a"), InputTypeError, "column 'x': expected numbers as before, got str"),
    "numbers for strings": (PIECES[2].assign(f=1), InputTypeError, "column 'f': expected strings as before"),
    "labels of another kind": (PIECES[2].assign(g="a"), InputTypeError,
                               "column 'g': expected labels that are numbers as before, got strings: 'a'"),
    "an unknown level": (PIECES[2].assign(f="new"), InputError, "column 'f': level 'new'"),
    "an infinite value": (PIECES[2].assign(x=np.inf), InputError, "column 'x': expected finite values, got inf"),
    "a negative weight": (PIECES[2].assign(w=-1.0), InputError, "weights: expected positive values, got -1.0"),
    "ragged columns": ({**{name: PIECES[2][name] for name in PIECES[2]}, "x": [1.0]}, InputError, "expected 100"),
    "no table": (3, InputTypeError, "expected a pandas"),
    "objects": (PIECES[2].assign(h=[object()] * len(PIECES[2])), InputTypeError, "column 'h': expected values of one"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_batch_that_is_refused_is_named_and_changes_nothing(name: str) -> None:
    bad, error, message = BAD[name]
    with pytest.raises(error, match=f"batch 3: .*{message}"):
        pm.CrossProducts.from_batches("y ~ x + f + (1 | g) + (1 | h)", generated([*PIECES[:2], bad, *PIECES[3:]]),
                                      levels={"f": ["high", "low", "mid"]}, weights="w")
    cp = pm.CrossProducts.from_batches("y ~ x + f + (1 | g) + (1 | h)", PIECES[:2], weights="w",
                                       levels={"f": ["high", "low", "mid"]})
    before = cp.fit(tol=TIGHT)
    state, size = cp._statistics.products.state(), cp.nbytes  # type: ignore[union-attr]
    with pytest.raises(error, match=message):
        cp.update(bad)
    for key, values in cp._statistics.products.state().items():  # type: ignore[union-attr]
        np.testing.assert_array_equal(values, state[key])
    assert (cp.n_obs, cp.n_dropped, cp.nbytes, cp.n_groups) == (200, 0, size, before.n_groups)
    cp.update(PIECES[2])
    assert cp.n_obs == 300


def test_a_column_without_values_is_of_any_kind() -> None:
    nothing = [None] * 50
    frame = FRAME[550:].assign(x=pd.Series(nothing, dtype=object, index=FRAME.index[550:]), f=np.nan)
    strings = frame.assign(x=pd.Series(nothing, dtype="str", index=frame.index))
    cp = pm.CrossProducts.from_batches("y ~ x + f + (1 | g)", [FRAME[:550], frame, strings])
    assert (cp.n_obs, cp.n_dropped) == (550, 100)


def test_errors_of_a_generator_pass_through() -> None:
    def failing() -> Iterator[Any]:
        yield PIECES[0]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", failing())


def test_a_corrupt_file_is_an_error_of_input(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "part3.parquet").read_bytes())
    content[50:-2000] = bytes(len(content) - 2050)
    (tmp_path / "part3.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"batches: .*could not be read"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", tmp_path)
    (tmp_path / "part0.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="could not be read"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", tmp_path)


# ---- levels that never end -------------------------------------------------------------------------------------------

def test_a_limit_on_levels() -> None:
    frame = FRAME.assign(g=np.arange(600))
    with pytest.raises(MemoryLimitError, match=r"batch 2: .*'g': expected at most 150 .*got 200; the last is 199"):
        pm.CrossProducts.from_batches("y ~ x + (1 | g)", cut(frame, 6), max_levels=150)
    with pytest.raises(MemoryLimitError, match=r"factor 'g:h': expected at most 150.*the last is '199:[p-u]'"):
        pm.CrossProducts.from_batches("y ~ x + (1 | h/g)", [frame[:100], frame[100:200]], max_levels={"g:h": 150})
    cp = pm.CrossProducts.from_batches("y ~ x + (1 | g)", cut(frame, 6)[:1], max_levels=150)
    with pytest.raises(MemoryLimitError):
        cp.update(frame[100:])
    assert (cp.n_obs, cp.n_groups) == (100, {"g": 100})
    other = pm.CrossProducts.from_batches("y ~ x + (1 | g)", [frame[100:]])
    with pytest.raises(MemoryLimitError):
        cp += other
    assert (cp.n_obs, cp.n_groups) == (100, {"g": 100})


def test_levels_that_exceed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = FRAME.assign(g=[f"time {i}" for i in range(600)])
    cp = pm.CrossProducts.from_batches("y ~ x + (1 | g)", [frame[:100]])
    monkeypatch.setattr(statistics, "available_memory", lambda: 1e4)
    with pytest.raises(MemoryLimitError, match=r"factor 'g': 600 levels need about .* the last level is 'time 599'"):
        cp.update(frame[100:])
    assert (cp.n_obs, cp.n_groups) == (100, {"g": 100})
