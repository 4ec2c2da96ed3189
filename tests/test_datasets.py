"""The shipped data sets: the reference data's values, R's column kinds and level orders, in every kind of table."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pymixed import datasets
from pymixed.errors import InputError

REFERENCE = Path(__file__).parent / "reference"
R_NAMES = {"dyestuff": "Dyestuff", "dyestuff2": "Dyestuff2", "penicillin": "Penicillin", "pastes": "Pastes",
           "verbagg": "VerbAgg", "insteval": "InstEval", "oats": "Oats", "orthodont": "Orthodont"}  # fmt: skip


def reference_table(name: str) -> pd.DataFrame:
    stem = REFERENCE / "data" / R_NAMES.get(name, name)
    path = next(path for path in (stem.with_suffix(".csv"), stem.with_suffix(".csv.gz")) if path.exists())
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def reference_factors() -> dict[tuple[str, str], dict]:
    """(data set, column) -> what the reference cases say of that factor.

    Only those of at most 12 levels: the script that made the reference files re-sorts the larger ones as text.
    """
    ours = {R_NAMES.get(name, name): name for name in datasets.names()}
    found = {}
    for path in sorted((REFERENCE / "cases").glob("*.json")):
        case = json.loads(path.read_text())
        name = ours.get(Path(case["data"]).name.split(".")[0])
        for column, kind in case["columns"].items():
            factor = kind["type"] == "factor" and len(kind["levels"] or ()) in range(1, 13)
            if factor and name and column in datasets.describe(name).columns:
                found[name, column] = kind
    return found


FACTORS = reference_factors()


def test_names_are_the_promised_ones():
    assert datasets.names() == (
        "cake", "cbpp", "dyestuff", "dyestuff2", "grouseticks", "insteval", "oats", "orthodont", "pastes",
        "penicillin", "sleepstudy", "verbagg",
    )  # fmt: skip


@pytest.mark.parametrize("name", datasets.names())
def test_values_are_those_of_the_reference_data(name):
    ours, reference = datasets.load(name), reference_table(name)
    assert list(ours.columns) == list(datasets.describe(name).columns)
    assert len(ours) == len(reference) == datasets.describe(name).n_rows
    for column in ours:
        if isinstance(ours[column].dtype, pd.CategoricalDtype):
            assert (ours[column].astype(str) == reference[column]).all()
        else:
            np.testing.assert_array_equal(ours[column], reference[column].astype(float))


@pytest.mark.parametrize(("name", "column"), sorted(FACTORS))
def test_factors_are_those_of_r(name, column):
    ours, reference = datasets.load(name)[column], FACTORS[name, column]
    assert ours.cat.ordered == reference["ordered"]
    assert list(ours.cat.categories) == reference["levels"]


def test_ordered_factors():
    ordered = {
        (name, column)
        for name in datasets.names()
        for column, series in datasets.load(name).items()
        if isinstance(series.dtype, pd.CategoricalDtype) and series.cat.ordered
    }
    assert ordered == {
        ("cake", "temperature"), ("verbagg", "resp"), ("insteval", "studage"), ("insteval", "lectage"),
        ("oats", "Block"), ("orthodont", "Subject"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "column", "levels"),
    [
        ("insteval", "s", [str(k) for k in range(1, 2973)]),
        ("insteval", "dept", ["15", "5", "10", "12", "6", "7", "4", "8", "9", "14", "1", "3", "11", "2"]),
        ("cake", "replicate", [str(k) for k in range(1, 16)]),
        ("verbagg", "item", list(dict.fromkeys(reference_table("verbagg")["item"]))),
    ],
)
def test_larger_factors_have_the_order_of_r(name, column, levels):
    assert list(datasets.load(name)[column].cat.categories) == levels


def test_children_stand_by_mean_distance_within_their_sex():
    children = datasets.load("orthodont").groupby(["Sex", "Subject"], observed=True)["distance"].mean()
    assert children["Male"].is_monotonic_increasing
    assert children["Female"].is_monotonic_increasing


def test_kinds_of_tables_hold_the_same():
    expected = datasets.load("cake")
    as_polars, as_arrow, as_dict = (datasets.load("cake", as_=kind) for kind in ("polars", "pyarrow", "dict"))
    assert isinstance(as_polars, pl.DataFrame)
    assert isinstance(as_arrow, pa.Table)
    pd.testing.assert_frame_equal(as_arrow.to_pandas(), expected, check_categorical=True, check_dtype=False)
    assert as_polars.columns == list(as_dict) == list(expected)
    assert as_polars.schema["temperature"] == pl.Enum(["175", "185", "195", "205", "215", "225"])
    for column in expected:
        assert as_polars[column].to_list() == list(as_dict[column]) == list(expected[column])


def test_a_table_is_fresh():
    first = datasets.load("dyestuff")
    first.loc[0, "Yield"] = -1
    assert datasets.load("dyestuff").loc[0, "Yield"] == 1545


@pytest.mark.parametrize("name", datasets.names())
def test_description_names_source_and_columns(name):
    text = str(datasets.describe(name))
    assert text.startswith(f"{name}: ")
    assert "Source: " in text
    assert all(column in text for column in datasets.describe(name).columns)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"expected one of cake, .*sleepstudy.*; got 'sleep'"):
        datasets.load("sleep")


def test_unknown_kind_of_table():
    with pytest.raises(InputError, match="as_: expected one of pandas, polars, pyarrow, dict; got 'arrow'"):
        datasets.load("cake", as_="arrow")
