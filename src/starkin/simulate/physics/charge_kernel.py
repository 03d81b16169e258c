"""The charge balance of :mod:`.state`, compiled: one point of the gas after the other.

The same bracketed secant for every point, which stops when that point has settled: what a point
gets does not depend on its neighbours. ``exp`` is taken once per point and ion, because a Saha
ratio is (Saha factor) / (electron density).
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["charge_balance"]

_LARGEST_LN = 300.0  # of a ratio of ions; two of them still multiply within float64
_SETTLED = 1e-8  # of ln ne
_NOTHING = 1e-200


@njit(nogil=True, cache=True, error_model="numpy")
def _gas(ln_ne, particles, others, abundances, saha, k_h2):  # pragma: no cover - compiled
    """Neutral H, H nuclei and positive charge for a trial electron density."""
    ne = np.exp(ln_ne)
    largest = np.exp(_LARGEST_LN)
    per_h = 0.0
    for e in range(1, abundances.size):
        r1 = min(saha[e, 0] / ne, largest)
        r2 = min(saha[e, 1] / ne, largest)
        per_h += abundances[e] * r1 * (1 + 2 * r2) / (1 + r1 * (1 + r2))
    ionised = min(saha[0, 0] / ne, largest)
    # Particles other than electrons: N_H (1 + others) - n(H2), with N_H = h1 (1 + r1) + 2 K h1².
    atoms = max(particles - ne, 1e-6 * particles)
    linear = (1 + others) * (1 + ionised)
    square = (2 * (1 + others) - 1) * k_h2
    h1 = 2 * atoms / (linear + np.sqrt(linear * linear + 4 * square * atoms))
    nuclei = h1 * (1 + ionised) + 2 * k_h2 * h1 * h1
    return h1, nuclei, h1 * ionised + nuclei * per_h


@njit(nogil=True, cache=True, error_model="numpy")
def charge_balance(
    particles, abundances, ln_saha, k_h2, guess, n_iterations, result, ratios
):  # pragma: no cover - compiled
    """Electrons, hydrogen and ions at every point.

    Parameters
    ----------
    particles : ndarray, shape (n_points,)
        Of all kinds [cm^-3].
    abundances : ndarray, shape (n_points, n_elements)
        Per H nucleus; hydrogen first.
    ln_saha : ndarray, shape (n_points, n_elements, 2)
        ln of the Saha factors, N+ ne / N0 and N++ ne / N+ [cm^-3].
    k_h2 : ndarray, shape (n_points,)
        n(H2) / n(H)².
    guess : ndarray, shape (n_points,) or (0,)
        Electron density to start from [cm^-3]; without one, the middle of the bracket.
    n_iterations : int
        At most.
    result : ndarray, shape (3, n_points)
        Receives electrons, neutral H and H nuclei [cm^-3].
    ratios : ndarray, shape (n_points, n_elements, 2)
        Receives N+/N0 and N++/N+.
    """
    largest = np.exp(_LARGEST_LN)
    saha = np.empty((abundances.shape[1], 2))
    for i in range(particles.size):
        own = abundances[i]
        others = 0.0
        for e in range(own.size):
            saha[e, 0] = np.exp(ln_saha[i, e, 0])
            saha[e, 1] = np.exp(ln_saha[i, e, 1])
            if e > 0:
                others += own[e]
        # The charge balance falls monotonically with ne: bracketed secant in ln ne.
        low, high = np.log(particles[i] * 1e-14), np.log(particles[i] * 0.9999)
        y = 0.5 * (low + high)
        if guess.size:
            y = min(max(np.log(guess[i]), low), high)
        slope, before, residual_before = -1.5, 0.0, 0.0
        for k in range(n_iterations):
            charge = _gas(y, particles[i], others, own, saha, k_h2[i])[2]
            residual = np.log(max(charge, _NOTHING)) - y
            if residual > 0:
                low = y
            elif residual < 0:
                high = y
            if k > 0 and abs(y - before) >= 1e-12:
                slope = (residual - residual_before) / (y - before)
                slope = min(max(slope, -50.0), -0.9)
            before, residual_before = y, residual
            trial = y - residual / slope
            if (trial <= low or trial >= high) and abs(residual) > 1e-13:
                trial = 0.5 * (low + high)
            y = trial
            if abs(residual) < _SETTLED:
                break
        h1, nuclei, _ = _gas(y, particles[i], others, own, saha, k_h2[i])
        electrons = np.exp(y)
        result[0, i], result[1, i], result[2, i] = electrons, h1, nuclei
        for e in range(own.size):
            ratios[i, e, 0] = min(saha[e, 0] / electrons, largest)
            ratios[i, e, 1] = min(saha[e, 1] / electrons, largest)
