"""Long work in pieces, so that Ctrl-C and a progress bar have a chance in between."""
from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ..errors import InterruptedWarning

T = TypeVar("T")

PIECE_SECONDS = 0.2


def in_pieces(work: Callable[[int, int], T], n: int, progress: bool, largest: int | None = None) -> list[T]:
    """Results of work(first, count) on consecutive pieces of 0, ..., n - 1, sized by the time that they take.

    What is done when Ctrl-C comes is returned, with a warning at its caller's caller's caller. `largest` bounds a
    piece.
    """
    done: list[T] = []
    count, size = 0, 1
    with progress_bar(n, "fit", progress) as advance:
        try:
            while count < n:
                size = min(size, n - count, largest or n)
                start = time.perf_counter()
                done.append(work(count, size))
                count += size
                advance(size)
                size = piece_size(size, time.perf_counter() - start)
        except KeyboardInterrupt:
            if not done:
                raise
            warnings.warn(InterruptedWarning(f"interrupted after {count} of {n}; what was done is returned"),
                          stacklevel=4)
    return done


def piece_size(size: int, seconds: float) -> int:
    """Size of the next piece after one that took so long."""
    return max(1, min(int(size * PIECE_SECONDS / max(seconds, 1e-6)), 20 * size))


@contextmanager
def progress_bar(n: int | None, unit: str, shown: bool) -> Iterator[Callable[[int], Any]]:
    """The function that moves tqdm's bar on, or one that does nothing; `n` is None where the total is unknown."""
    if not shown:
        yield lambda _: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=n, unit=unit) as bar:
        yield bar.update
