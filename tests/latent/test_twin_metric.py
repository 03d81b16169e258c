"""The likelihood ratio against its definition, and against what it must beat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, kstest, multivariate_normal, norm

from starkin.io.latents import Latents, TwinPrior
from starkin.latent.candidates import CandidateIndex
from starkin.latent.twin_metric import TwinMetric, twin_probability, typical_noise
from starkin.latent.twin_ranks import ranks_by_distance, ranks_by_metric
from starkin.spectra import StarkinError
from starkin.spectra.flags import Flag

from .twin_toys import twin_world


def every_pair(world, metric=None):
    metric = metric or TwinMetric.fit(world.latents, world.prior)
    stars = metric.stars(world.latents)
    rows = np.arange(len(stars))
    return metric.log_ratios(stars, rows, np.tile(rows, (len(rows), 1)))


def test_one_dimension_by_hand():
    # B = 3, W = 1, no noise: T = 4. z = (2, 2): [[4, 3], [3, 4]] has determinant 7 and
    # z^T J^-1 z = (4*4 - 2*3*4 + 4*4) / 7 = 8/7; alone 2^2/4 = 1 each, determinants 4.
    # LLR = -(8/7 + ln 7)/2 + (1 + ln 4) = 3/7 + ln 4 - ln(7)/2.
    latents = Latents(np.arange(2), np.array([[2.0], [2.0]]), np.zeros((2, 1)))
    prior = TwinPrior(np.zeros(1), np.eye(1), 3 * np.eye(1))
    metric = TwinMetric.fit(latents, prior)
    stars = metric.stars(latents)
    ratio = metric.log_ratios(stars, np.array([0]), np.array([[1]]))
    assert ratio[0, 0] == pytest.approx(3 / 7 + np.log(4) - np.log(7) / 2, abs=1e-8)
    # Opposite signs: (4*4 + 2*3*4 + 4*4) / 7 = 8 instead of 8/7.
    stars = metric.stars(replace(latents, mean=np.array([[2.0], [-2.0]])))
    ratio = metric.log_ratios(stars, np.array([0]), np.array([[1]]))
    assert ratio[0, 0] == pytest.approx(-3 + np.log(4) - np.log(7) / 2, abs=1e-8)
    # Distance: 4 / sqrt(2 W).
    distance = metric.distances(stars, np.array([0]), np.array([[1]]))
    assert distance[0, 0] == pytest.approx(4 / np.sqrt(2), abs=1e-8)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("d", [1, 5, 19])
def test_the_ratio_is_its_definition(d, diagonal):
    world = twin_world(10, d, seed=d, noise_ratio=30, diagonal=diagonal)
    ratios = every_pair(world)
    prior, z = world.prior, world.latents.mean
    noise = world.latents.covariance_matrices()
    for i, j in [(0, 1), (3, 17), (5, int(world.partner[5]))]:
        t = [prior.between + prior.within + noise[k] for k in (i, j)]
        joint = np.block([[t[0], prior.between], [prior.between, t[1]]])
        expected = multivariate_normal(np.tile(prior.mean, 2), joint).logpdf(np.r_[z[i], z[j]])
        expected -= sum(
            multivariate_normal(prior.mean, t[m]).logpdf(z[k]) for m, k in ((0, i), (1, j))
        )
        assert ratios[i, j] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(ratios, ratios.T, rtol=1e-8)


def test_equal_noise_makes_the_ratio_a_distance():
    world = twin_world(40, 6, seed=3)
    metric = TwinMetric.fit(world.latents, world.prior)
    stars = metric.stars(world.latents)
    squared = np.sum((metric.queries(stars)[:, None] - metric.points(stars)) ** 2, axis=2)
    rest = every_pair(world, metric) + squared / 2
    np.testing.assert_allclose(rest, rest[:, :1] + np.zeros(len(rest)), atol=1e-6)


def test_the_ratio_does_not_depend_on_the_latents_axes():
    world = twin_world(30, 5, seed=4, noise_ratio=10)
    a = np.random.default_rng(0).normal(size=(5, 5))
    prior = TwinPrior(
        a @ world.prior.mean, a @ world.prior.within @ a.T, a @ world.prior.between @ a.T
    )
    latents = replace(
        world.latents,
        mean=world.latents.mean @ a.T,
        covariance=a @ world.latents.covariance @ a.T,
    )
    turned = replace(world, prior=prior, latents=latents)
    np.testing.assert_allclose(every_pair(turned), every_pair(world), rtol=1e-5, atol=1e-5)


def test_no_noise_at_all_gives_no_nonsense():
    world = twin_world(50, 4, within=1e-12, noise=1e-14)
    metric = TwinMetric.fit(world.latents, world.prior)
    stars = metric.stars(world.latents)
    rows = np.arange(100)
    own = metric.log_ratios(stars, rows, world.partner[:, None])[:, 0]
    assert (own > 20).all()  # Each of four dimensions tells 10^6 values apart.
    others = every_pair(world, metric)
    others[rows, rows] = others[rows, world.partner] = -np.inf
    assert others.max() < -1e5


def test_the_ratio_finds_more_twins_than_distances_do():
    world = twin_world(1000, 10, seed=1, within=0.05, noise=0.05)
    own = ranks_by_metric(world.latents, world.partner, world.prior).ranks.first
    l2 = ranks_by_distance(world.latents.mean, world.partner, "l2").first
    l1 = ranks_by_distance(world.latents.mean, world.partner, "l1").first
    assert own > 1.3 * max(l1, l2)
    # And any other metric of its form does worse: here one that does not know the leakage.
    blind = TwinPrior(world.prior.mean, 0 * world.prior.within, world.prior.between)
    assert own > 1.02 * ranks_by_metric(world.latents, world.partner, blind).ranks.first


def test_distances_of_true_twins_are_chi_squared():
    world = twin_world(2000, 6, noise_ratio=5)
    metric = TwinMetric.fit(world.latents, world.prior)
    stars = metric.stars(world.latents)
    rows = np.flatnonzero(world.partner > np.arange(4000))
    distance = metric.distances(stars, rows, world.partner[rows][:, None])[:, 0]
    assert kstest(distance**2, chi2(6).cdf).pvalue > 0.001


def test_the_true_twin_is_among_the_candidates():
    # The search with one noise for all loses at most one in a thousand of the twins that the
    # exact ratio, over all pairs, puts first, though the stars' noise varies a hundredfold.
    lost, found = 0, 0
    for seed in range(3):
        world = twin_world(600, 8, seed=seed, noise_ratio=10, within=0.02, noise=0.02)
        metric = TwinMetric.fit(world.latents, world.prior)
        stars = metric.stars(world.latents)
        ratios = every_pair(world, metric)
        np.fill_diagonal(ratios, -np.inf)
        first = np.flatnonzero(ratios.argmax(axis=1) == world.partner)
        index = CandidateIndex.build(metric.points(stars))
        candidates = index.search(metric.queries(stars)[first], 100)
        hit = (candidates == world.partner[first, None]).any(axis=1)
        lost, found = lost + int((~hit).sum()), found + len(first)
    assert found > 1500
    assert lost <= 0.001 * found


def test_stars_that_were_not_encoded_are_nobodys_twins():
    world = twin_world(20, 3)
    mean, flags = world.latents.mean.copy(), world.latents.flags.copy()
    mean[4] = np.nan
    flags[7] |= Flag.NOT_ENCODED
    covariance = world.latents.covariance.copy()
    covariance[9, 0, 0] = np.nan
    latents = replace(world.latents, mean=mean, flags=flags, covariance=covariance)
    stars = TwinMetric.fit(latents, world.prior).stars(latents)
    assert np.flatnonzero(~stars.usable).tolist() == [4, 7, 9]
    ratios = every_pair(replace(world, latents=latents))
    assert np.isnan(ratios[[4, 7, 9]]).all()
    assert np.isnan(ratios[:, [4, 7, 9]]).all()
    assert np.isfinite(np.delete(np.delete(ratios, [4, 7, 9], 0), [4, 7, 9], 1)).all()


def test_probability_by_hand():
    # Prior odds 1/99; LLR = ln 99 makes the odds even.
    assert twin_probability(np.log(99.0), 100) == pytest.approx(0.5)
    assert twin_probability(np.array([0.0]), 4, 3.0)[0] == pytest.approx(0.5)
    with pytest.raises(StarkinError, match="expected_twins > 0"):
        twin_probability(np.zeros(1), 100, 0)


def test_probabilities_are_calibrated_in_their_own_world():
    world = twin_world(400, 4, seed=5, within=0.02, noise=0.02)
    p = twin_probability(every_pair(world), 800)
    twin = np.zeros_like(p, dtype=bool)
    twin[np.arange(800), world.partner] = True
    pick = np.triu(p > 0.2, k=1)
    expected, spread = p[pick].sum(), np.sqrt(np.sum(p[pick] * (1 - p[pick])))
    assert expected > 30
    assert abs(twin[pick].sum() - expected) < norm.isf(1e-4) * spread


def test_a_prior_of_other_latents_is_refused():
    world = twin_world(10, 3)
    with pytest.raises(StarkinError, match=r"TwinPrior.mean has shape \(4,\)"):
        TwinMetric.fit(world.latents, twin_world(10, 4).prior)
    nothing = replace(world.latents, mean=np.full((20, 3), np.nan))
    with pytest.raises(StarkinError, match="nothing to compare"):
        TwinMetric.fit(nothing, world.prior)


def test_typical_noise_by_hand():
    # Traces 1 and 100: weights 100/101 and 1/101.
    noise = typical_noise(np.array([[1.0, 0.0], [50.0, 50.0]]))
    np.testing.assert_allclose(noise, np.diag([150 / 101, 50 / 101]))
