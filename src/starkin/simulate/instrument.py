"""The XP instrument: from spectra at the telescope to coefficients with their covariance.

Line spread, dispersion and response are the official ones: a source is projected on
the bases by :func:`starkin.spectra.projection.projection_matrix`, which maps a photon
spectrum to the coefficients that the calibrated instrument (Montegriffo et al. 2023,
A&A 674, A3) records for it. This module adds the noise.

A mean spectrum is a weighted least-squares fit of the bases φ_i to the samples of all
transits (De Angeli et al. 2023, A&A 674, A2, sec. 3.3). With h(u) the mean spectrum
[electron/s per sample], the variance of one sample of one transit is::

    v(u) = h(u)/t + k + (f h(u))²

(photons in the exposure t; background and read noise k; calibration f), n transits have
n samples per unit of pseudo-wavelength within the window, and the covariance follows
from the normal equations::

    C = s² S [ n ∫_window φ(u) φ(u)ᵀ / v(u) du ]⁻¹ S

so that errors and correlations vary from star to star with its brightness and colour as
in the archive, and C is a genuine covariance of which the noise is drawn. k, f, the
window and the factor s (what the published errors exceed this ideal by) are fitted to
the published errors of 1,400 real sources, of which they reproduce the median over
orders 0-24 to 8 % (BP) and 5 % (RP) a source. S is diagonal, 1 up to order 38 and
falling beyond, because the published errors of the highest orders are smaller than any
fit of these bases alone would give.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..spectra.bases import internal_bases
from ..spectra.columns import BANDS
from ..spectra.correlations import pack_correlations
from ..spectra.errors import StarkinError
from ..spectra.grid import XPGrid

__all__ = ["MISSING_BP_RATE", "Observation", "band_covariance", "observe", "transits"]

#: DR3: one source of 219,224,825 has no BP spectrum, none lacks RP
#: (Gaia DR3 documentation, sec. 5.3.6).
MISSING_BP_RATE = 1 / 219_224_825

EXPOSURE = 4.42  # [s], a CCD without gate (Gaia Collaboration 2016, sec. 3.3.2)
_STEP = 0.5  # of the quadrature over pseudo-wavelength; the bases need 1.1 or less
_U = np.arange(2.25, 60.0, _STEP)


@dataclass(frozen=True)
class _Noise:
    """Constants of one band: k [(e/s)²], f, s, and the share of transits that BP or RP keeps."""

    constant: float
    calibration: float
    excess: float
    kept: float


# BP kept fewer transits: those of the first ten months, with mirrors contaminated, were
# rejected (Gaia DR3 documentation, sec. 14.2.4).
_NOISE = {"bp": _Noise(6.6, 0.0105, 1.40, 0.85), "rp": _Noise(6.7, 0.0045, 1.40, 1.0)}
_HIGH_ORDERS = {  # S, at orders; linear in between
    "bp": ([38, 42, 45, 50, 53, 54], [1.0, 0.75, 0.58, 0.46, 0.24, 0.10]),
    "rp": ([34, 42, 46, 50, 53, 54], [0.85, 0.65, 0.45, 0.29, 0.16, 0.10]),
}


@lru_cache(maxsize=2)
def _basis(band: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """φ on the window (n, n_u), its products (n_u, n·n) and S (n,)."""
    basis = internal_bases(band, _U)
    n = basis.shape[0]
    products = np.einsum("iu,ju->uij", basis, basis).reshape(_U.size, n * n) * _STEP
    orders, factors = _HIGH_ORDERS[band]
    return basis, products, np.interp(np.arange(n), [0, *orders], [1.0, *factors])


def band_covariance(band: str, coefficients: np.ndarray, n_transits: np.ndarray) -> np.ndarray:
    """Covariance of one band's coefficients (C above).

    Parameters
    ----------
    band : str
        ``"bp"`` or ``"rp"``.
    coefficients : ndarray, shape (n_stars, n_band)
        Noiseless [electron/s].
    n_transits : ndarray, shape (n_stars,)
        Of each star over the focal plane.

    Returns
    -------
    ndarray, shape (n_stars, n_band, n_band)
        [(electron/s)²], positive definite.
    """
    basis, products, high = _basis(band)
    noise = _NOISE[band]
    h = np.clip(coefficients @ basis, 0.0, None)
    variance = h / EXPOSURE + noise.constant + (noise.calibration * h) ** 2
    weight = (noise.kept * n_transits)[:, np.newaxis] / variance
    n = basis.shape[0]
    inverse = np.linalg.inv((weight @ products).reshape(-1, n, n))
    scale = noise.excess * high
    return 0.5 * (inverse + inverse.transpose(0, 2, 1)) * (scale[:, np.newaxis] * scale)


def transits(ra: np.ndarray, dec: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Focal-plane transits over DR3's 34 months.

    The scanning law, 45° from the Sun, visits ecliptic latitudes near ±45° most often
    (Gaia Collaboration 2016, sec. 5.2); the mean over the sky is about 40, and 15 is
    the survey's minimum.
    """
    ra, dec = np.radians(ra), np.radians(dec)
    obliquity = np.radians(23.4393)
    sine = np.sin(dec) * np.cos(obliquity) - np.cos(dec) * np.sin(obliquity) * np.sin(ra)
    latitude = np.degrees(np.abs(np.arcsin(np.clip(sine, -1, 1))))
    mean = 32 + 45 * np.exp(-0.5 * ((latitude - 46) / 6) ** 2) + 12 * (latitude > 46)
    return np.maximum(np.rint(mean * np.exp(0.2 * rng.standard_normal(ra.size))), 15)


