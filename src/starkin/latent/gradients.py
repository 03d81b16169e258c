"""Does the latent space have a metallicity gradient, and which way does it point?

Metallicity goes with temperature and gravity in any sample, so that a trend of latents with
[M/H] may be one with the place on the branch. Both are therefore first freed from a smooth
function of that place (partial regression); what is left is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.preprocessing import SplineTransformer

from ..spectra.errors import StarkinError
from .tracks import Track, track

__all__ = ["Gradient", "gradient", "label_tracks"]


@dataclass(frozen=True)
class Gradient:
    """How latents go with a label at fixed place on a branch.

    Attributes
    ----------
    label : str
    n : int
        Stars.
    slope, slope_error : tuple of float
        ∂z_i/∂label at fixed place, in latents' units per unit of the label, and the
        standard error (bootstrap over stars).
    direction : tuple of float
        Unit vector of the slope.
    correlation : float
        Between the label and its best linear prediction from the latents, both at fixed
        place, every star predicted from the others (cross-validated multiple partial
        correlation). Near or below 0: no gradient.
    p_value : float
        Of so large a correlation when the label is permuted among stars of like place.
    """

    label: str
    n: int
    slope: tuple[float, ...]
    slope_error: tuple[float, ...]
    direction: tuple[float, ...]
    correlation: float
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def gradient(
    latents: np.ndarray,
    label: np.ndarray,
    place: np.ndarray,
    *,
    name: str = "",
    n_permutations: int = 499,
    n_resamples: int = 200,
    n_folds: int = 5,
    seed: int = 0,
) -> Gradient:
    """Direction, strength and significance of the gradient of a label in latent space.

    Parameters
    ----------
    latents : ndarray, shape (n_stars, n_latent)
        Posterior means of the stars of one branch.
    label : ndarray, shape (n_stars,)
        For example [M/H].
    place : ndarray, shape (n_stars,) or (n_stars, k)
        Where each star is on its branch (Teff, log g): held fixed.
    name : str
        Of the label.
    n_permutations, n_resamples, n_folds, seed : int
        Of the test, the errors and the cross-validation.

    Raises
    ------
    StarkinError
        If fewer than 50 stars have latents, label and place.
    """
    place = np.asarray(place, dtype=np.float64).reshape(len(latents), -1)
    known = np.isfinite(label) & np.isfinite(place).all(axis=1) & np.isfinite(latents).all(axis=1)
    z = np.asarray(latents, dtype=np.float64)[known]
    y = np.asarray(label, dtype=np.float64)[known]
    if len(y) < 50:
        raise StarkinError(f"A gradient of {name or 'a label'} needs 50 stars, got {len(y)}.")
    smooth = _smooth_functions(place[known])
    z, y = _without(z, smooth), _without(y[:, np.newaxis], smooth)[:, 0]
    rng = np.random.default_rng(seed)
    slope = _slope(z, y)
    picked = rng.integers(0, len(y), size=(n_resamples, len(y)))
    error = np.std([_slope(z[rows], y[rows]) for rows in picked], axis=0, ddof=1)
    folds = rng.permutation(np.arange(len(y)) % n_folds)
    found = _correlation(z, y, folds)
    like = _like_place(place[known][:, 0])
    chance = [_correlation(z, y[_permuted(like, rng)], folds) for _ in range(n_permutations)]
    return Gradient(
        label=name,
        n=len(y),
        slope=tuple(slope.tolist()),
        slope_error=tuple(error.tolist()),
        direction=tuple((slope / max(float(np.linalg.norm(slope)), 1e-300)).tolist()),
        correlation=found,
        p_value=float((1 + np.sum(np.array(chance) >= found)) / (1 + n_permutations)),
    )


def _smooth_functions(place: np.ndarray) -> np.ndarray:
    """Cubic splines of each coordinate with five knots at quantiles: shape (n, ~7 k)."""
    splines = SplineTransformer(n_knots=5, degree=3, knots="quantile", extrapolation="linear")
    return splines.fit_transform(place)


def _without(values: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """What a least-squares fit by smooth functions leaves."""
    solution = np.linalg.lstsq(smooth, values, rcond=1e-10)[0]
    return values - smooth @ solution


def _slope(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    y = y - y.mean()
    return (z * y[:, np.newaxis]).sum(axis=0) / max(float(y @ y), 1e-300)


def _correlation(z: np.ndarray, y: np.ndarray, folds: np.ndarray) -> float:
    predicted = np.empty(len(y))
    for fold in range(folds.max() + 1):
        test = folds == fold
        design = np.column_stack([np.ones((~test).sum()), z[~test]])
        solution = np.linalg.lstsq(design, y[~test], rcond=None)[0]
        predicted[test] = solution[0] + z[test] @ solution[1:]
    if predicted.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(predicted, y)[0, 1])


def _like_place(place: np.ndarray, n_bins: int = 10) -> list[np.ndarray]:
    return [rows for rows in np.array_split(np.argsort(place, kind="stable"), n_bins) if rows.size]


def _permuted(like: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    order = np.empty(sum(rows.size for rows in like), dtype=np.int64)
    for rows in like:
        order[rows] = rng.permutation(rows)
    return order


def label_tracks(
    latents: np.ndarray,
    coordinate: np.ndarray,
    edges: Sequence[float],
    label: np.ndarray,
    label_edges: Sequence[float],
    *,
    along: str = "",
    name: str = "[M/H]",
    **settings: Any,
) -> list[Track]:
    """One track along a branch for each bin of a label, such as metallicity.

    Bins of too few stars for a track are left out.

    Parameters
    ----------
    latents, coordinate, edges, along
        As for :func:`~starkin.latent.tracks.track`.
    label : ndarray, shape (n_stars,)
        What the tracks differ in.
    label_edges : sequence of float
        Its bins, ascending.
    name : str
        Of the label, for the tracks' names.
    **settings
        Further settings of :func:`~starkin.latent.tracks.track`.
    """
    tracks = []
    for low, high in pairwise(label_edges):
        inside = (label >= low) & (label < high)
        try:
            tracks.append(
                track(
                    latents[inside],
                    coordinate[inside],
                    edges,
                    name=f"{low:g} ≤ {name} < {high:g}",
                    along=along,
                    **settings,
                )
            )
        except StarkinError:
            continue  # too few stars: a sample need not hold all metallicities
    return tracks
