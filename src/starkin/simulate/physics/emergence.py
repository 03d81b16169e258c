"""The flux that leaves an atmosphere, for a table of opacities."""

from __future__ import annotations

import numpy as np
import torch

from .atmosphere import LN_TAU, Atmosphere
from .opacity import OpacityTable
from .transfer import FluxIntegrator, planck

__all__ = ["emergent_flux"]

_TILE_WAVE = 256


def emergent_flux(atmosphere: Atmosphere, table: OpacityTable) -> torch.Tensor:
    """Flux through the surface [W m^-2 nm^-1], shape ``(n_stars, n_wave)``."""
    lam = torch.tensor(table.wavelength_nm, dtype=torch.float32)
    mixtures = []
    for depth, state in enumerate(atmosphere.layers):
        scale = float(np.exp(LN_TAU[depth])) / atmosphere.opacity[depth]
        mixtures.append(table.mixture(state.temperature, table.weights(state, scale)))
    out = torch.empty(mixtures[0].n_points, len(lam), dtype=torch.float32)
    # Tiles in wavelength small enough for the processor's cache.
    for start in range(0, len(lam), _TILE_WAVE):
        tile = slice(start, start + _TILE_WAVE)
        integrator = FluxIntegrator(LN_TAU)
        for mixture, state in zip(mixtures, atmosphere.layers, strict=True):
            integrator.add(table.evaluate(mixture, tile), planck(state.temperature, lam[tile]))
        out[:, tile] = integrator.flux()
    return out
