"""Stars that resemble nothing else: scores in latent space, and their union with the model's."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from ..io.latents import Latents
from ..spectra.errors import StarkinError
from .populations import LatentScale, Populations

__all__ = ["auroc", "combined_score", "isolation", "unlike_populations"]


def isolation(
    latents: Latents,
    *,
    fraction: float = 0.01,
    max_reference: int = 20_000,
    scaling: str = "total",
    seed: int = 0,
    workers: int = 1,
) -> np.ndarray:
    """Distance to the k-th neighbour, k being a part of the sample.

    With k a *part* of the sample, a small group of strange stars is as
    isolated as a single one: nobody hides behind a few companions.

    Parameters
    ----------
    latents : Latents
        The sample is its own reference.
    fraction : float
        k over the number of stars; a group smaller than this stands out.
    max_reference : int
        Of larger samples a random part of this size is the reference.
    scaling : str
        See :meth:`starkin.latent.populations.LatentScale.fit`.
    seed : int
        Picks the reference.
    workers : int
        Threads.

    Returns
    -------
    ndarray, shape (n_stars,)
        In scaled latents; NaN for stars without latents.
    """
    if not 0 < fraction < 1:
        raise StarkinError(f"fraction is {fraction!r}; it must be within (0, 1).")
    usable = np.flatnonzero(latents.usable)
    score = np.full(len(latents), np.nan)
    if usable.size < 3:
        return score
    points = LatentScale.fit(latents, scaling).apply(latents.mean[usable])
    reference = points
    if len(points) > max_reference:
        rng = np.random.default_rng(seed)
        reference = points[rng.choice(len(points), size=max_reference, replace=False)]
    # A star of the reference is its own first neighbour; one more or less of k does no harm.
    k = min(max(2, round(fraction * len(reference)) + 1), len(reference))
    score[usable] = cKDTree(reference).query(points, k=[k], workers=workers)[0][:, 0]
    return score


def unlike_populations(populations: Populations) -> np.ndarray:
    """GLOSH-like score: how far a star's density falls short of its population's peak.

    1 - lambda(star) / lambda_max(population), lambda = 1 / core distance
    (Campello et al. 2015, eq. 8, with the populations as the clusters); for a star
    in no population the densest part of the sample is what it is measured by.

    Returns
    -------
    ndarray, shape (n_stars,)
        In [0, 1]; NaN for stars that were not clustered.
    """
    reference = populations.reference
    density = 1.0 / np.maximum(reference.core, np.finfo(float).tiny)
    peak = np.full(populations.n_populations + 1, density.max())  # The last: no population.
    for number in range(populations.n_populations):
        peak[number] = density[reference.labels == number].max()
    score = np.full(len(populations.labels), np.nan)
    score[populations.reference_rows] = 1.0 - density / peak[reference.labels]
    return score


def combined_score(*scores: np.ndarray) -> np.ndarray:
    """One score of several, whatever their units: Fisher's sum over ranks.

    s = sum_j -ln p_j, p_j = (rank from the top) / (n + 1) of the star in score
    j (Fisher 1932). A star that is extreme in one score stays so in the sum.

    Parameters
    ----------
    *scores : ndarray, shape (n_stars,)
        Larger is stranger. Where a star has no value (NaN), that score says
        nothing about it: it counts as typical.

    Returns
    -------
    ndarray, shape (n_stars,)
        NaN where no score has a value.
    """
    if not scores:
        raise StarkinError("combined_score needs at least one score.")
    total = np.zeros(len(scores[0]))
    known = np.zeros(len(scores[0]), dtype=bool)
    for score in scores:
        score = np.asarray(score, dtype=np.float64)
        has = ~np.isnan(score)
        from_top = rankdata(-score[has])
        part = np.full(len(score), np.log(2.0))
        part[has] = -np.log(from_top / (has.sum() + 1))
        total += part
        known |= has
    return np.where(known, total, np.nan)


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative.

    The Mann-Whitney statistic over n_+ n_-; ties count one half. A star without
    a score (NaN) counts as scored lowest: a method gains nothing by not answering.

    Parameters
    ----------
    score : ndarray, shape (n,)
        Larger is stranger.
    positive : ndarray of bool, shape (n,)
        True for the stars that should score high.
    """
    score = np.asarray(score, dtype=np.float64)
    positive = np.asarray(positive, dtype=bool)
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    rank = rankdata(np.where(np.isnan(score), -np.inf, score))
    wins = rank[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))
