"""Settings of Cycle-StarNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...nets.cycle import CycleWeights
from ...spectra import StarkinError
from ...spectra.strict import require_range, require_widths, settings_from, settings_to
from ..training import TrainingSettings

__all__ = ["CycleStarNetConfig"]


@dataclass(frozen=True)
class CycleStarNetConfig:
    """Settings of a :class:`~starkin.models.rivals.cycle.CycleStarNet`.

    Parameters
    ----------
    synthetic : str
        File, folder or pattern of the synthetic spectra, on the grid of the observed ones. It
        may stay empty where ``fit`` is given the spectra themselves.
    n_latent : int
        Shared latents: the latents of this model.
    n_split : int
        Latents of observed spectra alone; 0 for none.
    hidden : tuple of int
        Widths from the spectra to the latents, and back. Layers of the first width belong to a
        domain, the others to both.
    critic : tuple of int
        Hidden widths of both critics.
    components : int
        Principal components of both sets together that the networks see.
    cycle_weight, adversarial_weight, latent_weight, change_weight, split_weight : float
        Of the losses beside the reconstruction within a domain, whose weight is 1: squared
        errors and changes in units of the usual error, cross-entropies in nats.
    split_from : float
        Part of the run after which split latents take part: what shared latents can say has
        been learnt by then.
    floor : float
        Errors are taken as no smaller than this share of a pixel's scatter among observed
        stars, so that spectra of very high S/N do not drown the other losses.
    epochs, batch_size : int
        An epoch sees every observed star once, with as many synthetic ones.
    learning_rate : float
        Largest rate of a one-cycle schedule.
    validation_fraction : float
        Part of the synthetic set held out, and of the observed one when no validation set is
        given.
    """

    synthetic: str = ""
    n_latent: int = 16
    n_split: int = 2
    hidden: tuple[int, ...] = (128, 64)
    critic: tuple[int, ...] = (64, 64)
    components: int = 40
    cycle_weight: float = 1.0
    adversarial_weight: float = 0.3
    latent_weight: float = 1.0
    change_weight: float = 1.0
    split_weight: float = 0.2
    split_from: float = 0.3
    floor: float = 0.02
    epochs: int = 60
    batch_size: int = 128
    learning_rate: float = 2e-3
    validation_fraction: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.synthetic, str):
            raise StarkinError(
                f"CycleStarNetConfig.synthetic must name a file, got {self.synthetic!r}."
            )
        require_range(self, "n_latent", 1, 1024)
        require_range(self, "n_split", 0, 1024)
        for name in ("hidden", "critic"):
            require_widths(self, name)
        require_range(self, "components", 1, 100_000)
        for loss in ("cycle", "adversarial", "latent", "change", "split"):
            require_range(self, f"{loss}_weight", 0.0, 1e6)
        require_range(self, "split_from", 0.0, 1.0)
        require_range(self, "floor", 0.0, 1.0)
        require_range(self, "epochs", 1, 1_000_000)
        require_range(self, "batch_size", 2, 10_000_000)
        require_range(self, "learning_rate", 1e-9, 10.0)
        require_range(self, "validation_fraction", 0.001, 0.9)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return settings_to(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file; refuses unknown keys."""
        return settings_from(cls, settings, "Cycle-StarNet")

    def weights(self) -> CycleWeights:
        """Of the losses."""
        return CycleWeights(
            cycle=self.cycle_weight,
            adversarial=self.adversarial_weight,
            latent=self.latent_weight,
            change=self.change_weight,
            split=self.split_weight,
        )

    def training(self) -> TrainingSettings:
        """The part that the training loop needs.

        The last weights are kept: losses of a game between networks do not tell the best.
        """
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            schedule="one-cycle",
            restore_best=False,
        )
