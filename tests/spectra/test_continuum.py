"""Continua that are known, against what the three ways find."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid, XPGrid
from starkin.spectra.continuum import (
    Continuum,
    divide_by_continuum,
    find_continuum,
    normalise_continuum,
)
from starkin.spectra.grids import apogee_grid, segments

GRID = apogee_grid("aspcap-dr12")
UNIT = u.Unit("1e-17 erg / (s cm2 Angstrom)")


def with_continuum(n=4, snr=200.0, seed=0):
    """Lines, different sloping continua on each chip, noise; and the true continua."""
    rng = np.random.default_rng(seed)
    x = (GRID.wavelength - 16000) / 1000
    lines = np.ones((n, GRID.n_pixels))
    for centre in rng.uniform(15200, 16950, 150):
        depth = rng.uniform(0.05, 0.5)
        lines -= depth * np.exp(-0.5 * ((GRID.wavelength - centre) / 0.35) ** 2)
    lines = np.maximum(lines, 0.1)
    continuum = np.empty_like(lines)
    for part in segments(GRID):
        a, b, c = rng.uniform(-0.2, 0.2, (3, n, 1))
        continuum[:, part] = 1000 * (1 + a + b * x[part] + c * x[part] ** 2)
    clean = lines * continuum
    errors = continuum / snr
    values = clean + rng.normal(size=clean.shape) * errors
    spectra = SpectrumSet(np.arange(n), values, errors, GRID, unit=UNIT)
    return spectra, continuum, lines


def test_crowded_spectra_are_no_lower():
    """Lines in half of the pixels: the polynomial must find the few between them."""
    grid = WavelengthGrid(np.linspace(5000, 5100, 1000), "Angstrom")
    rng = np.random.default_rng(0)
    depth = np.where(rng.random((8, 1000)) < 0.7, rng.uniform(0.02, 0.3, (8, 1000)), 0)
    continuum = 5 + (grid.wavelength - 5050) / 100
    flux = (1 - depth + rng.normal(0, 0.005, depth.shape)) * continuum
    spectra = SpectrumSet(np.arange(8), flux, np.tile(0.005 * continuum, (8, 1)), grid)
    ratio = find_continuum(spectra, Continuum(degree=2)) / continuum
    np.testing.assert_allclose(ratio, 1, atol=0.01)


def test_known():
    spectra, continuum, lines = with_continuum()
    new = divide_by_continuum(spectra, continuum)
    np.testing.assert_allclose(new.values, lines, atol=0.03)
    np.testing.assert_allclose(new.errors, 1 / 200)
    assert new.unit == u.dimensionless_unscaled
    assert new.meta["continuum"] == {"method": "known"}
    one = divide_by_continuum(spectra, continuum[0])
    np.testing.assert_allclose(one.values[0], new.values[0])
    broken = continuum[0].copy()
    broken[[3, 4, 5]] = 0, -1, np.nan
    assert np.flatnonzero(divide_by_continuum(spectra, broken).mask[0]).tolist() == [3, 4, 5]
    with pytest.raises(StarkinError, match="shape"):
        divide_by_continuum(spectra, continuum[:, :-1])


@pytest.mark.parametrize(
    ("settings", "bias", "scatter"),
    [
        (Continuum("polynomial"), 0.004, 0.003),
        (Continuum("quantile", quantile=0.9, window=50), 0.008, 0.006),
    ],
)
def test_found_continuum_follows_the_true_one(settings, bias, scatter):
    spectra, continuum, _ = with_continuum()
    ratio = find_continuum(spectra, settings) / continuum
    assert abs(np.median(ratio) - 1) < bias
    assert np.std(ratio) < scatter


def test_an_exact_polynomial_is_found_exactly():
    grid = WavelengthGrid(np.linspace(5000, 5100, 400), "Angstrom")
    x = (grid.wavelength - 5050) / 50
    continuum = 3 + x - 0.5 * x**2
    spectra = SpectrumSet([1], continuum[None], np.full((1, 400), 0.01), grid)
    found = find_continuum(spectra, Continuum("polynomial", degree=2))
    np.testing.assert_allclose(found[0], continuum, rtol=1e-6)


def test_quantile_by_hand():
    grid = WavelengthGrid(np.arange(5000.0, 5005.0), "Angstrom")
    spectra = SpectrumSet([1], [[1.0, 2.0, 3.0, 4.0, 5.0]], np.full((1, 5), 0.1), grid)
    found = find_continuum(spectra, Continuum("quantile", quantile=0.75, window=100))
    np.testing.assert_allclose(found, 4.0)


def test_masked_pixels_do_not_count():
    spectra, _, _ = with_continuum()
    values, mask = spectra.values.copy(), spectra.mask.copy()
    mask[:, 100:600] = True
    hidden = spectra.replace(mask=mask)
    values[:, 100:600] = 1e9
    absurd = spectra.replace(values=values, mask=mask)
    for settings in (Continuum("polynomial"), Continuum("quantile")):
        np.testing.assert_array_equal(
            find_continuum(hidden, settings), find_continuum(absurd, settings)
        )


def test_a_cosmic_ray_is_clipped():
    spectra, _, _ = with_continuum(n=1)
    values = spectra.values.copy()
    values[0, 1000:1003] *= 20
    found = find_continuum(spectra.replace(values=values), Continuum("polynomial"))
    clean = find_continuum(spectra, Continuum("polynomial"))
    np.testing.assert_allclose(found, clean, rtol=2e-3)


def test_noise_does_not_move_the_scale_with_the_unit():
    spectra, _, _ = with_continuum()
    faint = spectra.replace(values=spectra.values * 1e-20, errors=spectra.errors * 1e-20)
    a, b = normalise_continuum(spectra), normalise_continuum(faint)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-9)


def test_a_stretch_without_pixels_is_masked():
    spectra, _, _ = with_continuum()
    mask = spectra.mask.copy()
    mask[0, segments(GRID)[1]] = True
    mask[1] = True
    for method in ("polynomial", "quantile"):
        new = normalise_continuum(spectra.replace(mask=mask), Continuum(method))
        assert new.mask[0, segments(GRID)[1]].all()
        assert not new.mask[0, segments(GRID)[0]].any()
        assert new.mask[1].all()
        assert new.meta["continuum"]["method"] == method


def test_ranges_are_checked():
    for wrong in ({"method": "spline"}, {"degree": 50}, {"quantile": 0}, {"window": 0}):
        with pytest.raises(StarkinError, match=f"Continuum.{next(iter(wrong))}"):
            Continuum(**wrong)
    with pytest.raises(StarkinError, match="wavelengths"):
        normalise_continuum(SpectrumSet([1], [[1.0, 2.0]], np.ones((1, 2)), XPGrid(1, 1)))
