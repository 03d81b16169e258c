"""One file a format; importing this package registers them all.

The order is that in which the tests of the first bytes are tried: from magic
numbers to the lenient look at a CSV's first line. FITS files are told apart by their headers, the
surveys' own layouts before plain tables; what only specutils knows comes before the formats
of XP, which take any table.
"""

from . import (  # isort: skip
    apogee, mwm, galah, vectors, survey_catalogues, anything,
    fits, parquet, votable, ecsv, csv, memory, collections,
)  # fmt: skip

__all__ = [
    "anything", "apogee", "collections", "csv", "ecsv", "fits", "galah", "memory", "mwm",
    "parquet", "survey_catalogues", "vectors", "votable",
]  # fmt: skip
