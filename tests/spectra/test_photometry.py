"""Synthetic G, BP and RP against GaiaXPy, and normalisation by the G flux."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from starkin.spectra import (
    SpectrumSet,
    StarkinError,
    XPGrid,
    columns,
    normalise,
    photometry,
    synthetic_photometry,
)


@pytest.fixture(scope="module")
def generated(three_stars_file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gaiaxpy

        system = gaiaxpy.PhotometricSystem.Gaia_DR3_Vega
        return gaiaxpy.generate(three_stars_file, photometric_system=system, save_file=False)


@pytest.mark.parametrize("band", ["G", "BP", "RP"])
def test_magnitudes_and_errors_are_gaiaxpys(three_stars, generated, band):
    ours = synthetic_photometry(three_stars)
    flux_name, mag_name = columns.PHOTOMETRY[band]
    theirs = generated[f"GaiaDr3Vega_mag_{band}"].to_numpy()
    np.testing.assert_array_equal(np.isnan(theirs), [False, True, False])
    np.testing.assert_allclose(ours[mag_name], theirs, rtol=1e-12)
    relative = (
        generated[f"GaiaDr3Vega_flux_error_{band}"] / generated[f"GaiaDr3Vega_flux_{band}"]
    ).to_numpy()
    np.testing.assert_allclose(ours[f"{flux_name}_error"] / ours[flux_name], relative, rtol=1e-6)


def test_fluxes_and_magnitudes_share_the_published_zero_points(three_stars):
    ours = synthetic_photometry(three_stars)[[0, 2]]
    for band, (flux_name, mag_name) in columns.PHOTOMETRY.items():
        expected = -2.5 * np.log10(ours[flux_name]) + photometry.ZERO_POINTS[band]
        np.testing.assert_allclose(ours[mag_name], expected)
    np.testing.assert_allclose(ours["bp_rp"], ours["phot_bp_mean_mag"] - ours["phot_rp_mean_mag"])
    assert ours["phot_g_mean_flux"].unit == u.electron / u.s


def test_the_real_sample_has_magnitudes_of_real_stars(real_sample):
    ours = synthetic_photometry(real_sample)
    g, colour = ours["phot_g_mean_mag"], ours["bp_rp"]
    assert np.isfinite(g).all()
    assert 6 < np.min(g) < np.max(g) < 21
    assert ((colour > -0.5) & (colour < 5)).all()
    # The three bands are not independent: on the stellar locus G-RP follows from BP-RP.
    bright = (g < 16) & (colour > 0.5) & (colour < 2)
    assert bright.sum() > 300
    g_rp = np.asarray(g - ours["phot_rp_mean_mag"])[bright]
    fit = np.polynomial.Polynomial.fit(np.asarray(colour)[bright], g_rp, 3)
    assert np.std(g_rp - fit(np.asarray(colour)[bright])) < 0.03


def stars(**labels) -> SpectrumSet:
    rng = np.random.default_rng(1)
    n = len(next(iter(labels.values()))) if labels else 4
    values = rng.normal(size=(n, 110))
    values[:, [0, 55]] += 500
    return SpectrumSet(
        source_id=np.arange(n),
        values=values,
        errors=np.full((n, 110), 2.0),
        grid=XPGrid(),
        labels=Table(labels) if labels else None,
    )


def test_each_star_takes_the_best_flux_that_it_has():
    zero_point = 25.6873668671
    spectra = stars(
        phot_g_mean_flux=MaskedColumn([100.0, -5.0, 0.0, np.nan], mask=[0, 0, 1, 0]),
        phot_g_mean_mag=MaskedColumn([10.0, zero_point - 5, 12.0, np.nan], mask=[0, 0, 1, 0]),
    )
    out = normalise(spectra)
    assert list(out.labels["g_flux_method"]) == ["flux", "magnitude", "synthetic", "synthetic"]
    synthetic = synthetic_photometry(spectra)["phot_g_mean_flux"][2:]
    np.testing.assert_allclose(out.labels["g_flux"], [100, 100, *synthetic])
    np.testing.assert_allclose(out.values[0], spectra.values[0] / 100)
    np.testing.assert_allclose(out.values[2], spectra.values[2] / synthetic[0])
    np.testing.assert_allclose(out.errors[1], 0.02)
    assert out.unit == u.dimensionless_unscaled
    assert out.labels["g_flux"].unit == u.Unit("electron s-1")


def test_the_shape_of_a_spectrum_does_not_depend_on_its_brightness():
    spectra = stars()
    brighter = spectra.replace(values=7 * spectra.values, errors=7 * spectra.errors)
    np.testing.assert_allclose(normalise(brighter).values, normalise(spectra).values)
    np.testing.assert_allclose(normalise(brighter).errors, normalise(spectra).errors)
    # The synthetic G flux of a normalised spectrum is 1 by construction.
    np.testing.assert_allclose(
        normalise(spectra).values @ photometry.passband_functionals()[:, 0], 1
    )


def test_a_star_without_any_g_flux_is_masked():
    spectra = stars(phot_g_mean_flux=[np.nan, np.nan, 50.0])
    mask = np.zeros((3, 110), dtype=bool)
    mask[[0, 2], :55] = True
    values = spectra.values.copy()
    values[1] *= -1  # a synthetic flux below zero is no flux
    out = normalise(spectra.replace(mask=mask, values=values))
    assert list(out.labels["g_flux_method"]) == ["none", "none", "flux"]
    assert out.mask[:2].all()
    np.testing.assert_array_equal(out.mask[2], mask[2])
    assert np.isnan(out.labels["g_flux"][:2]).all()


def test_normalising_twice_changes_nothing():
    once = normalise(stars())
    assert normalise(once) is once


def test_wrong_units_are_refused():
    spectra = stars().replace(unit=u.dimensionless_unscaled)
    with pytest.raises(StarkinError, match="coefficients in electron/s"):
        normalise(spectra)
    with pytest.raises(StarkinError, match="coefficients in electron/s"):
        synthetic_photometry(spectra)


def test_unpublished_bases_can_be_normalised_by_catalogue_fluxes():
    rng = np.random.default_rng(2)
    dr4 = SpectrumSet([1, 2], rng.normal(size=(2, 106)), np.ones((2, 106)), XPGrid(51, 55))
    out = normalise(dr4.with_labels(phot_g_mean_flux=[10.0, np.nan]))
    assert list(out.labels["g_flux_method"]) == ["flux", "none"]
    with pytest.raises(StarkinError, match="55 BP bases and the spectra have 51"):
        normalise(dr4)
