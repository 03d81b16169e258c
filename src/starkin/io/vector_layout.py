"""How spectra on wavelengths lie in a plain table: names, and what its header says.

One row a star: ``source_id``, ``flux`` and ``flux_error`` (or ``ivar``) as
arrays of one length, then the labels as ordinary columns. Flux and error are
NaN where a pixel is masked, so no reader mistakes a missing pixel for a
measured one. The wavelengths are stored once: in FITS as a second table, in
HDF5 as a dataset, in Parquet in the header of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u

from ..spectra import WavelengthGrid
from ..spectra.errors import StarkinError
from .unit_text import parse_unit

__all__ = [
    "CONTINUUM_NAMES",
    "ERROR_NAMES",
    "FLUX",
    "FLUX_ERROR",
    "FLUX_NAMES",
    "IVAR_NAMES",
    "LOG_WAVELENGTH_NAMES",
    "MASK_NAMES",
    "VECTOR_NAMES",
    "WAVELENGTH",
    "WAVELENGTH_NAMES",
    "find_name",
    "grid_from_terms",
    "plain_meta",
    "terms_of",
]

FLUX, FLUX_ERROR, WAVELENGTH = "flux", "flux_error", "wavelength"

#: Spellings met in the field, the first of which is ours; compared in lower case.
FLUX_NAMES = (FLUX, "spectrum", "spectra", "norm_flux", "normalized_flux", "normalised_flux")
ERROR_NAMES = (
    FLUX_ERROR, "flux_err", "e_flux", "error", "err", "sigma", "flux_uncertainty", "uncertainty"
)  # fmt: skip
IVAR_NAMES = ("ivar", "flux_ivar", "inverse_variance", "norm_ivar")
MASK_NAMES = ("mask", "flux_mask", "pixel_flags", "bitmask")
WAVELENGTH_NAMES = (WAVELENGTH, "wave", "lambda", "wl", "lam")
CONTINUUM_NAMES = ("continuum", "cont")
LOG_WAVELENGTH_NAMES = ("loglam", "log_lambda", "log_wavelength", "log10_wavelength")
VECTOR_NAMES = (
    *FLUX_NAMES, *ERROR_NAMES, *IVAR_NAMES, *MASK_NAMES, *WAVELENGTH_NAMES, *LOG_WAVELENGTH_NAMES,
    *CONTINUUM_NAMES,
)  # fmt: skip

# Ranges of wavelength that tell their unit when the file does not; optical to 2.5 µm.
_PLAUSIBLE = {"micron": (0.2, 3.0), "nm": (200.0, 2600.0), "Angstrom": (2600.0, 30000.0)}
# From the far ultraviolet to the M band: outside, the unit is wrong.
_SHORTEST, _LONGEST = 900.0, 60_000.0


def find_name(names: list[str], spellings: tuple[str, ...]) -> str | None:
    """The first of ``names`` that is one of the spellings, the preferred spelling first."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[spelling] for spelling in spellings if spelling in lower), None)


def terms_of(grid: WavelengthGrid) -> dict[str, str]:
    """What a header says of a grid, as text: unit, medium, frame and resolution."""
    terms = {"wavelength_unit": grid.unit, "medium": grid.medium, "frame": grid.frame}
    if grid.resolution is not None:
        terms["resolution"] = repr(float(grid.resolution))
    return terms


def grid_from_terms(
    wavelength: np.ndarray, terms: Mapping[str, Any], name: str
) -> tuple[WavelengthGrid, list[str]]:
    """A grid, and what had to be assumed because the file does not say it.

    Parameters
    ----------
    wavelength : ndarray, shape (n_pixels,)
        In the unit that the terms name.
    terms : mapping
        ``wavelength_unit``, ``medium``, ``frame``, ``resolution``; any may be absent.
    name : str
        What messages call the file.

    Raises
    ------
    StarkinError
        If the wavelengths are no grid, or a term is none that starkin knows.
    """
    wavelength = np.asarray(wavelength, dtype=np.float64)
    assumed = []
    bad = wavelength.ndim != 1 or wavelength.size < 2 or not np.all(np.isfinite(wavelength))
    if bad or not np.all(np.diff(wavelength) > 0):
        raise StarkinError(
            f"{name}: the wavelengths must be finite and increase from pixel to pixel; "
            "sort the pixels and leave out repeated ones."
        )
    unit = str(terms.get("wavelength_unit") or "").strip()
    if not unit:
        unit = _guessed_unit(wavelength, name)
        assumed.append(f"wavelengths are in {unit}")
    unit, wavelength = _standard_unit(unit, wavelength, name)
    low, high = wavelength[[0, -1]] * (10 if unit == "nm" else 1)
    if low < _SHORTEST or high > _LONGEST:
        raise StarkinError(
            f"{name}: wavelengths from {low:.6g} to {high:.6g} Angstrom are no starlight that "
            f"starkin knows; is their unit really {terms.get('wavelength_unit') or unit}?"
        )
    medium = str(terms.get("medium") or "").strip().lower()
    if not medium:
        medium = "vacuum"
        assumed.append("wavelengths are in vacuum")
    frame = str(terms.get("frame") or "").strip().lower()
    if not frame:
        frame = "rest"
        assumed.append("wavelengths are in the star's rest frame")
    resolution = terms.get("resolution")
    try:
        grid = WavelengthGrid(
            wavelength, unit, medium, frame, None if resolution is None else float(resolution)
        )
    except (StarkinError, ValueError, TypeError) as error:
        raise StarkinError(f"{name}: {error}") from error
    return grid, assumed


def _guessed_unit(wavelength: np.ndarray, name: str) -> str:
    for unit, (low, high) in _PLAUSIBLE.items():
        if low <= wavelength[0] and wavelength[-1] <= high:
            return unit
    raise StarkinError(
        f"{name} gives no unit for its wavelengths {wavelength[0]:g} to {wavelength[-1]:g}; "
        "set it to Angstrom, nm or micron."
    )


def _standard_unit(unit: str, wavelength: np.ndarray, name: str) -> tuple[str, np.ndarray]:
    """Angstrom and nm as they are (exactly), other lengths in Angstrom."""
    parsed = parse_unit(unit)
    if parsed is None or not parsed.is_equivalent(u.AA):
        raise StarkinError(f"{name}: wavelengths in {unit!r}; give them in Angstrom, nm or micron.")
    if parsed in (u.AA, u.nm):
        return ("Angstrom" if parsed == u.AA else "nm"), wavelength
    return "Angstrom", wavelength * parsed.to(u.AA)


def plain_meta(meta: Mapping[str, Any]) -> str:
    """What of ``SpectrumSet.meta`` JSON can hold, as text; what belongs to a reading is left."""
    kept = {}
    for key, value in meta.items():
        if key in ("files", "rejected"):
            continue
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            continue
        kept[key] = value
    return json.dumps(kept)
