"""Functions that are smooth in a few conditions: products of Legendre polynomials."""

from __future__ import annotations

from itertools import product
from math import comb

import torch
from torch import Tensor

__all__ = ["hermite", "least_squares", "legendre", "n_terms", "smooth_basis", "smooth_gradient"]


def n_terms(n_conditions: int, degree: int) -> int:
    """Number of products of total degree at most ``degree``; 0 for a negative degree."""
    return comb(n_conditions + degree, degree) if degree >= 0 else 0


def legendre(x: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Legendre polynomials of order 0 … degree and their derivatives, normalised on [−1, 1].

    ``√(2k+1) P_k`` has mean square 1 there (Abramowitz & Stegun 1972, 22.7.10 and 22.8.5).

    Parameters
    ----------
    x : Tensor, shape (n,)
        Where.
    degree : int
        Highest order.

    Returns
    -------
    values, slopes : Tensor, shape (degree + 1, n)
    """
    values = [torch.ones_like(x), x][: degree + 1]
    slopes = [torch.zeros_like(x), torch.ones_like(x)][: degree + 1]
    for k in range(1, degree):
        values.append(((2 * k + 1) * x * values[k] - k * values[k - 1]) / (k + 1))
        slopes.append((2 * k + 1) * values[k] + slopes[k - 1])
    norm = torch.sqrt(2 * torch.arange(degree + 1, dtype=x.dtype, device=x.device) + 1)[:, None]
    return norm * torch.stack(values), norm * torch.stack(slopes)


def hermite(x: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Hermite polynomials of order 0 … degree and their derivatives, normalised for N(0, 1).

    ``He_k/√k!`` has mean square 1 there (Abramowitz & Stegun 1972, 22.7.14 and 22.8.8).

    Parameters
    ----------
    x : Tensor, shape (n,)
        Where.
    degree : int
        Highest order.

    Returns
    -------
    values, slopes : Tensor, shape (degree + 1, n)
    """
    values = [torch.ones_like(x), x][: degree + 1]
    for k in range(1, degree):
        values.append((x * values[k] - k**0.5 * values[k - 1]) / (k + 1) ** 0.5)
    slopes = [torch.zeros_like(x)] + [(k + 1) ** 0.5 * values[k] for k in range(degree)]
    return torch.stack(values), torch.stack(slopes)


def _powers(n_conditions: int, degree: int) -> list[tuple[int, ...]]:
    every = product(range(degree + 1), repeat=n_conditions)
    return sorted((p for p in every if sum(p) <= degree), key=lambda p: (sum(p), [-i for i in p]))


def smooth_basis(x: Tensor, degree: int) -> Tensor:
    """Products of Legendre polynomials of total degree at most ``degree``.

    Parameters
    ----------
    x : Tensor, shape (n_stars, n_conditions)
        Conditions, scaled to about [−1, 1].
    degree : int
        Highest total degree.

    Returns
    -------
    Tensor, shape (n_stars, n_terms)
        The constant first; then by total degree.
    """
    values = [legendre(column, degree)[0] for column in x.T]
    terms = []
    for powers in _powers(x.shape[1], degree):
        term = torch.ones_like(x[:, 0])
        for value, power in zip(values, powers, strict=True):
            term = term * value[power]
        terms.append(term)
    return torch.stack(terms, dim=1)


def smooth_gradient(x: Tensor, degree: int) -> Tensor:
    """Derivatives of :func:`smooth_basis`, shape (n_stars, n_conditions, n_terms)."""
    parts = [legendre(column, degree) for column in x.T]
    rows = []
    for c in range(x.shape[1]):
        terms = []
        for powers in _powers(x.shape[1], degree):
            term = torch.ones_like(x[:, 0])
            for i, ((value, slope), power) in enumerate(zip(parts, powers, strict=True)):
                term = term * (slope if i == c else value)[power]
            terms.append(term)
        rows.append(torch.stack(terms, dim=1))
    return torch.stack(rows, dim=1)


def least_squares(terms: Tensor, y: Tensor, ridge: float = 1e-9) -> Tensor:
    """Coefficients that make ``terms @ coefficients`` nearest to ``y``.

    By the normal equations in double precision: the terms are nearly orthogonal, and LAPACK's
    ``gelsy`` behind ``torch.linalg.lstsq`` does not repeat bit for bit.

    Parameters
    ----------
    terms : Tensor, shape (n_stars, n_terms)
        What the coefficients multiply.
    y : Tensor, shape (n_stars, n_outputs)
        What is to be fitted.
    ridge : float
        Added to the diagonal, as a part of its mean.
    """
    a, b = terms.double(), y.double()
    gram = a.T @ a
    gram.diagonal().add_(ridge * gram.diagonal().mean())
    return torch.linalg.solve(gram, a.T @ b).to(y.dtype)
