"""Stellar parameters in, emergent spectra out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ...spectra import StarkinError
from . import constants as c
from .atmosphere import LN_TAU, Atmosphere, build_atmosphere
from .opacity import OpacityTable
from .sampling import Sampling, sampling_for
from .transfer import FluxIntegrator, planck

__all__ = ["composition", "emergent_flux", "synthesise"]

_CHUNK_STARS = 512


def composition(
    m_h: np.ndarray,
    alpha_m: np.ndarray | float = 0.0,
    c_m: np.ndarray | float = 0.0,
    offsets: np.ndarray | None = None,
) -> np.ndarray:
    """Abundances by number relative to hydrogen, shape ``(n_stars, n_elements)``.

    Parameters
    ----------
    m_h, alpha_m, c_m : ndarray, shape (n_stars,)
        [M/H]; [α/M] of O, Mg, Si, S, Ca, Ti; [C/M]. [dex]
    offsets : ndarray, shape (n_stars, n_elements), optional
        Further offset of each element of ``ELEMENTS`` from these [dex].
    """
    m_h = np.atleast_1d(np.asarray(m_h, dtype=float))
    dex = np.zeros((m_h.size, len(c.ELEMENTS)))
    dex[:, 2:] = m_h[:, None]
    for symbol in c.ALPHA_ELEMENTS:
        dex[:, c.ELEMENT_INDEX[symbol]] += np.broadcast_to(alpha_m, m_h.shape)
    dex[:, c.ELEMENT_INDEX["C"]] += np.broadcast_to(c_m, m_h.shape)
    if offsets is not None:
        offsets = np.asarray(offsets, dtype=float)
        if offsets.shape != dex.shape:
            raise StarkinError(
                f"abundances must have shape {dex.shape} (stars, elements of "
                f"starkin.simulate.physics.ELEMENTS), got {offsets.shape}."
            )
        dex = dex + offsets
    return c.solar_abundances() * 10.0**dex


def emergent_flux(atmosphere: Atmosphere, table: OpacityTable) -> torch.Tensor:
    """Flux through the surface [W m^-2 nm^-1], shape ``(n_stars, n_wave)``."""
    lam = torch.tensor(table.wavelength_nm, dtype=torch.float32)
    integrator = FluxIntegrator(LN_TAU)
    for depth, state in enumerate(atmosphere.layers):
        scale = float(np.exp(LN_TAU[depth])) / atmosphere.opacity[depth]
        weights = table.weights(state, scale)
        integrator.add(table.evaluate(state.temperature, weights), planck(state.temperature, lam))
    return integrator.flux()


def _check(name: str, value: np.ndarray, low: float, high: float) -> None:
    bad = ~((value >= low) & (value <= high))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise StarkinError(
            f"{name} of star {first} is {value[first]:g}; the atmospheres cover {low:g} to {high:g}."
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
        atmosphere = build_atmosphere(t, g, m, a)
        out[rows] = sampling.reduce(emergent_flux(atmosphere, sampling.table)).numpy()
        if progress is not None:
            progress(min(start + _CHUNK_STARS, teff.size))
    return out
