"""What the twin evaluation computes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from ..spectra.errors import StarkinError
from ..spectra.strict import require_at_least, settings_from

__all__ = ["TRACKS", "TwinEvaluation"]

#: What a metric may be made from: the trained model alone; the unlabelled pool beside it; up
#: to a hundred pairs known to be twins.
TRACKS = ("inductive", "transductive", "pairs")


@dataclass(frozen=True)
class TwinEvaluation:
    """Settings of :func:`starkin.survey.evaluate_twins`.

    Parameters
    ----------
    snr : tuple of float
        Signal-to-noise ratios per pixel at which to judge; infinity for the spectra as they
        are.
    n_seeds : int
        Noise seeds at each finite ratio.
    tracks : tuple of {"inductive", "transductive", "pairs"}
    n_known_pairs : int
        Pairs that the third track is told.
    n_asked : int
        Stars whose best twins teach the metric of the second track, at most; 0 for all.
    n_candidates : int
        Stars whose likelihood ratio is computed exactly, at most, for each star.
    n_swapped : int
        Stars that are decoded with their twin's latent.
    n_probed : int
        Stars on which leakage and information are measured.
    max_stars : int
        Size of the pool, whole pairs; 0 for all.
    batch : int
        Stars encoded at a time.
    workers : int
        Threads of the candidate search.
    seed : int
        Of every random choice but the noise.
    """

    snr: tuple[float, ...] = (math.inf, 100.0, 50.0, 30.0)
    n_seeds: int = 3
    tracks: tuple[str, ...] = TRACKS
    n_known_pairs: int = 100
    n_asked: int = 5_000
    n_candidates: int = 400
    n_swapped: int = 4_000
    n_probed: int = 8_000
    max_stars: int = 0
    batch: int = 2_500
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        def require(name: str, good: bool, range_: str) -> None:
            if not good:
                raise StarkinError(
                    f"TwinEvaluation.{name} is {getattr(self, name)!r}; it must be {range_}."
                )

        object.__setattr__(self, "snr", tuple(float(s) for s in self.snr))
        object.__setattr__(self, "tracks", tuple(self.tracks))
        require("snr", bool(self.snr) and all(s > 0 for s in self.snr), "one or more ratios > 0")
        require(
            "tracks",
            bool(self.tracks) and set(self.tracks) <= set(TRACKS),
            f"one or more of {', '.join(TRACKS)}",
        )
        require("n_known_pairs", 2 <= self.n_known_pairs <= 100, "within 2..100")
        require_at_least(
            self,
            n_seeds=1,
            n_asked=0,
            n_candidates=1,
            n_swapped=2,
            n_probed=30,
            max_stars=0,
            batch=1,
            workers=1,
            seed=0,
        )

    def trials(self) -> list[tuple[float, int]]:
        """Noise levels with their seeds; without noise one seed says all."""
        return [(s, k) for s in self.snr for k in range(self.n_seeds if math.isfinite(s) else 1)]

    def identity(self) -> dict[str, Any]:
        """What decides a trial's numbers, beside its model, noise level and seed."""
        free = {"snr", "n_seeds", "workers"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in free}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file."""
        return settings_from(cls, settings, "the twin evaluation")
