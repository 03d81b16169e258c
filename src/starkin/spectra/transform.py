"""Standardisation: every column to zero mean and unit variance, learnt on one set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from astropy import units as u

from .errors import GridMismatchError, StarkinError
from .grid import Grid, XPGrid
from .spectrum_set import SpectrumSet

__all__ = ["Standardiser"]


@dataclass(frozen=True, eq=False)
class Standardiser:
    """x = (value - mean) / scale, and errors / scale, column by column.

    Fit it on the training split alone and save it with the model: validation, test
    and new stars go through the same numbers.

    Parameters
    ----------
    mean, scale : ndarray of float64, shape (n_pixels,)
        Of the unmasked training values; in their unit.
    unit : str
        Of the spectra it was fitted on; others are refused.
    """

    mean: np.ndarray
    scale: np.ndarray
    unit: str = ""

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.mean.ndim != 1 or self.mean.shape != self.scale.shape:
            raise StarkinError(
                f"Standardiser.mean and .scale must be two rows of one length, "
                f"got shapes {self.mean.shape} and {self.scale.shape}."
            )
        bad = ~np.isfinite(self.mean) | ~np.isfinite(self.scale) | ~(self.scale > 0)
        if bad.any():
            raise StarkinError(
                f"Standardiser.scale must be positive and finite, which it is not in column "
                f"{np.flatnonzero(bad)[0]}: the saved transform is damaged."
            )

    @property
    def n_pixels(self) -> int:
        return self.mean.size

    # --- learning -----------------------------------------------------------
    @classmethod
    def fit(cls, spectra: SpectrumSet) -> Self:
        """Mean and standard deviation of every column over the unmasked values.

        Raises
        ------
        StarkinError
            If a column has fewer than two values, or all of them are equal.
        """
        fitted = cls.fit_arrays(spectra.values, spectra.mask, names=_names(spectra.grid))
        return cls(fitted.mean, fitted.scale, spectra.unit.to_string())

    @classmethod
    def fit_arrays(
        cls, values: np.ndarray, mask: np.ndarray | None = None, names: list[str] | None = None
    ) -> Self:
        """As :meth:`fit`, from values and mask of shape (n_stars, n_pixels)."""
        values = np.asarray(values)
        used = np.isfinite(values) if mask is None else ~np.asarray(mask) & np.isfinite(values)
        count = used.sum(axis=0)
        safe = np.maximum(count, 1)
        mean = np.sum(values, axis=0, where=used, dtype=np.float64) / safe
        # Two passes: the mean square minus the squared mean loses all digits of a
        # column whose mean is large against its scatter.
        variance = np.zeros_like(mean)
        for start in range(0, len(values), 65536):
            rows = slice(start, start + 65536)
            variance += np.sum((values[rows] - mean) ** 2, axis=0, where=used[rows])
        scale = np.sqrt(variance / safe)
        constant = (count < 2) | ~(scale > 1e-12 * np.abs(mean))
        if constant.any():
            which = np.flatnonzero(constant)
            first = names[which[0]] if names else f"number {which[0]}"
            raise StarkinError(
                f"{which.size} of {mean.size} columns (the first is {first}) have no two different "
                "values in the training split and cannot be standardised: "
                "remove them or train on more stars."
            )
        return cls(mean, scale)

    # --- applying -----------------------------------------------------------
    def _check(self, n_pixels: int) -> None:
        if n_pixels != self.n_pixels:
            raise GridMismatchError(
                f"The standardisation was fitted on {self.n_pixels} columns and the spectra have "
                f"{n_pixels}: use spectra on the grid of the training set."
            )

    def forward(self, values: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised values and errors, each of shape (n_stars, n_pixels)."""
        self._check(np.shape(values)[-1])
        return (values - self.mean) / self.scale, errors / self.scale

    def inverse(
        self, values: np.ndarray, errors: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Back to the unit of the spectra; what :meth:`forward` undoes."""
        self._check(np.shape(values)[-1])
        back = values * self.scale + self.mean
        return back, None if errors is None else errors * self.scale

    def transform(self, spectra: SpectrumSet) -> SpectrumSet:
        """A standardised copy: masked values stay masked, at 0 with error 1."""
        self._check(spectra.n_pixels)
        if self.unit != spectra.unit.to_string():
            raise StarkinError(
                f"The standardisation was fitted on spectra in '{self.unit or 'dimensionless'}' "
                f"and these are in '{spectra.unit.to_string() or 'dimensionless'}': normalise both "
                "or neither."
            )
        values, errors = self.forward(spectra.values, spectra.errors)
        values = np.where(spectra.mask, 0, values)
        errors = np.where(spectra.mask, 1, errors)
        return spectra.replace(values=values, errors=errors, unit=u.dimensionless_unscaled)

    def restore(self, spectra: SpectrumSet) -> SpectrumSet:
        """The spectra that :meth:`transform` standardised."""
        values, errors = self.inverse(spectra.values, spectra.errors)
        return spectra.replace(values=values, errors=errors, unit=u.Unit(self.unit))

    # --- as arrays of a model directory -------------------------------------
    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for ``transform.npz``."""
        return {"mean": self.mean, "scale": self.scale, "unit": np.array(self.unit)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """What :meth:`to_arrays` described.

        Raises
        ------
        StarkinError
            If an array is missing or makes no sense.
        """
        missing = [name for name in ("mean", "scale") if name not in arrays]
        if missing:
            raise StarkinError(
                f"The saved standardisation lacks {' and '.join(missing)}: the file is damaged."
            )
        return cls(arrays["mean"], arrays["scale"], str(arrays.get("unit", "")))


def _names(grid: Grid) -> list[str] | None:
    return grid.pixel_names if isinstance(grid, XPGrid) else None
