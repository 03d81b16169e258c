"""Spectral energy distributions to coefficients, judged by what is sampled back."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.modeling.physical_models import BlackBody

from starkin.spectra import StarkinError, XPGrid, bases
from starkin.spectra.projection import project, projection_matrix

FINE = np.arange(310.0, 1091, 0.5)
USED = np.arange(360.0, 1000, 2)


def blackbody(kelvin: float, wavelength: np.ndarray) -> np.ndarray:
    scale = u.Unit("W m-2 nm-1 sr-1")
    return BlackBody(kelvin * u.K, scale=1 * scale)(wavelength * u.nm).value * 1e-20


@pytest.mark.parametrize("kelvin", [4000, 6000, 10000, 25000])
def test_a_blackbody_comes_back(kelvin):
    sampled = project(FINE, blackbody(kelvin, FINE)) @ bases.sampling_design(wavelength=USED)
    error = sampled / blackbody(kelvin, USED) - 1
    assert np.sqrt(np.mean(error**2)) < 0.015
    assert abs(error.mean()) < 1e-3


@pytest.mark.parametrize("line", [420.0, 486.0, 770.0, 850.0])
def test_a_line_keeps_its_equivalent_width(line):
    """A 2 nm line is not resolved, but the flux it takes away is."""
    continuum = blackbody(6000, FINE)
    absorbed = continuum * (1 - 0.4 * np.exp(-0.5 * (FINE - line) ** 2))
    near = np.arange(line - 40, line + 40, 0.5)
    design = bases.sampling_design(wavelength=near)
    lost = (project(FINE, continuum) - project(FINE, absorbed)) @ design / blackbody(6000, near)
    assert lost.sum() * 0.5 == pytest.approx(0.4 * np.sqrt(2 * np.pi), rel=0.03)


def test_total_electrons_are_those_of_the_photons():
    """Σ f(u) over samples against ∫ P R λ F / hc dλ; the published calibration loses 1 %."""
    flux = blackbody(5500, FINE)
    coefficients = project(FINE, flux)
    samples = np.arange(-5, 65, 0.02)
    for band in ("bp", "rp"):
        model = bases.band_model(band)
        internal = coefficients[XPGrid().band(band)] @ model.internal(samples)
        expected = np.trapezoid(flux * model.photons(FINE), FINE)
        assert internal.sum() * 0.02 == pytest.approx(expected, rel=0.015)


def test_spectra_made_of_the_bases_give_their_coefficients_back():
    rng = np.random.default_rng(3)
    wavelength = np.arange(310.0, 1091, 0.25)
    # Low orders only: they vanish, as real spectra do, where the response does.
    for band in ("bp", "rp"):
        part = XPGrid().band(band)
        smooth = project(wavelength, blackbody(rng.uniform(4000, 9000), wavelength))
        flux = smooth[part] @ bases.band_model(band).absolute(wavelength)
        again = project(wavelength, flux)[part]
        np.testing.assert_allclose(again, smooth[part], atol=2e-3 * np.abs(smooth[part]).max())


def test_coarse_and_fine_samplings_agree():
    coarse = np.arange(330.0, 1051, 2)
    fine = project(FINE, blackbody(5000, np.clip(FINE, 330, 1050)))
    np.testing.assert_allclose(
        project(coarse, blackbody(5000, coarse)), fine, atol=1e-4 * np.abs(fine).max()
    )


def test_projection_is_linear_and_vectorised():
    flux = np.stack([blackbody(t, FINE) for t in (4000, 8000)])
    both = project(FINE, flux)
    assert both.shape == (2, 110)
    np.testing.assert_allclose(project(FINE, flux.sum(0)), both.sum(0), rtol=1e-9)


@pytest.mark.parametrize(
    ("wavelength", "message"),
    [
        (np.arange(400.0, 1050), "345 nm or bluer"),
        (np.arange(330.0, 900), "1000 nm or redder"),
        (np.arange(1050.0, 330, -1), "strictly increasing"),
    ],
)
def test_unusable_wavelengths_are_refused(wavelength, message):
    with pytest.raises(StarkinError, match=message):
        projection_matrix(wavelength)
    with pytest.raises(StarkinError, match="samples for"):
        project(FINE, np.ones(7))
