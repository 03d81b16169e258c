"""The one place where vector columns become a `SpectrumSet`.

Rows are read a block at a time into the arrays of the set, so that the peak of
memory is the set itself.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..spectra import SpectrumSet, WavelengthGrid, columns
from ..spectra.errors import StarkinError
from .column_table import ColumnTable, Rejection
from .columns_to_spectra import source_ids
from .label_columns import harmonise_labels
from .star_ids import GAIA_NAMES, NAME_COLUMNS, ids_of_names
from .unit_text import parse_unit
from .vector_files import BLOCK, VectorFile
from .vector_layout import (
    CONTINUUM_NAMES,
    ERROR_NAMES,
    FLUX_NAMES,
    IVAR_NAMES,
    LOG_WAVELENGTH_NAMES,
    MASK_NAMES,
    WAVELENGTH_NAMES,
    find_name,
    grid_from_terms,
)

__all__ = ["vectors_to_spectra"]


class _Filling:
    """The arrays of the set to be, filled block by block."""

    def __init__(self, file: VectorFile, n_pixels: int, known_continuum: bool) -> None:
        self.file, self.n_pixels = file, n_pixels
        self.flux = _flux_name(file)
        self.error = find_name(file.vectors, ERROR_NAMES)
        self.ivar = None if self.error else find_name(file.vectors, IVAR_NAMES)
        self.bad = find_name(file.vectors, MASK_NAMES)
        self.continuum = find_name(file.vectors, CONTINUUM_NAMES) if known_continuum else None
        if self.error is None and self.ivar is None:
            raise StarkinError(
                f"{file.name} has neither a column 'flux_error' nor 'ivar' of arrays: starkin "
                "needs the error of every pixel."
            )
        self.factor = _error_factor(file, self.names[1], 1 if self.error else -2)
        self.values = self.errors = np.empty((0, n_pixels), dtype=np.float32)
        self.mask = np.zeros((file.n_rows, n_pixels), dtype=bool)
        self.reasons: dict[int, str] = {}
        self.not_positive = 0

    @property
    def names(self) -> list[str]:
        wanted = (self.flux, self.error or self.ivar, self.bad, self.continuum)
        return [name for name in wanted if name is not None]

    def put(self, rows: slice, block: dict[str, Any]) -> None:
        flux = self._matrix(rows, self.flux, block)
        error = self._matrix(rows, self.names[1], block)
        if not self.values.shape[0] and self.file.n_rows:
            # float32 stays so: twice the stars in the same memory.
            shape = (self.file.n_rows, self.n_pixels)
            self.values = np.zeros(shape, dtype=_float(flux.dtype))
            self.errors = np.ones(shape, dtype=_float(error.dtype))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.factor != 1:
                error = error * self.factor
            if self.ivar is not None:
                error = 1 / np.sqrt(error)  # an ivar of 0 becomes inf, a negative one NaN
            if self.continuum is not None:
                continuum = self._matrix(rows, self.continuum, block)
                continuum = np.where(continuum > 0, continuum, np.nan)
                flux, error = flux / continuum, error / continuum
            good = np.isfinite(flux) & (error > 0) & (error < np.inf)
            self.not_positive += int(np.count_nonzero(np.isfinite(flux) & (error <= 0)))
        if self.bad is not None:
            good &= ~(self._matrix(rows, self.bad, block, missing=1) != 0)
        np.copyto(self.values[rows], flux, where=good, casting="same_kind")
        np.copyto(self.errors[rows], error, where=good, casting="same_kind")
        np.logical_not(good, out=self.mask[rows])

    def _matrix(
        self, rows: slice, name: str, block: dict[str, Any], missing: float = np.nan
    ) -> np.ndarray:
        """Shape (n_rows of the block, n_pixels); rows of another length are refused."""
        cells, n = block[name], rows.stop - rows.start
        if isinstance(cells, np.ndarray) and cells.shape[1:] == (self.n_pixels,):
            return cells
        matrix = np.full((n, self.n_pixels), missing)
        for i, cell in enumerate(cells):
            if np.size(cell) == self.n_pixels:
                matrix[i] = cell
            elif np.size(cell):
                self.reasons.setdefault(
                    rows.start + i,
                    f"{name} has {np.size(cell)} numbers where {self.n_pixels} wavelengths are",
                )
        return matrix


def _flux_name(file: VectorFile) -> str:
    found = find_name(file.vectors, FLUX_NAMES)
    if found is None:
        there = find_name(file.scalars.colnames, FLUX_NAMES)
        what = (
            f"its column {there!r} holds single values and not one array a row"
            if there
            else "it has no column 'flux'"
        )
        raise StarkinError(f"{file.name} is no table of spectra: {what}.")
    return found


def _float(dtype: np.dtype) -> np.dtype:
    single = dtype.kind == "f" and dtype.itemsize <= 4
    return np.dtype(np.float32) if single else np.dtype(np.float64)


def vectors_to_spectra(
    file: VectorFile, on_error: str = "raise", *, known_continuum: bool = False
) -> SpectrumSet:
    """Flux, errors, mask, grid and labels of a table with one spectrum a row.

    A pixel is masked if its flux or error is not finite, its error is not
    positive, its inverse variance is not positive, or its ``mask`` is not 0.

    Parameters
    ----------
    file : VectorFile
        Open.
    on_error : {"raise", "reject"}
        Whether one unusable row fails the file, or is left out and listed in
        ``meta["rejected"]``.
    known_continuum : bool
        Divide by a column ``continuum``, where there is one.

    Raises
    ------
    StarkinError
        If a column is missing, rows are on different wavelengths, or (with
        ``"raise"``) for the first row without id or with arrays of another length.
    """
    _flux_name(file)
    grid, assumed = _grid(file)
    filling = _Filling(file, grid.n_pixels, known_continuum)
    step = max(1, BLOCK // grid.n_pixels)
    for rows, block in file.rows(filling.names, step):
        filling.put(rows, block)
    table = ColumnTable(file.name, _with_source_id(file.scalars))
    ids, known = source_ids(table)
    reasons = table.cell_errors | filling.reasons
    for index in np.flatnonzero(~known).tolist():
        reasons.setdefault(index, "source_id is missing")
    rejected = [
        Rejection(file.name, i + 1, int(ids[i]) if known[i] else None, reasons[i])
        for i in sorted(reasons)
    ]
    if rejected and on_error == "raise":
        more = f" ({len(rejected) - 1} more rows are bad too)" if len(rejected) > 1 else ""
        raise StarkinError(
            f'{rejected[0]}{more}; mend it, or pass on_error="reject" to leave such rows out.'
        )
    labels = file.scalars.copy()  # lets go of the file
    labels.meta = {}
    own = find_name(labels.colnames, (columns.SOURCE_ID,))
    if own is not None:
        labels.remove_column(own)
    harmonise_labels(labels)
    spectra = SpectrumSet(
        source_id=np.where(known, ids, 0),
        values=filling.values,
        errors=filling.errors,
        grid=grid,
        mask=filling.mask,
        labels=labels,
        unit=u.dimensionless_unscaled if filling.continuum else _flux_unit(file),
        meta=_meta(file, rejected, assumed, filling),
    )
    if reasons:
        keep = np.ones(len(spectra), dtype=bool)
        keep[list(reasons)] = False
        spectra = spectra[keep]
    return spectra


def _with_source_id(scalars: Table) -> Table:
    """The table with a column ``source_id``: Gaia's under any of its names, else a survey's."""
    names = scalars.colnames
    gaia = find_name(names, GAIA_NAMES)
    if gaia is not None:
        return Table({columns.SOURCE_ID: scalars[gaia]}, copy=False)
    own = find_name(names, NAME_COLUMNS)
    if own is None:
        return scalars
    column = np.ma.asarray(scalars[own])
    if column.dtype.kind in "iu":
        return Table({columns.SOURCE_ID: scalars[own]}, copy=False)
    return Table({columns.SOURCE_ID: ids_of_names(np.asarray(column))})


def _meta(
    file: VectorFile, rejected: list[Rejection], assumed: list[str], filling: _Filling
) -> dict[str, Any]:
    try:
        provenance = json.loads(file.terms.get("provenance", "{}"))
    except ValueError:
        provenance = {}
    meta = provenance if isinstance(provenance, dict) else {}
    meta |= {"files": [file.name], "rejected": rejected}
    if assumed:
        meta["assumed"] = assumed
    if filling.not_positive:
        meta["masked_errors"] = filling.not_positive
    if filling.continuum is not None:
        meta["continuum"] = {"method": "known", "from": "the file"}
    return meta


def _unit(file: VectorFile, text: str, what: str) -> u.UnitBase:
    unit = parse_unit(text) if text else u.dimensionless_unscaled
    # VOUnit lets anybody invent a unit; nobody could convert it.
    known = u.Unit(str(unit), parse_strict="silent")
    if unit is None or isinstance(known, u.UnrecognizedUnit):
        raise StarkinError(f"{file.name}: the {what}'s unit {text!r} is not known.")
    return unit


def _flux_unit(file: VectorFile) -> u.UnitBase:
    flux = _flux_name(file)
    return _unit(file, file.units.get(flux) or file.terms.get("flux_unit", ""), "flux")


def _error_factor(file: VectorFile, name: str, power: int) -> float:
    """By which to multiply errors (or inverse variances, ``power`` -2) for the flux's unit.

    Raises
    ------
    StarkinError
        If the two units do not go together.
    """
    if name not in file.units:
        return 1.0
    unit, flux = _unit(file, file.units[name], name), _flux_unit(file)
    try:
        return float(unit.to(flux**power))
    except u.UnitConversionError:
        raise StarkinError(
            f"{file.name}: {name} is in '{unit}', which does not go with flux in '{flux}'."
        ) from None


def _grid(file: VectorFile) -> tuple[WavelengthGrid, list[str]]:
    """The grid, from the file's own wavelengths or a column that repeats them in every row."""
    wavelength = file.wavelength
    if wavelength is None:
        name = find_name(file.vectors, WAVELENGTH_NAMES)
        log_name = None if name else find_name(file.vectors, LOG_WAVELENGTH_NAMES)
        column = name or log_name
        if column is None:
            raise StarkinError(
                f"{file.name} gives no wavelengths; add them as an extension (FITS), a dataset "
                "(HDF5) or a column 'wavelength' with the same array in every row."
            )
        wavelength = _common(file, column)
        wavelength = 10**wavelength if log_name else wavelength
        if name in file.units:
            file.terms.setdefault("wavelength_unit", file.units[name])
    return grid_from_terms(wavelength, file.terms, file.name)


def _common(file: VectorFile, name: str) -> np.ndarray:
    first: np.ndarray | None = None
    for rows, block in file.rows([name], 4096):
        for i, cell in enumerate(block[name]):
            numbers = np.asarray(cell, dtype=np.float64)
            if first is None:
                first = numbers
            elif first.shape != numbers.shape or not np.array_equal(first, numbers):
                raise StarkinError(
                    f"{file.name}: row {rows.start + i + 1} is on other wavelengths than row 1; "
                    "resample all spectra onto one grid (starkin prepare)."
                )
    if first is None:
        raise StarkinError(f"{file.name} holds no rows.")
    return first
