"""FITS files opened in one way: a cut file fails, unknown units and sloppy headers do not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from astropy.io import fits
from astropy.units import UnitsWarning
from astropy.utils.exceptions import AstropyUserWarning

from .source import Source

__all__ = ["open_fits"]


@contextmanager
def open_fits(
    source: Source, *, mapped: bool = False, lazy: bool = False
) -> Iterator[fits.HDUList]:
    """All HDUs of a file, plain or gzipped.

    With ``mapped`` a plain file's tables stay on disk until their rows are asked for; with
    ``lazy`` the headers of later HDUs are not read before they are.
    """
    with source.open_seekable() as stream, warnings.catch_warnings():
        # astropy only warns of a cut file, and then fills the end with what it likes.
        warnings.filterwarnings("error", message=".*truncated.*", category=AstropyUserWarning)
        warnings.simplefilter("ignore", category=fits.verify.VerifyWarning)
        warnings.simplefilter("ignore", category=UnitsWarning)  # parse_unit reads more kindly
        plain = source.file if mapped else None
        with fits.open(plain or stream, memmap=plain is not None, lazy_load_hdus=lazy) as hdus:
            yield hdus
