"""SIMBAD object types of Gaia sources: from SIMBAD, from a cache, or from a user's table."""

from __future__ import annotations

import csv
import datetime
import io
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ..spectra import columns
from ..spectra.errors import StarkinError
from .registry import identify, read_columns
from .simbad_types import find

__all__ = ["SimbadClient", "read_crossmatch", "types_query"]

# Identifiers, main type and all types in one row an object. `alltypes` holds the
# latter as one text, "C*|LP*|V*" (SIMBAD TAP schema).
_QUERY = """\
SELECT ident.id AS gaia_id, basic.otype AS main_type, alltypes.otypes AS other_types
FROM ident
JOIN basic ON ident.oidref = basic.oid
LEFT JOIN alltypes ON alltypes.oidref = basic.oid
WHERE ident.id IN ({ids})"""

_PREFIX = "Gaia DR3 "
_FIELDS = (columns.SOURCE_ID, columns.MAIN_TYPE, columns.OTHER_TYPES, "queried")


def types_query(source_ids: Iterable[int]) -> str:
    """The ADQL that asks SIMBAD for the types of Gaia DR3 sources."""
    ids = ", ".join(f"'{_PREFIX}{int(source_id)}'" for source_id in source_ids)
    return _QUERY.format(ids=ids)


@dataclass
class SimbadClient:
    """SIMBAD object types, asked in batches and remembered.

    Parameters
    ----------
    cache : path-like, optional
        A CSV file to which every answer is added as it arrives, also "SIMBAD
        does not know this star"; asked first the next time.
    offline : bool
        Answer from the cache alone; other stars come without type.
    batch : int
        Stars a query; their ids travel in its text.
    retries : int
        Further attempts at a query that failed.
    wait : float
        Seconds before the first further attempt, doubled before each next one.
    pause : float
        Seconds between queries: SIMBAD shuts out who asks more than about five
        times a second.
    timeout : float
        Seconds to wait for an answer.
    url : str, optional
        TAP service of a mirror; astroquery's choice when not given.
    """

    cache: str | os.PathLike[str] | None = None
    offline: bool = False
    batch: int = 1000
    retries: int = 4
    wait: float = 2.0
    pause: float = 0.25
    timeout: float = 120.0
    url: str | None = None

    def __post_init__(self) -> None:
        if self.offline and self.cache is None:
            raise StarkinError("SimbadClient(offline=True) needs a cache file to answer from.")
        if self.batch < 1:
            raise StarkinError(f"SimbadClient.batch must be at least 1, got {self.batch}.")

    def query(
        self, source_ids: Iterable[int], *, progress: Callable[[int, int], None] | None = None
    ) -> Table:
        """Types of Gaia DR3 sources.

        Parameters
        ----------
        source_ids : iterable of int
            Repeats are asked once.
        progress : callable, optional
            Called with (stars answered, stars in all).

        Returns
        -------
        astropy.table.Table
            One row for each id given, in that order: ``source_id``,
            ``main_type`` (SIMBAD's short code) and ``other_types`` (codes
            joined by ``|``), both empty where SIMBAD has none.

        Raises
        ------
        StarkinError
            If SIMBAD cannot be reached or refuses; answers that came before
            are in the cache.
        """
        wanted = np.asarray(list(source_ids), dtype=np.int64)
        known = self._remembered()
        missing = [i for i in dict.fromkeys(wanted.tolist()) if i not in known]
        total = len(set(wanted.tolist()))
        if not self.offline:
            service = self._service() if missing else None
            for number, chunk in enumerate(_chunks(missing, self.batch)):
                if number:
                    time.sleep(self.pause)
                answers = self._ask(service, chunk, n_known=len(known), total=total)
                self._remember(answers)
                known |= answers
                if progress is not None:
                    progress(sum(i in known for i in set(wanted.tolist())), total)
        return _as_table(wanted, [known.get(i, ("", "")) for i in wanted.tolist()])

    # --- asking -----------------------------------------------------------
    def _service(self) -> Any:
        try:
            from astroquery.simbad import SimbadClass
        except ImportError as error:
            raise StarkinError("Asking SIMBAD needs astroquery: pip install astroquery.") from error
        from pyvo.dal import TAPService

        simbad = SimbadClass()
        url = self.url or f"https://{simbad.server}/simbad/sim-tap"
        return TAPService(url, session=_session_with_timeout(simbad._session, self.timeout))

    def _ask(
        self, service: Any, ids: list[int], *, n_known: int, total: int
    ) -> dict[int, tuple[str, str]]:
        from pyvo.dal.exceptions import (
            DALFormatError,
            DALOverflowWarning,
            DALQueryError,
            DALServiceError,
        )

        wait = self.wait
        for attempt in range(self.retries + 1):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", category=DALOverflowWarning)
                    result = service.run_sync(types_query(ids), maxrec=20 * len(ids))
                if result.status[0].lower() == "overflow":
                    # A cut answer must not pass for "SIMBAD does not know the rest".
                    raise DALFormatError("the answer was cut short")
                return _answers(result.to_table(), ids)
            except DALQueryError as error:
                reason = " ".join(str(error).split())[:200]
                raise StarkinError(f"SIMBAD refused the query: {reason}") from error
            except (DALServiceError, DALFormatError, OSError) as error:
                if attempt == self.retries:
                    reason = " ".join(str(error).split())[:150]
                    kept = f"; {n_known} answers are in {self.cache}" if self.cache else ""
                    raise StarkinError(
                        f"SIMBAD cannot be reached after {attempt + 1} attempts ({reason}){kept}; "
                        f"try again, or give a cross-match table of your own for the {total} stars."
                    ) from error
                time.sleep(wait)
                wait *= 2
        raise AssertionError("unreachable")

    # --- remembering ------------------------------------------------------
    def _remembered(self) -> dict[int, tuple[str, str]]:
        if self.cache is None or not Path(self.cache).exists():
            return {}
        known = {}
        content = Path(self.cache).read_text(encoding="utf-8")
        # A kill in mid-write leaves half a line at the end: it counts for nothing.
        whole = content[: content.rfind("\n") + 1]
        rows = csv.DictReader(io.StringIO(whole))
        if whole and tuple(rows.fieldnames or ()) != _FIELDS:
            raise StarkinError(
                f"{self.cache} is no SIMBAD cache of starkin's; name another file or remove it."
            )
        for row in rows:
            try:
                known[int(row[columns.SOURCE_ID])] = (
                    row[columns.MAIN_TYPE] or "",
                    row[columns.OTHER_TYPES] or "",
                )
            except (TypeError, ValueError):
                raise StarkinError(
                    f"{self.cache}, line {rows.line_num} is damaged; remove that line."
                ) from None
        return known

    def _remember(self, answers: dict[int, tuple[str, str]]) -> None:
        """Add lines in one write at the end of the file, whatever else writes to it."""
        if self.cache is None:
            return
        path = Path(self.cache)
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        for source_id, types in answers.items():
            writer.writerow([source_id, *types, today])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b", buffering=0) as stream:
                start = b""
                size = stream.seek(0, os.SEEK_END)
                if size == 0:
                    start = (",".join(_FIELDS) + "\n").encode()
                else:
                    stream.seek(size - 1)
                    if stream.read(1) != b"\n":
                        _drop_half_line(path)
                stream.write(start + buffer.getvalue().encode())
                os.fsync(stream.fileno())
        except OSError as error:
            raise StarkinError(f"Cannot write {path}: {error.strerror or error}.") from error


