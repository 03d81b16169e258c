"""Pages on disk."""

from __future__ import annotations

from pathlib import Path

from ..io.atomic import atomic_file

__all__ = ["write_page"]


def write_page(page: Path, content: str) -> Path:
    """Write a page, whole or not at all; its path."""
    with atomic_file(page) as path:
        path.write_text(content, encoding="utf-8")
    return page
