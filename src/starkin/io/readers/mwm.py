"""SDSS-V's mwmStar and mwmVisit: a table per instrument and observatory.

Layout of Astra 0.5 to 0.8 (DR19 and later): a primary header with the star's
ids, then BOSS/APO, BOSS/LCO, APOGEE/APO, APOGEE/LCO as binary tables with
``flux``, ``ivar``, ``pixel_flags`` and ``continuum``, without rows where there is nothing;
log10 λ in the header (CRVAL, CDELT, NPIXELS) or, in mwmStar, in a column ``wavelength``.
Vacuum, rest frame: https://www.sdss.org/dr19/mwm/astra/output-files , and the program that writes
them, ``src/astra/products/mwm.py`` and ``apogee.py`` in https://github.com/sdss/astra .

The frame has an exception there: a visit that is not ``in_stack`` has no velocity and is resampled
with 0 km/s, as if it were at rest. Such visits are masked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from ...spectra import SpectrumSet, WavelengthGrid, columns
from ...spectra.continuum import divide_by_continuum
from ...spectra.errors import StarkinError
from ..fits_files import open_fits
from ..fits_spectra import FLUX_UNIT, label, log_wavelength, outline, spectra_of
from ..pixel_masks import bad_pixels
from ..registry import Choices, register_spectra
from ..source import Source
from ..star_ids import gaia_id, id_of_name

__all__: list[str] = []

_RESOLUTION = {"APOGEE": 22_500.0, "BOSS": None}


def _is_mwm(source: Source, head: bytes) -> bool:
    look = outline(source, head)
    if look is None or "SDSS_ID" not in look.primary or len(look) < 2:
        return False
    return any(
        {"flux", "ivar", "pixel_flags"} <= {n.lower() for n in names} for names in look.columns
    )


@register_spectra(
    "mwm",
    "SDSS-V mwmStar, mwmVisit: the APOGEE spectra, or BOSS's where there are none",
    matches=_is_mwm,
)
def read_mwm(source: Source, choices: Choices) -> SpectrumSet:
    with open_fits(source) as hdus:
        filled = {_instrument(hdu) for hdu in hdus[1:] if _rows(hdu)}
        for instrument in ("APOGEE", "BOSS"):
            if instrument in filled:
                return _read(hdus, instrument, source, choices)
    raise StarkinError(f"{source.name} holds no spectrum; its tables are empty.")


@register_spectra("mwm-apogee", "SDSS-V mwmStar, mwmVisit: the APOGEE spectra")
def read_mwm_apogee(source: Source, choices: Choices) -> SpectrumSet:
    with open_fits(source) as hdus:
        return _read(hdus, "APOGEE", source, choices)


@register_spectra("mwm-boss", "SDSS-V mwmStar, mwmVisit: the BOSS spectra")
def read_mwm_boss(source: Source, choices: Choices) -> SpectrumSet:
    with open_fits(source) as hdus:
        return _read(hdus, "BOSS", source, choices)


def _rows(hdu: Any) -> int:
    return len(hdu.data) if isinstance(hdu, fits.BinTableHDU) and hdu.data is not None else 0


def _instrument(hdu: Any) -> str:
    return str(hdu.header.get("INSTRMNT", hdu.name)).split("/")[0].strip().upper()


def _read(hdus: fits.HDUList, instrument: str, source: Source, choices: Choices) -> SpectrumSet:
    """All rows of the instrument; of a co-added star seen from both sites the one of best S/N."""
    primary = hdus[0].header
    name = str(primary.get("SDSS_ID", "")).strip()
    star = gaia_id(primary) or id_of_name(name or source.name)
    pieces = []
    for hdu in hdus[1:]:
        if _rows(hdu) and _instrument(hdu) == instrument:
            pieces.append(_of_table(hdu, instrument, star, primary, source, choices))
    if not pieces:
        raise StarkinError(f"{source.name} holds no spectrum of {instrument}.")
    spectra = pieces[0] if len(pieces) == 1 else SpectrumSet.concatenate(pieces)
    if "mjd" in spectra.labels.colnames:
        return _visits(spectra, star)
    if len(spectra) > 1:
        best = int(np.argmax(np.nan_to_num(spectra.label(columns.SNR), nan=-1)))
        spectra = spectra[best]
    return spectra


def _visits(spectra: SpectrumSet, star: int) -> SpectrumSet:
    """Visits are spectra of their own: each its own id, the star's in ``star_id``."""
    labels = spectra.labels
    ids = np.array(
        [id_of_name(f"{star}/{row['telescope']}/{row['mjd']}/{i}") for i, row in enumerate(labels)]
    )
    return spectra.replace(source_id=ids).with_labels(
        **{columns.STAR_ID: np.full(len(spectra), star, dtype=np.int64)}
    )


def _of_table(
    hdu: Any, instrument: str, star: int, primary: fits.Header, source: Source, choices: Choices
) -> SpectrumSet:
    data = {str(n).lower(): n for n in hdu.columns.names}

    def column(key: str) -> np.ndarray:
        return np.asarray(hdu.data[data[key]])

    flux, ivar = column("flux"), column("ivar")
    n = len(flux)
    if "wavelength" in data:
        wavelength = np.atleast_2d(column("wavelength"))[0].astype(np.float64)
        # Stored in float32 there; the header's numbers are exact.
        if "CRVAL" in hdu.header:
            exact = log_wavelength(hdu.header, source.name, "CRVAL")
            wavelength = exact if np.allclose(exact, wavelength, rtol=3e-7) else wavelength
    else:
        wavelength = log_wavelength(hdu.header, source.name, "CRVAL")
    grid = WavelengthGrid(wavelength, "Angstrom", "vacuum", "rest", _RESOLUTION[instrument])
    bad = np.zeros(flux.shape, dtype=bool)
    if instrument == "APOGEE" and "pixel_flags" in data:
        # BOSS's own pipeline has set the inverse variance of its bad pixels to 0.
        bad = bad_pixels(column("pixel_flags"), choices.bad_pixels)
    if "in_stack" in data:
        bad |= ~column("in_stack").astype(bool)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = 1 / np.sqrt(ivar)
    labels = Table()
    label(labels, columns.SDSS_ID, np.full(n, int(primary.get("SDSS_ID", -1)), dtype=np.int64))
    if str(primary.get("APOGEEID", "")).strip():
        label(labels, columns.APOGEE_ID, np.full(n, str(primary["APOGEEID"]).strip()))
    for keyword in ("RA", "DEC"):
        if isinstance(primary.get(keyword), float):
            label(labels, keyword.lower(), np.full(n, primary[keyword]))
    for target, key in _TABLE_LABELS.items():
        if key in data:
            label(labels, target, column(key))
    spectra = spectra_of(
        source, np.full(n, star), flux, errors, bad, grid, labels, FLUX_UNIT, instrument=instrument
    )
    if choices.known_continuum and "continuum" in data:
        how = {"method": "known", "from": "the file"}
        return divide_by_continuum(spectra, column("continuum").astype(np.float32), how=how)
    return spectra


_TABLE_LABELS = {
    columns.SNR: "snr",
    columns.RADIAL_VELOCITY: "v_rad",
    columns.STARFLAG: "spectrum_flags",
    "telescope": "telescope",
    "mjd": "mjd",
    "in_stack": "in_stack",
}
