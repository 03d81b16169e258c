"""Does a clustering come back when the sample, or the model's seed, is another one?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spectra.errors import StarkinError
from .metrics import adjusted_rand, jaccard_best

__all__ = ["SeedStability", "Stability", "resampling_stability", "seed_stability"]

#: Called with (step done, steps in all, a short line).
Progress = Callable[[int, int, str], None]

#: The share of distinct stars in a bootstrap sample, 1 - 1/e.
BOOTSTRAP_FRACTION = 0.632


@dataclass(frozen=True, eq=False)
class Stability:
    """What became of a clustering under resampling.

    Attributes
    ----------
    ari : ndarray, shape (n_resamples,)
        Adjusted Rand index between the resample's clustering and the full one,
        over stars of the resample that are in a population in both.
    ari_all : ndarray, shape (n_resamples,)
        The same over all its stars, noise being one more class.
    jaccard : ndarray, shape (n_resamples, n_populations)
        Of each population with its best match (Hennig 2007).
    n_clusters : ndarray of int, shape (n_resamples,)
    fraction : float
        Share of the stars in each resample.
    """

    ari: np.ndarray
    ari_all: np.ndarray
    jaccard: np.ndarray
    n_clusters: np.ndarray
    fraction: float

    @property
    def jaccard_mean(self) -> np.ndarray:
        """Shape (n_populations,). Hennig (2007): >= 0.75 stable, < 0.5 dissolved."""
        return _ignoring_empty(np.nanmean, self.jaccard)

    def jaccard_low(self, quantile: float = 0.1) -> np.ndarray:
        """Lower quantile over resamples, shape (n_populations,)."""
        return _ignoring_empty(lambda x, axis: np.nanquantile(x, quantile, axis=axis), self.jaccard)

    def to_dict(self) -> dict[str, Any]:
        return {
            "method": "clustering of random subsets, compared with that of the whole sample",
            "fraction": self.fraction,
            "n_resamples": len(self.ari),
            "ari": self.ari.tolist(),
            "ari_mean": float(np.mean(self.ari)),
            "ari_all": self.ari_all.tolist(),
            "ari_all_mean": float(np.mean(self.ari_all)),
            "n_clusters": self.n_clusters.tolist(),
            "jaccard_mean": self.jaccard_mean.tolist(),
            "jaccard_low": self.jaccard_low().tolist(),
        }


def _ignoring_empty(reduce: Callable[..., np.ndarray], values: np.ndarray) -> np.ndarray:
    filled = np.where(np.isnan(values).all(axis=0, keepdims=True), 0.0, values)
    return np.asarray(reduce(filled, axis=0))


def resampling_stability(
    labels: np.ndarray,
    cluster: Callable[[np.ndarray], np.ndarray],
    *,
    n_resamples: int = 20,
    fraction: float = BOOTSTRAP_FRACTION,
    seed: int = 0,
    progress: Progress | None = None,
) -> Stability:
    """Cluster random subsets and compare each with the clustering of the whole.

    Subsets are drawn without replacement: the copies in a bootstrap sample
    would fake peaks of density. The default share is that of the distinct
    stars in a bootstrap sample.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        The clustering of all stars; -1 for none.
    cluster : callable
        Takes the rows of a subset, gives their labels.
    n_resamples : int
        How many subsets.
    fraction : float
        In (0, 1].
    seed : int
        Of the subsets.
    progress : callable, optional
        Told of each resample (done, in all, a line).
    """
    labels = np.asarray(labels, dtype=np.int64)
    rng = np.random.default_rng(seed)
    n = len(labels)
    size = max(2, round(fraction * n))
    ari, ari_all, jaccard, count = [], [], [], []
    for step in range(n_resamples):
        rows = np.sort(rng.choice(n, size=size, replace=False))
        found = np.asarray(cluster(rows), dtype=np.int64)
        whole = labels[rows]
        value = adjusted_rand(whole, found, ignore_noise=True)
        ari.append(0.0 if np.isnan(value) else value)
        ari_all.append(adjusted_rand(whole, found))
        row = jaccard_best(whole, found)
        jaccard.append(np.pad(row, (0, int(labels.max()) + 1 - len(row)), constant_values=np.nan))
        count.append(int(found.max()) + 1)
        if progress:
            progress(step + 1, n_resamples, f"ARI {ari[-1]:.3f}, {count[-1]} clusters")
    return Stability(
        ari=np.array(ari),
        ari_all=np.array(ari_all),
        jaccard=np.array(jaccard).reshape(n_resamples, -1),
        n_clusters=np.array(count, dtype=np.int64),
        fraction=float(fraction),
    )


@dataclass(frozen=True, eq=False)
class SeedStability:
    """Agreement of the populations found in the latents of models that differ in their seed.

    Attributes
    ----------
    ari, ari_all : ndarray, shape (n_models, n_models)
        Over stars that are in a population in both, and over all.
    jaccard : ndarray, shape (n_models - 1, n_populations)
        Of each population of the first model with its best match in each other one.
    """

    ari: np.ndarray
    ari_all: np.ndarray
    jaccard: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """ARI of each pair of models once, shape (n_models (n_models - 1) / 2,)."""
        return self.ari[np.triu_indices(len(self.ari), 1)]

    def to_dict(self) -> dict[str, Any]:
        upper = np.triu_indices(len(self.ari), 1)
        return {
            "ari": self.ari[upper].tolist(),
            "ari_mean": float(np.mean(self.ari[upper])),
            "ari_all": self.ari_all[upper].tolist(),
            "ari_all_mean": float(np.mean(self.ari_all[upper])),
            "jaccard_mean": _ignoring_empty(np.nanmean, self.jaccard).tolist(),
            "n_models": len(self.ari),
        }


def seed_stability(labelings: Sequence[np.ndarray]) -> SeedStability:
    """Compare labelings of the same stars, one a model seed, row by row the same star."""
    if len(labelings) < 2:
        raise StarkinError("seed_stability compares at least two labelings.")
    n = len(labelings)
    ari, ari_all = np.eye(n), np.eye(n)
    for i in range(n):
        for j in range(i):
            value = adjusted_rand(labelings[i], labelings[j], ignore_noise=True)
            ari[i, j] = ari[j, i] = 0.0 if np.isnan(value) else value
            ari_all[i, j] = ari_all[j, i] = adjusted_rand(labelings[i], labelings[j])
    jaccard = np.array([jaccard_best(labelings[0], other) for other in labelings[1:]])
    return SeedStability(ari=ari, ari_all=ari_all, jaccard=jaccard)
