"""The two networks of the scatter VAE: as published, and ours.

Both turn standardised spectra into a Gaussian posterior of the latents and
latents into a spectrum with an intrinsic scatter.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import dense_block, fold_batch_norm, mlp
from .inference import EncoderArrays, plain
from .posterior import GaussianPosterior

__all__ = ["PublishedScatterNetwork", "ScatterNetwork", "StarkinScatterNetwork"]


class ScatterNetwork(nn.Module):
    """What a scatter VAE needs of its network."""

    n_pixels: int
    n_latent: int

    @abstractmethod
    def posterior(self, x: Tensor, sigma: Tensor, used: Tensor) -> GaussianPosterior:
        """q(z | x).

        Parameters
        ----------
        x, sigma : Tensor, shape (n_stars, n_pixels)
            Standardised spectra and their errors.
        used : Tensor of bool, shape (n_stars, n_pixels)
            False where masked; any finite values may stand there.
        """

    @abstractmethod
    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Expectation x̂(z) and intrinsic *variance* ŝ²(z), shape (n_stars, n_pixels) each."""

    @abstractmethod
    def encoder_arrays(self) -> EncoderArrays:
        """The encoder at evaluation as plain float32 matrices on the CPU."""


class PublishedScatterNetwork(ScatterNetwork):
    """Laroche & Speagle 2025: 110-90-70-50-30-10 → 6, mirrored decoder and scatter head.

    The parameters are named and ordered as in the released checkpoints. The
    network was published without masks: a masked coefficient is set to the
    training mean (0 after standardising) at its input.
    """

    def __init__(self, n_pixels: int, n_latent: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.n_pixels, self.n_latent = n_pixels, n_latent
        widths = [n_pixels, *hidden]
        self.encoder = nn.Sequential(*map(dense_block, widths[:-1], widths[1:]))
        self.mu = nn.Linear(widths[-1], n_latent)
        self.log_var = nn.Linear(widths[-1], n_latent)
        self.decoder = self._head(widths, n_latent)
        self.scatter = self._head(widths, n_latent, nn.Sigmoid())

    @staticmethod
    def _head(widths: Sequence[int], n_latent: int, *last: nn.Module) -> nn.Sequential:
        mirrored = list(widths[::-1])
        return nn.Sequential(
            nn.Linear(n_latent, mirrored[0]),
            *map(dense_block, mirrored[:-2], mirrored[1:-1]),
            nn.Sequential(nn.Linear(mirrored[-2], mirrored[-1]), *last),
        )

    def posterior(self, x: Tensor, sigma: Tensor, used: Tensor) -> GaussianPosterior:
        hidden = self.encoder(x * used)
        return GaussianPosterior(self.mu(hidden), 0.5 * self.log_var(hidden))

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder(z), self.scatter(z) ** 2

    @torch.no_grad()
    def encoder_arrays(self) -> EncoderArrays:
        blocks = [list(block.children()) for block in self.encoder.children()]
        folded = [fold_batch_norm(linear, norm) for linear, norm, _ in blocks]
        return EncoderArrays(
            hidden=tuple((plain(weight.T), plain(bias)) for weight, bias in folded),
            output=(
                plain(torch.cat([self.mu.weight, 0.5 * self.log_var.weight]).T),
                plain(torch.cat([self.mu.bias, 0.5 * self.log_var.bias])),
            ),
            activation="gelu",
            n_latent=self.n_latent,
        )


class StarkinScatterNetwork(ScatterNetwork):
    """A factor analysis with non-linear corrections, aware of the errors.

    Encoder: the spectrum enters as x/(1 + σ²), the errors as the reliability
    τ²/(τ² + σ²) with τ the typical error; both fall to 0 as σ → ∞, and a masked
    coefficient is one with an infinite error. A linear path carries the
    factor-analysis posterior, an MLP corrects its mean and gives the Cholesky
    factor of a full covariance.

    Decoder: x̂(z) = b + W·z + MLP(z) and ŝ²(z) = floor² + exp(h₀ + MLP(z)).
    The scatter is positive and has no upper limit at which gradients vanish.

    Parameters
    ----------
    n_pixels, n_latent : int
    encoder, decoder, scatter : sequence of int
        Hidden widths of the three MLPs.
    n_noise : int
        Numbers to which the reliabilities of a star are reduced.
    scatter_floor : float
        Least intrinsic scatter, in standardised units.
    """

    typical_variance: Tensor

    def __init__(
        self,
        n_pixels: int,
        n_latent: int,
        encoder: Sequence[int],
        decoder: Sequence[int],
        scatter: Sequence[int],
        n_noise: int,
        scatter_floor: float,
    ) -> None:
        super().__init__()
        self.n_pixels, self.n_latent = n_pixels, n_latent
        self.scatter_floor = scatter_floor
        self.register_buffer("typical_variance", torch.ones(n_pixels))
        n_out = 2 * n_latent + n_latent * (n_latent - 1) // 2
        self.noise = nn.Linear(n_pixels, n_noise)
        self.encoder = mlp([n_pixels + n_noise, *encoder, n_out])
        self.encoder_skip = nn.Linear(n_pixels, n_latent)
        self.log_scale = nn.Parameter(torch.zeros(n_latent))
        self.decoder = mlp([n_latent, *decoder, n_pixels])
        self.decoder_skip = nn.Linear(n_latent, n_pixels)
        self.scatter = mlp([n_latent, *scatter, n_pixels])
        self.log_scatter = nn.Parameter(torch.zeros(n_pixels))

    @torch.no_grad()
    def start_from_factors(
        self, mean: Tensor, loadings: Tensor, unique: Tensor, typical_variance: Tensor
    ) -> None:
        """Make the network equal to a factor analysis x = mean + loadings·z + noise.

        Parameters
        ----------
        mean : Tensor, shape (n_pixels,)
            Expected spectrum at z = 0.
        loadings : Tensor, shape (n_pixels, n_latent)
            Change of the spectrum with each latent.
        unique : Tensor, shape (n_pixels,)
            Intrinsic variance that the factors leave.
        typical_variance : Tensor, shape (n_pixels,)
            Typical squared error of each coefficient, τ².
        """
        precision = 1 / (unique + typical_variance)
        information = loadings.T @ (precision[:, None] * loadings)
        covariance = torch.linalg.inv(torch.eye(self.n_latent).to(mean) + information)
        linear = covariance @ (loadings.T * precision)
        self.typical_variance.copy_(typical_variance)
        self.encoder_skip.weight.copy_(linear * (1 + typical_variance))
        self.encoder_skip.bias.copy_(-linear @ mean)
        self.log_scale.copy_(0.5 * torch.log(covariance.diagonal()))
        self.decoder_skip.weight.copy_(loadings)
        self.decoder_skip.bias.copy_(mean)
        self.log_scatter.copy_(torch.log(unique.clamp(min=1e-6)))

    def posterior(self, x: Tensor, sigma: Tensor, used: Tensor) -> GaussianPosterior:
        variance = sigma**2
        shrunk = x * used / (1 + variance)
        reliability = used * self.typical_variance / (self.typical_variance + variance)
        features = torch.cat([shrunk, self.noise(reliability)], dim=1)
        d = self.n_latent
        correction = self.encoder(features)
        return GaussianPosterior(
            mean=self.encoder_skip(shrunk) + correction[:, :d],
            log_scale=self.log_scale + correction[:, d : 2 * d],
            lower=correction[:, 2 * d :],
        )

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_variance = (self.log_scatter + self.scatter(z)).clamp(max=20.0)
        return (
            self.decoder_skip(z) + self.decoder(z),
            self.scatter_floor**2 + torch.exp(log_variance),
        )

    @torch.no_grad()
    def encoder_arrays(self) -> EncoderArrays:
        linear = [layer for layer in self.encoder if isinstance(layer, nn.Linear)]
        first, n = linear[0], self.n_pixels
        bias = first.bias + first.weight[:, n:] @ self.noise.bias
        hidden = [(first.weight[:, :n], bias), *((la.weight, la.bias) for la in linear[1:-1])]
        output_bias = linear[-1].bias.clone()
        output_bias[: self.n_latent] += self.encoder_skip.bias
        output_bias[self.n_latent : 2 * self.n_latent] += self.log_scale
        return EncoderArrays(
            hidden=tuple((plain(weight.T), plain(bias)) for weight, bias in hidden),
            output=(plain(linear[-1].weight.T), plain(output_bias)),
            activation="silu",
            n_latent=self.n_latent,
            skip=plain(self.encoder_skip.weight.T),
            noise=plain(self.noise.weight.T),
            noise_hidden=plain(first.weight[:, n:].T),
            typical_variance=plain(self.typical_variance),
        )
