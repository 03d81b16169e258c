"""ECSV: DataLink's, astropy's and the bulk files ``XpContinuousMeanSpectrum_*.csv.gz``.

A CSV body below a YAML header in comments that gives types, units and
descriptions (astropy APE 6). The archive's bulk files write ``null`` for
missing cells, which a plain ECSV reader takes for text.
"""

from __future__ import annotations

from typing import Any

import yaml

from ...spectra.errors import StarkinError
from ..column_table import ColumnTable
from ..registry import register
from ..source import Source
from .text import names_in_line, read_separated

__all__ = ["read_ecsv"]

_COLUMN_CLASS_TAGS = ("!astropy", "!numpy")


@register(
    "ecsv",
    "text table with a YAML header (DataLink, astropy, bulk *.csv.gz)",
    matches=lambda head: head.lstrip(b"\xef\xbb\xbf").startswith(b"# %ECSV"),
)
def read_ecsv(source: Source) -> ColumnTable:
    with source.open() as stream:
        header: list[str] = []
        line = stream.readline()
        while line.startswith(b"#"):
            header.append(line.decode("utf-8")[2:])
            line = stream.readline()
        described = _header(source.name, header)
        separator = str(described.get("delimiter", " "))
        names = names_in_line(line, separator)
        if not names:
            raise StarkinError(f"{source.name} ends before the line with the column names.")
        table = read_separated(
            source.name, stream, names, separator=separator, types=_types(described)
        )
    _decorate(table, described)
    return table


def _header(name: str, lines: list[str]) -> dict[str, Any]:
    try:
        documents = yaml.load("".join(lines[1:]), Loader=_Lenient)
    except yaml.YAMLError as error:
        raise StarkinError(f"{name}: the ECSV header is damaged ({error}).") from error
    if not isinstance(documents, dict) or not isinstance(documents.get("datatype"), list):
        raise StarkinError(f"{name}: the ECSV header lists no columns.")
    return documents


class _Lenient(yaml.SafeLoader):
    """YAML without objects: an ECSV written by astropy may tag its meta data."""


_Lenient.add_multi_constructor("!", lambda loader, suffix, node: None)
_Lenient.add_multi_constructor("tag:yaml.org,2002:", lambda loader, suffix, node: None)


def _types(header: dict[str, Any]) -> dict[str, str]:
    known = {"bool", "string"} | {f"{k}{n}" for k in ("int", "uint") for n in (8, 16, 32, 64)}
    known |= {"float16", "float32", "float64"}
    return {
        str(entry["name"]): str(entry["datatype"])
        for entry in header["datatype"]
        if isinstance(entry, dict) and entry.get("datatype") in known and "name" in entry
    }


def _decorate(table: ColumnTable, header: dict[str, Any]) -> None:
    for entry in header["datatype"]:
        if not isinstance(entry, dict):
            continue
        name, unit = entry.get("name"), entry.get("unit")
        if name in table.scalars.colnames:
            column = table.scalars[name]
            column.description = entry.get("description")
            if unit:
                column.unit = str(unit)
        elif unit and str(name).lower() in table.arrays:
            table.units[str(name).lower()] = str(unit)
