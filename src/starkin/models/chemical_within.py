"""How much of the conditions is left in the latents, as far as the fit itself can tell."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..io.latents import TwinPrior
from ..nets.chemical import ChemicalDecoder
from .chemical_gauge import alignment, condition_grid, directions

__all__ = ["twin_prior_of"]

_DRAWS = 8  # alignments on random halves of the spectrum
_BLOCKS = 24
_MOMENT_TERMS = 5  # of the covariance's polynomial beside its constant
_MEAN_TERMS = 9
_SYSTEMATIC = 10.0  # how much more a misfit leaks than it would as noise
_LEAST = 0.02  # part of each latent's variance that counts as leakage in any case


@torch.no_grad()
def twin_prior_of(
    decoder: ChemicalDecoder,
    components: Tensor,
    z: Tensor,
    u: Tensor,
    noise: Tensor,
    misfit: Tensor,
    *,
    inflation: float,
    seed: int,
) -> TwinPrior:
    """Leakage and spread of the latents of training stars.

    Nothing is known of true pairs. Three sources of leakage can be told from one fit:

    * the moments that :func:`~starkin.models.chemical_gauge.standardise` makes equal have a
      sampling error, 1/√n for each entry of the covariance and each term in the conditions;
    * the rotation that aligns the pixels is not the same for all pixels: halves of the
      spectrum, and pixels weighted alike or robustly, ask for different ones. Their
      disagreement, averaged over the conditions, points where leakage points;
    * what the decoder cannot describe is taken for noise in encoding, but it changes with the
      conditions as a whole and not from pixel to pixel: the covariance that it gives the
      latents counts ten times.

    Where latents came to lie while others were still missing cannot be seen from one fit. A
    fiftieth of each latent's variance is added for it: half of that and half as much again find
    as many twins within half a point at S/N 30 and 100.

    Parameters
    ----------
    decoder : ChemicalDecoder
        After alignment.
    components : Tensor, shape (n_pixels, n_outputs)
        From outputs to flux.
    z : Tensor, shape (n_stars, n_latent)
        Latents of the training stars.
    u : Tensor, shape (n_stars, n_conditions)
        Their scaled conditions.
    noise : Tensor, shape (n_latent, n_latent)
        Mean covariance of the noise in ``z``.
    misfit : Tensor, shape (n_latent, n_latent)
        Covariance that the decoder's misfit gives a latent.
    inflation : float
        Factor on the first two.
    seed : int
        Decides the halves of the spectrum.
    """
    n, d = z.shape
    within = torch.eye(d, dtype=torch.float64) * (
        _MOMENT_TERMS * (d + 1) / (4 * n) + _MEAN_TERMS / n
    )
    within += _disagreement(directions(decoder, components, condition_grid(u, seed)), seed)
    within = inflation * within + _SYSTEMATIC * misfit.double() + _LEAST * torch.eye(d)
    spread = torch.from_numpy(np.cov(z.double().numpy().T).reshape(d, d))
    between = _positive(spread - within - noise.double(), 0.01 * spread)
    return TwinPrior(z.double().mean(0).numpy(), within.numpy(), between.numpy())


def _disagreement(responses: Tensor, seed: int) -> Tensor:
    """Mean of (R − R̄)(R − R̄)ᵀ over conditions and ways to align, shape (n_latent, n_latent)."""
    n_pixels = responses.shape[1]
    generator = torch.Generator().manual_seed(seed)
    block = torch.arange(n_pixels) * _BLOCKS // n_pixels
    ways = [alignment(responses, power=power) for power in (0.0, 1.0, 2.0)]
    for _ in range(_DRAWS):
        chosen = torch.rand(_BLOCKS, generator=generator) < 0.5
        if bool(chosen.any()):
            ways.append(alignment(responses[:, chosen[block]].contiguous()))
    rotations = torch.stack(ways).double()
    away = rotations - rotations.mean(0)
    return torch.einsum("wgij,wgik->jk", away, away) / (len(ways) * rotations.shape[1])


def _positive(matrix: Tensor, floor: Tensor) -> Tensor:
    """The matrix with no variance below the floor's in any direction."""
    root = torch.linalg.cholesky(floor)
    inverse = torch.linalg.inv(root)
    values, vectors = torch.linalg.eigh(inverse @ matrix @ inverse.T)
    return root @ (vectors * values.clamp(min=1.0)) @ vectors.T @ root.T
