"""How a scatter VAE is trained: its start, its loss, and what is done to its input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..nets import Elbo, ScatterNetwork, StarkinScatterNetwork, elbo
from ..spectra import Grid, XPGrid
from .factors import fit_factors
from .preprocessing import Standardised
from .scatter_config import ScatterVAEConfig
from .training import Batch

__all__ = ["add_noise", "elbo_loss", "hide_a_band", "starting_network"]


def starting_network(config: ScatterVAEConfig, data: Standardised, seed: int) -> ScatterNetwork:
    """A fresh network; ours begins as the factor analysis of its training data."""
    network = config.network(data.x.shape[1], seed)
    if isinstance(network, StarkinScatterNetwork):
        x, sigma, used = (t.numpy() for t in data.tensors)
        start = fit_factors(x, sigma, used, config.n_latent)
        parts = (start.mean, start.loadings, start.unique, start.noise)
        network.start_from_factors(*(torch.from_numpy(a.astype(np.float32)) for a in parts))
    return network


def elbo_loss(
    network: ScatterNetwork, config: ScatterVAEConfig, grid: Grid
) -> Callable[[Batch, torch.Generator, float], Elbo]:
    """The loss of a batch (x, σ, used), for :func:`starkin.models.training.train`.

    In training mode the recipe's changes to the input are made first; whatever is
    hidden or made noisier is so for the encoder and the likelihood alike, so that
    the loss stays the −ELBO of the spectrum as changed. In evaluation mode the
    spectra are taken as they are.
    """

    def loss(batch: Batch, generator: torch.Generator, done: float) -> Elbo:
        x, sigma, used = batch
        if network.training and config.band_dropout and isinstance(grid, XPGrid):
            used = hide_a_band(used, grid, config.band_dropout, generator)
        if network.training and config.added_noise:
            x, sigma = add_noise(x, sigma, config.added_noise, generator)
        posterior = network.posterior(x, sigma, used)
        noise = torch.randn(posterior.mean.shape, generator=generator, device=generator.device)
        mean, scatter_variance = network.decode(posterior.sample(noise))
        return elbo(
            x,
            mean,
            scatter_variance + sigma**2,
            used,
            posterior,
            normalisation=config.loss_normalisation,
            kl_weight=min(1.0, done / config.kl_warm_up) if config.kl_warm_up else 1.0,
        )

    return loss


def add_noise(
    x: Tensor, sigma: Tensor, most: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Noise of up to ``most`` times the errors for half of the stars, and errors to match."""
    draw = 2 * torch.rand((len(x), 1), generator=generator, device=generator.device) - 1
    factor = most * draw.clamp(min=0)
    noise = torch.randn(x.shape, generator=generator, device=generator.device)
    return x + factor * sigma * noise, sigma * torch.sqrt(1 + factor**2)


def hide_a_band(
    used: Tensor, grid: XPGrid, probability: float, generator: torch.Generator
) -> Tensor:
    """Mask one band, BP as often as RP, of a share of the stars that have both."""
    draw = torch.rand((len(used), 1), generator=generator, device=generator.device)
    is_bp = torch.zeros(grid.n_pixels, dtype=torch.bool, device=used.device)
    is_bp[grid.band("bp")] = True
    hide = torch.where(draw < probability / 2, is_bp, (draw < probability) & ~is_bp)
    hidden = used & ~hide
    return torch.where(hidden.any(dim=1, keepdim=True), hidden, used)
