"""The end of every model's ``sample``: decoded spectra with scatter, as a spectrum set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..spectra import Grid, SpectrumSet, XPGrid, columns
from .base import Decoded

__all__ = ["drawn_spectra", "mark_normalised"]


def mark_normalised(labels: Table, grid: Grid, n: int) -> None:
    """Say of a model's XP coefficients that they are per unit of G flux already; in place."""
    if isinstance(grid, XPGrid):
        labels[columns.NORMALISATION_FLUX] = np.ones(n)
        labels[columns.NORMALISATION_METHOD] = "model"


def drawn_spectra(
    grid: Grid,
    decoded: Decoded,
    labels: Table,
    generator: np.random.Generator,
    *,
    unit: u.UnitBase = u.dimensionless_unscaled,
    meta: Mapping[str, Any],
) -> SpectrumSet:
    """Spectra about decoded ones.

    XP coefficients are marked as normalised, so that a sample can be encoded and scored like any
    other set.

    Parameters
    ----------
    grid : Grid
        Of the model.
    decoded : Decoded
        Values and scatter of n stars.
    labels : Table
        What they were drawn at, a row a star.
    generator : numpy.random.Generator
        Of the scatter.
    unit : astropy unit
        Of values and scatter.
    meta : mapping
        Which model, which seed.

    Returns
    -------
    SpectrumSet
        ``errors`` holds the scatter that was drawn from; ``source_id`` counts from 0.
    """
    n = len(decoded.values)
    mark_normalised(labels, grid, n)
    noise = generator.standard_normal(decoded.values.shape)
    return SpectrumSet(
        source_id=np.arange(n),
        values=decoded.values + decoded.scatter * noise,
        errors=decoded.scatter,
        grid=grid,
        labels=labels,
        unit=unit,
        meta=dict(meta),
    )
