"""Trees of stars by the likeness of their composition, with the support of every branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.spatial.distance import pdist, squareform

from ..spectra.errors import StarkinError

__all__ = ["LikeNeighbours", "Phylogeny", "like_neighbours", "neighbour_joining"]

_METRICS = {"manhattan": "cityblock", "euclidean": "euclidean"}
_MOST_STARS = 2000


@dataclass(frozen=True)
class Phylogeny:
    """A tree without root.

    Attributes
    ----------
    newick : str
        Branch lengths in the unit of the data; inner nodes are named by their support.
    support : dict of frozenset of str to float
        For every inner branch the stars on its side without the first star, and the share of
        noisy copies in whose trees the same branch stands.
    n_copies : int
        Noisy copies that were drawn; with 0, supports are NaN.
    """

    newick: str
    support: dict[frozenset[str], float]
    n_copies: int


def neighbour_joining(
    values: np.ndarray,
    covariance: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    *,
    metric: Literal["manhattan", "euclidean"] = "manhattan",
    n_copies: int = 100,
    seed: int = 0,
) -> Phylogeny:
    """Neighbour-joining tree (Saitou & Nei 1987) of abundances or chemical latents.

    Parameters
    ----------
    values : ndarray, shape (n_stars, n_dimensions)
        All in one unit, or standardised.
    covariance : ndarray, shape (n_stars, n_dimensions, n_dimensions) or (n_stars, n_dimensions)
        Of the values (or variances); without it no support can be given.
    names : sequence of str, optional
        Of the stars; ``star_0``, ``star_1``, … without it.
    metric : {"manhattan", "euclidean"}
        Distance of two stars.
    n_copies : int
        Trees of data with noise drawn anew from the covariance.
    seed : int
        Of that noise.

    Raises
    ------
    StarkinError
        If there are fewer than four stars or more than 2,000, a value is not finite, names
        repeat, or scikit-bio is not installed.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    names = [f"star_{i}" for i in range(n)] if names is None else [str(name) for name in names]
    _check(values, names, metric)
    tree = _tree(values, names, metric)
    splits = _splits(tree, names)
    counts = dict.fromkeys(splits.values(), 0)
    drawn = n_copies if covariance is not None else 0
    if covariance is not None:
        factor = _roots(np.asarray(covariance, dtype=np.float64), values.shape)
        generator = np.random.default_rng(seed)
        for _ in range(n_copies):
            noise = np.einsum("nij,nj->ni", factor, generator.standard_normal(values.shape))
            copy = _tree(values + noise, names, metric)
            for split in set(_splits(copy, names).values()) & counts.keys():
                counts[split] += 1
    support = {split: count / drawn if drawn else np.nan for split, count in counts.items()}
    for node, split in splits.items():
        node.name = f"{support[split]:.2f}" if drawn else None
    return Phylogeny(str(tree).strip(), support, drawn)


@dataclass(frozen=True)
class LikeNeighbours:
    """Whether stars of one type stand together on a tree.

    Attributes
    ----------
    share : float
        Of the stars whose nearest star along the tree is of their own type.
    by_chance : float
        The same, on average over permutations of the types.
    p_value : float
        Probability of as large a share by chance.
    """

    share: float
    by_chance: float
    p_value: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def like_neighbours(
    tree: Phylogeny, types: Mapping[str, str], *, n_permutations: int = 999, seed: int = 0
) -> LikeNeighbours | None:
    """Compare the types of stars with those of their nearest stars along the branches.

    Parameters
    ----------
    tree : Phylogeny
        From :func:`neighbour_joining`.
    types : mapping of str to str
        Type of each star, by its name on the tree.
    n_permutations, seed : int
        Of the types among the stars.

    Returns
    -------
    LikeNeighbours or None
        None where there is one type only.
    """
    if len(set(types.values())) < 2:
        return None
    from skbio import TreeNode

    # Names of inner nodes are supports, and may repeat: only the stars' names count.
    between = TreeNode.read([tree.newick]).cophenet()
    order = np.argsort(between.ids)  # not that of the text, which may change with the last bit
    kinds = np.array([types[between.ids[i]] for i in order])
    distance = between.data[np.ix_(order, order)]
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    share = float((kinds == kinds[nearest]).mean())
    draw = np.random.default_rng(seed)
    permuted = np.array([draw.permutation(kinds) for _ in range(n_permutations)])
    chance = (permuted == permuted[:, nearest]).mean(axis=1)
    # Two equal shares may differ in the last bit.
    p_value = (1 + (chance >= share - 1e-9).sum()) / (1 + n_permutations)
    return LikeNeighbours(share, float(chance.mean()), float(p_value))


def _check(values: np.ndarray, names: Sequence[str], metric: str) -> None:
    if values.ndim != 2 or not 4 <= len(values) <= _MOST_STARS:
        raise StarkinError(
            f"A tree needs 4 to {_MOST_STARS} stars as rows of a table, got shape {values.shape}."
        )
    if metric not in _METRICS:
        raise StarkinError(f"metric must be one of {', '.join(_METRICS)}, got {metric!r}.")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise StarkinError(
            f"The values of {names[bad[0]]} are not all finite: leave such stars out of the tree."
        )
    if len(names) != len(values) or len(set(names)) < len(names):
        raise StarkinError(f"A tree of {len(values)} stars needs as many different names.")


def _tree(values: np.ndarray, names: Sequence[str], metric: str) -> Any:
    try:
        from skbio import DistanceMatrix
        from skbio.tree import nj
    except ImportError as error:
        raise StarkinError(
            "Trees need scikit-bio, which is not installed: pip install scikit-bio."
        ) from error
    distances = squareform(pdist(values, metric=_METRICS[metric]))
    return nj(DistanceMatrix(distances, list(names)))


def _splits(tree: Any, names: Sequence[str]) -> dict[Any, frozenset[str]]:
    """Inner nodes, and the stars on the side of their branch that lacks the first star.

    A branch of a tree without root is the same whichever side is named; branches that cut off
    one star stand in every tree and are left out.
    """
    everything, first = frozenset(names), names[0]
    found: dict[Any, frozenset[str]] = {}
    below: dict[Any, frozenset[str]] = {}
    for node in tree.postorder(include_self=False):
        if node.is_tip():
            below[node] = frozenset([node.name])
            continue
        side = frozenset().union(*(below[child] for child in node.children))
        below[node] = side
        side = everything - side if first in side else side
        if 1 < len(side) < len(everything) - 1:
            found[node] = side
    return found


def _roots(covariance: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Matrices L with L·Lᵀ the covariance, which may be singular."""
    if covariance.shape == shape:
        return np.sqrt(covariance)[:, :, None] * np.eye(shape[1])
    if covariance.shape != (*shape, shape[1]):
        raise StarkinError(
            f"The covariance has shape {covariance.shape}; values of shape {shape} need "
            f"{(*shape, shape[1])} or {shape}."
        )
    scale, axes = np.linalg.eigh(covariance)
    return axes * np.sqrt(np.maximum(scale, 0))[:, None, :]
