"""What every reader produces: scalar columns, array columns, and the rows that went wrong.

A format file knows how to get columns out of its format and nothing of
spectra; :mod:`starkin.io.columns_to_spectra` knows what the columns mean and
nothing of formats. This is the one thing that passes between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

from ..spectra import columns
from ..spectra.errors import StarkinError

__all__ = ["ARRAY_COLUMNS", "ColumnTable", "Ragged", "Rejection"]

#: Names under which the archive keeps arrays, one a star.
ARRAY_COLUMNS = tuple(
    name(band)
    for band in columns.BANDS
    for name in (
        columns.coefficients,
        columns.coefficient_errors,
        columns.coefficient_correlations,
    )
)


class Rejection(NamedTuple):
    """A row that cannot be used, and why.

    ``row`` counts the data rows of the file from 1, header lines left out.
    """

    file: str
    row: int
    source_id: int | None
    reason: str

    def __str__(self) -> str:
        star = "" if self.source_id is None else f" (source_id {self.source_id})"
        return f"{self.file}, row {self.row}{star}: {self.reason}"


@dataclass(frozen=True)
class Ragged:
    """One array a row, lengths free: all numbers end to end, and how many belong to each row.

    Parameters
    ----------
    numbers : ndarray, shape (lengths.sum(),)
    lengths : ndarray of int64, shape (n_rows,)
        0 for a row without an array.
    """

    numbers: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return int(self.lengths.size)

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Ragged:
        """Rows of equal length, shape (n_rows, length); masked entries become NaN."""
        filled = _without_mask(matrix)
        n, size = filled.shape
        return cls(filled.reshape(-1), np.full(n, size, dtype=np.int64))

    @classmethod
    def from_cells(cls, cells: Iterable[Any]) -> Ragged:
        """One sequence of numbers a cell; ``None`` and a bare NaN are empty.

        Raises
        ------
        ValueError, TypeError
            If a cell holds something other than numbers.
        """
        arrays = [_cell(cell) for cell in cells]
        lengths = np.fromiter((a.size for a in arrays), dtype=np.int64, count=len(arrays))
        numbers = np.concatenate(arrays) if arrays else np.empty(0)
        return cls(numbers, lengths)

    @classmethod
    def concatenate(cls, parts: Sequence[Ragged]) -> Ragged:
        if not parts:
            return cls(np.empty(0), np.empty(0, dtype=np.int64))
        return cls(
            np.concatenate([p.numbers for p in parts]), np.concatenate([p.lengths for p in parts])
        )

    def matrix(self, size: int, dtype: np.dtype | type) -> np.ndarray:
        """Shape (n_rows, size): a row of another length than ``size`` is NaN throughout."""
        fits = self.lengths == size
        if size and fits.all():  # a band of one coefficient has no correlations at all
            return self.numbers.reshape(-1, size).astype(dtype, copy=False)
        matrix = np.full((len(self), size), np.nan, dtype=dtype)
        if size:
            matrix[fits] = self.numbers[np.repeat(fits, self.lengths)].reshape(-1, size)
        return matrix


def _without_mask(array: Any) -> np.ndarray:
    """Floats as they are, integers as floats, masked entries NaN."""
    array = np.ma.asarray(array)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    native = array.dtype.newbyteorder("=")
    return np.asarray(array.filled(np.nan)).astype(native, copy=False)


_NOTHING = np.empty(0)


def _cell(cell: Any) -> np.ndarray:
    if cell is None or cell is np.ma.masked or (isinstance(cell, float) and np.isnan(cell)):
        return _NOTHING
    array = _without_mask(cell)
    if array.ndim != 1:
        raise ValueError(f"a one-dimensional array was expected, got shape {array.shape}")
    return array


@dataclass
class ColumnTable:
    """The columns of one file.

    Parameters
    ----------
    name : str
        What messages call the file.
    scalars : astropy.table.Table
        Columns with one value a row (and any array column that is no spectrum).
    arrays : dict of str to Ragged
        Array columns, by the archive's names (:data:`ARRAY_COLUMNS`).
    rows : ndarray of int64, optional
        Number of each row in the file, from 1; differs from 1, 2, 3… where the
        format itself had to leave rows out.
    rejected : list of Rejection
        Rows that the format had to leave out.
    cell_errors : dict of int to str
        Index of a row (from 0) to what is wrong with one of its cells.
    units : dict of str to str
        Of array columns, where the file gives any.
    """

    name: str
    scalars: Table
    arrays: dict[str, Ragged] = field(default_factory=dict)
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    rejected: list[Rejection] = field(default_factory=list)
    cell_errors: dict[int, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = {len(a) for a in self.arrays.values()}
        if self.scalars.colnames:
            sizes.add(len(self.scalars))
        if len(sizes) > 1:
            raise StarkinError(f"{self.name}: columns differ in length ({sorted(sizes)}).")
        if len(self.rows) != len(self):
            self.rows = np.arange(1, len(self) + 1)

    def __len__(self) -> int:
        if self.scalars.colnames:
            return len(self.scalars)
        return next((len(a) for a in self.arrays.values()), 0)
