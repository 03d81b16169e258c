"""Read the archive's bulk files ``XpContinuousMeanSpectrum_*.csv.gz`` as fast as they unpack.

The dialect: an ECSV header in comments (or none), a line of names, then one
line a star; arrays are quoted ``"[1.0, 2.0, …]"`` or ``"(…)"``; what is missing
is ``null``, empty, or an empty array. A row of 42 kB holds 3,190 numbers, so
reading is turning text into numbers; that is done by :mod:`starkin.io.bulk_rows`
while another thread unpacks (:mod:`starkin.io.bulk_text`).
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from astropy.table import Column, MaskedColumn, Table, meta

from ..spectra import SpectrumSet, XPGrid, columns
from ..spectra.correlations import is_positive_definite
from ..spectra.errors import StarkinError
from . import bulk_rows as kernel
from .archive_columns import XP_COLUMNS
from .bulk_text import TextBlock, text_blocks
from .column_table import Rejection
from .columns_to_spectra import COEFFICIENT_UNIT

__all__ = ["BulkBatch", "BulkFile"]

_ROOM_FOR_DOUBTS = 16  # rows' worth of numbers left to float() before a look at them
_ROWS_LOOKED_AT = 20
_TYPES = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float32", "float64"}


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
class _Plan:
    """What each CSV column is decoded to."""

    kinds: np.ndarray
    targets: np.ndarray
    widths: np.ndarray
    integers: list[str] = field(default_factory=list)
    floats: list[str] = field(default_factory=list)


class BulkFile:
    """One file of the bulk dialect.

    Parameters
    ----------
    path : path-like

    Attributes
    ----------
    names : list of str
        Columns of the file.
    sizes : dict of str to int
        Coefficients of each band, as most of the first rows have them; a band
        that none of them has is left out.

    Raises
    ------
    StarkinError
        If the file cannot be read, or is not of this dialect; :meth:`fits`
        asks without raising.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.header_lines = 0
        blocks = text_blocks(self.path, depth=1)
        try:
            head = next(blocks)
        finally:
            blocks.close()  # type: ignore[attr-defined]
        if not head.stop:
            what = f"holds nothing readable: {head.damage}" if head.damage else "is empty"
            raise StarkinError(f"{self.path} {what}.")
        text = head.text[: head.stop].tobytes()
        comments, start = [], 0
        while text.startswith(b"#", start):
            end = text.index(b"\n", start) + 1
            comments.append(text[start:end].decode("utf-8", "replace"))
            start = end
        end = text.find(b"\n", start) + 1
        self.header_lines = len(comments) + 1
        self._data_start = end
        line = text[start:end].decode("utf-8-sig", "replace")
        self.names = [name.strip() for name in next(csv.reader([line]), [])]
        self._described = _described(comments)
        self._require_dialect()
        self.sizes = self._sizes(text[end:])

    @classmethod
    def fits(cls, path: str | os.PathLike[str]) -> bool:
        """Whether the file is of the dialect."""
        try:
            cls(path)
        except StarkinError:
            return False
        return True

    def _require_dialect(self) -> None:
        wanted = [columns.SOURCE_ID]
        for band in columns.BANDS:
            wanted += [columns.coefficients(band), columns.coefficient_errors(band)]
        missing = [name for name in wanted if name not in self.names]
        if missing:
            raise StarkinError(f"{self.path} is not a bulk file: it has no column {missing[0]!r}.")
        strange = [name for name in self.names if self._type(name) is None]
        if strange or len(set(self.names)) < len(self.names):
            raise StarkinError(
                f"{self.path} is not a bulk file: column {(strange or self.names)[0]!r} has no "
                "known numeric type or comes twice."
            )

    def _type(self, name: str) -> np.dtype | None:
        """The type of a column (of an array column: of its numbers)."""
        if name in XP_COLUMNS:
            return np.dtype(XP_COLUMNS[name].scalar_type)
        given = self._described.get(name, {}).get("datatype")
        return np.dtype(given) if given in _TYPES else None

    def _sizes(self, text: bytes) -> dict[str, int]:
        lines = text.split(b"\n", _ROWS_LOOKED_AT)[:_ROWS_LOOKED_AT]
        counts: dict[str, Counter[int]] = {band: Counter() for band in columns.BANDS}
        reader = csv.DictReader(
            io.StringIO("\n".join(line.decode("utf-8", "replace") for line in lines)), self.names
        )
        for row in reader:
            for band, count in counts.items():
                cell = row[columns.coefficients(band)] or ""
                if "," in cell:
                    count[cell.count(",") + 1] += 1
        return {band: count.most_common(1)[0][0] for band, count in counts.items() if count}

    @property
    def grid(self) -> XPGrid:
        """The grid by :attr:`sizes`, DR3's where a band shows none."""
        return XPGrid(*(self.sizes.get(band, 55) for band in columns.BANDS))

    @property
    def has_correlations(self) -> bool:
        return all(columns.coefficient_correlations(band) in self.names for band in columns.BANDS)

    # --- rows -----------------------------------------------------------------
    def batches(
        self,
        size: int,
        *,
        start: int = 0,
        grid: XPGrid | None = None,
        correlations: bool = True,
        check_correlations: bool = False,
        dtype: str = "float64",
    ) -> Iterator[BulkBatch]:
        """The file's rows, ``size`` at a time, good and bad ones counted.

        Parameters
        ----------
        size : int
            Rows a batch; memory is bounded by it (26 kB a row with correlations).
        start : int
            Rows to leave out at the beginning.
        grid : XPGrid, optional
            Sizes to insist on; :attr:`grid` when not given.
        correlations : bool
            Whether to decode them, where the file has them.
        check_correlations : bool
            Whether to drop matrices that are not positive definite. (Those with
            a number outside -1..1 are always dropped.)
        dtype : {"float64", "float32"}
            Of the coefficients; errors and correlations are float32.
        """
        grid = grid or self.grid
        plan = self._plan(grid, correlations and self.has_correlations)
        decoder = _Decoder(self, plan, grid, size, np.dtype(dtype), check_correlations)
        skip, first = start, True
        for block in text_blocks(self.path):
            i = self._data_start if first else 0
            first = False
            while skip and i < block.stop:
                i, passed = kernel.skip_rows(block.text, i, block.stop, skip)
                skip -= passed
            if not skip:
                decoder.row = max(decoder.row, start)
                yield from decoder.feed(block, i)
        yield from decoder.finish()

    def _plan(self, grid: XPGrid, correlations: bool) -> _Plan:
        n = len(self.names)
        plan = _Plan(np.zeros(n, int), np.zeros(n, int), np.zeros(n, int))
        spectra: dict[str, tuple[int, slice]] = {}
        for band in columns.BANDS:
            where = grid.band(band)
            spectra[columns.coefficients(band)] = (kernel.VALUES, where)
            spectra[columns.coefficient_errors(band)] = (kernel.ERRORS, where)
            name, where = columns.coefficient_correlations(band), grid.correlation_slice(band)
            spectra[name] = (kernel.CORRELATIONS if correlations else kernel.SKIP, where)
        for i, name in enumerate(self.names):
            if name in spectra:
                kind, where = spectra[name]
                target, plan.widths[i] = where.start, where.stop - where.start
            elif name == columns.SOURCE_ID:
                kind, target = kernel.IDENTIFIER, 0
            else:
                of_floats = self._type(name).kind == "f"  # type: ignore[union-attr]
                kind = kernel.FLOAT if of_floats else kernel.INTEGER
                found = plan.floats if of_floats else plan.integers
                target = len(found)
                found.append(name)
            plan.kinds[i], plan.targets[i] = kind, target
        return plan

    def labels(self, plan: _Plan, integers, missing, floats) -> Table:  # type: ignore[no-untyped-def]
        """Scalar columns as a table, in the file's order, with units and descriptions."""
        table = Table()
        for name in self.names:
            about = {
                "unit": self._about(name, "unit"),
                "description": self._about(name, "description"),
            }
            type_ = self._type(name)
            if name in plan.integers:
                i = plan.integers.index(name)
                values, gone = integers[:, i].astype(type_), missing[:, i]
                table[name] = (
                    MaskedColumn(values, mask=gone, **about)
                    if gone.any()
                    else Column(values, **about)
                )
            elif name in plan.floats:
                table[name] = Column(floats[:, plan.floats.index(name)].astype(type_), **about)
        return table

    def _about(self, name: str, what: str) -> Any:
        given = self._described.get(name, {}).get(what)
        if given:
            return given
        known = XP_COLUMNS[name] if name in XP_COLUMNS else columns.info(name)
        return getattr(known, what, None) or None


