"""Resampling by hand, against specutils, and what it conserves."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import VarianceUncertainty

from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid
from starkin.spectra.frames import doppler_factor, to_air, to_vacuum
from starkin.spectra.grids import apogee_grid, galah_grid, log_grid, named_grid, segments
from starkin.spectra.resample import neighbour_correlation, overlap, pixel_edges, resample


def spectra_on(grid, n=2, seed=0, **other):
    rng = np.random.default_rng(seed)
    values = 1 - 0.3 * rng.random((n, grid.n_pixels))
    errors = rng.uniform(0.01, 0.03, values.shape)
    return SpectrumSet(np.arange(n), values, errors, grid, unit=u.dimensionless_unscaled, **other)


# --- frames ---------------------------------------------------------------------
def test_air_and_vacuum():
    # NIST: H alpha 6562.79 air, 6564.61 vacuum; Mg I 15740.706 air, 15745.00 vacuum.
    assert to_vacuum(np.array([6562.79]))[0] == pytest.approx(6564.603, abs=2e-3)
    assert to_vacuum(np.array([15740.706]))[0] == pytest.approx(15745.007, abs=5e-3)
    wavelength = np.linspace(3000, 25000, 500)
    np.testing.assert_allclose(to_air(to_vacuum(wavelength)), wavelength, rtol=1e-13)


def test_air_as_in_specutils():
    from specutils.utils.wcs_utils import vac_to_air

    wavelength = np.linspace(3000, 17000, 50)
    theirs = vac_to_air(wavelength * u.AA, method="Morton2000").to_value("AA")
    np.testing.assert_allclose(to_air(wavelength), theirs, rtol=1e-10)


def test_doppler_is_relativistic():
    # At 0.6 c a receding source is shifted by √(1.6/0.4) = 2.
    assert doppler_factor(np.array([0.6 * 299792.458]))[0] == pytest.approx(0.5)
    assert doppler_factor(np.array([-30.0]))[0] == pytest.approx(1 + 30 / 299792.458, rel=1e-8)


# --- grids ------------------------------------------------------------------------
def test_grids():
    full = apogee_grid()
    assert full.wavelength[0] == pytest.approx(15100.8015, abs=1e-4)
    assert len(segments(full)) == 1
    part = apogee_grid("aspcap-dr12")
    assert part.n_pixels == 7214
    assert part.wavelength[0] == full.wavelength[322]
    assert part.wavelength[-1] == full.wavelength[8305]
    assert [s.stop for s in segments(part)] == [2920, 5320, 7214]
    assert len(segments(galah_grid())) == 4
    assert named_grid("apogee-aspcap").n_pixels == 7514
    grid = log_grid(5000, 5001, 1e-5)
    assert grid.n_pixels == int(np.log10(5001 / 5000) / 1e-5) + 1
    for bad in ("nothing",):
        with pytest.raises(StarkinError, match="apogee-dr12"):
            named_grid(bad)
    with pytest.raises(StarkinError, match="low < high"):
        log_grid(5001, 5000, 1e-5)


def test_edges_and_gaps():
    grid = WavelengthGrid([1.0, 2.0, 3.0, 10.0, 11.0], "Angstrom")
    low, high = pixel_edges(grid)
    assert low.tolist() == [0.5, 1.5, 2.5, 9.5, 10.5]
    assert high.tolist() == [1.5, 2.5, 3.5, 10.5, 11.5]


# --- resampling ---------------------------------------------------------------------
def test_by_hand():
    source = WavelengthGrid([1.0, 2.0, 3.0, 4.0], "Angstrom")
    target = WavelengthGrid([1.5, 3.5], "Angstrom")  # bins 0.5-2.5 and 2.5-4.5
    spectra = SpectrumSet(
        [7], [[1.0, 3.0, 5.0, 9.0]], [[1.0, 1.0, 2.0, 2.0]], source, unit=u.dimensionless_unscaled
    )
    new = resample(spectra, target)
    assert new.values.tolist() == [[2.0, 7.0]]
    assert new.errors[0] == pytest.approx([np.sqrt(2) / 2, np.sqrt(2)])
    assert new.meta["resampled"]["neighbour_correlation"] == 0
    # Half a pixel further: the second new pixel shares an old one with the first.
    shifted = resample(spectra, WavelengthGrid([2.0, 3.5], "Angstrom"))  # 1.25-2.75, 2.75-4.25
    assert shifted.values[0] == pytest.approx(
        [(0.25 + 3 + 1.25) / 1.5, (0.75 * 5 + 0.75 * 9) / 1.5]
    )


def test_missing_pixels_are_left_out():
    source = WavelengthGrid([1.0, 2.0, 3.0, 4.0], "Angstrom")
    target = WavelengthGrid([1.5, 3.5], "Angstrom")
    mask = [[True, False, True, True]]
    spectra = SpectrumSet([7], [[9.0, 3.0, 5.0, 9.0]], np.ones((1, 4)), source, mask=mask)
    new = resample(spectra, target)
    assert new.mask.tolist() == [[False, True]]
    assert new.values[0, 0] == 3.0
    assert new.errors[0, 0] == 1.0


def test_flux_is_conserved():
    source = log_grid(5000, 5100, 4e-6)
    target = WavelengthGrid(np.linspace(5020, 5080, 300), "Angstrom")
    spectra = spectra_on(source)
    new = resample(spectra, target)
    low, high = pixel_edges(target)
    within = overlap(pixel_edges(source), (low[:1], high[-1:]))
    expected = within @ spectra.values.T * (high[-1] - low[0])
    np.testing.assert_allclose((new.values * (high - low)).sum(axis=1), expected[0], rtol=1e-12)


def test_as_specutils_does_it():
    from specutils import Spectrum
    from specutils.manipulation import FluxConservingResampler

    source = WavelengthGrid(np.linspace(5000, 5030, 200), "Angstrom")
    target = WavelengthGrid(np.linspace(5005, 5025, 90), "Angstrom")
    spectra = spectra_on(source)
    new = resample(spectra, target)
    for i in range(2):
        theirs = FluxConservingResampler()(
            Spectrum(
                flux=spectra.values[i] * u.one,
                spectral_axis=source.wavelength * u.AA,
                uncertainty=VarianceUncertainty(spectra.errors[i] ** 2),
            ),
            target.wavelength * u.AA,
        )
        np.testing.assert_allclose(new.values[i], theirs.flux.value, rtol=1e-10)
        variance = theirs.uncertainty.represent_as(VarianceUncertainty).array
        np.testing.assert_allclose(new.errors[i] ** 2, variance, rtol=1e-10)


def test_a_moving_star_comes_to_rest():
    source = log_grid(16000, 16100, 4e-7)
    line = 1 - 0.5 * np.exp(-0.5 * ((source.wavelength - 16050) / 0.4) ** 2)
    velocity = np.array([0.0, 55.0, -120.0, np.nan])
    observed = np.stack(
        [np.interp(source.wavelength * doppler_factor(v), source.wavelength, line)
         if np.isfinite(v) else line for v in velocity]
    )  # fmt: skip
    grid = WavelengthGrid(source.wavelength, "Angstrom", "vacuum", "barycentric")
    spectra = SpectrumSet(
        np.arange(4), observed, np.full(observed.shape, 0.01), grid, unit=u.one
    ).with_labels(radial_velocity=velocity)
    target = log_grid(16010, 16090, 6e-6)
    new = resample(spectra, target)
    at_rest = resample(spectra_on(source).replace(values=np.stack([line, line])), target)
    assert new.grid.frame == "rest"
    np.testing.assert_allclose(new.values[:3], at_rest.values[[0, 0, 0]], atol=1.5e-3)
    assert new.mask[3].all()
    assert new.meta["without_velocity"] == 1
    by_hand = resample(spectra, target, velocity=velocity)
    np.testing.assert_array_equal(by_hand.values, new.values)


def test_air_onto_vacuum():
    vacuum = log_grid(16000, 16100, 3e-6)
    line = 1 - 0.5 * np.exp(-0.5 * ((vacuum.wavelength - 16050) / 0.4) ** 2)
    air = WavelengthGrid(to_air(vacuum.wavelength), "Angstrom", "air", "rest")
    spectra = SpectrumSet([1], line[None], np.full((1, line.size), 0.01), air, unit=u.one)
    new = resample(spectra, vacuum)
    np.testing.assert_allclose(new.values[0, 5:-5], line[5:-5], atol=1e-6)


def test_nanometres():
    grid = WavelengthGrid(np.linspace(500, 510, 50), "nm")
    spectra = spectra_on(grid)
    new = resample(spectra, WavelengthGrid(np.linspace(5000, 5100, 50), "Angstrom"))
    np.testing.assert_allclose(new.values, spectra.values, rtol=1e-9)


def test_the_same_grid_changes_nothing():
    spectra = spectra_on(apogee_grid("aspcap-dr12"))
    assert resample(spectra, apogee_grid("aspcap-dr12")) is spectra


def test_noise_and_its_correlation_are_as_stated():
    """10,000 spectra of white noise: their scatter and neighbours' correlation."""
    source = log_grid(5000, 5010, 1e-5)
    target = log_grid(5002, 5008, 8e-6)
    rng = np.random.default_rng(1)
    n = 10_000
    noise = SpectrumSet(
        np.arange(n), rng.normal(0, 0.1, (n, source.n_pixels)) + 1,
        np.full((n, source.n_pixels), 0.1), source, unit=u.one,
    )  # fmt: skip
    new = resample(noise, target)
    np.testing.assert_allclose(new.values.std(axis=0) / new.errors[0], 1, atol=0.04)
    scaled = (new.values - 1) / new.errors
    measured = np.median(np.mean(scaled[:, 1:] * scaled[:, :-1], axis=0))
    stated = new.meta["resampled"]["neighbour_correlation"]
    assert stated > 0.1
    assert measured == pytest.approx(stated, abs=0.03)
    weights = overlap(pixel_edges(source), pixel_edges(target))
    assert stated == pytest.approx(neighbour_correlation(weights), abs=1e-3)


def test_what_cannot_be_resampled():
    far = WavelengthGrid(np.linspace(15000, 15100, 20), "Angstrom")
    with pytest.raises(StarkinError, match="do not reach"):
        resample(spectra_on(log_grid(5000, 5100, 1e-5)), far)
    barycentric = WavelengthGrid(np.linspace(15000, 15100, 20), "Angstrom", frame="barycentric")
    with pytest.raises(StarkinError, match="radial_velocity"):
        resample(spectra_on(barycentric), far)
    with pytest.raises(StarkinError, match="rest frame"):
        resample(spectra_on(far), barycentric)
    with pytest.raises(StarkinError, match="3 velocities"):
        resample(spectra_on(far), far, velocity=np.zeros(3))
    observed = WavelengthGrid(np.linspace(15000, 15100, 20), "Angstrom", frame="observed")
    with pytest.raises(StarkinError, match="observer"):
        resample(spectra_on(observed), far)
