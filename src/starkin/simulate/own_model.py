"""Spectra of your own in place of the engine's: a grid in a file, or any function.

A grid is spectra at every combination of the values of some labels (``"teff"``, ``"logg"`` and
``"fe_h"``-like names), interpolated by cubic splines or straight lines. Elements that are not an
axis of the grid leave no trace in its spectra.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from ..spectra import StarkinError, WavelengthGrid, columns
from .synthesiser import ELEMENTS

__all__ = ["FunctionModel", "GridModel"]


@dataclass(frozen=True)
class FunctionModel:
    """Any function of labels as a spectral model.

    Parameters
    ----------
    function : callable
        ``(teff (n,), logg (n,), x_h (n, n_elements)) → flux (n, n_pixels)``, normalised.
    wavelength_grid : WavelengthGrid
        Its pixels.
    elements : sequence of str
        What the columns of ``x_h`` are.
    """

    function: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    wavelength_grid: WavelengthGrid
    elements: Sequence[str] = ELEMENTS

    def grid(self) -> WavelengthGrid:
        return self.wavelength_grid

    def __call__(
        self,
        teff: np.ndarray,
        logg: np.ndarray,
        x_h: np.ndarray,
        *,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> np.ndarray:
        flux = np.asarray(self.function(teff, logg, x_h), dtype=np.float32)
        expected = (len(teff), self.wavelength_grid.n_pixels)
        if flux.shape != expected:
            raise StarkinError(f"The model gave flux of shape {flux.shape}, expected {expected}.")
        if not np.isfinite(flux).all():
            row = int(np.flatnonzero(~np.isfinite(flux).all(1))[0])
            raise StarkinError(f"The model gave a flux that is not a number for star {row}.")
        if progress is not None:
            progress(len(teff), len(teff), f"{len(teff):,} spectra")
        return flux


class GridModel:
    """A grid of spectra, interpolated.

    Parameters
    ----------
    axes : dict of str to ndarray
        Label name (``teff``, ``logg``, ``mg_h``, …) to its increasing values, in the order of
        the dimensions of ``flux``.
    flux : ndarray, shape (len(axis 1), …, n_pixels)
        Normalised.
    wavelength_grid : WavelengthGrid
    method : {"linear", "cubic"}
        Cubic needs at least four values on every axis.
    """

    def __init__(
        self,
        axes: dict[str, np.ndarray],
        flux: np.ndarray,
        wavelength_grid: WavelengthGrid,
        method: str = "linear",
    ) -> None:
        names = list(axes)
        known = {columns.abundance(symbol): symbol for symbol in ELEMENTS}
        for name in names:
            if name not in ("teff", "logg") and name not in known:
                raise StarkinError(
                    f"Grid axis {name!r} is unknown: use teff, logg or one of {', '.join(known)}."
                )
        expected = (*(len(axes[name]) for name in names), wavelength_grid.n_pixels)
        if np.shape(flux) != expected:
            raise StarkinError(f"Grid flux has shape {np.shape(flux)}, expected {expected}.")
        self.elements: Sequence[str] = tuple(known[n] for n in names if n in known)
        if "Fe" not in self.elements:
            raise StarkinError("A grid needs an axis fe_h: it stands for the metallicity.")
        if method not in ("linear", "cubic"):
            raise StarkinError(f"method must be linear or cubic, got {method!r}.")
        self._names, self._wavelength_grid = names, wavelength_grid
        self._axes = {name: np.asarray(axes[name], dtype=float) for name in names}
        try:
            self._interpolator = RegularGridInterpolator(
                tuple(self._axes.values()), np.asarray(flux, dtype=np.float64), method
            )
        except ValueError as error:
            raise StarkinError(f"The grid cannot be interpolated: {error}.") from error

    @classmethod
    def read(cls, path: str | os.PathLike[str], method: str = "linear") -> GridModel:
        """A grid from an ``.npz`` file.

        Arrays: ``wavelength`` [Å, vacuum], ``flux``, ``labels`` (names in the order of the
        dimensions of ``flux``), and the values of each label under its name.
        """
        path = Path(path)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError) as error:
            raise StarkinError(f"Cannot read {path} as a grid of spectra: {error}") from error
        for name in ("wavelength", "flux", "labels", *map(str, arrays.get("labels", ()))):
            if name not in arrays:
                raise StarkinError(f"{path} has no array {name!r}; see GridModel.read.")
        axes = {str(name): arrays[str(name)] for name in arrays["labels"]}
        grid = WavelengthGrid(arrays["wavelength"], "Angstrom", "vacuum", "rest")
        return cls(axes, arrays["flux"], grid, method)

    def grid(self) -> WavelengthGrid:
        return self._wavelength_grid

    def __call__(
        self,
        teff: np.ndarray,
        logg: np.ndarray,
        x_h: np.ndarray,
        *,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> np.ndarray:
        """Interpolated flux; a star outside the grid is an error, never an extrapolation."""
        values = {"teff": teff, "logg": logg}
        for symbol, column in zip(self.elements, np.asarray(x_h).T, strict=True):
            values[columns.abundance(symbol)] = column
        points = np.column_stack([np.asarray(values[n], dtype=float) for n in self._names])
        for name, column in zip(self._names, points.T, strict=True):
            axis = self._axes[name]
            bad = ~((column >= axis[0]) & (column <= axis[-1]))
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                raise StarkinError(
                    f"{name} of star {row} is {column[row]:g}; the grid covers "
                    f"{axis[0]:g} to {axis[-1]:g}."
                )
        flux = self._interpolator(points).astype(np.float32)
        if progress is not None:
            progress(len(points), len(points), f"{len(points):,} spectra")
        return flux
