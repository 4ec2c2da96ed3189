"""Results in one file: an archive of the core with a header of JSON, in which nothing can execute."""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _core
from .errors import InputError

T = TypeVar("T")
# texts, lists of texts and arrays of numbers
Values: TypeAlias = Mapping[str, Any]


def write_archive(path: str | os.PathLike[str], version: int, header: Mapping[str, Any],
                  values: Mapping[str, str | list[str] | NDArray[Any]]) -> None:
    """Write a header and values; a file of that name stays whole until the new one is."""
    content = _core.pack({**values, "format": np.array([version]), "header": json.dumps(dict(header))})
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            partial.write_bytes(content)
        except FileNotFoundError as error:
            raise FileNotFoundError(error.errno, error.strerror, os.fspath(path)) from None
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_archive(path: str | os.PathLike[str], version: int, make: Callable[[Mapping[str, Any], Values], T], what: str,
                 writer: str, told: tuple[type[InputError], ...] = ()) -> T:
    """What `make` makes of the header and values that `write_archive` wrote.

    Raises
    ------
    InputError
        The file is no archive of `what` by `writer`, is damaged, or has another version; `make` failed, with one of
        `told` for the reason that it gives.
    OSError
        It cannot be read at all.
    """
    content = Path(path).read_bytes()
    expected = f"path: expected {what} that {writer} wrote, whole and unchanged, got {os.fspath(path)!r}"
    try:
        values = _core.unpack(content)
        written = int(values.pop("format")[0])
        if written == version:
            return make(json.loads(values.pop("header")), values)
    except told as error:
        raise InputError(f"path: {os.fspath(path)!r}: {error}") from None
    except _core.ArchiveError as error:
        raise InputError(f"{expected}: {error}") from None
    except Exception:  # noqa: BLE001  an archive of something else may lack or hold anything
        raise InputError(expected) from None
    raise InputError(f"path: expected {what} in format {version}, got {written!r}; a newer version of pymixed wrote "
                     "them")
