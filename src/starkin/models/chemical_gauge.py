"""What fixes the latents: the same moments everywhere, and responses that keep their direction.

Latents that are independent of the conditions are not yet identified: they may turn with
temperature and stay independent of it. Two demands fix them.

1. *Moments.* Mean and covariance of the latents do not depend on the conditions
   (:func:`standardise`).
2. *Directions.* Where one element makes a pixel's lines, temperature changes how strongly
   the pixel answers to composition, but not to which mixture of elements: the pixel's
   gradient keeps its direction in latent space and changes its length only. Blends and
   molecules break this, so that the rotation is the one that a robust fit over all pixels
   asks for (:func:`alignment`), a Procrustes problem with a free length per pixel.

Among the few latents in which spectra bend most (:func:`by_curvature`) elements share molecules,
and *all* directions turn: what one molecule takes another lacks. A majority of pixels, those of
the molecule with the most lines, would keep its direction and leave all turning to the others.
There every direction has one vote, however many pixels share it (:func:`even_alignment`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..nets.chemical import ChemicalDecoder
from ..nets.smooth import least_squares, smooth_basis
from .inputs import few_of

__all__ = [
    "Rotation",
    "alignment",
    "by_curvature",
    "condition_grid",
    "directions",
    "even_alignment",
    "redundancy",
    "standardise",
]

_MEAN_DEGREE, _COVARIANCE_DEGREE = 3, 2
_LEAST_VARIANCE = 0.1  # of a direction of the latents at any conditions, before it is made 1
_GRID = 24
_SWEEPS = 30
_PROBED = 6000  # stars that tell whether a latent is a function of others
_ROUNDS = 3  # of votes, which depend on the directions, and alignment
_NEAR = 8  # power of the cosine with which pixels share a direction
_MISFIT = 1e-3  # change of normalised flux per latent unit beyond which a pixel is distrusted


def standardise(
    z: Tensor, u: Tensor, mean_degree: int = _MEAN_DEGREE, degree: int = _COVARIANCE_DEGREE
) -> Tensor:
    """Latents with mean 0 and covariance 1 at all conditions, as far as polynomials tell.

    The symmetric root of the covariance is used, so that nothing is turned.
    """
    terms = smooth_basis(u, mean_degree)
    z = z - terms @ least_squares(terms, z)
    n, d = z.shape
    terms = smooth_basis(u, degree)
    products = (z[:, :, None] * z[:, None, :]).flatten(1)
    coefficients = least_squares(terms, products)
    result = torch.empty_like(z)
    for start in range(0, n, 8192):
        rows = slice(start, start + 8192)
        covariance = (terms[rows] @ coefficients).view(-1, d, d)
        values, vectors = torch.linalg.eigh(covariance)
        inverse = values.clamp(min=_LEAST_VARIANCE).rsqrt()
        root = (vectors * inverse[:, None, :]) @ vectors.transpose(1, 2)
        result[rows] = torch.bmm(root, z[rows, :, None])[:, :, 0]
    return result


def redundancy(z: Tensor) -> float:
    """How well the other latents and their products predict one: the largest R² of all.

    Compositions that vary freely give about 0. A fit gone astray shows here, without a known
    pair: one of its latents is curvature of the others instead of an element. The regression is
    judged on stars that it has not seen; shape of ``z`` (n_stars, n_latent).
    """
    few = z[torch.from_numpy(few_of(np.arange(len(z)), _PROBED))].double()
    seen = torch.arange(len(few)) % 3 > 0
    worst = 0.0
    for k in range(z.shape[1]):
        rest = torch.cat([few[:, :k], few[:, k + 1 :]], dim=1)
        first, second = torch.triu_indices(rest.shape[1], rest.shape[1])
        terms = torch.cat(
            [torch.ones((len(few), 1)).double(), rest, rest[:, first] * rest[:, second]], dim=1
        )
        told, new = few[seen, k], few[~seen, k]
        left = new - terms[~seen] @ least_squares(terms[seen], told[:, None])[:, 0]
        worst = max(worst, 1 - float(left.square().mean() / new.var(unbiased=False)))
    return worst


def by_curvature(decoder: ChemicalDecoder) -> Tensor:
    """Rotation after which the first latents are those in which spectra bend most.

    Eigenvectors of Σ Q Qᵀ over outputs and terms in the conditions, shape (n_latent, n_latent).
    """
    bends = torch.einsum("tijk,tljk->il", decoder.curvature, decoder.curvature)
    return torch.linalg.eigh(bends).eigenvectors.flip(1)


def condition_grid(u: Tensor, seed: int) -> Tensor:
    """Conditions where many stars are, by k-means, shape (at most 24, n_conditions)."""
    from scipy.cluster.vq import kmeans2

    sample = u[:: max(1, len(u) // 5000)].double().numpy()
    size = max(2, min(_GRID, len(sample) // 10))
    centres, _ = kmeans2(sample, size, seed=seed, minit="++")
    centres = centres[np.isfinite(centres).all(axis=1)]
    return torch.tensor(centres, dtype=torch.float32)


@dataclass(frozen=True)
class Rotation:
    """A rotation of the latents that is smooth in the conditions.

    Attributes
    ----------
    coefficients : Tensor, shape (n_terms, n_latent²)
    degree : int
    """

    coefficients: Tensor
    degree: int

    @classmethod
    def through(cls, u: Tensor, rotations: Tensor, degree: int) -> Rotation:
        """Least squares through rotations at conditions ``u``."""
        terms = smooth_basis(u, degree)
        return cls(least_squares(terms, rotations.flatten(1)), degree)

    def __call__(self, u: Tensor) -> Tensor:
        """Rotation matrices, shape (n_stars, n_latent, n_latent)."""
        d = round(self.coefficients.shape[1] ** 0.5)
        return _nearest_rotation((smooth_basis(u, self.degree) @ self.coefficients).view(-1, d, d))

    def turn(self, z: Tensor, u: Tensor, chunk: int = 8192) -> Tensor:
        """Latents after the rotation at each star's conditions."""
        parts = [
            torch.bmm(z[i : i + chunk, None, :], self(u[i : i + chunk]))[:, 0]
            for i in range(0, len(z), chunk)
        ]
        return torch.cat(parts)


