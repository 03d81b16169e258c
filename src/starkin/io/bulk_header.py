"""What a bulk file says before its first row: names, types, units, sizes of arrays."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from astropy.table import meta

from ..spectra import columns
from ..spectra.errors import StarkinError
from .archive_columns import XP_COLUMNS
from .bulk_text import TextBlock

__all__ = ["BulkHeader", "cells"]

_ROWS_LOOKED_AT = 20
_TYPES = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float32", "float64"}


class BulkHeader:
    """The head of a file of the bulk dialect.

    Parameters
    ----------
    path : Path
        The file, for messages.
    head : TextBlock
        Its first block.

    Attributes
    ----------
    names : list of str
        Columns of the file.
    sizes : dict of str to int
        Coefficients of each band, as most of the first rows have them; a band
        that none of them has is left out.
    lines : int
        Lines before the first row.
    data_start : int
        Where the first row begins in ``head``.

    Raises
    ------
    StarkinError
        If the file is not of this dialect.
    """

    def __init__(self, path: Path, head: TextBlock) -> None:
        self.path = path
        if not head.stop:
            what = f"holds nothing readable: {head.damage}" if head.damage else "is empty"
            raise StarkinError(f"{path} {what}.")
        text = head.text[: head.stop].tobytes()
        comments, start = [], 0
        while text.startswith(b"#", start):
            end = text.index(b"\n", start) + 1
            comments.append(text[start:end].decode("utf-8", "replace"))
            start = end
        end = text.find(b"\n", start) + 1
        self.lines = len(comments) + 1
        self.data_start = end
        line = text[start:end].removeprefix(b"\xef\xbb\xbf")
        self.names = [name.strip() for name in cells(line)]
        self._described = _described(comments)
        self._require_dialect()
        self.sizes = self._sizes(text[end:])

    def _require_dialect(self) -> None:
        wanted = [columns.SOURCE_ID]
        for band in columns.BANDS:
            wanted += [columns.coefficients(band), columns.coefficient_errors(band)]
        missing = [name for name in wanted if name not in self.names]
        if missing:
            raise StarkinError(f"{self.path} is not a bulk file: it has no column {missing[0]!r}.")
        strange = [name for name in self.names if self.type(name) is None]
        if strange or len(set(self.names)) < len(self.names):
            raise StarkinError(
                f"{self.path} is not a bulk file: column {(strange or self.names)[0]!r} has no "
                "known numeric type or comes twice."
            )

    def type(self, name: str) -> np.dtype | None:
        """The type of a column (of an array column: of its numbers)."""
        if name in XP_COLUMNS:
            return np.dtype(XP_COLUMNS[name].scalar_type)
        given = self._described.get(name, {}).get("datatype")
        return np.dtype(given) if given in _TYPES else None

    def _sizes(self, text: bytes) -> dict[str, int]:
        lines = text.split(b"\n", _ROWS_LOOKED_AT)[:_ROWS_LOOKED_AT]
        counts: dict[str, Counter[int]] = {band: Counter() for band in columns.BANDS}
        for line in lines:
            row = dict(zip(self.names, cells(line), strict=False))
            for band, count in counts.items():
                numbers = row.get(columns.coefficients(band), "").count(",")
                if numbers:
                    count[numbers + 1] += 1
        return {band: count.most_common(1)[0][0] for band, count in counts.items() if count}

    def about(self, name: str, what: str) -> Any:
        """``unit`` or ``description`` of a column, None if nobody says."""
        given = self._described.get(name, {}).get(what)
        if given:
            return given
        known = XP_COLUMNS[name] if name in XP_COLUMNS else columns.info(name)
        return getattr(known, what, None) or None


def cells(line: bytes) -> list[str]:
    """Cells of a line, however damaged (csv's reader gives up on some)."""
    found = [""]
    for i, piece in enumerate(line.decode("utf-8", "replace").split('"')):
        inside_quotes = i % 2 == 1
        first, *rest = [piece] if inside_quotes else piece.split(",")
        found[-1] += first
        found += rest
    return found


def _described(comments: list[str]) -> dict[str, dict[str, Any]]:
    """Type, unit and description of columns in an ECSV header, as far as it can be read."""
    if not comments or "%ECSV" not in comments[0]:
        return {}
    try:
        header = meta.get_header_from_yaml([line[2:].rstrip("\n") for line in comments[1:]])
        return {column["name"]: column for column in header["datatype"]}
    except (yaml.YAMLError, KeyError, TypeError, meta.YamlParseError):
        return {}
