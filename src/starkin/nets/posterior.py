"""The Gaussian posterior q(z | x) that an encoder returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from torch import Tensor

__all__ = ["GaussianPosterior"]


@dataclass(frozen=True)
class GaussianPosterior:
    """Normal distributions with covariance L·Lᵀ, one a star.

    L = diag(exp(``log_scale``))·(1 + ``lower``), with ``lower`` strictly lower
    triangular: the scale of a whole row moves with one number, as it does when
    the errors of a spectrum grow.

    Attributes
    ----------
    mean, log_scale : Tensor, shape (n_stars, n_latent)
    lower : Tensor or None, shape (n_stars, n_latent·(n_latent−1)/2)
        Row by row; None for a diagonal covariance.
    """

    mean: Tensor
    log_scale: Tensor
    lower: Tensor | None = None

    @classmethod
    def from_parameters(cls, parameters: Tensor, n_latent: int) -> GaussianPosterior:
        """From mean, log scale and (if any) lower triangle side by side, one row a star."""
        d = n_latent
        lower = parameters[:, 2 * d :] if parameters.shape[1] > 2 * d else None
        return cls(parameters[:, :d], parameters[:, d : 2 * d], lower)

    def parameters(self) -> Tensor:
        """The inverse of :meth:`from_parameters`."""
        parts = [self.mean, self.log_scale] + ([] if self.lower is None else [self.lower])
        return torch.cat(parts, dim=1)

    @property
    def n_latent(self) -> int:
        return int(self.mean.shape[1])

    def scale_tril(self) -> Tensor:
        """L, shape (n_stars, n_latent, n_latent)."""
        if self.lower is None:
            return torch.diag_embed(torch.exp(self.log_scale))
        d = self.n_latent
        unit = torch.eye(d, dtype=self.mean.dtype, device=self.mean.device)
        matrix = unit.expand(len(self.mean), d, d).clone()
        row, column = torch.tril_indices(d, d, offset=-1, device=self.mean.device)
        matrix[:, row, column] = self.lower
        return torch.exp(self.log_scale)[:, :, None] * matrix

    @torch.no_grad()
    def covariance(self, out: Tensor | None = None) -> Tensor:
        """L·Lᵀ, shape (n_stars, n_latent, n_latent); no gradient flows through it."""
        d = self.n_latent
        if self.lower is None or self.mean.device.type != "cpu":
            if self.lower is None:
                covariance = torch.diag_embed(torch.exp(2 * self.log_scale))
            else:
                covariance = self.scale_tril() @ self.scale_tril().mT
            return covariance if out is None else out.copy_(covariance)
        # Batched products of so small matrices take many times as long as a plain loop.
        out = self.mean.new_empty((len(self.mean), d, d)) if out is None else out
        _outer(self.log_scale.detach().numpy(), self.lower.detach().numpy(), out.numpy())
        return out

    def variance(self) -> Tensor:
        """Diagonal of the covariance, shape (n_stars, n_latent)."""
        variance = torch.exp(2 * self.log_scale)
        if self.lower is None:
            return variance
        square = torch.zeros_like(self.mean)
        row = torch.tril_indices(self.n_latent, self.n_latent, offset=-1)[0].to(self.mean.device)
        return variance * (1 + square.index_add(1, row, self.lower**2))

    def sample(self, noise: Tensor) -> Tensor:
        """``mean + L·noise``; differentiable. ``noise``: shape (n_stars, n_latent)."""
        if self.lower is None:
            return self.mean + torch.exp(self.log_scale) * noise
        return self.mean + torch.einsum("nij,nj->ni", self.scale_tril(), noise)

    def kl(self) -> Tensor:
        """KL(q ‖ N(0, 1)) [nat], shape (n_stars,)."""
        excess = self.mean**2 + self.variance() - 1
        return 0.5 * excess.sum(1) - self.log_scale.sum(1)

    def kl_per_dimension(self) -> Tensor:
        """KL of each marginal of q from N(0, 1) [nat], shape (n_stars, n_latent).

        Their sum is the KL of the star when the covariance is diagonal and a
        lower bound to it otherwise.
        """
        variance = self.variance()
        return 0.5 * (self.mean**2 + variance - 1 - torch.log(variance))


@njit(nogil=True, cache=True, error_model="numpy")
def _outer(log_scale, lower, out):
    """Fill ``out`` with s_i s_j Σ_k U_ik U_jk, U unit lower triangular with rows in ``lower``."""
    scale = np.empty(log_scale.shape[1], out.dtype)
    for star in range(log_scale.shape[0]):
        for i in range(scale.size):
            scale[i] = np.exp(log_scale[star, i])
        for i in range(scale.size):
            row = i * (i - 1) // 2
            out[star, i, i] = scale[i] * scale[i]
            for k in range(i):
                out[star, i, i] += (scale[i] * lower[star, row + k]) ** 2
            for j in range(i):
                other = j * (j - 1) // 2
                total = lower[star, row + j]
                for k in range(j):
                    total += lower[star, row + k] * lower[star, other + k]
                total *= scale[i] * scale[j]
                out[star, i, j] = total
                out[star, j, i] = total
