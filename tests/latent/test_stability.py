"""Resampling and seed stability, on cases whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from starkin.latent.clusters import PopulationFinder
from starkin.latent.stability import resampling_stability, seed_stability
from starkin.spectra.errors import StarkinError


def test_a_clustering_that_repeats_is_stable():
    labels = np.repeat([0, 1, -1], [50, 30, 20])
    seen = []
    stable = resampling_stability(
        labels, lambda rows: labels[rows], n_resamples=4, progress=lambda *a: seen.append(a)
    )
    np.testing.assert_allclose(stable.ari, 1)
    np.testing.assert_allclose(stable.ari_all, 1)
    np.testing.assert_allclose(stable.jaccard_mean, [1, 1])
    np.testing.assert_array_equal(stable.n_clusters, 2)
    assert [s[:2] for s in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_cluster_that_dissolves_shows():
    labels = np.repeat([0, 1], [60, 40])
    halved = np.repeat([0, 1, 2], [60, 20, 20])
    lost = resampling_stability(labels, lambda rows: halved[rows], n_resamples=3, fraction=1.0)
    np.testing.assert_allclose(lost.jaccard_mean, [1, 0.5])
    gone = resampling_stability(
        labels, lambda rows: np.full(len(rows), -1), n_resamples=3, fraction=0.5
    )
    np.testing.assert_allclose(gone.jaccard_mean, 0)
    np.testing.assert_allclose(gone.ari, 0)


def test_random_labels_are_not_stable():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 2000)
    chance = resampling_stability(
        labels, lambda rows: rng.integers(0, 4, len(rows)), n_resamples=10
    )
    assert abs(chance.ari.mean()) < 0.01
    assert (chance.jaccard_mean < 0.25).all()


def test_lower_quantile():
    labels = np.zeros(100, dtype=int)
    answers = iter([np.zeros(100, int)] * 9 + [np.repeat([0, 1], 50)])
    stable = resampling_stability(labels, lambda rows: next(answers), n_resamples=10, fraction=1.0)
    assert stable.jaccard_mean[0] == pytest.approx(0.95)
    # The lowest of ten values is at quantile 0, the next at 1/9: 0.1 lies 0.9 of the way.
    assert stable.jaccard_low(0.1)[0] == pytest.approx(0.5 + 0.9 * 0.5)
    assert json.loads(json.dumps(stable.to_dict()))["n_resamples"] == 10


def test_populations_of_the_toy_are_stable(found):
    stable = PopulationFinder().stability(found, n_resamples=5)
    assert stable.ari.mean() > 0.95
    assert (stable.jaccard_mean > 0.85).all()


def test_seed_stability_by_hand():
    a = np.array([0, 0, 1, 1, -1])
    b = np.array([1, 1, 0, 0, 0])
    c = np.array([0, 1, 0, 1, 0])
    same = seed_stability([a, b, c])
    assert same.pairs[0] == 1.0  # a and b agree but for the star that is noise in a.
    # a and c over four stars: no pair together in both; ARI = (0 - 4/6) / (2 - 4/6) = -0.5.
    assert same.ari[0, 2] == pytest.approx(-0.5)
    np.testing.assert_allclose(same.jaccard[0], [1, 2 / 3])
    assert json.loads(json.dumps(same.to_dict()))["n_models"] == 3
    with pytest.raises(StarkinError, match="two"):
        seed_stability([a])
