"""FITS, VOTable and Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import Column, MaskedColumn, Table

from ..arrow import table_to_arrow
from ..unit_text import vo_text
from ..write_xp import WRITERS, OutputColumn
from .text import compressed

__all__ = ["fits_column"]

_ROW_GROUP = 8192


# --- Parquet -----------------------------------------------------------------
def _write_parquet(table: list[OutputColumn], path: Path, gzipped: bool) -> None:
    header = table_to_arrow(_astropy([column[:0] for column in table])).schema.metadata
    schema = pa.schema([_field(column) for column in table], metadata=header)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, max(len(table[0].values), 1), _ROW_GROUP):
            rows = slice(start, start + _ROW_GROUP)
            arrays = [
                _arrow(column[rows]).cast(f.type) for column, f in zip(table, schema, strict=True)
            ]
            writer.write_table(pa.table(arrays, schema=schema))


def _field(column: OutputColumn) -> pa.Field:
    kind = pa.string() if column.type == "string" else pa.from_numpy_dtype(column.values.dtype)
    meta = {"unit": column.unit, "description": column.description, "ucd": column.ucd}
    return pa.field(
        column.name,
        pa.list_(kind) if column.is_array else kind,
        metadata={k: v for k, v in meta.items() if v},
    )


def _arrow(column: OutputColumn) -> pa.Array:
    if not column.is_array:
        return pa.array(column.values, mask=column.missing)
    present = ~column.missing
    lengths = np.where(present, column.values.shape[1], 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = pa.array(np.ascontiguousarray(column.values[present]).reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(column.missing))


# --- FITS --------------------------------------------------------------------
_FITS_CODES = {
    "int8": "I", "int16": "I", "int32": "J", "int64": "K", "uint8": "B", "uint16": "J",
    "uint32": "K", "float32": "E", "float64": "D", "bool": "L",
}  # fmt: skip
_NULLS = {"I": -(2**15), "J": -(2**31), "K": -(2**63), "B": 255}


def _write_fits(table: list[OutputColumn], path: Path, gzipped: bool) -> None:
    hdu = fits.BinTableHDU.from_columns([fits_column(column) for column in table])
    for i, column in enumerate(table, start=1):
        if column.description:
            hdu.header[f"TCOMM{i}"] = column.description
        if column.ucd:
            hdu.header[f"TUCD{i}"] = column.ucd
    with compressed(path, gzipped) as stream:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)


def fits_column(column: OutputColumn) -> fits.Column:
    unit = vo_text(column.unit)
    if column.is_array:
        code = _FITS_CODES[column.type]
        cells = np.empty(len(column.values), dtype=object)
        empty = np.empty(0, dtype=column.values.dtype)
        cells[:] = [
            empty if gone else row for row, gone in zip(column.values, column.missing, strict=True)
        ]
        # P descriptors reach 2 GiB of heap; Q ones have no such end.
        width = "Q" if column.values.nbytes > 2**30 else "P"
        return fits.Column(column.name, f"{width}{code}()", unit=unit, array=cells)
    if column.type == "string":
        values = np.where(column.missing, "", column.values)
        encoded = np.char.encode(values.astype(np.str_), "ascii", "replace")
        size = max(encoded.dtype.itemsize, 1)
        return fits.Column(column.name, f"{size}A", unit=unit, array=encoded)
    code = _FITS_CODES[column.type]
    values = column.values
    null = None
    if code in _NULLS and column.missing.any():
        null = _NULLS[code]
        wide = {"I": np.int16, "J": np.int32, "K": np.int64, "B": np.uint8}[code]
        values = np.where(column.missing, null, values).astype(wide)
    elif values.dtype.kind == "f":
        values = np.where(column.missing, np.nan, values).astype(values.dtype)
    return fits.Column(column.name, code, unit=unit, null=null, array=values)


def _null(dtype: np.dtype) -> int:
    limits = np.iinfo(dtype)
    return int(limits.min if dtype.kind == "i" else limits.max)


# --- VOTable -----------------------------------------------------------------
def _votable_writer(layout: str):  # type: ignore[no-untyped-def]
    def write(table: list[OutputColumn], path: Path, gzipped: bool) -> None:
        document = from_table(_astropy(table))
        for column, field in zip(table, next(document.iter_tables()).fields, strict=True):
            field.ucd = column.ucd or None
            if column.missing.any() and column.values.dtype.kind in "iu":
                field.values.null = _null(column.values.dtype)
        with compressed(path, gzipped) as stream:
            document.to_xml(stream, tabledata_format=layout)

    return write


def _astropy(table: list[OutputColumn]) -> Table:
    result = Table()
    for column in table:
        if column.is_array:
            # Of fixed length, NaN where a band is missing: astropy writes arrays of
            # free length one number at a time in Python.
            added: Column = Column(column.values)
        elif column.missing.any():
            values = column.values
            if values.dtype.kind in "iu":
                values = np.where(column.missing, _null(values.dtype), values)
            added = MaskedColumn(values, mask=column.missing)
        else:
            added = Column(column.values)
        added.description = column.description or None
        if column.unit:
            added.unit = column.unit
        result[column.name] = added
    return result


WRITERS["parquet"] = _write_parquet
WRITERS["fits"] = _write_fits
WRITERS["votable"] = _votable_writer("binary2")
WRITERS["votable-binary"] = _votable_writer("binary")
WRITERS["votable-plain"] = _votable_writer("tabledata")
