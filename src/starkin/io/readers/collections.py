"""Many files at once: a folder, and the ZIP archive that DataLink sends."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from ...spectra.errors import StarkinError
from ..column_table import ColumnTable
from ..registry import register
from ..source import Source

__all__ = ["files_of_folder", "members_of_zip"]

_SUFFIXES = (".csv", ".ecsv", ".fits", ".fit", ".xml", ".vot", ".parquet")


def _is_data(name: str) -> bool:
    name = name.lower().removesuffix(".gz")
    return name.endswith(_SUFFIXES) and not Path(name).name.startswith((".", "_"))


def files_of_folder(folder: Path) -> list[Path]:
    """Files of a folder (not of its sub-folders) that may hold spectra, by name.

    Raises
    ------
    StarkinError
        If there are none.
    """
    files = sorted(p for p in folder.iterdir() if p.is_file() and _is_data(p.name))
    if not files:
        raise StarkinError(
            f"{folder} holds no spectra (files named {', '.join(_SUFFIXES)}, or .gz)."
        )
    return files


def members_of_zip(path: Path) -> list[Source]:
    """Files in a ZIP archive that may hold spectra, by name.

    Raises
    ------
    StarkinError
        If the archive is damaged or holds none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if _is_data(n))
            members = [Source(f"{path}/{name}", archive.read(name)) for name in names]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise StarkinError(
            f"{path} is not a whole ZIP file ({error}); download it again."
        ) from error
    if not members:
        raise StarkinError(f"{path} holds no spectra.")
    return members


@register("zip", "ZIP archive of any of these", matches=lambda head: head.startswith(b"PK\x03\x04"))
def read_zip(source: Source) -> ColumnTable:
    raise StarkinError(f"{source.name}: a ZIP archive inside another; unpack it first.")
