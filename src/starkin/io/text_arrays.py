"""Arrays written in the cells of a text table, to numbers and back.

The archive writes ``(1.0, 2.0)`` in DataLink CSV and ``[1.0,2.0]`` (JSON) in
ECSV; people's own files have numpy's ``[1. 2.]`` too. Both directions work on
a whole column at a time.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from .column_table import Ragged

__all__ = ["MISSING", "format_arrays", "parse_arrays"]

#: Spellings of "nothing here" in text tables.
MISSING = ("", "null", "NULL", "None", "nan", "NaN", "NAN", "--", "masked")

_BRACKETS = {"(": ")", "[": "]", "{": "}"}


def parse_arrays(cells: pl.Series, dtype: pl.DataType) -> tuple[Ragged, dict[int, str]]:
    """Numbers of a column of text cells.

    Parameters
    ----------
    cells : polars.Series of str
        One array in brackets each, or nothing.
    dtype : pl.Float32 or pl.Float64
        Numbers are parsed straight into this type: going through double
        precision could round a float32 twice.

    Returns
    -------
    Ragged
        NaN where an array says ``null`` or ``nan``; empty where the cell does.
    dict of int to str
        Index of each bad cell, and what is wrong with it; its array is empty.
    """
    problems: dict[int, str] = {}
    text = cells.cast(pl.String).str.strip_chars()
    text = text.set(text.is_in(MISSING), None)
    opening, closing = text.str.head(1), text.str.tail(1)
    expected = opening.replace_strict(_BRACKETS, default=None, return_dtype=pl.String)
    whole = (expected == closing).fill_null(False) & (text.str.len_bytes() >= 2)
    for index in (~whole & text.is_not_null()).arg_true().to_list():
        problems[index] = f"is not an array in brackets but {_shorten(text[index])}"
    inner = text.set(~whole, None).str.slice(1).str.head(-1).str.strip_chars(" \t\r\n,")
    inner = inner.set(inner == "", None)
    by_space = inner.is_not_null() & ~inner.str.contains(",", literal=True)
    if by_space.any():  # numpy's own way of printing
        spaced = inner.str.replace_all(r"\s+", ",")
        inner = inner.zip_with(~by_space, spaced)
    inner = inner.str.replace_all(", ", ",", literal=True)
    if inner.str.contains(" ", literal=True).any():
        # Blanks around commas only: one between two digits must not join them to a number.
        inner = inner.str.replace_all(r"\s*,\s*", ",")
    # A null cell has no parts and must stay a row of length 0.
    parts = inner.str.split(",")
    lengths = parts.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    tokens = parts.drop_nulls().explode()
    numbers = tokens.cast(dtype, strict=False)
    unread = numbers.is_null()
    if unread.any():
        wrong = (unread & ~tokens.is_in(MISSING[1:])).arg_true().to_numpy()
        if wrong.size:
            row_of = np.repeat(np.arange(len(cells)), lengths)[wrong]
            first = np.unique(row_of, return_index=True)[1]
            for k in first:
                token = _shorten(tokens[int(wrong[k])])
                problems[int(row_of[k])] = f"holds {token}, which is not a number"
    values = numbers.fill_null(float("nan")).to_numpy()
    if problems:
        bad = np.zeros(len(cells), dtype=bool)
        bad[list(problems)] = True
        values = values[~np.repeat(bad, lengths)]
        lengths = np.where(bad, 0, lengths)
    return Ragged(np.ascontiguousarray(values), lengths), problems


def _shorten(text: str, size: int = 24) -> str:
    return repr(text if len(text) <= size else text[:size] + "…")


def format_arrays(
    matrix: np.ndarray,
    missing: np.ndarray,
    *,
    brackets: str = "[]",
    separator: str = ",",
    nan: str = "null",
) -> pl.Series:
    """A text cell for each row of a matrix, with as few digits as read back exactly.

    Parameters
    ----------
    matrix : ndarray of float32 or float64, shape (n_rows, length)
        Numbers to write.
    missing : ndarray of bool, shape (n_rows,)
        Rows that have no array: null cells.
    brackets, separator, nan : str
        How arrays open, close and part, and what stands for NaN.
    """
    n, size = matrix.shape
    flat = pl.Series(np.ascontiguousarray(matrix).reshape(-1))
    words = flat.cast(pl.String)
    not_a_number = flat.is_nan()
    if not_a_number.any():
        words = words.set(not_a_number, nan)
    joined = words.reshape((n, size)).arr.join(separator)
    cells = pl.select(pl.format(f"{brackets[0]}{{}}{brackets[1]}", joined)).to_series()
    return cells.set(pl.Series(missing), None)
