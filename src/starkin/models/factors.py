"""Factor analysis of noisy spectra in closed form: where our recipe starts.

x = b + W·z + ε with z ~ N(0, 1) and ε ~ N(0, Ψ), Ψ = diag(σ² + ŝ²). With Ψ known the
maximum-likelihood loadings are Ψ^½·U·(Λ − 1)^½, with U, Λ the leading eigenvectors and
eigenvalues of Ψ^-½·S·Ψ^-½ (Tipping & Bishop 1999, eq. 7, after whitening the noise). Ψ
follows from the diagonal the factors leave, never below the typical squared error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["FactorAnalysis", "fit_factors"]


@dataclass(frozen=True)
class FactorAnalysis:
    """A linear-Gaussian model of spectra.

    Attributes
    ----------
    mean : ndarray, shape (n_pixels,)
    loadings : ndarray, shape (n_pixels, n_latent)
    unique : ndarray, shape (n_pixels,)
        Intrinsic variance that the factors leave, ŝ².
    noise : ndarray, shape (n_pixels,)
        Typical squared error, τ².
    """

    mean: np.ndarray
    loadings: np.ndarray
    unique: np.ndarray
    noise: np.ndarray


def fit_factors(
    x: np.ndarray, sigma: np.ndarray, used: np.ndarray, n_latent: int, *, iterations: int = 10
) -> FactorAnalysis:
    """Fit by alternating the loadings (closed form) and the unique variances.

    Parameters
    ----------
    x, sigma : ndarray, shape (n_stars, n_pixels)
        Spectra and errors.
    used : ndarray of bool, shape (n_stars, n_pixels)
        False where masked; moments are over the stars that have both pixels.
    n_latent : int
        Number of factors.
    iterations : int
        Each costs one eigen-decomposition of an (n_pixels, n_pixels) matrix.
    """
    weight = used.astype(np.float32)
    count = np.maximum(weight.sum(0, dtype=np.float64), 1)
    mean = np.where(used, x, 0).sum(0, dtype=np.float64) / count
    centred = np.where(used, x - mean.astype(x.dtype), 0)
    if used.all():
        covariance = (centred.T @ centred).astype(np.float64) / len(x)
    else:
        pairs = np.maximum((weight.T @ weight).astype(np.float64), 1)
        covariance = (centred.T @ centred).astype(np.float64) / pairs
    # The median: a few very faint stars must not make every spectrum look noisy.
    noise = (
        np.nanmedian(np.where(used, sigma, np.nan), axis=0)
        if not used.all()
        else np.median(sigma, axis=0)
    )
    noise = np.where(np.isfinite(noise), noise, 1.0).astype(np.float64) ** 2
    least = 1e-6 * np.maximum(np.diag(covariance), 1e-12)
    psi = np.maximum(0.5 * np.diag(covariance), noise + least)
    for _ in range(iterations):
        root = np.sqrt(psi)
        values, vectors = np.linalg.eigh(covariance / np.outer(root, root))
        gain = np.sqrt(np.maximum(values[::-1][:n_latent] - 1, 1e-6))
        loadings = root[:, None] * vectors[:, ::-1][:, :n_latent] * gain
        psi = np.maximum(np.diag(covariance) - (loadings**2).sum(1), noise + least)
    return FactorAnalysis(mean, loadings, psi - noise, noise)
