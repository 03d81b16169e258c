"""Reconstruction errors by hand, and a guard for each published mistake among them."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from starkin.latent.intervals import bootstrap, group_ratio, rmse_ratio
from starkin.latent.reconstruction import Reconstruction
from starkin.latent.whitening import whitened_chi2
from starkin.spectra import (
    SpectrumSet,
    StarkinError,
    WavelengthGrid,
    XPGrid,
    sample_spectra,
    sampling_design,
)


def _pixels(values, errors, **more) -> SpectrumSet:
    values = np.asarray(values, dtype=float)
    return SpectrumSet(
        source_id=np.arange(len(values)),
        values=values,
        errors=np.broadcast_to(np.asarray(errors, dtype=float), values.shape),
        grid=WavelengthGrid(np.arange(400.0, 400.0 + values.shape[1])),
        unit=u.dimensionless_unscaled,
        **more,
    )


def _xp(n: int, n_bp: int = 55, n_rp: int = 55, seed: int = 0, **more) -> SpectrumSet:
    rng = np.random.default_rng(seed)
    grid = XPGrid(n_bp, n_rp)
    values = rng.normal(1.0, 0.3, (n, grid.n_pixels))
    given = {"errors": rng.uniform(0.01, 0.05, values.shape), **more}
    spectra = SpectrumSet(np.arange(n), values, grid=grid, unit=u.dimensionless_unscaled, **given)
    return spectra.with_labels(g_flux=np.ones(n), g_flux_method=np.full(n, "flux"))


# --- pulls ------------------------------------------------------------------------
def test_mean_square_by_hand():
    """Residuals 2 and 4 with errors 1 and 2: pulls 2, 2; the masked third counts nowhere."""
    spectra = _pixels([[0.0, 0.0, 7.0]], [[1.0, 2.0, 1.0]], mask=[[False, False, True]])
    found = Reconstruction(spectra, np.array([[2.0, 4.0, 0.0]]))
    np.testing.assert_allclose(found.pulls(), [[2.0, 2.0, np.nan]])
    assert found.mean_square() == pytest.approx([4.0])
    assert found.summary()["rms"] == pytest.approx(2.0)


def test_the_sign_is_predicted_minus_observed():
    spectra = _pixels([[1.0, 1.0]] * 3, 0.5)
    assert Reconstruction(spectra, spectra.values + 1.0).summary()["bias"] == pytest.approx(2.0)


def test_a_star_the_model_lost_counts_as_failed_not_as_perfect():
    spectra = _pixels([[0.0, 0.0], [0.0, 0.0]], 1.0)
    found = Reconstruction(spectra, np.array([[1.0, 1.0], [0.0, np.nan]])).summary()
    assert (found["n"], found["n_failed"], found["rms"]) == (1, 1, pytest.approx(1.0))


def test_against_the_truth():
    spectra = _pixels([[3.0, -3.0]], 1.0)
    found = Reconstruction(spectra, np.array([[0.5, 0.5]]), truth=np.zeros((1, 2)))
    assert found.mean_square("truth") == pytest.approx([0.25])
    with pytest.raises(StarkinError, match="simulated"):
        Reconstruction(spectra, spectra.values).mean_square("truth")


def test_other_units_are_refused():
    raw = _xp(2).replace(unit=u.electron / u.s)
    with pytest.raises(StarkinError, match="normalise"):
        Reconstruction(raw, raw.values)


# --- by coefficient: "wrong coefficient indices" -----------------------------------
def test_errors_stand_at_the_coefficient_that_has_them():
    """Five BP coefficients: rp_0 is column 5; five of BP and RP are 0..4 and n_bp..n_bp+4."""
    spectra = _xp(50, 7, 6, errors=np.full((50, 13), 0.1))
    predicted = spectra.values.copy()
    predicted[:, 7] += 0.3  # rp_0
    predicted[:, 2] -= 0.2  # bp_2
    table = Reconstruction(spectra, predicted).by_coefficient()
    wrong = {str(r["coefficient"]): r["bias"] for r in table if abs(r["bias"]) > 1e-9}
    assert wrong == {"rp_0": pytest.approx(3.0), "bp_2": pytest.approx(-2.0)}
    first = table[(table["order"] < 5)]
    assert list(first["coefficient"][5:]) == [f"rp_{i}" for i in range(5)]
    assert list(table["order"][table["band"] == "rp"]) == list(range(6))


# --- by wavelength: "|design · sigma|" ---------------------------------------------
def test_flux_errors_are_propagated_with_squares_and_signs():
    """rms by wavelength is (AᵀΔ)/√(AᵀKA); |A|ᵀσ would be several times too large."""
    spectra = _xp(1)
    offset = 0.01 * spectra.errors
    found = Reconstruction(spectra, spectra.values + offset).by_wavelength()
    design = sampling_design()
    by_hand = (offset @ design)[0] / np.sqrt((spectra.errors[0] ** 2) @ design**2)
    np.testing.assert_allclose(found["bias"], by_hand, rtol=1e-9, atol=1e-12)
    linear = np.abs(design).T @ spectra.errors[0]
    assert np.median(linear / np.sqrt((spectra.errors[0] ** 2) @ design**2)) > 3
    flux = (spectra.values @ design)[0]
    np.testing.assert_allclose(
        found["bias_fraction"], (offset @ design)[0] / flux, rtol=1e-7, atol=1e-12
    )


def test_correlations_enter_the_flux_errors():
    """Two coefficients with correlation 1 − ε: variance A1² + A2² + 2 r A1 A2 in units of σ²."""
    correlations = np.full((1, 2 * 55 * 54 // 2), 0.0, dtype=np.float32)
    correlations[0, 0] = 0.9  # bp_0 with bp_1
    errors = np.full((1, 110), 1e-6)
    errors[0, :2] = 0.1
    spectra = _xp(1, errors=errors, correlations=correlations)
    predicted = spectra.values.copy()
    predicted[0, 0] += 0.1
    found = Reconstruction(spectra, predicted).by_wavelength(np.array([450.0, 500.0]))
    a, b = sampling_design(wavelength=np.array([450.0, 500.0]))[:2]
    np.testing.assert_allclose(found["bias"], a / np.sqrt(a**2 + b**2 + 2 * 0.9 * a * b), rtol=1e-4)


def test_noise_alone_gives_unit_spread_at_every_wavelength():
    rng = np.random.default_rng(3)
    truth = _xp(800)
    noisy = truth.replace(values=truth.values + truth.errors * rng.standard_normal((800, 110)))
    table = Reconstruction(noisy, truth.values).by_wavelength()
    assert np.all(np.abs(table["spread"] - 1) < 0.15)
    assert np.all(np.abs(table["bias"]) < 0.2)


def test_a_missing_band_is_left_out():
    mask = np.zeros((2, 110), dtype=bool)
    mask[0, :55] = True
    spectra = _xp(2, mask=mask)
    found = Reconstruction(spectra, spectra.values + spectra.errors)
    assert np.isfinite(found.by_wavelength()["rms"]).all()
    assert found.chi2[1].tolist() == [55, 110]
    blue = sample_spectra(spectra).mask[0]
    assert blue[0]
    assert not blue[-1]


# --- whitened chi-square: "a covariance chi-square that mixes units" -----------------
def test_chi_square_by_hand():
    """r = (2, 0), σ = (1, 1), ρ = ½: R⁻¹ = [[4, −2], [−2, 4]]/3, so χ² = 16/3."""
    spectra = _xp(1, 2, 1, errors=np.ones((1, 3)), correlations=np.array([[0.5]], dtype=np.float32))
    predicted = spectra.values + np.array([[2.0, 0.0, 3.0]])
    chi2, dof = whitened_chi2(spectra, predicted)
    assert chi2 == pytest.approx([16 / 3 + 9], rel=1e-4)
    assert dof.tolist() == [3]
    # With scatter 1: R + 1 = [[2, ½], [½, 2]], inverse [[2, −½], [−½, 2]]/3.75; RP: 9/2.
    with_scatter = whitened_chi2(spectra, predicted, np.ones((1, 3)))[0]
    assert with_scatter == pytest.approx([4 * 2 / 3.75 + 4.5], rel=1e-4)


def test_chi_square_does_not_depend_on_units():
    """Coefficients told in numbers a thousand times larger, each in its own: the same χ²."""
    rng = np.random.default_rng(1)
    spectra = _xp(4, 3, 2, correlations=rng.uniform(-0.3, 0.3, (4, 4)).astype(np.float32))
    predicted = spectra.values + spectra.errors * rng.standard_normal((4, 5))
    unit = np.array([1.0, 1e3, 1e-3, 1e6, 2.0])
    scaled = spectra.replace(values=spectra.values * unit, errors=spectra.errors * unit)
    np.testing.assert_allclose(
        whitened_chi2(scaled, predicted * unit)[0], whitened_chi2(spectra, predicted)[0], rtol=1e-9
    )


def test_chi_square_of_true_noise_has_its_distribution():
    rng = np.random.default_rng(5)
    n, size = 3000, 4
    half = rng.normal(size=(size, size))
    matrix = half @ half.T + np.eye(size)
    sigma = np.sqrt(np.diag(matrix))
    correlation = matrix / np.outer(sigma, sigma)
    packed = np.array([correlation[i, j] for j in range(size) for i in range(j)])
    noise = rng.multivariate_normal(np.zeros(size), matrix, n)
    values = np.column_stack([noise, rng.standard_normal(n)])
    spectra = _xp(
        n,
        4,
        1,
        errors=np.tile([*sigma, 1.0], (n, 1)),
        correlations=np.tile(packed, (n, 1)).astype(np.float32),
    ).replace(values=values)
    chi2, dof = whitened_chi2(spectra, np.zeros_like(values))
    assert chi2.mean() == pytest.approx(5, abs=4 * np.sqrt(10 / n))
    assert chi2.var() == pytest.approx(10, rel=0.2)
    # A coefficient that is not there leaves the marginal distribution of the others.
    mask = np.zeros(values.shape, dtype=bool)
    mask[:, 1] = True
    chi2, dof = whitened_chi2(spectra.replace(mask=mask), np.zeros_like(values))
    assert set(dof) == {4}
    assert chi2.mean() == pytest.approx(4, abs=4 * np.sqrt(8 / n))


def test_impossible_correlations_are_named():
    spectra = _xp(1, 2, 1, correlations=np.array([[1.5]], dtype=np.float32))
    with pytest.raises(StarkinError, match="source_id 0"):
        whitened_chi2(spectra, spectra.values)


# --- ratios: "an MSE ratio called RMSE" ----------------------------------------------
def test_the_ratio_is_of_roots():
    """Mean squares 4 and 1: the RMSE ratio is 2, not 4."""
    found = rmse_ratio(np.full(10, 4.0), np.full(10, 1.0))
    assert (found.value, found.low, found.high, found.n) == (2.0, 2.0, 2.0, 10)


def test_ratio_intervals_are_paired():
    """Two models that fail on the same stars: the ratio is known far better than either."""
    rng = np.random.default_rng(0)
    square = rng.lognormal(0, 2, 400)
    found = rmse_ratio(1.21 * square * rng.uniform(0.99, 1.01, 400), square)
    assert found.low < 1.1 < found.high
    assert found.high - found.low < 0.02
    square[3] = np.nan
    assert rmse_ratio(square, square).n == 399


def test_ratio_of_groups_by_hand():
    """Mean squares 9 and 16 in the group, 1 and 3 outside: √(12.5/2) = 2.5."""
    square, group = np.array([9.0, 1.0, 16.0, 3.0, np.nan]), np.array([1, 0, 1, 0, 1], dtype=bool)
    found = group_ratio(square, group)
    assert (found.value, found.n) == (pytest.approx(2.5), 2)
    assert found.low <= 2.5 <= found.high
    assert np.isnan(group_ratio(square, np.zeros(5, dtype=bool)).value)


def test_bootstrap_covers_the_error_of_a_mean():
    """95 % interval of a mean of n: ± 1.96 σ/√n."""
    values = np.random.default_rng(2).normal(size=900)
    found = bootstrap(lambda v: v.mean(axis=-1), values, n_resamples=2000)
    half = 1.96 * values.std() / 30
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)
    with pytest.raises(StarkinError):
        bootstrap(np.mean, values, level=1.5)


# --- by label -------------------------------------------------------------------------
def test_bins_of_a_label_by_hand():
    spectra = _pixels([[0.0, 0.0]] * 5, 1.0).with_labels(teff=[4000.0, 4100, 4999, 5000, np.nan])
    predicted = np.repeat([[1.0], [1.0], [4.0], [3.0], [9.0]], 2, axis=1)
    table = Reconstruction(spectra, predicted).by_label("teff", [4000, 5000, 6000])
    assert table["n"].tolist() == [3, 1]
    assert table["rms"].tolist() == pytest.approx([np.sqrt(6), 3.0])
    assert table["bias"].tolist() == pytest.approx([1.0, 3.0])
    assert str(table["low"].unit) == "K"
    assert table["chi2"].tolist() == pytest.approx([1.0, 9.0])
    with pytest.raises(StarkinError, match="edges"):
        Reconstruction(spectra, predicted).by_label("teff", [5000, 4000])
    with pytest.raises(StarkinError, match="standard bins"):
        Reconstruction(spectra, predicted).by_label("colour")
