"""G, BP and RP fluxes of XP spectra, and spectra per unit of G flux.

A synthetic flux is one linear functional of the coefficients: GaiaXPy ships, for
the system ``Gaia_DR3_Vega``, the official DR3 passbands (Riello et al. 2021, A&A
649, A3) integrated over the XP bases, a_i = <S, ψ_i>, so that

    f = Σ_i c_i a_i   [W m⁻² nm⁻¹, photon-weighted mean flux density in the band]
    m = -2.5 log10 f + ZP

(Gaia Collaboration, Montegriffo et al. 2023, A&A 674, A33). Fluxes in electron/s, as
in ``gaia_source``, follow through the Vega zero points published with DR3.
"""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy.table import Table

from . import columns
from .bases import filter_table, has_official_bases
from .columns import BANDS
from .errors import StarkinError
from .propagation import Variance, chunks, patterns, require_xp, triangles
from .spectrum_set import SpectrumSet

__all__ = ["g_flux", "normalise", "passband_functionals", "synthetic_photometry"]

#: Magnitude of 1 electron/s. Gaia DR3 documentation, section 5.4.1, table 5.2 (VEGAMAG).
ZERO_POINTS = {"G": 25.6873668671, "BP": 25.3385422158, "RP": 24.7478955012}

_ELECTRONS = u.electron / u.s


def passband_functionals() -> np.ndarray:
    """The functionals that give G, BP and RP fluxes from coefficients.

    Returns
    -------
    ndarray, shape (110, 3)
        ``coefficients @ passband_functionals()`` are fluxes in electron/s.
    """
    table = filter_table("GaiaDr3Vega")
    to_electrons = [
        10 ** (0.4 * (ZERO_POINTS[name] - zero_point))
        for name, zero_point in zip(table.passbands, table.zero_points, strict=True)
    ]
    stacked = np.concatenate(
        [table.design[band] * table.weights[band] for band in BANDS]
    ) * np.array(to_electrons)
    return stacked[:, [table.passbands.index(name) for name in ZERO_POINTS]]


def magnitude(flux: np.ndarray, band: str = "G") -> np.ndarray:
    """Vega magnitude of a flux in electron/s; NaN unless it is positive."""
    flux = np.asarray(flux, dtype=np.float64)
    positive = flux > 0
    return np.where(
        positive, ZERO_POINTS[band] - 2.5 * np.log10(np.where(positive, flux, 1.0)), np.nan
    )


