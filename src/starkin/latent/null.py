"""The null test: how many populations does the same procedure find where there is one?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ..io.latents import Latents
from ..spectra.errors import StarkinError
from .clusters import FinderSettings, PopulationFinder
from .populations import Populations
from .stability import Progress

__all__ = ["SURROGATES", "NullTest", "null_test", "surrogates"]


# --- one population that looks like the sample ----------------------------------
def _gaussian(mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.multivariate_normal(mean.mean(axis=0), np.cov(mean.T), size=len(mean))


def _copula(mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ranks = np.corrcoef(rankdata(mean, axis=0).T)
    # Pearson's correlation of the normal scores that gives this rank correlation.
    correlation = np.atleast_2d(2 * np.sin(np.pi / 6 * ranks))
    drawn = rng.multivariate_normal(
        np.zeros(mean.shape[1]), correlation, size=len(mean), check_valid="ignore"
    )
    order = rankdata(drawn, axis=0, method="ordinal").astype(np.int64) - 1
    return np.take_along_axis(np.sort(mean, axis=0), order, axis=0)


def _smoothed(mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    centre = mean.mean(axis=0)
    picked = mean[rng.integers(0, len(mean), len(mean))] - centre
    noise = rng.multivariate_normal(np.zeros(mean.shape[1]), np.cov(mean.T), size=len(mean))
    return centre + (picked + noise) / np.sqrt(2)


SURROGATES = {"gaussian": _gaussian, "copula": _copula, "smoothed": _smoothed}


def surrogates(
    latents: Latents, n: int, *, kind: str = "gaussian", max_stars: int = 10_000, seed: int = 0
) -> Iterator[Latents]:
    """Latents of one continuous population that resembles the sample.

    Parameters
    ----------
    latents : Latents
        The sample; posterior covariances go along with the stars picked.
    n : int
        Surrogates to draw.
    kind : {"gaussian", "copula", "smoothed"}
        ``gaussian``: the sample's mean and covariance. ``copula``: its marginal
        distributions, star for star, and rank correlations, joined by a
        Gaussian copula; a marginal with several peaks makes clumps, so this is
        the severer reference. ``smoothed``: the sample blurred by its own
        covariance and shrunk back to it (Silverman & Young 1987): skew and
        curvature stay in part, islands do not.
    max_stars : int
        Of larger samples a random part of this size.
    seed : int
        Of everything drawn.
    """
    if kind not in SURROGATES:
        raise StarkinError(
            f"There are no surrogates {kind!r}; choose from {', '.join(SURROGATES)}."
        )
    rng = np.random.default_rng(seed)
    usable = np.flatnonzero(latents.usable)
    for _ in range(n):
        rows = usable
        if rows.size > max_stars:
            rows = rng.choice(usable, size=max_stars, replace=False)
        part = latents[rows]
        yield replace(part, mean=SURROGATES[kind](part.mean.astype(np.float64), rng))


# --- the test -------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class NullTest:
    """What the procedure finds in the sample, and where there is one population.

    Attributes
    ----------
    kind : str
        What the references are.
    n_stars : int
        In the observed part and, at most, in each reference.
    n_observed : int
        Populations in the observed part (as large as the references).
    n_reference : ndarray of int, shape (n_references,)
    raw_observed : int
        Clusters of the same settings without the demand of stability.
    raw_reference : ndarray of int, shape (n_references,)
    persistence_observed : float
        Largest persistence of any population but the largest one; 0 if there is one only.
    persistence_reference : ndarray, shape (n_references,)
    """

    kind: str
    n_stars: int
    n_observed: int
    n_reference: np.ndarray
    raw_observed: int
    raw_reference: np.ndarray
    persistence_observed: float
    persistence_reference: np.ndarray

    @property
    def p_number(self) -> float:
        """(1 + references with at least as many populations) / (1 + references)."""
        beyond = np.sum(self.n_reference >= self.n_observed)
        return float((1 + beyond) / (1 + len(self.n_reference)))

    @property
    def p_persistence(self) -> float:
        """(1 + references whose populations persist at least as much) / (1 + references)."""
        beyond = np.sum(self.persistence_reference >= self.persistence_observed)
        return float((1 + beyond) / (1 + len(self.persistence_reference)))

    @property
    def one_fraction(self) -> float:
        """Part of the references in which one population was found, as there is."""
        return float(np.mean(self.n_reference == 1)) if len(self.n_reference) else float("nan")

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "n_stars": self.n_stars,
            "n_references": len(self.n_reference),
            "n_observed": self.n_observed,
            "n_reference": self.n_reference.tolist(),
            "one_fraction": self.one_fraction,
            "p_number": self.p_number,
            "raw_observed": self.raw_observed,
            "raw_reference": self.raw_reference.tolist(),
            "persistence_observed": self.persistence_observed,
            "persistence_reference": self.persistence_reference.tolist(),
            "p_persistence": self.p_persistence,
        }


def null_test(
    latents: Latents,
    populations: Populations,
    *,
    references: Iterable[Latents] | None = None,
    n_surrogates: int = 19,
    kind: str = "gaussian",
    max_stars: int = 10_000,
    seed: int = 0,
    progress: Progress | None = None,
) -> NullTest:
    """Run the chosen settings, and their test of stability, on one-population references.

    The chosen settings are used as they are, with ``min_cluster_size`` as the
    same part of the sample; like the sweep, the procedure falls back to one
    population when the clustering does not reproduce. The observed sample is
    cut to the size of the references and treated alike.

    Parameters
    ----------
    latents : Latents
        The sample in which ``populations`` were found.
    populations : Populations
        What was found.
    references : iterable of Latents, optional
        Latents of surveys of a single population, for example simulated ones
        encoded by the same model. Surrogates of the sample are used if not given.
    n_surrogates, kind
        See :func:`surrogates`. The smallest p-value is 1 / (1 + n_surrogates).
    max_stars : int
        Of larger samples and references a random part of this size is used.
    seed : int
        Of the parts and surrogates.
    progress : callable, optional
        Told of each reference.
    """
    rng = np.random.default_rng(seed)
    if references is None:
        kind_ = kind
        references = surrogates(latents, n_surrogates, kind=kind, max_stars=max_stars, seed=seed)
        total = n_surrogates
    else:
        kind_, references = "given", list(references)
        total = len(references)
    finder = PopulationFinder(same_settings(populations))
    observed = _part(latents, max_stars, rng)
    found = _count(finder, observed)
    rows = []
    for step, reference in enumerate(references, start=1):
        rows.append(_count(finder, _part(reference, max_stars, rng)))
        if progress:
            progress(step, total, f"{rows[-1][0]} populations in a reference")
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return NullTest(
        kind=kind_,
        n_stars=len(observed),
        n_observed=int(found[0]),
        n_reference=table[:, 0].astype(np.int64),
        raw_observed=int(found[1]),
        raw_reference=table[:, 1].astype(np.int64),
        persistence_observed=float(found[2]),
        persistence_reference=table[:, 2],
    )


def same_settings(populations: Populations) -> FinderSettings:
    """The settings that the sweep chose, as a sweep of one."""
    chosen, settings = populations.chosen, dict(populations.settings)
    reference = populations.reference
    fraction = chosen["min_cluster_size"] / len(reference.labels)
    noise = 1 / (reference.points.shape[1] * chosen["min_samples"] ** 0.5)
    settings |= {
        "min_cluster_fractions": (min(fraction, 0.49),),
        "min_samples": (chosen["min_samples"],),
        "methods": (chosen["method"],),
        "prominences": (chosen["prominence"] / noise,),
        "epsilons": (chosen["epsilon"],),
    }
    return FinderSettings(**settings)


def _part(latents: Latents, most: int, rng: np.random.Generator) -> Latents:
    rows = np.flatnonzero(latents.usable)
    if rows.size > most:
        rows = np.sort(rng.choice(rows, size=most, replace=False))
    return latents[rows]


def _count(finder: PopulationFinder, latents: Latents) -> tuple[int, int, float]:
    found = finder.fit(latents)
    persistence = found.persistence[1:].max() if found.n_populations > 1 else 0.0
    return found.n_populations, found.sweep[0]["n_populations"], float(persistence)
