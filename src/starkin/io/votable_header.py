"""VOTables with UCDs from our column list and ``table.meta`` as PARAMs."""

from __future__ import annotations

import warnings
from typing import Any

from astropy.io import votable
from astropy.io.votable.exceptions import W50
from astropy.io.votable.tree import Param, TableElement, VOTableFile
from astropy.table import Table

from ..spectra import columns
from .unit_text import parse_unit, vo_text

__all__ = ["from_votable", "to_votable"]

_DATATYPES = {bool: "boolean", int: "long", float: "double", str: "char"}


def to_votable(table: Table) -> VOTableFile:
    """A VOTable document of ``table``; nested values of ``table.meta`` stay out."""
    unitless = table.copy(copy_data=False)
    for name in table.colnames:
        unitless[name].unit = None
    document = votable.from_table(unitless)
    element = document.get_first_table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", W50)  # The quoted electron is allowed, astropy warns of it.
        for field in element.fields:
            field.ucd = columns.info(field.name).ucd or None
            field.unit = vo_text(table[field.name].unit)
    for name, value in table.meta.items():
        if type(value) in _DATATYPES:
            text = {"arraysize": "*"} if isinstance(value, str) else {}
            datatype = _DATATYPES[type(value)]
            element.params.append(
                Param(document, name=name, value=value, datatype=datatype, **text)
            )
    return document


def from_votable(element: TableElement) -> Table:
    """An astropy table whose ``meta`` holds the PARAMs."""
    table = element.to_table(use_names_over_ids=True)
    for name in table.colnames:
        table[name].unit = parse_unit(table[name].unit)
    params: dict[str, Any] = {param.name: param.value for param in element.params}
    table.meta.update(
        {name: getattr(value, "item", lambda v=value: v)() for name, value in params.items()}
    )
    return table
