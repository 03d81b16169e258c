"""FITS binary tables: DataLink's variable-length arrays, fixed arrays, wide columns."""

from __future__ import annotations

import re

from astropy.io import fits
from astropy.table import Table

from ...spectra.errors import StarkinError
from ..column_table import ColumnTable
from ..fits_files import open_fits
from ..registry import register
from ..source import Source
from ..unit_text import parse_unit

__all__ = ["read_fits"]


@register("fits", "FITS binary table", matches=lambda head: head.startswith(b"SIMPLE  ="))
def read_fits(source: Source) -> ColumnTable:
    with open_fits(source) as hdus:
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
