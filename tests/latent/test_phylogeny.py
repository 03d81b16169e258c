"""Trees of stars: a known tree comes back, and supports say what noise leaves of it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skbio")

from skbio import TreeNode

from starkin.latent.phylogeny import like_neighbours, neighbour_joining
from starkin.spectra import StarkinError

#: Each column is one branch of the tree ((a:1,b:2):3,c:4,(d:1,e:1):2): the stars beyond it
#: differ by its length, so that Manhattan distances are those along the tree.
NAMES = ["a", "b", "c", "d", "e"]
BRANCHES = {("a",): 1, ("b",): 2, ("a", "b"): 3, ("c",): 4, ("d",): 1, ("e",): 1, ("d", "e"): 2}
VALUES = np.array([[length * (n in side) for side, length in BRANCHES.items()] for n in NAMES])


def test_a_known_tree_comes_back_with_its_branch_lengths() -> None:
    tree = neighbour_joining(VALUES, names=NAMES)
    read = TreeNode.read([tree.newick])
    expected = np.abs(VALUES[:, None] - VALUES[None]).sum(axis=2)
    for i, one in enumerate(NAMES):
        for j, other in enumerate(NAMES):
            along = read.find(one).distance(read.find(other))
            assert along == pytest.approx(expected[i, j], abs=1e-9)
    assert set(tree.support) == {frozenset("de"), frozenset("cde")}  # a's side is never named
    assert all(np.isnan(value) for value in tree.support.values())


def test_support_is_one_without_noise_and_falls_with_it() -> None:
    quiet = neighbour_joining(VALUES, np.full(VALUES.shape, 1e-8), NAMES, n_copies=20)
    assert list(quiet.support.values()) == [1.0, 1.0]
    assert "1.00" in quiet.newick
    noisy = neighbour_joining(VALUES, np.full(VALUES.shape, 25.0), NAMES, n_copies=200)
    # Five stars have 15 trees, and each split stands in three of them.
    assert all(value < 0.6 for value in noisy.support.values())


def test_two_groups_stand_and_copies_of_one_star_do_not() -> None:
    draw = np.random.default_rng(0)
    groups = np.repeat([[0.0] * 4, [1.0] * 4], 6, axis=0)
    covariance = 0.05**2 * np.tile(np.eye(4), (12, 1, 1))
    tree = neighbour_joining(
        groups + 0.05 * draw.normal(size=groups.shape), covariance, n_copies=60, seed=1
    )
    second = frozenset(f"star_{i}" for i in range(6, 12))
    assert tree.support[second] == 1.0
    rest = [value for split, value in tree.support.items() if split != second]
    assert np.median(rest) < 0.6


def test_neighbours_of_one_type_by_hand() -> None:
    """On the tree of NAMES b is nearest to a (1 + 2), e to d (1 + 1), a to b; c is 7 from d, e."""
    tree = neighbour_joining(VALUES, names=NAMES)
    found = like_neighbours(tree, {"a": "x", "b": "x", "c": "y", "d": "y", "e": "y"})
    assert found is not None
    assert found.share == 1.0
    other = like_neighbours(tree, {"a": "x", "b": "y", "c": "y", "d": "y", "e": "y"})
    assert other is not None
    assert other.share == pytest.approx(3 / 5)  # all but a and b
    # Of the ten places for two of one type only {a, b} gives 1: c may stand beside d or e.
    assert found.p_value == pytest.approx(0.1, abs=0.04)
    assert found.by_chance < 0.6
    assert like_neighbours(tree, dict.fromkeys(NAMES, "x")) is None


def test_noise_is_seeded_and_follows_the_covariance() -> None:
    full = np.tile(np.diag([0.5] * 7), (5, 1, 1))
    one, again = (neighbour_joining(VALUES, full, NAMES, seed=3).support for _ in range(2))
    assert one == again
    diagonal = neighbour_joining(VALUES, np.full((5, 7), 0.5), NAMES, seed=3).support
    assert diagonal.keys() == one.keys()
    for split in one:
        assert diagonal[split] == pytest.approx(one[split], abs=0.25)


def test_what_cannot_be_a_tree_is_refused() -> None:
    with pytest.raises(StarkinError, match="4 to 2000 stars"):
        neighbour_joining(VALUES[:3])
    with pytest.raises(StarkinError, match="different names"):
        neighbour_joining(VALUES, names=["a"] * 5)
    broken = VALUES.astype(float)
    broken[2, 0] = np.nan
    with pytest.raises(StarkinError, match="values of c are not all finite"):
        neighbour_joining(broken, names=NAMES)
    with pytest.raises(StarkinError, match="covariance has shape"):
        neighbour_joining(VALUES, np.ones((5, 3)), NAMES)
