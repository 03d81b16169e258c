"""Bootstrap intervals: what another sample of stars would have given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..spectra.errors import StarkinError

__all__ = ["Interval", "bootstrap", "group_ratio", "rmse_ratio", "share"]


@dataclass(frozen=True)
class Interval:
    """A number with the interval that it lies in, and the stars behind it."""

    value: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def share(part: int, whole: int) -> Interval:
    """k of n with its 95 % interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209); NaN of none."""
    if whole == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    z, p = 1.959964, part / whole
    centre = (p + z**2 / (2 * whole)) / (1 + z**2 / whole)
    half = z / (1 + z**2 / whole) * np.sqrt(p * (1 - p) / whole + z**2 / (4 * whole**2))
    # The formula gives 0 and 1 there up to rounding.
    low = 0.0 if part == 0 else float(centre - half)
    high = 1.0 if part == whole else float(centre + half)
    return Interval(p, low, high, int(whole))


def bootstrap(
    statistic: Callable[..., np.ndarray],
    *columns: np.ndarray,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A statistic of stars with its percentile interval (Efron & Tibshirani 1993, ch. 13).

    Parameters
    ----------
    statistic : callable
        From arrays of shape (..., n_stars), one a column, to shape (...): it must work
        along the last axis.
    *columns : ndarray, shape (n_stars,)
        Resampled together, star by star, so that a comparison of two models on the same
        stars stays a paired one.
    n_resamples : int
        Resamples that the percentiles are taken of.
    level : float
        Probability that the interval covers.
    seed : int
        Of the resamples.

    Returns
    -------
    Interval
        NaN for an empty sample.
    """
    if not 0 < level < 1 or n_resamples < 2:
        raise StarkinError(
            f"A bootstrap needs a level in 0..1 and at least two resamples, got {level} and "
            f"{n_resamples}."
        )
    n = len(columns[0])
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    drawn = []
    chunk = max(1, 2_000_000 // n)
    for start in range(0, n_resamples, chunk):
        rows = rng.integers(0, n, size=(min(chunk, n_resamples - start), n))
        drawn.append(statistic(*(np.asarray(column)[rows] for column in columns)))
    tail = 50 * (1 - level)
    low, high = np.percentile(np.concatenate(drawn), [tail, 100 - tail])
    return Interval(float(statistic(*columns)), float(low), float(high), n)


def rmse_ratio(
    mean_square: np.ndarray,
    other: np.ndarray,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """RMSE of one model over that of another, on the same stars.

    √(Σ a²/n) / √(Σ b²/n): a ratio of root mean squares. The ratio of the mean squares
    themselves is its square, and makes every difference look twice as large.

    Parameters
    ----------
    mean_square, other : ndarray, shape (n_stars,)
        Mean squared error of each star under either model
        (:meth:`~starkin.latent.reconstruction.Reconstruction.mean_square`). Stars that
        one of them lacks are left out of both.
    n_resamples, level, seed
        As for :func:`bootstrap`.
    """
    if np.shape(mean_square) != np.shape(other):
        raise StarkinError(
            f"Two models are compared on the same stars; they have {np.size(mean_square)} and "
            f"{np.size(other)}."
        )
    both = np.isfinite(mean_square) & np.isfinite(other)

    def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(a.mean(axis=-1) / b.mean(axis=-1))

    return bootstrap(
        ratio, mean_square[both], other[both], n_resamples=n_resamples, level=level, seed=seed
    )


def group_ratio(
    mean_square: np.ndarray,
    group: np.ndarray,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """RMSE of the stars of a group over that of all other stars, under one model.

    Parameters
    ----------
    mean_square : ndarray, shape (n_stars,)
        Mean squared error of each star; NaN is left out.
    group : ndarray of bool, shape (n_stars,)
        Which stars are in the group.
    n_resamples, level, seed
        As for :func:`bootstrap`; both groups are drawn anew each time.

    Returns
    -------
    Interval
        ``n`` counts the stars of the group. NaN if either side has no star.
    """
    known = np.isfinite(mean_square)
    square, inside = mean_square[known], np.asarray(group, dtype=bool)[known]
    if not inside.any() or inside.all():
        return Interval(float("nan"), float("nan"), float("nan"), int(inside.sum()))

    def ratio(values: np.ndarray, member: np.ndarray) -> np.ndarray:
        # Few members may all be missed by a resample: such a one says nothing.
        n = member.sum(axis=-1)
        rest = member.shape[-1] - n
        with np.errstate(invalid="ignore", divide="ignore"):
            own = np.where(member, values, 0.0).sum(axis=-1) / n
            other = np.where(member, 0.0, values).sum(axis=-1) / rest
            return np.nan_to_num(np.sqrt(own / other), nan=0.0, posinf=np.inf)

    found = bootstrap(ratio, square, inside, n_resamples=n_resamples, level=level, seed=seed)
    return Interval(found.value, found.low, found.high, int(inside.sum()))
