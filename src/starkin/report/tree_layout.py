"""Where the branches of a tree without root go on paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SUPPORTED", "TreeLayout", "of_types", "tree_layout"]

#: A branch with less support should not be read.
SUPPORTED = 0.5


@dataclass(frozen=True)
class TreeLayout:
    """Branches as straight lines, their lengths true.

    Attributes
    ----------
    branches : ndarray, shape (n_branches, 4)
        x and y of the inner end, x and y of the outer end, in the unit of the branch lengths.
    support : ndarray, shape (n_branches,)
        NaN for a branch to one star, which stands in every tree.
    stars : list of str
    places : ndarray, shape (n_stars, 2)
    """

    branches: np.ndarray
    support: np.ndarray
    stars: list[str]
    places: np.ndarray


def tree_layout(newick: str) -> TreeLayout:
    """The equal-angle layout (Felsenstein 2004, Inferring Phylogenies, ch. 34).

    Every branch gets a share of the full circle by the stars beyond it, and points to the middle
    of its share: branches do not cross, and no end is shown as the root.

    Parameters
    ----------
    newick : str
        Of :class:`~starkin.latent.phylogeny.Phylogeny`: inner nodes are named by their support.
        Neighbour joining may give a short branch a length below zero; it is drawn as a point.
    """
    from skbio import TreeNode

    tree = TreeNode.read([newick])
    beyond: dict[TreeNode, int] = {}
    for node in tree.postorder():
        beyond[node] = sum(beyond[child] for child in node.children) if node.children else 1
    place = {tree: np.zeros(2)}
    wedge = {tree: (0.0, 2 * np.pi)}
    branches, support, stars, places = [], [], [], []
    for node in tree.preorder():
        start, width = wedge[node]
        for child in node.children:
            own = width * beyond[child] / beyond[node]
            wedge[child], start = (start, own), start + own
            middle = wedge[child][0] + own / 2
            length = max(float(child.length or 0.0), 0.0)
            place[child] = place[node] + length * np.array([np.cos(middle), np.sin(middle)])
            branches.append([*place[node], *place[child]])
            support.append(_support(child))
            if child.is_tip():
                stars.append(str(child.name))
                places.append(place[child])
    return TreeLayout(np.array(branches), np.array(support), stars, np.array(places))


def _support(node: object) -> float:
    """Inner nodes are named by their support, if any was estimated."""
    name = getattr(node, "name", None)
    return float("nan") if node.is_tip() or not name else float(name)  # type: ignore[attr-defined]


def of_types(told: dict[str, Any]) -> dict[str, list[str]]:
    """Stars of the tree by type, in the order of the types' names."""
    kinds: dict[str, list[str]] = {kind: [] for kind in sorted(set(told["types"]))}
    for star, kind in zip(told["stars"], told["types"], strict=True):
        kinds[kind].append(star)
    return kinds
