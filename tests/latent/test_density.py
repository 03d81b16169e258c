"""The tree and the hierarchy against hdbscan itself and against cases worked by hand."""

from __future__ import annotations

import hdbscan
import numpy as np
import pytest

from starkin.latent.density import Hierarchy, Partition, attach_uphill, relative_validity
from starkin.latent.metrics import adjusted_rand
from starkin.latent.neighbours import NeighbourGraph, ReachabilityTree
from starkin.spectra.errors import StarkinError

from .toys import islands


@pytest.mark.parametrize("min_samples", [3, 8])
@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_agrees_with_hdbscan(min_samples, method):
    points, _ = islands()
    tree = NeighbourGraph.build(points, 24).tree(min_samples)
    mine = Hierarchy(tree).extract(25, method)
    theirs = hdbscan.HDBSCAN(
        min_cluster_size=25,
        min_samples=min_samples,
        cluster_selection_method=method,
        approx_min_span_tree=False,
        gen_min_span_tree=True,
    ).fit(points)
    length = theirs.minimum_spanning_tree_.to_numpy()[:, 2].sum()
    assert tree.edges[:, 2].sum() == pytest.approx(length, rel=1e-4)
    assert adjusted_rand(mine.labels, theirs.labels_) > 0.995
    if method == "eom":  # Persistence of peaks is measured in log density.
        np.testing.assert_allclose(
            np.sort(mine.persistence), np.sort(theirs.cluster_persistence_), atol=0.02
        )


def test_tree_of_a_subset_is_the_tree_of_the_subset_alone():
    points, _ = islands()
    rows = np.sort(np.random.default_rng(1).choice(len(points), 1700, replace=False))
    part = NeighbourGraph.build(points, 40).tree(10, rows)
    alone = NeighbourGraph.build(points[rows], 25).tree(10)
    np.testing.assert_allclose(part.core, alone.core)
    assert part.edges[:, 2].sum() == pytest.approx(alone.edges[:, 2].sum(), rel=1e-4)


def test_core_distances_when_a_subset_keeps_too_few_neighbours():
    points, _ = islands()
    rows = np.arange(0, len(points), 10)
    part = NeighbourGraph.build(points, 12).tree(10, rows)
    alone = NeighbourGraph.build(points[rows], 20).tree(10)
    np.testing.assert_allclose(part.core, alone.core)


def test_tree_by_hand():
    # Stars on a line at 0, 1, 2 and 10, 11: core distances to the 1st neighbour are 1.
    points = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    tree = NeighbourGraph.build(points, 1).tree(1)
    np.testing.assert_allclose(tree.core, 1)
    np.testing.assert_allclose(tree.edges[:, 2], [1, 1, 1, 8])  # The gap is bridged.
    assert set(tree.edges[-1, :2]) == {2, 3}


def test_coincident_stars_keep_the_tree_whole():
    points = np.repeat(np.random.default_rng(0).normal(size=(10, 2)), 12, axis=0)
    tree = NeighbourGraph.build(points, 8).tree(3)
    assert len(tree.edges) == len(points) - 1
    assert np.isfinite(tree.edges).all()


def test_not_finite_is_refused():
    with pytest.raises(StarkinError, match="finite"):
        NeighbourGraph.build(np.array([[0.0], [np.nan], [1.0]]), 1)


def test_a_hierarchy_without_a_split_is_one_population():
    points = np.random.default_rng(0).normal(size=(60, 2))
    found = Hierarchy(NeighbourGraph.build(points, 20).tree(10)).extract(30)
    assert found.n_clusters == 1
    assert (found.labels == 0).all()


def test_attach_uphill_by_hand():
    # Star 2 climbs over 1 to the member 0; star 3 does so too but lies in too empty a place:
    # the median of the six is 0.4. Star 4 is a dense summit of its own, too far away to
    # step over, and star 5 its follower.
    tree = ReachabilityTree(
        edges=np.zeros((5, 3)),
        core=np.array([0.1, 0.5, 0.9, 2.0, 0.2, 0.3]),
        uphill=np.array([0, 0, 1, 2, 0, 4]),
        step=np.array([0.0, 0.1, 0.1, 0.1, 3.0, 0.1]),
    )
    labels = np.array([0, -1, -1, -1, -1, -1])
    np.testing.assert_array_equal(attach_uphill(tree, labels, 2.5), [0, 0, 0, -1, -1, -1])
    np.testing.assert_array_equal(attach_uphill(tree, labels, 6.0), [0, 0, 0, 0, -1, -1])
    np.testing.assert_array_equal(attach_uphill(tree, labels, 8.0), [0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(attach_uphill(tree, labels, 0.0), labels)


def test_uphill_by_hand():
    # Two groups on a line; with one neighbour each, core distances 2, 1, 1 and 2, 2.
    points = np.array([[0.0], [2.0], [3.0], [10.0], [12.0]])
    tree = NeighbourGraph.build(points, 1).tree(1)
    np.testing.assert_array_equal(tree.uphill, [1, 1, 1, 2, 3])
    np.testing.assert_allclose(tree.step, [2, 0, 1, 7, 2])


def test_attaching_only_adds_members():
    points, _ = islands()
    tree = NeighbourGraph.build(points, 30).tree(10)
    found = Hierarchy(tree).extract(25, "leaf")
    labels = attach_uphill(tree, found.labels, 4.0)
    member = found.labels >= 0
    np.testing.assert_array_equal(labels[member], found.labels[member])
    assert (labels < 0).mean() < (found.labels < 0).mean()


def test_prominence_merges_ripples_and_keeps_peaks():
    # Two broad clumps, one of them with a ripple on top.
    rng = np.random.default_rng(2)
    points = rng.normal(size=(2000, 2))
    points[1500:, 0] += 6
    hierarchy = Hierarchy(NeighbourGraph.build(points, 30).tree(5))
    number = [hierarchy.extract(15, "leaf", prominence=p).n_clusters for p in (0, 0.3, 0.8, 9)]
    assert number[0] > number[1] > number[2] == 2
    assert number[3] == 1


def test_prominence_does_not_depend_on_the_unit():
    points, _ = islands()
    labels = [
        Hierarchy(NeighbourGraph.build(points * scale, 30).tree(5))
        .extract(15, "leaf", prominence=0.15)
        .labels
        for scale in (1.0, 1024.0)
    ]
    np.testing.assert_array_equal(*labels)


def test_largest_first():
    found = Partition(np.array([0, 0, 1, -1]), np.ones(4), np.array([0.3, 0.7]))
    renumbered, labels = found.largest_first(np.array([0, 1, 1, 1]))
    np.testing.assert_array_equal(labels, [1, 0, 0, 0])
    np.testing.assert_array_equal(renumbered.labels, [1, 1, 0, -1])
    np.testing.assert_array_equal(renumbered.persistence, [0.7, 0.3])


def test_relative_validity_by_hand():
    # Clusters {0, 1} (longest edge 1) and {2, 3} (longest edge 2), 4 apart; star 4 is noise.
    tree = ReachabilityTree(
        edges=np.array([[0, 1, 1.0], [2, 3, 2.0], [1, 2, 4.0], [3, 4, 5.0]]),
        core=np.ones(5),
        uphill=np.arange(5),
        step=np.zeros(5),
    )
    labels = np.array([0, 0, 1, 1, -1])
    expected = 2 / 5 * (4 - 1) / 4 + 2 / 5 * (4 - 2) / 4
    assert relative_validity(tree, labels) == pytest.approx(expected)
    assert relative_validity(tree, np.zeros(5, dtype=int)) == 0.0