def _fluxes(spectra: SpectrumSet) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic G, BP, RP fluxes and errors [electron/s], shape (n_stars, 3) each."""
    grid = require_xp(spectra)
    if spectra.unit != _ELECTRONS:
        raise StarkinError(
            f"Synthetic photometry needs coefficients in electron/s, but these are in "
            f"'{spectra.unit}': take the spectra as they were before normalisation."
        )
    functionals = passband_functionals()
    flux = np.full((len(spectra), functionals.shape[1]), np.nan)
    variance = np.full_like(flux, np.nan)
    propagate = {band: Variance(functionals[grid.band(band)]) for band in BANDS}
    for available, rows in patterns(spectra):
        if len(available) < len(BANDS):
            continue  # a passband sees both bands; half a star has no magnitude
        for chunk in chunks(rows, 16 * grid.n_correlations):
            flux[chunk] = spectra.values[chunk] @ functionals
            variance[chunk] = sum(
                propagate[band](
                    spectra.errors[chunk, grid.band(band)], triangles(spectra, chunk, band)
                )
                for band in BANDS
            )
    return flux, np.sqrt(np.where(variance > 0, variance, np.nan))


def synthetic_photometry(spectra: SpectrumSet) -> Table:
    """G, BP and RP of stars from their XP coefficients alone.

    Parameters
    ----------
    spectra : SpectrumSet
        XP coefficients in electron/s.

    Returns
    -------
    Table
        ``source_id``; ``phot_g_mean_flux`` [electron/s], ``phot_g_mean_flux_error``
        (formal, from the coefficients' covariance) and ``phot_g_mean_mag`` [mag], the
        same for BP and RP, and ``bp_rp``. NaN for a star that lacks a band or a
        coefficient (as in GaiaXPy), and for magnitudes of fluxes that are not positive.
    """
    flux, error = _fluxes(spectra)
    table = Table({columns.SOURCE_ID: spectra.source_id})
    for i, (name, (flux_name, mag_name)) in enumerate(columns.PHOTOMETRY.items()):
        table[flux_name] = flux[:, i]
        table[f"{flux_name}_error"] = error[:, i]
        table[mag_name] = magnitude(flux[:, i], name)
    table[columns.BP_RP] = table[columns.BP_MAG] - table[columns.RP_MAG]
    for name in table.colnames:
        known = columns.info(name)
        table[name].unit = known.unit or None
        table[name].description = f"{known.description}, synthesised from XP coefficients"
    table[columns.SOURCE_ID].description = columns.info(columns.SOURCE_ID).description
    return table


def g_flux(spectra: SpectrumSet) -> tuple[np.ndarray, np.ndarray]:
    """The G flux by which each star is to be normalised, and where it comes from.

    Star by star, the first of these that is there, finite and positive:

    - ``"flux"``: the label ``phot_g_mean_flux``;
    - ``"magnitude"``: 10^(0.4 (ZP - ``phot_g_mean_mag``)), ZP = 25.6873668671;
    - ``"synthetic"``: the flux synthesised from the coefficients, which takes both
      bands complete;
    - ``"none"``, with a flux of NaN.

    Returns
    -------
    flux : ndarray, shape (n_stars,)
        [electron/s]
    method : ndarray of str, shape (n_stars,)
    """
    flux = np.full(len(spectra), np.nan)
    method = np.full(len(spectra), "none", dtype="U9")

    def fill(name: str, candidate: np.ndarray) -> None:
        take = (method == "none") & np.isfinite(candidate) & (candidate > 0)
        flux[take] = candidate[take]
        method[take] = name

    if spectra.has_label(columns.G_FLUX):
        fill("flux", spectra.label(columns.G_FLUX))
    if spectra.has_label(columns.G_MAG):
        fill("magnitude", 10 ** (0.4 * (ZERO_POINTS["G"] - spectra.label(columns.G_MAG))))
    lacking = np.flatnonzero(method == "none")
    # Without published bases a release that gives G fluxes can still be normalised by them.
    if lacking.size and (has_official_bases(spectra.grid) or lacking.size == len(spectra)):
        synthetic = np.full(len(spectra), np.nan)
        synthetic[lacking] = _fluxes(spectra[lacking])[0][:, 0]
        fill("synthetic", synthetic)
    return flux, method


def normalise(spectra: SpectrumSet) -> SpectrumSet:
    """Spectra per unit of G flux, so that only the shape of the spectrum is left.

    Values and errors are divided by :func:`g_flux`, which is taken as exact: one
    factor for the whole star, it changes no correlation. A star without a G flux
    of any kind comes out masked.

    Parameters
    ----------
    spectra : SpectrumSet
        XP coefficients in electron/s. Spectra that are normalised already are
        returned as they are.

    Returns
    -------
    SpectrumSet
        Dimensionless, with the label columns ``g_flux`` [electron/s] and
        ``g_flux_method`` added.
    """
    if is_normalised(spectra):
        return spectra
    if spectra.unit != _ELECTRONS:
        raise StarkinError(
            f"Normalising by the G flux needs coefficients in electron/s, but these are in "
            f"'{spectra.unit}'."
        )
    flux, method = g_flux(spectra)
    known = method != "none"
    scale = np.where(known, flux, 1.0)[:, np.newaxis]
    normalised = spectra.replace(
        values=spectra.values / scale,
        errors=spectra.errors / scale,
        mask=spectra.mask | ~known[:, np.newaxis],
        unit=u.dimensionless_unscaled,
    )
    return normalised.with_labels(
        **{columns.NORMALISATION_FLUX: flux, columns.NORMALISATION_METHOD: method}
    )


def is_normalised(spectra: SpectrumSet) -> bool:
    """Whether :func:`normalise` has been applied."""
    return spectra.unit == u.dimensionless_unscaled and spectra.has_label(
        columns.NORMALISATION_METHOD
    )
