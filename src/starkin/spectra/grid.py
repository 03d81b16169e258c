"""What the columns of a set of spectra mean: XP coefficient bases or wavelengths."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import GridMismatchError, StarkinError

__all__ = ["Grid", "WavelengthGrid", "XPGrid", "grid_from_arrays"]


# Pixels by which wavelengths of one grid may differ: what float32 leaves of APOGEE's.
_ROUNDING = 0.01


class Grid(ABC):
    """The meaning of the columns of a :class:`~starkin.spectra.SpectrumSet`.

    A grid is immutable, compares by content and travels inside saved models,
    so that a model can refuse spectra it was not trained on.
    """

    kind: str

    @property
    @abstractmethod
    def n_pixels(self) -> int:
        """Number of columns (coefficients or wavelength bins)."""

    @abstractmethod
    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for an ``.npz`` file; :func:`grid_from_arrays` reads them back."""

    @abstractmethod
    def describe(self) -> str:
        """One line for people."""

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ when the grids differ."""
        digest = hashlib.sha256()
        for name, array in sorted(self.to_arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def difference(self, other: Grid) -> str:
        """What makes ``other`` unfit to stand for this grid, in words; empty if nothing does."""
        return "" if self == other else "they are of another kind or size"

    def require(self, other: Grid, what: str) -> None:
        """Raise :class:`GridMismatchError` unless ``other`` can stand for this grid."""
        if why := self.difference(other):
            raise GridMismatchError(
                f"{what} is on another grid ({other.describe()}) than expected "
                f"({self.describe()}): {why}; read or resample it onto the expected grid first "
                "(starkin prepare --grid)."
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


@dataclass(frozen=True, eq=False)
class XPGrid(Grid):
    """Coefficients of the Gaia BP and RP bases, BP first.

    Parameters
    ----------
    n_bp, n_rp : int
        Coefficients of each band: 55 + 55 in DR3, 51 + 55 in DR4.
    """

    n_bp: int = 55
    n_rp: int = 55
    kind = "xp"

    def __post_init__(self) -> None:
        for name in ("n_bp", "n_rp"):
            if not 1 <= getattr(self, name) <= 256:
                raise StarkinError(f"XPGrid.{name} must lie in 1..256, got {getattr(self, name)}.")

    @property
    def n_pixels(self) -> int:
        return self.n_bp + self.n_rp

    def band(self, name: str) -> slice:
        """Columns of band ``"bp"`` or ``"rp"``."""
        return slice(0, self.n_bp) if name == "bp" else slice(self.n_bp, self.n_pixels)

    def band_size(self, name: str) -> int:
        return self.n_bp if name == "bp" else self.n_rp

    @property
    def n_correlations(self) -> int:
        """Length of a packed correlation row: BP's triangle, then RP's."""
        return self.n_bp * (self.n_bp - 1) // 2 + self.n_rp * (self.n_rp - 1) // 2

    def correlation_slice(self, name: str) -> slice:
        """Where band ``name``'s triangle stands in a packed correlation row."""
        n_first = self.n_bp * (self.n_bp - 1) // 2
        return slice(0, n_first) if name == "bp" else slice(n_first, self.n_correlations)

    @property
    def pixel_names(self) -> list[str]:
        return [f"bp_{i}" for i in range(self.n_bp)] + [f"rp_{i}" for i in range(self.n_rp)]

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"kind": np.array(self.kind), "size": np.array([self.n_bp, self.n_rp])}

    def describe(self) -> str:
        return f"Gaia XP coefficients, {self.n_bp} BP + {self.n_rp} RP"


@dataclass(frozen=True, eq=False)
class WavelengthGrid(Grid):
    """Fluxes against wavelength.

    Parameters
    ----------
    wavelength : ndarray, shape (n_pixels,)
        Strictly increasing, in ``unit``.
    unit : str
        ``"nm"`` or ``"Angstrom"``.
    medium : {"vacuum", "air"}
    frame : {"rest", "barycentric", "observed"}
    resolution : float or None
        Resolving power λ/Δλ, when one number describes it.
    """

    wavelength: np.ndarray
    unit: str = "nm"
    medium: str = "vacuum"
    frame: str = "rest"
    resolution: float | None = None
    kind: str = field(default="wavelength", init=False)

    def __post_init__(self) -> None:
        wavelength = np.array(self.wavelength, dtype=np.float64)
        if wavelength.ndim != 1 or wavelength.size < 2 or not np.all(np.diff(wavelength) > 0):
            raise StarkinError(
                "WavelengthGrid.wavelength must be one-dimensional and strictly increasing."
            )
        for name, value, allowed in (
            ("unit", self.unit, ("nm", "Angstrom")),
            ("medium", self.medium, ("vacuum", "air")),
            ("frame", self.frame, ("rest", "barycentric", "observed")),
        ):
            if value not in allowed:
                raise StarkinError(
                    f"WavelengthGrid.{name} must be one of {allowed}, got {value!r}."
                )
        wavelength.setflags(write=False)
        object.__setattr__(self, "wavelength", wavelength)

    @property
    def n_pixels(self) -> int:
        return int(self.wavelength.size)

    def difference(self, other: Grid) -> str:
        """What makes ``other`` unfit to stand for this grid, in words; empty if nothing does.

        Wavelengths may differ by rounding, a hundredth of a pixel, and a resolution that is not
        stated contradicts none.
        """
        if self == other:
            return ""
        if not isinstance(other, WavelengthGrid):
            return "they are of another kind"
        for name in ("unit", "medium", "frame"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"the {name} is {theirs}, not {mine}"
        if self.n_pixels != other.n_pixels:
            return f"there are {other.n_pixels} pixels, not {self.n_pixels}"
        shift = np.abs(other.wavelength - self.wavelength) / np.gradient(self.wavelength)
        if shift.max() > _ROUNDING:
            return f"wavelengths are up to {shift.max():.3g} pixels away from where they should be"
        if None not in (self.resolution, other.resolution) and self.resolution != other.resolution:
            return f"the resolution is {other.resolution:g}, not {self.resolution:g}"
        return ""

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {
            "kind": np.array(self.kind),
            "wavelength": self.wavelength,
            "terms": np.array([self.unit, self.medium, self.frame]),
            "resolution": np.array(np.nan if self.resolution is None else self.resolution),
        }

    def describe(self) -> str:
        low, high = self.wavelength[0], self.wavelength[-1]
        return (
            f"{self.n_pixels} pixels, {low:.6g}-{high:.6g} {self.unit}, "
            f"{self.medium}, {self.frame} frame"
        )


def grid_from_arrays(arrays: Mapping[str, Any]) -> Grid:
    """Rebuild the grid that :meth:`Grid.to_arrays` described.

    Raises
    ------
    StarkinError
        If the arrays describe no grid that this version knows.
    """
    kind = str(arrays["kind"]) if "kind" in arrays else "missing"
    if kind == "xp":
        n_bp, n_rp = (int(n) for n in arrays["size"])
        return XPGrid(n_bp, n_rp)
    if kind == "wavelength":
        unit, medium, frame = (str(term) for term in arrays["terms"])
        resolution = float(arrays["resolution"])
        return WavelengthGrid(
            arrays["wavelength"], unit, medium, frame, None if np.isnan(resolution) else resolution
        )
    raise StarkinError(f"Unknown kind of grid {kind!r}; was it written by a newer starkin?")