def _described(comments: list[str]) -> dict[str, dict[str, Any]]:
    """Type, unit and description of columns in an ECSV header, as far as it can be read."""
    if not comments or "%ECSV" not in comments[0]:
        return {}
    try:
        header = meta.get_header_from_yaml([line[2:].rstrip("\n") for line in comments[1:]])
        return {column["name"]: column for column in header["datatype"]}
    except (yaml.YAMLError, KeyError, TypeError, meta.YamlParseError):
        return {}


class _Decoder:
    """Fills batches of arrays from blocks of text."""

    def __init__(
        self,
        file: BulkFile,
        plan: _Plan,
        grid: XPGrid,
        size: int,
        dtype: np.dtype,
        check_correlations: bool,
    ) -> None:
        self.file, self.plan, self.grid, self.size, self.dtype = file, plan, grid, size, dtype
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
                self._status[self.filled, 0] = kernel.BAD_INTEGER  # no id
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
            self.file.names[column],
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
        name = self.file.names[column]
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
        cells = len(next(csv.reader([block.text[begin:end].tobytes().decode("utf-8", "replace")])))
        return f"the line has {cells} columns where {len(self.file.names)} are expected"

    def _batch(self) -> BulkBatch:
        n, first = self.filled, self.row
        rows = slice(0, n)
        self._check(rows)
        good = np.ones(n, dtype=bool)
        good[list(self.reasons)] = False
        keep: Any = rows if good.all() else np.flatnonzero(good)
        labels = self.file.labels(
            self.plan, self.integers[keep], self.missing[keep], self.floats[keep]
        )
        spectra = SpectrumSet(
            source_id=self.source_id[keep],
            values=self.values[keep],
            errors=self.errors[keep],
            grid=self.grid,
            correlations=self.correlations[keep] if self.keeps_correlations else None,
            labels=labels,
            unit=COEFFICIENT_UNIT,
            meta={"files": [str(self.file.path)]},
        )
        # A row that failed at or before its id has none.
        place = self.file.names.index(columns.SOURCE_ID)
        rejected = [
            Rejection(
                str(self.file.path),
                first + row + 1,
                None
                if self._status[row, 0] != kernel.OK and self._status[row, 1] <= place
                else int(self.source_id[row]),
                f"{self.reasons[row]} (line {self.file.header_lines + first + row + 1})",
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
            limits = np.iinfo(self.file._type(name))  # type: ignore[arg-type]
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