def _nearest_rotation(matrix: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(matrix)
    return left @ right


@torch.no_grad()
def directions(decoder: ChemicalDecoder, components: Tensor, grid: Tensor) -> Tensor:
    """Response of each pixel to each latent at conditions, shape (n_grid, n_pixels, n_latent).

    ``components`` maps outputs of the decoder to flux, shape (n_pixels, n_outputs).
    """
    origin = torch.zeros((len(grid), decoder.n_latent))
    return (components @ decoder.linearise(origin, grid)[1].transpose(1, 2)).contiguous()


def alignment(
    responses: Tensor, *, misfit: float = _MISFIT, power: float = 2.0, free_length: bool = True
) -> Tensor:
    """Rotations after which the pixels' responses keep their directions.

    Minimises the sum over pixels p and conditions g of ``w_p |Λ_pg R_g − s_pg d_p|²`` over
    rotations R, unit vectors d and lengths s, with weights ``w_p = (1 + r_p²/misfit²)^−power``
    from the pixel's own misfit r.

    Parameters
    ----------
    responses : Tensor, shape (n_grid, n_pixels, n_latent)
        Λ: change of flux per latent unit.
    misfit : float
        In units of flux per latent unit.
    power : float
        0 trusts all pixels alike.
    free_length : bool
        Without it the lengths are to stay as well: ordinary generalised Procrustes.

    Returns
    -------
    Tensor, shape (n_grid, n_latent, n_latent)
        Their mean is a symmetric matrix: nothing is turned on average.
    """
    n_grid, n_pixels, d = responses.shape
    rotation = torch.eye(d).expand(n_grid, d, d)
    weight = torch.ones(n_pixels)
    common = responses.mean(0)
    for _ in range(_SWEEPS):
        turned = torch.bmm(responses, rotation)
        if free_length:
            unit = common / common.norm(dim=1, keepdim=True).clamp(min=1e-20)
            length = (turned * unit).sum(-1)
            common = (length[..., None] * turned).mean(0)
            unit = common / common.norm(dim=1, keepdim=True).clamp(min=1e-20)
            target = (turned * unit).sum(-1, keepdim=True) * unit
        else:
            common = turned.mean(0)
            target = common.expand_as(turned)
        if power:
            missed = ((turned - target) ** 2).sum(-1).mean(0)
            weight = (1 + missed / misfit**2) ** -power
        rotation = _nearest_rotation((responses * weight[:, None]).transpose(1, 2) @ target)
    left, _, right = torch.linalg.svd(rotation.mean(0))
    return rotation @ (left @ right).T


def even_alignment(responses: Tensor, n_leading: int) -> Tensor:
    """Rotations of the leading latents after which directions turn as little as possible.

    As :func:`alignment`, but no pixel is distrusted, weak pixels count as much as strong ones,
    and pixels that share a direction share its vote: the weight of a pixel is one over the sum
    of ``cos⁸`` of its angles to all.

    Parameters
    ----------
    responses : Tensor, shape (n_grid, n_pixels, n_latent)
        Λ: change of flux per latent unit.
    n_leading : int
        Only the first so many latents are turned, among each other.

    Returns
    -------
    Tensor, shape (n_grid, n_latent, n_latent)
        The unit matrix beyond the leading latents.
    """
    n_grid, _, d = responses.shape
    n_leading = min(n_leading, d)
    leading = responses[..., :n_leading]
    strength = (leading**2).sum(-1).mean(0, keepdim=True)[..., None]
    leading = (leading / (strength + _MISFIT**2).sqrt()).contiguous()
    result = torch.eye(d).repeat(n_grid, 1, 1)
    turns = torch.eye(n_leading).expand(n_grid, n_leading, n_leading)
    for _ in range(_ROUNDS):
        mean = torch.bmm(leading, turns).mean(0)
        unit = mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-20)
        shared = torch.cat([((part @ unit.T) ** _NEAR).sum(1) for part in unit.split(512)])
        vote = shared.clamp(min=1.0).rsqrt()  # Squared in the sum over pixels.
        turns = alignment(leading * vote[:, None], power=0.0)
    result[:, :n_leading, :n_leading] = turns
    return result
