"""Doppelgänger rate: field stars that look more alike than the stars of one cluster do.

Stars born together share their composition; two random field stars seldom do. The fraction of
cluster-field pairs that are closer than the cluster's own stars typically are says how far
latents (or abundances) can tell compositions apart (Ness et al. 2018, ApJ 853, 198; de Mijolla &
Ness 2022, ApJ 926, 193). Lower is better; the distances between random pairs of a good latent
space exceed those within a cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.spatial.distance import cdist

from ..io.latents import Latents, TwinPrior
from ..spectra.errors import StarkinError
from .twin_metric import TwinMetric
from .within import within_from_pairs

__all__ = ["Doppelgangers", "doppelganger_rate", "pair_distance"]

#: Rows of stars (cluster) and of stars (field) to their distances, shape (n_cluster, n_field),
#: computed without knowledge of the cluster named last.
Distance = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Doppelgangers:
    """Rates with their intervals.

    Attributes
    ----------
    rate : float
        Mean over clusters, each with the same weight.
    low, high : float
        95 % bootstrap interval over clusters.
    clusters : astropy.table.Table
        ``cluster``, ``n_stars``, ``median_distance`` (within the cluster), ``rate``.
    n_field : int
        Field stars.
    """

    rate: float
    low: float
    high: float
    clusters: Table
    n_field: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "rate": self.rate,
            "low": self.low,
            "high": self.high,
            "n_clusters": len(self.clusters),
            "n_field": self.n_field,
        }


def doppelganger_rate(
    cluster: np.ndarray,
    distance: Distance,
    *,
    least_members: int = 3,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Doppelgangers:
    """Fraction of cluster-field pairs closer than the median pair within the cluster.

    Parameters
    ----------
    cluster : ndarray of int, shape (n_stars,)
        Cluster of each star, negative for the field.
    distance : callable
        ``distance(rows, others, cluster)`` gives distances, shape (n_rows, n_others), from a
        metric that did not see the stars of ``cluster`` (leave one cluster out). NaN for stars
        that have none: such pairs do not count.
    least_members : int
        Clusters with fewer stars are left out.
    n_resamples : int
        Bootstrap samples of the clusters.
    seed : int
        Of those.

    Raises
    ------
    StarkinError
        If there is no field, or no cluster has enough stars.
    """
    cluster = np.asarray(cluster)
    field = np.flatnonzero(cluster < 0)
    names, sizes = np.unique(cluster[cluster >= 0], return_counts=True)
    names = names[sizes >= least_members]
    if not field.size or not names.size:
        raise StarkinError(
            f"A doppelgänger rate needs field stars and clusters of at least {least_members} "
            f"stars; there are {field.size} field stars and {names.size} such clusters."
        )
    rows = []
    for name in names:
        members = np.flatnonzero(cluster == name)
        inside = distance(members, members, int(name))[np.triu_indices(len(members), k=1)]
        median = float(np.nanmedian(inside)) if np.isfinite(inside).any() else float("nan")
        outside = distance(members, field, int(name))
        outside = outside[np.isfinite(outside)]
        rate = float(np.mean(outside < median)) if outside.size else float("nan")
        rows.append((int(name), len(members), median, rate))
    table = Table(rows=rows, names=("cluster", "n_stars", "median_distance", "rate"))
    rates = np.asarray(table["rate"])[np.isfinite(table["rate"])]
    picks = np.random.default_rng(seed).integers(0, len(rates), size=(n_resamples, len(rates)))
    low, high = np.percentile(rates[picks].mean(axis=1), [2.5, 97.5])
    return Doppelgangers(float(rates.mean()), float(low), float(high), table, len(field))


def pair_distance(
    latents: Latents, prior: TwinPrior, cluster: np.ndarray, *, learn: bool = False
) -> Distance:
    """Euclidean distances in latents whitened by leakage and typical noise.

    One metric for all pairs, as the rate wants it: with each star's own noise a hopelessly
    noisy star would be close to everything.

    Parameters
    ----------
    latents : Latents
        Cluster and field stars.
    prior : TwinPrior
        Of the model.
    cluster : ndarray of int, shape (n_stars,)
        Cluster of each star, negative for the field.
    learn : bool
        Learn the leakage from the stars of all *other* clusters first; else the prior is used
        as it is, which has seen none of them.
    """
    cluster = np.asarray(cluster)

    def distance(rows: np.ndarray, others: np.ndarray, left_out: int) -> np.ndarray:
        here = prior
        if learn:
            here = within_from_pairs(latents, _pairs(cluster, left_out), prior)
        metric = TwinMetric.fit(latents, here)
        whitened = metric.stars(latents).z @ metric.basis
        return cdist(whitened[rows], whitened[others])

    return distance


def _pairs(cluster: np.ndarray, left_out: int) -> np.ndarray:
    """Consecutive stars of each cluster but one, as pairs; shape (n, 2)."""
    order = np.argsort(cluster, kind="stable")
    first, second = order[:-1], order[1:]
    same = (cluster[first] == cluster[second]) & (cluster[first] >= 0)
    same &= cluster[first] != left_out
    return np.column_stack([first[same], second[same]])
