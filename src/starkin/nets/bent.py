"""Terms of high order in a few latents and the conditions together.

Most elements make lines of their own, to which a spectrum answers nearly linearly. A few
compete for the same molecules, and a spectrum bends strongly in their abundances, differently
at each temperature. These few directions of the latents get a polynomial of their own.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from .smooth import hermite, legendre

__all__ = ["BentTerms"]

_FURTHEST = 4.0  # latent units; beyond, a polynomial of high order says nothing


class BentTerms(nn.Module):
    """Products of Legendre polynomials of the conditions and Hermite ones of leading latents.

    Of total degree at most ``degree``, and of degree 2 … ``order`` in the latents; those of
    second order in the latents that ``curvature`` covers are left out. The terms are orthonormal
    for latents from N(0, 1) and conditions spread evenly over −1 … 1.

    Parameters
    ----------
    n_conditions : int
    n_bent : int
        The first so many latents.
    degree, order : int
    curvature : int
        Degree in the conditions of products of two latents that others take care of; −1 for none.
    """

    def __init__(
        self, n_conditions: int, n_bent: int, degree: int, order: int, curvature: int
    ) -> None:
        super().__init__()
        self.n_conditions, self.n_bent, self.order = n_conditions, n_bent, order
        self.degree = degree
        powers = [
            p
            for p in product(range(max(degree, order) + 1), repeat=n_conditions + n_bent)
            if sum(p) <= degree
            and 2 <= sum(p[n_conditions:]) <= order
            and not (sum(p[n_conditions:]) == 2 and sum(p[:n_conditions]) <= curvature)
        ]
        # Of each variable its order in every term; no buffer, as it follows from the settings.
        self._orders = torch.tensor(powers, dtype=torch.long).reshape(-1, n_conditions + n_bent).T

    def __len__(self) -> int:
        return self._orders.shape[1]

    def _factors(self, z: Tensor, u: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Of each variable: its polynomials in all terms and their derivatives, (n_terms, n)."""
        both = [legendre(column, self.degree) for column in u.T]
        for column in z[:, : self.n_bent].T:
            value, slope = hermite(column.clamp(-_FURTHEST, _FURTHEST), self.order)
            both.append((value, slope * (column.abs() <= _FURTHEST)))
        orders = self._orders.to(z.device)
        return [(v[p], s[p]) for (v, s), p in zip(both, orders, strict=True)]

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        """The terms, shape (n_stars, n_terms)."""
        result = torch.ones((len(self), len(z)), dtype=z.dtype, device=z.device)
        for value, _ in self._factors(z, u):
            result = result * value
        return result.T

    def by_latents(self, z: Tensor, u: Tensor) -> Tensor:
        """Derivatives by the bent latents, shape (n_stars, n_bent, n_terms)."""
        return self._derivatives(z, u, range(self.n_conditions, self.n_conditions + self.n_bent))

    def by_conditions(self, z: Tensor, u: Tensor) -> Tensor:
        """Derivatives by the conditions, shape (n_stars, n_conditions, n_terms)."""
        return self._derivatives(z, u, range(self.n_conditions))

    def _derivatives(self, z: Tensor, u: Tensor, variables: range) -> Tensor:
        factors = self._factors(z, u)
        rows = []
        for i in variables:
            term = torch.ones((len(self), len(z)), dtype=z.dtype, device=z.device)
            for k, (value, slope) in enumerate(factors):
                term = term * (slope if k == i else value)
            rows.append(term.T)
        return torch.stack(rows, dim=1)
