"""Variances of linear functionals of XP coefficients, many stars at a time.

What sampling in wavelength and synthetic photometry share: which bands of a star
are whole, its correlations as far as it has them, and diag(A^T K A) with
K = D R D (see :mod:`starkin.spectra.sampling` for why K is that).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from .bases import require_official
from .columns import BANDS
from .errors import StarkinError
from .grid import XPGrid
from .spectrum_set import SpectrumSet

# Work arrays of this size stay in a core's cache.
CHUNK_BYTES = 8 * 2**20


def require_xp(spectra: SpectrumSet) -> XPGrid:
    """The grid of a set of XP coefficients with published bases; an error for any other."""
    if not isinstance(spectra.grid, XPGrid):
        raise StarkinError(
            f"Only XP coefficients can be sampled in wavelength; these spectra are on "
            f"{spectra.grid.describe()}."
        )
    require_official(spectra.grid)
    return spectra.grid


def patterns(spectra: SpectrumSet) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Stars grouped by the bands that are whole: (bands, row numbers).

    One masked coefficient leaves the flux of its whole band undefined, so it counts
    as a missing band.
    """
    grid = require_xp(spectra)
    whole = {band: ~spectra.mask[:, grid.band(band)].any(axis=1) for band in BANDS}
    for available in (("bp", "rp"), ("bp",), ("rp",)):
        chosen = np.ones(len(spectra), dtype=bool)
        for band in BANDS:
            chosen &= whole[band] if band in available else ~whole[band]
        if chosen.any():
            yield available, np.flatnonzero(chosen)


def chunks(rows: np.ndarray, bytes_each: int) -> Iterator[np.ndarray]:
    """Row numbers in pieces that keep work arrays within :data:`CHUNK_BYTES`."""
    size = max(1, CHUNK_BYTES // bytes_each)
    for start in range(0, rows.size, size):
        yield rows[start : start + size]


def triangles(
    spectra: SpectrumSet, rows: np.ndarray, band: str, correlated: bool | None = None
) -> np.ndarray | None:
    """Packed correlations of these stars, shape (len(rows), n_pairs), or None.

    Zero where a star has none. With ``correlated`` False nothing is given, with True
    a star without correlations is an error.
    """
    if correlated is False or (spectra.correlations is None and not correlated):
        return None
    if spectra.correlations is None:
        unknown = np.ones(rows.size, dtype=bool)
    else:
        packed = spectra.correlations[rows, require_xp(spectra).correlation_slice(band)]
        unknown = ~np.isfinite(packed).all(axis=1)
    if correlated and unknown.any():
        raise StarkinError(
            f"{unknown.sum()} of these spectra (the first is source_id "
            f"{spectra.source_id[rows[unknown][0]]}) have no {band.upper()} correlations: "
            "use correlated=None to take those that are there."
        )
    return np.where(unknown[:, np.newaxis], 0, packed) if unknown.any() else packed


class Variance:
    """diag(A^T K A) of many stars as two matrix products.

    The variance of one functional is Σ_i A_i² K_ii + 2 Σ_{i<j} A_i A_j K_ij: linear in
    the packed K, so that all stars and functionals are one product over the triangle
    instead of a quadratic form each.

    Parameters
    ----------
    design : ndarray, shape (n_band, n_functionals)
        A: one column a wavelength or passband.
    """

    def __init__(self, design: np.ndarray) -> None:
        column, row = np.tril_indices(design.shape[0], k=-1)
        self.squares = design**2
        self.pairs = 2 * design[row] * design[column]

    def __call__(self, errors: np.ndarray, packed: np.ndarray | None) -> np.ndarray:
        """Variances, shape (n_stars, n_functionals), from errors (n_stars, n_band)."""
        errors = errors.astype(np.float64)
        variance = errors**2 @ self.squares
        if packed is not None:
            variance += packed_covariance(errors, packed) @ self.pairs
        return variance


def packed_covariance(errors: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """The triangle of D R D in double precision, shape (n_stars, n_pairs)."""
    covariance = np.empty(packed.shape)
    _scale_triangle(errors.astype(np.float64), packed, covariance)
    return covariance


def full_covariance(errors: np.ndarray, packed: np.ndarray | None) -> np.ndarray:
    """D R D as matrices in double precision, shape (n_stars, n_band, n_band)."""
    errors = errors.astype(np.float64)
    if packed is None:
        return errors[:, :, np.newaxis] ** 2 * np.eye(errors.shape[1])
    covariance = np.empty((*errors.shape, errors.shape[1]))
    _scale_matrix(errors, packed, covariance)
    return covariance


# One pass over the triangle: as array operations it is three, with two gathers.
@njit(nogil=True, cache=True, error_model="numpy")
def _scale_triangle(errors, packed, out):
    for star in range(errors.shape[0]):
        pair = 0
        for column in range(1, errors.shape[1]):
            for row in range(column):
                out[star, pair + row] = (
                    errors[star, row] * errors[star, column] * packed[star, pair + row]
                )
            pair += column


@njit(nogil=True, cache=True, error_model="numpy")
def _scale_matrix(errors, packed, out):
    for star in range(errors.shape[0]):
        pair = 0
        for column in range(errors.shape[1]):
            for row in range(column):
                value = errors[star, row] * errors[star, column] * packed[star, pair + row]
                out[star, column, row] = value
                out[star, row, column] = value
            out[star, column, column] = errors[star, column] ** 2
            pair += column
