"""Threads of ours over pieces of the stars, with BLAS at one thread in each.

Products of one star's or one chunk's size gain nothing from BLAS' own threads and on a
busy machine lose by them tenfold, while the work between the products stays on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from .errors import StarkinError

__all__ = ["each", "worker_count"]

T = TypeVar("T")


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def worker_count(threads: int | None) -> int:
    """``threads``, or without it as many as BLAS has (``OMP_NUM_THREADS`` sets that too)."""
    if threads is None:
        found = (library["num_threads"] for library in _controller().info())
        return max(found, default=1)
    if threads < 1:
        raise StarkinError(f"threads must be at least 1, got {threads}.")
    return threads


def each(work: Callable[[T], object], pieces: Iterable[T], threads: int) -> None:
    """Call ``work`` on every piece; the first error is raised."""
    pieces = list(pieces)
    threads = min(threads, len(pieces))
    with _controller().limit(limits=1, user_api="blas"):
        if threads <= 1:
            for piece in pieces:
                work(piece)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, pieces):
                pass
