"""Which of hundreds of millions of source ids have come before, in bounded memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

__all__ = ["SeenIds"]

_IN_MEMORY = 8_000_000  # ids: 64 MB; longer runs live in a file that the system may page out
_MERGE = 1_000_000  # ids merged at a time


class SeenIds:
    """A growing set of int64 ids, kept as a few sorted runs.

    Runs of similar length are merged, so n ids make at most log2(n) runs and
    each id is moved log2(n) times. Long runs are memory-mapped files without a
    name: they vanish with the process, however it ends. Gaia's files come in the
    order of ids, so that most runs are passed over by their first and last id.

    Parameters
    ----------
    folder : path
        Where long runs are kept (1.8 GB for 220 million ids).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(run.size for run in self._runs)

    def add(self, ids: np.ndarray) -> np.ndarray:
        """Take in ``ids``, shape (n,), and say which came for the first time.

        Returns
        -------
        ndarray of bool, shape (n,)
            False for an id that was taken in before, or stands earlier in ``ids``.
        """
        unique, first = np.unique(ids, return_index=True)
        new = np.ones(unique.size, dtype=bool)
        for run in self._runs:
            begin, end = np.searchsorted(unique, [run[0], run[-1] + 1]) if run.size else (0, 0)
            if begin < end:
                some = unique[begin:end]
                new[begin:end] &= run[np.searchsorted(run, some)] != some
        answer = np.zeros(np.size(ids), dtype=bool)
        answer[first[new]] = True
        self._append(unique[new])
        return answer

    def _append(self, run: np.ndarray) -> None:
        if not run.size:
            return
        self._runs.append(run)
        while len(self._runs) > 1 and self._runs[-2].size < 2 * self._runs[-1].size:
            second, first = self._runs.pop(), self._runs.pop()
            self._runs.append(self._merged(first, second))

    def _merged(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        n = a.size + b.size
        if n <= _IN_MEMORY:
            return np.sort(np.concatenate([a, b]), kind="stable")
        with tempfile.TemporaryFile(dir=self._folder) as file:
            merged = np.memmap(file, dtype=np.int64, mode="w+", shape=(n,))
        i = j = 0
        while i < a.size:
            stop = min(i + _MERGE, a.size)
            # All of b that belongs before the end of this piece of a.
            until = b.size if stop == a.size else int(np.searchsorted(b, a[stop - 1]))
            piece = np.concatenate([a[i:stop], b[j:until]])
            merged[i + j : stop + until] = np.sort(piece, kind="stable")
            i, j = stop, until
        return merged
