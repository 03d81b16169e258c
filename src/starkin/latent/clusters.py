"""Find populations: HDBSCAN over a sweep of settings, the most telling stable one kept."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from ..io.latents import Latents
from ..spectra.errors import StarkinError
from .density import Hierarchy, Partition, attach_uphill, relative_validity
from .finder_settings import FinderSettings
from .metrics import adjusted_rand, jaccard_best
from .neighbours import NeighbourGraph, ReachabilityTree
from .populations import Assignment, LatentScale, Populations, Reference, named_membership
from .stability import Progress, Stability, resampling_stability

__all__ = ["FinderSettings", "PopulationFinder"]


@dataclass(frozen=True)
class _Candidate:
    """One clustering of the sweep: its settings."""

    min_samples: int
    min_cluster_size: int
    method: str
    prominence: float
    epsilon: float

    def on(self, hierarchy: Hierarchy, fraction: float = 1.0) -> Partition:
        """The clusters of a sample ``fraction`` as large, its least size scaled with it."""
        size = max(3, round(self.min_cluster_size * fraction))
        return hierarchy.extract(
            size, self.method, prominence=self.prominence, epsilon=self.epsilon
        )


class PopulationFinder:
    """HDBSCAN on the full latent space, its settings chosen by how well they reproduce.

    Parameters
    ----------
    settings : FinderSettings, optional
    """

    def __init__(self, settings: FinderSettings | None = None) -> None:
        self.settings = settings or FinderSettings()

    def fit(self, latents: Latents, *, progress: Progress | None = None) -> Populations:
        """Cluster ``latents``.

        Parameters
        ----------
        latents : Latents
            Stars without finite latents end in no population.
        progress : callable, optional
            Told of each step (done, in all, a line).

        Raises
        ------
        StarkinError
            If fewer stars are usable than the smallest two clusters need.
        """
        s = self.settings
        usable = np.flatnonzero(latents.usable)
        if usable.size < 2 * s.smallest_cluster:
            raise StarkinError(
                f"Only {usable.size} stars have finite latents; clustering needs at least "
                f"{2 * s.smallest_cluster}."
            )
        rng = np.random.default_rng(s.seed)
        rows = usable
        if usable.size > s.max_fit:
            rows = np.sort(rng.choice(usable, size=s.max_fit, replace=False))
        scale = LatentScale.fit(latents, s.scaling)
        # Long enough that a resample still knows its own nearest min_samples.
        k = math.ceil(1.3 * max(s.min_samples) / s.resample_fraction) + 8
        graph = NeighbourGraph.build(scale.apply(latents.mean[rows]), k, workers=s.workers)
        candidates = self._candidates(len(rows), latents.n_latent)
        table, labelings = self._sweep(graph, candidates, progress)
        best = self._choose(table)
        if best is None:
            candidate, partition, labels = candidates[0], None, np.zeros(len(rows), dtype=np.int64)
        else:
            candidate = candidates[best]
            partition, labels = labelings[best][0].largest_first(labelings[best][1])
            table[best]["chosen"] = True
        core_distance = graph.distances[:, min(candidate.min_samples, graph.k) - 1]
        n_populations = int(labels.max()) + 1
        reference = Reference(
            points=graph.points,
            labels=labels,
            core=core_distance,
            limit=_largest_by_label(core_distance, labels, n_populations),
            min_samples=candidate.min_samples,
            scale=scale,
        )
        return self._result(latents, rows, graph, reference, partition, candidate, table)

    def stability(
        self,
        populations: Populations,
        *,
        n_resamples: int = 20,
        fraction: float | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> Stability:
        """Resampling stability of populations under their own settings.

        Parameters
        ----------
        populations : Populations
            From :meth:`fit`.
        n_resamples : int
            Random subsets to cluster anew.
        fraction : float, optional
            Share of the stars in each subset; the finder's by default.
        seed : int, optional
            Of the subsets; not those of the sweep by default.
        progress : callable, optional
            Told of each resample.
        """
        fraction = self.settings.resample_fraction if fraction is None else fraction
        graph = populations.graph
        chosen = dict(populations.chosen)
        single = chosen.pop("single", False)
        candidate = _Candidate(**chosen)
        if graph is None:
            k = math.ceil(1.3 * candidate.min_samples / fraction) + 8
            graph = NeighbourGraph.build(
                populations.reference.points, k, workers=self.settings.workers
            )

        def cluster(rows: np.ndarray) -> np.ndarray:
            if single:  # The choice itself is what is repeated: nothing was stable enough.
                return np.zeros(len(rows), dtype=np.int64)
            return self._labels(graph.tree(candidate.min_samples, rows), candidate, fraction)

        return resampling_stability(
            populations.reference.labels,
            cluster,
            n_resamples=n_resamples,
            fraction=fraction,
            seed=self.settings.seed + 1 if seed is None else seed,
            progress=progress,
        )

    # --- the sweep ----------------------------------------------------------
    def _candidates(self, n: int, n_latent: int) -> list[_Candidate]:
        s = self.settings
        sizes = sorted({max(s.smallest_cluster, round(f * n)) for f in s.min_cluster_fractions})
        min_samples = sorted({min(k, n - 1) for k in s.min_samples})
        found = []
        for k, size, method, epsilon in product(min_samples, sizes, s.methods, s.epsilons):
            # The scatter of a k-neighbour density in the log of distance.
            noise = 1 / (n_latent * math.sqrt(k))
            prominences = [p * noise for p in s.prominences] if method == "leaf" else [0.0]
            found += [_Candidate(k, size, method, p, epsilon) for p in prominences]
        return found

    def _labels(
        self, tree: ReachabilityTree, candidate: _Candidate, fraction: float = 1.0
    ) -> np.ndarray:
        partition = candidate.on(Hierarchy(tree), fraction)
        return attach_uphill(tree, partition.labels, self.settings.reach)

    def _sweep(
        self, graph: NeighbourGraph, candidates: list[_Candidate], progress: Progress | None
    ) -> tuple[list[dict[str, Any]], list[tuple[Partition, np.ndarray]]]:
        """Cluster the sample and its resamples under every setting.

        Settings that share ``min_samples`` share one tree a sample, so a tree
        is grown, used for all of them, and forgotten.
        """
        s = self.settings
        rng = np.random.default_rng(s.seed)
        n = len(graph)
        size = max(2 * s.smallest_cluster, round(s.resample_fraction * n))
        subsets = [
            np.sort(rng.choice(n, size=min(size, n), replace=False)) for _ in range(s.n_resamples)
        ]
        groups = sorted({c.min_samples for c in candidates})
        steps, done = len(groups) * (1 + s.n_resamples), 0
        table: list[dict[str, Any]] = [{} for _ in candidates]
        labelings: list[tuple[Partition, np.ndarray]] = [None] * len(candidates)  # type: ignore[list-item]
        for k in groups:
            members = [i for i, c in enumerate(candidates) if c.min_samples == k]
            tree = graph.tree(k)
            hierarchy = Hierarchy(tree)
            for i in members:
                partition = candidates[i].on(hierarchy)
                labels = attach_uphill(tree, partition.labels, s.reach)
                labelings[i] = (partition, labels)
                table[i] = {
                    **asdict(candidates[i]),
                    "n_populations": partition.n_clusters,
                    "noise_fraction": float((labels < 0).mean()),
                    "core_fraction": float((partition.labels >= 0).mean()),
                    "validity": relative_validity(tree, partition.labels),
                }
            done = _tell(progress, done, steps, f"{k} neighbours: clustered")
            scores: dict[int, list[tuple[float, float, np.ndarray]]] = {i: [] for i in members}
            for rows in subsets:
                sub_tree = graph.tree(k, rows)
                sub_hierarchy = Hierarchy(sub_tree)
                for i in members:
                    part = candidates[i].on(sub_hierarchy, len(rows) / n)
                    found = attach_uphill(sub_tree, part.labels, s.reach)
                    whole = labelings[i][1][rows]
                    scores[i].append(
                        (
                            np.nan_to_num(adjusted_rand(whole, found, ignore_noise=True)),
                            adjusted_rand(whole, found),
                            _padded(jaccard_best(whole, found), table[i]["n_populations"]),
                        )
                    )
                done = _tell(progress, done, steps, f"{k} neighbours: resampled")
            for i in members:
                ari, ari_all, jaccard = zip(*scores[i], strict=True)
                mean_jaccard = np.mean(jaccard, axis=0)
                n_stable = int((mean_jaccard >= s.required_jaccard).sum())
                table[i] |= {
                    "ari": float(np.mean(ari)),
                    "ari_all": float(np.mean(ari_all)),
                    "n_stable": n_stable,
                    "n_unstable": int(len(mean_jaccard) - n_stable),
                    "chosen": False,
                }
        return table, labelings

    def _choose(self, table: list[dict[str, Any]]) -> int | None:
        """The row that :attr:`FinderSettings.criterion` picks; None for one population."""
        good = [i for i, row in enumerate(table) if row["ari_all"] >= self.settings.required_ari]
        if not good:
            return None
        return max(
            good,
            key=lambda i: (table[i]["n_stable"], -table[i]["n_unstable"], table[i]["validity"]),
        )

    # --- the result ---------------------------------------------------------
    def _result(
        self,
        latents: Latents,
        rows: np.ndarray,
        graph: NeighbourGraph,
        reference: Reference,
        partition: Partition | None,
        candidate: _Candidate,
        table: list[dict[str, Any]],
    ) -> Populations:
        n = len(latents)
        n_populations = len(reference.limit)
        labels = np.full(n, -1, dtype=np.int64)
        soft = np.zeros((n, n_populations), dtype=np.float32)
        core = np.zeros(n, dtype=bool)
        strength = np.zeros(n, dtype=np.float32)
        labels[rows] = reference.labels
        k = min(reference.n_neighbours - 1, graph.k)
        own = np.arange(len(rows), dtype=np.int32)[:, None]
        soft[rows] = reference.soft(np.concatenate([own, graph.indices[:, :k]], axis=1))
        if partition is None:
            core[rows], strength[rows] = True, 1.0
        else:
            core[rows], strength[rows] = partition.labels >= 0, partition.strength
        others = np.setdiff1d(np.flatnonzero(latents.usable), rows)
        if others.size:
            rest = reference.assign(latents[others], workers=self.settings.workers)
            labels[others], soft[others] = rest.labels, rest.soft
        return Populations(
            assignment=Assignment(labels, named_membership(labels, soft), soft),
            core=core,
            strength=strength,
            persistence=np.ones(1) if partition is None else partition.persistence,
            settings={
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self.settings).items()
            },
            chosen={**asdict(candidate), "single": partition is None},
            criterion=self.settings.criterion,
            sweep=table,
            reference=reference,
            reference_rows=rows,
            graph=graph,
        )


def _tell(progress: Progress | None, done: int, steps: int, line: str) -> int:
    if progress:
        progress(done + 1, steps, line)
    return done + 1


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.pad(np.nan_to_num(values), (0, length - len(values)))


def _largest_by_label(values: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    largest = np.zeros(n)
    member = labels >= 0
    np.maximum.at(largest, labels[member], values[member])
    return largest
