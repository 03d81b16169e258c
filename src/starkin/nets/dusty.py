"""Stars behind dust, seen by a linear instrument: labels, extinction and distance.

The idea of Zhang, Green & Rix (2023, MNRAS 524, 1855): ln F_λ(labels) of a network, less
extinction E·R(λ) with one learnt curve R, dimmed by distance. Here the spectrum goes through
the instrument's own projection onto coefficients,

    c = Σ_λ exp[ln F_λ(ℓ) − 0.4 ln 10 · A · R(λ)] · M_λ,     x = c / (c·g),

with g the functional of the G band, so that x is the spectrum per unit of G flux, and
G = M_G(ℓ) − 2.5 log₁₀[(c·g) / (c·g)_{A=0}] + μ is the magnitude at distance modulus μ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor, nn

from .blocks import mlp
from .label_network import LabelNetwork

__all__ = ["DustyNetwork", "parallax_of"]

_TO_NEPER = 0.4 * math.log(10)
_HC_OVER_K = 1.438777e7  # [nm K]
#: The curve is 1 here [nm]; A is the extinction at this wavelength.
REFERENCE = 550.0
_START_SLOPE = -1.5
_GRID = (0.0, 0.3, 0.8, 1.5, 3.0, 6.0)
_STEPS = 5


def parallax_of(modulus: Tensor) -> Tensor:
    """Parallax [mas] at a distance modulus [mag]: 10^(2 − μ/5)."""
    return torch.pow(10.0, 2 - modulus / 5)


class DustyNetwork(LabelNetwork):
    """Labels, extinction and distance modulus to coefficients per unit of G flux, and to G.

    Parameters are columns of standardised labels, then A [mag], then μ in units of
    ``modulus_scale`` about ``modulus_centre``.

    Parameters
    ----------
    n_labels : int
    hidden : sequence of int
        Hidden widths of both MLPs (spectrum and luminosity).
    wavelength : ndarray, shape (n_wave,)
        Where ln F and R are modelled [nm].
    projection : ndarray, shape (n_wave, n_pixels)
        M: from F_λ to coefficients.
    passband : ndarray, shape (n_pixels,)
        g: from coefficients to the flux in the G band.
    centre, scale : ndarray, shape (n_pixels,)
        Of the standardisation of coefficients per unit of G flux.
    teff : (column, centre, scale) or None
        Which label is a temperature: at first the spectrum is Planck's.
    n_knots : int
        Numbers that describe the extinction curve.
    """

    luminosity_scatter: Tensor
    wavelength: Tensor
    projection: Tensor
    passband: Tensor
    centre: Tensor
    scale: Tensor
    basis: Tensor
    reference: Tensor

    def __init__(
        self,
        n_labels: int,
        hidden: Sequence[int],
        wavelength: np.ndarray,
        projection: np.ndarray,
        passband: np.ndarray,
        centre: np.ndarray,
        scale: np.ndarray,
        *,
        teff: tuple[int, float, float] | None = None,
        n_knots: int = 10,
        modulus_centre: float = 10.0,
        modulus_scale: float = 5.0,
    ) -> None:
        super().__init__(projection.shape[1])
        self.n_labels = n_labels
        self.modulus_centre, self.modulus_scale = modulus_centre, modulus_scale
        self.layers = mlp([n_labels, *hidden, len(wavelength)])
        self.straight = nn.Linear(n_labels, len(wavelength))
        self.luminosity = mlp([n_labels, *hidden, 1])
        self.straight_luminosity = nn.Linear(n_labels, 1)
        self.curve = nn.Parameter(torch.zeros(n_knots))
        self.log_scatter = nn.Parameter(torch.full((projection.shape[1],), -2.0))
        self.log_luminosity_scatter = nn.Parameter(torch.tensor(-1.0))
        self.register_buffer("luminosity_scatter", torch.tensor(0.3))
        # Unit of flux: that of a mean spectrum, so that exponentials stay near 1.
        flux, slope = _planck(wavelength, teff[1] if teff else 5500.0)
        unit = float(flux @ projection @ passband)
        fixed = {
            "wavelength": wavelength,
            "projection": projection * (np.abs(flux).max() / unit),
            "passband": passband,
            "centre": centre,
            "scale": scale,
            "basis": _spline_basis(wavelength, n_knots),
            "reference": _spline_basis(wavelength, n_knots, at=np.array([REFERENCE]))[0],
        }
        for name, array in fixed.items():
            self.register_buffer(name, torch.from_numpy(np.array(array)).float(), persistent=False)
        with torch.no_grad():
            nn.init.zeros_(self.straight.weight)
            nn.init.zeros_(self.straight_luminosity.weight)
            nn.init.zeros_(self.straight_luminosity.bias)
            self.straight.bias.copy_(torch.from_numpy(np.log(flux / np.abs(flux).max())))
            if teff is not None:
                column, mean, width = teff
                self.straight.weight[:, column] = torch.from_numpy(slope * width / mean)

    def extinction_curve(self) -> Tensor:
        """R(λ) = A(λ)/A(550 nm), shape (n_wave,): a power law times exp of a spline."""
        power = (self.wavelength / REFERENCE) ** _START_SLOPE
        return power * torch.exp(self.basis @ self.curve - self.reference @ self.curve)

    def log_flux(self, labels: Tensor) -> Tensor:
        """ln F_λ without dust, shape (n_stars, n_wave)."""
        return self.straight(labels) + self.layers(labels)

    def seen(self, log_flux: Tensor, extinction: Tensor) -> Tensor:
        """Coefficients behind dust, shape (n_stars, n_pixels)."""
        dimming = _TO_NEPER * extinction[:, None] * self.extinction_curve()
        return torch.exp(log_flux - dimming) @ self.projection

    def standardised(self, coefficients: Tensor) -> Tensor:
        """Per unit of G flux and standardised, shape (n_stars, n_pixels)."""
        per_flux = coefficients / (coefficients @ self.passband)[:, None]
        return (per_flux - self.centre) / self.scale

    def absolute_magnitude(self, labels: Tensor, log_flux: Tensor, behind: Tensor) -> Tensor:
        """M_G with the extinction that ``behind`` (coefficients) has, shape (n_stars,)."""
        bare = torch.exp(log_flux) @ self.projection @ self.passband
        dimmed = behind @ self.passband
        own = (self.straight_luminosity(labels) + self.luminosity(labels))[:, 0]
        return own - 2.5 * torch.log10(dimmed / bare)

    def forward(self, parameters: Tensor) -> Tensor:
        """Standardised coefficients, then G [mag], then the parallax [mas]."""
        labels, extinction, modulus = self.split(parameters)
        log_flux = self.log_flux(labels)
        behind = self.seen(log_flux, extinction)
        magnitude = self.absolute_magnitude(labels, log_flux, behind) + modulus
        extra = torch.stack([magnitude, parallax_of(modulus)], dim=1)
        return torch.cat([self.standardised(behind), extra], dim=1)

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Standardised labels, A [mag], μ [mag]."""
        d = self.n_labels
        modulus = self.modulus_centre + self.modulus_scale * parameters[:, d + 1]
        return parameters[:, :d], parameters[:, d], modulus

    @torch.no_grad()
    def best_extinction(
        self, log_flux: Tensor, x: Tensor, weight: Tensor, mean: Tensor, precision: Tensor
    ) -> Tensor:
        """The most probable A of each star given its dust-free spectrum, shape (n_stars,).

        By the envelope theorem the loss at the best A has the same gradient in the network as
        if A were held: no star needs a parameter of its own.

        Parameters
        ----------
        log_flux : Tensor, shape (n_stars, n_wave)
            Without dust.
        x, weight : Tensor, shape (n_stars, n_pixels)
            Standardised spectra and inverse variances (0 where masked).
        mean, precision : Tensor, shape (n_stars,)
            Of the normal prior of A.
        """

        def misfit(a: Tensor) -> Tensor:
            residual = x - self.standardised(self.seen(log_flux, a))
            return (weight * residual**2).sum(1) + precision * (a - mean) ** 2

        tried = torch.stack([misfit(torch.full_like(mean, a)) for a in _GRID])
        best = torch.tensor(_GRID).to(mean)[tried.argmin(0)]
        cost = tried.amin(0)
        for _ in range(_STEPS):
            behind = self.seen(log_flux, best)
            curve = -_TO_NEPER * self.extinction_curve()
            dimming = best[:, None] * curve
            slope = (torch.exp(log_flux + dimming) * curve) @ self.projection
            g, dg = behind @ self.passband, slope @ self.passband
            jacobian = (slope / g[:, None] - behind * (dg / g**2)[:, None]) / self.scale
            residual = x - self.standardised(behind)
            curvature = (weight * jacobian**2).sum(1) + precision
            step = (weight * jacobian * residual).sum(1) - precision * (best - mean)
            trial = best + (step / curvature).clamp(-1, 1)
            new = misfit(trial)
            best, cost = torch.where(new < cost, trial, best), torch.minimum(new, cost)
        return best


def _planck(wavelength: np.ndarray, teff: float) -> tuple[np.ndarray, np.ndarray]:
    """B_λ in some unit, and d ln B_λ / d ln T."""
    u = _HC_OVER_K / (wavelength * teff)
    return (REFERENCE / wavelength) ** 5 / np.expm1(u), u / -np.expm1(-u)


def _spline_basis(wavelength: np.ndarray, n: int, at: np.ndarray | None = None) -> np.ndarray:
    """Cubic B-splines in 1/λ, shape (len(at), n)."""
    low, high = 1 / wavelength[-1], 1 / wavelength[0]
    inner = np.linspace(low, high, n - 2)
    knots = np.concatenate([[low] * 3, inner, [high] * 3])
    where = 1 / (wavelength if at is None else at)
    return BSpline.design_matrix(np.clip(where, low, high), knots, 3).toarray()
