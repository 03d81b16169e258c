"""From a mutual-reachability tree to clusters: HDBSCAN's hierarchy, and a way uphill.

The condensed hierarchy and the choice of clusters are the hdbscan package's own
code (McInnes, Healy & Astels 2017); this module is the only one that touches it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hdbscan._hdbscan_linkage import label as _single_linkage
from hdbscan._hdbscan_tree import (
    compute_stability,
    condense_tree,
    get_clusters,
    simplify_hierarchy,
)

from .neighbours import ReachabilityTree

__all__ = ["Hierarchy", "Partition", "attach_uphill", "relative_validity"]

_SMALL = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Partition:
    """Clusters of one extraction.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
        -1 for noise; 0, 1, … in order of falling size.
    strength : ndarray, shape (n,)
        HDBSCAN's membership strength: density level of the star over the
        highest of its cluster; 0 for noise.
    persistence : ndarray, shape (n_clusters,)
        Normalised stability of each cluster, in [0, 1].
    """

    labels: np.ndarray
    strength: np.ndarray
    persistence: np.ndarray

    @property
    def n_clusters(self) -> int:
        return len(self.persistence)

    def largest_first(self, labels: np.ndarray) -> tuple[Partition, np.ndarray]:
        """This partition and ``labels``, both renumbered by falling size in ``labels``."""
        size = np.bincount(labels[labels >= 0], minlength=self.n_clusters)
        order = np.argsort(-size, kind="stable")
        rank = np.append(np.argsort(order), -1)  # The last entry serves label -1.
        renumbered = Partition(rank[self.labels], self.strength, self.persistence[order])
        return renumbered, rank[labels]


class Hierarchy:
    """Single-linkage hierarchy of a reachability tree; clusters are read off it.

    Parameters
    ----------
    tree : ReachabilityTree
    """

    def __init__(self, tree: ReachabilityTree) -> None:
        self._n = len(tree)
        linkage = _single_linkage(np.ascontiguousarray(tree.edges))
        self._farthest = 1.001 * max(float(linkage[-1, 2]), _SMALL)
        logarithmic = linkage.copy()
        logarithmic[:, 2] = self._log_distance(linkage[:, 2])
        self._linkage = {"eom": linkage, "leaf": logarithmic}
        self._condensed: dict[tuple[str, int], np.ndarray] = {}

    def _log_distance(self, distance: np.ndarray | float) -> np.ndarray:
        """1 / ln(farthest / distance), whose inverse is the log of a density level.

        A monotone change of the distance: the hierarchy stays what it is, but
        HDBSCAN's lambda = 1 / distance now rises by the same amount for every
        doubling of the density. The floor is for coincident stars.
        """
        return 1.0 / np.log(self._farthest / np.maximum(distance, 1e-6 * self._farthest))

    def extract(
        self,
        min_cluster_size: int,
        method: str = "leaf",
        *,
        prominence: float = 0.0,
        epsilon: float = 0.0,
    ) -> Partition:
        """Clusters of at least ``min_cluster_size`` stars.

        A hierarchy that never splits into two such clusters is *one*
        population: every star gets label 0. (HDBSCAN would call them all noise.)

        Parameters
        ----------
        min_cluster_size : int
            Fewer stars than this are no cluster.
        method : {"leaf", "eom"}
            ``leaf``: every peak of the density that rises far enough above the
            pass to a higher one. ``eom``: HDBSCAN's excess of mass.
        prominence : float
            How far, for ``leaf``: ln(distance at the pass / distance at the
            peak), mutual-reachability distances; the density contrast is the
            d-th power of that ratio. Peaks below it are merged into the one
            across their pass (hdbscan's ``cluster_selection_persistence``, in
            log density, which makes it free of scale).
        epsilon : float
            Clusters that part below this distance are not split further
            (Malzer & Baum 2020).
        """
        key = (method, min_cluster_size)
        if key not in self._condensed:
            self._condensed[key] = condense_tree(self._linkage[method], min_cluster_size)
        condensed = self._condensed[key]
        if condensed["child_size"].max() < 2:  # Only stars fall off: nothing splits.
            return self._undivided()
        if method == "leaf":
            if prominence > 0:
                condensed = simplify_hierarchy(condensed.copy(), prominence)
            epsilon = float(self._log_distance(epsilon)) if epsilon > 0 else 0.0
        labels, strength, persistence = get_clusters(
            condensed,
            compute_stability(condensed),
            cluster_selection_method=method,
            cluster_selection_epsilon=epsilon,
        )
        labels = np.asarray(labels, dtype=np.int64)
        if labels.max() < 0:
            return self._undivided()
        found = Partition(
            labels=labels,
            strength=np.asarray(strength, dtype=np.float64),
            persistence=np.asarray(persistence, dtype=np.float64),
        )
        return found.largest_first(labels)[0]

    def _undivided(self) -> Partition:
        return Partition(np.zeros(self._n, dtype=np.int64), np.ones(self._n), np.ones(1))


def attach_uphill(tree: ReachabilityTree, labels: np.ndarray, reach: float) -> np.ndarray:
    """Labels in which the outskirts of a population belong to it.

    HDBSCAN cuts every cluster at the density at which it parts from its
    neighbours: a population that touches another one loses its whole outskirts
    to noise. Here a noise star walks uphill, each time to its nearest neighbour
    in a denser place, until it meets a member of a population (mode seeking:
    Koontz, Narendra & Fukunaga 1976; Chazal et al. 2013). With D the median core
    distance of all who come to that population, it joins if its own core
    distance, and every step of the way, is at most ``reach`` D: stars in
    emptier places, and far groups too small to be a population, stay noise.

    Parameters
    ----------
    tree : ReachabilityTree
        The tree that was clustered.
    labels : ndarray of int, shape (n,)
        HDBSCAN's; -1 for noise.
    reach : float
        0 leaves the labels as they are.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    if reach <= 0:
        return labels.copy()
    member = labels >= 0
    reached = labels[_summits(np.where(member, np.arange(len(labels)), tree.uphill))]
    typical = np.zeros(int(labels.max()) + 2)  # The last entry serves label -1.
    for number in range(len(typical) - 1):
        typical[number] = np.median(tree.core[reached == number])
    limit = reach * typical[reached]
    stays = member | (tree.step > limit)
    reached = labels[_summits(np.where(stays, np.arange(len(labels)), tree.uphill))]
    return np.where(member | (tree.core <= limit), reached, -1)


