"""Groups of one composition are found where leakage is taken out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from starkin.io.latents import Latents, TwinPrior
from starkin.latent.clusters import FinderSettings, PopulationFinder
from starkin.latent.metrics import adjusted_rand
from starkin.latent.whitened import whitened_latents
from starkin.spectra import StarkinError


@pytest.fixture(scope="module")
def world():
    """Three clusters of 80 stars and 500 field stars; leakage drowns two of four directions."""
    rng = np.random.default_rng(3)
    centres = np.array([[2.5, 2.5, 0, 0], [-2.5, 2.5, 0, 0], [0, -3, 0, 0]])
    truth = np.r_[np.repeat(np.arange(3), 80), np.full(500, -1)]
    y = np.concatenate([np.repeat(centres, 80, axis=0), rng.normal(size=(500, 4)) * 1.5])
    leak = np.diag([0.02, 0.02, 9.0, 9.0])
    z = y + rng.multivariate_normal(np.zeros(4), leak, size=len(y))
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    prior = TwinPrior(np.zeros(4), turn @ leak @ turn.T, 2.25 * np.eye(4))
    latents = Latents(np.arange(len(z)), z @ turn.T, np.full(z.shape, 1e-4), model_id="toy")
    return latents, prior, truth


def test_twins_scatter_like_a_unit_sphere(world):
    latents, prior, truth = world
    white = whitened_latents(latents, prior)
    assert white.n_latent == 2
    inside = np.concatenate(
        [white.mean[truth == c] - white.mean[truth == c].mean(0) for c in range(3)]
    )
    np.testing.assert_allclose(np.cov(inside.T), np.eye(2), atol=0.2)
    assert whitened_latents(latents, prior, least=0.01).n_latent == 4
    # Noise of variance 1e-4 on leakage of variance 0.02.
    np.testing.assert_allclose(white.variance, 1e-4 / 0.0201, rtol=1e-3)


def test_groups_show_that_leakage_hides(world):
    latents, prior, truth = world
    finder = PopulationFinder(FinderSettings(scaling="none", n_resamples=2))
    white = finder.fit(whitened_latents(latents, prior))
    raw = finder.fit(latents)
    in_cluster = truth >= 0
    found = adjusted_rand(truth[in_cluster], white.labels[in_cluster])
    assert found > 0.9
    assert adjusted_rand(truth[in_cluster], raw.labels[in_cluster]) < found - 0.3


def test_stars_without_latents_stay_without(world):
    latents, prior, _ = world
    mean = latents.mean.copy()
    mean[7] = np.nan
    white = whitened_latents(replace(latents, mean=mean), prior)
    assert np.flatnonzero(~white.usable).tolist() == [7]


def test_latents_that_tell_nothing_are_refused(world):
    latents, prior, _ = world
    with pytest.raises(StarkinError, match="No direction"):
        whitened_latents(latents, TwinPrior(prior.mean, 100 * np.eye(4), np.eye(4)))
