"""Probabilistic PCA of spectra with an error for every value and with values missing.

x_nj = f_n·C_j + W_j·z_n + δ_nj + e_nj with z ~ N(0, 1), known features f (1, or powers of
the conditions), unexplained scatter δ ~ N(0, s²) and measurement noise e ~ N(0, σ²_nj). With
σ = 0 and nothing masked this is Tipping & Bishop 1999 (JRSS B 61, 611), whose closed form is
the start of an EM for the rest: a masked value is one with infinite σ, and each pixel's
[C_j, W_j] follows from a weighted regression on the expected latents (the weighted form of
their eq. 29; Bailey 2012, PASP 124, 1015 for the use on spectra).

All sums over stars go through spectra in chunks, as float32 products with float64 totals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from .inputs import few_of

__all__ = ["PPCA", "Posterior", "Source", "fit_mean", "fit_ppca", "infer", "principal_axes"]

_CHUNK = 1024
_LOG_2PI = math.log(2 * math.pi)
#: Stars that the start of an EM is computed from, at most.
_START_STARS = 5000
#: Pixels up to which the PCA is exact; above, scikit-learn's randomised one.
_EXACT_PIXELS = 2000

#: Gives x, σ (None for zeros), what is used (None for all) and the features of some stars.
Source = Callable[[np.ndarray], tuple[Tensor, Tensor | None, Tensor | None, Tensor]]


@dataclass(frozen=True)
class PPCA:
    """A linear-Gaussian model of spectra.

    Attributes
    ----------
    coefficients : Tensor of float64, shape (n_pixels, n_features)
        C: what the known features explain.
    loadings : Tensor of float64, shape (n_pixels, n_latent)
        W, with orthogonal columns, the largest first.
    variance : float
        s²: variance of what neither explains, in the unit of the values squared.
    """

    coefficients: Tensor
    loadings: Tensor
    variance: float


@dataclass(frozen=True)
class Posterior:
    """What a :class:`PPCA` says of some stars.

    Attributes
    ----------
    mean : Tensor of float64, shape (n_stars, n_latent)
    covariance : Tensor of float64, shape (n_stars, n_latent, n_latent)
    log_likelihood : Tensor of float64, shape (n_stars,)
        log p(x) of the values used [nat].
    distance : Tensor of float64, shape (n_stars,)
        (x − fC)ᵀ cov(x)⁻¹ (x − fC): χ² with as many degrees of freedom as values used.
    n_used : Tensor of float64, shape (n_stars,)
    """

    mean: Tensor
    covariance: Tensor
    log_likelihood: Tensor
    distance: Tensor
    n_used: Tensor


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


def _weights(sigma: Tensor | None, used: Tensor | None, x: Tensor, variance: float) -> Tensor:
    """1/(s² + σ²), 0 where masked: one row where all stars share it, else one a star."""
    if sigma is None:
        weight = torch.full_like(x[:1], 1 / variance)
    else:
        same = bool((sigma == sigma[:1]).all())
        weight = 1 / ((sigma[:1] if same else sigma) ** 2 + variance)
    return weight if used is None else weight * used


def _outer(rows: Tensor) -> Tensor:
    """Products of all pairs of columns, the lower triangle row by row: shape (n, k(k+1)/2)."""
    i, j = torch.tril_indices(rows.shape[1], rows.shape[1])
    return rows[:, i] * rows[:, j]


def _unpack(packed: Tensor, k: int) -> Tensor:
    """Symmetric matrices of :func:`_outer`'s columns: shape (n, k, k)."""
    full = packed.new_empty((len(packed), k, k))
    i, j = torch.tril_indices(k, k)
    full[:, i, j] = packed
    full[:, j, i] = packed
    return full


