"""The full configuration of a discovery run: defaults, a file, the command line, in this order."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ..latent.clusters import FinderSettings
from ..models.scatter_config import ScatterVAEConfig
from ..spectra.errors import StarkinError
from ..spectra.strict import require_at_least, settings_from

__all__ = ["DiscoverConfig", "read_settings"]


@dataclass(frozen=True)
class DiscoverConfig:
    """Settings of :func:`starkin.survey.discover`.

    Parameters
    ----------
    model : ScatterVAEConfig
    populations : FinderSettings
    cut : {"full", "good", "pristine"}
        Catalogue cut on the label columns.
    select : str
        A further condition on label columns, for example ``"bp_rp < 1.5"``.
    seed : int
        Decides the split, the training and every random choice after it.
    n_model_seeds : int
        Models trained with different seeds; more than one tests whether the
        populations depend on the training's chance.
    n_resamples : int
        Resamples of the stability test.
    n_surrogates : int
        Structureless surrogates of the null test.
    n_permutations : int
        Permutations behind each p-value.
    n_spectra_shown : int
        Single-star spectra that the page holds, at most.
    """

    model: ScatterVAEConfig = field(default_factory=ScatterVAEConfig)
    populations: FinderSettings = field(default_factory=FinderSettings)
    cut: str = "full"
    select: str = ""
    seed: int = 0
    n_model_seeds: int = 3
    n_resamples: int = 20
    n_surrogates: int = 10
    n_permutations: int = 999
    n_spectra_shown: int = 60_000

    def __post_init__(self) -> None:
        require_at_least(
            self,
            seed=0,
            n_model_seeds=1,
            n_resamples=2,
            n_surrogates=1,
            n_permutations=19,
            n_spectra_shown=0,
        )
        if self.cut not in ("full", "good", "pristine"):
            raise StarkinError(
                f"DiscoverConfig.cut must be full, good or pristine, got {self.cut!r}."
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file.

        Raises
        ------
        StarkinError
            If a key is unknown or a value out of range.
        """
        return settings_from(
            cls,
            settings,
            "a discovery run",
            model=ScatterVAEConfig.from_dict(settings.get("model", {})),
            populations=settings_from(
                FinderSettings, settings.get("populations", {}), "the population finder"
            ),
        )


def read_settings(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """A configuration file, TOML or JSON by its suffix, as nested dictionaries; none, nothing.

    Raises
    ------
    StarkinError
        If it cannot be read or is not a table of settings.
    """
    if path is None:
        return {}
    path = Path(path)
    try:
        text = path.read_text()
        settings = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise StarkinError(f"Cannot read the configuration {path}: {error}") from error
    if not isinstance(settings, dict):
        raise StarkinError(f"The configuration {path} must be a table of settings.")
    return settings
