"""Settings from files: every key must be one the settings have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from .errors import StarkinError

__all__ = ["settings_from"]

_Settings = TypeVar("_Settings")


def settings_from(
    cls: type[_Settings], given: Mapping[str, Any], what: str, **parts: Any
) -> _Settings:
    """An instance of the dataclass ``cls`` from JSON or TOML values.

    Parameters
    ----------
    cls : type
        A dataclass that checks its own ranges.
    given : mapping
        Values by field name; lists become tuples.
    what : str
        What the settings are of, for the message.
    **parts
        Fields that the caller has made already.

    Raises
    ------
    StarkinError
        If a key is unknown or a value out of range.
    """
    known = sorted(f.name for f in fields(cls))  # type: ignore[arg-type]
    if unknown := sorted(set(given) - set(known)):
        raise StarkinError(f"Unknown setting {unknown[0]!r} of {what}; it has {', '.join(known)}.")
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return cls(**(plain | parts))
