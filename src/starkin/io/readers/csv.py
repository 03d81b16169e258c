"""CSV: DataLink's, with arrays as ``"(1.0, 2.0)"``, and people's own, wide or not."""

from __future__ import annotations

import re

from ...spectra.errors import StarkinError
from ..column_table import ColumnTable
from ..registry import register
from ..source import Source
from .text import names_in_line, read_separated

__all__ = ["read_csv"]

# Names of spectra in a header line: arrays or numbered columns.
_SPECTRUM = re.compile(
    rb"[bB][pP]_?(?:c|coef|coeff|coefficient)s?(?:_?errors?)?_?\d*[\"',;\s]|\b[bB][pP]_?0\b"
)


def _first_line(head: bytes) -> bytes:
    lines = [line for line in head.lstrip(b"\xef\xbb\xbf").splitlines() if line.strip()]
    plain = [line for line in lines if not line.startswith(b"#")]
    return plain[0] if plain else b""


def _separator(line: bytes) -> str:
    counts = {sep: line.count(sep.encode()) for sep in (",", ";", "\t")}
    return max(counts, key=lambda sep: counts[sep])


def _looks_like_csv(head: bytes) -> bool:
    line = _first_line(head)
    if b"\0" in line or line.lstrip().startswith(b"<"):
        return False
    names = line.lower().replace(b'"', b"").replace(b"'", b"").replace(b";", b",")
    has_id = b"source_id" in re.split(rb"[,\t]", names.replace(b" ", b""))
    return has_id or _SPECTRUM.search(line) is not None


@register("csv", "text table, arrays in cells or one column a coefficient", matches=_looks_like_csv)
def read_csv(source: Source) -> ColumnTable:
    with source.open() as stream:
        line = stream.readline()
        while line.strip() == b"" or line.startswith(b"#"):
            if not line:
                raise StarkinError(f"{source.name} holds no rows.")
            line = stream.readline()
        separator = _separator(line)
        return read_separated(
            source.name, stream, names_in_line(line, separator), separator=separator
        )
