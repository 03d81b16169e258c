"""Coefficients to spectra against wavelength, with exact covariances, and back.

A sampled spectrum is linear in the coefficients, F = A^T c with the columns of A
from :func:`starkin.spectra.bases.sampling_design`, so its covariance is exact::

    cov(F) = A^T K A,      K = D R D,   D = diag(coefficient errors),

with R the correlation matrix of each band; the two bands are independent.

*Which D.* The archive also gives each band's ``standard_deviation`` σ, and
GaiaXPy forms D R D / σ². The archive's errors are the formal errors of the
least-squares solution already multiplied by σ = √(χ²/dof): GaiaXPy divides σ
out and multiplies it back in when it computes flux errors. The covariance of
the published coefficients is therefore D R D, σ does not enter, and the flux
errors here are GaiaXPy's. Its ``with_correlation`` output is not: there the
bands are merged without multiplying σ back, and with ``cov * w`` instead of the
outer product ``cov * w w^T``; both distort the 636-642 nm overlap.

*Missing data*, as in GaiaXPy: where one band is missing the other is used
alone, at full weight, within its own range (BP below 643 nm, RP above 635 nm),
and the rest is masked. A single masked coefficient leaves the flux of its
whole band undefined, so it counts as a missing band.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from .bases import BAND_RANGE, DESIGN_UNIT, band_design, default_wavelength, merge_weights
from .columns import BANDS
from .errors import StarkinError
from .grid import WavelengthGrid, XPGrid
from .projection import projection_matrix
from .propagation import Variance, chunks, full_covariance, patterns, require_xp, triangles
from .spectrum_set import SpectrumSet
from .threads import each, worker_count

__all__ = ["fit_coefficients", "sample_spectra", "sampled_covariance"]


@dataclass(frozen=True)
class _Block:
    """Where one band contributes to the sampled spectrum, and how."""

    band: str
    columns: slice
    design: np.ndarray  # (n_band, n_columns), weights included

    @cached_property
    def variance(self) -> Variance:
        return Variance(self.design)


def _blocks(available: tuple[str, ...], wavelength: np.ndarray | None) -> list[_Block]:
    """The contributions for stars that have just these bands."""
    return _made_blocks(available, None if wavelength is None else wavelength.tobytes())


@lru_cache(maxsize=6)
def _made_blocks(available: tuple[str, ...], given: bytes | None) -> list[_Block]:
    wavelength = None if given is None else np.frombuffer(given)
    grid = default_wavelength() if wavelength is None else wavelength
    if len(available) == 2:
        weights = merge_weights(wavelength)
    else:
        inside = {"bp": grid < BAND_RANGE["bp"][1], "rp": grid > BAND_RANGE["rp"][0]}
        weights = {band: inside[band].astype(np.float64) for band in available}
    blocks = []
    for band in available:
        used = np.flatnonzero(weights[band])  # contiguous: the grid increases
        if used.size:
            columns = slice(int(used[0]), int(used[-1]) + 1)
            design = band_design(band, wavelength)[:, columns] * weights[band][columns]
            blocks.append(_Block(band, columns, np.ascontiguousarray(design)))
    return blocks


def _nanometres(grid: WavelengthGrid) -> np.ndarray:
    return grid.wavelength * (0.1 if grid.unit == "Angstrom" else 1.0)


def _asked(wavelength: np.ndarray | WavelengthGrid | None) -> np.ndarray | None:
    if isinstance(wavelength, WavelengthGrid):
        return _nanometres(wavelength)
    return None if wavelength is None else np.asarray(wavelength, dtype=np.float64)


def sample_spectra(
    spectra: SpectrumSet,
    wavelength: np.ndarray | WavelengthGrid | None = None,
    *,
    correlated: bool | None = None,
    threads: int | None = None,
) -> SpectrumSet:
    """Absolute spectra against wavelength from XP coefficients.

    Parameters
    ----------
    spectra : SpectrumSet
        On an :class:`XPGrid`.
    wavelength : ndarray of shape (n_wave,) or WavelengthGrid, optional
        In nm (a plain array) within 330-1050; without it the official sampling,
        336-1020 nm in steps of 2 nm.
    correlated : bool, optional
        Whether flux errors take the coefficients' correlations into account. By
        default they do where a star has them; True insists; False treats all
        coefficients as independent.
    threads : int, optional
        As many as BLAS has without it.

    Returns
    -------
    SpectrumSet
        On a :class:`WavelengthGrid` [nm], vacuum. Values and errors are in
        W m⁻² nm⁻¹, or per unit of G flux if the coefficients were normalised.
        Labels are kept. Pixels without a usable flux or variance are masked.

    Raises
    ------
    StarkinError
        If the spectra are not XP coefficients with published bases, or correlations
        were insisted on and are missing.
    """
    grid = require_xp(spectra)
    nm = _asked(wavelength)
    target = default_wavelength() if nm is None else nm
    flux = np.zeros((len(spectra), target.size))
    flux_errors = np.full_like(flux, np.nan)

    def sample(piece: tuple[list[_Block], np.ndarray]) -> None:
        blocks, rows = piece
        at = _span(rows)
        variance = np.zeros((rows.size, target.size))
        for block in blocks:
            part = grid.band(block.band)
            packed = triangles(spectra, rows, block.band, correlated)
            flux[at, block.columns] += spectra.values[at, part] @ block.design
            variance[:, block.columns] += block.variance(spectra.errors[at, part], packed)
        # Where no band reaches the variance is 0, and where the "correlations" are no
        # correlation matrix it may be negative: a set of spectra masks both.
        with np.errstate(invalid="ignore"):
            flux_errors[at] = np.sqrt(variance)

    pieces = []
    for available, rows in patterns(spectra):
        blocks = _blocks(available, nm)
        pieces += [(blocks, chunk) for chunk in chunks(rows, 16 * grid.n_correlations)]
    each(sample, pieces, worker_count(threads))
    return spectra.replace(
        values=flux,
        errors=flux_errors,
        mask=None,
        correlations=None,
        grid=WavelengthGrid(target, unit="nm", medium="vacuum", frame="observed"),
        unit=spectra.unit * DESIGN_UNIT,
        meta={**spectra.meta, "flux_errors": _how(spectra, correlated)},
    )


def _span(rows: np.ndarray) -> slice | np.ndarray:
    """The same increasing rows as a slice if they are one: a view instead of a copy."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == rows.size else rows


