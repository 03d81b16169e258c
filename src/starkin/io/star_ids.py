"""One 64-bit number for every star, whatever its survey calls it.

A star's ``source_id`` is Gaia's where the file tells it, else the survey's own
number. A name such as ``2M00000317+5821383`` becomes a negative number made
from its letters, the same in every file and on every machine; no catalogue's
own ids are negative, so it is never mistaken for one. The name itself stays as
a label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["GAIA_NAMES", "NAME_COLUMNS", "gaia_id", "id_of_name", "ids_of_names"]

#: Spellings of a Gaia source id in headers and tables, the newest release first.
GAIA_NAMES = (
    "source_id", "gaia_dr3_source_id", "gaiaedr3_source_id", "gaiadr3_source_id", "gaia3_id",
    "gaia_id3", "gaia_source_id", "gaia_id",
)  # fmt: skip

#: Label columns by which stars of a survey can be recognised in its catalogue.
NAME_COLUMNS = ("apogee_id", "sdss_id", "sobject_id")


def id_of_name(name: str) -> int:
    """A number as it is; any other name as a negative number of its own.

    Examples
    --------
    >>> id_of_name("4295806720")
    4295806720
    >>> id_of_name("2M00000317+5821383") == id_of_name(" 2M00000317+5821383 ") < 0
    True
    """
    text = str(name).strip()
    try:
        number = int(text)
    except ValueError:
        number = -1
    if 0 < number < 2**63:
        return number
    digest = hashlib.sha256(text.encode()).digest()
    return -1 - (int.from_bytes(digest[:8], "big") >> 2)


def ids_of_names(names: Iterable[Any]) -> np.ndarray:
    """:func:`id_of_name` of each; shape (n,), int64."""
    texts = [n.decode() if isinstance(n, bytes) else str(n) for n in names]
    return np.array([id_of_name(text) for text in texts], dtype=np.int64)


def gaia_id(header: Mapping[str, Any]) -> int | None:
    """Gaia's id in a header or a row, if it has a sensible one."""
    lower = {str(key).lower(): key for key in header}
    for name in GAIA_NAMES:
        if name in lower:
            try:
                number = int(header[lower[name]])
            except (TypeError, ValueError):
                continue
            if number > 0:
                return number
    return None
