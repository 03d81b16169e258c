"""Twins for users, against every pair computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from starkin.latent.twins import TwinFinder
from starkin.spectra import StarkinError
from starkin.spectra.flags import Flag

from .twin_toys import twin_world


@pytest.fixture(scope="module")
def world():
    return twin_world(150, 6, noise_ratio=4, within=0.02, noise=0.02)


@pytest.fixture(scope="module")
def finder(world):
    return TwinFinder.fit(world.latents, world.prior)


def test_the_best_of_all_pairs_are_found_in_order(world, finder):
    found = finder.query(8)
    rows = np.arange(300)
    ratios = finder.metric.log_ratios(finder.stars, rows, np.tile(rows, (300, 1)))
    np.fill_diagonal(ratios, -np.inf)
    truth = np.argsort(-ratios, axis=1)[:, :8]
    assert (
        np.mean([np.isin(t, f).mean() for t, f in zip(truth, found.twin_row, strict=True)]) > 0.99
    )
    assert np.mean(found.twin_row[:, 0] == truth[:, 0]) > 0.995
    assert (np.diff(found.log_ratio, axis=1) <= 0).all()
    np.testing.assert_allclose(found.log_ratio[:, 0], ratios.max(axis=1))
    assert np.mean(found.twin_row[:, 0] == world.partner) > 0.8
    assert (found.twin_row != rows[:, None]).all()


def test_probability_and_table(finder):
    found = finder.query(2, rows=np.array([4]))
    np.testing.assert_allclose(found.probability, expit(found.log_ratio - np.log(299)))
    table = found.to_table()
    assert table["source_id"].tolist() == [1004, 1004]
    assert table["twin_rank"].tolist() == [1, 2]
    assert table["twin_source_id"].tolist() == (found.twin_row[0] + 1000).tolist()
    assert table["twin_probability"].description == "Probability of one composition"
    more = replace(finder, expected_twins=10.0).query(2, rows=np.array([4]))
    assert (more.probability > found.probability).all()


def test_an_index_finds_the_same_twins(world, finder):
    indexed = TwinFinder.fit(world.latents, world.prior, exact=False)
    same = finder.query(5).twin_row == indexed.query(5).twin_row
    assert same.mean() > 0.99


def test_stars_that_were_not_encoded_have_no_twins_and_are_none(world):
    flags, mean = world.latents.flags.copy(), world.latents.mean.copy()
    lost = int(world.partner[8])
    flags[lost] |= Flag.NOT_ENCODED
    mean[21] = np.nan
    finder = TwinFinder.fit(replace(world.latents, flags=flags, mean=mean), world.prior)
    found = finder.query(4)
    assert not np.isin(found.twin_row, [lost, 21]).any()
    assert (found.twin_row[[lost, 21]] == -1).all()
    assert (found.twin_id[lost] == -1).all()
    assert finder.n_usable == 298
    assert not np.isin(found.to_table()["source_id"], [1000 + lost, 1021]).any()
    with pytest.raises(StarkinError, match="1021 was not encoded"):
        finder.rows_of([1021])


def test_stars_are_named_by_their_id(finder):
    assert finder.rows_of([1005, 1000]).tolist() == [5, 0]
    with pytest.raises(StarkinError, match="no star with source_id 7"):
        finder.rows_of([7])


def test_small_catalogues_and_models_without_a_prior(world):
    finder = TwinFinder.fit(world.latents[:3], world.prior)
    assert finder.query(10).twin_row.shape == (3, 2)
    with pytest.raises(StarkinError, match="known pairs"):
        TwinFinder.fit(world.latents, None)
    with pytest.raises(StarkinError, match="at least two"):
        TwinFinder.fit(world.latents[:1], world.prior)
    with pytest.raises(StarkinError, match="at least 1"):
        finder.query(0)
