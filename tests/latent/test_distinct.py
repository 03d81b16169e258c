"""The distinctness tests: by hand, calibrated, and quick enough."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from scipy.stats import kstest

from starkin.latent.distinct import (
    distinctness,
    energy_test,
    hr_coordinates,
    sky_coordinates,
    spectral_coordinates,
)
from starkin.spectra.errors import StarkinError


def test_energy_by_hand():
    # {0, 1} and {2, 5}: cross distances 2, 5, 1, 4, mean 3; within 0.5 and 1.5 (self included).
    # E = 2 * 3 - 0.5 - 1.5 = 4 and H = 4 / 6. Of the six groups of two, this one and its
    # complement reach 4; {0, 2}, {0, 5} and theirs have E = 2.
    members, rest = np.array([[0.0], [1.0]]), np.array([[2.0], [5.0]])
    test = energy_test(members, rest, n_permutations=6000, rng=np.random.default_rng(0))
    assert test.statistic == pytest.approx(4 / 6)
    assert test.p == pytest.approx(2 / 6, abs=0.02)
    assert (test.n_members, test.n_rest) == (2, 2)


def test_the_same_points_are_not_distinct():
    points = np.random.default_rng(0).normal(size=(30, 3))
    test = energy_test(points, points, n_permutations=99, rng=np.random.default_rng(1))
    assert test.statistic == pytest.approx(0, abs=1e-12)
    assert test.p == 1.0
    same = energy_test(
        np.zeros((9, 2)), np.zeros((9, 2)), n_permutations=9, rng=np.random.default_rng(1)
    )
    assert (same.statistic, same.p) == (0.0, 1.0)


def test_far_samples_are_as_distinct_as_can_be():
    rng = np.random.default_rng(0)
    test = energy_test(
        rng.normal(size=(40, 2)), 1e6 + rng.normal(size=(60, 2)), n_permutations=199, rng=rng
    )
    assert test.statistic == pytest.approx(1, abs=1e-4)
    assert test.p == 1 / 200


def test_p_values_are_uniform_when_there_is_nothing():
    rng = np.random.default_rng(42)
    p = [
        energy_test(
            rng.exponential(size=(15, 2)), rng.exponential(size=(25, 2)), n_permutations=99, rng=rng
        ).p
        for _ in range(400)
    ]
    # Discrete in steps of 1/100: spread within the step before comparing.
    assert kstest(np.array(p) - rng.uniform(0, 0.01, 400), "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) < 0.085


def test_subsampling_keeps_p_values_uniform():
    rng = np.random.default_rng(7)
    p = []
    for trial in range(60):
        labels = np.repeat([0, 1, 2], [100, 150, 50])
        found = distinctness(
            labels,
            {"sky": rng.normal(size=(300, 2))},
            n_permutations=49,
            max_stars=40,
            seed=trial,
        )
        p.extend(found.p["sky"])
    assert kstest(np.array(p) - rng.uniform(0, 0.02, len(p)), "uniform").pvalue > 0.01


def test_adjusted_by_hand():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, -1], [50, 50, 100])
    shifted = rng.normal(size=(200, 1)) + 10.0 * (labels == 0)[:, None]
    found = distinctness(
        labels, {"photometric": shifted, "sky": rng.normal(size=(200, 2))}, n_permutations=99
    )
    p = np.concatenate([found.p["photometric"], found.p["sky"]])
    # Benjamini & Hochberg: p_(i) m / i, made monotone from the largest down.
    order = np.argsort(p)
    expected = np.empty(4)
    expected[order] = np.minimum.accumulate((p[order] * 4 / np.arange(1, 5))[::-1])[::-1]
    got = np.concatenate([found.p_adjusted["photometric"], found.p_adjusted["sky"]])
    np.testing.assert_allclose(got, np.minimum(expected, 1))
    assert found.p["photometric"][0] == 0.01
    columns = found.to_columns()
    assert set(columns) == {
        f"{kind}_{what}"
        for kind in ("photometric", "sky")
        for what in ("statistic", "p", "p_adjusted")
    }
    assert json.loads(json.dumps(found.to_dict()))["sky"]["n_members"] == [50, 50]


def test_missing_data_are_left_out():
    labels = np.repeat([0, 1], [20, 30])
    place = np.random.default_rng(0).normal(size=(50, 2))
    place[:17, 1] = np.nan  # Population 0 keeps three stars: too few.
    found = distinctness(labels, {"photometric": place}, n_permutations=19)
    assert np.isnan(found.p["photometric"]).all()
    assert np.isnan(found.p_adjusted["photometric"]).all()
    np.testing.assert_array_equal(found.n_members["photometric"], [3, 30])


def test_rows_must_match():
    with pytest.raises(StarkinError, match="sky"):
        distinctness(np.zeros(5, dtype=int), {"sky": np.zeros((4, 3))})


def test_absolute_magnitude_by_hand():
    # 10 mas is 100 pc, distance modulus 5; 0.1 mas is 10 kpc, modulus 15.
    place = hr_coordinates(
        np.array([1.0, 1.0, 0.5, 0.5, 0.5]),
        np.array([10.0, 15.0, 12.0, 12.0, np.nan]),
        np.array([10.0, 0.1, -1.0, 1.0, 1.0]),
        np.array([0.1, 0.01, 0.1, 0.5, 0.1]),
    )
    # M = 5 and 0, spread 2.5; the others have a negative, a poor parallax, or no magnitude.
    np.testing.assert_allclose(place[:2, 1], [2, 0])
    assert np.isnan(place[2:]).all()


def test_sky_vectors_by_hand():
    np.testing.assert_allclose(
        sky_coordinates(np.array([0, 90, 10]), np.array([0, 0, 90])), np.eye(3), atol=1e-15
    )


def test_spectral_coordinates_keep_distances_and_masks():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 6)) * [1, 10, 100, 1, 1, 1]
    mask = np.zeros(values.shape, dtype=bool)
    mask[0, :4] = True
    mask[1, 0] = True
    values[1, 0] = 1e30  # Masked: must not matter.
    place = spectral_coordinates(values, mask, n_components=6)
    assert np.isnan(place[0]).all()
    assert np.isfinite(place[1:]).all()
    assert np.abs(place[1]).max() < 10
    scaled = values[2:] / (
        np.nanpercentile(np.where(mask, np.nan, values), 75, axis=0)
        - np.nanpercentile(np.where(mask, np.nan, values), 25, axis=0)
    )
    # All components kept, unclipped stars: distances are those of the scaled pixels.
    assert np.linalg.norm(place[2] - place[3]) == pytest.approx(
        np.linalg.norm(scaled[0] - scaled[1]), rel=1e-6
    )


@pytest.mark.science
def test_sixty_thousand_stars_and_ten_populations_in_half_a_minute():
    rng = np.random.default_rng(0)
    n = 60_000
    labels = rng.integers(-1, 10, n)
    spaces = {
        "spectroscopic": spectral_coordinates(rng.normal(size=(n, 110))),
        "photometric": rng.normal(size=(n, 2)),
        "sky": sky_coordinates(rng.uniform(0, 360, n), rng.uniform(-90, 90, n)),
    }
    start = time.perf_counter()
    found = distinctness(labels, spaces)
    assert time.perf_counter() - start < 30
    assert len(found.p["sky"]) == 10
