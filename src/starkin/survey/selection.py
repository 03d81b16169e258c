"""Which stars of the input take part."""

from __future__ import annotations

import numpy as np

from ..spectra import SpectrumSet, StarkinError
from ..spectra.cuts import select

__all__ = ["of_those", "selected"]


def selected(spectra: SpectrumSet, cut: str = "full", condition: str = "") -> np.ndarray:
    """Which stars pass a catalogue cut and a user's condition on label columns.

    Returns
    -------
    ndarray of bool, shape (n_stars,)

    Raises
    ------
    StarkinError
        If none passes, or a column that the cut needs is missing.
    """
    keep = select(spectra, cut)
    if condition:
        keep = keep & select(spectra, condition)
    if not keep.any():
        raise StarkinError(
            f"No star passes the cut {cut!r}" + (f" and {condition!r}." if condition else ".")
        )
    return keep


def of_those(spectra: SpectrumSet, keep: np.ndarray) -> SpectrumSet:
    """The stars to keep; the set itself where that is all: a subset is a copy of gigabytes."""
    return spectra if keep.all() else spectra[keep]
