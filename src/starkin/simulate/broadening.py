"""Factors that a model is not told of: rotation and macroturbulence, other in each star.

Both act on spectra as the spectrograph gives them: convolving with one kernel more commutes with
the line-spread function. It is done in Fourier space on each chip's own logarithmic grid, the
spectrum mirrored at the ends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import j1

from ..spectra import SpectrumSet, StarkinError, WavelengthGrid, columns
from .degrade import chips_of, recorded

__all__ = ["with_macroturbulence", "with_rotation"]

_C_KMS = 2.99792458e5
_ROWS = 1024
_LIMB_DARKENING = 0.3  # linear coefficient in the H band


def with_macroturbulence(
    spectra: SpectrumSet, mean: float = 3.0, scatter: float = 1.5, *, seed: int
) -> SpectrumSet:
    """Gaussian blur of a standard deviation drawn for each star.

    Parameters
    ----------
    spectra : SpectrumSet
        What the flaw is added to.
    mean, scatter : float
        Of the standard deviation over stars [km/s]; negative draws count as zero.
    seed : int
        Of all that is random.
    """
    width = np.clip(
        mean + scatter * np.random.default_rng(seed).standard_normal(len(spectra)), 0.0, None
    )

    def transfer(frequency: np.ndarray, speed: np.ndarray) -> np.ndarray:
        return np.exp(-2 * (np.pi * frequency * speed[:, None]) ** 2)

    blurred = _convolved(spectra, width, transfer)
    meta = recorded(spectra, "macroturbulence", mean=mean, scatter=scatter, seed=seed)
    return blurred.replace(meta=meta).with_labels(**{columns.truth("v_macro"): width})


def with_rotation(spectra: SpectrumSet, scale: float = 3.0, *, seed: int) -> SpectrumSet:
    """Rotational broadening with v sin i drawn from a Rayleigh distribution.

    Parameters
    ----------
    spectra : SpectrumSet
        What the flaw is added to.
    scale : float
        Of the distribution [km/s]; the mean is 1.25 times as large.
    seed : int
        Of all that is random.
    """
    if not 0 <= scale <= 100:
        raise StarkinError(f"scale must lie in 0..100 km/s, got {scale!r}.")
    speed = scale * np.sqrt(2 * np.random.default_rng(seed).exponential(size=len(spectra)))

    def transfer(frequency: np.ndarray, v_sin_i: np.ndarray) -> np.ndarray:
        # Fourier transform of the profile of Gray 2005, eq. 18.14.
        x = np.maximum(2 * np.pi * frequency * v_sin_i[:, None], 1e-4)
        disc = 2 * j1(x) / x
        limb = 3 * (np.sin(x) - x * np.cos(x)) / x**3
        e = _LIMB_DARKENING
        return ((1 - e) * disc + e * 2 / 3 * limb) / (1 - e / 3)

    blurred = _convolved(spectra, speed, transfer)
    meta = recorded(spectra, "rotation", scale=scale, seed=seed)
    return blurred.replace(meta=meta).with_labels(**{columns.truth("v_sin_i"): speed})


def _convolved(
    spectra: SpectrumSet,
    speed: np.ndarray,
    transfer: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> SpectrumSet:
    """Spectra blurred in velocity; ``transfer(frequency, speed)`` is the kernel's transform."""
    if not isinstance(spectra.grid, WavelengthGrid):
        raise StarkinError("Only spectra against wavelength can be broadened.")
    values = np.array(spectra.values, dtype=np.float32)
    log = np.log(spectra.grid.wavelength)
    for chip in chips_of(spectra):
        steps = np.diff(log[chip])
        if np.ptp(steps) > 1e-3 * steps.mean():
            raise StarkinError("Broadening needs pixels equal in log wavelength; resample first.")
        n = chip.stop - chip.start
        frequency = np.fft.rfftfreq(2 * n, steps.mean() * _C_KMS)  # cycles per km/s
        for start in range(0, len(spectra), _ROWS):
            rows = slice(start, start + _ROWS)
            piece = values[rows, chip]
            mirrored = np.concatenate([piece, piece[:, ::-1]], axis=1)
            spectrum = np.fft.rfft(mirrored, axis=1) * transfer(frequency, speed[rows])
            values[rows, chip] = np.fft.irfft(spectrum, 2 * n, axis=1)[:, :n]
    values[spectra.mask] = 0.0
    return spectra.replace(values=values)
