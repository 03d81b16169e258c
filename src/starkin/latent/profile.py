"""What the stars of a population look like: spectra, medians and spreads of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.table import Table

from ..spectra.errors import StarkinError
from .discovery import PopulationSpectra

__all__ = ["label_medians", "label_summaries", "population_spectra", "shown_rows"]

#: Columns that are numbers but no quantities.
_NOT_QUANTITIES = ("id", "flag", "flags", "population", "label", "class")


def shown_rows(labels: np.ndarray, most: int, *, seed: int = 0) -> np.ndarray:
    """Rows of stars to show singly: small populations whole, large ones thinned.

    Each population (and the stars in none) gets an equal share; what a small one
    does not use goes to the larger ones.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        -1 for none.
    most : int
        Rows in all.
    seed : int
        Of the thinning.

    Returns
    -------
    ndarray of int, ascending
    """
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(labels, return_counts=True)
    left, picked = most, []
    for rank, group in enumerate(np.argsort(sizes, kind="stable")):
        share = left // (len(names) - rank)
        rows = np.flatnonzero(labels == names[group])
        if len(rows) > share:
            rows = rng.choice(rows, size=share, replace=False)
        picked.append(rows)
        left -= len(rows)
    return np.sort(np.concatenate(picked)) if picked else np.empty(0, dtype=np.int64)


def population_spectra(
    wavelength: np.ndarray,
    flux: np.ndarray,
    labels: np.ndarray,
    *,
    rows_shown: np.ndarray | None = None,
) -> PopulationSpectra:
    """Mean, median, 16-84 % band, error of the mean, and ratio to all other stars.

    The ratio is mean(population) / mean(all others), both over stars with a flux
    at that wavelength; its error is propagated from the two errors of the mean,
    the samples being disjoint: sigma_r = |r| sqrt((s_p / m_p)^2 + (s_o / m_o)^2).

    Parameters
    ----------
    wavelength : ndarray, shape (n_wave,)
        [nm].
    flux : ndarray, shape (n_stars, n_wave)
        Each star divided by its G flux; NaN where unknown.
    labels : ndarray of int, shape (n_stars,)
        -1 for none.
    rows_shown : ndarray of int, optional
        Stars whose own spectra are kept (:func:`shown_rows`); none by default.
    """
    flux, labels = np.asarray(flux), np.asarray(labels)
    if flux.shape != (len(labels), len(wavelength)):
        raise StarkinError(
            f"flux has shape {flux.shape}; expected {(len(labels), len(wavelength))}."
        )
    n_populations = int(labels.max(initial=-1)) + 1
    shape = (n_populations, len(wavelength))
    result = {
        name: np.full(shape, np.nan)
        for name in ("mean", "median", "low", "high", "mean_error", "ratio", "ratio_error")
    }
    count, total, square, shift = _moments(flux, labels, n_populations)
    for number in range(n_populations):
        members = flux[labels == number]
        known = np.isfinite(members).any(axis=0)
        quantiles = np.nanpercentile(members[:, known], [16, 50, 84], axis=0)
        for name, row in zip(("low", "median", "high"), quantiles, strict=True):
            result[name][number, known] = row
        mean, error = _mean_and_error(count[number], total[number], square[number], shift)
        others = np.arange(n_populations + 1) != number
        rest, rest_error = _mean_and_error(
            count[others].sum(axis=0), total[others].sum(axis=0), square[others].sum(axis=0), shift
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = mean / rest
            relative = np.hypot(error / mean, rest_error / rest)
        result["mean"][number], result["mean_error"][number] = mean, error
        result["ratio"][number] = ratio
        result["ratio_error"][number] = np.abs(ratio) * relative
    rows = np.empty(0, dtype=np.int64) if rows_shown is None else np.asarray(rows_shown)
    return PopulationSpectra(
        wavelength=np.asarray(wavelength, dtype=np.float64),
        number=np.arange(n_populations),
        flux=_by_own_mean(flux[rows]),
        row=rows,
        **result,
    )


def _moments(
    flux: np.ndarray, labels: np.ndarray, n_populations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts and sums of x and x^2 by population and wavelength, the last row for no population.

    Sums are of x minus a typical value, so that their difference keeps its digits.
    """
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(flux)
        number = np.maximum(finite.sum(axis=0), 1)
        shift = np.where(finite, flux, 0).sum(axis=0, dtype=np.float64) / number
    shape = (n_populations + 1, flux.shape[1])
    count, total, square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for group in range(-1, n_populations):
        members = flux[labels == group].astype(np.float64)
        known = np.isfinite(members)
        centred = np.where(known, members - shift, 0)
        count[group] = known.sum(axis=0)
        total[group], square[group] = centred.sum(axis=0), (centred**2).sum(axis=0)
    return count, total, square, shift


