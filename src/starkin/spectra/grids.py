"""Wavelength grids of the surveys, and the stretches between a grid's gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .errors import StarkinError
from .grid import WavelengthGrid

__all__ = ["NAMED_GRIDS", "apogee_grid", "galah_grid", "log_grid", "named_grid", "segments"]

#: First wavelength, step and size of every apStar file: log10 of Angstrom in vacuum
#: (Nidever et al. 2015, AJ 150, 173, sect. 5.3; header CRVAL1, CDELT1, NAXIS1).
_APSTAR = (4.179, 6e-6, 8575)

# Pixels of the three chips, blue to red, that ASPCAP uses: up to DR12 and since DR13.
_ASPCAP = {
    "aspcap-dr12": ((322, 3242), (3648, 6048), (6412, 8306)),  # 7,214 pixels
    "aspcap": ((246, 3274), (3585, 6080), (6344, 8335)),  # 7,514 pixels
}

# What the four cameras of HERMES cover in nearly every fibre [Angstrom, air]: first pixels and
# dispersions scatter by 4 Angstrom (the 1 and 99 % limits in the tutorials of GALAH_DR4). The
# infrared camera's begins behind the telluric A band.
_HERMES = ((4717, 4899), (5652, 5869), (6482, 6733), (7691, 7883))
_HERMES_RESOLUTION = 28_000


def log_grid(
    low: float,
    high: float,
    step: float,
    *,
    medium: str = "vacuum",
    resolution: float | None = None,
) -> WavelengthGrid:
    """Pixels of equal width in log10 λ.

    Parameters
    ----------
    low, high : float
        First pixel and upper end [Angstrom].
    step : float
        In log10 λ.
    medium : {"vacuum", "air"}
        In which the wavelengths are.
    resolution : float, optional
        λ/Δλ.

    Raises
    ------
    StarkinError
        If there would be no two pixels.
    """
    if not (0 < low < high and step > 0):
        raise StarkinError(f"A grid needs 0 < low < high and step > 0, got {low}, {high}, {step}.")
    n = int(np.floor((np.log10(high) - np.log10(low)) / step + 1e-9)) + 1
    wavelength = 10 ** (np.log10(low) + step * np.arange(n))
    return WavelengthGrid(wavelength, "Angstrom", medium, "rest", resolution)


def apogee_grid(pixels: str = "apstar") -> WavelengthGrid:
    """APOGEE's rest-frame grid: log10 λ from 4.179 in steps of 6e-6, vacuum, R = 22,500.

    Parameters
    ----------
    pixels : {"apstar", "aspcap", "aspcap-dr12"}
        All 8,575 pixels of an apStar file, gaps included; the 7,514 pixels that ASPCAP has
        used since DR13; or the 7,214 of DR12.

    Raises
    ------
    StarkinError
        If ``pixels`` is another.

    Examples
    --------
    >>> [apogee_grid(p).n_pixels for p in ("apstar", "aspcap", "aspcap-dr12")]
    [8575, 7514, 7214]
    """
    if pixels != "apstar" and pixels not in _ASPCAP:
        raise StarkinError(f"apogee_grid knows apstar, {', '.join(_ASPCAP)}, not {pixels!r}.")
    start, step, size = _APSTAR
    wavelength = 10 ** (start + step * np.arange(size))
    if pixels in _ASPCAP:
        wavelength = np.concatenate([wavelength[low:high] for low, high in _ASPCAP[pixels]])
    return WavelengthGrid(wavelength, "Angstrom", "vacuum", "rest", 22_500.0)


def galah_grid() -> WavelengthGrid:
    """A log-λ grid over HERMES's four cameras: air, rest frame, 2.5 pixels a resolution element."""
    step = np.log10(1 + 1 / (2.5 * _HERMES_RESOLUTION))
    parts = [log_grid(low, high, step).wavelength for low, high in _HERMES]
    return WavelengthGrid(
        np.concatenate(parts), "Angstrom", "air", "rest", float(_HERMES_RESOLUTION)
    )


#: Grids that have a name on the command line.
NAMED_GRIDS = {
    "apogee": "apstar",
    "apogee-aspcap": "aspcap",
    "apogee-dr12": "aspcap-dr12",
    "galah": "galah",
}


def named_grid(name: str) -> WavelengthGrid:
    """A survey's grid by its name.

    Raises
    ------
    StarkinError
        If there is none of that name.
    """
    if name not in NAMED_GRIDS:
        raise StarkinError(f"There is no grid {name!r}; choose from {', '.join(NAMED_GRIDS)}.")
    return galah_grid() if name == "galah" else apogee_grid(NAMED_GRIDS[name])


def segments(grid: WavelengthGrid) -> list[slice]:
    """Stretches of pixels without a gap (the chips), in order.

    A gap is a step to the next pixel that is more than half as wide again as its
    neighbours' median.

    Examples
    --------
    >>> [s.stop - s.start for s in segments(apogee_grid("aspcap-dr12"))]
    [2920, 2400, 1894]
    """
    step = np.diff(np.log(grid.wavelength))
    cuts = np.flatnonzero(step > 1.5 * np.median(step)) + 1
    ends = [0, *cuts.tolist(), grid.n_pixels]
    return [slice(a, b) for a, b in pairwise(ends)]
