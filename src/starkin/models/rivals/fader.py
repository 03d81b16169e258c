"""The fader autoencoder: latents from which an adversary cannot tell temperature and gravity."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ...nets.adversarial import Adversarial, AdversarialLoss, fader_loss, label_bins, selu_mlp
from ..training import Batch, Loss
from .autoencoder import AdversarialAutoencoder
from .autoencoder_config import FaderConfig

__all__ = ["Fader"]


class Fader(AdversarialAutoencoder):
    """Conditional autoencoder whose adversary predicts the binned labels from the latents.

    After de Mijolla et al. 2021 (arXiv:2103.06377) and Lample et al. 2017 (NeurIPS). With
    ``adversary_weight=0`` it is the conditional autoencoder alone, their baseline.

    Parameters
    ----------
    config : FaderConfig, optional
    device : str
        ``"cpu"``, ``"cuda"``, …
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.

    Examples
    --------
    >>> from starkin.models.rivals import Fader, FaderConfig
    >>> Fader(FaderConfig(recipe="published")).config.encoder
    (2048, 512, 128)
    """

    kind: ClassVar[str] = "fader"
    config_class: ClassVar[type] = FaderConfig
    config: FaderConfig

    def _adversary(self, n_inputs: int) -> nn.Module | None:
        config = self.config
        if config.adversary_weight == 0:
            return None
        n_cells = config.n_bins ** len(config.conditions)
        return selu_mlp([config.n_latent, *config.adversary, n_cells])

    def _loss(self, network: Adversarial, u: Tensor, n_pixels: int) -> Loss:
        config = self.config
        share = np.unique(label_bins(u, config.n_bins).numpy(), return_counts=True)[1] / len(u)
        entropy = float(-(share * np.log(share)).sum())

        def loss(batch: Batch, generator: torch.Generator, done: float) -> AdversarialLoss:
            x, u, *rest = batch
            return fader_loss(
                network,
                x,
                u,
                rest[0] if rest else None,
                weight=config.adversary_weight,
                n_bins=config.n_bins,
                entropy=entropy,
                n_pixels=n_pixels,
                seen=self._seen_noisy(x, generator),
            )

        return loss
