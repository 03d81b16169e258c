"""XP spectra from the Gaia archive: batches, comparison with what was asked, resumption.

DataLink serves at most 5,000 sources a call and may silently return fewer than
were asked. Each batch is therefore compared with its list of ids, what is
missing is asked for again, and what stays missing is reported. A batch that
has arrived whole is one Parquet file in a folder, so that a broken download
goes on where it stopped; :func:`starkin.io.read` reads the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table

from ..spectra import SpectrumSet, columns
from ..spectra.errors import StarkinError
from .atomic import atomic_file
from .registry import read
from .write_xp import write_spectra

__all__ = ["ArchiveClient", "Download"]

#: Sources that DataLink serves in one call (ESA, "DataLink products").
MOST_IDS = 5000

PHOTOMETRY = (
    columns.RA, columns.DEC, columns.GLON, columns.GLAT, columns.PARALLAX, columns.PARALLAX_ERROR,
    columns.G_FLUX, columns.G_MAG, columns.BP_MAG, columns.RP_MAG, columns.BP_RP,
)  # fmt: skip


@dataclass(frozen=True)
class Download:
    """What a download left behind.

    Attributes
    ----------
    files : list of Path
        Batches, in the order asked; :func:`starkin.io.read` takes the list.
    missing : list of int
        Sources of which the archive has no XP spectrum, or gave none.
    """

    files: list[Path]
    missing: list[int]


@dataclass
class ArchiveClient:
    """Download XP coefficients and photometry.

    Parameters
    ----------
    release : str
        Data release, as DataLink names it.
    table : str
        Table of sources from which ``photometry`` comes.
    retrieval_type : str
        DataLink's name of the product.
    photometry : tuple of str
        Columns of ``table`` to put beside the spectra; none when empty.
    batch : int
        Sources a call, at most 5,000.
    retries : int
        Further attempts at a call that failed, and at sources that a call left out.
    wait : float
        Seconds before the first further attempt, doubled before each next one.
    service : object, optional
        With ``load_data`` and ``launch_job_async`` of ``astroquery.gaia``;
        that itself when not given.
    """

    release: str = "Gaia DR3"
    table: str = "gaiadr3.gaia_source"
    retrieval_type: str = "XP_CONTINUOUS"
    photometry: tuple[str, ...] = PHOTOMETRY
    batch: int = MOST_IDS
    retries: int = 3
    wait: float = 5.0
    service: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MOST_IDS:
            raise StarkinError(
                f"ArchiveClient.batch must lie in 1..{MOST_IDS} (DataLink's limit), "
                f"got {self.batch}."
            )

    def download(
        self,
        source_ids: Iterable[int],
        folder: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Download:
        """Fetch spectra of sources into a folder; called again, it fetches what is not there.

        Parameters
        ----------
        source_ids : iterable of int
            Repeats are fetched once.
        folder : path-like
            Made if need be.
        progress : callable, optional
            Called with (sources done, sources in all).

        Raises
        ------
        StarkinError
            If the archive cannot be reached; batches that came before stay.
        """
        ids = list(dict.fromkeys(int(i) for i in source_ids))
        folder = Path(folder)
        files: list[Path] = []
        missing: list[int] = []
        for start in range(0, len(ids), self.batch):
            asked = ids[start : start + self.batch]
            path = folder / f"xp_{start // self.batch:05d}_{_fingerprint(asked)}.parquet"
            # The note is written last: without it a batch has not arrived whole.
            note = path.with_suffix(".json")
            if not note.exists():
                spectra = self._fetch(asked, done=start)
                if spectra is not None:
                    write_spectra(spectra, path)
                _write_note(note, asked, spectra)
            missing += json.loads(note.read_text(encoding="utf-8"))["missing"]
            if path.exists():
                files.append(path)
            if progress is not None:
                progress(start + len(asked), len(ids))
        return Download(files, missing)

    # --- one batch --------------------------------------------------------
    def _fetch(self, asked: list[int], *, done: int) -> SpectrumSet | None:
        tables: list[Table] = []
        came: set[int] = set()
        left = asked
        for _ in range(self.retries + 1):
            new = self._attempt(partial(self._load, left), done)
            if not new:
                break
            tables += new
            came |= {int(i) for table in new for i in table[columns.SOURCE_ID]}
            left = [i for i in asked if i not in came]
            if not left:
                break
        if not tables:
            return None
        # Read together: a table whose stars all lack BP cannot tell that band's size.
        spectra = read(tables, on_error="reject")
        spectra = spectra[np.isin(spectra.source_id, asked)]
        if not len(spectra):
            return None
        order = {source_id: k for k, source_id in enumerate(asked)}
        spectra = spectra[np.argsort([order[i] for i in spectra.source_id.tolist()])]
        if self.photometry:
            rows = self._attempt(partial(self._photometry, spectra.source_id), done)
            spectra = _with_photometry(spectra, rows, self.photometry)
        return spectra

    def _load(self, ids: list[int]) -> list[Table]:
        answer = self._gaia().load_data(
            ids=ids,
            data_release=self.release,
            retrieval_type=self.retrieval_type,
            data_structure="RAW",
            format="fits",
        )
        tables = [table for found in answer.values() for table in found if len(table)]
        for table in tables:
            table.rename_columns(table.colnames, [name.lower() for name in table.colnames])
        return tables

    def _photometry(self, ids: np.ndarray) -> Table:
        wanted = ", ".join(f"g.{name}" for name in (columns.SOURCE_ID, *self.photometry))
        query = (
            f"SELECT {wanted} FROM {self.table} AS g "
            "JOIN tap_upload.asked AS asked ON g.source_id = asked.source_id"
        )
        job = self._gaia().launch_job_async(
            query,
            upload_resource=Table({columns.SOURCE_ID: ids}),
            upload_table_name="asked",
            verbose=False,
        )
        rows = job.get_results()
        rows.rename_columns(rows.colnames, [name.lower() for name in rows.colnames])
        return rows

    def _attempt(self, call: Callable[[], Any], done: int) -> Any:
        wait = self.wait
        for attempt in range(self.retries + 1):
            try:
                return call()
            except StarkinError:
                raise
            except Exception as error:
                # astroquery passes on whatever http, zip or FITS code raises on a bad day.
                if attempt == self.retries:
                    reason = " ".join(str(error).split())[:150]
                    raise StarkinError(
                        f"The Gaia archive did not answer after {attempt + 1} attempts "
                        f"({reason}); {done} sources are done: call again to go on from there."
                    ) from error
                time.sleep(wait)
                wait *= 2
        raise AssertionError("unreachable")

    def _gaia(self) -> Any:
        if self.service is None:
            try:
                from astroquery.gaia import GaiaClass
            except ImportError as error:
                raise StarkinError(
                    "Downloading needs astroquery: pip install astroquery."
                ) from error
            self.service = GaiaClass(show_server_messages=False)
        return self.service


def _fingerprint(ids: list[int]) -> str:
    return hashlib.sha256(np.array(ids, dtype="<i8").tobytes()).hexdigest()[:12]


def _write_note(path: Path, asked: list[int], spectra: SpectrumSet | None) -> None:
    came = set() if spectra is None else set(spectra.source_id.tolist())
    note = {"asked": len(asked), "missing": [i for i in asked if i not in came]}
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(note), encoding="utf-8")


def _with_photometry(spectra: SpectrumSet, rows: Table, names: tuple[str, ...]) -> SpectrumSet:
    """Photometry beside the spectra, masked where the archive gave none."""
    place = {int(source_id): k for k, source_id in enumerate(rows[columns.SOURCE_ID])}
    index = np.array([place.get(i, -1) for i in spectra.source_id.tolist()])
    new = {}
    for name in names:
        values = np.ma.asarray(rows[name])[np.maximum(index, 0)] if len(rows) else None
        if values is None:
            values = np.ma.masked_all(len(spectra), dtype=np.float64)
        mask = np.ma.getmaskarray(values) | (index < 0)
        new[name] = MaskedColumn(values.data, mask=mask)
    return spectra.with_labels(**new)
