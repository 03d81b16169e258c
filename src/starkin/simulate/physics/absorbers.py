"""Everything that absorbs in a cool-to-hot stellar atmosphere, put together."""

from __future__ import annotations

from .atomic_lines import strong_lines
from .bands import SMOOTHED, SYSTEMS, band_lines, smooth_band_column
from .continuum import continuum_columns
from .forest import generated_lines
from .hydrogen import hydrogen_columns
from .lines import LineList, line_columns
from .opacity import Column

__all__ = ["default_columns", "default_lines"]


def default_lines(low_nm: float, high_nm: float) -> LineList:
    """Real strong lines, generated weak ones and molecular lines between two wavelengths [nm]."""
    margin = 40.0
    parts = [strong_lines(), generated_lines(low_nm, high_nm)]
    parts += [band_lines(s) for s in SYSTEMS if s.molecule not in SMOOTHED]
    lines = LineList.concatenate(parts)
    inside = (lines.wavelength_nm > low_nm - margin) & (lines.wavelength_nm < high_nm + margin)
    return lines.take(inside)


def default_columns(
    low_nm: float,
    high_nm: float,
    lines: LineList | None = None,
    velocity_kms: float = 1.5,
    fold_below: float = -7.2,
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
    fold_below : float
        See :func:`~.lines.line_columns`.
    """
    lines = default_lines(low_nm, high_nm) if lines is None else lines
    columns = continuum_columns() + hydrogen_columns(velocity_kms)
    columns += line_columns(lines, velocity_kms, fold_below)
    for molecule in SMOOTHED:
        bands = LineList.concatenate([band_lines(s) for s in SYSTEMS if s.molecule == molecule])
        columns.append(smooth_band_column(molecule, bands))
    return columns
