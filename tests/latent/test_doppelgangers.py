"""The doppelgänger rate by hand and on clusters of one composition."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.io.latents import Latents, TwinPrior
from starkin.latent.doppelgangers import doppelganger_rate, pair_distance
from starkin.spectra import StarkinError

from .twin_toys import positive


def on_a_line(values):
    values = np.asarray(values, dtype=float)
    return lambda rows, others, cluster: np.abs(values[rows][:, None] - values[others])


def test_rate_by_hand():
    # Cluster 0 at 0, 1, 3: pairs 1, 2, 3, median 2. Field at 2, 4, 100: distances from
    # 0: 2, 4, 100; from 1: 1, 3, 99; from 3: 1, 1, 97. Three of nine are below 2.
    # Cluster 1 at 50, 50.1, 50.2: median 0.1; nobody in the field is that close.
    values = [0, 1, 3, 50, 50.1, 50.2, 2, 4, 100]
    cluster = np.array([0, 0, 0, 1, 1, 1, -1, -1, -1])
    found = doppelganger_rate(cluster, on_a_line(values))
    assert found.clusters["median_distance"].tolist() == pytest.approx([2.0, 0.1])
    assert found.clusters["rate"].tolist() == pytest.approx([3 / 9, 0])
    assert found.rate == pytest.approx(1 / 6)
    # Two clusters, resampled: means are 0, 1/6 or 1/3, the ends more often than 2.5 %.
    assert (found.low, found.high) == (0, pytest.approx(1 / 3))
    assert found.to_dict()["n_clusters"] == 2


def test_stars_without_latents_do_not_count():
    values = [0, 1, 3, np.nan, 2, np.nan]
    found = doppelganger_rate(np.array([0, 0, 0, 0, -1, -1]), on_a_line(values))
    # Pairs 1, 2, 3 as before; the field star at 2 is 2, 1 and 1 away.
    assert found.clusters["median_distance"][0] == 2
    assert found.rate == pytest.approx(2 / 3)


def test_small_clusters_and_no_field_are_refused():
    with pytest.raises(StarkinError, match="0 field stars"):
        doppelganger_rate(np.zeros(5, dtype=int), on_a_line(np.arange(5)))
    with pytest.raises(StarkinError, match="0 such clusters"):
        doppelganger_rate(np.array([0, 0, -1]), on_a_line(np.arange(3)))


def clusters_and_field(seed=0, n_clusters=12, size=8, n_field=400, d=8):
    rng = np.random.default_rng(seed)
    between, leak = np.eye(d), positive(rng, d, 0.1, 30)
    own = rng.multivariate_normal(np.zeros(d), between, size=n_clusters + n_field)
    cluster = np.r_[np.repeat(np.arange(n_clusters), size), np.full(n_field, -1)]
    y = np.concatenate([np.repeat(own[:n_clusters], size, axis=0), own[n_clusters:]])
    z = y + rng.multivariate_normal(np.zeros(d), leak, size=len(y))
    latents = Latents(np.arange(len(z)), z, np.full(z.shape, 1e-6))
    return latents, cluster, TwinPrior(np.zeros(d), leak, between)


def test_a_metric_that_knows_the_leakage_has_fewer_doppelgangers():
    latents, cluster, prior = clusters_and_field()
    blind = TwinPrior(prior.mean, np.eye(8), prior.between)
    rate = {
        "true": doppelganger_rate(cluster, pair_distance(latents, prior, cluster)).rate,
        "blind": doppelganger_rate(cluster, pair_distance(latents, blind, cluster)).rate,
        "learnt": doppelganger_rate(
            cluster, pair_distance(latents, blind, cluster, learn=True)
        ).rate,
    }
    assert rate["true"] < 0.5 * rate["blind"]
    assert rate["learnt"] < 0.75 * rate["blind"]


def test_what_is_learnt_leaves_the_cluster_out():
    latents, cluster, prior = clusters_and_field()
    rows = np.flatnonzero(cluster == 3)
    before = pair_distance(latents, prior, cluster, learn=True)(rows, rows, 3)
    mean = latents.mean.copy()
    mean[rows] = mean[rows].mean(axis=0) + 100 * (mean[rows] - mean[rows].mean(axis=0))
    moved = Latents(latents.source_id, mean, latents.covariance)
    after = pair_distance(moved, prior, cluster, learn=True)(rows, rows, 3)
    # The cluster was blown up a hundredfold; the leakage hardly saw it, as the pool scales
    # the shrinkage.
    off = ~np.eye(len(rows), dtype=bool)
    np.testing.assert_allclose(after[off], 100 * before[off], rtol=1e-4)
