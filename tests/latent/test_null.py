"""The null test finds one population where there is one, and tells islands from it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from starkin.latent.clusters import PopulationFinder
from starkin.latent.null import NullTest, null_test, surrogates
from starkin.spectra.errors import StarkinError

from .toys import as_latents


def test_surrogates_keep_what_they_promise(island_sample):
    latents = island_sample[0]
    gauss = next(surrogates(latents, 1, kind="gaussian")).mean
    np.testing.assert_allclose(np.cov(gauss.T), np.cov(latents.mean.T), atol=0.2)
    copula = next(surrogates(latents, 1, kind="copula")).mean
    np.testing.assert_array_equal(np.sort(copula, axis=0), np.sort(latents.mean, axis=0))
    assert spearmanr(copula[:, 0], copula[:, 2])[0] == pytest.approx(
        spearmanr(latents.mean[:, 0], latents.mean[:, 2])[0], abs=0.05
    )
    blurred = next(surrogates(latents, 1, kind="smoothed")).mean
    np.testing.assert_allclose(np.cov(blurred.T), np.cov(latents.mean.T), atol=0.3)
    with pytest.raises(StarkinError, match="copula"):
        next(surrogates(latents, 1, kind="flat"))


def test_islands_beat_the_null(found, island_sample):
    null = null_test(island_sample[0], found, n_surrogates=4)
    assert null.n_observed == found.n_populations == 4
    assert null.one_fraction == 1.0
    assert null.p_number == pytest.approx(0.2)
    record = json.loads(json.dumps(null.to_dict()))
    assert record["n_reference"] == [1] * 4
    assert len(record["raw_reference"]) == 4


def test_a_single_population_does_not():
    rng = np.random.default_rng(5)
    one = as_latents(rng.normal(size=(1500, 4)))
    found = PopulationFinder().fit(one)
    given = [as_latents(rng.normal(size=(1500, 4))) for _ in range(3)]
    null = null_test(one, found, references=given, max_stars=1000)
    assert null.n_stars == 1000
    assert null.n_observed == 1
    assert null.p_number == 1.0
    np.testing.assert_array_equal(null.n_reference, 1)


def test_p_values_by_hand():
    null = NullTest(
        kind="given",
        n_stars=10,
        n_observed=3,
        n_reference=np.array([1, 1, 3, 4]),
        raw_observed=3,
        raw_reference=np.array([1, 2, 3, 4]),
        persistence_observed=0.5,
        persistence_reference=np.array([0.0, 0.1, 0.2, 0.5]),
    )
    assert null.p_number == pytest.approx(3 / 5)
    assert null.p_persistence == pytest.approx(2 / 5)
    assert null.one_fraction == 0.5
