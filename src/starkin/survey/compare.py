"""Every model on the same stars, judged by the same measures, in one resumable run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..io.atomic import atomic_file
from ..io.latents import Latents
from ..latent.comparison import Comparison, table_of
from ..latent.intervals import Interval, rmse_ratio
from ..models.base import SpectrumModel
from ..models.load import kinds, load_model
from ..models.scatter_config import ScatterVAEConfig
from ..simulate.gap import GAPS
from ..spectra import StarkinError
from .class_probability import judge_classifier
from .compare_data import CompareStars, compare_stars
from .compare_settings import CompareConfig, ModelEntry
from .evolution import judge_evolution
from .judge import AlphaStars, Judgement, judge, reconstruct
from .label_gap import gap_possible, gap_sample, gap_squares, judge_gap, told_labels
from .provenance import versions
from .run import Run
from .star_tree import judge_tree

__all__ = ["compare"]

#: Called with (step, done, in all, a short line).
StepProgress = Callable[[str, int, int, str], None]


def compare(
    config: CompareConfig,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: StepProgress | None = None,
) -> Comparison:
    """Train models, judge each on the same test stars, and put them side by side.

    A model that cannot be trained or judged keeps its row, with the reason; the others go
    on. What a former process has finished is not done again: each model is trained,
    judged and stored by itself, and stays valid when others are added or changed.

    Parameters
    ----------
    config : CompareConfig
        Models, data and measures.
    out : path
        Folder of the run. The same call on the same folder resumes.
    overwrite : bool
        Replace a run on other data, split or seed.
    progress : callable, optional
        Told of every step.

    Returns
    -------
    Comparison
        Also written into ``out``.

    Raises
    ------
    StarkinError
        If the settings, the data or the folder cannot be used.
    """
    for entry in config.models:  # a typing error must not show after the first hour
        _new_model(entry, config.threads)
    tell = progress or (lambda step, done, total, note: None)
    settings = config.to_dict()
    shared = {k: settings[k] for k in ("data", "split", "cut", "select", "seed")}
    stars = compare_stars(config, partial(tell, "stars"))
    if config.gaps and not gap_possible(stars):
        raise StarkinError("Label gaps need simulated stars, of which the true labels are known.")
    run = Run(out, shared, [stars.fingerprints], overwrite=overwrite)
    job = _Job(run, config, stars, tell)
    judged = {entry.name: job.model(entry) for entry in config.models}
    if all(part.squares is None for part in judged.values()):
        name, part = next(iter(judged.items()))
        raise StarkinError(f"No model could be compared; {name}: {part.row['problem']}")
    general = {"classifier": job.classifier(), "phylogeny": job.tree(judged)}
    found = _together(config, judged, job, {k: v for k, v in general.items() if v})
    found.write(run.directory)
    return found


def _new_model(entry: ModelEntry, threads: int) -> SpectrumModel:
    """An untrained model.

    Raises
    ------
    StarkinError
        If there is no such kind, or a setting is wrong.
    """
    known = kinds()
    if entry.kind not in known:
        raise StarkinError(
            f"There is no model of kind {entry.kind!r}; choose from {', '.join(sorted(known))}."
        )
    cls = known[entry.kind]
    settings = getattr(cls, "config_class", ScatterVAEConfig).from_dict(entry.settings)
    return cls(settings, threads=threads)  # type: ignore[call-arg]


class _Job:
    """One run of a comparison: trains, judges and keeps what is done."""

    def __init__(
        self, run: Run, config: CompareConfig, stars: CompareStars, tell: StepProgress
    ) -> None:
        self.run, self.config, self.stars, self.tell = run, config, stars, tell
        self._alpha: AlphaStars | None = None
        self._alpha_known = False

    def alpha(self) -> AlphaStars | None:
        """The label-only classifiers, trained when a model is first judged by them."""
        if not self._alpha_known:
            self.tell("α baselines", 0, 1, "classifiers on labels and colours")
            self._alpha = AlphaStars.of(self.stars, self.config.seed)
            self._alpha_known = True
            self.tell("α baselines", 1, 1, "")
        return self._alpha

    # --- one model -----------------------------------------------------------------
    def model(self, entry: ModelEntry) -> Judgement:
        """Train and judge, or read what was; a failure is noted and not fatal."""
        key = _digest({"kind": entry.kind, "settings": entry.settings})
        base = Judgement({"model": entry.name, "kind": entry.kind})
        try:
            model = self._fitted(entry, key, self.stars, "")
            judged = self._judged(entry, key, model)
            self._gaps(entry, key, model, judged)
        except StarkinError as error:
            base.row["problem"] = str(error)
            return base
        judged.row = base.row | judged.row
        return judged

    def _fitted(self, entry: ModelEntry, key: str, stars: CompareStars, gap: str) -> SpectrumModel:
        step = f"fit {key}" + (f" {gap}" if gap else "")
        folder = self.run.path("models") / step.removeprefix("fit ").replace(" ", "-")
        if self.run.done(step):
            return load_model(folder, threads=self.config.threads)
        model = _new_model(entry, self.config.threads)
        folder.parent.mkdir(exist_ok=True)
        checkpoint = folder.with_suffix(".checkpoint")
        shown = f"{entry.name}, {gap} labels" if gap else entry.name
        with self.run.step(step):
            model.fit(
                stars.train,
                stars.validation,
                seed=self.config.seed,
                checkpoint=checkpoint,
                progress=partial(self.tell, f"train {shown}"),
            )
            model.save(folder)
        checkpoint.unlink(missing_ok=True)
        return model

    def _judged(self, entry: ModelEntry, key: str, model: SpectrumModel) -> Judgement:
        """Each measure is a step of its own, kept as JSON."""
        config = self.config
        folder = self.run.path("judged") / key
        missing = [m for m in config.measures if not self.run.done(f"judge {key} {m}")]
        latents_file, arrays_file = folder / "latents.parquet", folder / "squares.npy"
        folder.mkdir(parents=True, exist_ok=True)
        found = latents = None
        if not self.run.done(f"encode {key}"):
            with self.run.step(f"encode {key}"):
                latents, found, seconds = reconstruct(model, self.stars)
                latents.write(latents_file)
                against: Any = "truth" if found.truth is not None else "observed"
                np.save(arrays_file, found.mean_square(against))
                rate = len(self.stars.test) / max(seconds, 1e-9)
                _write_json(folder / "encode.json", {"encode_rate": rate})
        elif missing:
            latents, found, _ = reconstruct(model, self.stars, Latents.read(latents_file))
        for i, measure in enumerate(missing):
            assert latents is not None
            assert found is not None
            self.tell(f"judge {entry.name}", i, len(missing), measure)
            with self.run.step(f"judge {key} {measure}"):
                part = Judgement()
                if measure == "tracks":
                    judge_evolution(part, self.stars, model, latents, config.seed)
                else:
                    alpha = self.alpha() if measure == "alpha" else None
                    judge(measure, part, self.stars, model, latents, found, alpha, config.seed)
                _write_json(folder / f"{measure}.json", _to_json(part))
        self.tell(f"judge {entry.name}", max(len(missing), 1), max(len(missing), 1), "")
        judged = Judgement(squares=np.load(arrays_file))
        judged.row |= {
            "labels": ", ".join(told_labels(model)),
            "n_latent": _n_latent(latents_file),
            "fit_seconds": self.run.seconds[f"fit {key}"],
            **_read_json(folder / "encode.json"),
        }
        for measure in config.measures:
            stored = _read_json(folder / f"{measure}.json")
            judged.row |= {name: _from_json(value) for name, value in stored["row"].items()}
            judged.details |= stored["details"]
        judged.details["card"] = _plain({k: v for k, v in model.card.items() if k != "history"})
        judged.details["files"] = key
        return judged

    def _gaps(self, entry: ModelEntry, key: str, model: SpectrumModel, judged: Judgement) -> None:
        if not self.config.gaps or judged.squares is None:
            return
        judged.details["gaps"] = {}
        for gap in self.config.gaps:
            path = self.run.path("judged") / key / f"gap-{gap}.json"
            step = f"gap {key} {gap}"
            if not self.run.done(step):
                squares = None
                if GAPS[gap].retrain and told_labels(model):
                    sample = gap_sample(self.stars, gap, self.config.seed)
                    other = self._fitted(entry, key, sample, gap)
                    squares = gap_squares(other, sample, gap)
                with self.run.step(step):
                    ratio, details = judge_gap(
                        gap, self.stars, judged.squares, squares, self.config.seed
                    )
                    part = Judgement({f"gap_{gap}": ratio}, details)
                    _write_json(path, _to_json(part))
            stored = _read_json(path)
            judged.row |= {name: _from_json(value) for name, value in stored["row"].items()}
            judged.details["gaps"][gap] = stored["details"]

    # --- beside the models -------------------------------------------------------------
    def classifier(self) -> dict[str, Any]:
        """Boosted trees for a class of stars; empty where none is asked for."""
        entry = self.config.classifier
        if entry is None:
            return {}
        return self._beside(
            "classifier",
            asdict(entry),
            partial(judge_classifier, entry, self.stars, threads=max(self.config.threads, 1)),
        )

    def tree(self, judged: dict[str, Judgement]) -> dict[str, Any]:
        """The tree of chosen stars; empty where none is asked for."""
        entry = self.config.phylogeny
        if entry is None:
            return {}
        name = "" if entry.labels else entry.model or self.config.reference
        key = judged[name].details.get("files", "") if name else ""
        if name and not key:
            return {"problem": f"{name} was not judged, so there are no latents for a tree."}

        def make(folder: Path, seed: int) -> dict[str, Any]:
            path = self.run.path("judged") / key / "latents.parquet"
            found = judge_tree(entry, self.stars.test, Latents.read(path) if name else None, seed)
            with atomic_file(folder / "tree.nwk") as temporary:
                temporary.write_text(found["newick"] + "\n")
            return {"model": name, **found}

        return self._beside("phylogeny", {**asdict(entry), "files": key}, make)

    def _beside(
        self, what: str, settings: dict[str, Any], make: Callable[..., dict[str, Any]]
    ) -> dict[str, Any]:
        """A part that is no row of the table: done once, kept as JSON, its failure noted."""
        key = _digest({"kind": what, "settings": settings})
        folder = self.run.path(what)
        path = folder / f"{what}.json"
        # One folder, whatever the settings: a file of other settings is not the answer.
        if not path.exists() or _read_json(path).get("key") != key:
            self.tell(what, 0, 1, "")
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            try:
                with self.run.step(key):
                    found = make(folder, seed=self.config.seed)
                    _write_json(path, {"key": key, **_plain(found)})
            except StarkinError as error:
                return {"problem": str(error)}
            self.tell(what, 1, 1, "")
        return _read_json(path)


def _together(
    config: CompareConfig, judged: dict[str, Judgement], job: _Job, beside: dict[str, Any]
) -> Comparison:
    """Ratios over the reference, the table, and everything behind it."""
    reference = judged[config.reference].squares
    details: dict[str, Any] = {}
    latents: dict[str, Latents] = {}
    for name, part in judged.items():
        if part.squares is None:
            continue
        if reference is not None:
            part.row["ratio"] = rmse_ratio(part.squares, reference, seed=config.seed)
        details[name] = part.details
        folder = job.run.path("judged") / part.details.pop("files")
        latents[name] = Latents.read(folder / "latents.parquet")
    general: dict[str, Any] = {
        "reference": config.reference,
        "against": "truth" if job.stars.truth is not None else "observed",
        **beside,
    }
    if "alpha" in config.measures:
        path = job.run.path("alpha.json")
        if not job.run.done("alpha") or not path.exists():
            alpha = job.alpha()
            with job.run.step("alpha"):
                _write_json(path, alpha.to_dict(config.seed) if alpha is not None else {})
        general["alpha"] = _read_json(path)
    details[""] = general
    return Comparison(
        table=table_of([part.row for part in judged.values()]),
        details=details,
        latents=latents,
        run={
            "versions": versions(),
            "config": config.to_dict(),
            "stars": job.stars.fingerprints,
            "seconds": job.run.seconds,
            "cpu_seconds": job.run.cpu_seconds,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )


# --- small things ------------------------------------------------------------------------
def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=list)
    return f"{value['kind']}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _n_latent(path: Path) -> int:
    return Latents.read(path).n_latent


def _to_json(part: Judgement) -> dict[str, Any]:
    row = {
        name: value.to_dict() if isinstance(value, Interval) else _plain(value)
        for name, value in part.row.items()
    }
    return {"row": row, "details": _plain(part.details)}


def _from_json(value: Any) -> Any:
    return Interval(**value) if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    """The same with numpy's numbers and arrays as Python's."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


def _write_json(path: Path, content: Any) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StarkinError(f"{path} is missing or damaged; run with --overwrite.") from error
