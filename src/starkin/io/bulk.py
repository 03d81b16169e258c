"""Read the archive's bulk files ``XpContinuousMeanSpectrum_*.csv.gz`` as fast as they unpack.

The dialect: an ECSV header in comments (or none), a line of names, then one
line a star; arrays are quoted ``"[1.0, 2.0, …]"`` or ``"(…)"``; what is missing
is ``null``, empty, or an empty array. A row of 42 kB holds 3,190 numbers, so
reading is turning text into numbers; that is done by :mod:`starkin.io.bulk_rows`
while another thread unpacks (:mod:`starkin.io.bulk_text`).

Measured on text of correlations, one core, ns a number in one run: compiled
rows 38, pysimdjson 38, polars (strip_chars, split, cast) 69, pyarrow (split,
cast) 74, numpy.fromstring 223. pysimdjson holds the interpreter's lock, so that
unpacking and writing wait for it, and knows neither ``(…)`` nor NaN; hence code
of our own. ``benchmarks/bench_ingest.py`` compares whole readers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..spectra import XPGrid, columns
from ..spectra.errors import StarkinError
from .bulk_decoder import BulkBatch, Decoder, Plan
from .bulk_header import BulkHeader
from .bulk_rows import skip_rows
from .bulk_text import text_blocks

__all__ = ["BulkBatch", "BulkFile"]


class BulkFile:
    """One file of the bulk dialect.

    Parameters
    ----------
    path : path-like
        Plain or gzipped.

    Raises
    ------
    StarkinError
        If the file cannot be read, or is not of this dialect; see
        :meth:`recognise`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        blocks = text_blocks(self.path, depth=1)
        try:
            self.header = BulkHeader(self.path, next(blocks))
        finally:
            blocks.close()

    @classmethod
    def recognise(cls, path: str | os.PathLike[str]) -> BulkFile | None:
        """The file, or None if it is of another dialect or cannot be read."""
        try:
            return cls(path)
        except StarkinError:
            return None

    @property
    def sizes(self) -> dict[str, int]:
        """Coefficients of each band that the first rows show."""
        return self.header.sizes

    @property
    def grid(self) -> XPGrid:
        """The grid by :attr:`sizes`, DR3's where a band shows none."""
        return XPGrid(*(self.sizes.get(band, 55) for band in columns.BANDS))

    @property
    def has_correlations(self) -> bool:
        return all(
            columns.coefficient_correlations(band) in self.header.names for band in columns.BANDS
        )

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
        plan = Plan.of(self.header, grid, correlations and self.has_correlations)
        decoder = Decoder(self.header, plan, grid, size, np.dtype(dtype), check_correlations)
        skip, first = start, True
        for block in text_blocks(self.path):
            i = self.header.data_start if first else 0
            first = False
            while skip and i < block.stop:
                i, passed = skip_rows(block.text, i, block.stop, skip)
                skip -= passed
            if not skip:
                decoder.row = max(decoder.row, start)
                yield from decoder.feed(block, i)
        yield from decoder.finish()
