"""Every metric against a case worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.metrics import (
    adjusted_rand,
    class_recovery,
    contingency,
    jaccard_best,
    purity,
)


def test_contingency_leaves_noise_out():
    a = np.array([0, 0, 1, 1, -1, 1])
    b = np.array([0, 2, 2, 2, 1, -1])
    np.testing.assert_array_equal(contingency(a, b), [[1, 0, 1], [0, 0, 2]])


def test_adjusted_rand_by_hand():
    # Table [[2, 1], [0, 3]]: sum of pairs 1 + 3 = 4; rows 3 + 3, columns 1 + 6, all 15.
    # ARI = (4 - 6 * 7 / 15) / ((6 + 7) / 2 - 6 * 7 / 15) = 1.2 / 3.7.
    a = np.array([0, 0, 0, 1, 1, 1])
    b = np.array([0, 0, 1, 1, 1, 1])
    assert adjusted_rand(a, b) == pytest.approx(1.2 / 3.7)


def test_adjusted_rand_and_noise():
    a = np.array([0, 0, 1, 1, -1, 1])
    b = np.array([1, 1, 0, 0, 0, -1])
    assert adjusted_rand(a, b, ignore_noise=True) == 1.0
    assert adjusted_rand(a, b) < 1.0
    assert np.isnan(adjusted_rand(np.full(3, -1), np.zeros(3, dtype=int), ignore_noise=True))
    assert adjusted_rand(np.array(["x", "x", "y", "y", "y", "y"]), b) < 1.0


def test_jaccard_by_hand():
    a = np.array([0, 0, 0, 1, 1, 2])
    b = np.array([0, 0, 1, 1, 1, -1])
    # Cluster 0: {0,1,2} with {0,1} is 2/3; cluster 1: {3,4} with {2,3,4} is 2/3; 2: dissolved.
    np.testing.assert_allclose(jaccard_best(a, b), [2 / 3, 2 / 3, 0])
    assert np.isnan(jaccard_best(np.array([0, 2]), np.array([0, 0]))[1])


def test_class_recovery_by_hand():
    truth = np.array(["a"] * 6 + ["b"] * 2 + ["c"])
    labels = np.array([0, 0, 0, 0, 0, -1, 0, 1, -1])
    a, b, c = class_recovery(truth, labels)
    assert (a.cluster, a.recall, a.purity) == (0, pytest.approx(5 / 6), pytest.approx(5 / 6))
    # F1 of b with cluster 0 is 2/8, with cluster 1 it is 2/3; c is noise.
    assert (b.cluster, b.recall, b.purity) == (1, 0.5, 1.0)
    assert (c.cluster, c.recall, c.purity) == (-1, 0.0, 0.0)
    assert a.fraction == pytest.approx(6 / 9)
    assert a.to_dict()["n_stars"] == 6


def test_one_cluster_does_not_recall_every_class():
    a, b = class_recovery(np.array(["a", "a", "a", "b"]), np.zeros(4, dtype=int))
    assert (a.recall, a.purity) == (1.0, 0.75)
    assert (b.cluster, b.recall) == (-1, 0.0)


def test_class_recovery_when_all_is_noise():
    assert class_recovery(np.array([1, 1]), np.array([-1, -1]))[0].recall == 0.0


def test_purity_by_hand():
    truth = np.array([0, 0, 1, 1, 1, 0])
    labels = np.array([0, 0, 0, 1, 1, -1])
    assert purity(truth, labels) == pytest.approx(4 / 5)
