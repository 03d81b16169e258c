"""What catalogues would say of simulated stars, with errors, beside the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spectra import columns
from ..spectra.photometry import ZERO_POINTS, magnitude
from . import galaxy
from .populations import Stars

__all__ = ["describe"]

# Relative errors of mean fluxes: floor of calibration; photons and background at magnitude 16
# (Riello et al. 2021, A&A 649, A3, fig. 14 and 15).
_PHOTOMETRIC = {
    "G": (0.0005, 0.0005, 0.00005),
    "BP": (0.002, 0.003, 0.0015),
    "RP": (0.002, 0.0025, 0.0008),
}


def _label_errors(g_mag: np.ndarray, teff: np.ndarray) -> dict[str, np.ndarray]:
    """Standard errors of labels, as spectroscopic surveys state them: worse when faint or hot."""
    faint = np.sqrt(1 + 10 ** (0.5 * (g_mag - 16.0)))
    hot = np.clip(teff / 5500.0, 1.0, 4.0)
    return {
        columns.TEFF: 0.009 * teff * faint,
        columns.LOGG: 0.07 * faint * hot,
        columns.M_H: 0.05 * faint * hot,
        columns.ALPHA_M: 0.03 * faint * hot,
        columns.C_M: 0.05 * faint * hot,
    }


def describe(
    stars: Stars,
    class_name: np.ndarray,
    stellar: np.ndarray,
    magnitudes: dict[str, np.ndarray],
    distance: np.ndarray,
    position: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Label columns of stars.

    Parameters
    ----------
    stars : Stars
        Their intrinsic properties and places.
    class_name : ndarray of str, shape (n_stars,)
        Simulated class of each.
    stellar : ndarray of bool, shape (n_stars,)
        Where labels of a single star mean anything; they are NaN elsewhere.
    magnitudes : dict of passband to ndarray, shape (n_stars,)
        Noiseless, Vega [mag].
    distance : ndarray, shape (n_stars,)
        [kpc]
    position : tuple of ndarray, shape (n_stars,) each
        Right ascension and declination [deg].
    rng : Generator
        Source of chance.

    Returns
    -------
    dict
        Column name to values, shape (n_stars,).
    """
    n = len(stars)
    # One row a star, so that a star's noise does not depend on how many are drawn.
    normal = iter(rng.standard_normal((n, 9)).T)
    g = magnitudes["G"]
    labels: dict[str, Any] = {}
    for band, (flux_name, mag_name) in columns.PHOTOMETRY.items():
        floor, photons, background = _PHOTOMETRIC[band]
        flux = 10 ** (0.4 * (ZERO_POINTS[band] - magnitudes[band]))
        faint = 10 ** (0.2 * (magnitudes[band] - 16.0))
        relative = np.sqrt(floor**2 + (photons * faint) ** 2 + (background * faint**2) ** 2)
        labels[flux_name] = flux * (1 + relative * next(normal))
        labels[mag_name] = magnitude(labels[flux_name], band)
    parallax_error = galaxy.parallax_error(g)
    labels |= {
        columns.BP_RP: labels[columns.BP_MAG] - labels[columns.RP_MAG],
        columns.PARALLAX: 1 / distance + parallax_error * next(normal),
        columns.PARALLAX_ERROR: parallax_error,
        columns.RA: position[0],
        columns.DEC: position[1],
        columns.GLON: stars.lon,
        columns.GLAT: stars.lat,
    }
    truth = {
        columns.TEFF: stars.teff,
        columns.LOGG: stars.logg,
        columns.M_H: stars.m_h,
        columns.ALPHA_M: stars.alpha_m,
        columns.C_M: stars.c_m,
    }
    for name, error in _label_errors(g, stars.teff).items():
        labels[name] = np.where(stellar, truth[name] + error * next(normal), np.nan)
        labels[f"{name}_error"] = np.where(stellar, error, np.nan)
    for name, value in truth.items():
        labels[columns.truth(name)] = np.where(stellar, value, np.nan)
    labels[columns.truth("age")] = stars.age
    labels[columns.truth("distance")] = distance
    labels[columns.truth(columns.A_V)] = stars.a_v
    labels[columns.CLASS_NAME] = class_name
    labels[columns.COMPONENT] = np.array(galaxy.COMPONENTS)[stars.component]
    return labels
