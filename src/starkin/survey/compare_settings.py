"""The full configuration of a comparison of models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ..simulate.gap import GAPS
from ..spectra import columns
from ..spectra.errors import StarkinError
from ..spectra.splits import Split
from ..spectra.strict import require_at_least, require_range, settings_from

__all__ = [
    "MEASURES",
    "ClassifierEntry",
    "CompareConfig",
    "CompareData",
    "ModelEntry",
    "TreeEntry",
]

#: What can be measured; each is a part of the run.
MEASURES = ("reconstruction", "alpha", "tracks", "information", "nuisance")


@dataclass(frozen=True)
class CompareData:
    """Where the spectra come from: files, or the simulator.

    Parameters
    ----------
    files : tuple of str
        Files, folders, patterns or a store; none to simulate.
    labels : str
        Table of label columns to join by ``source_id``.
    truth : str
        File of the noiseless spectra of the same stars, where they are known.
    n, seed : int
        Stars to simulate, and their seed.
    alpha_signal : bool
        Whether simulated spectra carry [α/M].
    """

    files: tuple[str, ...] = ()
    labels: str = ""
    truth: str = ""
    n: int = 20_000
    seed: int = 1
    alpha_signal: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.files, str):
            object.__setattr__(self, "files", (self.files,))
        require_at_least(self, n=200, seed=0)

    @property
    def simulated(self) -> bool:
        return not self.files


@dataclass(frozen=True)
class ModelEntry:
    """One model of the comparison.

    Parameters
    ----------
    kind : str
        Kind of model, as ``starkin.models.load.kinds`` names it.
    name : str
        In tables and figures; the kind without it.
    settings : mapping
        Of the model's own configuration.
    """

    kind: str
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind)


@dataclass(frozen=True)
class ClassifierEntry:
    """Boosted trees that give the probability of a class of stars.

    Parameters
    ----------
    name : str
        Of the class: probabilities are the column ``{name}_probability``.
    member : str
        Condition on label columns that tells who belongs to it. Examples to learn from are told
        by the catalogue's labels; who is judged right, by true ones where they are known.
    contamination : float
        At which the completeness is told; that of Lucey et al. (2023) by default.
    settings : mapping
        Of :class:`~starkin.models.rivals.boosted.BoostedConfig`.
    """

    name: str = "cemp"
    member: str = f"{columns.C_M} > 0.7 & {columns.M_H} < -1"
    contamination: float = 0.12
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_range(self, "contamination", 0.0, 1.0)


@dataclass(frozen=True)
class TreeEntry:
    """A tree of chosen test stars by their latents or abundances.

    Parameters
    ----------
    stars : int or tuple of int
        Stars of each type, drawn at random; or the stars themselves, by ``source_id``.
    model : str
        Whose latents; the reference model's without it.
    labels : tuple of str
        Label columns in place of latents, all in one unit: abundances. Their errors are the
        columns ``{label}_error``.
    types : str
        Label column that says of what type a star is; where there is none, all are of one.
    select : str
        Condition on label columns: stars that differ in composition should be alike otherwise.
    n_copies : int
        Noisy copies behind the supports.
    """

    stars: int | tuple[int, ...] = 8
    model: str = ""
    labels: tuple[str, ...] = ()
    types: str = columns.COMPONENT
    select: str = ""
    n_copies: int = 200

    def __post_init__(self) -> None:
        require_range(self, "n_copies", 0, 100_000)
        chosen = self.stars if isinstance(self.stars, tuple) else (self.stars,)
        if not chosen or not all(type(star) is int and star > 0 for star in chosen):
            raise StarkinError(
                "TreeEntry.stars must be a positive number of stars a type or a list of "
                f"source_ids, got {self.stars!r}."
            )
        if self.labels and self.model:
            raise StarkinError("A tree is of a model's latents or of labels: give one of the two.")


@dataclass(frozen=True)
class CompareConfig:
    """Settings of :func:`starkin.survey.compare`.

    Parameters
    ----------
    models : tuple of ModelEntry
        In the order of the table; the first is the reference of ratios unless
        ``reference`` names another.
    data : CompareData
        Spectra and labels.
    split : Split
        Training and validation; the rest is what models are judged on.
    measures : tuple of str
        Of :data:`MEASURES`.
    gaps : tuple of str
        Of :data:`starkin.simulate.gap.GAPS`; simulated data only.
    cut, select : str
        Catalogue cut, and a further condition on label columns, for all stars.
    reference : str
        Name of the model that ratios are over.
    classifier : ClassifierEntry, optional
        None without it.
    phylogeny : TreeEntry, optional
        None without it.
    seed : int
        Of training, cross-validation and resampling.
    threads : int
        CPU threads of each model; 0 leaves torch's own number.
    """

    models: tuple[ModelEntry, ...]
    data: CompareData = field(default_factory=CompareData)
    split: Split = field(default_factory=lambda: Split(0.7, 0.1))
    measures: tuple[str, ...] = MEASURES
    gaps: tuple[str, ...] = ()
    cut: str = "full"
    select: str = ""
    reference: str = ""
    classifier: ClassifierEntry | None = None
    phylogeny: TreeEntry | None = None
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        if not self.models:
            raise StarkinError("A comparison needs at least one model under models.")
        names = [entry.name for entry in self.models]
        if len(set(names)) < len(names):
            raise StarkinError(f"Models of a comparison need different names, got {names}.")
        for field_name, known in (("measures", MEASURES), ("gaps", tuple(GAPS))):
            for value in getattr(self, field_name):
                if value not in known:
                    raise StarkinError(
                        f"CompareConfig.{field_name} names {value!r}; choose from "
                        f"{', '.join(known)}."
                    )
        if not self.reference:
            object.__setattr__(self, "reference", names[0])
        if self.reference not in names:
            raise StarkinError(
                f"CompareConfig.reference is {self.reference!r}; the models are {', '.join(names)}."
            )
        tree = self.phylogeny
        if tree is not None and not tree.labels and (tree.model or names[0]) not in names:
            raise StarkinError(
                f"The tree is of the latents of {tree.model!r}; the models are {', '.join(names)}."
            )
        if self.cut not in ("full", "good", "pristine"):
            raise StarkinError(
                f"CompareConfig.cut must be full, good or pristine, got {self.cut!r}."
            )
        require_at_least(self, seed=0, threads=0)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file.

        Raises
        ------
        StarkinError
            If a key is unknown or a value out of range.
        """
        given = dict(settings)
        entries = given.get("models", [])
        if not isinstance(entries, (list, tuple)):
            raise StarkinError("models must be a list of tables with a kind each.")
        for entry in entries:
            if not isinstance(entry, Mapping) or "kind" not in entry:
                raise StarkinError(f"Each model needs a kind, got {entry!r}.")
        parts: dict[str, Any] = {
            "models": tuple(settings_from(ModelEntry, e, "a model to compare") for e in entries),
            "data": settings_from(CompareData, given.get("data", {}), "the data to compare on"),
        }
        for name, cls_of, what in (
            ("classifier", ClassifierEntry, "the classifier"),
            ("phylogeny", TreeEntry, "the tree"),
        ):
            if given.get(name) is not None:
                parts[name] = settings_from(cls_of, given[name], what)
        if "split" in given:
            parts["split"] = settings_from(Split, given["split"], "the split")
        return settings_from(cls, given, "a comparison", **parts)
