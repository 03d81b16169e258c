"""Are probabilities what they say? Reliability and expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spectra.errors import StarkinError

__all__ = ["Reliability", "reliability"]


@dataclass(frozen=True, eq=False)
class Reliability:
    """What happened where a probability was claimed, bin by bin.

    Attributes
    ----------
    count : ndarray of int, shape (n_bins,)
        Claims in the bin.
    claimed, observed : ndarray, shape (n_bins,)
        Mean probability and part that came true; NaN in an empty bin.
    """

    count: np.ndarray
    claimed: np.ndarray
    observed: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: sum over bins of ``n_b / n |claimed_b - observed_b|``.

        Naeini, Cooper & Hauskrecht 2015; NaN without any claim.
        """
        if not self.count.sum():
            return float("nan")
        filled = self.count > 0
        gap = np.abs(self.claimed[filled] - self.observed[filled])
        return float(np.sum(self.count[filled] * gap) / self.count.sum())

    def to_dict(self) -> dict[str, Any]:
        return {
            "ece": self.ece,
            "count": self.count.tolist(),
            "claimed": self.claimed.tolist(),
            "observed": self.observed.tolist(),
        }


def reliability(
    probability: np.ndarray, truth: np.ndarray, *, n_bins: int = 10, least: float = 0.0
) -> Reliability:
    """Compare claimed probabilities with the truth in equally wide bins of [0, 1].

    Parameters
    ----------
    probability : ndarray, any shape
        NaN where nothing is claimed.
    truth : ndarray of bool, same shape
        Whether it came true.
    n_bins : int
        The last bin holds probability 1.
    least : float
        Claims below it are left out. Of all pairs of stars nearly all are rightly given a
        probability of nearly 0; they would hide everything else.

    Raises
    ------
    StarkinError
        If a probability lies outside 0..1.
    """
    probability, truth = np.ravel(probability), np.ravel(truth).astype(bool)
    keep = np.isfinite(probability) & (probability >= least)
    p, t = probability[keep], truth[keep]
    if ((probability < 0) | (probability > 1)).any():
        raise StarkinError("A probability lies outside 0..1; calibration needs probabilities.")
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    count = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        claimed = np.bincount(bins, weights=p, minlength=n_bins) / count
        observed = np.bincount(bins, weights=t, minlength=n_bins) / count
    return Reliability(count, claimed, observed)
