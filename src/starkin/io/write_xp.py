"""Write XP coefficients in the archive's own forms.

A file written here is read by whatever reads the archive's files (GaiaXPy,
TOPCAT, astropy), and by :func:`starkin.io.read`. A missing band is an empty or
null array, a single masked value NaN. Labels of the stars come along as
further columns.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from ..spectra import SpectrumSet, XPGrid, columns
from ..spectra.errors import StarkinError
from .archive_columns import XP_COLUMNS
from .atomic import atomic_file
from .columns_to_spectra import COEFFICIENT_UNIT

__all__ = ["WRITERS", "OutputColumn", "label_column", "write_spectra"]

#: Suffix (less ``.gz``) to format.
_SUFFIXES = {
    ".csv": "csv",
    ".ecsv": "ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".parquet": "parquet",
}
_BULK_NAME = "xpcontinuousmeanspectrum*.csv*"
_COMPRESSIBLE = ("csv", "ecsv", "bulk", "votable", "votable-plain", "votable-binary", "fits")


@dataclass(frozen=True)
class OutputColumn:
    """One column of the file to be.

    Attributes
    ----------
    values : ndarray, shape (n_rows,) or (n_rows, length)
    missing : ndarray of bool, shape (n_rows,)
    type : str
        numpy's name of the type, or ``"string"``.
    """

    name: str
    values: np.ndarray
    missing: np.ndarray
    type: str
    unit: str = ""
    description: str = ""
    ucd: str = ""

    @property
    def is_array(self) -> bool:
        return self.values.ndim == 2

    def __getitem__(self, rows: slice) -> OutputColumn:
        return OutputColumn(
            self.name,
            self.values[rows],
            self.missing[rows],
            self.type,
            self.unit,
            self.description,
            self.ucd,
        )


#: Format to a function that writes columns to a path (gzipped or not).
WRITERS: dict[str, Callable[[list[OutputColumn], Path, bool], None]] = {}


def write_spectra(
    spectra: SpectrumSet, path: str | os.PathLike[str], *, format: str | None = None
) -> None:
    """Write spectra whole or not at all.

    Parameters
    ----------
    spectra : SpectrumSet
        XP coefficients in electron / s, as the archive gives them.
    path : path-like
        A last suffix ``.gz`` compresses (not Parquet, which does so itself).
    format : str, optional
        ``csv`` (DataLink's dialect), ``ecsv``, ``bulk`` (that of the archive's
        ``XpContinuousMeanSpectrum_*.csv.gz``), ``fits``, ``votable`` (BINARY2),
        ``votable-binary``, ``votable-plain`` or ``parquet``; from the name when
        not given.

    Raises
    ------
    StarkinError
        If the spectra are no coefficients, or the name tells no format.
    """
    from . import writers as _register_all  # noqa: F401  (registers the writers)

    path = Path(path)
    gzipped = path.suffix.lower() == ".gz"
    if format is None:
        format = _format_of(path)
    if format not in WRITERS:
        raise StarkinError(f"Cannot write {format!r}; choose from {', '.join(WRITERS)}.")
    if gzipped and format not in _COMPRESSIBLE:
        raise StarkinError(f"{path}: {format} compresses by itself; leave out .gz.")
    table = _output_columns(spectra)
    with atomic_file(path) as temporary:
        WRITERS[format](table, temporary, gzipped)


def _format_of(path: Path) -> str:
    name = path.name.lower()
    if fnmatch.fnmatch(name, _BULK_NAME):
        return "bulk"
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in _SUFFIXES:
        raise StarkinError(
            f"Cannot tell the format of {path} from its suffix; use one of "
            f"{', '.join(_SUFFIXES)} (with .gz or not), or name the format."
        )
    return _SUFFIXES[suffix]


def _output_columns(spectra: SpectrumSet) -> list[OutputColumn]:
    """Columns in the archive's order, then the labels it does not know."""
    if not isinstance(spectra.grid, XPGrid):
        raise StarkinError(
            f"Only XP coefficients have an archive form; these spectra are "
            f"{spectra.grid.describe()}."
        )
    if spectra.unit != COEFFICIENT_UNIT:
        raise StarkinError(
            f"The archive's coefficients are in {COEFFICIENT_UNIT}; these are in "
            f"{str(spectra.unit) or 'no unit'}: write the spectra as they were read."
        )
    arrays = _array_columns(spectra)
    labels = spectra.labels
    ordered = [_id_column(spectra)]
    for name, archive in XP_COLUMNS.items():
        if name in arrays:
            ordered.append(arrays[name])
        elif name in labels.colnames and not archive.is_array:
            ordered.append(label_column(labels, name))
    written = {column.name for column in ordered}
    for name in labels.colnames:
        if name in XP_COLUMNS and XP_COLUMNS[name].is_array:
            raise StarkinError(f"Label column {name!r} has the name of a spectrum's; rename it.")
        if name not in written:
            ordered.append(label_column(labels, name))
    return ordered


