"""From a mutual-reachability tree to clusters: HDBSCAN's hierarchy, and a way uphill.

The condensed hierarchy and the choice of clusters are the hdbscan package's own
code (McInnes, Healy & Astels 2017); this module is the only one that touches it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hdbscan._hdbscan_linkage import label as _single_linkage
from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters

from .neighbours import ReachabilityTree

__all__ = ["Hierarchy", "Partition", "attach_uphill", "relative_validity"]


@dataclass(frozen=True, eq=False)
class Partition:
    """Clusters of one extraction.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
        -1 for noise; 0, 1, … in order of falling size.
    strength : ndarray, shape (n,)
        HDBSCAN's membership strength: lambda of the star over the largest of
        its cluster; 0 for noise.
    persistence : ndarray, shape (n_clusters,)
        Normalised stability of each cluster, in [0, 1].
    separation : ndarray, shape (n_clusters,)
        Mutual-reachability distance at which the cluster parts from the rest.
    """

    labels: np.ndarray
    strength: np.ndarray
    persistence: np.ndarray
    separation: np.ndarray

    @property
    def n_clusters(self) -> int:
        return len(self.persistence)


class Hierarchy:
    """Single-linkage hierarchy of a reachability tree; clusters are read off it.

    Parameters
    ----------
    tree : ReachabilityTree
    """

    def __init__(self, tree: ReachabilityTree) -> None:
        self._n = len(tree)
        self._linkage = _single_linkage(np.ascontiguousarray(tree.edges))
        self._condensed: dict[int, np.ndarray] = {}

    def extract(
        self, min_cluster_size: int, method: str = "eom", epsilon: float = 0.0
    ) -> Partition:
        """Clusters of at least ``min_cluster_size`` stars.

        A hierarchy that never splits into two such clusters is *one*
        population: every star gets label 0. (HDBSCAN would call them all noise.)

        Parameters
        ----------
        min_cluster_size : int
            Fewer stars than this are no cluster.
        method : {"eom", "leaf"}
            Excess of mass, or the leaves of the hierarchy.
        epsilon : float
            Clusters that part below this distance are not split further
            (Malzer & Baum 2020).
        """
        if min_cluster_size not in self._condensed:
            self._condensed[min_cluster_size] = condense_tree(self._linkage, min_cluster_size)
        condensed = self._condensed[min_cluster_size]
        labels, strength, persistence = get_clusters(
            condensed,
            compute_stability(condensed),
            cluster_selection_method=method,
            cluster_selection_epsilon=float(epsilon),
        )
        labels = np.asarray(labels, dtype=np.int64)
        if labels.max() < 0:
            return Partition(
                labels=np.zeros(self._n, dtype=np.int64),
                strength=np.ones(self._n),
                persistence=np.ones(1),
                separation=np.full(1, np.inf),
            )
        separation = self._separations(condensed, labels)
        size = np.bincount(labels[labels >= 0], minlength=len(persistence))
        order = np.argsort(-size, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return Partition(
            labels=np.where(labels >= 0, rank[labels], -1),
            strength=np.asarray(strength, dtype=np.float64),
            persistence=np.asarray(persistence, dtype=np.float64)[order],
            separation=separation[order],
        )

    def _separations(self, condensed: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Distance at which each cluster was born: 1 / lambda of its highest own node."""
        parent, child = condensed["parent"], condensed["child"]
        root = int(parent.min())
        up = np.zeros(int(max(parent.max(), child.max())) + 1, dtype=np.int64)
        born = np.zeros(up.size)
        up[child], born[child] = parent, condensed["lambda_val"]
        n_clusters = int(labels.max()) + 1
        separation = np.full(n_clusters, np.inf)
        # The selected node is the topmost ancestor below which all stars share the label.
        sizes = np.bincount(labels[labels >= 0], minlength=n_clusters)
        node_size = np.ones(up.size)
        is_node = child >= root
        node_size[child[is_node]] = condensed["child_size"][is_node]
        node_size[root] = self._n
        for number in range(n_clusters):
            node = int(up[np.flatnonzero(labels == number)[0]])
            while node != root and node_size[node] < sizes[number]:
                node = int(up[node])
            if node != root and born[node] > 0:
                separation[number] = 1.0 / born[node]
        return separation


def attach_uphill(tree: ReachabilityTree, partition: Partition, reach: float) -> np.ndarray:
    """Labels in which the outskirts of a population belong to it.

    HDBSCAN cuts every cluster at the density at which it parts from its
    neighbours: a population whose dense middle touches another one loses its
    whole outskirts to noise. Here a noise star walks uphill, each time to its
    nearest neighbour in a denser place, until it meets a member of a
    population (as in mode seeking: Chazal et al. 2013), and joins it if its own
    core distance is at most ``reach`` times the distance at which that
    population separates. Stars in emptier places stay noise.

    Parameters
    ----------
    tree : ReachabilityTree
        The tree that was clustered.
    partition : Partition
        What came of it.
    reach : float
        0 leaves HDBSCAN's labels as they are.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    labels = partition.labels
    if reach <= 0:
        return labels.copy()
    target = np.where(labels >= 0, np.arange(len(labels)), tree.uphill)
    while True:  # Pointer jumping: the walks halve in length at each turn.
        further = target[target]
        if np.array_equal(further, target):
            break
        target = further
    reached = labels[target]
    limit = np.append(reach * partition.separation, 0.0)[reached]
    return np.where((labels >= 0) | (tree.core <= limit), reached, -1)


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


_SMALL = np.finfo(np.float64).tiny
