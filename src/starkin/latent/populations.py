"""`Populations`: which star belongs where, how surely, and where a new star would go."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from ..io.atomic import atomic_directory
from ..io.latents import Latents
from ..spectra.errors import StarkinError
from .neighbours import NeighbourGraph

__all__ = ["Assignment", "LatentScale", "Populations", "Reference"]

_FORMAT = "starkin populations 1"


@dataclass(frozen=True, eq=False)
class LatentScale:
    """The metric: latents are centred and divided, dimension by dimension.

    Attributes
    ----------
    centre, scale : ndarray, shape (n_latent,)
    """

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, latents: Latents, kind: str) -> LatentScale:
        """Learn the scale from a sample.

        Parameters
        ----------
        latents : Latents
            The sample; stars without finite latents are left out.
        kind : {"total", "spread", "noise", "none"}
            ``total``: s_j^2 = Var(mean_j) + <sigma_j^2>, the variance of the
            aggregate posterior by the law of total variance. A dimension that
            the model does not use (posterior = prior) has no spread in its
            means and so no say in the distance. ``spread``: s_j^2 =
            Var(mean_j); right where there is no posterior variance (PCA, UMAP),
            but it blows up the noise of a dead dimension. ``noise``: s_j^2 =
            median sigma_j^2, distances in units of the measurement error.
            ``none``: latents as they are.
        """
        mean = latents.mean[latents.usable].astype(np.float64)
        variance = latents.variance[latents.usable].astype(np.float64)
        if kind == "none":
            return cls(np.zeros(mean.shape[1]), np.ones(mean.shape[1]))
        squared = {
            "total": lambda: mean.var(axis=0) + variance.mean(axis=0),
            "spread": lambda: mean.var(axis=0),
            "noise": lambda: np.median(variance, axis=0),
        }[kind]()
        if not (squared > 0).all():
            flat = ", ".join(f"z{j + 1}" for j in np.flatnonzero(~(squared > 0)))
            if kind == "noise":
                raise StarkinError(
                    f"Scaling 'noise' needs posterior variances; {flat} has none: use 'total'."
                )
            squared = np.where(squared > 0, squared, 1.0)  # A constant adds no distance.
        return cls(mean.mean(axis=0), np.sqrt(squared))

    def apply(self, mean: np.ndarray) -> np.ndarray:
        """Scaled latents, shape (n, n_latent), float64."""
        return (np.asarray(mean, dtype=np.float64) - self.centre) / self.scale


@dataclass(frozen=True, eq=False)
class Assignment:
    """Populations of stars.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
        Population number, -1 for none.
    membership : ndarray of float32, shape (n,)
        Probability of the population named; 0 where none is.
    soft : ndarray of float32, shape (n, n_populations)
        Probability of each population; a row falls short of 1 by the
        probability of belonging to none.
    """

    labels: np.ndarray
    membership: np.ndarray
    soft: np.ndarray


@dataclass(frozen=True, eq=False)
class Reference:
    """The clustered stars, by which new ones are judged.

    Attributes
    ----------
    points : ndarray, shape (m, n_latent)
        Scaled latents.
    labels : ndarray of int64, shape (m,)
    core : ndarray, shape (m,)
        Core distances.
    limit : ndarray, shape (n_populations,)
        Largest core distance of a member.
    min_samples : int
    scale : LatentScale
    """

    points: np.ndarray
    labels: np.ndarray
    core: np.ndarray
    limit: np.ndarray
    min_samples: int
    scale: LatentScale

    @property
    def n_neighbours(self) -> int:
        """Neighbours that vote on the soft membership."""
        return min(max(2 * self.min_samples, 20), len(self.points) - 1)

    def soft(self, indices: np.ndarray) -> np.ndarray:
        """Share of each population among neighbours, shape (n, n_populations).

        The k-nearest-neighbour estimate of the posterior probability
        p(population | z), noise being one more class (Devroye, Györfi & Lugosi
        1996, chapter 5).

        Parameters
        ----------
        indices : ndarray of int, shape (n, k)
            Rows of the reference.
        """
        n, k = indices.shape
        n_columns = len(self.limit) + 1
        columns = np.where(self.labels < 0, n_columns - 1, self.labels)[indices]
        flat = (np.arange(n)[:, None] * n_columns + columns).ravel()
        votes = np.bincount(flat, minlength=n * n_columns).reshape(n, n_columns)
        return (votes[:, :-1] / k).astype(np.float32)

    def assign(self, latents: Latents, *, workers: int = 1) -> Assignment:
        """See :meth:`Populations.assign`."""
        if latents.n_latent != self.points.shape[1]:
            raise StarkinError(
                f"These latents have {latents.n_latent} dimensions; the populations were "
                f"found in {self.points.shape[1]}: encode with the same model."
            )
        n, n_populations = len(latents), len(self.limit)
        labels = np.full(n, -1, dtype=np.int64)
        soft = np.zeros((n, n_populations), dtype=np.float32)
        usable = np.flatnonzero(latents.usable)
        if usable.size:
            points = self.scale.apply(latents.mean[usable])
            k = max(self.n_neighbours, self.min_samples)
            distance, index = cKDTree(self.points).query(points, k=k, workers=workers)
            own = distance[:, self.min_samples - 1]
            reach = np.maximum(np.maximum(distance, own[:, None]), self.core[index])
            # Nearest in mutual reachability; of equals the nearer one (columns ascend).
            chosen = index[np.arange(len(index)), reach.argmin(axis=1)]
            found = self.labels[chosen]
            limit = np.append(self.limit, -np.inf)[found]
            labels[usable] = np.where(own <= limit, found, -1)
            soft[usable] = self.soft(index[:, : self.n_neighbours])
        return Assignment(labels, named_membership(labels, soft), soft)


def named_membership(labels: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """The entry of ``soft`` that ``labels`` names, 0 for none; shape (n,)."""
    if soft.shape[1] == 0:
        return np.zeros(len(labels), dtype=np.float32)
    chosen = soft[np.arange(len(labels)), np.maximum(labels, 0)]
    return np.where(labels >= 0, chosen, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Populations:
    """What :class:`starkin.latent.clusters.PopulationFinder` found.

    Attributes
    ----------
    assignment : Assignment
        Of the stars it was given, row by row.
    core : ndarray of bool, shape (n,)
        HDBSCAN's own members; the others of a population were attached to it
        from its outskirts, or assigned after a fit on part of the sample.
    strength : ndarray of float32, shape (n,)
        HDBSCAN's membership strength of core members, else 0.
    persistence : ndarray, shape (n_populations,)
    settings : dict
        Of the finder.
    chosen : dict
        The settings of the clustering that the criterion picked.
    criterion : str
        The rule by which it was picked, in words.
    sweep : list of dict
        One row for each clustering tried.
    reference : Reference
    graph : NeighbourGraph, optional
        Kept for resampling; not saved.
    reference_rows : ndarray of int
        Rows of the given latents that were clustered.
    """

    assignment: Assignment
    core: np.ndarray
    strength: np.ndarray
    persistence: np.ndarray
    settings: dict[str, Any]
    chosen: dict[str, Any]
    criterion: str
    sweep: list[dict[str, Any]]
    reference: Reference
    reference_rows: np.ndarray
    graph: NeighbourGraph | None = field(default=None, repr=False)

    @property
    def labels(self) -> np.ndarray:
        return self.assignment.labels

    @property
    def membership(self) -> np.ndarray:
        return self.assignment.membership

    @property
    def soft(self) -> np.ndarray:
        return self.assignment.soft

    @property
    def n_populations(self) -> int:
        return len(self.persistence)

    @property
    def noise_fraction(self) -> float:
        """Part of the stars that are in no population."""
        return float((self.labels < 0).mean())

    @property
    def sizes(self) -> np.ndarray:
        """Stars in each population, shape (n_populations,)."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n_populations)

    def assign(self, latents: Latents, *, workers: int = 1) -> Assignment:
        """Assign new stars to these populations, which stay as they are.

        A star takes the label of its nearest clustered star in mutual
        reachability, unless its surroundings are emptier than those of any
        member of that population. Stars without finite latents get none.
        """
        return self.reference.assign(latents, workers=workers)

    def to_table(self) -> Table:
        """One row a population: number, stars, fraction, persistence."""
        sizes = self.sizes
        return Table(
            {
                "population": np.arange(self.n_populations),
                "n_stars": sizes,
                "fraction": sizes / max(len(self.labels), 1),
                "persistence": self.persistence,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The ``clustering`` part of :attr:`Discovery.statistics`."""
        return {
            "algorithm": "HDBSCAN on all latent dimensions",
            "settings": self.chosen,
            "finder": self.settings,
            "criterion": self.criterion,
            "sweep": self.sweep,
            "noise_fraction": self.noise_fraction,
            "core_fraction": float(self.core.mean()),
            "n_populations": self.n_populations,
            "n_clustered": len(self.reference.labels),
        }

    # --- on disk ------------------------------------------------------------
    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write ``populations.npz`` and ``populations.json`` into a new directory."""
        reference = self.reference
        arrays = {
            "labels": self.labels,
            "soft": self.soft,
            "core": self.core,
            "strength": self.strength,
            "persistence": self.persistence,
            "reference_rows": self.reference_rows,
            **{f"reference_{k}": getattr(reference, k) for k in _REFERENCE_ARRAYS},
            **{f"scale_{k}": v for k, v in asdict(reference.scale).items()},
        }
        record = {
            "format": _FORMAT,
            "settings": self.settings,
            "chosen": self.chosen,
            "criterion": self.criterion,
            "sweep": self.sweep,
            "min_samples": reference.min_samples,
        }
        with atomic_directory(directory) as path:
            np.savez_compressed(path / "populations.npz", **arrays)
            (path / "populations.json").write_text(json.dumps(record, indent=1) + "\n")

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Populations:
        """Read what :meth:`save` wrote.

        Raises
        ------
        StarkinError
            If a file is missing, damaged or of another format.
        """
        directory = Path(directory)
        try:
            record = json.loads((directory / "populations.json").read_text())
            if record["format"] != _FORMAT:
                raise StarkinError(
                    f"{directory} holds {record['format']!r}, this version reads {_FORMAT!r}."
                )
            with np.load(directory / "populations.npz", allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            labels, soft = arrays["labels"], arrays["soft"]
            return cls(
                assignment=Assignment(labels, named_membership(labels, soft), soft),
                reference=Reference(
                    **{k: arrays[f"reference_{k}"] for k in _REFERENCE_ARRAYS},
                    min_samples=int(record["min_samples"]),
                    scale=LatentScale(arrays["scale_centre"], arrays["scale_scale"]),
                ),
                **{k: arrays[k] for k in ("core", "strength", "persistence", "reference_rows")},
                **{k: record[k] for k in ("settings", "chosen", "criterion", "sweep")},
            )
        except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, StarkinError):
                raise
            raise StarkinError(
                f"{directory} is not a complete set of populations ({error}); cluster again."
            ) from error

    def relabelled(self, keep: np.ndarray) -> Populations:
        """Only the populations for which ``keep`` is true, renumbered; the others' stars get -1.

        Parameters
        ----------
        keep : ndarray of bool, shape (n_populations,)
            True for the populations that stay.
        """
        keep = np.asarray(keep, dtype=bool)
        new = np.append(np.where(keep, np.cumsum(keep) - 1, -1), -1)
        labels, soft = new[self.labels], self.soft[:, keep]
        reference = replace(
            self.reference,
            labels=new[self.reference.labels],
            limit=self.reference.limit[keep],
        )
        return replace(
            self,
            assignment=Assignment(labels, named_membership(labels, soft), soft),
            core=self.core & (labels >= 0),
            strength=np.where(labels >= 0, self.strength, 0),
            persistence=self.persistence[keep],
            reference=reference,
        )


_REFERENCE_ARRAYS = ("points", "labels", "core", "limit")
