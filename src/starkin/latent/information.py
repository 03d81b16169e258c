"""Mutual information between latents and labels: how much is known, and where it is kept.

Estimator: Kraskov, Stögbauer & Grassberger 2004 (Phys. Rev. E 69, 066138), algorithm 1,

    I(X; Y) = ψ(k) + ψ(N) − ⟨ψ(n_x + 1) + ψ(n_y + 1)⟩,

with n_x, n_y the neighbours of a star nearer in X, in Y, than its k-th neighbour in both
together (maximum norm). Where X has one dimension it is scikit-learn's
(:func:`sklearn.feature_selection.mutual_info_regression`), which is the same formula.

The estimate leans towards zero where many dimensions are strongly dependent, more so for
fewer stars. A permutation of the label shows what no information would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

from ..spectra.errors import StarkinError

__all__ = ["LabelInformation", "equivalent_correlation", "information", "mutual_information"]


def _standardised(values: np.ndarray, seed: int) -> np.ndarray:
    """Unit variance, and a trace of noise that parts equal values (as in scikit-learn)."""
    values = np.asarray(values, dtype=np.float64)
    values = values.reshape(len(values), -1)
    scale = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    return values + 1e-10 * np.random.default_rng(seed).standard_normal(values.shape)


def mutual_information(x: np.ndarray, y: np.ndarray, *, k: int = 3, seed: int = 0) -> float:
    """I(X; Y) in nat; X and Y may have any number of dimensions.

    Parameters
    ----------
    x, y : ndarray, shape (n,) or (n, d)
        Finite. Dimensions are standardised, so that none rules the maximum norm.
    k : int
        Neighbours: more give less scatter and more bias.
    seed : int
        Of the noise of 1e-10 standard deviations that parts equal values.

    Raises
    ------
    StarkinError
        If there are not more stars than neighbours, or a value is not finite.
    """
    x, y = _standardised(x, seed), _standardised(y, seed + 1)
    n = len(x)
    if len(y) != n or n <= k:
        raise StarkinError(f"Mutual information needs more than {k} pairs, got {n} and {len(y)}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise StarkinError("Mutual information needs finite values: leave the other stars out.")
    both = np.column_stack([x, y])
    distance = cKDTree(both).query(both, k=k + 1, p=np.inf)[0][:, -1]
    # Strictly nearer: the largest float below the distance; the star itself is counted once,
    # which is the +1 of the formula.
    inside = np.nextafter(distance, 0)
    counts = [
        cKDTree(part).query_ball_point(part, inside, p=np.inf, return_length=True)
        for part in (x, y)
    ]
    total = digamma(k) + digamma(n) - np.mean(digamma(counts[0]) + digamma(counts[1]))
    return max(0.0, float(total))


def equivalent_correlation(information: float) -> float:
    """``|ρ|`` of two Gaussian variables with that much information: √(1 − exp(−2I))."""
    return float(np.sqrt(-np.expm1(-2 * max(information, 0.0))))


@dataclass(frozen=True)
class LabelInformation:
    """What latents tell of one label.

    Attributes
    ----------
    label : str
    n : int
        Stars.
    per_dimension : tuple of float
        I(z_i; label) [nat].
    joint : float
        I(z; label) [nat] of all dimensions together.
    joint_low, joint_high : float
        95 % interval of the joint: ± 1.96 standard errors from disjoint parts of the sample.
    nothing : float
        The joint estimate for a permuted label.
    shared_by : float
        Effective number of dimensions that the information is shared by: the exponential
        of the entropy of the shares I(z_i; label)/Σ_j I(z_j; label). 1: all in one.
    """

    label: str
    n: int
    per_dimension: tuple[float, ...]
    joint: float
    joint_low: float
    joint_high: float
    nothing: float
    shared_by: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def information(
    latents: np.ndarray,
    labels: Mapping[str, np.ndarray],
    *,
    k: int = 3,
    n_parts: int = 5,
    most: int = 20_000,
    seed: int = 0,
) -> list[LabelInformation]:
    """Mutual information of each label with each latent dimension, and with all jointly.

    Parameters
    ----------
    latents : ndarray, shape (n_stars, n_latent)
        Posterior means.
    labels : mapping of str to ndarray, shape (n_stars,)
        Stars that lack a label, or latents, are left out of it.
    k : int
        Neighbours of the estimator.
    n_parts : int
        Disjoint parts of the sample whose scatter gives the error of the joint estimate;
        each has 1/n_parts of the stars, so the error of the whole is theirs over √n_parts
        (Holmes & Nemenman 2019, Phys. Rev. E 100, 022404).
    most : int
        Larger samples are thinned to so many stars.
    seed : int
        Of thinning, parts and permutation.
    """
    results = []
    for name, values in labels.items():
        rng = np.random.default_rng(seed)
        known = np.flatnonzero(np.isfinite(values) & np.isfinite(latents).all(axis=1))
        rows = rng.permutation(known)[:most]
        z, label = np.asarray(latents)[rows], np.asarray(values, dtype=np.float64)[rows]
        if len(rows) < n_parts * (k + 2):
            raise StarkinError(
                f"{len(rows)} stars with {name} are too few for its mutual information."
            )
        single = mutual_info_regression(z, label, n_neighbors=k, random_state=seed)
        joint = mutual_information(z, label, k=k, seed=seed)
        parts = [
            mutual_information(z[i::n_parts], label[i::n_parts], k=k, seed=seed)
            for i in range(n_parts)
        ]
        error = np.std(parts, ddof=1) / np.sqrt(n_parts)
        shares = single / single.sum() if single.sum() > 0 else np.full(len(single), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(shares > 0, shares * np.log(shares), 0.0).sum()
        results.append(
            LabelInformation(
                label=name,
                n=len(rows),
                per_dimension=tuple(float(v) for v in single),
                joint=joint,
                joint_low=max(0.0, float(joint - 1.96 * error)),
                joint_high=float(joint + 1.96 * error),
                nothing=mutual_information(z, rng.permutation(label), k=k, seed=seed),
                shared_by=float(np.exp(entropy)) if single.sum() > 0 else float("nan"),
            )
        )
    return results
