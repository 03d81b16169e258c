"""What CSV and ECSV share: rows of separated cells, read in blocks."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
from astropy.table import Column, MaskedColumn, Table

from ...spectra import columns
from ...spectra.errors import StarkinError
from ..column_table import ARRAY_COLUMNS, ColumnTable, Ragged, Rejection
from ..text_arrays import MISSING, parse_arrays

__all__ = ["names_in_line", "read_separated", "to_column"]

_BLOCK = 32 << 20  # bytes of text decoded at a time; a row has up to 60 kB


def names_in_line(line: bytes, separator: str = ",") -> list[str]:
    """Column names of a header line."""
    text = line.decode("utf-8-sig").strip("\r\n")
    return [name.strip() for name in next(csv.reader([text], delimiter=separator), [])]


def read_separated(
    name: str,
    stream: BinaryIO,
    names: list[str],
    *,
    separator: str = ",",
    types: Mapping[str, str] | None = None,
) -> ColumnTable:
    """Rows from ``stream``, which stands behind the header line.

    Every cell is read as text and turned into numbers here, so that one
    column cannot change its type half-way through a file.

    Parameters
    ----------
    name : str
        What messages call the file.
    stream : binary stream
        At the first row.
    names : list of str
        Of the columns.
    separator : str
        Between cells.
    types : mapping of column name to numpy type name, optional
        From an ECSV header; other columns are integers, floats or text, the
        first that holds every cell.
    """
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise StarkinError(f"{name} has two columns called {twice!r}.")
    arrays = {n: n.lower() for n in names if n.lower() in ARRAY_COLUMNS}
    broken: list[tuple[int, str]] = []

    def remember(row: pa_csv.InvalidRow) -> str:
        broken.append((int(row.number), f"has {row.actual_columns} cells instead of {len(names)}"))
        return "skip"

    try:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                column_names=names, block_size=_BLOCK, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(delimiter=separator, invalid_row_handler=remember),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                null_values=list(MISSING),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise StarkinError(f"{name} holds no rows.") from error
        raise
    text: dict[str, list[pl.Series]] = {n: [] for n in names if n not in arrays}
    parts: dict[str, list[Ragged]] = {a: [] for a in arrays.values()}
    cell_errors: dict[int, str] = {}
    start = 0
    for batch in reader:
        for column in names:
            cells = pl.Series(
                column, pl.from_arrow(batch.column(batch.schema.get_field_index(column)))
            )
            if column not in arrays:
                text[column].append(cells)
                continue
            array = arrays[column]
            is_value = array.endswith("_coefficients")
            ragged, problems = parse_arrays(cells, pl.Float64() if is_value else pl.Float32())
            parts[array].append(ragged)
            for index, problem in problems.items():
                cell_errors.setdefault(start + index, f"{array} {problem}")
        start += batch.num_rows
    scalars = Table()
    for column, pieces in text.items():
        whole = pl.concat(pieces) if pieces else pl.Series(column, [], dtype=pl.String)
        wanted = "int64" if column.lower() == columns.SOURCE_ID else (types or {}).get(column)
        scalars[column] = _typed(whole, wanted)
    # The reader counts the rows it was given from 1; it left some of them out.
    bad_rows = {row for row, _ in broken}
    rows = np.array(
        [r for r in range(1, start + len(bad_rows) + 1) if r not in bad_rows][:start],
        dtype=np.int64,
    )
    return ColumnTable(
        name,
        scalars,
        {array: Ragged.concatenate(pieces) for array, pieces in parts.items()},
        rows,
        [Rejection(name, row, None, reason) for row, reason in broken],
        cell_errors,
    )


def _typed(cells: pl.Series, wanted: str | None) -> Column:
    """Text cells as integers, floats, truth values or text."""
    cells = cells.str.strip_chars()
    tries: list[pl.DataType] = [pl.Int64(), pl.Float64()]
    if wanted is not None:
        numeric = {"b": pl.Boolean(), "i": pl.Int64(), "u": pl.UInt64(), "f": pl.Float64()}
        kind = np.dtype(wanted).kind if wanted != "string" else "U"
        if wanted == "float32":
            tries = [pl.Float32()]
        else:
            tries = [numeric[kind]] if kind in numeric else []
    filled = cells.is_not_null()
    if filled.any():
        for dtype in tries:
            if dtype == pl.Boolean():
                lower = cells.str.to_lowercase()
                numbers = lower.replace_strict(
                    {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False},
                    default=None,
                    return_dtype=pl.Boolean(),
                )
            else:
                numbers = cells.cast(dtype, strict=False)
            if not (numbers.is_null() & filled).any():
                exact = np.dtype(wanted) if wanted not in (None, "string") else None
                return to_column(numbers, exact)
    elif tries:
        return to_column(cells.cast(pl.Float64, strict=False), None)
    words = cells.str.to_lowercase().drop_nulls().unique()
    if wanted is None and len(words) and words.is_in(["true", "false"]).all():
        return to_column(cells.str.to_lowercase() == "true", None)
    return to_column(cells, None)


def to_column(cells: pl.Series, dtype: np.dtype | None = None) -> Column:
    """An astropy column, masked where the series is null (NaN for floats)."""
    missing = cells.is_null().to_numpy()
    if cells.dtype in (pl.Float32, pl.Float64):
        data = cells.fill_null(float("nan")).to_numpy()
        return Column(data if dtype is None or dtype.kind != "f" else data.astype(dtype))
    if cells.dtype == pl.String:
        data = np.array(cells.fill_null("").to_list(), dtype=np.str_)
    else:
        data = cells.fill_null(False if cells.dtype == pl.Boolean else 0).to_numpy()
        if dtype is not None and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if data.size and (data.min() < limits.min or data.max() > limits.max):
                dtype = None  # a wider number than the header announced keeps its value
        data = data if dtype is None else data.astype(dtype)
    return MaskedColumn(data, mask=missing) if missing.any() else Column(data)
