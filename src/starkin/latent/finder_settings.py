"""Settings of the search for populations, and the criterion that they make up."""

from __future__ import annotations

from dataclasses import dataclass

from ..spectra.errors import StarkinError
from .stability import BOOTSTRAP_FRACTION

__all__ = ["FinderSettings"]


@dataclass(frozen=True)
class FinderSettings:
    """What to try, and what to ask of a clustering.

    Attributes
    ----------
    min_cluster_fractions : tuple of float
        ``min_cluster_size`` to try, as parts of the sample.
    smallest_cluster : int
        ... but never fewer stars than this.
    min_samples : tuple of int
        Neighbours that define the density to try.
    methods : tuple of {"leaf", "eom"}
        Peaks of the density, or HDBSCAN's excess of mass
        (:meth:`starkin.latent.density.Hierarchy.extract`). Excess of mass takes a
        broad population and a small one on its flank for one.
    prominences : tuple of float
        Least height of a peak above the pass to a higher one to try, in units of
        the noise of the density estimate, 1 / (n_latent sqrt(min_samples)) in the log
        of distance. For ``leaf``.
    epsilons : tuple of float
        Distances, in scaled latents, below which clusters are not split.
    scaling : {"total", "spread", "noise", "none"}
        See :meth:`starkin.latent.populations.LatentScale.fit`.
    reach : float
        How empty a place may be to belong to the outskirts of a population: core
        distance over the population's median
        (:func:`starkin.latent.density.attach_uphill`); 0 keeps HDBSCAN's labels alone.
    max_fit : int
        Of more stars, a random part of this size is clustered and the rest assigned.
    n_resamples : int
        Random subsets on which each setting is judged.
    resample_fraction : float
        Their size.
    required_ari : float
        Least mean ARI under resampling of a clustering that may be chosen.
    required_jaccard : float
        Least mean Jaccard similarity of a population that counts as stable.
    workers : int
        Threads of the neighbour search.
    seed : int
    """

    min_cluster_fractions: tuple[float, ...] = (0.001, 0.0025)
    smallest_cluster: int = 15
    min_samples: tuple[int, ...] = (5, 10, 20)
    methods: tuple[str, ...] = ("leaf",)
    prominences: tuple[float, ...] = (1.5, 3.0, 5.0)
    epsilons: tuple[float, ...] = (0.0,)
    scaling: str = "total"
    reach: float = 3.0
    max_fit: int = 100_000
    n_resamples: int = 5
    resample_fraction: float = BOOTSTRAP_FRACTION
    required_ari: float = 0.8
    required_jaccard: float = 0.75
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        def require(name: str, good: bool, range_: str) -> None:
            if not good:
                raise StarkinError(
                    f"FinderSettings.{name} is {getattr(self, name)!r}; it must be {range_}."
                )

        for name in (
            "min_cluster_fractions",
            "min_samples",
            "methods",
            "prominences",
            "epsilons",
        ):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value))
            require(name, len(tuple(value)) > 0, "a list of at least one value")
        fractions = self.min_cluster_fractions
        require("min_cluster_fractions", all(0 < f < 0.5 for f in fractions), "within (0, 0.5)")
        require("smallest_cluster", self.smallest_cluster >= 3, "at least 3")
        require("min_samples", all(k >= 1 for k in self.min_samples), "at least 1")
        require("methods", set(self.methods) <= {"eom", "leaf"}, "'leaf' or 'eom'")
        require("prominences", all(p >= 0 for p in self.prominences), "0 or more")
        require("epsilons", all(e >= 0 for e in self.epsilons), "0 or more")
        require(
            "scaling",
            self.scaling in ("total", "spread", "noise", "none"),
            "'total', 'spread', 'noise' or 'none'",
        )
        require("reach", self.reach >= 0, "0 or more")
        require("max_fit", self.max_fit >= 100, "at least 100")
        require("n_resamples", self.n_resamples >= 1, "at least 1")
        require("resample_fraction", 0 < self.resample_fraction <= 1, "within (0, 1]")
        require("required_ari", 0 <= self.required_ari <= 1, "within [0, 1]")
        require("required_jaccard", 0 <= self.required_jaccard <= 1, "within [0, 1]")

    @property
    def criterion(self) -> str:
        return (
            f"of the clusterings whose mean ARI over {self.n_resamples} random subsets is at "
            f"least {self.required_ari:g}, the one with the most populations of mean Jaccard "
            f"similarity at least {self.required_jaccard:g}; then the fewest others, the highest "
            "relative validity (DBCV); one population where no clustering is that stable"
        )
