"""Plain tables with one spectrum a row: FITS, Parquet, HDF5 and astropy tables in memory."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
from astropy.table import Table

from ...spectra import SpectrumSet
from ..column_table import ARRAY_COLUMNS
from ..fits_files import open_fits
from ..registry import Choices, register_spectra
from ..source import Source
from ..vector_files import (
    VectorFile,
    fits_vectors,
    has_vectors,
    hdf5_vectors,
    parquet_vectors,
    table_vectors,
)
from ..vector_layout import FLUX_NAMES, find_name
from ..vectors_to_spectra import vectors_to_spectra
from ..write_vectors import KEYWORDS

__all__: list[str] = []


def _has_flux(names: list[str]) -> bool:
    """Whether a table of these columns holds fluxes, and not XP coefficients with a label."""
    lower = {name.lower() for name in names}
    return find_name(names, FLUX_NAMES) is not None and not lower & set(ARRAY_COLUMNS)


def _convert(file: VectorFile, choices: Choices) -> SpectrumSet:
    return vectors_to_spectra(file, choices.on_error, known_continuum=choices.known_continuum)


def _is_fits_table(source: Source, head: bytes) -> bool:
    if not head.startswith(b"SIMPLE  ="):
        return False
    with open_fits(source, mapped=True) as hdus:
        return any(has_vectors(hdu) and _has_flux(list(hdu.columns.names)) for hdu in hdus)


@register_spectra(
    "fits-vectors",
    "FITS table of spectra: flux, ivar or flux_error, mask; wavelengths in a second table",
    matches=_is_fits_table,
)
def read_fits_vectors(source: Source, choices: Choices) -> SpectrumSet:
    with fits_vectors(source, KEYWORDS) as file:
        return _convert(file, choices)


def _is_parquet(source: Source, head: bytes) -> bool:
    if not head.startswith(b"PAR1"):
        return False
    with source.open_seekable() as stream:
        return _has_flux(pq.read_schema(stream).names)


@register_spectra(
    "parquet-vectors",
    "Parquet table of spectra: list columns flux, ivar or flux_error, mask",
    matches=_is_parquet,
)
def read_parquet_vectors(source: Source, choices: Choices) -> SpectrumSet:
    with parquet_vectors(source) as file:
        return _convert(file, choices)


@register_spectra(
    "hdf5",
    "HDF5 file of spectra: datasets flux, ivar or flux_error, mask, wavelength",
    matches=lambda source, head: head.startswith(b"\x89HDF"),
)
def read_hdf5(source: Source, choices: Choices) -> SpectrumSet:
    with hdf5_vectors(source) as file:
        return _convert(file, choices)


def _is_table(item: Any) -> bool:
    return isinstance(item, Table) and _has_flux(item.colnames)


@register_spectra("astropy-vectors", "astropy.table.Table of spectra in memory", accepts=_is_table)
def read_table_vectors(table: Table, choices: Choices) -> SpectrumSet:
    return _convert(table_vectors(table, "the astropy table"), choices)
