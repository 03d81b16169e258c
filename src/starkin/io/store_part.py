"""One Parquet part of a store, written row group by row group, then committed."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..spectra import SpectrumSet, StarkinError
from .store_layout import CORRELATIONS, ERRORS, VALUES, label_schema, to_arrow

if TYPE_CHECKING:
    from .store import Store

__all__ = ["ROW_GROUP", "PartWriter"]

# 4,096 stars are 3.6 MB of float32 values and errors, 52 MB with correlations:
# long enough for full-speed reading, short enough to hold several in memory.
ROW_GROUP = 4096


class PartWriter:
    """Writes one part of ``store``; nothing counts until :meth:`commit`.

    Use as a context manager: leaving it without a commit removes the file.
    """

    def __init__(self, store: Store):
        self._store = store
        self._name = f"part-{len(store.parts):05d}.parquet"
        self._temporary = store.path / f".{self._name}.part"
        self._labels = store.label_schema
        self._writer: pq.ParquetWriter | None = None
        self._digest = hashlib.sha256()
        self.rows = 0
        #: Rows handed over, counted by a caller whose writing runs behind.
        self.rows_given = 0

    def write(self, spectra: SpectrumSet) -> None:
        """Add ``spectra`` as one row group.

        Raises
        ------
        StarkinError
            If grid, unit or labels do not fit, or the disk is full.
        """
        store = self._store
        store.grid.require(spectra.grid, "A set to be stored")
        if spectra.unit != store.unit:
            raise StarkinError(f"The store is in {store.unit}, the spectra are in {spectra.unit}.")
        if not len(spectra):
            return
        if self._labels is None:
            self._labels = label_schema(spectra.labels)
        table = to_arrow(spectra, self._labels, store.dtype, store.has_correlations)
        for name in ("source_id", VALUES, ERRORS):
            self._digest.update(table[name].chunk(0).buffers()[1])
        try:
            if self._writer is None:
                self._writer = self._open(table.schema)
            self._writer.write_table(table, row_group_size=len(table))
        except OSError as error:
            raise self._failed(error) from error
        self.rows += len(spectra)

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        spectra = {"source_id", VALUES, ERRORS, CORRELATIONS}
        return pq.ParquetWriter(
            self._temporary,
            schema,
            compression={n: "none" if n in spectra else "zstd" for n in schema.names},
            use_dictionary=[n for n in schema.names if n not in spectra],
            write_statistics=[n for n in schema.names if n not in (VALUES, ERRORS, CORRELATIONS)],
        )

    def commit(self, state: dict[str, Any] | None = None) -> None:
        """Make the part count and keep ``state`` (see `Store.state`), in one atomic step."""
        manifest = dict(self._store.manifest)
        if state is not None:
            manifest["state"] = state
        if self._writer is not None:
            part = self._store.path / self._name
            try:
                self._writer.close()
                self._temporary.replace(part)
            except OSError as error:
                raise self._failed(error) from error
            self._writer = None
            record = {
                "name": self._name,
                "rows": self.rows,
                "bytes": part.stat().st_size,
                "digest": self._digest.hexdigest()[:16],
            }
            manifest["parts"] = [*self._store.parts, record]
        self._store.commit(manifest)

    def _failed(self, error: OSError) -> StarkinError:
        return StarkinError(
            f"Cannot write {self._store.path / self._name}: {error.strerror or error}; the store "
            f"is as it was before this part."
        )

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._writer is not None:
            # The footer of a file that is about to go may fail to be written, too.
            with contextlib.suppress(OSError):
                self._writer.close()
        self._temporary.unlink(missing_ok=True)
