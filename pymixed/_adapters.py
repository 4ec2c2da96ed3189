"""One adapter per table library: a column becomes a NumPy array or a Categorical.

pandas, polars and pyarrow are imported only where the data are theirs.
"""
from __future__ import annotations

import sys
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._categorical import Categorical
from .errors import InputError, InputTypeError


def plain_array(values: Any, what: str) -> NDArray[Any] | Categorical:
    """Any library's column as a one-dimensional array of its own type, no objects, or as Categorical."""
    array: NDArray[Any] | Categorical
    if isinstance(values, np.ndarray):
        array = values
    elif is_a(values, "pandas", "Series", "Index", "api.extensions.ExtensionArray"):
        array = _from_pandas(values)
    elif is_a(values, "polars", "Series"):
        array = _from_polars(values)
    elif is_a(values, "pyarrow", "ChunkedArray", "Array"):
        array = _from_arrow(values)
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:  # a ragged list
            raise InputError(f"{what}: expected one dimension, got {error}") from None
    if isinstance(array, Categorical):
        return array
    if array.ndim != 1:
        raise InputError(f"{what}: expected one dimension, got shape {array.shape}")
    return _from_objects(array, what) if array.dtype.kind == "O" else array


def _from_objects(values: NDArray[Any], what: str) -> NDArray[Any] | Categorical:
    from pandas import factorize, to_numeric
    from pandas.api.types import infer_dtype
    kind = infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal", "empty"):
        return np.asarray(to_numeric(values), np.float64)
    if kind in ("string", "boolean"):
        codes, levels = factorize(values, sort=True)
        return Categorical(codes.astype(np.int32), levels)
    raise InputTypeError(f"{what}: expected values of one type, got objects ({kind})")


def _from_pandas(values: Any) -> NDArray[Any] | Categorical:
    import pandas as pd
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        data = pd.Categorical(values)
        levels = data.categories.to_numpy()
        return Categorical.from_codes(data.codes, levels, bool(data.ordered), levels)
    if isinstance(dtype, np.dtype):
        return np.asarray(values)
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_string_dtype(dtype):
        codes, levels = pd.factorize(values, sort=True)
        return Categorical(codes.astype(np.int32), np.asarray(levels))
    if pd.api.types.is_integer_dtype(dtype) and not values.isna().any():
        return np.asarray(values.to_numpy(np.int64))
    if pd.api.types.is_numeric_dtype(dtype):
        return np.asarray(values.to_numpy(np.float64, na_value=np.nan))
    return np.asarray(values)


def _from_polars(values: Any) -> NDArray[Any] | Categorical:
    import polars as pl
    if values.dtype in (pl.String, pl.Categorical):
        strings = values.cast(pl.String)
        values = strings.cast(pl.Enum(strings.unique().drop_nulls().sort()))
        declares = False
    else:
        declares = True
    if values.dtype == pl.Enum:
        codes = values.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
        levels = values.dtype.categories.to_numpy()
        return Categorical.from_codes(codes, levels, declares, levels if declares else None)
    return np.asarray(values.to_numpy())


def _from_arrow(values: Any) -> NDArray[Any] | Categorical:
    import pyarrow as pa
    import pyarrow.compute as pc
    if pa.types.is_dictionary(values.type):
        chunks = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
        data = chunks.unify_dictionaries().combine_chunks()
        codes, ordered, declared = data.indices, data.type.ordered, np.asarray(data.dictionary)
        levels = declared
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        chunks = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
        data = chunks.dictionary_encode().unify_dictionaries().combine_chunks()
        order = pc.sort_indices(data.dictionary)
        ranks = np.empty(len(order), np.int64)
        ranks[np.asarray(order)] = np.arange(len(order))
        codes, levels, ordered, declared = data.indices, np.asarray(data.dictionary.take(order)), False, None
        codes = pa.array(ranks).take(codes)
    else:
        return np.asarray(values)
    codes = np.asarray(pc.fill_null(codes.cast(pa.int64()), -1))
    return Categorical.from_codes(codes, levels, ordered, declared)


def arrow_table(data: Any, argument: str) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise InputTypeError(f"{argument}: reading a {type(data).__name__} needs the package pyarrow") from None
    return pa.table(data)


def is_a(value: Any, module: str, *names: str) -> bool:
    """Whether a value is an instance of a library's class; the library is not imported for the answer."""
    loaded: Any = sys.modules.get(module)
    return loaded is not None and any(isinstance(value, reduce(getattr, name.split("."), loaded)) for name in names)
