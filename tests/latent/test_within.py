"""Within-composition covariance from pairs, known or found, against the world's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import oas

from starkin.io.latents import Latents, TwinPrior
from starkin.latent.twin_ranks import ranks_by_distance, ranks_by_metric
from starkin.latent.within import (
    shrunk_covariance,
    within_from_neighbours,
    within_from_pairs,
)
from starkin.spectra import StarkinError

from .twin_toys import twin_world


def known_pairs(world, n):
    rows = np.flatnonzero(world.partner > np.arange(len(world.partner)))[:n]
    return np.column_stack([rows, world.partner[rows]])


def first(world, prior):
    return ranks_by_metric(world.latents, world.partner, prior).ranks.first


def test_one_pair_difference_by_hand():
    # One dimension, differences ±2 and no noise: W = mean(4) / 2 = 2; the pool 0, 2, 10, 12
    # scatters by 26 about 6, so that B = 24.
    latents = Latents(np.arange(4), np.array([[0.0], [2.0], [10.0], [12.0]]), np.zeros((4, 1)))
    prior = within_from_pairs(latents, np.array([[0, 1], [3, 2]]))
    assert prior.within[0, 0] == pytest.approx(2.0)
    assert prior.between[0, 0] == pytest.approx(24.0)
    assert prior.mean[0] == 6
    # Noise of variance 0.5 a star is taken off both.
    noisy = within_from_pairs(replace(latents, covariance=np.full((4, 1), 0.5)), [[0, 1], [2, 3]])
    assert noisy.within[0, 0] == pytest.approx(1.5)
    assert noisy.between[0, 0] == pytest.approx(24.0)


def test_shrinkage_is_the_librarys():
    values = np.random.default_rng(0).normal(size=(40, 6)) * np.arange(1, 7)
    expected = oas(values, assume_centered=True)[0]
    np.testing.assert_allclose(shrunk_covariance(values, np.ones(40)), expected)
    # A weight of two counts a value twice; weights have no unit.
    twice = shrunk_covariance(np.repeat(values, 2, axis=0), np.ones(80))
    np.testing.assert_allclose(shrunk_covariance(values, np.full(40, 7.0)), expected)
    assert not np.allclose(twice, expected)


def test_many_pairs_recover_the_leakage():
    world = twin_world(4000, 5, within=0.05, noise=0.02, noise_ratio=4)
    prior = within_from_pairs(world.latents, known_pairs(world, 4000))
    for found, truth in (
        (prior.within, world.prior.within),
        (prior.between, world.prior.between),
    ):
        assert np.abs(found - truth).max() < 0.08 * np.abs(truth).max()
    np.testing.assert_allclose(prior.mean, world.prior.mean, atol=0.15)


def test_a_hundred_pairs_find_nearly_as_many_twins_as_the_truth():
    world = twin_world(1000, 15, seed=3, within=0.15, noise=0.05)
    best = first(world, world.prior)
    known = first(world, within_from_pairs(world.latents, known_pairs(world, 100)))
    l2 = ranks_by_distance(world.latents.mean, world.partner).first
    assert l2 < 0.7 * best
    assert known > 0.85 * best


def test_neighbours_teach_the_leakage_without_a_single_known_pair():
    world = twin_world(1000, 12, seed=4, within=0.05, noise=0.02)
    learnt = first(world, within_from_neighbours(world.latents))
    l2 = ranks_by_distance(world.latents.mean, world.partner).first
    best = first(world, world.prior)
    assert l2 < 0.8 * best
    assert learnt > 0.95 * best


def test_some_of_the_stars_teach_nearly_as_much_as_all():
    world = twin_world(1000, 12, seed=4, within=0.05, noise=0.02)
    every, some = (within_from_neighbours(world.latents, max_asked=asked) for asked in (0, 800))
    assert first(world, some) > 0.97 * first(world, every)
    assert not np.array_equal(some.within, every.within)
    again = within_from_neighbours(world.latents, max_asked=800)
    np.testing.assert_array_equal(some.within, again.within)


def test_a_belief_is_where_it_starts_and_few_pairs_change_it_little():
    world = twin_world(600, 12, seed=5, within=0.15, noise=0.05)
    # Right in shape, wrong in scale: the pairs set the scale.
    belief = replace_within(world.prior, world.prior.within * 0.1)
    few = known_pairs(world, 6)
    told = first(world, within_from_pairs(world.latents, few, belief))
    untold = first(world, within_from_pairs(world.latents, few))
    assert told > untold
    again = within_from_neighbours(world.latents, world.prior, n_rounds=1)
    assert first(world, again) > 0.95 * first(world, world.prior)


def replace_within(prior, within):
    return TwinPrior(prior.mean, within, prior.between)


def test_covariances_stay_positive_when_noise_is_overstated():
    world = twin_world(50, 4, within=0.01, noise=0.01)
    loud = replace(world.latents, covariance=1e3 * world.latents.covariance)
    prior = within_from_pairs(loud, known_pairs(world, 50))
    for matrix in (prior.within, prior.between):
        assert np.linalg.eigvalsh(matrix).min() > -1e-9
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)


def test_too_few_pairs_are_refused():
    world = twin_world(10, 3)
    mean = world.latents.mean.copy()
    pairs = known_pairs(world, 2)
    mean[pairs[0, 0]] = np.nan
    with pytest.raises(StarkinError, match="Only 1 known pairs"):
        within_from_pairs(replace(world.latents, mean=mean), pairs)
