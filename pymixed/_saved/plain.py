"""Values as JSON and labels as texts, so marked that they come back as what they were."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

_KINDS: dict[str, Callable[[str], Any]] = {"i": int, "u": int, "f": float, "b": "True".__eq__, "M": int}


def to_json(value: Any, what: str) -> Any:
    """Numbers, texts, arrays, lists and mappings with any keys as JSON.

    Raises
    ------
    InputError
        Another value; `what` names it.
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return to_json(value.item(), what)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": value.tolist(), "dtype": value.dtype.str, "shape": value.shape}
    if isinstance(value, np.ndarray):
        return {"labels": labels_to_texts(value, what), "kind": label_kind(value)}
    if isinstance(value, (list, tuple)):
        return {"list" if isinstance(value, list) else "tuple": [to_json(item, what) for item in value]}
    if isinstance(value, Mapping):
        return {"map": [[to_json(key, what), to_json(item, what)] for key, item in value.items()]}
    raise InputError(f"{what}: expected numbers, names and arrays of them, got {type(value).__name__}, which no file "
                     "can hold")


def from_json(entry: Any) -> Any:
    """What `to_json` was given; mappings as dicts."""
    if not isinstance(entry, dict):
        return entry
    if "array" in entry:
        return np.array(entry["array"], np.dtype(entry["dtype"])).reshape(entry["shape"])
    if "labels" in entry:
        return labels_from_texts(entry["labels"], entry["kind"])
    if "map" in entry:
        return {from_json(key): from_json(item) for key, item in entry["map"]}
    return [from_json(item) for item in entry["list"]] if "list" in entry else tuple(map(from_json, entry["tuple"]))


def label_kind(labels: NDArray[Any]) -> str:
    """Name of the labels' type: ``"text"``, or NumPy's for numbers, booleans and dates."""
    return "text" if labels.dtype.kind in "OU" else labels.dtype.str


def labels_to_texts(labels: NDArray[Any], what: str) -> list[str]:
    """Labels of a factor as texts.

    Raises
    ------
    InputError
        Labels that are neither strings nor numbers, booleans or dates; `what` names them.
    """
    if labels.dtype.kind in _KINDS:
        values = labels.view(np.int64) if labels.dtype.kind == "M" else labels
        return [repr(value) for value in values.tolist()]
    texts: list[str] = labels.tolist()
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{what}: expected strings, numbers, booleans or dates, got labels of another kind, which no "
                         "file can hold")
    return texts


def labels_from_texts(texts: Sequence[str], kind: str) -> NDArray[Any]:
    """The labels again, given their `label_kind`."""
    if kind == "text":
        return np.array(texts, object)
    dtype = np.dtype(kind)
    values = [_KINDS[dtype.kind](text) for text in texts]
    return np.array(values, np.int64).view(dtype) if dtype.kind == "M" else np.array(values, dtype)
