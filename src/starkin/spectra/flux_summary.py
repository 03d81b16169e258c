"""What is in a set of fluxes against wavelength: coverage, signal, continuum, air or vacuum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u

from .frames import angstrom
from .grid import WavelengthGrid
from .grids import segments
from .line_positions import check_medium
from .quality import NORMALISED_RANGE, flux_levels, signal_to_noise
from .spectrum_set import SpectrumSet

__all__ = ["FluxSummary", "summarise_fluxes"]

# Percentiles that describe a distribution.
_PERCENTILES = (5, 50, 95)


@dataclass(frozen=True)
class FluxSummary:
    """Fluxes in figures.

    Attributes
    ----------
    coverage : list of (float, float)
        First and last wavelength of each stretch without a gap [Angstrom].
    medium, frame : str
        As declared.
    medium_of_lines : str
        What the positions of strong lines say; empty where they cannot tell.
    line_shift : float or None
        Of those lines from their places [km/s], where they can be seen.
    snr : tuple of float or None
        5th, 50th and 95th percentile over stars of the median flux over error.
    level : tuple of float or None
        The same of the median flux.
    normalised : int
        Stars with a median flux near 1.
    bad_pixels : int
        Pixels that more than half of the stars lack.
    """

    coverage: list[tuple[float, float]]
    medium: str
    frame: str
    medium_of_lines: str
    line_shift: float | None
    snr: tuple[float, ...] | None
    level: tuple[float, ...] | None
    normalised: int
    bad_pixels: int


def summarise_fluxes(spectra: SpectrumSet) -> tuple[FluxSummary | None, list[str]]:
    """Figures and, in plain words, what looks wrong; nothing for XP coefficients."""
    grid = spectra.grid
    if not isinstance(grid, WavelengthGrid) or not len(spectra):
        return None, []
    wavelength = angstrom(grid)
    check = check_medium(spectra)
    level = flux_levels(spectra)
    low, high = NORMALISED_RANGE
    normalised = (level >= low) & (level <= high)
    summary = FluxSummary(
        coverage=[
            (float(wavelength[part][0]), float(wavelength[part][-1])) for part in segments(grid)
        ],
        medium=grid.medium,
        frame=grid.frame,
        medium_of_lines=check.medium,
        line_shift=check.shift if check.medium else None,
        snr=_percentiles(signal_to_noise(spectra)),
        level=_percentiles(level),
        normalised=int(normalised.sum()),
        bad_pixels=int(np.count_nonzero(spectra.mask.mean(axis=0) > 0.5)),
    )
    return summary, _problems(spectra, summary, level)


def _percentiles(values: np.ndarray) -> tuple[float, ...] | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    return tuple(float(v) for v in np.percentile(known, _PERCENTILES))


def _problems(spectra: SpectrumSet, summary: FluxSummary, level: np.ndarray) -> list[str]:
    found = []
    if summary.medium_of_lines and summary.medium_of_lines != summary.medium:
        found.append(
            f"Wavelengths are declared as {summary.medium}, but strong lines lie "
            f"{abs(summary.line_shift or 0):.0f} km/s off, where they are in "
            f"{summary.medium_of_lines}: mend the declaration."
        )
    assumed = spectra.meta.get("assumed")
    if isinstance(assumed, (list, tuple)):
        found += [f"The file does not say so, it was assumed that {text}." for text in assumed]
    if summary.frame != "rest":
        found.append(
            f"Wavelengths are in the {summary.frame} frame: shift them to rest (starkin prepare)."
        )
    known = int(np.isfinite(level).sum())
    if spectra.unit != u.dimensionless_unscaled or summary.normalised < 0.5 * known:
        found.append("Fluxes are not continuum-normalised: starkin prepare does that.")
    elif summary.normalised < known:
        n = known - summary.normalised
        found.append(
            f"{n:,} star{'s' * (n != 1)} with a median flux away from 1: not normalised like "
            "the others."
        )
    if spectra.meta.get("without_velocity"):
        found.append(
            f"{spectra.meta['without_velocity']:,} stars without a radial velocity are masked."
        )
    return found
