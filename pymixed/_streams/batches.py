"""The forms in which batches are given, as iterators of tables."""
from __future__ import annotations

import glob
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from .._adapters import is_a
from .._frames import Table
from ..errors import FormulaError, InputError, InputTypeError, PymixedError

ROWS = 1 << 18  # of a batch of files


class Source(ABC):
    """Batches of a table's rows.

    Attributes
    ----------
    rereadable : bool
        Whether they can be read more than once.
    is_batch : bool
        Whether it is known to be one of the batches that the user gave.
    names : tuple of str or None
        Columns, where they are known before anything is read.
    """

    rereadable: bool
    is_batch = True
    names: tuple[str, ...] | None = None

    @abstractmethod
    def batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        """The batches, of files only with the columns named."""

    def pieces(self, columns: Sequence[str] | None) -> Iterator[Source]:
        """Parts of it that workers read, picklable where the batches are."""
        return (Listed([batch]) for batch in self.batches(columns))

    def first(self, columns: Sequence[str] | None) -> tuple[Any, Source]:
        """The first batch that has rows, and all batches, it among them.

        Raises
        ------
        InputError
            There is none.
        """
        seen: list[Any] = []
        remaining = self.batches(columns)
        for number, batch in enumerate(remaining, 1):
            seen.append(batch)
            with naming(f"batch {number}"):
                has_rows = n_rows(batch) > 0
            if has_rows:
                return batch, self if self.rereadable else Once(chain(seen, remaining))
        raise InputError("batches: expected at least one row, got none")


class Listed(Source):
    """Batches in memory."""

    rereadable = True

    def __init__(self, tables: Sequence[Any]) -> None:
        self._tables = tables

    def batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        """The tables."""
        return iter(self._tables)


class Once(Source):
    """Batches of an iterator."""

    rereadable = False

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches

    def batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        """What is left of them."""
        return self._batches


class Called(Source):
    """Batches of a function, or of an object, that gives an iterator as often as it is asked."""

    rereadable = True

    def __init__(self, make: Callable[[], Iterable[Any]]) -> None:
        self._make = make

    def batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        """A fresh iterator."""
        made = self._make()
        if not isinstance(made, Iterable):
            raise InputTypeError("batches: expected a function that returns an iterator of tables, got one that "
                                 f"returns {type(made).__name__}")
        return iter(made)


class Files(Source):
    """A dataset of pyarrow: files of which a batch is a piece of bounded size.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    batch_size : int
    whole_files : bool
        Whether it is Parquet files as they are: no filter, no columns that stand in folders' names.
    """

    rereadable = True
    is_batch = False

    def __init__(self, dataset: Any, batch_size: int, whole_files: bool = False) -> None:
        self._dataset, self._batch_size, self._whole_files = dataset, batch_size, whole_files
        self.names = tuple(dataset.schema.names)

    def batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        """Record batches."""
        import pyarrow as pa

        wanted = None if columns is None else [name for name in columns if name in self._dataset.schema.names]
        number = 0
        try:
            for batch in self._record_batches(wanted):
                number += 1
                yield batch
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"batches: what follows batch {number} could not be read: {error}") from error

    def _record_batches(self, columns: list[str] | None) -> Iterator[Any]:
        """Of whole Parquet files one after the other: a dataset's scanner reads ahead of whoever adds up."""
        import pyarrow.parquet as pq

        names = set(self._dataset.schema.names if columns is None else columns)
        fragments = list(self._dataset.get_fragments()) if self._whole_files else []
        if not fragments or any(not names <= set(fragment.physical_schema.names) for fragment in fragments):
            yield from self._dataset.to_batches(columns=columns, batch_size=self._batch_size, batch_readahead=1,
                                                fragment_readahead=1)
            return
        for fragment in fragments:
            with fragment.open() as file:
                yield from pq.ParquetFile(file, pre_buffer=False).iter_batches(self._batch_size, columns=columns)

    def pieces(self, columns: Sequence[str] | None) -> Iterator[Source]:
        """Files, which their readers open themselves."""
        import pyarrow.dataset as ds

        for fragment in self._dataset.get_fragments():
            dataset = ds.FileSystemDataset([fragment], self._dataset.schema, fragment.format,
                                           getattr(fragment, "filesystem", None))
            yield Files(dataset, self._batch_size, self._whole_files)


def read_source(batches: Any, batch_size: int) -> Source:
    """The batches in any form that `CrossProducts.from_batches` takes.

    Raises
    ------
    InputError, InputTypeError
        They have none of these forms, or name no file.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size: expected a whole number of rows, 1 or more, got {batch_size!r}")
    if isinstance(batches, (str, os.PathLike)):
        return Files(_dataset(batches), batch_size, whole_files=True)
    if is_a(batches, "pyarrow.dataset", "Dataset"):
        return Files(batches, batch_size)
    if is_table(batches):
        return Listed([batches])
    if isinstance(batches, Sequence):
        return Listed(batches)
    if isinstance(batches, Iterator):
        return Once(batches)
    if hasattr(batches, "__arrow_c_stream__"):
        import pyarrow as pa

        return Once(iter(pa.RecordBatchReader.from_stream(batches)))
    if isinstance(batches, Iterable):
        return Called(lambda: batches)
    if callable(batches):
        return Called(batches)
    raise InputTypeError("batches: expected tables (a list, an iterator, a function that returns one), a pyarrow "
                         f"dataset or the path of Parquet files, got {type(batches).__name__}")


def is_table(value: Any) -> bool:
    """Whether a value is one table in memory."""
    return (isinstance(value, Mapping) or is_a(value, "pandas", "DataFrame") or is_a(value, "polars", "DataFrame")
            or is_a(value, "pyarrow", "Table", "RecordBatch"))


def n_rows(batch: Any) -> int:
    """Rows of a batch, which must be a table."""
    return Table(batch, "batch").n_rows


@contextmanager
def naming(batch: str) -> Iterator[None]:
    """Put the name of a batch in front of what is wrong with it."""
    try:
        yield
    except FormulaError as error:
        raise FormulaError(f"{batch}: {error.reason}", error.formula, error.position) from error
    except PymixedError as error:
        raise type(error)(f"{batch}: {str(error).removeprefix('batch: ')}") from error


def _dataset(path: Any) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.dataset as ds
    except ImportError:
        raise InputError("batches: reading Parquet files needs the package pyarrow") from None
    text = os.fspath(path)
    files: Any = text
    if glob.has_magic(text) and not Path(text).exists():
        files = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  a Path has no pattern with a root
    if not files or (isinstance(files, str) and not Path(files).exists()):
        raise InputError(f"batches: no file {text!r}")
    try:
        return ds.dataset(files, format="parquet")
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"batches: {text!r} could not be read: {error}") from error
