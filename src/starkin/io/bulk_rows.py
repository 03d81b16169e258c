"""Compiled decoding of rows of the bulk CSV dialect: bytes of lines in, arrays out."""

from __future__ import annotations

import numpy as np
from numba import njit

from .bulk_numbers import byte, number

__all__ = [
    "BAD_FIELDS",
    "BAD_INTEGER",
    "BAD_LENGTH",
    "BAD_QUOTE",
    "CORRELATIONS",
    "ERRORS",
    "FLOAT",
    "IDENTIFIER",
    "INTEGER",
    "OK",
    "SKIP",
    "VALUES",
    "beyond_one",
    "decode_rows",
    "skip_rows",
]

# What a CSV column is decoded to.
SKIP, IDENTIFIER, INTEGER, FLOAT, VALUES, ERRORS, CORRELATIONS = range(7)
# What became of a row.
OK, BAD_FIELDS, BAD_INTEGER, BAD_LENGTH, BAD_QUOTE = range(5)

_NEWLINE, _RETURN, _SPACE, _QUOTE, _COMMA, _MINUS = 10, 13, 32, 34, 44, 45
_OPEN_ROUND, _CLOSE_ROUND, _OPEN_SQUARE, _CLOSE_SQUARE = 40, 41, 91, 93


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _ends_field(c):
    return c in (_COMMA, _NEWLINE, _RETURN)


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _ends_token(c):
    return _ends_field(c) or c in (_QUOTE, _CLOSE_ROUND, _CLOSE_SQUARE)


