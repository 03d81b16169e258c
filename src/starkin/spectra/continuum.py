"""Dividing by the continuum, stretch by stretch between the gaps of a grid.

Three ways: a continuum that is known; a Chebyshev polynomial of which pixels in lines are
clipped away; a running quantile. Lines are narrow and go down, so both estimates look for the
upper edge of the pixels. Neither finds the true continuum of a crowded spectrum: they find
a pseudo-continuum, the same function of the spectrum for every star, and a model must be
trained and used on spectra that went through the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from astropy import units as u
from numpy.polynomial import chebyshev

from .errors import StarkinError
from .grid import WavelengthGrid
from .grids import segments
from .spectrum_set import SpectrumSet

__all__ = ["Continuum", "divide_by_continuum", "find_continuum", "normalise_continuum"]

# Relative accuracy to which a polynomial can be the continuum of a stretch.
_FLOOR = 0.002

_ROWS = 2048  # stars at a time: 150 MB of intermediates at 8,575 pixels


@dataclass(frozen=True)
class Continuum:
    """How to find the continuum.

    Parameters
    ----------
    method : {"polynomial", "quantile"}
    degree : int
        Of the Chebyshev polynomial of each stretch.
    clip_below : float
        A pixel further below the polynomial than so many of its own errors is taken to be in a
        line and left out of the next fit. (Clipping by the scatter of the pixels fails where
        there are many lines: they make the scatter.)
    clip_above : float
        The same above, in robust standard deviations of the pixels above the polynomial:
        cosmic rays and sky lines.
    iterations : int
        Fits after the first.
    quantile : float
        Of the fluxes within a window.
    window : float
        Full width of the window [Angstrom].

    Raises
    ------
    StarkinError
        If a value is out of range.
    """

    method: str = "polynomial"
    degree: int = 4
    clip_below: float = 1.0
    clip_above: float = 3.0
    iterations: int = 30
    quantile: float = 0.9
    window: float = 50.0

    def __post_init__(self) -> None:
        if self.method not in ("polynomial", "quantile"):
            raise StarkinError(
                f'Continuum.method must be "polynomial" or "quantile", got {self.method!r}.'
            )
        for name, low, high in (
            ("degree", 0, 20),
            ("clip_below", 0.1, 100),
            ("clip_above", 0.1, 100),
            ("iterations", 0, 100),
            ("quantile", 0.05, 1.0),
            ("window", 1.0, 1e4),
        ):
            if not low <= getattr(self, name) <= high:
                raise StarkinError(
                    f"Continuum.{name} must lie in {low}..{high}, got {getattr(self, name)}."
                )


def normalise_continuum(spectra: SpectrumSet, settings: Continuum | None = None) -> SpectrumSet:
    """Spectra divided by the continuum found in them; see :class:`Continuum`.

    Raises
    ------
    StarkinError
        If the spectra are not on wavelengths.
    """
    settings = Continuum() if settings is None else settings
    continuum = find_continuum(spectra, settings)
    how = {k: v for k, v in asdict(settings).items() if k in _USED[settings.method]}
    return divide_by_continuum(spectra, continuum, how=how)


_USED = {
    "polynomial": ("method", "degree", "clip_below", "clip_above", "iterations"),
    "quantile": ("method", "quantile", "window"),
}


def divide_by_continuum(
    spectra: SpectrumSet, continuum: np.ndarray, *, how: Mapping[str, object] | None = None
) -> SpectrumSet:
    """Values and errors over a known continuum, dimensionless.

    Parameters
    ----------
    spectra : SpectrumSet
        On wavelengths.
    continuum : ndarray, shape (n_stars, n_pixels) or (n_pixels,)
        In the unit of the spectra; a pixel where it is not positive and finite is masked.
    how : mapping, optional
        What ``meta["continuum"]`` shall say; ``{"method": "known"}`` without it.

    Raises
    ------
    StarkinError
        If the shapes do not fit.
    """
    continuum = np.asarray(continuum)
    if continuum.shape not in (spectra.values.shape, spectra.values.shape[1:]):
        raise StarkinError(
            f"The continuum has shape {continuum.shape}, the spectra {spectra.values.shape}."
        )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        usable = np.isfinite(continuum) & (continuum > 0)
        divisor = np.where(usable, continuum, 1).astype(spectra.values.dtype)
        return spectra.replace(
            values=spectra.values / divisor,
            errors=spectra.errors / divisor,
            mask=spectra.mask | ~usable,
            unit=u.dimensionless_unscaled,
            meta={**spectra.meta, "continuum": dict(how or {"method": "known"})},
        )


def find_continuum(spectra: SpectrumSet, settings: Continuum) -> np.ndarray:
    """The continuum in the unit of the spectra, shape (n_stars, n_pixels); NaN where a stretch
    has too few usable pixels.

    Raises
    ------
    StarkinError
        If the spectra are not on wavelengths.
    """
    if not isinstance(spectra.grid, WavelengthGrid):
        raise StarkinError(
            f"Only spectra on wavelengths have a continuum; these are {spectra.grid.describe()}."
        )
    find = _polynomial if settings.method == "polynomial" else _quantile
    continuum = np.full(spectra.values.shape, np.nan, dtype=spectra.values.dtype)
    factor = 10.0 if spectra.grid.unit == "nm" else 1.0
    for start in range(0, len(spectra), _ROWS):
        rows = slice(start, start + _ROWS)
        for part in segments(spectra.grid):
            continuum[rows, part] = find(
                spectra.grid.wavelength[part] * factor,
                spectra.values[rows, part].astype(np.float64),
                spectra.errors[rows, part].astype(np.float64),
                ~spectra.mask[rows, part],
                settings,
            )
    return continuum


def _polynomial(
    wavelength: np.ndarray,
    flux: np.ndarray,
    errors: np.ndarray,
    used: np.ndarray,
    settings: Continuum,
) -> np.ndarray:
    """Weighted least squares for all stars at once, clipped again and again; (n, n_pixels)."""
    # Scaled to -1..1, where Chebyshev polynomials are orthogonal and the fit well conditioned.
    x = 2 * (wavelength - wavelength[0]) / (wavelength[-1] - wavelength[0]) - 1
    design = chebyshev.chebvander(x, settings.degree)
    n_terms = design.shape[1]
    # Fluxes of order one whatever the unit.
    scale = np.array([np.median(f[g]) if g.any() else 1.0 for f, g in zip(flux, used, strict=True)])
    scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)[:, None]
    flux = np.where(used, flux / scale, 0)
    weight = np.where(used, (scale / errors) ** 2, 0)
    weight /= np.maximum(weight.max(axis=1, keepdims=True), 1e-300)
    # Errors far below what a polynomial can follow would leave hardly any pixel.
    tolerance = np.maximum(errors / scale, _FLOOR)
    kept = used.copy()
    products = np.einsum("pi,pj->pij", design, design).reshape(len(x), -1)
    for _ in range(settings.iterations + 1):
        w = np.where(kept, weight, 0)
        normal = (w @ products).reshape(-1, n_terms, n_terms)
        # A hundred-millionth of a unit matrix keeps a stretch with too few pixels solvable.
        trace = np.einsum("nii->n", normal) / n_terms
        normal += (1e-10 * trace + 1e-300)[:, None, None] * np.eye(n_terms)
        coefficients = np.linalg.solve(normal, ((w * flux) @ design)[..., None])[..., 0]
        fit = coefficients @ design.T
        offset = flux - fit
        # From the pixels above the fit alone: lines only widen the lower half. The median of
        # half a normal distribution is 0.6745 standard deviations.
        scatter = 1.4826 * _median_rows(np.where(kept & (offset > 0), offset, np.nan))
        # Always from all usable pixels: one that a poor first fit threw out may come back.
        again = used & (offset > -settings.clip_below * tolerance)
        again &= offset < settings.clip_above * np.maximum(scatter, 1e-12)[:, None]
        enough = again.sum(axis=1, keepdims=True) > 2 * n_terms
        again = np.where(enough, again, kept)
        if np.array_equal(again, kept):
            break
        kept = again
    few = used.sum(axis=1) <= 2 * n_terms
    return np.where(few[:, None], np.nan, fit * scale)


def _median_rows(values: np.ndarray) -> np.ndarray:
    """Median of each row without its NaNs; 0 where there is nothing else."""
    ordered = np.sort(values, axis=1)  # NaNs go last
    count = np.isfinite(values).sum(axis=1)
    rows = np.arange(len(values))
    middle = np.maximum(count - 1, 0) // 2
    upper = np.maximum(count, 1) // 2
    upper = np.minimum(upper, np.maximum(count - 1, 0))
    return np.where(count > 0, 0.5 * (ordered[rows, middle] + ordered[rows, upper]), 0.0)


def _quantile(
    wavelength: np.ndarray,
    flux: np.ndarray,
    errors: np.ndarray,
    used: np.ndarray,
    settings: Continuum,
) -> np.ndarray:
    """Quantiles in windows a quarter of their width apart, joined by straight lines."""
    n_knots = max(2, int(np.ceil(4 * (wavelength[-1] - wavelength[0]) / settings.window)) + 1)
    knots = np.linspace(wavelength[0], wavelength[-1], n_knots)
    values = np.where(used, flux, np.nan)
    found = np.full((len(flux), n_knots), np.nan)
    for k, knot in enumerate(knots):
        low, high = np.searchsorted(
            wavelength, [knot - 0.5 * settings.window, knot + 0.5 * settings.window]
        )
        found[:, k] = _quantile_rows(values[:, low:high], settings.quantile)
    result = np.full(flux.shape, np.nan)
    for i, row in enumerate(found):
        there = np.isfinite(row)
        if there.any():
            result[i] = np.interp(wavelength, knots[there], row[there])
    return result


def _quantile_rows(values: np.ndarray, quantile: float) -> np.ndarray:
    """Quantile of each row without its NaNs, by linear interpolation; NaN below five values."""
    ordered = np.sort(values, axis=1)
    count = np.isfinite(values).sum(axis=1)
    place = quantile * np.maximum(count - 1, 0)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(values))
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    below, above = ordered[rows, low], ordered[rows, high]
    return np.where(count >= 5, below + (place - low) * (above - below), np.nan)
