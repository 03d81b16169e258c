"""Air and vacuum, observer and star: where a pixel lies once both are taken into account.

Refractive index of air: Morton (2000, ApJS 130, 403, eq. 8; after Birch & Downs 1994), dry air
at 15 C and 1 atm, what VALD and the IAU use; good from 2,000 Å into the infrared. Doppler shift:
exact for purely radial motion, λ_rest = λ √((1 - β)/(1 + β)).
"""

from __future__ import annotations

import numpy as np

from . import columns
from .errors import StarkinError
from .grid import WavelengthGrid
from .spectrum_set import SpectrumSet

__all__ = [
    "SPEED_OF_LIGHT",
    "angstrom",
    "doppler_factor",
    "radial_velocities",
    "to_air",
    "to_medium",
    "to_vacuum",
]

SPEED_OF_LIGHT = 299_792.458  # km/s, exact


def _index(vacuum: np.ndarray) -> np.ndarray:
    """Refractive index of standard air at vacuum wavelengths [Angstrom]."""
    s2 = (1e4 / vacuum) ** 2
    return 1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)


def to_air(vacuum: np.ndarray) -> np.ndarray:
    """Air wavelengths [Angstrom] of vacuum wavelengths [Angstrom].

    Examples
    --------
    >>> float(to_air(np.array([6564.614]))[0].round(3))  # H alpha
    6562.801
    """
    vacuum = np.asarray(vacuum, dtype=np.float64)
    return vacuum / _index(vacuum)


def to_vacuum(air: np.ndarray) -> np.ndarray:
    """Vacuum wavelengths [Angstrom] of air wavelengths [Angstrom]; inverts :func:`to_air`."""
    air = np.asarray(air, dtype=np.float64)
    vacuum = air
    for _ in range(4):  # each step gains four digits: the index hardly depends on wavelength
        vacuum = air * _index(vacuum)
    return vacuum


def angstrom(grid: WavelengthGrid) -> np.ndarray:
    """Wavelengths in Angstrom, in the grid's own medium and frame."""
    return grid.wavelength if grid.unit == "Angstrom" else grid.wavelength * 10


def to_medium(wavelength: np.ndarray, medium: str, wanted: str) -> np.ndarray:
    """Wavelengths [Angstrom] from air or vacuum to air or vacuum."""
    if medium == wanted:
        return wavelength
    return to_vacuum(wavelength) if wanted == "vacuum" else to_air(wavelength)


def doppler_factor(velocity: np.ndarray) -> np.ndarray:
    """λ_rest / λ_observed of sources that recede with ``velocity`` [km/s].

    Examples
    --------
    >>> float(doppler_factor(np.array([0.0]))[0])
    1.0
    """
    beta = np.asarray(velocity, dtype=np.float64) / SPEED_OF_LIGHT
    return np.sqrt((1 - beta) / (1 + beta))


def radial_velocities(spectra: SpectrumSet) -> np.ndarray:
    """By which to shift each star to rest [km/s], shape (n_stars,); NaN where it is not known.

    Zero where the wavelengths are at rest already; the label ``radial_velocity`` in
    the barycentric frame.

    Raises
    ------
    StarkinError
        If the frame is the observer's, or there are no velocities.
    """
    assert isinstance(spectra.grid, WavelengthGrid)
    frame = spectra.grid.frame
    if frame == "rest":
        return np.zeros(len(spectra))
    if frame == "observed":
        raise StarkinError(
            "The wavelengths are in the observer's frame; give the velocity of each star "
            "as observed (its radial velocity less the barycentric correction)."
        )
    if not spectra.has_label(columns.RADIAL_VELOCITY):
        raise StarkinError(
            f"The wavelengths are in the barycentric frame and there is no label "
            f"{columns.RADIAL_VELOCITY!r} to shift them by; join it from a catalogue."
        )
    return spectra.label(columns.RADIAL_VELOCITY)
