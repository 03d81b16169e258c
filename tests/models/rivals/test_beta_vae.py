"""The β-VAE: what β means, and what it leaves."""

from __future__ import annotations

import numpy as np
import torch

from starkin.models.rivals import BetaVAE, BetaVAEConfig
from starkin.nets.beta import BetaNetwork

from ..worlds import linear_spectra


def test_the_loss_by_hand() -> None:
    """½Σ(x − x̂)²/β + ½Σ(μ² + s² − 1 − log s²), without the masked values."""
    model = BetaVAE(BetaVAEConfig(n_latent=1, beta=0.5, hidden=(2,)))
    network = BetaNetwork(3, 1, (2,))
    # An untrained network: posterior N(0, 1), decoder 0; then a posterior mean of 2 by its bias.
    with torch.no_grad():
        network.encoder[-1].bias[0] = 2.0
    x = torch.tensor([[1.0, 2.0, 50.0]])
    used = torch.tensor([[True, True, False]])
    loss = model._loss(network, None)  # type: ignore[arg-type]
    result = loss((x, torch.ones_like(x), used), torch.Generator().manual_seed(0), 0.0)
    # The −ELBO of a decoder with variance β has ½ log β for each of the two values as well.
    expected = 0.5 * (1 + 4) / 0.5 + 0.5 * 2 * np.log(0.5) + 0.5 * 4
    np.testing.assert_allclose(result.total.item(), expected, rtol=1e-6)


def test_a_large_beta_empties_the_latents_and_a_small_one_fills_them() -> None:
    spectra = linear_spectra(400, 5)
    active = {}
    for beta in (0.05, 50.0):
        config = BetaVAEConfig(n_latent=3, beta=beta, epochs=15, batch_size=100)
        model = BetaVAE(config, threads=1).fit(spectra, seed=0)
        active[beta] = model.encode(spectra).mean.var(axis=0)
    assert (active[0.05] > 0.3).sum() == 3
    assert (active[50.0] < 0.1).all()


def test_scatter_is_what_the_decoder_leaves_beyond_the_errors() -> None:
    """The world has none: spectra are linear in three factors with stated errors."""
    spectra = linear_spectra(800, 6)
    config = BetaVAEConfig(n_latent=3, beta=0.02, epochs=30, batch_size=100)
    model = BetaVAE(config, threads=1).fit(spectra, seed=0)
    typical = np.median(spectra.errors / spectra.label("phot_g_mean_flux")[:, None])
    scatter = model.decode(np.zeros((1, 3))).scatter[0]
    assert np.median(scatter) < 0.6 * typical
