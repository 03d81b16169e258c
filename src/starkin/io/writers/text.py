"""CSV, ECSV and the archive's bulk dialect, formatted a block of rows at a time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
import yaml

from ..text_arrays import format_arrays
from ..write_xp import WRITERS, OutputColumn

__all__ = ["compressed"]

_ROWS = 1000  # at a time: 40 MB of text with correlations


@contextmanager
def compressed(path: Path, gzipped: bool) -> Iterator[BinaryIO]:
    """A stream to ``path``, through gzip or not."""
    if not gzipped:
        with path.open("wb") as stream:
            yield stream
        return
    try:
        from isal import igzip  # five times zlib's speed at the same size
    except ImportError:
        with gzip.open(path, "wb", compresslevel=4) as stream:
            yield stream  # type: ignore[misc]
    else:
        with igzip.open(path, "wb", compresslevel=2) as stream:
            yield stream


@dataclass(frozen=True)
class _Dialect:
    brackets: str
    separator: str  # within an array
    missing: str
    nan: str
    header: bool


_DIALECTS = {
    "csv": _Dialect("()", ", ", "", "nan", header=False),
    "ecsv": _Dialect("[]", ",", "", "nan", header=True),
    "bulk": _Dialect("[]", ",", "null", "null", header=True),
}


def _write(dialect: _Dialect, table: list[OutputColumn], path: Path, gzipped: bool) -> None:
    n = len(table[0].values)
    with compressed(path, gzipped) as stream:
        if dialect.header:
            stream.write(_ecsv_header(table).encode())
        stream.write((",".join(_quoted(column.name) for column in table) + "\n").encode())
        for start in range(0, n, _ROWS):
            rows = slice(start, start + _ROWS)
            block = pl.DataFrame([_cells(column[rows], dialect) for column in table])
            text = block.write_csv(
                include_header=False, null_value=dialect.missing, quote_style="necessary"
            )
            stream.write(text.encode())


def _cells(column: OutputColumn, dialect: _Dialect) -> pl.Series:
    if column.is_array:
        # JSON, which ECSV's arrays are, knows null and no nan.
        nan = "null" if dialect.header else "nan"
        values = column.values
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        cells = format_arrays(
            values,
            column.missing,
            brackets=dialect.brackets,
            separator=dialect.separator,
            nan=nan,
        )
        return cells.alias(column.name)
    series = pl.Series(column.name, column.values)
    if series.dtype == pl.Boolean:
        series = series.cast(pl.String).str.to_titlecase()
    elif series.dtype in (pl.Float32, pl.Float64):
        gaps = series.is_nan()
        series = series.cast(pl.String).set(gaps, dialect.nan if dialect.header else "")
        series = series.set(gaps, None) if not dialect.header else series
    return series.set(pl.Series(column.missing), None)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in ',"\n ') else name


def _ecsv_header(table: list[OutputColumn]) -> str:
    entries = []
    for column in table:
        entry: dict[str, object] = {"name": column.name}
        if column.unit:
            entry["unit"] = column.unit
        entry["datatype"] = "string" if column.is_array else column.type
        if column.is_array:
            entry["subtype"] = f"{column.type}[null]"
        if column.description:
            entry["description"] = column.description
        if column.ucd:
            entry["meta"] = {"ucd": column.ucd}
        entries.append(entry)
    document = {"delimiter": ",", "datatype": entries}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
    lines = ["%ECSV 1.0", "---", *text.splitlines()]
    return "".join(f"# {line}\n" for line in lines)


def _writer(dialect: _Dialect):  # type: ignore[no-untyped-def]
    return lambda table, path, gzipped: _write(dialect, table, path, gzipped)


for _name, _dialect in _DIALECTS.items():
    WRITERS[_name] = _writer(_dialect)
