"""FITS binary tables: DataLink's variable-length arrays, fixed arrays, wide columns."""

from __future__ import annotations

import re
import warnings

from astropy.io import fits
from astropy.table import Table
from astropy.units import UnitsWarning
from astropy.utils.exceptions import AstropyUserWarning

from ...spectra.errors import StarkinError
from ..column_table import ColumnTable
from ..registry import register
from ..source import Source
from ..unit_text import parse_unit

__all__ = ["read_fits"]


@register("fits", "FITS binary table", matches=lambda head: head.startswith(b"SIMPLE  ="))
def read_fits(source: Source) -> ColumnTable:
    with source.open_seekable() as stream, warnings.catch_warnings():
        # astropy only warns of a cut file, and then fills the end with what it likes.
        warnings.filterwarnings("error", message=".*truncated.*", category=AstropyUserWarning)
        warnings.simplefilter("ignore", category=fits.verify.VerifyWarning)
        warnings.simplefilter("ignore", category=UnitsWarning)  # Read below, more kindly.
        with fits.open(stream, memmap=False, lazy_load_hdus=False) as hdus:
            tables = [i for i, hdu in enumerate(hdus) if isinstance(hdu, fits.BinTableHDU)]
            if not tables:
                raise StarkinError(f"{source.name} holds no FITS binary table.")
            table = Table.read(hdus, hdu=tables[0], format="fits")
            header = hdus[tables[0]].header
            for i, name in enumerate(table.colnames, start=1):
                table[name].unit = parse_unit(table[name].unit)
                if not table[name].info.description and f"TCOMM{i}" in header:
                    table[name].info.description = header[f"TCOMM{i}"]
    table.meta = {k: v for k, v in table.meta.items() if not re.match(r"T(COMM|UCD)\d+$", k)}
    return ColumnTable(source.name, table)
