"""Where in wavelength the opacity is sampled, and how samples become pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from .atomic_lines import strong_lines
from .continuum import continuum_columns
from .hydrogen import hydrogen_columns
from .lines import line_columns
from .opacity import OpacityTable

__all__ = ["Sampling", "sampling_for"]


@dataclass(frozen=True)
class Sampling:
    """Sample wavelengths, tabulated, and the weights that make pixel means of them.

    Attributes
    ----------
    table : OpacityTable
        On the sample wavelengths, pixel after pixel.
    weights : Tensor, shape (n_pixels, n_per_pixel)
        Each row sums to one.
    """

    table: OpacityTable
    weights: torch.Tensor

    @property
    def n_pixels(self) -> int:
        return self.weights.shape[0]

    def reduce(self, flux: torch.Tensor) -> torch.Tensor:
        """Pixel means of sampled fluxes, shape ``(n_stars, n_pixels)``."""
        return (flux.reshape(len(flux), *self.weights.shape) * self.weights).sum(-1)


def pixel_edges(wavelength_nm: np.ndarray) -> np.ndarray:
    """Mid-points between pixels, extrapolated at both ends."""
    middle = 0.5 * (wavelength_nm[1:] + wavelength_nm[:-1])
    return np.concatenate(
        [[2 * wavelength_nm[0] - middle[0]], middle, [2 * wavelength_nm[-1] - middle[-1]]]
    )


@lru_cache(maxsize=4)
def _cached(key: bytes, n: int) -> Sampling:
    wavelength = np.frombuffer(key).copy()
    edges = pixel_edges(wavelength)
    offsets = (np.arange(n) + 0.5) / n
    samples = edges[:-1, None] + np.diff(edges)[:, None] * offsets
    columns = continuum_columns() + hydrogen_columns() + line_columns(strong_lines())
    table = OpacityTable(columns, samples.ravel())
    return Sampling(table, torch.full((wavelength.size, n), 1.0 / n))


def sampling_for(wavelength_nm: np.ndarray) -> Sampling:
    """The default sampling of a grid, built once and kept."""
    return _cached(np.ascontiguousarray(wavelength_nm, dtype=float).tobytes(), 6)
