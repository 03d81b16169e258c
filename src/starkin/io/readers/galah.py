"""GALAH DR4: one FITS file a star and camera (sobject_id and 1, 2, 3 or 4).

HDU 0 is the reduced flux [counts], ``relative_error`` its relative error, both on the linear
wavelengths of HDU 0 (CRVAL1, CDELT1), in air and the barycentric frame; RVCOM is the velocity
that the reduction found (https://www.galah-survey.org/dr4/the_spectra/, and the tutorials of
GALAH_DR4). The normalised spectrum of HDU ``normalized`` is not used: it has no documented
wavelengths of its own.
"""

from __future__ import annotations

import re

import numpy as np
from astropy import units as u
from astropy.table import Table

from ...spectra import SpectrumSet, WavelengthGrid, columns
from ...spectra.errors import StarkinError
from ..fits_files import open_fits
from ..fits_spectra import label, outline, spectra_of
from ..registry import Choices, register_spectra
from ..source import Source

__all__: list[str] = []

#: R of HERMES without its slit mask (Buder et al. 2021, MNRAS 506, 150).
_RESOLUTION = 28_000.0


def _is_galah(source: Source, head: bytes) -> bool:
    look = outline(source, head)
    return look is not None and "RELATIVE_ERROR" in look.names and "CRVAL1" in look.primary


@register_spectra("galah", "GALAH DR4: one camera's spectrum of one star", matches=_is_galah)
def read_galah(source: Source, choices: Choices) -> SpectrumSet:
    with open_fits(source, lazy=True) as hdus:
        header = hdus[0].header.copy()
        flux = np.atleast_2d(hdus[0].data).astype(np.float64)
        relative = np.atleast_2d(hdus["RELATIVE_ERROR"].data).astype(np.float64)
    if relative.shape != flux.shape:
        raise StarkinError(
            f"{source.name}: {flux.shape[1]} pixels of flux but {relative.shape[1]} of error."
        )
    reference = header.get("CRPIX1", 1) or 1  # some headers say 0 and mean 1
    steps = np.arange(flux.shape[1]) + 1 - reference
    wavelength = header["CRVAL1"] + header["CDELT1"] * steps
    grid = WavelengthGrid(wavelength, "Angstrom", "air", "barycentric", _RESOLUTION)
    star, camera = _star_and_camera(header, source.name)
    labels = Table()
    label(labels, columns.SOBJECT_ID, np.array([star]))
    label(labels, columns.CAMERA, np.array([camera]))
    label(labels, columns.RADIAL_VELOCITY, header.get("RVCOM"))
    # Counts below 0 leave a relative error without meaning: masked as an error <= 0 is.
    errors = np.where(relative > 0, relative * flux, -1)
    bad = np.full(flux.shape, header.get("WAV_OK", 1) == 0)
    return spectra_of(source, np.array([star]), flux, errors, bad, grid, labels, u.count)


def _star_and_camera(header: object, name: str) -> tuple[int, int]:
    """Files are named sobject_id and camera: 1704180037012051.fits."""
    match = re.search(r"(\d{15})([1-4])(?:\.fits)?(?:\.gz)?$", name)
    if match is None:
        raise StarkinError(
            f"{name}: a GALAH spectrum's file is named by its sobject_id and camera "
            "(1704180037012051.fits); give it that name back."
        )
    return int(match[1]), int(match[2])
