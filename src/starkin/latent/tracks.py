"""Stellar evolution in latent space: which branch a star is on, and smooth curves along each.

Labels are only used to say where on the Kiel diagram a star stands; the model has never
seen them. The split of the branches and the way of going along them (temperature along the
main sequence, gravity along the giant branch) are those of Laroche & Speagle 2025.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import make_smoothing_spline

from ..spectra import StarkinError, XPGrid, columns, sampling_design
from ..spectra.bases import default_wavelength
from .classification import Classification, ClassifierName, cross_validate
from .intervals import Interval, share

__all__ = [
    "ALONG",
    "Track",
    "branch_classification",
    "is_main_sequence",
    "purities",
    "track",
    "track_spectra",
]

#: The label that a branch is followed along, and its bins.
ALONG: dict[str, tuple[str, tuple[float, ...]]] = {
    "main sequence": (columns.TEFF, tuple(np.arange(4000.0, 7001.0, 250.0))),  # [K]
    "giant branch": (columns.LOGG, tuple(np.arange(0.5, 3.51, 0.25))),
}
_FEWEST_BINS = 5  # a smoothing spline has no fewer
_PENALTIES = tuple(10.0 ** np.arange(-7, 2.5, 0.5))  # from all but interpolation to a line


def is_main_sequence(teff: np.ndarray, logg: np.ndarray) -> np.ndarray:
    """Stars above log g = 5.9 − 4·Teff/10⁴ (Laroche & Speagle 2025); False where unknown.

    Parameters
    ----------
    teff : ndarray
        [K]
    logg : ndarray
        [log cm s⁻²]
    """
    return np.asarray(logg) > 5.9 - 4 * np.asarray(teff) / 1e4


def branch_classification(
    latents: np.ndarray,
    main_sequence: np.ndarray,
    *,
    classifier: ClassifierName = "rbf",
    n_folds: int = 5,
    seed: int = 0,
) -> Classification:
    """A trained boundary in latent space between main sequence (positive) and giants.

    Parameters
    ----------
    latents : ndarray, shape (n_stars, n_latent)
        Posterior means.
    main_sequence : ndarray of bool, shape (n_stars,)
        From :func:`is_main_sequence`.
    classifier : {"rbf", "linear", "boosting"}
        A linear boundary that does nearly as well says that the branches lie on two sides
        of a plane.
    n_folds, seed : int
        Of the cross-validation.
    """
    return cross_validate(
        latents, main_sequence, name="branch", classifier=classifier, n_folds=n_folds, seed=seed
    )


def purities(found: Classification) -> dict[str, Interval]:
    """Purity and completeness of both sides, with Wilson's 95 % intervals.

    Purity is the part of the stars on a side of the boundary that belong there;
    completeness the part of those that belong there that are.
    """
    (tn, fp), (fn, tp) = found.confusion
    return {
        "main sequence purity": share(tp, tp + fp),
        "main sequence completeness": share(tp, tp + fn),
        "giant branch purity": share(tn, tn + fn),
        "giant branch completeness": share(tn, tn + fp),
    }


@dataclass(frozen=True, eq=False)
class Track:
    """A smooth curve through latent space.

    Attributes
    ----------
    name : str
    along : str
        The label that is followed.
    coordinate : ndarray, shape (n_nodes,)
        Its values at the nodes, in its unit.
    mean : ndarray, shape (n_nodes, n_latent)
        The curve.
    low, high : ndarray, shape (n_nodes, n_latent)
        Its 95 % band over resamples of the stars.
    binned : ndarray, shape (n_bins, 1 + n_latent)
        Mean coordinate and median latents of each bin: what the curve smooths.
    count : ndarray of int, shape (n_bins,)
        Stars behind them.
    """

    name: str
    along: str
    coordinate: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    binned: np.ndarray
    count: np.ndarray


def track(
    latents: np.ndarray,
    coordinate: np.ndarray,
    edges: Sequence[float],
    *,
    name: str = "",
    along: str = "",
    n_nodes: int = 50,
    fewest: int = 15,
    n_resamples: int = 200,
    seed: int = 0,
) -> Track:
    """Median latents in bins of a label, smoothed by a cubic spline.

    The spline minimises Σ n_i (y_i − f(x_i))² + λ∫f″², λ by generalised cross-validation
    (:func:`scipy.interpolate.make_smoothing_spline`), weighted by the stars of each bin.

    Parameters
    ----------
    latents : ndarray, shape (n_stars, n_latent)
        Posterior means of the stars of one branch.
    coordinate : ndarray, shape (n_stars,)
        Where each is along it.
    edges : sequence of float
        Bins, ascending, in the unit of the coordinate.
    name, along : str
        Of the track and of the label.
    n_nodes : int
        Points of the curve, even in the coordinate.
    fewest : int
        Bins with fewer stars are left out.
    n_resamples, seed : int
        Of the bootstrap over the stars of each bin.

    Raises
    ------
    StarkinError
        If fewer than five bins have enough stars.
    """
    latents, coordinate = np.asarray(latents, dtype=np.float64), np.asarray(coordinate)
    usable = np.isfinite(coordinate) & np.isfinite(latents).all(axis=1)
    members = [
        np.flatnonzero(usable & (coordinate >= low) & (coordinate < high))
        for low, high in pairwise(edges)
    ]
    members = [rows for rows in members if len(rows) >= fewest]
    if len(members) < _FEWEST_BINS:
        raise StarkinError(
            f"A track along {along or 'a label'} needs {_FEWEST_BINS} bins of {fewest} stars, "
            f"got {len(members)}; make the bins wider or take more stars."
        )
    x = np.array([coordinate[rows].mean() for rows in members])
    y = np.array([np.median(latents[rows], axis=0) for rows in members])
    count = np.array([len(rows) for rows in members])
    nodes = np.linspace(x[0], x[-1], n_nodes)
    smooth = _smoothers(x, y, count, nodes)
    rng = np.random.default_rng(seed)
    drawn = np.empty((n_resamples, *y.shape))
    for i, rows in enumerate(members):
        picked = rows[rng.integers(0, len(rows), size=(n_resamples, len(rows)))]
        drawn[:, i] = np.median(latents[picked], axis=1)
    curves = np.einsum("dnb,rbd->rnd", smooth, drawn)
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    return Track(
        name=name,
        along=along,
        coordinate=nodes,
        mean=np.einsum("dnb,bd->nd", smooth, y),
        low=low,
        high=high,
        binned=np.column_stack([x, y]),
        count=count,
    )


def _smoothers(x: np.ndarray, y: np.ndarray, count: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """For each dimension the matrix from binned values to the curve, shape (d, n_nodes, n_bins).

    A smoothing spline of given λ is linear in its data, so its answers to unit vectors are
    all there is to know; λ is chosen once, on the data themselves.
    """
    unit = (x - x[0]) / (x[-1] - x[0])
    at = (nodes - x[0]) / (x[-1] - x[0])
    weight, identity = count / count.mean(), np.eye(len(x))
    # The matrix of a λ is the same for every dimension: only the choice of λ is not.
    hats = {lam: make_smoothing_spline(unit, identity, weight, lam)(unit) for lam in _PENALTIES}
    chosen = [_penalty(hats, values / max(float(np.std(values)), 1e-12), weight) for values in y.T]
    answers = {
        lam: make_smoothing_spline(unit, identity, weight, lam)(at) for lam in sorted(set(chosen))
    }
    return np.array([answers[lam] for lam in chosen])


def _penalty(hats: dict[float, np.ndarray], y: np.ndarray, weight: np.ndarray) -> float:
    """λ of smallest generalised cross-validation error, Craven & Wahba 1979."""
    scores = {
        lam: float(weight @ (y - hat @ y) ** 2) / (1 - np.trace(hat) / len(y)) ** 2
        for lam, hat in hats.items()
    }
    return min(scores, key=scores.__getitem__)


def track_spectra(
    found: Track,
    decode: Callable[[np.ndarray], np.ndarray],
    grid: XPGrid,
    wavelength: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A track decoded back into spectra.

    Parameters
    ----------
    found : Track
        From :func:`track`.
    decode : callable
        From latents, shape (n, n_latent), to coefficients per unit of G flux: a model's
        ``decode(latents).values``.
    grid : XPGrid
        Of the coefficients.
    wavelength : ndarray, optional
        [nm]; the official sampling without it.

    Returns
    -------
    wavelength : ndarray, shape (n_wave,)
        [nm]
    flux : ndarray, shape (n_nodes, n_wave)
        Per unit of G flux.
    """
    values = decode(found.mean)
    nm = default_wavelength() if wavelength is None else np.asarray(wavelength)
    return nm, values @ sampling_design(grid, wavelength)
