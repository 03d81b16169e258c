"""What a spectrograph makes of a spectrum: pixels, a Gaussian line-spread function, gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from ..spectra import StarkinError, WavelengthGrid

__all__ = ["APOGEE_CHIPS", "APOGEE_PIXELS", "Spectrograph", "apogee_wavelength"]

#: log10 of the first wavelength [Å, vacuum], step and number of pixels of APOGEE's common grid.
APOGEE_PIXELS = (4.179, 6e-6, 8575)
#: Pixels of the three chips that pipelines use, as half-open ranges: 7,214 in all.
APOGEE_CHIPS = ((322, 3242), (3648, 6048), (6412, 8306))

_FWHM = 2 * np.sqrt(2 * np.log(2.0))  # of a Gaussian, in standard deviations
_REACH = 4.0  # standard deviations to which the line-spread function is followed
_C_KMS = 2.99792458e5


def apogee_wavelength(gaps: bool = True) -> np.ndarray:
    """Vacuum wavelengths of APOGEE's pixels [Å]; with ``gaps``, those of the three chips only."""
    start, step, n = APOGEE_PIXELS
    wavelength = 10 ** (start + step * np.arange(n))
    return np.concatenate([wavelength[a:b] for a, b in APOGEE_CHIPS]) if gaps else wavelength


@dataclass(frozen=True, eq=False)
class Spectrograph:
    """Pixels and resolution.

    Parameters
    ----------
    wavelength : ndarray, shape (n_pixels,)
        Vacuum wavelengths of the pixels [Å], increasing; gaps are allowed. By default those of
        APOGEE's three chips.
    resolution : float
        λ/Δλ, Δλ being the full width at half maximum of the Gaussian line-spread function.
    """

    wavelength: np.ndarray | None = None
    resolution: float = 22_500.0

    def __post_init__(self) -> None:
        given = apogee_wavelength() if self.wavelength is None else self.wavelength
        wavelength = np.array(given, dtype=float)
        if wavelength.ndim != 1 or wavelength.size < 2 or not np.all(np.diff(wavelength) > 0):
            raise StarkinError(
                "Spectrograph.wavelength must be one-dimensional and strictly increasing."
            )
        if not (wavelength[0] >= 3000 and wavelength[-1] <= 25_000):
            raise StarkinError(
                "Spectrograph.wavelength must lie in 3000..25000 Å, got "
                f"{wavelength[0]:g}..{wavelength[-1]:g}."
            )
        if not 1_000 <= self.resolution <= 200_000:
            raise StarkinError(
                f"Spectrograph.resolution must lie in 1000..200000, got {self.resolution:g}."
            )
        wavelength.setflags(write=False)
        object.__setattr__(self, "wavelength", wavelength)

    @property
    def n_pixels(self) -> int:
        return int(self.pixels.size)

    @property
    def pixels(self) -> np.ndarray:
        """Vacuum wavelengths [Å], shape ``(n_pixels,)``."""
        assert self.wavelength is not None
        return self.wavelength

    def grid(self) -> WavelengthGrid:
        """The pixels as the grid of a :class:`~starkin.spectra.SpectrumSet`."""
        return WavelengthGrid(self.pixels, "Angstrom", "vacuum", "rest", self.resolution)

    def fine_wavelength(self, step_kms: float) -> np.ndarray:
        """Wavelengths [Å], equal in velocity, that cover the pixels and their wings."""
        step = step_kms / _C_KMS
        margin = 1.5 * _REACH / (self.resolution * _FWHM)
        log = np.log(self.pixels)
        gaps = np.flatnonzero(np.diff(log) > 2 * margin + 20 * np.median(np.diff(log)))
        firsts = np.concatenate([[0], gaps + 1])
        lasts = np.concatenate([gaps, [log.size - 1]])
        parts = []
        for first, last in zip(firsts, lasts, strict=True):
            low, high = log[first] - margin, log[last] + margin
            parts.append(np.exp(low + step * np.arange(int((high - low) / step) + 2)))
        return np.concatenate(parts)

    def projection(self, fine: np.ndarray, broadening_kms: float = 0.0) -> csr_matrix:
        """Weights that make pixels of fine samples, shape ``(n_pixels, n_fine)``; rows sum to 1.

        Parameters
        ----------
        fine : ndarray
            As :meth:`fine_wavelength` gives it [Å].
        broadening_kms : float
            Standard deviation of a Gaussian that blurs the star itself (macroturbulence).
        """
        sigma = np.hypot(1 / (self.resolution * _FWHM), broadening_kms / _C_KMS)
        log_fine, log_pixels = np.log(fine), np.log(self.pixels)
        low = np.searchsorted(log_fine, log_pixels - _REACH * sigma)
        high = np.searchsorted(log_fine, log_pixels + _REACH * sigma)
        count = high - low
        if (count == 0).any():
            raise StarkinError("The fine grid does not cover all pixels of the spectrograph.")
        row = np.repeat(np.arange(self.n_pixels), count)
        column = np.arange(row.size) - np.repeat(np.cumsum(count) - count - low, count)
        weight = np.exp(-0.5 * ((log_fine[column] - log_pixels[row]) / sigma) ** 2)
        weight /= np.bincount(row, weight, minlength=self.n_pixels)[row]
        shape = (self.n_pixels, fine.size)
        return csr_matrix((weight.astype(np.float32), (row, column)), shape=shape)