def _id_column(spectra: SpectrumSet) -> OutputColumn:
    known = XP_COLUMNS[columns.SOURCE_ID]
    none = np.zeros(len(spectra), dtype=bool)
    return OutputColumn(
        known.name, spectra.source_id, none, "int64", "", known.description, known.ucd
    )


def _array_columns(spectra: SpectrumSet) -> dict[str, OutputColumn]:
    grid = spectra.grid
    assert isinstance(grid, XPGrid)
    result = {}
    for band in columns.BANDS:
        where = grid.band(band)
        mask = spectra.mask[:, where]
        matrices = {
            columns.coefficients(band): np.where(mask, np.nan, spectra.values[:, where]),
            columns.coefficient_errors(band): np.where(mask, np.nan, spectra.errors[:, where]),
        }
        if spectra.correlations is not None:
            packed = spectra.correlations[:, grid.correlation_slice(band)]
            matrices[columns.coefficient_correlations(band)] = packed
        for name, matrix in matrices.items():
            known = XP_COLUMNS[name]
            matrix = matrix.astype(known.scalar_type, copy=False)
            missing = np.asarray(np.isnan(matrix).all(axis=1))
            result[name] = OutputColumn(
                name, matrix, missing, known.scalar_type, "", known.description, known.ucd
            )
    return result


def label_column(labels: Table, name: str) -> OutputColumn:
    """A label column as it is to be written, with unit, description and what is missing."""
    column = labels[name]
    if not hasattr(column, "dtype") or not hasattr(column, "info"):
        raise StarkinError(
            f"Label column {name!r} is no plain column; turn it into numbers or text."
        )
    masked = np.ma.asarray(getattr(column, "value", column))
    missing = np.ma.getmaskarray(masked)
    values = np.asarray(masked.data)
    if values.dtype.kind == "O":
        missing = missing | np.array([v is None for v in values])
        if not all(isinstance(v, (str, bytes)) for v in values[~missing]):
            raise StarkinError(
                f"Label column {name!r} holds objects; turn it into numbers or text."
            )
        values = np.where(missing, "", values).astype(np.str_)
    elif values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.ndim > 2 or (values.ndim == 2 and values.dtype.kind not in "fiu"):
        raise StarkinError(f"Label column {name!r} has more dimensions than a file can hold.")
    if values.ndim == 2:
        values = np.where(missing, np.nan, values)
        missing = np.isnan(values).all(axis=1)
    known = columns.info(name)
    kind = values.dtype.kind
    if kind not in "fiubU":
        raise StarkinError(
            f"Label column {name!r} is {values.dtype}; turn it into numbers or text."
        )
    native = values.dtype.newbyteorder("=")
    return OutputColumn(
        name,
        values.astype(native, copy=False),
        missing,
        "string" if kind == "U" else native.name,
        str(column.unit or known.unit or ""),
        column.info.description or known.description or "",
        (column.info.meta or {}).get("ucd", "") or known.ucd,
    )
