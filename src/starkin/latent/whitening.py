"""Whitened chi-square of residuals: how far a prediction is off, in the metric of the errors.

χ² = rᵀ K⁻¹ r with K = D R D + diag(ŝ²): D the errors of one star, R the correlations of
its coefficients, ŝ the intrinsic scatter that the model itself admits. It is computed on
r/D, so that every number that enters is without unit and no coefficient outweighs another
by being measured in larger numbers: any invertible linear change of unit of the spectrum
leaves χ² as it was. For the true spectrum and true errors it follows the χ² distribution
with as many degrees of freedom as there are values.
"""

from __future__ import annotations

import numpy as np

from ..spectra import SpectrumSet, StarkinError, XPGrid, unpack_correlations
from ..spectra.columns import BANDS

__all__ = ["whitened_chi2"]

# Correlations are stored in float32, which moves the eigenvalues of a matrix of 55 by up to
# 3e-6; a direction known better than this is not known from the file.
_TOLERANCE = 1e-5
_BATCH = 256


def whitened_chi2(
    spectra: SpectrumSet, predicted: np.ndarray, scatter: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Chi-square of each star with the full covariance, and its degrees of freedom.

    Parameters
    ----------
    spectra : SpectrumSet
        As observed. XP spectra count their correlations where a star has them; other
        errors are independent. Masked values take no part: K is then the covariance of
        those that are there.
    predicted : ndarray, shape (n_stars, n_pixels)
        In the unit of the spectra.
    scatter : ndarray, shape (n_stars, n_pixels), optional
        Intrinsic scatter, one standard deviation, in the unit of the spectra; none without.

    Returns
    -------
    chi2 : ndarray, shape (n_stars,)
        NaN for a star with nothing to judge.
    dof : ndarray of int, shape (n_stars,)
        Values that took part.

    Raises
    ------
    StarkinError
        If the shapes disagree, or a star's correlations are those of no distribution.
    """
    for name, array in (("predicted", predicted), ("scatter", scatter)):
        if array is not None and np.shape(array) != np.shape(spectra.values):
            raise StarkinError(
                f"{name} has shape {np.shape(array)}; the spectra have {np.shape(spectra.values)}."
            )
    used = np.asarray(~np.asarray(spectra.mask) & np.isfinite(predicted))
    pull = np.where(used, (predicted - spectra.values) / spectra.errors, 0.0)
    extra = np.zeros_like(pull)
    if scatter is not None:
        extra = np.where(used, (np.asarray(scatter) / spectra.errors) ** 2, 0.0)
    if spectra.correlations is None or not isinstance(spectra.grid, XPGrid):
        chi2 = (pull**2 / (1 + extra)).sum(axis=1)
    else:
        chi2 = np.zeros(len(spectra))
        for band in BANDS:
            columns = spectra.grid.band(band)
            packed = spectra.correlations[:, spectra.grid.correlation_slice(band)]
            chi2 += _band(
                pull[:, columns], extra[:, columns], used[:, columns], packed, spectra.source_id
            )
    dof = used.sum(axis=1)
    return np.where(dof > 0, chi2, np.nan), dof


def _band(
    pull: np.ndarray,
    extra: np.ndarray,
    used: np.ndarray,
    packed: np.ndarray,
    source_id: np.ndarray,
) -> np.ndarray:
    """pᵀ (R + diag(ŝ²/σ²))⁻¹ p of one band, a batch of stars at a time."""
    n, size = pull.shape
    chi2, diagonal = np.zeros(n), np.arange(size)
    for start in range(0, n, _BATCH):
        rows = slice(start, min(start + _BATCH, n))
        triangle = packed[rows].astype(np.float64)
        known = np.asarray(np.isfinite(triangle).all(axis=1))
        matrices = unpack_correlations(np.where(known[:, np.newaxis], triangle, 0.0), size)
        # A value that is not there is cut out of the covariance: its row and column count
        # as independent, and its pull is 0.
        both = used[rows][:, :, np.newaxis] & used[rows][:, np.newaxis, :]
        matrices = np.where(both, matrices, 0.0)
        correlated = np.where(known, 1.0 + _TOLERANCE, 1.0)
        matrices[:, diagonal, diagonal] = correlated[:, np.newaxis] + extra[rows]
        try:
            lower = np.linalg.cholesky(matrices)
        except np.linalg.LinAlgError as error:
            first = np.argmax(np.linalg.eigvalsh(matrices)[:, 0] <= 0)
            raise StarkinError(
                f"The correlations of source_id {source_id[start + first]} are those of no "
                "distribution (not positive definite); leave the star out."
            ) from error
        white = np.linalg.solve(lower, pull[rows][:, :, np.newaxis])[:, :, 0]
        chi2[rows] = (white**2).sum(axis=1)
    return chi2
