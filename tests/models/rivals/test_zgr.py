"""Labels behind dust: the extinction law and honest labels come back from noisy spectra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from starkin.models.rivals import ZGR, ZGRConfig
from starkin.nets.dusty import DustyNetwork, parallax_of
from starkin.spectra import StarkinError
from starkin.spectra.photometry import passband_functionals
from starkin.spectra.projection import projection_matrix

from ..worlds import conditional_spectra, dust_curve, stellar_spectra

CONFIG = ZGRConfig(epochs=12, hidden=(32,), batch_size=150)


@pytest.fixture(scope="module")
def trained() -> ZGR:
    return ZGR(CONFIG, threads=1).fit(stellar_spectra(900, 1), seed=0)


def test_the_extinction_law_is_recovered(trained: ZGR) -> None:
    """The start, a power law of slope −1.5, is 11 % off at 400 nm and 15 % at 900 nm."""
    wavelength, curve = trained.extinction_curve()
    middle = (wavelength >= 400) & (wavelength <= 900)
    truth = dust_curve(wavelength)
    start = (wavelength / 550) ** -1.5
    assert np.abs(start / truth - 1)[middle].max() > 0.1
    assert np.abs(curve / truth - 1)[middle].max() < 0.05
    assert np.sqrt(np.mean((curve / truth - 1)[middle] ** 2)) < 0.025


def test_labels_extinction_and_distance_have_honest_errors(trained: ZGR) -> None:
    test = stellar_spectra(200, 2)
    latents = trained.encode(test)
    assert latents.meta["latents"] == ["teff", "logg", "m_h", "a_v", "distance_modulus"]
    names = ("teff", "logg", "m_h", "true_a_v", "true_modulus")
    truth = np.column_stack([test.label(name) for name in names])
    pull = (latents.mean - truth) / np.sqrt(latents.variance)
    spread = 1.4826 * np.median(np.abs(pull), axis=0)
    assert (spread > 0.6).all()
    assert (spread < 1.4).all()
    # The spectrum adds to what the dust map (0.1 mag) says of the extinction.
    assert np.median(np.abs(latents.mean[:, 3] - test.label("true_a_v"))) < 0.05
    n_used = latents.columns["n_used"]
    assert (n_used == 112).all()
    assert np.median(latents.columns["chi2"] / n_used) == pytest.approx(1, abs=0.2)


def test_without_a_parallax_the_luminosity_gives_the_distance(trained: ZGR) -> None:
    test = stellar_spectra(100, 3)
    blind = test.replace(labels=test.labels["teff", "phot_g_mean_flux", "a_v"])
    latents = trained.encode(blind)
    assert (latents.columns["n_used"] == 111).all()
    pull = (latents.mean[:, 4] - test.label("true_modulus")) / np.sqrt(latents.variance[:, 4])
    assert 0.5 < 1.4826 * np.median(np.abs(pull)) < 1.5
    assert np.median(latents.variance[:, 4]) > 2 * np.median(trained.encode(test).variance[:, 4])


def test_decoded_spectra_do_not_depend_on_distance(trained: ZGR) -> None:
    near = np.array([[5500.0, 3.5, -0.5, 0.7, 5.0]])
    far = near.copy()
    far[0, 4] = 12.0
    np.testing.assert_allclose(
        trained.decode(near).values, trained.decode(far).values, rtol=1e-12, atol=1e-15
    )
    g = trained.decode(near).values @ passband_functionals()[:, 0]
    np.testing.assert_allclose(g, 1, rtol=1e-5)  # per unit of G flux


def _network() -> DustyNetwork:
    wave = np.arange(320.0, 1086.0, 5.0)
    project, g = projection_matrix(wave), passband_functionals()[:, 0]
    network = DustyNetwork(
        1, (4,), wave, project, g, np.zeros(110), np.full(110, 1e-3), teff=(0, 5500.0, 500.0)
    )
    return network.double()


def test_extinction_and_distance_by_hand() -> None:
    assert parallax_of(torch.tensor(10.0)).item() == pytest.approx(1.0)  # 1 kpc
    network = _network()
    curve = network.extinction_curve().detach().numpy()
    np.testing.assert_allclose(curve, (network.wavelength.numpy() / 550) ** -1.5, rtol=1e-6)
    labels = torch.zeros((1, 1)).double()
    log_flux = network.log_flux(labels)
    behind = network.seen(log_flux, torch.tensor([1.0]).double())
    by_hand = np.exp(log_flux.detach().numpy()) * 10 ** (-0.4 * curve) @ network.projection.numpy()
    np.testing.assert_allclose(behind.detach(), by_hand, rtol=1e-6)
    # A_G of such a star behind A = 1 mag: 2.5 log of the ratio of its G fluxes.
    g = network.passband.numpy()
    bare = np.exp(log_flux.detach().numpy()) @ network.projection.numpy() @ g
    expected = -2.5 * np.log10(by_hand @ g / bare)
    found = network.absolute_magnitude(labels, log_flux, behind)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-6)
    assert 0.6 < expected[0] < 1.0


def test_the_best_extinction_is_the_one_that_was_put_in() -> None:
    network = _network()
    labels = torch.linspace(-1, 1, 7).double()[:, None]
    with torch.no_grad():
        log_flux = network.log_flux(labels)
        truth = torch.tensor([0.0, 0.1, 0.5, 1.0, 2.0, 4.0, 7.0]).double()
        x = network.standardised(network.seen(log_flux, truth))
        nothing = torch.zeros(7).double()
        found = network.best_extinction(log_flux, x, torch.ones_like(x), nothing, nothing)
        torch.testing.assert_close(found, truth, atol=1e-4, rtol=1e-4)
        # Where the spectrum says nothing, the prior decides.
        held = network.best_extinction(
            log_flux, x, 1e-12 * torch.ones_like(x), truth + 1, 1 + nothing
        )
        torch.testing.assert_close(held, truth + 1, atol=1e-3, rtol=0)


def test_other_grids_are_refused() -> None:
    with pytest.raises(StarkinError, match="needs Gaia XP coefficients"):
        ZGR(ZGRConfig(labels=("teff", "logg"))).fit(conditional_spectra(60, 0))
