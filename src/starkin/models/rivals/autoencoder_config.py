"""Settings of the conditional autoencoders with an adversary: fader and FactorDis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from ...spectra import StarkinError, columns
from ...spectra.strict import (
    require_one_of,
    require_range,
    require_widths,
    settings_from,
    settings_to,
)
from ..training import TrainingSettings
from .linear_config import require_names

__all__ = ["AutoencoderConfig", "FactorDisConfig", "FaderConfig"]


@dataclass(frozen=True)
class AutoencoderConfig:
    """What both have; a field left at None takes the recipe's value.

    Parameters
    ----------
    recipe : {"light", "published"}
        ``"published"``: the networks and rates of de Mijolla et al. 2021, which see every
        pixel and train for a day on a GPU. ``"light"``: the same objective with small
        networks on principal components, which trains in minutes on a core.
    conditions : tuple of str
        Label columns that the latents shall not know.
    n_latent : int
    encoder, decoder, adversary : tuple of int
        Hidden widths.
    components : int
        Principal components that the networks see; 0 for the pixels themselves.
    adversary_weight : float
        λ, in units of the mean squared error of 4·flux − 3.5.
    added_noise : float
        Half of the training spectra are shown to the encoder with white noise of a random
        standard deviation up to this (in flux; of XP, in standard deviations) and compared
        with the spectra without it, so that one model serves more than one S/N.
    epochs, batch_size : int
        The light recipe's 100 epochs are meant for thousands of stars or more.
    learning_rate : float
        Of Adam.
    schedule : {"one-cycle", "constant"}
    validation_fraction : float
        Part of the training set held out when no validation set is given.
    """

    _what: ClassVar[str]
    _recipes: ClassVar[dict[str, dict[str, Any]]]

    recipe: Literal["light", "published"] = "light"
    conditions: tuple[str, ...] = (columns.TEFF, columns.LOGG)
    n_latent: int = 20
    # Where the default is None, the recipe has replaced it once the object stands.
    encoder: tuple[int, ...] = None  # type: ignore[assignment]
    decoder: tuple[int, ...] = None  # type: ignore[assignment]
    adversary: tuple[int, ...] = None  # type: ignore[assignment]
    components: int = None  # type: ignore[assignment]
    adversary_weight: float = None  # type: ignore[assignment]
    added_noise: float = None  # type: ignore[assignment]
    epochs: int = None  # type: ignore[assignment]
    batch_size: int = 256
    learning_rate: float = None  # type: ignore[assignment]
    schedule: Literal["one-cycle", "constant"] = None  # type: ignore[assignment]
    validation_fraction: float = 0.02

    def __post_init__(self) -> None:
        require_one_of(self, "recipe", tuple(self._recipes))
        for name, value in self._recipes[self.recipe].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        require_names(self, "conditions")
        if not self.conditions:
            raise StarkinError(f"{type(self).__name__}.conditions must name at least one column.")
        for name in ("encoder", "decoder", "adversary"):
            require_widths(self, name)
        require_range(self, "n_latent", 1, 1024)
        require_range(self, "components", 0, 100_000)
        require_range(self, "adversary_weight", 0.0, 1e6)
        require_range(self, "added_noise", 0.0, 1.0)
        require_range(self, "epochs", 1, 1_000_000)
        require_range(self, "batch_size", 2, 10_000_000)
        require_range(self, "learning_rate", 1e-9, 10.0)
        require_one_of(self, "schedule", ("one-cycle", "constant"))
        require_range(self, "validation_fraction", 0.001, 0.9)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return settings_to(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file; refuses unknown keys."""
        return settings_from(cls, settings, cls._what)

    def training(self) -> TrainingSettings:
        """The part that the training loop needs.

        The last weights are kept: the best reconstruction is that of the least disentangled.
        """
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            schedule=self.schedule,
            restore_best=False,
        )


@dataclass(frozen=True)
class FaderConfig(AutoencoderConfig):
    """Settings of a :class:`~starkin.models.rivals.fader.Fader`.

    ``adversary_weight = 0`` is the conditional autoencoder without adversary.

    Parameters
    ----------
    n_bins : int
        Cells into which each condition's range is cut; the adversary tells their grid.
    """

    _what: ClassVar[str] = "the fader"
    _recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "encoder": (2048, 512, 128),
            "decoder": (512, 2048, 8192),
            "adversary": (512, 256),
            "components": 0,
            "adversary_weight": 1e-5,
            "added_noise": 0.0,
            "epochs": 20_000,
            "learning_rate": 1e-5,
            "schedule": "constant",
        },
        "light": {
            "encoder": (128, 64),
            "decoder": (64, 128),
            "adversary": (64, 64),
            "components": 64,
            "adversary_weight": 3e-4,
            "added_noise": 0.02,
            "epochs": 100,
            "learning_rate": 2e-3,
            "schedule": "one-cycle",
        },
    }

    n_bins: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, "n_bins", 2, 1000)
        if self.n_bins ** len(self.conditions) > 1_000_000:
            raise StarkinError(
                f"FaderConfig.n_bins of {self.n_bins} makes more than a million cells of "
                f"{len(self.conditions)} conditions; take fewer."
            )


@dataclass(frozen=True)
class FactorDisConfig(AutoencoderConfig):
    """Settings of a :class:`~starkin.models.rivals.factor_dis.FactorDis`.

    Parameters
    ----------
    critic_steps : int
        The autoencoder learns in one step of so many, the critic in all.
    critic_spectra : bool
        Whether the critic sees spectra beside latents and labels.
    penalty : float
        Weight of the critic's gradient penalty.
    """

    _what: ClassVar[str] = "FactorDis"
    _recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {
            "encoder": (2048, 512, 128),
            "decoder": (512, 2048, 8192),
            "adversary": (4096, 1024, 512, 128, 32),
            "components": 0,
            "adversary_weight": 1e-4,
            "added_noise": 0.0,
            "epochs": 10_000,
            "learning_rate": 1e-5,
            "schedule": "constant",
            "critic_steps": 10,
            "critic_spectra": True,
        },
        "light": {
            "encoder": (128, 64),
            "decoder": (64, 128),
            "adversary": (64, 64),
            "components": 64,
            "adversary_weight": 3e-4,
            "added_noise": 0.02,
            "epochs": 100,
            "learning_rate": 1e-3,
            "schedule": "one-cycle",
            "critic_steps": 1,
            "critic_spectra": False,
        },
    }

    critic_steps: int = None  # type: ignore[assignment]
    critic_spectra: bool = None  # type: ignore[assignment]
    penalty: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, "critic_steps", 1, 1000)
        require_range(self, "penalty", 0.0, 1e6)
