"""Stellar parameters in, emergent spectra out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ...spectra import StarkinError
from .atmosphere import build_atmosphere
from .composition import composition
from .emergence import emergent_flux
from .energy import temperature_scale
from .sampling import Sampling, sampling_for

__all__ = ["synthesise"]

_CHUNK_STARS = 512


def _check(name: str, value: np.ndarray, low: float, high: float) -> None:
    bad = ~((value >= low) & (value <= high))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise StarkinError(
            f"{name} of star {first} is {value[first]:g}; atmospheres cover {low:g} to {high:g}."
        )


def synthesise(
    teff: np.ndarray,
    logg: np.ndarray,
    m_h: np.ndarray,
    alpha_m: np.ndarray | float = 0.0,
    c_m: np.ndarray | float = 0.0,
    *,
    wavelength_nm: np.ndarray,
    abundances: np.ndarray | None = None,
    sampling: Sampling | None = None,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Emergent surface fluxes of stars.

    Parameters
    ----------
    teff : ndarray, shape (n_stars,)
        Effective temperature, 2500-40000 K.
    logg : ndarray, shape (n_stars,)
        log10 of surface gravity [cm s^-2], -1 to 9.
    m_h, alpha_m, c_m : ndarray, shape (n_stars,)
        [M/H], [α/M] (O, Mg, Si, S, Ca, Ti) and [C/M] in dex.
    wavelength_nm : ndarray, shape (n_wave,)
        Vacuum wavelengths [nm], increasing. Fluxes are means over the pixels around them
        unless ``sampling`` says otherwise.
    abundances : ndarray, shape (n_stars, n_elements), optional
        Offset in dex of each element of ``ELEMENTS`` beyond ``m_h``, ``alpha_m`` and ``c_m``.
    sampling : Sampling, optional
        Where the opacity is sampled; by default :func:`~.sampling.sampling_for` the grid.
    progress : callable, optional
        Told the number of stars done, after each chunk.

    Returns
    -------
    ndarray, shape (n_stars, n_wave), float32
        Surface flux [W m^-2 nm^-1].

    Raises
    ------
    StarkinError
        If a parameter is outside the range or not finite, or the shapes disagree.
    """
    teff, logg, m_h, alpha_m, c_m = (
        np.array(x, dtype=float)
        for x in np.broadcast_arrays(*(np.atleast_1d(p) for p in (teff, logg, m_h, alpha_m, c_m)))
    )
    for name, value, low, high in (
        ("teff", teff, 2500.0, 40000.0),
        ("logg", logg, -1.0, 9.0),
        ("m_h", m_h, -6.0, 1.0),
        ("alpha_m", alpha_m, -1.5, 1.5),
        ("c_m", c_m, -3.0, 5.0),
    ):
        _check(name, value, low, high)
    if sampling is None:
        sampling = sampling_for(np.asarray(wavelength_nm, dtype=float))
    mix = composition(m_h, alpha_m, c_m, abundances)
    out = np.empty((teff.size, sampling.n_pixels), dtype=np.float32)
    # Neighbours in Teff share temperature intervals, layer by layer: larger matrix products.
    order = np.argsort(teff, kind="stable")
    for start in range(0, teff.size, _CHUNK_STARS):
        rows = order[start : start + _CHUNK_STARS]
        t, g, m, a = (torch.from_numpy(x[rows]) for x in (teff, logg, m_h, mix))
        atmosphere = build_atmosphere(t, g, m, a, temperature_scale(t, g, m))
        out[rows] = sampling.reduce(emergent_flux(atmosphere, sampling.table)).numpy()
        if progress is not None:
            progress(min(start + _CHUNK_STARS, teff.size))
    return out
