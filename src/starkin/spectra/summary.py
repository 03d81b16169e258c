"""What is in a set of spectra, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from . import columns
from .bases import has_official_bases
from .columns import BANDS
from .correlations import is_positive_definite
from .flux_summary import FluxSummary, summarise_fluxes
from .grid import Grid, XPGrid
from .photometry import g_flux, is_normalised, magnitude
from .spectrum_set import SpectrumSet

__all__ = ["LabelSummary", "Summary", "summarise"]

# Orders from which stellar XP coefficients are noise, for all but the brightest stars.
_NOISE_ORDERS = 40
# Positive definiteness costs a factorisation a star and band: judge a large set by a sample.
_CHECKED = 20_000


@dataclass(frozen=True)
class LabelSummary:
    """One label column: its unit, how many stars lack it, and its range if it is numeric."""

    name: str
    unit: str
    missing: int
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class Summary:
    """A set of spectra in figures.

    Attributes
    ----------
    stars : int
    grid, unit : str
        What the columns are, and the unit of values and errors.
    missing_bands : dict of str to int
        Stars of which all of BP, all of RP, or both are masked.
    partly_masked : int
        Stars of which some values of a band are masked: not given, not finite, or
        with an error that is zero, negative or not finite.
    masked_fraction : float
        Of all values.
    duplicates : int
        Rows whose ``source_id`` has come before.
    with_correlations, bad_correlations : int
        Stars that have the correlations of every band they have; and how many of those
        looked at are no correlation matrix (not positive definite).
    checked_correlations : int
        Stars whose correlations were looked at.
    noise_scatter : dict of str to float
        Robust standard deviation of value/error over the highest orders of each band,
        where there is hardly any signal: 1 if the errors are right, more if they are
        too small.
    g_range : tuple of float or None
        Faintest and brightest are at the ends [mag].
    normalisation : dict of str to int
        Stars by the origin of their G flux: flux, magnitude, synthetic, none.
    labels : list of LabelSummary
    fluxes : FluxSummary or None
        Of spectra on wavelengths.
    problems : list of str
        A sentence each; empty if there is nothing to say.
    """

    stars: int
    grid: str
    unit: str
    missing_bands: dict[str, int]
    partly_masked: int
    masked_fraction: float
    duplicates: int
    with_correlations: int
    checked_correlations: int
    bad_correlations: int
    noise_scatter: dict[str, float]
    g_range: tuple[float, float] | None
    normalisation: dict[str, int]
    labels: list[LabelSummary]
    fluxes: FluxSummary | None = None
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarise(spectra: SpectrumSet) -> Summary:
    """Count what is there and what is missing, and say in plain words what looks wrong."""
    mask = np.asarray(spectra.mask)
    missing, partly = _missing(spectra.grid, mask)
    with_correlations, checked, bad = _correlations(spectra, missing)
    g_range, normalisation = _brightness(spectra)
    fluxes, flux_problems = summarise_fluxes(spectra)
    summary = Summary(
        stars=len(spectra),
        grid=spectra.grid.describe(),
        unit=spectra.unit.to_string() or "dimensionless",
        missing_bands={name: int(which.sum()) for name, which in missing.items()},
        partly_masked=int(partly.sum()),
        masked_fraction=float(mask.mean()) if mask.size else 0.0,
        duplicates=len(spectra) - int(np.unique(spectra.source_id).size),
        with_correlations=with_correlations,
        checked_correlations=checked,
        bad_correlations=bad,
        noise_scatter=_noise_scatter(spectra),
        g_range=g_range,
        normalisation=normalisation,
        labels=[_label(spectra, name) for name in spectra.labels.colnames],
        fluxes=fluxes,
    )
    summary.problems.extend(_problems(summary, spectra))
    summary.problems.extend(flux_problems)
    return summary


def _missing(grid: Grid, mask: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Stars without a whole band (or, on wavelengths, without anything); stars with gaps."""
    if not isinstance(grid, XPGrid):
        nothing = np.asarray(mask.all(axis=1))
        return {"all": nothing}, np.asarray(mask.any(axis=1)) & ~nothing
    missing = {band: np.asarray(mask[:, grid.band(band)].all(axis=1)) for band in BANDS}
    partly = np.zeros(len(mask), dtype=bool)
    for band in BANDS:
        partly |= mask[:, grid.band(band)].any(axis=1) & ~missing[band]
    return missing | {"both": missing["bp"] & missing["rp"]}, partly


def _correlations(spectra: SpectrumSet, missing: dict[str, np.ndarray]) -> tuple[int, int, int]:
    """Stars with correlations, stars looked at, and those of them that are impossible."""
    if spectra.correlations is None or not isinstance(spectra.grid, XPGrid):
        return 0, 0, 0
    having = ~missing["both"]
    bad = np.zeros(len(spectra), dtype=bool)
    looked = np.linspace(0, len(spectra) - 1, min(len(spectra), _CHECKED)).astype(int)
    for band in BANDS:
        packed = spectra.correlations[:, spectra.grid.correlation_slice(band)]
        given = np.isfinite(packed).all(axis=1)
        having &= given | missing[band]
        rows = looked[given[looked] & ~missing[band][looked]]
        bad[rows] |= ~is_positive_definite(packed[rows], spectra.grid.band_size(band))
    return int(having.sum()), int(having[looked].sum()), int(bad.sum())


