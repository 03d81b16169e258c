"""The covariance within compositions, learnt from pairs that are known or that find themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh

from ..io.latents import Latents, TwinPrior
from ..spectra.errors import StarkinError
from .candidates import CandidateIndex
from .twin_metric import (
    TwinMetric,
    noise_weights,
    twin_probability,
    typical_noise,
    usable_for_twins,
)
from .twin_ranks import without_self

__all__ = ["within_from_neighbours", "within_from_pairs"]

_FLOOR = 1e-8
#: Leakage over the latents' scatter where nothing is known of it.
_UNKNOWN_LEAKAGE = 0.05


def within_from_pairs(
    latents: Latents, pairs: np.ndarray, prior: TwinPrior | None = None
) -> TwinPrior:
    """A prior from stars known to share their composition two by two.

    Half the covariance of ``z_a - z_b`` is W + C. It is shrunk (oracle approximating shrinkage,
    Chen et al. 2010) in a basis in which what was believed before is the unit matrix, so that a
    hundred pairs suffice for tens of dimensions and few pairs change little; then the
    pairs' mean noise is taken off and what would be negative is set to zero.

    Parameters
    ----------
    latents : Latents
        The pool: B and the mean come from all of it.
    pairs : ndarray of int, shape (n_pairs, 2)
        Rows of the pool.
    prior : TwinPrior, optional
        What is believed before; without it, leakage in proportion to the latents' scatter.

    Raises
    ------
    StarkinError
        If fewer than two pairs have finite latents.
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    usable = usable_for_twins(latents)
    pairs = pairs[usable[pairs].all(axis=1)]
    if len(pairs) < 2:
        raise StarkinError(
            f"Only {len(pairs)} known pairs have finite latents; at least two are needed."
        )
    weight = np.ones(len(pairs))
    return _prior(latents, usable, pairs, weight, _believed(latents, usable, prior))


def within_from_neighbours(
    latents: Latents,
    prior: TwinPrior | None = None,
    *,
    n_rounds: int = 6,
    expected_twins: float = 1.0,
    max_asked: int = 0,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
    workers: int = 1,
) -> TwinPrior:
    """A prior from an unlabelled pool that holds twins nobody has pointed out.

    Stars that are each other's best twin by the present metric count as pairs, each weighed by
    its twin probability; their differences give the next metric (expectation and
    maximisation in turn). In a pool without twins there is nothing to learn: mutual
    neighbours are then chance, W comes out too small, and the probabilities too high.

    Parameters
    ----------
    latents : Latents
        The pool.
    prior : TwinPrior, optional
        Where to start; without it, leakage in proportion to the latents' scatter.
    n_rounds : int
        At most.
    expected_twins : float
        Twins a star is expected to have in the pool.
    max_asked : int
        At most so many stars, drawn by ``seed``, are asked for their best twin among all: where
        most stars have one, thousands teach as much as all. 0 asks every star.
    seed : int
        Of that draw.
    progress : callable, optional
        Told of each round (done, in all, a line).
    workers : int
        Threads of the search.

    Raises
    ------
    StarkinError
        If no two stars are each other's best twin.
    """
    usable = usable_for_twins(latents)
    believed = _believed(latents, usable, prior)
    current = believed
    asked = np.flatnonzero(usable)
    if 0 < max_asked < len(asked):
        asked = np.sort(np.random.default_rng(seed).choice(asked, max_asked, replace=False))
    previous: np.ndarray | None = None
    for round_ in range(n_rounds):
        pairs, ratio = _mutual(latents, current, asked, workers)
        if len(pairs) < 2:
            raise StarkinError(
                "No two stars of the pool are each other's best twin; give known pairs instead."
            )
        weight = twin_probability(ratio, int(usable.sum()), expected_twins)
        if weight.sum() < 2:
            # The metric is still too coarse to believe in any pair: the better half shows more.
            weight = (ratio >= np.median(ratio)).astype(float)
        current = _prior(latents, usable, pairs, weight, believed)
        if progress is not None:
            progress(round_ + 1, n_rounds, f"{weight.sum():.0f} pairs")
        if previous is not None and np.array_equal(previous, pairs):
            break
        previous = pairs
    return current


