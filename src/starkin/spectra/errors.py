"""The one exception a user of starkin needs to catch.

Every message is one sentence that names the file, row or column and what to do.
"""

from __future__ import annotations


class StarkinError(ValueError):
    """Input, configuration or a saved model that starkin cannot use."""


class GridMismatchError(StarkinError):
    """Spectra and model (or two sets of spectra) are on different grids."""
