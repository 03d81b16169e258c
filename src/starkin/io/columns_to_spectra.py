"""The one place where a table's columns become a `SpectrumSet`.

Every format comes through here, so that missing bands, odd lengths, bad rows
and column spellings mean the same whatever file they arrive in.

Precision: coefficients are float64, errors and correlations float32, as in the
archive. Coefficients run to seven decades within one star and are multiplied
by bases and subtracted, so they keep every digit; errors and correlations have
three to five significant digits and make up 98 % of the bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..spectra import SpectrumSet, XPGrid, columns
from ..spectra.correlations import is_positive_definite
from ..spectra.errors import StarkinError
from .column_table import ARRAY_COLUMNS, ColumnTable, Ragged, Rejection
from .label_columns import harmonise_labels

__all__ = [
    "COEFFICIENT_UNIT",
    "band_sizes",
    "columns_to_spectra",
    "source_ids",
    "standard_names",
]

#: Of the archive's coefficients, which carry no unit in its files (Gaia DR3
#: data model; Carrasco et al. 2021: internally calibrated flux).
COEFFICIENT_UNIT = u.electron / u.s

_DEFAULT_SIZE = {"bp": 55, "rp": 55}

# bp_coeff_0, bp_coefficient_1, bp_coefficients_0, BP0; and for errors e_bp_coeff_0,
# bp_coeff_err_0, bp_coefficient_errors_0, bp_coeff_0_err, sigma_bp_0.
_WIDE = re.compile(
    r"^(?P<before>(?:e|err|error|sigma|sig)_)?(?P<band>bp|rp)_?(?:c|coefs?|coeffs?|coefficients?)?"
    r"(?P<middle>_?(?:err|error|errors))?_?(?P<index>\d{1,3})(?P<after>_?(?:err|error|errors))?$",
    re.IGNORECASE,
)


def standard_names(table: ColumnTable) -> ColumnTable:
    """Known columns under the archive's lower-case names, wide columns gathered to arrays.

    Raises
    ------
    StarkinError
        If a spectrum's column is neither an array nor a full row of numbered columns.
    """
    scalars, arrays, units = table.scalars, dict(table.arrays), dict(table.units)
    known = {columns.SOURCE_ID, *columns.KNOWN, *ARRAY_COLUMNS}
    for name in list(scalars.colnames):
        lower = name.lower()
        if name != lower and lower in known and lower not in scalars.colnames:
            scalars.rename_column(name, lower)
    _gather_wide(table.name, scalars, arrays, units)
    for name in ARRAY_COLUMNS:
        if name in scalars.colnames:
            if getattr(scalars[name], "unit", None) is not None:
                units[name] = str(scalars[name].unit)
            arrays[name] = _array_column(table.name, scalars, name)
            scalars.remove_column(name)
    return replace(
        table, scalars=scalars, arrays=arrays, cell_errors=dict(table.cell_errors), units=units
    )


def _gather_wide(
    file: str, scalars: Table, arrays: dict[str, Ragged], units: dict[str, str]
) -> None:
    found: dict[str, dict[int, str]] = {}
    for name in scalars.colnames:
        match = _WIDE.match(name)
        if match:
            is_error = match["before"] or match["middle"] or match["after"]
            kind = columns.coefficient_errors if is_error else columns.coefficients
            found.setdefault(kind(match["band"].lower()), {})[int(match["index"])] = name
    for array, by_index in found.items():
        # One stray label such as "bp_1" is no spectrum.
        if len(by_index) < 3 or array in arrays or array in scalars.colnames:
            continue
        numbered = sorted(by_index)
        gaps = sorted(set(range(numbered[0], numbered[-1] + 1)) - set(numbered))
        if numbered[0] not in (0, 1) or gaps:
            missing = gaps[0] if gaps else 0
            raise StarkinError(
                f"{file}: {array} is spread over {len(numbered)} columns like "
                f"{by_index[numbered[0]]!r}, but number {missing} is missing."
            )
        names = [by_index[i] for i in numbered]
        for name in names:
            if scalars[name].dtype.kind not in "fiu" or scalars[name].ndim != 1:
                raise StarkinError(
                    f"{file}: column {name!r} must hold numbers, found {scalars[name].dtype}."
                )
        matrix = np.ma.stack(
            [np.ma.asarray(_plain(scalars[name])).astype(np.float64) for name in names], axis=1
        )
        arrays[array] = Ragged.from_matrix(matrix)
        unit = scalars[names[0]].unit
        if unit is not None:
            units[array] = str(unit)
        scalars.remove_columns(names)


def _plain(column: Any) -> Any:
    return column.value if isinstance(column, u.Quantity) else column


def _array_column(file: str, scalars: Table, name: str) -> Ragged:
    cells = _plain(scalars[name])
    if cells.ndim == 2 and cells.dtype.kind in "fiu":
        return Ragged.from_matrix(cells)
    if cells.dtype.kind == "O":
        try:
            return Ragged.from_cells(cells)
        except (ValueError, TypeError) as error:
            raise StarkinError(f"{file}: column {name!r} must hold arrays ({error}).") from error
    raise StarkinError(
        f"{file}: column {name!r} must hold one array of numbers a row, found {cells.dtype}."
    )


def band_sizes(table: ColumnTable) -> dict[str, int]:
    """Coefficients of each band, from the data: the most common length that is not 0.

    A band that no row has is left out.
    """
    sizes = {}
    for band in columns.BANDS:
        array = table.arrays.get(columns.coefficients(band))
        if array is not None:
            counts = Counter(array.lengths[array.lengths > 0].tolist())
            if counts:
                sizes[band] = max(counts, key=lambda length: (counts[length], length))
    return sizes


@dataclass
class _Rows:
    """Which rows stand, and why the others do not."""

    table: ColumnTable
    source_id: np.ndarray
    id_known: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)

    def refuse(self, bad: np.ndarray, reason: str) -> None:
        for index in np.flatnonzero(bad).tolist():
            self.reasons.setdefault(index, reason)

    def rejections(self) -> list[Rejection]:
        return [
            Rejection(
                self.table.name,
                int(self.table.rows[i]),
                int(self.source_id[i]) if self.id_known[i] else None,
                self.reasons[i],
            )
            for i in sorted(self.reasons)
        ]


def columns_to_spectra(
    table: ColumnTable,
    *,
    grid: XPGrid | None = None,
    on_error: str = "raise",
    check_correlations: bool = True,
) -> SpectrumSet:
    """Spectra, errors, correlations, mask and labels of a table.

    A star whose bands are both missing stays, fully masked: it keeps its row
    in every catalogue. A band that is an empty array, a masked cell or NaN
    throughout is masked; so is each single value that is not finite or has an
    error that is not positive. Correlations that are out of range or not
    positive definite become NaN, and the star keeps its coefficients.

    Parameters
    ----------
    table : ColumnTable
        What a reader made of a file.
    grid : XPGrid, optional
        Sizes to insist on; from the data when not given.
    on_error : {"raise", "reject"}
        Whether one unusable row fails the file, or is left out and listed in
        ``meta["rejected"]``.
    check_correlations : bool
        Whether to look for matrices that are not positive definite.

    Raises
    ------
    StarkinError
        If a column is missing or of the wrong type; with ``"raise"`` also for
        the first row without id, with arrays of the wrong length or text for
        numbers.
    """
    table = standard_names(table)
    source_id, id_known = source_ids(table)
    rows = _Rows(table, source_id, id_known, dict(table.cell_errors))
    rows.refuse(~id_known, "source_id is missing")
    sizes = band_sizes(table)
    if grid is None:
        grid = XPGrid(*(sizes.get(band, _DEFAULT_SIZE[band]) for band in columns.BANDS))
    n = len(table)
    values = np.full((n, grid.n_pixels), np.nan)
    errors = np.full((n, grid.n_pixels), np.nan, dtype=np.float32)
    present = {band: _fill_band(table, grid, band, values, errors, rows) for band in columns.BANDS}
    correlations, dropped = _correlations(table, grid, present, rows, check_correlations)
    with np.errstate(invalid="ignore"):
        not_positive = int(np.count_nonzero(errors <= 0))
    rejected = table.rejected + rows.rejections()
    rejected.sort(key=lambda r: r.row)
    if rejected and on_error == "raise":
        more = f" ({len(rejected) - 1} more rows are bad too)" if len(rejected) > 1 else ""
        raise StarkinError(
            f'{rejected[0]}{more}; mend it, or pass on_error="reject" to leave such rows out.'
        )
    notes: dict[str, Any] = {"rejected": rejected}
    if not_positive:
        notes["masked_errors"] = not_positive
    if dropped:
        notes["dropped_correlations"] = dropped
    labels = table.scalars.copy(copy_data=False)
    labels.meta = {}
    labels.remove_column(columns.SOURCE_ID)
    harmonise_labels(labels)
    spectra = SpectrumSet(
        source_id=np.where(id_known, source_id, 0),
        values=values,
        errors=errors,
        grid=grid,
        correlations=correlations,
        labels=labels,
        unit=_unit(table.name, table.units),
        meta={"files": [table.name], **notes},
    )
    if rows.reasons:
        keep = np.ones(n, dtype=bool)
        keep[list(rows.reasons)] = False
        spectra = spectra[keep]
    return spectra


def source_ids(table: ColumnTable) -> tuple[np.ndarray, np.ndarray]:
    """Ids, and which of them are known; text that is no integer goes to ``cell_errors``."""
    if columns.SOURCE_ID not in table.scalars.colnames:
        raise StarkinError(
            f"{table.name} has no column {columns.SOURCE_ID!r}; "
            f"its columns are {_listed(table.scalars.colnames)}."
        )
    column = np.ma.asarray(table.scalars[columns.SOURCE_ID])
    if column.ndim != 1:
        raise StarkinError(f"{table.name}: column {columns.SOURCE_ID!r} must hold one id a row.")
    known = ~np.ma.getmaskarray(column)
    data = np.asarray(column.filled() if column.dtype.kind in "US" else column.data)
    if data.dtype.kind in "iu":
        return data.astype(np.int64), known
    if data.dtype.kind in "USO":
        ids = np.zeros(data.shape, dtype=np.int64)
        for i in np.flatnonzero(known).tolist():
            text = (
                data[i].decode("utf-8", "replace") if isinstance(data[i], bytes) else str(data[i])
            )
            try:
                ids[i] = int(text)
            except (ValueError, OverflowError):
                table.cell_errors.setdefault(i, f"source_id {text!r} is not an integer")
                known[i] = False
        return ids, known
    if len(data) == 0:
        return np.empty(0, dtype=np.int64), known
    raise StarkinError(
        f"{table.name}: column {columns.SOURCE_ID!r} is {data.dtype}, which cannot hold Gaia's "
        "19-digit ids exactly; read or write it as a 64-bit integer."
    )


def _fill_band(
    table: ColumnTable,
    grid: XPGrid,
    band: str,
    values: np.ndarray,
    errors: np.ndarray,
    rows: _Rows,
) -> np.ndarray:
    """Put a band's numbers in place; shape (n_stars,), true where the star has it."""
    size, where = grid.band_size(band), grid.band(band)
    lengths = []
    for name, target in (
        (columns.coefficients(band), values),
        (columns.coefficient_errors(band), errors),
    ):
        if name not in table.arrays:
            raise StarkinError(
                f"{table.name} has no column {name!r} (nor numbered columns for it); "
                f"its columns are {_listed([*table.scalars.colnames, *table.arrays])}."
            )
        array = table.arrays[name]
        for index in np.flatnonzero((array.lengths != size) & (array.lengths != 0)).tolist():
            rows.reasons.setdefault(
                index, f"{name} has {array.lengths[index]} numbers where {size} are expected"
            )
        with np.errstate(over="ignore"):
            target[:, where] = array.matrix(size, target.dtype)
        lengths.append(array.lengths > 0)
    has_values = lengths[0] & ~np.isnan(values[:, where]).all(axis=1)
    has_errors = lengths[1] & ~np.isnan(errors[:, where]).all(axis=1)
    rows.refuse(
        has_values & ~has_errors,
        f"{columns.coefficient_errors(band)} is empty though {columns.coefficients(band)} is not",
    )
    rows.refuse(
        has_errors & ~has_values & ~lengths[0],
        f"{columns.coefficients(band)} is empty though {columns.coefficient_errors(band)} is not",
    )
    return has_values & has_errors


