"""Covariance of standardised XP coefficients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...spectra import SpectrumSet, XPGrid, columns
from ...spectra.correlations import unpack_correlations

__all__ = ["error_covariance"]


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
