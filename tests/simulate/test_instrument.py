"""The noise of the XP instrument: a genuine covariance, like the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from starkin.simulate import instrument
from starkin.simulate.instrument import band_covariance, observe, transits
from starkin.simulate.light import WAVELENGTH
from starkin.spectra import StarkinError, XPGrid, unpack_correlations
from starkin.spectra.bases import default_wavelength, internal_bases, sampling_design
from starkin.spectra.photometry import passband_functionals
from starkin.spectra.projection import projection_matrix


def black_body(teff: float, wavelength: np.ndarray) -> np.ndarray:
    return wavelength**-5.0 / np.expm1(1.438777e7 / (wavelength * teff))


def coefficients(teff: float, g_mag: float) -> np.ndarray:
    """Noiseless coefficients of a black body of a G magnitude, shape (110,)."""
    found = black_body(teff, WAVELENGTH) @ projection_matrix(WAVELENGTH)
    flux = found @ passband_functionals()[:, 0]
    return found * 10 ** (0.4 * (25.6873668671 - g_mag)) / flux


def covariance(seen, row: int, band: str) -> np.ndarray:
    grid = XPGrid()
    errors = seen.errors[row, grid.band(band)]
    packed = seen.correlations[row, grid.correlation_slice(band)].astype(float)
    return errors[:, np.newaxis] * unpack_correlations(packed, errors.size) * errors


def test_noise_is_unit_normal_once_whitened_by_the_published_covariance():
    truth = np.repeat(coefficients(5500, 15.0)[np.newaxis], 600, axis=0)
    seen = observe(truth, np.full(600, 40.0), np.random.default_rng(1))
    for band in ("bp", "rp"):
        columns = XPGrid().band(band)
        lower = np.linalg.cholesky(covariance(seen, 0, band))
        white = np.linalg.solve(lower, (seen.coefficients - truth)[:, columns].T)
        chi_squared = (white**2).sum(axis=0)
        assert chi_squared.mean() == pytest.approx(55, abs=5 * np.sqrt(110 / 600))
        assert np.allclose(np.cov(white), np.eye(55), atol=6 / np.sqrt(600))
        # and the correlations matter: divided by errors alone the noise is not white
        plain = (seen.coefficients - truth)[:, columns] / seen.errors[:, columns]
        assert np.abs(np.corrcoef(plain.T) - np.eye(55)).max() > 0.4


def test_error_underestimate_scales_the_noise_and_not_the_errors():
    truth = np.repeat(coefficients(5500, 15.0)[np.newaxis], 50, axis=0)
    plain = observe(truth, np.full(50, 40.0), np.random.default_rng(2))
    worse = observe(truth, np.full(50, 40.0), np.random.default_rng(2), error_underestimate=1.5)
    assert np.array_equal(plain.errors, worse.errors)
    ratio = (worse.coefficients - truth) / (plain.coefficients - truth)
    assert ratio == pytest.approx(np.full(ratio.shape, 1.5), rel=1e-5)


def test_covariance_is_that_of_a_weighted_fit_to_the_samples():
    """Fit noisy samples of many transits and compare the scatter of the coefficients."""
    rng = np.random.default_rng(3)
    truth, n_transits = coefficients(5500, 14.0)[55:], 30
    step = 0.5
    u = np.arange(2.25, 60.0, step)
    basis = internal_bases("rp", u)
    h = np.clip(truth @ basis, 0, None)
    variance = h / 4.42 + 6.7 + (0.0045 * h) ** 2
    sigma = np.sqrt(variance / (n_transits * step))  # of all samples within a step
    samples = truth @ basis + sigma * rng.standard_normal((3000, u.size))
    weighted = basis / sigma**2
    fitted = samples @ weighted.T @ np.linalg.inv(weighted @ basis.T)
    found = band_covariance("rp", truth[np.newaxis], np.array([float(n_transits)]))[0]
    low = slice(0, 34)  # S is 1 there, up to its slope
    expected = np.cov(fitted.T)[low, low] * 1.40**2
    ratio = np.sqrt(np.diag(found)[:10] / np.diag(expected)[:10])
    assert ratio == pytest.approx(np.ones(10), abs=0.06)
    scale = np.sqrt(np.diag(expected))
    correlation = expected / np.outer(scale, scale)
    scale = np.sqrt(np.diag(found)[low])
    assert np.allclose(found[low, low] / np.outer(scale, scale), correlation, atol=0.09)


@pytest.mark.parametrize(
    ("teff", "g_mag"), [(3200, 17.6), (3200, 7.0), (5500, 12.0), (20000, 17.6)]
)
def test_covariances_are_positive_definite(teff, g_mag):
    truth = coefficients(teff, g_mag)[np.newaxis]
    seen = observe(truth, np.array([15.0]), np.random.default_rng(4))
    for band in ("bp", "rp"):
        np.linalg.cholesky(covariance(seen, 0, band))  # float32 correlations included
    assert np.all(np.abs(seen.correlations) <= 1)


def test_errors_grow_relative_to_the_flux_when_faint_and_fall_with_transits():
    bright, faint = coefficients(5500, 13.0), coefficients(5500, 17.0)
    relative = [
        np.sqrt(np.diag(band_covariance("bp", c[np.newaxis, :55], np.array([40.0]))[0]))[0] / c[0]
        for c in (bright, faint)
    ]
    assert 4 < relative[1] / relative[0] < 40  # photons alone: 10^0.8 = 6.3
    few, many = (band_covariance("bp", faint[np.newaxis, :55], np.array([n])) for n in (20.0, 80.0))
    assert few == pytest.approx(4 * many)


def test_missing_bands_at_the_stated_rate():
    truth = np.repeat(coefficients(5500, 15.0)[np.newaxis], 900, axis=0)
    seen = observe(
        truth,
        np.full(900, 40.0),
        np.random.default_rng(5),
        correlations=False,
        missing_rate={"bp": 0.1, "rp": 0.05},
    )
    assert seen.missing["bp"].mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 900))
    assert seen.missing["rp"].mean() == pytest.approx(0.045, abs=4 * np.sqrt(0.043 / 900))
    assert not (seen.missing["bp"] & seen.missing["rp"]).any()
    real = observe(truth, np.full(900, 40.0), np.random.default_rng(5), correlations=False)
    assert not real.missing["bp"].any()  # one in 219 million
    with pytest.raises(StarkinError, match="missing_rate"):
        observe(truth, np.full(900, 40.0), np.random.default_rng(5), missing_rate={"bp": 2.0})


def test_the_scanning_law_favours_ecliptic_latitudes_of_45_degrees():
    rng = np.random.default_rng(6)
    # RA 270° is where ecliptic and equatorial latitude differ by the obliquity alone.
    ecliptic, forty_five = (
        transits(np.full(2000, 270.0), np.full(2000, beta - 23.4393), rng) for beta in (0.0, 45.0)
    )
    assert forty_five.mean() > 1.8 * ecliptic.mean()
    ra = rng.uniform(0, 360, 20_000)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    everywhere = transits(ra, dec, rng)
    assert everywhere.mean() == pytest.approx(42, abs=4)
    assert everywhere.min() >= 15


def test_sampling_noiseless_coefficients_gives_back_the_source():
    """A smooth source has nothing for the line spread to smear, so it returns as it was."""
    wavelength = default_wavelength()
    flux = black_body(5800, WAVELENGTH)
    back = (flux @ projection_matrix(WAVELENGTH)) @ sampling_design()
    inside = (wavelength > 400) & (wavelength < 1000)
    ratio = back[inside] / black_body(5800, wavelength[inside])
    assert np.std(ratio) < 0.02
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.01)


def test_a_line_keeps_its_place_and_its_light():
    """The line spread smears an emission line over tens of nm and moves none of it."""
    wavelength = default_wavelength()
    line = np.exp(-0.5 * ((WAVELENGTH - 820.0) / 5.0) ** 2)
    back = (line @ projection_matrix(WAVELENGTH)) @ sampling_design()
    near = np.abs(wavelength - 820) < 60
    light = np.sum(back[near]) * 2.0
    assert light == pytest.approx(5 * np.sqrt(2 * np.pi), rel=0.06)
    assert np.sum(back[near] * wavelength[near]) * 2.0 / light == pytest.approx(820, abs=2.0)


def _real_rows(shared: Path) -> tuple[dict, dict, np.ndarray]:
    table = Table.read(shared / "gaia_xp" / "xp_continuous_1400_wide.fits")
    values, errors = (
        {
            band: np.array([table[f"{prefix}{band}_coeff_{i}"] for i in range(55)], dtype=float).T
            for band in ("bp", "rp")
        }
        for prefix in ("", "e_")
    )
    flux = np.concatenate([values["bp"], values["rp"]], axis=1) @ passband_functionals()
    with np.errstate(invalid="ignore", divide="ignore"):
        g_mag = 25.6873668671 - 2.5 * np.log10(flux[:, 0])
    return values, errors, g_mag


@pytest.mark.parametrize("band", ["bp", "rp"])
@pytest.mark.parametrize("faint", [14.0, 15.0, 16.0, 17.0, 18.0])
def test_errors_match_the_published_ones_at_every_magnitude(shared, band, faint):
    """Median published error over model error, order by order, magnitude by magnitude."""
    values, errors, g_mag = _real_rows(shared)
    rows = np.flatnonzero((g_mag > faint - 1) & (g_mag < faint))[:120]
    model = band_covariance(band, values[band][rows], np.full(rows.size, 40.0))
    sigma = np.sqrt(np.diagonal(model, axis1=1, axis2=2))
    ratio = np.median(errors[band][rows] / sigma, axis=0)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)
    assert ratio[:40].min() > 0.5
    assert ratio[:40].max() < 1.6
    assert ratio[40:].min() > 0.5
    assert ratio[40:].max() < 2.0


def test_correlations_resemble_the_published_ones(shared):
    """The real star that is neither saturated nor a flare star: same sign, same size."""
    table = Table.read(shared / "gaia_xp" / "XP_CONTINUOUS_RAW_with_missing_BP.fits")
    row = table[np.flatnonzero(np.array(table["source_id"]) == 5762406957886626816)[0]]
    real = unpack_correlations(np.array(row["rp_coefficient_correlations"], dtype=float), 55)
    found = band_covariance(
        "rp", np.array(row["rp_coefficients"], dtype=float)[np.newaxis], np.array([46.0])
    )[0]
    sigma = np.sqrt(np.diag(found))
    found = found / np.outer(sigma, sigma)
    upper = np.triu_indices(40, 1)
    assert np.corrcoef(real[upper], found[upper])[0, 1] > 0.65
    assert np.std(found[upper]) == pytest.approx(np.std(real[upper]), rel=0.5)
    assert np.median(np.array(row["rp_coefficient_errors"])[:30] / sigma[:30]) == pytest.approx(
        1.0, abs=0.3
    )


def test_relevant_bases_by_hand():
    significance = np.zeros((3, 6))
    significance[0, :3] = [9.0, 1.0, -5.0]
    significance[1, 5] = 4.0
    assert instrument._n_relevant(significance).tolist() == [3, 6, 1]
