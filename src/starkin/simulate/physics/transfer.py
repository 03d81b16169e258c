"""Formal solution of radiative transfer in LTE: from opacity by depth to emergent flux.

The flux through the surface is ``F = 2π ∫ I(μ) μ dμ``. Along a ray, integrating by parts,

    I(μ) = S(0) + Σ ΔS · <exp(-τ/μ)>,

where the mean over a layer is Simpson's rule in τ: it needs no division by Δτ, hence is smooth
and safe in float32 in both the thin and the thick limit.

Two directions are used, with μ₂ = 4 μ₁, so that one exponential serves both. With weights that
integrate μ, μ² and μ³ exactly (one quadratic equation for μ₂), the flux is exact for a source
function up to quadratic in τ. Layers are added from the surface inwards and forgotten, so
memory does not grow with the number of depths.
"""

from __future__ import annotations

import numpy as np
import torch

from . import constants as c

__all__ = ["FluxIntegrator", "planck"]

# ΣW = 1/2, ΣWμ = 1/3, ΣWμ² = 1/4 for μ = (a/4, a): a² - 10a/3 + 2 = 0.
_MU_2 = (10 / 3 - np.sqrt(100 / 9 - 8)) / 2
_W_1 = (0.5 - 1 / (3 * _MU_2)) / 0.75
_W_2 = 0.5 - _W_1


def planck(temperature: torch.Tensor, wavelength_nm: torch.Tensor) -> torch.Tensor:
    """Planck function B_λ [W m^-2 nm^-1 sr^-1], shape ``(n_points, n_wave)``.

    Formulated with ``exp(-x)``, which underflows to zero where ``exp(x)`` would overflow.
    """
    lam_m = wavelength_nm.double() * 1e-9
    front = (2 * c.PLANCK * 1e-7 * (c.SPEED_OF_LIGHT * 1e-2) ** 2 / lam_m**5 * 1e-9).float()
    x = (c.HC_OVER_K_NM / wavelength_nm) / temperature[:, None].float()
    e = torch.exp(-x)
    return front * e / (1 - e)


def _escape(ray: torch.Tensor) -> torch.Tensor:
    """``∫ exp(-τ/μ) μ dμ`` from ``ray = exp(-τ/μ₂)``: the exponential integral E₃(τ)."""
    steep = ray * ray
    steep.mul_(steep).mul_(_W_1)
    return steep.add_(ray, alpha=_W_2)


class FluxIntegrator:
    """Accumulates the emergent flux layer by layer, surface first.

    Parameters
    ----------
    ln_tau : ndarray, shape (n_depth,)
        Natural logarithm of the reference optical depth.
    """

    def __init__(self, ln_tau: np.ndarray) -> None:
        self._half_steps = 0.5 * np.diff(ln_tau, prepend=np.nan)
        self._layer = 0
        self._opacity = self._source = torch.empty(0)

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
            self._ray = torch.exp(self._tau * (-1 / _MU_2))
            self._kernel = _escape(self._ray)
            self._sum = source * (0.5 * 6.0)
        else:
            half = float(self._half_steps[self._layer])
            self._tau.add_(self._opacity, alpha=half).add_(opacity, alpha=half)
            ray = torch.mul(self._tau, -1 / _MU_2).exp_()
            kernel = _escape(ray)
            mean = _escape(self._ray.mul_(ray).sqrt_()).mul_(4).add_(kernel).add_(self._kernel)
            self._sum.addcmul_(source - self._source, mean)
            self._ray, self._kernel = ray, kernel
        self._opacity, self._source = opacity, source
        self._layer += 1

    def flux(self) -> torch.Tensor:
        """Emergent flux, shape ``(n_stars, n_wave)``, in the unit of the source."""
        return (self._sum * (2 * np.pi / 6.0)).clamp_(min=0.0)