def _correlations(
    table: ColumnTable,
    grid: XPGrid,
    present: dict[str, np.ndarray],
    rows: _Rows,
    check: bool,
) -> tuple[np.ndarray | None, int]:
    """Packed float32 rows (NaN where a star has none), and how many matrices were dropped."""
    names = {band: columns.coefficient_correlations(band) for band in columns.BANDS}
    if not any(name in table.arrays and table.arrays[name].numbers.size for name in names.values()):
        return None, 0
    packed = np.full((len(table), grid.n_correlations), np.nan, dtype=np.float32)
    dropped = 0
    for band, name in names.items():
        if name not in table.arrays:
            continue
        array, where = table.arrays[name], grid.correlation_slice(band)
        size = where.stop - where.start
        for index in np.flatnonzero((array.lengths != size) & (array.lengths != 0)).tolist():
            rows.reasons.setdefault(
                index, f"{name} has {array.lengths[index]} numbers where {size} are expected"
            )
        matrix = packed[:, where]
        with np.errstate(over="ignore"):
            matrix[:] = array.matrix(size, np.float32)
        matrix[~present[band]] = np.nan
        given = ~np.isnan(matrix).all(axis=1)
        with np.errstate(invalid="ignore"):
            bad = np.asarray(given & ~(np.abs(matrix) <= 1).all(axis=1))
        if check:
            candidates = np.flatnonzero(given & ~bad)
            good = is_positive_definite(matrix[candidates], grid.band_size(band))
            bad[candidates[~good]] = True
        matrix[bad] = np.nan
        dropped += int(np.count_nonzero(bad))
    return packed, dropped


def _unit(file: str, units: dict[str, str]) -> u.UnitBase:
    texts = {unit for name, unit in units.items() if name.endswith("_coefficients")}
    named = {u.Unit(text, parse_strict="silent") for text in texts}
    if any(isinstance(unit, u.UnrecognizedUnit) for unit in named):
        raise StarkinError(f"{file}: the coefficients' unit {', '.join(texts)!r} is not known.")
    if len(named) > 1:
        raise StarkinError(f"{file}: BP and RP coefficients have different units ({named}).")
    return named.pop() if named else COEFFICIENT_UNIT


def _listed(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    shown = ", ".join(names[:most]) or "none"
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
