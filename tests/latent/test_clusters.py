"""Populations found, their stability, new stars assigned, saved and loaded."""

from __future__ import annotations

import json

import numpy as np
import pytest

from starkin.latent.clusters import FinderSettings, PopulationFinder
from starkin.latent.metrics import adjusted_rand, class_recovery
from starkin.latent.populations import LatentScale, Populations
from starkin.spectra.errors import StarkinError

from .toys import as_latents, islands


def test_islands_are_found(found, island_sample):
    truth = island_sample[1]
    assert found.n_populations == 4
    assert adjusted_rand(truth, found.labels) > 0.97
    assert all(c.recall > 0.95 for c in class_recovery(truth, found.labels))
    assert found.noise_fraction < 0.05
    assert found.sizes.sum() == (found.labels >= 0).sum()
    assert (np.diff(found.sizes) <= 0).all()


def test_what_is_reported(found):
    record = json.loads(json.dumps(found.to_dict()))
    chosen = [row for row in record["sweep"] if row["chosen"]]
    assert len(chosen) == 1
    assert chosen[0]["ari_all"] >= FinderSettings().required_ari
    assert record["settings"]["min_samples"] == chosen[0]["min_samples"]
    assert record["noise_fraction"] == found.noise_fraction
    table = found.to_table()
    assert list(table["n_stars"]) == list(found.sizes)
    assert table["fraction"].sum() == pytest.approx(1 - found.noise_fraction)


def test_membership(found):
    assert found.soft.shape == (len(found.labels), found.n_populations)
    assert (found.soft.sum(axis=1) <= 1 + 1e-6).all()
    member = found.labels >= 0
    named = found.soft[member, found.labels[member]]
    np.testing.assert_array_equal(found.membership[member], named)
    assert (found.membership[~member] == 0).all()
    assert np.median(found.membership[member]) > 0.9
    assert (found.strength[~found.core] == 0).all()


def test_same_seed_same_answer(found, island_sample):
    again = PopulationFinder().fit(island_sample[0])
    np.testing.assert_array_equal(again.labels, found.labels)
    assert again.sweep == found.sweep


def test_one_cloud_is_one_population():
    rng = np.random.default_rng(3)
    one = PopulationFinder().fit(as_latents(rng.normal(size=(3000, 4))))
    assert one.n_populations == 1
    assert (one.labels == 0).all()


def test_assigning_the_same_stars_changes_nothing(found, island_sample):
    again = found.assign(island_sample[0])
    np.testing.assert_array_equal(again.labels, found.labels)


def test_new_stars_of_known_classes(found, island_sample):
    points, truth = islands(seed=9)
    new = found.assign(as_latents(points))
    assert adjusted_rand(truth, new.labels) > 0.95
    far = found.assign(as_latents(np.array([[30.0, 30, 30, 30], [np.nan, 0, 0, 0]])))
    np.testing.assert_array_equal(far.labels, [-1, -1])
    np.testing.assert_array_equal(far.membership, [0, 0])


def test_a_large_sample_is_clustered_in_part(island_sample):
    latents, truth = island_sample
    part = PopulationFinder(FinderSettings(max_fit=1800)).fit(latents)
    assert len(part.reference_rows) == 1800
    assert adjusted_rand(truth, part.labels) > 0.95
    outside = np.setdiff1d(np.arange(len(latents)), part.reference_rows)
    assert not part.core[outside].any()


def test_stars_without_latents_are_in_no_population(island_sample):
    latents = island_sample[0]
    mean = latents.mean.copy()
    mean[:7] = np.nan
    labels = PopulationFinder().fit(as_latents(mean)).labels
    assert (labels[:7] == -1).all()
    assert (labels[7:] >= 0).mean() > 0.9


def test_save_and_load(found, island_sample, tmp_path):
    found.save(tmp_path / "populations")
    again = Populations.load(tmp_path / "populations")
    np.testing.assert_array_equal(again.labels, found.labels)
    np.testing.assert_array_equal(again.soft, found.soft)
    assert again.to_dict() == found.to_dict()
    new = as_latents(islands(seed=4)[0])
    np.testing.assert_array_equal(again.assign(new).labels, found.assign(new).labels)
    stable = PopulationFinder().stability(again, n_resamples=2)
    assert stable.ari.min() > 0.9


def test_damaged_files_are_refused(found, tmp_path):
    found.save(tmp_path / "p")
    (tmp_path / "p" / "populations.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(StarkinError, match="not a complete set of populations"):
        Populations.load(tmp_path / "p")


def test_wrong_dimension_is_refused(found):
    with pytest.raises(StarkinError, match="dimensions"):
        found.assign(as_latents(np.zeros((2, 3))))


def test_relabelled(found):
    keep = np.ones(found.n_populations, dtype=bool)
    keep[1] = False
    fewer = found.relabelled(keep)
    assert (fewer.labels[found.labels == 1] == -1).all()
    assert (fewer.labels[found.labels == 2] == 1).all()
    assert fewer.n_populations == found.n_populations - 1
    assert fewer.soft.shape[1] == fewer.n_populations


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_cluster_fractions", (0.9,)),
        ("min_samples", ()),
        ("methods", ("kmeans",)),
        ("scaling", "sphere"),
        ("resample_fraction", 0.0),
        ("reach", -1.0),
    ],
)
def test_settings_are_checked(field, value):
    with pytest.raises(StarkinError, match=field):
        FinderSettings(**{field: value})


def test_too_few_stars():
    with pytest.raises(StarkinError, match="at least 30"):
        PopulationFinder().fit(as_latents(np.zeros((10, 2))))


def test_scales_by_hand():
    # Means 0 and 2 (variance 1) with posterior variance 3; a dead dimension: mean 0, variance 1.
    latents = as_latents(np.array([[0.0, 0.0], [2.0, 0.0]]))
    latents.covariance[:] = [3.0, 1.0]
    total = LatentScale.fit(latents, "total")
    np.testing.assert_allclose(total.scale, [2.0, 1.0])
    np.testing.assert_allclose(total.apply(latents.mean), [[-0.5, 0], [0.5, 0]])
    np.testing.assert_allclose(LatentScale.fit(latents, "noise").scale, [3**0.5, 1.0])
    np.testing.assert_allclose(LatentScale.fit(latents, "spread").scale, [1.0, 1.0])
    np.testing.assert_allclose(LatentScale.fit(latents, "none").scale, [1.0, 1.0])
    with pytest.raises(StarkinError, match="noise"):
        LatentScale.fit(as_latents(latents.mean, variance=0.0), "noise")
