"""Settings of the scatter VAE and its two recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch

from ..nets.losses import LossNormalisation
from ..nets.scatter import PublishedScatterNetwork, ScatterNetwork, StarkinScatterNetwork
from ..spectra import StarkinError
from ..spectra.strict import (
    require_one_of,
    require_range,
    require_widths,
    settings_from,
    settings_to,
)
from .training import TrainingSettings

__all__ = ["RECIPES", "ScatterVAEConfig"]

#: What each recipe sets when the user leaves a field at None.
RECIPES: dict[str, dict[str, Any]] = {
    "laroche-speagle": {
        "encoder": (90, 70, 50, 30, 10),
        "decoder": (90, 70, 50, 30, 10),
        "scatter": (90, 70, 50, 30, 10),
        "epochs": 5000,
        "batch_size": 1024,
        "learning_rate": 1e-4,
        "weight_decay": 0.01,
        "schedule": "cosine-restarts",
        "patience": 0,
        "clip": 0.0,
        "kl_warm_up": 0.0,
        "band_dropout": 0.0,
        "added_noise": 0.0,
    },
    "starkin": {
        "encoder": (64, 64),
        "decoder": (64, 128),
        "scatter": (32, 64),
        "epochs": 60,
        "batch_size": 256,
        "learning_rate": 1e-2,
        "weight_decay": 0.01,
        "schedule": "one-cycle",
        "patience": 20,
        "clip": 100.0,
        "kl_warm_up": 0.0,
        "band_dropout": 0.02,
        "added_noise": 2.0,
    },
}


@dataclass(frozen=True)
class ScatterVAEConfig:
    """Settings of a :class:`~starkin.models.scatter_vae.ScatterVAE`.

    A field left at None takes the recipe's value.

    Parameters
    ----------
    recipe : {"starkin", "laroche-speagle"}
        Ours, or the published one (Laroche & Speagle 2025).
    n_latent : int
        Latent dimensions.
    encoder, decoder, scatter : tuple of int
        Hidden widths. The published recipe mirrors ``encoder`` in both others.
    loss_normalisation : {"sum", "mean"}
        See :func:`starkin.nets.elbo`. ``"sum"`` is the default, because it is the
        ELBO and what the published weights were trained with.
    epochs, batch_size : int
    learning_rate, weight_decay : float
    schedule : {"one-cycle", "cosine-restarts"}
    restart_epochs : int
        Length of a cosine of the second schedule.
    patience : int
        Epochs without improvement before training stops; 0 never stops.
    clip : float
        Largest gradient norm; 0 for none.
    kl_warm_up : float
        Fraction of the run over which the KL term rises from 0.
    band_dropout : float
        Share of XP training spectra of which one band is hidden (from the encoder
        and the loss alike), so that stars that lack a band are encoded well.
    added_noise : float
        Half of the training spectra get further noise, of a random size up to so many
        times their errors, and errors to match: more faint stars than there are.
    validation_fraction : float
        Part of the training set held out when no validation set is given.
    n_noise : int
        Numbers that describe the errors of a star to the encoder (ours only).
    scatter_floor : float
        Least intrinsic scatter in standardised units (ours only).
    """

    # Where the default is None, the recipe has replaced it once the object stands.
    recipe: Literal["starkin", "laroche-speagle"] = "starkin"
    n_latent: int = 6
    encoder: tuple[int, ...] = None  # type: ignore[assignment]
    decoder: tuple[int, ...] = None  # type: ignore[assignment]
    scatter: tuple[int, ...] = None  # type: ignore[assignment]
    loss_normalisation: LossNormalisation = "sum"
    epochs: int = None  # type: ignore[assignment]
    batch_size: int = None  # type: ignore[assignment]
    learning_rate: float = None  # type: ignore[assignment]
    weight_decay: float = None  # type: ignore[assignment]
    schedule: Literal["one-cycle", "cosine-restarts"] = None  # type: ignore[assignment]
    restart_epochs: int = 500
    patience: int = None  # type: ignore[assignment]
    clip: float = None  # type: ignore[assignment]
    kl_warm_up: float = None  # type: ignore[assignment]
    band_dropout: float = None  # type: ignore[assignment]
    added_noise: float = None  # type: ignore[assignment]
    validation_fraction: float = 0.1
    n_noise: int = 8
    scatter_floor: float = 1e-4

    def __post_init__(self) -> None:
        require_one_of(self, "recipe", tuple(RECIPES))
        for name, value in RECIPES[self.recipe].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        require_one_of(self, "loss_normalisation", ("sum", "mean"))
        require_one_of(self, "schedule", ("one-cycle", "cosine-restarts"))
        for name in ("encoder", "decoder", "scatter"):
            require_widths(self, name)
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.recipe == "laroche-speagle" and not (self.encoder == self.decoder == self.scatter):
            raise StarkinError(
                "ScatterVAEConfig.decoder and .scatter must equal .encoder: the recipe "
                "laroche-speagle mirrors its encoder."
            )
        require_range(self, "n_latent", 1, 256)
        require_range(self, "epochs", 1, 1_000_000)
        require_range(self, "batch_size", 2, 10_000_000)
        require_range(self, "restart_epochs", 1, 1_000_000)
        require_range(self, "patience", 0, 1_000_000)
        require_range(self, "n_noise", 1, 1024)
        require_range(self, "learning_rate", 1e-9, 10.0)
        require_range(self, "weight_decay", 0.0, 10.0)
        require_range(self, "clip", 0.0, 1e12)
        require_range(self, "kl_warm_up", 0.0, 1.0)
        require_range(self, "band_dropout", 0.0, 0.9)
        require_range(self, "added_noise", 0.0, 100.0)
        require_range(self, "validation_fraction", 0.001, 0.9)
        require_range(self, "scatter_floor", 1e-8, 1.0)

    # --- as JSON ------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return settings_to(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file.

        Raises
        ------
        StarkinError
            If a key is unknown or a value out of range.
        """
        return settings_from(cls, settings, "the scatter VAE")

    # --- what follows from them ----------------------------------------------
    def training(self) -> TrainingSettings:
        """The part that the training loop needs."""
        published = self.recipe == "laroche-speagle"
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            restart_epochs=self.restart_epochs,
            patience=self.patience,
            clip=self.clip,
            decay_matrices_only=not published,
            restore_best=not published,
            early_checks=0 if published else 4,
        )

    def network(self, n_pixels: int, seed: int) -> ScatterNetwork:
        """A fresh network; ``seed`` decides its random numbers, the global state stays."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.recipe == "laroche-speagle":
                return PublishedScatterNetwork(n_pixels, self.n_latent, self.encoder)
            return StarkinScatterNetwork(
                n_pixels,
                self.n_latent,
                self.encoder,
                self.decoder,
                self.scatter,
                self.n_noise,
                self.scatter_floor,
            )
