"""Spectra onto another wavelength grid, flux and variance conserved.

Pixels are taken as bins: a new pixel is the mean of what lies under it, weighted by overlap::

    F'_j = Σ_i w_ji F_i,   w_ji = |overlap of bins i and j| / |bin j|,
    var'_j = Σ_i w_ji² var_i,

so that ∫F dλ is conserved (Carnall 2017, arXiv:1705.05165, which specutils follows too).
The weights are one sparse matrix for all stars of one velocity.

*Covariance.* New pixels that share an old one are correlated,
cov'_jk = Σ_i w_ji w_ki var_i. Only the diagonal travels with the spectra, as in every
survey's files; how strong the correlation of neighbours is for white noise is measured and
stands in ``meta["resampled"]["neighbour_correlation"]``. Summed over many pixels the noise is
underestimated by up to √(1 + 2ρ).

*Missing pixels* are left out and the weights of the others scaled up; a new pixel of which
less than half is covered is masked. Under a partly missing pixel the flux is therefore
interpolated, not conserved.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from .errors import StarkinError
from .frames import angstrom, doppler_factor, radial_velocities, to_medium
from .grid import WavelengthGrid
from .grids import segments
from .spectrum_set import SpectrumSet

__all__ = ["neighbour_correlation", "overlap", "pixel_edges", "resample"]

_LEAST_COVER = 0.5


def pixel_edges(grid: WavelengthGrid) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edges of the pixels in the grid's unit, each of shape (n_pixels,).

    Half-way between pixels; at the ends of the grid and at gaps a pixel is as wide as its
    neighbour.
    """
    low, high = np.empty(grid.n_pixels), np.empty(grid.n_pixels)
    for part in segments(grid):
        x = grid.wavelength[part]
        if x.size == 1:
            half = np.array([0.5 * np.diff(grid.wavelength).min()])
            low[part], high[part] = x - half, x + half
            continue
        middle = 0.5 * (x[1:] + x[:-1])
        low[part] = np.r_[2 * x[0] - middle[0], middle]
        high[part] = np.r_[middle, 2 * x[-1] - middle[-1]]
    return low, high


def overlap(
    source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]
) -> sparse.csr_array:
    """Share of each target pixel that lies under each source pixel.

    Parameters
    ----------
    source, target : tuple of ndarray
        Lower and upper edges, in one unit, medium and frame.

    Returns
    -------
    csr_array, shape (n_target, n_source)
        Rows sum to 1 where the source covers the target.

    Examples
    --------
    >>> edges = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    >>> overlap(edges, (np.array([0.5]), np.array([2.5]))).toarray()
    array([[0.25, 0.5 , 0.25]])
    """
    cuts = np.unique(np.concatenate([*source, *target]))
    middle, width = 0.5 * (cuts[1:] + cuts[:-1]), np.diff(cuts)
    i = np.searchsorted(source[0], middle, side="right") - 1
    j = np.searchsorted(target[0], middle, side="right") - 1
    inside = (i >= 0) & (j >= 0) & (middle < source[1][i]) & (middle < target[1][j])
    i, j = i[inside], j[inside]
    weight = width[inside] / (target[1][j] - target[0][j])
    shape = (target[0].size, source[0].size)
    return sparse.csr_array(sparse.coo_array((weight, (j, i)), shape=shape))


def neighbour_correlation(weights: sparse.csr_array) -> float:
    """Median correlation of neighbouring new pixels, for equal independent errors before."""
    square = np.asarray(weights.multiply(weights).sum(axis=1)).reshape(-1)
    shared = np.asarray(weights[:-1].multiply(weights[1:]).sum(axis=1)).reshape(-1)
    norm = np.sqrt(square[:-1] * square[1:])
    used = norm > 0
    return float(np.median(shared[used] / norm[used])) if used.any() else 0.0


def resample(
    spectra: SpectrumSet, grid: WavelengthGrid, *, velocity: np.ndarray | None = None
) -> SpectrumSet:
    """Spectra at rest on ``grid``; see the module for what is conserved.

    Parameters
    ----------
    spectra : SpectrumSet
        On any :class:`~starkin.spectra.WavelengthGrid`, in air or vacuum. Values are flux
        densities or continuum-normalised.
    grid : WavelengthGrid
        In the rest frame.
    velocity : ndarray, shape (n_stars,), optional
        With which each star recedes in the frame of its wavelengths [km/s]; by default 0 where
        that is the rest frame and the label ``radial_velocity`` in the barycentric one.

    Returns
    -------
    SpectrumSet
        A star without a velocity is masked throughout and counted in
        ``meta["without_velocity"]``.

    Raises
    ------
    StarkinError
        If the grids do not overlap, or velocities are needed and not there.
    """
    source = spectra.grid
    if not isinstance(source, WavelengthGrid):
        raise StarkinError(
            f"Only spectra on wavelengths can be resampled; these are {source.describe()}."
        )
    if grid.frame != "rest":
        raise StarkinError("The grid to resample onto must be in the rest frame.")
    velocity = radial_velocities(spectra) if velocity is None else np.asarray(velocity, float)
    if velocity.shape != (len(spectra),):
        raise StarkinError(f"There are {velocity.size} velocities for {len(spectra)} spectra.")
    if source == grid and not velocity.any():
        return spectra
    factor = 10.0 if source.unit == "nm" else 1.0
    low, high = (to_medium(e * factor, source.medium, grid.medium) for e in pixel_edges(source))
    target = pixel_edges(replace(grid, wavelength=angstrom(grid), unit="Angstrom"))
    kind = np.result_type(spectra.values.dtype, np.float32)
    values = np.zeros((len(spectra), grid.n_pixels), dtype=kind)
    errors = np.ones_like(values)
    mask = np.ones(values.shape, dtype=bool)
    correlation = 0.0
    moving, where = np.unique(velocity, return_inverse=True)
    covered = False
    for index, speed in enumerate(moving):
        if not np.isfinite(speed):
            continue
        shift = doppler_factor(speed)
        weights = overlap((low * shift, high * shift), target)
        covered |= bool(weights.nnz)
        rows = np.flatnonzero(where == index)
        values[rows], errors[rows], mask[rows] = _apply(weights, spectra[rows], kind)
        correlation = max(correlation, neighbour_correlation(weights))
    if not covered and np.isfinite(velocity).any():
        raise StarkinError(
            f"Spectra on {source.describe()} do not reach the grid ({grid.describe()}); "
            "choose a grid that they cover, or mend the unit of their wavelengths."
        )
    meta = dict(spectra.meta)
    meta["resampled"] = {
        "from": source.describe(),
        "neighbour_correlation": round(correlation, 3),
    }
    if missing := int(np.count_nonzero(~np.isfinite(velocity))):
        meta["without_velocity"] = missing
    return spectra.replace(values=values, errors=errors, mask=mask, grid=grid, meta=meta)


def _apply(
    weights: sparse.csr_array, spectra: SpectrumSet, kind: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, errors and mask of stars that share one matrix."""
    used = ~spectra.mask
    square = weights.multiply(weights).tocsr()
    # Masked pixels hold value 0, so only their variance needs to be taken out.
    flux = (weights @ spectra.values.T.astype(np.float64)).T
    variance = (square @ np.where(used, spectra.errors.astype(np.float64) ** 2, 0).T).T
    cover = (weights @ used.T.astype(np.float64)).T
    bad = cover < _LEAST_COVER
    cover = np.where(bad, 1, cover)
    values = np.where(bad, 0, flux / cover).astype(kind)
    errors = np.where(bad, 1, np.sqrt(np.where(bad, 1, variance)) / cover).astype(kind)
    return values, errors, bad
