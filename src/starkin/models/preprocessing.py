"""From spectra as they were read to the tensors a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..spectra import SpectrumSet, XPGrid, columns
from ..spectra.flags import Flag
from ..spectra.photometry import g_flux, is_normalised, normalise
from ..spectra.quality import require_normalised
from ..spectra.transform import Standardiser

__all__ = ["Prepared", "Preprocessing", "Standardised"]

_LOOKED_AT = 512


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
class Prepared:
    """Spectra with all that it takes to standardise any of their rows.

    The division by the G flux and the standardisation are one pass in float32 over
    the rows asked for, so that a whole set is never copied; the numbers are those of
    :func:`~starkin.spectra.photometry.normalise` and
    :meth:`~starkin.spectra.transform.Standardiser.transform`.

    Attributes
    ----------
    spectra : SpectrumSet
        As read, with the labels of normalised spectra.
    flux : ndarray or None, shape (n_stars,)
        By which to divide; None where that was done.
    mask : ndarray of bool, shape (n_stars, n_pixels)
        True where missing, stars without a G flux included.
    standardiser : Standardiser
    """

    spectra: SpectrumSet
    flux: np.ndarray | None
    mask: np.ndarray
    standardiser: Standardiser

    @cached_property
    def _constants(self) -> tuple[np.ndarray, np.ndarray]:
        scale = self.standardiser.scale
        return (-self.standardiser.mean / scale).astype(np.float32), (1 / scale).astype(np.float32)

    def tensors(self, rows: slice | np.ndarray) -> tuple[Tensor, Tensor, Tensor | None]:
        """x, σ, and what is used (None where nothing is masked) of some stars."""
        values, errors, mask = self.spectra.values[rows], self.spectra.errors[rows], self.mask[rows]
        flux = np.ones(len(values)) if self.flux is None else self.flux[rows]
        x, sigma = np.empty(values.shape, np.float32), np.empty(values.shape, np.float32)
        per_flux = (1 / flux).astype(np.float32)
        _standardise(values, errors, per_flux, *self._constants, x, sigma)
        if not mask.any():
            return torch.from_numpy(x), torch.from_numpy(sigma), None
        x[mask], sigma[mask] = 0, 1
        return torch.from_numpy(x), torch.from_numpy(sigma), torch.from_numpy(~mask)

    def flags(self) -> np.ndarray:
        """:class:`~starkin.spectra.flags.Flag` bits that the data decide, shape (n_stars,)."""
        spectra, mask = self.spectra, self.mask
        flags = np.zeros(len(spectra), dtype=np.int32)
        if mask.any():
            flags[mask.any(axis=1)] |= Flag.PARTLY_MASKED
            flags[mask.all(axis=1)] |= Flag.NOT_ENCODED
            if isinstance(spectra.grid, XPGrid):
                flags[spectra.band_missing("bp")] |= Flag.MISSING_BP
                flags[spectra.band_missing("rp")] |= Flag.MISSING_RP
        if columns.NORMALISATION_METHOD in spectra.labels.colnames:
            synthetic = np.asarray(spectra.labels[columns.NORMALISATION_METHOD]) == "synthetic"
            flags[synthetic] |= Flag.SYNTHETIC_G_FLUX
        return flags


@njit(nogil=True, cache=True, error_model="numpy")
def _standardise(values, errors, per_flux, minus_centre, inverse, x, sigma):
    """Fill x and σ in one pass over the spectra."""
    for star in range(values.shape[0]):
        factor = per_flux[star]
        for pixel in range(values.shape[1]):
            scaled = np.float32(values[star, pixel]) * inverse[pixel] * factor
            x[star, pixel] = scaled + minus_centre[pixel]
            sigma[star, pixel] = np.float32(errors[star, pixel]) * inverse[pixel] * factor


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
        x, sigma, used = self.prepare(spectra).tensors(slice(None))
        return Standardised(
            x, sigma, torch.ones(x.shape, dtype=torch.bool) if used is None else used
        )

    def prepare(self, spectra: SpectrumSet) -> Prepared:
        """Everything but the arithmetic, which :meth:`Prepared.tensors` does by rows.

        Raises
        ------
        StarkinError
            If the spectra are in a unit that the standardisation was not fitted for, or fluxes
            are not normalised to the continuum.
        """
        if not isinstance(spectra.grid, XPGrid):
            # A few hundred stars tell whether a set was normalised; medians of all take seconds.
            require_normalised(spectra[:_LOOKED_AT])
        self.standardiser.transform(self.normalise(spectra[:1]))  # refuses what does not fit
        if not isinstance(spectra.grid, XPGrid) or is_normalised(spectra):
            return Prepared(spectra, None, spectra.mask, self.standardiser)
        flux, method = g_flux(spectra)
        known = method != "none"
        labels = {columns.NORMALISATION_FLUX: flux, columns.NORMALISATION_METHOD: method}
        mask = spectra.mask if known.all() else spectra.mask | ~known[:, np.newaxis]
        return Prepared(
            spectra.with_labels(**labels), np.where(known, flux, 1.0), mask, self.standardiser
        )

    # --- as arrays of a model directory -----------------------------------
    def to_arrays(self) -> dict[str, np.ndarray]:
        return self.standardiser.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(Standardiser.from_arrays(arrays))
