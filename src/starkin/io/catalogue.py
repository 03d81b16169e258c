"""Tables in and out with units and descriptions, for TOPCAT, astropy and pandas alike."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import Table
from astropy.units import UnitsWarning

from ..spectra.errors import StarkinError
from .arrow import arrow_to_table, table_to_arrow
from .atomic import atomic_file
from .unit_text import parse_unit, vo_text
from .votable_header import from_votable, to_votable

__all__ = ["read_table", "write_table"]

# suffix -> astropy's name of the format
_FORMATS = {
    ".parquet": "parquet",
    ".fits": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".ecsv": "ascii.ecsv",
    ".csv": "ascii.csv",
}


def _format(path: Path) -> str:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise StarkinError(
            f"Cannot tell the table format of {path} from its suffix; use one of "
            f"{', '.join(_FORMATS)}."
        ) from None


def _write_fits(table: Table, path: Path) -> None:
    # A FITS header holds short flat values; what does not fit stays in the other formats.
    plain = {k: v for k, v in table.meta.items() if isinstance(v, (str, int, float, bool))}
    flat = table.copy(copy_data=False)
    flat.meta = {}
    for name in table.colnames:
        flat[name].unit = None
    hdu = fits.table_to_hdu(flat)
    for number, name in enumerate(table.colnames, start=1):
        if unit := vo_text(table[name].unit):
            hdu.header[f"TUNIT{number}"] = unit
        if table[name].description:
            hdu.header[f"TCOMM{number}"] = table[name].description
    for key, value in plain.items():
        hdu.header[f"HIERARCH {key}"] = value
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def _read_fits(path: Path) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)  # Read again below, more kindly.
        table = Table.read(path, format="fits", hdu=1)
    meta = {key.lower(): value for key, value in table.meta.items()}
    for number, name in enumerate(table.colnames, start=1):
        table[name].unit = parse_unit(table[name].unit)
        table[name].description = meta.pop(f"tcomm{number}", None)
    table.meta = meta
    return table


def write_table(table: Table, path: str | os.PathLike[str]) -> None:
    """Write ``table`` whole or not at all, the format chosen by the suffix.

    Raises
    ------
    StarkinError
        If the suffix is unknown or the file cannot be written.
    """
    path = Path(path)
    format_ = _format(path)
    with atomic_file(path) as temporary:
        if format_ == "parquet":
            pq.write_table(table_to_arrow(table), temporary, compression="zstd")
        elif format_ == "votable":
            to_votable(table).to_xml(str(temporary), tabledata_format="binary2")
        elif format_ == "fits":
            _write_fits(table, temporary)
        else:
            table.write(temporary, format=format_, overwrite=True)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table that :func:`write_table`, TOPCAT or the archive wrote.

    Raises
    ------
    StarkinError
        If the file is missing, damaged or of an unknown format.
    """
    path = Path(path)
    if not path.exists():
        raise StarkinError(f"{path} does not exist.")
    format_ = _format(path)
    try:
        if format_ == "parquet":
            return arrow_to_table(pq.read_table(path))
        if format_ == "fits":
            return _read_fits(path)
        if format_ == "votable":
            return from_votable(parse_single_table(path))
        return Table.read(path, format=format_)
    except (OSError, ValueError, IndexError, pa.ArrowException) as error:
        if isinstance(error, StarkinError):
            raise
        raise StarkinError(f"Cannot read {path} as a table: {error}") from error
