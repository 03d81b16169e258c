"""Judge models by the twins they find: one table, resumable trial by trial."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ..io.atomic import atomic_file
from ..io.catalogue import write_table
from ..io.latents import Latents
from ..latent.twin_ranks import partners
from ..models.base import SpectrumModel
from ..models.load import load_model
from ..spectra import SpectrumSet, StarkinError, columns
from .evaluation_settings import TwinEvaluation
from .evaluation_table import markdown, table_of
from .provenance import versions
from .run import Run
from .twin_ceiling import Ceiling, ceiling_figures
from .twin_trial import judge, pool_of

__all__ = ["DEFAULT_CONDITIONS", "evaluate_twins"]

#: Labels whose leakage into the latents is measured unless others are asked for.
DEFAULT_CONDITIONS = (columns.TEFF, columns.LOGG)

#: Called with (noiseless spectra, S/N, seed); gives what would be observed.
Observe = Callable[[SpectrumSet, float, int], SpectrumSet]
#: Called with (step, done, in all, a short line).
StepProgress = Callable[[str, int, int, str], None]
#: How the ceiling is called among the models.
CEILING = "ceiling (true model)"


@dataclass(frozen=True)
class _Trial:
    name: str
    model_id: str
    snr: float
    seed: int

    @property
    def step(self) -> str:
        return f"{self.model_id}-snr{self.snr:g}-seed{self.seed}"

    def path(self, run: Run) -> Path:
        return run.path("trials") / f"{self.step}.json"


def evaluate_twins(
    models: Mapping[str, SpectrumModel | str | os.PathLike[str]],
    spectra: SpectrumSet,
    out: str | os.PathLike[str],
    settings: TwinEvaluation | None = None,
    *,
    conditions: tuple[str, ...] = DEFAULT_CONDITIONS,
    ceiling: Ceiling | None = None,
    observe: Observe,
    overwrite: bool = False,
    progress: StepProgress | None = None,
) -> Table:
    """Everything that says how well models find twins, for every model, noise and seed.

    Parameters
    ----------
    models : mapping of str to SpectrumModel or path
        By the name they have in the table.
    spectra : SpectrumSet
        Pairs that share ``composition_id``, none of which a model was trained on. Noise is
        added to them as they are: give noiseless ones.
    out : path
        Folder of the evaluation. The same call on the same folder resumes; models, noise
        levels and seeds may be added later.
    settings : TwinEvaluation, optional
        The defaults if not given.
    conditions : tuple of str
        Label columns whose leakage is measured.
    ceiling : Ceiling, optional
        The true generative model, as one more row for each noise level.
    observe : callable, optional
        Makes what would be observed of noiseless spectra at a finite S/N (adds noise). It is
        called for each batch of stars, with a seed of its own.
    overwrite : bool
        Replace an evaluation of other spectra or with other settings.
    progress : callable, optional
        Told of every step.

    Returns
    -------
    astropy.table.Table
        A row for each model, track, noise level and seed; also written as ``twins.csv``,
        ``twins.fits`` and, averaged over seeds, ``twins.md``.

    Raises
    ------
    StarkinError
        If there are no pairs, or a folder or model cannot be used.
    """
    settings = settings or TwinEvaluation()
    tell = progress or (lambda step, done, total, note: None)
    rows_kept = _whole_pairs(spectra, settings)
    if rows_kept is not None:
        spectra = spectra[rows_kept]
        ceiling = None if ceiling is None else ceiling[rows_kept]
    pool = pool_of(spectra, conditions, partners(spectra.label(columns.COMPOSITION_ID)))
    fingerprint = spectra.fingerprint  # A hash over all values: seconds.
    inputs = [{"fingerprint": fingerprint}]
    identity = settings.identity() | {"conditions": list(conditions)}
    run = Run(out, identity, inputs, overwrite=overwrite)
    loaded = {name: _model(model) for name, model in models.items()}
    plan = [
        _Trial(name, model.model_id, snr, seed)
        for name, model in loaded.items()
        for snr, seed in settings.trials()
    ]
    if ceiling is not None:
        plan += [_Trial(CEILING, ceiling.name, snr, seed) for snr, seed in settings.trials()]
    rows: list[dict[str, Any]] = []
    for number, trial in enumerate(plan):
        note = f"{trial.name}, S/N {trial.snr:g}, seed {trial.seed}"
        tell("evaluate", number, len(plan), note)
        if not run.done(trial.step):
            with run.step(trial.step):
                if trial.name == CEILING and ceiling is not None:
                    found = ceiling_figures(ceiling, pool, trial.snr, trial.seed, settings)
                else:
                    model = loaded[trial.name]
                    latents = _encoded(model, spectra, trial, settings, observe)
                    step = partial(_tell, tell, number, len(plan), note)
                    found = judge(model, spectra, pool, latents, settings, tell=step)
                _write_json(trial.path(run), found)
        rows += _named_rows(trial, json.loads(trial.path(run).read_text()))
    tell("evaluate", len(plan), len(plan), "")
    table = table_of(rows)
    provenance = {
        "versions": versions(),
        "settings": identity | {"snr": [f"{s:g}" for s in settings.snr]},
        "spectra": {"fingerprint": fingerprint, "n_stars": len(spectra)},
        "models": {n: {"model_id": m.model_id, "kind": m.kind} for n, m in loaded.items()},
        "seconds": run.seconds,
    }
    table.meta = {
        "starkin": provenance["versions"]["starkin"],
        "spectra": fingerprint,
        "n_stars": len(spectra),
    }
    for name in ("twins.csv", "twins.fits"):
        write_table(table, run.path(name))
    with atomic_file(run.path("twins.md")) as path:
        path.write_text(markdown(table))
    _write_json(run.path("run.json"), provenance)
    return table


def _tell(tell: StepProgress, done: int, total: int, note: str, what: str) -> None:
    tell("evaluate", done, total, f"{note}: {what}")


def _model(model: SpectrumModel | str | os.PathLike[str]) -> SpectrumModel:
    return model if isinstance(model, SpectrumModel) else load_model(model, threads=1)


def _whole_pairs(spectra: SpectrumSet, settings: TwinEvaluation) -> np.ndarray | None:
    """Rows of a pool cut to ``max_stars`` by whole pairs; None where nothing is cut."""
    if not spectra.has_label(columns.COMPOSITION_ID):
        raise StarkinError(
            "The spectra have no label column composition_id that says which stars are twins."
        )
    if not settings.max_stars or len(spectra) <= settings.max_stars:
        return None
    twin = partners(spectra.label(columns.COMPOSITION_ID))
    firsts = np.flatnonzero(twin > np.arange(len(twin)))
    chosen = np.random.default_rng(settings.seed).permutation(firsts)[: settings.max_stars // 2]
    return np.sort(np.concatenate([chosen, twin[chosen]]))


def _encoded(
    model: SpectrumModel,
    spectra: SpectrumSet,
    trial: _Trial,
    settings: TwinEvaluation,
    observe: Observe,
) -> Latents:
    """Latents of the pool, noise added batch by batch."""
    parts = []
    for number, batch in enumerate(spectra.batches(settings.batch)):
        if math.isfinite(trial.snr):
            # Batches must not share their noise: twins may stand at the same place in two.
            seed = int(np.random.SeedSequence([trial.seed, number]).generate_state(1)[0])
            batch = observe(batch, trial.snr, seed)
        parts.append(model.encode(batch))
    return Latents.concatenate(parts)


def _named_rows(trial: _Trial, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    head = {"model": trial.name, columns.MODEL_ID: trial.model_id}
    return [
        head | {"track": row["track"], "snr": trial.snr, "seed": trial.seed} | dict(row)
        for row in found
    ]


def _write_json(path: Path, content: Any) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=True) + "\n")
