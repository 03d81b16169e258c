"""A star and its twins side by side: where their spectra differ, and in which element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ..io.latents import Latents
from ..models.base import SpectrumModel
from ..spectra import SpectrumSet, StarkinError, columns
from .editing import told

__all__ = ["ElementResponse", "TwinDifferences", "twin_differences"]

_STEP_DEX = 0.1
_LEAST_STARS = 50


@dataclass(frozen=True, eq=False)
class ElementResponse:
    """How latents move with abundances, learnt from stars whose abundances are known.

    Attributes
    ----------
    elements : tuple of str
        Abundance columns: ``"mg_h"``, …
    slope : ndarray, shape (n_elements, n_latent)
        Change of the latent per dex of each element, the others fixed.
    """

    elements: tuple[str, ...]
    slope: np.ndarray

    @classmethod
    def fit(cls, latents: Latents, *, true: bool = False) -> ElementResponse | None:
        """Linear regression of latents on the abundance columns that travel with them.

        Parameters
        ----------
        latents : Latents
            A catalogue with abundance columns ``mg_h``, … as labels.
        true : bool
            Use a simulation's ``true_mg_h``, … instead.

        Returns
        -------
        ElementResponse or None
            None where fewer than 50 stars have latents and two or more abundances.
        """
        names = abundance_columns(latents.columns, true=true)
        if len(names) < 2:
            return None
        values = np.column_stack([_floats(latents.columns[name]) for name in names])
        rows = np.isfinite(values).all(axis=1) & latents.usable
        if rows.sum() < max(_LEAST_STARS, 3 * len(names)):
            return None
        design = np.column_stack([np.ones(rows.sum()), values[rows]])
        slope = np.linalg.lstsq(design, latents.mean[rows].astype(np.float64), rcond=None)[0][1:]
        return cls(tuple(name.removeprefix("true_") for name in names), slope)


@dataclass(frozen=True, eq=False)
class TwinDifferences:
    """One star, its twins, and their differences.

    Attributes
    ----------
    wavelength : ndarray, shape (n_pixels,)
    unit : str
        Of the wavelength.
    source_id : int
        The star.
    flux, error : ndarray, shape (n_pixels,)
        NaN where masked.
    twin_id : ndarray of int64, shape (k,)
    twin_flux : ndarray, shape (k, n_pixels)
        As observed.
    moved : ndarray, shape (k, n_pixels)
        The twins at the star's temperature and gravity (residual kept), where the model is told
        them; else as observed.
    pull : ndarray, shape (k, n_pixels)
        (star - moved twin) / sqrt(error_star^2 + error_twin^2).
    elements : tuple of str
        Elements of the columns below; empty where no abundances are known.
    delta, delta_error : ndarray, shape (k, n_elements)
        [X/H] of the star minus that of the twin, from the spectra's difference [dex].
    """

    wavelength: np.ndarray
    unit: str
    source_id: int
    flux: np.ndarray
    error: np.ndarray
    twin_id: np.ndarray
    twin_flux: np.ndarray
    moved: np.ndarray
    pull: np.ndarray
    elements: tuple[str, ...]
    delta: np.ndarray
    delta_error: np.ndarray

    @property
    def reduced_chi2(self) -> np.ndarray:
        """Mean of the squared pulls of each twin; 1 where only noise differs; shape (k,)."""
        return np.nanmean(self.pull**2, axis=1)


def twin_differences(
    model: SpectrumModel,
    spectra: SpectrumSet,
    latents: Latents,
    star: int,
    twins: np.ndarray,
    response: ElementResponse | None = None,
) -> TwinDifferences:
    """Compare a star's spectrum with its twins'.

    A twin at another temperature differs though its composition does not, so it is first
    drawn at the star's own conditions: x_t + D(z_t, u_s) - D(z_t, u_t). The difference that
    remains is then laid on the elements: least squares on dD/dz dz/d[X/H] at the star, each
    pixel weighed by both errors.

    Parameters
    ----------
    model : SpectrumModel
        Decodes.
    spectra : SpectrumSet
        Of the catalogue's stars, found by their ids.
    latents : Latents
        The catalogue.
    star : int
        Row of the star in the catalogue.
    twins : ndarray of int, shape (k,)
        Rows of its twins; negative ones are passed over.
    response : ElementResponse, optional
        For the elements.

    Raises
    ------
    StarkinError
        If a spectrum is not in the set.
    """
    twins = np.asarray(twins)[np.asarray(twins) >= 0]
    rows = np.concatenate([[star], twins])
    spectra = spectra[spectrum_rows(spectra, latents.source_id[rows])]
    z = latents.mean[rows].astype(np.float64)
    u = told(model, spectra)
    values = np.where(spectra.mask, np.nan, spectra.values).astype(np.float64)
    moved = values[1:]
    if u is not None and len(twins):
        here = model.decode(z[1:], np.repeat(u[:1], len(twins), axis=0)).values
        moved = moved + here - model.decode(z[1:], u[1:]).values
    errors = np.where(spectra.mask, np.inf, spectra.errors).astype(np.float64)
    sigma = np.hypot(errors[:1], errors[1:])
    pull = (values[:1] - moved) / sigma
    elements: tuple[str, ...] = ()
    delta = delta_error = np.empty((len(twins), 0))
    if response is not None:
        elements = response.elements
        lines = _lines(model, z[0], None if u is None else u[0], response)
        delta, delta_error = _on_elements(np.nan_to_num(pull), sigma, lines)
    grid = spectra.grid
    return TwinDifferences(
        wavelength=getattr(grid, "wavelength", np.arange(grid.n_pixels, dtype=float)),
        unit=getattr(grid, "unit", ""),
        source_id=int(spectra.source_id[0]),
        flux=values[0],
        error=np.where(spectra.mask[0], np.nan, spectra.errors[0]),
        twin_id=spectra.source_id[1:],
        twin_flux=values[1:],
        moved=moved,
        pull=pull,
        elements=elements,
        delta=delta,
        delta_error=delta_error,
    )


def abundance_columns(table: Table, *, true: bool = False) -> list[str]:
    """Columns of single elements' abundances, in the table's order."""
    prefix = columns.truth("") if true else ""
    symbols = [name.removeprefix(prefix) for name in table.colnames if name.startswith(prefix)]
    return [
        prefix + name
        for name in symbols
        if name.endswith("_h") and len(name) <= 4 and name != columns.M_H
    ]


def spectrum_rows(spectra: SpectrumSet, source_id: np.ndarray) -> np.ndarray:
    """Rows of stars in a set of spectra, by id."""
    order = np.argsort(spectra.source_id, kind="stable")
    ids = spectra.source_id[order]
    place = np.minimum(np.searchsorted(ids, source_id), len(ids) - 1)
    if missing := [int(i) for i in source_id[ids[place] != source_id]]:
        raise StarkinError(f"The spectra hold no star with source_id {missing[0]}.")
    return order[place]


def _lines(
    model: SpectrumModel, z: np.ndarray, u: np.ndarray | None, response: ElementResponse
) -> np.ndarray:
    """Change of the flux per dex of each element at a star, shape (n_elements, n_pixels)."""
    n = len(response.elements)
    ends = []
    for sign in (1, -1):
        at = z + sign * _STEP_DEX * response.slope
        ends.append(model.decode(at, None if u is None else np.tile(u, (n, 1))).values)
    return (ends[0] - ends[1]) / (2 * _STEP_DEX)


def _on_elements(
    pull: np.ndarray, sigma: np.ndarray, lines: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of differences on lines: abundances and their errors, (k, n_elements)."""
    delta, error = np.empty((len(pull), len(lines))), np.empty((len(pull), len(lines)))
    for i in range(len(pull)):
        design = lines / sigma[i]  # 0 where masked
        normal = design @ design.T
        # Elements that the lines cannot tell apart get a large error, not a singular matrix.
        normal += 1e-10 * np.trace(normal) * np.eye(len(lines))
        covariance = np.linalg.inv(normal)
        delta[i] = covariance @ (design @ pull[i])
        error[i] = np.sqrt(np.diag(covariance))
    return delta, error


def _floats(column: np.ndarray) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
