"""From spectra as they were read to the tensors a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..spectra import SpectrumSet, XPGrid
from ..spectra.photometry import normalise
from ..spectra.transform import Standardiser

__all__ = ["Preprocessing", "Standardised"]


@dataclass(frozen=True)
class Standardised:
    """Standardised spectra as float32 tensors.

    Attributes
    ----------
    x, sigma : Tensor, shape (n_stars, n_pixels)
        Values and errors; 0 and 1 where masked.
    used : Tensor of bool, shape (n_stars, n_pixels)
        False where masked.
    """

    x: Tensor
    sigma: Tensor
    used: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice | Tensor | np.ndarray) -> Standardised:
        return Standardised(self.x[rows], self.sigma[rows], self.used[rows])

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.x, self.sigma, self.used


@dataclass(frozen=True)
class Preprocessing:
    """Division by the G flux (of XP spectra), then a fitted standardisation."""

    standardiser: Standardiser

    @classmethod
    def fit(cls, spectra: SpectrumSet) -> Self:
        """Learn from a training set as it was read."""
        return cls(Standardiser.fit(cls.normalise(spectra)))

    @staticmethod
    def normalise(spectra: SpectrumSet) -> SpectrumSet:
        """XP spectra per unit of G flux; other grids are expected to be normalised."""
        return normalise(spectra) if isinstance(spectra.grid, XPGrid) else spectra

    def __call__(self, spectra: SpectrumSet) -> Standardised:
        """Standardised tensors of spectra as they were read, or normalised already."""
        scaled = self.standardiser.transform(self.normalise(spectra))
        return Standardised(
            torch.from_numpy(np.ascontiguousarray(scaled.values, dtype=np.float32)),
            torch.from_numpy(np.ascontiguousarray(scaled.errors, dtype=np.float32)),
            torch.from_numpy(np.ascontiguousarray(~scaled.mask)),
        )

    # --- as arrays of a model directory -----------------------------------
    def to_arrays(self) -> dict[str, np.ndarray]:
        return self.standardiser.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(Standardiser.from_arrays(arrays))
