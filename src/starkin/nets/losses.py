"""Losses; each returns one typed result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .likelihood import gaussian_nll
from .posterior import GaussianPosterior

__all__ = ["Elbo", "Fit", "LossNormalisation", "elbo"]

LossNormalisation = Literal["sum", "mean"]


@dataclass(frozen=True)
class Elbo:
    """A negative evidence lower bound, averaged over stars.

    Attributes
    ----------
    total : Tensor, scalar
        What is minimised; it carries the gradient.
    reconstruction, kl : Tensor, scalar
        The two terms in nats per star (summed over coefficients and latents,
        without the 2π constant), whatever the normalisation of ``total``.
    kl_per_dimension : Tensor, shape (n_latent,)
        KL of each latent's marginal posterior from the prior [nat].
    n : int
        Stars.
    """

    total: Tensor
    reconstruction: Tensor
    kl: Tensor
    kl_per_dimension: Tensor
    n: int

    @property
    def nats(self) -> Tensor:
        """−ELBO in nats per star without the 2π constant: what recipes are compared by."""
        return self.reconstruction + self.kl


@dataclass(frozen=True)
class Fit:
    """A negative log-likelihood, averaged over stars; for models that infer nothing.

    Attributes
    ----------
    total : Tensor, scalar
        What is minimised [nat per star, without the 2π constant]; it carries the gradient.
    """

    total: Tensor

    @property
    def nats(self) -> Tensor:
        return self.total.detach()

    @property
    def reconstruction(self) -> Tensor:
        return self.total.detach()

    @property
    def kl(self) -> Tensor:
        return torch.zeros_like(self.total.detach())


def elbo(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    used: Tensor,
    posterior: GaussianPosterior,
    *,
    normalisation: LossNormalisation = "sum",
    kl_weight: float = 1.0,
) -> Elbo:
    """−ELBO of spectra given one draw of their latents.

    Parameters
    ----------
    x, mean, variance : Tensor, shape (n_stars, n_pixels)
        Spectrum; expectation at the drawn latent; σ² + ŝ².
    used : Tensor of bool, shape (n_stars, n_pixels)
        False where masked.
    posterior : GaussianPosterior
        That the latent was drawn from.
    normalisation : {"sum", "mean"}
        ``"sum"``: ½Σ over coefficients plus ½Σ over latents, as in the published
        training code and as the ELBO is defined. ``"mean"``: each sum divided by
        its length and no ½, as on the slides (eqs. 1–5); beside ``"sum"`` it
        weighs the KL 110/6 times more. A star with masked coefficients is
        divided by the number it has.
    kl_weight : float
        Factor on the KL term, for a warm-up.
    """
    nll = gaussian_nll(x, mean, variance, used)
    kl = posterior.kl()
    if normalisation == "sum":
        total = (nll + kl_weight * kl).mean()
    else:
        n_used = used.sum(-1).clamp(min=1)
        total = (2 * nll / n_used + kl_weight * 2 * kl / posterior.n_latent).mean()
    return Elbo(
        total=total,
        reconstruction=nll.detach().mean(),
        kl=kl.detach().mean(),
        kl_per_dimension=posterior.kl_per_dimension().detach().mean(0),
        n=len(x),
    )
