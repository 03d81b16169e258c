"""Formal solution of radiative transfer in LTE: from opacity by depth to emergent flux.

The flux through the surface is ``F = 2π ∫ I(μ) μ dμ`` with two Gauss points in μ (exact for a
source function up to cubic in τ). Along a ray, integrating by parts,

    I(μ) = S(0) + Σ ΔS · <exp(-τ/μ)>,

where the mean over a layer is Simpson's rule in τ: it needs no division by Δτ, hence is smooth
and safe in float32 in both the thin and the thick limit. Layers are added from the surface
inwards and forgotten, so memory does not grow with the number of depths.
"""

from __future__ import annotations

import numpy as np
import torch

from . import constants as c

__all__ = ["FluxIntegrator", "planck"]

_MU, _MU_WEIGHT = (
    0.5 * (x + s) for x, s in zip(np.polynomial.legendre.leggauss(2), (1, 0), strict=True)
)


def planck(temperature: torch.Tensor, wavelength_nm: torch.Tensor) -> torch.Tensor:
    """Planck function B_λ [W m^-2 nm^-1 sr^-1], shape ``(n_points, n_wave)``.

    Formulated with ``exp(-x)``, which underflows to zero where ``exp(x)`` would overflow.
    """
    lam_m = wavelength_nm.double() * 1e-9
    front = (2 * c.PLANCK * 1e-7 * (c.SPEED_OF_LIGHT * 1e-2) ** 2 / lam_m**5 * 1e-9).float()
    x = (c.HC_OVER_K_NM / wavelength_nm) / temperature[:, None].float()
    e = torch.exp(-x)
    return front * e / (1 - e)


class FluxIntegrator:
    """Accumulates the emergent flux layer by layer, surface first.

    Parameters
    ----------
    ln_tau : ndarray, shape (n_depth,)
        Natural logarithm of the reference optical depth.
    """

    def __init__(self, ln_tau: np.ndarray) -> None:
        self._ln_tau = ln_tau
        self._layer = 0

    def add(self, opacity: torch.Tensor, source: torch.Tensor) -> None:
        """One more layer.

        Parameters
        ----------
        opacity : Tensor, shape (n_stars, n_wave)
            dτ_λ / d ln τ_ref in this layer.
        source : Tensor, shape (n_stars, n_wave)
            Source function.
        """
        if self._layer == 0:
            # Above the first point the opacity ratio is taken as constant.
            self._tau = opacity.clone()
            self._rays = [torch.exp(self._tau * (-1 / mu)) for mu in _MU]
            self._sum = [source.clone() for _ in _MU]
        else:
            half = 0.5 * float(self._ln_tau[self._layer] - self._ln_tau[self._layer - 1])
            self._tau.add_(self._opacity, alpha=half).add_(opacity, alpha=half)
            step = source - self._source
            for k, mu in enumerate(_MU):
                ray = torch.exp(self._tau * (-1 / mu))
                old = self._rays[k]
                middle = torch.sqrt(old * ray)
                mean = middle.mul_(4).add_(old).add_(ray)
                self._sum[k].addcmul_(step, mean, value=1 / 6)
                self._rays[k] = ray
        self._opacity, self._source = opacity, source
        self._layer += 1

    def flux(self) -> torch.Tensor:
        """Emergent flux [W m^-2 nm^-1], shape ``(n_stars, n_wave)``."""
        total = torch.zeros_like(self._tau)
        for k, (mu, weight) in enumerate(zip(_MU, _MU_WEIGHT, strict=True)):
            total += 2 * np.pi * mu * weight * self._sum[k]
        return total.clamp_(min=0.0)

    def intensities(self) -> tuple[np.ndarray, list[torch.Tensor]]:
        """Direction cosines and emergent intensities [W m^-2 nm^-1 sr^-1]."""
        return np.asarray(_MU), self._sum
