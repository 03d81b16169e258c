"""Tables of the engine that take seconds to compute and are kept on disk between processes.

They follow from the code of this package alone, so that a file is named by a fingerprint of
that code and of what the table depends on: after any change of the physics it is made anew.
A file that is damaged or is not what its name says is made anew too; a folder that cannot be
written costs time and nothing else.

The folder is the user's cache (``~/.cache/starkin``, as astropy finds it). The environment
variable ``STARKIN_CACHE`` names another one; ``off`` keeps nothing.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from astropy.config import get_cache_dir_path

from ...io.atomic import atomic_file
from ...spectra.errors import StarkinError

__all__ = ["VARIABLE", "kept_on_disk"]

VARIABLE = "STARKIN_CACHE"

Arrays = dict[str, np.ndarray]

_MOST = 8  # files of one table


def _folder() -> Path | None:
    named = os.environ.get(VARIABLE, "")
    if named.lower() == "off":
        return None
    if named:
        return Path(named)
    with suppress(OSError, RuntimeError):  # there may be no home
        return get_cache_dir_path("starkin", ensure_exists=False)
    return None


@cache
def _code() -> bytes:
    """Digest of the source of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.digest()


def kept_on_disk(
    name: str, depends_on: bytes, make: Callable[[], Mapping[str, np.ndarray]]
) -> Arrays:
    """The arrays that ``make`` gives, from disk if an earlier process has left them there.

    Parameters
    ----------
    name : str
        Of the table; begins the file's name.
    depends_on : bytes
        Whatever else than the engine's code decides the result.
    make : callable
        Computes the arrays, deterministically.
    """
    folder = _folder()
    if folder is None:
        return dict(make())
    digest = hashlib.sha256(_code() + depends_on).hexdigest()
    path = folder / f"{name}-{digest[:24]}.npz"
    found = _read(path, digest)
    if found is not None:
        return found
    arrays = dict(make())
    with suppress(StarkinError), atomic_file(path) as temporary:
        np.savez(temporary, digest=np.array(digest), **arrays)  # type: ignore[arg-type]
        _forget(folder, name)
    return arrays


def _forget(folder: Path, name: str) -> None:
    """Remove all but the newest files of a table: each version of the code leaves its own."""
    files = sorted(folder.glob(f"{name}-*.npz"), key=lambda path: path.stat().st_mtime)
    for path in files[: -(_MOST - 1)]:
        path.unlink(missing_ok=True)


def _read(path: Path, digest: str) -> Arrays | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    found = arrays.pop("digest", None)
    return arrays if found is not None and found.size == 1 and str(found) == digest else None
