"""The twins of stars: whom a star shares its composition with, ranked, each with a probability."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ..io.latents import Latents, TwinPrior
from ..spectra import columns
from ..spectra.errors import StarkinError
from .candidates import CandidateIndex
from .twin_metric import TwinMetric, TwinStars, twin_probability
from .twin_ranks import without_self

__all__ = ["TwinFinder", "Twins"]

#: Candidates for each twin that is asked for, and at least: their exact ratios decide.
_PER_TWIN, _LEAST = 5, 100
#: Queries at a time; bounds the memory.
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Twins:
    """Ranked twins of some stars.

    Attributes
    ----------
    source_id : ndarray of int64, shape (n_stars,)
    row : ndarray of int64, shape (n_stars,)
        Of each star in the catalogue that was searched.
    twin_row : ndarray of int64, shape (n_stars, k)
        Best first; -1 where there is none.
    twin_id : ndarray of int64, shape (n_stars, k)
        Their ids; -1 where there is none.
    log_ratio : ndarray, shape (n_stars, k)
        Log likelihood ratio "same composition" against "different" [nat].
    probability : ndarray, shape (n_stars, k)
        That the two share their composition.
    distance : ndarray, shape (n_stars, k)
        Of the latents, in standard deviations of leakage and noise
        (:meth:`starkin.latent.twin_metric.TwinMetric.distances`).
    """

    source_id: np.ndarray
    row: np.ndarray
    twin_row: np.ndarray
    twin_id: np.ndarray
    log_ratio: np.ndarray
    probability: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.source_id)

    def to_table(self) -> Table:
        """A row for each star and twin, in order; stars without any twin have none."""
        star, place = np.nonzero(self.twin_row >= 0)
        table = Table(
            {
                columns.SOURCE_ID: self.source_id[star],
                columns.TWIN_RANK: place + 1,
                columns.TWIN_ID: self.twin_id[star, place],
                columns.TWIN_DISTANCE: self.distance[star, place],
                columns.TWIN_LOG_RATIO: self.log_ratio[star, place],
                columns.TWIN_PROBABILITY: self.probability[star, place],
            }
        )
        for name in table.colnames:
            table[name].description = columns.info(name).description
        return table


@dataclass(frozen=True, eq=False)
class TwinFinder:
    """A catalogue ready to be asked for twins.

    Attributes
    ----------
    latents : Latents
    metric : TwinMetric
    stars : TwinStars
    index : CandidateIndex
    expected_twins : float
        Twins that a star is expected to have in the catalogue: the prior of the probability.
    """

    latents: Latents
    metric: TwinMetric
    stars: TwinStars
    index: CandidateIndex
    expected_twins: float = 1.0

    @classmethod
    def fit(
        cls,
        latents: Latents,
        prior: TwinPrior | None,
        *,
        expected_twins: float = 1.0,
        exact: bool | None = None,
        workers: int = 1,
    ) -> TwinFinder:
        """Prepare a catalogue.

        Parameters
        ----------
        latents : Latents
            Who may be a twin. Stars that were not encoded never are.
        prior : TwinPrior
            Of the model that made them (:meth:`starkin.models.SpectrumModel.twin_prior`), or
            one from :mod:`starkin.latent.within`.
        expected_twins : float
            Twins that a star is expected to have in the catalogue.
        exact : bool, optional
            Compare with all stars, or search an index; see
            :meth:`starkin.latent.candidates.CandidateIndex.build`.
        workers : int
            Threads of the search.

        Raises
        ------
        StarkinError
            If the model has no prior, or fewer than two stars are usable.
        """
        if prior is None:
            raise StarkinError(
                "This model does not say what twins look like in its latents; give known pairs "
                "(within_from_pairs) or let the catalogue's neighbours tell "
                "(within_from_neighbours)."
            )
        metric = TwinMetric.fit(latents, prior)
        stars = metric.stars(latents)
        if stars.usable.sum() < 2:
            raise StarkinError("Twins need a catalogue with at least two encoded stars.")
        points = metric.points(stars)
        points[~stars.usable] = np.nan
        index = CandidateIndex.build(points, exact=exact, workers=workers)
        return cls(latents, metric, stars, index, expected_twins)

    @property
    def n_usable(self) -> int:
        """Stars that may have twins."""
        return int(self.stars.usable.sum())

    def rows_of(self, source_ids: Iterable[int]) -> np.ndarray:
        """Rows of stars in the catalogue.

        Raises
        ------
        StarkinError
            If a star is not in it, or was not encoded.
        """
        wanted = np.asarray(list(source_ids), dtype=np.int64)
        order = np.argsort(self.latents.source_id, kind="stable")
        ids = self.latents.source_id[order]
        place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        missing = wanted[ids[place] != wanted]
        if missing.size:
            raise StarkinError(f"There is no star with source_id {missing[0]} in the catalogue.")
        rows = order[place]
        lost = wanted[~self.stars.usable[rows]]
        if lost.size:
            raise StarkinError(
                f"The star with source_id {lost[0]} was not encoded (see its flags); it has no "
                "latent to compare."
            )
        return rows

    def query(
        self,
        k: int = 10,
        *,
        rows: np.ndarray | None = None,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> Twins:
        """The ``k`` best twins of stars of the catalogue.

        Candidates come from the index; the exact ratio, with each star's own noise, ranks
        them.

        Parameters
        ----------
        k : int
            Twins a star.
        rows : ndarray of int, optional
            Stars to ask for; all without it. Those that were not encoded get none.
        progress : callable, optional
            Told of each chunk (stars done, in all, a line).
        """
        if k < 1:
            raise StarkinError(f"The number of twins must be at least 1, got {k}.")
        rows = np.arange(len(self.latents)) if rows is None else np.asarray(rows, dtype=np.int64)
        k = min(k, self.n_usable - 1)
        queries = self.metric.queries(self.stars)
        queries[~self.stars.usable] = np.nan
        n_candidates = min(max(_PER_TWIN * k, _LEAST), self.n_usable - 1)
        twin = np.full((len(rows), k), -1, dtype=np.int64)
        ratio, distance = np.full((len(rows), k), np.nan), np.full((len(rows), k), np.nan)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            here = rows[part]
            found = without_self(self.index.search(queries[here], n_candidates + 1), here)
            exact = self.metric.log_ratios(self.stars, here, found)
            order = np.argsort(-np.nan_to_num(exact, nan=-np.inf), axis=1, kind="stable")[:, :k]
            exact = np.take_along_axis(exact, order, axis=1)
            best = np.take_along_axis(found, order, axis=1)
            twin[part] = np.where(np.isnan(exact), -1, best)
            ratio[part] = exact
            distance[part] = self.metric.distances(self.stars, here, twin[part])
            if progress is not None:
                done = min(start + _CHUNK, len(rows))
                progress(done, len(rows), f"{done:,} stars")
        ids = np.where(twin >= 0, self.latents.source_id[twin], -1)
        probability = twin_probability(ratio, self.n_usable, self.expected_twins)
        return Twins(self.latents.source_id[rows], rows, twin, ids, ratio, probability, distance)
