"""Light of simulated stars before the instrument: atmospheres, companions, discs, dust."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache

import numpy as np
from astropy import constants as const
from astropy import units as u
from dust_extinction.parameter_averages import G23

from .physics import synthesise
from .rare import Group, Light

__all__ = ["WAVELENGTH", "extinction", "flux_at_ten_parsec"]


def _grid() -> np.ndarray:
    """Pixels at least three times as fine as XP resolves there, over all it sees [nm].

    The line spread of the official calibration is 6 nm wide (full width at half maximum)
    at 350 nm, 14 at 450, 29 at 600 in BP; 13 at 650, 20 at 800 and 34 at 1000 in RP.
    """
    pieces = ((318, 430, 2.0), (430, 520, 3.0), (520, 640, 4.0), (640, 760, 3.0), (760, 1091, 5.0))
    return np.concatenate([np.arange(low, high, step) for low, high, step in pieces])


WAVELENGTH = _grid()
_TEN_PARSEC = (10 * u.pc / const.R_sun).decompose().value


@lru_cache(maxsize=1)
def extinction() -> np.ndarray:
    """A(λ)/A(V) of Gordon et al. 2023 (ApJ 950, 86) at R_V = 3.1, shape (n_wave,)."""
    return G23(Rv=3.1)(WAVELENGTH * u.nm)


def flux_at_ten_parsec(
    groups: list[Group], wanted: list[np.ndarray], alpha_signal: bool = True
) -> list[np.ndarray]:
    """Flux at 10 pc of the stars of each group, before extinction.

    Parameters
    ----------
    groups : list of Group
        Stars, class by class.
    wanted : list of ndarray of bool, shape (n_stars,)
        For which stars of each group; the flux of others is left at zero.
    alpha_signal : bool
        False puts every atmosphere at [α/M] = 0.

    Returns
    -------
    list of ndarray, shape (n_stars, n_wave)
        On :data:`WAVELENGTH` [W m⁻² nm⁻¹].
    """
    sources: list[tuple[int, Light]] = []
    for i, group in enumerate(groups):
        s = group.stars
        sources.append((i, Light(s.teff, s.logg, s.m_h, s.alpha_m, s.c_m, s.radius)))
        if group.companion is not None:
            sources.append((i, group.companion))
    # All atmospheres in one call, which is what the engine is quick at.
    joined = Light(
        **{
            f.name: np.concatenate([getattr(x, f.name)[wanted[i]] for i, x in sources])
            for f in fields(Light)
        }
    )
    surface = synthesise(
        np.clip(joined.teff, 2500, 40000),
        np.clip(joined.logg, -1, 9),
        np.clip(joined.m_h, -6, 1),
        joined.alpha_m if alpha_signal else np.zeros_like(joined.alpha_m),
        joined.c_m,
        wavelength_nm=WAVELENGTH,
    )
    seen = surface * (joined.radius / _TEN_PARSEC)[:, np.newaxis] ** 2
    out = [np.zeros((len(group.stars), WAVELENGTH.size)) for group in groups]
    start = 0
    for i, _ in sources:
        n = int(wanted[i].sum())
        out[i][wanted[i]] += seen[start : start + n]
        start += n
    return [
        flux if group.dress is None else group.dress(WAVELENGTH, flux)
        for group, flux in zip(groups, out, strict=True)
    ]
