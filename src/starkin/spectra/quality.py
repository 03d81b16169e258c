"""Whether fluxes are what a model expects: normalised, with signal, not masked throughout.

A wrong set is one clear error; a wrong star in a good set is a flag.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from astropy import units as u

from .errors import StarkinError
from .flags import Flag
from .grid import WavelengthGrid
from .spectrum_set import SpectrumSet

__all__ = [
    "NORMALISED_RANGE",
    "flux_levels",
    "looks_normalised",
    "quality_flags",
    "require_normalised",
    "signal_to_noise",
]

#: Median flux of a continuum-normalised star: 0.7 in the coolest giants, crowded with lines,
#: and hardly above 1 in the hottest.
NORMALISED_RANGE = (0.5, 1.3)

_ROWS = 4096  # stars at a time
_PIXELS = 512  # at least so many, spread evenly, decide a star's flags


def signal_to_noise(spectra: SpectrumSet, *, step: int = 1) -> np.ndarray:
    """Median of flux over error of the usable pixels, shape (n_stars,); NaN without any.

    With a ``step`` of every so many-th pixel only, which is as much quicker.
    """
    return _medians(spectra, lambda some: spectra.values[some] / spectra.errors[some], step)


def flux_levels(spectra: SpectrumSet, *, step: int = 1) -> np.ndarray:
    """Median flux of the usable pixels, shape (n_stars,), in the unit of the set.

    With a ``step`` of every so many-th pixel only, which is as much quicker.
    """
    return _medians(spectra, lambda some: spectra.values[some], step)


def _medians(
    spectra: SpectrumSet, of: Callable[[tuple[slice, slice]], np.ndarray], step: int
) -> np.ndarray:
    """Median of what ``of`` tells of some stars and pixels, for every star."""
    result = np.full(len(spectra), np.nan)
    for start in range(0, len(spectra), _ROWS):
        some = slice(start, start + _ROWS), slice(None, None, step)
        values, mask = of(some).astype(np.float64), spectra.mask[some]
        medians = result[some[0]]
        whole = ~mask.any(axis=1)
        if whole.any():
            medians[whole] = np.median(values[whole], axis=1)
        for i in np.flatnonzero(~whole & ~mask.all(axis=1)).tolist():
            medians[i] = np.median(values[i, ~mask[i]])
    return result


def looks_normalised(spectra: SpectrumSet, *, step: int = 1) -> np.ndarray:
    """Which stars have a median flux near 1, shape (n_stars,); true for stars without any flux,
    of which another flag tells."""
    level = flux_levels(spectra, step=step)
    low, high = NORMALISED_RANGE
    return ~((level < low) | (level > high))


def require_normalised(spectra: SpectrumSet, what: str = "The model") -> None:
    """Refuse a set most of whose stars are not continuum-normalised.

    Parameters
    ----------
    spectra : SpectrumSet
        XP coefficients pass: they are normalised in another way.
    what : str
        Who needs them so, for the message.

    Raises
    ------
    StarkinError
        If the flux has a unit, or at least half of the stars have a median flux away from 1.
    """
    if not isinstance(spectra.grid, WavelengthGrid) or not len(spectra):
        return
    cure = "divide by the continuum first (starkin prepare, or normalise_continuum)"
    if spectra.unit != u.dimensionless_unscaled:
        raise StarkinError(
            f"{what} needs continuum-normalised flux and these spectra are in "
            f"'{spectra.unit}'; {cure}."
        )
    level = flux_levels(spectra)
    low, high = NORMALISED_RANGE
    wrong = (level < low) | (level > high)
    if 2 * np.count_nonzero(wrong) >= np.count_nonzero(np.isfinite(level)) and wrong.any():
        raise StarkinError(
            f"{what} needs continuum-normalised flux, near 1, and the median flux of these "
            f"spectra is {np.nanmedian(level):.3g}; {cure}."
        )


def quality_flags(spectra: SpectrumSet, *, lowest_snr: float | None = None) -> np.ndarray:
    """:class:`~starkin.spectra.flags.Flag` bits that fluxes on wavelengths decide.

    Parameters
    ----------
    spectra : SpectrumSet
        Normalised.
    lowest_snr : float, optional
        S/N per pixel below which a star is flagged.

    Returns
    -------
    ndarray of int32, shape (n_stars,)

    Notes
    -----
    Medians are of 512 or more pixels spread evenly over the spectrum: those of all 7,214 of an
    APOGEE spectrum differ by a percent and take as long as encoding it.
    """
    step = max(1, spectra.n_pixels // _PIXELS)
    flags = np.zeros(len(spectra), dtype=np.int32)
    flags[spectra.mask.any(axis=1)] |= Flag.PARTLY_MASKED
    flags[spectra.mask.all(axis=1)] |= Flag.NOT_ENCODED
    flags[~looks_normalised(spectra, step=step)] |= Flag.NOT_NORMALISED
    if lowest_snr is not None:
        with np.errstate(invalid="ignore"):
            flags[signal_to_noise(spectra, step=step) < lowest_snr] |= Flag.LOW_SNR
    return flags
