"""What each population is: spectra, distinctness, labels and object types, in one result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, hstack

from ..io.latents import Latents
from ..io.simbad import SimbadClient, read_crossmatch
from ..io.simbad_types import group
from ..latent.discovery import PopulationSpectra
from ..latent.distinct import (
    Distinctness,
    distinctness,
    hr_coordinates,
    sky_coordinates,
    spectral_coordinates,
)
from ..latent.populations import Populations
from ..latent.profile import label_medians, population_spectra, shown_rows
from ..latent.votes import Vote, majority_votes, vote_columns, vote_counts
from ..spectra import SpectrumSet, WavelengthGrid, columns, normalise, sample_spectra

__all__ = ["Characterisation", "characterise"]

Progress = Callable[[int, int, str], None]

_OBJECT_TYPE = "object_type"


@dataclass(frozen=True)
class Characterisation:
    """The parts of a :class:`~starkin.latent.discovery.Discovery` that concern single populations.

    Attributes
    ----------
    catalogue : Latents
        With populations, memberships and object types as columns.
    table : astropy.table.Table
        One row a population.
    spectra : PopulationSpectra
    votes, distinctness : dict
        For :attr:`Discovery.statistics`.
    """

    catalogue: Latents
    table: Table
    spectra: PopulationSpectra
    votes: dict[str, Any]
    distinctness: dict[str, Any]


def characterise(
    spectra: SpectrumSet,
    latents: Latents,
    populations: Populations,
    *,
    crossmatch: str | Path | Table | None = None,
    simbad: bool = False,
    simbad_cache: str | Path | None = None,
    n_permutations: int = 999,
    n_spectra_shown: int = 60_000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Characterisation:
    """Describe and test each population.

    Parameters
    ----------
    spectra : SpectrumSet
        XP coefficients, row by row the stars of ``latents``.
    latents : Latents
        Of the first model.
    populations : Populations
        Found in ``latents``.
    crossmatch : path or Table, optional
        The user's object types.
    simbad : bool
        Ask SIMBAD for stars that ``crossmatch`` does not name.
    simbad_cache : path, optional
        File that keeps SIMBAD's answers.
    n_permutations, n_spectra_shown, seed : int
        See :class:`~starkin.survey.settings.DiscoverConfig`.
    progress : callable, optional
        Told of each test.
    """
    labels = populations.labels
    normalised = normalise(spectra)
    sampled = sample_spectra(normalised, correlated=False)
    assert isinstance(sampled.grid, WavelengthGrid)
    flux = np.where(sampled.mask, np.nan, sampled.values)
    profile = population_spectra(
        sampled.grid.wavelength,
        flux,
        labels,
        rows_shown=shown_rows(labels, n_spectra_shown, seed=seed),
    )
    tests = distinctness(
        labels,
        _spaces(normalised, seed),
        n_permutations=n_permutations,
        seed=seed,
        progress=progress,
    )
    types = _object_types(spectra.source_id, crossmatch, simbad, simbad_cache)
    votes = majority_votes(types, labels, grouping=group) if types is not None else []
    new = {columns.POPULATION: labels.astype(np.int32), columns.MEMBERSHIP: populations.membership}
    if types is not None:
        new[_OBJECT_TYPE] = types
    return Characterisation(
        catalogue=latents.with_columns(**new),
        table=_table(populations, tests, votes, spectra.labels),
        spectra=profile,
        votes=vote_counts(votes),
        distinctness=tests.to_dict(),
    )


def _spaces(normalised: SpectrumSet, seed: int) -> dict[str, np.ndarray]:
    """Coordinates of the three tests, for as many of them as the labels allow."""
    spaces = {"spectroscopic": spectral_coordinates(normalised.values, normalised.mask, seed=seed)}
    photometry = (columns.BP_RP, columns.G_MAG, columns.PARALLAX, columns.PARALLAX_ERROR)
    if all(normalised.has_label(name) for name in photometry):
        spaces["photometric"] = hr_coordinates(*(normalised.label(name) for name in photometry))
    if normalised.has_label(columns.GLON) and normalised.has_label(columns.GLAT):
        spaces["sky"] = sky_coordinates(
            normalised.label(columns.GLON), normalised.label(columns.GLAT)
        )
    return spaces


def _object_types(
    source_id: np.ndarray,
    crossmatch: str | Path | Table | None,
    simbad: bool,
    cache: str | Path | None,
) -> np.ndarray | None:
    """SIMBAD's code of each star, empty where none is known; None if nobody was asked."""
    if crossmatch is None and not simbad:
        return None
    known: dict[int, str] = {}
    tables = [] if crossmatch is None else [read_crossmatch(crossmatch)]
    if simbad:
        named = set() if not tables else set(np.asarray(tables[0]["source_id"]).tolist())
        asked = [star for star in source_id.tolist() if star not in named]
        tables.append(SimbadClient(cache=cache).query(asked))
    for table in tables:
        known |= dict(zip(table["source_id"].tolist(), table["main_type"].tolist(), strict=True))
    return np.array([known.get(star, "") or "" for star in source_id.tolist()], dtype=str)


def _table(
    populations: Populations, tests: Distinctness, votes: list[Vote], labels: Table
) -> Table:
    parts = [populations.to_table(), Table(tests.to_columns())]
    if votes:
        parts.append(Table(vote_columns(votes)))
    if labels.colnames:
        parts.append(label_medians(labels, populations.labels))
    return hstack([part for part in parts if part.colnames])
