"""What a spectrograph makes of a spectrum: pixels, a Gaussian line-spread function, gaps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

from ..spectra import StarkinError, WavelengthGrid
from ..spectra.grids import apogee_grid, log_grid, segments
from .physics.atomic_lines import air_to_vacuum

__all__ = ["Spectrograph"]

_FWHM = 2 * np.sqrt(2 * np.log(2.0))  # of a Gaussian, in standard deviations
_REACH = 4.0  # standard deviations to which the line-spread function is followed
_C_KMS = 2.99792458e5
_PIXELS_PER_ELEMENT = 3.2  # as APOGEE has them


def _apogee() -> WavelengthGrid:
    return apogee_grid("aspcap-dr12")


@dataclass(frozen=True, eq=False)
class Spectrograph:
    """Pixels and resolution.

    Parameters
    ----------
    wavelength_grid : WavelengthGrid
        Pixels at rest, in air or vacuum, gaps allowed, with a resolution λ/Δλ (full width at
        half maximum of the Gaussian line-spread function). By default the 7,214 pixels of
        APOGEE's three chips, R = 22,500.

    Raises
    ------
    StarkinError
        If the grid has no resolution, or lies outside 3000-25000 Å.
    """

    wavelength_grid: WavelengthGrid = field(default_factory=_apogee)

    def __post_init__(self) -> None:
        resolution = self.wavelength_grid.resolution
        if resolution is None or not 1_000 <= resolution <= 200_000:
            raise StarkinError(
                "Spectrograph needs a grid with a resolution in 1000..200000, got "
                f"{resolution if resolution is None else f'{resolution:g}'}."
            )
        low, high = self.pixels[[0, -1]]
        if not (low >= 3000 and high <= 25_000):
            raise StarkinError(
                f"Spectrograph covers 3000..25000 Å, the grid {low:.6g}..{high:.6g}."
            )

    @classmethod
    def window(cls, low: float, high: float, resolution: float) -> Spectrograph:
        """Pixels equal in log λ between two vacuum wavelengths [Å], 3.2 a resolution element."""
        if not 1_000 <= resolution <= 200_000:
            raise StarkinError(f"resolution must lie in 1000..200000, got {resolution:g}.")
        step = float(np.log10(1 + 1 / (_PIXELS_PER_ELEMENT * resolution)))
        return cls(log_grid(low, high, step, resolution=resolution))

    @property
    def resolution(self) -> float:
        assert self.wavelength_grid.resolution is not None
        return self.wavelength_grid.resolution

    @property
    def n_pixels(self) -> int:
        return self.wavelength_grid.n_pixels

    @property
    def pixels(self) -> np.ndarray:
        """Vacuum wavelengths [Å], shape ``(n_pixels,)``."""
        grid = self.wavelength_grid
        nm = grid.wavelength / 10 if grid.unit == "Angstrom" else grid.wavelength
        return 10 * (air_to_vacuum(nm) if grid.medium == "air" else nm)

    def grid(self) -> WavelengthGrid:
        """The pixels as the grid of a :class:`~starkin.spectra.SpectrumSet`."""
        return self.wavelength_grid

    def fine_wavelength(self, step_kms: float) -> np.ndarray:
        """Wavelengths [Å], equal in velocity, that cover the pixels and their wings."""
        step = step_kms / _C_KMS
        margin = 1.5 * _REACH / (self.resolution * _FWHM)
        log = np.log(self.pixels)
        parts: list[np.ndarray] = []
        for chip in segments(self.wavelength_grid):
            low, high = log[chip.start] - margin, log[chip.stop - 1] + margin
            # Two chips that nearly touch share their wings.
            if parts and low < np.log(parts[-1][-1]):
                low = np.log(parts[-1][-1]) + step
            parts.append(np.exp(low + step * np.arange(max(0, int((high - low) / step)) + 2)))
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
