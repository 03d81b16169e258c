"""A table of labels, joined to spectra by ``source_id``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from ..spectra import SpectrumSet, StarkinError
from ..spectra.columns import SOURCE_ID
from .catalogue import read_table
from .label_columns import harmonise_labels

__all__ = ["LabelTable"]


class LabelTable:
    """Columns to be looked up by ``source_id``; held in memory.

    Parameters
    ----------
    table : path or astropy.table.Table
        One row a star, in any order, with a column ``source_id``.

    Raises
    ------
    StarkinError
        If there is no such column, or an id comes twice.
    """

    def __init__(self, table: str | os.PathLike[str] | Table) -> None:
        name = "The table of labels" if isinstance(table, Table) else str(table)
        table = table if isinstance(table, Table) else read_table(Path(table))
        lower = {column.lower(): column for column in table.colnames}
        if SOURCE_ID not in lower:
            raise StarkinError(f"{name} has no column {SOURCE_ID!r} to join it by.")
        ids = np.ma.asarray(table[lower[SOURCE_ID]])
        if ids.dtype.kind not in "iu" or np.ma.getmaskarray(ids).any():
            raise StarkinError(f"{name}: every {SOURCE_ID} must be an integer.")
        order = np.argsort(np.asarray(ids), kind="stable")
        self._ids = np.asarray(ids, dtype=np.int64)[order]
        repeated = np.flatnonzero(np.diff(self._ids) == 0)
        if repeated.size:
            raise StarkinError(
                f"{name} has {SOURCE_ID} {self._ids[repeated[0]]} twice; keep one row a star."
            )
        rest = table[[c for c in table.colnames if c != lower[SOURCE_ID]]]
        harmonise_labels(rest)
        self._columns = rest[order] if rest.colnames else rest

    @property
    def names(self) -> list[str]:
        return list(self._columns.colnames)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of ids and numbers."""
        digest = hashlib.sha256(self._ids.tobytes())
        for name in self.names:
            digest.update(name.encode())
            column = np.ma.asarray(self._columns[name])
            if column.dtype.kind != "O":
                digest.update(np.ascontiguousarray(column.filled()).tobytes())
        return digest.hexdigest()[:16]

    def attach(self, spectra: SpectrumSet) -> tuple[SpectrumSet, int]:
        """``spectra`` with the columns added (theirs of the same name replaced).

        Returns
        -------
        SpectrumSet
        int
            How many stars the table does not have; their labels are missing.
        """
        if not self._ids.size:
            raise StarkinError("The table of labels is empty.")
        place = np.searchsorted(self._ids, spectra.source_id).clip(max=self._ids.size - 1)
        absent = self._ids[place] != spectra.source_id
        joined = {name: _picked(self._columns[name], place, absent) for name in self.names}
        return spectra.with_labels(**joined), int(np.count_nonzero(absent))


def _picked(column: Any, place: np.ndarray, absent: np.ndarray) -> Any:
    picked = column[place]
    if not absent.any():
        return picked
    if isinstance(picked, Column) and not isinstance(picked, MaskedColumn):
        picked = MaskedColumn(picked)
    if not isinstance(picked, MaskedColumn):
        raise StarkinError(f"Column {column.info.name!r} of the labels is no plain column.")
    picked.mask = np.ma.getmaskarray(picked) | absent
    return picked
