"""Ranks by hand, against brute force, and where they must count as failures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from starkin.latent.candidates import CandidateIndex
from starkin.latent.twin_metric import TwinMetric
from starkin.latent.twin_ranks import (
    TwinRanks,
    partners,
    ranks_by_distance,
    ranks_by_metric,
)
from starkin.spectra import StarkinError

from .twin_toys import twin_world


def test_partners_by_hand():
    assert partners(np.array([7, -1, 3, 7, -1, 3])).tolist() == [3, -1, 5, 0, -1, 2]
    with pytest.raises(StarkinError, match="Composition 4 is shared by more than two"):
        partners(np.array([4, 4, 4, 5, 5]))
    with pytest.raises(StarkinError, match="no twins to rank"):
        partners(np.array([1, 2, -1, -1]))


def test_ranks_by_hand():
    # On a line: 0, 1, 3, 3.5, 10. Twins (0, 3) and (1, 3.5); 10 has none.
    mean = np.array([[0.0], [1.0], [3.0], [3.5], [10.0]])
    partner = np.array([2, 3, 0, 1, -1])
    # From 0: 1 is nearer than 3. From 1: 0 and 3 are nearer. From 3: 3.5 and 1. From 3.5: 3.
    for measure in ("l1", "l2"):
        ranks = ranks_by_distance(mean, partner, measure)
        assert ranks.rank.tolist() == [2, 3, 3, 2]
        assert ranks.n_stars == 5


def test_measures_differ_where_they_should():
    # From the origin: (0, 3) is 3 away in both; (2, 2) is 4 in L1 and 2.83 in L2.
    mean = np.array([[0.0, 0.0], [0.0, 3.0], [2.0, 2.0]])
    partner = np.array([1, 0, -1])
    assert ranks_by_distance(mean, partner, "l1").rank[0] == 1
    assert ranks_by_distance(mean, partner, "l2").rank[0] == 2


@pytest.mark.parametrize("measure", ["l1", "l2"])
def test_ties_are_failures(measure):
    mean = np.zeros((50, 7))
    ranks = ranks_by_distance(mean, partners(np.repeat(np.arange(25), 2)), measure)
    assert (ranks.rank == 49).all()
    # A third star exactly as far as the twin.
    mean = np.array([[0.1, 0.2], [0.7, -0.3], [0.7, -0.3]])
    assert ranks_by_distance(mean, np.array([1, 0, -1]), measure).rank[0] == 2


def test_nan_is_a_failure_of_its_own_pair_only():
    mean = np.array([[0.0], [1.0], [np.nan], [9.0], [20.0], [21.0]])
    ranks = ranks_by_distance(mean, np.array([1, 0, 3, 2, 5, 4]))
    assert ranks.rank.tolist() == [1, 1, 5, 5, 1, 1]
    assert ranks.first == pytest.approx(4 / 6)


def test_summaries_by_hand():
    ranks = TwinRanks(np.array([1, 1, 25, 26, 250, 251, 5000, 24999]), 25_000)
    assert ranks.first == 2 / 8
    assert ranks.within(0.001) == 3 / 8
    assert ranks.within(0.01) == 5 / 8
    assert ranks.median == (26 + 250) / 2
    assert ranks.to_dict()["within_1_percent"] == 5 / 8
    assert TwinRanks(np.array([1, 2]), 10).within(0.001) == 0.5  # at least the nearest


@pytest.mark.parametrize(("measure", "order"), [("l1", 1), ("l2", 2)])
def test_distances_agree_with_brute_force(measure, order):
    # More stars than one chunk of the compiled loop holds.
    world = twin_world(1250, 9, seed=2, within=0.2, noise=0.2)
    mean = world.latents.mean
    ranks = ranks_by_distance(mean, world.partner, measure)
    for i in range(0, 2500, 97):
        distance = np.linalg.norm((mean - mean[i]), ord=order, axis=1)
        nearer = distance <= distance[world.partner[i]]
        assert abs(ranks.rank[i] - (nearer.sum() - 1)) <= 1  # single precision


@pytest.mark.parametrize("noise_ratio", [1.0, 5.0])
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_metric_ranks_agree_with_all_pairs(noise, noise_ratio):
    world = twin_world(400, 6, seed=6, within=noise, noise=noise, noise_ratio=noise_ratio)
    found = ranks_by_metric(world.latents, world.partner, world.prior)
    metric = TwinMetric.fit(world.latents, world.prior)
    rows = np.arange(800)
    ratios = metric.log_ratios(metric.stars(world.latents), rows, np.tile(rows, (800, 1)))
    np.fill_diagonal(ratios, -np.inf)
    truth = (ratios >= ratios[rows, world.partner][:, None]).sum(axis=1)
    near = truth <= 50
    error = np.abs(found.ranks.rank - truth)
    if noise_ratio == 1:  # Then the candidate space is exact.
        assert not error[near].any()
    assert (error[truth == 1] == 0).mean() > 0.998
    assert (error[near] <= 1).mean() > 0.99
    assert np.all(found.ranks.rank[~near] > 25)
    best = found.log_ratio[:, 0] == np.nanmax(found.log_ratio, axis=1)
    assert best.all() if noise_ratio == 1 else best.mean() > 0.3


def test_a_twin_that_is_no_candidate_ranks_behind_them():
    world = twin_world(300, 4, seed=7, within=0.5, noise=0.5)
    few = ranks_by_metric(world.latents, world.partner, world.prior, n_candidates=20)
    many = ranks_by_metric(world.latents, world.partner, world.prior, n_candidates=599)
    outside = ~(few.candidates == world.partner[:, None]).any(axis=1)
    assert outside.sum() > 100
    assert (few.ranks.rank[outside] > 20).all()
    # Here all stars are equally noisy: the place in the candidate space is the exact rank.
    np.testing.assert_array_equal(few.ranks.rank, many.ranks.rank)


def test_metric_ties_and_nan_are_failures():
    world = twin_world(30, 3)
    same = replace(world.latents, mean=np.zeros((60, 3)))
    assert (ranks_by_metric(same, world.partner, world.prior).ranks.rank == 59).all()
    mean = world.latents.mean.copy()
    mean[5] = np.nan
    ranks = ranks_by_metric(replace(world.latents, mean=mean), world.partner, world.prior).ranks
    lost = [5, int(world.partner[5])]
    assert (ranks.rank[lost] == 59).all()
    assert (np.delete(ranks.rank, lost) < 59).all()


def test_an_index_finds_what_an_exact_search_finds():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6000, 5))
    points[17] = np.nan
    queries = points[:300] + 0.01
    exact = CandidateIndex.build(points, exact=True)
    cells = CandidateIndex.build(points, exact=False)
    assert exact.recall == 1
    assert cells.recall >= 0.995
    found, truth = cells.search(queries, 10), exact.search(queries, 10)
    assert (found[17] == -1).all()
    assert not (truth == 17).any()
    hits = [np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)]
    assert np.mean(hits) >= 0.99
    distance = np.linalg.norm(np.delete(points, 17, axis=0) - queries[3], axis=1)
    assert np.argmin(np.insert(distance, 17, np.inf)) == truth[3, 0]
    with pytest.raises(StarkinError, match="nothing to search"):
        CandidateIndex.build(points[17:18])
