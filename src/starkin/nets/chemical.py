"""A decoder smooth in latents and conditions, and its inversion.

    y(z, u) = c(u) + Σ_i z_i Λ_i(u) + Σ_ij z_i z_j Q_ij(u) + Σ_m h_m(z_1 … z_r, u) B_m

c, Λ and Q are sums of products of Legendre polynomials in the conditions u; the h are joint
polynomials of high order in the conditions and the first few latents. It is linear in its
coefficients, so that they follow from least squares once the latents are known; and its
derivatives are exact and cheap, so that the latents of a star follow from a few Gauss-Newton
steps with that star's own noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .bent import BentTerms
from .smooth import n_terms, smooth_basis, smooth_gradient

__all__ = ["ChemicalDecoder", "Degrees", "Estimate", "estimate_latents"]

_FURTHEST_STEP = 2.0  # of one Gauss-Newton step, in latent units: the prior's width is 1
_AT_REST = 0.01  # of a standard error: a star with such a step to go is left where it is
_SMALLEST_STEP = 1e-6
_ROUNDING = 1e-6  # by which a distance may grow


@dataclass(frozen=True)
class Degrees:
    """Total degrees in the conditions of c, Λ and Q, −1 leaves a part out; and what is bent.

    Attributes
    ----------
    mean, loadings, curvature : int
        Of c, Λ, Q.
    bent : int
        r: how many of the latents have terms of high order.
    joint, order : int
        Degree of these in conditions and latents together, and in the latents alone.
    """

    mean: int
    loadings: int
    curvature: int
    bent: int = 0
    joint: int = 0
    order: int = 0


class ChemicalDecoder(nn.Module):
    """y(z, u) with its derivatives.

    Parameters
    ----------
    n_latent, n_conditions, n_outputs : int
    degrees : Degrees
    """

    def __init__(self, n_latent: int, n_conditions: int, n_outputs: int, degrees: Degrees) -> None:
        super().__init__()
        self.n_latent, self.n_conditions, self.n_outputs = n_latent, n_conditions, n_outputs
        self.degrees = degrees
        sizes = [n_terms(n_conditions, d) for d in (degrees.mean, degrees.loadings)]
        curved = n_terms(n_conditions, degrees.curvature)
        self.register_buffer("mean", torch.zeros(sizes[0], n_outputs))
        self.register_buffer("loadings", torch.zeros(sizes[1], n_latent, n_outputs))
        self.register_buffer("curvature", torch.zeros(curved, n_latent, n_latent, n_outputs))
        self._pairs = torch.triu_indices(n_latent, n_latent)
        self.terms = BentTerms(
            n_conditions,
            min(degrees.bent, n_latent),
            degrees.joint,
            degrees.order,
            degrees.curvature,
        )
        self.register_buffer("bends", torch.zeros(len(self.terms), n_outputs))

    # The shapes of buffers are fixed in the constructor; these only tell mypy their type.
    mean: Tensor
    loadings: Tensor
    curvature: Tensor
    bends: Tensor

    # --- least squares for the coefficients -----------------------------------
    def design(self, z: Tensor, u: Tensor) -> Tensor:
        """Terms that the coefficients multiply, shape (n_stars, n_coefficients)."""
        parts = [smooth_basis(u, self.degrees.mean), self._outer(self.degrees.loadings, u, z)]
        if self.degrees.curvature >= 0:
            first, second = self._pairs.to(z.device)
            parts.append(self._outer(self.degrees.curvature, u, z[:, first] * z[:, second]))
        if len(self.terms):
            parts.append(self.terms(z, u))
        return torch.cat(parts, dim=1)

    @staticmethod
    def _outer(degree: int, u: Tensor, z: Tensor) -> Tensor:
        return (smooth_basis(u, degree)[:, :, None] * z[:, None, :]).flatten(1)

    @torch.no_grad()
    def fit(self, y: Tensor, z: Tensor, u: Tensor, ridge: float, chunk: int = 4096) -> None:
        """Coefficients by least squares with the penalty ``ridge·n_stars·|coefficients|²``."""
        gram: Tensor | float = 0.0
        right: Tensor | float = 0.0
        for start in range(0, len(y), chunk):
            rows = slice(start, start + chunk)
            terms = self.design(z[rows], u[rows])
            gram = gram + (terms.T @ terms).double()
            right = right + (terms.T @ y[rows]).double()
        assert isinstance(gram, Tensor)
        gram.diagonal().add_(ridge * len(y))
        self._assign(torch.linalg.solve(gram, right).to(y.dtype))

    def _assign(self, coefficients: Tensor) -> None:
        n_mean, n_linear = len(self.mean), self.loadings.shape[0] * self.n_latent
        self.mean.copy_(coefficients[:n_mean])
        self.loadings.copy_(coefficients[n_mean : n_mean + n_linear].view_as(self.loadings))
        n_curved = len(coefficients) - len(self.bends)
        self.bends.copy_(coefficients[n_curved:])
        if self.degrees.curvature >= 0:
            first, second = self._pairs.to(coefficients.device)
            half = coefficients[n_mean + n_linear : n_curved].view(
                len(self.curvature), -1, self.n_outputs
            )
            self.curvature.zero_()
            self.curvature[:, first, second] += half / 2
            self.curvature[:, second, first] += half / 2

    # --- the function ------------------------------------------------------------
    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        """y, shape (n_stars, n_outputs)."""
        linear, bent = self._loadings(z, u)
        return self._value(z, u, linear if bent is None else linear + bent)

    def linearise(self, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """y and ∂y/∂z, shapes (n_stars, n_outputs) and (n_stars, n_latent, n_outputs)."""
        linear, bent = self._loadings(z, u)
        y = self._value(z, u, linear if bent is None else linear + bent)
        jacobian = linear if bent is None else linear + 2 * bent
        if len(self.terms):
            jacobian[:, : self.terms.n_bent] += self.terms.by_latents(z, u) @ self.bends
        return y, jacobian

    def _loadings(self, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor | None]:
        """Λ(u) and Q(u)z, shape (n_stars, n_latent, n_outputs) each; None without Q."""
        shape = (len(z), self.n_latent, self.n_outputs)
        linear = (smooth_basis(u, self.degrees.loadings) @ self.loadings.flatten(1)).view(shape)
        if self.degrees.curvature < 0:
            return linear, None
        curvature = self.curvature.flatten(0, 1).flatten(1)
        return linear, (self._outer(self.degrees.curvature, u, z) @ curvature).view(shape)

    def _value(self, z: Tensor, u: Tensor, along: Tensor) -> Tensor:
        y = smooth_basis(u, self.degrees.mean) @ self.mean + _along(z, along)
        return y + self.terms(z, u) @ self.bends if len(self.terms) else y

    def slope(self, z: Tensor, u: Tensor) -> Tensor:
        """∂y/∂u, shape (n_stars, n_conditions, n_outputs)."""
        slope = smooth_gradient(u, self.degrees.mean) @ self.mean
        gradient = smooth_gradient(u, self.degrees.loadings)
        slope = slope + (gradient[..., None] * z[:, None, None, :]).flatten(
            2
        ) @ self.loadings.flatten(0, 1)
        if self.degrees.curvature >= 0:
            gradient = smooth_gradient(u, self.degrees.curvature)
            square = (z[:, :, None] * z[:, None, :]).flatten(1)
            slope = slope + (gradient[..., None] * square[:, None, None, :]).flatten(
                2
            ) @ self.curvature.flatten(1, 2).flatten(0, 1)
        if len(self.terms):
            slope = slope + self.terms.by_conditions(z, u) @ self.bends
        return slope


def _along(z: Tensor, jacobian: Tensor) -> Tensor:
    return torch.bmm(z[:, None, :], jacobian)[:, 0]


@dataclass(frozen=True)
class Estimate:
    """Latents of stars by maximum posterior, with what the data say about them.

    Attributes
    ----------
    mode : Tensor, shape (n_stars, n_latent)
        Maximum of the posterior, the prior being N(0, 1).
    information : Tensor, shape (n_stars, n_latent, n_latent)
        Fisher information of the star's own data at the mode, the errors of the conditions
        marginalised; the prior is not in it.
    conditions : Tensor, shape (n_stars, n_conditions)
        Where the conditions came to lie within their errors.
    """

    mode: Tensor
    information: Tensor
    conditions: Tensor


@torch.no_grad()
def estimate_latents(
    decoder: ChemicalDecoder,
    y: Tensor,
    u: Tensor,
    precision: Tensor,
    *,
    start: Tensor | None = None,
    condition_errors: Tensor | None = None,
    steps: int = 4,
    chunk: int = 1024,
) -> Estimate:
    """Latents by Gauss-Newton steps on the exact decoder.

    A step that does not bring a star nearer is halved until one does; a star whose next step is
    a hundredth of its error rests.

    Parameters
    ----------
    decoder : ChemicalDecoder
        The function to invert.
    y : Tensor, shape (n_stars, n_outputs)
        What it should give.
    u : Tensor, shape (n_stars, n_conditions)
        Measured conditions, scaled.
    precision : Tensor, shape (n_outputs, n_outputs) or (n_stars, n_outputs, n_outputs)
        Inverse covariance of y about the decoder: noise and misfit.
    start : Tensor, optional
        Where to begin; 0 without it.
    condition_errors : Tensor, shape (n_stars, n_conditions), optional
        Standard errors of u, scaled; with them u is estimated together with z, and the
        information about z is what is left of it.
    steps : int
        Of Gauss and Newton, at most.
    chunk : int
        Stars at a time.
    """
    n, d = len(y), decoder.n_latent
    told = condition_errors is not None
    prior = torch.ones((n, d), dtype=y.dtype, device=y.device)
    if condition_errors is not None:
        prior = torch.cat([prior, condition_errors.to(prior) ** -2], dim=1)
    begin = torch.zeros((n, d), dtype=y.dtype, device=y.device) if start is None else start
    found = torch.cat([begin, u], dim=1) if told else begin.clone()
    information = torch.empty((n, d, d), dtype=y.dtype, device=y.device)
    # In double precision: what the first few latents leave spans many orders of magnitude.
    common = torch.linalg.cholesky(precision.double()).to(y) if precision.ndim == 2 else None
    for first in range(0, n, chunk):
        rows = torch.arange(first, min(first + chunk, n), device=y.device)
        root = torch.linalg.cholesky(precision[rows]) if common is None else common
        target = torch.zeros_like(found[rows])
        target[:, d:] = u[rows] if told else 0.0
        best = torch.full((len(rows),), torch.inf, dtype=y.dtype, device=y.device)
        change = torch.zeros_like(target)
        active = torch.arange(len(rows), device=y.device)
        for _ in range(steps + 1):
            at = rows[active]
            trial = found[at] + change[active]
            where = trial[:, d:] if told else u[at]
            value, jacobian = decoder.linearise(trial[:, :d], where)
            if told:
                jacobian = torch.cat([jacobian, decoder.slope(trial[:, :d], where)], dim=1)
            own = root if root.ndim == 2 else root[active]
            jacobian = jacobian @ own
            residual = ((y[at] - value)[:, None, :] @ own)[:, 0]
            away = trial - target[active]
            distance = (residual**2).sum(1) + (prior[at] * away**2).sum(1)
            better = distance <= best[active] * (1 + _ROUNDING)
            change[active[~better]] /= 2
            active, at = active[better], at[better]
            jacobian, residual, away = jacobian[better], residual[better], away[better]
            best[active], found[at] = distance[better], trial[better]
            fisher = jacobian @ jacobian.transpose(1, 2)
            information[at] = _marginal(fisher, prior[at], d)
            pull = torch.bmm(jacobian, residual[:, :, None])[:, :, 0] - prior[at] * away
            curved = fisher + torch.diag_embed(prior[at])
            move = torch.linalg.solve(curved, pull[:, :, None])[:, :, 0]
            length = move[:, :d].norm(dim=1, keepdim=True)
            change[active] = move * (_FURTHEST_STEP / length.clamp(min=_FURTHEST_STEP))
            restless = torch.ones(len(rows), dtype=torch.bool, device=y.device)
            restless[active] = (move * pull).sum(1) > _AT_REST**2
            restless &= change.abs().amax(1) > _SMALLEST_STEP
            active = torch.nonzero(restless)[:, 0]
            if not len(active):
                break
    return Estimate(found[:, :d].contiguous(), information, found[:, d:] if told else u.clone())


def _marginal(fisher: Tensor, prior: Tensor, d: int) -> Tensor:
    """Information about the first d parameters, the others marginalised with their prior."""
    if fisher.shape[1] == d:
        return fisher
    cross = fisher[:, :d, d:]
    rest = fisher[:, d:, d:] + torch.diag_embed(prior[:, d:])
    left = fisher[:, :d, :d] - cross @ torch.linalg.solve(rest, cross.transpose(1, 2))
    return 0.5 * (left + left.transpose(1, 2))
