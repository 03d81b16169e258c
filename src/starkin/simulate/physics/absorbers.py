"""Everything that absorbs in a cool-to-hot stellar atmosphere, put together."""

from __future__ import annotations

import numpy as np

from .atomic_lines import strong_lines
from .bands import ALWAYS_SMOOTH, SMOOTH_UNRESOLVED, SYSTEMS, band_lines, smooth_band_column
from .continuum import continuum_columns
from .forest import generated_lines
from .hydrogen import hydrogen_columns
from .infrared_forest import generated_infrared_lines
from .infrared_lines import infrared_lines
from .lines import LineList, line_columns
from .opacity import Column
from .partition import MOLECULES
from .rovibration import carbon_monoxide_lines, hydroxyl_lines

__all__ = ["default_columns", "default_lines", "resolved_lines"]

_MARGIN_NM = 40.0
_INFRARED_NM = 1100.0  # where one generated forest ends and the other begins
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


def resolved_lines(
    low_nm: float,
    high_nm: float,
    forest_density: float = 1.0,
    forest_seed: int = 16_000,
    carbon_ratio: float = 25.0,
) -> LineList:
    """Lines for spectra that resolve them, from 300 nm to the H band.

    Parameters
    ----------
    low_nm, high_nm : float
        Window of vacuum wavelengths.
    forest_density : float
        Factor on the number of generated infrared lines.
    forest_seed : int
        Of the generated infrared lines.
    carbon_ratio : float
        12C/13C, for CO.
    """
    parts = [strong_lines(), infrared_lines()]
    if low_nm < _INFRARED_NM:
        parts.append(generated_lines(low_nm - 1.0, min(high_nm + 1.0, _INFRARED_NM)))
    parts.append(generated_infrared_lines(low_nm - 1.0, high_nm + 1.0, forest_density, forest_seed))
    parts += [carbon_monoxide_lines(carbon_ratio), hydroxyl_lines()]
    parts += [band_lines(s) for s in SYSTEMS if s.name not in ALWAYS_SMOOTH]
    lines = LineList.concatenate(parts)
    inside = (lines.wavelength_nm > low_nm - _MARGIN_NM) & (
        lines.wavelength_nm < high_nm + _MARGIN_NM
    )
    # Lines of molecules have no wings to speak of.
    molecular = np.isin(lines.species, list(MOLECULES))
    near = (lines.wavelength_nm > low_nm - 1.0) & (lines.wavelength_nm < high_nm + 1.0)
    return lines.take(inside & (near | ~molecular))


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
