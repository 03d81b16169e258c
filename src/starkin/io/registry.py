"""Which format a file is in, and one `read` for all of them.

A format registers a reader with a test of its content; the name of a file is
never asked. Readers of XP coefficients produce columns
(:class:`~starkin.io.column_table.ColumnTable`), whose meaning is decided in
:mod:`starkin.io.columns_to_spectra`; readers of spectra on wavelengths, whose
formats bring their own grids, produce the spectra.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..spectra import SpectrumSet, XPGrid
from ..spectra.columns import BANDS
from ..spectra.errors import GridMismatchError, StarkinError
from .column_table import ColumnTable, Rejection
from .columns_to_spectra import band_sizes, columns_to_spectra, standard_names
from .pixel_masks import BAD_PIXELS
from .source import Source
from .store import MANIFEST, Store

__all__ = [
    "Choices",
    "Format",
    "expand",
    "formats",
    "identify",
    "read",
    "read_columns",
    "register",
    "register_spectra",
]


@dataclass(frozen=True)
class Choices:
    """What a user may choose when reading spectra on wavelengths.

    Attributes
    ----------
    on_error : {"raise", "reject"}
        What to do with a row that cannot be used.
    bad_pixels : tuple of str
        Bits of APOGEE_PIXMASK that mask a pixel (:mod:`starkin.io.pixel_masks`).
    known_continuum : bool
        Divide by the continuum that the file brings.
    """

    on_error: str = "raise"
    bad_pixels: tuple[str, ...] = BAD_PIXELS
    known_continuum: bool = False


Reader = Callable[[Any], ColumnTable]
SpectrumReader = Callable[[Any, Choices], SpectrumSet]


@dataclass(frozen=True)
class Format:
    """A way of holding spectra.

    ``matches`` gets a file and its first bytes; ``accepts`` gets an object in
    memory. One of the two is set, and one of ``read`` and ``read_spectra``.
    """

    name: str
    description: str
    read: Reader | None = None
    read_spectra: SpectrumReader | None = None
    matches: Callable[[Source, bytes], bool] | None = None
    accepts: Callable[[Any], bool] | None = None


_FORMATS: dict[str, Format] = {}


def register(
    name: str,
    description: str,
    *,
    matches: Callable[[bytes], bool] | None = None,
    accepts: Callable[[Any], bool] | None = None,
) -> Callable[[Reader], Reader]:
    """Decorate a reader: ``Source`` (or object) in, `ColumnTable` out.

    Formats are tried in the order in which they register, so a strict test
    comes before a lenient one.
    """

    def add(reader: Reader) -> Reader:
        look = None if matches is None else (lambda _, head: matches(head))
        _FORMATS[name] = Format(name, description, reader, matches=look, accepts=accepts)
        return reader

    return add


def register_spectra(
    name: str,
    description: str,
    *,
    matches: Callable[[Source, bytes], bool] | None = None,
    accepts: Callable[[Any], bool] | None = None,
) -> Callable[[SpectrumReader], SpectrumReader]:
    """Decorate a reader of spectra on wavelengths: ``Source`` (or object) and `Choices` in,
    `SpectrumSet` out.

    ``matches`` may look inside the file: a FITS file tells what it is in its
    later headers.
    """

    def add(reader: SpectrumReader) -> SpectrumReader:
        _FORMATS[name] = Format(
            name, description, read_spectra=reader, matches=matches, accepts=accepts
        )
        return reader

    return add


def _known() -> dict[str, Format]:
    from . import readers as _register_all  # noqa: F401  (registers on import, only when needed)

    return _FORMATS


def formats() -> dict[str, str]:
    """Name and description of every format that :func:`read` knows."""
    return {name: format_.description for name, format_ in _known().items()}


def _is_path(item: Any) -> bool:
    return isinstance(item, (str, os.PathLike))


def identify(item: Any) -> str:
    """Name of the format of a file, a folder or an object in memory.

    Raises
    ------
    StarkinError
        If there is no such file, it is empty, or nothing knows its content.
    """
    if not _is_path(item):
        for format_ in _known().values():
            if format_.accepts is not None and format_.accepts(item):
                return format_.name
        raise StarkinError(
            f"Cannot read spectra from a {type(item).__name__}; give a path, a list of paths, "
            "an astropy, pandas, polars or Arrow table."
        )
    path = Path(item)
    if not path.exists():
        raise StarkinError(f"{path} does not exist.")
    if path.is_dir():
        return "store" if _is_store(path) else "folder"
    return _identify_source(Source(path))


def _identify_source(source: Source) -> str:
    head = source.head()
    if not head:
        raise StarkinError(f"{source.name} is empty.")
    for format_ in _known().values():
        if format_.matches is not None and _matches(format_, source, head):
            return format_.name
    raise StarkinError(f"{source.name} is in no format that starkin knows{_guess(head)}.")


def _matches(format_: Format, source: Source, head: bytes) -> bool:
    assert format_.matches is not None
    try:
        return format_.matches(source, head)
    except StarkinError:
        raise
    except Exception:
        # A look inside a damaged file fails in many ways; its reader will say what is wrong.
        return False


def _guess(head: bytes) -> str:
    """What the file seems to be, for formats that people bring by mistake."""
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return ": it is a web page, probably the server's error message; download it again"
    if head.startswith(b"\x80") or head.startswith(b"\x93NUMPY"):
        return ": it is a Python dump; save the table as Parquet, FITS or VOTable"
    if b"\0" not in head and b"\n" in head:
        return (
            ": it is text, but its first line does not name a column source_id with "
            "bp_coefficients or bp_coeff_0 …"
        )
    return "; it can read " + ", ".join(n for n, f in _FORMATS.items() if f.matches)


def read_columns(item: Any, *, format: str | None = None) -> ColumnTable:
    """The columns of one file or object, before anything is made of them.

    Raises
    ------
    StarkinError
        If the file cannot be read as what it is.
    """
    table = _read_one(item, format, Choices())
    if isinstance(table, SpectrumSet):
        raise StarkinError(
            f"{table.meta['files'][0]} holds spectra on wavelengths, not XP columns."
        )
    return table


def _read_one(item: Any, format: str | None, choices: Choices) -> ColumnTable | SpectrumSet:
    """One file or object by its format's reader, with any failure told in one sentence."""
    source = Source(item) if _is_path(item) else item
    if format is None:
        format = _identify_source(source) if isinstance(source, Source) else identify(item)
    elif format not in _known():
        raise StarkinError(f"There is no format {format!r}; choose from {', '.join(formats())}.")
    name = source.name if isinstance(source, Source) else f"the {format} table"
    chosen = _known()[format]
    try:
        table: ColumnTable | SpectrumSet
        if chosen.read_spectra is not None:
            table = chosen.read_spectra(source, choices)
            if choices.known_continuum and "continuum" not in table.meta:
                raise StarkinError(f"{name} brings no continuum; have it found instead.")
        else:
            assert chosen.read is not None
            table = chosen.read(source)
    except StarkinError:
        raise
    except Exception as error:
        # Readers of seven formats fail in as many ways on damaged input (a damaged header
        # may even ask for terabytes of memory); a user needs one.
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise StarkinError(f"Cannot read {name} as {format}: {detail}") from error
    rejected = table.rejected if isinstance(table, ColumnTable) else table.meta.get("rejected")
    if len(table) == 0 and not rejected:
        raise StarkinError(f"{name} holds no rows.")
    return table


