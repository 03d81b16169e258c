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

__all__ = ["pack_correlations", "unpack_correlations"]


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
