"""FITS, Parquet and HDF5 files with one spectrum a row, opened without reading the spectra.

Each gives the same four things: its scalar columns, what its header says, how
many rows it has, and its vector columns a block of rows at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table

from ..spectra.errors import StarkinError
from .fits_files import open_fits
from .source import Source
from .unit_text import parse_unit
from .vector_layout import VECTOR_NAMES, WAVELENGTH, WAVELENGTH_NAMES, find_name

__all__ = [
    "Block",
    "VectorFile",
    "fits_vectors",
    "hdf5_vectors",
    "parquet_vectors",
    "table_vectors",
]

#: Numbers of one column in memory at a time (8 MB of float32).
BLOCK = 2**21

#: Rows of some vector columns: a matrix, or a list of arrays of unequal length.
Block = dict[str, Any]


class _Rows(Protocol):
    def __call__(self, names: list[str], step: int) -> Iterator[tuple[slice, Block]]: ...


@dataclass
class VectorFile:
    """What is known of a file before its spectra are read.

    Attributes
    ----------
    name : str
        What messages call the file.
    n_rows : int
    vectors : list of str
        Names of columns with an array a row that belong to the spectrum.
    scalars : Table
        All other columns.
    rows : callable
        ``rows(names, step)`` yields blocks of at most ``step`` rows in order.
    wavelength : ndarray or None, shape (n_pixels,)
        Where the file stores it once.
    terms : dict of str to str
        ``wavelength_unit``, ``medium``, ``frame``, ``resolution``, ``flux_unit``,
        ``provenance``, as far as the file says.
    units : dict of str to str
        Of vector columns that have one.
    """

    name: str
    n_rows: int
    vectors: list[str]
    scalars: Table
    rows: _Rows
    wavelength: np.ndarray | None = None
    terms: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)


def _lower(terms: dict[str, Any]) -> dict[str, str]:
    return {key.lower(): str(value) for key, value in terms.items() if value is not None}


# --- astropy tables, and FITS through them -----------------------------------------
def table_vectors(table: Table, name: str) -> VectorFile:
    """Columns of an astropy table; multi-dimensional ones are the vectors."""
    vectors = [n for n in table.colnames if _is_vector(table[n]) and n.lower() in VECTOR_NAMES]
    scalars = Table(copy=False)
    for column in table.colnames:
        if column not in vectors:
            scalars[column] = table[column]

    def rows(names: list[str], step: int) -> Iterator[tuple[slice, Block]]:
        for start in range(0, len(table), step):
            part = slice(start, min(start + step, len(table)))
            yield part, {n: _block_of(table[n], part) for n in names}

    terms = _lower(
        {k: table.meta[k] for k in table.meta if isinstance(table.meta[k], (str, float))}
    )
    units = {n: str(table[n].unit) for n in vectors if table[n].unit is not None}
    return VectorFile(name, len(table), vectors, scalars, rows, terms=terms, units=units)


def _is_vector(column: Any) -> bool:
    return column.ndim == 2 or column.dtype.kind == "O"


def _block_of(column: Any, rows: slice) -> Any:
    cells = getattr(column, "value", column)[rows]
    if cells.dtype.kind == "O":
        return [np.ma.filled(np.ma.asarray(cell, dtype=np.float64), np.nan) for cell in cells]
    if isinstance(cells, np.ma.MaskedArray) and cells.dtype.kind == "f":
        return np.asarray(cells.filled(np.nan))
    return np.asarray(cells)


@contextmanager
def fits_vectors(source: Source, keywords: dict[str, str]) -> Iterator[VectorFile]:
    """The first binary table with vector columns, and the WAVELENGTH extension.

    ``keywords`` names the header keyword of each term.
    """
    with open_fits(source, mapped=True) as hdus:
        yield _of_hdus(hdus, source.name, keywords)


def _of_hdus(hdus: fits.HDUList, name: str, keywords: dict[str, str]) -> VectorFile:
    index = next((i for i, h in enumerate(hdus) if has_vectors(h)), None)
    if index is None:
        raise StarkinError(f"{name} holds no table with vector columns.")
    # Left as it lies on disk: no column is read before its rows are asked for.
    table = Table.read(hdus, hdu=index, format="fits", mask_invalid=False)
    header = hdus[index].header
    for i, column in enumerate(table.colnames, start=1):
        table[column].unit = parse_unit(table[column].unit)
        table[column].info.description = header.get(f"TCOMM{i}")
    table.meta = {}
    file = table_vectors(table, name)
    wavelength = next((h for h in hdus if h.name.upper() in ("WAVELENGTH", "WAVE", "LAMBDA")), None)
    headers = [header, hdus[0].header]
    if wavelength is not None and wavelength.data is not None:
        headers.insert(0, wavelength.header)
        file.wavelength, unit = _wavelengths_of(wavelength, name)
        if unit:
            file.terms["wavelength_unit"] = unit
    for term, keyword in keywords.items():
        value = next((h[keyword] for h in headers if h.get(keyword) not in (None, "")), None)
        if value is not None:
            file.terms.setdefault(term, str(value))
    return file


def has_vectors(hdu: Any) -> bool:
    """Whether an HDU is a binary table with a column of arrays."""
    return isinstance(hdu, fits.BinTableHDU) and any(
        (code := str(form).lstrip().upper())[:1] in "PQ"
        or (code[:-1].isdigit() and int(code[:-1]) > 1 and code[-1] in "EDIJKBL")
        for form in hdu.columns.formats
    )


def _wavelengths_of(hdu: Any, name: str) -> tuple[np.ndarray, str]:
    if isinstance(hdu, fits.BinTableHDU):
        found = find_name(list(hdu.columns.names), WAVELENGTH_NAMES)
        if found is None:
            raise StarkinError(f"{name}: its extension {hdu.name} has no column {WAVELENGTH!r}.")
        values = np.asarray(hdu.data[found], dtype=np.float64).reshape(-1)
        return values, str(hdu.columns[found].unit or "")
    return np.asarray(hdu.data, dtype=np.float64).reshape(-1), str(hdu.header.get("BUNIT", ""))


# --- Parquet --------------------------------------------------------------------------
@contextmanager
def parquet_vectors(source: Source) -> Iterator[VectorFile]:
    """List columns of a Parquet file, streamed."""
    from .readers.memory import from_arrow

    with source.open_seekable() as stream:
        file = pq.ParquetFile(source.file if source.file is not None else stream)
        schema = file.schema_arrow
        vectors = [f.name for f in schema if _is_list(f.type) and f.name.lower() in VECTOR_NAMES]
        scalars = [f.name for f in schema if f.name not in vectors]
        header = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
        terms = {k.removeprefix("starkin."): v for k, v in header.items() if ":" not in k}
        units = {f.name: (f.metadata or {}).get(b"unit", b"").decode() for f in schema}
        wavelength = terms.pop(WAVELENGTH, None)

        def rows(names: list[str], step: int) -> Iterator[tuple[slice, Block]]:
            start = 0
            for batch in file.iter_batches(batch_size=step, columns=names):
                part = slice(start, start + batch.num_rows)
                yield part, {n: _lists(batch.column(n)) for n in names}
                start = part.stop
            # Arrow keeps what it has decoded for later: half of a large set over again.
            pa.default_memory_pool().release_unused()

        table = from_arrow(file.read(columns=scalars), source.name)
        yield VectorFile(
            source.name,
            file.metadata.num_rows,
            vectors,
            table.scalars,
            rows,
            None if wavelength is None else _json_numbers(wavelength, source.name),
            terms,
            {name: unit for name, unit in units.items() if unit and name in vectors},
        )


def _is_list(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(test(kind) for test in lists):
        return False
    inner = kind.value_type
    return pa.types.is_floating(inner) or pa.types.is_integer(inner) or pa.types.is_boolean(inner)


def _lists(column: pa.Array) -> Any:
    """A matrix, or a list of arrays where lengths differ; null numbers are NaN."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(column.type) and column.null_count:
        column = column.cast(pa.large_list(column.type.value_type))
    flat = column.flatten()  # of the rows that are not null
    if flat.null_count:
        flat = pc.fill_null(flat.cast(pa.float64()), np.nan)
    numbers = flat.to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths == lengths[0]).all():
        return numbers.reshape(len(lengths), -1)
    return np.split(numbers, np.cumsum(lengths)[:-1])


