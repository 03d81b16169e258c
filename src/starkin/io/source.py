"""Where bytes come from: a file, plain or gzipped, or a member of a ZIP archive."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..spectra.errors import StarkinError

__all__ = ["Source"]

_GZIP = b"\x1f\x8b"


class Source:
    """Something that can be read from the start, uncompressed, as often as needed.

    Parameters
    ----------
    path : path-like
        What messages name; the file to read unless ``content`` is given.
    content : bytes, optional
        Bytes that are already in memory (a member of a ZIP archive).
    """

    def __init__(self, path: str | os.PathLike[str], content: bytes | None = None) -> None:
        self.name = os.fspath(path)
        self._content = content

    def _raw(self) -> BinaryIO:
        return Path(self.name).open("rb") if self._content is None else io.BytesIO(self._content)

    @property
    def gzipped(self) -> bool:
        with self._raw() as stream:
            return stream.read(2) == _GZIP

    @property
    def file(self) -> Path | None:
        """The plain file on disk, if there is one that needs no decompression."""
        return Path(self.name) if self._content is None and not self.gzipped else None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A binary, seekable stream of the uncompressed bytes.

        Raises
        ------
        StarkinError
            If the file cannot be opened, or its compressed stream is cut or damaged.
        """
        try:
            if self.gzipped:
                with self._raw() as raw, gzip.GzipFile(fileobj=raw) as stream:
                    yield stream  # type: ignore[misc]
            else:
                with self._raw() as stream:
                    yield stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise StarkinError(
                f"{self.name} is not a whole gzip file ({error}); download it again."
            ) from error
        except OSError as error:
            if isinstance(error, StarkinError) or error.errno is None:
                raise
            raise StarkinError(f"Cannot read {self.name}: {error.strerror}.") from error

    @contextmanager
    def open_seekable(self) -> Iterator[BinaryIO]:
        """The same for readers that jump about: a gzipped file is unpacked in memory first.

        Reading it to its end also checks its checksum, which a reader that
        stops at the last byte it needs would never see.
        """
        with self.open() as stream:
            yield io.BytesIO(stream.read()) if self.gzipped else stream

    def head(self, size: int = 4096) -> bytes:
        """The first bytes, uncompressed."""
        with self.open() as stream:
            return stream.read(size)
