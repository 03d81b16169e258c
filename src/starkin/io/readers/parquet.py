"""Parquet with list columns (or one column a coefficient)."""

from __future__ import annotations

import pyarrow.parquet as pq

from ..column_table import ColumnTable
from ..registry import register
from ..source import Source
from .memory import from_arrow

__all__ = ["read_parquet"]


@register(
    "parquet",
    "Parquet, arrays as lists or one column a coefficient",
    matches=lambda head: head.startswith(b"PAR1"),
)
def read_parquet(source: Source) -> ColumnTable:
    with source.open_seekable() as stream:
        table = pq.read_table(source.file if source.file is not None else stream)
    return from_arrow(table, source.name)
