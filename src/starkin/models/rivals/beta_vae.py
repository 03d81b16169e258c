"""A plain β-VAE of spectra: the scatter VAE without scatter and without errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from ...nets import Elbo, elbo
from ...nets.beta import BetaNetwork
from ...nets.intrinsic import intrinsic_variance
from ...nets.scatter import ScatterNetwork
from ...spectra import Grid
from ...spectra.strict import require_range, require_widths, settings_from, settings_to
from ..preprocessing import Standardised
from ..scatter_vae import ScatterVAE
from ..training import Batch, Loss, TrainingSettings

__all__ = ["BetaVAE", "BetaVAEConfig"]

#: No intrinsic scatter below this [standardised units, squared]: scores stay finite.
_LEAST_VARIANCE = 1e-8


@dataclass(frozen=True)
class BetaVAEConfig:
    """Settings of a :class:`BetaVAE`.

    Parameters
    ----------
    n_latent : int
        Latent dimensions.
    beta : float
        Weight of the KL term beside ½Σ(x − x̂)² (Higgins et al. 2017), in standardised
        units. It is the same as a decoder with the one variance β for every coefficient.
    hidden : tuple of int
        Widths of the encoder; the decoder mirrors them.
    epochs, batch_size : int
    learning_rate, weight_decay : float
        One-cycle schedule with AdamW.
    patience : int
        Epochs without improvement before training stops; 0 never stops.
    clip : float
        Largest gradient norm; 0 for none.
    validation_fraction : float
        Part of the training set held out when no validation set is given.
    """

    n_latent: int = 6
    beta: float = 0.05
    hidden: tuple[int, ...] = (128, 64)
    epochs: int = 60
    batch_size: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 0.01
    patience: int = 20
    clip: float = 100.0
    validation_fraction: float = 0.1

    def __post_init__(self) -> None:
        require_range(self, "n_latent", 1, 256)
        require_range(self, "beta", 1e-6, 1e6)
        require_widths(self, "hidden")
        require_range(self, "epochs", 1, 1_000_000)
        require_range(self, "batch_size", 2, 10_000_000)
        require_range(self, "learning_rate", 1e-9, 10.0)
        require_range(self, "weight_decay", 0.0, 10.0)
        require_range(self, "patience", 0, 1_000_000)
        require_range(self, "clip", 0.0, 1e12)
        require_range(self, "validation_fraction", 0.001, 0.9)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return settings_to(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file; refuses unknown keys."""
        return settings_from(cls, settings, "the β-VAE")

    def training(self) -> TrainingSettings:
        """The part that the training loop needs."""
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule="one-cycle",
            patience=self.patience,
            clip=self.clip,
        )

    def network(self, n_pixels: int, seed: int) -> BetaNetwork:
        """A fresh network; ``seed`` decides its random numbers, the global state stays."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return BetaNetwork(n_pixels, self.n_latent, self.hidden)


class BetaVAE(ScatterVAE):
    """Latents and spectra from spectra alone, every coefficient weighing the same.

    Parameters
    ----------
    config : BetaVAEConfig, optional
    device : str
    threads : int
        As for :class:`~starkin.models.scatter_vae.ScatterVAE`, whose training, encoding,
        scores and directory this model shares.
    """

    kind: ClassVar[str] = "beta-vae"
    config_class: ClassVar[type] = BetaVAEConfig
    config: BetaVAEConfig  # type: ignore[assignment]

    def __init__(
        self, config: BetaVAEConfig | None = None, *, device: str = "cpu", threads: int = 0
    ) -> None:
        super().__init__(config, device=device, threads=threads)  # type: ignore[arg-type]

    def _starting_network(self, data: Standardised, seed: int) -> ScatterNetwork:
        return self.config.network(data.x.shape[1], seed)

    def _loss(self, network: ScatterNetwork, grid: Grid) -> Loss:
        """½Σ(x − x̂)²/β + KL: the −ELBO of a decoder with variance β everywhere."""

        def loss(batch: Batch, generator: torch.Generator, done: float) -> Elbo:
            x, sigma, used = batch
            posterior = network.posterior(x, sigma, used)
            noise = torch.randn(posterior.mean.shape, generator=generator, device=x.device)
            mean, _ = network.decode(posterior.sample(noise))
            return elbo(x, mean, torch.full_like(x, self.config.beta), used, posterior)

        return loss

    @torch.no_grad()
    def _after_training(self, network: ScatterNetwork, data: Standardised) -> None:
        assert isinstance(network, BetaNetwork)
        squares = []
        for start in range(0, len(data), 8192):
            x, sigma, used = (t.to(self.device) for t in data[start : start + 8192].tensors)
            mean, _ = network.decode(network.posterior(x, sigma, used).mean)
            squares.append(((x - mean) ** 2).cpu())
        found = intrinsic_variance(torch.cat(squares).double(), data.sigma.double() ** 2, data.used)
        network.variance.copy_(found.clamp(min=_LEAST_VARIANCE))
