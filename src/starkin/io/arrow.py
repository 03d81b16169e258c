"""Between astropy tables and Arrow, with units, descriptions and missing values kept.

The Parquet files carry their header twice, because readers differ: as a
VOTable header (the VOParquet convention, which TOPCAT reads) and as astropy's
``table_meta_yaml``.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io.votable import parse_single_table
from astropy.table import Column, MaskedColumn, Table
from astropy.table import meta as table_meta

from .votable_header import from_votable, to_votable

__all__ = ["arrow_to_table", "table_to_arrow"]

_ASTROPY_HEADER = b"table_meta_yaml"
_VO_VERSION = b"IVOA.VOTable-Parquet.version"
_VO_HEADER = b"IVOA.VOTable-Parquet.content"


def _to_arrow(column: Column) -> pa.Array:
    values, mask = np.asarray(column), getattr(column, "mask", None)
    # Columns of FITS files are big-endian, which Arrow refuses.
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.ndim > 1:
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))
    if values.dtype.kind == "O":
        return pa.array(values.tolist())
    if values.dtype.kind in "US":
        values = values.astype(object)
    return pa.array(values, mask=None if mask is None else np.asarray(mask, dtype=bool))


def _vo_header(table: Table) -> bytes:
    """A VOTable document with fields and parameters but no rows."""
    buffer = io.BytesIO()
    to_votable(table[:0]).to_xml(buffer)
    return buffer.getvalue()


def table_to_arrow(table: Table, *, header: bool = True) -> pa.Table:
    """An Arrow table whose schema carries units, descriptions and ``table.meta``.

    Without ``header`` it carries none of them: a file of many pieces needs one.
    """
    arrow = pa.table({name: _to_arrow(table[name]) for name in table.colnames})
    return arrow.replace_schema_metadata(_header(table)) if header else arrow


def _header(table: Table) -> dict[bytes, bytes]:
    header = {
        _ASTROPY_HEADER: "\n".join(table_meta.get_yaml_from_table(table)).encode(),
        _VO_VERSION: b"1.0",
        _VO_HEADER: _vo_header(table),
    }
    for name in table.colnames:
        if table[name].dtype.kind == "U":
            # astropy's reader wants the width of string columns under this key.
            width = table[name].dtype.itemsize // 4
            header[f"table::len::{name}".encode()] = str(width).encode()
    return header


def _column(name: str, array: pa.ChunkedArray) -> Column:
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        flat = array.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return Column(flat.reshape(-1, width), name=name)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        null = array.is_null().to_numpy()
        values = np.asarray(array.fill_null("").to_pylist(), dtype=str)
        return MaskedColumn(values, name=name, mask=null) if null.any() else Column(values, name)
    if array.null_count and not pa.types.is_nested(array.type):
        null = array.is_null().to_numpy()
        filled = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
        return MaskedColumn(filled.to_numpy(), name=name, mask=null)
    return Column(array.to_numpy(), name=name)


def arrow_to_table(arrow: pa.Table) -> Table:
    """The inverse of :func:`table_to_arrow`; files by other writers come without units."""
    table = Table([_column(name, arrow[name]) for name in arrow.column_names])
    metadata: dict[bytes, Any] = arrow.schema.metadata or {}
    if _ASTROPY_HEADER in metadata:
        header = table_meta.get_header_from_yaml(metadata[_ASTROPY_HEADER].decode().split("\n"))
        table.meta.update(header.get("meta", {}))
        described = header["datatype"]
    elif _VO_HEADER in metadata:
        empty = from_votable(parse_single_table(io.BytesIO(metadata[_VO_HEADER])))
        table.meta.update(empty.meta)
        described = [
            {"name": n, "unit": empty[n].unit, "description": empty[n].description}
            for n in empty.colnames
        ]
    else:
        described = []
    for column in described:
        if column["name"] in table.colnames:
            for part in ("unit", "description"):
                setattr(table[column["name"]], part, column.get(part))
    return table
