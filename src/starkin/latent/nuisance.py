"""What else latents know: extinction, brightness, noise and place on the sky.

A latent space that is meant to describe stars should tell little of what is not the star.
:func:`audit` says how much of each nuisance can be read off the latents;
:func:`made_of_magnitude` whether populations found in them are brightness in disguise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import KFold

from ..spectra.errors import StarkinError
from .intervals import Interval, bootstrap

__all__ = ["Dependence", "audit", "made_of_magnitude", "sky_vector"]


def sky_vector(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Unit vectors of places on the sky, shape (n_stars, 3): no seam, no pole.

    Parameters
    ----------
    lon, lat : ndarray, shape (n_stars,)
        [deg]
    """
    lon, lat = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def audit(
    latents: np.ndarray,
    quantities: Mapping[str, np.ndarray],
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> dict[str, Interval]:
    """Cross-validated R² of each quantity when it is read off the latents.

    R² = 1 − Σ|y − ŷ|² / Σ|y − ȳ|², with ŷ(z) from boosted trees that have not seen the
    star. 0: nothing; 1: all. It can fall below 0 where there is nothing to learn.

    Parameters
    ----------
    latents : ndarray, shape (n_stars, n_latent)
        Posterior means.
    quantities : mapping of str to ndarray, shape (n_stars,) or (n_stars, n_components)
        What is sought, such as A_V, G, log S/N, :func:`sky_vector`; of a quantity with several
        components R² is that of the vector. Stars that lack it are left out.
    n_folds, seed : int
        Of the cross-validation.

    Returns
    -------
    dict of str to Interval
        R² with its 95 % bootstrap interval over stars.
    """
    results = {}
    for name, values in quantities.items():
        y = np.asarray(values, dtype=np.float64).reshape(len(latents), -1)
        known = np.isfinite(y).all(axis=1) & np.isfinite(latents).all(axis=1)
        z, y = np.asarray(latents)[known], y[known]
        if len(y) < 10 * n_folds:
            raise StarkinError(f"{len(y)} stars with {name} are too few to audit it.")
        predicted, mean = np.empty_like(y), np.empty_like(y)
        for train, test in KFold(n_folds, shuffle=True, random_state=seed).split(z):
            mean[test] = y[train].mean(axis=0)
            for j in range(y.shape[1]):
                model = HistGradientBoostingRegressor(
                    max_iter=80, learning_rate=0.12, random_state=seed
                )
                predicted[test, j] = model.fit(z[train], y[train, j]).predict(z[test])
        left, total = ((y - predicted) ** 2).sum(axis=1), ((y - mean) ** 2).sum(axis=1)
        results[name] = bootstrap(_explained, left, total, n_resamples=500, seed=seed)
    return results


def _explained(left: np.ndarray, total: np.ndarray) -> np.ndarray:
    return 1 - left.sum(axis=-1) / total.sum(axis=-1)


@dataclass(frozen=True)
class Dependence:
    """Normalised mutual information of populations and a binned quantity.

    Attributes
    ----------
    nmi : float
        0: independent; 1: the populations are the bins.
    by_chance : float
        Mean over permutations.
    p_value : float
        Share of permutations with as much or more (the sample itself counted).
    n : int
        Stars.
    """

    nmi: float
    by_chance: float
    p_value: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def made_of_magnitude(
    labels: np.ndarray,
    magnitude: np.ndarray,
    *,
    n_bins: int = 10,
    n_permutations: int = 499,
    seed: int = 0,
) -> Dependence:
    """Whether populations are bins of a magnitude (or of any other quantity).

    Parameters
    ----------
    labels : ndarray of int, shape (n_stars,)
        Populations; negative for none: such stars are left out.
    magnitude : ndarray, shape (n_stars,)
        Cut into bins of equal numbers of stars.
    n_bins, n_permutations, seed : int
        Bins, and permutations behind the p-value.
    """
    keep = (np.asarray(labels) >= 0) & np.isfinite(magnitude)
    labels, magnitude = np.asarray(labels)[keep], np.asarray(magnitude)[keep]
    if len(labels) < n_bins:
        raise StarkinError(f"{len(labels)} stars are too few for {n_bins} bins of magnitude.")
    edges = np.quantile(magnitude, np.linspace(0, 1, n_bins + 1)[1:-1])
    bins = np.searchsorted(edges, magnitude, side="right")
    rng = np.random.default_rng(seed)
    found = float(normalized_mutual_info_score(labels, bins))
    chance = np.array(
        [normalized_mutual_info_score(labels, rng.permutation(bins)) for _ in range(n_permutations)]
    )
    return Dependence(
        nmi=found,
        by_chance=float(chance.mean()),
        p_value=float((1 + (chance >= found).sum()) / (1 + n_permutations)),
        n=len(labels),
    )
