"""One trial of the twin evaluation: a model, a noise level, a seed, all figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..io.latents import Latents, TwinPrior
from ..latent.calibration import reliability
from ..latent.disentanglement import explained_variance
from ..latent.twin_metric import twin_probability
from ..latent.twin_ranks import TwinRanks, ranks_by_distance, ranks_by_metric
from ..latent.within import within_from_neighbours, within_from_pairs
from ..models.base import SpectrumModel
from ..spectra import SpectrumSet, columns
from .evaluation_settings import TwinEvaluation

__all__ = ["Pool", "SwapErrors", "disentanglement", "judge", "metric_figures", "swap_errors"]

#: Probabilities below it are left out of the calibration: of all pairs of stars nearly all are
#: rightly taken for no twins.
_LEAST_PROBABILITY = 0.01


@dataclass(frozen=True, eq=False)
class Pool:
    """What is known of the stars beside their spectra.

    Attributes
    ----------
    composition : ndarray of int64, shape (n_stars,)
    partner : ndarray of int64, shape (n_stars,)
        Row of the twin, -1 for none.
    conditions : dict of str to ndarray
        True temperature, gravity, … where known, or else the labels.
    abundances : dict of str to ndarray
        True abundances, [X/H] in dex.
    """

    composition: np.ndarray
    partner: np.ndarray
    conditions: dict[str, np.ndarray]
    abundances: dict[str, np.ndarray]


@dataclass(frozen=True)
class SwapErrors:
    """Mean squared error of the flux, with a star's own latent and with its twin's.

    Attributes
    ----------
    own : float
        Of D(z_i, u_i) against x_i.
    swapped : float
        Of D(z_twin, u_i) against x_i.
    """

    own: float
    swapped: float

    @property
    def ratio(self) -> float:
        """Swapped over own: 1 when the latent is the composition and nothing else."""
        return self.swapped / self.own if self.own > 0 else float("nan")


def swap_errors(
    model: SpectrumModel,
    spectra: SpectrumSet,
    latents: np.ndarray,
    partner: np.ndarray,
    *,
    rows: np.ndarray,
    batch: int = 1000,
) -> SwapErrors:
    """Reconstruction errors with latents as they are and swapped within pairs.

    Parameters
    ----------
    model : SpectrumModel
        Decodes.
    spectra : SpectrumSet
        What should come out: noiseless where a noiseless spectrum is known. Masked pixels
        do not count.
    latents : ndarray, shape (n_stars, n_latent)
        Of all stars.
    partner : ndarray of int, shape (n_stars,)
        Row of each star's twin.
    rows : ndarray of int
        Stars to judge: those with finite latents, their twins' too, are taken.
    batch : int
        Stars decoded at a time.
    """
    finite = np.isfinite(latents).all(axis=1)
    rows = np.asarray(rows)[(partner[rows] >= 0)]
    rows = rows[finite[rows] & finite[partner[rows]]]
    total, count = np.zeros(2), 0
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        target = spectra[part]
        told = model.conditions
        u = np.column_stack([target.label(c) for c in told]) if told else None
        known = ~target.mask
        count += int(known.sum())
        for k, z in enumerate((latents[part], latents[partner[part]])):
            residual = np.where(known, model.decode(z, u).values - target.values, 0.0)
            total[k] += float(np.sum(residual**2))
    own, swapped = total / count if count else np.full(2, np.nan)
    return SwapErrors(float(own), float(swapped))


def judge(
    model: SpectrumModel,
    spectra: SpectrumSet,
    pool: Pool,
    latents: Latents,
    settings: TwinEvaluation,
    *,
    tell: Callable[[str], None] = lambda note: None,
) -> list[dict[str, Any]]:
    """All figures of one model at one noise level: a row for each track.

    Parameters
    ----------
    model : SpectrumModel
        The trained model.
    spectra : SpectrumSet
        The pool before noise was added: what a reconstruction should give.
    pool : Pool
        Truth.
    latents : Latents
        Of the pool, encoded from noisy spectra.
    settings : TwinEvaluation
        What to compute.
    tell : callable, optional
        Told what is being computed.
    """
    tell("L1, L2")
    shared: dict[str, Any] = {"n_queries": int((pool.partner >= 0).sum())}
    shared["not_encoded"] = int((~latents.usable).sum())
    for measure in ("l1", "l2"):
        shared |= _named(measure, ranks_by_distance(latents.mean, pool.partner, measure))
    tell("swaps")
    rng = np.random.default_rng(settings.seed)
    paired = np.flatnonzero(pool.partner >= 0)
    chosen = np.sort(rng.permutation(paired)[: settings.n_swapped])
    errors = swap_errors(model, spectra, latents.mean, pool.partner, rows=chosen)
    shared |= {"mse": errors.own, "mse_swapped": errors.swapped, "swap_ratio": errors.ratio}
    tell("leakage")
    shared |= disentanglement(latents.mean, pool, settings)
    rows = []
    for track in settings.tracks:
        tell(track)
        prior, queries = _prior(model, latents, pool, track, settings)
        own = metric_figures(latents, queries, pool.partner, prior, settings)
        rows.append({"track": track, **own, **shared})
    return rows


def metric_figures(
    latents: Latents,
    queries: np.ndarray,
    partner: np.ndarray,
    prior: TwinPrior | None,
    settings: TwinEvaluation,
) -> dict[str, Any]:
    """Ranks by the likelihood ratio and the calibration of its probability.

    Parameters
    ----------
    latents : Latents
        The pool.
    queries : ndarray of int, shape (n_stars,)
        Row of the twin for the stars that are asked for, -1 for the others.
    partner : ndarray of int, shape (n_stars,)
        Row of the twin of every star: what makes a probability come true.
    prior : TwinPrior or None
        NaN figures without one.
    settings : TwinEvaluation
        Number of candidates and threads.
    """
    if prior is None:
        nothing = TwinRanks(np.zeros(0), 0)
        with np.errstate(invalid="ignore"):
            return dict.fromkeys([*_named("own", nothing, empty=True), "ece"], float("nan"))
    found = ranks_by_metric(
        latents, queries, prior, n_candidates=settings.n_candidates, workers=settings.workers
    )
    probability = twin_probability(found.log_ratio, int(latents.usable.sum()))
    truth = found.candidates == partner[found.queries][:, None]
    calibration = reliability(probability, truth, least=_LEAST_PROBABILITY)
    return _named("own", found.ranks) | {"ece": calibration.ece}


def _named(measure: str, ranks: TwinRanks, *, empty: bool = False) -> dict[str, Any]:
    if empty:
        ranks = TwinRanks(np.ones(1), 1)
    return {f"{measure}_{name}": value for name, value in ranks.to_dict().items()}


def _prior(
    model: SpectrumModel, latents: Latents, pool: Pool, track: str, settings: TwinEvaluation
) -> tuple[TwinPrior | None, np.ndarray]:
    """The metric that a track may use, and the twins that it may be asked for."""
    prior = model.twin_prior()
    if track == "inductive":
        return prior, pool.partner
    if track == "transductive":
        learnt = within_from_neighbours(
            latents, prior, max_asked=settings.n_asked, workers=settings.workers
        )
        return learnt, pool.partner
    # Stars of known pairs stay in the pool, but nobody is asked what was told.
    firsts = np.flatnonzero(pool.partner > np.arange(len(pool.partner)))
    rng = np.random.default_rng(settings.seed + 1)
    known = np.sort(rng.permutation(firsts)[: settings.n_known_pairs])
    pairs = np.column_stack([known, pool.partner[known]])
    queries = pool.partner.copy()
    queries[pairs.ravel()] = -1
    return within_from_pairs(latents, pairs, prior), queries


def disentanglement(z: np.ndarray, pool: Pool, settings: TwinEvaluation) -> dict[str, float]:
    """Leakage and information kept, each by the probe that reads most of it off."""
    leaked = explained_variance(
        z, pool.conditions, groups=pool.composition, max_stars=settings.n_probed, seed=settings.seed
    )
    kept = explained_variance(
        z,
        pool.abundances,
        groups=pool.composition,
        probes=("linear", "quadratic"),
        max_stars=settings.n_probed,
        seed=settings.seed,
    )
    out = {f"leakage_{name}": result.best for name, result in leaked.items()}
    if kept:
        out["kept_mean"] = float(np.mean([result.best for result in kept.values()]))
        out["kept_linear_mean"] = float(np.mean([result.linear for result in kept.values()]))
    return out | {f"kept_{name}": result.best for name, result in kept.items()}


def pool_of(spectra: SpectrumSet, conditions: tuple[str, ...], partner: np.ndarray) -> Pool:
    """Truth from label columns: ``true_teff`` before ``teff``, all ``true_<element>_h``."""
    composition = spectra.label(columns.COMPOSITION_ID).astype(np.int64)
    known = {}
    for name in conditions:
        true = columns.truth(name)
        if spectra.has_label(true) or spectra.has_label(name):
            known[name] = spectra.label(true if spectra.has_label(true) else name)
    abundances = {
        name.removeprefix("true_"): spectra.label(name)
        for name in spectra.labels.colnames
        if name.startswith("true_") and name.endswith("_h") and name != columns.truth(columns.M_H)
    }
    return Pool(composition, partner, known, abundances)
