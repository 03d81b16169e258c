"""One exact neighbour graph that serves every density estimate made of a sample.

HDBSCAN spends nearly all its time in finding neighbours. A sweep over settings
and a hundred resamples ask for the same neighbours again and again: those of a
random half of the sample are the ones in the full sample's lists that belong
to that half. So the lists are found once, a little longer than needed, and the
mutual-reachability tree of any subset and any ``min_samples`` is read off them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree

from ..spectra.errors import StarkinError

__all__ = ["NeighbourGraph", "ReachabilityTree"]

# scipy drops edges of weight 0 from a sparse graph; coincident stars keep this one.
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class ReachabilityTree:
    """Minimum spanning tree in the mutual-reachability distance.

    Attributes
    ----------
    edges : ndarray, shape (n - 1, 3)
        Star, star, distance; ascending in distance.
    core : ndarray, shape (n,)
        Core distance: distance to the ``min_samples``-th neighbour, the star
        itself not counted (hdbscan's convention).
    uphill : ndarray of int, shape (n,)
        The nearest star in a denser place (smaller core distance); the star in
        the densest place of all is its own.
    step : ndarray, shape (n,)
        Euclidean distance to it.
    """

    edges: np.ndarray
    core: np.ndarray
    uphill: np.ndarray
    step: np.ndarray

    def __len__(self) -> int:
        return len(self.core)


@dataclass(frozen=True, eq=False)
class NeighbourGraph:
    """The ``k`` nearest neighbours of every star, exact, nearest first.

    Attributes
    ----------
    points : ndarray, shape (n, d)
    distances : ndarray, shape (n, k)
        Euclidean; the star itself is left out.
    indices : ndarray of int32, shape (n, k)
    """

    points: np.ndarray
    distances: np.ndarray
    indices: np.ndarray

    @classmethod
    def build(cls, points: np.ndarray, k: int, *, workers: int = 1) -> NeighbourGraph:
        """Find the lists.

        Parameters
        ----------
        points : ndarray, shape (n, d)
            Finite.
        k : int
            Neighbours a star; fewer where the sample is smaller.
        workers : int
            Threads.
        """
        points = np.ascontiguousarray(points, dtype=np.float64)
        n = len(points)
        if n < 3:
            raise StarkinError(f"Clustering needs at least 3 stars; there are {n}.")
        if not np.isfinite(points).all():
            raise StarkinError("Latents to be clustered must be finite; leave the others out.")
        k = min(k, n - 1)
        distances, indices = cKDTree(points).query(points, k=k + 1, workers=workers)
        own = indices == np.arange(n)[:, None]
        # Among coincident stars a star may not be the first of its own list, or absent.
        own[~own.any(axis=1), -1] = True
        keep = ~own
        return cls(
            points=points,
            distances=distances[keep].reshape(n, k),
            indices=indices[keep].reshape(n, k).astype(np.int32),
        )

    def __len__(self) -> int:
        return len(self.points)

    @property
    def k(self) -> int:
        return int(self.distances.shape[1])

    def tree(self, min_samples: int, rows: np.ndarray | None = None) -> ReachabilityTree:
        """The mutual-reachability spanning tree of the stars ``rows`` (all by default).

        Distance of stars a, b: max(core_a, core_b, |a - b|) (Campello, Moulavi &
        Sander 2013, definition 3). Built from the neighbour lists; parts of the
        sample that no list connects are joined by their nearest pairs. It
        differs from the exact tree only where two groups are linked by a pair
        of stars that are not in each other's lists.

        Parameters
        ----------
        min_samples : int
            The neighbour whose distance is a star's core distance.
        rows : ndarray of int, shape (m,), optional
            Without repeats. Indices in the result count within ``rows``.
        """
        points, distances, indices, valid = self._restricted(rows)
        m = len(points)
        min_samples = min(min_samples, m - 1)
        core = self._core(points, distances, valid, min_samples)
        neighbour_core = np.where(valid, core[indices], np.inf)
        reach = np.maximum(np.maximum(distances, core[:, None]), neighbour_core)
        n_valid = valid.sum(axis=1)
        graph = csr_matrix(
            (
                np.maximum(reach[valid], _TINY),
                indices[valid],
                np.concatenate([[0], np.cumsum(n_valid)]),
            ),
            shape=(m, m),
        )
        forest = minimum_spanning_tree(graph).tocoo()
        edges = np.column_stack([forest.row, forest.col, forest.data]).astype(np.float64)
        if len(edges) < m - 1:
            edges = np.concatenate([edges, _bridges(points, core, graph)])
        edges = edges[np.lexsort((edges[:, 1], edges[:, 0], edges[:, 2]))]
        uphill, step = _uphill(points, core, indices, distances, valid)
        return ReachabilityTree(edges=edges, core=core, uphill=uphill, step=step)

    def _restricted(
        self, rows: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        if rows is None:
            return (
                self.points,
                self.distances,
                self.indices,
                np.ones(self.indices.shape, dtype=bool),
            )
        new = np.full(len(self), -1, dtype=np.int32)
        new[rows] = np.arange(len(rows), dtype=np.int32)
        indices = new[self.indices[rows]]
        valid = indices >= 0
        return self.points[rows], self.distances[rows], np.where(valid, indices, 0), valid

    @staticmethod
    def _core(
        points: np.ndarray, distances: np.ndarray, valid: np.ndarray, min_samples: int
    ) -> np.ndarray:
        count = np.cumsum(valid, axis=1)
        enough = count[:, -1] >= min_samples
        column = (count >= min_samples).argmax(axis=1)
        core = distances[np.arange(len(points)), column]
        if not enough.all():
            # A few stars kept too few of their listed neighbours: ask for theirs anew.
            short = np.flatnonzero(~enough)
            core = core.copy()
            core[short] = cKDTree(points).query(points[short], k=[min_samples + 1])[0][:, 0]
        return core


def _bridges(points: np.ndarray, core: np.ndarray, graph: csr_matrix) -> np.ndarray:
    """Edges that join the parts of a disconnected graph, shape (n_parts - 1, 3).

    Boruvka's algorithm on whole parts: each part but the largest is linked to
    its nearest star outside, until one part is left.
    """
    n_parts, part = connected_components(graph, directed=False)
    found: list[tuple[int, int, float]] = []
    while n_parts > 1:
        links = []
        for number in np.argsort(np.bincount(part))[:-1]:
            inside, outside = np.flatnonzero(part == number), np.flatnonzero(part != number)
            distance, nearest = cKDTree(points[outside]).query(points[inside])
            other = outside[nearest]
            reach = np.maximum(np.maximum(distance, core[inside]), core[other])
            best = int(reach.argmin())
            links.append((int(inside[best]), int(other[best]), float(reach[best])))
        links.sort(key=lambda link: link[2])
        for a, b, reach_ab in links:
            if part[a] != part[b]:
                part[part == part[b]] = part[a]
                found.append((a, b, max(reach_ab, _TINY)))
        part = np.unique(part, return_inverse=True)[1]
        n_parts = int(part.max()) + 1
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _uphill(
    points: np.ndarray,
    core: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
    valid: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest star in a denser place, and its distance; see :class:`ReachabilityTree`."""
    n = len(points)
    # Ties in core distance are broken by index, so that a walk cannot go in circles.
    by_density = np.lexsort((np.arange(n), core))
    rank = np.empty(n, dtype=np.int64)
    rank[by_density] = np.arange(n)
    denser = valid & (rank[indices] < rank[:, None])
    column = denser.argmax(axis=1)
    uphill = indices[np.arange(n), column].astype(np.int64)
    step = distances[np.arange(n), column].copy()
    for summit in np.flatnonzero(~denser.any(axis=1)):  # Higher than all in their lists: few.
        higher = by_density[: rank[summit]]
        uphill[summit], step[summit] = summit, 0.0
        if higher.size:
            squared = ((points[higher] - points[summit]) ** 2).sum(axis=1)
            nearest = int(squared.argmin())
            uphill[summit], step[summit] = higher[nearest], np.sqrt(squared[nearest])
    return uphill, step
