"""Settings: every key must be one they have, every value within its range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from .errors import StarkinError

__all__ = [
    "require_at_least",
    "require_one_of",
    "require_range",
    "require_widths",
    "settings_from",
    "settings_to",
]

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


def settings_to(settings: Any) -> dict[str, Any]:
    """JSON types only; :func:`settings_from` reads them back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}


# --- what __post_init__ asks of a field; each names it in its message -------
def require_range(settings: Any, name: str, low: float, high: float) -> None:
    """A number within ``low..high``; a whole one where ``low`` is an int."""
    value = getattr(settings, name)
    wanted = int if isinstance(low, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not low <= value <= high:
        raise StarkinError(
            f"{type(settings).__name__}.{name} must lie in {low}..{high}, got {value!r}."
        )


def require_at_least(settings: Any, **least: int) -> None:
    """Whole numbers, each no smaller than the one given with its name."""
    for name, low in least.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise StarkinError(
                f"{type(settings).__name__}.{name} must be a whole number of at least {low}, "
                f"got {value!r}."
            )


def require_one_of(settings: Any, name: str, allowed: tuple[str, ...]) -> None:
    """One of a few words."""
    if getattr(settings, name) not in allowed:
        raise StarkinError(
            f"{type(settings).__name__}.{name} must be one of {', '.join(allowed)}, "
            f"got {getattr(settings, name)!r}."
        )


def require_widths(settings: Any, name: str) -> None:
    """A tuple of positive widths of layers."""
    widths = getattr(settings, name)
    if not widths or not all(type(w) is int and w > 0 for w in widths):
        raise StarkinError(
            f"{type(settings).__name__}.{name} must be positive widths, got {widths!r}."
        )
