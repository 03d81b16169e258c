"""From spectra to tested populations: the main job, step by step, resumable."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from astropy.table import Table

from ..io.atomic import atomic_file
from ..io.latents import Latents
from ..latent.clusters import PopulationFinder
from ..latent.discovery import Discovery
from ..latent.null import NullTest, null_test, same_settings
from ..latent.populations import Populations
from ..latent.stability import SeedStability, seed_stability
from ..models import ScatterVAE
from ..models.rivals import BoostedClassifier
from ..spectra import SpectrumSet, columns
from .characterise import characterise
from .derived import fill_in
from .inputs import load_spectra
from .provenance import versions
from .run import Run
from .selection import of_those, selected
from .settings import DiscoverConfig

__all__ = ["discover"]

#: Called with (step, done, in all, a short line).
StepProgress = Callable[[str, int, int, str], None]


def discover(
    items: Any,
    out: str | os.PathLike[str],
    config: DiscoverConfig | None = None,
    *,
    labels: str | Path | Table | None = None,
    crossmatch: str | Path | Table | None = None,
    simbad: bool = False,
    classifier: str | Path | None = None,
    overwrite: bool = False,
    progress: StepProgress | None = None,
) -> Discovery:
    """Learn a latent space from spectra, find populations in it, and test them.

    Parameters
    ----------
    items : path, table, store, SpectrumSet, or list of paths and tables
        Gaia XP spectra in any form that :func:`starkin.io.read` reads.
    out : path
        Folder of the run. The same call on the same folder resumes.
    config : DiscoverConfig, optional
        The defaults if not given.
    labels : path or Table, optional
        Columns to join by ``source_id``.
    crossmatch : path or Table, optional
        Object types of stars (``source_id``, ``main_type``), for the majority vote.
    simbad : bool
        Ask SIMBAD for the object types that ``crossmatch`` does not give.
    classifier : path, optional
        Folder of a :class:`~starkin.models.rivals.BoostedClassifier`: the catalogue and the page
        get its probability of every star.
    overwrite : bool
        Replace a run with other settings or input.
    progress : callable, optional
        Told of every step.

    Returns
    -------
    Discovery
        Also written into ``out``.

    Raises
    ------
    StarkinError
        If the input, the settings or the folder cannot be used.
    """
    config = config or DiscoverConfig()
    tell = progress or (lambda step, done, total, note: None)
    spectra = load_spectra(items, labels=labels)
    # Models see what was read: a magnitude synthesised for the diagrams is no measured one.
    filled = fill_in(spectra)
    keep = selected(filled, config.cut, config.select)
    spectra, filled = of_those(spectra, keep), of_those(filled, keep)
    inputs = [{"files": spectra.meta.get("files", []), "fingerprint": spectra.fingerprint}]
    if classifier is not None:
        trees = BoostedClassifier.load(classifier)
        filled = filled.with_labels(**{trees.column: trees.probability_column(spectra)})
        inputs[0]["classifier"] = trees.card
    run = Run(out, config.to_dict(), inputs, overwrite=overwrite)
    _write_rejected(run, spectra)
    models = [_model(run, spectra, config, k, tell) for k in range(config.n_model_seeds)]
    latents = _latents(run, models[0], spectra, filled.labels, tell)
    search = _search(run, models, latents, spectra, config, tell)
    with run.step("characterise"):
        parts = characterise(
            filled,
            latents,
            search.populations,
            crossmatch=crossmatch,
            simbad=simbad,
            simbad_cache=run.path("simbad.csv"),
            n_permutations=config.n_permutations,
            n_spectra_shown=config.n_spectra_shown,
            seed=config.seed,
            progress=partial(tell, "characterise"),
        )
    table = parts.table
    table["jaccard"] = search.stability.jaccard_mean
    table["jaccard_low"] = search.stability.jaccard_low()
    found = Discovery(
        catalogue=parts.catalogue,
        populations=table,
        spectra=parts.spectra,
        statistics={
            "clustering": search.populations.to_dict(),
            "stability": search.stability.to_dict()
            | ({"model_seeds": search.seeds.to_dict()} if search.seeds else {}),
            "null": search.null.to_dict(),
            "votes": parts.votes,
            "distinctness": parts.distinctness,
            "model": models[0].card,
        },
        run={
            "versions": versions(),
            "config": config.to_dict(),
            "inputs": inputs,
            "n_stars": len(spectra),
            "n_rejected": len(spectra.meta.get("rejected", [])),
            "model_ids": [model.model_id for model in models],
            "seconds": run.seconds,
        },
    )
    found.write(run.directory)
    return found


def _write_rejected(run: Run, spectra: SpectrumSet) -> None:
    rejected = spectra.meta.get("rejected", [])
    if rejected:
        lines = ["file,row,source_id,reason"]
        lines += [",".join(f'"{"" if v is None else v}"' for v in row) for row in rejected]
        with atomic_file(run.path("rejected.csv")) as path:
            path.write_text("\n".join(lines) + "\n")


def _model(
    run: Run, spectra: SpectrumSet, config: DiscoverConfig, number: int, tell: StepProgress
) -> ScatterVAE:
    """Model ``number``; the first one makes the catalogue, the others test it."""
    name = "model" if number == 0 else f"model-seed{number}"
    if run.done(name):
        return ScatterVAE.load(run.path(name))
    model = ScatterVAE(config.model)
    checkpoint = run.path(f"{name}.checkpoint")
    with run.step(name):
        step = "train" if number == 0 else f"train, seed {config.seed + number}"
        model.fit(
            spectra,
            seed=config.seed + number,
            checkpoint=checkpoint,
            progress=partial(tell, step),
        )
        model.save(run.path(name))
    checkpoint.unlink(missing_ok=True)
    return model


def _latents(
    run: Run, model: ScatterVAE, spectra: SpectrumSet, labels: Table, tell: StepProgress
) -> Latents:
    path = run.path("latents.parquet")
    if run.done("encode"):
        return Latents.read(path)
    tell("encode", 0, 2, "")
    with run.step("encode"):
        latents = model.encode(spectra)
        tell("encode", 1, 2, "likelihoods")
        scores = model.score(spectra)
        derived = [name for name in labels.colnames if name not in latents.columns.colnames]
        latents = latents.with_columns(
            **{name: labels[name] for name in derived},
            **{name: scores[name] for name in (columns.LOG_LIKELIHOOD, columns.OUTLIER_SCORE)},
        )
        latents.write(path)
    tell("encode", 2, 2, f"{len(latents):,} stars")
    return latents


@dataclass(frozen=True)
class _Search:
    populations: Populations
    stability: Any
    seeds: SeedStability | None
    null: NullTest


def _search(
    run: Run,
    models: list[ScatterVAE],
    latents: Latents,
    spectra: SpectrumSet,
    config: DiscoverConfig,
    tell: StepProgress,
) -> _Search:
    """Populations, and the three tests that concern them as a whole."""
    finder = PopulationFinder(config.populations)
    with run.step("cluster"):
        populations = finder.fit(latents, progress=partial(tell, "cluster"))
        populations.save(run.path("populations"))
    with run.step("stability"):
        stability = finder.stability(
            populations,
            n_resamples=config.n_resamples,
            seed=config.seed + 1,
            progress=partial(tell, "stability"),
        )
    with run.step("model seeds"):
        labelings = [populations.labels]
        for number, model in enumerate(models[1:], start=1):
            same = PopulationFinder(same_settings(populations))
            labelings.append(same.fit(model.encode(spectra)).labels)
            tell("model seeds", number, len(models) - 1, "")
        seeds = seed_stability(labelings) if len(labelings) > 1 else None
    with run.step("null test"):
        null = null_test(
            latents,
            populations,
            n_surrogates=config.n_surrogates,
            seed=config.seed + 2,
            progress=partial(tell, "null test"),
        )
    return _Search(populations, stability, seeds, null)
