"""Branches, tracks and gradients in latent spaces made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.classification import Classification
from starkin.latent.gradients import gradient, label_tracks
from starkin.latent.tracks import (
    ALONG,
    branch_classification,
    is_main_sequence,
    purities,
    track,
    track_spectra,
)
from starkin.spectra import StarkinError, XPGrid, sampling_design


def test_the_split_by_hand():
    """At 5000 K the line is at log g = 3.9; at 6000 K at 3.5."""
    teff, logg = np.array([5000.0, 5000, 6000, np.nan]), np.array([3.91, 3.89, 3.51, 4.5])
    assert is_main_sequence(teff, logg).tolist() == [True, False, True, False]
    assert is_main_sequence(5772, 4.44)
    assert not is_main_sequence(4300, 1.7)


def test_bins_along_the_branches_are_in_kelvin_and_dex():
    """Published mistake: 0.2 K where 100 K was meant. No bin is narrower than 100 K."""
    label, edges = ALONG["main sequence"]
    assert label == "teff"
    assert np.diff(edges).min() >= 100
    label, edges = ALONG["giant branch"]
    assert label == "logg"
    assert 0.1 <= np.diff(edges).min() <= 1


def test_purity_by_hand():
    """40 of 50 called main sequence are; of 60 that are, 40 are called so."""
    truth = np.repeat([True, False, True, False], [40, 10, 20, 30])
    predicted = np.repeat([True, True, False, False], [40, 10, 20, 30])
    found = purities(Classification("x", truth, predicted, predicted * 1.0))
    assert found["main sequence purity"].value == pytest.approx(0.8)
    assert found["main sequence completeness"].value == pytest.approx(40 / 60)
    assert found["giant branch purity"].value == pytest.approx(30 / 50)
    assert found["giant branch completeness"].value == pytest.approx(30 / 40)
    # Wilson, 40 of 50: (0.8 + 0.0384) / 1.0768 ± ...
    assert found["main sequence purity"].low == pytest.approx(0.670, abs=0.001)
    assert found["main sequence purity"].high == pytest.approx(0.888, abs=0.001)


def test_branches_on_two_sides_of_a_plane():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 3))
    found = branch_classification(z, z @ [1, 1, 0] > 0.2, classifier="linear")
    assert purities(found)["main sequence purity"].value > 0.95


def _branch(n: int = 3000, seed: int = 0):
    """Latents on a curve of temperature, moved by metallicity along (0, 1, 1)/√2."""
    rng = np.random.default_rng(seed)
    teff = rng.uniform(4000, 7000, n)
    m_h = 0.0003 * (teff - 5500) + rng.normal(0, 0.3, n)
    t = (teff - 5500) / 1500
    curve = np.column_stack([np.sin(2 * t), t**2, t])
    z = curve + 0.5 * m_h[:, None] * np.array([0, 1, 1]) / np.sqrt(2)
    return z + 0.1 * rng.normal(size=z.shape), teff, m_h


def test_a_track_follows_its_curve():
    rng = np.random.default_rng(1)
    teff = rng.uniform(4000, 7000, 3000)
    t = (teff - 5500) / 1500
    z = np.column_stack([np.sin(2 * t), t]) + 0.1 * rng.normal(size=(3000, 2))
    found = track(z, teff, ALONG["main sequence"][1], name="MS", along="teff")
    at = (found.coordinate - 5500) / 1500
    np.testing.assert_allclose(found.mean[:, 0], np.sin(2 * at), atol=0.03)
    np.testing.assert_allclose(found.mean[:, 1], at, atol=0.03)
    # Bootstrap bands: 0.1·1.25/√250 ≈ 0.008 a bin, as wide at most after smoothing.
    width = found.high - found.low
    assert 0.005 < np.median(width) < 0.04
    inside = (found.low <= np.column_stack([np.sin(2 * at), at])) & (
        found.high >= np.column_stack([np.sin(2 * at), at])
    )
    assert inside.mean() > 0.6
    assert found.count.sum() == 3000
    assert found.binned.shape == (12, 3)


def test_a_track_is_smooth_where_bins_are_noisy():
    """A straight line in noise: the spline must not follow the scatter of the bins."""
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, 400)
    y = x + 0.5 * rng.normal(size=400)
    found = track(y[:, None], x, np.linspace(0, 1, 13), fewest=5)
    rough = np.abs(np.diff(found.binned[:, 1], 2)).max()
    assert np.abs(np.diff(found.mean[::5, 0], 2)).max() < rough / 3


def test_too_few_bins_are_refused():
    with pytest.raises(StarkinError, match="needs 5 bins"):
        track(np.zeros((20, 2)), np.linspace(0, 1, 20), np.linspace(0, 1, 5))


def test_a_track_decodes_into_spectra():
    grid = XPGrid()
    found = track(
        np.column_stack([np.linspace(0, 1, 300)] * 2), np.linspace(0, 1, 300), np.linspace(0, 1, 7)
    )
    wavelength, flux = track_spectra(found, lambda z: z @ np.ones((2, 110)), grid)
    assert flux.shape == (50, 343)
    expected = (found.mean.sum(axis=1, keepdims=True) * np.ones(110)) @ sampling_design()
    np.testing.assert_allclose(flux, expected)
    assert wavelength[0] == 336


def test_the_gradient_by_hand():
    """z moves by 0.5·(0, 1, 1)/√2 per dex at fixed temperature; noise of z 0.1, of [M/H] 0.3."""
    z, teff, m_h = _branch()
    found = gradient(z, m_h, teff, name="m_h", n_permutations=99)
    expected = 0.5 * np.array([0, 1, 1]) / np.sqrt(2)
    np.testing.assert_allclose(found.slope, expected, atol=0.03)
    np.testing.assert_allclose(found.direction, [0, 0.707, 0.707], atol=0.06)
    # Signal 0.5·0.3 = 0.15 along the direction against noise 0.1: ρ² = 0.0225/0.0325.
    assert found.correlation == pytest.approx(np.sqrt(0.0225 / 0.0325), abs=0.03)
    assert found.p_value == pytest.approx(0.01)
    # Standard error of a slope: σ_z/(σ_y √n) = 0.1/(0.3·√3000).
    assert found.slope_error[0] == pytest.approx(0.1 / (0.3 * np.sqrt(3000)), rel=0.25)


def test_a_trend_with_temperature_is_no_metallicity_gradient():
    """Latents know temperature alone, [M/H] goes with it: the partial correlation is nil."""
    rng = np.random.default_rng(3)
    teff = rng.uniform(4000, 7000, 2000)
    m_h = np.sin(teff / 800) + rng.normal(0, 0.3, 2000)
    z = np.column_stack([teff / 1000, (teff / 1000) ** 2]) + 0.05 * rng.normal(size=(2000, 2))
    assert abs(np.corrcoef(z[:, 0], m_h)[0, 1]) > 0.2
    found = gradient(z, m_h, teff, n_permutations=99)
    assert abs(found.correlation) < 0.1
    assert found.p_value > 0.02


def test_metallicity_tracks_lie_side_by_side():
    z, teff, m_h = _branch(6000)
    tracks = label_tracks(
        z, teff, ALONG["main sequence"][1], m_h, [-5, -0.2, 0.2, 5], n_resamples=20
    )
    assert len(tracks) == 3
    assert tracks[1].name == "-0.2 ≤ [M/H] < 0.2"
    middle = [np.interp(5500, t.coordinate, t.mean[:, 1]) for t in tracks]
    assert middle[0] < middle[1] < middle[2]
    assert label_tracks(z, teff, ALONG["main sequence"][1], m_h, [8, 9]) == []