def _drop_half_line(path: Path) -> None:
    content = path.read_bytes()
    os.truncate(path, content.rfind(b"\n") + 1)


def _session_with_timeout(session: Any, timeout: float) -> Any:
    """Give every request of a session a time limit; pyvo sets none and would wait for ever."""
    send = session.send

    def limited(request: Any, **how: Any) -> Any:
        how["timeout"] = how.get("timeout") or timeout
        return send(request, **how)

    session.send = limited
    return session


def _chunks(items: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _answers(rows: Table, asked: list[int]) -> dict[int, tuple[str, str]]:
    """Types by id; an id that SIMBAD does not have is answered with nothing."""
    answers = dict.fromkeys(asked, ("", ""))
    for row in rows:
        text = str(row["gaia_id"])
        source_id = int(text.removeprefix(_PREFIX))
        if source_id in answers:
            answers[source_id] = (_text(row["main_type"]), _text(row["other_types"]))
    return answers


def _text(value: Any) -> str:
    return "" if value is None or value is np.ma.masked else str(value).strip()


def _as_table(source_id: np.ndarray, types: list[tuple[str, str]]) -> Table:
    table = Table()
    table[columns.SOURCE_ID] = source_id
    table[columns.MAIN_TYPE] = np.array([main for main, _ in types], dtype=np.str_)
    table[columns.OTHER_TYPES] = np.array([other for _, other in types], dtype=np.str_)
    for name in table.colnames:
        table[name].description = columns.info(name).description
    return table


# --- a user's own table ------------------------------------------------------
_ID_NAMES = ("source_id", "gaia_source_id", "dr3_source_id", "gaiadr3_source_id", "gaia_dr3",
             "gaiadr3", "gaia_id", "gaia")  # fmt: skip
_TYPE_NAMES = ("main_type", "otype", "maintype", "simbad_otype", "simbad_type", "object_type",
               "type")  # fmt: skip
_OTHER_NAMES = ("other_types", "otypes", "alltypes.otypes", "simbad_otypes")


def read_crossmatch(
    source: Any,
    *,
    source_id: str | None = None,
    main_type: str | None = None,
    format: str | None = None,
) -> Table:
    """A user's own table of object types, in the form of :meth:`SimbadClient.query`.

    Parameters
    ----------
    source : path or table
        CSV, ECSV, FITS, VOTable, Parquet, or an astropy, pandas, polars or Arrow table.
    source_id, main_type : str, optional
        Columns that hold the id (a number, or ``"Gaia DR3 123…"``) and the type
        (SIMBAD's code or label); guessed from usual names when not given.
    format : str, optional
        Of the file, when its content does not tell.

    Returns
    -------
    astropy.table.Table
        ``source_id``, ``main_type`` as SIMBAD's code where it is known to
        SIMBAD and as it stands otherwise, ``other_types``. The first row of a
        repeated id counts; ``meta["repeated"]`` says how many were left out.

    Raises
    ------
    StarkinError
        If there are no such columns, or an id is no Gaia id.
    """
    if format is None:
        try:
            format = identify(source)
        except StarkinError:
            if not isinstance(source, (str, os.PathLike)) or not Path(source).is_file():
                raise
            format = "csv"  # a text table whose columns are the user's own
    table = read_columns(source, format=format)
    name = table.name
    id_name = _choose(name, table.scalars, source_id, _ID_NAMES, "source_id")
    type_name = _choose(name, table.scalars, main_type, _TYPE_NAMES, "main_type")
    assert id_name is not None
    assert type_name is not None
    other_name = _choose(name, table.scalars, None, _OTHER_NAMES, None)
    ids = _ids(name, table.scalars[id_name])
    mains = [_code(_cell(cell)) for cell in table.scalars[type_name]]
    others = [_cell(cell) for cell in table.scalars[other_name]] if other_name else [""] * len(ids)
    unique, first = np.unique(ids, return_index=True)
    keep = np.sort(first)
    result = _as_table(ids[keep], [(mains[i], others[i]) for i in keep.tolist()])
    result.meta["repeated"] = int(len(ids) - len(unique))
    return result


def _choose(
    file: str, table: Table, named: str | None, usual: tuple[str, ...], option: str | None
) -> str | None:
    by_lower = {name.lower(): name for name in reversed(table.colnames)}
    if named is not None:
        if named.lower() in by_lower:
            return by_lower[named.lower()]
        raise StarkinError(f"{file} has no column {named!r}; it has {', '.join(table.colnames)}.")
    found = next((by_lower[name] for name in usual if name in by_lower), None)
    if found is None and option is not None:
        raise StarkinError(
            f"{file} has no column {' or '.join(usual[:3])}; name the column with {option}=…: "
            f"it has {', '.join(table.colnames)}."
        )
    return found


def _cell(cell: Any) -> str:
    return cell.decode("utf-8", "replace").strip() if isinstance(cell, bytes) else _text(cell)


def _code(text: str) -> str:
    found = find(text)
    return found.code if found else text


def _ids(file: str, column: Any) -> np.ndarray:
    if column.dtype.kind in "iu" and not np.ma.getmaskarray(np.ma.asarray(column)).any():
        return np.asarray(column, dtype=np.int64)
    if column.dtype.kind == "f":
        raise StarkinError(
            f"{file}: column {column.name!r} is floating point, which cannot hold Gaia's 19-digit "
            "ids exactly; write it as integers."
        )
    ids = np.empty(len(column), dtype=np.int64)
    for i, cell in enumerate(column):
        text = _cell(cell)
        try:
            ids[i] = int(text.removeprefix(_PREFIX))
        except (ValueError, OverflowError):
            raise StarkinError(
                f"{file}, row {i + 1}: {text!r} in column {column.name!r} is no Gaia DR3 id."
            ) from None
    return ids