class _Regression:
    """Weighted least squares of every pixel on the same regressors, gathered by chunks."""

    def __init__(self, n_pixels: int, n_regressors: int, device: str) -> None:
        k = n_regressors
        self.k = k
        self.squares = torch.zeros((n_pixels, k * (k + 1) // 2), dtype=torch.float64, device=device)
        self.products = torch.zeros((n_pixels, k), dtype=torch.float64, device=device)

    def add(self, weight: Tensor, x: Tensor, first: Tensor, second: Tensor) -> None:
        """``first``: expected regressors; ``second``: expectation of :func:`_outer` of them."""
        if len(weight) == 1:
            self.squares += weight[0].double()[:, None] * second.sum(0)
        else:
            self.squares += weight.T @ second.to(weight.dtype)
        self.products += (weight * x).T @ first.to(x.dtype)

    def solve(self) -> Tensor:
        """Coefficients, shape (n_pixels, n_regressors); 0 for a pixel that nobody has."""
        matrix = _unpack(self.squares, self.k)
        size = torch.einsum("pii->p", matrix) / self.k
        ridge = torch.where(size > 0, 1e-12 * size, 1.0)
        matrix += ridge[:, None, None] * torch.eye(self.k, dtype=matrix.dtype, device=matrix.device)
        return torch.linalg.solve(matrix, self.products[:, :, None])[:, :, 0]


def fit_mean(rows: np.ndarray, source: Source, *, device: str = "cpu") -> Tensor:
    """C by weighted least squares with weights 1/σ², shape (n_pixels, n_features).

    Parameters
    ----------
    rows : ndarray of int, shape (n_stars,)
        The stars to fit.
    source : callable
        Gives their spectra, chunk by chunk.
    device : str
        Where to compute.
    """
    regression: _Regression | None = None
    for some in _chunks(rows):
        x, sigma, used, features = (_to(t, device) for t in source(some))
        assert x is not None
        assert features is not None
        if regression is None:
            regression = _Regression(x.shape[1], features.shape[1], device)
        weight = _weights(sigma, used, x, 1.0 if sigma is None else 0.0)
        regression.add(weight, x, features, _outer(features.double()))
    assert regression is not None
    return regression.solve()


def principal_axes(
    rows: np.ndarray, source: Source, mean: Tensor, n_axes: int, *, seed: int = 0
) -> tuple[Tensor, Tensor, float]:
    """Plain PCA of x − fC, masked values at 0, every value weighing the same.

    Returns
    -------
    axes : Tensor of float64, shape (n_pixels, n_axes)
        Orthonormal; the largest entry of each is positive.
    variances : Tensor of float64, shape (n_axes,)
        Along the axes, the largest first.
    rest : float
        Mean variance of a pixel along all other axes.
    """
    pieces = []
    for some in _chunks(rows):
        x, _, used, features = source(some)
        residual = x - features.to(x.dtype) @ mean.to(x).T
        pieces.append(residual if used is None else residual * used)
    matrix = torch.cat(pieces).numpy()
    n, p = matrix.shape
    n_axes = min(n_axes, n - 1, p)
    exact = p <= _EXACT_PIXELS
    pca = PCA(
        n_axes,
        copy=False,
        svd_solver=("covariance_eigh" if n >= p else "full") if exact else "randomized",
        random_state=seed,
    ).fit(matrix)
    axes = torch.from_numpy(pca.components_.T.astype(np.float64))
    axes = axes * torch.sign(axes.gather(0, axes.abs().argmax(0, keepdim=True)))
    rest = float(pca.noise_variance_) if n_axes < min(n, p) else 0.0
    # Randomised or not, scikit-learn averages over min(n, p) axes; the pixels are p.
    rest *= (min(n, p) - n_axes) / max(p - n_axes, 1)
    return axes, torch.from_numpy(pca.explained_variance_.astype(np.float64)), rest


def fit_ppca(
    rows: np.ndarray,
    source: Source,
    mean: Tensor,
    n_latent: int,
    *,
    iterations: int = 15,
    tolerance: float = 1e-6,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, float], None] | None = None,
) -> tuple[PPCA, list[float]]:
    """Loadings and scatter by EM; the first feature's coefficient (the constant) moves too.

    Parameters
    ----------
    rows : ndarray of int, shape (n_stars,)
        The stars to fit.
    source : callable
        Gives their spectra, chunk by chunk.
    mean : Tensor, shape (n_pixels, n_features)
        C, from :func:`fit_mean`; the first feature must be 1.
    n_latent : int
        Columns of W.
    iterations : int
        At most; each passes over the spectra once.
    tolerance : float
        Stop when the log-likelihood of a value used gains less [nat].
    seed : int
        Of the randomised PCA at the start.
    device : str
        Where to compute.
    progress : callable, optional
        Told of every iteration, with its mean log-likelihood of a star.

    Returns
    -------
    PPCA
    list of float
        Mean log-likelihood of a star before each iteration [nat].
    """
    few = few_of(rows, _START_STARS)
    axes, variances, rest = principal_axes(few, source, mean, n_latent, seed=seed)
    d = axes.shape[1]
    noise = _mean_noise(few, source)
    least = 1e-6 * float(variances.sum() / len(mean)) + 1e-30
    variance = max(rest - noise, 0.01 * rest, least)
    loadings = axes * torch.sqrt(torch.clamp(variances - variance - noise, min=least))
    mean, loadings = mean.clone().to(device), loadings.to(device)
    gained: list[float] = []
    for _ in range(iterations):
        regression = _Regression(len(mean), d + 1, device)
        moments = torch.zeros((d + 1) * (d + 2) // 2, dtype=torch.float64, device=device)
        squares = count = total = 0.0
        for some in _chunks(rows):
            x, sigma, used, features = (_to(t, device) for t in source(some))
            assert x is not None
            assert features is not None
            residual = x - features.to(x.dtype) @ mean.to(x.dtype).T
            weight = _weights(sigma, used, x, variance)
            found, spread = _posterior(residual, weight, used, loadings, prior=1.0)
            one = torch.ones((len(x), 1), dtype=torch.float64, device=device)
            first = torch.cat([one, found.mean], dim=1)
            outer = _outer(first)
            i, j = torch.tril_indices(d + 1, d + 1)
            outer[:, (i > 0) & (j > 0)] += spread
            regression.add(weight, residual, first, outer)
            moments += outer.sum(0)
            squares += _scatter(residual, weight, used, loadings, found.mean, spread, variance)
            count += float(found.n_used.sum())
            total += float(found.log_likelihood.sum())
        gained.append(total / len(rows))
        solved = regression.solve()
        # Parameter-expanded EM (Liu, Rubin & Wu 1998, Biometrika 85, 755): let the latents have
        # the mean and the covariance found, then put both into C and W. Without it the size of
        # the loadings creeps towards its value over hundreds of iterations.
        second = _unpack(moments[None] / len(rows), d + 1)[0]
        average = second[1:, 0]
        root = torch.linalg.cholesky(second[1:, 1:] - torch.outer(average, average))
        mean[:, 0] += solved[:, 0] + solved[:, 1:] @ average
        loadings = solved[:, 1:] @ root
        variance = max(squares / count, least)
        if progress is not None:
            progress(len(gained), gained[-1])
        if len(gained) > 1 and gained[-1] - gained[-2] < tolerance * count / len(rows):
            break
    # The same model in its principal axes, so that seeds and starts agree on the latents.
    u, s, _ = torch.linalg.svd(loadings, full_matrices=False)
    u = u * torch.sign(u.gather(0, u.abs().argmax(0, keepdim=True)))
    return PPCA(mean, u * s, variance), gained


def infer(
    model: PPCA, rows: np.ndarray, source: Source, *, prior: float = 1.0, device: str = "cpu"
) -> Posterior:
    """Posterior of the latents of some stars, and their likelihood.

    ``prior`` = 0 leaves the prior out of the mean and the covariance: the least-squares
    projection of plain PCA.
    """
    mean, loadings = model.coefficients.to(device), model.loadings.to(device)
    parts: list[Posterior] = []
    for some in _chunks(rows):
        x, sigma, used, features = (_to(t, device) for t in source(some))
        assert x is not None
        assert features is not None
        residual = x - features.to(x.dtype) @ mean.to(x.dtype).T
        weight = _weights(sigma, used, x, model.variance)
        parts.append(_posterior(residual, weight, used, loadings, prior=prior)[0])
    joined = [
        torch.cat([getattr(part, name).cpu() for part in parts])
        for name in ("mean", "covariance", "log_likelihood", "distance", "n_used")
    ]
    return Posterior(*joined)


def _posterior(
    residual: Tensor, weight: Tensor, used: Tensor | None, loadings: Tensor, *, prior: float
) -> tuple[Posterior, Tensor]:
    """Posterior of a chunk, and the packed posterior covariances, (1 or n_stars, …)."""
    n, p = residual.shape
    d = loadings.shape[1]
    w = loadings.to(residual.dtype)
    precision = _unpack((weight @ _outer(w)).double(), d)  # Wᵀ·diag(weight)·W, one or each
    eye = torch.eye(d, dtype=torch.float64, device=residual.device)
    b = ((weight * residual) @ w).double()
    root = torch.linalg.cholesky(precision + eye)
    # A hair of a prior at least: a star with fewer values than latents stays solvable.
    least = 1e-9 * torch.einsum("nii->n", precision).clamp(min=1e-30)[:, None, None] / d
    inner = root if prior == 1.0 else torch.linalg.cholesky(precision + (prior + least) * eye)
    covariance = torch.cholesky_inverse(inner)
    mean = torch.einsum("nij,nj->ni", covariance.expand(n, d, d), b)
    shrunk = torch.cholesky_solve(b[:, :, None], root.expand(n, d, d))[:, :, 0]
    distance = (weight * residual**2).sum(1).double() - (b * shrunk).sum(1)
    log_weight = torch.where(weight > 0, torch.log(weight), 0.0).sum(1).double()
    log_det = 2 * torch.log(torch.diagonal(root, dim1=1, dim2=2)).sum(1)
    n_used = residual.new_full((n,), p) if used is None else used.sum(1)
    n_used = n_used.double()
    log_likelihood = -0.5 * (n_used * _LOG_2PI - log_weight + distance + log_det)
    i, j = torch.tril_indices(d, d)
    found = Posterior(mean, covariance.expand(n, d, d), log_likelihood, distance, n_used)
    return found, covariance[:, i, j]


def _scatter(
    residual: Tensor,
    weight: Tensor,
    used: Tensor | None,
    loadings: Tensor,
    mean: Tensor,
    covariance: Tensor,
    variance: float,
) -> float:
    """Σ E[δ²] over the values used: with g = s²/(s² + σ²), g²·E[(x − Wz)²] + s²(1 − g)."""
    w = loadings.to(residual.dtype)
    gain = weight * variance
    left = gain * (residual - mean.to(residual.dtype) @ w.T)
    d = w.shape[1]
    i, j = torch.tril_indices(d, d)
    twice = torch.where(i == j, 1.0, 2.0).to(covariance)
    spread = (gain**2 @ _outer(w)).double() * (covariance * twice)
    n = len(residual)
    each = n if len(gain) == 1 else 1
    each_spread = n if len(spread) == 1 else 1
    there = gain > 0 if used is None else used
    uncertain = ((1 - gain) * there).double().sum() * variance * each
    return float((left**2).double().sum() + spread.sum() * each_spread + uncertain)


def _mean_noise(rows: np.ndarray, source: Source) -> float:
    """Mean σ² of the values used."""
    total, count = 0.0, 0.0
    for some in _chunks(rows):
        x, sigma, used, _ = source(some)
        if sigma is None:
            return 0.0
        squares = (sigma**2).double()
        total += float((squares if used is None else squares * used).sum())
        count += float(x.numel() if used is None else used.sum())
    return total / max(count, 1.0)


def _to(tensor: Tensor | None, device: str) -> Tensor | None:
    return None if tensor is None else tensor.to(device)
