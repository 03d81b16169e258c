"""The Cannon: every pixel a quadratic function of the labels, found by linear algebra.

For each pixel j the coefficients θ and the intrinsic scatter s² minimise (Ness et al. 2015,
eq. 8; with the penalty, Casey et al. 2016, eq. 7)

    Σ_n [ (x_nj − θ_j·v(ℓ_n))² / (σ_nj² + s_j²) + ln(σ_nj² + s_j²) ] + Λ Σ_k |θ_kj|,

the constant term being free of the penalty. θ given s is a weighted least-squares problem,
s given θ one root; the two alternate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .intrinsic import intrinsic_variance
from .label_network import LabelNetwork

__all__ = ["CannonNetwork", "fit_quadratic", "quadratic_features"]

#: Stars × pixels in work at a time.
_CHUNK_NUMBERS = 2**22
_SWEEPS = 500


def quadratic_features(labels: Tensor) -> Tensor:
    """1, the labels, and their products ℓ_i ℓ_j with i ≤ j (Ness et al. 2015, eq. 2).

    Shape (n_stars, 1 + d + d(d+1)/2), products in the order (0,0), (0,1), …, (1,1), ….
    """
    row, column = torch.triu_indices(labels.shape[1], labels.shape[1], device=labels.device)
    products = labels[:, row] * labels[:, column]
    return torch.cat([torch.ones_like(labels[:, :1]), labels, products], dim=1)


class CannonNetwork(LabelNetwork):
    """Every pixel a quadratic function of the labels.

    ``coefficients``, shape (n_features, n_pixels), are found by linear algebra, not by
    gradients.
    """

    coefficients: Tensor

    def __init__(self, n_pixels: int, n_labels: int) -> None:
        super().__init__(n_pixels)
        n_features = 1 + n_labels + n_labels * (n_labels + 1) // 2
        self.register_buffer("coefficients", torch.zeros(n_features, n_pixels))
        self.double()

    def forward(self, labels: Tensor) -> Tensor:
        return quadratic_features(labels) @ self.coefficients


def fit_quadratic(
    labels: Tensor,
    x: Tensor,
    variance: Tensor,
    used: Tensor,
    *,
    penalty: float = 0.0,
    iterations: int = 10,
) -> tuple[Tensor, Tensor]:
    """Coefficients and intrinsic variance of every pixel.

    Parameters
    ----------
    labels : Tensor, shape (n_stars, n_labels)
        Standardised.
    x, variance : Tensor, shape (n_stars, n_pixels)
        Spectra and squared errors.
    used : Tensor of bool, shape (n_stars, n_pixels)
        False where masked.
    penalty : float
        Λ; 0 for none.
    iterations : int
        Alternations of coefficients and scatter, at most.

    Returns
    -------
    coefficients : Tensor, shape (n_features, n_pixels)
    intrinsic : Tensor, shape (n_pixels,)
    """
    features = quadratic_features(labels.double())
    n_features = features.shape[1]
    row, column = torch.triu_indices(n_features, n_features, device=labels.device)
    products = features[:, row] * features[:, column]
    size = max(1, _CHUNK_NUMBERS // len(features))
    pieces = []
    for start in range(0, x.shape[1], size):
        part = slice(start, start + size)
        xs, vs = x[:, part].double(), variance[:, part].double()
        good = used[:, part]
        scatter = torch.zeros_like(xs[0])
        theta = torch.zeros((n_features, xs.shape[1])).to(xs)
        for _ in range(iterations):
            weight = good / (vs + scatter)
            gram = torch.zeros((xs.shape[1], n_features, n_features)).to(xs)
            gram[:, row, column] = gram[:, column, row] = weight.T @ products
            moment = (weight * xs).T @ features
            theta = _solve(gram, moment, penalty).T
            squares = (xs - features @ theta) ** 2
            before, scatter = scatter, intrinsic_variance(squares, vs, good)
            if bool((scatter - before).abs().le(1e-6 * scatter + 1e-14).all()):
                break
        pieces.append((theta, scatter))
    return torch.cat([t for t, _ in pieces], dim=1), torch.cat([s for _, s in pieces])


def _solve(gram: Tensor, moment: Tensor, penalty: float) -> Tensor:
    """Coefficients, shape (n_pixels, n_features), of weighted normal equations.

    With a penalty, by cyclic coordinate descent (Friedman et al. 2010) on all pixels at once:
    θ_k ← S(m_k − Σ_{j≠k} G_kj θ_j, Λ/2) / G_kk with S the soft threshold.
    """
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    # A trace of the diagonal: a pixel that few stars have must not stop the others.
    safe = gram + torch.diag_embed(1e-13 * diagonal + 1e-300)
    theta = torch.linalg.solve(safe, moment)
    if penalty == 0:
        return theta
    threshold = torch.full_like(theta, penalty / 2)
    threshold[:, 0] = 0
    for _ in range(_SWEEPS):
        before = theta.clone()
        for k in range(theta.shape[1]):
            rest = moment[:, k] - (gram[:, k] * theta).sum(1) + diagonal[:, k] * theta[:, k]
            size = (rest.abs() - threshold[:, k]).clamp(min=0)
            theta[:, k] = rest.sign() * size / diagonal[:, k].clamp(min=1e-300)
        if bool((theta - before).abs().max() <= 1e-9 * theta.abs().max()):
            break
    return theta
