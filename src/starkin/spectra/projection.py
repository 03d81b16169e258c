"""From a spectral energy distribution to XP coefficients.

The inverse bases ψ_i of GaiaXPy (:mod:`starkin.spectra.bases`) are the spectra
that the instrument turns into the bases φ_i of the mean spectrum: a source whose
photon spectrum n(λ) = P R λ F / hc is Σ_i c_i ψ_i(u(λ)) is recorded as Σ_i c_i φ_i(u).
In terms of the Hermite functions the ψ_i span exactly the first n of them,
ψ = T B H, and the H_k are orthonormal over x, so that the coefficients of any
source follow from n quadratures and one small, well-conditioned inverse
(condition 157 for BP, 55 for RP)::

    c = b (T B)⁻¹,      b_k = ∫ n(λ) H_k(x(λ)) |dx/dλ| dλ

What lies outside the span (structure finer than XP resolves) is dropped, as the
instrument drops it; line spread, dispersion and response are those of the
official calibration and need no further model.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import make_interp_spline

from .bases import band_model, require_official
from .columns import BANDS
from .errors import StarkinError
from .grid import XPGrid

__all__ = ["project", "projection_matrix"]

# Where either band sees anything [nm]; beyond, the response is below 1e-3 of its peak.
_SEEN = (318.0, 1085.0)
# The finest structure of the highest basis function is 5 nm across (BP, at 330 nm).
_STEP = 0.25


def _refined(wavelength: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """A grid fine enough for quadrature, and the matrix that interpolates onto it."""
    inside = (wavelength >= _SEEN[0]) & (wavelength <= _SEEN[1])
    steps = np.diff(wavelength[inside])
    covered = wavelength[0] <= _SEEN[0] and wavelength[-1] >= _SEEN[1]
    if covered and steps.size and steps.max() <= _STEP:
        return wavelength, None
    fine = np.arange(_SEEN[0], _SEEN[1] + _STEP, _STEP)
    degree = min(3, wavelength.size - 1)
    spline = make_interp_spline(wavelength, np.eye(wavelength.size), k=degree)
    return fine, spline(np.clip(fine, wavelength[0], wavelength[-1]))


@lru_cache(maxsize=8)
def _cached(wavelength: bytes) -> np.ndarray:
    given = np.frombuffer(wavelength)
    fine, spread = _refined(given)
    weight = np.gradient(fine)
    weight[[0, -1]] /= 2
    blocks = []
    for band in BANDS:
        model = band_model(band)
        u = model.pseudo_wavelength(fine)
        jacobian = np.abs(model.pseudo_wavelength(fine, derivative=1)) * model.scale
        b = (model.photons(fine) * jacobian * weight)[:, np.newaxis] * model.hermite(u).T
        design = model.transformation @ model.inverse_bases
        c = np.linalg.solve(design.T, b.T).T
        blocks.append(c if spread is None else spread.T @ c)
    matrix = np.ascontiguousarray(np.concatenate(blocks, axis=1))
    matrix.setflags(write=False)
    return matrix


def projection_matrix(wavelength: np.ndarray, grid: XPGrid | None = None) -> np.ndarray:
    """The matrix from absolute fluxes to XP coefficients, BP first.

    Parameters
    ----------
    wavelength : ndarray, shape (n_wave,)
        Where the flux is known [nm], strictly increasing. It should reach from 330
        to 1050 nm in steps of 2 nm or less (finer if the source has narrow lines);
        outside its range the flux is continued by its last value.
    grid : XPGrid, optional
        DR3's 55 + 55 without it.

    Returns
    -------
    ndarray, shape (n_wave, n_pixels)
        ``coefficients = flux @ projection_matrix(wavelength)`` [electron/s for a
        flux of 1 W m⁻² nm⁻¹]; read-only and cached.
    """
    require_official(grid or XPGrid())
    wavelength = np.asarray(wavelength, dtype=np.float64)
    if wavelength.ndim != 1 or wavelength.size < 2 or not np.all(np.diff(wavelength) > 0):
        raise StarkinError("Wavelengths must be one strictly increasing row of numbers in nm.")
    if wavelength[0] > 345 or wavelength[-1] < 1000:
        raise StarkinError(
            "Projecting on the XP bases needs the flux from 345 nm or bluer to 1000 nm or redder, "
            f"but it is given from {wavelength[0]:g} to {wavelength[-1]:g} nm."
        )
    return _cached(wavelength.tobytes())


def project(wavelength: np.ndarray, flux: np.ndarray, grid: XPGrid | None = None) -> np.ndarray:
    """XP coefficients of sources with known spectral energy distributions.

    Parameters
    ----------
    wavelength : ndarray, shape (n_wave,)
        [nm]; see :func:`projection_matrix`.
    flux : ndarray, shape (..., n_wave)
        [W m⁻² nm⁻¹], at any resolution above XP's.
    grid : XPGrid, optional
        DR3's 55 + 55 without it.

    Returns
    -------
    ndarray, shape (..., n_pixels)
        Noiseless coefficients [electron/s].
    """
    flux = np.asarray(flux)
    if flux.shape[-1:] != np.shape(wavelength):
        raise StarkinError(
            f"flux has {flux.shape[-1:]} samples for {np.size(wavelength)} wavelengths."
        )
    return flux @ projection_matrix(wavelength, grid)
