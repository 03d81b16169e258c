"""From a model and a latent catalogue to twins, with their spectra where there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy.table import Table

from ..io.latents import Latents
from ..latent.twins import TwinFinder, Twins
from ..latent.within import within_from_neighbours
from ..models.base import SpectrumModel
from ..spectra import SpectrumSet, StarkinError
from .provenance import versions
from .twin_differences import ElementResponse, TwinDifferences, twin_differences

__all__ = ["TwinSearch", "find_twins"]


@dataclass(frozen=True, eq=False)
class TwinSearch:
    """Twins of some stars of a catalogue.

    Attributes
    ----------
    model : SpectrumModel
    catalogue : Latents
        Who was searched.
    twins : Twins
    finder : TwinFinder
    spectra : SpectrumSet or None
        Of the catalogue's stars.
    """

    model: SpectrumModel
    catalogue: Latents
    twins: Twins
    finder: TwinFinder
    spectra: SpectrumSet | None = None

    @cached_property
    def differences(self) -> tuple[TwinDifferences, ...]:
        """Of each star asked for from its twins; empty without spectra."""
        if self.spectra is None:
            return ()
        known = ElementResponse.fit(self.catalogue)
        response = known or ElementResponse.fit(self.catalogue, true=True)
        return tuple(
            twin_differences(self.model, self.spectra, self.catalogue, int(row), twin, response)
            for row, twin in zip(self.twins.row, self.twins.twin_row, strict=True)
        )

    def with_their_twins(self, most: int = 40) -> TwinSearch:
        """The search for the stars asked for and for their best twins, ``most`` stars in all.

        So that who looks at a star can go on to its twin and see that one's twins.
        """
        best = self.twins.twin_row.T.ravel()
        rows = list(dict.fromkeys([*self.twins.row.tolist(), *best[best >= 0].tolist()]))
        k = self.twins.twin_row.shape[1]
        chosen = np.array(rows[: max(most, len(self.twins))])
        return replace(self, twins=self.finder.query(k, rows=chosen))

    def to_table(self) -> Table:
        """A row for each star and twin, with provenance."""
        table = self.twins.to_table()
        table.meta = {
            "starkin": versions()["starkin"],
            "model_id": self.catalogue.model_id,
            "model_kind": self.model.kind,
            "n_stars_searched": self.finder.n_usable,
            "expected_twins": self.finder.expected_twins,
        }
        return table


def find_twins(
    model: SpectrumModel,
    latents: Latents,
    stars: Sequence[int] | None = None,
    *,
    k: int = 20,
    spectra: SpectrumSet | None = None,
    expected_twins: float = 1.0,
    learn: bool = False,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> TwinSearch:
    """Twins of stars among all stars of a catalogue.

    Parameters
    ----------
    model : SpectrumModel
        The one that encoded the catalogue.
    latents : Latents
        The catalogue.
    stars : sequence of int, optional
        ``source_id`` of the stars asked for; all without it.
    k : int
        Twins a star.
    spectra : SpectrumSet, optional
        Of the catalogue's stars: each star asked for is compared with its twins.
    expected_twins : float
        Twins that a star is expected to have in the catalogue.
    learn : bool
        Let stars that are each other's best twin teach the metric first
        (:func:`starkin.latent.within.within_from_neighbours`): for a catalogue that holds many
        twins, or a model that says nothing of them.
    workers : int
        Threads of the search.
    progress : callable, optional
        Told of each chunk of stars.

    Raises
    ------
    StarkinError
        If the catalogue is another model's, or a star is not in it or was not encoded.
    """
    if latents.model_id and latents.model_id != model.model_id:
        raise StarkinError(
            f"The catalogue was encoded by model {latents.model_id}, this one is "
            f"{model.model_id}; encode the spectra with it first."
        )
    prior = model.twin_prior()
    if learn:
        prior = within_from_neighbours(latents, prior, workers=workers)
    finder = TwinFinder.fit(latents, prior, expected_twins=expected_twins, workers=workers)
    rows = None if stars is None else finder.rows_of(stars)
    twins = finder.query(k, rows=rows, progress=progress)
    return TwinSearch(model, latents, twins, finder, spectra)