def _summits(target: np.ndarray) -> np.ndarray:
    """Where walks end that go from star i to star target[i]; shape (n,)."""
    while True:  # Pointer jumping: the walks halve in length at each turn.
        further = target[target]
        if np.array_equal(further, target):
            return target
        target = further


def relative_validity(tree: ReachabilityTree, labels: np.ndarray) -> float:
    """Density-based validity of a clustering, from the edges of its spanning tree.

    V = sum_c (n_c / n) (S_c - D_c) / max(S_c, D_c), with D_c the longest edge
    inside cluster c (sparseness) and S_c the shortest edge that leads out of it
    to another cluster (separation): Moulavi et al. 2014, eqs. 5–6, with the
    tree of the whole sample in place of one tree a cluster (as hdbscan's
    ``relative_validity_``). In [-1, 1]; noise counts as 0. One cluster alone
    has no separation and gets 0.
    """
    a, b = tree.edges[:, 0].astype(np.int64), tree.edges[:, 1].astype(np.int64)
    length = tree.edges[:, 2]
    n_clusters = int(labels.max()) + 1
    if n_clusters < 2:
        return 0.0
    la, lb = labels[a], labels[b]
    sparse = np.zeros(n_clusters)
    inside = (la == lb) & (la >= 0)
    np.maximum.at(sparse, la[inside], length[inside])
    apart = np.full(n_clusters, np.inf)
    between = (la != lb) & (la >= 0) & (lb >= 0)
    np.minimum.at(apart, la[between], length[between])
    np.minimum.at(apart, lb[between], length[between])
    # A cluster ringed by noise has no direct edge out: it is at least this far away.
    apart = np.where(np.isfinite(apart), apart, length.max())
    weight = np.bincount(labels[labels >= 0], minlength=n_clusters) / len(labels)
    return float(np.sum(weight * (apart - sparse) / np.maximum(np.maximum(apart, sparse), _SMALL)))
