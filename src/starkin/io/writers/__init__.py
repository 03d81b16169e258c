"""Writers, one file a family of formats; importing this package registers them all."""

from . import binary, text

__all__ = ["binary", "text"]
