"""The stars that models are compared on: training, validation and test, with what is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..models.base import Progress
from ..simulate import simulate_survey
from ..spectra import SpectrumSet, StarkinError, XPGrid, assign_splits, columns, normalise
from .compare_settings import CompareConfig
from .derived import fill_in
from .inputs import load_spectra
from .selection import of_those, selected

__all__ = ["CompareStars", "compare_stars", "known_label"]


def known_label(spectra: SpectrumSet, name: str) -> np.ndarray | None:
    """The best there is of a label: its truth, else the column itself, else None."""
    for column in (columns.truth(name), name):
        if spectra.has_label(column):
            return spectra.label(column)
    return None


@dataclass(frozen=True)
class CompareStars:
    """Spectra as they were read, by what they are for.

    Attributes
    ----------
    train, validation, test : SpectrumSet
        As read: each model normalises by itself.
    truth : ndarray or None, shape (n_test, n_pixels)
        Noiseless spectra of the test stars, per unit of the G flux that the observed ones
        are divided by.
    fingerprints : dict
        Of the parts.
    """

    train: SpectrumSet
    validation: SpectrumSet
    test: SpectrumSet
    truth: np.ndarray | None = None
    fingerprints: dict[str, Any] = field(default_factory=dict)

    @property
    def observed(self) -> SpectrumSet:
        """The test stars in the unit in which models decode."""
        return normalise(self.test) if isinstance(self.test.grid, XPGrid) else self.test


def compare_stars(config: CompareConfig, progress: Progress | None = None) -> CompareStars:
    """Read or simulate the spectra of a comparison, cut and split them.

    Raises
    ------
    StarkinError
        If there is nothing to read, no star passes the cuts, or a part stays empty.
    """
    spectra, truth = _spectra(config, progress)
    keep = selected(spectra, config.cut, config.select)
    spectra, truth = of_those(spectra, keep), None if truth is None else truth[keep]
    groups = None
    if spectra.has_label(columns.COMPOSITION_ID):
        groups = np.asarray(spectra.labels[columns.COMPOSITION_ID])
        # Stars on their own share the number -1, but are no group.
        groups = np.where(groups < 0, -1 - np.arange(len(groups)), groups)
    split = assign_splits(spectra.source_id, config.split, groups=groups)
    for part, rows in split.items():
        if rows.sum() < 20:
            raise StarkinError(
                f"Only {rows.sum()} stars are for {part}; take more stars or another split."
            )
    test_truth = None if truth is None else truth[split["test"]]
    stars = CompareStars(
        train=spectra[split["train"]],
        validation=spectra[split["validation"]],
        test=spectra[split["test"]],
        truth=None if test_truth is None else _per_flux(spectra[split["test"]], test_truth),
    )
    stars.fingerprints.update(
        {part: getattr(stars, part).fingerprint for part in ("train", "validation", "test")}
        | {f"n_{part}": len(getattr(stars, part)) for part in ("train", "validation", "test")}
    )
    return stars


def _spectra(
    config: CompareConfig, progress: Progress | None
) -> tuple[SpectrumSet, np.ndarray | None]:
    data = config.data
    if data.simulated:
        threads = config.threads or None
        common: dict[str, Any] = {
            "seed": data.seed,
            "alpha_signal": data.alpha_signal,
            "correlations": True,
            "threads": threads,
        }
        spectra = simulate_survey(data.n, progress=_half(progress, 0), **common)
        clean = simulate_survey(data.n, noise=False, progress=_half(progress, 1), **common)
        return spectra, clean.values
    spectra = load_spectra(list(data.files), labels=data.labels or None)
    if isinstance(spectra.grid, XPGrid):
        spectra = fill_in(spectra)
    if not data.truth:
        return spectra, None
    clean = load_spectra(data.truth)
    order = np.argsort(clean.source_id)
    at = np.clip(np.searchsorted(clean.source_id, spectra.source_id, sorter=order), 0, None)
    rows = order[np.minimum(at, len(clean) - 1)]
    if not np.array_equal(clean.source_id[rows], spectra.source_id):
        raise StarkinError(f"{data.truth} lacks stars of the spectra; it must hold every one.")
    spectra.grid.require(clean.grid, "The noiseless truth")
    if clean.unit != spectra.unit:
        raise StarkinError(f"The truth is in '{clean.unit}', the spectra in '{spectra.unit}'.")
    return spectra, clean.values[rows]


def _half(progress: Progress | None, which: int) -> Progress | None:
    """Two simulations, noisy and noiseless, on one bar."""
    if progress is None:
        return None
    return lambda done, total, note: progress(done + which * total, 2 * total, note)


def _per_flux(spectra: SpectrumSet, truth: np.ndarray) -> np.ndarray:
    """The truth divided by the very number that the observed spectrum is divided by."""
    if not isinstance(spectra.grid, XPGrid):
        return truth
    observed = normalise(spectra)
    if observed is spectra:  # read as normalised: so was the truth
        return truth
    return truth / observed.label(columns.NORMALISATION_FLUX)[:, np.newaxis]
