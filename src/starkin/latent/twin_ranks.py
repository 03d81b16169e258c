"""Where the true twin ranks among all other stars, by distance or by the model's metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..io.latents import Latents, TwinPrior
from ..spectra.errors import StarkinError
from .candidates import CandidateIndex
from .twin_kernels import count_nearer
from .twin_metric import TwinMetric, TwinStars

__all__ = ["MetricRanks", "TwinRanks", "partners", "ranks_by_distance", "ranks_by_metric"]

#: Candidates whose exact ratio is computed at least, for each star.
_BLOCK = 32


@dataclass(frozen=True, eq=False)
class TwinRanks:
    """Rank of the true twin of each query; 1 is the nearest of all other stars.

    Attributes
    ----------
    rank : ndarray of int64, shape (n_queries,)
        A star as near as the twin counts as nearer. A twin or a query without finite latents
        ranks last.
    n_stars : int
        Size of the pool, the query included.
    """

    rank: np.ndarray
    n_stars: int

    @property
    def first(self) -> float:
        """Part of the queries whose twin is the nearest star."""
        return float(np.mean(self.rank == 1))

    def within(self, fraction: float) -> float:
        """Part of the queries whose twin is among the nearest ``fraction`` of the pool.

        The nearest ``round(fraction * n_stars)`` stars, at least one: 25 for 0.1 % of 25,000.
        """
        return float(np.mean(self.rank <= max(1, round(fraction * self.n_stars))))

    @property
    def median(self) -> float:
        return float(np.median(self.rank))

    def to_dict(self) -> dict[str, Any]:
        """What a table of results holds."""
        return {
            "first": self.first,
            "within_0.1_percent": self.within(0.001),
            "within_1_percent": self.within(0.01),
            "median_rank": self.median,
        }


@dataclass(frozen=True, eq=False)
class MetricRanks:
    """Ranks by likelihood ratio, and the ratios of the best candidates.

    Attributes
    ----------
    ranks : TwinRanks
    queries : ndarray of int64, shape (n_queries,)
        Rows of the pool.
    candidates : ndarray of int64, shape (n_queries, k)
        Rows of the pool, -1 for none.
    log_ratio : ndarray, shape (n_queries, k)
        LLR [nat]; NaN where it was not computed.
    """

    ranks: TwinRanks
    queries: np.ndarray
    candidates: np.ndarray
    log_ratio: np.ndarray


def partners(composition_id: np.ndarray) -> np.ndarray:
    """Row of each star's twin, -1 for a star on its own; shape (n_stars,).

    Parameters
    ----------
    composition_id : ndarray of int, shape (n_stars,)
        Twins share one; negative for stars on their own.

    Raises
    ------
    StarkinError
        If more than two stars share one, or no two do.
    """
    composition_id = np.asarray(composition_id, dtype=np.int64)
    order = np.argsort(composition_id, kind="stable")
    ordered = composition_id[order]
    same = (ordered[1:] == ordered[:-1]) & (ordered[1:] >= 0)
    if (same[1:] & same[:-1]).any():
        many = ordered[1:-1][same[1:] & same[:-1]][0]
        raise StarkinError(
            f"Composition {many} is shared by more than two stars; ranks of twins need pairs."
        )
    if not same.any():
        raise StarkinError("No two stars share a composition_id; there are no twins to rank.")
    out = np.full(len(composition_id), -1, dtype=np.int64)
    first, second = order[:-1][same], order[1:][same]
    out[first], out[second] = second, first
    return out


def ranks_by_distance(
    mean: np.ndarray, partner: np.ndarray, measure: Literal["l1", "l2"] = "l2"
) -> TwinRanks:
    """Rank of the twin by L1 or L2 distance, every star against every other.

    Parameters
    ----------
    mean : ndarray, shape (n_stars, n_latent)
        Latents. Distances are computed in single precision about the mean.
    partner : ndarray of int, shape (n_stars,)
        From :func:`partners`.
    measure : {"l1", "l2"}
        Sum of absolute differences, or Euclidean.
    """
    mean = np.asarray(mean, dtype=np.float64)
    usable = np.isfinite(mean).all(axis=1)
    rank, rows = _worst(partner, usable)
    if rows.size:
        centred = np.where(usable[:, None], mean - mean[usable].mean(axis=0), np.nan)
        points = np.ascontiguousarray(centred.T, dtype=np.float32)
        queries = np.flatnonzero(partner >= 0)
        counted = count_nearer(points, points, rows, partner[rows], measure == "l2")
        rank[np.searchsorted(queries, rows)] = 1 + counted
    return TwinRanks(rank, len(mean))


def ranks_by_metric(
    latents: Latents,
    partner: np.ndarray,
    prior: TwinPrior,
    *,
    n_candidates: int = 400,
    workers: int = 1,
) -> MetricRanks:
    """Rank of the twin by the likelihood ratio of a prior.

    Candidates come from the metric's Euclidean space, nearest first; their ratios with each
    star's own noise decide. They are computed in blocks that double, until a whole block holds
    none that is as good as the twin's. A twin that is no candidate keeps its place in that
    space, behind all candidates.

    Parameters
    ----------
    latents : Latents
        The pool.
    partner : ndarray of int, shape (n_stars,)
        From :func:`partners`.
    prior : TwinPrior
        The metric.
    n_candidates : int
        For each star.
    workers : int
        Threads of the candidate search.
    """
    metric = TwinMetric.fit(latents, prior)
    stars = metric.stars(latents)
    points, queries = metric.points(stars), metric.queries(stars)
    points[~stars.usable] = np.nan
    every = np.flatnonzero(partner >= 0)
    rank, rows = _worst(partner, stars.usable)
    k = min(n_candidates, int(stars.usable.sum()) - 1)
    candidates = np.full((len(every), max(k, 0)), -1, dtype=np.int64)
    ratio = np.full(candidates.shape, np.nan)
    if rows.size:
        index = CandidateIndex.build(points, exact=True, workers=workers)
        found = without_self(index.search(queries[rows], k + 1), rows)
        twin = partner[rows][:, None]
        own = metric.log_ratios(stars, rows, twin)
        exact, n_better = _better(metric, stars, rows, found, twin, own)
        position = np.searchsorted(every, rows)
        rank[position] = np.where(np.isnan(own[:, 0]), len(partner) - 1, 1 + n_better)
        missed = np.flatnonzero(~(found == twin).any(axis=1))
        if missed.size:
            far = _transposed(queries), _transposed(points)
            behind = count_nearer(*far, rows[missed], partner[rows[missed]], True)
            rank[position[missed]] = np.maximum(1 + behind, k + 1)
        candidates[position], ratio[position] = found, exact
    return MetricRanks(TwinRanks(rank, len(partner)), every, candidates, ratio)


def _better(
    metric: TwinMetric,
    stars: TwinStars,
    rows: np.ndarray,
    found: np.ndarray,
    twin: np.ndarray,
    own: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Ratios of the candidates, as many as needed, and how many are as good as the twin's."""
    m, k = found.shape
    exact = np.full((m, k), np.nan)
    n_better = np.zeros(m, dtype=np.int64)
    going, start, size = np.arange(m), 0, _BLOCK
    while going.size and start < k:
        block = found[going, start : start + size]
        ratio = metric.log_ratios(stars, rows[going], block)
        exact[going, start : start + size] = ratio
        better = ((ratio >= own[going]) & (block != twin[going])).sum(axis=1)
        n_better[going] += better
        going, start, size = going[better > 0], start + size, 2 * size
    return exact, n_better


def without_self(found: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Neighbours (m, k + 1) less the query itself, or else the last one; shape (m, k)."""
    keep = found != rows[:, None]
    keep[keep.all(axis=1), -1] = False
    return found[keep].reshape(len(found), -1)


def _worst(partner: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Last place for every query, and the rows of those that can be ranked."""
    queries = np.flatnonzero(partner >= 0)
    rank = np.full(len(queries), len(partner) - 1, dtype=np.int64)
    return rank, queries[usable[queries] & usable[partner[queries]]]


def _transposed(points: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points.T, dtype=np.float32)
