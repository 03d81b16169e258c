"""Covariance of standardised XP coefficients, and of what is measured beside them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...nets.label_fit import Noise
from ...spectra import SpectrumSet, XPGrid, columns
from ...spectra.correlations import unpack_correlations

__all__ = ["JoinedNoise", "error_covariance"]


def error_covariance(spectra: SpectrumSet, sigma: Tensor) -> Tensor:
    """D·C·D of standardised errors and the correlations of XP coefficients.

    Parameters
    ----------
    spectra : SpectrumSet
        With correlations; a star's band without any counts as uncorrelated.
    sigma : Tensor, shape (n_stars, n_pixels)
        Standardised errors. A scale for every coefficient changes no correlation.

    Returns
    -------
    Tensor, shape (n_stars, n_pixels, n_pixels)
    """
    grid = spectra.grid
    assert isinstance(grid, XPGrid)
    assert spectra.correlations is not None
    n, p = sigma.shape
    correlation = torch.zeros((n, p, p), dtype=sigma.dtype, device=sigma.device)
    for band in columns.BANDS:
        packed = np.asarray(spectra.correlations[:, grid.correlation_slice(band)], np.float64)
        packed = np.where(np.isfinite(packed).all(axis=1, keepdims=True), packed, 0.0)
        part = grid.band(band)
        full = unpack_correlations(packed, grid.band_size(band))
        correlation[:, part, part] = torch.from_numpy(full).to(sigma)
    return sigma[:, :, None] * correlation * sigma[:, None, :]


class JoinedNoise(Noise):
    """Two kinds of measurements of the same stars that share no error.

    Parameters
    ----------
    first, second : Noise
        Of the first columns of the data, and of those that follow.
    """

    def __init__(self, first: Noise, second: Noise) -> None:
        self.first, self.second = first, second
        self.weight = torch.cat([first.weight, second.weight], dim=1)
        self.n_used = first.n_used + second.n_used

    def whiten(self, columns: Tensor) -> Tensor:
        n = self.first.weight.shape[1]
        parts = (self.first.whiten(columns[:, :n]), self.second.whiten(columns[:, n:]))
        return torch.cat(parts, dim=1)

    def log_determinant(self) -> Tensor:
        return self.first.log_determinant() + self.second.log_determinant()
