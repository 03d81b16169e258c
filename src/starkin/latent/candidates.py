"""Nearest points in the metric's Euclidean space: exact for tens of thousands, an index above."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..spectra.errors import StarkinError

if TYPE_CHECKING:
    import faiss

__all__ = ["EXACT_LIMIT", "CandidateIndex"]

#: Up to so many points every distance is computed.
EXACT_LIMIT = 100_000
#: Queries by which the index is tuned, and their nearest neighbours that it must find.
_PROBES, _PROBE_K = 200, 50
#: Training points for each cell of the index; faiss wants at least 39.
_PER_CELL = 64


@dataclass(frozen=True, eq=False)
class CandidateIndex:
    """Points in a Euclidean space, searched by faiss.

    Attributes
    ----------
    index : faiss.Index
    rows : ndarray of int64, shape (n_points,)
        Row of each point in the array it was built from: points that are not finite are
        left out.
    recall : float
        Part of the 50 nearest points that the index finds, measured when it was built; 1 for
        an exact one.
    workers : int
        Threads of a search.
    """

    index: faiss.Index
    rows: np.ndarray
    recall: float
    workers: int

    @classmethod
    def build(
        cls,
        points: np.ndarray,
        *,
        exact: bool | None = None,
        required_recall: float = 0.995,
        seed: int = 0,
        workers: int = 1,
    ) -> CandidateIndex:
        """Index points of shape (n, d).

        Parameters
        ----------
        points : ndarray, shape (n, d)
            Rows that are not finite are never found.
        exact : bool, optional
            Compute all distances; by default up to :data:`EXACT_LIMIT` points. Above, points
            are kept in cells (faiss' IVF), of which as many are searched as the required
            recall takes on a random sample of the points.
        required_recall : float
            Of the 50 nearest.
        seed : int
            Of the cells and the sample.
        workers : int
            Threads.

        Raises
        ------
        StarkinError
            If no point is finite.
        """
        import faiss  # A fifth of a second that only a search should cost.

        rows = np.flatnonzero(np.isfinite(points).all(axis=1))
        if rows.size == 0:
            raise StarkinError("No star has finite latents; there is nothing to search.")
        data = np.ascontiguousarray(points[rows], dtype=np.float32)
        exact = len(data) <= EXACT_LIMIT if exact is None else exact
        with _threads(workers):
            flat = faiss.IndexFlatL2(data.shape[1])
            flat.add(data)
            if exact:
                return cls(flat, rows, 1.0, workers)
            index = _cells(data, seed)
            recall = _tune(index, flat, data, required_recall, seed)
        return cls(index, rows, recall, workers)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Rows of the ``k`` points nearest to each query, nearest first, -1 where there is none.

        Parameters
        ----------
        queries : ndarray, shape (m, d)
            A query that is not finite has no neighbours.
        k : int
            At most the number of points is returned.
        """
        out = np.full((len(queries), min(k, len(self.rows))), -1, dtype=np.int64)
        good = np.flatnonzero(np.isfinite(queries).all(axis=1))
        if good.size:
            data = np.ascontiguousarray(queries[good], dtype=np.float32)
            with _threads(self.workers):
                found = self.index.search(data, out.shape[1])[1]
            out[good] = np.where(found < 0, -1, self.rows[found])
        return out


def _cells(data: np.ndarray, seed: int) -> faiss.IndexIVFFlat:
    import faiss

    n, d = data.shape
    n_cells = max(1, int(2 * np.sqrt(n)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, n_cells)
    index.cp.seed = seed + 1  # faiss takes 0 for "no seed"
    index.cp.niter = 10
    index.cp.max_points_per_centroid = _PER_CELL
    sample = np.random.default_rng(seed).permutation(n)[: _PER_CELL * n_cells]
    index.train(data[np.sort(sample)])
    index.add(data)
    return index


def _tune(
    index: faiss.IndexIVFFlat, flat: faiss.IndexFlatL2, data: np.ndarray, required: float, seed: int
) -> float:
    """Search as many cells as the recall takes; the recall reached."""
    rng = np.random.default_rng(seed + 1)
    probes = data[rng.choice(len(data), size=min(_PROBES, len(data)), replace=False)]
    k = min(_PROBE_K, len(data))
    truth = flat.search(probes, k)[1]
    index.nprobe = min(8, index.nlist)
    while True:
        found = index.search(probes, k)[1]
        hits = [np.isin(t, f).sum() for t, f in zip(truth, found, strict=True)]
        recall = float(np.sum(hits) / truth.size)
        if recall >= required or index.nprobe >= index.nlist:
            return recall
        index.nprobe = min(2 * index.nprobe, index.nlist)


@contextmanager
def _threads(workers: int) -> Iterator[None]:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(workers)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
