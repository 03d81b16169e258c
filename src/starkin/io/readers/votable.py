"""VOTable: plain TABLEDATA, BINARY and BINARY2."""

from __future__ import annotations

import warnings

from astropy.io.votable import parse
from astropy.io.votable.exceptions import VOTableSpecWarning

from ...spectra.errors import StarkinError
from ..column_table import ColumnTable
from ..registry import register
from ..source import Source

__all__ = ["read_votable"]


@register("votable", "VOTable, plain or binary", matches=lambda head: b"<VOTABLE" in head)
def read_votable(source: Source) -> ColumnTable:
    with source.open_seekable() as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore", category=VOTableSpecWarning)
        document = parse(stream, verify="ignore")
    tables = [t for t in document.iter_tables() if not t.is_empty()]
    if not tables:
        info = next((i for r in document.resources for i in r.infos if i.value == "ERROR"), None)
        said = f": the server says {' '.join(str(info.content).split())[:150]!r}" if info else ""
        raise StarkinError(f"{source.name} holds no table{said}.")
    return ColumnTable(source.name, tables[0].to_table(use_names_over_ids=True))
