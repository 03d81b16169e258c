"""The Payne: interpolation error, honest labels, velocities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy import units as u_

from starkin.models.rivals import Payne, PayneConfig
from starkin.nets.payne import shifted
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid, columns

from ..worlds import linear_spectra

C = 299_792.458
WAVELENGTH = 15_500.0 * 10 ** (6e-6 * np.arange(250))
_world = np.random.default_rng(11)
LINES = _world.uniform(WAVELENGTH[5], WAVELENGTH[-5], size=20)
STRENGTH = _world.uniform(0.1, 2.0, size=20)
EXPONENT = _world.normal(size=(20, 2)) * 0.6


def line_flux(u: np.ndarray, velocity: np.ndarray | float = 0.0) -> np.ndarray:
    """Saturating lines, exp(−τ φ), whose depths are exponentials of two labels.

    Gaussian profiles of 15 km/s, seen from a star that recedes with ``velocity`` [km/s].
    """
    velocity = np.broadcast_to(velocity, len(u))
    beta = velocity / C
    emitted = WAVELENGTH * np.sqrt((1 - beta) / (1 + beta))[:, None]
    depth = STRENGTH * np.exp(u @ EXPONENT.T)
    tau = np.zeros_like(emitted)
    for line, strength in zip(LINES, depth.T, strict=True):
        tau += strength[:, None] * np.exp(-0.5 * ((emitted / line - 1) * C / 15) ** 2)
    return np.exp(-tau)


def line_spectra(n: int, seed: int, snr: float, velocity: float = 0.0) -> SpectrumSet:
    draw = np.random.default_rng(seed)
    u = draw.uniform(-1, 1, size=(n, 2))
    moving = velocity * draw.uniform(-1, 1, size=n)
    flux = line_flux(u, moving)
    errors = np.full(flux.shape, 1 / snr)
    return SpectrumSet(
        np.arange(n),
        flux + errors * draw.normal(size=flux.shape),
        errors,
        WavelengthGrid(WAVELENGTH, unit="Angstrom"),
        mask=draw.random(flux.shape) < 0.02,
        unit=u_.dimensionless_unscaled,
    ).with_labels(teff=4500 + 500 * u[:, 0], m_h=0.5 * u[:, 1], true_velocity=moving)


@pytest.fixture(scope="module")
def trained() -> Payne:
    config = PayneConfig(
        labels=("teff", "m_h"), radial_velocity=True, max_velocity=60.0, epochs=50, hidden=(64, 64)
    )
    return Payne(config, threads=1).fit(line_spectra(1000, 0, snr=1000.0), seed=0)


def test_interpolation_error_is_below_the_noise(trained: Payne) -> None:
    """Median |error| of new spectra, as Ting et al. judge their networks (theirs: 0.1 %)."""
    u = np.random.default_rng(1).uniform(-0.95, 0.95, size=(300, 2))
    latents = np.column_stack([4500 + 500 * u[:, 0], 0.5 * u[:, 1], np.zeros(len(u))])
    error = np.abs(trained.decode(latents).values - line_flux(u))
    assert np.median(error) < 1e-3
    assert np.quantile(error, 0.99) < 0.01


def test_labels_and_velocity_of_noisy_moving_stars(trained: Payne) -> None:
    test = line_spectra(200, 2, snr=50.0, velocity=50.0)
    latents = trained.encode(test)
    assert latents.meta["latents"] == ["teff", "m_h", "radial_velocity"]
    truth = np.column_stack([test.label(n) for n in ("teff", "m_h", "true_velocity")])
    pull = (latents.mean - truth) / np.sqrt(latents.variance)
    spread = 1.4826 * np.median(np.abs(pull), axis=0)
    np.testing.assert_allclose(spread, 1, atol=0.25)
    assert (np.abs(pull) > 6).any(axis=1).mean() < 0.02
    assert np.median(np.sqrt(latents.variance[:, 2])) < 0.5  # [km/s]


def test_a_sample_is_at_rest(trained: Payne) -> None:
    sample = trained.sample(5, seed=0)
    assert np.array_equal(sample.label(columns.RADIAL_VELOCITY), np.zeros(5))


def test_doppler_shift_by_hand() -> None:
    """A line at 5000 Å of a star that recedes with 60 km/s appears at 5001.0008 Å."""
    wavelength = torch.linspace(4990, 5010, 20_001).double()
    flux = 1 - torch.exp(-0.5 * ((wavelength - 5000) / 0.05) ** 2)
    moved = shifted(flux[None], torch.tensor([60.0]).double(), wavelength)[0]
    beta = 60 / C
    expected = 5000 * np.sqrt((1 + beta) / (1 - beta))
    assert wavelength[moved.argmin()].item() == pytest.approx(expected, abs=0.001)
    assert expected == pytest.approx(5001.0008, abs=1e-4)
    still = shifted(flux[None], torch.tensor([0.0]).double(), wavelength)[0]
    torch.testing.assert_close(still, flux)


def test_a_velocity_needs_wavelengths() -> None:
    with pytest.raises(StarkinError, match="needs fluxes on wavelengths"):
        Payne(PayneConfig(radial_velocity=True)).fit(linear_spectra(50, 0, labels=True))


def test_linear_spectra_are_learnt_from_the_first_step() -> None:
    """The start is the linear regression: on linear spectra nothing is left to learn."""
    spectra = linear_spectra(1000, 3, labels=True)
    model = Payne(PayneConfig(epochs=1), threads=1).fit(spectra)
    assert model.card["metrics"]["chi2_per_value"] == pytest.approx(1, abs=0.1)
