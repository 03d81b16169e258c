"""The formal solution of :mod:`.transfer`, compiled, for spectra that resolve their lines.

The same sum, one layer after the other from the surface inwards; a few wavelengths at a time stay
in the processor's registers, where a chain of array operations would go through memory twenty
times. The exponential is a polynomial in float32, good to 2e-7.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .transfer import _MU_2, _W_1, _W_2

__all__ = ["emergent"]

# ray = exp(-τ/μ₂) is followed as the square of its root: the ray half-way between two depths is
# then the product of their roots. In powers of two:
_ROOT = np.float32(-0.5 / (_MU_2 * np.log(2.0)))
# Beyond, a ray carries less than 2^-30 of the light; and ray⁴, 2^-120 here, must not leave the
# range of float32, where processors take a hundred times as long.
_LARGEST_ROOT = np.float32(-15.0)
_STEEP, _SHALLOW = np.float32(_W_1), np.float32(_W_2)


@njit(fastmath=True, inline="always")
def _exp2(x):  # pragma: no cover - compiled
    """2^x for x <= 0, not less than 2^-15."""
    t = max(x, _LARGEST_ROOT)
    n = np.floor(t + np.float32(0.5))
    f = (t - n) * np.float32(0.69314718)
    p = np.float32(1 / 720)
    p = p * f + np.float32(1 / 120)
    p = p * f + np.float32(1 / 24)
    p = p * f + np.float32(1 / 6)
    p = p * f + np.float32(0.5)
    p = p * f + np.float32(1.0)
    p = p * f + np.float32(1.0)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(fastmath=True, inline="always")
def _escape(ray):  # pragma: no cover - compiled
    square = ray * ray
    return _STEEP * square * square + _SHALLOW * ray


@njit(fastmath=True, nogil=True, cache=True)
def emergent(
    lines, place, opacity_ends, source_ends, ramp, half_steps, level_ends, out, start
):  # pragma: no cover - compiled
    """Flux over the flux without lines.

    Parameters
    ----------
    lines : ndarray, shape (n_layers * n_stars, n_wave)
        Opacity of lines, dτ/d ln τ_ref, in any order of rows.
    place : ndarray of int64, shape (n_layers, n_stars)
        Row of each layer of each star in ``lines``.
    opacity_ends, source_ends : ndarray, shape (n_layers, n_stars, 2)
        Continuous opacity and source function at both ends of the tile.
    ramp : ndarray, shape (2, n_wave)
        Shares of both ends at each wavelength.
    half_steps : ndarray, shape (n_layers,)
        Half of the step in ln τ_ref to the layer above.
    level_ends : ndarray, shape (n_stars, 2)
        Flux without lines at both ends.
    out : ndarray, shape (n_stars, n_all)
        Receives the result from column ``start`` on.
    start : int
        The tile's first wavelength.
    """
    n_layers, n_stars = place.shape
    n_wave = lines.shape[1]
    tau = np.empty(n_wave, np.float32)
    root = np.empty(n_wave, np.float32)
    kernel = np.empty(n_wave, np.float32)
    opacity = np.empty(n_wave, np.float32)
    total = np.empty(n_wave, np.float32)
    left, right = ramp[0], ramp[1]
    for star in range(n_stars):
        row = lines[place[0, star]]
        o_left, o_right = opacity_ends[0, star, 0], opacity_ends[0, star, 1]
        s_left, s_right = source_ends[0, star, 0], source_ends[0, star, 1]
        for w in range(n_wave):
            own = max(row[w], np.float32(0.0)) + o_left * left[w] + o_right * right[w]
            here = _exp2(own * _ROOT)
            opacity[w] = own
            tau[w] = own
            root[w] = here
            kernel[w] = _escape(here * here)
            total[w] = np.float32(3.0) * (s_left * left[w] + s_right * right[w])
        for layer in range(1, n_layers):
            row = lines[place[layer, star]]
            half = half_steps[layer]
            o_left, o_right = opacity_ends[layer, star, 0], opacity_ends[layer, star, 1]
            d_left = source_ends[layer, star, 0] - source_ends[layer - 1, star, 0]
            d_right = source_ends[layer, star, 1] - source_ends[layer - 1, star, 1]
            for w in range(n_wave):
                own = max(row[w], np.float32(0.0)) + o_left * left[w] + o_right * right[w]
                depth = tau[w] + half * (opacity[w] + own)
                here = _exp2(depth * _ROOT)
                below = _escape(here * here)
                total[w] += (d_left * left[w] + d_right * right[w]) * (
                    kernel[w] + np.float32(4.0) * _escape(root[w] * here) + below
                )
                opacity[w] = own
                tau[w] = depth
                root[w] = here
                kernel[w] = below
        for w in range(n_wave):
            level = level_ends[star, 0] * left[w] + level_ends[star, 1] * right[w]
            out[star, start + w] = max(total[w], np.float32(0.0)) * np.float32(np.pi / 3) / level
