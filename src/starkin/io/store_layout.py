"""How a set of spectra lies in a Parquet part of the store, and back.

One row a star: ``source_id`` (int64), ``values`` and ``errors`` (and, if kept,
``correlations``) as fixed-length binary columns holding the row's numbers in
little-endian IEEE format, then the label columns as ordinary typed columns.

Why fixed-length binary and not lists of floats: Parquet stores a repetition
level and a definition level for every number in a list, and decoding those
takes 6-7 ns a number. Measured on 200,000 stars x (110 + 110) float32, one
core: lists 0.6-0.7 M stars/s (pyarrow 26) and 0.35 (polars 2), one column a
coefficient 0.4 including the gather into rows, fixed-length binary 3-5 M
stars/s, which is the speed of copying memory. ``numpy.frombuffer`` (or
``polars.Series.bin.reinterpret``) turns a cell into numbers; the dtype and the
shape are in the field's metadata.

Why not compressed: on real coefficients, errors and correlations zstd saves
6-9 % (13 % on top of byte-stream-split) and makes reading 2 to 20 times slower.

Masked numbers are NaN in both ``values`` and ``errors``: a missing band is 55
NaNs. :class:`~starkin.spectra.SpectrumSet` turns them into its mask again.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from astropy.table import Table

from ..spectra import SpectrumSet, StarkinError, columns
from .arrow import table_to_arrow

__all__ = ["CORRELATIONS", "ERRORS", "VALUES", "label_schema", "labels_of", "to_arrays", "to_arrow"]

VALUES, ERRORS, CORRELATIONS = "values", "errors", "correlations"
_SPECTRA = (columns.SOURCE_ID, VALUES, ERRORS, CORRELATIONS)
_DESCRIPTIONS = {
    VALUES: "Coefficients or fluxes, NaN where missing",
    ERRORS: "One standard deviation of each value, NaN where missing",
    CORRELATIONS: "Packed upper triangles of the correlation matrices, column by column",
}


def _binary_field(name: str, width: int, dtype: np.dtype, unit: str) -> pa.Field:
    about = {
        "description": _DESCRIPTIONS[name],
        "unit": "" if name == CORRELATIONS else unit,
        "dtype": dtype.newbyteorder("<").str,
        "shape": f"{width}",
    }
    return pa.field(name, pa.binary(width * dtype.itemsize), nullable=False, metadata=about)


def _binary_array(array: np.ndarray, dtype: np.dtype) -> pa.Array:
    rows = np.ascontiguousarray(array, dtype=dtype.newbyteorder("<"))
    width = rows.shape[1] * rows.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(rows), [None, pa.py_buffer(rows)]
    )


def _from_binary(array: pa.Array, dtype: np.dtype) -> np.ndarray:
    """The numbers of a fixed-length binary array as rows, without a copy."""
    width = array.type.byte_width // dtype.itemsize
    flat = np.frombuffer(
        array.buffers()[1],
        dtype=dtype.newbyteorder("<"),
        count=len(array) * width,
        offset=array.offset * array.type.byte_width,
    )
    return flat.reshape(len(array), width)


def label_schema(labels: Table) -> pa.Schema:
    """Arrow schema of the label columns, unit and description on each field.

    Raises
    ------
    StarkinError
        If a label has the name of one of the store's own columns.
    """
    clash = [name for name in labels.colnames if name in _SPECTRA[1:]]
    if clash:
        raise StarkinError(
            f"A store uses the column name {clash[0]!r} itself; rename that label column."
        )
    schema = table_to_arrow(labels).schema
    for i, name in enumerate(schema.names):
        if pa.types.is_null(schema.field(i).type):
            # Text of which the first rows have none.
            schema = schema.set(i, pa.field(name, pa.string()))
        known = columns.info(name)
        about = {
            "unit": str(labels[name].unit or known.unit),
            "description": labels[name].description or known.description,
        }
        schema = schema.set(i, schema.field(i).with_metadata(about))
    return schema


def labels_of(part: pa.Schema) -> pa.Schema:
    """The label columns of a part's schema."""
    fields = [field for field in part if field.name not in _SPECTRA]
    return pa.schema(fields, metadata=part.metadata)


def to_arrow(
    spectra: SpectrumSet, labels: pa.Schema, dtype: np.dtype, correlations: bool
) -> pa.Table:
    """A batch of spectra as an Arrow table in the store's layout.

    Parameters
    ----------
    spectra : SpectrumSet
        The batch.
    labels : pyarrow.Schema
        Label columns of the store, from :func:`label_schema`; columns that
        ``spectra`` lacks become null.
    dtype : numpy.dtype
        Of values and errors on disk.
    correlations : bool
        Whether the store keeps them; NaN rows where ``spectra`` has none.

    Raises
    ------
    StarkinError
        If ``spectra`` has label columns that the store lacks, or of another type.
    """
    n, unit = len(spectra), str(spectra.unit)
    values, errors = spectra.values, spectra.errors
    if spectra.mask.any():
        values = np.where(spectra.mask, np.nan, values)
        errors = np.where(spectra.mask, np.nan, errors)
    fields = [
        pa.field(columns.SOURCE_ID, pa.int64(), False),
        _binary_field(VALUES, spectra.n_pixels, dtype, unit),
        _binary_field(ERRORS, spectra.n_pixels, dtype, unit),
    ]
    arrays = [
        pa.array(spectra.source_id),
        _binary_array(values, dtype),
        _binary_array(errors, dtype),
    ]
    if correlations:
        single = np.dtype(np.float32)
        packed = spectra.correlations
        if packed is None:
            width = spectra.grid.n_correlations  # type: ignore[attr-defined]
            packed = np.full((n, width), np.nan, dtype=single)
        fields.append(_binary_field(CORRELATIONS, packed.shape[1], single, unit))
        arrays.append(_binary_array(packed, single))
    extra = [name for name in spectra.labels.colnames if name not in labels.names]
    if extra:
        raise StarkinError(
            f"The store has no label column {extra[0]!r} (its first spectra had "
            f"{', '.join(labels.names) or 'none'}); drop the column or start a new store."
        )
    given = table_to_arrow(spectra.labels) if spectra.labels.colnames else None
    for field in labels:
        if given is None or field.name not in given.column_names:
            arrays.append(pa.nulls(n, field.type))
            continue
        try:
            arrays.append(given[field.name].combine_chunks().cast(field.type))
        except pa.ArrowException as error:
            raise StarkinError(
                f"Label column {field.name!r} does not fit the store's type {field.type}: {error}"
            ) from error
    schema = pa.schema([*fields, *labels], metadata=labels.metadata)
    return pa.Table.from_arrays(arrays, schema=schema)


def to_arrays(chunk: pa.Table, dtype: np.dtype) -> dict[str, np.ndarray]:
    """Ids and numbers of one row group, by column: views of Arrow's memory."""
    arrays = {columns.SOURCE_ID: _one_chunk(chunk[columns.SOURCE_ID]).to_numpy()}
    for name in (VALUES, ERRORS, CORRELATIONS):
        if name in chunk.column_names:
            kind = np.dtype(np.float32) if name == CORRELATIONS else dtype
            arrays[name] = _from_binary(_one_chunk(chunk[name]), kind)
    return arrays


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
