"""Linear mixed models of data that come in batches: sums over the rows that merge, and the fit to them."""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

from ._fitting import Timer
from ._linear import LinearOptions, fit_linear
from ._streams.batches import ROWS, Source, read_source
from ._streams.design import streamed_design
from ._streams.encoding import StreamEncoding
from ._streams.files import read_statistics, write_statistics
from ._streams.levels import check_limits
from ._streams.planning import Model, make_recipe
from ._streams.statistics import Statistics
from ._streams.workers import batch_sums, summed, tree_of
from .design import NaAction
from .errors import InputError
from .solution import LMMSolution

if TYPE_CHECKING:
    from ._executors import AnyExecutor
    from ._model_matrix import Contrast

__all__ = ["CrossProducts"]


class CrossProducts:
    """Sums over rows that a linear mixed model is fitted to, in place of the rows.

    They are made in one pass over batches of any number of rows, take memory that does not grow with it, and add:
    those of two halves of the data, made by two machines, are those of the whole. `from_batches` makes them.

    Notes
    -----
    The likelihood of a linear mixed model depends on the data through the products of the columns of Z, X and y alone
    (Bates, Mächler, Bolker & Walker 2015, J. Stat. Softw. 67(1), section 3). What needs the rows again, residuals and
    predictions, is done batch by batch by `residuals_for` and `predict` of the fit.

    Threads may share an object: one of them at a time adds rows, or reads what was added.

    Examples
    --------
    >>> import pymixed as pm
    >>> data = pm.datasets.load("sleepstudy")
    >>> formula = "Reaction ~ Days + (Days | Subject)"
    >>> first = pm.CrossProducts.from_batches(formula, [data[:50], data[50:100]])
    >>> second = pm.CrossProducts.from_batches(formula, [data[100:]])
    >>> fit = (first + second).fit()
    >>> fit.n_obs, fit.fixef().round(2).to_dict()
    (180, {'(Intercept)': 251.41, 'Days': 10.47})
    """

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._lock = RLock()

    def __reduce__(self) -> tuple[type[CrossProducts], tuple[Statistics]]:
        return CrossProducts, (self.copy()._statistics,)

    # ---- from data ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_batches(cls, formula: str, batches: Any, *, levels: Mapping[str, Iterable[Any]] | None = None,
                     state: Any = None, weights: str | None = None, offset: str | None = None,
                     contrasts: Mapping[str, Contrast] | None = None, na_action: NaAction = "drop",
                     max_levels: int | Mapping[str, int] | None = None, batch_size: int = ROWS,
                     executor: AnyExecutor | None = None, progress: bool = False) -> CrossProducts:
        """Add up batches of rows.

        Parameters
        ----------
        formula : str
            As for `pymixed.lmer`.
        batches : iterable of tables, dataset, path, or callable
            Tables (pandas or polars DataFrames, pyarrow Tables or RecordBatches, dicts of arrays) in a list or from an
            iterator, as a reader of pyarrow or DuckDB is one; a `pyarrow.dataset.Dataset`; the path of a Parquet file,
            a folder of them or a pattern; a function that returns an iterator. Of files only the columns needed are
            read, a batch at a time.
        levels : mapping, optional
            Levels of categorical columns outside of groups, in their order. Levels of grouping factors are discovered.
        state : table, optional
            Table that the levels of these columns, and the state of transforms such as `scale(x)` or `bs(x, df=4)`, are
            taken from, in place of all rows.
        weights, offset : str, optional
            Names of columns: prior weights, and a known part of the linear predictor.
        contrasts, na_action
            As for `pymixed.lmer`; a batch may lose all its rows.
        max_levels : int or mapping, optional
            The most levels that a grouping factor (by name) may come to have.
        batch_size : int
            Most rows of a batch that is read from files.
        executor : Executor or str, optional
            A `concurrent.futures.Executor`, as dask's `client.get_executor()` is one, or the name of a joblib backend:
            its workers add up batches, or files that they read themselves, and the result does not depend on their
            number or speed.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        CrossProducts

        Raises
        ------
        FormulaError
            The formula cannot be understood, or has a function of a row's value and others' that keeps no state.
        InputError, InputTypeError
            What no such model can be fitted to, with the number of the batch; levels or a state that are neither
            declared nor to be found because the batches can be read only once.
        MemoryLimitError
            A grouping factor has more levels than `max_levels` or than fit into memory.
        WorkerError
            A worker of the executor was lost.

        Notes
        -----
        Where the formula has categorical columns outside of groups, or transforms that depend on all values, the
        batches are read twice: first these columns, for what they must have in common. Declared `levels` and a
        `state` save it, and are needed for batches that can be read once.

        Examples
        --------
        >>> import pymixed as pm
        >>> data = pm.datasets.load("cake")
        >>> pieces = (data[start:start + 90] for start in range(0, 270, 90))
        >>> cp = pm.CrossProducts.from_batches("angle ~ recipe + (1 | recipe:replicate)", pieces,
        ...                                    levels={"recipe": ["A", "B", "C"]})
        >>> cp
        <CrossProducts angle ~ recipe + (1 | recipe:replicate): 270 rows, recipe:replicate: 45>
        """
        model = Model(formula, levels or {}, state, weights, offset, dict(contrasts or {}), na_action)
        source, empty = _no_rows_yet(model, read_source(batches, batch_size), max_levels)
        return cls(summed(empty, source, executor, progress))

    @classmethod
    def from_dask(cls, formula: str, data: Any, *, levels: Mapping[str, Iterable[Any]] | None = None,
                  state: Any = None, weights: str | None = None, offset: str | None = None,
                  contrasts: Mapping[str, Contrast] | None = None, na_action: NaAction = "drop",
                  max_levels: int | Mapping[str, int] | None = None) -> CrossProducts:
        """Add up the partitions of a dask collection where they are: only sums travel.

        Parameters
        ----------
        data : dask DataFrame, Bag of tables, or sequence of delayed tables
            A partition is a batch.
        formula, levels, state, weights, offset, contrasts, na_action, max_levels
            As for `from_batches`.

        Returns
        -------
        CrossProducts
            Computed on dask's current scheduler, a distributed client's if there is one.

        Raises
        ------
        InputError, InputTypeError, FormulaError, MemoryLimitError, WorkerError
            As `from_batches`; dask is not there.
        """
        from ._streams.dask import Partitions, dask_sum, partitions

        tables = partitions(data)
        model = Model(formula, levels or {}, state, weights, offset, dict(contrasts or {}), na_action)
        _, empty = _no_rows_yet(model, Partitions(tables), max_levels)
        return cls(dask_sum(empty, tables))

    def empty(self) -> CrossProducts:
        """The same model with no rows yet: what a worker adds its own to.

        Examples
        --------
        >>> import pymixed as pm
        >>> data = pm.datasets.load("sleepstudy")
        >>> cp = pm.CrossProducts.from_batches("Reaction ~ Days + (1 | Subject)", [data[:90]])
        >>> rest = cp.empty()
        >>> rest.update(data[90:])
        >>> (cp + rest).n_obs
        180
        """
        return CrossProducts(self._statistics.empty())

    def copy(self) -> CrossProducts:
        """An object of its own."""
        with self._lock:
            return CrossProducts(self._statistics.copy())

    def update(self, batch: Any) -> None:
        """Add rows, in place; on an error nothing has changed.

        Parameters
        ----------
        batch : table
            With the columns of the batches before, of the same kinds.

        Raises
        ------
        InputError, InputTypeError, MemoryLimitError
            As `from_batches`.
        """
        with self._lock:
            batch_sums(self._statistics, batch, "batch")

    def __add__(self, other: Any) -> CrossProducts:
        if isinstance(other, int) and other == 0:
            return self.copy()
        if not isinstance(other, CrossProducts):
            return NotImplemented
        self._check_same(other, "a + b")
        with _held(self, other):
            return CrossProducts(tree_of([self._statistics, other._statistics]))

    __radd__ = __add__  # sum() begins with 0

    def __iadd__(self, other: Any) -> CrossProducts:
        if not isinstance(other, CrossProducts):
            return NotImplemented
        self._check_same(other, "a += b")
        with _held(self, other):
            self._statistics.merge(other._statistics)
        return self

    def __sub__(self, other: Any) -> CrossProducts:
        if not isinstance(other, CrossProducts):
            return NotImplemented
        self._check_same(other, "a - b")
        with _held(self, other):
            rest = self._statistics.copy()
            rest.subtract(other._statistics)
            return CrossProducts(rest)

    def _check_same(self, other: CrossProducts, what: str) -> None:
        if difference := self._statistics.encoding.recipe.difference(other._statistics.encoding.recipe):
            raise InputError(f"{what}: expected cross-products of one model, got {difference}")

    # ---- the model ---------------------------------------------------------------------------------------------------

    def fit(self, reml: bool = True, *, tol: float = 1e-8, max_iter: int = 200, compute_satterthwaite: bool = True,
            optimizer: str = "newton", n_threads: int | None = None, method: str = "auto") -> LMMSolution:
        """Fit the linear mixed model; rows can be added afterwards, and the model be fitted again.

        Parameters
        ----------
        reml, tol, max_iter, compute_satterthwaite, optimizer, n_threads, method
            As for `pymixed.lmer`.

        Returns
        -------
        LMMSolution
            With everything that does not need the rows; `residuals_for` and `predict` take some.

        Raises
        ------
        InputError
            No rows, a response that does not vary, a grouping factor with one level.
        MemoryLimitError
            The factor would not fit into memory.

        Warns
        -----
        ConvergenceWarning, SingularFitWarning, RankDeficiencyWarning, MissingValuesWarning
        """
        options = LinearOptions(tol, max_iter, optimizer, n_threads, method, reml, compute_satterthwaite)
        timer = Timer()
        with timer.section("setup"), self._lock:
            design = streamed_design(self._statistics)
        return fit_linear(design, timer, options)

    # ---- what it holds -----------------------------------------------------------------------------------------------

    @property
    def formula(self) -> str:
        """The model's formula."""
        return self._statistics.encoding.recipe.formula

    @property
    def n_obs(self) -> int:
        """Rows that were added up."""
        return self._statistics.n

    @property
    def n_dropped(self) -> int:
        """Rows left out because a value was missing."""
        return self._statistics.n_dropped

    @property
    def n_groups(self) -> dict[str, int]:
        """Levels with rows, of each grouping factor."""
        with self._lock:
            counts = self._statistics.counts
        return {name: int((of_factor > 0).sum())
                for name, of_factor in zip(self._statistics.encoding.factor_names, counts, strict=True)}

    @property
    def nbytes(self) -> int:
        """Memory that the sums and the labels of levels take, about."""
        with self._lock:
            return int(self._statistics.n_bytes)

    def __repr__(self) -> str:
        groups = "".join(f", {group}: {n_levels}" for group, n_levels in self.n_groups.items())
        dropped = f", {self.n_dropped} dropped" if self.n_dropped else ""
        return f"<CrossProducts {self.formula}: {self.n_obs} rows{dropped}{groups}>"

    # ---- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one file that `load` reads; nothing in it can execute.

        Raises
        ------
        InputError
            A formula with something else than columns, operators and known functions of them, contrasts that are
            neither names nor matrices, a transform with a state that is no numbers.
        """
        with self._lock:
            write_statistics(self._statistics, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CrossProducts:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is none of these, is damaged, or was written by a newer version.
        OSError
            It cannot be read at all.
        """
        return cls(read_statistics(path))


@contextmanager
def _held(*products: CrossProducts) -> Iterator[None]:
    """No other thread changes or reads them; the locks are taken in one order, whoever asks."""
    with ExitStack() as stack:
        for each in sorted(products, key=id):
            stack.enter_context(each._lock)
        yield


def _no_rows_yet(model: Model, source: Source, max_levels: Any) -> tuple[Source, Statistics]:
    """The batches, still to be summed, and sums over none of them in the encoding that is common to all."""
    first, source = source.first(model.columns(source.names))
    encoding = StreamEncoding(make_recipe(model, first, source.batches if source.rereadable else None))
    return source, Statistics(encoding, check_limits(max_levels, encoding.encoder.factors))
