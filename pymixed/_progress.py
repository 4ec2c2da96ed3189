"""Long work in pieces, so that Ctrl-C and a progress bar have a chance in between."""
from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from .errors import InterruptedWarning

T = TypeVar("T")

PIECE_SECONDS = 0.2


def in_pieces(work: Callable[[int, int], T], n: int, progress: bool, largest: int | None = None) -> list[T]:
    """Results of work(first, count) on consecutive pieces of 0, ..., n - 1, sized by the time that they take.

    What is done when Ctrl-C comes is returned, with a warning at its caller's caller's caller. `largest` bounds a
    piece.
    """
    done: list[T] = []
    count, size = 0, 1
    with _progress_bar(n, progress) as bar:
        try:
            while count < n:
                size = min(size, n - count, largest or n)
                start = time.perf_counter()
                done.append(work(count, size))
                count += size
                if bar is not None:
                    bar.update(size)
                seconds = time.perf_counter() - start
                size = max(1, min(int(size * PIECE_SECONDS / max(seconds, 1e-6)), 20 * size))
        except KeyboardInterrupt:
            if not done:
                raise
            warnings.warn(InterruptedWarning(f"interrupted after {count} of {n}; what was done is returned"),
                          stacklevel=4)
    return done


def _progress_bar(n: int, shown: bool) -> AbstractContextManager[Any]:
    """Tqdm's bar, or None."""
    if not shown:
        return nullcontext()
    from tqdm.auto import tqdm

    bar: AbstractContextManager[Any] = tqdm(total=n, unit="fit")
    return bar
