"""FactorDis: latents that a critic cannot join to the labels they came with."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ...nets.adversarial import Adversarial, AdversarialLoss, critic_loss, selu_mlp
from ..training import Batch, Loss
from .autoencoder import AdversarialAutoencoder
from .autoencoder_config import FactorDisConfig

__all__ = ["FactorDis"]


class FactorDis(AdversarialAutoencoder):
    """Conditional autoencoder with a Wasserstein critic on permuted labels.

    The critic compares (x, z, u) with (D(z, u′), z, u′), u′ the labels of other stars
    (de Mijolla et al. 2021, arXiv:2103.06377, and their public training script): it sees
    both whether z knows u and whether spectra decoded at other labels look real. In the light
    recipe it sees (z, u) and (z, u′) alone: small networks leave so much of a spectrum out that
    real ones are told from decoded ones by that, whatever z knows.

    Parameters
    ----------
    config : FactorDisConfig, optional
    device : str
        ``"cpu"``, ``"cuda"``, …
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.
    """

    kind: ClassVar[str] = "factor-dis"
    config_class: ClassVar[type] = FactorDisConfig
    config: FactorDisConfig

    def _adversary(self, n_inputs: int) -> nn.Module:
        config = self.config
        n_in = config.n_latent + len(config.conditions)
        n_in += n_inputs if config.critic_spectra else 0
        return selu_mlp([n_in, *config.adversary, 1])

    def _loss(self, network: Adversarial, u: Tensor, n_pixels: int) -> Loss:
        config = self.config

        def loss(batch: Batch, generator: torch.Generator, done: float) -> AdversarialLoss:
            x, u, *rest = batch
            return critic_loss(
                network,
                x,
                u,
                rest[0] if rest else None,
                weight=config.adversary_weight,
                generator=generator,
                critic_steps=config.critic_steps,
                penalty=config.penalty,
                n_pixels=n_pixels,
                spectra=config.critic_spectra,
                seen=self._seen_noisy(x, generator),
            )

        return loss