def _mutual(
    latents: Latents, prior: TwinPrior, asked: np.ndarray, workers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of stars that are each other's best twin, one of them asked for, and their ratios.

    Shapes (n, 2), the lower row first, and (n,).
    """
    metric = TwinMetric.fit(latents, prior)
    stars = metric.stars(latents)
    points, queries = metric.points(stars), metric.queries(stars)
    points[~stars.usable] = np.nan
    k = min(8, int(stars.usable.sum()) - 1)
    index = CandidateIndex.build(points, workers=workers)
    choice = np.full(len(latents), -1)
    ratio = np.full(len(latents), -np.inf)

    def ask(rows: np.ndarray) -> None:
        found = without_self(index.search(queries[rows], k + 1), rows)
        own = np.nan_to_num(metric.log_ratios(stars, rows, found), nan=-np.inf)
        best = own.argmax(axis=1)
        choice[rows] = found[np.arange(len(rows)), best]
        ratio[rows] = own[np.arange(len(rows)), best]

    first = asked[stars.usable[asked]]
    ask(first)
    back = np.setdiff1d(choice[first], first)
    back = back[back >= 0]
    if back.size:
        ask(back)
    other = choice[first]
    mutual = (other >= 0) & (choice[other] == first)
    pairs = np.unique(np.sort(np.column_stack([first, other])[mutual], axis=1), axis=0)
    return pairs, ratio[pairs[:, 0]]


def _believed(latents: Latents, usable: np.ndarray, prior: TwinPrior | None) -> TwinPrior:
    """The given prior, or one in which all directions leak alike."""
    if prior is not None:
        return prior
    mean, total, noise = _moments(latents, usable)
    within = _UNKNOWN_LEAKAGE * total
    return TwinPrior(mean, within, _positive(total - noise - within, total))


def _moments(latents: Latents, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance of the pool's latents, and its mean noise, equally weighed."""
    z = latents.mean[usable].astype(np.float64)
    covariance = latents.covariance[usable]
    weight = noise_weights(covariance)
    mean = weight @ z
    total = (z - mean).T @ ((z - mean) * weight[:, None])
    return mean, total, typical_noise(covariance)


def _prior(
    latents: Latents, usable: np.ndarray, pairs: np.ndarray, weight: np.ndarray, believed: TwinPrior
) -> TwinPrior:
    """W from weighed pairs, B from what it and the noise leave of the pool's scatter."""
    mean, total, noise = _moments(latents, usable)
    before = believed.within + noise
    before = before + np.diag(_FLOOR * np.maximum(np.diag(total), np.finfo(float).tiny))
    _, basis = eigh(total, before)
    z = latents.mean.astype(np.float64)
    difference = (z[pairs[:, 0]] - z[pairs[:, 1]]) @ basis / np.sqrt(2)
    scatter = shrunk_covariance(difference, weight)
    full = latents.covariance_matrices()
    pair_noise = np.einsum("n,nij->ij", weight, full[pairs[:, 0]] + full[pairs[:, 1]])
    pair_noise = basis.T @ (pair_noise / (2 * weight.sum())) @ basis
    back = np.linalg.inv(basis)
    within = back.T @ _positive(scatter - pair_noise, scatter) @ back
    return TwinPrior(mean, within, _positive(total - noise - within, total))


def shrunk_covariance(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Oracle approximating shrinkage of weighed values with mean 0; shape (d, d).

    Chen, Wiesel, Eldar & Hero 2010, eq. 23, as scikit-learn writes it, with the effective
    number of values (sum w)^2 / sum w^2.
    """
    d = values.shape[1]
    n = weight.sum() ** 2 / (weight**2).sum()
    scatter = values.T @ (values * weight[:, None]) / weight.sum()
    mu, alpha = np.trace(scatter) / d, np.mean(scatter**2)
    denominator = (n + 1) * (alpha - mu**2 / d)
    share = 1.0 if denominator <= 0 else min((alpha + mu**2) / denominator, 1.0)
    return (1 - share) * scatter + share * mu * np.eye(d)


def _positive(matrix: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The matrix with its negative eigenvalues, in units of ``scale``, set to zero."""
    size = np.sqrt(np.maximum(np.diag(scale), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    return (vectors * np.maximum(values, 0)) @ vectors.T * np.outer(size, size)