@dataclass(frozen=True)
class Observation:
    """What the archive would publish of some stars.

    Attributes
    ----------
    coefficients, errors : ndarray, shape (n_stars, n_pixels)
        [electron/s]
    correlations : ndarray of float32, shape (n_stars, n_correlations), or None
    standard_deviation, n_relevant_bases : dict of band to ndarray, shape (n_stars,)
    missing : dict of band to ndarray of bool, shape (n_stars,)
    """

    coefficients: np.ndarray
    errors: np.ndarray
    correlations: np.ndarray | None
    standard_deviation: dict[str, np.ndarray]
    n_relevant_bases: dict[str, np.ndarray]
    missing: dict[str, np.ndarray]


def _n_relevant(significance: np.ndarray) -> np.ndarray:
    """Number of leading coefficients up to the last that stands out of its error by 3.5 σ."""
    stands_out = np.abs(significance) > 3.5
    n = significance.shape[1]
    last = n - np.argmax(stands_out[:, ::-1], axis=1)
    return np.where(stands_out.any(axis=1), last, 1)


def observe(
    truth: np.ndarray,
    n_transits: np.ndarray,
    rng: np.random.Generator,
    *,
    correlations: bool = True,
    error_underestimate: float = 1.0,
    missing_rate: dict[str, float] | None = None,
    noise: bool = True,
) -> Observation:
    """Draw noisy coefficients and what is published of their uncertainty.

    Parameters
    ----------
    truth : ndarray, shape (n_stars, n_pixels)
        Noiseless coefficients, BP first [electron/s].
    n_transits : ndarray, shape (n_stars,)
        Of each star over the focal plane.
    rng : Generator
        Source of chance.
    correlations : bool
        Whether to give them.
    error_underestimate : float
        True over published standard deviation; users of DR3 find 1 to 2 at the bright end.
    missing_rate : dict of band to float, optional
        Share of stars without a band; by default DR3's.
    noise : bool
        False leaves the coefficients at the truth; all else is as with noise.

    Raises
    ------
    StarkinError
        If the factor is not positive or a rate lies outside 0..1.
    """
    grid = XPGrid()
    rates = {"bp": MISSING_BP_RATE, "rp": 0.0, **(missing_rate or {})}
    if not error_underestimate > 0:
        raise StarkinError(f"error_underestimate must be positive, got {error_underestimate}.")
    if any(not 0 <= rate <= 1 for rate in rates.values()):
        raise StarkinError(f"missing_rate must lie in 0..1 for each band, got {rates}.")
    n = truth.shape[0]
    values, errors = np.empty_like(truth), np.empty_like(truth)
    packed = np.empty((n, grid.n_correlations), dtype=np.float32) if correlations else None
    deviation: dict[str, np.ndarray] = {}
    relevant: dict[str, np.ndarray] = {}
    missing: dict[str, np.ndarray] = {}
    # A stream each, filled star by star: a star's noise does not depend on how many follow.
    for band, stream in zip(BANDS, rng.spawn(len(BANDS)), strict=True):
        shot, fit, loss = stream.spawn(3)
        columns = grid.band(band)
        covariance = band_covariance(band, truth[:, columns], n_transits)
        sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        lower = np.linalg.cholesky(covariance)
        draws = shot.standard_normal((n, sigma.shape[1], 1))
        noisy = truth[:, columns] + error_underestimate * (lower @ draws)[:, :, 0]
        values[:, columns] = noisy if noise else truth[:, columns]
        errors[:, columns] = sigma
        if packed is not None:
            correlation = covariance / (sigma[:, :, np.newaxis] * sigma[:, np.newaxis, :])
            packed[:, grid.correlation_slice(band)] = pack_correlations(correlation)
        # √(χ²/dof) of the fit, already part of the published errors: near 1 where photons
        # rule, above it where calibration does.
        peak = np.abs(truth[:, columns][:, 0])
        bright = (_NOISE[band].calibration * peak) ** 2 * EXPOSURE / np.maximum(peak, 1.0)
        deviation[band] = (1.03 + 0.1 * bright / (1 + bright)) * np.exp(
            0.03 * fit.standard_normal(n)
        )
        # By the errors of the fit: beside the published ones of the highest orders, which S
        # makes smaller, what projection leaves there would stand out in every bright star.
        relevant[band] = _n_relevant(noisy / sigma * _basis(band)[2])
        missing[band] = np.less(loss.uniform(size=n), rates[band])
    # A source without either spectrum would not be in the table at all.
    missing["rp"] = missing["rp"] & ~missing["bp"]
    return Observation(values, errors, packed, deviation, relevant, missing)
