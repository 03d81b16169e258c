"""Which stars of the input take part."""

from __future__ import annotations

from ..spectra import SpectrumSet, StarkinError
from ..spectra.cuts import select

__all__ = ["select_stars"]


def select_stars(spectra: SpectrumSet, cut: str = "full", condition: str = "") -> SpectrumSet:
    """The stars that pass a catalogue cut and a user's condition on label columns.

    Raises
    ------
    StarkinError
        If none passes, or a column that the cut needs is missing.
    """
    keep = select(spectra, cut)
    if condition:
        keep &= select(spectra, condition)
    if not keep.any():
        raise StarkinError(
            f"No star passes the cut {cut!r}" + (f" and {condition!r}." if condition else ".")
        )
    return spectra if keep.all() else spectra[keep]