def _noise_scatter(spectra: SpectrumSet) -> dict[str, float]:
    """1.4826 times the median absolute value/error of the highest orders."""
    if not isinstance(spectra.grid, XPGrid):
        return {}
    scatter = {}
    for band in BANDS:
        part = spectra.grid.band(band)
        # The very last orders are left out: their published errors are special.
        high = slice(part.start + _NOISE_ORDERS, part.stop - 3)
        used = ~np.asarray(spectra.mask)[:, high]
        if used.any():
            pull = np.abs(spectra.values[:, high][used] / spectra.errors[:, high][used])
            scatter[band] = float(1.4826 * np.median(pull))
    return scatter


def _brightness(spectra: SpectrumSet) -> tuple[tuple[float, float] | None, dict[str, int]]:
    """Range of G, and the stars by where their G flux comes from."""
    if is_normalised(spectra):
        flux = spectra.label(columns.NORMALISATION_FLUX)
        method = np.asarray(spectra.labels[columns.NORMALISATION_METHOD])
    elif isinstance(spectra.grid, XPGrid) and (
        has_official_bases(spectra.grid)
        or spectra.has_label(columns.G_FLUX)
        or spectra.has_label(columns.G_MAG)
    ):
        try:
            flux, method = g_flux(spectra)
        except ValueError:  # nothing but coefficients, in a unit or on bases that tell nothing
            return None, {}
    else:
        return None, {}
    names, counts = np.unique(method, return_counts=True)
    g = magnitude(flux)
    known = np.isfinite(g)
    g_range = (float(g[known].min()), float(g[known].max())) if known.any() else None
    return g_range, {str(name): int(n) for name, n in zip(names, counts, strict=True)}


def _label(spectra: SpectrumSet, name: str) -> LabelSummary:
    column = spectra.labels[name]
    unit = str(column.unit or "")
    if column.dtype.kind in "biuf" and column.ndim == 1:
        numbers = spectra.label(name)
        known = np.isfinite(numbers)
        ends = (float(numbers[known].min()), float(numbers[known].max())) if known.any() else None
        low, high = ends or (None, None)
        return LabelSummary(name, unit, int((~known).sum()), low, high)
    missing = np.ma.getmaskarray(np.ma.asarray(column)).reshape(len(spectra), -1).any(axis=1)
    return LabelSummary(name, unit, int(missing.sum()), None, None)


def _count(n: int, thing: str) -> str:
    return f"1 {thing}" if n == 1 else f"{n:,} {thing}s"


def _stars(n: int) -> str:
    return _count(n, "star")


def _problems(summary: Summary, spectra: SpectrumSet) -> list[str]:
    found = []
    if summary.stars == 0:
        return ["There are no stars."]
    for name, n in summary.missing_bands.items():
        if n and name in BANDS:
            found.append(f"{_stars(n)} without {name.upper()}.")
        elif n:
            found.append(f"{_stars(n)} without any usable value: no model can place them.")
    if summary.partly_masked:
        found.append(
            f"{_stars(summary.partly_masked)} with single values missing, not finite or without a "
            "positive error."
        )
    if summary.duplicates:
        found.append(
            f"{_count(summary.duplicates, 'row')} with a source_id that came before: use ingest to "
            "keep one of each."
        )
    if summary.bad_correlations:
        found.append(
            f"{_stars(summary.bad_correlations)} of the {summary.checked_correlations:,} looked "
            "at with correlations that no data can have (not positive definite)."
        )
    if 0 < summary.with_correlations < summary.stars - summary.missing_bands.get("both", 0):
        n = summary.stars - summary.missing_bands.get("both", 0) - summary.with_correlations
        found.append(f"{_stars(n)} without correlations among stars that have them.")
    for band, scatter in summary.noise_scatter.items():
        if scatter > 1.3:
            found.append(
                f"{band.upper()} errors look too small by a factor of about {scatter:.1f}: that is "
                "how far the highest orders, which should be noise, scatter."
            )
        elif scatter < 0.7:
            found.append(
                f"{band.upper()} errors look too large by a factor of about {1 / scatter:.1f}, or "
                "the highest orders are not measured but set."
            )
    if summary.normalisation.get("none"):
        found.append(
            f"{_stars(summary.normalisation['none'])} without a G flux and without both bands to "
            "synthesise one: they cannot be normalised."
        )
    found += [
        f"The label column {label.name} is empty."
        for label in summary.labels
        if label.missing == summary.stars
    ]
    dropped = spectra.meta.get("dropped_correlations")
    if isinstance(dropped, int) and dropped:
        found.append(f"Correlations of {_count(dropped, 'band')} unusable and dropped on reading.")
    rejected = spectra.meta.get("rejected")
    if isinstance(rejected, (list, tuple)) and rejected:
        found.append(f"{_count(len(rejected), 'row')} of the file could not be used.")
    return found
