"""Outlier scores and the AUROC, by hand and on a group of strangers."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.outliers import auroc, combined_score, isolation, unlike_populations
from starkin.spectra.errors import StarkinError

from .toys import as_latents


def test_auroc_by_hand():
    # Pairs (positive, negative): 3>1, 3>2, 1=1 (one half), 1<2: 2.5 of 4.
    score = np.array([3.0, 1.0, 1.0, 2.0])
    positive = np.array([True, True, False, False])
    assert auroc(score, positive) == pytest.approx(2.5 / 4)
    assert auroc(-score, positive) == pytest.approx(1.5 / 4)
    assert auroc(np.array([np.nan, 0.0]), np.array([True, False])) == 0.0
    assert np.isnan(auroc(score, np.zeros(4, dtype=bool)))


def test_isolation_by_hand():
    # Stars at 0, 1, 2, 10 and k = 2 (itself and the next one).
    latents = as_latents(np.array([[0.0], [1.0], [2.0], [10.0]]), variance=0.0)
    np.testing.assert_allclose(isolation(latents, fraction=0.25, scaling="none"), [1, 1, 1, 8])
    with pytest.raises(StarkinError, match="fraction"):
        isolation(latents, fraction=1.5)


def test_a_small_group_of_strangers_stands_out():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(3000, 4)), 0.1 * rng.normal(size=(20, 4)) + 4])
    points = np.concatenate([points, [[np.nan] * 4]])
    strange = np.arange(3021) >= 3000
    score = isolation(as_latents(points), max_reference=2500)
    assert np.isnan(score[-1])
    assert auroc(score[:-1], strange[:-1]) > 0.99
    # With k smaller than the group they would hide behind one another.
    assert auroc(isolation(as_latents(points[:-1]), fraction=0.001), strange[:-1]) < 0.5


def test_unlike_populations(found):
    score = unlike_populations(found)
    assert ((score >= 0) & (score <= 1)).all()
    for number in range(found.n_populations):
        members = np.flatnonzero(found.labels == number)
        assert score[members].min() == pytest.approx(0)
        densest = members[found.reference.core[members].argmin()]
        assert score[densest] == score[members].min()


def test_combined_by_hand():
    # Ranks from the top 1, 2, 3 of n + 1 = 4, then 3, 1, 2.
    a, b = np.array([9.0, 5.0, 1.0]), np.array([0.0, 7.0, 3.0])
    expected = -np.log(np.array([1 * 3, 2 * 1, 3 * 2]) / 16)
    np.testing.assert_allclose(combined_score(a, b), expected)
    with_gap = combined_score(np.array([9.0, np.nan, np.nan]), np.array([1.0, 2.0, np.nan]))
    assert with_gap[1] == pytest.approx(np.log(2) + np.log(3))
    assert np.isnan(with_gap[2])
    with pytest.raises(StarkinError, match="at least one"):
        combined_score()
