"""Whole lines of a plain or gzipped text file, decompressed in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

from ..spectra.errors import StarkinError

__all__ = ["PADDING", "TextBlock", "text_blocks"]

#: Bytes behind the last line that a decoder may look at.
PADDING = 8
_GZIP = b"\x1f\x8b"
_PIECE = 256 * 1024  # of the file at a time
_BLOCK = 4 * 1024 * 1024  # of text handed on at a time: a hundred rows with correlations
_LONGEST_LINE = 64 * 1024 * 1024


@dataclass(frozen=True)
class TextBlock:
    """Consecutive lines.

    Parameters
    ----------
    text : ndarray of uint8
        The lines, then :data:`PADDING` bytes.
    stop : int
        Where the lines end; ``text[stop - 1]`` is a newline (0 for no line).
    position : int
        Bytes of the file read so far.
    damage : str
        Why the file ends here although it should not; empty when it is whole.
    cut_line : bool
        Whether the damage left an unfinished line, which is not in ``text``.
    """

    text: np.ndarray
    stop: int
    position: int
    damage: str = ""
    cut_line: bool = False


def _pieces(path: Path) -> Iterator[tuple[bytes, int, str]]:
    """Text, bytes of the file read, and what is wrong with the rest of it."""
    with path.open("rb") as raw:
        data = raw.read(_PIECE)
        if data[:2] != _GZIP:
            while data:
                yield data, raw.tell(), ""
                data = raw.read(_PIECE)
            return
        unpacker, begun = isal_zlib.decompressobj(31), False
        while data:
            try:
                text, begun = unpacker.decompress(data), True
            except IsalError as error:  # type: ignore[misc]
                yield b"", raw.tell(), f"the gzip stream is damaged ({error})"
                return
            if text:
                yield text, raw.tell(), ""
            if unpacker.eof:
                # Members may follow one another; zeros may pad the last.
                data = unpacker.unused_data.lstrip(b"\0")
                unpacker, begun = isal_zlib.decompressobj(31), False
            else:
                data = b""
            data = data or raw.read(_PIECE)
        if begun:
            yield b"", raw.tell(), "the gzip stream ends early"


def _blocks(path: Path) -> Iterator[TextBlock]:
    held: list[bytes] = []
    size, position, damage = 0, 0, ""
    for text, position, damage in _pieces(path):  # noqa: B007 (the last damage is used below)
        held.append(text)
        size += len(text)
        if size < _BLOCK:
            continue
        block = b"".join([*held, bytes(PADDING)])
        stop = block.rfind(b"\n", 0, size) + 1
        if stop == 0 and size > _LONGEST_LINE:
            raise StarkinError(f"{path} has a line longer than {_LONGEST_LINE} bytes: no table.")
        held = [block[stop:size]]
        size -= stop
        if stop:
            yield TextBlock(np.frombuffer(block, dtype=np.uint8), stop, position)
    rest = b"".join(held)
    stop = rest.rfind(b"\n") + 1
    cut_line = bool(damage) and stop < len(rest)
    # The last line of a whole file may lack its newline; that of a damaged one is no line.
    rest = rest[:stop] if damage else rest + b"\n"
    last = np.frombuffer(rest + bytes(PADDING), dtype=np.uint8)
    yield TextBlock(last, len(rest), position, damage, cut_line)


def text_blocks(path: Path, *, depth: int = 4) -> Generator[TextBlock]:
    """Blocks of whole lines, read at most ``depth`` blocks ahead by one thread.

    Decompression is isal's: it leaves the interpreter's lock to the decoder
    and takes a third of zlib's time.

    Raises
    ------
    StarkinError
        If the file cannot be read or holds no lines.
    """
    ready: queue.Queue[TextBlock | BaseException | None] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: TextBlock | BaseException | None) -> bool:
        while not closed.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for block in _blocks(path):
                if not put(block):
                    return
            put(None)
        except BaseException as error:  # handed to the consumer, who raises it
            put(error)

    thread = threading.Thread(target=work, name=f"read {path.name}", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, OSError):
                raise StarkinError(f"Cannot read {path}: {item.strerror or item}.") from item
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()
