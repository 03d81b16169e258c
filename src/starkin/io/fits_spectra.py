"""What readers of survey spectra in FITS share: first looks, log-λ headers, sets of one file."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, Table

from ..spectra import SpectrumSet, WavelengthGrid, columns
from ..spectra.errors import StarkinError
from .fits_files import open_fits
from .source import Source

__all__ = [
    "FLUX_UNIT",
    "LARGEST_ERROR",
    "Outline",
    "label",
    "log_wavelength",
    "outline",
    "spectra_of",
]

#: Of APOGEE's and BOSS's spectra.
FLUX_UNIT = u.Unit("1e-17 erg / (s cm2 Angstrom)")

#: Pipelines give bad pixels an error of 1e10 rather than a mask.
LARGEST_ERROR = 1e9


class Outline:
    """Headers and column names of a FITS file, read once for all formats that look at it."""

    def __init__(self, hdus: fits.HDUList) -> None:
        self.headers = [hdu.header.copy() for hdu in hdus]
        self.names = [hdu.name.upper() for hdu in hdus]
        self.columns = [
            [str(n) for n in hdu.columns.names] if isinstance(hdu, fits.BinTableHDU) else []
            for hdu in hdus
        ]

    @property
    def primary(self) -> fits.Header:
        return self.headers[0]

    def __len__(self) -> int:
        return len(self.headers)


@lru_cache(maxsize=1)
def _outline(source: Source) -> Outline:
    with open_fits(source, mapped=True) as hdus:
        return Outline(hdus)


def outline(source: Source, head: bytes) -> Outline | None:
    """What a file's headers say, or None if it is no FITS file."""
    return _outline(source) if head.startswith(b"SIMPLE  =") else None


def log_wavelength(header: fits.Header, name: str, start: str = "CRVAL1") -> np.ndarray:
    """Wavelengths [Angstrom] of a log10-linear header: ``10**(CRVAL + CDELT·(i + 1 - CRPIX))``.

    Raises
    ------
    StarkinError
        If the header has no such keywords.
    """
    suffix = start.removeprefix("CRVAL")
    size = header.get("NPIXELS") if suffix == "" else header.get("NAXIS1")
    first, step = header.get(f"CRVAL{suffix}"), header.get(f"CDELT{suffix}")
    if first is None or step is None or not size:
        raise StarkinError(
            f"{name}: the header lacks {start} or CDELT{suffix}, the wavelengths are unknown."
        )
    reference = header.get(f"CRPIX{suffix}", 1) or 1
    return 10 ** (first + step * (np.arange(int(size)) + 1 - reference))


def label(table: Table, name: str, values: Any) -> None:
    """Add a label with our unit and description; what cannot be told is left out."""
    if values is None:
        return
    column = Column(np.atleast_1d(values))
    if column.dtype.kind == "S":
        column = Column(np.char.decode(np.asarray(column), "ascii"))
    known = columns.info(name)
    column.unit, column.description = known.unit or None, known.description or None
    table[name] = column


def spectra_of(
    source: Source,
    ids: np.ndarray,
    flux: np.ndarray,
    errors: np.ndarray,
    bad: np.ndarray,
    grid: WavelengthGrid,
    labels: Table,
    unit: u.UnitBase,
    **meta: Any,
) -> SpectrumSet:
    """A set of one file's spectra; sentinels of missing data are masked.

    Parameters
    ----------
    source : Source
        Where they come from.
    ids : ndarray, shape (n,)
        One a spectrum.
    flux : ndarray, shape (n, n_pixels)
        In ``unit``.
    errors : ndarray, shape (n, n_pixels)
        One standard deviation, in ``unit``.
    bad : ndarray of bool, shape (n, n_pixels)
        What the file's own mask says.
    grid : WavelengthGrid
        Of the file.
    labels : Table
        One row a spectrum.
    unit : Unit
        Of flux and errors.
    **meta
        Provenance.
    """
    flux = np.atleast_2d(np.asarray(flux)).astype(np.float32)
    errors = np.atleast_2d(np.asarray(errors)).astype(np.float32)
    if not flux.shape == errors.shape == np.shape(bad) == (len(ids), grid.n_pixels):
        raise StarkinError(
            f"{source.name}: flux {flux.shape}, errors {errors.shape}, mask {np.shape(bad)} and "
            f"wavelengths ({grid.n_pixels}) do not fit together; the file is damaged."
        )
    with np.errstate(invalid="ignore"):
        # A flux of exactly 0 is a gap between the chips.
        missing = bad | (errors >= LARGEST_ERROR) | (flux == 0)
    values, sigma = np.where(missing, 0, flux), np.where(missing, 1, errors)
    return SpectrumSet(
        source_id=np.asarray(ids, dtype=np.int64),
        values=values,
        errors=sigma,
        mask=missing,
        grid=grid,
        labels=labels,
        unit=unit,
        meta={"files": [source.name], "rejected": [], **meta},
    )
