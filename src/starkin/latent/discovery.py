"""What a search for hidden populations found, as one object and as a folder of files.

The folder is the contract between the analysis and the report: everything the
page shows stands in it, and a user can open each file in TOPCAT or astropy.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ..io.atomic import atomic_file
from ..io.catalogue import read_table, write_table
from ..io.latents import Latents
from ..spectra.errors import StarkinError

__all__ = ["CATALOGUE_SUFFIXES", "Discovery", "PopulationSpectra"]

CATALOGUE_SUFFIXES = (".parquet", ".fits", ".vot")


@dataclass(frozen=True)
class PopulationSpectra:
    """Sampled spectra of the populations and of single stars, in normalised flux.

    Attributes
    ----------
    wavelength : ndarray, shape (n_wave,)
        Vacuum wavelength [nm].
    number : ndarray of int, shape (n_populations,)
        Population numbers, the rows of the arrays below.
    mean, median, low, high : ndarray, shape (n_populations, n_wave)
        Mean and median flux and the 16th and 84th percentiles over members,
        each star divided by its G flux.
    mean_error : ndarray, shape (n_populations, n_wave)
        Standard error of the mean.
    ratio, ratio_error : ndarray, shape (n_populations, n_wave)
        Mean over the mean of all other stars, and its standard error.
    flux : ndarray of float16, shape (n_stars_shown, n_wave)
        Spectra of single stars for the page, each scaled by its own mean.
    row : ndarray of int, shape (n_stars_shown,)
        Their rows in the catalogue.
    """

    wavelength: np.ndarray
    number: np.ndarray
    mean: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean_error: np.ndarray
    ratio: np.ndarray
    ratio_error: np.ndarray
    flux: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class Discovery:
    """Catalogue, populations, their spectra and the tests they passed.

    Attributes
    ----------
    catalogue : Latents
        One row a star; ``columns`` holds ``population`` (-1 for none),
        ``membership``, ``outlier_score``, ``log_likelihood`` and every label.
    populations : astropy.table.Table
        One row a population: ``population``, ``n_stars``, ``fraction``,
        ``persistence``, ``jaccard`` (mean over resamples), ``jaccard_low``;
        for each of ``spectroscopic``, ``photometric``, ``sky``: ``*_statistic``,
        ``*_p`` (permutation p-value), ``*_p_adjusted`` (multiple tests); the
        majority vote ``simbad_type``, ``simbad_votes``, ``simbad_matched``,
        ``simbad_entropy`` [bit], ``simbad_p``; medians of label columns as
        ``median_<label>``. Columns that could not be computed are absent.
    spectra : PopulationSpectra
    statistics : dict
        ``clustering`` (algorithm, settings, criterion, the sweep as a list of
        rows, noise_fraction), ``stability`` (resampling ARI values, ARI across
        model seeds), ``null`` (what the null test gave), ``votes`` (counts of
        object types by population), ``model`` (metrics, history).
    run : dict
        What was run: versions, seeds, full configuration, inputs with their
        fingerprints, wall times of the steps.
    """

    catalogue: Latents
    populations: Table
    spectra: PopulationSpectra
    statistics: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    def write(self, directory: str | os.PathLike[str]) -> None:
        """Write every part into ``directory``, each file whole or not at all."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for suffix in CATALOGUE_SUFFIXES:
            self.catalogue.write(directory / f"catalogue{suffix}")
        write_table(self.populations, directory / "populations.ecsv")
        with atomic_file(directory / "spectra.npz") as path:
            np.savez_compressed(path, **vars(self.spectra))
        for name, content in (("statistics", self.statistics), ("run", self.run)):
            with atomic_file(directory / f"{name}.json") as path:
                path.write_text(json.dumps(content, indent=1, allow_nan=True) + "\n")

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> Discovery:
        """Read what :meth:`write` wrote.

        Raises
        ------
        StarkinError
            If a file is missing or damaged.
        """
        directory = Path(directory)
        try:
            with np.load(directory / "spectra.npz") as arrays:
                spectra = PopulationSpectra(**arrays)
            return cls(
                catalogue=Latents.read(directory / "catalogue.parquet"),
                populations=read_table(directory / "populations.ecsv"),
                spectra=spectra,
                statistics=json.loads((directory / "statistics.json").read_text()),
                run=json.loads((directory / "run.json").read_text()),
            )
        except (OSError, TypeError, ValueError) as error:
            if isinstance(error, StarkinError):
                raise
            raise StarkinError(
                f"{directory} is not a complete discovery run ({error}); run it again."
            ) from error