def _how(spectra: SpectrumSet, correlated: bool | None) -> str:
    if spectra.correlations is None or correlated is False:
        return "coefficients taken as independent"
    if np.isfinite(spectra.correlations).all():
        return "propagated with the coefficients' correlations"
    return "propagated with the coefficients' correlations where a star has them"


def sampled_covariance(
    spectra: SpectrumSet,
    wavelength: np.ndarray | WavelengthGrid | None = None,
    *,
    memory: int = 16 * 2**20,
    threads: int | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Full covariance matrices of sampled spectra, a bounded number at a time.

    Parameters
    ----------
    spectra : SpectrumSet
        On an :class:`XPGrid`. Stars without correlations are taken to have none.
    wavelength : ndarray or WavelengthGrid, optional
        As in :func:`sample_spectra`.
    memory : int
        Upper limit of one piece [byte]; at least one star comes at a time (0.9 MB on
        the official sampling).
    threads : int, optional
        As many as BLAS has without it.

    Yields
    ------
    rows : slice
        Which stars these are.
    covariance : ndarray, shape (len(rows), n_wave, n_wave)
        In the squared unit of the sampled spectra; NaN in rows and columns that no
        band of the star reaches.
    """
    require_xp(spectra)
    nm = _asked(wavelength)
    n_wave = (default_wavelength() if nm is None else nm).size
    groups = [(_blocks(available, nm), rows) for available, rows in patterns(spectra)]
    incomplete: np.ndarray = np.any(spectra.mask, axis=1)
    size = max(1, memory // (8 * n_wave**2))
    workers = worker_count(threads)
    for start in range(0, len(spectra), size):
        stop = min(start + size, len(spectra))
        covariance = np.empty((stop - start, n_wave, n_wave))
        covariance[incomplete[start:stop]] = np.nan
        pieces = []
        for blocks, rows in groups:
            here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
            parts = np.array_split(here, workers)
            pieces += [(blocks, part, covariance, start) for part in parts if part.size]
        each(lambda piece: _fill(spectra, *piece), pieces, workers)
        yield slice(start, stop), covariance


def _fill(
    spectra: SpectrumSet, blocks: list[_Block], rows: np.ndarray, out: np.ndarray, start: int
) -> None:
    """Write the matrices of some stars; the first of ``out`` is that of star ``start``."""
    grid = require_xp(spectra)
    halves = []
    for block in blocks:
        errors = spectra.errors[rows, grid.band(block.band)]
        covariance = full_covariance(errors, triangles(spectra, rows, block.band))
        halves.append(covariance @ block.design)
    for row, *half in zip(rows, *halves, strict=True):
        _place(out[row - start], blocks, half)


def _place(out: np.ndarray, blocks: list[_Block], halves: list[np.ndarray]) -> None:
    """Write A^T (K A) of each band where it belongs in one star's matrix.

    The products go straight into place, which is half the time of adding them up: only
    the few columns that the bands share are added, and only the blocks between the bands
    are cleared.
    """
    if len(blocks) == 2:
        blue, red = blocks[0].columns, blocks[1].columns
        out[: red.start, blue.stop :] = 0
        out[blue.stop :, : red.start] = 0
        shared = slice(red.start, max(blue.stop, red.start))
    for i, (block, half) in enumerate(zip(blocks, halves, strict=True)):
        other = out[shared, shared].copy() if i else None
        _symmetric_product(block.design.T, half, out[block.columns, block.columns])
        if other is not None:
            out[shared, shared] += other


def _symmetric_product(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """A product known to be symmetric: strips from the diagonal on, the rest copied.

    Three strips take two thirds of the arithmetic; more are too thin for BLAS.
    """
    edges = np.linspace(0, len(left), 4).astype(int)
    for start, stop in pairwise(edges):
        np.matmul(left[start:stop], right[:, start:], out=out[start:stop, start:])
        out[stop:, start:stop] = out[start:stop, stop:].T


def fit_coefficients(spectra: SpectrumSet, grid: XPGrid | None = None) -> SpectrumSet:
    """XP coefficients of spectra sampled in wavelength: the way back.

    The map is :func:`starkin.spectra.project`, linear too, so that pixel errors (taken
    as independent) give exact coefficient errors and correlations. Sampling and fitting
    do not undo each other exactly: coefficients also describe what lies beyond the
    sampled range, where the spectrum is continued by its last value.

    Parameters
    ----------
    spectra : SpectrumSet
        On a :class:`WavelengthGrid` from 345 nm or bluer to 1000 nm or redder, in
        W m⁻² nm⁻¹ or anything that is that per unit of flux.
    grid : XPGrid, optional
        DR3's 55 + 55 without it.

    Returns
    -------
    SpectrumSet
        On the XP grid, with correlations. A band is masked if a pixel in its
        wavelength range is.
    """
    if not isinstance(spectra.grid, WavelengthGrid):
        raise StarkinError(
            f"Coefficients are fitted to spectra against wavelength; these are on "
            f"{spectra.grid.describe()}."
        )
    grid = grid or XPGrid()
    nm = _nanometres(spectra.grid)
    matrix = projection_matrix(nm, grid)
    variance = spectra.errors.astype(np.float64) ** 2
    mask = np.zeros((len(spectra), grid.n_pixels), dtype=bool)
    errors = np.sqrt(variance @ matrix**2)
    correlations = np.empty((len(spectra), grid.n_correlations), dtype=np.float32)
    for band in BANDS:
        low, high = BAND_RANGE[band]
        seen = (nm >= low) & (nm <= high)
        part = grid.band(band)
        mask[:, part] = spectra.mask[:, seen].any(axis=1, keepdims=True)
        column, row = np.tril_indices(grid.band_size(band), k=-1)
        pairs = matrix[:, part][:, row] * matrix[:, part][:, column]
        for chunk in chunks(np.arange(len(spectra)), 16 * row.size):
            e = errors[chunk, part]
            correlations[chunk, grid.correlation_slice(band)] = (variance[chunk] @ pairs) / (
                e[:, row] * e[:, column]
            )
    return spectra.replace(
        values=spectra.values @ matrix,
        errors=errors,
        mask=mask,
        correlations=correlations,
        grid=grid,
        unit=spectra.unit / DESIGN_UNIT,
    )
