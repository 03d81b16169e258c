"""The network of a plain β-VAE: two mirrored MLPs and nothing that knows of errors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import mlp
from .inference import EncoderArrays, plain
from .posterior import GaussianPosterior
from .scatter import ScatterNetwork

__all__ = ["BetaNetwork"]


class BetaNetwork(ScatterNetwork):
    """Encoder MLP to a diagonal Gaussian, mirrored decoder MLP to the spectrum.

    A masked value is 0, the training mean, at the input. ``variance`` is not learnt with
    the rest: it is what the trained decoder leaves unexplained, set in closed form.

    Parameters
    ----------
    n_pixels, n_latent : int
    hidden : sequence of int
        Widths of the encoder; the decoder mirrors them.
    """

    variance: Tensor

    def __init__(self, n_pixels: int, n_latent: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.n_pixels, self.n_latent = n_pixels, n_latent
        self.encoder = mlp([n_pixels, *hidden, 2 * n_latent])
        self.decoder = mlp([n_latent, *reversed(hidden), n_pixels])
        self.register_buffer("variance", torch.ones(n_pixels))

    def posterior(self, x: Tensor, sigma: Tensor, used: Tensor) -> GaussianPosterior:
        return GaussianPosterior.from_parameters(self.encoder(x * used), self.n_latent)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.decoder(z)
        return mean, self.variance.expand_as(mean)

    @torch.no_grad()
    def encoder_arrays(self) -> EncoderArrays:
        linear = [layer for layer in self.encoder if isinstance(layer, nn.Linear)]
        layers = tuple((plain(layer.weight.T), plain(layer.bias)) for layer in linear)
        return EncoderArrays(layers[:-1], layers[-1], "silu", self.n_latent)
