"""From spectra and labels to what a model that is told labels computes with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from ..spectra import SpectrumSet, StarkinError, WavelengthGrid, XPGrid
from ..spectra.flags import Flag
from ..spectra.quality import quality_flags, signal_to_noise
from ..spectra.transform import Standardiser
from .conditions import Conditions
from .preprocessing import Prepared, Preprocessing

__all__ = [
    "Inputs",
    "PreparedInputs",
    "Rows",
    "few_of",
    "lowest_snr",
    "split_rows",
    "usable_rows",
]

#: Stars, by a slice or by their numbers.
Rows = slice | np.ndarray

#: Training stars that tell which S/N a model has seen.
_SNR_STARS = 2000
#: A star is flagged below this part of the training's S/N; of noise one part in a hundred or
#: less no model learns anything, so that better training spectra count as S/N 100.
_FAR, _GOOD_SNR = 0.25, 100.0


@dataclass(frozen=True)
class PreparedInputs:
    """Spectra and labels with all that it takes to compute on any of their rows.

    Attributes
    ----------
    prepared : Prepared
    u : ndarray, shape (n_stars, n_conditions)
        Standardised conditions; 0 where missing. No columns for a model that has none.
    flags : ndarray of int32, shape (n_stars,)
        Of the data and of the labels; a star without a label it needs is ``NOT_ENCODED``.
    """

    prepared: Prepared
    u: np.ndarray
    flags: np.ndarray

    def __len__(self) -> int:
        return len(self.flags)

    @property
    def spectra(self) -> SpectrumSet:
        return self.prepared.spectra

    def identity(self, rows: np.ndarray) -> dict[str, str]:
        """What tells training on these rows from another: hashes over all values, in seconds."""
        return {
            "train": self.spectra.fingerprint,
            "rows": hashlib.sha256(rows.tobytes()).hexdigest(),
            "conditions": hashlib.sha256(self.u.tobytes()).hexdigest(),
        }

    @property
    def lost(self) -> np.ndarray:
        """Stars that cannot be encoded, shape (n_stars,)."""
        return (self.flags & Flag.NOT_ENCODED) != 0

    def tensors(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor | None]:
        """x, σ, and what is used (None for all) of some stars."""
        return self.prepared.tensors(rows)  # type: ignore[arg-type]  # numbers index as well


@dataclass(frozen=True)
class Inputs:
    """Scaling of the spectra, and the conditions if there are any.

    Attributes
    ----------
    preprocessing : Preprocessing
    conditions : Conditions or None
    lowest_snr : float or None
        S/N per pixel of the worst training spectra (their first percentile); None where it
        was not kept, and for XP coefficients.
    """

    preprocessing: Preprocessing
    conditions: Conditions | None
    lowest_snr: float | None = None

    @classmethod
    def fit(
        cls,
        spectra: SpectrumSet,
        rows: np.ndarray,
        names: Sequence[str],
        *,
        centre: float = 0.0,
        scale: float = 1.0,
    ) -> Self:
        """Learn from the training rows of a set.

        XP coefficients, whose sizes differ by orders of magnitude, are standardised one
        by one. Normalised fluxes all become (flux − ``centre``)/``scale``, so that an
        error of the flux weighs the same in every pixel.
        """
        if isinstance(spectra.grid, XPGrid):
            preprocessing = Preprocessing.fit(spectra[rows])
        else:
            even = np.ones(spectra.n_pixels)
            preprocessing = Preprocessing(
                Standardiser(centre * even, scale * even, spectra.unit.to_string())
            )
        conditions = Conditions.fit(spectra, names, rows) if names else None
        return cls(preprocessing, conditions, lowest_snr(spectra, rows))

    def prepare(self, spectra: SpectrumSet) -> PreparedInputs:
        """Everything but the arithmetic on the spectra.

        Raises
        ------
        StarkinError
            If a label column that the model is told is missing altogether, or fluxes are
            not normalised to the continuum.
        """
        prepared = self.preprocessing.prepare(spectra)
        flags = prepared.flags()
        if isinstance(spectra.grid, WavelengthGrid):
            seen = self.lowest_snr
            least = None if seen is None else _FAR * min(seen, _GOOD_SNR)
            flags |= quality_flags(spectra, lowest_snr=least)
        if self.conditions is None:
            return PreparedInputs(prepared, np.empty((len(spectra), 0)), flags)
        values = self.conditions.of(spectra)
        flags |= self.conditions.flags(values)
        flags[(flags & Flag.LABEL_MISSING) != 0] |= Flag.NOT_ENCODED
        u = np.nan_to_num(self.conditions.standardise(values))
        return PreparedInputs(prepared, u, flags)

    # --- as arrays of a model directory -----------------------------------
    def to_arrays(self) -> dict[str, np.ndarray]:
        arrays = {f"scaling.{k}": v for k, v in self.preprocessing.to_arrays().items()}
        if self.conditions is not None:
            arrays |= {f"conditions.{k}": v for k, v in self.conditions.to_arrays().items()}
        if self.lowest_snr is not None:
            arrays["training.lowest_snr"] = np.array(self.lowest_snr)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        parts: dict[str, dict[str, np.ndarray]] = {"scaling": {}, "conditions": {}, "training": {}}
        for name, array in arrays.items():
            part, key = name.split(".", 1)
            parts[part][key] = array
        conditions = Conditions.from_arrays(parts["conditions"]) if parts["conditions"] else None
        seen = parts["training"].get("lowest_snr")  # Older directories do not tell.
        preprocessing = Preprocessing.from_arrays(parts["scaling"])
        return cls(preprocessing, conditions, None if seen is None else float(seen))


def lowest_snr(spectra: SpectrumSet, rows: np.ndarray | None = None) -> float | None:
    """S/N per pixel of the worst of the training rows of fluxes; None for XP coefficients.

    The first percentile of a few thousand stars: one spoilt star says nothing of the rest.
    """
    if not isinstance(spectra.grid, WavelengthGrid):
        return None
    rows = np.arange(len(spectra)) if rows is None else rows
    few = few_of(rows, _SNR_STARS)
    return float(np.nanpercentile(signal_to_noise(spectra[few]), 1))


def few_of(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly picked."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))]


def usable_rows(spectra: SpectrumSet, names: Sequence[str]) -> np.ndarray:
    """Numbers of the stars that have something unmasked and every label of ``names``."""
    usable = ~spectra.mask.all(axis=1)
    for name in names:
        usable &= np.isfinite(spectra.label(name))
    return np.flatnonzero(usable)


def _lacking(spectra: SpectrumSet, names: Sequence[str]) -> str:
    """Why stars cannot be trained on, in words."""
    counts = {"have no usable pixel": int(spectra.mask.all(axis=1).sum())}
    counts |= {f"lack {name}": int((~np.isfinite(spectra.label(name))).sum()) for name in names}
    reasons = [f"{count} {what}" for what, count in counts.items() if count]
    return f"of {len(spectra)} stars {', '.join(reasons) or 'all are usable, which is too few'}"


def split_rows(
    train: SpectrumSet,
    validation: SpectrumSet | None,
    names: Sequence[str],
    fraction: float,
    seed: int,
) -> tuple[SpectrumSet, np.ndarray, SpectrumSet, np.ndarray]:
    """What to train on and what to judge by: two sets (or twice the one), and rows of each.

    Rows rather than subsets, because a subset of fluxes is a copy of gigabytes. Without
    ``validation`` a seeded ``fraction`` of the usable stars of ``train`` is held out.

    Raises
    ------
    StarkinError
        If too few stars are usable, or the two sets are on different grids.
    """
    train = Preprocessing.normalise(train)
    rows = usable_rows(train, names)
    if validation is None:
        order = np.random.default_rng(seed).permutation(rows)
        n_held_out = max(1, round(fraction * len(rows)))
        held_out_set, held_out = train, np.sort(order[:n_held_out])
        rows = np.sort(order[n_held_out:])
    else:
        train.grid.require(validation.grid, "The validation set")
        held_out_set = Preprocessing.normalise(validation)
        held_out = usable_rows(held_out_set, names)
    if len(rows) < 2 or len(held_out) < 1:
        told = f" with {', '.join(names)}" if names else ""
        raise StarkinError(
            f"Training needs usable spectra{told} in both parts, got {len(rows)} to train on "
            f"and {len(held_out)} to validate; {_lacking(train, names)}."
        )
    return train, rows, held_out_set, held_out
