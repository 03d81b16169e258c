"""From blocks of text to batches of spectra: what the compiled rows mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from ..spectra import SpectrumSet, XPGrid, columns
from ..spectra.correlations import is_positive_definite
from . import bulk_rows as kernel
from .bulk_header import BulkHeader, cells
from .bulk_text import TextBlock
from .column_table import Rejection
from .columns_to_spectra import COEFFICIENT_UNIT

__all__ = ["BulkBatch", "Decoder", "Plan"]

_ROOM_FOR_DOUBTS = 16  # rows' worth of numbers left to float() before a look at them


class BulkBatch(NamedTuple):
    """Consecutive rows of a file.

    Parameters
    ----------
    spectra : SpectrumSet
        The rows that can be used.
    rows : ndarray of int64, shape (len(spectra),)
        Their numbers in the file, from 1, header lines left out.
    rejected : list of Rejection
        The rows that cannot, and why.
    stop : int
        Number of the last row of the batch.
    position : int
        Bytes of the file read so far (compressed ones, if it is compressed).
    damage : str
        Set on the last batch of a file that ends early.
    """

    spectra: SpectrumSet
    rows: np.ndarray
    rejected: list[Rejection]
    stop: int
    position: int
    damage: str = ""


@dataclass
class Plan:
    """What each CSV column is decoded to: see `bulk_rows.decode_rows`."""

    kinds: np.ndarray
    targets: np.ndarray
    widths: np.ndarray
    integers: list[str] = field(default_factory=list)
    floats: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, header: BulkHeader, grid: XPGrid, correlations: bool) -> Plan:
        n = len(header.names)
        plan = cls(np.zeros(n, int), np.zeros(n, int), np.zeros(n, int))
        spectra: dict[str, tuple[int, slice]] = {}
        for band in columns.BANDS:
            where = grid.band(band)
            spectra[columns.coefficients(band)] = (kernel.VALUES, where)
            spectra[columns.coefficient_errors(band)] = (kernel.ERRORS, where)
            name, where = columns.coefficient_correlations(band), grid.correlation_slice(band)
            spectra[name] = (kernel.CORRELATIONS if correlations else kernel.SKIP, where)
        for i, name in enumerate(header.names):
            if name in spectra:
                kind, where = spectra[name]
                target, plan.widths[i] = where.start, where.stop - where.start
            elif name == columns.SOURCE_ID:
                kind, target = kernel.IDENTIFIER, 0
            else:
                of_floats = header.type(name).kind == "f"  # type: ignore[union-attr]
                kind = kernel.FLOAT if of_floats else kernel.INTEGER
                found = plan.floats if of_floats else plan.integers
                target = len(found)
                found.append(name)
            plan.kinds[i], plan.targets[i] = kind, target
        return plan


class Decoder:
    """Fills batches of arrays from blocks of text."""

    def __init__(
        self,
        header: BulkHeader,
        plan: Plan,
        grid: XPGrid,
        size: int,
        dtype: np.dtype,
        check_correlations: bool,
    ) -> None:
        self.header, self.plan, self.grid, self.size, self.dtype = header, plan, grid, size, dtype
        self.check_correlations = check_correlations
        self.keeps_correlations = bool((plan.kinds == kernel.CORRELATIONS).any())
        self.row = 0  # rows of the file that are in finished batches (or were left out)
        self.position, self.damage = 0, ""
        numbers = 2 * grid.n_pixels + len(plan.floats)
        numbers += grid.n_correlations if self.keeps_correlations else 0
        self._doubts = np.empty((_ROOM_FOR_DOUBTS * numbers, 5), dtype=np.int64)
        self._begin()

    def _begin(self) -> None:
        n, plan = self.size, self.plan
        width = self.grid.n_correlations if self.keeps_correlations else 0
        self.filled = 0
        self.reasons: dict[int, str] = {}
        self.source_id = np.empty(n, dtype=np.int64)
        self.values = np.empty((n, self.grid.n_pixels), dtype=self.dtype)
        self.errors = np.empty((n, self.grid.n_pixels), dtype=np.float32)
        self.correlations = np.empty((n, width), dtype=np.float32)
        self.integers = np.empty((n, len(plan.integers)), dtype=np.int64)
        self.missing = np.empty((n, len(plan.integers)), dtype=bool)
        self.floats = np.empty((n, len(plan.floats)))
        self._status = np.empty((n, 5), dtype=np.int64)

    def feed(self, block: TextBlock, i: int) -> Iterator[BulkBatch]:
        """Decode ``block`` from byte ``i`` on; yields the batches that it fills."""
        plan = self.plan
        self.position = block.position
        while i < block.stop:
            first = self.filled
            i, self.filled, n_doubts = kernel.decode_rows(
                block.text, i, block.stop, plan.kinds, plan.targets, plan.widths,
                self.source_id, self.values, self.errors, self.correlations,
                self.integers, self.missing, self.floats, self._status, self._doubts, first,
            )  # fmt: skip
            for row in np.flatnonzero(self._status[first : self.filled, 0]) + first:
                self.reasons[int(row)] = self._reason(block, *self._status[row].tolist())
            for doubt in self._doubts[:n_doubts].tolist():
                self._settle(block, *doubt)
            if self.filled == self.size:
                yield self._batch()
        if block.damage:
            self.damage = block.damage
            if block.cut_line:
                if self.filled == self.size:
                    yield self._batch()
                self.source_id[self.filled] = 0
                self.reasons[self.filled] = f"the line is cut off: {block.damage}"
                self._status[self.filled, :2] = kernel.BAD_INTEGER, 0  # so it has no id
                self.filled += 1

    def finish(self) -> Iterator[BulkBatch]:
        """The last batch: shorter, or empty if it has damage to tell of."""
        if self.filled or self.damage:
            yield self._batch()

    def _settle(
        self, block: TextBlock, row: int, column: int, element: int, start: int, stop: int
    ) -> None:
        """A number that the kernel left to ``float()``."""
        text = block.text[start:stop].tobytes().decode("utf-8", "replace").strip()
        name, kind, target = (
            self.header.names[column],
            self.plan.kinds[column],
            self.plan.targets[column],
        )
        try:
            if "_" in text:  # a number in Python, not in a table
                raise ValueError
            value = np.nan if text.lower() == "null" else float(text)
        except ValueError:
            where = f"number {element + 1} of {name}" if kind >= kernel.VALUES else name
            self.reasons.setdefault(row, f"{where} is {text[:40]!r}, which is no number")
            return
        outputs = {
            kernel.FLOAT: self.floats,
            kernel.VALUES: self.values,
            kernel.ERRORS: self.errors,
            kernel.CORRELATIONS: self.correlations,
        }
        with np.errstate(over="ignore"):
            outputs[int(kind)][row, target + element] = value

    def _reason(
        self, block: TextBlock, code: int, column: int, count: int, begin: int, end: int
    ) -> str:
        name = self.header.names[column]
        if code == kernel.BAD_LENGTH:
            return f"{name} has {count} numbers where {self.plan.widths[column]} are expected"
        if code == kernel.BAD_QUOTE:
            return f"{name} is no complete array: the line is cut off or a quote is missing"
        if code == kernel.BAD_INTEGER:
            line = block.text[begin:end].tobytes().decode("utf-8", "replace")
            cell = line.split(",", 1)[0] if column == 0 else ""
            return (
                f"{name} is {cell[:40]!r}, which is no integer" if cell else f"{name} is no integer"
            )
        n = len(cells(block.text[begin:end].tobytes()))
        return f"the line has {n} columns where {len(self.header.names)} are expected"

    def _batch(self) -> BulkBatch:
        n, first = self.filled, self.row
        rows = slice(0, n)
        self._check(rows)
        good = np.ones(n, dtype=bool)
        good[list(self.reasons)] = False
        keep: Any = rows if good.all() else np.flatnonzero(good)
        labels = self._labels(keep)
        spectra = SpectrumSet(
            source_id=self.source_id[keep],
            values=self.values[keep],
            errors=self.errors[keep],
            grid=self.grid,
            correlations=self.correlations[keep] if self.keeps_correlations else None,
            labels=labels,
            unit=COEFFICIENT_UNIT,
            meta={"files": [str(self.header.path)]},
        )
        # A row that failed at or before its id has none.
        place = self.header.names.index(columns.SOURCE_ID)
        rejected = [
            Rejection(
                str(self.header.path),
                first + row + 1,
                None
                if self._status[row, 0] != kernel.OK and self._status[row, 1] <= place
                else int(self.source_id[row]),
                f"{self.reasons[row]} (line {self.header.lines + first + row + 1})",
            )
            for row in sorted(self.reasons)
        ]
        self.row += n
        batch = BulkBatch(
            spectra,
            np.flatnonzero(good) + first + 1,
            rejected,
            self.row,
            self.position,
            self.damage,
        )
        self._begin()
        return batch

    def _labels(self, keep: Any) -> Table:
        """Scalar columns of the rows kept, in the file's order, with units and descriptions."""
        table, plan, header = Table(), self.plan, self.header
        for name in header.names:
            about = {what: header.about(name, what) for what in ("unit", "description")}
            if name in plan.integers:
                i = plan.integers.index(name)
                values, gone = self.integers[keep, i], self.missing[keep, i]
                column = values.astype(header.type(name))
                masked = MaskedColumn(column, mask=gone, **about)
                table[name] = masked if gone.any() else Column(column, **about)
            elif name in plan.floats:
                column = self.floats[keep, plan.floats.index(name)].astype(header.type(name))
                table[name] = Column(column, **about)
        return table

    def _check(self, rows: slice) -> None:
        """Rows that decode but make no sense; numbers that stand without their errors."""
        for band in columns.BANDS:
            where = self.grid.band(band)
            has_values = np.asarray(~np.isnan(self.values[rows, where]).all(axis=1))
            has_errors = ~np.isnan(self.errors[rows, where]).all(axis=1)
            names = columns.coefficients(band), columns.coefficient_errors(band)
            for bad, absent, given in (
                (has_values & ~has_errors, names[1], names[0]),
                (has_errors & ~has_values, names[0], names[1]),
            ):
                for row in np.flatnonzero(bad).tolist():
                    self.reasons.setdefault(row, f"{absent} is empty though {given} is not")
            if self.keeps_correlations:
                self._check_correlations(rows, band, has_values)
        for i, name in enumerate(self.plan.integers):
            limits = np.iinfo(self.header.type(name))  # type: ignore[arg-type]
            column = self.integers[rows, i]
            outside = ((column < limits.min) | (column > limits.max)) & ~self.missing[rows, i]
            for row in np.flatnonzero(outside).tolist():
                self.reasons.setdefault(row, f"{name} is {column[row]}, out of range")

    def _check_correlations(self, rows: slice, band: str, present: np.ndarray) -> None:
        matrix = self.correlations[rows, self.grid.correlation_slice(band)]
        bad = kernel.beyond_one(matrix) | ~present
        if self.check_correlations:
            candidates = np.flatnonzero(~bad & ~np.isnan(matrix).any(axis=1))
            good = is_positive_definite(matrix[candidates], self.grid.band_size(band))
            bad[candidates[~good]] = True
        matrix[bad] = np.nan
