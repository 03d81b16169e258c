"""Everything that absorbs in a cool-to-hot stellar atmosphere, put together."""

from __future__ import annotations

from .atomic_lines import strong_lines
from .bands import ALWAYS_SMOOTH, SMOOTH_UNRESOLVED, SYSTEMS, band_lines, smooth_band_column
from .continuum import continuum_columns
from .forest import generated_lines
from .hydrogen import hydrogen_columns
from .lines import LineList, line_columns
from .opacity import Column

__all__ = ["default_columns", "default_lines"]

_MARGIN_NM = 40.0
_FOLD_BELOW = -7.2


def default_lines(low_nm: float, high_nm: float, resolved: bool = True) -> LineList:
    """Real strong lines, generated weak ones and molecular lines between two wavelengths [nm]."""
    smooth = ALWAYS_SMOOTH if resolved else SMOOTH_UNRESOLVED
    parts = [strong_lines(), generated_lines(low_nm, high_nm)]
    parts += [band_lines(s) for s in SYSTEMS if s.name not in smooth]
    lines = LineList.concatenate(parts)
    inside = (lines.wavelength_nm > low_nm - _MARGIN_NM) & (
        lines.wavelength_nm < high_nm + _MARGIN_NM
    )
    return lines.take(inside)


def default_columns(
    low_nm: float,
    high_nm: float,
    lines: LineList | None = None,
    velocity_kms: float = 1.5,
    resolved: bool = True,
) -> list[Column]:
    """Opacity columns between two wavelengths [nm].

    Parameters
    ----------
    low_nm, high_nm : float
        Range of vacuum wavelengths.
    lines : LineList, optional
        A list of the user's own in place of :func:`default_lines`.
    velocity_kms : float
        Microturbulence.
    resolved : bool
        Whether single lines will be seen. If not, crowded bands are smoothed and weak species
        go without pressure wings of their own.
    """
    own = lines is not None
    if lines is None:
        lines = default_lines(low_nm, high_nm, resolved)
    columns = continuum_columns() + hydrogen_columns(velocity_kms)
    columns += line_columns(lines, velocity_kms, float("-inf") if resolved else _FOLD_BELOW)
    smooth = ALWAYS_SMOOTH if resolved or own else SMOOTH_UNRESOLVED
    for molecule in dict.fromkeys(s.molecule for s in SYSTEMS if s.name in smooth):
        bands = [band_lines(s) for s in SYSTEMS if s.name in smooth and s.molecule == molecule]
        columns.append(smooth_band_column(molecule, LineList.concatenate(bands)))
    return columns
