"""A directory of spectra that streams: Parquet parts and a manifest.

::

    STORE/
      manifest.json       grid, units, parts, provenance; replaced atomically
      part-00000.parquet  see store_layout for the columns
      part-00001.parquet

A part exists for readers only once the manifest names it, so a kill while a
part is written leaves the store as it was. Reading is bounded in memory by the
batch asked for, whatever the size of the store.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u

from ..spectra import Grid, SpectrumSet, StarkinError, XPGrid, grid_from_arrays
from ..spectra.columns import SOURCE_ID
from .arrow import arrow_to_table
from .atomic import atomic_file
from .store_layout import CORRELATIONS, ERRORS, VALUES, labels_of, to_arrays
from .store_part import ROW_GROUP, PartWriter

__all__ = ["Store"]

MANIFEST = "manifest.json"
FORMAT, VERSION = "starkin-store", 1

# Arrays of some rows by column name, and their labels (None when none are wanted).
Piece = tuple[dict[str, np.ndarray], pa.Table | None]


class Store:
    """Spectra on disk; see :meth:`create` and :meth:`open`.

    A store is read as it stood when it was opened; :meth:`append` adds a part
    and is seen by this object and by every later :meth:`open`.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]):
        self.path = path
        self._adopt(manifest)

    def _adopt(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest
        self.grid: Grid = grid_from_arrays(
            {name: np.array(value) for name, value in manifest["grid"].items()}
        )
        self._starts = np.concatenate([[0], np.cumsum([p["rows"] for p in self.parts])]).astype(int)
        # The first part fixes the label columns of the store.
        self._labels = labels_of(self._file(0).schema_arrow) if self.parts else None

    # --- made and opened ----------------------------------------------------
    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        grid: Grid,
        *,
        unit: u.UnitBase | str = u.electron / u.s,
        dtype: str = "float32",
        correlations: bool = False,
        meta: dict[str, Any] | None = None,
    ) -> Store:
        """An empty store.

        Parameters
        ----------
        path : path
            A directory that does not exist yet or is empty.
        grid : Grid
            What the columns mean.
        unit : astropy unit
            Of values and errors.
        dtype : {"float32", "float64"}
            Of values and errors on disk. float32 rounds by at most 3e-4 of an
            error bar on the brightest of the real stars tried (value over error up
            to 5,200), and takes 190 GB for 220 million stars instead of 390.
        correlations : bool
            Keep packed correlations (XP grids only; 11.9 kB a star).
        meta : dict, optional
            Provenance, plain JSON values.

        Raises
        ------
        StarkinError
            If the directory is in use or the settings do not fit together.
        """
        path = Path(path)
        if dtype not in ("float32", "float64"):
            raise StarkinError(f"A store's dtype is float32 or float64, got {dtype!r}.")
        if correlations and not isinstance(grid, XPGrid):
            raise StarkinError("Only XP coefficients have correlations to store.")
        # Hidden files are what a killed job may have left of a store that never was.
        if path.exists() and (
            not path.is_dir() or any(not item.name.startswith(".") for item in path.iterdir())
        ):
            raise StarkinError(f"{path} exists already; choose another name for the new store.")
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "grid": {name: array.tolist() for name, array in grid.to_arrays().items()},
            "unit": u.Unit(unit).to_string(),
            "dtype": dtype,
            "correlations": correlations,
            "meta": meta or {},
            "parts": [],
        }
        store = cls(path, manifest)
        store.commit(manifest)
        return store

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """Open a store for reading (or appending).

        Raises
        ------
        StarkinError
            If ``path`` is no store, or a part is missing or of another length
            than the manifest says.
        """
        path = Path(path)
        try:
            manifest = json.loads((path / MANIFEST).read_text())
            known = manifest["format"] == FORMAT and manifest["version"] == VERSION
        except OSError as error:
            raise StarkinError(f"{path} is not a store of spectra: no {MANIFEST} in it.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StarkinError(
                f"{path / MANIFEST} is damaged; ingest the spectra again."
            ) from error
        if not known:
            raise StarkinError(f"{path} was written by another version of starkin; ingest again.")
        for part in manifest["parts"]:
            file = path / part["name"]
            if not file.is_file() or file.stat().st_size != part["bytes"]:
                raise StarkinError(f"{file} is missing or damaged; ingest the spectra again.")
        return cls(path, manifest)

    def commit(self, manifest: dict[str, Any]) -> None:
        with atomic_file(self.path / MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1))
        self._adopt(manifest)

    # --- what is in it --------------------------------------------------------
    @property
    def unit(self) -> u.UnitBase:
        return u.Unit(self.manifest["unit"])

    @property
    def dtype(self) -> np.dtype:
        """Of values and errors."""
        return np.dtype(self.manifest["dtype"])

    @property
    def has_correlations(self) -> bool:
        return bool(self.manifest["correlations"])

    @property
    def meta(self) -> dict[str, Any]:
        """Provenance, as given to :meth:`create`."""
        return self.manifest["meta"]

    @property
    def state(self) -> dict[str, Any]:
        """How far the job that fills the store has come, committed with its parts."""
        return self.manifest.get("state", {})

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Name, rows, bytes and digest of each part, in order."""
        return self.manifest["parts"]

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def label_schema(self) -> pa.Schema | None:
        """Label columns with units and descriptions; None until the first part fixes them."""
        return self._labels

    @property
    def label_names(self) -> list[str]:
        return [] if self._labels is None else list(self._labels.names)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of grid, ids, values and errors, part by part."""
        digest = hashlib.sha256(self.grid.fingerprint.encode())
        for part in self.parts:
            digest.update(part["digest"].encode())
        return digest.hexdigest()[:16]

    # --- written --------------------------------------------------------------
    def append(self, spectra: SpectrumSet) -> None:
        """Add ``spectra`` as one part, whole or not at all.

        Raises
        ------
        StarkinError
            If grid, unit or labels do not fit, or the disk is full.
        """
        with PartWriter(self) as part:
            for batch in spectra.batches(ROW_GROUP):
                part.write(batch)
            part.commit()

    # --- read -----------------------------------------------------------------
    def batches(
        self,
        size: int = 16 * ROW_GROUP,
        *,
        columns: Sequence[str] | None = None,
        correlations: bool = False,
    ) -> Iterator[SpectrumSet]:
        """All stars in order, in sets of ``size`` (the last may be smaller).

        Parameters
        ----------
        size : int
            Stars a batch; memory is bounded by this and one row group.
        columns : sequence of str, optional
            Label columns wanted; all by default, ``[]`` for none (fastest).
        correlations : bool
            Read the packed correlations too.

        Raises
        ------
        StarkinError
            If a column or the correlations are not in the store.
        """
        names = self._check(columns, correlations)
        if size < 1:
            raise StarkinError(f"The batch size must be at least 1, got {size}.")
        pieces = _cut(self._pieces(names, correlations), size)
        return (self._spectra(arrays, labels) for arrays, labels in pieces)

    def read(
        self,
        rows: np.ndarray | None = None,
        *,
        columns: Sequence[str] | None = None,
        correlations: bool = False,
    ) -> SpectrumSet:
        """Stars into memory: all, or those of a boolean or an index array, in its order.

        Parameters
        ----------
        rows : ndarray, optional
            Boolean of shape (len(store),), or row numbers counted from 0.
        columns, correlations
            As for :meth:`batches`.
        """
        names = self._check(columns, correlations)
        if rows is None:
            order = None
            pieces = self._pieces(names, correlations)
        else:
            wanted = np.asarray(rows)
            if wanted.dtype == bool:
                if wanted.shape != (len(self),):
                    raise StarkinError(
                        f"The mask has {wanted.size} rows, the store has {len(self)}."
                    )
                wanted = np.flatnonzero(wanted)
            wanted = wanted.astype(np.int64)
            if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
                raise StarkinError(f"Row numbers must lie in 0..{len(self) - 1}.")
            order = np.argsort(wanted, kind="stable")
            pieces = self._pieces(names, correlations, wanted[order])
            if np.array_equal(order, np.arange(order.size)):
                order = None
        spectra = self._spectra(*_joined([self._blank(names, correlations), *pieces]))
        return spectra if order is None else spectra[np.argsort(order, kind="stable")]

    def sample(
        self,
        n: int,
        seed: int = 0,
        *,
        columns: Sequence[str] | None = None,
        correlations: bool = False,
    ) -> SpectrumSet:
        """``n`` stars drawn without replacement, in the store's order; all if it has fewer.

        The same store, ``n`` and ``seed`` give the same stars.
        """
        if n < 1:
            raise StarkinError(f"A sample needs at least 1 star, got {n}.")
        if n >= len(self):
            return self.read(columns=columns, correlations=correlations)
        rows = np.random.default_rng(seed).choice(len(self), size=n, replace=False, shuffle=False)
        return self.read(np.sort(rows), columns=columns, correlations=correlations)

    def source_ids(self) -> Iterator[np.ndarray]:
        """The ids of each part, in order."""
        for i in range(len(self.parts)):
            yield self._file(i).read([SOURCE_ID])[0].to_numpy()

    # --- inside ---------------------------------------------------------------
    def _check(self, names: Sequence[str] | None, correlations: bool) -> list[str]:
        if correlations and not self.has_correlations:
            raise StarkinError(f"{self.path} holds no correlations; ingest again and keep them.")
        known = self.label_names
        missing = [name for name in names or () if name not in known]
        if missing:
            raise StarkinError(
                f"{self.path} has no label column {missing[0]!r}; the columns are "
                f"{', '.join(known) or 'none'}."
            )
        return known if names is None else list(names)

    def _file(self, i: int) -> pq.ParquetFile:
        path = self.path / self.parts[i]["name"]
        try:
            return pq.ParquetFile(path, memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(i, error) from error

    def _damaged(self, i: int, error: Exception) -> StarkinError:
        path = self.path / self.parts[i]["name"]
        return StarkinError(f"{path} is damaged ({error}); ingest the spectra again.")

    def _pieces(
        self, names: list[str], correlations: bool, rows: np.ndarray | None = None
    ) -> Iterator[Piece]:
        """One piece a row group; only what holds ``rows`` (sorted), when given."""
        wanted = [SOURCE_ID, VALUES, ERRORS, *names, *([CORRELATIONS] if correlations else [])]
        for i, start in enumerate(self._starts[:-1]):
            if rows is not None and not len(_between(rows, start, self._starts[i + 1])):
                continue
            file = self._file(i)
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                inside = None if rows is None else _between(rows, start, stop) - start
                start = stop
                if inside is not None and not len(inside):
                    continue
                try:
                    table = file.read_row_group(group, columns=wanted, use_threads=False)
                except (OSError, pa.ArrowException) as error:
                    raise self._damaged(i, error) from error
                arrays = to_arrays(table, self.dtype)
                labels = table.select(names) if names else None
                if inside is not None:
                    arrays = {name: array[inside] for name, array in arrays.items()}
                    labels = None if labels is None else labels.take(inside)
                yield arrays, labels

    def _blank(self, names: list[str], correlations: bool) -> Piece:
        """No rows, but every column, so that joining always has a first piece."""
        values = np.empty((0, self.grid.n_pixels), dtype=self.dtype)
        arrays = {SOURCE_ID: np.empty(0, dtype=np.int64), VALUES: values, ERRORS: values}
        if correlations:
            width = self.grid.n_correlations  # type: ignore[attr-defined]
            arrays[CORRELATIONS] = np.empty((0, width), dtype=np.float32)
        if not names or self._labels is None:
            return arrays, None
        return arrays, self._labels.empty_table().select(names)

    def _spectra(self, arrays: dict[str, np.ndarray], labels: pa.Table | None) -> SpectrumSet:
        return SpectrumSet(
            source_id=arrays[SOURCE_ID],
            values=arrays[VALUES],
            errors=arrays[ERRORS],
            grid=self.grid,
            correlations=arrays.get(CORRELATIONS),
            labels=None if labels is None else arrow_to_table(labels),
            unit=self.unit,
            meta={**self.meta, "store": str(self.path)},
        )


def _between(rows: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Those of the sorted ``rows`` in start..stop-1."""
    return rows[slice(*np.searchsorted(rows, [start, stop]))]


def _joined(pieces: list[Piece]) -> Piece:
    """Pieces one after the other; a single one is passed on without a copy."""
    if len(pieces) == 1:
        return pieces[0]
    arrays = {name: np.concatenate([piece[0][name] for piece in pieces]) for name in pieces[0][0]}
    tables = [labels for _, labels in pieces if labels is not None]
    return arrays, pa.concat_tables(tables) if tables else None


def _cut(pieces: Iterable[Piece], size: int) -> Iterator[Piece]:
    """The same rows in pieces of exactly ``size``; the last may be shorter."""
    held: list[Piece] = []
    count = 0
    for arrays, labels in pieces:
        start, n = 0, len(arrays[SOURCE_ID])
        while start < n:
            rows = slice(start, min(n, start + size - count))
            held.append(
                (
                    {name: array[rows] for name, array in arrays.items()},
                    None if labels is None else labels.slice(start, rows.stop - start),
                )
            )
            count += rows.stop - rows.start
            start = rows.stop
            if count == size:
                yield _joined(held)
                held, count = [], 0
    if held:
        yield _joined(held)
