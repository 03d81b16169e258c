"""Label columns the same whatever format they came in."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from ..spectra import StarkinError, columns
from .archive_columns import XP_COLUMNS

__all__ = ["harmonise_labels"]

# What other units are brought to ours; magnitudes and dex are not: u.mag is 0.4 u.dex to astropy.
_CONVERTED = [u.K.physical_type, (u.km / u.s).physical_type, u.deg.physical_type]


def harmonise_labels(labels: Table) -> None:
    """Bring columns to the archive's types and native bytes, and complete what they say.

    Changes ``labels`` in place: text from bytes, the archive's columns in the
    archive's types, units and descriptions where the file gave none; temperatures, velocities and
    angles in our units.

    Raises
    ------
    StarkinError
        If such a column has a unit of something else.
    """
    labels.convert_bytestring_to_unicode()  # what FITS and VOTable give
    for name in labels.colnames:
        column = labels[name]
        if not isinstance(column, Column):  # a Quantity, a time, coordinates: knows itself
            continue
        archive = XP_COLUMNS.get(name)
        if archive is not None and column.dtype.kind in "fiu" and not archive.is_array:
            labels[name] = _as_archive(column, np.dtype(archive.type))
        elif not column.dtype.isnative:
            labels[name] = column.astype(column.dtype.newbyteorder("="))
        column = labels[name]
        known = columns.info(name)
        description = archive.description if archive is not None else known.description
        given = " ".join((column.info.description or "").split())  # VOTables wrap lines
        column.info.description = given or description or None
        if known.unit and column.unit is None:
            column.unit = known.unit
        elif known.unit and column.dtype.kind in "fiu":
            _convert(labels, name, u.Unit(known.unit, parse_strict="silent"))


def _convert(labels: Table, name: str, wanted: u.UnitBase) -> None:
    """A temperature, a velocity or an angle in another unit than ours, in ours.

    Raises
    ------
    StarkinError
        If the unit that the file gives measures something else.
    """
    column = labels[name]
    given = u.Unit(column.unit, parse_strict="silent")
    if isinstance(given, u.UnrecognizedUnit) or wanted.physical_type not in _CONVERTED:
        return
    try:
        factor = given.to(wanted)
    except u.UnitConversionError:
        raise StarkinError(
            f"Label column {name!r} is in {given.to_string() or 'no unit'!r}, expected "
            f"{wanted.to_string()!r}; mend its unit, or rename it."
        ) from None
    if factor != 1:
        about = {"description": column.info.description, "meta": column.meta}
        labels[name] = type(column)(column * factor, dtype=np.float64, unit=wanted, **about)


def _as_archive(column: Column, wanted: np.dtype) -> Column:
    """The column in the archive's type, if that holds every value; else in native bytes."""
    values: Any = np.ma.asarray(column)
    if wanted.kind != "f" and values.dtype.kind == "f":
        # pandas turns integers with gaps into floats with NaN.
        values = np.ma.masked_invalid(values)
    present = values.compressed()
    if wanted.kind != "f":
        limits = np.iinfo(wanted)
        exact = bool(np.all((present >= limits.min) & (present <= limits.max)))
        if not exact or (present.dtype.kind == "f" and np.any(present != np.trunc(present))):
            return column.astype(column.dtype.newbyteorder("="))
        values = np.ma.masked_array(values.filled(0), values.mask)
    elif present.dtype.kind != "f":
        values = values.astype(np.float64)
    values = values.astype(wanted)
    about = {"unit": column.unit, "description": column.description, "meta": column.meta}
    if np.ma.getmaskarray(values).any():
        return MaskedColumn(values, **about)
    return Column(np.asarray(values), **about)