def _mean_and_error(
    count: np.ndarray, total: np.ndarray, square: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = np.where(count > 0, total / count, np.nan)
        variance = np.maximum(square - count * centred**2, 0) / (count - 1)
        error = np.where(count > 1, np.sqrt(variance / count), np.nan)
    return centred + shift, error


def _by_own_mean(flux: np.ndarray) -> np.ndarray:
    """Spectra scaled to mean 1 each, float16, for the eye."""
    known = np.isfinite(flux)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where(known, flux, 0).sum(axis=1, keepdims=True, dtype=np.float64)
        level /= known.sum(axis=1, keepdims=True)
        scaled = flux / np.where(level == 0, np.nan, level)
    return np.clip(scaled, -6e4, 6e4).astype(np.float16)


# --- labels ---------------------------------------------------------------------
def _quantities(table: Table) -> list[str]:
    return [
        name
        for name in table.colnames
        if table[name].ndim == 1
        and table[name].dtype.kind in "fiu"
        and not any(name == word or name.endswith(f"_{word}") for word in _NOT_QUANTITIES)
    ]


def _values(table: Table, name: str) -> np.ndarray:
    column = table[name]
    values = np.ma.asarray(column).astype(np.float64)
    return np.ma.filled(values, np.nan)


def label_medians(table: Table, labels: np.ndarray, names: list[str] | None = None) -> Table:
    """Median of label columns over the members of each population.

    Parameters
    ----------
    table : astropy.table.Table
        One row a star.
    labels : ndarray of int, shape (n,)
        -1 for none.
    names : list of str, optional
        Columns; every numeric quantity by default.

    Returns
    -------
    astropy.table.Table
        ``median_<label>``, one row a population, units kept; NaN where nothing is known.
    """
    names = _quantities(table) if names is None else names
    n_populations = int(np.max(labels, initial=-1)) + 1
    result = Table()
    for name in names:
        values = _values(table, name)
        medians = np.full(n_populations, np.nan)
        for number in range(n_populations):
            known = values[(labels == number) & np.isfinite(values)]
            if known.size:
                medians[number] = np.median(known)
        result[f"median_{name}"] = medians
        result[f"median_{name}"].unit = table[name].unit
        result[f"median_{name}"].description = f"Median {name} of the members"
    return result


def label_summaries(
    table: Table, labels: np.ndarray, names: list[str] | None = None, *, n_bins: int = 40
) -> dict[str, Any]:
    """Distribution of label columns by population, ready for a histogram.

    Parameters
    ----------
    table, labels, names
        As for :func:`label_medians`.
    n_bins : int
        Bins between the 0.5 and 99.5 percentiles of the whole sample; what lies
        outside is in the first and last bin.

    Returns
    -------
    dict
        By column: ``edges`` (n_bins + 1) and ``populations``, a list by number
        of ``n``, ``counts`` (n_bins) and the percentiles ``p05`` … ``p95``.
    """
    names = _quantities(table) if names is None else names
    n_populations = int(np.max(labels, initial=-1)) + 1
    result: dict[str, Any] = {}
    for name in names:
        values = _values(table, name)
        known = np.isfinite(values)
        if not known.any():
            continue
        low, high = np.percentile(values[known], [0.5, 99.5])
        edges = np.linspace(low, high if high > low else low + 1, n_bins + 1)
        rows = []
        for number in range(n_populations):
            members = values[known & (labels == number)]
            counts = np.histogram(np.clip(members, edges[0], edges[-1]), bins=edges)[0]
            row: dict[str, Any] = {"n": len(members), "counts": counts.tolist()}
            if len(members):
                levels = (5, 16, 50, 84, 95)
                for level, value in zip(levels, np.percentile(members, levels), strict=True):
                    row[f"p{level:02d}"] = float(value)
            rows.append(row)
        result[name] = {"edges": edges.tolist(), "populations": rows}
    return result