@njit(nogil=True, cache=True, error_model="numpy")
def _is_missing(i, stop):
    """Whether the text from i to stop is empty or ``null`` (in any case)."""
    if stop == i:
        return True
    if stop - i != 4:
        return False
    return (
        (byte(i) | 32) == 110
        and (byte(i + 1) | 32) == 117
        and (byte(i + 2) | 32) == 108
        and (byte(i + 3) | 32) == 108
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _field_end(i):
    """End of an unquoted field."""
    while not _ends_field(byte(i)):
        i += 1
    return i


@njit(nogil=True, cache=True, error_model="numpy")
def _skip(i):
    """End of a field that is not wanted; -1 if its quote is not closed on the line."""
    if byte(i) != _QUOTE:
        return _field_end(i)
    i += 1
    while byte(i) != _QUOTE and byte(i) != _NEWLINE:
        i += 1
    return -1 if byte(i) == _NEWLINE else i + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _integer(i):
    """An integer field: value, end, whether missing, whether good."""
    stop = _field_end(i)
    if _is_missing(i, stop):
        return np.int64(0), stop, True, True
    negative = byte(i) == _MINUS
    if negative:
        i += 1
    good = 0 < stop - i <= 18 or (stop - i == 19 and byte(i) < 57)
    value = np.int64(0)
    while i < stop:
        d = np.uint8(byte(i) - 48)
        good &= d <= 9
        value = value * 10 + np.int64(d)
        i += 1
    return (-value if negative else value), stop, False, good


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _note(doubts, n_doubts, row, column, element, start, stop):
    """Note a number for ``float()``; the new count of doubts."""
    doubts[n_doubts, 0] = row
    doubts[n_doubts, 1] = column
    doubts[n_doubts, 2] = element
    doubts[n_doubts, 3] = start
    doubts[n_doubts, 4] = stop
    return n_doubts + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _array(i, out, row, column, doubts, n_doubts):
    """Numbers of an array field into ``out``.

    Returns the field's end (-1 for an unclosed quote or bracket), the count of
    numbers (-1 for a missing array) and the number of doubts noted.
    """
    width = out.size
    out[:] = np.nan
    if byte(i) != _QUOTE:
        stop = _field_end(i)
        return (stop, -1, n_doubts) if _is_missing(i, stop) else (-1, 0, n_doubts)
    i += 1
    if byte(i) != _OPEN_SQUARE and byte(i) != _OPEN_ROUND:
        stop = i
        while byte(stop) != _QUOTE and byte(stop) != _NEWLINE:
            stop += 1
        if byte(stop) == _QUOTE and _is_missing(i, stop):
            return stop + 1, -1, n_doubts
        return -1, 0, n_doubts
    close = _CLOSE_SQUARE if byte(i) == _OPEN_SQUARE else _CLOSE_ROUND
    i += 1
    while byte(i) == _SPACE:
        i += 1
    if byte(i) == close and byte(i + 1) == _QUOTE:
        return i + 2, -1, n_doubts
    count = 0
    while True:
        while byte(i) == _SPACE:
            i += 1
        start = i
        value, i, certain = number(i)
        while byte(i) == _SPACE:
            i += 1
        if not certain or (byte(i) != _COMMA and byte(i) != close):
            while not _ends_token(byte(i)):
                i += 1
            if count < width:
                n_doubts = _note(doubts, n_doubts, row, column, count, start, i)
        if count < width:
            out[count] = value
        count += 1
        if byte(i) == _COMMA:
            i += 1
        elif byte(i) == close and byte(i + 1) == _QUOTE:
            return i + 2, count, n_doubts
        else:
            return -1, count, n_doubts


@njit(nogil=True, cache=True, error_model="numpy")
def decode_rows(
    text, i, stop, kinds, targets, widths, identifiers, values, errors, correlations,
    integers, missing, floats, status, doubts, first_row,
):  # fmt: skip
    """Decode lines of ``text`` from byte ``i`` on into rows from ``first_row`` on.

    Parameters
    ----------
    text : ndarray of uint8
        Whole lines, then at least 8 bytes of anything: ``text[stop - 1]`` is a newline.
    i, stop : int
        Where to start, and where the lines end.
    kinds, targets, widths : ndarray of int64, shape (n_columns,)
        What each CSV column is, its place in the output of that kind (for
        arrays: of the first number), and the length of its arrays.
    identifiers : ndarray of int64, shape (n_rows,)
        ``source_id``.
    values, errors, correlations : ndarray of float32 or float64, shape (n_rows, ...)
        NaN where an array is missing.
    integers, missing : ndarray of int64 and of bool, shape (n_rows, n_integers)
        Other integer columns, 0 where missing.
    floats : ndarray of float64, shape (n_rows, n_floats)
        Columns of single numbers, NaN where missing.
    status : ndarray of int64, shape (n_rows, 5)
        OK or what is wrong, the CSV column and a detail; where the line begins and ends.
    doubts : ndarray of int64, shape (n_doubts, 5)
        Filled with row, column, element, start and stop of every number left to ``float()``.
    first_row : int
        Rows before it are filled already.

    Returns
    -------
    i, row, n_doubts : int
        Where decoding stopped: out of text, of rows, or of room for doubts.
    """
    row, n_doubts, n_rows = first_row, 0, status.shape[0]
    per_row = values.shape[1] + errors.shape[1] + correlations.shape[1] + floats.shape[1]
    base = np.int64(text.ctypes.data)
    i, stop = i + base, stop + base
    while i < stop and row < n_rows and n_doubts + per_row <= doubts.shape[0]:
        if byte(i) == _NEWLINE or (byte(i) == _RETURN and byte(i + 1) == _NEWLINE):
            i += 1 if byte(i) == _NEWLINE else 2
            continue
        begin, before = i, n_doubts
        code, column, detail = OK, 0, 0
        for column in range(kinds.size):
            kind, target = kinds[column], targets[column]
            if kind >= VALUES:
                width = widths[column]
                if kind == VALUES:
                    out = values[row, target : target + width]
                    i, count, n_doubts = _array(i, out, row, column, doubts, n_doubts)
                elif kind == ERRORS:
                    out = errors[row, target : target + width]
                    i, count, n_doubts = _array(i, out, row, column, doubts, n_doubts)
                else:
                    single = correlations[row, target : target + width]
                    i, count, n_doubts = _array(i, single, row, column, doubts, n_doubts)
                if i < 0 or (count >= 0 and count != width):
                    code, detail = BAD_QUOTE if i < 0 else BAD_LENGTH, count
                    break
            elif kind in (IDENTIFIER, INTEGER):
                value, i, gone, good = _integer(i)
                if not good or (gone and kind == IDENTIFIER):
                    code = BAD_INTEGER
                    break
                if kind == IDENTIFIER:
                    identifiers[row] = value
                else:
                    integers[row, target] = value
                    missing[row, target] = gone
            elif kind == FLOAT:
                start = i
                scalar, i, certain = number(i)
                if not certain or not _ends_field(byte(i)):
                    i = _field_end(start)
                    scalar = np.nan
                    if not _is_missing(start, i):
                        n_doubts = _note(doubts, n_doubts, row, column, 0, start, i)
                floats[row, target] = scalar
            else:
                i = _skip(i)
                if i < 0:
                    code = BAD_QUOTE
                    break
            if column < kinds.size - 1:
                if byte(i) != _COMMA:
                    code = BAD_FIELDS
                    break
                i += 1
        if code == OK:
            if byte(i) == _RETURN:
                i += 1
            if byte(i) != _NEWLINE:
                code = BAD_FIELDS
        if code != OK:
            n_doubts = before
            i = begin
            while byte(i) != _NEWLINE:
                i += 1
        status[row, 0] = code
        status[row, 1] = column
        status[row, 2] = detail
        status[row, 3] = begin - base
        status[row, 4] = i - base
        i += 1
        row += 1
    doubts[:n_doubts, 3:] -= base
    return i - base, row, n_doubts


@njit(nogil=True, cache=True, error_model="numpy")
def skip_rows(text, i, stop, n):
    """Pass over at most ``n`` lines that are not empty: where the next begins, and how many."""
    passed = 0
    while i < stop and passed < n:
        begin = i
        while text[i] != _NEWLINE:
            i += 1
        # The same lines count as rows as in decode_rows.
        empty = i == begin or (i == begin + 1 and text[begin] == _RETURN)
        passed += not empty
        i += 1
    return i, passed


@njit(nogil=True, cache=True, error_model="numpy")
def beyond_one(matrix):
    """Rows with a number outside -1..1, shape (n_rows,); NaN is not outside."""
    found = np.zeros(matrix.shape[0], dtype=np.bool_)
    for row in range(matrix.shape[0]):
        largest = np.float32(0)
        for column in range(matrix.shape[1]):
            size = abs(matrix[row, column])
            largest = size if size > largest else largest
        found[row] = largest > 1
    return found