def expand(items: Any) -> list[Any]:
    """Files, ZIP members and objects to read, in order."""
    from .readers.collections import files_of_folder, members_of_zip

    if _is_path(items) or not isinstance(items, (list, tuple)):
        items = [items]
    expanded: list[Any] = []
    for item in items:
        if not _is_path(item):
            expanded.append(item)
            continue
        path = Path(item)
        if not path.exists() and glob.has_magic(str(item)):
            matched = sorted(glob.glob(str(item)))  # noqa: PTH207 (absolute patterns too)
            if not matched:
                raise StarkinError(f"No file matches {item}.")
            expanded += matched
        elif _is_store(path):
            store = Store.open(path)
            expanded.append(store.read(correlations=store.has_correlations))
        elif path.is_dir():
            expanded += files_of_folder(path)
        elif path.exists() and path.stat().st_size > 3 and _is_zip(path):
            expanded += members_of_zip(path)
        else:
            if not path.exists():
                raise StarkinError(f"{path} does not exist.")
            expanded.append(item)
    if not expanded:
        raise StarkinError("There is nothing to read.")
    return expanded


def _is_store(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def read(
    items: Any,
    *,
    format: str | None = None,
    grid: XPGrid | None = None,
    on_error: str = "raise",
    check_correlations: bool = True,
    bad_pixels: tuple[str, ...] = BAD_PIXELS,
    known_continuum: bool = False,
) -> SpectrumSet:
    """Read spectra from files, folders, ZIP archives or tables in memory.

    XP coefficients and spectra on wavelengths alike; what is read together must be
    on one grid.

    Parameters
    ----------
    items : path, table, or list of them
        A file, a folder, a store, DataLink's ZIP, a pattern such as
        ``"XpContinuousMeanSpectrum_*.csv.gz"``, an astropy, pandas, polars or
        Arrow table. Several are read one after the other.
    format : str, optional
        One of :func:`formats`; found from the content when not given.
    grid : XPGrid, optional
        Sizes that the spectra must have; from the data when not given. A file
        in which no star has BP cannot tell whether that is 51 or 55.
    on_error : {"raise", "reject"}
        What to do with a row that cannot be used (text for numbers, arrays of
        unequal length, no id, an id met before): fail and name it, or leave it
        out and list it in ``meta["rejected"]``.
    check_correlations : bool
        Drop correlation matrices that are not positive definite.
    bad_pixels : tuple of str
        Bits of APOGEE_PIXMASK that mask a pixel; leave out ``"SIG_SKYLINE"`` to keep the
        residuals of strong sky lines.
    known_continuum : bool
        Divide spectra by the continuum that their file brings (mwmStar, mwmVisit, tables with a
        column ``continuum``).

    Returns
    -------
    SpectrumSet
        ``meta`` holds ``files``, ``rejected`` (of
        :class:`~starkin.io.column_table.Rejection`), ``masked_errors`` (values
        masked because their error is not positive) and
        ``dropped_correlations``, the last two where there were any.

    Raises
    ------
    StarkinError
        One sentence naming the file, row or column and what to do.
    """
    if on_error not in ("raise", "reject"):
        raise StarkinError(f'on_error must be "raise" or "reject", got {on_error!r}.')
    choices = Choices(on_error, tuple(bad_pixels), known_continuum)
    sizes: dict[str, tuple[int, str]] = {}
    if grid is not None:
        sizes = {band: (grid.band_size(band), "the grid asked for") for band in BANDS}
    waiting: list[ColumnTable | SpectrumSet] = []

    def convert(table: ColumnTable, grid: XPGrid | None = None) -> SpectrumSet:
        return columns_to_spectra(
            table, grid=grid, on_error=on_error, check_correlations=check_correlations
        )

    for item in expand(items):
        if isinstance(item, SpectrumSet):
            waiting.append(item)
            continue
        piece = _read_one(item, format, choices)
        if isinstance(piece, SpectrumSet):
            waiting.append(piece)
            continue
        table = standard_names(piece)
        found = band_sizes(table)
        for band, size in found.items():
            expected, where = sizes.setdefault(band, (size, table.name))
            if size != expected:
                raise StarkinError(
                    f"{table.name} has {size} {band.upper()} coefficients and {where} has "
                    f"{expected}; read data releases apart."
                )
        # A file without any star of a band cannot say how many coefficients that band has.
        waiting.append(convert(table) if len(found) == len(BANDS) else table)
    common = XPGrid(*(sizes.get(band, (55, ""))[0] for band in BANDS))
    sets = [convert(item, common) if isinstance(item, ColumnTable) else item for item in waiting]
    return _join(sets, on_error)


def _join(sets: list[SpectrumSet], on_error: str) -> SpectrumSet:
    _require_one_grid(sets)
    joined = SpectrumSet.concatenate(sets) if len(sets) > 1 else sets[0]
    files = [name for s in sets for name in s.meta.get("files", [])]
    rejected = [r for s in sets for r in s.meta.get("rejected", [])]
    meta = {**joined.meta, "files": files}
    for count in ("masked_errors", "dropped_correlations"):
        total = sum(s.meta.get(count, 0) for s in sets)
        if total:
            meta[count] = total
    ids, first = np.unique(joined.source_id, return_index=True)
    if ids.size < len(joined):
        joined, repeats = _without_repeats(joined, sets, first)
        if on_error == "raise":
            raise StarkinError(
                f"{repeats[0]} (and {len(repeats) - 1} more); remove the repeats, or pass "
                'on_error="reject" to keep the first of each.'
                if len(repeats) > 1
                else f'{repeats[0]}; remove it, or pass on_error="reject" to keep the first.'
            )
        rejected += repeats
    meta["rejected"] = rejected
    return joined.replace(meta=meta)


def _require_one_grid(sets: list[SpectrumSet]) -> None:
    first = sets[0]
    for other in sets[1:]:
        if why := first.grid.difference(other.grid):
            names = [s.meta.get("files", ["memory"])[0] for s in (other, first)]
            raise GridMismatchError(
                f"{names[0]} is on another grid ({other.grid.describe()}) than {names[1]} "
                f"({first.grid.describe()}): {why}; read them apart, or resample both onto one "
                "grid (starkin prepare --grid)."
            )


def _without_repeats(
    joined: SpectrumSet, sets: Iterable[SpectrumSet], first: np.ndarray
) -> tuple[SpectrumSet, list[Rejection]]:
    keep = np.zeros(len(joined), dtype=bool)
    keep[first] = True
    repeats: list[Rejection] = []
    start = 0
    for piece in sets:
        name = piece.meta.get("files", ["memory"])[0]
        rejected_rows = {r.row for r in piece.meta.get("rejected", [])}
        rows = _rows_left(len(piece), rejected_rows)
        for i in np.flatnonzero(~keep[start : start + len(piece)]).tolist():
            repeats.append(
                Rejection(name, rows[i], int(piece.source_id[i]), "the same source came before")
            )
        start += len(piece)
    return joined[keep], repeats


def _rows_left(n: int, rejected: set[int]) -> list[int]:
    """Row numbers, from 1, of the ``n`` rows that were not rejected."""
    return [row for row in range(1, n + len(rejected) + 1) if row not in rejected][:n]
