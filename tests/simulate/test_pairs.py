"""Twins share a composition and nothing else; flaws are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import j1

from starkin.simulate.broadening import with_macroturbulence, with_rotation
from starkin.simulate.compositions import CompositionConfig, draw_compositions
from starkin.simulate.degrade import (
    chips_of,
    with_continuum_tilt,
    with_label_errors,
    with_masked_pixels,
    with_noise,
    with_sky_residuals,
)
from starkin.simulate.fisher import jacobians
from starkin.simulate.own_model import FunctionModel, GridModel
from starkin.simulate.pairs import PairsConfig, simulate_clusters, simulate_pairs
from starkin.simulate.synthesiser import ELEMENTS, Synthesiser
from starkin.spectra import StarkinError, WavelengthGrid
from starkin.spectra.grids import apogee_grid

GRID = WavelengthGrid(
    apogee_grid("aspcap-dr12").wavelength[2500:3500], "Angstrom", "vacuum", "rest", 22_500
)


def linear_flux(teff, logg, x_h):
    """One pixel an element and labels in the last two; flat elsewhere."""
    flux = np.ones((len(teff), GRID.n_pixels))
    flux[:, : x_h.shape[1]] -= 0.1 * (1 + x_h)
    flux[:, -2] = teff / 10_000
    flux[:, -1] = logg / 10
    return flux


MODEL = FunctionModel(linear_flux, GRID)


@pytest.fixture(scope="module")
def pairs():
    return simulate_pairs(60, seed=5, model=MODEL)


def truth(spectra):
    return np.stack([spectra.label(f"true_{s.lower()}_h") for s in ELEMENTS], axis=1)


def test_twins_share_composition_and_differ_in_the_rest(pairs):
    assert len(pairs) == 120
    x_h = truth(pairs)
    np.testing.assert_array_equal(x_h[::2], x_h[1::2])
    np.testing.assert_array_equal(pairs.label("composition_id")[::2], np.arange(60))
    assert np.all(pairs.label("teff")[::2] != pairs.label("teff")[1::2])
    assert np.all(pairs.label("logg")[::2] != pairs.label("logg")[1::2])
    assert len(np.unique(np.round(x_h[::2], 9), axis=0)) == 60
    np.testing.assert_array_equal(pairs.label("m_h"), pairs.label("true_fe_h"))
    np.testing.assert_allclose(pairs.values[:, :21], 1 - 0.1 * (1 + x_h), atol=1e-6)
    np.testing.assert_allclose(pairs.errors, 1e-4)
    assert pairs.grid == GRID
    assert pairs.unit.is_equivalent("")


@pytest.mark.parametrize("kind", ["independent", "galactic"])
def test_twins_of_one_pattern_have_metallicities_of_their_own(kind):
    pairs = simulate_pairs(300, seed=4, model=MODEL, compositions=kind, shared="pattern")
    x_h, m_h = truth(pairs), pairs.label("m_h")
    x_fe = x_h - m_h[:, None]
    np.testing.assert_array_equal(m_h, pairs.label("true_fe_h"))
    np.testing.assert_allclose(x_fe[::2], x_fe[1::2], atol=1e-12)
    # Twins' metallicities have nothing to do with each other, nor with the pattern.
    assert abs(np.corrcoef(m_h[::2], m_h[1::2])[0, 1]) < 0.2
    assert abs(np.corrcoef(m_h, x_fe[:, ELEMENTS.index("Mg")])[0, 1]) < 0.2
    if kind == "independent":
        assert m_h.std() == pytest.approx(0.2, rel=0.1)
        assert x_fe[:, ELEMENTS.index("Mg")].std() == pytest.approx(0.1, rel=0.1)
    shorter = simulate_pairs(200, seed=4, model=MODEL, compositions=kind, shared="pattern")
    np.testing.assert_allclose(truth(shorter) - truth(shorter)[:, [15]], x_fe[:400], atol=1e-12)
    assert pairs.meta["simulated"]["shared"] == "pattern"


def test_a_longer_galactic_set_begins_as_a_shorter_one():
    sets = [simulate_pairs(n, seed=5, model=MODEL, compositions="galactic") for n in (40, 60)]
    np.testing.assert_array_equal(truth(sets[1])[:80], truth(sets[0]))


def test_the_seed_decides_and_a_longer_set_begins_as_a_shorter_one(pairs):
    again = simulate_pairs(60, seed=5, model=MODEL)
    assert again.fingerprint == pairs.fingerprint
    longer = simulate_pairs(80, seed=5, model=MODEL)
    np.testing.assert_array_equal(truth(longer)[:120], truth(pairs))
    other = simulate_pairs(60, seed=6, model=MODEL)
    assert not np.isclose(truth(other), truth(pairs)).any(axis=1).all()


def test_settings_place_stars_where_they_live():
    giants = simulate_pairs(400, seed=1, model=MODEL)
    teff, logg = giants.label("teff"), giants.label("logg")
    assert 4000 <= teff.min() < 4020
    assert 4980 < teff.max() <= 5000
    assert logg.min() >= 0.5
    assert logg.max() <= 3.5
    assert np.corrcoef(teff, logg)[0, 1] > 0.8
    dwarfs = simulate_pairs(400, seed=1, setting="dwarfs", model=MODEL)
    assert dwarfs.label("logg").min() >= 3.9
    assert np.corrcoef(dwarfs.label("teff"), dwarfs.label("logg"))[0, 1] < -0.5


def test_independent_compositions_are_independent():
    config = CompositionConfig("independent", mean=-0.2, scatter=0.15)
    x_h = draw_compositions(4000, ELEMENTS, config, np.random.default_rng(0))
    np.testing.assert_allclose(x_h.mean(0), -0.2, atol=0.012)
    np.testing.assert_allclose(x_h.std(0), 0.15 * 0.9933, rtol=0.05)  # cut at 3 sigma
    assert np.abs(x_h + 0.2).max() <= 0.45 + 1e-12
    correlation = np.corrcoef(x_h.T) - np.eye(len(ELEMENTS))
    assert np.abs(correlation).max() < 0.08


def test_the_galaxy_has_two_alpha_sequences():
    config = CompositionConfig("galactic")
    x_h = draw_compositions(6000, ELEMENTS, config, np.random.default_rng(0))
    iron = x_h[:, ELEMENTS.index("Fe")]
    mg_fe = x_h[:, ELEMENTS.index("Mg")] - iron
    poor = np.abs(iron + 0.4) < 0.1
    # At [Fe/H] = -0.4: 1.1 × 0.06 and 1.1 × 0.26, with few stars between.
    counts, _ = np.histogram(mg_fe[poor], bins=[-0.05, 0.14, 0.20, 0.40])
    assert counts[1] < 0.15 * counts[0]
    assert counts[1] < 0.15 * counts[2]
    assert np.corrcoef(iron, x_h[:, ELEMENTS.index("Ni")])[0, 1] > 0.97
    tight = draw_compositions(
        2000, ELEMENTS, CompositionConfig("galactic", element_scatter=0.0), np.random.default_rng(0)
    )
    # Without scatter of its own every element follows two numbers.
    assert np.linalg.matrix_rank(tight - tight.mean(0), tol=1e-6) == 2


def test_clusters_among_field_stars():
    stars = simulate_clusters(3, 10, 25, seed=2, model=MODEL)
    composition = stars.label("composition_id")
    assert [(composition == i).sum() for i in (0, 1, 2, -1)] == [10, 10, 10, 25]
    for i in range(3):
        assert np.ptp(truth(stars)[composition == i], axis=0).max() == 0
    assert len(np.unique(truth(stars)[composition == -1], axis=0)) == 25


def test_settings_are_checked():
    with pytest.raises(StarkinError, match=r"PairsConfig\.setting must be one of giants, dwarfs"):
        simulate_pairs(1, seed=0, setting="planets", model=MODEL)
    with pytest.raises(StarkinError, match=r"CompositionConfig\.scatter"):
        PairsConfig.from_dict({"compositions": {"scatter": 3.0}})
    with pytest.raises(StarkinError, match="Unknown setting 'sead'"):
        PairsConfig.from_dict({"sead": 1})
    with pytest.raises(StarkinError, match="at least one pair"):
        simulate_pairs(0, seed=0, model=MODEL)
    config = PairsConfig.from_dict({"setting": "dwarfs", "compositions": "galactic"})
    assert config.compositions.kind == "galactic"


# --- flaws -------------------------------------------------------------------
def test_noise_is_what_the_errors_say(pairs):
    noisy = with_noise(pairs, 50.0, seed=1)
    pull = (noisy.values - pairs.values) / noisy.errors
    assert noisy.errors[0, 0] == pytest.approx(np.hypot(0.02, 1e-4))
    assert pull.std() == pytest.approx(1.0, abs=0.01)
    assert abs(pull.mean()) < 0.01
    assert with_noise(pairs, 50.0, seed=1).fingerprint == noisy.fingerprint
    assert with_noise(pairs, 50.0, seed=2).fingerprint != noisy.fingerprint
    np.testing.assert_allclose(noisy.label("snr"), 50.0)
    each = np.where(np.arange(120) < 60, 30.0, np.inf)
    mixed = with_noise(pairs, each, seed=1)
    np.testing.assert_array_equal(mixed.values[60:], pairs.values[60:])
    np.testing.assert_allclose(mixed.label("snr"), np.repeat([30.0, 1e4], 60))
    with pytest.raises(StarkinError, match="snr must be positive"):
        with_noise(pairs, -1.0, seed=0)


def test_label_errors_leave_the_truth(pairs):
    told = with_label_errors(pairs, teff=100.0, logg=0.2, seed=3)
    np.testing.assert_array_equal(told.label("true_teff"), pairs.label("teff"))
    assert (told.label("teff") - pairs.label("teff")).std() == pytest.approx(100, rel=0.2)
    assert (told.label("logg") - pairs.label("logg")).std() == pytest.approx(0.2, rel=0.2)
    np.testing.assert_array_equal(told.label("m_h"), pairs.label("m_h"))
    np.testing.assert_array_equal(told.values, pairs.values)


@pytest.mark.parametrize("run", [1, 6])
def test_masked_share(pairs, run):
    masked = with_masked_pixels(pairs, 0.2, seed=4, run=run)
    assert masked.mask.mean() == pytest.approx(0.2, abs=0.01)
    assert np.all(masked.values[masked.mask] == 0)
    edges = np.abs(np.diff(masked.mask.astype(int), axis=1)).sum() / 2
    assert masked.mask.sum() / edges == pytest.approx(run * 1.25 if run == 1 else 6.8, rel=0.15)


def test_tilt_is_smooth_and_differs_by_chip(pairs):
    tilted = with_continuum_tilt(pairs, 0.02, seed=5)
    ratio = tilted.values / pairs.values
    chips = chips_of(pairs)
    assert [c.stop - c.start for c in chips] == [420, 580]
    for chip in chips:
        second = np.diff(ratio[:, chip].astype(float), 2, axis=1)
        assert np.abs(second).max() < 1e-6
    # Level 0.5 and slope 1, in units of the amplitude: at an end hypot(0.01, 0.02).
    assert (ratio[:, chips[0].start] - 1).std() == pytest.approx(np.hypot(0.01, 0.02), rel=0.2)


def test_sky_lines_are_few_and_unknown_to_the_errors(pairs):
    sky = with_sky_residuals(pairs, 0.05, seed=6, n_lines=10)
    change = np.abs(sky.values - pairs.values)
    assert 0.02 < (change > 1e-3).mean() < 0.12
    np.testing.assert_array_equal(sky.errors, pairs.errors)
    assert [f["what"] for f in with_noise(sky, 100.0, seed=1).meta["degraded"]] == [
        "sky residuals",
        "noise",
    ]


def test_rotation_convolves_with_grays_profile(pairs):
    sharp = np.ones((2, GRID.n_pixels), np.float32)
    sharp[:, 200] = 0.0
    one = pairs[:2].replace(values=sharp)
    blurred = with_rotation(one, 8.0, seed=7)
    speed = blurred.label("true_v_sin_i")
    lost = 1 - blurred.values[:, :420].astype(float)
    np.testing.assert_allclose(lost.sum(1), 1.0, atol=1e-4)
    step = np.log(GRID.wavelength[1] / GRID.wavelength[0]) * 2.99792458e5
    v = step * (np.arange(420) - 200)
    # Variance of the profile for linear limb darkening e: v² (1/4 (1-e) + 2/15 e) / (1 - e/3).
    variance = speed**2 * (0.25 * 0.7 + 2 / 15 * 0.3) / 0.9
    np.testing.assert_allclose((lost * v**2).sum(1), variance, rtol=0.02)
    assert j1(1e-4) > 0  # the transform's limit at zero is finite


def test_macroturbulence_widens_by_its_square(pairs):
    sharp = np.ones((3, GRID.n_pixels), np.float32)
    sharp[:, 200] = 0.5
    blurred = with_macroturbulence(pairs[:3].replace(values=sharp), 9.0, 1.0, seed=8)
    lost = 1 - blurred.values[:, :420].astype(float)
    step = np.log(GRID.wavelength[1] / GRID.wavelength[0]) * 2.99792458e5
    v = step * (np.arange(420) - 200)
    width = blurred.label("true_v_macro")
    np.testing.assert_allclose((lost * v**2).sum(1) / lost.sum(1), width**2, rtol=0.01)


# --- models of one's own -----------------------------------------------------
def test_a_grid_in_a_file(tmp_path):
    wavelength = np.linspace(15200.0, 15210.0, 30)
    teff, fe_h = np.array([4000.0, 4500.0, 5000.0]), np.array([-0.5, 0.0, 0.5])
    flux = 1 - 1e-5 * teff[:, None, None] - 0.1 * fe_h[None, :, None] * np.ones(30)
    path = tmp_path / "grid.npz"
    np.savez(path, wavelength=wavelength, flux=flux, labels=["teff", "fe_h"], teff=teff, fe_h=fe_h)
    model = GridModel.read(path)
    got = model(np.array([4200.0]), np.array([2.0]), np.array([[0.2]]))
    np.testing.assert_allclose(got, 1 - 0.042 - 0.02, atol=1e-6)
    pairs = simulate_pairs(5, seed=1, model=model, compositions=CompositionConfig(scatter=0.1))
    assert pairs.labels.colnames[-1] == "true_fe_h"
    with pytest.raises(StarkinError, match="teff of star 0 is 6000; the grid covers 4000 to 5000"):
        model(np.array([6000.0]), np.array([2.0]), np.array([[0.2]]))
    np.savez(path, wavelength=wavelength, flux=flux)
    with pytest.raises(StarkinError, match="no array 'labels'"):
        GridModel.read(path)


def test_a_function_that_misbehaves():
    bad = FunctionModel(lambda t, g, x: np.full((len(t), GRID.n_pixels), np.nan), GRID)
    with pytest.raises(StarkinError, match="not a number for star 0"):
        simulate_pairs(2, seed=0, model=bad)
    short = FunctionModel(lambda t, g, x: np.ones((len(t), 3)), GRID)
    with pytest.raises(StarkinError, match="shape"):
        simulate_pairs(2, seed=0, model=short)


@pytest.mark.science
def test_whole_range_of_apogee():
    pairs = simulate_pairs(20, seed=1)
    assert pairs.n_pixels == 7214
    assert 0.85 < pairs.values.mean() < 0.95
    assert pairs.values.max() < 1.001
    # Every element has lines of its own that a survey could measure.
    derivative = np.abs(jacobians(Synthesiser(), [4400.0], [1.8], np.zeros((1, len(ELEMENTS)))))[0]
    weakest = dict(zip(ELEMENTS, derivative.max(1), strict=True))
    assert min(weakest.values()) > 0.03, weakest
