"""One file a format; importing this package registers them all.

The order is that in which the tests of the first bytes are tried: from magic
numbers to the lenient look at a CSV's first line.
"""

from . import vectors, fits, parquet, votable, ecsv, csv, memory, collections  # isort: skip

__all__ = ["collections", "csv", "ecsv", "fits", "memory", "parquet", "vectors", "votable"]
