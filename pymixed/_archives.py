"""Results in one file: a NumPy archive with a header of JSON, in which nothing can execute."""
from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]


def write_archive(path: str | os.PathLike[str], version: int, header: Mapping[str, Any], arrays: Arrays,
                  compressed: bool = False) -> None:
    """Write a header and arrays without objects in them."""
    content: dict[str, Any] = {"header": np.array(json.dumps({"format": version, **header})), **arrays}
    with Path(path).open("wb") as file:  # a file: savez would add its own ending to a name
        (np.savez_compressed if compressed else np.savez)(file, **content)


def read_archive(path: str | os.PathLike[str], version: int, make: Callable[[Mapping[str, Any], Arrays], T], what: str,
                 writer: str, passes: tuple[type[Exception], ...] = ()) -> T:
    """What `make` makes of the header and arrays that `write_archive` wrote.

    Raises
    ------
    InputError
        The file is no archive of `what` by `writer`, is damaged, or has another version; `make` failed, unless with one
        of `passes`.
    OSError
        It cannot be read at all.
    """
    content = io.BytesIO(Path(path).read_bytes())
    try:
        with np.load(content, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            written = header["format"]
            if written == version:
                return make(header, {name: archive[name] for name in archive.files if name != "header"})
    except passes:
        raise
    except Exception:  # noqa: BLE001  what spoilt bytes raise in zipfile, zlib, numpy and json is no fixed set
        raise InputError(f"path: expected {what} that {writer} wrote, whole and unchanged, got "
                         f"{os.fspath(path)!r}") from None
    raise InputError(f"path: expected {what} in format {version}, got {written!r}; a newer version of pymixed wrote "
                     "them")
