"""APOGEE's combined spectra: apStar (fluxes, SDSS-IV and -V) and aspcapStar (normalised).

Layouts: ``apStar`` and ``aspcapStar`` of DR17 in https://data.sdss.org/datamodel/files/ , under
``APOGEE_REDUX/APRED_VERS/stars/TELESCOPE/FIELD`` and
``APOGEE_ASPCAP/APRED_VERS/ASPCAP_VERS/TELESCOPE/FIELD``. That visits are at rest when combined, in
vacuum, on log10 λ = 4.179 + 6e-6 i, says https://www.sdss4.org/dr17/irspec/spectra/ ; what the bits
of the mask mean, https://www.sdss4.org/dr17/irspec/apogee-bitmasks .
"""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from ...spectra import SpectrumSet, WavelengthGrid, columns
from ...spectra.errors import StarkinError
from ..fits_files import open_fits
from ..fits_spectra import FLUX_UNIT, label, log_wavelength, outline, spectra_of
from ..pixel_masks import bad_pixels
from ..registry import Choices, register_spectra
from ..source import Source
from ..star_ids import gaia_id, id_of_name
from ..survey_labels import survey_labels

__all__: list[str] = []

_RESOLUTION = 22_500.0


def _is_apstar(source: Source, head: bytes) -> bool:
    look = outline(source, head)
    if look is None or len(look) < 4 or "NVISITS" not in look.primary:
        return False
    sizes = [look.headers[i].get("NAXIS1", 0) for i in (1, 2, 3)]
    return not look.columns[1] and sizes[0] > 1000 and len(set(sizes)) == 1


@register_spectra("apstar", "APOGEE apStar: combined spectrum of one star", matches=_is_apstar)
def read_apstar(source: Source, choices: Choices) -> SpectrumSet:
    """The first row: all visits combined with weights pixel by pixel.

    HDU 1 flux, 2 error, 3 mask, each (2 + visits, 8575) or (8575,) for a single visit;
    log10 λ in the header of HDU 1, vacuum, rest frame (the visits' velocities are removed).
    """
    with open_fits(source, lazy=True) as hdus:
        flux, errors, flags = (np.atleast_2d(hdus[i].data)[:1] for i in (1, 2, 3))
        grid = _grid(hdus[1].header, source.name)
        header = hdus[0].header.copy()
    labels = Table()
    name = _name(header, source)
    label(labels, columns.APOGEE_ID, name)
    for target, keyword in _HEADER_LABELS.items():
        label(labels, target, header.get(keyword))
    if columns.RADIAL_VELOCITY not in labels.colnames:
        label(labels, columns.RADIAL_VELOCITY, header.get("VRAD"))
    return spectra_of(
        source,
        np.array([gaia_id(header) or id_of_name(name)]),
        flux,
        errors,
        bad_pixels(flags, choices.bad_pixels),
        grid,
        labels,
        FLUX_UNIT,
    )


# SDSS-V calls the mean velocity VRAD; in SDSS-IV that is the (zero) shift of the spectrum.
_HEADER_LABELS = {
    columns.RA: "RA",
    columns.DEC: "DEC",
    columns.SNR: "SNR",
    columns.RADIAL_VELOCITY: "VHELIO",
    columns.STARFLAG: "STARFLAG",
}


def _grid(header: fits.Header, name: str) -> WavelengthGrid:
    wavelength = log_wavelength(header, name)
    return WavelengthGrid(wavelength, "Angstrom", "vacuum", "rest", _RESOLUTION)


def _name(header: fits.Header, source: Source) -> str:
    for keyword in ("OBJID", "OBJ", "OBJECT", "APOGEEID", "APOGEE_ID"):
        if str(header.get(keyword, "")).strip():
            return str(header[keyword]).strip()
    # Files are named apStar-dr17-2M00000317+5821383.fits.
    stem = source.name.rsplit("/", 1)[-1].removesuffix(".gz").removesuffix(".fits")
    return stem.split("-", 2)[-1]


def _is_aspcapstar(source: Source, head: bytes) -> bool:
    look = outline(source, head)
    if look is None or len(look) < 4 or look.columns[1]:
        return False
    last = {name.upper() for name in look.columns[-1]}
    return look.headers[1].get("NAXIS1", 0) > 1000 and {"ASPCAPFLAG", "APOGEE_ID"} <= last


@register_spectra(
    "aspcapstar",
    "APOGEE aspcapStar: pseudo-continuum-normalised spectrum of one star",
    matches=_is_aspcapstar,
)
def read_aspcapstar(source: Source, choices: Choices) -> SpectrumSet:
    """HDU 1 normalised flux, 2 error, 3 best fit, 4 one row of the allStar catalogue.

    There is no mask array: bad pixels have an error of 1e10, the gaps a flux of 0.
    """
    with open_fits(source, lazy=True) as hdus:
        flux, errors = (np.atleast_2d(hdus[i].data)[:1] for i in (1, 2))
        grid = _grid(hdus[1].header, source.name)
        row = Table(hdus[-1].data[:1])
    labels = survey_labels(row, source.name)
    if not len(labels):
        raise StarkinError(f"{source.name}: its table of parameters is empty.")
    ids = np.asarray(labels[columns.SOURCE_ID])
    labels.remove_column(columns.SOURCE_ID)
    bad = np.zeros(flux.shape, dtype=bool)
    return spectra_of(
        source, ids, flux, errors, bad, grid, labels, u.dimensionless_unscaled,
        continuum="pseudo-continuum of ASPCAP",
    )  # fmt: skip
