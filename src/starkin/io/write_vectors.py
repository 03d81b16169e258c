"""Write spectra on wavelengths as a plain table with vector columns.

FITS, Parquet and HDF5, chosen by the suffix; :func:`starkin.io.read` reads
them back number for number. Rows are written a block at a time: a set of
50,000 x 7,214 pixels is never held twice.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table

from ..spectra import SpectrumSet, WavelengthGrid, columns
from ..spectra.errors import StarkinError
from .arrow import table_to_arrow
from .atomic import atomic_file
from .vector_layout import FLUX, FLUX_ERROR, VECTOR_NAMES, WAVELENGTH, plain_meta, terms_of
from .write_xp import OutputColumn, label_column
from .writers.binary import fits_column

__all__ = ["KEYWORDS", "write_vectors"]

# Numbers of one column in memory at a time (8 MB of float32); Arrow takes twenty times that
# to read a row group of lists.
_BLOCK = 2**21

_FITS_BLOCK = 2880  # bytes; an empty primary HDU takes just one

_DESCRIPTIONS = {
    FLUX: "Flux, NaN where missing or bad",
    FLUX_ERROR: "One standard deviation of the flux, NaN where missing or bad",
}


def write_vectors(spectra: SpectrumSet, path: str | os.PathLike[str]) -> None:
    """Write spectra on wavelengths whole or not at all.

    Parameters
    ----------
    spectra : SpectrumSet
        On a :class:`~starkin.spectra.WavelengthGrid`; labels, units and the part of
        ``meta`` that JSON can hold are written along.
    path : path-like
        Ending in ``.fits``, ``.parquet``, ``.h5`` or ``.hdf5``.

    Raises
    ------
    StarkinError
        If the spectra are XP coefficients, a label bears the name of a spectrum's
        column, or the suffix is another.
    """
    path = Path(path)
    if not isinstance(spectra.grid, WavelengthGrid):
        raise StarkinError(
            f"These spectra are {spectra.grid.describe()}, not fluxes against wavelength; "
            "write them with write_spectra."
        )
    clash = [n for n in spectra.labels.colnames if n.lower() in (*VECTOR_NAMES, columns.SOURCE_ID)]
    if clash:
        raise StarkinError(f"Label column {clash[0]!r} has the name of a spectrum's; rename it.")
    if path.suffix.lower() not in _WRITERS:
        raise StarkinError(
            f"Cannot tell the format of {path} from its suffix; use one of {', '.join(_WRITERS)}."
        )
    with atomic_file(path) as temporary:
        _WRITERS[path.suffix.lower()](spectra, temporary)


def _blocks(spectra: SpectrumSet) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Rows, and their fluxes and errors with NaN where masked."""
    step = max(1, _BLOCK // max(spectra.n_pixels, 1))
    for start in range(0, len(spectra), step):
        rows = slice(start, min(start + step, len(spectra)))
        mask = spectra.mask[rows]
        flux, error = spectra.values[rows], spectra.errors[rows]
        if mask.any():
            flux, error = np.where(mask, np.nan, flux), np.where(mask, np.nan, error)
        yield rows, flux, error


def _header(spectra: SpectrumSet) -> dict[str, str]:
    assert isinstance(spectra.grid, WavelengthGrid)
    return {
        **terms_of(spectra.grid),
        "flux_unit": spectra.unit.to_string(),
        "provenance": plain_meta(spectra.meta),
    }


def _float(dtype: np.dtype) -> np.dtype:
    """float32 stays, anything else is float64: no reader need know a third."""
    return np.dtype(np.float32) if dtype == np.float32 else np.dtype(np.float64)


# --- Parquet -----------------------------------------------------------------
def _write_parquet(spectra: SpectrumSet, path: Path) -> None:
    n_pixels = spectra.n_pixels
    labels = table_to_arrow(spectra.labels) if spectra.labels.colnames else None
    fields = [pa.field(columns.SOURCE_ID, pa.int64(), nullable=False)]
    for name, array in ((FLUX, spectra.values), (FLUX_ERROR, spectra.errors)):
        kind = pa.list_(pa.from_numpy_dtype(_float(array.dtype)), n_pixels)
        about = {"description": _DESCRIPTIONS[name], "unit": spectra.unit.to_string()}
        fields.append(pa.field(name, kind, nullable=False, metadata=about))
    metadata: dict[Any, Any] = {} if labels is None else dict(labels.schema.metadata or {})
    metadata |= {f"starkin.{key}": text for key, text in _header(spectra).items()}
    # repr of a float is read back to the same bits.
    metadata["starkin.wavelength"] = json.dumps(spectra.grid.wavelength.tolist())  # type: ignore[attr-defined]
    fields += [] if labels is None else list(labels.schema)
    schema = pa.schema(fields, metadata=metadata)
    # Fluxes hardly compress; errors often repeat. A dictionary helps neither.
    scalars = [columns.SOURCE_ID, *([] if labels is None else labels.schema.names)]
    squeeze = dict.fromkeys(scalars, "zstd")
    squeeze |= {f"{FLUX}.list.element": "none", f"{FLUX_ERROR}.list.element": "zstd"}
    with pq.ParquetWriter(
        path, schema, compression=squeeze, use_dictionary=scalars, write_statistics=scalars
    ) as writer:
        for rows, flux, error in _blocks(spectra):
            arrays: list[Any] = [pa.array(spectra.source_id[rows])]
            for field, block in zip(fields[1:3], (flux, error), strict=True):
                flat = np.ascontiguousarray(block, dtype=field.type.value_type.to_pandas_dtype())
                arrays.append(
                    pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), n_pixels)
                )
            if labels is not None:
                part = labels.slice(rows.start, rows.stop - rows.start)
                arrays += [column.combine_chunks() for column in part.columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


# --- HDF5 --------------------------------------------------------------------
def _write_hdf5(spectra: SpectrumSet, path: Path) -> None:
    import h5py

    n, n_pixels = len(spectra), spectra.n_pixels
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        for key, value in _header(spectra).items():
            file.attrs[key] = value
        wavelength = file.create_dataset(WAVELENGTH, data=spectra.grid.wavelength)  # type: ignore[attr-defined]
        wavelength.attrs["unit"] = spectra.grid.unit  # type: ignore[attr-defined]
        file.create_dataset(columns.SOURCE_ID, data=spectra.source_id)
        # Fluxes hardly compress; errors often repeat.
        chunk = (max(1, min(n, 2**18 // max(n_pixels, 1))), n_pixels)
        packing = {"compression": "lzf", "shuffle": True, "chunks": chunk} if n else {}
        flux = file.create_dataset(FLUX, (n, n_pixels), dtype=_float(spectra.values.dtype))
        error = file.create_dataset(
            FLUX_ERROR, (n, n_pixels), dtype=_float(spectra.errors.dtype), **packing
        )
        for name, dataset in ((FLUX, flux), (FLUX_ERROR, error)):
            dataset.attrs["unit"] = spectra.unit.to_string()
            dataset.attrs["description"] = _DESCRIPTIONS[name]
        for rows, block, block_error in _blocks(spectra):
            flux[rows], error[rows] = block, block_error
        group = file.create_group("labels")
        for column in _label_columns(spectra.labels):
            values = column.values
            if column.type == "string":
                dataset = group.create_dataset(column.name, data=values.astype(object), dtype=text)
            else:
                dataset = group.create_dataset(column.name, data=values)
            dataset.attrs["unit"], dataset.attrs["description"] = column.unit, column.description
            if column.missing.any() and values.dtype.kind != "f":
                dataset.attrs["missing"] = np.flatnonzero(column.missing)
            elif column.missing.any() and values.ndim == 1:
                dataset[...] = np.where(column.missing, np.nan, values)


def _label_columns(labels: Table) -> list[OutputColumn]:
    return [label_column(labels, name) for name in labels.colnames]


# --- FITS --------------------------------------------------------------------
def _write_fits(spectra: SpectrumSet, path: Path) -> None:
    labels = _label_columns(spectra.labels)
    unit = spectra.unit.to_string() or None
    described = []
    for name, array in ((FLUX, spectra.values), (FLUX_ERROR, spectra.errors)):
        kind = _float(array.dtype)
        code = f"{spectra.n_pixels}{'E' if kind == np.float32 else 'D'}"
        described.append(fits.Column(name, code, unit=unit))
    scalars = [fits.Column(columns.SOURCE_ID, "K", array=spectra.source_id)]
    scalars += [_fits_label(column) for column in labels]
    table = fits.BinTableHDU.from_columns(scalars)
    # The table's header is made with no rows and completed by hand: astropy would hold
    # all rows, fluxes included, once more.
    outline = [
        fits.Column(c.name, c.format, unit=c.unit, null=c.null)
        for c in (scalars[0], *described, *scalars[1:])
    ]
    frame = fits.BinTableHDU.from_columns(outline, name="SPECTRA")
    header = frame.header
    header["NAXIS2"] = len(spectra)
    about = [("", ""), *((_DESCRIPTIONS[n], "") for n in (FLUX, FLUX_ERROR))]
    about += [(column.description, column.ucd) for column in labels]
    for i, (description, ucd) in enumerate(about, start=1):
        if description:
            header[f"TCOMM{i}"] = description
        if ucd:
            header[f"TUCD{i}"] = ucd
    grid = fits.BinTableHDU.from_columns(
        [fits.Column(WAVELENGTH, "D", unit=spectra.grid.unit, array=spectra.grid.wavelength)],  # type: ignore[attr-defined]
        name="WAVELENGTH",
    )
    for key, value in _header(spectra).items():
        grid.header[KEYWORDS[key]] = value
    row = frame.columns.dtype.newbyteorder(">")
    with path.open("wb") as stream:
        fits.HDUList([fits.PrimaryHDU()]).writeto(stream)
        stream.write(header.tostring().encode("ascii"))
        for rows, flux, error in _blocks(spectra):
            block = np.empty(len(flux), dtype=row)
            block[FLUX], block[FLUX_ERROR] = flux, error
            for name in table.columns.names:
                block[name] = table.data.view(np.ndarray)[name][rows]
            stream.write(block.tobytes())
        stream.write(b"\0" * (-(len(spectra) * row.itemsize) % _FITS_BLOCK))
        # fits.append would read the whole file to add to its end.
        end = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), grid]).writeto(end)
        stream.write(end.getvalue()[_FITS_BLOCK:])


def _fits_label(column: OutputColumn) -> fits.Column:
    if not column.is_array:
        return fits_column(column)
    # Of fixed length: rows are written one after the other, without a heap.
    code = f"{column.values.shape[1]}D"
    return fits.Column(column.name, code, unit=column.unit or None, array=column.values)


#: FITS keywords of the WAVELENGTH table by the name of what they say.
KEYWORDS = {
    "wavelength_unit": "WAVEUNIT",
    "medium": "MEDIUM",
    "frame": "FRAME",
    "resolution": "RESOLVE",
    "flux_unit": "FLUXUNIT",
    "provenance": "PROVENAN",
}

_WRITERS: dict[str, Callable[[SpectrumSet, Path], None]] = {
    ".parquet": _write_parquet,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".fits": _write_fits,
}
