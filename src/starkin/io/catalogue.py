"""Tables in and out with units and descriptions, for TOPCAT, astropy and pandas alike."""

from __future__ import annotations

import os
from pathlib import Path

from astropy.io.votable import from_table as votable_from_table
from astropy.table import Table

from ..spectra.errors import StarkinError
from .atomic import atomic_file

__all__ = ["read_table", "write_table"]

# suffix -> astropy's name of the format
_FORMATS = {
    ".parquet": "parquet.votable",
    ".fits": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".ecsv": "ascii.ecsv",
    ".csv": "ascii.csv",
}


def _format(path: Path) -> str:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise StarkinError(
            f"Cannot tell the table format of {path} from its suffix; use one of "
            f"{', '.join(_FORMATS)}."
        ) from None


def write_table(table: Table, path: str | os.PathLike[str]) -> None:
    """Write ``table`` whole or not at all, the format chosen by the suffix."""
    path = Path(path)
    format_ = _format(path)
    with atomic_file(path) as temporary:
        if format_ == "votable":
            votable_from_table(table).to_xml(str(temporary), tabledata_format="binary2")
        else:
            table.write(temporary, format=format_, overwrite=True)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table that :func:`write_table`, TOPCAT or the archive wrote."""
    path = Path(path)
    if not path.exists():
        raise StarkinError(f"{path} does not exist.")
    try:
        return Table.read(path, format=_format(path))
    except (OSError, ValueError) as error:
        if isinstance(error, StarkinError):
            raise
        raise StarkinError(f"Cannot read {path}: {error}") from error
