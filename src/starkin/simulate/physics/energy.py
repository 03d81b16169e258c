"""Energy conservation: what leaves the star must be σTeff⁴.

A grey T(τ) does not carry the right flux through a gas that is not grey and full of lines. The
engine computes the bolometric flux of a grid of atmospheres over 95 nm - 20 µm, and scales the
temperatures of each by (σTeff⁴/F)^¼; stars take the factor by interpolation. This is also where
back-warming comes from: what lines block in the blue comes out elsewhere.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from scipy.interpolate import RegularGridInterpolator

from . import constants as c
from .absorbers import default_columns
from .atmosphere import build_atmosphere
from .composition import composition
from .emergence import emergent_flux
from .kept import kept_on_disk
from .opacity import OpacityTable

__all__ = ["bolometric_ratio", "temperature_scale"]

_TEFF = np.array(
    [2500.0, 3000, 3400, 3800, 4300, 5000, 5800, 6700, 8000, 10000, 13000, 20000, 40000]
)
_LOGG = np.array([-1.0, 1.5, 4.5, 9.0])
_M_H = np.array([-3.0, -1.0, 0.0, 0.5])
_LINES_NM = (180.0, 1100.0)
_N_PASSES = 2


@cache
def _bolometric_table() -> OpacityTable:
    # Crowded where the lines are, and incommensurate with any of them.
    wavelength = np.concatenate(
        [
            np.geomspace(95.0, 300.0, 60, endpoint=False),
            np.geomspace(300.0, 1100.0, 260, endpoint=False),
            np.geomspace(1100.0, 20000.0, 60),
        ]
    )
    return OpacityTable(default_columns(*_LINES_NM, resolved=False), wavelength)


def bolometric_ratio(
    teff: torch.Tensor, logg: torch.Tensor, m_h: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Emergent flux over σTeff⁴ for atmospheres whose temperatures are scaled by ``scale``."""
    mix = torch.from_numpy(composition(m_h.numpy()))
    table = _bolometric_table()
    flux = emergent_flux(build_atmosphere(teff, logg, m_h, mix, scale), table).double()
    total = torch.trapezoid(flux, torch.tensor(table.wavelength_nm), dim=1)  # W m^-2
    return total / (c.STEFAN_BOLTZMANN * 1e-3 * teff**4)


def _scales() -> np.ndarray:
    """The factor at every point of the grid, shape (n_teff, n_logg, n_m_h)."""
    axes = (np.log(_TEFF), _LOGG, _M_H)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    # A supergiant hotter than its Eddington limit does not exist: lend it a gravity that does.
    floor = np.log10(c.STEFAN_BOLTZMANN * np.exp(points[:, 0]) ** 4 / c.SPEED_OF_LIGHT) + 0.3
    logg = np.maximum(points[:, 1], floor)
    args = (torch.from_numpy(x) for x in (np.exp(points[:, 0]), logg, points[:, 2]))
    teff, gravity, m_h = args
    scale = torch.ones_like(teff)
    for _ in range(_N_PASSES):
        scale = (scale * bolometric_ratio(teff, gravity, m_h, scale) ** -0.25).clamp(0.93, 1.08)
    return scale.numpy().reshape([len(a) for a in axes])


@cache
def _scale_grid() -> RegularGridInterpolator:
    scale = kept_on_disk("temperatures", b"", lambda: {"scale": _scales()})["scale"]
    return RegularGridInterpolator((np.log(_TEFF), _LOGG, _M_H), scale)


def temperature_scale(teff: torch.Tensor, logg: torch.Tensor, m_h: torch.Tensor) -> torch.Tensor:
    """Factor on the temperatures of each star, shape ``(n_stars,)``.

    Parameters
    ----------
    teff, logg, m_h : Tensor, shape (n_stars,)
        Beyond the edges of the grid the factor is that of the edge.
    """
    at = [
        np.clip(x.numpy(), axis[0], axis[-1])
        for x, axis in zip((torch.log(teff), logg, m_h), (np.log(_TEFF), _LOGG, _M_H), strict=True)
    ]
    return torch.from_numpy(_scale_grid()(np.stack(at, axis=-1)))
