"""Latents in which distance means difference of composition: where chemical groups are sought."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..io.latents import Latents, TwinPrior
from ..spectra.errors import StarkinError
from .twin_metric import TwinMetric

__all__ = ["whitened_latents"]


def whitened_latents(latents: Latents, prior: TwinPrior, *, least: float = 1.0) -> Latents:
    """Latents in units of leakage and typical noise, most telling direction first.

    Stars of one composition then scatter like a unit sphere, so that any search for groups that
    knows nothing of leakage works: :class:`starkin.latent.clusters.PopulationFinder` with
    ``scaling="none"``, its tests of stability included.

    Parameters
    ----------
    latents : Latents
        As a model encoded them.
    prior : TwinPrior
        Of the model.
    least : float
        Directions in which compositions scatter less than this, in units of the variance of
        leakage and noise, are left out: they would add noise and nothing else.

    Returns
    -------
    Latents
        With fewer dimensions; NaN for stars that were not encoded.

    Raises
    ------
    StarkinError
        If no direction tells compositions apart.
    """
    metric = TwinMetric.fit(latents, prior)
    keep = metric.beta >= least
    if not keep.any():
        raise StarkinError(
            "No direction of these latents tells compositions apart: leakage and noise exceed "
            f"{1 / least:g} times the scatter of compositions everywhere."
        )
    basis = metric.basis[:, keep]
    stars = metric.stars(latents)
    covariance = np.einsum(
        "ia,nij,jb->nab", basis, latents.covariance_matrices(), basis, optimize=True
    )
    return replace(latents, mean=stars.z @ basis, covariance=covariance)