def _json_numbers(text: str, name: str) -> np.ndarray:
    try:
        return np.asarray(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise StarkinError(f"{name}: the wavelengths in its header are damaged.") from error


# --- HDF5 -----------------------------------------------------------------------------
@contextmanager
def hdf5_vectors(source: Source) -> Iterator[VectorFile]:
    """Two-dimensional datasets at the top of an HDF5 file, read in slices."""
    import h5py

    with source.open_seekable() as stream, h5py.File(source.file or stream, "r") as file:
        datasets = {k: v for k, v in file.items() if isinstance(v, h5py.Dataset)}
        vectors = [k for k, v in datasets.items() if v.ndim == 2 and k.lower() in VECTOR_NAMES]
        n = datasets[vectors[0]].shape[0] if vectors else 0
        terms = _lower({k: _text(v) for k, v in file.attrs.items()})
        wavelength = None
        found = find_name([k for k, v in datasets.items() if v.ndim == 1], WAVELENGTH_NAMES)
        if found is not None:
            wavelength = datasets[found][:].astype(np.float64)
            attributes = _lower({k: _text(v) for k, v in datasets[found].attrs.items()})
            if "unit" in attributes or "units" in attributes:
                terms["wavelength_unit"] = attributes.get("unit") or attributes["units"]
            terms |= {k: v for k, v in attributes.items() if k in ("medium", "frame", "resolution")}
        units = {k: _text(datasets[k].attrs.get("unit", "")) for k in vectors}
        columns = {k: v for k, v in datasets.items() if k not in (*vectors, found)}
        if isinstance(file.get("labels"), h5py.Group):
            columns |= {k: v for k, v in file["labels"].items() if isinstance(v, h5py.Dataset)}
        scalars = Table()
        for key, dataset in columns.items():
            if vectors and dataset.shape[:1] != (n,):
                raise StarkinError(
                    f"{source.name}: {key!r} has {dataset.shape[0]} rows and "
                    f"{vectors[0]!r} has {n}; give one row a star."
                )
            scalars[key] = _hdf5_column(dataset)

        def rows(names: list[str], step: int) -> Iterator[tuple[slice, Block]]:
            for start in range(0, n, step):
                part = slice(start, min(start + step, n))
                yield part, {name: datasets[name][part] for name in names}

        for key in vectors:
            if datasets[key].shape[0] != n:
                raise StarkinError(
                    f"{source.name}: {key!r} has {datasets[key].shape[0]} rows and "
                    f"{vectors[0]!r} has {n}; give one row a star."
                )
        units = {name: unit for name, unit in units.items() if unit}
        yield VectorFile(source.name, n, vectors, scalars, rows, wavelength, terms, units)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _hdf5_column(dataset: Any) -> Column:
    values = dataset.asstr()[:] if dataset.dtype.kind == "O" else dataset[:]
    values = values.astype(np.str_) if values.dtype.kind == "O" else values
    missing = dataset.attrs.get("missing")
    column: Column = Column(values)
    if missing is not None:
        column = MaskedColumn(values, mask=np.isin(np.arange(len(values)), missing))
    column.unit = _text(dataset.attrs.get("unit", "")) or None
    column.description = _text(dataset.attrs.get("description", "")) or None
    return column
