"""GALAH DR4: one FITS file a star and camera (sobject_id and 1, 2, 3 or 4).

Layout of the survey's own reader (``tutorials/tutorial_plot_reduced_spectra.py`` in
https://github.com/svenbuder/GALAH_DR4) and https://www.galah-survey.org/dr4/the_spectra/ : HDU 0
is the reduced flux [counts], HDU 2 its relative error, HDU 3 sky, 4 tellurics, 7 line-spread
function; all on the linear wavelengths of HDU 0 (CRVAL1, CDELT1), in air and the barycentric
frame. RVCOM is the velocity that the reduction found, WAV_OK 0 where wavelengths are not to be
trusted, SLITMASK "IN" where the mask doubled the resolution. Where the relative error is not
positive the survey's reader puts 10 %; here such pixels are masked. The normalised spectrum is
not used: it has no documented wavelengths of its own.
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

#: R of HERMES without and with its slit mask (De Silva et al. 2015, MNRAS 449, 2604).
_RESOLUTION, _MASKED_RESOLUTION = 28_000.0, 42_000.0
_ERROR, _ERROR_HDU = "RELATIVE_ERROR", 2


def _is_galah(source: Source, head: bytes) -> bool:
    look = outline(source, head)
    if look is None or "CRVAL1" not in look.primary:
        return False
    return _ERROR in look.names or (
        len(look) > _ERROR_HDU and {"RVCOM", "WAV_OK"} <= set(look.primary)
    )


@register_spectra("galah", "GALAH DR4: one camera's spectrum of one star", matches=_is_galah)
def read_galah(source: Source, choices: Choices) -> SpectrumSet:
    with open_fits(source, lazy=True) as hdus:
        header = hdus[0].header.copy()
        flux = np.atleast_2d(hdus[0].data).astype(np.float64)
        where = _ERROR if _ERROR in [hdu.name.upper() for hdu in hdus] else _ERROR_HDU
        relative = np.atleast_2d(hdus[where].data).astype(np.float64)
    if relative.shape != flux.shape:
        raise StarkinError(
            f"{source.name}: {flux.shape[1]} pixels of flux but {relative.shape[1]} of error."
        )
    reference = header.get("CRPIX1", 1) or 1  # some headers say 0 and mean 1
    steps = np.arange(flux.shape[1]) + 1 - reference
    wavelength = header["CRVAL1"] + header["CDELT1"] * steps
    masked = str(header.get("SLITMASK", "")).strip().upper() == "IN"
    resolution = _MASKED_RESOLUTION if masked else _RESOLUTION
    grid = WavelengthGrid(wavelength, "Angstrom", "air", "barycentric", resolution)
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
