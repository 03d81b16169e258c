"""Sampling against GaiaXPy on real stars, and covariances against their definition."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given, settings
from hypothesis import strategies as st

from starkin.spectra import (
    SpectrumSet,
    StarkinError,
    WavelengthGrid,
    XPGrid,
    bases,
    fit_coefficients,
    pack_correlations,
    project,
    sample_spectra,
    sampled_covariance,
    unpack_correlations,
)

USER_GRID = np.arange(330.0, 1050.5, 4.5)


def random_set(n: int, seed: int, correlated: bool = True) -> SpectrumSet:
    """Stars with random proper correlations; fewer than half of the variance shared."""
    rng = np.random.default_rng(seed)
    packed = []
    for _ in range(2):
        loading = rng.normal(size=(n, 55, 4))
        covariance = loading @ loading.transpose(0, 2, 1) + 4 * np.eye(55)
        sigma = np.sqrt(np.einsum("nii->ni", covariance))
        packed.append(pack_correlations(covariance / sigma[:, :, None] / sigma[:, None, :]))
    return SpectrumSet(
        source_id=np.arange(n),
        values=rng.normal(size=(n, 110)),
        errors=rng.uniform(0.1, 2, size=(n, 110)),
        correlations=np.concatenate(packed, axis=1).astype(np.float32) if correlated else None,
        grid=XPGrid(),
    )


def definition(spectra: SpectrumSet, star: int, wavelength=None) -> np.ndarray:
    """Σ over bands of (A w)^T diag(e) R diag(e) (A w), written out plainly."""
    total = 0.0
    weights = bases.merge_weights(wavelength)
    for band in ("bp", "rp"):
        part = spectra.grid.band(band)
        packed = spectra.correlations[star, spectra.grid.correlation_slice(band)]
        d = np.diag(spectra.errors[star, part].astype(float))
        k = d @ unpack_correlations(packed.astype(float), 55) @ d
        a = bases.band_design(band, wavelength) * weights[band]
        total = total + a.T @ k @ a
    return total


@pytest.fixture(scope="module")
def calibrated(three_stars_file: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gaiaxpy

        return {
            name: gaiaxpy.calibrate(
                three_stars_file, sampling=grid, save_file=False, with_correlation=True
            )[0]
            for name, grid in (("default", None), ("user", USER_GRID))
        }


@pytest.mark.parametrize(("name", "grid"), [("default", None), ("user", USER_GRID)])
def test_fluxes_and_errors_are_gaiaxpys(three_stars, calibrated, name, grid):
    ours = sample_spectra(three_stars, grid)
    for i, theirs in enumerate(calibrated[name].itertuples()):
        assert theirs.source_id == ours.source_id[i]
        np.testing.assert_array_equal(ours.mask[i], np.isnan(theirs.flux))
        good = ~ours.mask[i]
        assert good.sum() > 80
        np.testing.assert_allclose(ours.values[i, good], theirs.flux[good], rtol=1e-10)
        # Their correlations come from text in double precision, ours are float32.
        np.testing.assert_allclose(ours.errors[i, good], theirs.flux_error[good], rtol=1e-7)


def test_correlations_are_gaiaxpys_where_one_band_stands_alone(three_stars, calibrated):
    wavelength = bases.default_wavelength()
    _, covariance = next(iter(sampled_covariance(three_stars)))
    sigma = np.sqrt(np.einsum("nii->ni", covariance))
    ours = covariance[0] / sigma[0][:, None] / sigma[0]
    theirs = unpack_correlations(_by_columns(calibrated["default"].correlation[0], 343), 343)
    for alone in (wavelength < 635, wavelength > 643):
        square = np.ix_(alone, alone)
        np.testing.assert_allclose(ours[square], theirs[square], atol=1e-6)
    # In the overlap theirs is known to be wrong: see the module's first lines.
    overlap = np.ix_((wavelength > 635) & (wavelength < 643), wavelength < 635)
    assert np.abs(ours[overlap] - theirs[overlap]).max() > 0.05


def _by_columns(lower_by_rows: np.ndarray, n: int) -> np.ndarray:
    """GaiaXPy lists the lower triangle by rows, which is the upper one by columns."""
    assert lower_by_rows.size == n * (n - 1) // 2
    return np.asarray(lower_by_rows)


@pytest.mark.parametrize("grid", [None, USER_GRID])
def test_covariances_are_those_of_the_definition(grid):
    spectra = random_set(3, seed=1)
    errors = sample_spectra(spectra, grid).errors
    seen = 0
    for rows, covariance in sampled_covariance(spectra, grid):
        for star, matrix in zip(range(rows.start, rows.stop), covariance, strict=True):
            expected = definition(spectra, star, grid)
            np.testing.assert_allclose(matrix, expected, atol=1e-12 * expected.max(), rtol=1e-10)
            np.testing.assert_allclose(errors[star] ** 2, np.diag(expected), rtol=1e-9)
            seen += 1
    assert seen == 3


def test_real_covariances_are_those_of_the_definition(three_stars):
    (_, covariance), *rest = sampled_covariance(three_stars)
    assert not rest
    for star in (0, 2):
        expected = definition(three_stars, star)
        np.testing.assert_allclose(
            covariance[star], expected, atol=1e-12 * expected.max(), rtol=1e-10
        )
    missing = bases.default_wavelength() <= 635
    assert np.isnan(covariance[1][missing]).all()
    assert np.isfinite(covariance[1][np.ix_(~missing, ~missing)]).all()


def test_independent_coefficients_by_hand():
    """Without correlations the variance is Σ_i A_i² e_i²."""
    spectra = random_set(2, seed=2, correlated=False)
    design = bases.sampling_design()
    sampled = sample_spectra(spectra)
    np.testing.assert_allclose(sampled.errors**2, spectra.errors**2 @ design**2, rtol=1e-10)
    np.testing.assert_allclose(sampled.values, spectra.values @ design, rtol=1e-9, atol=1e-32)
    with pytest.raises(StarkinError, match="have no BP correlations"):
        sample_spectra(spectra, correlated=True)
    ignored = sample_spectra(random_set(2, seed=2), correlated=False)
    np.testing.assert_allclose(ignored.errors, sampled.errors)


def test_a_star_without_correlations_among_stars_with_them():
    spectra = random_set(3, seed=4)
    correlations = spectra.correlations.copy()
    correlations[1] = np.nan
    mixed = sample_spectra(spectra.replace(correlations=correlations)).errors
    np.testing.assert_allclose(mixed[[0, 2]], sample_spectra(spectra).errors[[0, 2]])
    np.testing.assert_allclose(mixed[1], sample_spectra(spectra, correlated=False).errors[1])


@pytest.mark.parametrize("one", [True, False])
@pytest.mark.parametrize("band", ["bp", "rp"])
def test_a_missing_band_leaves_the_other_alone(band, one):
    """One masked coefficient counts as a missing band; the other is used unweighted."""
    other = {"bp": "rp", "rp": "bp"}[band]
    spectra = random_set(2, seed=5)
    mask = np.zeros((2, 110), dtype=bool)
    part = spectra.grid.band(band)
    mask[0, part.start : part.start + 1 if one else part.stop] = True
    sampled = sample_spectra(spectra.replace(mask=mask))
    wavelength = bases.default_wavelength()
    reach = wavelength < 643 if other == "bp" else wavelength > 635
    np.testing.assert_array_equal(sampled.mask[0], ~reach)
    expected = spectra.values[0, spectra.grid.band(other)] @ bases.band_design(other)
    np.testing.assert_allclose(sampled.values[0, reach], expected[reach], rtol=1e-10)
    assert not sampled.mask[1].any()


def test_a_star_without_both_bands_is_masked():
    spectra = random_set(2, seed=6)
    mask = np.zeros((2, 110), dtype=bool)
    mask[1] = True
    sampled = sample_spectra(spectra.replace(mask=mask))
    assert sampled.mask[1].all()
    assert not sampled.mask[0].any()
    assert np.isnan(next(iter(sampled_covariance(spectra.replace(mask=mask))))[1][1]).all()


def test_impossible_correlations_mask_the_flux_rather_than_give_nan():
    spectra = random_set(1, seed=7)
    sampled = sample_spectra(spectra.replace(correlations=np.full((1, 2970), -1, np.float32)))
    assert sampled.mask.any()
    assert np.isfinite(sampled.errors).all()


def test_pieces_of_bounded_memory_agree_with_one_piece():
    spectra = random_set(5, seed=8)
    whole = np.concatenate([c for _, c in sampled_covariance(spectra, USER_GRID)])
    pieces = list(sampled_covariance(spectra, USER_GRID, memory=2 * 8 * USER_GRID.size**2))
    assert [len(c) for _, c in pieces] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([c for _, c in pieces]), whole)


def test_many_chunks_agree_with_one_star_at_a_time(monkeypatch):
    spectra = random_set(7, seed=9)
    mask = np.zeros((7, 110), dtype=bool)
    mask[[1, 4], :55] = True
    mask[2, 60] = True
    spectra = spectra.replace(mask=mask)
    whole = sample_spectra(spectra)
    monkeypatch.setattr("starkin.spectra.propagation.CHUNK_BYTES", 1)
    single = sample_spectra(spectra)
    np.testing.assert_array_equal(whole.mask, single.mask)
    np.testing.assert_allclose(whole.values, single.values, rtol=1e-10, atol=1e-31)
    np.testing.assert_allclose(whole.errors, single.errors, rtol=1e-10)


def test_threads_change_nothing(monkeypatch):
    spectra = random_set(9, seed=10)
    mask = np.zeros((9, 110), dtype=bool)
    mask[[2, 3], :55] = True
    spectra = spectra.replace(mask=mask)
    monkeypatch.setattr("starkin.spectra.propagation.CHUNK_BYTES", 2 * 16 * 2970)
    one, three = (sample_spectra(spectra, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(three.values, one.values)
    np.testing.assert_array_equal(three.errors, one.errors)
    memory = 4 * 8 * 343**2
    one, three = (
        np.concatenate([m for _, m in sampled_covariance(spectra, memory=memory, threads=n)])
        for n in (1, 3)
    )
    np.testing.assert_array_equal(three, one)
    with pytest.raises(StarkinError, match="threads must be at least 1, got 0"):
        sample_spectra(spectra, threads=0)


def test_an_error_in_a_thread_is_the_callers(monkeypatch):
    """The second star of four lacks correlations: whichever thread meets it."""
    spectra = random_set(4, seed=11)
    correlations = spectra.correlations.copy()
    correlations[1] = np.nan
    monkeypatch.setattr("starkin.spectra.propagation.CHUNK_BYTES", 1)
    with pytest.raises(StarkinError, match="have no BP correlations"):
        sample_spectra(spectra.replace(correlations=correlations), correlated=True, threads=2)


def test_units_labels_and_grid_travel_along():
    spectra = random_set(2, seed=10).with_labels(teff=[5000.0, 6000.0])
    sampled = sample_spectra(spectra, WavelengthGrid([4000.0, 5000.0, 9000.0], unit="Angstrom"))
    assert sampled.unit == u.Unit("W m-2 nm-1")
    np.testing.assert_allclose(sampled.grid.wavelength, [400, 500, 900])
    np.testing.assert_array_equal(sampled.label("teff"), [5000, 6000])
    relative = sample_spectra(spectra.replace(unit=u.dimensionless_unscaled))
    assert relative.unit * u.Unit("electron s-1") == u.Unit("W m-2 nm-1")


def test_only_xp_coefficients_can_be_sampled():
    sampled = sample_spectra(random_set(1, seed=11))
    with pytest.raises(StarkinError, match="Only XP coefficients"):
        sample_spectra(sampled)
    with pytest.raises(StarkinError, match="against wavelength"):
        fit_coefficients(random_set(1, seed=11))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sampled_covariances_are_positive(seed):
    for _, covariance in sampled_covariance(random_set(1, seed), np.linspace(350, 1000, 40)):
        eigenvalues = np.linalg.eigvalsh(covariance[0])
        assert eigenvalues.min() > -1e-12 * eigenvalues.max()


# --- and back ---------------------------------------------------------------
def solar(wavelength: np.ndarray) -> np.ndarray:
    x = 2.5e3 / wavelength
    return 1e-15 * x**5 / np.expm1(x) * (1 - 0.2 * np.exp(-0.5 * ((wavelength - 520) / 12) ** 2))


def test_sampling_undoes_fitting():
    wavelength = np.arange(330.0, 1051, 2)
    flux = np.stack([solar(wavelength), 3 * solar(wavelength)])
    spectra = SpectrumSet(
        source_id=[1, 2],
        values=flux,
        errors=0.01 * flux,
        grid=WavelengthGrid(wavelength, frame="observed"),
        unit=u.Unit("W m-2 nm-1"),
    )
    fitted = fit_coefficients(spectra)
    assert fitted.unit == u.electron / u.s
    used = np.arange(360.0, 1000, 2)
    again = sample_spectra(fitted, used)
    assert np.sqrt(np.mean((again.values[0] / solar(used) - 1) ** 2)) < 0.01


def test_fitted_errors_match_a_monte_carlo():
    wavelength = np.arange(330.0, 1051, 3)
    flux = solar(wavelength)
    sigma = 0.02 * flux
    spectra = SpectrumSet(
        source_id=[1],
        values=flux[None],
        errors=sigma[None],
        grid=WavelengthGrid(wavelength),
        unit=u.Unit("W m-2 nm-1"),
    )
    fitted = fit_coefficients(spectra)
    draws = project(
        wavelength,
        flux + sigma * np.random.default_rng(0).normal(size=(4000, flux.size)),
    )
    np.testing.assert_allclose(draws.std(axis=0), fitted.errors[0], rtol=0.06)
    packed = np.concatenate(
        [pack_correlations(np.corrcoef(draws[:, s].T)) for s in (slice(55), slice(55, 110))]
    )
    np.testing.assert_allclose(fitted.correlations[0], packed, atol=0.09)


def test_a_masked_pixel_masks_the_bands_that_see_it():
    wavelength = np.arange(330.0, 1051, 2)
    flux = np.tile(solar(wavelength), (3, 1))
    mask = np.zeros(flux.shape, dtype=bool)
    mask[0, np.searchsorted(wavelength, 500)] = True
    mask[1, np.searchsorted(wavelength, 800)] = True
    spectra = SpectrumSet([1, 2, 3], flux, 0.01 * flux, WavelengthGrid(wavelength), mask=mask)
    fitted = fit_coefficients(spectra)
    np.testing.assert_array_equal(fitted.band_missing("bp"), [True, False, False])
    np.testing.assert_array_equal(fitted.band_missing("rp"), [False, True, False])
