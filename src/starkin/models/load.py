"""Open a model directory of any kind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..spectra import StarkinError
from .base import SpectrumModel

__all__ = ["kinds", "load_model", "new_model"]


def kinds() -> dict[str, type[SpectrumModel]]:
    """Every kind of model that can be loaded, by the name that stands in its directory."""
    from . import rivals  # noqa: F401  # A class is known once its module is imported.

    found = _descendants(SpectrumModel)  # type: ignore[type-abstract]
    return {cls.kind: cls for cls in found if hasattr(cls, "kind")}


def _descendants(cls: type[SpectrumModel]) -> Iterator[type[SpectrumModel]]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)


def new_model(
    kind: str, settings: Mapping[str, Any] | None = None, *, device: str = "cpu", threads: int = 0
) -> SpectrumModel:
    """An untrained model of a kind.

    Parameters
    ----------
    kind : str
        One of :func:`kinds`.
    settings : mapping, optional
        Its settings by name, JSON types; the kind's defaults for the rest.
    device : str
        ``"cpu"``, ``"cuda"``, …
    threads : int
        CPU threads of torch in the model's work; 0 leaves torch's own number.

    Raises
    ------
    StarkinError
        If there is no such kind, a setting is unknown or a value out of range.
    """
    known = kinds()
    if kind not in known:
        raise StarkinError(
            f"There is no kind of model {kind!r}; there are {', '.join(sorted(known))}."
        )
    cls: Any = known[kind]
    return cls(cls.config_class.from_dict(settings or {}), device=device, threads=threads)


def load_model(
    directory: str | os.PathLike[str], *, device: str = "cpu", threads: int = 0
) -> SpectrumModel:
    """Read a model directory, whatever kind of model it holds.

    Parameters
    ----------
    directory : path
        Of a model that was saved.
    device : str
        ``"cpu"``, ``"cuda"``, …
    threads : int
        CPU threads of torch in the model's work; 0 leaves torch's own number.

    Raises
    ------
    StarkinError
        If it is no model directory, damaged, or of a kind that this version does not know.
    """
    path = Path(directory) / "config.json"
    try:
        kind = json.loads(path.read_text())["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StarkinError(f"{directory} is not a model directory.") from error
    known = kinds()
    if kind not in known:
        raise StarkinError(
            f"{directory} holds a model of kind {kind!r}; this version knows "
            f"{', '.join(sorted(known))}."
        )
    return known[kind].load(directory, device=device, threads=threads)  # type: ignore[call-arg]
