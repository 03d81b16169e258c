"""The packed layout of coefficient correlations, and matrices from it.

The archive gives the strict upper triangle of each band's correlation matrix
column by column: r(0,1), r(0,2), r(1,2), r(0,3), … (Gaia DR3 data model,
``xp_continuous_mean_spectrum``). starkin keeps exactly that: one float32 row
of 1485 + 1485 numbers a star (11.9 kB against 24.2 kB for two full matrices),
so that a file's correlations are stored and streamed without being touched
and full matrices exist only for the chunk in hand.
"""

from __future__ import annotations

import numpy as np

from .errors import StarkinError

__all__ = ["is_positive_definite", "pack_correlations", "unpack_correlations"]


def _triangle(size: int) -> tuple[np.ndarray, np.ndarray]:
    # The transpose of the lower triangle row by row is the upper one column by column.
    column, row = np.tril_indices(size, k=-1)
    return row, column


def unpack_correlations(packed: np.ndarray, size: int) -> np.ndarray:
    """Full correlation matrices from packed triangles.

    Parameters
    ----------
    packed : ndarray, shape (..., size·(size-1)/2)
        Triangles as the archive gives them.
    size : int
        Coefficients of the band.

    Returns
    -------
    ndarray, shape (..., size, size)
        Symmetric, with ones on the diagonal.
    """
    packed = np.asarray(packed)
    expected = size * (size - 1) // 2
    if packed.shape[-1] != expected:
        raise StarkinError(
            f"A band of {size} coefficients has {expected} correlations, got {packed.shape[-1]}."
        )
    row, column = _triangle(size)
    full = np.empty((*packed.shape[:-1], size, size), dtype=np.result_type(packed, np.float32))
    full[..., row, column] = packed
    full[..., column, row] = packed
    diagonal = np.arange(size)
    full[..., diagonal, diagonal] = 1.0
    return full


def pack_correlations(full: np.ndarray) -> np.ndarray:
    """Packed upper triangles, column by column, of matrices of shape (..., size, size)."""
    row, column = _triangle(np.shape(full)[-1])
    return np.asarray(full)[..., row, column]


def is_positive_definite(
    packed: np.ndarray, size: int, *, tolerance: float = 1e-5, batch: int = 64
) -> np.ndarray:
    """Which packed triangles are those of a positive definite matrix, shape (n_stars,).

    Parameters
    ----------
    packed : ndarray, shape (n_stars, size·(size-1)/2)
        A row with anything that is not finite is not positive definite.
    size : int
        Coefficients of the band.
    batch : int
        Matrices factorised at a time.
    tolerance : float
        Added to the diagonal before the test (Cholesky's factorisation). Rounding to
        float32 moves the eigenvalues of a matrix of 55 by up to 55 · 2⁻²⁴ = 3e-6, so a
        smaller number would condemn sound matrices that are nearly singular.
    """
    good = np.isfinite(packed).all(axis=1)
    for start in range(0, len(packed), batch):
        chosen = start + np.flatnonzero(good[start : start + batch])
        matrices = unpack_correlations(packed[chosen], size)
        diagonal = np.arange(size)
        matrices[:, diagonal, diagonal] += tolerance
        try:
            np.linalg.cholesky(matrices)
        except np.linalg.LinAlgError:  # of one at least: find out which
            good[chosen] = [_has_cholesky(matrix) for matrix in matrices]
    return good


def _has_cholesky(matrix: np.ndarray) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True
