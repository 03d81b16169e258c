"""In air or in vacuum? The positions of strong lines tell, whatever the header says.

Air and vacuum differ by 82 km/s, more than any error of the velocities. The mean depth
at the places of strong lines is measured for shifts about those places; lines that are there
make one clear dip, at 0 km/s if the medium is what the grid declares and at ±82 if it is the
other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frames import SPEED_OF_LIGHT, angstrom, to_air, to_medium
from .grid import WavelengthGrid
from .spectrum_set import SpectrumSet

__all__ = ["STRONG_LINES", "MediumCheck", "check_medium"]

#: Air wavelengths [Angstrom]: NIST ASD; in the H band as in Smith et al. (2013, ApJ 765, 16).
STRONG_LINES = (
    4861.323, 5167.321, 5172.684, 5183.604, 5889.951, 5895.924, 6562.797,
    8498.023, 8542.091, 8662.141,
    15163.067, 15168.376, 15740.716, 15748.988, 15765.842, 15888.409, 15960.063,
    16136.823, 16150.763, 16157.364, 16718.957, 16750.564, 16763.359,
)  # fmt: skip

_SHIFTS = np.arange(-150.0, 151.0, 3.0)  # km/s
_TOLERANCE = 20.0  # km/s: frames of stars and lines of resolution R = 20,000
_STARS = 200
_LEAST_SIGNIFICANCE = 5.0


@dataclass(frozen=True)
class MediumCheck:
    """What the lines say.

    Attributes
    ----------
    medium : {"vacuum", "air", ""}
        Empty where they cannot tell.
    shift : float
        Where the dip is, from the declared places [km/s].
    significance : float
        Its depth in units of the scatter at the other shifts.
    n_lines : int
        Strong lines within the grid.
    """

    medium: str
    shift: float
    significance: float
    n_lines: int


def check_medium(spectra: SpectrumSet) -> MediumCheck:
    """Compare the places of strong lines with those in air and in vacuum.

    Parameters
    ----------
    spectra : SpectrumSet
        On wavelengths at rest; up to 200 stars are looked at.
    """
    grid = spectra.grid
    if not isinstance(grid, WavelengthGrid) or grid.frame != "rest" or not len(spectra):
        return MediumCheck("", np.nan, 0.0, 0)
    wavelength = angstrom(grid)
    reach = 1 + 2 * _SHIFTS[-1] / SPEED_OF_LIGHT
    lines = to_medium(np.array(STRONG_LINES), "air", grid.medium)
    lines = lines[(lines > wavelength[0] * reach) & (lines < wavelength[-1] / reach)]
    mean = _mean_spectrum(spectra)
    # A line in a gap or among masked pixels says nothing.
    places = lines[:, None] * (1 + _SHIFTS / SPEED_OF_LIGHT)
    depth = np.interp(places, wavelength, mean)
    pixel = np.searchsorted(wavelength, lines).clip(1, wavelength.size - 1)
    near = np.diff(wavelength)[pixel - 1] < 1e-4 * lines
    depth = depth[np.isfinite(depth).all(axis=1) & near]
    if len(depth) < 2:
        return MediumCheck("", np.nan, 0.0, len(depth))
    # Each line against its own surroundings, the strongest limited: none shall decide alone.
    depth = np.median(depth, axis=1, keepdims=True) - depth
    profile = np.minimum(depth, 0.3).mean(axis=0)
    best = int(np.argmax(profile))
    away = np.abs(_SHIFTS - _SHIFTS[best]) > 2 * _TOLERANCE
    scatter = 1.4826 * np.median(np.abs(profile[away] - np.median(profile[away])))
    significance = float((profile[best] - np.median(profile[away])) / max(scatter, 1e-9))
    shift = float(_SHIFTS[best])
    medium = ""
    if significance > _LEAST_SIGNIFICANCE:
        # An air wavelength is the shorter: in spectra called vacuum that are in air, lines
        # lie to the blue of their places.
        other = (to_air(lines[:1]) / lines[:1] - 1)[0] * SPEED_OF_LIGHT
        other = other if grid.medium == "vacuum" else -other
        if abs(shift) < _TOLERANCE:
            medium = grid.medium
        elif abs(shift - other) < _TOLERANCE:
            medium = "air" if grid.medium == "vacuum" else "vacuum"
    return MediumCheck(medium, shift, significance, len(depth))


def _mean_spectrum(spectra: SpectrumSet) -> np.ndarray:
    """Mean of spectra scaled to their own medians; NaN where nearly all are masked."""
    step = max(1, len(spectra) // _STARS)
    part = spectra[::step][:_STARS]
    values = np.where(part.mask, np.nan, part.values.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.array([np.median(v[np.isfinite(v)]) if np.isfinite(v).any() else np.nan
                          for v in values])  # fmt: skip
        values /= level[:, None]
    count = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0)
    return np.where(count > 0.2 * len(part), total / np.maximum(count, 1), np.nan)
