"""The command line: ten-line commands over library calls."""

from .app import app

__all__ = ["app"]
