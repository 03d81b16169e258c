"""From [M/H], [α/M] and [C/M] to the number of atoms of each element."""

from __future__ import annotations

import numpy as np

from ...spectra import StarkinError
from . import constants as c

__all__ = ["composition"]


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
