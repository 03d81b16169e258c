"""Files of any number and size into a store: bounded memory, resumable, nothing lost silently.

The store's manifest says how far each file has been taken in; it is replaced
together with the part that holds the rows, so after a kill the same call goes
on behind the last part and ends with the same store.

Rows that cannot be used are listed in ``STORE/rejected.csv`` (file, row counted
from 1 without the header, source_id, reason), as are files that cannot be read.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from filelock import FileLock, Timeout

from ..spectra import SpectrumSet, StarkinError, XPGrid
from ..spectra.columns import BANDS
from .bulk import BulkFile
from .column_table import Rejection
from .label_table import LabelTable
from .readers.collections import files_of_folder
from .registry import read
from .seen_ids import SeenIds
from .store import MANIFEST, Store
from .store_part import ROW_GROUP, PartWriter

__all__ = ["IngestReport", "ingest"]

PART_ROWS = 16 * ROW_GROUP  # what a kill loses at most: ten seconds of work
REJECTED = "rejected.csv"
LOCK = ".lock"
_COLUMNS = ("file", "row", "source_id", "reason")
_REPEATED = "the same source came before"


@dataclass
class IngestReport:
    """What has become of the files, all runs into the store together.

    Attributes
    ----------
    store : Path
    stars : int
        Rows in the store.
    rejected : int
        Rows left out, duplicates among them; ``rejected_file`` lists them.
    duplicates : int
    files : int
        Files taken in, damaged ones included.
    damaged : dict of str to str
        Files that could not be read, or not to their end, and why.
    unlabelled : int
        Stars that the table of labels does not have.
    seconds : float
        Of this run.
    """

    store: Path
    stars: int = 0
    rejected: int = 0
    duplicates: int = 0
    files: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    unlabelled: int = 0
    seconds: float = 0.0

    @property
    def rejected_file(self) -> Path:
        return self.store / REJECTED

    def __str__(self) -> str:
        lines = [f"{self.stars:,} stars from {self.files:,} files in {self.store}"]
        if self.rejected:
            lines.append(
                f"{self.rejected:,} rows rejected ({self.duplicates:,} duplicates): "
                f"see {self.rejected_file}"
            )
        if self.unlabelled:
            lines.append(f"{self.unlabelled:,} stars have no row in the table of labels")
        lines += [f"{name}: {reason}" for name, reason in self.damaged.items()]
        return "\n".join(lines)


class _Rows(NamedTuple):
    """Consecutive rows of a file, whatever its format."""

    spectra: SpectrumSet
    rows: np.ndarray  # their numbers in the file, from 1
    rejected: list[Rejection]
    stop: int  # where to go on
    position: int  # bytes read
    damage: str = ""


def ingest(
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | Table | None = None,
    correlations: bool = True,
    check_correlations: bool = False,
    dtype: str = "float32",
    part_rows: int = PART_ROWS,
    progress: Callable[..., None] | None = None,
) -> IngestReport:
    """Take files of spectra into a store; the same call goes on after a kill.

    Parameters
    ----------
    files : path or iterable of paths
        Files, folders or patterns. The bulk dialect streams at the speed of
        unpacking; every other format of :func:`starkin.io.read` is read whole,
        one file at a time.
    out : path
        The store: new, or one that an earlier call with the same settings has
        begun. Files it already has are passed over.
    labels : path or Table, optional
        Columns to join by ``source_id``, such as rows of ``gaia_source``.
    correlations : bool
        Keep the correlations of coefficients: 11.9 kB a star beside 0.9.
    check_correlations : bool
        Drop matrices that are not positive definite (slower; those with a
        number outside -1..1 always go).
    dtype : {"float32", "float64"}
        Of values and errors in the store, see :meth:`Store.create`.
    part_rows : int
        Stars after which a part of the store is closed.
    progress : callable, optional
        Called with bytes read, bytes in all and the file's name.

    Returns
    -------
    IngestReport

    Raises
    ------
    StarkinError
        If no star can be read, a file has changed since it was taken in, the
        settings differ from the store's, another process is taking files into
        it, or the disk is full. What was committed before stays and is gone on
        from.
    """
    begun = time.perf_counter()
    paths = _expand(files)
    table = None if labels is None else LabelTable(labels)
    settings = {
        "correlations": correlations,
        "check_correlations": check_correlations,
        "dtype": dtype,
        "part_rows": part_rows,
        "labels": None if table is None else table.fingerprint,
    }
    sizes = [path.stat().st_size for path in paths]
    before = 0
    with _alone(Path(out)):
        store = _open(Path(out), paths, settings)
        with _Job(store, table, settings, part_rows) as job:
            for path, size in zip(paths, sizes, strict=True):
                for position in job.take(path):
                    if progress is not None:
                        progress(before + position, sum(sizes), path.name)
                before += size
            job.commit()
    report = job.report()
    report.seconds = time.perf_counter() - begun
    if not report.stars:
        reason = next(iter(report.damaged.items()), None)
        why = f"{reason[0]}: {reason[1]}" if reason else f"see {report.rejected_file}"
        raise StarkinError(f"None of the files has a star that can be used; {why}")
    return report


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep a second ingest out of a store; the lock of a process that was killed is void."""
    if out.exists() and not out.is_dir():
        yield  # no place for a store, as is told where it is opened
        return
    lock = FileLock(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise StarkinError(
            f"Another process is taking files into {out}; wait until it has ended."
        ) from None
    except OSError as error:
        raise StarkinError(f"Cannot write {out}: {error.strerror or error}.") from error
    try:
        yield
    finally:
        # Removed while it is held: who opened it meanwhile finds that it is gone and begins anew.
        with suppress(OSError):
            (out / LOCK).unlink()
            out.rmdir()  # fails unless no store came of it
        lock.release()


def _expand(files: Any) -> list[Path]:
    items = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    paths: list[Path] = []
    for item in items:
        path = Path(item)
        if path.is_dir():
            paths += [Path(name) for name in files_of_folder(path)]
        elif path.exists():
            paths.append(path)
        else:
            matched = sorted(glob.glob(str(item)))  # noqa: PTH207 (absolute patterns too)
            if not matched:
                raise StarkinError(f"{item} does not exist.")
            paths += [Path(name) for name in matched]
    if not paths:
        raise StarkinError("There are no files to ingest.")
    return list(dict.fromkeys(path.resolve() for path in paths))


def _open(out: Path, paths: list[Path], settings: dict[str, Any]) -> Store:
    if not (out / MANIFEST).exists():
        keep = settings["correlations"]
        return Store.create(out, _common_grid(paths), dtype=settings["dtype"], correlations=keep)
    store = Store.open(out)
    if store.parts and "settings" not in store.state:
        raise StarkinError(f"{out} was not made by ingest; choose another name for the store.")
    for name, value in store.state.get("settings", settings).items():
        if value != settings[name]:
            raise StarkinError(
                f"{out} was begun with {name}={value!r}, not {settings[name]!r}; "
                "use the same settings or a new store."
            )
    return store


def _common_grid(paths: list[Path]) -> XPGrid:
    """Band sizes of the first file that shows them; of later ones for a band it lacks."""
    sizes: dict[str, int] = {}
    for path in paths:
        try:
            file = BulkFile.recognise(path)
            if file is not None:
                found = file.sizes
            else:
                grid = read(path, on_error="reject", check_correlations=False).grid
                found = {band: grid.band_size(band) for band in BANDS}  # type: ignore[attr-defined]
        except StarkinError:
            continue  # told when its turn comes
        sizes = {**found, **sizes}
        if len(sizes) == len(BANDS):
            break
    return XPGrid(*(sizes.get(band, 55) for band in BANDS))


class _Job:
    """One run of ingest: rows on their way into parts, and what is known of each file."""

    def __init__(
        self, store: Store, labels: LabelTable | None, settings: dict[str, Any], part_rows: int
    ) -> None:
        self._store, self._labels, self._part_rows = store, labels, part_rows
        self._settings = settings
        state = store.state
        self._files: dict[str, dict[str, Any]] = {
            k: dict(v) for k, v in state.get("files", {}).items()
        }
        self._counts = dict(state.get("counts", {"rejected": 0, "duplicates": 0, "unlabelled": 0}))
        self._listed = int(state.get("rejected_bytes", 0))
        self._rejected: list[Rejection] = []
        self._part = PartWriter(store)
        self._pending: Future[None] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._seen = SeenIds(store.path)
        for ids in store.source_ids():
            self._seen.add(ids)
        self._label_names = store.label_names if store.parts else None

    def __enter__(self) -> _Job:
        self._truncate_list()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._writer.shutdown()
        self._part.__exit__(*exc_info)

    # --- one file ---------------------------------------------------------
    def take(self, path: Path) -> Iterator[int]:
        """Take in the rest of a file; yields the bytes read so far."""
        stat = path.stat()
        identity = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        known = self._files.setdefault(str(path), {**identity, "stop": 0, "done": False})
        if any(known[key] != value for key, value in identity.items()):
            raise StarkinError(
                f"{path} has changed since it was taken into {self._store.path}; "
                "ingest the files into a new store."
            )
        if known["done"]:
            return
        chunks = self._chunks(path, known["stop"])
        while True:
            # Only reading a file may fail without failing the job.
            try:
                chunk = next(chunks, None)
                spectra = None if chunk is None else self._labelled(path, chunk.spectra)
            except StarkinError as error:
                self._damage(path, str(error))
                break
            if chunk is None or spectra is None:
                break
            self._add(path, chunk, spectra)
            known["stop"] = chunk.stop
            if chunk.damage:
                self._damage(path, chunk.damage)
            if max(self._part.rows_given, len(self._rejected)) >= self._part_rows:
                self.commit()
            yield chunk.position
        known["done"] = True

    def _chunks(self, path: Path, start: int) -> Iterator[_Rows]:
        keep = self._store.has_correlations
        check = self._settings["check_correlations"]
        grid = self._store.grid
        file = BulkFile.recognise(path)
        if file is not None:
            for band, size in file.sizes.items():
                expected = grid.band_size(band)  # type: ignore[attr-defined]
                if size != expected:
                    raise StarkinError(
                        f"{path} has {size} {band.upper()} coefficients, the store has "
                        f"{expected}; ingest data releases apart."
                    )
            yield from (
                _Rows(*batch)
                for batch in file.batches(
                    ROW_GROUP,
                    start=start,
                    grid=grid,  # type: ignore[arg-type]
                    correlations=keep,
                    check_correlations=check,
                    dtype=self._settings["dtype"],
                )
            )
            return
        assert isinstance(grid, XPGrid)
        spectra = read(path, grid=grid, on_error="reject", check_correlations=check and keep)
        grid.require(spectra.grid, str(path))
        rejected = list(spectra.meta.get("rejected", []))
        rows = np.setdiff1d(
            np.arange(1, len(spectra) + len(rejected) + 1), [r.row for r in rejected]
        )[: len(spectra)]
        if not keep:
            spectra = spectra.replace(correlations=None)
        size = path.stat().st_size
        # With no usable row there is still something to list.
        for i in range(start, max(len(spectra), 1), ROW_GROUP):
            piece = slice(i, i + ROW_GROUP)
            stop = min(i + ROW_GROUP, len(spectra))
            yield _Rows(spectra[piece], rows[piece], rejected if i == 0 else [], stop, size)

    def _labelled(self, path: Path, spectra: SpectrumSet) -> SpectrumSet:
        if self._labels is not None:
            spectra, absent = self._labels.attach(spectra)
            self._counts["unlabelled"] += absent
        if self._label_names is None and len(spectra):
            self._label_names = list(spectra.labels.colnames)
        for name in spectra.labels.colnames:
            if name not in (self._label_names or ()) and len(spectra):
                raise StarkinError(
                    f"{path} has a column {name!r} that earlier files have not; remove it or "
                    "ingest the file into a store of its own."
                )
        return spectra

    def _add(self, path: Path, chunk: _Rows, spectra: SpectrumSet) -> None:
        self._rejected += chunk.rejected
        self._counts["rejected"] += len(chunk.rejected)
        new = self._seen.add(spectra.source_id)
        if not new.all():
            for i in np.flatnonzero(~new).tolist():
                self._rejected.append(
                    Rejection(str(path), int(chunk.rows[i]), int(spectra.source_id[i]), _REPEATED)
                )
            self._counts["rejected"] += int(np.count_nonzero(~new))
            self._counts["duplicates"] += int(np.count_nonzero(~new))
            spectra = spectra[new]
        # One batch is written while the next is decoded.
        self._wait()
        self._part.rows_given += len(spectra)
        self._pending = self._writer.submit(self._part.write, spectra)

    def _damage(self, path: Path, reason: str) -> None:
        self._files[str(path)]["damage"] = reason
        self._rejected.append(Rejection(str(path), 0, None, reason))

    # --- what is kept -----------------------------------------------------
    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def commit(self) -> None:
        """Close the part: its rows, its rejections and the state of the files count from now."""
        self._wait()
        listed = self._list_rejected()
        state = {
            "settings": self._settings,
            "files": {name: dict(known) for name, known in self._files.items()},
            "counts": dict(self._counts),
            "rejected_bytes": listed,
        }
        self._part.commit(state)
        self._listed = listed
        self._rejected = []
        self._part = PartWriter(self._store)

    def _list_rejected(self) -> int:
        """Append to the list of rejected rows; its new length in bytes."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._listed:
            writer.writerow(_COLUMNS)
        for file, row, source_id, reason in self._rejected:
            writer.writerow([file, row or "", "" if source_id is None else source_id, reason])
        lines = text.getvalue().encode()
        path = self._store.path / REJECTED
        try:
            with path.open("ab") as stream:
                stream.write(lines)
        except OSError as error:
            self._truncate_list()
            raise StarkinError(
                f"Cannot write {path}: {error.strerror or error}; nothing of it was kept."
            ) from error
        return self._listed + len(lines)

    def _truncate_list(self) -> None:
        """Back to what the manifest knows of: a kill may have left more."""
        path = self._store.path / REJECTED
        if path.exists():
            os.truncate(path, self._listed)

    def report(self) -> IngestReport:
        damaged = {
            name: known["damage"] for name, known in self._files.items() if "damage" in known
        }
        return IngestReport(
            store=self._store.path,
            stars=len(self._store),
            files=len(self._files),
            damaged=damaged,
            **self._counts,
        )
