"""The full configuration of a comparison of models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ..simulate.gap import GAPS
from ..spectra.errors import StarkinError
from ..spectra.splits import Split
from ..spectra.strict import settings_from

__all__ = ["MEASURES", "CompareConfig", "CompareData", "ModelEntry"]

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
        for name, low in (("n", 200), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise StarkinError(
                    f"CompareData.{name} must be a whole number of at least {low}, got {value!r}."
                )

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
        if self.cut not in ("full", "good", "pristine"):
            raise StarkinError(
                f"CompareConfig.cut must be full, good or pristine, got {self.cut!r}."
            )
        for name in ("seed", "threads"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise StarkinError(
                    f"CompareConfig.{name} must be a whole number of at least 0, got {value!r}."
                )

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
        if "split" in given:
            parts["split"] = settings_from(Split, given["split"], "the split")
        return settings_from(cls, given, "a comparison", **parts)
