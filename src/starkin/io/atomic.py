"""Write a file or a directory whole or not at all.

Everything starkin leaves on disk goes through here: the data are written
under a temporary name beside the target and renamed at the end, so a kill or
a full disk never leaves half a file under the real name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..spectra.errors import StarkinError

__all__ = ["atomic_directory", "atomic_file"]


def _temporary(target: Path) -> Path:
    # The suffix stays last, because writers choose their format by it.
    return target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")


def _sweep(target: Path) -> None:
    """Remove what a process that was killed while writing ``target`` left behind."""
    for leftover in target.parent.glob(f".{target.stem}.*.part{target.suffix}"):
        writer = leftover.name.removeprefix(f".{target.stem}.").split(".")[0]
        if writer.isdigit() and not _alive(int(writer)):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # It is somebody else's.
    return True


@contextmanager
def atomic_file(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; on success it becomes ``target``, on failure it goes.

    Raises
    ------
    StarkinError
        If the disk is full or the folder cannot be written.
    """
    target = Path(target)
    temporary = _temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise StarkinError(
            f"Cannot write {target}: {error.strerror or error}; nothing was left behind."
        ) from error
    finally:
        # Where the folder could not even be made there is nothing to remove.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(target: str | os.PathLike[str]) -> Iterator[Path]:
    """The same for a directory; an existing ``target`` is replaced only at the end."""
    target = Path(target)
    temporary = _temporary(target)
    try:
        _sweep(target)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        if target.exists():
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            target.replace(old)
            temporary.replace(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(target)
    except OSError as error:
        raise StarkinError(
            f"Cannot write {target}: {error.strerror or error}; nothing was left behind."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
