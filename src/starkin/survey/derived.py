"""Positions and photometry that a file of spectra lacks but implies.

A file of XP coefficients alone still says where its stars are, since a Gaia
source_id begins with the HEALPix cell of the source, and how bright and red
they are, since the spectrum gives synthetic photometry. What is derived is
described so in the catalogue.
"""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column
from cdshealpix.nested import healpix_to_lonlat

from ..spectra import SpectrumSet, XPGrid, columns, synthetic_photometry

__all__ = ["fill_in"]

# Gaia DR3 documentation, gaia_source.source_id: bits 36-63 are the level-12 HEALPix index.
_HEALPIX_LEVEL, _HEALPIX_SHIFT = 12, 35
_HEALPIX_CELLS = 12 * 4**_HEALPIX_LEVEL


def fill_in(spectra: SpectrumSet) -> SpectrumSet:
    """Spectra with positions (ra, dec, l, b) and photometry (G, BP, RP, BP-RP) where missing."""
    return _photometry(_positions(spectra))


def _positions(spectra: SpectrumSet) -> SpectrumSet:
    new: dict[str, Column] = {}
    if spectra.has_label(columns.RA) and spectra.has_label(columns.DEC):
        place = SkyCoord(
            spectra.label(columns.RA) * u.deg, spectra.label(columns.DEC) * u.deg, frame="icrs"
        )
        note = ""
    else:
        cell = spectra.source_id >> _HEALPIX_SHIFT
        if not ((spectra.source_id > 0) & (cell < _HEALPIX_CELLS)).all() or not cell.any():
            return spectra  # Not Gaia's ids: they say nothing of positions.
        lon, lat = healpix_to_lonlat(cell.astype(np.uint64), _HEALPIX_LEVEL)
        place = SkyCoord(lon, lat, frame="icrs")
        note = ", from source_id (centre of its HEALPix cell, good to 1 arcmin)"
        new[columns.RA], new[columns.DEC] = place.ra.deg, place.dec.deg
    if not (spectra.has_label(columns.GLON) and spectra.has_label(columns.GLAT)):
        galactic = place.galactic
        new[columns.GLON], new[columns.GLAT] = galactic.l.deg, galactic.b.deg
    return _with(spectra, new, note)


def _photometry(spectra: SpectrumSet) -> SpectrumSet:
    wanted = (columns.G_MAG, columns.BP_MAG, columns.RP_MAG, columns.BP_RP)
    missing = [name for name in wanted if not spectra.has_label(name)]
    if columns.BP_RP in missing and {columns.BP_MAG, columns.RP_MAG}.isdisjoint(missing):
        colour = spectra.label(columns.BP_MAG) - spectra.label(columns.RP_MAG)
        spectra = spectra.with_labels(**{columns.BP_RP: colour})
        missing.remove(columns.BP_RP)
    raw = isinstance(spectra.grid, XPGrid) and spectra.unit == u.electron / u.s
    if not missing or not raw:
        return spectra
    synthetic = synthetic_photometry(spectra)
    return _with(
        spectra, {n: np.asarray(synthetic[n]) for n in missing}, ", synthesised from the spectrum"
    )


def _with(spectra: SpectrumSet, new: dict[str, np.ndarray], note: str) -> SpectrumSet:
    described = {
        name: Column(values, description=columns.info(name).description + note)
        for name, values in new.items()
    }
    return spectra.with_labels(**described)
